/* Memory for key values: in pages that are never written to a core (MADV_DONTDUMP) and never to swap as far as RLIMIT_MEMLOCK allows (a limit that is used up
 * is no error), with a page before and behind that cannot be touched. A forked child finds zeroes there. Blocks are zero when given and wiped when
 * given back. Any thread. */
#ifndef KV_BASE_LOCKED_H
#define KV_BASE_LOCKED_H

#include "base/bytes.h"

void *kv_locked_alloc(size_t len); /* NULL: memory is short */
void kv_locked_free(void *block);  /* NULL is fine */

/* As kv_bytes_alloc and kv_bytes_copy; kv_bytes_free gives them back. */
KV_MUST_USE enum kv_status kv_bytes_alloc_locked(size_t len, struct kv_bytes *ret);
KV_MUST_USE enum kv_status kv_bytes_copy_locked(struct kv_view from, struct kv_bytes *ret);

#endif
