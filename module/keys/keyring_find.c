#include "keyring_private.h"

#include <ctype.h>
#include <string.h>

struct search {
    struct kv_keyring *keyring;
    const struct kv_keyring_query *query;
    const struct kv_task *task;
    struct kv_version_list list;
    int64_t whole_after;
    size_t left_out;
};

/* "name" or "name@version"; false: no label of ours. */
static bool split_label(const char *label, char *ret_name, char *ret_version)
{
    const char *at = strchr(label, '@');
    size_t len = at ? (size_t)(at - label) : strlen(label);

    *ret_version = '\0';
    if (len >= KV_NAME_SIZE || (at && !kv_text_fit(ret_version, KV_VERSION_SIZE, at + 1)))
        return false;
    memcpy(ret_name, label, len);
    ret_name[len] = '\0';
    for (const char *p = ret_version; *p; p++)
        if (!isalnum((unsigned char)*p))
            return false;
    return kv_keyring_is_name(ret_name) && (!at || *ret_version);
}

static enum kv_status find_name(struct search *search, const char *name, struct kv_error *err)
{
    KV_AUTO_LOOK struct kv_look look = { 0 };
    enum kv_status status =
        kv_keyring_look(search->keyring, name, search->query->force, search->task, &look, err);

    if (status == KV_NOT_FOUND)
        return KV_OK;
    KV_TRY(status);
    const struct kv_version *current = kv_merge_current(&look.list);
    return current ? kv_keyring_show(search->keyring, current, look.unreachable, &search->list) : KV_OK;
}

static enum kv_status find_version(struct search *search, const char *name, const char *version,
                                   struct kv_error *err)
{
    struct kv_look_version wanted = { name, version, search->keyring->parts.config->refresh_seconds,
                                      search->query->force };
    KV_AUTO_VERSION struct kv_version *row = NULL;
    bool unreachable = false;
    enum kv_status status =
        kv_keyring_look_version(search->keyring, &wanted, search->task, &row, &unreachable, err);

    if (status == KV_NOT_FOUND)
        return KV_OK;
    KV_TRY(status);
    return kv_keyring_show(search->keyring, row, unreachable, &search->list);
}

static enum kv_status find_label(struct search *search, struct kv_error *err)
{
    char name[KV_NAME_SIZE], version[KV_VERSION_SIZE];

    if (!split_label(search->query->label, name, version) || !kv_keyring_allows(search->keyring, name))
        return KV_OK;
    return *version ? find_version(search, name, version, err) : find_name(search, name, err);
}

static bool is_unknown(struct kv_keyring *keyring, struct kv_view id)
{
    bool found = false;

    pthread_mutex_lock(&keyring->lock);
    for (size_t i = 0; i < KV_KEYRING_UNKNOWN && !found; i++)
        found = keyring->unknown[i].until_ms > kv_keyring_steady(keyring) &&
                !memcmp(keyring->unknown[i].id, id.data, KV_ID_SIZE);
    pthread_mutex_unlock(&keyring->lock);
    return found;
}

static void remember_unknown(struct kv_keyring *keyring, struct kv_view id)
{
    pthread_mutex_lock(&keyring->lock);
    struct kv_unknown *unknown = &keyring->unknown[keyring->unknown_next++ % KV_KEYRING_UNKNOWN];

    memcpy(unknown->id, id.data, KV_ID_SIZE);
    unknown->until_ms = kv_keyring_steady(keyring) + keyring->parts.config->refresh_seconds * 1000;
    pthread_mutex_unlock(&keyring->lock);
}

/* Which version is current matters only where old ones are treated otherwise. */
static enum kv_status know_current(struct search *search, const struct kv_version *row)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    if (row->current || search->keyring->parts.config->old_versions == KV_OLD_ALL)
        return KV_OK;
    KV_TRY(kv_keyring_rows(search->keyring, row->name, &rows, NULL));
    if (kv_merge_current(&rows.list))
        return KV_OK;
    return kv_keyring_refresh(search->keyring, row->name, false, search->task, NULL);
}

static enum kv_status find_rows(struct search *search, const struct kv_version_list *rows,
                                struct kv_error *err)
{
    enum { ASK_MAX = 8 };

    for (size_t i = 0; i < rows->count; i++) {
        const struct kv_version *row = rows->items[i];

        if (!kv_keyring_allows(search->keyring, row->name))
            continue;
        if (i >= ASK_MAX) {
            KV_TRY(kv_keyring_show(search->keyring, row, false, &search->list));
            continue;
        }
        enum kv_status status = know_current(search, row);
        if (status == KV_NO_MEMORY)
            return status;
        KV_TRY(find_version(search, row->name, row->version, err));
    }
    return KV_OK;
}

static enum kv_status find_id(struct search *search, struct kv_error *err)
{
    struct kv_keyring *keyring = search->keyring;
    struct kv_view id = search->query->id;
    KV_CLEANUP(kv_version_list_free) struct kv_version_list known = { 0 }, found = { 0 };
    struct kv_sweep sweep = { .force = search->query->force, .id = id };

