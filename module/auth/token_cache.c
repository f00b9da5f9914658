#include "token_entry.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Contract §14.7. */
enum { MARGIN_S = 300, LONG_LIFE_S = 7200, SOFT_PAUSE_S = 30, SOFT_TASK_MS = 10000 };

enum kv_status kv_token_cache_open(const struct kv_token_cache_parts *parts, struct kv_token_cache **ret,
                                   struct kv_error *err)
{
    struct kv_token_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return kv_fail(err, KV_NO_MEMORY, "no memory for tokens");
    cache->parts = *parts;
    cache->keyring = (struct kv_token_keyring){ .serial = kv_token_keyring_user, .log = parts->log };
    pthread_mutex_init(&cache->lock, NULL);
    if (!kv_clock_condition(&cache->changed)) {
        pthread_mutex_destroy(&cache->lock);
        free(cache);
        return kv_fail(err, KV_INTERNAL, "no condition variable for tokens");
    }
    *ret = cache;
    return KV_OK;
}

void kv_token_cache_free(struct kv_token_cache *cache)
{
    if (!cache)
        return;
    for (struct kv_token_entry *next, *entry = cache->entries; entry; entry = next) {
        next = entry->next;
        kv_token_entry_free(entry);
    }
    pthread_mutex_destroy(&cache->lock);
    pthread_cond_destroy(&cache->changed);
    free(cache);
}

void kv_token_cache_use_keyring(struct kv_token_cache *cache, int32_t keyring)
{
    cache->keyring.serial = keyring;
}

size_t kv_token_cache_count(struct kv_token_cache *cache)
{
    size_t count = 0;
    pthread_mutex_lock(&cache->lock);
    for (const struct kv_token_entry *entry = cache->entries; entry; entry = entry->next)
        count += entry->kept.token.bearer != NULL;
    pthread_mutex_unlock(&cache->lock);
    return count;
}

static int64_t now_of(const struct kv_token_cache *cache)
{
    return cache->parts.clock->unix_seconds(cache->parts.clock);
}

static const char *demanded(const struct kv_token_wish *wish)
{
    return wish->challenge ? wish->challenge->claims : "";
}

/* A token that was asked for with claims will do where none are demanded, not the other way about (contract §14.8). */
static bool usable(const struct kv_token_cache *cache, const struct kv_token_entry *entry,
                   const struct kv_token_wish *wish)
{
    return entry->kept.token.bearer && now_of(cache) < entry->kept.hard &&
           (!*demanded(wish) || strcmp(entry->asked.claims, demanded(wish)) == 0);
}

static bool due_early(const struct kv_token_cache *cache, const struct kv_token_entry *entry)
{
    int64_t now = now_of(cache);
    return !entry->refreshing && now >= entry->kept.soft && now >= entry->pause_until;
}

/* ---- getting one ---- */

/* Five minutes before the end, but a short life is not all margin. */
static void time_token(struct kv_kept_token *kept, const char *kind, int64_t now)
{
    int64_t life = kept->token.expires - now;
    kept->hard = kept->token.expires - (life / 2 < MARGIN_S ? life / 2 : MARGIN_S);
    kept->soft = kept->hard;
    if (kept->token.refresh && kept->token.refresh < kept->hard)
        kept->soft = kept->token.refresh;
    else if (!kept->token.refresh && life > LONG_LIFE_S)
        kept->soft = now + life / 2;
    kv_text_fit(kept->kind, sizeof kept->kind, kept->token.kind ? kept->token.kind : kind);
}

static void wait_change(struct kv_token_cache *cache, int64_t left_ms)
{
    struct timespec until = kv_clock_after(left_ms);
    pthread_cond_timedwait(&cache->changed, &cache->lock, &until);
}

/* One round with the lock released: what another process has fetched meanwhile, else the credential. */
struct round {
    struct kv_token_cache *cache;
    const struct kv_token_wish *wish;
    struct kv_task task;
    const char *name; /* of the entry, which its user keeps alive */
    int64_t newer_than;
};

