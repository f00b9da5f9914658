/* The scenario: one step after the other through all of the module. */
#include "scenario.h"
#include "steps.h"

CK_FUNCTION_LIST *p11;
CK_FUNCTION_LIST_3_0 *p11_3;
struct world_of world_of;

/* The one object of this class and label, or with any; a search that is left over from a failed step is ended first. */
CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, const char *label, CK_OBJECT_HANDLE *ret)
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

CK_RV sign_and_verify(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE shut,
                      CK_OBJECT_HANDLE open)
{
    CK_BYTE signature[512];
    CK_ULONG len = sizeof signature;
    STEP(p11->C_SignInit(session, mechanism, shut));
    STEP(p11->C_SignUpdate(session, (CK_BYTE *)text, 20));
    STEP(p11->C_SignUpdate(session, (CK_BYTE *)text + 20, sizeof text - 20));
    STEP(p11->C_SignFinal(session, signature, &len));
    STEP(p11->C_VerifyInit(session, mechanism, open));
    STEP(p11->C_Verify(session, (CK_BYTE *)text, sizeof text, signature, len));
    signature[len - 1] ^= 1;
    STEP(p11->C_VerifyInit(session, mechanism, open));
    CK_RV rv = p11->C_Verify(session, (CK_BYTE *)text, sizeof text, signature, len);
    HOLDS(rv != CKR_OK);
    return rv == CKR_SIGNATURE_INVALID ? CKR_OK : rv;
}

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
    if (!world_of.manage)
        STEP(p11->C_OpenSession(DR, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &world_of.manage));
    if (!world_of.hsm)
        STEP(p11->C_OpenSession(HSM, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &world_of.hsm));
    CK_SESSION_INFO info;
    STEP(p11->C_GetSessionInfo(world_of.prod, &info));
    return info.slotID == PROD ? CKR_OK : WRONG;
}

static CK_RV find_keys(void)
{
    STEP(find(world_of.prod, CKO_PRIVATE_KEY, "ec", &world_of.ec_shut));
    STEP(find(world_of.prod, CKO_PUBLIC_KEY, "ec", &world_of.ec_open));
    STEP(find(world_of.prod, CKO_PRIVATE_KEY, "rsa", &world_of.rsa_shut));
    STEP(find(world_of.prod, CKO_PUBLIC_KEY, "rsa", &world_of.rsa_open));
    STEP(find(world_of.hsm, CKO_SECRET_KEY, "gcm", &world_of.gcm));
    STEP(find(world_of.hsm, CKO_SECRET_KEY, "mac", &world_of.mac));
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
    return count == 3 ? CKR_OK : WRONG; /* two keys and a certificate */
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
    return count == 9 ? CKR_OK : WRONG; /* three keys with their certificates */
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

/* RSNULL: bytes that are no DigestInfo. */
static CK_RV sign_any_bytes(void)
{
    CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 };
    CK_BYTE signature[256];
    CK_ULONG len = sizeof signature;
    STEP(p11->C_SignInit(world_of.prod, &raw, world_of.rsa_shut));
    STEP(p11->C_Sign(world_of.prod, (CK_BYTE *)text, 36, signature, &len));
    STEP(p11->C_VerifyInit(world_of.prod, &raw, world_of.rsa_open));
    STEP(p11->C_Verify(world_of.prod, (CK_BYTE *)text, 36, signature, len));
    signature[40] ^= 1;
    STEP(p11->C_VerifyInit(world_of.prod, &raw, world_of.rsa_open));
    CK_RV rv = p11->C_Verify(world_of.prod, (CK_BYTE *)text, 36, signature, len);
    HOLDS(rv != CKR_OK);
    return rv == CKR_SIGNATURE_INVALID ? CKR_OK : rv;
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
    { "interfaces", interfaces, 0 },
    { "sessions", open_sessions, 0 },
    { "login", login, 0 },
    { "constant answers", constant_answers, 0 },
    { "find", find_keys, 0 },
    { "find by id", find_by_id, 0 },
    { "find all", find_everything, 0 },
    { "attributes", read_attributes, 0 },
    { "fixed objects", fixed_objects, 0 },
    { "vault certificate", vault_certificate, 0 },
    { "folder certificate", folder_certificate, 0 },
    { "own certificate", own_certificate, 0 },
    { "digest", digest_it, 0 },
    { "sign", sign_ecdsa, 0 },
    { "verify", verify_ecdsa, 0 },
    { "sign in parts", sign_rsa_in_parts, 0 },
    { "sign any bytes", sign_any_bytes, 0 },
    { "encrypt", encrypt_oaep, 0 },
    { "decrypt", decrypt_oaep, 0 },
    { "objects", create_and_look_after, 0 },
    { "ciphers", session_ciphers, CKR_ENCRYPTED_DATA_INVALID },
    { "ciphers in parts", ciphers_in_parts, CKR_ENCRYPTED_DATA_INVALID },
    { "digest a key", digest_a_key, 0 },
    { "wrap", wrap_by_rsa, 0 },
    { "unwrap", unwrap_by_rsa, 0 },
    { "wrap in the HSM", wrap_in_the_hsm, 0 },
    { "generate", generate, 0 },
    { "pairs", pairs, CKR_WRAPPED_KEY_INVALID },
    { "copies of pairs", copy_pairs, 0 },
    { "codes", session_codes, 0 },
    { "cancel", cancel, 0 },
    { "derive", derive, 0 },
    { "messages", messages, CKR_AEAD_DECRYPT_FAILED },
    { "messages in parts", messages_in_parts, CKR_AEAD_DECRYPT_FAILED },
    { "codes of the HSM", hsm_codes, 0 },
    { "ciphers of the HSM", hsm_cbc, 0 },
    { "random bytes of the HSM", hsm_random, 0 },
    { "generate in the vault", generate_in_the_vault, 0 },
    { "import an EC key", import_an_ec_key, 0 },
    { "import an RSA key", import_an_rsa_key, 0 },
    { "change", change_a_key, 0 },
    { "disable", disable_a_key, 0 },
    { "close", close_hsm, 0 },
    { "close all", close_all, 0 },
    { "finalize", finalize_it, 0 },
};
const size_t step_count = sizeof steps / sizeof *steps;
