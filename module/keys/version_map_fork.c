/* SQLite and fork(). A child that was forked while another thread was inside SQLite has that thread's half-done work and SQLite's locks in its memory
 * for ever, and may not call SQLite at all. So a fork waits until nobody is inside, which is never over network I/O, and nobody enters while it waits; at
 * most a little while, since another process may hold the file for long. A child forked at a bad moment all the same (_Fork, clone) has no map and knows it. */
#include "version_map_private.h"

#include <time.h>
#include "base/clock.h"

enum { PATIENCE_S = 2 };

static pthread_once_t watched = PTHREAD_ONCE_INIT;
/* Guards the number of this process's threads that are inside SQLite through a map. Held for the length of a fork, otherwise for an instant. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t nobody, forked;
static unsigned inside, forks; /* forks: that wait, or are under way */
static bool torn;

static void before_fork(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&gate);
    forks++;
    while (inside && !pthread_cond_timedwait(&nobody, &gate, &until))
        ;
}

static void after_fork(void)
{
    forks--;
    pthread_cond_broadcast(&forked);
    pthread_mutex_unlock(&gate);
}

static void in_child(void)
{
    forks = 0;
    (void)!(kv_clock_condition(&nobody) && kv_clock_condition(&forked)); /* those who wait are the parent's */
    pthread_mutex_unlock(&gate);
}

static void watch(void)
{
    if (kv_clock_condition(&nobody) && kv_clock_condition(&forked))
        pthread_atfork(before_fork, after_fork, in_child);
}

void kv_map_enter(struct kv_map *map)
{
    pthread_once(&watched, watch);
    pthread_mutex_lock(&map->lock);
    pthread_mutex_lock(&gate);
    while (forks)
        pthread_cond_wait(&forked, &gate);
    inside++;
    pthread_mutex_unlock(&gate);
}

void kv_map_leave(struct kv_map *map)
{
    pthread_mutex_lock(&gate);
    if (--inside == 0)
        pthread_cond_signal(&nobody);
    pthread_mutex_unlock(&gate);
    pthread_mutex_unlock(&map->lock);
}

bool kv_map_torn(void)
{
    return torn;
}

void kv_map_forked(void)
{
    pthread_mutex_lock(&gate);
    torn = torn || inside;
    inside = forks = 0;
    pthread_mutex_unlock(&gate);
}
