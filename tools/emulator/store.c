#include <string.h>
#include <strings.h>
#include "store.h"

static const char vault_domain[] = "vault.localhost", hsm_domain[] = "managedhsm.localhost";

struct em_shared *em_shared_new(struct em_material *material)
{
    struct em_shared *shared = em_alloc(sizeof(*shared));
    shared->owners = 1;
    shared->material = material;
    return shared;
}

struct em_shared *em_shared_ref(struct em_shared *shared)
{
    shared->owners++;
    return shared;
}

void em_shared_free(struct em_shared *shared)
{
    if (!shared || --shared->owners)
        return;
    em_material_free(shared->material);
    free(shared);
}

void em_store_init(struct em_store *store)
{
    pthread_rwlock_init(&store->lock, NULL);
    store->sequence = 1;
}

static void vault_free(struct em_vault *vault)
{
    for (size_t i = 0; i < vault->count; i++)
        em_key_free(vault->keys[i]);
    free(vault->keys);
    free(vault->name);
    free(vault->host);
    free(vault->resource);
    for (size_t i = 0; i < EM_BUCKETS; i++)
        free(vault->throttle.buckets[i].taken);
    pthread_mutex_destroy(&vault->throttle.lock);
    free(vault);
}

void em_store_free(struct em_store *store)
{
    for (size_t i = 0; i < store->count; i++)
        vault_free(store->vaults[i]);
    free(store->directory);
    pthread_rwlock_destroy(&store->lock);
    *store = (struct em_store){ 0 };
}

