#include "inject.h"

#include <stdint.h>
#include <stdlib.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_print_stack_trace() ((void)0)
#endif

static bool armed;
static uint64_t state;
static size_t calls, failures, since;
static const char *last;

void inject_seed(unsigned seed)
{
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    calls = failures = 0;
    last = NULL;
}

void inject_on(void)
{
    since = 0;
    armed = true;
}

size_t inject_off(void)
{
    armed = false;
    return since;
}

const char *inject_last(void)
{
    return last;
}

void inject_totals(size_t *ret_calls, size_t *ret_failures)
{
    *ret_calls = calls;
    *ret_failures = failures;
}

/* xorshift64*, by Marsaglia and Vigna: enough for dice. */
static uint64_t roll(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(0x2545f4914f6cdd1d) >> 32;
}

bool inject_here(const char *function)
{
    if (!armed)
        return false;
    calls++;
    if (roll() % INJECT_ODDS)
        return false;
    failures++;
    since++;
    last = function;
    if (getenv("INJECT_TRACE"))
        __sanitizer_print_stack_trace();
    return true;
}
