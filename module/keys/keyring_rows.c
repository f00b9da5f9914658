#include "keyring_private.h"

#include <stdio.h>
#include <string.h>

void kv_rows_free(struct kv_rows *rows)
{
    kv_version_list_free(&rows->list);
}

static enum kv_status add_all(struct kv_version_list *to, const struct kv_version_list *from)
{
    for (size_t i = 0; i < from->count; i++)
        KV_TRY(kv_version_list_add(to, from->items[i]));
    return KV_OK;
}

/* The rows that are held for a name, if any; the map has none or older ones then. */
static enum kv_status held_rows(struct kv_keyring *keyring, const char *name, struct kv_rows *ret)
{
    enum kv_status status = KV_OK;

    pthread_mutex_lock(&keyring->lock);
    struct kv_slot *slot = kv_keyring_slot(keyring, name);
    if (slot && slot->is_held) {
        status = add_all(&ret->list, &slot->held);
        ret->visit = slot->held_visit;
    }
    pthread_mutex_unlock(&keyring->lock);
    return status;
}

enum kv_status kv_keyring_rows(struct kv_keyring *keyring, const char *name, struct kv_rows *ret,
                               struct kv_error *err)
{
    struct kv_map_query query = { .vault = keyring->parts.config->name, .name = name };
    KV_AUTO_ROWS struct kv_rows rows = { 0 }, held = { 0 };

    KV_TRY(held_rows(keyring, name, &held));
    KV_TRY(kv_map_find(keyring->parts.map, &query, &rows.list, err));
    rows.visit = kv_keyring_visited(keyring, name, "");
    struct kv_rows *newer = held.list.count || held.visit.at > rows.visit.at ? &held : &rows;
    *ret = *newer;
    newer->list = (struct kv_version_list){ 0 };
    return KV_OK;
}

static struct kv_version *same_version(const struct kv_version_list *list, const struct kv_version *version)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->items[i]->name, version->name) &&
            kv_text_equal_case(list->items[i]->version, version->version))
            return list->items[i];
    return NULL;
}

/* Copies out what is held, of one CKA_ID or of all. */
static enum kv_status collect_held(struct kv_keyring *keyring, struct kv_view id, struct kv_version_list *ret)
{
    enum kv_status status = KV_OK;

    pthread_mutex_lock(&keyring->lock);
    for (const struct kv_slot *slot = keyring->first_slot; slot; slot = slot->next) {
        for (size_t i = 0; slot->is_held && i < slot->held.count && status == KV_OK; i++) {
            struct kv_version *version = slot->held.items[i];

            if (!id.len || kv_view_equal(id, (struct kv_view){ version->id, KV_ID_SIZE }))
                status = kv_version_list_add(ret, version);
        }
    }
    pthread_mutex_unlock(&keyring->lock);
    return status;
}

/* The order of the map: name, newest first, version. */
static int compare_rows(const void *a, const void *b)
{
    const struct kv_version *x = *(struct kv_version *const *)a, *y = *(struct kv_version *const *)b;
    int order = strcmp(x->name, y->name);

    if (order)
        return order;
    if (x->created != y->created)
        return x->created > y->created ? -1 : 1;
    return strcmp(x->version, y->version);
}

/* Held rows take the place of the map's; `list` is small or `held` empty in all but the rarest cases. */
static enum kv_status overlay(struct kv_version_list *list, const struct kv_version_list *held)
{
    for (size_t i = 0; i < held->count; i++) {
        struct kv_version *old = same_version(list, held->items[i]);
        size_t at = 0;

        if (!old) {
            KV_TRY(kv_version_list_add(list, held->items[i]));
            continue;
        }
        while (list->items[at] != old)
            at++;
        list->items[at] = kv_version_ref(held->items[i]);
        kv_version_free(old);
    }
    if (held->count)
        qsort(list->items, list->count, sizeof(*list->items), compare_rows);
    return KV_OK;
}

enum kv_status kv_keyring_rows_all(struct kv_keyring *keyring, struct kv_view id, struct kv_version_list *ret,
                                   struct kv_error *err)
{
    struct kv_map_query query = { .vault = keyring->parts.config->name, .id = id };
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 }, held = { 0 };

    KV_TRY(kv_map_find(keyring->parts.map, &query, &list, err));
    KV_TRY(collect_held(keyring, id, &held));
    KV_TRY(overlay(&list, &held));
    *ret = list;
    list = (struct kv_version_list){ 0 };
    return KV_OK;
}

