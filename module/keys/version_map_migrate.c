/* From whatever step the file stands at to the last one: in one transaction, with a copy beside it before the first step. */
#include "version_map_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { APPLICATION_ID = 0x4b563131 }; /* "KV11" */

struct stamp {
    int steps, application, tables;
};

static enum kv_status read_stamp(struct kv_map *map, struct stamp *ret, struct kv_error *err)
{
    KV_TRY(kv_map_pragma_int(map, "PRAGMA user_version", &ret->steps, err));
    KV_TRY(kv_map_pragma_int(map, "PRAGMA application_id", &ret->application, err));
    return kv_map_pragma_int(map, "SELECT count(*) FROM sqlite_schema", &ret->tables, err);
}

static enum kv_status check_stamp(const struct kv_map *map, const struct stamp *stamp, struct kv_error *err)
{
    bool empty = stamp->steps == 0 && stamp->tables == 0;

    if (!empty && stamp->application != APPLICATION_ID)
        return kv_fail(err, KV_MAP_CORRUPT, "'%s' is not a version map: set `map` to another path",
                       map->path);
    if (stamp->steps > kv_map_step_count)
        return kv_fail(
            err, KV_MAP_NEWER,
            "version map '%s' is from a newer release (format %d, this one reads up to %d): use that "
            "release, or set `map` to another path",
            map->path, stamp->steps, kv_map_step_count);
    return KV_OK;
}

/* By a connection of its own: the one that holds the write lock cannot be copied from. */
static int copy_pages(const char *from, const char *to)
{
    sqlite3 *source = NULL, *target = NULL;
    int code = sqlite3_open_v2(from, &source, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOFOLLOW, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_open_v2(to, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL);
    if (code == SQLITE_OK) {
        sqlite3_backup *backup = sqlite3_backup_init(target, "main", source, "main");
        code = backup ? sqlite3_backup_step(backup, -1) : sqlite3_errcode(target);
        sqlite3_backup_finish(backup);
    }
    sqlite3_close(target);
    sqlite3_close(source);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static enum kv_status keep_copy(struct kv_map *map, int steps, struct kv_error *err)
{
    KV_AUTO_FREE char *kept = kv_text_format("%s.step-%d", map->file, steps);
    KV_AUTO_FREE char *part = kv_text_format("%s.step-%d.part", map->file, steps);

    if (!kept || !part)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_map_file_fresh(part, err));
    int code = copy_pages(map->file, part);
    if (code != SQLITE_OK)
        return kv_map_failed(map, code, err);
    if (rename(part, kept))
        return kv_fail(err, KV_IO, "cannot keep a copy of version map '%s' as '%s': %s", map->path, kept,
                       strerror(errno));
    return KV_OK;
}

static enum kv_status take_steps(struct kv_map *map, struct kv_error *err)
{
    char done[96];
    struct stamp stamp;

    /* Again, now that no other process can be at it. */
    KV_TRY(read_stamp(map, &stamp, err));
    KV_TRY(check_stamp(map, &stamp, err));
    if (stamp.steps == kv_map_step_count)
        return KV_OK;
    if (stamp.steps && map->file)
        KV_TRY(keep_copy(map, stamp.steps, err));
    for (int i = stamp.steps; i < kv_map_step_count; i++)
        KV_TRY(kv_map_exec(map, kv_map_steps[i], err));
    KV_TRY(kv_map_note_all(map, err));
    snprintf(done, sizeof done, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
             kv_map_step_count);
    return kv_map_exec(map, done, err);
}

enum kv_status kv_map_migrate(struct kv_map *map, struct kv_error *err)
{
    struct stamp stamp;

    KV_TRY(read_stamp(map, &stamp, err));
    KV_TRY(check_stamp(map, &stamp, err));
    if (stamp.steps < kv_map_step_count && !map->writable)
        return kv_fail(
            err, KV_READ_ONLY,
            "version map '%s' is of an older release (format %d of %d), and this user cannot bring "
            "it up to date: run `kvp11 map verify` once as a user who can write it",
            map->path, stamp.steps, kv_map_step_count);
    if (stamp.steps < kv_map_step_count) {
        KV_TRY(kv_map_begin(map, err));
        KV_TRY(kv_map_end(map, take_steps(map, err), err));
    }
    map->ready = true;
    return KV_OK;
}
