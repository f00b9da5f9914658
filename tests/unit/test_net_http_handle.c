/* The way to the vault: what of it can be seen from its other end, before a byte of HTTP. */
#include "net/http.h"
#include "tcp_server.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <linux/tcp.h> /* its namesake of the C library has a TCP_CLOSE, too */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

/* ---- a listener that hears one greeting and hangs up ---- */

struct ear {
    int listener, port;
    pthread_t thread;
    struct sockaddr_storage peer; /* family 0: nobody came */
    unsigned char heard[2048];
    size_t len;
};

static void *listen_once(void *user)
{
    struct ear *ear = user;
    socklen_t len = sizeof ear->peer;
    int fd = accept(ear->listener, (struct sockaddr *)&ear->peer, &len);
    if (fd < 0)
        return NULL;
    ssize_t got = recv(fd, ear->heard, sizeof ear->heard, 0);
    ear->len = got > 0 ? (size_t)got : 0;
    close(fd);
    return NULL;
}

/* False: this host has no such address. */
static bool ear_open(struct ear *ear, int family)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const struct sockaddr *at = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    struct sockaddr_storage bound;
    socklen_t len = family == AF_INET ? sizeof v4 : sizeof v6, bound_len = sizeof bound;
    *ear = (struct ear){ .listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    if (ear->listener < 0 || bind(ear->listener, at, len) != 0) {
        close(ear->listener);
        return false;
    }
    assert_int_equal(listen(ear->listener, 4), 0);
    assert_int_equal(getsockname(ear->listener, (struct sockaddr *)&bound, &bound_len), 0);
    ear->port = ntohs(family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port
                                        : ((struct sockaddr_in6 *)&bound)->sin6_port);
    assert_int_equal(pthread_create(&ear->thread, NULL, listen_once, ear), 0);
    return true;
}

static bool ear_close(struct ear *ear)
{
    shutdown(ear->listener, SHUT_RDWR);
    pthread_join(ear->thread, NULL);
    close(ear->listener);
    return ear->peer.ss_family != 0;
}

/* ---- a client ---- */

static struct kv_http *open_with(struct kv_http_options options)
{
    struct kv_http *http = NULL;
    options.connect_timeout_ms = options.connect_timeout_ms ? options.connect_timeout_ms : 10000;
    options.idle_ms = 30000;
    options.max_connections = 1;
    options.user_agent = "kvp11/test";
    options.clock = &kv_clock_system;
    assert_int_equal(kv_http_open(&options, &http, NULL), KV_OK);
    return http;
}

static enum kv_status ask(struct kv_http *http, const char *url, bool link_local, struct kv_error *err)
{
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    struct kv_http_request request = { .method = "GET", .url = url, .link_local = link_local };
    return kv_http_send(http, &request, kv_deadline_in(&kv_clock_system, 20000), &reply, err);
}

/* A vault at `host` and the ear's port is asked with the options. */
static enum kv_status ask_ear(const struct ear *ear, const char *host, struct kv_http_options options,
                              struct kv_error *err)
{
    char url[128];
    snprintf(url, sizeof url, "https://%s:%d/keys", host, ear->port);
    struct kv_http *http = open_with(options);
    enum kv_status status = ask(http, url, false, err);
    kv_http_free(http);
    return status;
}

static void forget_environment(void)
{
    static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                         "http_proxy",  "no_proxy",    "NO_PROXY" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}

/* ---- tests ---- */

static void the_oldest_tls_is_as_asked(void **state)
{
    static const unsigned char both[] = { 0, 43, 0, 5, 4, 3, 4, 3, 3 }; /* supported_versions */
    static const unsigned char newest[] = { 0, 43, 0, 3, 2, 3, 4 };
    for (int tls13 = 0; tls13 < 2; tls13++) {
        struct ear ear;
        assert_true(ear_open(&ear, AF_INET));
        assert_int_not_equal(ask_ear(&ear, "127.0.0.1", (struct kv_http_options){ .tls13 = tls13 }, NULL),
                             KV_OK);
        assert_true(ear_close(&ear));
        assert_int_equal(memmem(ear.heard, ear.len, both, sizeof both) != NULL, !tls13);
        assert_int_equal(memmem(ear.heard, ear.len, newest, sizeof newest) != NULL, tls13);
    }
}

