#include "net/http.h"
#include "tcp_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

/* ---- a client and a server ---- */

static int64_t skew_ms;

static int64_t skewed_ms(const struct kv_clock *clock)
{
    return kv_clock_system.steady_ms(&kv_clock_system) + skew_ms;
}

static struct kv_clock skewed;

struct pair {
    struct kv_http *http;
    struct tcp_server *server;
    char url[64];
};

static struct pair start(const struct tcp_step *steps, size_t count)
{
    struct pair pair = { .server = tcp_server_start(steps, count) };
    skew_ms = 0;
    skewed = kv_clock_system;
    skewed.steady_ms = skewed_ms;
    struct kv_http_options options = {
        .connect_timeout_ms = 10000,
        .idle_ms = 30000,
        .max_connections = 2,
        .user_agent = "kvp11/test",
        .clock = &skewed,
    };
    assert_int_equal(kv_http_open(&options, &pair.http, NULL), KV_OK);
    snprintf(pair.url, sizeof pair.url, "http://127.0.0.1:%d/a?b=c", tcp_server_port(pair.server));
    return pair;
}

static struct tcp_seen end(struct pair *pair)
{
    kv_http_free(pair->http);
    return tcp_server_stop(pair->server);
}

static enum kv_status send_it(struct pair *pair, struct kv_http_request request, struct kv_http_reply *ret,
                              struct kv_error *err)
{
    request.url = request.url ? request.url : pair->url;
    request.method = request.method ? request.method : "GET";
    return kv_http_send(pair->http, &request, kv_deadline_in(&skewed, 20000), ret, err);
}

static void get_ok(struct pair *pair)
{
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    struct kv_error err = { 0 };
    if (send_it(pair, (struct kv_http_request){ .link_local = true }, &reply, &err) != KV_OK)
        fail_msg("%s", err.text);
    assert_int_equal(reply.status, 200);
}

#define START(...)                                                                                           \
    static const struct tcp_step steps[] = { __VA_ARGS__ };                                                  \
    struct pair pair = start(steps, sizeof steps / sizeof steps[0])

/* ---- tests ---- */

static void a_reply_is_taken_apart(void **state)
{
    START({ "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer a=1\r\nwww-authenticate:PoP b=2  \r\n"
            "Retry-After: 7\r\nretry-after-ms: 1500\r\nX-MS-Request-Id: abc-1\r\nOther: \r\n"
            "Content-Length: 5\r\n\r\nhello",
            TCP_KEEP });
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    assert_int_equal(send_it(&pair, (struct kv_http_request){ .link_local = true }, &reply, NULL), KV_OK);
    assert_int_equal(reply.status, 401);
    assert_int_equal(reply.body.len, 5);
    assert_memory_equal(reply.body.data, "hello", 5);
    assert_int_equal(reply.challenge_count, 2);
    assert_string_equal(reply.challenges[0], "Bearer a=1");
    assert_string_equal(reply.challenges[1], "PoP b=2");
    assert_string_equal(reply.retry_after, "7");
    assert_string_equal(reply.retry_after_ms, "1500");
    assert_string_equal(reply.request_id, "abc-1");
    end(&pair);
    tcp_server_free(pair.server);
}

static void what_came_before_the_reply_does_not_count(void **state)
{
    START({ "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\nWWW-Authenticate: x\r\n\r\n" OK_REPLY, TCP_KEEP });
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    assert_int_equal(send_it(&pair, (struct kv_http_request){ .link_local = true }, &reply, NULL), KV_OK);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.retry_after, "");
    assert_int_equal(reply.challenge_count, 0);
    end(&pair);
    tcp_server_free(pair.server);
}

