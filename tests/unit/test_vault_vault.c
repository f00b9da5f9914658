#include "../../module/vault/errand.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* What needs no network: what the threads share, and what is refused before anything is sent. */

static int64_t now_ms;

static int64_t fake_steady(const struct kv_clock *clock)
{
    return now_ms;
}

static struct kv_clock fake;
static struct kv_vault_config config = { .name = (char *)"prod",
                                         .url = (char *)"https://prod.vault.azure.net",
                                         .host = (char *)"prod.vault.azure.net",
                                         .api_version = (char *)"7.6" };

static int set_up(void **state)
{
    struct kv_vault *vault = NULL;
    now_ms = 5000;
    fake = kv_clock_system;
    fake.steady_ms = fake_steady;
    assert_int_equal(
        kv_vault_open(&(struct kv_vault_parts){ .config = &config, .clock = &fake }, &vault, NULL), KV_OK);
    *state = vault;
    return 0;
}

static int tear_down(void **state)
{
    kv_vault_free(*state);
    kv_vault_free(NULL);
    return 0;
}

static void what_is_taught_is_checked(void **state)
{
    struct kv_challenge good = { "https://login.microsoftonline.com", "t",
                                 "https://vault.azure.net/.default" };
    struct kv_challenge bad = { "https://login.microsoftonline.com", "t", "https://vault.example/.default" };
    struct kv_challenge got = { 0 };
    assert_false(kv_vault_challenge(*state, &got));
    assert_int_equal(kv_vault_teach(*state, &bad, NULL), KV_CREDENTIAL);
    assert_false(kv_vault_challenge(*state, &got));
    assert_int_equal(kv_vault_teach(*state, &good, NULL), KV_OK);
    assert_int_equal(kv_vault_teach(*state, &bad, NULL), KV_CREDENTIAL);
    assert_true(kv_vault_challenge(*state, &got));
    assert_string_equal(got.scope, good.scope);
}

static void the_longest_cool_down_holds(void **state)
{
    assert_int_equal(kv_vault_cooling(*state), 0);
    kv_vault_cool_down(*state, 1000);
    kv_vault_cool_down(*state, 300);
    assert_int_equal(kv_vault_cooling(*state), 1000);
    now_ms += 999;
    assert_int_equal(kv_vault_cooling(*state), 1);
    now_ms += 2;
    assert_int_equal(kv_vault_cooling(*state), 0);
}

static void a_cool_down_past_the_deadline_is_told_at_once(void **state)
{
    struct kv_task task = { kv_deadline_in(&fake, 500), "test" };
    struct kv_vault_key key = { 0 };
    struct kv_error err = { 0 };
    kv_vault_cool_down(*state, 1000);
    assert_int_equal(kv_vault_get_key(*state, "kek", NULL, &task, &key, &err), KV_THROTTLED);
    assert_non_null(strstr(err.text, "1000"));
}

static void bad_targets_never_leave(void **state)
{
    struct kv_task task = { kv_deadline_in(&fake, 500), "test" };
    struct kv_vault_key key = { 0 };
    struct kv_vault_result result = { 0 };
    struct kv_vault_page page = { 0 };
    unsigned char byte = 1;
    static const struct {
        const char *name, *version, *alg;
        unsigned operation;
    } rows[] = {
        { "a/b", "v", "RS256", KV_OP_SIGN },          { "", "v", "RS256", KV_OP_SIGN },
        { NULL, "v", "RS256", KV_OP_SIGN },           { "kek", "", "RS256", KV_OP_SIGN },
        { "kek", NULL, "RS256", KV_OP_SIGN },         { "kek", "../x", "RS256", KV_OP_SIGN },
        { "kek", "v", "RS256", KV_OP_VERIFY },        { "kek", "v", "RS256", 0 },
        { "kek", "v", "RS\"256", KV_OP_SIGN },        { "kek", "v", "", KV_OP_SIGN },
        { "kek", "v", "A", KV_OP_SIGN | KV_OP_WRAP },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv_vault_op op = { .operation = rows[i].operation,
                                  .name = rows[i].name,
                                  .version = rows[i].version,
                                  .alg = rows[i].alg,
                                  .value = { &byte, 1 } };
        if (kv_vault_key_op(*state, &op, &task, &result, NULL) != KV_ARGUMENTS)
            fail_msg("row %zu was let through", i);
    }
    assert_int_equal(kv_vault_get_key(*state, "k?x", NULL, &task, &key, NULL), KV_ARGUMENTS);
    assert_int_equal(kv_vault_rotate_key(*state, "k x", &task, &key, NULL), KV_ARGUMENTS);
    struct kv_vault_list elsewhere = { .next = "https://evil.example/keys?$skiptoken=x" };
    assert_int_equal(kv_vault_list_page(*state, &elsewhere, &task, &page, NULL), KV_PROTOCOL);
}

