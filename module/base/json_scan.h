/* A look at JSON text before it is parsed: what the parser would let pass in silence. Private to base. */
#ifndef KV_BASE_JSON_SCAN_H
#define KV_BASE_JSON_SCAN_H

#include "base/bytes.h"

enum { KV_JSON_DEPTH = 32 };

/* NULL: nothing to say against it; else what is wrong, and at which byte. */
const char *kv_json_scan(struct kv_view text, size_t *ret_at);

#endif
