/* Where else a version can be asked to open something, while its own vault does not answer: the vaults that `failover` names, for versions with the
 * same public key. failover_order.c decides by what is known, without a clock or a request; failover.c asks. Private to keys. */
#ifndef KV_KEYS_FAILOVER_H
#define KV_KEYS_FAILOVER_H

#include "config/config.h"
#include "keys/key_ops.h"

enum { KV_FAILOVER_PLACES = KV_FAILOVER_MAX + 1 };

/* --- failover_order.c --- */

/* What is known of a vault by the last answers; all zero: nothing. */
struct kv_reach {
    int64_t away_until_ms; /* steady; 0: it answers, as far as is known */
    int64_t latency_ms;    /* at least 1; 0: never answered */
};
/* An operation ended so, after so long. True: the vault went away, or came back, by this. */
bool kv_reach_note(struct kv_reach *reach, enum kv_status status, int64_t took_ms, int64_t now_ms,
                   int64_t pause_ms);
bool kv_reach_is_away(const struct kv_reach *reach, int64_t now_ms);
/* May this caller ask a vault that was away? The first one after the pause may, and has `share_ms` to find out; for all others it stays away meanwhile. */
bool kv_reach_try(struct kv_reach *reach, int64_t now_ms, int64_t share_ms);

/* The way to the vault failed, or the version is not there: another place is worth asking. */
bool kv_failover_is_due(enum kv_status status);
/* Nothing of it is the vault's: the same would come of any place. */
bool kv_failover_is_ours(enum kv_status status);

struct kv_place {
    struct kv_keyring *keyring;
    struct kv_version *version; /* counted; NULL: nobody knows yet whether it has one */
    bool own, away;
    int64_t latency_ms;
};
/* The order to ask in: who answers before who is away, the own vault, whose copy is known, the quickest, as configured. */
void kv_failover_sort(struct kv_place *places, size_t count);
/* How long the next of so many places may take. */
int64_t kv_failover_share(int64_t left_ms, size_t places);

/* --- failover.c --- */

/* As kv_key_ops_remote, `op` being for `use`'s version; `operation` is what the caller wants, which a copy may do by its twin. */
KV_MUST_USE enum kv_status kv_failover_open(const struct kv_key_use *use, unsigned operation,
                                            const struct kv_vault_op *op, struct kv_bytes *ret,
                                            struct kv_error *err);
/* Remembers what came of an operation; `op` NULL: of another request. */
void kv_failover_note(struct kv_keyring *keyring, const struct kv_vault_op *op, enum kv_status status,
                      int64_t took_ms, const struct kv_error *err);
/* It has `failover`, and did not answer a moment ago: what can be done without asking it is. */
bool kv_failover_is_away(struct kv_keyring *keyring);

#endif
