#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t system_unix_seconds(const struct kv_clock *clock)
{
    return (int64_t)time(NULL);
}

static int64_t system_steady_ms(const struct kv_clock *clock)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct timespec kv_clock_after(int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

/* Until a point in time: a signal of the host's makes the wait neither shorter nor longer. */
static void system_sleep_ms(const struct kv_clock *clock, int64_t ms)
{
    if (ms <= 0)
        return;
    struct timespec until = kv_clock_after(ms);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

/* From the kernel, not rand(3): its state is the host's. */
static double system_jitter(const struct kv_clock *clock)
{
    uint32_t bits = 0;

    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits)
        return 0.5;
    return bits / 4294967296.0;
}

const struct kv_clock kv_clock_system = {
    .unix_seconds = system_unix_seconds,
    .steady_ms = system_steady_ms,
    .sleep_ms = system_sleep_ms,
    .jitter = system_jitter,
};

struct kv_deadline kv_deadline_in(const struct kv_clock *clock, int64_t ms)
{
    struct kv_deadline deadline = { .clock = clock };

    if (__builtin_add_overflow(clock->steady_ms(clock), ms, &deadline.at_ms))
        deadline.at_ms = ms > 0 ? INT64_MAX : INT64_MIN;
    return deadline;
}

int64_t kv_deadline_left(struct kv_deadline deadline)
{
    int64_t now = deadline.clock->steady_ms(deadline.clock), left;

    if (deadline.at_ms <= now)
        return 0;
    return __builtin_sub_overflow(deadline.at_ms, now, &left) ? INT64_MAX : left;
}

struct kv_deadline kv_deadline_again(struct kv_deadline deadline, int64_t ms)
{
    struct kv_deadline other = kv_deadline_in(deadline.clock, ms);

    other.cancel = deadline.cancel;
    return other;
}

bool kv_deadline_cancelled(struct kv_deadline deadline)
{
    return kv_cancel_wished(deadline.cancel);
}

/* A clock of a test's own sleeps as that test likes. */
bool kv_deadline_sleep(struct kv_deadline deadline, int64_t ms)
{
    if (kv_deadline_cancelled(deadline))
        return false;
    if (deadline.cancel && deadline.clock->sleep_ms == system_sleep_ms)
        return kv_cancel_sleep(deadline.cancel, ms);
    deadline.clock->sleep_ms(deadline.clock, ms);
    return !kv_deadline_cancelled(deadline);
}

int64_t kv_deadline_look(struct kv_deadline deadline)
{
    int64_t left = kv_deadline_left(deadline);

    return deadline.cancel && left > KV_DEADLINE_LOOK_MS ? KV_DEADLINE_LOOK_MS : left;
}

void kv_clock_text(int64_t unix_seconds, char *ret)
{
    const int64_t last = 253402300799; /* 9999-12-31T23:59:59Z: a fifth digit would not fit */
    time_t seconds = (time_t)(unix_seconds < 0 ? 0 : unix_seconds > last ? last : unix_seconds);
    struct tm parts;

    gmtime_r(&seconds, &parts);
    strftime(ret, 21, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* A day that there is not is refused: what is read must be what is written again. */
bool kv_clock_read(const char *text, int64_t *ret)
{
    struct tm parts = { 0 };
    char again[21];
    bool whole = strchr(text, 'T');
    const char *end = strptime(text, whole ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d", &parts);

    if (!end || *end)
        return false;
    int64_t at = timegm(&parts);
    kv_clock_text(at, again);
    if (strncmp(again, text, whole ? sizeof again : strlen("2026-01-31")) != 0)
        return false;
    *ret = at;
    return true;
}

bool kv_clock_condition(pthread_cond_t *ret)
{
    pthread_condattr_t steady;

    if (pthread_condattr_init(&steady))
        return false;
    bool ready = !pthread_condattr_setclock(&steady, CLOCK_MONOTONIC) && !pthread_cond_init(ret, &steady);
    pthread_condattr_destroy(&steady);
    return ready;
}
