/* What the files of the HTTP client share: handles, requests and failures of libcurl. */
#ifndef KV_NET_HTTP_PRIVATE_H
#define KV_NET_HTTP_PRIVATE_H

#include <curl/curl.h>
#include <pthread.h>
#include "net/http.h"
#include "pool.h"
#include "reply.h"

/* ---- http_share.c: what the handles of one kv_http have in common ---- */

/* TLS sessions, so that another connection to the same host resumes one, and looked-up names. A lock a kind of them, held for a look and never while
 * something is waited for. It has to outlive the handles that joined it; in a forked child it is forgotten with the kv_http. */
enum { KV_HTTP_SHARE_LOCKS = CURL_LOCK_DATA_LAST };
struct kv_http_share {
    CURLSH *curl;                               /* NULL: no handle yet; locks[CURL_LOCK_DATA_NONE] */
    pthread_mutex_t locks[KV_HTTP_SHARE_LOCKS]; /* of curl_lock_data */
};
bool kv_http_share_open(struct kv_http_share *share); /* false: no lock to be had */
void kv_http_share_close(struct kv_http_share *share);
bool kv_http_share_join(struct kv_http_share *share, CURL *curl); /* false: memory is short */

/* ---- http_handle.c: what holds for every request of a handle ---- */

/* An easy handle keeps the connections it has made, so a handle used again is a connection used again. */
struct kv_http_handle {
    struct kv_pooled pooled;
    CURLM *multi; /* of its own: what another thread can wake */
    CURL *curl;
    int link_local; /* what it is set up for; -1: nothing yet */
    char cause[CURL_ERROR_SIZE];
};

struct kv_http {
    char *ca_file, *user_agent;
    char *proxy, *interface; /* as libcurl takes them; NULL: what it does of itself */
    int family;
    bool tls13, http2;
    struct curl_slist *resolve;
    int64_t connect_timeout_ms;
    struct kv_pool pool; /* of struct kv_http_handle */
    struct kv_http_share share;
};

struct kv_http_handle *kv_http_handle_new(struct kv_http *http); /* NULL: memory is short */
void kv_http_handle_free(struct kv_http_handle *list);           /* all of a list */

/* ---- http_request.c: one request, as libcurl takes it ---- */

enum { KV_HTTP_LINES = KV_HTTP_HEADERS + 2 }; /* with Authorization and Expect */

struct kv_http_lines {
    struct curl_slist nodes[KV_HTTP_LINES];
    struct kv_bytes text; /* wiped: one of the lines may be a bearer token */
};
void kv_http_lines_free(struct kv_http_lines *lines);

struct kv_http_errand {
    struct kv_http *http;
    struct kv_http_handle *handle;
    const struct kv_http_request *request;
    struct kv_deadline deadline;
};
/* KV_ARGUMENTS: a line with CR or LF in it. */
KV_MUST_USE enum kv_status kv_http_make_lines(const struct kv_http_request *request,
                                              struct kv_http_lines *ret);
bool kv_http_set_request(const struct kv_http_errand *errand, int64_t left_ms);

/* ---- http_resolve.c: addresses instead of a name look-up ---- */

/* "host:port:address" as libcurl takes them; what was made of them before it failed stays in the list. KV_NO_MEMORY. */
KV_MUST_USE enum kv_status kv_http_make_resolve(char *const *entries, size_t count, struct curl_slist **list);

/* ---- http_socket.c: the sockets that libcurl uses ---- */

curl_socket_t kv_http_socket_open(void *http, curlsocktype purpose, struct curl_sockaddr *address);
void kv_http_socket_keep(CURL *curl, int64_t left_ms); /* of its last transfer, of which so much was left */

/* ---- http_run.c ---- */

/* The transfer that the handle is set up for; CURLE_ABORTED_BY_CALLBACK: cancelled. */
CURLcode kv_http_run(struct kv_http_handle *handle, struct kv_deadline deadline);

/* ---- http_failure.c: what went wrong, in words ---- */

struct kv_http_failure {
    const struct kv_http_errand *errand;
    CURLcode code;
    bool sent;
};
KV_MUST_USE enum kv_status kv_http_fail_transfer(const struct kv_http_failure *failure, struct kv_error *err);
bool kv_http_proxy_refused(CURL *curl); /* the connection, not a request of ours */
/* A callback ended it: KV_NO_MEMORY or KV_PROTOCOL. */
KV_MUST_USE enum kv_status kv_http_fail_refused(enum kv_status refused, const char *url,
                                                struct kv_error *err);
KV_MUST_USE enum kv_status kv_http_fail_cancelled(const char *url, struct kv_error *err);
int kv_http_origin_length(const char *url); /* of "https://host:port" */

#endif
