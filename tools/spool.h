/* What is to be printed when all of it is known, however much it is: in memory as far as that is little, else in a file without a name. What was locked before its first
 * byte never goes to a file. A failure is remembered, and told by whoever prints. One thread. */
#ifndef KV_TOOLS_SPOOL_H
#define KV_TOOLS_SPOOL_H

#include <stdio.h>
#include "base/bytes.h"

enum { KV_SPOOL_MEMORY = 1 << 20 };

struct kv_spool {
    struct kv_buffer memory;
    FILE *file; /* NULL: all of it is in memory */
    size_t at;  /* where kv_spool_text reads next */
    char *text; /* of the last one that was read from the file */
    size_t room;
    enum kv_status status;
};
void kv_spool_free(struct kv_spool *spool); /* contents, not the struct */
#define KV_AUTO_SPOOL KV_CLEANUP(kv_spool_free)

/* KV_NO_MEMORY; KV_IO: there is no room for the file. */
KV_MUST_USE enum kv_status kv_spool_add(struct kv_spool *spool, struct kv_view more);
KV_MUST_USE enum kv_status kv_spool_format(struct kv_spool *spool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool kv_spool_is_empty(const struct kv_spool *spool);

/* Reads from the beginning on what was added as texts with their NUL; NULL: the end, or a failure. Nothing is added in between. */
KV_MUST_USE enum kv_status kv_spool_rewind(struct kv_spool *spool);
const char *kv_spool_text(struct kv_spool *spool); /* until the next call */
/* All of it. The stream remembers its own failures. */
KV_MUST_USE enum kv_status kv_spool_write(struct kv_spool *spool, FILE *to);

#endif
