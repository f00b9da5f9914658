/* Keys that are gone: in soft delete, or for ever. */
#include "keyring_private.h"

/* A deletion is under way for some seconds, in which there is neither the key nor the deleted one (contract §10). */
enum { DELETION_S = 900 };

static enum kv_status mark_purged(struct kv_keyring *keyring, const char *name, struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };
    KV_CLEANUP(kv_version_list_free) struct kv_version_list gone = { 0 };
    int64_t now = kv_keyring_now(keyring);

    KV_TRY(kv_keyring_rows(keyring, name, &rows, err));
    for (size_t i = 0; i < rows.list.count; i++) {
        const struct kv_version *row = rows.list.items[i];
        KV_AUTO_VERSION struct kv_version *copy = NULL;
        if (row->state != KV_STATE_DELETED || !row->state_since || now - row->state_since < DELETION_S)
            continue;
        copy = kv_version_copy(row);
        if (!copy)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        copy->state = KV_STATE_PURGED;
        copy->seen = now;
        if (kv_version_list_add(&gone, copy))
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    return kv_map_store(keyring->parts.map, gone.items, gone.count, err);
}

enum kv_status kv_keyring_deleted(struct kv_keyring *keyring, const char *name, const struct kv_task *task,
                                  struct kv_keyring_deleted *ret, struct kv_error *err)
{
    struct kv_vault_deleted deleted = { 0 };
    enum kv_status status = kv_vault_get_deleted(keyring->parts.vault, name, task, &deleted, err);

    kv_keyring_learn(keyring);
    if (status == KV_NOT_FOUND)
        KV_TRY(mark_purged(keyring, name, err));
    else
        KV_TRY(status);
    *ret = (struct kv_keyring_deleted){ status == KV_OK, deleted.deleted, deleted.purge };
    return KV_OK;
}