static void only_one_family_is_used(void **state)
{
    static const struct {
        int listens, family;
        bool comes;
    } rows[] = {
        { AF_INET, 0, true },  { AF_INET, AF_INET, true },   { AF_INET, AF_INET6, false },
        { AF_INET6, 0, true }, { AF_INET6, AF_INET, false }, { AF_INET6, AF_INET6, true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ear ear;
        struct kv_error err = { 0 };
        if (!ear_open(&ear, rows[i].listens))
            continue; /* a host without IPv6 */
        enum kv_status status =
            ask_ear(&ear, "localhost", (struct kv_http_options){ .family = rows[i].family }, &err);
        if (ear_close(&ear) != rows[i].comes || (status == KV_UNREACHABLE && !rows[i].comes) == rows[i].comes)
            fail_msg("row %zu: %s", i, err.text);
    }
}

static void connections_come_from_the_interface(void **state)
{
    static const struct {
        const char *interface, *from; /* NULL: it never comes */
    } rows[] = {
        { NULL, "127.0.0.1" },  { "127.0.0.2", "127.0.0.2" }, { "lo", "127.0.0.1" },
        { "no-such-if", NULL }, { "192.0.2.1", NULL }, /* nobody's */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ear ear;
        struct kv_error err = { 0 };
        assert_true(ear_open(&ear, AF_INET));
        enum kv_status status =
            ask_ear(&ear, "127.0.0.1", (struct kv_http_options){ .interface = rows[i].interface }, &err);
        bool came = ear_close(&ear);
        char from[64] = "";
        inet_ntop(AF_INET, &((struct sockaddr_in *)&ear.peer)->sin_addr, from, sizeof from);
        if (came != !!rows[i].from || (came && strcmp(from, rows[i].from) != 0) ||
            (!came && (status != KV_UNREACHABLE || !strstr(err.text, "`interface`"))))
            fail_msg("%s: from %s: %s", rows[i].interface, from, err.text);
    }
}

struct way {
    const char *name, *proxy; /* "URL": that of the server */
    const char *https_proxy, *no_proxy;
    bool proxied;
};

static const struct way ways[] = {
    { "as the environment says", NULL, "URL", NULL, true },
    { "as the environment says, which excepts it", NULL, "URL", "127.0.0.1", false },
    { "as the environment says, which is nothing", NULL, NULL, NULL, false },
    { "none", "", "URL", NULL, false },
    { "named", "URL", NULL, NULL, true },
    { "named, over the environment", "URL", "http://127.0.0.1:1", "*", true },
};

static const char *url_or(const char *text, const char *url)
{
    return text && !strcmp(text, "URL") ? url : text;
}

static void vaults_are_reached_through_the_proxy(void **state)
{
    static const struct tcp_step refuses = { "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
                                             TCP_CLOSE };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct tcp_server *server = tcp_server_start(&refuses, 1);
        struct ear ear;
        struct kv_error err = { 0 };
        char url[64], line[64];
        assert_true(ear_open(&ear, AF_INET));
        snprintf(url, sizeof url, "http://127.0.0.1:%d", tcp_server_port(server));
        snprintf(line, sizeof line, "CONNECT 127.0.0.1:%d HTTP/1.1\r\n", ear.port);
        forget_environment();
        if (ways[i].https_proxy)
            setenv("https_proxy", url_or(ways[i].https_proxy, url), 1);
        if (ways[i].no_proxy)
            setenv("no_proxy", ways[i].no_proxy, 1);
        enum kv_status status =
            ask_ear(&ear, "127.0.0.1", (struct kv_http_options){ .proxy = url_or(ways[i].proxy, url) }, &err);
        forget_environment();
        bool came = ear_close(&ear);
        struct tcp_seen seen = tcp_server_stop(server);
        if (came == ways[i].proxied || seen.requests != (ways[i].proxied ? 1 : 0) ||
            (ways[i].proxied && (strncmp(seen.last, line, strlen(line)) != 0 || status != KV_UNREACHABLE ||
                                 !strstr(err.text, "`proxy`") || !strstr(err.text, "403"))))
            fail_msg("%s: %s, '%s', %s", ways[i].name, kv_status_name(status), seen.last, err.text);
        tcp_server_free(server);
    }
}

static void identity_endpoints_are_reached_as_ever(void **state)
{
    static const struct tcp_step steps[] = { { OK_REPLY, TCP_KEEP } };
    static const struct kv_http_options rows[] = {
        { .proxy = "http://127.0.0.1:1" },
        { .family = AF_INET6 },
        { .interface = "no-such-if" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tcp_server *server = tcp_server_start(steps, 1);
        struct kv_http *http = open_with(rows[i]);
        struct kv_error err = { 0 };
        char url[64];
        snprintf(url, sizeof url, "https://127.0.0.1:%d/keys", tcp_server_port(server));
        assert_int_equal(ask(http, url, false, &err), KV_UNREACHABLE); /* by the same handle */
        snprintf(url, sizeof url, "http://127.0.0.1:%d/token", tcp_server_port(server));
        if (ask(http, url, true, &err) != KV_OK)
            fail_msg("row %zu: %s", i, err.text);
        kv_http_free(http);
        assert_int_equal(memcmp(tcp_server_stop(server).last, "GET /token HTTP/1.1\r\n", 21), 0);
        tcp_server_free(server);
    }
}

/* Our end of the connection to the port; -1: none. */
static int our_end(int port)
{
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer = { 0 };
        socklen_t len = sizeof peer;
        if (!getpeername(fd, (struct sockaddr *)&peer, &len) && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == port)
            return fd;
    }
    return -1;
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

struct asking {
    struct kv_http *http;
    const char *url;
    pthread_t thread;
};

static void *ask_unheard(void *user)
{
    struct asking *asking = user;
    (void)!ask(asking->http, asking->url, true, NULL);
    return NULL;
}

static void vanished_hosts_are_noticed(void **state)
{
    static const struct tcp_step steps[] = { { NULL, TCP_HOLD } };
    static const int rows[][2] = { { 10000, 20000 },
                                   { 60000, 60000 } }; /* never less than connecting may take */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tcp_server *server = tcp_server_start(steps, 1);
        char url[64];
        struct asking asking = { open_with((struct kv_http_options){ .connect_timeout_ms = rows[i][0] }), url,
                                 0 };
        snprintf(url, sizeof url, "http://127.0.0.1:%d/token", tcp_server_port(server));
        assert_int_equal(pthread_create(&asking.thread, NULL, ask_unheard, &asking), 0);
        tcp_server_wait(server, 1);
        int fd = our_end(tcp_server_port(server));
        assert_int_not_equal(fd, -1);
        assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 30);
        assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
        assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), rows[i][1]);
        tcp_server_stop(server);
        pthread_join(asking.thread, NULL);
        kv_http_free(asking.http);
        tcp_server_free(server);
    }
}

