/* The scenario: one step after the other through all of the module. */
#include "scenario.h"

#include "../p11/harness.h"

static const CK_BYTE digest[32] = "thirty-two bytes of some digest",
                     text[48] = "forty-eight bytes that are encrypted and opened";
CK_FUNCTION_LIST *p11;
CK_FUNCTION_LIST_3_0 *p11_3;

/* What the steps hand on to each other. */
static struct {
    CK_SESSION_HANDLE prod, hsm;
    CK_OBJECT_HANDLE ec_shut, ec_open, rsa_shut, rsa_open, oct, gcm, aes;
    CK_BYTE signature[64], cipher[256], sealed[64], wrapped[256];
    CK_ULONG cipher_len, sealed_len, wrapped_len;
} world_of;

#define STEP(call)                                                                                           \
    do {                                                                                                     \
        CK_RV step_rv = (call);                                                                              \
        if (step_rv)                                                                                         \
            return step_rv;                                                                                  \
    } while (0)
#define HOLDS(what)                                                                                          \
    do {                                                                                                     \
        if (!(what))                                                                                         \
            return WRONG;                                                                                    \
    } while (0)

/* --- steps --- */

static CK_RV initialize_it(void)
{
    return p11->C_Initialize(NULL);
}

static CK_RV look_around(void)
{
    CK_SLOT_ID slots[3];
    CK_ULONG count = 3, mechanisms = 0;
    CK_SLOT_INFO slot;
    CK_TOKEN_INFO token;
    CK_MECHANISM_INFO mechanism;
    CK_INFO info;
    STEP(p11->C_GetInfo(&info));
    STEP(p11->C_GetSlotList(CK_TRUE, slots, &count));
    HOLDS(count == 3);
    STEP(p11->C_GetSlotInfo(slots[2], &slot));
    STEP(p11->C_GetTokenInfo(slots[0], &token));
    HOLDS(!memcmp(token.label, "prod ", 5));
    STEP(p11->C_GetMechanismList(slots[0], NULL, &mechanisms));
    HOLDS(mechanisms > 20);
    return p11->C_GetMechanismInfo(slots[0], CKM_ECDSA, &mechanism);
}

static CK_RV open_sessions(void)
{
    if (!world_of.prod)
        STEP(p11->C_OpenSession(PROD, CKF_SERIAL_SESSION, NULL, NULL, &world_of.prod));
    if (!world_of.hsm)
        STEP(p11->C_OpenSession(HSM, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &world_of.hsm));
    CK_SESSION_INFO info;
    STEP(p11->C_GetSessionInfo(world_of.prod, &info));
    return info.slotID == PROD ? CKR_OK : WRONG;
}

/* The one object of this class and label, or with any; a search that is left over from a failed step is ended first. */
static CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, const char *label, CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_LABEL, (void *)label, strlen(label) } };
    CK_OBJECT_HANDLE found[2];
    CK_ULONG count = 0;
    STEP(p11->C_FindObjectsInit(session, template, 2));
    CK_RV rv = p11->C_FindObjects(session, found, 2, &count);
    CK_RV last = p11->C_FindObjectsFinal(session);
    STEP(rv);
    STEP(last);
    HOLDS(count == 1);
    *ret = found[0];
    return CKR_OK;
}

static CK_RV find_keys(void)
{
    STEP(find(world_of.prod, CKO_PRIVATE_KEY, "ec", &world_of.ec_shut));
    STEP(find(world_of.prod, CKO_PUBLIC_KEY, "ec", &world_of.ec_open));
    STEP(find(world_of.prod, CKO_PRIVATE_KEY, "rsa", &world_of.rsa_shut));
    STEP(find(world_of.prod, CKO_PUBLIC_KEY, "rsa", &world_of.rsa_open));
    STEP(find(world_of.hsm, CKO_SECRET_KEY, "gcm", &world_of.gcm));
    return find(world_of.hsm, CKO_SECRET_KEY, "oct", &world_of.oct);
}

