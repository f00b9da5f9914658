#include "net/http.h"

#include "base/ossl.h"
#include "http_memory.h"
#include "pool.h"
#include "reply.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

enum { CONNECTIONS_PER_HANDLE = 4, NEARLY_MS = 5 };

/* An easy handle keeps the connections it has made, so a handle used again is a connection used again. */
struct handle {
    struct kv_pooled pooled;
    CURL *curl;
    int link_local; /* what it is set up for; -1: nothing yet */
    char cause[CURL_ERROR_SIZE];
};

struct kv_http {
    char *ca_file, *user_agent;
    struct curl_slist *resolve;
    int64_t connect_timeout_ms;
    struct kv_pool pool; /* of struct handle */
};

/* ---- handles ---- */

/* Two threads may both do it: libcurl locks and counts, and nothing ever takes it back. */
static bool started(void)
{
    static atomic_bool done;
    if (!done && !kv_http_memory_start())
        done = true;
    return done;
}

/* The host's children must not inherit our connections. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void handle_free(struct handle *handle)
{
    while (handle) {
        struct handle *next = (struct handle *)handle->pooled.next;
        curl_easy_cleanup(handle->curl);
        free(handle);
        handle = next;
    }
}

static bool set_trust(CURL *c, const struct kv_http *http)
{
    if (curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2))
        return false;
    if (!http->ca_file)
        return true;
    /* Without the second line the distribution's folder of authorities would be trusted beside the file. */
    return !curl_easy_setopt(c, CURLOPT_CAINFO, http->ca_file) &&
           !curl_easy_setopt(c, CURLOPT_CAPATH, (char *)NULL);
}

/* What holds for every request of a handle. */
static bool set_up(struct handle *handle, const struct kv_http *http)
{
    CURL *c = handle->curl;
    return !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) && !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) &&
           !curl_easy_setopt(c, CURLOPT_ERRORBUFFER, handle->cause) &&
           !curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           !curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L) &&
           !curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
           /* A name look-up that hangs must not hold us past the deadline. */
           !curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L) &&
           !curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket) &&
           !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, kv_reply_body) &&
           !curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, kv_reply_header) &&
           !curl_easy_setopt(c, CURLOPT_MAXCONNECTS, (long)CONNECTIONS_PER_HANDLE) &&
           !curl_easy_setopt(c, CURLOPT_MAXAGE_CONN, (long)((http->pool.idle_ms + 999) / 1000)) &&
           !curl_easy_setopt(c, CURLOPT_USERAGENT, http->user_agent) &&
           !curl_easy_setopt(c, CURLOPT_RESOLVE, http->resolve) && kv_http_memory_set_up(c) &&
           set_trust(c, http);
}

static struct handle *handle_new(const struct kv_http *http)
{
    struct handle *handle = started() ? calloc(1, sizeof *handle) : NULL;
    if (!handle)
        return NULL;
    handle->link_local = -1;
    handle->curl = curl_easy_init();
    if (handle->curl && set_up(handle, http))
        return handle;
    handle_free(handle);
    return NULL;
}

static void release(struct kv_http *http, struct handle *handle)
{
    handle_free((struct handle *)kv_pool_give(&http->pool, (struct kv_pooled *)handle));
}

static enum kv_status acquire(struct kv_http *http, struct kv_deadline deadline, struct handle **ret,
                              struct kv_error *err)
{
    struct kv_pooled *pooled = NULL, *stale = NULL;
    if (kv_pool_take(&http->pool, deadline, &pooled, &stale) != KV_OK)
        return kv_fail(err, KV_TIMED_OUT,
                       "all %zu connections were busy until the deadline; raise `max_connections` or "
                       "`timeout`",
                       http->pool.limit);
    handle_free((struct handle *)stale);
    struct handle *handle = pooled ? (struct handle *)pooled : handle_new(http);
    if (!handle) {
        release(http, NULL);
        return kv_fail(err, KV_NO_MEMORY, "libcurl cannot be set up: out of memory");
    }
    *ret = handle;
    return KV_OK;
}

/* ---- one exchange ---- */

enum { LINES_MAX = KV_HTTP_HEADERS + 2 }; /* with Authorization and Expect */

struct header_list {
    struct curl_slist nodes[LINES_MAX];
    struct kv_bytes text; /* wiped: one of the lines may be a bearer token */
};

static void header_list_free(struct header_list *list)
{
    kv_bytes_free(&list->text);
}

struct line {
    const char *parts[3]; /* ends at a NULL */
};

static size_t gather_lines(const struct kv_http_request *request, struct line *ret)
{
    size_t count = 0;
    ret[count++] = (struct line){ { "Expect:" } }; /* no waiting for a 100 */
    if (request->bearer)
        ret[count++] = (struct line){ { "Authorization: Bearer ", request->bearer } };
    for (size_t i = 0; i < KV_HTTP_HEADERS && request->headers[i].name; i++)
        ret[count++] = (struct line){ { request->headers[i].name, ": ", request->headers[i].value } };
    return count;
}

