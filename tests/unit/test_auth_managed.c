#include "../../module/auth/managed.h"
#include "clock_help.h"
#include "tcp_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char folder[] = "/tmp/kvp11-arc-XXXXXX";

static int set_up(void **state)
{
    fix_clock();
    /* Whoever asks through a proxy gets no answer. */
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    return !mkdtemp(folder);
}

static int tear_down(void **state)
{
    return rmdir(folder);
}

#define OK_REPLY(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body
#define TOKEN_REPLY            OK_REPLY("48", "{\"access_token\":\"abc\",\"expires_on\":\"1800000100\"}")
#define EMPTY_REPLY(status)    "HTTP/1.1 " status "\r\nContent-Length: 0\r\n\r\n"
#define NO_IDENTITY                                                                                          \
    "HTTP/1.1 400 Bad Request\r\nContent-Length: "                                                           \
    "68\r\n\r\n{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}"

struct asking {
    struct kv_vault_config config;
    bool chain;
    struct kv_access_token token;
    struct kv_error err;
    bool absent;
    struct tcp_seen seen;
    char last[4096];
};

/* An endpoint that is set at all becomes the address of a server that plays the steps. */
static enum kv_status ask(struct asking *asking, const struct tcp_step *steps, size_t count)
{
    static const struct kv_challenge challenge = { "https://login.localhost", "t",
                                                   "https://vault.localhost/.default" };
    struct tcp_server *server = tcp_server_start(steps, count);
    KV_AUTO_TEXT char *base = kv_text_format("http://127.0.0.1:%d", tcp_server_port(server));
    KV_AUTO_TEXT char *identity = kv_text_format("%s/identity", base), *msi = kv_text_format("%s/msi", base);
    struct kv_http *http = NULL;
    struct kv_http_options options = { .connect_timeout_ms = 10000,
                                       .idle_ms = 30000,
                                       .max_connections = 1,
                                       .user_agent = "kvp11/test",
                                       .clock = &fixed };
    struct kv_task task = { kv_deadline_in(&fixed, 600000), "test" };
    struct kv_vault_config config = asking->config;
    config.name = (char *)"prod";
    config.imds_endpoint = base;
    config.identity_endpoint = config.identity_endpoint ? identity : NULL;
    config.msi_endpoint = config.msi_endpoint ? msi : NULL;
    assert_int_equal(kv_http_open(&options, &http, NULL), KV_OK);
    struct kv_credential_request request = { .config = &config,
                                             .challenge = &challenge,
                                             .http = http,
                                             .task = &task,
                                             .absent = asking->chain ? &asking->absent : NULL };
    slept_ms = 0;
    enum kv_status status = kv_managed_acquire(&request, folder, &asking->token, &asking->err);
    kv_http_free(http);
    asking->seen = tcp_server_stop(server);
    snprintf(asking->last, sizeof asking->last, "%s", asking->seen.last);
    tcp_server_free(server);
    return status;
}

#define TEXT(text) ((char *)(text))
#define IDENTITY   .identity_endpoint = TEXT("{e}"), .identity_header = TEXT("header-1")
#define MSI        .msi_endpoint = TEXT("{e}")
#define RESOURCE   "resource=https%3A%2F%2Fvault.localhost"
#define IMDS(query)                                                                                          \
    "GET /metadata/identity/oauth2/token?api-version=2018-02-01&" RESOURCE query " HTTP/1.1\r\n"

