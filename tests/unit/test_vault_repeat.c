/* What is sent to a vault, and when again: request.c and repeat.c before a service that says what a test wants, on a clock that sleeping moves. */
#include "../../module/vault/vault_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define KID(name, version)                                                                                   \
    "{\"kid\":\"https://prod.vault.azure.net/keys/" name "/" version "\",\"value\":\"AQ\"}"
#define CHALLENGE                                                                                            \
    "Bearer authorization=\"https://login.microsoftonline.com/t\", resource=\"https://vault.azure.net\""

/* ---- the clock ---- */

static int64_t now_ms, slept_ms;

static int64_t fake_steady(const struct kv_clock *clock)
{
    return now_ms;
}

static int64_t fake_seconds(const struct kv_clock *clock)
{
    return 1800000000 + now_ms / 1000;
}

static void fake_sleep(const struct kv_clock *clock, int64_t ms)
{
    now_ms += ms;
    slept_ms += ms;
}

static double no_jitter(const struct kv_clock *clock)
{
    return 0;
}

static const struct kv_clock fake = {
    .unix_seconds = fake_seconds, .steady_ms = fake_steady, .sleep_ms = fake_sleep, .jitter = no_jitter
};

/* ---- the service ---- */

struct answer {
    int http; /* 0: the end of the list, where all is well */
    const char *body, *retry_after;
    enum kv_status transport; /* not KV_OK: no answer, but this */
    bool arrived;
};

static struct {
    const struct answer *answers;
    size_t greetings, sent; /* requests without a token, and with one */
    size_t tokens, dropped;
    bool once; /* of the last */
} service;

static void fill(struct kv_http_reply *ret, int http, const char *body)
{
    ret->status = http;
    assert_int_equal(kv_bytes_copy(kv_view_text(body), &ret->body), KV_OK);
    if (http != 401)
        return;
    ret->challenges = calloc(1, sizeof *ret->challenges);
    assert_non_null(ret->challenges);
    ret->challenges[0] = kv_text_copy(CHALLENGE);
    ret->challenge_count = 1;
}

enum kv_status __wrap_kv_http_send(struct kv_http *http, const struct kv_http_request *request,
                                   struct kv_deadline deadline, struct kv_http_reply *ret,
                                   struct kv_error *err);
enum kv_status __wrap_kv_http_send(struct kv_http *http, const struct kv_http_request *request,
                                   struct kv_deadline deadline, struct kv_http_reply *ret,
                                   struct kv_error *err)
{
    *ret = (struct kv_http_reply){ 0 };
    assert_true(kv_deadline_left(deadline) > 0);
    if (!request->bearer) {
        assert_int_equal(request->body.len, 0); /* the peer has still to show that it is a vault */
        service.greetings++;
        fill(ret, 401, "");
        return KV_OK;
    }
    struct answer answer = *service.answers;
    service.answers += answer.http || answer.transport;
    service.sent++;
    service.once = request->once;
    if (answer.transport) {
        ret->maybe_processed = answer.arrived;
        return kv_fail(err, answer.transport, "planted");
    }
    fill(ret, answer.http ? answer.http : 200, answer.body ? answer.body : KID("kek", "v1"));
    kv_text_fit(ret->retry_after, sizeof ret->retry_after, answer.retry_after ? answer.retry_after : "");
    return KV_OK;
}

enum kv_status __wrap_kv_tokens_bearer(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                                       const struct kv_task *task, char **ret_bearer, char *ret_identity,
                                       struct kv_error *err);
enum kv_status __wrap_kv_tokens_bearer(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                                       const struct kv_task *task, char **ret_bearer, char *ret_identity,
                                       struct kv_error *err)
{
    assert_string_equal(challenge->tenant, "t");
    service.tokens++;
    *ret_bearer = kv_text_copy("token");
    ret_identity[0] = 0;
    return KV_OK;
}

void __wrap_kv_tokens_drop(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                           const char *bearer);
void __wrap_kv_tokens_drop(struct kv_tokens *tokens, const struct kv_challenge *challenge, const char *bearer)
{
    service.dropped++;
}

/* ---- calls ---- */

static struct kv_vault_config config;

static int set_up(void **state)
{
    struct kv_vault *vault = NULL;
    now_ms = 5000;
    config = (struct kv_vault_config){ .name = (char *)"prod",
                                       .url = (char *)"https://prod.vault.azure.net",
                                       .host = (char *)"prod.vault.azure.net",
                                       .api_version = (char *)"7.6",
                                       .rate_limit = KV_RATE_OFF };
    assert_int_equal(
        kv_vault_open(&(struct kv_vault_parts){ .config = &config, .clock = &fake }, &vault, NULL), KV_OK);
    *state = vault;
    return 0;
}

