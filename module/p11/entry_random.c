/* PKCS#11 §5.16 random number generation. Local: the token flags leave out CKF_RNG, so that no client takes it for the vault's. */
#include "call.h"

CK_RV C_SeedRandom(CK_SESSION_HANDLE h, CK_BYTE *seed, CK_ULONG seed_len)
{
    KV_CALL(call, h);
    (void)seed;
    (void)seed_len;
    if (!call.rv)
        call.rv = CKR_RANDOM_SEED_NOT_SUPPORTED;
    return call.rv;
}

CK_RV C_GenerateRandom(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG len)
{
    KV_CALL(call, h);
    if (call.rv)
        return call.rv;
    if (kv_call_slot(&call)->config->random == KV_RANDOM_NONE)
        return call.rv = CKR_RANDOM_NO_RNG;
    if (!out && len)
        return call.rv = CKR_ARGUMENTS_BAD;
    if (len)
        call.rv = kv_call_status(&call, kv_random_bytes(out, len), 0);
    return call.rv;
}
