#include "keyring_private.h"

#include <string.h>
#include "certificate_folder.h"

static bool start_locks(struct kv_keyring *keyring)
{
    if (pthread_mutex_init(&keyring->lock, NULL))
        return false;
    if (kv_clock_condition(&keyring->left))
        return true;
    pthread_mutex_destroy(&keyring->lock);
    return false;
}

enum kv_status kv_keyring_open(const struct kv_keyring_parts *parts, struct kv_keyring **ret,
                               struct kv_error *err)
{
    struct kv_keyring *keyring = calloc(1, sizeof(*keyring));

    if (!keyring)
        return kv_fail(err, KV_NO_MEMORY, "memory is short");
    keyring->parts = *parts;
    if (kv_ledger_open(parts->map, parts->log, parts->clock, &keyring->ledger) != KV_OK ||
        !start_locks(keyring)) {
        kv_ledger_free(keyring->ledger);
        free(keyring);
        return kv_fail(err, KV_NO_MEMORY, "memory is short");
    }
    if (parts->config->certificate_folder) {
        keyring->folder = kv_folder_new(parts->config->certificate_folder, parts->log, parts->clock);
        if (!keyring->folder) {
            kv_keyring_free(keyring);
            return kv_fail(err, KV_NO_MEMORY, "memory is short");
        }
    }
    kv_keyring_teach(keyring);
    *ret = keyring;
    return KV_OK;
}

void kv_keyring_free(struct kv_keyring *keyring)
{
    if (!keyring)
        return;
    kv_ledger_free(keyring->ledger);
    kv_keyring_slots_free(keyring);
    kv_keyring_interned_free(keyring);
    kv_keyring_certified_free(keyring);
    kv_folder_free(keyring->folder);
    pthread_cond_destroy(&keyring->left);
    pthread_mutex_destroy(&keyring->lock);
    free(keyring);
}

void kv_keyring_fail_over_to(struct kv_keyring *keyring, struct kv_keyring *other)
{
    if (keyring->elsewhere_count < KV_FAILOVER_MAX)
        keyring->elsewhere[keyring->elsewhere_count++] = other;
}

void kv_keyring_flush(struct kv_keyring *keyring)
{
    kv_ledger_flush(keyring->ledger);
}

const struct kv_vault_config *kv_keyring_config(const struct kv_keyring *keyring)
{
    return keyring->parts.config;
}

struct kv_mech_offer kv_keyring_offer(const struct kv_keyring *keyring)
{
    const struct kv_vault_config *config = keyring->parts.config;

    return (struct kv_mech_offer){ .managed_hsm = config->managed_hsm,
                                   .rsa1_5 = config->rsa1_5,
                                   .rsnull = config->rsnull,
                                   .hsm_hmac = config->hsm_hmac,
                                   .session_ciphers = config->session_ciphers,
                                   .digests = config->digests,
                                   .manage = config->manage };
}

enum kv_status kv_keyring_check_name(const struct kv_keyring *keyring, const char *name, struct kv_error *err)
{
    const char *vault = keyring->parts.config->name;

    if (!kv_keyring_is_name(name))
        return kv_fail(err, KV_NOT_FOUND, "'%s' cannot be the name of a key: letters, digits and '-' only",
                       name);
    if (!kv_keyring_allows(keyring, name))
        return kv_fail(err, KV_NOT_FOUND, "key '%s' is not among `keys =` of [%s]: add it there to use it",
                       name, vault);
    return KV_OK;
}

enum kv_status kv_keyring_current(struct kv_keyring *keyring, const char *name, const struct kv_task *task,
                                  struct kv_version **ret, struct kv_error *err)
{
    KV_AUTO_LOOK struct kv_look look = { 0 };

    KV_TRY(kv_keyring_check_name(keyring, name, err));
    KV_TRY(kv_keyring_look(keyring, name, false, task, &look, err));
    const struct kv_version *current = kv_merge_current(&look.list);
    if (!current || !kv_version_is_there(current))
        return kv_fail(
            err, KV_NOT_FOUND,
            "key '%s/%s' is no longer in the vault: if it was deleted, `" KV_KEY_RECOVER "` brings it back",
            keyring->parts.config->name, name, kv_word(keyring->parts.config->name).text, kv_word(name).text);
    return kv_keyring_hand_out(keyring, current, look.unreachable, ret);
}

enum kv_status kv_keyring_version(struct kv_keyring *keyring, const char *name, const char *version,
                                  const struct kv_task *task, struct kv_version **ret, struct kv_error *err)
{
    struct kv_look_version wanted = { name, version, keyring->parts.config->refresh_seconds, false };
    KV_AUTO_VERSION struct kv_version *row = NULL;
    bool unreachable = false;

    KV_TRY(kv_keyring_check_name(keyring, name, err));
    KV_TRY(kv_keyring_look_version(keyring, &wanted, task, &row, &unreachable, err));
    return kv_keyring_hand_out(keyring, row, unreachable, ret);
}