static char *append(char *to, const char *text)
{
    size_t len = strlen(text);
    memcpy(to, text, len + 1);
    return to + len;
}

/* Nodes and text of our own: libcurl's list would hold copies of secrets that nobody wipes. */
static enum kv_status make_headers(const struct kv_http_request *request, struct header_list *ret)
{
    struct line lines[LINES_MAX];
    size_t count = gather_lines(request, lines), size = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < 3 && lines[i].parts[k]; k++) {
            if (strpbrk(lines[i].parts[k], "\r\n"))
                return KV_ARGUMENTS;
            size += strlen(lines[i].parts[k]);
        }
        size++;
    }
    KV_TRY(kv_bytes_alloc(size, &ret->text));
    char *to = (char *)ret->text.data;
    for (size_t i = 0; i < count; i++) {
        ret->nodes[i] = (struct curl_slist){ to, i + 1 < count ? &ret->nodes[i + 1] : NULL };
        for (size_t k = 0; k < 3 && lines[i].parts[k]; k++)
            to = append(to, lines[i].parts[k]);
        to++;
    }
    return KV_OK;
}

static bool set_method(CURL *c, const struct kv_http_request *request)
{
    static const struct {
        const char *method, *custom;
        bool body;
    } methods[] = {
        { "GET", NULL, false },     { "POST", NULL, true },        { "PUT", "PUT", true },
        { "PATCH", "PATCH", true }, { "DELETE", "DELETE", false },
    };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(request->method, methods[i].method) != 0)
            continue;
        if (curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, methods[i].custom))
            return false;
        if (!methods[i].body)
            return !curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
        const char *body = request->body.len ? (const char *)request->body.data : "";
        return !curl_easy_setopt(c, CURLOPT_POST, 1L) &&
               !curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len) &&
               !curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
    }
    return false;
}

static bool set_peer(struct handle *handle, bool link_local)
{
    if (handle->link_local == link_local)
        return true;
    handle->link_local = -1;
    if (curl_easy_setopt(handle->curl, CURLOPT_PROTOCOLS_STR, link_local ? "http,https" : "https") ||
        curl_easy_setopt(handle->curl, CURLOPT_NOPROXY, link_local ? "*" : NULL))
        return false;
    handle->link_local = link_local;
    return true;
}

struct errand {
    struct kv_http *http;
    struct handle *handle;
    const struct kv_http_request *request;
    struct kv_deadline deadline;
};

static bool set_request(const struct errand *errand, int64_t left_ms)
{
    struct handle *handle = errand->handle;
    const struct kv_http_request *request = errand->request;
    CURL *c = handle->curl;
    int64_t connect_ms = request->connect_timeout_ms;
    if (!connect_ms)
        connect_ms = errand->http->connect_timeout_ms;
    if (connect_ms > left_ms)
        connect_ms = left_ms;
    handle->cause[0] = 0;
    return set_peer(handle, request->link_local) && set_method(c, request) &&
           !curl_easy_setopt(c, CURLOPT_URL, request->url) &&
           !curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, request->once ? 1L : 0L) &&
           !curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms) &&
           !curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)left_ms);
}

/* libcurl writes with MSG_NOSIGNAL; TLS libraries need not. A SIGPIPE that the host had pending already, which it can only have while it blocks
 * the signal, stays. */
