/* A clock and a credential of our own for the tests of tokens: how long a token lives, and what becomes of the next attempt, is said in `kind`. */
#ifndef KV_TESTS_TOKEN_HELP_H
#define KV_TESTS_TOKEN_HELP_H

#include "../../module/auth/token_private.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static int64_t now_s, now_ms;

static int64_t fake_unix(const struct kv_clock *clock)
{
    return now_s;
}

static int64_t fake_steady(const struct kv_clock *clock)
{
    return now_ms;
}

static void fake_sleep(const struct kv_clock *clock, int64_t ms)
{
    now_ms += ms;
}

static double fake_jitter(const struct kv_clock *clock)
{
    return 0.5;
}

static const struct kv_clock fake = { fake_unix, fake_steady, fake_sleep, fake_jitter };

static struct {
    int64_t life, refresh_in;
    enum kv_status status;
    unsigned calls;
    int64_t left_ms;     /* that the last call was given */
    sem_t *entered, *go; /* NULL: at once */
    const char *code;    /* of the failure */
    char secret[32];     /* that the last call was given */
} kind;

static enum kv_status fake_acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                                   struct kv_error *err)
{
    const struct kv_clock *clock = request->task->deadline.clock;
    unsigned call = __atomic_add_fetch(&kind.calls, 1, __ATOMIC_SEQ_CST);
    kind.left_ms = kv_deadline_left(request->task->deadline);
    const char *secret = request->config->client_secret;
    if (secret)
        assert_null(request->config->client_secret_file);
    snprintf(kind.secret, sizeof kind.secret, "%s", secret ? secret : "");
    if (kind.entered && !request->config->client_id) {
        sem_post(kind.entered);
        sem_wait(kind.go);
    }
    if (kind.status != KV_OK) {
        enum kv_status status = kv_fail(err, kind.status, "no token from the fake");
        if (err && kind.code)
            kv_text_fit(err->code, sizeof err->code, kind.code);
        return status;
    }
    int64_t now = clock->unix_seconds(clock);
    *ret = (struct kv_access_token){ .bearer = kv_text_format("%s-%u", request->challenge->scope, call),
                                     .expires = now + kind.life,
                                     .refresh = kind.refresh_in ? now + kind.refresh_in : 0,
                                     .identity = "app" };
    return KV_OK;
}

static const struct kv_credential_kind fake_kind = { "fake", NULL, fake_acquire };
static struct kv_vault_config config = { .name = (char *)"prod", .credential = (char *)"fake" };
static const struct kv_challenge vault_scope = { "https://login", "t", "vault" };
static const struct kv_challenge hsm_scope = { "https://login", "t", "hsm" };
static const struct kv_challenge other_tenant = { "https://login", "u", "vault" };

static struct kv_token_cache *cache;

static struct kv_tokens *open_of(struct kv_vault_config *vault)
{
    struct kv_tokens *tokens = NULL;
    struct kv_tokens_parts parts = { vault, NULL, cache, &fake_kind };
    assert_int_equal(kv_tokens_open_kind(&parts, &tokens, NULL), KV_OK);
    return tokens;
}

static struct kv_tokens *open_with(const struct kv_clock *clock)
{
    kv_token_cache_free(cache);
    assert_int_equal(kv_token_cache_open(&(struct kv_token_cache_parts){ .clock = clock }, &cache, NULL),
                     KV_OK);
    return open_of(&config);
}

static int reset(void **state)
{
    memset(&kind, 0, sizeof kind);
    kind.life = 3600;
    now_s = 1000000;
    now_ms = 0;
    return 0;
}

static int end(void **state)
{
    kv_token_cache_free(cache);
    cache = NULL;
    return 0;
}

static void expect(struct kv_tokens *tokens, const struct kv_challenge *challenge, const char *bearer)
{
    struct kv_task task = { kv_deadline_in(&fake, 60000), "test" };
    KV_AUTO_TEXT char *got = NULL;
    char identity[64];
    struct kv_error err = { 0 };
    if (kv_tokens_bearer(tokens, challenge, &task, &got, identity, &err) != KV_OK)
        fail_msg("instead of '%s': %s", bearer, err.text);
    assert_string_equal(got, bearer);
    assert_string_equal(identity, "app");
}

#endif
