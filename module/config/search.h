/* Which file, and whether it may be trusted. Private to config. */
#ifndef KV_CONFIG_SEARCH_H
#define KV_CONFIG_SEARCH_H

#include "raw.h"

struct kv_search_file {
    char *path; /* NULL: there is none */
    struct kv_bytes text;
};
void kv_search_file_free(struct kv_search_file *file);
#define KV_AUTO_SEARCH_FILE KV_CLEANUP(kv_search_file_free)

/* `named` is the file that somebody asked for: it has to be there. NULL: the user's, else the host's, else
 * none. KV_CONFIG: a file that is there and cannot be trusted or read. */
KV_MUST_USE enum kv_status kv_search_read(const char *named, kv_raw_lookup *lookup,
                                          struct kv_search_file *ret, struct kv_error *err);

#endif
