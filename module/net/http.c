#include "http_private.h"

#include "base/ossl.h"
#include "http_pin.h"

#include <arpa/inet.h>
#include <string.h>

/* ---- handles ---- */

static void release(struct kv_http *http, struct kv_http_handle *handle)
{
    kv_http_handle_free((struct kv_http_handle *)kv_pool_give(&http->pool, (struct kv_pooled *)handle));
}

static enum kv_status acquire(struct kv_http *http, struct kv_deadline deadline, struct kv_http_handle **ret,
                              struct kv_error *err)
{
    struct kv_pooled *pooled = NULL, *stale = NULL;
    enum kv_status status = kv_pool_take(&http->pool, deadline, &pooled, &stale);
    if (status == KV_CANCELLED)
        return kv_fail(err, KV_CANCELLED, "the application ended the call while it waited for a connection");
    if (status != KV_OK)
        return kv_fail(err, KV_TIMED_OUT,
                       "all %zu connections were busy until the deadline; raise `max_connections` or "
                       "`timeout`",
                       http->pool.limit);
    kv_http_handle_free((struct kv_http_handle *)stale);
    struct kv_http_handle *handle = pooled ? (struct kv_http_handle *)pooled : kv_http_handle_new(http);
    if (!handle) {
        release(http, NULL);
        return kv_fail(err, KV_NO_MEMORY, "libcurl cannot be set up: out of memory");
    }
    *ret = handle;
    return KV_OK;
}

/* ---- one exchange ---- */

static enum kv_status fail_after(const struct kv_http_failure *failure, const struct kv_reply *reply,
                                 struct kv_http_reply *ret, struct kv_error *err)
{
    long http_status = 0;
    enum kv_status refused = reply->refused;
    curl_easy_getinfo(failure->errand->handle->curl, CURLINFO_RESPONSE_CODE, &http_status);
    /* What libcurl says, amid the head, of a line that is longer than it takes. */
    if (!refused && failure->code == CURLE_OUT_OF_MEMORY && reply->header_bytes && !reply->head_whole)
        refused = KV_PROTOCOL;
    *ret =
        (struct kv_http_reply){ .status = refused ? (int)http_status : 0, .maybe_processed = failure->sent };
    return refused ? kv_http_fail_refused(refused, failure->errand->request->url, err)
                   : kv_http_fail_transfer(failure, err);
}

static CURLcode perform(const struct kv_http_errand *errand, struct kv_http_lines *headers,
                        struct kv_reply *reply)
{
    CURL *c = errand->handle->curl;
    if (curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers->nodes) ||
        curl_easy_setopt(c, CURLOPT_WRITEDATA, reply) || curl_easy_setopt(c, CURLOPT_HEADERDATA, reply))
        return CURLE_OUT_OF_MEMORY;
    CURLcode code = kv_http_run(errand->handle, errand->deadline);
    /* What the handle borrowed is about to be gone. */
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, (struct curl_slist *)NULL);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
    return code;
}

