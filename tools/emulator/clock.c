#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include "clock.h"

static _Atomic int64_t offset;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stop = PTHREAD_COND_INITIALIZER;
static bool stopped;

int64_t em_clock_real_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t em_clock_ms(void)
{
    return em_clock_real_ms() + offset * 1000;
}

int64_t em_clock_seconds(void)
{
    return em_clock_ms() / 1000;
}

int64_t em_clock_offset(void)
{
    return offset;
}

void em_clock_move(int64_t offset_seconds)
{
    offset = offset_seconds;
}

void em_clock_pause(int64_t ms)
{
    if (ms <= 0)
        return;
    int64_t end = em_clock_real_ms() + ms;
    struct timespec until = { .tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000 };
    pthread_mutex_lock(&lock);
    while (!stopped && pthread_cond_timedwait(&stop, &lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&lock);
}

void em_clock_stop(void)
{
    pthread_mutex_lock(&lock);
    stopped = true;
    pthread_cond_broadcast(&stop);
    pthread_mutex_unlock(&lock);
}
