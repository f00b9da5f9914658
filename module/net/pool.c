#include "pool.h"

#include "base/cleanup.h"

bool kv_pool_open(struct kv_pool *pool)
{
    if (pthread_mutex_init(&pool->lock, NULL))
        return false;
    if (kv_clock_condition(&pool->room))
        return true;
    pthread_mutex_destroy(&pool->lock);
    return false;
}

void kv_pool_close(struct kv_pool *pool)
{
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->room);
}

/* As the list has the last used first, what is stale is its tail. */
static struct kv_pooled *cut_stale(struct kv_pool *pool)
{
    int64_t now = pool->clock->steady_ms(pool->clock);
    struct kv_pooled **at = &pool->idle;
    while (*at && now - (*at)->used_ms <= pool->idle_ms)
        at = &(*at)->next;
    return kv_take(*at);
}

static enum kv_status wait_for_room(struct kv_pool *pool, struct kv_deadline deadline)
{
    while (pool->busy >= pool->limit) {
        int64_t left = kv_deadline_look(deadline);
        if (kv_deadline_cancelled(deadline))
            return KV_CANCELLED;
        if (!left)
            return KV_TIMED_OUT;
        struct timespec until = kv_clock_after(left);
        pthread_cond_timedwait(&pool->room, &pool->lock, &until);
    }
    return KV_OK;
}

/* A connection that stays with its thread stays in its processor's cache, too. */
static struct kv_pooled *cut_best(struct kv_pool *pool)
{
    struct kv_pooled **best = &pool->idle;
    pthread_t self = pthread_self();
    for (struct kv_pooled **at = &pool->idle; *at; at = &(*at)->next) {
        if (pthread_equal((*at)->user, self)) {
            best = at;
            break;
        }
    }
    struct kv_pooled *item = *best;
    if (item)
        *best = kv_take(item->next);
    return item;
}

enum kv_status kv_pool_take(struct kv_pool *pool, struct kv_deadline deadline, struct kv_pooled **ret,
                            struct kv_pooled **ret_stale)
{
    pthread_mutex_lock(&pool->lock);
    enum kv_status status = wait_for_room(pool, deadline);
    if (status == KV_OK) {
        pool->busy++;
        *ret_stale = cut_stale(pool);
        *ret = cut_best(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

struct kv_pooled *kv_pool_give(struct kv_pool *pool, struct kv_pooled *item)
{
    pthread_mutex_lock(&pool->lock);
    if (item) {
        item->used_ms = pool->clock->steady_ms(pool->clock);
        item->user = pthread_self();
        item->next = pool->idle;
        pool->idle = item;
    }
    pool->busy--;
    struct kv_pooled *stale = cut_stale(pool);
    pthread_cond_signal(&pool->room);
    pthread_mutex_unlock(&pool->lock);
    return stale;
}