static enum kv_status transfer(const struct kv_http_errand *errand, struct kv_http_reply *ret,
                               struct kv_error *err)
{
    const struct kv_http_request *request = errand->request;
    CURL *c = errand->handle->curl;
    KV_CLEANUP(kv_reply_free)
    struct kv_reply reply = { .body.limit = request->reply_max ? request->reply_max : KV_HTTP_REPLY_MAX };
    KV_CLEANUP(kv_http_lines_free) struct kv_http_lines headers = { 0 };
    int64_t left = kv_deadline_left(errand->deadline);
    if (kv_deadline_cancelled(errand->deadline))
        return kv_http_fail_cancelled(request->url, err);
    if (!left)
        return kv_fail(err, KV_TIMED_OUT, "the deadline passed before '%.*s' could be asked; see `timeout`",
                       kv_http_origin_length(request->url), request->url);
    enum kv_status made = kv_http_make_lines(request, &headers);
    if (made == KV_NO_MEMORY)
        return kv_fail(err, KV_NO_MEMORY, "a request cannot be set up: out of memory");
    if (made)
        return kv_fail(err, made, "a header for '%.*s' cannot be sent", kv_http_origin_length(request->url),
                       request->url);
    if (!kv_http_set_request(errand, left))
        return kv_fail(err, KV_NO_MEMORY, "a request cannot be set up: out of memory");
    CURLcode code = perform(errand, &headers, &reply);
    if (request->pin_sha1)
        kv_http_unpin(c);
    long number = 0;
    if (code) {
        curl_easy_getinfo(c, CURLINFO_REQUEST_SIZE, &number);
        struct kv_http_failure failure = { errand, code, number > 0 && !kv_http_proxy_refused(c) };
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
    struct kv_http_handle *handle = NULL;
    enum kv_status status = acquire(http, deadline, &handle, err);
    if (status == KV_OK) {
        status = transfer(&(struct kv_http_errand){ http, handle, request, deadline }, ret, err);
        release(http, handle);
    }
    kv_ossl_leave(&guard);
    return status;
}

/* ---- opening and closing ---- */

/* Told which it is, libcurl does not ask the name service for an interface that is not there. */
static char *as_interface(const char *text)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool is_address = inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
    return kv_text_format("%s!%s", is_address ? "host" : "if", text);
}

static bool knows_http2(void)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    return info && (info->features & CURL_VERSION_HTTP2);
}

static enum kv_status copy_way(const struct kv_http_options *options, struct kv_http *http)
{
    http->tls13 = options->tls13;
    http->http2 = options->http2 && knows_http2();
    http->family = options->family;
    if ((options->proxy && !(http->proxy = kv_text_copy(options->proxy))) ||
        (options->interface && !(http->interface = as_interface(options->interface))))
        return KV_NO_MEMORY;
    return KV_OK;
}

static enum kv_status copy_options(const struct kv_http_options *options, struct kv_http *http)
{
    http->connect_timeout_ms = options->connect_timeout_ms;
    http->user_agent = kv_text_copy(options->user_agent);
    if (!http->user_agent || (options->ca_file && !(http->ca_file = kv_text_copy(options->ca_file))))
        return KV_NO_MEMORY;
    KV_TRY(copy_way(options, http));
    return kv_http_make_resolve(options->resolve, options->resolve_count, &http->resolve);
}

static bool open_parts(struct kv_http *http)
{
    if (!kv_pool_open(&http->pool))
        return false;
    if (kv_http_share_open(&http->share))
        return true;
    kv_pool_close(&http->pool);
    return false;
}

enum kv_status kv_http_open(const struct kv_http_options *options, struct kv_http **ret, struct kv_error *err)
{
    if (options->http2_or_error && !knows_http2())
        return kv_fail(err, KV_CONFIG,
                       "`http_version = 2`, but the libcurl of this host knows no HTTP/2: write "
                       "`http_version = auto`, or "
                       "install one that does");
    struct kv_http *http = calloc(1, sizeof *http);
    if (!http)
        return kv_fail(err, KV_NO_MEMORY, "no memory for connections");
    http->pool = (struct kv_pool){ .clock = options->clock,
                                   .idle_ms = options->idle_ms,
                                   .limit = options->max_connections ? options->max_connections : 1 };
    if (!open_parts(http)) {
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
    kv_http_handle_free((struct kv_http_handle *)http->pool.idle);
    kv_http_share_close(&http->share); /* after all that share */
    curl_slist_free_all(http->resolve);
    kv_ossl_leave(&guard);
    kv_pool_close(&http->pool);
    free(http->ca_file);
    free(http->user_agent);
    free(http->proxy);
    free(http->interface);
    free(http);
}

/* The parent still uses these sockets: closing one here would send its TLS a farewell. */
void kv_http_forget(struct kv_http *http)
{
    (void)http;
}
