#include "keyring_private.h"
#include "keys/watch.h"

#include <string.h>
#include <strings.h>

enum { FEW_KEYS = 32, NAMES_MAX = 100000, SWEEP_PAGES_MAX = 16384 };

struct walked {
    char name[KV_NAME_SIZE]; /* first: names are compared where they stand */
    bool changed;            /* or nobody can tell that it did not */
};

/* One walk over the vault: first what every name means now, then the older versions, so that a deadline costs the least important part. */
struct walk {
    struct kv_keyring *keyring;
    struct kv_sweep *sweep;
    const struct kv_task *task;
    struct walked *names;
    size_t count, room;
    bool found;
    struct kv_error *err;
};

static bool is_exact(const char *pattern)
{
    return !strpbrk(pattern, "*?") && kv_keyring_is_name(pattern);
}

static bool are_exact(const struct kv_pair_list *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        if (!is_exact(keys->items[i]))
            return false;
    return keys->count > 0;
}

static enum kv_status add_name(struct walk *walk, const char *name)
{
    if (walk->count == NAMES_MAX)
        return KV_PROTOCOL;
    if (walk->count == walk->room) {
        size_t room = walk->room ? 2 * walk->room : 64;
        void *names = reallocarray(walk->names, room, sizeof(*walk->names));

        if (!names)
            return KV_NO_MEMORY;
        walk->names = names;
        walk->room = room;
    }
    struct walked *walked = &walk->names[walk->count++];
    walked->changed = true;
    return kv_text_fit(walked->name, sizeof(walked->name), name) ? KV_OK : KV_INTERNAL;
}

/* What came of one key. Only what would hold for the next key as well ends the walk. */
static enum kv_status note(struct walk *walk, const char *name, enum kv_status status, struct kv_error *why)
{
    if (kv_keyring_is_vault_wide(status) || kv_keyring_is_of_this_host(status)) {
        if (walk->err)
            *walk->err = *why;
        return status;
    }
    if (status == KV_OK || status == KV_NOT_FOUND) {
        walk->sweep->heard++;
        return KV_OK;
    }
    walk->sweep->left_out++;
    kv_keyring_tell(walk->keyring, name, status, why);
    return KV_OK;
}

static enum kv_status check_found(struct walk *walk)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };

    if (!walk->sweep->id.len || walk->found)
        return KV_OK;
    KV_TRY(kv_keyring_rows_all(walk->keyring, walk->sweep->id, &list, walk->err));
    walk->found = list.count > 0;
    return KV_OK;
}

static enum kv_status refresh(struct walk *walk, const char *name, bool force)
{
    struct kv_error why = { 0 };
    enum kv_status status = kv_keyring_refresh(walk->keyring, name, force, walk->task, &why);

    KV_TRY(note(walk, name, status, &why));
    return check_found(walk);
}

/* --- by a listing --- */

/* A list of keys shows when the current version was created, not which it is. If that is when the one we know was created, and we heard of it
 * well after that second had passed, it is the same, and its attributes are news enough. */
static bool is_settled(const struct kv_version *current, const struct kv_vault_key *item)
{
    return current && kv_version_is_there(current) && item->created && current->created == item->created &&
           current->seen - current->created > KV_KEYRING_SKEW;
}

/* Nor has an attribute changed since: `updated` has seconds only, as `created` has. */
static bool is_unchanged(const struct kv_version *known, int64_t updated)
{
    return updated && known->updated == updated && known->seen - updated > KV_KEYRING_SKEW;
}

/* A sweep that asks for everything passes over what has not changed, if it may. */
static bool is_passed_over(const struct walk *walk, const struct kv_version *current,
                           const struct kv_vault_key *item)
{
    if (!is_settled(current, item) || kv_keyring_is_doubted(walk->keyring, item->name))
        return false;
    return !walk->sweep->force || (walk->sweep->whole_after && is_unchanged(current, item->updated));
}

static enum kv_status take_settled(struct walk *walk, const struct kv_version *current,
                                   const struct kv_vault_key *item, struct kv_version_list *batch)
{
    const struct kv_vault_config *config = walk->keyring->parts.config;
    struct kv_version *known[] = { (struct kv_version *)current };
    struct kv_version_list one = { known, 1 };
    struct kv_vault_key heard = *item; /* its bytes stay the item's */
    struct kv_merge_input input = { .vault = config->name,
                                    .url = config->url,
                                    .name = current->name,
                                    .known = &one,
                                    .heard = KV_HEARD_CURRENT,
                                    .items = &heard,
                                    .count = 1,
                                    .keeps_current = config->adopt == KV_ADOPT_MANUAL,
                                    .now = kv_keyring_now(walk->keyring) };
    KV_CLEANUP(kv_merge_result_free) struct kv_merge_result merged = { 0 };

    (void)kv_text_fit(heard.version, sizeof(heard.version), current->version);
    walk->sweep->heard++;
    if (!kv_map_writable(walk->keyring->parts.map))
        return kv_keyring_hear(walk->keyring, &input, true, walk->err);
    KV_TRY(kv_merge(&input, &merged, walk->err));
    return merged.changed.count ? kv_version_list_add(batch, merged.changed.items[0]) : KV_OK;
}

