/* The walk along the journal and the tables, for kv_map_verify. No transaction is open. */
#ifndef KV_KEYS_VERSION_MAP_VERIFY_H
#define KV_KEYS_VERSION_MAP_VERIFY_H

#include "version_map_private.h"

struct kv_map_walk {
    struct kv_map *map; /* borrowed */
    int64_t entries;    /* as the head says, at the last look */
    int64_t seq, rows;  /* how far the chain was walked; rows of the table at hand */
    unsigned char head[32], last[32];
    unsigned char *followed, *claimed; /* a bit an entry, up to `seq` */
    size_t room;                       /* bytes of each */
};
struct kv_map_walk_table {
    enum kv_map_sql page;
    enum kv_status (*claim)(struct kv_map_walk *walk, sqlite3_stmt *row, struct kv_error *err);
    bool paged; /* by its first column, `:after` and `:limit` */
};
void kv_map_walk_free(struct kv_map_walk *walk);
/* Are the columns numbers, texts and blobs ("itb")? A text in the place of a number, a fraction, or a text with a null in it is one thing to C and another to SQL.
 * Before any of them is read. */
bool kv_map_walk_types(sqlite3_stmt *row, const char *types);
/* First: every entry and the head. */
KV_MUST_USE enum kv_status kv_map_walk_chain(struct kv_map_walk *walk, struct kv_error *err);
/* A row says that this is its last entry. */
KV_MUST_USE enum kv_status kv_map_walk_claim(struct kv_map_walk *walk, int64_t seq, const char *subject,
                                             const unsigned char facts[32], struct kv_error *err);
/* Every row of a table, in pages. */
KV_MUST_USE enum kv_status kv_map_walk_rows(struct kv_map_walk *walk, const struct kv_map_walk_table *table,
                                            int64_t *ret_count, struct kv_error *err);
/* Backups and locations claim theirs; then every last entry must be some row's. */
KV_MUST_USE enum kv_status kv_map_walk_end(struct kv_map_walk *walk, int64_t *ret_backups,
                                           struct kv_error *err);

#endif
