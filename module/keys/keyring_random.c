#include "keyring_private.h"

#include <string.h>

enum kv_status kv_keyring_random(struct kv_keyring *keyring, const struct kv_task *task, struct kv_bytes *ret,
                                 struct kv_error *err)
{
    const struct kv_vault_config *config = keyring->parts.config;

    if (!config->managed_hsm)
        return kv_fail(err, KV_CONFIG,
                       "vault '%s' is no Managed HSM and has no random bytes: write random = local or none "
                       "in its section",
                       config->name);
    for (size_t at = 0; at < ret->len;) {
        size_t more = ret->len - at < KV_VAULT_RANDOM_MAX ? ret->len - at : KV_VAULT_RANDOM_MAX;
        KV_AUTO_BYTES struct kv_bytes piece = { 0 };
        enum kv_status status = kv_vault_random(keyring->parts.vault, more, task, &piece, err);

        kv_keyring_learn(keyring);
        KV_TRY(status);
        memcpy(ret->data + at, piece.data, more);
        at += more;
    }
    return KV_OK;
}