/* All of it, or nothing. */
static enum kv_status hold(struct kv_keyring *keyring, const char *name, const struct kv_merge_result *merged,
                           const struct kv_map_visit *visit)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };

    KV_TRY(add_all(&list, &merged->all));
    pthread_mutex_lock(&keyring->lock);
    struct kv_slot *slot = kv_keyring_slot(keyring, name);
    if (slot) {
        kv_version_list_free(&slot->held);
        slot->held = list;
        slot->is_held = true;
        list = (struct kv_version_list){ 0 };
        if (visit)
            slot->held_visit = *visit;
    }
    pthread_mutex_unlock(&keyring->lock);
    return slot ? KV_OK : KV_NO_MEMORY;
}

static void let_go(struct kv_keyring *keyring, const char *name)
{
    pthread_mutex_lock(&keyring->lock);
    struct kv_slot *slot = kv_keyring_slot(keyring, name);

    if (slot && slot->is_held) {
        kv_version_list_free(&slot->held);
        slot->held = (struct kv_version_list){ 0 };
        slot->held_visit = (struct kv_map_visit){ 0 };
        slot->is_held = false;
    }
    pthread_mutex_unlock(&keyring->lock);
}

enum kv_status kv_keyring_keep(struct kv_keyring *keyring, const char *name,
                               const struct kv_merge_result *merged, const struct kv_map_visit *visit)
{
    const char *vault = keyring->parts.config->name;
    struct kv_error err = { 0 };
    enum kv_status status = KV_OK;

    if (merged->changed.count)
        status = kv_map_store(keyring->parts.map, merged->changed.items, merged->changed.count, &err);
    if (status == KV_OK && visit)
        status = kv_map_visit(keyring->parts.map, vault, name, visit, &err);
    if (status == KV_OK) {
        let_go(keyring, name);
        return KV_OK;
    }
    KV_TRY(hold(keyring, name, merged, visit));
    kv_log_once(keyring->parts.log, KV_LOG_WARN, "map-store",
                "vault '%s': what was learnt is kept in memory only: %s", vault,
                *err.text ? err.text : kv_status_text(status));
    return KV_OK;
}

bool kv_keyring_is_fresh(const struct kv_keyring *keyring, const struct kv_map_visit *visit)
{
    int64_t age = kv_keyring_now(keyring) - visit->at;

    if (!visit->at || (visit->status != KV_OK && visit->status != KV_NOT_FOUND && visit->status != KV_DENIED))
        return false;
    return age < keyring->parts.config->refresh_seconds && age > -KV_KEYRING_SKEW;
}

static bool holds_any(struct kv_keyring *keyring)
{
    bool found = false;

    pthread_mutex_lock(&keyring->lock);
    for (const struct kv_slot *slot = keyring->first_slot; slot && !found; slot = slot->next)
        found = slot->is_held;
    pthread_mutex_unlock(&keyring->lock);
    return found;
}

/* That the whole vault was listed stands in the map only when all of it stands there: another process would miss what lives in this one alone. */
void kv_keyring_visit(struct kv_keyring *keyring, const char *name, const char *part, enum kv_status status)
{
    struct kv_map_visit visit = { kv_keyring_now(keyring), status };
    enum kv_status stored = KV_READ_ONLY;
    char key[KV_KEYRING_KEY];

    snprintf(key, sizeof(key), "%s%s", name ? name : "", part);
    if (name || !holds_any(keyring))
        stored =
            kv_map_visit(keyring->parts.map, keyring->parts.config->name, name ? key : NULL, &visit, NULL);

    pthread_mutex_lock(&keyring->lock);
    struct kv_slot *slot = stored == KV_OK ? NULL : kv_keyring_slot(keyring, key);
    if (slot)
        slot->held_visit = visit;
    pthread_mutex_unlock(&keyring->lock);
}

struct kv_map_visit kv_keyring_visited(struct kv_keyring *keyring, const char *name, const char *part)
{
    struct kv_map_visit visit = { 0 }, held = { 0 };
    char key[KV_KEYRING_KEY];

    snprintf(key, sizeof(key), "%s%s", name ? name : "", part);
    if (kv_map_visited(keyring->parts.map, keyring->parts.config->name, name ? key : NULL, &visit, NULL) !=
        KV_OK)
        visit = (struct kv_map_visit){ 0 };
    pthread_mutex_lock(&keyring->lock);
    struct kv_slot *slot = kv_keyring_slot(keyring, key);
    if (slot)
        held = slot->held_visit;
    pthread_mutex_unlock(&keyring->lock);
    return held.at > visit.at ? held : visit;
}