static enum kv_status take_item(struct walk *walk, const struct kv_vault_key *item,
                                struct kv_version_list *batch)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    if (!kv_keyring_allows(walk->keyring, item->name))
        return KV_OK;
    KV_TRY(add_name(walk, item->name));
    KV_TRY(kv_keyring_rows(walk->keyring, item->name, &rows, walk->err));
    const struct kv_version *current = kv_merge_current(&rows.list);
    if (is_passed_over(walk, current, item)) {
        walk->names[walk->count - 1].changed = false;
        return take_settled(walk, current, item, batch);
    }
    return refresh(walk, item->name, true);
}

static enum kv_status take_page(struct walk *walk, const struct kv_vault_page *page)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list batch = { 0 };
    enum kv_status status = KV_OK;

    walk->sweep->left_out += page->broken;
    for (size_t i = 0; i < page->count && status == KV_OK && !walk->found; i++)
        status = take_item(walk, &page->items[i], &batch);
    /* One transaction a page; a map that cannot take it just has these rows a little older. */
    struct kv_error why = { 0 };
    if (batch.count && kv_map_store(walk->keyring->parts.map, batch.items, batch.count, &why) != KV_OK)
        kv_log_once(walk->keyring->parts.log, KV_LOG_WARN, "map-store", "%s", why.text);
    return status;
}

static enum kv_status by_listing(struct walk *walk)
{
    KV_AUTO_TEXT char *next = NULL;

    for (unsigned pages = 0; pages < SWEEP_PAGES_MAX && !walk->found; pages++) {
        KV_CLEANUP(kv_vault_page_free) struct kv_vault_page page = { 0 };
        struct kv_vault_list list = { NULL, next };
        struct kv_task task =
            kv_keyring_refresh_task(walk->keyring, walk->task, pages == 0 && walk->sweep->have_old);
        enum kv_status status =
            kv_vault_list_page(walk->keyring->parts.vault, &list, &task, &page, walk->err);

        kv_keyring_learn(walk->keyring);
        KV_TRY(status);
        KV_TRY(take_page(walk, &page));
        kv_text_free(next);
        next = kv_take(page.next);
        if (!next)
            return KV_OK;
    }
    return walk->found ? KV_OK
                       : kv_fail(walk->err, KV_PROTOCOL, "vault '%s': the list of keys does not end",
                                 walk->keyring->parts.config->name);
}

/* --- by name --- */

static enum kv_status configured_names(struct walk *walk)
{
    const struct kv_pair_list *keys = &walk->keyring->parts.config->keys;

    for (size_t i = 0; i < keys->count; i++)
        if (is_exact(keys->items[i]))
            KV_TRY(add_name(walk, keys->items[i]));
    return KV_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcasecmp(a, b);
}

static bool has_name(const struct walk *walk, const char *name)
{
    for (size_t i = 0; i < walk->count; i++)
        if (kv_text_equal_case(walk->names[i].name, name))
            return true;
    return false;
}

static enum kv_status remembered_names(struct walk *walk)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list rows = { 0 };
    const char *last = "";

    KV_TRY(kv_keyring_rows_all(walk->keyring, (struct kv_view){ 0 }, &rows, walk->err));
    for (size_t i = 0; i < rows.count; i++) {
        const char *name = rows.items[i]->name; /* the map answers in the order of names */

        if (!strcmp(name, last) || !kv_keyring_allows(walk->keyring, name) || has_name(walk, name))
            continue;
        last = name;
        KV_TRY(add_name(walk, name));
    }
    return KV_OK;
}

/* Where the map takes everything, the current rows are all that is looked at. */
static enum kv_status current_rows(struct walk *walk, struct kv_version_list *ret)
{
    const struct kv_map_query query = { .vault = walk->keyring->parts.config->name, .current_only = true };

    if (kv_map_writable(walk->keyring->parts.map))
        return kv_map_find(walk->keyring->parts.map, &query, ret, walk->err);
    return kv_keyring_rows_all(walk->keyring, (struct kv_view){ 0 }, ret, walk->err);
}

/* Keys that the map knows and a complete list leaves out: a GET of each tells whether it is deleted or only out of sight. */
static enum kv_status ask_for_absent(struct walk *walk)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list rows = { 0 };
    size_t listed = walk->count;

    if (listed)
        qsort(walk->names, listed, sizeof(*walk->names), compare_names);
    KV_TRY(current_rows(walk, &rows));
    for (size_t i = 0; i < rows.count && !walk->found; i++) {
        const struct kv_version *row = rows.items[i];

        if (!row->current || !kv_version_is_there(row) || !kv_keyring_allows(walk->keyring, row->name) ||
            (listed && bsearch(row->name, walk->names, listed, sizeof(*walk->names), compare_names)))
            continue;
        KV_TRY(refresh(walk, row->name, true));
    }
    return KV_OK;
}