static enum kv_status obtain(const struct round *round, struct kv_kept_token *ret, struct kv_error *err)
{
    const struct kv_token_wish *wish = round->wish;
    struct kv_credential_request request = { .config = wish->config,
                                             .challenge = wish->challenge,
                                             .http = wish->http,
                                             .task = &round->task,
                                             .memory = wish->memory,
                                             .claims = *demanded(wish) ? demanded(wish) : NULL };
    struct kv_token_keyring *keyring = &round->cache->keyring;
    int64_t now = now_of(round->cache);
    struct kv_kept_token kept = { 0 };
    if (*round->name && !*demanded(wish) && kv_token_keyring_read(keyring, round->name, now, &kept)) {
        if (now < kept.soft && kept.token.expires > round->newer_than) {
            *ret = kept;
            return KV_OK;
        }
        kv_kept_token_free(&kept);
    }
    KV_TRY(wish->kind->acquire(&request, &kept.token, err));
    now = now_of(round->cache);
    time_token(&kept, wish->kind->name, now);
    if (*round->name)
        kv_token_keyring_write(keyring, round->name, now, &kept);
    *ret = kept;
    return KV_OK;
}

/* An early renewal may not eat the caller's whole time: its old token still serves. */
static struct kv_task share_of(const struct kv_task *task, bool early)
{
    struct kv_task own = *task;
    if (early) {
        int64_t left = kv_deadline_left(task->deadline) / 3;
        own.deadline = kv_deadline_again(task->deadline, left < SOFT_TASK_MS ? left : SOFT_TASK_MS);
    }
    return own;
}

/* Called and left with the lock held, which is released meanwhile. */
static enum kv_status fetch(struct kv_token_cache *cache, struct kv_token_entry *entry,
                            const struct kv_token_wish *wish, const struct kv_task *task, bool early)
{
    struct round round = { cache, wish, share_of(task, early), entry->name,
                           entry->kept.token.bearer ? entry->kept.token.expires : 0 };
    struct kv_kept_token kept = { 0 };
    struct kv_error err = { 0 };
    entry->refreshing = true;
    pthread_mutex_unlock(&cache->lock);
    enum kv_status status = obtain(&round, &kept, &err);
    pthread_mutex_lock(&cache->lock);
    if (status == KV_OK && (status = kv_token_entry_keep(entry, &kept)) != KV_OK)
        status = kv_fail(&err, status, "no memory for a token");
    entry->refreshing = false;
    entry->rounds++;
    entry->last_status = status;
    entry->last_error = err;
    if (status == KV_OK) {
        memcpy(entry->asked.claims, demanded(wish), strlen(demanded(wish)) + 1);
        entry->pause_until = 0;
    } else if (early) {
        entry->pause_until = now_of(cache) + SOFT_PAUSE_S;
    }
    pthread_cond_broadcast(&cache->changed);
    return status;
}

static enum kv_status fail_last(const struct kv_token_entry *entry, struct kv_error *err)
{
    if (err)
        *err = entry->last_error;
    return entry->last_status;
}

/* Its time was short, or somebody ended it: says nothing to another. */
static bool is_callers_own(enum kv_status status)
{
    return status == KV_TIMED_OUT || status == KV_CANCELLED;
}

/* Until there is a usable token, lock held. Who waited for another's fetch shares its failure instead of repeating it, unless only
 * that one's time was short. */
static enum kv_status ensure(struct kv_token_cache *cache, struct kv_token_entry *entry,
                             const struct kv_token_wish *wish, const struct kv_task *task,
                             struct kv_error *err)
{
    while (!usable(cache, entry, wish)) {
        if (!entry->refreshing)
            return fetch(cache, entry, wish, task, false) == KV_OK ? KV_OK : fail_last(entry, err);
        unsigned round = entry->rounds;
        int64_t left = kv_deadline_look(task->deadline);
        if (kv_deadline_cancelled(task->deadline))
            return kv_fail(err, KV_CANCELLED,
                           "the application ended the call while it waited for a token for vault '%s'",
                           wish->config->name);
        if (!left)
            return kv_fail(err, KV_TIMED_OUT, "no token for vault '%s' before the deadline; see `timeout`",
                           wish->config->name);
        wait_change(cache, left);
        if (entry->rounds != round && entry->last_status != KV_OK && !is_callers_own(entry->last_status) &&
            !usable(cache, entry, wish))
            return fail_last(entry, err);
    }
    return KV_OK;
}

