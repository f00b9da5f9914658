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

/* --- recovery --- */

/* The answer to a recovery comes at once, the key after seconds (contract §10). */
static enum kv_status wait_for(struct kv_keyring *keyring, const char *name, const struct kv_task *task,
                               struct kv_error *err)
{
    enum { FIRST_MS = 500, LONGEST_MS = 4000 };
    for (int64_t pause = FIRST_MS;; pause = pause < LONGEST_MS ? 2 * pause : LONGEST_MS) {
        struct kv_error why = { 0 };
        enum kv_status status = kv_keyring_ask_current(keyring, name, task, &why);
        bool again = status == KV_NOT_FOUND && kv_deadline_left(task->deadline) > pause;

        if (again && kv_deadline_sleep(task->deadline, pause))
            continue;
        if (status == KV_NOT_FOUND)
            return kv_fail(err, KV_TIMED_OUT,
                           "key '%s/%s' is recovered, but the vault does not show it yet: wait, then look "
                           "with `kvp11 --vault %s explain %s`",
                           keyring->parts.config->name, name, kv_word(keyring->parts.config->name).text,
                           kv_word(name).text);
        if (status != KV_OK && err)
            *err = why;
        return status;
    }
}

/* What the vault says when there is nothing to recover: is the key there all the same? */
static enum kv_status or_there(struct kv_keyring *keyring, const char *name, const struct kv_task *task,
                               struct kv_error *err)
{
    struct kv_error why = { 0 };
    enum kv_status status = kv_keyring_ask_current(keyring, name, task, &why);

    if (status == KV_NOT_FOUND)
        return kv_fail(
            err, status,
            "vault '%s' has neither a key '%s' nor a deleted one: if it was deleted in this minute, "
            "try again; if it is purged, `kvp11 --vault %s key-backup restore FILE` brings it back",
            keyring->parts.config->name, name, kv_word(keyring->parts.config->name).text);
    if (status != KV_OK && err)
        *err = why;
    return status;
}

enum kv_status kv_keyring_recover(struct kv_keyring *keyring, const char *name, const struct kv_task *task,
                                  struct kv_version_list *ret, struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };
    struct kv_error why = { 0 };

    KV_TRY(kv_keyring_check_name(keyring, name, err));
    enum kv_status status = kv_vault_recover_key(keyring->parts.vault, name, task, &why);
    kv_keyring_learn(keyring);
    if (status == KV_NOT_FOUND)
        KV_TRY(or_there(keyring, name, task, err));
    else if (status == KV_OK || why.maybe_done)
        KV_TRY(wait_for(keyring, name, task, err));
    else {
        if (err)
            *err = why;
        return status;
    }
    /* Without permission to list it is what the map knows, and what was just asked. */
    status = kv_keyring_ask_versions(keyring, name, task, &why);
    if (kv_keyring_is_vault_wide(status)) {
        if (err)
            *err = why;
        return status;
    }
    KV_TRY(kv_keyring_rows(keyring, name, &rows, err));
    *ret = rows.list;
    rows.list = (struct kv_version_list){ 0 };
    return KV_OK;
}