/* --- waits that another thread ends --- */

struct waiting {
    struct kv_errand errand;
    pthread_t thread;
    enum kv_status status;
    struct kv_error err;
};

static void *wait_turn(void *user)
{
    struct waiting *waiting = user;
    waiting->status = kv_errand_wait_turn(&waiting->errand, &waiting->err);
    return NULL;
}

static bool waits_in_line(struct kv_vault *vault)
{
    pthread_mutex_lock(&vault->limiter.lock);
    bool waits = vault->limiter.windows[KV_LIMIT_USE].first != NULL;
    pthread_mutex_unlock(&vault->limiter.lock);
    return waits;
}

/* A vault of which all is used up that there is for the next ten seconds. */
static struct kv_vault *used_up_vault(void)
{
    static struct kv_vault_config limited;
    struct kv_vault *vault = NULL;
    struct kv_vault_parts parts = { .config = &limited, .clock = &kv_clock_system };
    int64_t wait;
    limited = config;
    limited.rate_limit = 10;
    assert_int_equal(kv_vault_open(&parts, &vault, NULL), KV_OK);
    struct kv_waiter first = { .cost = { KV_LIMIT_USE, 10 } };
    assert_true(kv_limiter_take(&vault->limiter, &first, kv_clock_system.steady_ms(&kv_clock_system), &wait));
    return vault;
}

static void a_wait_for_ones_turn_ends_with_the_call(void **state)
{
    struct kv_cancel wish;
    struct kv_vault *vault = used_up_vault();
    struct kv_task task = { kv_deadline_in(&kv_clock_system, 600000), "test" };
    struct kv_request request = { .operation = "sign", .cost = { KV_LIMIT_USE, 1 }, .task = &task };
    struct waiting waiting = { .errand = { .vault = vault, .request = &request } };
    assert_true(kv_cancel_open(&wish));
    task.deadline.cancel = &wish;
    assert_int_equal(pthread_create(&waiting.thread, NULL, wait_turn, &waiting), 0);
    while (!waits_in_line(vault))
        sched_yield();
    kv_cancel_wish(&wish);
    pthread_join(waiting.thread, NULL);
    assert_int_equal(waiting.status, KV_CANCELLED);
    assert_non_null(strstr(waiting.err.text, "ended the call"));
    assert_false(waits_in_line(vault)); /* nobody waits behind one that has left */
    kv_vault_free(vault);
    kv_cancel_close(&wish);
}

static void a_cool_down_ends_with_the_call(void **state)
{
    struct kv_cancel wish;
    struct kv_task task = { kv_deadline_in(&kv_clock_system, 600000), "test" };
    struct kv_request request = { .operation = "sign", .task = &task };
    struct kv_vault *vault = used_up_vault();
    struct waiting waiting = { .errand = { .vault = vault, .request = &request } };
    assert_true(kv_cancel_open(&wish));
    task.deadline.cancel = &wish;
    kv_vault_cool_down(vault, 300000);
    assert_int_equal(pthread_create(&waiting.thread, NULL, wait_turn, &waiting), 0);
    kv_cancel_wish(&wish); /* before it waits or while it does */
    pthread_join(waiting.thread, NULL);
    assert_int_equal(waiting.status, KV_CANCELLED);
    kv_vault_free(vault);
    kv_cancel_close(&wish);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_taught_is_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_longest_cool_down_holds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cool_down_past_the_deadline_is_told_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_targets_never_leave, set_up, tear_down),
        cmocka_unit_test(a_wait_for_ones_turn_ends_with_the_call),
        cmocka_unit_test(a_cool_down_ends_with_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
