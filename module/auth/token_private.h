/* A token cache over a given kind: the seam at which tests put a credential of their own. */
#ifndef KV_AUTH_TOKEN_PRIVATE_H
#define KV_AUTH_TOKEN_PRIVATE_H

#include "auth/token.h"

struct kv_tokens_parts { /* borrowed */
    const struct kv_vault_config *config;
    struct kv_http *http;
    const struct kv_clock *clock;
    const struct kv_credential_kind *kind;
};
KV_MUST_USE enum kv_status kv_tokens_open_kind(const struct kv_tokens_parts *parts, struct kv_tokens **ret,
                                               struct kv_error *err);

#endif
