/* Keys of a session: made, copied, changed, used, wrapped and derived. */
#include "steps.h"

CK_RV create_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *ret)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type }, { CKA_KEY_TYPE, &aes, sizeof aes },
                                { CKA_VALUE, (void *)digest, 32 }, ITEM(CKA_EXTRACTABLE, yes),
                                ITEM(CKA_SENSITIVE, no),           { CKA_LABEL, "session", 7 },
                                { CKA_ID, (void *)digest, 20 } };
    return p11->C_CreateObject(session, template, sizeof template / sizeof *template, ret);
}

CK_RV create_and_look_after(void)
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

CK_RV session_ciphers(void)
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

CK_RV generate(void)
{
    CK_ULONG len = 32;
    CK_ATTRIBUTE template = { CKA_VALUE_LEN, &len, sizeof len };
    CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
    CK_OBJECT_HANDLE key;
    STEP(p11->C_GenerateKey(world_of.prod, &mechanism, &template, 1, &key));
    return p11->C_DestroyObject(world_of.prod, key);
}

/* An EC pair of the session, a signature of it, its private key wrapped by the session's AES key and back. */
CK_RV pairs(void)
{
    static const CK_MECHANISM_TYPE wrapping = CKM_AES_KEY_WRAP_KWP;
    CK_OBJECT_CLASS private_key = CKO_PRIVATE_KEY;
    CK_KEY_TYPE ec = CKK_EC;
    CK_MECHANISM make = { CKM_EC_KEY_PAIR_GEN, NULL, 0 }, kwp = { wrapping, NULL, 0 };
    CK_ATTRIBUTE open_items[] = { { CKA_EC_PARAMS, (void *)p256, sizeof p256 }, ITEM(CKA_VERIFY, yes) };
    CK_ATTRIBUTE shut_items[] = { ITEM(CKA_EXTRACTABLE, yes), ITEM(CKA_SIGN, yes) };
    CK_ATTRIBUTE back_items[] = { { CKA_CLASS, &private_key, sizeof private_key },
                                  { CKA_KEY_TYPE, &ec, sizeof ec },
                                  ITEM(CKA_SENSITIVE, no),
                                  ITEM(CKA_EXTRACTABLE, yes) };
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

CK_RV derive(void)
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
    CK_ULONG len = 40, size = 0;
    CK_OBJECT_HANDLE base = 0, derived = 0;
    CK_ATTRIBUTE base_items[] = { { CKA_CLASS, &type, sizeof type },
                                  { CKA_KEY_TYPE, &generic, sizeof generic },
                                  ITEM(CKA_DERIVE, yes),
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

/* A private and a public key, copied and changed. */
CK_RV copy_pairs(void)
{
    CK_MECHANISM make = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
    CK_ATTRIBUTE open_items[] = { { CKA_EC_PARAMS, (void *)p256, sizeof p256 }, ITEM(CKA_VERIFY, yes) };
    CK_ATTRIBUTE shut_items[] = { ITEM(CKA_SIGN, yes) };
    CK_ATTRIBUTE change[] = { { CKA_LABEL, "changed", 7 }, { CKA_ID, "an identifier", 13 } };
    CK_OBJECT_HANDLE made[4] = { 0 };
    STEP(p11->C_GenerateKeyPair(world_of.prod, &make, open_items, 2, shut_items, 1, &made[0], &made[1]));
    CK_RV rv = CKR_OK;
    for (int i = 0; i < 2 && !rv; i++) {
        rv = p11->C_CopyObject(world_of.prod, made[i], change, 1, &made[2 + i]);
        if (!rv)
            rv = p11->C_SetAttributeValue(world_of.prod, made[2 + i], change, 2);
    }
    if (!rv)
        rv = sign_and_verify(world_of.prod, &ecdsa_sha256, made[3], made[2]);
    for (int i = 0; i < 4; i++)
        if (made[i] && p11->C_DestroyObject(world_of.prod, made[i]))
            return WRONG;
    return rv;
}

/* HMAC, whole and in parts. */
CK_RV session_codes(void)
{
    static const CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    static const CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    static const CK_ULONG half = 16;
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, secret),
                                ITEM(CKA_KEY_TYPE, generic),
                                ITEM(CKA_SIGN, yes),
                                ITEM(CKA_VERIFY, yes),
                                { CKA_VALUE, (void *)digest, 32 } };
    CK_MECHANISM whole = { CKM_SHA256_HMAC, NULL, 0 },
                 part = { CKM_SHA384_HMAC_GENERAL, (void *)&half, sizeof half };
    CK_OBJECT_HANDLE key;
    STEP(p11->C_CreateObject(world_of.prod, template, 5, &key));
    CK_RV rv = sign_and_verify(world_of.prod, &whole, key, key);
    if (!rv)
        rv = sign_and_verify(world_of.prod, &part, key, key);
    STEP(p11->C_DestroyObject(world_of.prod, key));
    return rv;
}

/* What is cancelled can begin anew. */
CK_RV cancel(void)
{
    CK_MECHANISM sha256 = { CKM_SHA256, NULL, 0 };
    CK_OBJECT_HANDLE found[1];
    CK_ULONG count = 0;
    for (int i = 0; i < 2; i++) {
        CK_RV rv = p11->C_DigestInit(world_of.prod, &sha256);
        if (!rv)
            rv = p11->C_DigestUpdate(world_of.prod, (CK_BYTE *)text, sizeof text);
        if (!rv)
            rv = p11->C_SignInit(world_of.prod, &rsa_sha256, world_of.rsa_shut);
        if (!rv)
            rv = p11->C_SignUpdate(world_of.prod, (CK_BYTE *)text, sizeof text);
        if (!rv)
            rv = p11->C_FindObjectsInit(world_of.prod, NULL, 0);
        if (!rv)
            rv = p11->C_FindObjects(world_of.prod, found, 1, &count);
        STEP(p11_3->C_SessionCancel(world_of.prod, CKF_DIGEST | CKF_SIGN | CKF_FIND_OBJECTS));
        STEP(rv);
    }
    return CKR_OK;
}
