/* Access tokens of this process, kept by authority, tenant, identity and scope, and shared by all vaults for which the four are equal. One thread
 * refreshes, the others go on with the old token while it is valid and wait when it is not. Early renewal as contract §14.7. With
 * `token_cache = keyring` also across processes, in the kernel. Any thread. Tokens live in wiped memory, never on disk, and are never logged. */
#ifndef KV_AUTH_TOKEN_H
#define KV_AUTH_TOKEN_H

#include "auth/credential.h"
#include "base/log.h"

struct kv_token_cache;
struct kv_token_cache_parts { /* borrowed, outlive the cache */
    const struct kv_clock *clock;
    struct kv_log *log;       /* may be NULL */
    const char *surroundings; /* of struct kv_config; NULL: none */
};
KV_MUST_USE enum kv_status kv_token_cache_open(const struct kv_token_cache_parts *parts,
                                               struct kv_token_cache **ret, struct kv_error *err);
void kv_token_cache_free(struct kv_token_cache *cache); /* after the kv_tokens that use it */

/* The tokens of one vault: its credential before the cache. */
struct kv_tokens;
/* All arguments are borrowed and outlive it. */
KV_MUST_USE enum kv_status kv_tokens_open(const struct kv_vault_config *config, struct kv_http *http,
                                          struct kv_token_cache *cache, struct kv_tokens **ret,
                                          struct kv_error *err);
void kv_tokens_free(struct kv_tokens *tokens);

/* A copy of the bearer for this challenge (kv_text_free), and the identity it speaks for (64 bytes). KV_NOT_LOGGED_IN: `pin` is set, and there is none. */
KV_MUST_USE enum kv_status kv_tokens_bearer(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                                            const struct kv_task *task, char **ret_bearer, char *ret_identity,
                                            struct kv_error *err);
/* The service refused this one: forget it here and in the keyring, unless a newer one has come since. */
void kv_tokens_drop(struct kv_tokens *tokens, const struct kv_challenge *challenge, const char *bearer);

/* The PIN as the credential's secret, where `pin` says so: proved by a token, and kept in locked memory until the logout. KV_PIN_INCORRECT and
 * KV_PIN_EXPIRED are the identity provider's word on it; what hinders the asking has its own status. Nothing changes on failure. */
KV_MUST_USE enum kv_status kv_tokens_login(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                                           struct kv_view pin, const struct kv_task *task,
                                           struct kv_error *err);
void kv_tokens_logout(struct kv_tokens *tokens); /* forgets the PIN and its tokens */

#endif
