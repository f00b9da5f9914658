#include "keyring_private.h"

#include <string.h>

bool kv_keyring_is_vault_wide(enum kv_status status)
{
    static const enum kv_status wide[] = { KV_UNREACHABLE, KV_TLS,        KV_TIMED_OUT, KV_THROTTLED,
                                           KV_SERVER,      KV_CREDENTIAL, KV_BLOCKED,   KV_NO_MEMORY,
                                           KV_INTERNAL,    KV_CANCELLED };

    for (size_t i = 0; i < sizeof(wide) / sizeof(*wide); i++)
        if (wide[i] == status)
            return true;
    return false;
}

bool kv_keyring_is_of_this_host(enum kv_status status)
{
    return status == KV_NO_MEMORY || status == KV_INTERNAL || status == KV_IO || status == KV_MAP_CORRUPT;
}

void kv_keyring_teach(struct kv_keyring *keyring)
{
    const struct kv_vault_config *config = keyring->parts.config;
    struct kv_map_challenge known = { 0 };
    struct kv_challenge challenge = { 0 };

    if (kv_map_challenge(keyring->parts.map, config->host, &known, NULL) != KV_OK || !*known.scope ||
        !kv_text_fit(challenge.authority, sizeof(challenge.authority), known.authority) ||
        !kv_text_fit(challenge.tenant, sizeof(challenge.tenant), known.tenant) ||
        !kv_text_fit(challenge.scope, sizeof(challenge.scope), known.scope))
        return;
    /* One that the configuration no longer allows is simply asked for again. */
    if (kv_vault_teach(keyring->parts.vault, &challenge, NULL) == KV_OK)
        keyring->taught = challenge;
}

void kv_keyring_learn(struct kv_keyring *keyring)
{
    struct kv_challenge now;
    struct kv_map_challenge learnt = { 0 };

    if (!kv_vault_challenge(keyring->parts.vault, &now))
        return;
    pthread_mutex_lock(&keyring->lock);
    bool is_known = kv_challenge_same(&now, &keyring->taught);
    keyring->taught = now;
    pthread_mutex_unlock(&keyring->lock);
    if (is_known || !kv_text_fit(learnt.host, sizeof(learnt.host), keyring->parts.config->host) ||
        !kv_text_fit(learnt.authority, sizeof(learnt.authority), now.authority) ||
        !kv_text_fit(learnt.tenant, sizeof(learnt.tenant), now.tenant) ||
        !kv_text_fit(learnt.scope, sizeof(learnt.scope), now.scope))
        return;
    enum kv_status status = kv_map_learn(keyring->parts.map, &learnt, NULL);
    if (status != KV_OK)
        kv_log_once(keyring->parts.log, KV_LOG_DEBUG, "map-learn",
                    "the challenge of '%s' is not remembered: %s", learnt.host, kv_status_text(status));
}

enum kv_status kv_keyring_hear(struct kv_keyring *keyring, struct kv_merge_input *input, bool visit,
                               struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };
    KV_CLEANUP(kv_merge_result_free) struct kv_merge_result merged = { 0 };
    struct kv_map_visit visited = { kv_keyring_now(keyring), input->status };

    KV_TRY(kv_keyring_rows(keyring, input->name, &rows, err));
    input->vault = keyring->parts.config->name;
    input->url = keyring->parts.config->url;
    input->known = &rows.list;
    input->keeps_current = keyring->parts.config->adopt == KV_ADOPT_MANUAL;
    input->now = visited.at;
    KV_TRY(kv_merge(input, &merged, err));
    /* A name that was never seen leaves no trace: it may be created any moment. */
    return kv_keyring_keep(keyring, input->name, &merged, visit && merged.all.count ? &visited : NULL);
}

/* With `adopt = manual` the name may mean another version than the newest, of which a GET on the name says nothing: that one is asked for, too. */
static enum kv_status ask_promoted(struct kv_keyring *keyring, const struct kv_vault_key *newest,
                                   const struct kv_task *task, struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    if (keyring->parts.config->adopt != KV_ADOPT_MANUAL)
        return KV_OK;
    KV_TRY(kv_keyring_rows(keyring, newest->name, &rows, err));
    const struct kv_version *current = kv_merge_current(&rows.list);
    if (!current || kv_text_equal_case(current->version, newest->version))
        return KV_OK;
    struct kv_error why = { 0 };
    enum kv_status status = kv_keyring_ask_version(keyring, newest->name, current->version, task, &why);
    if (status == KV_OK || status == KV_NOT_FOUND) /* which the map has noted */
        return KV_OK;
    if (err)
        *err = why;
    return status;
}

enum kv_status kv_keyring_ask_current(struct kv_keyring *keyring, const char *name,
                                      const struct kv_task *task, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key item = { 0 };
    enum kv_status status = kv_vault_get_key(keyring->parts.vault, name, NULL, task, &item, err);
    struct kv_merge_input input = { .name = name, .heard = KV_HEARD_CURRENT, .status = status };

    kv_keyring_learn(keyring);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    input.items = &item;
    input.count = status == KV_OK ? 1 : 0;
    enum kv_status heard = kv_keyring_hear(keyring, &input, true, status == KV_OK ? err : NULL);
    if (status != KV_OK)
        return status;
    return heard == KV_OK ? ask_promoted(keyring, &item, task, err) : heard;
}

enum kv_status kv_keyring_ask_version(struct kv_keyring *keyring, const char *name, const char *version,
                                      const struct kv_task *task, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key item = { 0 };
    enum kv_status status = kv_vault_get_key(keyring->parts.vault, name, version, task, &item, err);
    struct kv_merge_input input = {
        .name = name, .heard = KV_HEARD_VERSION, .status = status, .version = version
    };

    kv_keyring_learn(keyring);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    input.items = &item;
    input.count = status == KV_OK ? 1 : 0;
    enum kv_status heard = kv_keyring_hear(keyring, &input, false, status == KV_OK ? err : NULL);
    return status == KV_OK ? heard : status;
}

