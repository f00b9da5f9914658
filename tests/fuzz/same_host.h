/* Where libcurl would go: a second opinion on what the module has read out of an address. */
#ifndef KV_TESTS_FUZZ_SAME_HOST_H
#define KV_TESTS_FUZZ_SAME_HOST_H

#include "fuzz.h"

/* https, to this host and port, or nowhere. */
bool fuzz_goes_to(const char *url, const char *host, const char *port);

#endif
