#include "base/cancel.h"

#include "base/clock.h"

#include <time.h>

bool kv_cancel_open(struct kv_cancel *ret)
{
    *ret = (struct kv_cancel){ 0 };
    if (pthread_mutex_init(&ret->lock, NULL))
        return false;
    if (kv_clock_condition(&ret->wished))
        return true;
    pthread_mutex_destroy(&ret->lock);
    return false;
}

void kv_cancel_close(struct kv_cancel *cancel)
{
    pthread_cond_destroy(&cancel->wished);
    pthread_mutex_destroy(&cancel->lock);
}

void kv_cancel_wish(struct kv_cancel *cancel)
{
    pthread_mutex_lock(&cancel->lock);
    cancel->wishes++;
    for (const struct kv_cancel_watch *watch = cancel->watches; watch; watch = watch->next)
        watch->wake(watch->user);
    pthread_cond_broadcast(&cancel->wished);
    pthread_mutex_unlock(&cancel->lock);
}

void kv_cancel_take_back(struct kv_cancel *cancel)
{
    cancel->wishes--;
}

bool kv_cancel_wished(const struct kv_cancel *cancel)
{
    return cancel && cancel->wishes;
}

void kv_cancel_watch(struct kv_cancel *cancel, struct kv_cancel_watch *watch)
{
    if (!cancel)
        return;
    pthread_mutex_lock(&cancel->lock);
    watch->next = cancel->watches;
    cancel->watches = watch;
    pthread_mutex_unlock(&cancel->lock);
}

void kv_cancel_unwatch(struct kv_cancel *cancel, struct kv_cancel_watch *watch)
{
    if (!cancel)
        return;
    pthread_mutex_lock(&cancel->lock);
    struct kv_cancel_watch **at = &cancel->watches;
    while (*at && *at != watch)
        at = &(*at)->next;
    if (*at)
        *at = watch->next;
    pthread_mutex_unlock(&cancel->lock);
}

bool kv_cancel_sleep(struct kv_cancel *cancel, int64_t ms)
{
    struct timespec until = kv_clock_after(ms);
    int late = 0;

    pthread_mutex_lock(&cancel->lock);
    while (!cancel->wishes && !late)
        late = pthread_cond_timedwait(&cancel->wished, &cancel->lock, &until);
    bool wished = cancel->wishes;
    pthread_mutex_unlock(&cancel->lock);
    return !wished;
}
