#include "http_private.h"

#include "http_pin.h"

#include <string.h>
#include <sys/socket.h>

void kv_http_lines_free(struct kv_http_lines *list)
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
enum kv_status kv_http_make_lines(const struct kv_http_request *request, struct kv_http_lines *ret)
{
    struct line lines[KV_HTTP_LINES];
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

static long resolve_as(int family)
{
    if (family == AF_INET6)
        return CURL_IPRESOLVE_V6;
    return family == AF_INET ? CURL_IPRESOLVE_V4 : CURL_IPRESOLVE_WHATEVER;
}

/* Who names a proxy wants it used, whatever `no_proxy` of the environment says. An identity endpoint is on this host or its link, at an IPv4 address and
 * wherever the routes say: what is meant for the way to the vault would cut it off. */
static bool set_peer(struct kv_http_handle *handle, const struct kv_http *http, bool link_local)
{
    CURL *c = handle->curl;
    const char *direct = link_local ? "*" : http->proxy ? "" : NULL;
    if (handle->link_local == link_local)
        return true;
    handle->link_local = -1;
    if (curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, link_local ? "http,https" : "https") ||
        curl_easy_setopt(c, CURLOPT_NOPROXY, direct) ||
        curl_easy_setopt(c, CURLOPT_IPRESOLVE, resolve_as(link_local ? 0 : http->family)) ||
        curl_easy_setopt(c, CURLOPT_INTERFACE, link_local ? NULL : http->interface))
        return false;
    handle->link_local = link_local;
    return true;
}

bool kv_http_set_request(const struct kv_http_errand *errand, int64_t left_ms)
{
    struct kv_http_handle *handle = errand->handle;
    const struct kv_http_request *request = errand->request;
    CURL *c = handle->curl;
    int64_t connect_ms = request->connect_timeout_ms;
    if (!connect_ms)
        connect_ms = errand->http->connect_timeout_ms;
    if (connect_ms > left_ms)
        connect_ms = left_ms;
    handle->cause[0] = 0;
    return set_peer(handle, errand->http, request->link_local) && set_method(c, request) &&
           !curl_easy_setopt(c, CURLOPT_URL, request->url) &&
           !curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, request->once || request->pin_sha1 ? 1L : 0L) &&
           !curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms) &&
           !curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)left_ms) &&
           !curl_easy_setopt(c, CURLOPT_PINNEDPUBLICKEY, request->pins) &&
           (!request->pin_sha1 || kv_http_pin(c, request->pin_sha1));
}
