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

/* ---- a clock and a credential of our own ---- */

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
} kind;

static enum kv_status fake_acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                                   struct kv_error *err)
{
    const struct kv_clock *clock = request->task->deadline.clock;
    unsigned call = __atomic_add_fetch(&kind.calls, 1, __ATOMIC_SEQ_CST);
    kind.left_ms = kv_deadline_left(request->task->deadline);
    if (kind.entered) {
        sem_post(kind.entered);
        sem_wait(kind.go);
    }
    if (kind.status != KV_OK)
        return kv_fail(err, kind.status, "no token from the fake");
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

static struct kv_tokens *open_with(const struct kv_clock *clock)
{
    struct kv_tokens *tokens = NULL;
    struct kv_tokens_parts parts = { &config, NULL, clock, &fake_kind };
    assert_int_equal(kv_tokens_open_kind(&parts, &tokens, NULL), KV_OK);
    return tokens;
}

static int reset(void **state)
{
    memset(&kind, 0, sizeof kind);
    kind.life = 3600;
    now_s = 1000000;
    now_ms = 0;
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

/* ---- one thread ---- */

static void a_token_is_used_again(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    expect(tokens, &vault_scope, "vault-1");
    now_s += 3299;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 1; /* five minutes before its end */
    expect(tokens, &vault_scope, "vault-2");
    kv_tokens_free(tokens);
}

static void a_short_life_is_not_all_margin(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    kind.life = 60;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 29;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 1;
    expect(tokens, &vault_scope, "vault-2");
    kind.life = 1;
    now_s += 31;
    expect(tokens, &vault_scope, "vault-3");
    kv_tokens_free(tokens);
}

static void another_challenge_takes_another_token(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    expect(tokens, &vault_scope, "vault-1");
    expect(tokens, &hsm_scope, "hsm-2");
    expect(tokens, &other_tenant, "vault-3");
    expect(tokens, &other_tenant, "vault-3");
    kv_tokens_free(tokens);
}

static void long_lives_are_renewed_at_half(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    kind.life = 86400;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 43199;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 1;
    expect(tokens, &vault_scope, "vault-2");
    kv_tokens_free(tokens);
}

static void refresh_in_is_honoured_and_its_failure_swallowed(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    kind.refresh_in = 1800;
    expect(tokens, &vault_scope, "vault-1");
    now_s += 1800;
    kind.status = KV_UNREACHABLE;
    expect(tokens, &vault_scope, "vault-1");
    assert_int_equal(kind.calls, 2);
    assert_true(kind.left_ms <= 10000); /* not the caller's whole minute */
    now_s += 29;
    expect(tokens, &vault_scope, "vault-1");
    assert_int_equal(kind.calls, 2); /* one attempt per 30 s */
    now_s += 1;
    expect(tokens, &vault_scope, "vault-1");
    assert_int_equal(kind.calls, 3);
    kind.status = KV_OK;
    now_s += 30;
    expect(tokens, &vault_scope, "vault-4");
    kv_tokens_free(tokens);
}

static void a_failure_is_told_and_not_remembered(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    struct kv_task task = { kv_deadline_in(&fake, 1000), "test" };
    struct kv_error err = { 0 };
    char *bearer = NULL, identity[64];
    kind.status = KV_CREDENTIAL;
    assert_int_equal(kv_tokens_bearer(tokens, &vault_scope, &task, &bearer, identity, &err), KV_CREDENTIAL);
    assert_null(bearer);
    assert_non_null(strstr(err.text, "no token from the fake"));
    kind.status = KV_OK;
    expect(tokens, &vault_scope, "vault-2");
    kv_tokens_free(tokens);
}

static void only_the_refused_token_is_dropped(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    expect(tokens, &vault_scope, "vault-1");
    kv_tokens_drop(tokens, "vault-0");
    expect(tokens, &vault_scope, "vault-1");
    kv_tokens_drop(tokens, "vault-1");
    kv_tokens_drop(tokens, "vault-1");
    expect(tokens, &vault_scope, "vault-2");
    kv_tokens_free(tokens);
    kv_tokens_free(NULL);
}

static void an_unknown_kind_is_a_configuration_error(void **state)
{
    struct kv_tokens *tokens = NULL;
    struct kv_error err = { 0 };
    assert_int_equal(kv_tokens_open(&config, NULL, &fake, &tokens, &err), KV_CONFIG);
    assert_non_null(strstr(err.text, "'fake'"));
}

/* ---- many threads ---- */

enum { THREADS = 8 };

struct asker {
    struct kv_tokens *tokens;
    int64_t ms;
    enum kv_status status;
    char *bearer;
    pthread_t thread;
};

static void *ask(void *user)
{
    struct asker *asker = user;
    struct kv_task task = { kv_deadline_in(&kv_clock_system, asker->ms), "test" };
    char identity[64];
    asker->status = kv_tokens_bearer(asker->tokens, &vault_scope, &task, &asker->bearer, identity, NULL);
    return NULL;
}

static void run_askers(struct asker *askers, enum kv_status outcome)
{
    struct kv_tokens *tokens = open_with(&kv_clock_system);
    sem_t entered, go;
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    kind.entered = &entered;
    kind.go = &go;
    kind.status = outcome;
    for (size_t i = 0; i < THREADS; i++) {
        askers[i].tokens = tokens;
        askers[i].ms = askers[i].ms ? askers[i].ms : 60000;
        pthread_create(&askers[i].thread, NULL, ask, &askers[i]);
        if (!i)
            sem_wait(&entered); /* the first is fetching; the others find it so */
    }
    pthread_join(askers[1].thread, NULL); /* its time is short: it is done while the first still fetches */
    for (size_t i = 0; i < THREADS; i++)
        sem_post(&go);
    for (size_t i = 0; i < THREADS; i++) {
        if (i != 1)
            pthread_join(askers[i].thread, NULL);
    }
    kv_tokens_free(tokens);
    sem_destroy(&entered);
    sem_destroy(&go);
}

static void one_fetches_the_others_wait(void **state)
{
    struct asker askers[THREADS] = { [1].ms = 1 };
    run_askers(askers, KV_OK);
    assert_int_equal(kind.calls, 1);
    assert_int_equal(askers[1].status, KV_TIMED_OUT);
    for (size_t i = 0; i < THREADS; i++) {
        if (i != 1)
            assert_string_equal(askers[i].bearer, "vault-1");
        kv_text_free(askers[i].bearer);
    }
}

static void all_are_told_of_a_failure(void **state)
{
    struct asker askers[THREADS] = { [1].ms = 1 };
    run_askers(askers, KV_CREDENTIAL);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(askers[i].status, i == 1 ? KV_TIMED_OUT : KV_CREDENTIAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_token_is_used_again, reset),
        cmocka_unit_test_setup(a_short_life_is_not_all_margin, reset),
        cmocka_unit_test_setup(another_challenge_takes_another_token, reset),
        cmocka_unit_test_setup(long_lives_are_renewed_at_half, reset),
        cmocka_unit_test_setup(refresh_in_is_honoured_and_its_failure_swallowed, reset),
        cmocka_unit_test_setup(a_failure_is_told_and_not_remembered, reset),
        cmocka_unit_test_setup(only_the_refused_token_is_dropped, reset),
        cmocka_unit_test_setup(an_unknown_kind_is_a_configuration_error, reset),
        cmocka_unit_test_setup(one_fetches_the_others_wait, reset),
        cmocka_unit_test_setup(all_are_told_of_a_failure, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
