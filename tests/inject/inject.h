/* Failure injection: calls of the module into libc, OpenSSL, libcurl, cJSON and SQLite that can fail do so, one in ODDS, as a seed says. The same seed
 * fails the same calls. The wrapped functions stand in wraps.c and, by name, in meson.build; what those libraries do among themselves is not touched.
 * One thread. With INJECT_TRACE in the environment each failure shows where it was, under AddressSanitizer. */
#ifndef KV_TESTS_INJECT_H
#define KV_TESTS_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INJECT_ODDS = 400 };

void inject_seed(unsigned seed);
void inject_on(void);
/* How many calls failed since inject_on(). */
size_t inject_off(void);
/* The name of the last function that failed; NULL: none yet. */
const char *inject_last(void);
/* How many calls came by and how many of them failed since the seed was set. */
void inject_totals(size_t *ret_calls, size_t *ret_failures);

/* Waits of the module do not wait but let its clocks run on; so does this. */
void inject_skip(int64_t ms);

/* For wraps.c: is this call to fail? */
bool inject_here(const char *function);

#endif
