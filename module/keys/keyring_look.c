#include "keyring_private.h"

#include <string.h>

void kv_look_free(struct kv_look *look)
{
    kv_version_list_free(&look->list);
}

/* The later of two visits: of the name itself, and of the whole vault when that listing went through. */
static bool is_name_fresh(struct kv_keyring *keyring, const char *name, const struct kv_rows *rows)
{
    struct kv_map_visit listing = kv_keyring_visited(keyring, NULL, "");
    const struct kv_version *current = kv_merge_current(&rows->list);
    bool covered = listing.status == KV_OK && current && current->seen >= rows->visit.at &&
                   listing.at > rows->visit.at && listing.at - current->seen <= KV_KEYRING_SKEW;

    if (kv_keyring_is_doubted(keyring, name) || !rows->list.count)
        return false;
    if (rows->visit.status == KV_OK && !current)
        return false;
    return kv_keyring_is_fresh(keyring, &rows->visit) || (covered && kv_keyring_is_fresh(keyring, &listing));
}

/* Asks unless another thread does; *ret_status is what came of it. */
static enum kv_status refresh_name(struct kv_keyring *keyring, const struct kv_keyring_ask *ask,
                                   const struct kv_task *task, struct kv_error *err)
{
    bool go = false;

    KV_TRY(kv_keyring_enter(keyring, ask, task, &go, err));
    if (!go)
        return KV_OK;
    struct kv_error why = { 0 };
    struct kv_task short_task = kv_keyring_refresh_task(keyring, task, ask->have_old && !ask->force);
    enum kv_status status = kv_keyring_ask_current(keyring, ask->key, &short_task, &why);
    kv_keyring_leave(keyring, ask->key, status, &why);
    if (status != KV_OK && err)
        *err = why;
    return status;
}

enum kv_status kv_keyring_refresh(struct kv_keyring *keyring, const char *name, bool force,
                                  const struct kv_task *task, struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    KV_TRY(kv_keyring_rows(keyring, name, &rows, err));
    if (!force && is_name_fresh(keyring, name, &rows))
        return KV_OK;
    struct kv_keyring_ask ask = { name, rows.list.count > 0, force };
    return refresh_name(keyring, &ask, task, err);
}

static void take_list(struct kv_look *ret, struct kv_rows *rows)
{
    ret->list = rows->list;
    rows->list = (struct kv_version_list){ 0 };
}

enum kv_status kv_keyring_look(struct kv_keyring *keyring, const char *name, bool force,
                               const struct kv_task *task, struct kv_look *ret, struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows before = { 0 }, after = { 0 };

    KV_TRY(kv_keyring_rows(keyring, name, &before, err));
    if (!force && is_name_fresh(keyring, name, &before)) {
        take_list(ret, &before);
        return KV_OK;
    }
    struct kv_keyring_ask ask = { name, before.list.count > 0, force };
    enum kv_status status = refresh_name(keyring, &ask, task, err);

    KV_TRY(kv_keyring_rows(keyring, name, &after, err));
    /* A different public key is never passed over in silence, whatever the map knows. */
    if (status != KV_OK && (!after.list.count || status == KV_WRONG_KEY || status == KV_NO_MEMORY))
        return status;
    if (status != KV_OK && status != KV_NOT_FOUND && !kv_keyring_is_out_of_reach(status))
        kv_keyring_tell(keyring, name, status, err);
    take_list(ret, &after);
    ret->unreachable = kv_keyring_is_out_of_reach(status);
    return KV_OK;
}

static enum kv_status refresh_version(struct kv_keyring *keyring, const struct kv_look_version *wanted,
                                      bool have_old, const struct kv_task *task, struct kv_error *err)
{
    char key[KV_KEYRING_KEY];
    struct kv_keyring_ask ask = { key, have_old, wanted->force };
    struct kv_error why = { 0 };
    bool go = false;

    kv_keyring_name_version(key, wanted->name, wanted->version);
    KV_TRY(kv_keyring_enter(keyring, &ask, task, &go, err));
    if (!go)
        return KV_OK;
    struct kv_task short_task = kv_keyring_refresh_task(keyring, task, have_old && !wanted->force);
    enum kv_status status = kv_keyring_ask_version(keyring, wanted->name, wanted->version, &short_task, &why);
    kv_keyring_leave(keyring, key, status, &why);
    if (status != KV_OK && err)
        *err = why;
    return status;
}

static bool is_version_fresh(struct kv_keyring *keyring, const struct kv_look_version *wanted,
                             const struct kv_version *row)
{
    int64_t age = row ? kv_keyring_now(keyring) - row->seen : 0;
    char key[KV_KEYRING_KEY];

    kv_keyring_name_version(key, wanted->name, wanted->version);
    return row && !wanted->force && !kv_keyring_is_doubted(keyring, key) && age < wanted->max_age &&
           age > -KV_KEYRING_SKEW;
}

enum kv_status kv_keyring_look_version(struct kv_keyring *keyring, const struct kv_look_version *wanted,
                                       const struct kv_task *task, struct kv_version **ret,
                                       bool *ret_unreachable, struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows before = { 0 }, after = { 0 };

    KV_TRY(kv_keyring_rows(keyring, wanted->name, &before, err));
    struct kv_version *row = kv_merge_find(&before.list, wanted->version);
    if (is_version_fresh(keyring, wanted, row)) {
        *ret = kv_version_ref(row);
        *ret_unreachable = false;
        return KV_OK;
    }
    enum kv_status status = refresh_version(keyring, wanted, row != NULL, task, err);

    KV_TRY(kv_keyring_rows(keyring, wanted->name, &after, err));
    row = kv_merge_find(&after.list, wanted->version);
    if (!row || status == KV_WRONG_KEY || status == KV_NO_MEMORY)
        return status != KV_OK ? status
                               : kv_fail(err, KV_NOT_FOUND, "version '%s/%s@%s' is not known",
                                         keyring->parts.config->name, wanted->name, wanted->version);
    *ret = kv_version_ref(row);
    *ret_unreachable = kv_keyring_is_out_of_reach(status);
    return KV_OK;
}

enum kv_status kv_keyring_siblings(struct kv_keyring *keyring, const char *name, const struct kv_task *task,
                                   struct kv_version_list *ret, struct kv_error *err)
{
    struct kv_map_visit listed = kv_keyring_visited(keyring, name, "/versions");
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    if (!kv_keyring_is_fresh(keyring, &listed) && !kv_failover_is_away(keyring)) {
        struct kv_error why = { 0 };
        enum kv_status status = kv_keyring_ask_versions(keyring, name, task, &why);

        if (status != KV_OK)
            kv_keyring_tell(keyring, name, status, &why);
        if (status == KV_DENIED)
            kv_keyring_visit(keyring, name, "/versions", status);
    }
    KV_TRY(kv_keyring_rows(keyring, name, &rows, err));
    *ret = rows.list;
    rows.list = (struct kv_version_list){ 0 };
    return KV_OK;
}

enum kv_status kv_keyring_listed(struct kv_keyring *keyring, const char *name, const struct kv_task *task,
                                 struct kv_version_list *ret, struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    KV_TRY(kv_keyring_check_name(keyring, name, err));
    KV_TRY(kv_keyring_ask_versions(keyring, name, task, err));
    KV_TRY(kv_keyring_rows(keyring, name, &rows, err));
    *ret = rows.list;
    rows.list = (struct kv_version_list){ 0 };
    return KV_OK;
}
