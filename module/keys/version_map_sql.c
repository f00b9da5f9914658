/* The few lines around the statements of the version map. */
#include "version_map_private.h"

#include <string.h>

/* A value that could not be bound for lack of memory would be NULL, and NULL asks for everything: such a statement is not run. */
static _Thread_local const sqlite3_stmt *unbound;

enum kv_status kv_map_statement(struct kv_map *map, enum kv_map_sql which, sqlite3_stmt **ret,
                                struct kv_error *err)
{
    if (!map->db)
        return kv_map_health(map, err) ? map->health.status
                                       : kv_fail(err, KV_IO, "the version map is not used in this process");

    sqlite3_stmt **kept = &map->statements[which];
    int code =
        *kept ? SQLITE_OK
              : sqlite3_prepare_v3(map->db, kv_map_texts[which], -1, SQLITE_PREPARE_PERSISTENT, kept, NULL);

    if (code != SQLITE_OK)
        return kv_map_failed(map, code, err);
    *ret = *kept;
    return KV_OK;
}

void kv_map_statement_cleanup(sqlite3_stmt **statement)
{
    if (!*statement)
        return;
    if (unbound == *statement)
        unbound = NULL;
    sqlite3_reset(*statement);
    sqlite3_clear_bindings(*statement);
}

static void bound(sqlite3_stmt *statement, int code)
{
    if (code != SQLITE_OK && code != SQLITE_RANGE)
        unbound = statement;
}

int kv_map_step(sqlite3_stmt *statement)
{
    if (statement != unbound)
        return sqlite3_step(statement);
    unbound = NULL;
    return SQLITE_NOMEM;
}

enum kv_status kv_map_step_done(struct kv_map *map, sqlite3_stmt *statement, struct kv_error *err)
{
    int code = kv_map_step(statement);

    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

enum kv_status kv_map_step_found(struct kv_map *map, sqlite3_stmt *statement, bool *ret_found,
                                 struct kv_error *err)
{
    int code = kv_map_step(statement);

    *ret_found = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

static enum kv_status collect(struct kv_map *map, sqlite3_stmt *rows, struct kv_map_array *array,
                              struct kv_error *err)
{
    int code;

    while ((code = kv_map_step(rows)) == SQLITE_ROW) {
        void *more = reallocarray(array->items, array->count + 1, array->size);
        if (!more)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        array->items = more;
        void *item = memset((char *)more + array->count * array->size, 0, array->size);
        array->count += array->read(rows, item);
        if (!kv_map_row_is_whole(rows))
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

enum kv_status kv_map_collect(struct kv_map *map, sqlite3_stmt *rows, struct kv_map_array *array,
                              struct kv_error *err)
{
    enum kv_status status = collect(map, rows, array, err);

    if (status) {
        free(kv_take(array->items));
        array->count = 0;
    }
    return status;
}

enum kv_status kv_map_answer(struct kv_map *map, sqlite3_stmt *statement, int64_t *ret, struct kv_error *err)
{
    int code = kv_map_step(statement);

    if (code != SQLITE_ROW)
        return kv_map_failed(map, code, err);
    *ret = sqlite3_column_int64(statement, 0);
    return KV_OK;
}

enum kv_status kv_map_run(struct kv_map *map, enum kv_map_sql which, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;

    KV_TRY(kv_map_statement(map, which, &statement, err));
    return kv_map_step_done(map, statement, err);
}

/* A newer release may have brought the file up to date while this process has it open: what it knows of a row and this one does not would be lost, and the
 * journal would not tell it. */
static enum kv_status check_format(struct kv_map *map, struct kv_error *err)
{
    int64_t format = 0;

    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_FORMAT, &row, err));
    KV_TRY(kv_map_answer(map, row, &format, err));
    return format <= kv_map_step_count
               ? KV_OK
               : kv_fail(err, KV_MAP_NEWER,
                         "a newer release has brought version map '%s' up to format %d, and this process "
                         "writes format %d: start it anew, with that release",
                         map->path, (int)format, kv_map_step_count);
}

enum kv_status kv_map_begin(struct kv_map *map, struct kv_error *err)
{
    if (!map->writable)
        return kv_fail(err, KV_READ_ONLY, "version map '%s' is read-only: nothing was written to it",
                       map->path);
    map->head = (struct kv_journal_head){ 0 }; /* another process may have written since */
    KV_TRY(kv_map_run(map, KV_SQL_BEGIN, err));
    enum kv_status status = map->ready ? check_format(map, err) : KV_OK;
    if (status)
        (void)!kv_map_run(map, KV_SQL_ROLLBACK, NULL);
    return status;
}

enum kv_status kv_map_end(struct kv_map *map, enum kv_status status, struct kv_error *err)
{
    if (!status)
        status = kv_map_journal_seal(map, err);
    if (!status)
        status = kv_map_run(map, KV_SQL_COMMIT, err);
    /* A failed COMMIT and some failed statements leave the transaction open, others have rolled it back already. */
    if (status && !sqlite3_get_autocommit(map->db))
        (void)!kv_map_run(map, KV_SQL_ROLLBACK, NULL);
    return status;
}

enum kv_status kv_map_put_all(struct kv_map *map, const struct kv_map_all *all, struct kv_error *err)
{
    enum kv_status status = KV_OK;

