/* Headers of files that are about to be written, so that a writer that is cut off leaves nothing that the map would not learn of. */
#include "keys/coverage.h"
#include "version_map_private.h"

/* An earlier attempt at the same file has come to nothing. */
static enum kv_status put(struct kv_map *map, const struct kv_map_rewrap *rewrap, struct kv_view digest,
                          struct kv_error *err)
{
    static const enum kv_map_sql steps[] = { KV_SQL_REWRAPPING_AGAIN, KV_SQL_REWRAPPING };

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
        KV_TRY(kv_map_statement(map, steps[i], &statement, err));
        kv_map_bind_blob(statement, ":header",
                         (struct kv_view){ rewrap->header_sha256, sizeof rewrap->header_sha256 });
        kv_map_bind_blob(statement, ":digest", digest);
        kv_map_bind_text(statement, ":id", rewrap->id);
        kv_map_bind_text(statement, ":store", rewrap->store);
        KV_TRY(kv_map_step_done(map, statement, err));
    }
    return KV_OK;
}

static enum kv_status put_all(struct kv_map *map, const struct kv_map_rewrap *rewrap, struct kv_error *err)
{
    for (size_t i = 0; i < rewrap->count; i++)
        KV_TRY(put(map, rewrap, (struct kv_view){ rewrap->digests[i], 32 }, err));
    return rewrap->count || !*rewrap->id ? KV_OK : put(map, rewrap, (struct kv_view){ NULL, 0 }, err);
}

enum kv_status kv_map_rewrap_begin(struct kv_map *map, const struct kv_map_rewrap *rewrap,
                                   struct kv_error *err)
{
    KV_MAP_LOCK(map);
    KV_TRY(kv_map_begin(map, err));
    return kv_map_end(map, put_all(map, rewrap, err), err);
}

enum kv_status kv_map_rewrap_find(struct kv_map *map, const unsigned char header_sha256[32],
                                  struct kv_map_rewrap_begun *ret, struct kv_error *err)
{
    struct kv_map_rewrap_begun begun = { .found = true };

    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_REWRAP, &row, err));
    kv_map_bind_blob(row, ":header", (struct kv_view){ header_sha256, 32 });
    int code = kv_map_step(row);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return kv_map_failed(map, code, err);
    *ret = (struct kv_map_rewrap_begun){ 0 };
    if (code != SQLITE_ROW)
        return KV_OK;
    kv_map_text(row, 0, begun.id, sizeof begun.id);
    kv_map_text(row, 1, begun.store, sizeof begun.store);
    *ret = begun;
    return KV_OK;
}

/* One of its rows. *ret_more: there was one. */
static enum kv_status end_one(struct kv_map *map, const unsigned char header_sha256[32], int64_t at,
                              bool *ret_more, struct kv_error *err)
{
    unsigned char digest[32];
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;

    KV_TRY(kv_map_statement(map, KV_SQL_REWRAPPED, &row, err));
    kv_map_bind_blob(row, ":header", (struct kv_view){ header_sha256, 32 });
    KV_TRY(kv_map_step_found(map, row, ret_more, err));
    return *ret_more && kv_map_blob_fixed(row, 0, digest, sizeof digest)
               ? kv_map_settle_wrap(map, digest, at, err)
               : (enum kv_status)KV_OK;
}

static enum kv_status end(struct kv_map *map, const unsigned char header_sha256[32], int64_t at,
                          struct kv_error *err)
{
    for (bool more = true; more;)
        KV_TRY(end_one(map, header_sha256, at, &more, err));
    return KV_OK;
}

enum kv_status kv_map_rewrap_end(struct kv_map *map, const unsigned char header_sha256[32], int64_t at,
                                 struct kv_error *err)
{
    KV_MAP_LOCK(map);
    KV_TRY(kv_map_begin(map, err));
    return kv_map_end(map, end(map, header_sha256, at, err), err);
}
