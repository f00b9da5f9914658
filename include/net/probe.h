/* What a TLS peer shows of itself, for `kvp11 doctor`: the way to it step by step, and its certificate whether it is trusted or not. Nothing is sent but the
 * handshake. One thread a call. */
#ifndef KV_NET_PROBE_H
#define KV_NET_PROBE_H

#include "net/http.h"

struct kv_http_peer {
    bool named, connected, shaken;  /* how far it went: name resolved, connection made, handshake done */
    char address[64];               /* "10.0.0.4", or the proxy's; "" : none */
    char tls[16];                   /* "TLSv1.3" */
    char subject[128], issuer[128]; /* common names */
    char names[256];                /* the certificate's DNS names, cut to what fits */
    int64_t not_before, not_after;  /* unix seconds */
};
/* KV_OK once the handshake is done. *ret is filled as far as it went, with a failure, too; the statuses of kv_http_send. */
KV_MUST_USE enum kv_status kv_http_probe(struct kv_http *http, const char *url, struct kv_deadline deadline,
                                         struct kv_http_peer *ret, struct kv_error *err);

#endif