static int tear_down(void **state)
{
    kv_vault_free(*state);
    return 0;
}

static void expect_answers(const struct answer *answers)
{
    service.answers = answers;
    service.greetings = service.sent = service.tokens = service.dropped = 0;
    slept_ms = 0;
}

static struct kv_task task_of(int64_t ms)
{
    return (struct kv_task){ kv_deadline_in(&fake, ms), "test" };
}

static enum kv_status sign(struct kv_vault *vault, const struct kv_task *task, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_result_free) struct kv_vault_result result = { 0 };
    static const unsigned char digest[32] = { 7 };
    struct kv_vault_op op = { .operation = KV_OP_SIGN,
                              .name = "kek",
                              .version = "v1",
                              .alg = "RS256",
                              .value = { digest, sizeof digest } };
    return kv_vault_key_op(vault, &op, task, &result, err);
}

static enum kv_status rotate(struct kv_vault *vault, const struct kv_task *task, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key key = { 0 };
    return kv_vault_rotate_key(vault, "kek", task, &key, err);
}

static enum kv_status get(struct kv_vault *vault, const struct kv_task *task, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key key = { 0 };
    return kv_vault_get_key(vault, "kek", NULL, task, &key, err);
}

/* ---- tests ---- */

#define KEY(name)                                                                                            \
    "{\"key\":{\"kid\":\"https://prod.vault.azure.net/keys/" name "/v2\",\"kty\":\"EC\",\"crv\":\"P-256\","  \
    "\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\","                                                 \
    "\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"},"                                                \
    "\"attributes\":{\"enabled\":true,\"created\":1}}"
#define WRONG_KEY KEY("other")

static const struct {
    const char *what;
    enum kv_status (*call)(struct kv_vault *vault, const struct kv_task *task, struct kv_error *err);
    struct answer answers[8];
    enum kv_status status;
    size_t sent;
    int64_t slept;
    bool maybe_done;
} rows[] = {
    { "all is well", sign, { { 0 } }, KV_OK, 1, 0, false },
    { "a wait in seconds", sign, { { 429, "", "2" } }, KV_OK, 2, 2000, false },
    { "a wait until a date", sign, { { 429, "", "Fri, 15 Jan 2027 08:00:09 GMT" } }, KV_OK, 2, 4000, false },
    { "no wait is named", sign, { { 429 } }, KV_OK, 2, 800, false },
    { "a wait past the deadline", sign, { { 429, "", "60" } }, KV_THROTTLED, 1, 0, false },
    { "a change that was turned away",
      rotate,
      { { 429, "", "2" }, { 200, KEY("kek") } },
      KV_OK,
      2,
      2000,
      false },
    { "a service in trouble, twice", sign, { { 503 }, { 500 } }, KV_OK, 3, 2400, false },
    { "a change, and a service in trouble", rotate, { { 503 } }, KV_SERVER, 1, 0, true },
    { "a conflict", sign, { { 409 } }, KV_CONFLICT, 1, 0, false },
    { "a change and a conflict", rotate, { { 409 } }, KV_CONFLICT, 1, 0, false },
    { "a redirect", sign, { { 307 } }, KV_PROTOCOL, 1, 0, false },
    { "cut", sign, { { .transport = KV_PROTOCOL, .arrived = true } }, KV_OK, 2, 80, false },
    { "a change, cut behind",
      rotate,
      { { .transport = KV_PROTOCOL, .arrived = true } },
      KV_PROTOCOL,
      1,
      0,
      true },
    { "a change, cut before",
      rotate,
      { { .transport = KV_PROTOCOL }, { 200, KEY("kek") } },
      KV_OK,
      2,
      80,
      false },
    { "a token that is refused", sign, { { 401 } }, KV_OK, 2, 0, false },
    { "a token that is refused, and the next", sign, { { 401 }, { 401 } }, KV_CREDENTIAL, 2, 0, false },
    { "a result of another version", sign, { { 200, KID("kek", "v2") } }, KV_WRONG_KEY, 1, 0, false },
    { "a result of another key", sign, { { 200, KID("other", "v1") } }, KV_WRONG_KEY, 1, 0, false },
    { "a result of no key", sign, { { 200, "{\"value\":\"AQ\"}" } }, KV_PROTOCOL, 1, 0, false },
    { "a document of another key", get, { { 200, WRONG_KEY } }, KV_WRONG_KEY, 1, 0, false },
    { "a new version of another key", rotate, { { 200, WRONG_KEY } }, KV_WRONG_KEY, 1, 0, true },
};