static void each_is_asked_in_its_way(void **state)
{
    static const struct {
        const char *sentence;
        struct kv_vault_config config;
        const char *line, *header, *body;
    } rows[] = {
        { "the metadata service", { 0 }, IMDS(""), "\r\nMetadata: true\r\n", "" },
        { "by client", { .client_id = TEXT("a&b") }, IMDS("&client_id=a%26b"), "\r\nMetadata: true\r\n", "" },
        { "by object, before a client",
          { .object_id = TEXT("o"), .client_id = TEXT("c") },
          IMDS("&object_id=o"),
          "\r\nMetadata: true\r\n",
          "" },
        { "by resource",
          { .resource_id = TEXT("/s/x") },
          IMDS("&msi_res_id=%2Fs%2Fx"),
          "\r\nMetadata: true\r\n",
          "" },
        { "App Service",
          { IDENTITY },
          "GET /identity?api-version=2019-08-01&" RESOURCE " HTTP/1.1\r\n",
          "\r\nX-IDENTITY-HEADER: header-1\r\n",
          "" },
        { "App Service by object",
          { IDENTITY, .object_id = TEXT("o") },
          "GET /identity?api-version=2019-08-01&" RESOURCE "&principal_id=o HTTP/1.1\r\n",
          "\r\nX-IDENTITY-HEADER: header-1\r\n",
          "" },
        { "App Service by resource",
          { IDENTITY, .resource_id = TEXT("/r") },
          "GET /identity?api-version=2019-08-01&" RESOURCE "&mi_res_id=%2Fr HTTP/1.1\r\n",
          "\r\nX-IDENTITY-HEADER: header-1\r\n",
          "" },
        { "App Service goes before Cloud Shell",
          { IDENTITY, MSI },
          "GET /identity?api-version=2019-08-01&" RESOURCE " HTTP/1.1\r\n",
          "\r\nX-IDENTITY-HEADER: header-1\r\n",
          "" },
        { "Azure Machine Learning",
          { MSI, .msi_secret = TEXT("secret-1"), .ml_client_id = TEXT("job") },
          "GET /msi?api-version=2017-09-01&" RESOURCE "&clientid=job HTTP/1.1\r\n",
          "\r\nsecret: secret-1\r\n",
          "" },
        { "Azure Machine Learning by client",
          { MSI, .msi_secret = TEXT("s"), .ml_client_id = TEXT("job"), .client_id = TEXT("c") },
          "GET /msi?api-version=2017-09-01&" RESOURCE "&clientid=c HTTP/1.1\r\n",
          "\r\nsecret: s\r\n",
          "" },
        { "Cloud Shell", { MSI }, "POST /msi HTTP/1.1\r\n", "\r\nMetadata: true\r\n", "\r\n\r\n" RESOURCE },
        { "the one that was named",
          { IDENTITY, .identity_source = TEXT("imds") },
          IMDS(""),
          "\r\nMetadata: true\r\n",
          "" },
        { "auto",
          { IDENTITY, .identity_source = TEXT("auto") },
          "GET /identity?api-version=2019-08-01&" RESOURCE " HTTP/1.1\r\n",
          "\r\nX-IDENTITY-HEADER: header-1\r\n",
          "" },
    };
    static const struct tcp_step steps[] = { { TOKEN_REPLY, TCP_KEEP } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct asking asking = { .config = rows[i].config };
        enum kv_status status = ask(&asking, steps, 1);
        if (status != KV_OK || asking.token.expires != NOW + 100 || asking.seen.requests != 1 ||
            strncmp(asking.last, rows[i].line, strlen(rows[i].line)) != 0 ||
            !strstr(asking.last, rows[i].header) || !strstr(asking.last, rows[i].body))
            fail_msg("%s: %d '%s' %s", rows[i].sentence, status, asking.err.text, asking.last);
        kv_access_token_free(&asking.token);
    }
}