/* --- the versions of one key --- */
enum { PAGES_MAX = 4096, ITEMS_MAX = 100000 };

struct listing {
    struct kv_vault_key *items;
    size_t count;
    bool whole; /* every page came and every item could be read */
};

static void listing_free(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        kv_vault_key_free(&listing->items[i]);
    free(listing->items);
}

/* Moves the items of a page over. */
static enum kv_status add_page(struct listing *listing, struct kv_vault_page *page)
{
    if (!page->count)
        return KV_OK;
    if (listing->count + page->count > ITEMS_MAX)
        return KV_PROTOCOL;
    struct kv_vault_key *items =
        reallocarray(listing->items, listing->count + page->count, sizeof(*listing->items));

    if (!items)
        return KV_NO_MEMORY;
    memcpy(items + listing->count, page->items, page->count * sizeof(*items));
    memset(page->items, 0, page->count * sizeof(*items));
    listing->items = items;
    listing->count += page->count;
    return KV_OK;
}

static enum kv_status list_versions(struct kv_keyring *keyring, const char *name, const struct kv_task *task,
                                    struct listing *ret, struct kv_error *err)
{
    KV_AUTO_TEXT char *next = NULL;

    ret->whole = true;
    for (unsigned pages = 0; pages < PAGES_MAX; pages++) {
        KV_CLEANUP(kv_vault_page_free) struct kv_vault_page page = { 0 };
        struct kv_vault_list list = { name, next };
        enum kv_status status = kv_vault_list_page(keyring->parts.vault, &list, task, &page, err);

        kv_keyring_learn(keyring);
        KV_TRY(status);
        KV_TRY(add_page(ret, &page));
        ret->whole = ret->whole && !page.broken;
        kv_text_free(next);
        next = kv_take(page.next);
        if (!next)
            return KV_OK;
    }
    return kv_fail(err, KV_PROTOCOL, "vault '%s': the list of versions of '%s' does not end",
                   keyring->parts.config->name, name);
}

static int newest_first(const void *a, const void *b)
{
    const struct kv_vault_key *x = a, *y = b;

    if (x->created != y->created)
        return x->created > y->created ? -1 : 1;
    return strcmp(x->version, y->version);
}

/* A list does not show public keys: those of versions that nobody has seen yet are fetched one by one. */
static enum kv_status fetch_unknown(struct kv_keyring *keyring, const char *name, struct listing *listing,
                                    const struct kv_task *task, struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    KV_TRY(kv_keyring_rows(keyring, name, &rows, err));
    if (listing->count)
        qsort(listing->items, listing->count, sizeof(*listing->items), newest_first);
    for (size_t i = 0; i < listing->count; i++) {
        struct kv_vault_key *item = &listing->items[i], whole = { 0 };

        if (kv_merge_is_whole(item) || kv_merge_find(&rows.list, item->version))
            continue;
        struct kv_error why = { 0 };
        enum kv_status status =
            kv_vault_get_key(keyring->parts.vault, name, item->version, task, &whole, &why);
        if (status == KV_OK) {
            kv_vault_key_free(item);
            *item = whole;
            continue;
        }
        listing->whole = false;
        if (kv_keyring_is_vault_wide(status)) {
            if (err)
                *err = why;
            return status;
        }
        kv_keyring_tell(keyring, name, status, &why);
    }
    return KV_OK;
}

/* From a list with gaps nothing follows for those it lacks. */
static enum kv_status hear_each(struct kv_keyring *keyring, const struct kv_merge_input *all,
                                struct kv_error *err)
{
    for (size_t i = 0; i < all->count; i++) {
        struct kv_merge_input one = { .name = all->name,
                                      .heard = KV_HEARD_VERSION,
                                      .version = all->items[i].version,
                                      .items = &all->items[i],
                                      .count = 1 };

        KV_TRY(kv_keyring_hear(keyring, &one, false, err));
    }
    return KV_OK;
}

enum kv_status kv_keyring_ask_versions(struct kv_keyring *keyring, const char *name,
                                       const struct kv_task *task, struct kv_error *err)
{
    KV_CLEANUP(listing_free) struct listing listing = { 0 };

    KV_TRY(list_versions(keyring, name, task, &listing, err));
    bool complete =
        listing.whole; /* before the details: a broken item must not look like a missing version */
    enum kv_status status = fetch_unknown(keyring, name, &listing, task, err);
    struct kv_merge_input input = {
        .name = name, .heard = KV_HEARD_ALL, .items = listing.items, .count = listing.count
    };

    /* What came before the deadline is kept all the same. */
    struct kv_error *why = status == KV_OK ? err : NULL;
    KV_TRY(complete ? kv_keyring_hear(keyring, &input, false, why) : hear_each(keyring, &input, why));
    if (status == KV_OK && listing.whole)
        kv_keyring_visit(keyring, name, "/versions", KV_OK);
    return status;
}

enum kv_status kv_keyring_operate(struct kv_keyring *keyring, const struct kv_vault_op *op,
                                  const struct kv_task *task, struct kv_vault_result *ret,
                                  struct kv_error *err)
{
    int64_t from = kv_keyring_steady(keyring);
    enum kv_status status = kv_vault_key_op(keyring->parts.vault, op, task, ret, err);

    kv_failover_note(keyring, op, status, kv_keyring_steady(keyring) - from, err);
    kv_keyring_learn(keyring);
    return status;
}