    if (id.len != KV_ID_SIZE)
        return KV_OK;
    KV_TRY(kv_keyring_rows_all(keyring, id, &known, err));
    if (known.count)
        return find_rows(search, &known, err);
    if (!sweep.force && is_unknown(keyring, id))
        return KV_OK;
    enum kv_status status = kv_keyring_sweep(keyring, &sweep, search->task, err);
    search->left_out = sweep.left_out;
    KV_TRY(kv_keyring_rows_all(keyring, id, &found, NULL));
    if (found.count)
        return find_rows(search, &found, err);
    if (status == KV_OK)
        remember_unknown(keyring, id);
    return status;
}

/* The listing, unless it is recent or another thread is at it. */
static enum kv_status sweep_when_due(struct search *search, bool have_old, bool *ret_unreachable,
                                     struct kv_error *err)
{
    struct kv_keyring *keyring = search->keyring;
    struct kv_map_visit listing = kv_keyring_visited(keyring, NULL, "");
    struct kv_sweep sweep = { .force = search->query->force,
                              .have_old = have_old && !search->query->force,
                              .whole_after = search->whole_after };
    struct kv_keyring_ask ask = { "", have_old, sweep.force };
    struct kv_error why = { 0 };
    bool go = false;

    if (!sweep.force && kv_keyring_is_fresh(keyring, &listing))
        return KV_OK;
    enum kv_status status = kv_keyring_enter(keyring, &ask, search->task, &go, err);
    *ret_unreachable = kv_keyring_is_out_of_reach(status);
    if (!go)
        return status;
    status = kv_keyring_sweep(keyring, &sweep, search->task, &why);
    kv_keyring_leave(keyring, "", status, &why);
    search->left_out = sweep.left_out;
    if (status == KV_OK)
        return KV_OK;
    *ret_unreachable = kv_keyring_is_out_of_reach(status) && !sweep.heard;
    kv_log_once(keyring->parts.log, KV_LOG_WARN, "sweep",
                "the list of the keys of vault '%s' is not complete: %s", keyring->parts.config->name,
                *why.text ? why.text : kv_status_text(status));
    if (err)
        *err = why;
    return status;
}

static enum kv_status find_all(struct search *search, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list before = { 0 }, rows = { 0 };
    struct kv_map_query any = { .vault = search->keyring->parts.config->name, .limit = 1 };
    bool unreachable = false;

    KV_TRY(kv_map_find(search->keyring->parts.map, &any, &before, err));
    enum kv_status status = sweep_when_due(search, before.count > 0, &unreachable, err);
    if (kv_keyring_is_of_this_host(status))
        return status;
    KV_TRY(kv_keyring_rows_all(search->keyring, (struct kv_view){ 0 }, &rows, status == KV_OK ? err : NULL));
    if (status != KV_OK && !rows.count)
        return status;
    for (size_t i = 0; i < rows.count; i++)
        KV_TRY(kv_keyring_show(search->keyring, rows.items[i], unreachable, &search->list));
    return KV_OK;
}

enum kv_status kv_keyring_reconcile(struct kv_keyring *keyring, int64_t whole_after,
                                    const struct kv_task *task, size_t *ret_left_out, struct kv_error *err)
{
    const struct kv_keyring_query everything = { .force = true };
    struct search search = {
        .keyring = keyring, .query = &everything, .task = task, .whole_after = whole_after
    };
    bool unreachable = false;

    kv_ledger_tick(keyring->ledger);
    enum kv_status status = sweep_when_due(&search, false, &unreachable, err);
    *ret_left_out = search.left_out;
    return status;
}

/* Label and id together: what the label found, if it is that. */
static void keep_only(struct kv_version_list *list, struct kv_view id)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        struct kv_version *version = list->items[i];

        if (kv_view_equal(id, (struct kv_view){ version->id, KV_ID_SIZE }))
            list->items[kept++] = version;
        else
            kv_version_free(version);
    }
    list->count = kept;
}

enum kv_status kv_keyring_find(struct kv_keyring *keyring, const struct kv_keyring_query *query,
                               const struct kv_task *task, struct kv_version_list *ret, size_t *ret_left_out,
                               struct kv_error *err)
{
    struct search search = { .keyring = keyring, .query = query, .task = task };
    enum kv_status status;

    kv_ledger_tick(keyring->ledger);
    if (query->label)
        status = find_label(&search, err);
    else if (query->id.len)
        status = find_id(&search, err);
    else
        status = find_all(&search, err);
    if (status != KV_OK) {
        kv_version_list_free(&search.list);
        return status;
    }
    if (query->label && query->id.len)
        keep_only(&search.list, query->id);
    *ret = search.list;
    if (ret_left_out)
        *ret_left_out = search.left_out;
    return KV_OK;
}