static int64_t stands_still(const struct kv_clock *clock)
{
    (void)clock;
    return 1000;
}

/* Ours, before libcurl's own: what it says of itself, but for HTTP/2. */
static bool without_http2;
curl_version_info_data *curl_version_info(CURLversion age)
{
    static curl_version_info_data told;
    curl_version_info_data *(*real)(CURLversion) =
        (curl_version_info_data * (*)(CURLversion)) dlsym(RTLD_NEXT, "curl_version_info");
    told = *real(age);
    if (without_http2)
        told.features &= ~CURL_VERSION_HTTP2;
    return &told;
}

static void http2_is_refused_where_libcurl_lacks_it(void **state)
{
    static const struct {
        bool http2, or_error, lacks;
        enum kv_status status;
    } rows[] = {
        { false, false, true, KV_OK },
        { true, false, true, KV_OK },
        { true, true, true, KV_CONFIG },
        { true, true, false, KV_OK },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv_http_options options = { .http2 = rows[i].http2,
                                           .http2_or_error = rows[i].or_error,
                                           .connect_timeout_ms = 1000,
                                           .user_agent = "kvp11/test",
                                           .clock = &kv_clock_system };
        struct kv_http *http = NULL;
        struct kv_error err = { 0 };
        without_http2 = rows[i].lacks;
        assert_int_equal(kv_http_open(&options, &http, &err), rows[i].status);
        assert_int_equal(strstr(err.text, "`http_version = 2`") != NULL, rows[i].status != KV_OK);
        kv_http_free(http);
    }
    without_http2 = false;
}

static void http2_is_offered_as_asked(void **state)
{
    static const char h2[] = { 2, 'h', '2' }; /* of ALPN */
    for (int http2 = 0; http2 < 2; http2++) {
        for (int lacks = 0; lacks < 2; lacks++) {
            struct ear ear;
            without_http2 = lacks;
            assert_true(ear_open(&ear, AF_INET));
            assert_int_not_equal(ask_ear(&ear, "127.0.0.1", (struct kv_http_options){ .http2 = http2 }, NULL),
                                 KV_OK);
            assert_true(ear_close(&ear));
            assert_int_equal(memmem(ear.heard, ear.len, h2, sizeof h2) != NULL, http2 && !lacks);
        }
    }
    without_http2 = false;
}

static void kept_connections_are_not_waited_for_long(void **state)
{
    static const struct tcp_step steps[] = { { OK_REPLY, TCP_KEEP } };
    static const int rows[][2] = { { 30000, 3000 },
                                   { 8000, 2000 },
                                   { 1000, 500 } }; /* of what a call may take */
    struct kv_clock clock = kv_clock_system;
    clock.steady_ms = stands_still;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
        struct tcp_server *server = tcp_server_start(steps, 1);
        struct kv_http *http = open_with((struct kv_http_options){ 0 });
        char url[64];
        snprintf(url, sizeof url, "http://127.0.0.1:%d/token", tcp_server_port(server));
        struct kv_http_request request = { .method = "GET", .url = url, .link_local = true };
        assert_int_equal(kv_http_send(http, &request, kv_deadline_in(&clock, rows[i][0]), &reply, NULL),
                         KV_OK);
        assert_int_equal(option_of(our_end(tcp_server_port(server)), IPPROTO_TCP, TCP_USER_TIMEOUT),
                         rows[i][1]);
        kv_http_free(http);
        tcp_server_stop(server);
        tcp_server_free(server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_tls_is_as_asked),
        cmocka_unit_test(only_one_family_is_used),
        cmocka_unit_test(connections_come_from_the_interface),
        cmocka_unit_test(vaults_are_reached_through_the_proxy),
        cmocka_unit_test(identity_endpoints_are_reached_as_ever),
        cmocka_unit_test(vanished_hosts_are_noticed),
        cmocka_unit_test(http2_is_refused_where_libcurl_lacks_it),
        cmocka_unit_test(http2_is_offered_as_asked),
        cmocka_unit_test(kept_connections_are_not_waited_for_long),
    };
    forget_environment();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
