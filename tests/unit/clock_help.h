/* A clock for tests of credentials: it is always the same second, and sleeping takes no time, but is counted. */
#ifndef KV_TESTS_CLOCK_HELP_H
#define KV_TESTS_CLOCK_HELP_H

#include "base/clock.h"

enum { NOW = 1800000000 };

static struct kv_clock fixed; /* after fix_clock */
static int64_t slept_ms;

static inline int64_t fixed_now(const struct kv_clock *clock)
{
    return NOW;
}

static inline void no_sleep(const struct kv_clock *clock, int64_t ms)
{
    slept_ms += ms;
}

static inline double no_jitter(const struct kv_clock *clock)
{
    return 0;
}

static inline void fix_clock(void)
{
    slept_ms = 0;
    fixed = kv_clock_system;
    fixed.unix_seconds = fixed_now;
    fixed.sleep_ms = no_sleep;
    fixed.jitter = no_jitter;
}

#endif