static void answers_are_taken_as_they_are_meant(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv_task task = task_of(30000);
        struct kv_error err = { 0 };
        tear_down(state);
        set_up(state);
        expect_answers(rows[i].answers);
        enum kv_status status = rows[i].call(*state, &task, &err);
        if (status != rows[i].status || service.sent != rows[i].sent || slept_ms != rows[i].slept ||
            err.maybe_done != rows[i].maybe_done)
            fail_msg("%s: %s, sent %zu times, slept %lld ms, maybe done %d: %s", rows[i].what,
                     kv_status_name(status), service.sent, (long long)slept_ms, err.maybe_done, err.text);
        assert_int_equal(service.greetings, 1);
        assert_true(service.once == (rows[i].call == rotate));
    }
}

static void the_second_call_asks_no_questions(void **state)
{
    static const struct answer fine[1] = { { 0 } };
    struct kv_task task = task_of(1000);
    expect_answers(fine);
    assert_int_equal(sign(*state, &task, NULL), KV_OK);
    assert_int_equal(sign(*state, &task, NULL), KV_OK);
    assert_int_equal(service.greetings, 1);
    assert_int_equal(service.sent, 2);
}

static void a_refused_token_is_dropped(void **state)
{
    static const struct answer refused[2] = { { 401 } };
    struct kv_task task = task_of(1000);
    expect_answers(refused);
    assert_int_equal(sign(*state, &task, NULL), KV_OK);
    assert_int_equal(service.dropped, 1);
    assert_int_equal(service.tokens, 2);
}

static void the_deadline_holds_for_all_attempts(void **state)
{
    static const struct answer down[9] = { { 503 }, { 503 }, { 503 }, { 503 },
                                           { 503 }, { 503 }, { 503 }, { 503 } };
    struct kv_task task = task_of(3000);
    struct kv_error err = { 0 };
    expect_answers(down);
    assert_int_equal(sign(*state, &task, &err), KV_SERVER);
    assert_int_equal(service.sent, 3); /* after 0, 800 and 2400 ms */
    assert_int_equal(slept_ms, 2400);
}

/* What one call was told holds for the next: it waits as long, or says at once that it will not. */
static void a_cool_down_is_everybodys(void **state)
{
    static const struct answer busy[2] = { { 429, "", "5" } };
    struct kv_task first = task_of(2000);
    struct kv_error err = { 0 };
    expect_answers(busy);
    assert_int_equal(sign(*state, &first, NULL), KV_THROTTLED);
    struct kv_task hasty = task_of(4000);
    assert_int_equal(sign(*state, &hasty, &err), KV_THROTTLED);
    assert_non_null(strstr(err.text, "left alone for 5000 more ms"));
    assert_int_equal(service.sent, 1);
    assert_int_equal(slept_ms, 0);
    struct kv_task patient = task_of(10000);
    assert_int_equal(sign(*state, &patient, NULL), KV_OK);
    assert_int_equal(service.sent, 2);
    assert_int_equal(slept_ms, 5000);
}

static void the_limiter_is_asked_before_each(void **state)
{
    static const struct answer fine[1] = { { 0 } };
    struct kv_error err = { 0 };
    tear_down(state);
    set_up(state);
    config.rate_limit = 10;
    struct kv_vault *limited = NULL;
    assert_int_equal(
        kv_vault_open(&(struct kv_vault_parts){ .config = &config, .clock = &fake }, &limited, NULL), KV_OK);
    expect_answers(fine);
    for (int i = 0; i < 10; i++) {
        struct kv_task task = task_of(1000);
        assert_int_equal(sign(limited, &task, NULL), KV_OK);
    }
    assert_int_equal(slept_ms, 0);
    struct kv_task hasty = task_of(1000), patient = task_of(60000);
    assert_int_equal(sign(limited, &hasty, &err), KV_THROTTLED);
    assert_non_null(strstr(err.text, "`rate_limit`"));
    assert_int_equal(service.sent, 10);
    assert_int_equal(sign(limited, &patient, NULL), KV_OK);
    assert_in_range(slept_ms, 9000, 11000);
    kv_vault_free(limited);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_are_taken_as_they_are_meant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_second_call_asks_no_questions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_token_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_deadline_holds_for_all_attempts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cool_down_is_everybodys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_limiter_is_asked_before_each, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
