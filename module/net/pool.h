/* Things that are dear to make and serve one thread at a time: what this thread used last is used next, else what was used last at all; what has been idle for too long is given
 * back to its maker to be freed, and at most `limit` are out at once. Any thread; the lock is never held while something is made or freed. */
#ifndef KV_NET_POOL_H
#define KV_NET_POOL_H

#include <pthread.h>
#include "base/clock.h"
#include "base/status.h"

struct kv_pooled { /* first member of what is pooled */
    struct kv_pooled *next;
    int64_t used_ms;
    pthread_t user; /* the last */
};

struct kv_pool {
    const struct kv_clock *clock;
    int64_t idle_ms;
    size_t limit;
    pthread_mutex_t lock; /* the two below */
    pthread_cond_t room;
    struct kv_pooled *idle; /* last used first */
    size_t busy;
};
bool kv_pool_open(
    struct kv_pool *pool); /* after clock, idle_ms and limit are set; false: no lock to be had */
void kv_pool_close(struct kv_pool *pool);

/* *ret NULL: make one. *ret_stale: a list to free. KV_TIMED_OUT when there was no room until the deadline, KV_CANCELLED. */
KV_MUST_USE enum kv_status kv_pool_take(struct kv_pool *pool, struct kv_deadline deadline,
                                        struct kv_pooled **ret, struct kv_pooled **ret_stale);
/* NULL: what was taken is no more. Returns a list to free. */
struct kv_pooled *kv_pool_give(struct kv_pool *pool, struct kv_pooled *item);

#endif
