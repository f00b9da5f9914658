/* PKCS#11 §5.16 random number generation. Bytes from here come without CKF_RNG in the token flags, so that no client takes them for the vault's. */
#include <string.h>
#include "call.h"

static CK_RV from_vault(struct kv_call *call, CK_BYTE *out, CK_ULONG len)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    if (!kv_call_slot(call)->config->managed_hsm)
        return kv_call_refuse(call, CKR_RANDOM_NO_RNG,
                              "`random = hsm` needs a Managed HSM, and '%s' is none: write random = local or "
                              "none in its section",
                              kv_call_slot(call)->config->name);
    struct kv_task task = kv_call_task(call);
    enum kv_status status = kv_bytes_alloc(len, &bytes);
    if (!status)
        status = kv_keyring_random(kv_call_slot(call)->keyring, &task, &bytes, &call->err);
    if (!status)
        memcpy(out, bytes.data, len);
    return kv_call_status(call, status, 0);
}

static bool has_source(struct kv_call *call)
{
    const struct kv_vault_config *config = kv_call_slot(call)->config;
    return config->random == KV_RANDOM_LOCAL || (config->random == KV_RANDOM_HSM && config->managed_hsm);
}

CK_RV C_SeedRandom(CK_SESSION_HANDLE h, CK_BYTE *seed, CK_ULONG seed_len)
{
    KV_CALL(call, h);
    if (call.rv)
        return call.rv;
    if (!seed && seed_len)
        return call.rv = CKR_ARGUMENTS_BAD;
    return call.rv = has_source(&call) ? CKR_RANDOM_SEED_NOT_SUPPORTED : CKR_RANDOM_NO_RNG;
}

CK_RV C_GenerateRandom(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG len)
{
    KV_CALL(call, h);
    if (call.rv)
        return call.rv;
    if (!out && len)
        return call.rv = CKR_ARGUMENTS_BAD;
    if (kv_call_slot(&call)->config->random == KV_RANDOM_NONE)
        return call.rv = CKR_RANDOM_NO_RNG;
    if (len && kv_call_slot(&call)->config->random == KV_RANDOM_HSM)
        return call.rv = from_vault(&call, out, len);
    if (len)
        call.rv = kv_call_status(&call, kv_random_bytes(out, len), 0);
    return call.rv;
}
