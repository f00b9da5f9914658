/* What the other files leave out of the function list: logins, parts of ciphers and messages, and the calls that always answer the same. */
#include "steps.h"

/* Of a call that has one answer, which is no CKR_OK. */
static CK_RV answers(CK_RV rv, CK_RV wanted)
{
    HOLDS(rv != CKR_OK);
    return rv == wanted ? CKR_OK : rv;
}

CK_RV interfaces(void)
{
    CK_FUNCTION_LIST *list = NULL;
    CK_INTERFACE all[4], *one = NULL;
    CK_ULONG count = 4;
    CK_SLOT_ID slot = 99;
    STEP(p11->C_GetFunctionList(&list));
    HOLDS(list == p11);
    STEP(p11_3->C_GetInterfaceList(all, &count));
    HOLDS(count == 2);
    STEP(p11_3->C_GetInterface((CK_UTF8CHAR *)"PKCS 11", NULL, &one, 0));
    HOLDS(one->pFunctionList == p11_3);
    return answers(p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL), CKR_NO_EVENT);
}

CK_RV login(void)
{
    CK_UTF8CHAR pin[] = "0000";
    CK_RV rv = p11->C_Login(world_of.prod, CKU_USER, pin, 4);
    /* Of an attempt that failed behind its login. */
    STEP(rv == CKR_USER_ALREADY_LOGGED_IN ? CKR_OK : rv);
    STEP(answers(p11_3->C_LoginUser(world_of.prod, CKU_USER, pin, 4, pin, 4), CKR_USER_ALREADY_LOGGED_IN));
    return p11->C_Logout(world_of.prod);
}

CK_RV constant_answers(void)
{
    CK_BYTE seed[8] = { 0 };
    STEP(answers(p11->C_SeedRandom(world_of.hsm, seed, sizeof seed), CKR_RANDOM_SEED_NOT_SUPPORTED));
    STEP(answers(p11->C_GetFunctionStatus(world_of.prod), CKR_FUNCTION_NOT_PARALLEL));
    return answers(p11->C_CancelFunction(world_of.prod), CKR_FUNCTION_NOT_PARALLEL);
}

/* world_of.aes has the bytes of `digest`. */
CK_RV digest_a_key(void)
{
    CK_MECHANISM sha256 = { CKM_SHA256, NULL, 0 };
    CK_BYTE of_key[32], of_bytes[32];
    CK_ULONG len = sizeof of_key;
    STEP(p11->C_DigestInit(world_of.prod, &sha256));
    STEP(p11->C_DigestKey(world_of.prod, world_of.aes));
    STEP(p11->C_DigestFinal(world_of.prod, of_key, &len));
    STEP(p11->C_DigestInit(world_of.prod, &sha256));
    STEP(p11->C_Digest(world_of.prod, (CK_BYTE *)digest, 32, of_bytes, &len));
    return memcmp(of_key, of_bytes, sizeof of_key) ? WRONG : CKR_OK;
}

CK_RV ciphers_in_parts(void)
{
    static CK_BYTE iv[16] = "sixteen bytes iv";
    CK_AES_CTR_PARAMS ctr = { 128, "a counter block" };
    CK_MECHANISM mechanisms[] = { { CKM_AES_CBC_PAD, iv, 16 }, { CKM_AES_CTR, &ctr, sizeof ctr } };
    for (int i = 0; i < 2; i++) {
        CK_BYTE out[96], back[96];
        CK_ULONG first = sizeof out, rest = sizeof out, opened = sizeof back, last = sizeof back;
        STEP(p11->C_EncryptInit(world_of.prod, &mechanisms[i], world_of.aes));
        STEP(p11->C_EncryptUpdate(world_of.prod, (CK_BYTE *)text, sizeof text, out, &first));
        rest -= first;
        STEP(p11->C_EncryptFinal(world_of.prod, out + first, &rest));
        STEP(p11->C_DecryptInit(world_of.prod, &mechanisms[i], world_of.aes));
        STEP(p11->C_DecryptUpdate(world_of.prod, out, first + rest, back, &opened));
        last -= opened;
        STEP(p11->C_DecryptFinal(world_of.prod, back + opened, &last));
        HOLDS(opened + last == sizeof text && !memcmp(back, text, sizeof text));
    }
    return CKR_OK;
}

/* One of the two directions; the process is ended whatever came of the message. */
struct direction {
    CK_RV (*init)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
    CK_RV (*begin)(CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG);
    CK_RV (*next)(CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *, CK_FLAGS);
    CK_RV (*final)(CK_SESSION_HANDLE);
};

static CK_RV two_parts(const struct direction *way, CK_SESSION_HANDLE session, CK_GCM_MESSAGE_PARAMS *params,
                       const CK_BYTE *in, CK_BYTE out[64], CK_ULONG *ret_len)
{
    CK_ULONG first = 64, rest = 64;
    STEP(way->begin(session, params, sizeof *params, (CK_BYTE *)digest, 8));
    STEP(way->next(session, params, sizeof *params, (CK_BYTE *)in, 20, out, &first, 0));
    rest -= first;
    STEP(way->next(session, params, sizeof *params, (CK_BYTE *)in + 20, sizeof text - 20, out + first, &rest,
                   CKF_END_OF_MESSAGE));
    *ret_len = first + rest;
    return CKR_OK;
}

CK_RV messages_in_parts(void)
{
    const struct direction shut = { p11_3->C_MessageEncryptInit, p11_3->C_EncryptMessageBegin,
                                    p11_3->C_EncryptMessageNext, p11_3->C_MessageEncryptFinal };
    const struct direction open = { p11_3->C_MessageDecryptInit, p11_3->C_DecryptMessageBegin,
                                    p11_3->C_DecryptMessageNext, p11_3->C_MessageDecryptFinal };
    const CK_SESSION_HANDLE sessions[] = { world_of.prod, world_of.hsm };
    const CK_OBJECT_HANDLE keys[] = { world_of.aes, world_of.gcm };
    for (int i = 0; i < 2; i++) {
        CK_BYTE iv[12] = { 0 }, tag[16], cipher[64], back[64];
        CK_GCM_MESSAGE_PARAMS params = { iv, sizeof iv, 0, CKG_GENERATE, tag, 128 };
        CK_MECHANISM gcm = { CKM_AES_GCM, NULL, 0 };
        CK_ULONG len = 0, back_len = 0;
        STEP(shut.init(sessions[i], &gcm, keys[i]));
        CK_RV rv = two_parts(&shut, sessions[i], &params, text, cipher, &len), end = shut.final(sessions[i]);
        STEP(rv);
        STEP(end);
        HOLDS(len == sizeof text);
        params.ivGenerator = CKG_NO_GENERATE;
        STEP(open.init(sessions[i], &gcm, keys[i]));
        rv = two_parts(&open, sessions[i], &params, cipher, back, &back_len);
        end = open.final(sessions[i]);
        STEP(rv);
        STEP(end);
        HOLDS(back_len == sizeof text && !memcmp(back, text, back_len));
    }
    return CKR_OK;
}

/* Of the vault that this session is the last of. */
CK_RV close_all(void)
{
    CK_SESSION_INFO info;
    STEP(p11->C_CloseAllSessions(PROD));
    CK_RV rv = p11->C_GetSessionInfo(world_of.prod, &info);
    return answers(rv, CKR_SESSION_HANDLE_INVALID);
}
