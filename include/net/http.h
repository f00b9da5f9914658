/* HTTP by libcurl: a pool of easy handles that keep their connections, TLS 1.2 and newer, no redirects, no proxy for identity endpoints, every size
 * bounded, every call bounded by its deadline. One request, one reply: repeating is the caller's business (net/retry.h).
 * A kv_http may be used from any number of threads. In a forked child kv_http_forget drops it without touching the sockets. */
#ifndef KV_NET_HTTP_H
#define KV_NET_HTTP_H

#include "base/bytes.h"
#include "base/clock.h"

struct kv_http_options {
    const char *ca_file;  /* NULL: system store */
    char *const *resolve; /* "host:port:address"; several of one place are tried in turn */
    size_t resolve_count;
    const char *proxy;     /* NULL: as libcurl reads the environment; "": none; else its address */
    bool tls13;            /* nothing older */
    bool http2;            /* with a server that offers it, where libcurl knows it */
    bool http2_or_error;   /* where libcurl does not know it, kv_http_open says so: KV_CONFIG */
    int family;            /* AF_INET or AF_INET6: that alone; 0: any */
    const char *interface; /* name of one, or an address of this host; NULL: as routes say */
    int64_t connect_timeout_ms, idle_ms;
    size_t max_connections;
    const char *user_agent; /* "kvp11/0.1.0" */
    const struct kv_clock *clock;
};

enum { KV_HTTP_REPLY_MAX = 4 << 20, KV_HTTP_HEADERS = 8 };

struct kv_http_header {
    const char *name, *value;
};

struct kv_http_request {
    const char *method; /* "GET", "POST", "PUT", "PATCH", "DELETE" */
    const char *url;
    struct kv_http_header
        headers[KV_HTTP_HEADERS]; /* ends at a NULL name; values with CR or LF are refused */
    const char *bearer;           /* sent as "Authorization: Bearer …"; NULL: none */
    struct kv_view body;          /* POST, PUT and PATCH without one are sent with Content-Length: 0 */
    size_t reply_max;             /* 0: KV_HTTP_REPLY_MAX */
    bool
        link_local; /* an identity endpoint: plain http allowed; proxy, family and interface are not for it */
    bool
        once; /* never sent a second time by the transport: a connection of its own (libcurl repeats on a reused one that dies) */
    int64_t connect_timeout_ms; /* 0: as the options say */
    const char *
        pins; /* "sha256//…;sha256//…", digests of public keys: the peer is trusted and has one of them; NULL: any key */
    const char *
        pin_sha1; /* hex: the peer is whoever has this certificate, whatever its name and issuer; NULL: the usual trust */
};

struct kv_http_reply {
    int status; /* 0: none came; on failure: what the reply that is of no use said */
    struct kv_bytes body;
    char **challenges; /* every WWW-Authenticate line */
    size_t challenge_count;
    char retry_after[64], retry_after_ms[32]; /* as sent, "" : none */
    char request_id[64];                      /* x-ms-request-id */
    char date[32];                            /* as sent, "" : none */
    bool maybe_processed;                     /* on failure: the request may have reached the service */
};
void kv_http_reply_free(struct kv_http_reply *reply);
#define KV_AUTO_REPLY KV_CLEANUP(kv_http_reply_free)

/* kv_error.code of a KV_UNREACHABLE for want of an address: the peer's name, not a proxy's, is not known. */
#define KV_HTTP_NO_SUCH_HOST "no-such-host"

struct kv_http;
KV_MUST_USE enum kv_status kv_http_open(const struct kv_http_options *options, struct kv_http **ret,
                                        struct kv_error *err);
/* KV_OK whenever a whole reply came, whatever its status. Else KV_UNREACHABLE, KV_TLS, KV_TIMED_OUT, KV_CANCELLED, KV_PROTOCOL (cut, too large), with *ret->maybe_processed set. */
KV_MUST_USE enum kv_status kv_http_send(struct kv_http *http, const struct kv_http_request *request,
                                        struct kv_deadline deadline, struct kv_http_reply *ret,
                                        struct kv_error *err);
void kv_http_free(struct kv_http *http);
void kv_http_forget(struct kv_http *http); /* in a child: leak, never close */

#endif
