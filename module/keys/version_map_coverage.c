/* Samples of backups, and wraps that became backups. */
#include "keys/coverage.h"
#include "version_map_private.h"

#include <string.h>

/* One more at the end of an array of items of one size. NULL: memory is short. */
static void *grow(void **items, size_t count, size_t size)
{
    void *more = reallocarray(*items, count + 1, size);

    if (!more)
        return NULL;
    *items = more;
    return memset((char *)more + count * size, 0, size);
}

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

struct array {
    bool (*read)(sqlite3_stmt *row, void *to);
    size_t size;
    void *items;
    size_t count;
};

/* A row that cannot be read is passed over: kv_map_verify names it. */
static enum kv_status collect(struct kv_map *map, sqlite3_stmt *rows, struct array *array,
                              struct kv_error *err)
{
    int code;

    while ((code = kv_map_step(rows)) == SQLITE_ROW) {
        void *item = grow(&array->items, array->count, array->size);
        if (!item) {
            free(kv_take(array->items));
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        }
        array->count += array->read(rows, item);
    }
    if (code == SQLITE_DONE)
        return KV_OK;
    free(kv_take(array->items));
    return kv_map_failed(map, code, err);
}

enum kv_status kv_map_sample(struct kv_map *map, const char *store, bool break_glass, int count,
                             struct kv_map_sample **ret, size_t *ret_count, struct kv_error *err)
{
    struct array array = { read_sample, sizeof **ret, NULL, 0 };

    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_SAMPLE, &rows, err));
    kv_map_bind_text(rows, ":store", store);
    kv_map_bind_int(rows, ":glass", break_glass);
    kv_map_bind_int(rows, ":sample", count);
    KV_TRY(collect(map, rows, &array, err));
    *ret = array.items;
    *ret_count = array.count;
    return KV_OK;
}

/* --- wraps that became backups --- */

static enum kv_status settle_one(struct kv_map *map, const struct kv_map_all *all, size_t i,
                                 struct kv_error *err)
{
    static const char *const names[] = { ":vault", ":name", ":version" };
    const unsigned char(*digests)[32] = all->items;
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL, *count = NULL;

    KV_TRY(kv_map_statement(map, KV_SQL_SETTLE, &statement, err));
    KV_TRY(kv_map_statement(map, KV_SQL_SETTLED, &count, err));
    kv_map_bind_blob(statement, ":digest", (struct kv_view){ digests[i], 32 });
    kv_map_bind_int(statement, ":at", all->at);
    int code = kv_map_step(statement);
    if (code != SQLITE_ROW)
        return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
    for (size_t column = 0; column < sizeof names / sizeof *names; column++)
        kv_map_bind_text(count, names[column], (const char *)sqlite3_column_text(statement, (int)column));
    return kv_map_step_done(map, count, err);
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