static CK_RV find_by_id(void)
{
    CK_BYTE id[20];
    CK_ATTRIBUTE item = { CKA_ID, id, sizeof id };
    CK_OBJECT_HANDLE found[4];
    CK_ULONG count = 0;
    STEP(p11->C_GetAttributeValue(world_of.prod, world_of.rsa_shut, &item, 1));
    HOLDS(item.ulValueLen == sizeof id);
    STEP(p11->C_FindObjectsInit(world_of.prod, &item, 1));
    CK_RV rv = p11->C_FindObjects(world_of.prod, found, 4, &count),
          last = p11->C_FindObjectsFinal(world_of.prod);
    STEP(rv);
    STEP(last);
    return count == 2 ? CKR_OK : WRONG;
}

/* Everything that is there: a listing of the vault, then of the map. */
static CK_RV find_everything(void)
{
    CK_OBJECT_HANDLE found[64];
    CK_ULONG count = 0;
    STEP(p11->C_FindObjectsInit(world_of.prod, NULL, 0));
    CK_RV rv = p11->C_FindObjects(world_of.prod, found, 64, &count),
          last = p11->C_FindObjectsFinal(world_of.prod);
    STEP(rv);
    STEP(last);
    return count >= 4 ? CKR_OK : WRONG;
}

static CK_RV read_attributes(void)
{
    CK_BYTE modulus[512], exponent[8], point[128], label[64];
    CK_KEY_TYPE type = 0;
    CK_ATTRIBUTE rsa[] = { { CKA_MODULUS, modulus, sizeof modulus },
                           { CKA_PUBLIC_EXPONENT, exponent, sizeof exponent },
                           { CKA_KEY_TYPE, &type, sizeof type },
                           { CKA_LABEL, label, sizeof label } };
    CK_ATTRIBUTE ec = { CKA_EC_POINT, point, sizeof point };
    STEP(p11->C_GetAttributeValue(world_of.prod, world_of.rsa_open, rsa, 4));
    HOLDS(rsa[0].ulValueLen == 256 && rsa[1].ulValueLen == 3 && type == CKK_RSA && rsa[3].ulValueLen == 3);
    STEP(p11->C_GetAttributeValue(world_of.prod, world_of.ec_shut, &ec, 1));
    return ec.ulValueLen == 67 ? CKR_OK : WRONG;
}

static CK_RV digest_it(void)
{
    CK_MECHANISM sha256 = { CKM_SHA256, NULL, 0 };
    CK_BYTE whole[32], parts[32];
    CK_ULONG len = sizeof whole;
    STEP(p11->C_DigestInit(world_of.prod, &sha256));
    STEP(p11->C_Digest(world_of.prod, (CK_BYTE *)text, sizeof text, whole, &len));
    STEP(p11->C_DigestInit(world_of.prod, &sha256));
    STEP(p11->C_DigestUpdate(world_of.prod, (CK_BYTE *)text, 20));
    STEP(p11->C_DigestUpdate(world_of.prod, (CK_BYTE *)text + 20, sizeof text - 20));
    STEP(p11->C_DigestFinal(world_of.prod, parts, &len));
    return memcmp(whole, parts, sizeof whole) ? WRONG : CKR_OK;
}

static CK_RV sign_ecdsa(void)
{
    CK_ULONG len = sizeof world_of.signature;
    STEP(p11->C_SignInit(world_of.prod, &ecdsa, world_of.ec_shut));
    STEP(p11->C_Sign(world_of.prod, (CK_BYTE *)digest, sizeof digest, world_of.signature, &len));
    return len == 64 ? CKR_OK : WRONG;
}