    if (!all->count)
        return KV_OK;
    KV_MAP_LOCK(map);
    KV_TRY(kv_map_begin(map, err));
    for (size_t i = 0; i < all->count && !status; i++)
        status = all->one(map, all, i, err);
    return kv_map_end(map, status, err);
}

#define REBUILD                                                                                              \
    "restore a copy of it; or move it away, `kvp11 map import` every copy, and `kvp11 map rebuild --scan "   \
    "STORE`"

static const struct {
    int code;
    enum kv_status status;
    const char *cause, *remedy;
} failures[] = {
    { SQLITE_FULL, KV_IO, "the disk is full",
      "free some space; versions that it did not take are learnt again from the vault" },
    { SQLITE_IOERR, KV_IO, "reading or writing failed",
      "look at the disk; versions that it did not take are learnt again from the vault" },
    { SQLITE_BUSY, KV_IO, "another process holds it for too long", "try again" },
    { SQLITE_LOCKED, KV_IO, "another process holds it for too long", "try again" },
    { SQLITE_READONLY, KV_READ_ONLY, "it is read-only",
      "give this user write permission on the file and its folder, or set `map` to another path" },
    { SQLITE_PERM, KV_IO, "permission denied",
      "give this user permission on the file and its folder, or set `map` to another path" },
    { SQLITE_CANTOPEN, KV_IO, "it cannot be opened",
      "look at its folder and permissions, or set `map` to another path" },
    { SQLITE_CORRUPT, KV_MAP_CORRUPT, "it is damaged", REBUILD },
    { SQLITE_NOTADB, KV_MAP_CORRUPT, "it is not a version map, or damaged", REBUILD },
    { SQLITE_ERROR, KV_MAP_CORRUPT, "its tables are not those of its format", REBUILD },
    { SQLITE_NOMEM, KV_NO_MEMORY, "out of memory", "try again" },
};

enum kv_status kv_map_failed(const struct kv_map *map, int code, struct kv_error *err)
{
    const char *path = map->file ? map->path : "in memory";

    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        if (failures[i].code == (code & 0xff))
            return kv_fail(err, failures[i].status, "version map '%s': %s: %s", path, failures[i].cause,
                           failures[i].remedy);
    return kv_fail(err, KV_IO, "version map '%s': %s (SQLite %d)", path, sqlite3_errstr(code), code);
}

void kv_map_bind_text(sqlite3_stmt *statement, const char *name, const char *value)
{
    bound(statement, sqlite3_bind_text(statement, sqlite3_bind_parameter_index(statement, name), value, -1,
                                       SQLITE_TRANSIENT));
}

void kv_map_bind_int(sqlite3_stmt *statement, const char *name, int64_t value)
{
    bound(statement, sqlite3_bind_int64(statement, sqlite3_bind_parameter_index(statement, name), value));
}

void kv_map_bind_blob(sqlite3_stmt *statement, const char *name, struct kv_view value)
{
    bound(statement,
          sqlite3_bind_blob(statement, sqlite3_bind_parameter_index(statement, name),
                            value.len ? (const void *)value.data : "", (int)value.len, SQLITE_TRANSIENT));
}

void kv_map_bind_key(sqlite3_stmt *statement, const char *vault, const char *name, const char *version)
{
    kv_map_bind_text(statement, ":vault", vault);
    kv_map_bind_text(statement, ":name", name);
    if (version)
        kv_map_bind_text(statement, ":version", version);
}

void kv_map_text(sqlite3_stmt *statement, int column, char *ret, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    kv_text_fit(ret, size, text ? text : "");
}