static void a_request_is_written_as_asked(void **state)
{
    static const struct {
        const char *method, *body, *line, *length;
    } rows[] = {
        { "GET", NULL, "GET /a?b=c HTTP/1.1\r\n", NULL },
        { "DELETE", NULL, "DELETE /a?b=c HTTP/1.1\r\n", NULL },
        { "POST", "{\"x\":1}", "POST /a?b=c HTTP/1.1\r\n", "\r\nContent-Length: 7\r\n" },
        { "POST", NULL, "POST /a?b=c HTTP/1.1\r\n", "\r\nContent-Length: 0\r\n" },
        { "PATCH", "{}", "PATCH /a?b=c HTTP/1.1\r\n", "\r\nContent-Length: 2\r\n" },
        { "PUT", "{}", "PUT /a?b=c HTTP/1.1\r\n", "\r\nContent-Length: 2\r\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        START({ OK_REPLY, TCP_KEEP });
        KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
        struct kv_http_request request = { .method = rows[i].method,
                                           .headers = { { "Accept", "application/json" },
                                                        { "Authorization", "Bearer xyz" } },
                                           .body = kv_view_text(rows[i].body),
                                           .link_local = true };
        assert_int_equal(send_it(&pair, request, &reply, NULL), KV_OK);
        struct tcp_seen seen = end(&pair);
        if (strncmp(seen.last, rows[i].line, strlen(rows[i].line)) != 0 ||
            !strstr(seen.last, "\r\nAuthorization: Bearer xyz\r\n") ||
            !strstr(seen.last, "\r\nAccept: application/json\r\n") ||
            !strstr(seen.last, "\r\nUser-Agent: kvp11/test\r\n") || strstr(seen.last, "Expect") ||
            !rows[i].length != !strcasestr(seen.last, "Content-Length") ||
            (rows[i].length && !strstr(seen.last, rows[i].length)) ||
            strcmp(strstr(seen.last, "\r\n\r\n") + 4, rows[i].body ? rows[i].body : "") != 0)
            fail_msg("%s: %s", rows[i].method, seen.last);
        tcp_server_free(pair.server);
    }
}

static void a_verb_leaves_no_trace_on_the_next(void **state)
{
    START({ OK_REPLY, TCP_KEEP }, { OK_REPLY, TCP_KEEP }, { OK_REPLY, TCP_KEEP });
    static const char *const methods[] = { "PATCH", "POST", "GET" };
    for (size_t i = 0; i < 3; i++) {
        KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
        struct kv_http_request request = { .method = methods[i],
                                           .headers = { { i ? NULL : "Authorization", "Bearer xyz" } },
                                           .body = kv_view_text("{}"),
                                           .link_local = true };
        assert_int_equal(send_it(&pair, request, &reply, NULL), KV_OK);
    }
    struct tcp_seen seen = end(&pair);
    assert_memory_equal(seen.last, "GET ", 4);
    assert_null(strstr(seen.last, "Authorization"));
    assert_null(strcasestr(seen.last, "Content-Length"));
    assert_int_equal(seen.connections, 1);
    tcp_server_free(pair.server);
}

static void a_connection_is_used_again_until_it_is_old(void **state)
{
    START({ OK_REPLY, TCP_KEEP }, { OK_REPLY, TCP_KEEP }, { OK_REPLY, TCP_KEEP }, { OK_REPLY, TCP_KEEP });
    get_ok(&pair);
    skew_ms = 29000;
    get_ok(&pair);
    skew_ms += 30001 + 5000;
    get_ok(&pair);
    get_ok(&pair);
    struct tcp_seen seen = end(&pair);
    assert_int_equal(seen.requests, 4);
    assert_int_equal(seen.connections, 2);
    tcp_server_free(pair.server);
}

static void a_reused_connection_that_dies_costs_one_more_try(void **state)
{
    START({ OK_REPLY, TCP_KEEP }, { NULL, TCP_CLOSE }, { OK_REPLY, TCP_KEEP });
    get_ok(&pair);
    get_ok(&pair);
    struct tcp_seen seen = end(&pair);
    assert_int_equal(seen.requests, 3);
    assert_int_equal(seen.connections, 2);
    tcp_server_free(pair.server);
}

static void once_is_once(void **state)
{
    START({ OK_REPLY, TCP_KEEP }, { NULL, TCP_CLOSE }, { OK_REPLY, TCP_KEEP });
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    struct kv_error err = { 0 };
    get_ok(&pair);
    struct kv_http_request request = { .method = "POST", .link_local = true, .once = true };
    assert_int_equal(send_it(&pair, request, &reply, &err), KV_PROTOCOL);
    assert_true(reply.maybe_processed);
    assert_int_equal(reply.status, 0);
    struct tcp_seen seen = end(&pair);
    assert_int_equal(seen.requests, 2);
    tcp_server_free(pair.server);
}

struct failing {
    const char *name;
    struct tcp_step step;
    struct kv_http_request request;
    enum kv_status status;
    int http;
    bool maybe_processed;
    const char *text;
};

static const struct failing failing[] = {
    { "no reply", { NULL, TCP_CLOSE }, { .link_local = true }, KV_PROTOCOL, 0, true, "cut" },
    { "half a header",
      { "HTTP/1.1 200 OK\r\nConte", TCP_CLOSE },
      { .link_local = true },
      KV_OK,
      200,
      false,
      NULL },
    { "half a body",
      { "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"kid\":", TCP_CLOSE },
      { .link_local = true },
      KV_PROTOCOL,
      0,
      true,
      "cut" },
    { "a body that is announced too large",
      { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", TCP_KEEP },
      { .link_local = true, .reply_max = 8 },
      KV_PROTOCOL,
      200,
      true,
      "too large" },
    { "a body that fits just so",
      { "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678", TCP_KEEP },
      { .link_local = true, .reply_max = 8 },
      KV_OK,
      200,
      false,
      NULL },
    { "no web server",
      { "SSH-2.0-OpenSSH_9.2\r\n", TCP_CLOSE },
      { .link_local = true },
      KV_PROTOCOL,
      0,
      true,
      "service" },
    { "a redirect is not followed",
      { "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", TCP_KEEP },
      { .link_local = true },
      KV_OK,
      302,
      false,
      NULL },
    { "plain http where https is due", { OK_REPLY, TCP_KEEP }, { 0 }, KV_CONFIG, 0, false, "https://" },
    { "a line break in a header",
      { OK_REPLY, TCP_KEEP },
      { .headers = { { "Authorization", "Bearer x\r\nEvil: 1" } }, .link_local = true },
      KV_ARGUMENTS,
      0,
      false,
      "header" },
};

static void failures_are_told_apart(void **state)
{
    for (size_t i = 0; i < sizeof failing / sizeof failing[0]; i++) {
        struct pair pair = start(&failing[i].step, 1);
        KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
        struct kv_error err = { 0 };
        enum kv_status status = send_it(&pair, failing[i].request, &reply, &err);
        if (status != failing[i].status || reply.status != failing[i].http ||
            reply.maybe_processed != failing[i].maybe_processed ||
            (failing[i].text && !strstr(err.text, failing[i].text)) ||
            (status != KV_OK && !strstr(err.text, "127.0.0.1")))
            fail_msg("%s: %s, http %d, processed %d, '%s'", failing[i].name, kv_status_name(status),
                     reply.status, reply.maybe_processed, err.text);
        end(&pair);
        tcp_server_free(pair.server);
    }
}

static void endless_headers_are_cut_off(void **state)
{
    enum { LINES = 1000 };
    static char text[LINES * 128] = "HTTP/1.1 200 OK\r\n";
    size_t len = strlen(text);
    for (size_t i = 0; i < LINES; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "X-Line-%zu: %090zu\r\n", i, i);
    struct tcp_step step = { text, TCP_HOLD };
    struct pair pair = start(&step, 1);
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    assert_int_equal(send_it(&pair, (struct kv_http_request){ .link_local = true }, &reply, NULL),
                     KV_PROTOCOL);
    end(&pair);
    tcp_server_free(pair.server);
}

static void a_silent_peer_is_left_at_the_deadline(void **state)
{
    START({ NULL, TCP_HOLD });
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    struct kv_error err = { 0 };
    struct kv_http_request request = { .method = "GET", .url = pair.url, .link_local = true };
    assert_int_equal(kv_http_send(pair.http, &request, kv_deadline_in(&skewed, 60), &reply, &err),
                     KV_TIMED_OUT);
    assert_true(reply.maybe_processed);
    assert_non_null(strstr(err.text, "deadline"));
    assert_int_equal(kv_http_send(pair.http, &request, kv_deadline_in(&skewed, 0), &reply, &err),
                     KV_TIMED_OUT);
    assert_false(reply.maybe_processed);
    struct tcp_seen seen = end(&pair);
    assert_int_equal(seen.requests, 1);
    tcp_server_free(pair.server);
}

static void nobody_there_is_unreachable(void **state)
{
    START({ OK_REPLY, TCP_KEEP });
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    struct kv_error err = { 0 };
    char url[64];
    tcp_server_stop(pair.server);
    memcpy(url, pair.url, sizeof url);
    assert_int_equal(send_it(&pair, (struct kv_http_request){ .link_local = true }, &reply, &err),
                     KV_UNREACHABLE);
    assert_false(reply.maybe_processed);
    *strstr(url, "/a?b=c") = 0;
    assert_non_null(strstr(err.text, url));
    assert_null(strstr(err.text, "b=c"));
    kv_http_free(pair.http);
    tcp_server_free(pair.server);
}

struct blocked {
    struct pair *pair;
    pthread_t thread;
};

static void *hang(void *user)
{
    struct blocked *blocked = user;
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    (void)!send_it(blocked->pair, (struct kv_http_request){ .link_local = true }, &reply, NULL);
    return NULL;
}

static void the_wait_for_a_connection_ends_at_the_deadline(void **state)
{
    START({ NULL, TCP_HOLD }, { NULL, TCP_HOLD });
    struct blocked blocked[2] = { { &pair, 0 }, { &pair, 0 } };
    for (size_t i = 0; i < 2; i++)
        pthread_create(&blocked[i].thread, NULL, hang, &blocked[i]);
    tcp_server_wait(pair.server, 2);
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    struct kv_error err = { 0 };
    struct kv_http_request request = { .method = "GET", .url = pair.url, .link_local = true };
    assert_int_equal(kv_http_send(pair.http, &request, kv_deadline_in(&skewed, 20), &reply, &err),
                     KV_TIMED_OUT);
    assert_non_null(strstr(err.text, "busy"));
    assert_false(reply.maybe_processed);
    tcp_server_stop(pair.server);
    for (size_t i = 0; i < 2; i++)
        pthread_join(blocked[i].thread, NULL);
    kv_http_free(pair.http);
    tcp_server_free(pair.server);
}

static void connections_are_not_for_children(void **state)
{
    START({ OK_REPLY, TCP_KEEP });
    get_ok(&pair);
    size_t found = 0;
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer = { 0 };
        socklen_t len = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &len) || peer.sin_family != AF_INET ||
            ntohs(peer.sin_port) != tcp_server_port(pair.server))
            continue;
        found++;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    assert_int_equal(found, 1);
    end(&pair);
    tcp_server_free(pair.server);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int number)
{
    pipes++;
}

