/* The wish of another thread that what is under way here end: waits and transfers look for it, and are woken by it. The owner keeps it alive for as long
 * as anyone may wish or wait. Any thread; its lock is the innermost but for what a watch's `wake` takes. */
#ifndef KV_BASE_CANCEL_H
#define KV_BASE_CANCEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct kv_cancel_watch {      /* on the stack of the one who waits */
    void (*wake)(void *user); /* called by the one who wishes, under the lock: no lock in it, no waiting */
    void *user;
    struct kv_cancel_watch *next;
};

struct kv_cancel {
    atomic_uint wishes; /* that nobody has taken back */
    pthread_mutex_t lock;
    pthread_cond_t wished;
    struct kv_cancel_watch *watches;
};

bool kv_cancel_open(struct kv_cancel *ret); /* false: no lock to be had */
void kv_cancel_close(struct kv_cancel *cancel);

/* Holds for what is under way and for what begins before the wish is taken back. */
void kv_cancel_wish(struct kv_cancel *cancel);
void kv_cancel_take_back(struct kv_cancel *cancel);
bool kv_cancel_wished(const struct kv_cancel *cancel); /* NULL: never */

/* After kv_cancel_unwatch `wake` is not called any more. `cancel` may be NULL. */
void kv_cancel_watch(struct kv_cancel *cancel, struct kv_cancel_watch *watch);
void kv_cancel_unwatch(struct kv_cancel *cancel, struct kv_cancel_watch *watch);

/* False: there is a wish, and the sleep has ended early. */
bool kv_cancel_sleep(struct kv_cancel *cancel, int64_t ms);

#endif
