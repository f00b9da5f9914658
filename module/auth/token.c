#include "token_private.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

/* Contract §14.7. */
enum { MARGIN_S = 300, LONG_LIFE_S = 7200, SOFT_PAUSE_S = 30, SOFT_TASK_MS = 10000 };

struct kv_tokens {
    struct kv_tokens_parts parts;
    pthread_mutex_t lock; /* all below; never held while a token is being fetched */
    pthread_cond_t changed;
    struct kv_access_token token;  /* bearer NULL: none */
    struct kv_challenge challenge; /* that it answers */
    int64_t hard, soft;            /* from when on it must, or should, be renewed */
    int64_t pause_until;           /* of early renewals, after one has failed */
    bool refreshing;
    unsigned rounds; /* fetches that have ended */
    enum kv_status last_status;
    struct kv_error last_error;
};

enum kv_status kv_tokens_open_kind(const struct kv_tokens_parts *parts, struct kv_tokens **ret,
                                   struct kv_error *err)
{
    struct kv_tokens *tokens = calloc(1, sizeof *tokens);
    if (!tokens)
        return kv_fail(err, KV_NO_MEMORY, "no memory for tokens");
    tokens->parts = *parts;
    pthread_mutex_init(&tokens->lock, NULL);
    if (!kv_clock_condition(&tokens->changed)) {
        free(tokens);
        return kv_fail(err, KV_INTERNAL, "no condition variable for tokens");
    }
    *ret = tokens;
    return KV_OK;
}

enum kv_status kv_tokens_open(const struct kv_vault_config *config, struct kv_http *http,
                              const struct kv_clock *clock, struct kv_tokens **ret, struct kv_error *err)
{
    const struct kv_credential_kind *kind = kv_credential_find(config->credential);
    if (!kind)
        return kv_fail(err, KV_CONFIG, "vault '%s': there is no credential '%s'", config->name,
                       config->credential);
    return kv_tokens_open_kind(&(struct kv_tokens_parts){ config, http, clock, kind }, ret, err);
}

void kv_tokens_free(struct kv_tokens *tokens)
{
    if (!tokens)
        return;
    kv_access_token_free(&tokens->token);
    pthread_mutex_destroy(&tokens->lock);
    pthread_cond_destroy(&tokens->changed);
    free(tokens);
}

static int64_t now_of(const struct kv_tokens *tokens)
{
    return tokens->parts.clock->unix_seconds(tokens->parts.clock);
}

static bool same_challenge(const struct kv_challenge *a, const struct kv_challenge *b)
{
    return strcmp(a->authority, b->authority) == 0 && strcmp(a->tenant, b->tenant) == 0 &&
           strcmp(a->scope, b->scope) == 0;
}

static bool usable(const struct kv_tokens *tokens, const struct kv_challenge *challenge)
{
    return tokens->token.bearer && now_of(tokens) < tokens->hard &&
           same_challenge(&tokens->challenge, challenge);
}

static bool due_early(const struct kv_tokens *tokens)
{
    int64_t now = now_of(tokens);
    return !tokens->refreshing && now >= tokens->soft && now >= tokens->pause_until;
}

/* Five minutes before the end, but a short life is not all margin. */
static void keep(struct kv_tokens *tokens, struct kv_access_token *token,
                 const struct kv_challenge *challenge)
{
    int64_t now = now_of(tokens), life = token->expires - now;
    kv_access_token_free(&tokens->token);
    tokens->token = *token;
    *token = (struct kv_access_token){ 0 };
    tokens->challenge = *challenge;
    tokens->hard = tokens->token.expires - (life / 2 < MARGIN_S ? life / 2 : MARGIN_S);
    tokens->soft = tokens->hard;
    if (tokens->token.refresh)
        tokens->soft = tokens->token.refresh;
    else if (life > LONG_LIFE_S)
        tokens->soft = now + life / 2;
    tokens->pause_until = 0;
}

static void wait_change(struct kv_tokens *tokens, int64_t left_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + left_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(left_ms / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&tokens->changed, &tokens->lock, &until);
}

/* Called and left with the lock held, which is released meanwhile. An early renewal may not eat the caller's whole time: its old token still
 * serves. */
static enum kv_status fetch(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                            const struct kv_task *task, bool early)
{
    struct kv_task own = *task;
    if (early) {
        int64_t left = kv_deadline_left(task->deadline) / 3;
        own.deadline = kv_deadline_in(task->deadline.clock, left < SOFT_TASK_MS ? left : SOFT_TASK_MS);
    }
    struct kv_credential_request request = { tokens->parts.config, challenge, tokens->parts.http, &own };
    struct kv_access_token token = { 0 };
    struct kv_error err = { 0 };
    tokens->refreshing = true;
    pthread_mutex_unlock(&tokens->lock);
    enum kv_status status = tokens->parts.kind->acquire(&request, &token, &err);
    pthread_mutex_lock(&tokens->lock);
    tokens->refreshing = false;
    tokens->rounds++;
    tokens->last_status = status;
    tokens->last_error = err;
    if (status == KV_OK)
        keep(tokens, &token, challenge);
    else if (early)
        tokens->pause_until = now_of(tokens) + SOFT_PAUSE_S;
    pthread_cond_broadcast(&tokens->changed);
    return status;
}

static enum kv_status fail_last(const struct kv_tokens *tokens, struct kv_error *err)
{
    if (err)
        *err = tokens->last_error;
    return tokens->last_status;
}

/* Until there is a usable token, lock held. Who waited for another's fetch shares its failure instead of repeating it, unless only
 * that one's time was short. */
static enum kv_status ensure(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                             const struct kv_task *task, struct kv_error *err)
{
    while (!usable(tokens, challenge)) {
        if (!tokens->refreshing)
            return fetch(tokens, challenge, task, false) == KV_OK ? KV_OK : fail_last(tokens, err);
        unsigned round = tokens->rounds;
        int64_t left = kv_deadline_left(task->deadline);
        if (!left)
            return kv_fail(err, KV_TIMED_OUT, "no token for vault '%s' before the deadline; see `timeout`",
                           tokens->parts.config->name);
        wait_change(tokens, left);
        if (tokens->rounds != round && tokens->last_status != KV_OK && tokens->last_status != KV_TIMED_OUT &&
            !usable(tokens, challenge))
            return fail_last(tokens, err);
    }
    return KV_OK;
}

enum kv_status kv_tokens_bearer(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                                const struct kv_task *task, char **ret_bearer, char *ret_identity,
                                struct kv_error *err)
{
    pthread_mutex_lock(&tokens->lock);
    if (usable(tokens, challenge) && due_early(tokens))
        fetch(tokens, challenge, task, true); /* its failure matters only when the token has run out */
    enum kv_status status = ensure(tokens, challenge, task, err);
    char *copy = status == KV_OK ? kv_text_copy(tokens->token.bearer) : NULL;
    if (copy)
        memcpy(ret_identity, tokens->token.identity, sizeof tokens->token.identity);
    pthread_mutex_unlock(&tokens->lock);
    if (status != KV_OK)
        return status;
    if (!copy)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a token");
    *ret_bearer = copy;
    return KV_OK;
}

void kv_tokens_drop(struct kv_tokens *tokens, const char *bearer)
{
    pthread_mutex_lock(&tokens->lock);
    if (tokens->token.bearer && kv_view_equal_ct(kv_view_text(tokens->token.bearer), kv_view_text(bearer)))
        kv_access_token_free(&tokens->token);
    pthread_mutex_unlock(&tokens->lock);
}