static void a_broken_pipe_does_not_reach_the_host(void **state)
{
    START({ OK_REPLY, TCP_CLOSE }, { OK_REPLY, TCP_CLOSE });
    sigset_t before = { 0 }, after = { 0 };
    signal(SIGPIPE, on_pipe);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    get_ok(&pair);
    get_ok(&pair);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(pipes, 0);
    signal(SIGPIPE, SIG_DFL);
    end(&pair);
    tcp_server_free(pair.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_taken_apart),
        cmocka_unit_test(what_came_before_the_reply_does_not_count),
        cmocka_unit_test(a_request_is_written_as_asked),
        cmocka_unit_test(a_verb_leaves_no_trace_on_the_next),
        cmocka_unit_test(a_connection_is_used_again_until_it_is_old),
        cmocka_unit_test(a_reused_connection_that_dies_costs_one_more_try),
        cmocka_unit_test(once_is_once),
        cmocka_unit_test(failures_are_told_apart),
        cmocka_unit_test(endless_headers_are_cut_off),
        cmocka_unit_test(a_silent_peer_is_left_at_the_deadline),
        cmocka_unit_test(nobody_there_is_unreachable),
        cmocka_unit_test(the_wait_for_a_connection_ends_at_the_deadline),
        cmocka_unit_test(connections_are_not_for_children),
        cmocka_unit_test(a_broken_pipe_does_not_reach_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
