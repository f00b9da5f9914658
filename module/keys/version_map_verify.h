/* The walk along the journal and the tables, for kv_map_verify; inside one transaction. */
#ifndef KV_KEYS_VERSION_MAP_VERIFY_H
#define KV_KEYS_VERSION_MAP_VERIFY_H

#include "version_map_private.h"

struct kv_map_walk {
    struct kv_map *map; /* borrowed */
    int64_t entries;
    unsigned char head[32];
    unsigned char *followed, *claimed; /* a bit an entry */
};
void kv_map_walk_free(struct kv_map_walk *walk);
/* First: every entry and the head. */
KV_MUST_USE enum kv_status kv_map_walk_chain(struct kv_map_walk *walk, struct kv_error *err);
/* A row says that this is its last entry. */
KV_MUST_USE enum kv_status kv_map_walk_claim(struct kv_map_walk *walk, int64_t seq, const char *subject,
                                             const unsigned char facts[32], struct kv_error *err);
/* Backups and locations claim theirs; then every last entry must be some row's. */
KV_MUST_USE enum kv_status kv_map_walk_end(struct kv_map_walk *walk, int64_t *ret_backups,
                                           struct kv_error *err);

#endif
