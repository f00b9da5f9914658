/* Keys under keys, and what a Managed HSM does beside. */
#include "steps.h"

static CK_RV unwrap(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *blob,
                    CK_ULONG len)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    CK_BYTE back[32] = { 0 };
    CK_OBJECT_HANDLE unwrapped;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &aes, sizeof aes },
                                ITEM(CKA_EXTRACTABLE, yes),
                                ITEM(CKA_SENSITIVE, no) };
    CK_ATTRIBUTE value = { CKA_VALUE, back, sizeof back };
    STEP(p11->C_UnwrapKey(session, mechanism, key, blob, len, template, 4, &unwrapped));
    CK_RV rv = p11->C_GetAttributeValue(session, unwrapped, &value, 1);
    CK_RV gone = p11->C_DestroyObject(session, unwrapped);
    STEP(rv);
    STEP(gone);
    return memcmp(back, digest, 32) ? WRONG : CKR_OK;
}

CK_RV wrap_by_rsa(void)
{
    world_of.wrapped_len = sizeof world_of.wrapped;
    STEP(p11->C_WrapKey(world_of.prod, &oaep_sha256, world_of.rsa_open, world_of.aes, world_of.wrapped,
                        &world_of.wrapped_len));
    return world_of.wrapped_len == 256 ? CKR_OK : WRONG;
}

CK_RV unwrap_by_rsa(void)
{
    return unwrap(world_of.prod, &oaep_sha256, world_of.rsa_shut, world_of.wrapped, world_of.wrapped_len);
}

CK_RV wrap_in_the_hsm(void)
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

/* Begun and ended by a message each, under a session's key and under one of the HSM. */
CK_RV messages(void)
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

CK_RV hsm_codes(void)
{
    CK_MECHANISM hmac = { CKM_SHA256_HMAC, NULL, 0 };
    return sign_and_verify(world_of.hsm, &hmac, world_of.mac, world_of.mac);
}

CK_RV hsm_cbc(void)
{
    static CK_BYTE iv[16] = "sixteen bytes iv";
    CK_MECHANISM mechanisms[] = { { CKM_AES_CBC, iv, 16 }, { CKM_AES_CBC_PAD, iv, 16 } };
    for (CK_ULONG i = 0; i < 2; i++) {
        CK_BYTE out[96], back[96];
        CK_ULONG len = sizeof out, part = sizeof back, back_len = sizeof back;
        STEP(p11->C_EncryptInit(world_of.hsm, &mechanisms[i], world_of.gcm));
        STEP(p11->C_Encrypt(world_of.hsm, (CK_BYTE *)text, sizeof text, out, &len));
        HOLDS(len == sizeof text + 16 * i);
        STEP(p11->C_DecryptInit(world_of.hsm, &mechanisms[i], world_of.gcm));
        STEP(p11->C_DecryptUpdate(world_of.hsm, out, len, back, &part));
        HOLDS(part == 0);
        STEP(p11->C_DecryptFinal(world_of.hsm, back, &back_len));
        HOLDS(back_len == sizeof text && !memcmp(back, text, back_len));
    }
    return CKR_OK;
}

CK_RV hsm_random(void)
{
    CK_BYTE bytes[300] = { 0 };
    size_t zeros = 0;
    STEP(p11->C_GenerateRandom(world_of.hsm, bytes, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++)
        zeros += !bytes[i];
    return zeros < 40 ? CKR_OK : WRONG;
}
