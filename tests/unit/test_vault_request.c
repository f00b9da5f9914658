/* A vault whose tenant, or whose authority, is not where it was: what goes over the wire, request by request. */
#include "../../module/vault/vault_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { MINUTE_MS = 60000 };
#define SCOPE    "https://vault.azure.net/.default"
#define PUBLIC   "https://login.microsoftonline.com"
#define GREETING "GET /keys?maxresults=1&api-version=7.6 401; "
#define SIGNED   "{\"kid\":\"https://prod.vault.azure.net/keys/kek/v1\",\"value\":\"AAAA\"}"
#define TOKEN    "{\"access_token\":\"abc\",\"expires_in\":3599}"
#define REFUSAL                                                                                              \
    "{\"error\":\"invalid_request\",\"error_codes\":[%s],\"error_description\":\"AADSTS%s: planted\"}"
#define CHALLENGE "Bearer authorization=\"%s\", resource=\"https://vault.azure.net\""

static int64_t now_ms;

static int64_t fake_steady(const struct kv_clock *clock)
{
    return now_ms;
}

static void fake_sleep(const struct kv_clock *clock, int64_t ms)
{
    now_ms += ms;
}

static struct kv_clock fake;

/* The directory and the vault, and what was asked of them. */
static struct {
    const char *said[2];   /* by tenant "old" and "new": the number of the refusal, NULL: a token */
    const char *authority; /* that the vault names, with the tenant */
    bool lost;             /* the directory's host has no address */
    bool away;             /* the vault cannot be reached */
    struct kv_vault
        *learn; /* another thread learns the new challenge of this one while the directory answers */
    char log[1024];
} world;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
    size_t len = strlen(world.log);
    va_list args;
    va_start(args, format);
    vsnprintf(world.log + len, sizeof world.log - len, format, args);
    va_end(args);
}

static enum kv_status reply(struct kv_http_reply *ret, int status, const char *body)
{
    *ret = (struct kv_http_reply){ .status = status };
    note("%d; ", status);
    return kv_bytes_copy(kv_view_text(body), &ret->body);
}

static const struct kv_challenge old = { PUBLIC, "old", SCOPE, "" }, new = { PUBLIC, "new", SCOPE, "" };

static enum kv_status directory(const char *path, struct kv_http_reply *ret, struct kv_error *err)
{
    char body[256];
    bool is_new = strncmp(path, "/new/", 5) == 0;
    note("token%.*s ", 4, path);
    if (world.learn)
        assert_int_equal(kv_vault_teach(world.learn, &new, NULL), KV_OK);
    world.learn = NULL;
    if (world.lost && !is_new) {
        enum kv_status status = kv_fail(err, KV_UNREACHABLE, "no address");
        kv_text_fit(err->code, sizeof err->code, KV_HTTP_NO_SUCH_HOST);
        note("lost; ");
        return status;
    }
    if (!world.said[is_new])
        return reply(ret, 200, TOKEN);
    snprintf(body, sizeof body, REFUSAL, world.said[is_new], world.said[is_new]);
    return reply(ret, 400, body);
}

static enum kv_status vault(const struct kv_http_request *request, const char *path,
                            struct kv_http_reply *ret, struct kv_error *err)
{
    note("%s %s ", request->method, path);
    if (world.away) {
        note("away; ");
        return kv_fail(err, KV_UNREACHABLE, "the vault is away");
    }
    if (request->bearer)
        return reply(ret, 200, SIGNED);
    assert_int_equal(request->body.len, 0);
    char line[256];
    snprintf(line, sizeof line, CHALLENGE, world.authority);
    enum kv_status status = reply(ret, 401, "");
    ret->challenges = calloc(1, sizeof *ret->challenges);
    assert_non_null(ret->challenges);
    ret->challenges[ret->challenge_count++] = kv_text_copy(line);
    return status;
}

enum kv_status __wrap_kv_http_send(struct kv_http *http, const struct kv_http_request *request,
                                   struct kv_deadline deadline, struct kv_http_reply *ret,
                                   struct kv_error *err);

enum kv_status __wrap_kv_http_send(struct kv_http *http, const struct kv_http_request *request,
                                   struct kv_deadline deadline, struct kv_http_reply *ret,
                                   struct kv_error *err)
{
    const char *path = strchr(request->url + strlen("https://"), '/');
    return strstr(request->url, "//prod.") ? vault(request, path, ret, err) : directory(path, ret, err);
}

