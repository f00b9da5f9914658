#include "http_private.h"

#include "http_memory.h"

#include <stdatomic.h>

enum { CONNECTIONS_PER_HANDLE = 4 };

/* Two threads may both do it: libcurl locks and counts, and nothing ever takes it back. */
static bool started(void)
{
    static atomic_bool done;
    if (!done && !kv_http_memory_start())
        done = true;
    return done;
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
static bool set_up(struct kv_http_handle *handle, struct kv_http *http)
{
    CURL *c = handle->curl;
    long version = http->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
    return !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) && !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) &&
           !curl_easy_setopt(c, CURLOPT_ERRORBUFFER, handle->cause) &&
           !curl_easy_setopt(c, CURLOPT_HTTP_VERSION, version) &&
           !curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L) &&
           !curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
           /* A name look-up that hangs must not hold us past the deadline. */
           !curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L) &&
           !curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, kv_http_socket_open) &&
           !curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, http) &&
           !curl_easy_setopt(c, CURLOPT_PROXY, http->proxy) &&
           !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, kv_reply_body) &&
           !curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, kv_reply_header) &&
           !curl_multi_setopt(handle->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_PER_HANDLE) &&
           !curl_easy_setopt(c, CURLOPT_MAXAGE_CONN, (long)((http->pool.idle_ms + 999) / 1000)) &&
           !curl_easy_setopt(c, CURLOPT_USERAGENT, http->user_agent) &&
           !curl_easy_setopt(c, CURLOPT_RESOLVE, http->resolve) && kv_http_memory_set_up(c) &&
           kv_http_share_join(&http->share, c) && set_trust(c, http);
}

struct kv_http_handle *kv_http_handle_new(struct kv_http *http)
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