static CK_RV verify_ecdsa(void)
{
    CK_BYTE bad[64];
    memcpy(bad, world_of.signature, sizeof bad);
    bad[40] ^= 1;
    STEP(p11->C_VerifyInit(world_of.prod, &ecdsa, world_of.ec_open));
    STEP(p11->C_Verify(world_of.prod, (CK_BYTE *)digest, sizeof digest, world_of.signature, 64));
    STEP(p11->C_VerifyInit(world_of.prod, &ecdsa, world_of.ec_open));
    CK_RV rv = p11->C_Verify(world_of.prod, (CK_BYTE *)digest, sizeof digest, bad, 64);
    HOLDS(rv != CKR_OK);
    return rv == CKR_SIGNATURE_INVALID ? CKR_OK : rv;
}

static CK_RV sign_rsa_in_parts(void)
{
    CK_RSA_PKCS_PSS_PARAMS salt = { CKM_SHA384, CKG_MGF1_SHA384, 48 };
    CK_MECHANISM pss = { CKM_SHA384_RSA_PKCS_PSS, &salt, sizeof salt }, *const both[] = { &rsa_sha256, &pss };
    for (int i = 0; i < 2; i++) {
        CK_BYTE signature[256];
        CK_ULONG len = 0;
        STEP(p11->C_SignInit(world_of.prod, both[i], world_of.rsa_shut));
        STEP(p11->C_SignUpdate(world_of.prod, (CK_BYTE *)text, sizeof text));
        STEP(p11->C_SignFinal(world_of.prod, NULL, &len));
        HOLDS(len == 256);
        STEP(p11->C_SignFinal(world_of.prod, signature, &len));
        STEP(p11->C_VerifyInit(world_of.prod, both[i], world_of.rsa_open));
        STEP(p11->C_VerifyUpdate(world_of.prod, (CK_BYTE *)text, sizeof text));
        STEP(p11->C_VerifyFinal(world_of.prod, signature, len));
    }
    return CKR_OK;
}

static CK_RV encrypt_oaep(void)
{
    world_of.cipher_len = sizeof world_of.cipher;
    STEP(p11->C_EncryptInit(world_of.prod, &oaep_sha256, world_of.rsa_open));
    return p11->C_Encrypt(world_of.prod, (CK_BYTE *)text, sizeof text, world_of.cipher, &world_of.cipher_len);
}

static CK_RV decrypt_oaep(void)
{
    CK_BYTE out[256];
    CK_ULONG len = sizeof out;
    STEP(p11->C_DecryptInit(world_of.prod, &oaep_sha256, world_of.rsa_shut));
    STEP(p11->C_Decrypt(world_of.prod, world_of.cipher, world_of.cipher_len, out, &len));
    return len == sizeof text && !memcmp(out, text, len) ? CKR_OK : WRONG;
}

static CK_RV create_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *ret)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type }, { CKA_KEY_TYPE, &aes, sizeof aes },
                                { CKA_VALUE, (void *)digest, 32 }, { CKA_EXTRACTABLE, &yes, sizeof yes },
                                { CKA_SENSITIVE, &no, sizeof no }, { CKA_LABEL, "session", 7 },
                                { CKA_ID, (void *)digest, 20 } };
    return p11->C_CreateObject(session, template, sizeof template / sizeof *template, ret);
}

static CK_RV create_and_look_after(void)
{
    CK_ATTRIBUTE label = { CKA_LABEL, "copy", 4 }, value = { CKA_VALUE, (CK_BYTE[32]){ 0 }, 32 };
    CK_OBJECT_HANDLE copy = 0, found = 0;
    CK_ULONG size = 0;
    if (!world_of.aes)
        STEP(create_object(world_of.prod, &world_of.aes));
    STEP(p11->C_GetObjectSize(world_of.prod, world_of.aes, &size));
    STEP(p11->C_CopyObject(world_of.prod, world_of.aes, &label, 1, &copy));
    /* From here the copy has to go, or the next attempt finds two. */
    CK_RV rv = find(world_of.prod, CKO_SECRET_KEY, "copy", &found);
    if (!rv)
        rv = p11->C_GetAttributeValue(world_of.prod, copy, &value, 1);
    if (!rv)
        rv = p11->C_SetAttributeValue(world_of.prod, copy, &(CK_ATTRIBUTE){ CKA_LABEL, "other", 5 }, 1);
    CK_RV gone = p11->C_DestroyObject(world_of.prod, copy);
    STEP(rv);
    STEP(gone);
    return found == copy && !memcmp(value.pValue, digest, 32) ? CKR_OK : WRONG;
}