/* ---- one host ---- */

struct host {
    struct kv_vault_config config;
    struct kv_token_cache *cache;
    struct kv_tokens *tokens;
    struct kv_vault *vault;
    struct kv_error err;
};

/* Its version map remembers the old tenant. */
static void begin(struct host *host)
{
    world.log[0] = 0;
    world.authority = PUBLIC "/new";
    host->config.name = (char *)"prod";
    host->config.url = (char *)"https://prod.vault.azure.net";
    host->config.host = (char *)"prod.vault.azure.net";
    host->config.api_version = (char *)"7.6";
    host->config.credential = (char *)"client-secret";
    host->config.client_id = (char *)"app";
    host->config.client_secret = (char *)"planted";
    struct kv_vault_parts parts = { .config = &host->config, .clock = &fake };
    assert_int_equal(
        kv_token_cache_open(&(struct kv_token_cache_parts){ .clock = &fake }, &host->cache, NULL), KV_OK);
    assert_int_equal(kv_tokens_open(&host->config, NULL, host->cache, &host->tokens, NULL), KV_OK);
    parts.tokens = host->tokens;
    assert_int_equal(kv_vault_open(&parts, &host->vault, NULL), KV_OK);
    assert_int_equal(kv_vault_teach(host->vault, &old, NULL), KV_OK);
}

static void end(struct host *host)
{
    kv_vault_free(host->vault);
    kv_tokens_free(host->tokens);
    kv_token_cache_free(host->cache);
    memset(&world, 0, sizeof world);
}
#define AUTO_HOST KV_CLEANUP(end) struct host

static enum kv_status sign(struct host *host, const char *wanted)
{
    struct kv_task task = { kv_deadline_in(&fake, 60000), "test" };
    KV_CLEANUP(kv_vault_result_free) struct kv_vault_result result = { 0 };
    unsigned char digest[32] = { 0 };
    struct kv_vault_op op = { .operation = KV_OP_SIGN,
                              .name = "kek",
                              .version = "v1",
                              .alg = "RS256",
                              .value = { digest, sizeof digest } };
    world.log[0] = 0;
    host->err = (struct kv_error){ 0 };
    enum kv_status status = kv_vault_key_op(host->vault, &op, &task, &result, &host->err);
    assert_string_equal(world.log, wanted);
    return status;
}

#define SIGN "POST /keys/kek/v1/sign?api-version=7.6 200; "

/* ---- */

static void a_tenant_that_is_gone_is_asked_for(void **state)
{
    static const char *const numbers[] = { "90002", "900023" };
    for (size_t i = 0; i < 2; i++) {
        AUTO_HOST host = { 0 };
        struct kv_challenge now;
        begin(&host);
        world.said[0] = numbers[i];
        assert_int_equal(sign(&host, "token/old 400; " GREETING "token/new 200; " SIGN), KV_OK);
        assert_true(kv_vault_challenge(host.vault, &now));
        assert_true(kv_challenge_same(&now, &new));
        assert_int_equal(sign(&host, SIGN), KV_OK);
    }
}

static void so_is_an_authority_without_an_address(void **state)
{
    AUTO_HOST host = { 0 };
    begin(&host);
    world.lost = true;
    assert_int_equal(sign(&host,
                          "token/old lost; token/old lost; token/old lost; token/old lost; token/old lost; "
                          "token/old lost; " GREETING "token/new 200; " SIGN),
                     KV_OK);
}

static void a_vault_that_says_the_same_is_believed_for_a_minute(void **state)
{
    AUTO_HOST host = { 0 };
    begin(&host);
    world.said[0] = "90002";
    world.authority = PUBLIC "/old";
    assert_int_equal(sign(&host, "token/old 400; " GREETING), KV_CREDENTIAL);
    assert_string_equal(host.err.code, "AADSTS90002");
    assert_int_equal(sign(&host, "token/old 400; "), KV_CREDENTIAL);
    now_ms += MINUTE_MS - 1;
    assert_int_equal(sign(&host, "token/old 400; "), KV_CREDENTIAL);
    now_ms++;
    assert_int_equal(sign(&host, "token/old 400; " GREETING), KV_CREDENTIAL);
}

