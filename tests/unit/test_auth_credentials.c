#include "../../module/auth/oauth.h"
#include "clock_help.h"
#include "tcp_server.h"

#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

static int set_up(void **state)
{
    fix_clock();
    return 0;
}

static struct kv_view view(const char *text)
{
    return kv_view_text(text);
}

/* ---- documents ---- */

/* {"alg":"none"} . {"appid":"app-1","exp":1800003600} . x */
#define JWT "eyJhbGciOiJub25lIn0.eyJhcHBpZCI6ImFwcC0xIiwiZXhwIjoxODAwMDAzNjAwfQ.x"

static void token_replies_are_read(void **state)
{
    static const struct {
        const char *body;
        int64_t expires, refresh; /* expires 0: refused */
        const char *identity;
    } rows[] = {
        { "{\"access_token\":\"abc\",\"expires_in\":3599}", NOW + 3599, 0, "" },
        { "{\"access_token\":\"abc\",\"expires_in\":\"3599\",\"expires_on\":\"1\"}", NOW + 3599, 0, "" },
        { "{\"access_token\":\"abc\",\"expires_on\":\"1800000100\"}", NOW + 100, 0, "" },
        { "{\"access_token\":\"abc\",\"expires_on\":1800000100}", NOW + 100, 0, "" },
        { "{\"access_token\":\"abc\",\"expires_in\":86400,\"refresh_in\":43200}", NOW + 86400, NOW + 43200,
          "" },
        { "{\"access_token\":\"abc\",\"expires_in\":86400,\"refresh_in\":\"43200\"}", NOW + 86400,
          NOW + 43200, "" },
        { "{\"access_token\":\"" JWT "\"}", NOW + 3600, 0, "app-1" },
        { "{\"access_token\":\"" JWT "\",\"expires_in\":60}", NOW + 60, 0, "app-1" },
        { "{\"access_token\":\"abc\"}", 0, 0, NULL },
        { "{\"access_token\":\"abc\",\"expires_in\":0}", 0, 0, NULL },
        { "{\"access_token\":\"abc\",\"expires_in\":-5}", 0, 0, NULL },
        { "{\"access_token\":\"abc\",\"expires_in\":\"1h\"}", 0, 0, NULL },
        { "{\"access_token\":\"abc\",\"expires_on\":\"1\"}", 0, 0, NULL },
        { "{\"access_token\":\"a b\",\"expires_in\":60}", 0, 0, NULL },
        { "{\"access_token\":\"a\\r\\nEvil: 1\",\"expires_in\":60}", 0, 0, NULL },
        { "{\"access_token\":\"\",\"expires_in\":60}", 0, 0, NULL },
        { "{\"access_token\":7,\"expires_in\":60}", 0, 0, NULL },
        { "{\"expires_in\":60}", 0, 0, NULL },
        { "[]", 0, 0, NULL },
        { "<html>", 0, 0, NULL },
        { "", 0, 0, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        KV_CLEANUP(kv_access_token_free) struct kv_access_token token = { 0 };
        struct kv_error err = { 0 };
        enum kv_status status = kv_oauth_read_token(view(rows[i].body), NOW, &token, &err);
        if (status != (rows[i].expires ? KV_OK : KV_PROTOCOL) || token.expires != rows[i].expires ||
            token.refresh != rows[i].refresh ||
            (rows[i].identity && strcmp(token.identity, rows[i].identity) != 0))
            fail_msg("%s: %d, %lld, %lld, '%s'", rows[i].body, status, (long long)token.expires,
                     (long long)token.refresh, token.identity);
        if (strstr(err.text, "abc"))
            fail_msg("the token stands in '%s'", err.text);
    }
}

static void refusals_are_read(void **state)
{
    static const struct {
        const char *body, *code, *said;
    } rows[] = {
        { "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client "
          "secret.\\r\\nTrace\","
          "\"error_codes\":[7000215]}",
          "AADSTS7000215", "AADSTS7000215: Invalid client secret." },
        { "{\"error\":\"x\",\"error_description\":\"AADSTS90002: Tenant\"}", "AADSTS90002",
          "AADSTS90002: Tenant" },
        { "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}", "invalid_request",
          "Identity not found" },
        { "{\"error\":{\"code\":1},\"error_codes\":7}", "", "" },
        { "<html>", "", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv_oauth_refusal refusal;
        kv_oauth_read_refusal(view(rows[i].body), &refusal);
        assert_string_equal(refusal.code, rows[i].code);
        assert_string_equal(refusal.said, rows[i].said);
    }
}

/* ---- kinds ---- */

static void kinds_are_found_by_name(void **state)
{
    static const char *const names[] = { "client-secret", "client-certificate", "static-token",
                                         "environment",   "workload-identity",  "managed-identity",
                                         "azure-cli" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_string_equal(kv_credential_at(i)->name, names[i]);
        assert_ptr_equal(kv_credential_find(names[i]), kv_credential_at(i));
    }
    assert_null(kv_credential_at(7));
    assert_null(kv_credential_at(8));
    assert_null(kv_credential_find("password"));
    assert_string_equal(kv_credential_find("default")->name, "default");
}

static const struct kv_challenge challenge = { "https://login.localhost", "tenant-1",
                                               "https://vault.localhost/.default" };

struct asking {
    struct kv_credential_memory *memory;
    struct kv_vault_config config;
    struct kv_access_token token;
    struct kv_error err;
};

static enum kv_status acquire(struct asking *asking)
{
    struct kv_http *http = NULL;
    struct kv_http_options options = { .connect_timeout_ms = 10000,
                                       .idle_ms = 30000,
                                       .max_connections = 1,
                                       .user_agent = "kvp11/test",
                                       .clock = &fixed };
    struct kv_task task = { kv_deadline_in(&fixed, 60000), "test" };
    asking->config.name = (char *)"prod";
    assert_int_equal(kv_http_open(&options, &http, NULL), KV_OK);
    struct kv_credential_request request = { .config = &asking->config,
                                             .challenge = &challenge,
                                             .http = http,
                                             .task = &task,
                                             .memory = asking->memory };
    enum kv_status status =
        kv_credential_of(&asking->config)->acquire(&request, &asking->token, &asking->err);
    kv_http_free(http);
    return status;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_token_file_is_checked(void **state)
{
    static const struct {
        const char *name, *text;
        mode_t mode;
        int64_t expires; /* 0: refused */
        const char *word;
    } rows[] = {
        { "a JWT tells its end", JWT "\n", 0600, NOW + 3600, NULL },
        { "another token is read again in ten minutes", "  opaque \n", 0400, NOW + 600, NULL },
        { "a group may not write", "opaque", 0620, 0, "read or written by others" },
        { "others may not read", "opaque", 0604, 0, "read or written by others" },
        { "an expired JWT", "e30.eyJleHAiOjE3OTk5OTk5OTl9.x", 0600, 0, "expired" },
        { "two words", "one two", 0600, 0, "does not hold" },
        { "nothing", "", 0600, 0, "does not hold" },
        { "only space", " \n", 0600, 0, "does not hold" },
    };
    char path[] = "token-file-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct asking asking = { .config = { .credential = (char *)"static-token", .token_file = path } };
        write_file(path, rows[i].text, rows[i].mode);
        enum kv_status status = acquire(&asking);
        if (status != (rows[i].expires ? KV_OK : KV_CREDENTIAL) || asking.token.expires != rows[i].expires ||
            (rows[i].word && (!strstr(asking.err.text, rows[i].word) || !strstr(asking.err.text, path))))
            fail_msg("%s: %d, '%s'", rows[i].name, status, asking.err.text);
        kv_access_token_free(&asking.token);
        unlink(path);
    }
    struct asking asking = { .config = { .credential = (char *)"static-token", .token_file = path } };
    assert_int_equal(acquire(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "No such file"));
    asking.config.token_file = (char *)"/";
    assert_int_equal(acquire(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "regular"));
}

/* By the rules of tests/unit/test_base_file.c, which stand for every file: here, that these are asked. */
static void the_way_to_a_token_file_is_looked_at(void **state)
{
    char folder[] = "/tmp/kvp11-token-XXXXXX";
    struct asking asking = { .config = { .credential = (char *)"static-token" } };
    assert_non_null(mkdtemp(folder));
    KV_AUTO_TEXT char *path = kv_text_format("%s/token", folder);
    asking.config.token_file = path;
    write_file(path, "opaque", 0600);
    assert_int_equal(acquire(&asking), KV_OK);
    kv_access_token_free(&asking.token);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(acquire(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "its folder"));
    unlink(path);
    rmdir(folder);
}

#define TOKEN_REPLY                                                                                          \
    "HTTP/1.1 200 OK\r\nContent-Length: "                                                                    \
    "62\r\n\r\n{\"access_token\":\"abc\",\"expires_in\":\"86400\",\"expires_on\":\"1\"}   "
/* To the question whether anybody is there. */
#define NO_HEADER           EMPTY_REPLY("400 Bad Request")
#define EMPTY_REPLY(status) "HTTP/1.1 " status "\r\nContent-Length: 0\r\n\r\n"

static void start_imds(struct asking *asking, const struct tcp_step *steps, size_t count,
                       struct tcp_server **ret)
{
    static char endpoint[64];
    *ret = tcp_server_start(steps, count);
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", tcp_server_port(*ret));
    asking->config.imds_endpoint = endpoint;
}

static void managed_identity_asks_and_repeats(void **state)
{
    static const struct tcp_step steps[] = { { EMPTY_REPLY("410 Gone"), TCP_KEEP },
                                             { EMPTY_REPLY("404 Not Found"), TCP_KEEP },
                                             { EMPTY_REPLY("503 Busy"), TCP_KEEP },
                                             { TOKEN_REPLY, TCP_KEEP } };
    struct asking asking = { .config = { .credential = (char *)"managed-identity",
                                         .client_id = (char *)"a&b" } };
    struct tcp_server *server;
    start_imds(&asking, steps, 4, &server);
    enum kv_status status = acquire(&asking);
    struct tcp_seen seen = tcp_server_stop(server);
    if (status != KV_OK)
        fail_msg("%s", asking.err.text);
    assert_int_equal(seen.requests, 4);
    assert_int_equal(asking.token.expires, NOW + 86400);
    assert_true(slept_ms > 0);
    const char *line =
        "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault."
        "localhost&client_id=a%26b HTTP/1.1\r\n";
    assert_memory_equal(seen.last, line, strlen(line));
    assert_non_null(strstr(seen.last, "\r\nMetadata: true\r\n"));
    kv_access_token_free(&asking.token);
    tcp_server_free(server);
}

static void a_managed_identity_that_is_none_is_final(void **state)
{
    static const struct tcp_step steps[] = {
        { "HTTP/1.1 400 Bad Request\r\nContent-Length: "
          "68\r\n\r\n{\"error\":\"invalid_request\",\"error_description\":\"Identity "
          "not found\"}",
          TCP_KEEP }
    };
    struct asking asking = { .config = { .credential = (char *)"managed-identity",
                                         .client_id = (char *)"id-1" } };
    struct tcp_server *server;
    start_imds(&asking, steps, 1, &server);
    assert_int_equal(acquire(&asking), KV_CREDENTIAL);
    assert_int_equal(tcp_server_stop(server).requests, 1);
    assert_non_null(strstr(asking.err.text, "'id-1'"));
    assert_non_null(strstr(asking.err.text, "Identity not found"));
    assert_non_null(strstr(asking.err.text, "assign the identity"));
    tcp_server_free(server);
}

static void the_chain_passes_over_what_is_absent(void **state)
{
    struct asking asking = { .config = { .credential = (char *)"default" } };
    static const struct tcp_step steps[] = { { NO_HEADER, TCP_KEEP }, { TOKEN_REPLY, TCP_KEEP } };
    struct tcp_server *server;
    start_imds(&asking, steps, 2, &server);
    assert_int_equal(acquire(&asking), KV_OK);
    assert_string_equal(asking.token.bearer, "abc");
    kv_access_token_free(&asking.token);
    tcp_server_stop(server);

    slept_ms = 0;
    assert_int_equal(acquire(&asking), KV_CREDENTIAL); /* nobody answers there any more */
    assert_int_equal(slept_ms, 0);
    assert_non_null(strstr(asking.err.text, "`client_id`"));
    assert_non_null(strstr(asking.err.text, "`token_file`"));
    assert_non_null(strstr(asking.err.text, asking.config.imds_endpoint));
    tcp_server_free(server);
}

static void a_chain_keeps_to_what_gave_a_token(void **state)
{
    struct kv_credential_memory memory = { 0 };
    struct asking asking = { .memory = &memory,
                             .config = { .credential = (char *)"client-secret managed-identity" } };
    static const struct tcp_step steps[] = { { NO_HEADER, TCP_KEEP }, { TOKEN_REPLY, TCP_KEEP } };
    struct tcp_server *server;
    start_imds(&asking, steps, 2, &server);
    assert_int_equal(acquire(&asking), KV_OK);
    assert_int_equal(memory.chosen, 2);
    kv_access_token_free(&asking.token);
    tcp_server_stop(server);

    /* Set up meanwhile or not, the first of them is not looked at again; and nobody answering is now a failure worth repeats. */
    slept_ms = 0;
    asking.config.client_id = (char *)"id";
    asking.config.client_secret_file = (char *)"/nonexistent";
    assert_int_equal(acquire(&asking), KV_UNREACHABLE);
    assert_non_null(strstr(asking.err.text, asking.config.imds_endpoint));
    assert_true(slept_ms > 0);

    memory.chosen = 0;
    assert_int_equal(acquire(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "/nonexistent"));
    tcp_server_free(server);
}

static void the_chain_ends_at_what_is_refused(void **state)
{
    struct asking asking = { .config = { .credential = (char *)"default",
                                         .token_file = (char *)"/nonexistent" } };
    static const struct tcp_step steps[] = { { TOKEN_REPLY, TCP_KEEP } };
    struct tcp_server *server;
    start_imds(&asking, steps, 1, &server);
    assert_int_equal(acquire(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "/nonexistent"));
    assert_int_equal(tcp_server_stop(server).requests, 0);
    tcp_server_free(server);
}

static void what_is_missing_is_named(void **state)
{
    struct asking asking = { .config = { .credential = (char *)"client-secret" } };
    assert_int_equal(acquire(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "`client_id`"));
    asking.config.client_id = (char *)"id";
    assert_int_equal(acquire(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "`client_secret_file`"));
}

static const char *always(const struct kv_vault_config *config)
{
    return NULL;
}

static const char *never(const struct kv_vault_config *config)
{
    return "not set up";
}

static void who_needs_a_person_says_so(void **state)
{
    static const struct kv_credential_kind person = { "code", always, NULL, true },
                                           absent = { "card", never, NULL, true },
                                           machine = { "machine", always, NULL, false };
    static const struct {
        const char *sentence;
        const struct kv_credential_kind *chain[3];
        bool person;
    } rows[] = {
        { "nobody is there", { NULL }, false },
        { "a person", { &person }, true },
        { "a person that is not asked", { &absent }, false },
        { "the next in line is a machine", { &absent, &machine }, false },
        { "a machine goes before a person", { &machine, &person }, false },
        { "a person, for want of a card", { &absent, &person }, true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (kv_credential_chain_person(rows[i].chain, NULL) != rows[i].person)
            fail_msg("%s", rows[i].sentence);
    for (size_t i = 0; kv_credential_at(i); i++) {
        struct kv_vault_config config = { .credential = (char *)kv_credential_at(i)->name };
        assert_int_equal(kv_credential_needs_person(&config), kv_credential_at(i)->needs_person);
    }
    assert_false(kv_credential_needs_person(&(struct kv_vault_config){ .credential = (char *)"default" }));
    assert_false(kv_credential_needs_person(&(struct kv_vault_config){ .credential = (char *)"none such" }));
}

/* Of the first that is set up, as a chain would take it. */
static void ends_are_told(void **state)
{
    static const struct {
        const char *sentence, *credential, *kind;
        bool has_secret, has_token;
        int64_t at;
    } rows[] = {
        { "a secret, as the settings say", "client-secret", "client-secret", true, false, 5 },
        { "a secret that is not set up", "client-secret", NULL, false, false, 0 },
        { "by way of the default", "default", "client-secret", true, true, 5 },
        { "by way of the environment's words", "environment", "environment", true, false, 5 },
        { "a token's own end is none", "static-token client-secret", "static-token", true, true, 0 },
        { "passed over", "static-token client-secret", "client-secret", true, false, 5 },
        { "no secret at all", "managed-identity", "managed-identity", true, false, 0 },
        { "nothing of that name", "none such", NULL, true, false, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_vault_config config = { .credential = (char *)rows[i].credential,
                                          .client_id = (char *)"id",
                                          .imds_endpoint = (char *)"http://127.0.0.1:1",
                                          .client_secret_expires = 5 };
        struct kv_credential_end end = { "", 9 };
        config.client_secret = rows[i].has_secret ? (char *)"planted" : NULL;
        config.token_file = rows[i].has_token ? (char *)"/nonexistent" : NULL;
        assert_int_equal(kv_credential_ends(&config, &end, NULL), KV_OK);
        if (!end.kind != !rows[i].kind || (end.kind && strcmp(end.kind, rows[i].kind)) ||
            end.at != rows[i].at)
            fail_msg("%s: '%s' %lld", rows[i].sentence, end.kind ? end.kind : "none", (long long)end.at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(token_replies_are_read, set_up),
        cmocka_unit_test_setup(refusals_are_read, set_up),
        cmocka_unit_test_setup(kinds_are_found_by_name, set_up),
        cmocka_unit_test_setup(a_token_file_is_checked, set_up),
        cmocka_unit_test_setup(the_way_to_a_token_file_is_looked_at, set_up),
        cmocka_unit_test_setup(managed_identity_asks_and_repeats, set_up),
        cmocka_unit_test_setup(a_managed_identity_that_is_none_is_final, set_up),
        cmocka_unit_test_setup(the_chain_passes_over_what_is_absent, set_up),
        cmocka_unit_test_setup(a_chain_keeps_to_what_gave_a_token, set_up),
        cmocka_unit_test_setup(the_chain_ends_at_what_is_refused, set_up),
        cmocka_unit_test_setup(what_is_missing_is_named, set_up),
        cmocka_unit_test(who_needs_a_person_says_so),
        cmocka_unit_test(ends_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