static CK_RV session_ciphers(void)
{
    static CK_BYTE iv[16] = "sixteen bytes iv", nonce[12] = "twelve bytes";
    CK_GCM_PARAMS gcm = { nonce, 12, 96, (CK_BYTE *)digest, 10, 128 };
    CK_MECHANISM mechanisms[] = { { CKM_AES_CBC_PAD, iv, 16 }, { CKM_AES_GCM, &gcm, sizeof gcm } };
    for (int i = 0; i < 2; i++) {
        CK_BYTE out[96], back[96];
        CK_ULONG len = sizeof out, back_len = sizeof back;
        STEP(p11->C_EncryptInit(world_of.prod, &mechanisms[i], world_of.aes));
        STEP(p11->C_Encrypt(world_of.prod, (CK_BYTE *)text, sizeof text, out, &len));
        HOLDS(len == sizeof text + 16);
        STEP(p11->C_DecryptInit(world_of.prod, &mechanisms[i], world_of.aes));
        STEP(p11->C_Decrypt(world_of.prod, out, len, back, &back_len));
        HOLDS(back_len == sizeof text && !memcmp(back, text, back_len));
    }
    return CKR_OK;
}

static CK_RV unwrap(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *blob,
                    CK_ULONG len)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_BYTE back[32] = { 0 };
    CK_OBJECT_HANDLE unwrapped;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &aes, sizeof aes },
                                { CKA_EXTRACTABLE, &yes, sizeof yes },
                                { CKA_SENSITIVE, &no, sizeof no } };
    CK_ATTRIBUTE value = { CKA_VALUE, back, sizeof back };
    STEP(p11->C_UnwrapKey(session, mechanism, key, blob, len, template, 4, &unwrapped));
    CK_RV rv = p11->C_GetAttributeValue(session, unwrapped, &value, 1);
    CK_RV gone = p11->C_DestroyObject(session, unwrapped);
    STEP(rv);
    STEP(gone);
    return memcmp(back, digest, 32) ? WRONG : CKR_OK;
}

static CK_RV wrap_by_rsa(void)
{
    world_of.wrapped_len = sizeof world_of.wrapped;
    STEP(p11->C_WrapKey(world_of.prod, &oaep_sha256, world_of.rsa_open, world_of.aes, world_of.wrapped,
                        &world_of.wrapped_len));
    return world_of.wrapped_len == 256 ? CKR_OK : WRONG;
}

static CK_RV unwrap_by_rsa(void)
{
    return unwrap(world_of.prod, &oaep_sha256, world_of.rsa_shut, world_of.wrapped, world_of.wrapped_len);
}

static CK_RV wrap_in_the_hsm(void)
{
    CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 };
    CK_BYTE blob[64];
    CK_ULONG len = sizeof blob;
    CK_OBJECT_HANDLE key;
    STEP(create_object(world_of.hsm, &key));
    CK_RV rv = p11->C_WrapKey(world_of.hsm, &kw, world_of.oct, key, blob, &len);
    CK_RV gone = p11->C_DestroyObject(world_of.hsm, key);
    STEP(rv);
    STEP(gone);
    HOLDS(len == 40);
    return unwrap(world_of.hsm, &kw, world_of.oct, blob, len);
}

static CK_RV generate(void)
{
    CK_ULONG len = 32;
    CK_ATTRIBUTE template = { CKA_VALUE_LEN, &len, sizeof len };
    CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
    CK_OBJECT_HANDLE key;
    STEP(p11->C_GenerateKey(world_of.prod, &mechanism, &template, 1, &key));
    return p11->C_DestroyObject(world_of.prod, key);
}