static void it_goes_round_only_once(void **state)
{
    AUTO_HOST host = { 0 };
    begin(&host);
    world.said[0] = world.said[1] = "90002";
    assert_int_equal(sign(&host, "token/old 400; " GREETING "token/new 400; "), KV_CREDENTIAL);
    assert_non_null(strstr(host.err.text, "tenant 'new'"));
    assert_int_equal(sign(&host, "token/new 400; "), KV_CREDENTIAL);
}

static void other_refusals_ask_nobody(void **state)
{
    static const char *const numbers[] = { "7000215", "700016", "9000", "90002333" };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        AUTO_HOST host = { 0 };
        begin(&host);
        world.said[0] = numbers[i];
        assert_int_equal(sign(&host, "token/old 400; "), KV_CREDENTIAL);
    }
}

static void a_tenant_that_is_not_allowed_is_told_and_not_asked(void **state)
{
    AUTO_HOST host = { .config.tenant = (char *)"old" };
    begin(&host);
    world.said[0] = "90002";
    assert_int_equal(sign(&host, "token/old 400; " GREETING), KV_CREDENTIAL);
    assert_non_null(strstr(host.err.text, "belongs to tenant 'new'"));
}

static void an_authority_that_is_not_known_gets_no_secret(void **state)
{
    AUTO_HOST host = { 0 };
    begin(&host);
    world.said[0] = "90002";
    world.authority = "https://login.evil.example/new";
    assert_int_equal(sign(&host, "token/old 400; " GREETING), KV_CREDENTIAL);
    assert_non_null(strstr(host.err.text, "login.evil.example"));
}

static void a_vault_that_is_away_changes_nothing(void **state)
{
    AUTO_HOST host = { 0 };
    begin(&host);
    world.said[0] = "90002";
    world.away = true;
    assert_int_equal(sign(&host, "token/old 400; GET /keys?maxresults=1&api-version=7.6 away; "),
                     KV_CREDENTIAL);
    assert_non_null(strstr(host.err.text, "there is no such tenant"));
    world.away = false;
    assert_int_equal(sign(&host, "token/old 400; " GREETING "token/new 200; " SIGN), KV_OK);
}

static void what_another_thread_has_learnt_is_not_asked_again(void **state)
{
    AUTO_HOST host = { 0 };
    begin(&host);
    world.said[0] = "90002";
    world.learn = host.vault;
    assert_int_equal(sign(&host, "token/old 400; token/new 200; " SIGN), KV_OK);
}

static void a_vault_that_cools_down_is_left_alone(void **state)
{
    AUTO_HOST host = { 0 };
    struct kv_task task = { kv_deadline_in(&fake, 60000), "test" };
    struct kv_challenge challenge = old;
    begin(&host);
    kv_vault_cool_down(host.vault, 1000);
    assert_int_equal(kv_fail(&host.err, KV_CREDENTIAL, "no such tenant"), KV_CREDENTIAL);
    kv_text_fit(host.err.code, sizeof host.err.code, "AADSTS90002");
    assert_int_equal(kv_vault_meet_anew(host.vault, &task, &challenge, &host.err), KV_CREDENTIAL);
    assert_string_equal(world.log, "");
}

static int set_up(void **state)
{
    now_ms = 5000;
    fake = kv_clock_system;
    fake.steady_ms = fake_steady;
    fake.sleep_ms = fake_sleep;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_tenant_that_is_gone_is_asked_for, set_up),
        cmocka_unit_test_setup(so_is_an_authority_without_an_address, set_up),
        cmocka_unit_test_setup(a_vault_that_says_the_same_is_believed_for_a_minute, set_up),
        cmocka_unit_test_setup(it_goes_round_only_once, set_up),
        cmocka_unit_test_setup(other_refusals_ask_nobody, set_up),
        cmocka_unit_test_setup(a_tenant_that_is_not_allowed_is_told_and_not_asked, set_up),
        cmocka_unit_test_setup(an_authority_that_is_not_known_gets_no_secret, set_up),
        cmocka_unit_test_setup(a_vault_that_is_away_changes_nothing, set_up),
        cmocka_unit_test_setup(what_another_thread_has_learnt_is_not_asked_again, set_up),
        cmocka_unit_test_setup(a_vault_that_cools_down_is_left_alone, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
