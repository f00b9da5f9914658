/* The assertion by which an application proves that it has its certificate's key (RFC 7515, 7519, 7523; contract §14.2). Any thread. */
#ifndef KV_AUTH_JWT_H
#define KV_AUTH_JWT_H

#include "client_key.h"

struct kv_jwt {
    const struct kv_client_key *key;
    enum kv_assertion algorithm; /* PS256 with x5t#S256, or RS256 with x5t */
    bool chain;                  /* x5c, too */
    const char *audience, *subject;
    int64_t now; /* unix seconds; it holds for ten minutes */
    struct kv_deadline deadline;
};
/* Compact form; kv_text_free. */
KV_MUST_USE enum kv_status kv_jwt_make(const struct kv_jwt *jwt, char **ret, struct kv_error *err);

#endif
