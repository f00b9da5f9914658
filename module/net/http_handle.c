#include "http_private.h"

#include "http_memory.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { CONNECTIONS_PER_HANDLE = 4 };

/* Two threads may both do it: libcurl locks and counts, and nothing ever takes it back. */
static bool started(void)
{
    static atomic_bool done;
    if (!done && !kv_http_memory_start())
        done = true;
    return done;
}

/* A host that vanishes sends no farewell, and the kernel alone would go on for a quarter of an hour: a call with a long deadline would wait for it, and a
 * connection that only waits for its reply has nothing to send that could fail. So the peer is asked for a sign of life once it has been silent for IDLE_S,
 * and is taken for gone when it has acknowledged nothing for GONE_MS. That bounds the connecting, too, and so is never less than `connect_timeout`.
 * A system that refuses one of these is no worse off than before. */
static void notice_vanished(int fd, const struct kv_http *http)
{
    enum { IDLE_S = 30, INTERVAL_S = 10, GONE_MS = 20000 };
    int gone_ms = http->connect_timeout_ms > GONE_MS ? (int)http->connect_timeout_ms : GONE_MS;
    const struct {
        int level, name, value;
    } options[] = {
        { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S },
        { IPPROTO_TCP, TCP_KEEPINTVL, INTERVAL_S },
        { IPPROTO_TCP, TCP_USER_TIMEOUT, gone_ms },
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        (void)!setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

/* The host's children must not inherit our connections. */
static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0 && address->socktype == SOCK_STREAM)
        notice_vanished(fd, user);
    return fd;
}

void kv_http_handle_free(struct kv_http_handle *handle)
{
    while (handle) {
        struct kv_http_handle *next = (struct kv_http_handle *)handle->pooled.next;
        curl_easy_cleanup(handle->curl);
        curl_multi_cleanup(handle->multi);
        free(handle);
        handle = next;
    }
}

static bool set_trust(CURL *c, const struct kv_http *http)
{
    long least = http->tls13 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2;
    if (curl_easy_setopt(c, CURLOPT_SSLVERSION, least))
        return false;
    if (!http->ca_file)
        return true;
    /* Without the second line the distribution's folder of authorities would be trusted beside the file. */
    return !curl_easy_setopt(c, CURLOPT_CAINFO, http->ca_file) &&
           !curl_easy_setopt(c, CURLOPT_CAPATH, (char *)NULL);
}

/* What holds for every request of a handle. */
static bool set_up(struct kv_http_handle *handle, const struct kv_http *http)
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
           !curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, http) &&
           !curl_easy_setopt(c, CURLOPT_PROXY, http->proxy) &&
           !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, kv_reply_body) &&
           !curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, kv_reply_header) &&
           !curl_multi_setopt(handle->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_PER_HANDLE) &&
           !curl_easy_setopt(c, CURLOPT_MAXAGE_CONN, (long)((http->pool.idle_ms + 999) / 1000)) &&
           !curl_easy_setopt(c, CURLOPT_USERAGENT, http->user_agent) &&
           !curl_easy_setopt(c, CURLOPT_RESOLVE, http->resolve) && kv_http_memory_set_up(c) &&
           set_trust(c, http);
}

struct kv_http_handle *kv_http_handle_new(const struct kv_http *http)
{
    struct kv_http_handle *handle = started() ? calloc(1, sizeof *handle) : NULL;
    if (!handle)
        return NULL;
    handle->link_local = -1;
    handle->curl = curl_easy_init();
    handle->multi = curl_multi_init();
    if (handle->curl && handle->multi && set_up(handle, http))
        return handle;
    kv_http_handle_free(handle);
    return NULL;
}
