#include "http_private.h"

#include <errno.h>
#include <string.h>

enum { NEARLY_MS = 5 };

static const char offer_tls12[] = "the peer must offer TLS 1.2 or newer";
static const char offer_tls13[] = "the peer must offer TLS 1.3 or newer, for so `tls_min` says";

static const struct {
    CURLcode code;
    enum kv_status status;
    const char *remedy;
} failures[] = {
    { CURLE_COULDNT_RESOLVE_HOST, KV_UNREACHABLE, "check the url, the name service, and `resolve`" },
    { CURLE_COULDNT_RESOLVE_PROXY, KV_UNREACHABLE, "check `proxy`, or the proxy that the environment names" },
    { CURLE_PROXY, KV_UNREACHABLE, "check `proxy`, or the proxy that the environment names" },
    { CURLE_INTERFACE_FAILED, KV_UNREACHABLE, "let `interface` name one that this host has" },
    { CURLE_COULDNT_CONNECT, KV_UNREACHABLE, "check the network, the firewall, and the url" },
    { CURLE_SSL_CONNECT_ERROR, KV_TLS, offer_tls12 },
    { CURLE_PEER_FAILED_VERIFICATION, KV_TLS,
      "let `ca_file` name the authority that issued its certificate" },
    { CURLE_SSL_CACERT_BADFILE, KV_TLS, "let `ca_file` name a readable file of PEM certificates" },
    { CURLE_SSL_PINNEDPUBKEYNOTMATCH, KV_TLS,
      "if its certificate has a new key, add that to `pin_certificate`" },
    { CURLE_SSL_CIPHER, KV_TLS, offer_tls12 },
    { CURLE_SSL_ISSUER_ERROR, KV_TLS, "let `ca_file` name the authority that issued its certificate" },
    { CURLE_SEND_ERROR, KV_PROTOCOL, "the connection was cut" },
    { CURLE_RECV_ERROR, KV_PROTOCOL, "the connection was cut" },
    { CURLE_GOT_NOTHING, KV_PROTOCOL, "the connection was cut" },
    { CURLE_HTTP2, KV_PROTOCOL, "if it stays so, write `http_version = 1.1`" },
    { CURLE_HTTP2_STREAM, KV_PROTOCOL, "if it stays so, write `http_version = 1.1`" },
    { CURLE_PARTIAL_FILE, KV_PROTOCOL, "the connection was cut" },
    { CURLE_OUT_OF_MEMORY, KV_NO_MEMORY, "free some memory" },
    { CURLE_URL_MALFORMAT, KV_CONFIG, "correct the url in the configuration" },
    { CURLE_UNSUPPORTED_PROTOCOL, KV_CONFIG, "the url must begin with https://" },
};

/* Up to the path: what stands behind it may be a secret or a page of text. */
int kv_http_origin_length(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return (int)(host - url + (ptrdiff_t)strcspn(host, "/?#"));
}

static bool cut_in_handshake(const struct kv_http_failure *failure)
{
    long os_errno = 0;
    curl_easy_getinfo(failure->errand->handle->curl, CURLINFO_OS_ERRNO, &os_errno);
    return failure->code == CURLE_SSL_CONNECT_ERROR &&
           (os_errno == ECONNRESET || os_errno == EPIPE ||
            strstr(failure->errand->handle->cause, "SSL_ERROR_SYSCALL"));
}

/* For libcurl that is a cut connection, but it is one that never came to the service. */
bool kv_http_proxy_refused(CURL *curl)
{
    long number = 0;
    return !curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &number) && number >= 300;
}

static enum kv_status fail_late(const struct kv_http_failure *failure, struct kv_error *err)
{
    const char *url = failure->errand->request->url;
    if (!failure->sent && kv_deadline_left(failure->errand->deadline) > NEARLY_MS)
        return kv_fail(err, KV_UNREACHABLE,
                       "'%.*s' cannot be reached: no connection within `connect_timeout`; check the network, "
                       "the firewall, and the url",
                       kv_http_origin_length(url), url);
    return kv_fail(err, KV_TIMED_OUT, "'%.*s' did not answer before the deadline; see `timeout`",
                   kv_http_origin_length(url), url);
}

enum kv_status kv_http_fail_transfer(const struct kv_http_failure *failure, struct kv_error *err)
{
    const char *url = failure->errand->request->url, *ca_file = failure->errand->http->ca_file;
    const char *cause = failure->errand->handle->cause[0] ? failure->errand->handle->cause
                                                          : curl_easy_strerror(failure->code);
    enum kv_status status = KV_PROTOCOL;
    const char *remedy = "what answers there is not the service";
    if (failure->code == CURLE_ABORTED_BY_CALLBACK)
        return kv_http_fail_cancelled(url, err);
    if (failure->code == CURLE_OPERATION_TIMEDOUT)
        return fail_late(failure, err);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        /* A protocol that is not ours in the url is one thing, in the reply another. */
        if (failures[i].code == failure->code && !(failures[i].status == KV_CONFIG && failure->sent)) {
            status = failures[i].status;
            remedy = failures[i].remedy;
        }
    }
    if (remedy == offer_tls12 && failure->errand->http->tls13)
        remedy = offer_tls13;
    if (cut_in_handshake(failure)) {
        status = KV_UNREACHABLE;
        remedy = "the connection was cut during the TLS handshake";
    }
    if (status == KV_PROTOCOL && kv_http_proxy_refused(failure->errand->handle->curl)) {
        status = KV_UNREACHABLE;
        remedy = "let the proxy that `proxy` or the environment names allow it";
    }
    if (status == KV_TLS)
        return kv_fail(err, status, "TLS with '%.*s' failed, trusting %s%s%s: %s; %s",
                       kv_http_origin_length(url), url, ca_file ? "'" : "",
                       ca_file ? ca_file : "the system's authorities", ca_file ? "'" : "", cause, remedy);
    status = kv_fail(err, status, "'%.*s': %s; %s", kv_http_origin_length(url), url, cause, remedy);
    if (err && failure->code == CURLE_COULDNT_RESOLVE_HOST)
        kv_text_fit(err->code, sizeof err->code, KV_HTTP_NO_SUCH_HOST);
    return status;
}

enum kv_status kv_http_fail_cancelled(const char *url, struct kv_error *err)
{
    return kv_fail(err, KV_CANCELLED, "the application ended the call while '%.*s' was being asked",
                   kv_http_origin_length(url), url);
}

enum kv_status kv_http_fail_refused(enum kv_status refused, const char *url, struct kv_error *err)
{
    if (refused == KV_NO_MEMORY)
        return kv_fail(err, KV_NO_MEMORY, "no memory for the reply of '%.*s'", kv_http_origin_length(url),
                       url);
    return kv_fail(err, refused, "the reply of '%.*s' is too large; what answers there is not the service",
                   kv_http_origin_length(url), url);
}