/* A GET of the name, and whether it told something new. */
static enum kv_status refresh_name(struct walk *walk, struct walked *walked)
{
    KV_AUTO_ROWS struct kv_rows before = { 0 }, after = { 0 };

    KV_TRY(kv_keyring_rows(walk->keyring, walked->name, &before, walk->err));
    KV_TRY(refresh(walk, walked->name, walk->sweep->force || walk->sweep->id.len));
    KV_TRY(kv_keyring_rows(walk->keyring, walked->name, &after, walk->err));
    const struct kv_version *then = kv_merge_current(&before.list), *now = kv_merge_current(&after.list);
    walked->changed = !then || !now || !kv_version_is_there(now) || !kv_version_is_there(then) ||
                      strcmp(then->version, now->version) != 0 || !is_unchanged(then, now->updated);
    return KV_OK;
}

static enum kv_status by_name(struct walk *walk)
{
    size_t limit = walk->sweep->id.len ? KV_KEYRING_LOOK : walk->count;

    for (size_t i = 0; i < walk->count && i < limit && !walk->found; i++)
        KV_TRY(refresh_name(walk, &walk->names[i]));
    return KV_OK;
}

/* What every name means now. *ret_how: KV_OK, or KV_DENIED when the vault does not let us list. */
static enum kv_status walk_names(struct walk *walk, enum kv_status *ret_how)
{
    if (are_exact(&walk->keyring->parts.config->keys)) {
        *ret_how = KV_OK;
        KV_TRY(configured_names(walk));
        return by_name(walk);
    }
    *ret_how = by_listing(walk);
    if (*ret_how == KV_OK)
        return ask_for_absent(walk);
    if (*ret_how != KV_DENIED)
        return *ret_how;
    kv_log_once(walk->keyring->parts.log, KV_LOG_INFO, "no-list",
                "vault '%s' does not let us list its keys: going by `keys =` and by the version map",
                walk->keyring->parts.config->name);
    walk->count = 0;
    KV_TRY(configured_names(walk));
    KV_TRY(remembered_names(walk));
    return by_name(walk);
}

/* --- older versions --- */

/* An old version may change without a trace in what the vault says of the key. Those that something needs are looked at each time, others now and then. */
static bool is_due(const struct walk *walk, const struct walked *walked, const struct kv_map_visit *listed)
{
    const struct kv_keyring *keyring = walk->keyring;
    bool needed = true;

    if (!walk->sweep->whole_after || walked->changed || !listed->at || listed->status != KV_OK ||
        kv_keyring_now(keyring) - listed->at >= walk->sweep->whole_after ||
        listed->at > kv_keyring_now(keyring))
        return true;
    return kv_map_needs_old(keyring->parts.map, keyring->parts.config->name, walked->name, &needed, NULL) ||
           needed;
}

static bool needs_versions(const struct walk *walk, const struct walked *walked)
{
    const char *name = walked->name;
    struct kv_map_visit listed = kv_keyring_visited(walk->keyring, name, "/versions");
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    if (walk->sweep->force)
        return is_due(walk, walked, &listed);
    if (kv_keyring_rows(walk->keyring, name, &rows, NULL) != KV_OK || !kv_merge_current(&rows.list))
        return false;
    if (!listed.at)
        return true;
    if (listed.status == KV_DENIED || walk->count > FEW_KEYS) {
        bool is_old = listed.status == KV_OK;
        return is_old && kv_merge_current(&rows.list)->created > listed.at - KV_KEYRING_SKEW;
    }
    return walk->sweep->id.len || !kv_keyring_is_fresh(walk->keyring, &listed);
}

static enum kv_status walk_versions(struct walk *walk)
{
    bool wanted = walk->keyring->parts.config->old_versions != KV_OLD_NONE;

    for (size_t i = 0; i < walk->count && wanted && !walk->found; i++) {
        struct kv_error why = { 0 };
        const char *name = walk->names[i].name;

        if (!needs_versions(walk, &walk->names[i]))
            continue;
        enum kv_status status = kv_keyring_ask_versions(walk->keyring, name, walk->task, &why);
        if (status == KV_DENIED) { /* the current one is known: that is what the permissions are for */
            kv_keyring_visit(walk->keyring, name, "/versions", status);
            continue;
        }
        KV_TRY(note(walk, name, status, &why));
        KV_TRY(check_found(walk));
    }
    return KV_OK;
}

enum kv_status kv_keyring_sweep(struct kv_keyring *keyring, struct kv_sweep *sweep,
                                const struct kv_task *task, struct kv_error *err)
{
    struct walk walk = { .keyring = keyring, .sweep = sweep, .task = task, .err = err };
    enum kv_status how = KV_OK;
    enum kv_status status = walk_names(&walk, &how);

    if (status == KV_OK && !walk.found)
        status = walk_versions(&walk);
    if (status == KV_OK && !walk.found)
        kv_keyring_visit(keyring, NULL, "", how);
    free(walk.names);
    return status;
}