static void what_cannot_be_asked_is_refused(void **state)
{
    static const struct {
        const char *sentence;
        struct kv_vault_config config;
        const char *words[2];
    } rows[] = {
        { "two names of one identity",
          { .object_id = TEXT("o"), .resource_id = TEXT("/r") },
          { "`object_id`", "remove one" } },
        { "Azure Machine Learning by object",
          { MSI, .msi_secret = TEXT("s"), .object_id = TEXT("o") },
          { "'azure-ml' takes no", "write `client_id` instead" } },
        { "Cloud Shell by client",
          { MSI, .client_id = TEXT("c") },
          { "'cloud-shell' takes no", "remove it" } },
        { "Service Fabric by client",
          { IDENTITY, .identity_thumbprint = TEXT("00"), .client_id = TEXT("c") },
          { "'service-fabric' takes no", "remove it" } },
        { "Service Fabric with half a thumbprint",
          { IDENTITY, .identity_thumbprint = TEXT("00") },
          { "IDENTITY_SERVER_THUMBPRINT", "40 hex digits" } },
        { "Service Fabric without TLS",
          { IDENTITY, .identity_thumbprint = TEXT("0123456789012345678901234567890123456789") },
          { "IDENTITY_ENDPOINT", "https only" } },
        { "one that is not on this host",
          { .identity_source = TEXT("app-service") },
          { "`identity_source`", "IDENTITY_HEADER" } },
        { "no agent", { .identity_source = TEXT("arc") }, { "`identity_source`", "/opt/azcmagent" } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct asking asking = { .config = rows[i].config };
        enum kv_status status = ask(&asking, NULL, 0);
        if (status != KV_CREDENTIAL || asking.seen.requests || !strstr(asking.err.text, rows[i].words[0]) ||
            !strstr(asking.err.text, rows[i].words[1]) || strstr(asking.err.text, "header-1"))
            fail_msg("%s: %d '%s'", rows[i].sentence, status, asking.err.text);
    }
}

/* ---- repeats, and who is not there ---- */

static void failures_are_repeated_or_final(void **state)
{
    static const struct {
        const char *sentence;
        struct kv_vault_config config;
        bool chain;
        const char *reply;
        size_t
            requests; /* of that reply, and of nothing else; in a chain the first asks whether anybody is there */
        bool absent;
    } rows[] = {
        { "400: no such identity", { 0 }, false, NO_IDENTITY, 1, false },
        { "404 while one is being assigned", { 0 }, false, EMPTY_REPLY("404 Not Found"), 6, false },
        { "429", { 0 }, false, EMPTY_REPLY("429 Too Many Requests"), 6, false },
        { "505", { 0 }, false, EMPTY_REPLY("505 What"), 6, false },
        { "403", { 0 }, false, EMPTY_REPLY("403 Forbidden"), 1, false },
        { "302 is not followed",
          { 0 },
          false,
          "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
          1,
          false },
        { "elsewhere a 404 is final", { IDENTITY }, false, EMPTY_REPLY("404 Not Found"), 1, false },
        { "elsewhere a 410 is final", { IDENTITY }, false, EMPTY_REPLY("410 Gone"), 1, false },
        { "elsewhere a 503 is repeated", { IDENTITY }, false, EMPTY_REPLY("503 Busy"), 6, false },
        { "in a chain: nobody has an identity", { 0 }, true, NO_IDENTITY, 2, true },
        { "in a chain: not the one that was named", { .client_id = TEXT("c") }, true, NO_IDENTITY, 2, false },
        { "in a chain: unreachable network", { 0 }, true, EMPTY_REPLY("403 Forbidden"), 1, true },
        { "in a chain: 504", { 0 }, true, EMPTY_REPLY("504 Late"), 1, true },
        { "in a chain: another cloud's", { 0 }, true, EMPTY_REPLY("404 Not Found"), 2, true },
        { "in a chain: throttled is not absent",
          { 0 },
          true,
          EMPTY_REPLY("429 Too Many Requests"),
          7,
          false },
        { "in a chain: App Service is never absent",
          { IDENTITY },
          true,
          EMPTY_REPLY("403 Forbidden"),
          1,
          false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct asking asking = { .config = rows[i].config, .chain = rows[i].chain };
        struct tcp_step steps[12];
        for (size_t k = 0; k < 12; k++)
            steps[k] = (struct tcp_step){ rows[i].reply, TCP_KEEP };
        enum kv_status status = ask(&asking, steps, 12);
        if (status != KV_CREDENTIAL || asking.seen.requests != rows[i].requests ||
            asking.absent != rows[i].absent || strstr(asking.err.text, "header-1"))
            fail_msg("%s: %d, %zu requests, absent %d, '%s'", rows[i].sentence, status, asking.seen.requests,
                     asking.absent, asking.err.text);
    }
}

static void a_service_that_is_being_upgraded_is_waited_for(void **state)
{
    struct tcp_step steps[15];
    for (size_t k = 0; k < 15; k++)
        steps[k] = (struct tcp_step){ EMPTY_REPLY("410 Gone"), TCP_KEEP };
    struct asking asking = { 0 };
    assert_int_equal(ask(&asking, steps, 15), KV_CREDENTIAL);
    assert_true(slept_ms >= 70000 && slept_ms < 100000);
    assert_non_null(strstr(asking.err.text, "being upgraded"));
}

static void nobody_answering_is_absent_only_in_a_chain(void **state)
{
    struct kv_vault_config config = { .imds_endpoint = TEXT("http://127.0.0.1:1"), .name = TEXT("prod") };
    for (int chain = 0; chain < 2; chain++) {
        struct kv_http *http = NULL;
        struct kv_http_options options = { .connect_timeout_ms = 1000,
                                           .idle_ms = 1000,
                                           .max_connections = 1,
                                           .user_agent = "kvp11/test",
                                           .clock = &fixed };
        static const struct kv_challenge challenge = { "https://login.localhost", "t", "https://v/.default" };
        struct kv_task task = { kv_deadline_in(&fixed, 600000), "test" };
        bool absent = false;
        assert_int_equal(kv_http_open(&options, &http, NULL), KV_OK);
        struct kv_credential_request request = { .config = &config,
                                                 .challenge = &challenge,
                                                 .http = http,
                                                 .task = &task,
                                                 .absent = chain ? &absent : NULL };
        struct kv_access_token token;
        slept_ms = 0;
        assert_int_equal(kv_managed_acquire(&request, folder, &token, NULL), KV_UNREACHABLE);
        assert_int_equal(absent, chain);
        assert_int_equal(slept_ms > 0, !chain);
        kv_http_free(http);
    }
}

/* ---- Azure Arc ---- */

static void write_file(const char *path, const char *text, size_t pad)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    for (size_t i = 0; i < pad; i++)
        fputc('k', file);
    fclose(file);
}

static enum kv_status ask_arc(struct asking *asking, const char *realm, const char *token)
{
    KV_AUTO_TEXT char *first = kv_text_format(
        "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=%s\r\nContent-Length: 0\r\n\r\n", realm);
    struct tcp_step steps[] = { { first, TCP_KEEP }, { token, TCP_KEEP } };
    asking->config.identity_endpoint = TEXT("{e}");
    asking->config.arc_imds_endpoint = TEXT("http://localhost:40342");
    return ask(asking, steps, 2);
}

static void arc_proves_itself_by_a_key(void **state)
{
    KV_AUTO_TEXT char *path = kv_text_format("%s/a.key", folder), *quoted = kv_text_format("\"%s\"", path);
    struct asking asking = { 0 };
    write_file(path, "key-1\n", 0);
    enum kv_status status = ask_arc(&asking, path, TOKEN_REPLY);
    if (status)
        fail_msg("%s", asking.err.text);
    const char *line = "GET /identity?api-version=2020-06-01&" RESOURCE " HTTP/1.1\r\n";
    assert_int_equal(asking.seen.requests, 2);
    assert_int_equal(strncmp(asking.last, line, strlen(line)), 0);
    assert_non_null(strstr(asking.last, "\r\nMetadata: true\r\n"));
    assert_non_null(strstr(asking.last, "\r\nAuthorization: Basic key-1\r\n"));
    kv_access_token_free(&asking.token);
    write_file(path, "", 4096);
    asking = (struct asking){ 0 };
    assert_int_equal(ask_arc(&asking, quoted, TOKEN_REPLY), KV_OK);
    kv_access_token_free(&asking.token);
    unlink(path);
}

static void a_key_that_is_not_arcs_is_not_read(void **state)
{
    static const struct {
        const char *sentence, *realm; /* %s: the folder */
        const char *text;
        size_t pad;
        const char *word;
    } rows[] = {
        { "another folder", "/etc/a.key", "k", 0, "'/etc/a.key'" },
        { "a folder that begins like it", "%s-2/a.key", "k", 0, "not a *.key right in" },
        { "below the folder", "%s/x/a.key", "k", 0, "not a *.key right in" },
        { "up and out", "%s/../a.key", "k", 0, "not a *.key right in" },
        { "another suffix", "%s/a.txt", "k", 0, "not a *.key right in" },
        { "a suffix alone", "%s/.key", "k", 0, "not a *.key right in" },
        { "the folder", "%s", "k", 0, "not a *.key right in" },
        { "no file", "%s/none.key", "k", 0, "No such file" },
        { "a symbolic link", "%s/link.key", "k", 0, "symbolic link" },
        { "a folder as key", "%s/dir.key", "k", 0, "is not a regular file" },
        { "one byte too much", "%s/a.key", "", 4097, "larger than 4096 bytes" },
        { "nothing in it", "%s/a.key", "", 0, "one word" },
        { "a newline alone", "%s/a.key", "\n", 0, "one word" },
        { "two lines", "%s/a.key", "a\r\nEvil: 1", 0, "one word" },
    };
    KV_AUTO_TEXT char *key = kv_text_format("%s/a.key", folder),
                      *link = kv_text_format("%s/link.key", folder),
                      *dir = kv_text_format("%s/dir.key", folder), *text = kv_text_format("%s/a.txt", folder);
    assert_int_equal(symlink(key, link), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct asking asking = { 0 };
        const char *tail = strstr(rows[i].realm, "%s");
        KV_AUTO_TEXT char *realm =
            tail ? kv_text_format("%s%s", folder, tail + 2) : kv_text_copy(rows[i].realm);
        write_file(key, rows[i].text, rows[i].pad);
        write_file(text, rows[i].text, rows[i].pad);
        enum kv_status status = ask_arc(&asking, realm, TOKEN_REPLY);
        if (status != KV_CREDENTIAL || asking.seen.requests != 1 || !strstr(asking.err.text, rows[i].word))
            fail_msg("%s: %d, %zu requests, '%s'", rows[i].sentence, status, asking.seen.requests,
                     asking.err.text);
    }
    unlink(key);
    unlink(link);
    unlink(text);
    rmdir(dir);
}

static void an_arc_that_passes_over_the_identity_is_refused(void **state)
{
    static const struct {
        const char *reply;
        enum kv_status status;
    } rows[] = {
        { OK_REPLY("66", "{\"access_token\":\"abc\",\"expires_on\":1800000100,\"client_id\":\"C-1\"}  "),
          KV_OK },
        { OK_REPLY("66", "{\"access_token\":\"abc\",\"expires_on\":1800000100,\"client_id\":\"c-2\"}  "),
          KV_CREDENTIAL },
        { TOKEN_REPLY, KV_CREDENTIAL },
    };
    KV_AUTO_TEXT char *path = kv_text_format("%s/a.key", folder);
    write_file(path, "key-1", 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct asking asking = { .config = { .client_id = TEXT("c-1") } };
        enum kv_status status = ask_arc(&asking, path, rows[i].reply);
        if (status != rows[i].status || (status && !strstr(asking.err.text, "'c-1'")))
            fail_msg("%zu: %d '%s'", i, status, asking.err.text);
        assert_non_null(strstr(asking.last, "&client_id=c-1 "));
        kv_access_token_free(&asking.token);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_asked_in_its_way),
        cmocka_unit_test(what_cannot_be_asked_is_refused),
        cmocka_unit_test(failures_are_repeated_or_final),
        cmocka_unit_test(a_service_that_is_being_upgraded_is_waited_for),
        cmocka_unit_test(nobody_answering_is_absent_only_in_a_chain),
        cmocka_unit_test(arc_proves_itself_by_a_key),
        cmocka_unit_test(a_key_that_is_not_arcs_is_not_read),
        cmocka_unit_test(an_arc_that_passes_over_the_identity_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
