/* The cached bearer of one vault. One thread refreshes, the others go on with the old token while it is valid and wait when it is not.
 * Early renewal as contract §14.7. Any thread. Tokens live in wiped memory and are never logged. */
#ifndef KV_AUTH_TOKEN_H
#define KV_AUTH_TOKEN_H

#include "auth/credential.h"

struct kv_tokens;
/* All arguments are borrowed and outlive the cache. */
KV_MUST_USE enum kv_status kv_tokens_open(const struct kv_vault_config *config, struct kv_http *http,
                                          const struct kv_clock *clock, struct kv_tokens **ret,
                                          struct kv_error *err);
void kv_tokens_free(struct kv_tokens *tokens);

/* A copy of the bearer for this challenge (kv_text_free), and the identity it speaks for (64 bytes). */
KV_MUST_USE enum kv_status kv_tokens_bearer(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                                            const struct kv_task *task, char **ret_bearer, char *ret_identity,
                                            struct kv_error *err);
/* The service refused this one: forget it, unless a newer one has come since. */
void kv_tokens_drop(struct kv_tokens *tokens, const char *bearer);

#endif
