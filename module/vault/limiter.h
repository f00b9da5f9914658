/* Staying under a vault's quota instead of meeting it (contract §9.1): weighted costs, summed over one vault and a sliding window of ten seconds. A burst of a
 * tenth of it, or of ten, waits for nothing; what is more goes at an even pace, so that the vault, and others who use it, do not get it all at once.
 * Pure: time comes in as milliseconds that only grow; nothing here sleeps. Any thread (one lock inside). */
#ifndef KV_VAULT_LIMITER_H
#define KV_VAULT_LIMITER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/kinds.h"

enum { KV_LIMITER_WINDOW_MS = 10000, KV_LIMITER_SLOT_MS = 50, KV_LIMITER_SLOTS = 10000 / 50 + 1 };

/* The service counts these apart. */
enum kv_limit { KV_LIMIT_USE, KV_LIMIT_CREATE, KV_LIMIT_IMPORT, KV_LIMITS };
struct kv_cost {
    enum kv_limit limit;
    int64_t
        weight; /* KV_LIMIT_USE: transactions with a software RSA key of 2048 bits that it is as dear as */
};
/* What using a key costs; bits 0: nobody knows, taken as the smallest. */
int64_t kv_limiter_weight(enum kv_kind kind, unsigned bits, bool hsm);

struct kv_waiter { /* one call that waits for its turn; zeroed by its owner, untouched until it has left */
    struct kv_cost cost;
    bool queued;
    struct kv_waiter *next;
};

struct kv_window { /* of one kv_limit */
    int64_t quota; /* 0: none */
    double share;  /* of it that we take: others may use the same vault */
    int64_t share_ms, cut_ms;
    int64_t under_way;               /* sent, not answered */
    int64_t spent[KV_LIMITER_SLOTS]; /* by the slot in which the answer came */
    int64_t used, newest;            /* their sum; the number of the latest slot */
    double paced_ms; /* when what was let go so far is due at an even pace; ahead of now for a burst */
    struct kv_waiter *first;
};

struct kv_limiter {
    pthread_mutex_t lock;
    struct kv_window windows[KV_LIMITS];
};

/* quota: of KV_LIMIT_USE; those of the others follow it in the proportion that the service has them. 0: off. */
void kv_limiter_init(struct kv_limiter *limiter, int64_t quota, int64_t now_ms);
void kv_limiter_free(struct kv_limiter *limiter);

/* True: send now, and say kv_limiter_done when the answer is there. False: ask again in *ret_wait_ms; the place in the queue is kept until
 * kv_limiter_leave. Who came first goes first. */
bool kv_limiter_take(struct kv_limiter *limiter, struct kv_waiter *waiter, int64_t now_ms,
                     int64_t *ret_wait_ms);
void kv_limiter_leave(struct kv_limiter *limiter, struct kv_waiter *waiter);
/* Counted from the answer on: whenever the service counted it within the call, its own window has let go of it before ours does, so that no delay on
 * the way can make us meet the quota. `counted` false: it was turned away, which costs nothing. */
void kv_limiter_done(struct kv_limiter *limiter, struct kv_cost cost, bool counted, int64_t now_ms);
/* What turned out to be dearer than it was taken for. */
void kv_limiter_owe(struct kv_limiter *limiter, struct kv_cost extra, int64_t now_ms);
/* The service said 429 all the same: others use the vault too. Half of what we took until now, and then slowly more again. */
void kv_limiter_refused(struct kv_limiter *limiter, enum kv_limit limit, int64_t now_ms);
/* The quota as we take it now; 0: none. */
int64_t kv_limiter_quota(struct kv_limiter *limiter, enum kv_limit limit, int64_t now_ms);

#endif
