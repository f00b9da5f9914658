#include "token_entry.h"

#include <string.h>
#include "base/locked.h"

/* Tokens that nobody is using: a vault may name one tenant after another. */
enum { IDLE_MAX = 64 };

void kv_kept_token_free(struct kv_kept_token *kept)
{
    if (!kept)
        return;
    kv_access_token_free(&kept->token);
    kv_wipe(kept, sizeof *kept);
}

void kv_token_entry_drop(struct kv_token_entry *entry)
{
    kv_locked_free(entry->kept.token.bearer);
    entry->kept.token.bearer = NULL;
    kv_kept_token_free(&entry->kept);
}

enum kv_status kv_token_entry_keep(struct kv_token_entry *entry, struct kv_kept_token *kept)
{
    size_t len = strlen(kept->token.bearer);
    char *bearer = kv_locked_alloc(len + 1);
    if (bearer) {
        memcpy(bearer, kept->token.bearer, len);
        kv_token_entry_drop(entry);
        entry->kept = *kept;
        entry->kept.token.bearer = bearer;
    }
    kv_kept_token_free(kept);
    return bearer ? KV_OK : KV_NO_MEMORY;
}

void kv_token_entry_free(struct kv_token_entry *entry)
{
    kv_token_entry_drop(entry);
    kv_text_free(entry->identity);
    free(entry);
}

bool kv_token_entry_is(const struct kv_token_entry *entry, const struct kv_token_key *key)
{
    return !entry->forgotten && strcmp(entry->asked.authority, key->authority) == 0 &&
           strcmp(entry->asked.tenant, key->tenant) == 0 && strcmp(entry->asked.scope, key->scope) == 0 &&
           strcmp(entry->identity, key->identity) == 0;
}

static struct kv_token_entry **place_of(struct kv_token_cache *cache, const struct kv_token_entry *entry)
{
    struct kv_token_entry **place = &cache->entries;
    while (*place != entry)
        place = &(*place)->next;
    return place;
}

void kv_token_entry_withdraw(struct kv_token_cache *cache, struct kv_token_entry *entry)
{
    *place_of(cache, entry) = entry->next;
    kv_token_entry_free(entry);
}

/* Those that nobody has used for longest. */
static void trim(struct kv_token_cache *cache)
{
    struct kv_token_entry *last = NULL;
    size_t idle = 0;
    for (struct kv_token_entry *entry = cache->entries; entry; entry = entry->next) {
        if (!entry->users) {
            idle++;
            last = entry;
        }
    }
    if (idle > IDLE_MAX)
        kv_token_entry_withdraw(cache, last);
}

static struct kv_token_entry *entry_new(const struct kv_token_cache *cache, const struct kv_token_wish *wish)
{
    const struct kv_token_key *key = &wish->key;
    struct kv_token_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->identity = kv_text_copy(key->identity);
    bool fits = entry->identity &&
                kv_text_fit(entry->asked.authority, sizeof entry->asked.authority, key->authority) &&
                kv_text_fit(entry->asked.tenant, sizeof entry->asked.tenant, key->tenant) &&
                kv_text_fit(entry->asked.scope, sizeof entry->asked.scope, key->scope);
    if (fits &&
        (!wish->shared || kv_token_keyring_name(key, cache->parts.surroundings, entry->name) == KV_OK))
        return entry;
    kv_token_entry_free(entry);
    return NULL;
}

struct kv_token_entry *kv_token_entry_take(struct kv_token_cache *cache, const struct kv_token_wish *wish)
{
    struct kv_token_entry *entry = cache->entries;
    while (entry && !kv_token_entry_is(entry, &wish->key))
        entry = entry->next;
    if (entry)
        *place_of(cache, entry) = entry->next;
    else
        entry = entry_new(cache, wish);
    if (!entry)
        return NULL;
    entry->next = cache->entries;
    cache->entries = entry;
    entry->users++;
    return entry;
}

void kv_token_entry_leave(struct kv_token_cache *cache, struct kv_token_entry *entry)
{
    if (--entry->users)
        return;
    if (entry->forgotten)
        kv_token_entry_withdraw(cache, entry);
    else
        trim(cache);
}
