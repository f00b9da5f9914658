/* Samples of backups, and wraps that became backups. */
#include "keys/coverage.h"
#include "version_map_private.h"

#include <string.h>

static bool read_key(sqlite3_stmt *row, unsigned char key[32], size_t *ret_len)
{
    *ret_len = (size_t)sqlite3_column_bytes(row, 0);
    return *ret_len <= 32 && (!*ret_len || kv_map_blob_fixed(row, 0, key, (int)*ret_len));
}

/* In the order of KV_SQL_SAMPLE. */
static bool read_sample(sqlite3_stmt *row, void *to)
{
    struct kv_map_sample *ret = to;

    ret->row = sqlite3_column_int64(row, 1);
    return read_key(row, ret->key, &ret->key_len);
}

enum kv_status kv_map_sample(struct kv_map *map, const char *store, bool break_glass, int count,
                             struct kv_map_sample **ret, size_t *ret_count, struct kv_error *err)
{
    struct kv_map_array array = { .read = read_sample, .size = sizeof **ret };

    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_SAMPLE, &rows, err));
    kv_map_bind_text(rows, ":store", store);
    kv_map_bind_int(rows, ":glass", break_glass);
    kv_map_bind_int(rows, ":sample", count);
    KV_TRY(kv_map_collect(map, rows, &array, err));
    *ret = array.items;
    *ret_count = array.count;
    return KV_OK;
}

/* --- wraps that became backups --- */

static const char *text_of(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

enum kv_status kv_map_settle_wrap(struct kv_map *map, const unsigned char digest[32], int64_t at,
                                  struct kv_error *err)
{
    bool found = false;
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL, *count = NULL;

    KV_TRY(kv_map_statement(map, KV_SQL_SETTLE, &statement, err));
    KV_TRY(kv_map_statement(map, KV_SQL_SETTLED, &count, err));
    kv_map_bind_blob(statement, ":digest", (struct kv_view){ digest, 32 });
    kv_map_bind_int(statement, ":at", at);
    KV_TRY(kv_map_step_found(map, statement, &found, err));
    if (!found)
        return KV_OK;
    kv_map_bind_key(count, text_of(statement, 0), text_of(statement, 1), text_of(statement, 2));
    return kv_map_step_done(map, count, err);
}

static enum kv_status settle_one(struct kv_map *map, const struct kv_map_all *all, size_t i,
                                 struct kv_error *err)
{
    const unsigned char(*digests)[32] = all->items;

    return kv_map_settle_wrap(map, digests[i], all->at, err);
}

enum kv_status kv_map_wraps_settle(struct kv_map *map, const unsigned char (*digests)[32], size_t count,
                                   int64_t at, struct kv_error *err)
{
    return kv_map_put_all(map, &(struct kv_map_all){ digests, count, at, settle_one }, err);
}

enum kv_status kv_map_wraps_left(struct kv_map *map, const struct kv_version *version, int64_t *ret,
                                 struct kv_error *err)
{
    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_WRAPS_LEFT, &row, err));
    kv_map_bind_blob(row, ":id", (struct kv_view){ version->id, sizeof version->id });
    kv_map_bind_blob(row, ":spki", (struct kv_view){ version->spki_sha256, sizeof version->spki_sha256 });
    return kv_map_answer(map, row, ret, err);
}