/* Lock held. */
static enum kv_status get(struct kv_token_cache *cache, struct kv_token_entry *entry,
                          const struct kv_token_wish *wish, const struct kv_task *task, struct kv_error *err)
{
    if (usable(cache, entry, wish) && due_early(cache, entry))
        (void)!fetch(cache, entry, wish, task,
                     true); /* its failure matters only when the token has run out */
    return ensure(cache, entry, wish, task, err);
}

enum kv_status kv_token_cache_get(struct kv_token_cache *cache, const struct kv_token_wish *wish,
                                  const struct kv_task *task, char **ret_bearer, char *ret_identity,
                                  struct kv_error *err)
{
    pthread_mutex_lock(&cache->lock);
    struct kv_token_entry *entry = kv_token_entry_take(cache, wish);
    enum kv_status status = entry ? get(cache, entry, wish, task, err) : KV_NO_MEMORY;
    char *copy = status == KV_OK ? kv_text_copy(entry->kept.token.bearer) : NULL;
    if (copy)
        memcpy(ret_identity, entry->kept.token.identity, sizeof entry->kept.token.identity);
    if (entry)
        kv_token_entry_leave(cache, entry);
    pthread_mutex_unlock(&cache->lock);
    if (status != KV_OK && entry)
        return status;
    if (!copy)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a token");
    *ret_bearer = copy;
    return KV_OK;
}

/* ---- from elsewhere, and away ---- */

bool kv_token_cache_look(struct kv_token_cache *cache, const struct kv_token_wish *wish,
                         struct kv_kept_token *ret)
{
    char name[KV_KEYRING_NAME_SIZE];
    return wish->shared && kv_token_keyring_name(&wish->key, cache->parts.surroundings, name) == KV_OK &&
           kv_token_keyring_read(&cache->keyring, name, now_of(cache), ret);
}

void kv_token_cache_put(struct kv_token_cache *cache, const struct kv_token_wish *wish,
                        struct kv_access_token *token)
{
    struct kv_kept_token kept = { .token = *token };
    int64_t now = now_of(cache);
    *token = (struct kv_access_token){ 0 };
    time_token(&kept, wish->kind->name, now);
    pthread_mutex_lock(&cache->lock);
    struct kv_token_entry *entry = kv_token_entry_take(cache, wish);
    pthread_mutex_unlock(&cache->lock);
    if (!entry) {
        kv_kept_token_free(&kept);
        return;
    }
    if (*entry->name)
        kv_token_keyring_write(&cache->keyring, entry->name, now, &kept);
    pthread_mutex_lock(&cache->lock);
    (void)!kv_token_entry_keep(entry, &kept); /* without memory it is asked for again */
    kv_token_entry_leave(cache, entry);
    pthread_mutex_unlock(&cache->lock);
}

void kv_token_cache_drop(struct kv_token_cache *cache, const struct kv_token_wish *wish, const char *bearer)
{
    char name[KV_KEYRING_NAME_SIZE] = "";
    pthread_mutex_lock(&cache->lock);
    for (struct kv_token_entry *entry = cache->entries; entry; entry = entry->next) {
        if (!kv_token_entry_is(entry, &wish->key))
            continue;
        memcpy(name, entry->name, sizeof name);
        if (entry->kept.token.bearer &&
            kv_view_equal_ct(kv_view_text(entry->kept.token.bearer), kv_view_text(bearer)))
            kv_token_entry_drop(entry);
    }
    pthread_mutex_unlock(&cache->lock);
    if (*name)
        kv_token_keyring_drop(&cache->keyring, name, bearer);
}

void kv_token_cache_forget(struct kv_token_cache *cache, const char *identity)
{
    pthread_mutex_lock(&cache->lock);
    for (struct kv_token_entry *next, *entry = cache->entries; entry; entry = next) {
        next = entry->next;
        if (strcmp(entry->identity, identity) != 0)
            continue;
        entry->forgotten = true;
        if (!entry->users)
            kv_token_entry_withdraw(cache, entry);
    }
    pthread_mutex_unlock(&cache->lock);
}