/* An EC pair of the session, a signature of it, its private key wrapped by the session's AES key and back. */
static CK_RV pairs(void)
{
    static CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
    static const CK_MECHANISM_TYPE wrapping = CKM_AES_KEY_WRAP_KWP;
    CK_OBJECT_CLASS private_key = CKO_PRIVATE_KEY;
    CK_KEY_TYPE ec = CKK_EC;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_MECHANISM make = { CKM_EC_KEY_PAIR_GEN, NULL, 0 }, kwp = { wrapping, NULL, 0 };
    CK_ATTRIBUTE open_items[] = { { CKA_EC_PARAMS, p256, sizeof p256 }, { CKA_VERIFY, &yes, sizeof yes } };
    CK_ATTRIBUTE shut_items[] = { { CKA_EXTRACTABLE, &yes, sizeof yes }, { CKA_SIGN, &yes, sizeof yes } };
    CK_ATTRIBUTE back_items[] = { { CKA_CLASS, &private_key, sizeof private_key },
                                  { CKA_KEY_TYPE, &ec, sizeof ec },
                                  { CKA_SENSITIVE, &no, sizeof no },
                                  { CKA_EXTRACTABLE, &yes, sizeof yes } };
    CK_OBJECT_HANDLE pair[2], back = 0;
    CK_BYTE blob[256], signature[64];
    CK_ULONG len = sizeof blob, signature_len = sizeof signature;
    STEP(p11->C_GenerateKeyPair(world_of.prod, &make, open_items, 2, shut_items, 2, &pair[0], &pair[1]));
    CK_RV rv = p11->C_WrapKey(world_of.prod, &kwp, world_of.aes, pair[1], blob, &len);
    if (!rv)
        rv = p11->C_UnwrapKey(world_of.prod, &kwp, world_of.aes, blob, len, back_items, 4, &back);
    if (!rv)
        rv = p11->C_SignInit(world_of.prod, &ecdsa_sha256, back);
    if (!rv)
        rv = p11->C_Sign(world_of.prod, (CK_BYTE *)text, sizeof text, signature, &signature_len);
    if (!rv)
        rv = p11->C_VerifyInit(world_of.prod, &ecdsa_sha256, pair[0]);
    if (!rv)
        rv = p11->C_Verify(world_of.prod, (CK_BYTE *)text, sizeof text, signature, signature_len);
    CK_OBJECT_HANDLE made[] = { pair[0], pair[1], back };
    for (int i = 0; i < 3; i++)
        if (made[i] && p11->C_DestroyObject(world_of.prod, made[i]))
            return WRONG;
    return rv;
}

static CK_RV derive(void)
{
    CK_HKDF_PARAMS params = { .bExtract = CK_TRUE,
                              .bExpand = CK_TRUE,
                              .prfHashMechanism = CKM_SHA256,
                              .ulSaltType = CKF_HKDF_SALT_NULL,
                              .pInfo = (CK_BYTE *)text,
                              .ulInfoLen = 10 };
    CK_MECHANISM hkdf = { CKM_HKDF_DERIVE, &params, sizeof params };
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE;
    CK_ULONG len = 40, size = 0;
    CK_OBJECT_HANDLE base = 0, derived = 0;
    CK_ATTRIBUTE base_items[] = { { CKA_CLASS, &type, sizeof type },
                                  { CKA_KEY_TYPE, &generic, sizeof generic },
                                  { CKA_DERIVE, &yes, sizeof yes },
                                  { CKA_VALUE, (void *)digest, 32 } };
    CK_ATTRIBUTE items[] = { { CKA_KEY_TYPE, &generic, sizeof generic },
                             { CKA_VALUE_LEN, &len, sizeof len } };
    STEP(p11->C_CreateObject(world_of.prod, base_items, 4, &base));
    CK_RV rv = p11->C_DeriveKey(world_of.prod, &hkdf, base, items, 2, &derived);
    if (!rv)
        rv = p11->C_GetAttributeValue(world_of.prod, derived,
                                      &(CK_ATTRIBUTE){ CKA_VALUE_LEN, &size, sizeof size }, 1);
    if (derived)
        STEP(p11->C_DestroyObject(world_of.prod, derived));
    STEP(p11->C_DestroyObject(world_of.prod, base));
    STEP(rv);
    return size == len ? CKR_OK : WRONG;
}

