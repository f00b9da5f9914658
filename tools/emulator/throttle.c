#include "clock.h"
#include "throttle.h"

void em_throttle_set(struct em_vault *vault, double per_second, int retry_after)
{
    struct em_bucket *bucket = &vault->bucket;
    pthread_mutex_lock(&bucket->lock);
    bucket->per_second = per_second;
    bucket->left = per_second < 1 ? 1 : per_second;
    bucket->retry_after = retry_after;
    bucket->filled_ms = em_clock_real_ms();
    pthread_mutex_unlock(&bucket->lock);
}

/* The machine's clock, not the emulator's: moving that one must not fill buckets. */
static bool take(struct em_bucket *bucket, int *ret_retry_after)
{
    pthread_mutex_lock(&bucket->lock);
    int64_t now = em_clock_real_ms();
    double most = bucket->per_second < 1 ? 1 : bucket->per_second;
    bucket->left += (double)(now - bucket->filled_ms) / 1000.0 * bucket->per_second;
    bucket->left = bucket->left > most ? most : bucket->left;
    bucket->filled_ms = now;
    bool room = bucket->per_second <= 0 || bucket->left >= 1;
    if (room)
        bucket->left -= 1;
    *ret_retry_after = bucket->retry_after;
    pthread_mutex_unlock(&bucket->lock);
    return room;
}

bool em_throttle_check(struct em_call *call)
{
    int seconds = 0;
    if (take(&call->vault->bucket, &seconds))
        return true;
    if (!seconds && call->world->settings.value[EM_RETRY_AFTER])
        seconds = 1;
    if (seconds) {
        AUTO_TEXT text = em_format("%d", seconds);
        em_reply_header(call->reply, "Retry-After", text);
    }
    return em_call_fail(call, EM_THROTTLED);
}
