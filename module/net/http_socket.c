#include "http_private.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

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
curl_socket_t kv_http_socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0 && address->socktype == SOCK_STREAM)
        notice_vanished(fd, user);
    return fd;
}

/* A connection that was idle may be dead without a word of it: what is sent there is never acknowledged, while a vault that only takes its time has its
 * kernel acknowledge at once. So on a connection that is kept what stays unacknowledged for a moment ends it, and libcurl, which has no byte of a reply,
 * sends the request again on another. A part of what a call may take, so that there is time left for that. */
void kv_http_socket_keep(CURL *curl, int64_t left_ms)
{
    enum { PART = 4, LEAST_MS = 500, MOST_MS = 3000 };
    curl_socket_t fd = CURL_SOCKET_BAD;
    int ms = left_ms / PART < MOST_MS ? (int)(left_ms / PART) : MOST_MS;
    ms = ms < LEAST_MS ? LEAST_MS : ms;
    if (!curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &fd) && fd != CURL_SOCKET_BAD)
        (void)!setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}