static CURLcode perform_quietly(CURL *c)
{
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    bool stays = sigismember(&before, SIGPIPE) && !sigpending(&pending) && sigismember(&pending, SIGPIPE);
    CURLcode code = curl_easy_perform(c);
    static const struct timespec now = { 0 };
    while (!stays && sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
        continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

/* ---- failures ---- */

static const struct {
    CURLcode code;
    enum kv_status status;
    const char *remedy;
} failures[] = {
    { CURLE_COULDNT_RESOLVE_HOST, KV_UNREACHABLE, "check the url, the name service, and `resolve`" },
    { CURLE_COULDNT_RESOLVE_PROXY, KV_UNREACHABLE, "check the proxy that the environment names" },
    { CURLE_COULDNT_CONNECT, KV_UNREACHABLE, "check the network, the firewall, and the url" },
    { CURLE_SSL_CONNECT_ERROR, KV_TLS, "the peer must offer TLS 1.2 or newer" },
    { CURLE_PEER_FAILED_VERIFICATION, KV_TLS,
      "let `ca_file` name the authority that issued its certificate" },
    { CURLE_SSL_CACERT_BADFILE, KV_TLS, "let `ca_file` name a readable file of PEM certificates" },
    { CURLE_SSL_CIPHER, KV_TLS, "the peer must offer TLS 1.2 or newer" },
    { CURLE_SSL_ISSUER_ERROR, KV_TLS, "let `ca_file` name the authority that issued its certificate" },
    { CURLE_SEND_ERROR, KV_PROTOCOL, "the connection was cut" },
    { CURLE_RECV_ERROR, KV_PROTOCOL, "the connection was cut" },
    { CURLE_GOT_NOTHING, KV_PROTOCOL, "the connection was cut" },
    { CURLE_PARTIAL_FILE, KV_PROTOCOL, "the connection was cut" },
    { CURLE_OUT_OF_MEMORY, KV_NO_MEMORY, "free some memory" },
    { CURLE_URL_MALFORMAT, KV_CONFIG, "correct the url in the configuration" },
    { CURLE_UNSUPPORTED_PROTOCOL, KV_CONFIG, "the url must begin with https://" },
};

/* Up to the path: what stands behind it may be a secret or a page of text. */
static int origin_length(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return (int)(host - url + (ptrdiff_t)strcspn(host, "/?#"));
}

struct failure {
    const struct kv_http *http;
    const struct kv_http_request *request;
    struct kv_deadline deadline;
    const struct handle *handle;
    CURLcode code;
    bool sent;
};

static bool cut_in_handshake(const struct failure *failure)
{
    long os_errno = 0;
    curl_easy_getinfo(failure->handle->curl, CURLINFO_OS_ERRNO, &os_errno);
    return failure->code == CURLE_SSL_CONNECT_ERROR && (os_errno == ECONNRESET || os_errno == EPIPE ||
                                                        strstr(failure->handle->cause, "SSL_ERROR_SYSCALL"));
}

static enum kv_status fail_late(const struct failure *failure, struct kv_error *err)
{
    const char *url = failure->request->url;
    if (!failure->sent && kv_deadline_left(failure->deadline) > NEARLY_MS)
        return kv_fail(err, KV_UNREACHABLE,
                       "'%.*s' cannot be reached: no connection within `connect_timeout`; check the network, "
                       "the firewall, and the url",
                       origin_length(url), url);
    return kv_fail(err, KV_TIMED_OUT, "'%.*s' did not answer before the deadline; see `timeout`",
                   origin_length(url), url);
}

static enum kv_status fail_refused(enum kv_status refused, const char *url, struct kv_error *err)
{
    if (refused == KV_NO_MEMORY)
        return kv_fail(err, KV_NO_MEMORY, "no memory for the reply of '%.*s'", origin_length(url), url);
    return kv_fail(err, refused, "the reply of '%.*s' is too large; what answers there is not the service",
                   origin_length(url), url);
}

static enum kv_status fail_transfer(const struct failure *failure, struct kv_error *err)
{
    const char *url = failure->request->url, *ca_file = failure->http->ca_file;
    const char *cause =
        failure->handle->cause[0] ? failure->handle->cause : curl_easy_strerror(failure->code);
    enum kv_status status = KV_PROTOCOL;
    const char *remedy = "what answers there is not the service";
    if (failure->code == CURLE_OPERATION_TIMEDOUT)
        return fail_late(failure, err);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        /* A protocol that is not ours in the url is one thing, in the reply another. */
        if (failures[i].code == failure->code && !(failures[i].status == KV_CONFIG && failure->sent)) {
            status = failures[i].status;
            remedy = failures[i].remedy;
        }
    }
    if (cut_in_handshake(failure)) {
        status = KV_UNREACHABLE;
        remedy = "the connection was cut during the TLS handshake";
    }
    if (status == KV_TLS)
        return kv_fail(err, status, "TLS with '%.*s' failed, trusting %s%s%s: %s; %s", origin_length(url),
                       url, ca_file ? "'" : "", ca_file ? ca_file : "the system's authorities",
                       ca_file ? "'" : "", cause, remedy);
    return kv_fail(err, status, "'%.*s': %s; %s", origin_length(url), url, cause, remedy);
}

/* ---- sending ---- */

static enum kv_status fail_after(const struct failure *failure, const struct kv_reply *reply,
                                 struct kv_http_reply *ret, struct kv_error *err)
{
    long http_status = 0;
    enum kv_status refused = reply->refused;
    curl_easy_getinfo(failure->handle->curl, CURLINFO_RESPONSE_CODE, &http_status);
    /* What libcurl says of a line in the head that is longer than it takes. */
    if (!refused && failure->code == CURLE_OUT_OF_MEMORY && reply->header_bytes)
        refused = KV_PROTOCOL;
    *ret =
        (struct kv_http_reply){ .status = refused ? (int)http_status : 0, .maybe_processed = failure->sent };
    return refused ? fail_refused(refused, failure->request->url, err) : fail_transfer(failure, err);
}

static CURLcode perform(struct handle *handle, struct header_list *headers, struct kv_reply *reply)
{
    CURL *c = handle->curl;
    if (curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers->nodes) ||
        curl_easy_setopt(c, CURLOPT_WRITEDATA, reply) || curl_easy_setopt(c, CURLOPT_HEADERDATA, reply))
        return CURLE_OUT_OF_MEMORY;
    CURLcode code = perform_quietly(c);
    /* What the handle borrowed is about to be gone. */
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, (struct curl_slist *)NULL);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
    return code;
}