bool em_store_add_vault(struct em_store *store, const char *spec, bool hsm, char ret_why[256])
{
    size_t length = strcspn(spec, ":");
    const char *tier = spec[length] ? spec + length + 1 : "standard";
    bool premium = strcmp(tier, "premium") == 0;
    if (!length ||
        strspn(spec, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != length ||
        (!premium && strcmp(tier, "standard") != 0) || store->count == EM_COUNT(store->vaults)) {
        snprintf(ret_why, 256, "'%.100s' is not NAME[:standard|premium] of a vault", spec);
        return false;
    }
    struct em_vault *vault = em_alloc(sizeof(*vault));
    char *name = em_format("%.*s", (int)length, spec);
    vault->name = name;
    vault->host = em_lower(strchr(name, '.') ? em_copy(name)
                                             : em_format("%s.%s", name, hsm ? hsm_domain : vault_domain));
    vault->resource = em_format("https://%s", strchr(vault->host, '.') + 1);
    vault->hsm = hsm;
    vault->premium = premium;
    pthread_mutex_init(&vault->throttle.lock, NULL);
    if (em_store_vault_by_host(store, vault->host) || em_store_vault_by_name(store, name)) {
        snprintf(ret_why, 256, "vault '%.100s' is given twice", name);
        vault_free(vault);
        return false;
    }
    store->vaults[store->count++] = vault;
    return true;
}

struct em_vault *em_store_vault_by_host(struct em_store *store, const char *host)
{
    for (size_t i = 0; i < store->count; i++) {
        if (em_same(store->vaults[i]->host, host))
            return store->vaults[i];
    }
    return NULL;
}

struct em_vault *em_store_vault_by_name(struct em_store *store, const char *name)
{
    for (size_t i = 0; i < store->count; i++) {
        if (em_same(store->vaults[i]->name, name))
            return store->vaults[i];
    }
    return NULL;
}

enum em_state em_key_state(const struct em_key *key, int64_t now_ms)
{
    if (!key->deleted)
        return now_ms < key->settled_ms ? EM_RECOVERING : EM_LIVE;
    if (key->gone_ms)
        return now_ms < key->gone_ms ? EM_PURGING : EM_GONE;
    if (now_ms >= key->purge_at * 1000)
        return EM_GONE;
    return now_ms < key->settled_ms ? EM_DELETING : EM_DELETED;
}

size_t em_store_position(const struct em_vault *vault, const char *name, bool after)
{
    size_t low = 0, high = vault->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcasecmp(vault->keys[middle]->name, name);
        if (order < 0 || (after && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct em_key *find_any(const struct em_vault *vault, const char *name)
{
    size_t at = em_store_position(vault, name, false);
    return at < vault->count && em_same(vault->keys[at]->name, name) ? vault->keys[at] : NULL;
}

struct em_key *em_store_find(const struct em_vault *vault, const char *name, int64_t now_ms)
{
    struct em_key *key = find_any(vault, name);
    return key && em_key_state(key, now_ms) != EM_GONE ? key : NULL;
}

struct em_key *em_store_live(const struct em_vault *vault, const char *name, int64_t now_ms)
{
    struct em_key *key = find_any(vault, name);
    return key && em_key_state(key, now_ms) == EM_LIVE ? key : NULL;
}

static size_t version_position(const struct em_key *key, const char *id)
{
    size_t low = 0, high = key->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcasecmp(key->versions[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct em_version *em_key_version(const struct em_key *key, const char *id)
{
    if (!id || !*id)
        return key->latest;
    size_t at = version_position(key, id);
    return at < key->count && em_same(key->versions[at]->id, id) ? key->versions[at] : NULL;
}

struct em_key *em_store_new_key(struct em_vault *vault, const char *name)
{
    struct em_key *key = em_alloc(sizeof(*key));
    key->name = em_copy(name);
    em_store_put_key(vault, key);
    return key;
}

void em_store_put_key(struct em_vault *vault, struct em_key *key)
{
    struct em_key *old = find_any(vault, key->name);
    if (old)
        em_store_drop_key(vault, old);
    size_t at = em_store_position(vault, key->name, false);
    vault->keys = em_grow(vault->keys, vault->count, &vault->room, sizeof(*vault->keys));
    memmove(vault->keys + at + 1, vault->keys + at, (vault->count - at) * sizeof(*vault->keys));
    vault->keys[at] = key;
    vault->count++;
}

void em_store_drop_key(struct em_vault *vault, struct em_key *key)
{
    size_t at = em_store_position(vault, key->name, false);
    vault->count--;
    memmove(vault->keys + at, vault->keys + at + 1, (vault->count - at) * sizeof(*vault->keys));
    em_key_free(key);
}

static bool is_newer(const struct em_version *a, const struct em_version *b)
{
    return !b || a->created > b->created || (a->created == b->created && a->sequence > b->sequence);
}

void em_key_find_latest(struct em_key *key)
{
    key->latest = NULL;
    for (size_t i = 0; i < key->count; i++) {
        if (is_newer(key->versions[i], key->latest))
            key->latest = key->versions[i];
    }
}

void em_key_add(struct em_key *key, struct em_version *version)
{
    size_t at = version_position(key, version->id);
    key->versions = em_grow(key->versions, key->count, &key->room, sizeof(*key->versions));
    memmove(key->versions + at + 1, key->versions + at, (key->count - at) * sizeof(*key->versions));
    key->versions[at] = version;
    key->count++;
    if (is_newer(version, key->latest))
        key->latest = version;
}

struct em_version *em_version_new(struct em_store *store, int64_t now)
{
    struct em_version *version = em_alloc(sizeof(*version));
    em_hex_random(version->id, EM_VERSION_DIGITS);
    version->enabled = true;
    version->nbf = version->exp = EM_NEVER;
    version->created = version->updated = now;
    version->sequence = store->sequence++;
    return version;
}

void em_version_free(struct em_version *version)
{
    if (!version)
        return;
    em_shared_free(version->shared);
    json_decref(version->key_ops);
    json_decref(version->tags);
    json_decref(version->policy);
    em_blob_free(&version->cer);
    free(version);
}

void em_key_free(struct em_key *key)
{
    if (!key)
        return;
    for (size_t i = 0; i < key->count; i++)
        em_version_free(key->versions[i]);
    free(key->versions);
    json_decref(key->rotation.actions);
    json_decref(key->certificate);
    free(key->rotation.expiry);
    free(key->name);
    free(key);
}
