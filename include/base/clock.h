/* Time as a value that is passed in. A kv_clock is shared and immutable; tests make their own. Any thread. */
#ifndef KV_BASE_CLOCK_H
#define KV_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "base/cancel.h"

struct kv_clock {
    int64_t (*unix_seconds)(const struct kv_clock *clock);
    int64_t (*steady_ms)(const struct kv_clock *clock);
    void (*sleep_ms)(const struct kv_clock *clock, int64_t ms);
    double (*jitter)(const struct kv_clock *clock); /* 0 ≤ x < 1 */
};

extern const struct kv_clock kv_clock_system;

/* Until when a call may take, whatever it still has to do: connect, TLS, token, waits and retries together. */
struct kv_deadline {
    const struct kv_clock *clock;
    int64_t at_ms;            /* steady */
    struct kv_cancel *cancel; /* another thread may end it before; NULL: nobody can */
};

/* A condition variable that waits by steady time; false when the system has none to give. */
bool kv_clock_condition(pthread_cond_t *ret);

/* The point in CLOCK_MONOTONIC that is so far away: what a condition variable waits for. */
struct timespec kv_clock_after(int64_t ms);

struct kv_deadline kv_deadline_in(const struct kv_clock *clock, int64_t ms);
/* Another time for the same caller: its clock, and who may end it. */
struct kv_deadline kv_deadline_again(struct kv_deadline deadline, int64_t ms);
int64_t kv_deadline_left(struct kv_deadline deadline); /* ms, never negative */
bool kv_deadline_cancelled(struct kv_deadline deadline);
/* The wait before another try; whether it fits is asked before. False: cancelled. */
bool kv_deadline_sleep(struct kv_deadline deadline, int64_t ms);
/* How long to wait at a time for what a wish to cancel does not wake. */
enum { KV_DEADLINE_LOOK_MS = 200 };
int64_t kv_deadline_look(struct kv_deadline deadline); /* ms, 0: the deadline has passed */

/* What a caller hands down with every call that may reach the network. */
struct kv_task {
    struct kv_deadline deadline;
    const char *caller;            /* "C_Sign", "kvp11 rotate": stands in the audit record */
    bool elsewhere;                /* another place can be asked the same: nothing here is worth a wait */
    void (*answered)(void *state); /* after each request, whatever came of it; NULL: nobody watches */
    void *state;
};

/* "2026-01-31T12:00:00Z"; ret has room for 21 bytes. */
void kv_clock_text(int64_t unix_seconds, char *ret);
/* The same back; or a day, "2026-01-31", which is its first second. False: no such point in time. */
bool kv_clock_read(const char *text, int64_t *ret);

#endif
