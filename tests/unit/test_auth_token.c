#include "token_help.h"

#include <sys/wait.h>
#include <unistd.h>

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

/* Contract §14.8: no token from before will do; the new one will do for all. */
static void demanded_claims_take_another_token(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    struct kv_challenge demanding = vault_scope;
    assert_true(kv_text_fit(demanding.claims, sizeof demanding.claims, "{\"access_token\":{}}"));
    expect(tokens, &vault_scope, "vault-1");
    expect(tokens, &demanding, "vault-2");
    expect(tokens, &demanding, "vault-2");
    expect(tokens, &vault_scope, "vault-2");
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
    kv_tokens_drop(tokens, &vault_scope, "vault-0");
    expect(tokens, &vault_scope, "vault-1");
    kv_tokens_drop(tokens, &vault_scope, "vault-1");
    kv_tokens_drop(tokens, &vault_scope, "vault-1");
    expect(tokens, &vault_scope, "vault-2");
    kv_tokens_free(tokens);
    kv_tokens_free(NULL);
}

static void an_unknown_kind_is_a_configuration_error(void **state)
{
    struct kv_tokens *tokens = NULL;
    struct kv_error err = { 0 };
    assert_int_equal(kv_tokens_open(&config, NULL, cache, &tokens, &err), KV_CONFIG);
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

/* Eight threads of two vaults that share an identity wait for one fetch; a third vault, of another identity, does not wait for them. */
static void an_identity_waits_for_its_own_fetch_alone(void **state)
{
    struct kv_vault_config twin = { .name = (char *)"dr", .credential = (char *)"fake" };
    struct kv_vault_config other = { .name = (char *)"hsm",
                                     .credential = (char *)"fake",
                                     .client_id = (char *)"other" };
    struct asker askers[THREADS] = { 0 };
    sem_t entered, go;
    struct kv_tokens *first = open_with(&kv_clock_system), *second = open_of(&twin), *third = open_of(&other);
    sem_init(&entered, 0, 0);
    sem_init(&go, 0, 0);
    kind.entered = &entered;
    kind.go = &go;
    for (size_t i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){ .tokens = i % 2 ? second : first, .ms = 60000 };
        pthread_create(&askers[i].thread, NULL, ask, &askers[i]);
        if (!i)
            sem_wait(&entered);
    }
    struct asker alone = { .tokens = third, .ms = 60000 };
    ask(&alone); /* while the first still fetches */
    assert_string_equal(alone.bearer, "vault-2");
    sem_post(&go);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_string_equal(askers[i].bearer, "vault-1");
        kv_text_free(askers[i].bearer);
    }
    assert_int_equal(kind.calls, 2);
    kv_text_free(alone.bearer);
    kv_tokens_free(first);
    kv_tokens_free(second);
    kv_tokens_free(third);
    sem_destroy(&entered);
    sem_destroy(&go);
}

/* Memory that is locked is zero in a child: so it is seen that what is kept stands there, and nowhere else. */
static void a_kept_token_stands_in_locked_memory(void **state)
{
    struct kv_tokens *tokens = open_with(&fake);
    expect(tokens, &vault_scope, "vault-1");
    now_s += 3600; /* and what takes its place */
    expect(tokens, &vault_scope, "vault-2");
    int status = -1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        struct kv_task task = { kv_deadline_in(&fake, 60000), "test" };
        KV_AUTO_TEXT char *got = NULL;
        char identity[64];
        _exit(kv_tokens_bearer(tokens, &vault_scope, &task, &got, identity, NULL) == KV_OK && !*got ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    expect(tokens, &vault_scope, "vault-2");
    kv_tokens_free(tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_token_is_used_again, reset, end),
        cmocka_unit_test_setup_teardown(a_kept_token_stands_in_locked_memory, reset, end),
        cmocka_unit_test_setup_teardown(a_short_life_is_not_all_margin, reset, end),
        cmocka_unit_test_setup_teardown(another_challenge_takes_another_token, reset, end),
        cmocka_unit_test_setup_teardown(demanded_claims_take_another_token, reset, end),
        cmocka_unit_test_setup_teardown(long_lives_are_renewed_at_half, reset, end),
        cmocka_unit_test_setup_teardown(refresh_in_is_honoured_and_its_failure_swallowed, reset, end),
        cmocka_unit_test_setup_teardown(a_failure_is_told_and_not_remembered, reset, end),
        cmocka_unit_test_setup_teardown(only_the_refused_token_is_dropped, reset, end),
        cmocka_unit_test_setup_teardown(an_unknown_kind_is_a_configuration_error, reset, end),
        cmocka_unit_test_setup_teardown(one_fetches_the_others_wait, reset, end),
        cmocka_unit_test_setup_teardown(all_are_told_of_a_failure, reset, end),
        cmocka_unit_test_setup_teardown(an_identity_waits_for_its_own_fetch_alone, reset, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
