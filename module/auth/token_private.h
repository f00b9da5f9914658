/* What stands between a vault's tokens and their credential: the cache of the process (token_cache.c) and the kernel's keyring behind it
 * (token_keyring.c). The seam at which tests put a credential and a keyring of their own. */
#ifndef KV_AUTH_TOKEN_PRIVATE_H
#define KV_AUTH_TOKEN_PRIVATE_H

#include "auth/token.h"

/* ---- token.c ---- */

struct kv_tokens_parts { /* borrowed */
    const struct kv_vault_config *config;
    struct kv_http *http;
    struct kv_token_cache *cache;
    const struct kv_credential_kind *kind;
};
KV_MUST_USE enum kv_status kv_tokens_open_kind(const struct kv_tokens_parts *parts, struct kv_tokens **ret,
                                               struct kv_error *err);

/* ---- token_cache.c ---- */

struct kv_token_key { /* borrowed; equal texts, equal token */
    const char *authority, *tenant, *scope;
    const char *identity; /* all settings that decide who asks */
};

struct kv_kept_token {
    struct kv_access_token token; /* bearer NULL: none */
    int64_t hard, soft;           /* from when on it must, or should, be renewed: contract §14.7 */
    char kind[32];                /* the credential that got it */
};
void kv_kept_token_free(struct kv_kept_token *kept); /* wipes */

/* Who wants which token, and how it is got when nobody has it. */
struct kv_token_wish {
    struct kv_token_key key;
    const struct kv_credential_kind *kind;
    const struct kv_vault_config *config; /* what the credential is asked with */
    struct kv_http *http;
    const struct kv_challenge *challenge;
    struct kv_credential_memory *memory; /* NULL: a chain begins at its front */
    bool shared;                         /* with other processes */
};
KV_MUST_USE enum kv_status kv_token_cache_get(struct kv_token_cache *cache, const struct kv_token_wish *wish,
                                              const struct kv_task *task, char **ret_bearer,
                                              char *ret_identity, struct kv_error *err);
void kv_token_cache_drop(struct kv_token_cache *cache, const struct kv_token_wish *wish, const char *bearer);
/* All tokens of this identity, also one that is being fetched. */
void kv_token_cache_forget(struct kv_token_cache *cache, const char *identity);
/* A token from elsewhere: in place of what is held. Takes *token over, also when memory is short. */
void kv_token_cache_put(struct kv_token_cache *cache, const struct kv_token_wish *wish,
                        struct kv_access_token *token);
/* What other processes left for this wish; false: nothing that can be used. */
bool kv_token_cache_look(struct kv_token_cache *cache, const struct kv_token_wish *wish,
                         struct kv_kept_token *ret);
size_t kv_token_cache_count(struct kv_token_cache *cache); /* of tokens that are held */
/* Before the first use, for tests: another keyring than the user's. */
void kv_token_cache_use_keyring(struct kv_token_cache *cache, int32_t keyring);

/* ---- login.c ---- */

struct kv_login_report;
KV_MUST_USE enum kv_status kv_login_check(struct kv_token_cache *cache, const struct kv_token_wish *wish,
                                          bool fresh, const struct kv_task *task, struct kv_login_report *ret,
                                          struct kv_error *err);

/* ---- token_keyring.c: Linux keyrings(7). Entries are readable by the same user only and vanish with their token. ---- */

enum { KV_KEYRING_NAME_SIZE = 80 };

struct kv_token_keyring {
    int32_t serial; /* of the keyring, or KEY_SPEC_* */
    struct kv_log *log;
    bool off; /* it was refused once; atomic */
};
extern const int32_t kv_token_keyring_user; /* KEY_SPEC_USER_KEYRING */

/* "kvp11:" and a digest of the key, the user and the surroundings. */
KV_MUST_USE enum kv_status kv_token_keyring_name(const struct kv_token_key *key, const char *surroundings,
                                                 char ret[KV_KEYRING_NAME_SIZE]);
/* False: none, or one that is broken, another's, or too old to use. */
bool kv_token_keyring_read(struct kv_token_keyring *keyring, const char *name, int64_t now,
                           struct kv_kept_token *ret);
void kv_token_keyring_write(struct kv_token_keyring *keyring, const char *name, int64_t now,
                            const struct kv_kept_token *kept);
void kv_token_keyring_drop(struct kv_token_keyring *keyring, const char *name, const char *bearer);

#endif
