/* The tokens that a process holds: a list of entries, one for each that somebody asks for, behind one lock (token_entry.c); and how one comes by a token
 * (token_cache.c). Whoever calls has the lock, unless it says otherwise. */
#ifndef KV_AUTH_TOKEN_ENTRY_H
#define KV_AUTH_TOKEN_ENTRY_H

#include <pthread.h>
#include "token_private.h"

struct kv_token_entry {
    struct kv_token_entry *next;
    struct kv_challenge asked; /* authority, tenant, scope; the claims with which the token was got */
    char *identity;
    char name[KV_KEYRING_NAME_SIZE]; /* in the kernel; "" : it stays here */
    unsigned users;                  /* calls that hold it */
    bool forgotten;                  /* goes with its last user */
    struct kv_kept_token kept;
    int64_t pause_until; /* of early renewals, after one has failed */
    bool refreshing;
    unsigned rounds; /* fetches that have ended */
    enum kv_status last_status;
    struct kv_error last_error;
};

struct kv_token_cache {
    struct kv_token_cache_parts parts;
    struct kv_token_keyring keyring;
    pthread_mutex_t lock; /* all below; never held while a token is being fetched */
    pthread_cond_t changed;
    struct kv_token_entry *entries; /* last used first */
};

/* Of these settings, and not forgotten. */
bool kv_token_entry_is(const struct kv_token_entry *entry, const struct kv_token_key *key);
/* Found or made, moved to the front, and kept alive until it is left. NULL: memory is short. */
struct kv_token_entry *kv_token_entry_take(struct kv_token_cache *cache, const struct kv_token_wish *wish);
void kv_token_entry_leave(struct kv_token_cache *cache, struct kv_token_entry *entry);
/* Out of the list, and freed: nobody uses it. */
void kv_token_entry_withdraw(struct kv_token_cache *cache, struct kv_token_entry *entry);
void kv_token_entry_free(struct kv_token_entry *entry);
void kv_token_entry_drop(struct kv_token_entry *entry); /* its token */
/* Takes *kept over. What stays for hours stands in locked memory. KV_NO_MEMORY: it has what it had. */
KV_MUST_USE enum kv_status kv_token_entry_keep(struct kv_token_entry *entry, struct kv_kept_token *kept);

#endif