/* Begun and ended by a message each, under a session's key and under one of the HSM. */
static CK_RV messages(void)
{
    CK_FUNCTION_LIST_3_0 *more = p11_3;
    struct {
        CK_SESSION_HANDLE session;
        CK_OBJECT_HANDLE key;
    } rows[] = { { world_of.prod, world_of.aes }, { world_of.hsm, world_of.gcm } };
    for (int i = 0; i < 2; i++) {
        CK_BYTE iv[12] = { 0 }, tag[16], cipher[64], back[64];
        CK_GCM_MESSAGE_PARAMS params = { iv, sizeof iv, 0, CKG_GENERATE, tag, 128 };
        CK_MECHANISM gcm = { CKM_AES_GCM, NULL, 0 };
        CK_ULONG len = sizeof cipher, back_len = sizeof back;
        STEP(more->C_MessageEncryptInit(rows[i].session, &gcm, rows[i].key));
        CK_RV rv = more->C_EncryptMessage(rows[i].session, &params, sizeof params, (CK_BYTE *)digest, 8,
                                          (CK_BYTE *)text, sizeof text, cipher, &len);
        CK_RV end = more->C_MessageEncryptFinal(rows[i].session);
        STEP(rv);
        STEP(end);
        params.ivGenerator = CKG_NO_GENERATE;
        STEP(more->C_MessageDecryptInit(rows[i].session, &gcm, rows[i].key));
        rv = more->C_DecryptMessage(rows[i].session, &params, sizeof params, (CK_BYTE *)digest, 8, cipher,
                                    len, back, &back_len);
        end = more->C_MessageDecryptFinal(rows[i].session);
        STEP(rv);
        STEP(end);
        HOLDS(back_len == sizeof text && !memcmp(back, text, back_len));
    }
    return CKR_OK;
}

static CK_RV close_hsm(void)
{
    if (world_of.hsm)
        STEP(p11->C_CloseSession(world_of.hsm));
    world_of.hsm = 0;
    return CKR_OK;
}

static CK_RV finalize_it(void)
{
    memset(&world_of, 0, sizeof world_of);
    return p11->C_Finalize(NULL);
}

const struct step steps[] = {
    { "initialize", initialize_it, CKR_CANT_LOCK },
    { "slots", look_around, 0 },
    { "sessions", open_sessions, 0 },
    { "find", find_keys, 0 },
    { "find by id", find_by_id, 0 },
    { "find all", find_everything, 0 },
    { "attributes", read_attributes, 0 },
    { "digest", digest_it, 0 },
    { "sign", sign_ecdsa, 0 },
    { "verify", verify_ecdsa, 0 },
    { "sign in parts", sign_rsa_in_parts, 0 },
    { "encrypt", encrypt_oaep, 0 },
    { "decrypt", decrypt_oaep, 0 },
    { "objects", create_and_look_after, 0 },
    { "ciphers", session_ciphers, CKR_ENCRYPTED_DATA_INVALID },
    { "wrap", wrap_by_rsa, 0 },
    { "unwrap", unwrap_by_rsa, 0 },
    { "wrap in the HSM", wrap_in_the_hsm, 0 },
    { "generate", generate, 0 },
    { "pairs", pairs, CKR_WRAPPED_KEY_INVALID },
    { "derive", derive, 0 },
    { "messages", messages, CKR_AEAD_DECRYPT_FAILED },
    { "close", close_hsm, 0 },
    { "finalize", finalize_it, 0 },
};
const size_t step_count = sizeof steps / sizeof *steps;
