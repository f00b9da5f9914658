/* Days and ages as people write them. Any thread. */
#ifndef KV_TOOLS_WHEN_H
#define KV_TOOLS_WHEN_H

#include "base/status.h"

#include <stdint.h>

/* What --retain-until says: "2033-11-23", to its last second; "2033-11-23T12:00:00Z"; or an age, "30d", "12w", "7y" (of 365 days), which counts from `from`.
 * KV_ARGUMENTS. */
KV_MUST_USE enum kv_status kv_when_until(const char *text, int64_t from, int64_t *ret, struct kv_error *err);

#endif