static enum kv_status transfer(const struct errand *errand, struct kv_http_reply *ret, struct kv_error *err)
{
    const struct kv_http_request *request = errand->request;
    CURL *c = errand->handle->curl;
    KV_CLEANUP(kv_reply_free)
    struct kv_reply reply = { .body.limit = request->reply_max ? request->reply_max : KV_HTTP_REPLY_MAX };
    KV_CLEANUP(header_list_free) struct header_list headers = { 0 };
    int64_t left = kv_deadline_left(errand->deadline);
    if (!left)
        return kv_fail(err, KV_TIMED_OUT, "the deadline passed before '%.*s' could be asked; see `timeout`",
                       origin_length(request->url), request->url);
    enum kv_status made = make_headers(request, &headers);
    if (made == KV_NO_MEMORY)
        return kv_fail(err, KV_NO_MEMORY, "a request cannot be set up: out of memory");
    if (made)
        return kv_fail(err, made, "a header for '%.*s' cannot be sent", origin_length(request->url),
                       request->url);
    if (!set_request(errand, left))
        return kv_fail(err, KV_NO_MEMORY, "a request cannot be set up: out of memory");
    CURLcode code = perform(errand->handle, &headers, &reply);
    long number = 0;
    if (code) {
        curl_easy_getinfo(c, CURLINFO_REQUEST_SIZE, &number);
        struct failure failure = {
            errand->http, request, errand->deadline, errand->handle, code, number > 0
        };
        return fail_after(&failure, &reply, ret, err);
    }
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &number);
    reply.http.status = (int)number;
    reply.http.body = kv_bytes_take(&reply.body.bytes);
    *ret = reply.http;
    reply.http = (struct kv_http_reply){ 0 };
    return KV_OK;
}

enum kv_status kv_http_send(struct kv_http *http, const struct kv_http_request *request,
                            struct kv_deadline deadline, struct kv_http_reply *ret, struct kv_error *err)
{
    *ret = (struct kv_http_reply){ 0 };
    struct kv_ossl_guard guard = kv_ossl_enter();
    struct handle *handle = NULL;
    enum kv_status status = acquire(http, deadline, &handle, err);
    if (status == KV_OK) {
        status = transfer(&(struct errand){ http, handle, request, deadline }, ret, err);
        release(http, handle);
    }
    kv_ossl_leave(&guard);
    return status;
}

/* ---- opening and closing ---- */

static enum kv_status copy_options(const struct kv_http_options *options, struct kv_http *http)
{
    http->connect_timeout_ms = options->connect_timeout_ms;
    http->user_agent = kv_text_copy(options->user_agent);
    if (!http->user_agent || (options->ca_file && !(http->ca_file = kv_text_copy(options->ca_file))))
        return KV_NO_MEMORY;
    for (size_t i = 0; i < options->resolve_count; i++) {
        struct curl_slist *longer = curl_slist_append(http->resolve, options->resolve[i]);
        if (!longer)
            return KV_NO_MEMORY;
        http->resolve = longer;
    }
    return KV_OK;
}

enum kv_status kv_http_open(const struct kv_http_options *options, struct kv_http **ret, struct kv_error *err)
{
    struct kv_http *http = calloc(1, sizeof *http);
    if (!http)
        return kv_fail(err, KV_NO_MEMORY, "no memory for connections");
    http->pool = (struct kv_pool){ .clock = options->clock,
                                   .idle_ms = options->idle_ms,
                                   .limit = options->max_connections ? options->max_connections : 1 };
    if (!kv_pool_open(&http->pool)) {
        free(http);
        return kv_fail(err, KV_INTERNAL, "no lock for connections");
    }
    if (copy_options(options, http) != KV_OK) {
        kv_http_free(http);
        return kv_fail(err, KV_NO_MEMORY, "no memory for connections");
    }
    *ret = http;
    return KV_OK;
}

void kv_http_free(struct kv_http *http)
{
    if (!http)
        return;
    struct kv_ossl_guard guard = kv_ossl_enter();
    handle_free((struct handle *)http->pool.idle);
    curl_slist_free_all(http->resolve);
    kv_ossl_leave(&guard);
    kv_pool_close(&http->pool);
    free(http->ca_file);
    free(http->user_agent);
    free(http);
}

/* The parent still uses these sockets: closing one here would send its TLS a farewell. */
void kv_http_forget(struct kv_http *http)
{
    (void)http;
}
