/* Opening and closing. Whatever is wrong with the file, the caller gets a map that works: in memory, with the reason in its health. */
#include "version_map_private.h"

#include <string.h>

enum { BUSY_MS = 5000 };

enum kv_status kv_map_exec(struct kv_map *map, const char *text, struct kv_error *err)
{
    int code = sqlite3_exec(map->db, text, NULL, NULL, NULL);

    return code == SQLITE_OK ? KV_OK : kv_map_failed(map, code, err);
}

enum kv_status kv_map_pragma_int(struct kv_map *map, const char *text, int *ret, struct kv_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(map->db, text, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? KV_OK : kv_map_failed(map, code, err);
}

static void close_db(struct kv_map *map)
{
    for (size_t i = 0; i < KV_SQL_COUNT; i++) {
        sqlite3_finalize(map->statements[i]);
        map->statements[i] = NULL;
    }
    sqlite3_close(map->db);
    map->db = NULL;
}

static enum kv_status open_db(struct kv_map *map, struct kv_error *err)
{
    int flags = map->writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    int code = sqlite3_open_v2(map->scratch ? ""
                               : map->file  ? map->file
                                            : ":memory:",
                               &map->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);

    if (code != SQLITE_OK)
        return kv_map_failed(map, code, err);
    sqlite3_extended_result_codes(map->db, 1);
    sqlite3_busy_timeout(map->db, BUSY_MS);
    /* No WAL: its readers must be able to write beside the file. FULL: what a rotation learnt survives a power cut. */
    KV_TRY(kv_map_exec(map,
                       "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL;"
                       "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF",
                       err));
    if (map->scratch) /* filled at one go, in the order of a file and not of its indexes */
        KV_TRY(kv_map_exec(map, "PRAGMA cache_size = -16384", err));
    return kv_map_migrate(map, err);
}

static enum kv_status open_file(struct kv_map *map, struct kv_error *err)
{
    KV_TRY(kv_map_file_ready(map->path, &map->file, &map->writable, err));
    return open_db(map, err);
}

static enum kv_status open_memory(struct kv_map *map, struct kv_error *err)
{
    close_db(map);
    free(kv_take(map->file));
    map->writable = true;
    map->ready = false;
    return open_db(map, err);
}

static enum kv_status open_any(struct kv_map *map, struct kv_error *err)
{
    if (kv_map_torn()) {
        map->health.status = kv_fail(
            &map->health, KV_IO,
            "version map '%s' is not used: this process was forked while its parent was writing there; it "
            "works without a map until it is started anew",
            map->path ? map->path : "in memory");
        return KV_OK;
    }
    if (map->path)
        map->health.status = open_file(map, &map->health);
    return map->path && !map->health.status ? KV_OK : open_memory(map, err);
}

static enum kv_status open_as(const char *path, bool scratch, struct kv_map **ret, struct kv_error *err)
{
    struct kv_map *map = calloc(1, sizeof *map);

    if (!map)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    pthread_mutex_init(&map->lock, NULL);
    map->scratch = scratch;
    if (path && strcmp(path, "none")) {
        map->path = kv_text_copy(path);
        if (!map->path) {
            kv_map_free(map);
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        }
    }
    kv_map_enter(map);
    enum kv_status status = open_any(map, err);
    kv_map_leave(map);
    if (status) {
        kv_map_free(map);
        return status;
    }
    *ret = map;
    return kv_map_health(map, err);
}

enum kv_status kv_map_open(const char *path, struct kv_map **ret, struct kv_error *err)
{
    return open_as(path, false, ret, err);
}

enum kv_status kv_map_scratch(struct kv_map **ret, struct kv_error *err)
{
    return open_as(NULL, true, ret, err);
}

void kv_map_free(struct kv_map *map)
{
    if (!map)
        return;
    kv_map_enter(map);
    close_db(map);
    kv_map_leave(map);
    pthread_mutex_destroy(&map->lock);
    free(map->file);
    free(map->path);
    free(map);
}

void kv_map_forget(struct kv_map *map)
{
    kv_map_forked();
    /* Closing the parent's handle here would touch the parent's locks and its journal. */
    if (map->db)
        map->inherited = kv_take(map->db);
    memset(map->statements, 0, sizeof map->statements);
    pthread_mutex_init(&map->lock, NULL);
}

enum kv_status kv_map_health(const struct kv_map *map, struct kv_error *err)
{
    if (map->health.status && err)
        *err = map->health;
    return map->health.status;
}

bool kv_map_lasts(const struct kv_map *map)
{
    return map->file && map->db && map->writable;
}

bool kv_map_writable(const struct kv_map *map)
{
    return map->writable;
}
