#include "keys/watch.h"
#include "version_map_private.h"

#include <string.h>
#include <strings.h>

/* In the order of KV_SQL_KEYS. */
static bool read_key(sqlite3_stmt *row, void *to)
{
    struct kv_map_key *key = to;

    kv_map_text(row, 0, key->name, sizeof key->name);
    key->versions = sqlite3_column_int64(row, 1);
    kv_map_text(row, 2, key->recovery, sizeof key->recovery);
    key->protected_at = sqlite3_column_int64(row, 3);
    key->newest = sqlite3_column_int64(row, 4);
    return true;
}

enum kv_status kv_map_key_page(struct kv_map *map, const char *vault, const char *after,
                               struct kv_map_key **ret, size_t *ret_count, struct kv_error *err)
{
    struct kv_map_array array = { .read = read_key, .size = sizeof **ret };

    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_KEYS, &rows, err));
    kv_map_bind_text(rows, ":vault", vault);
    kv_map_bind_text(rows, ":after", after);
    kv_map_bind_int(rows, ":limit", KV_WATCH_PAGE);
    KV_TRY(kv_map_collect(map, rows, &array, err));
    *ret = array.items;
    *ret_count = array.count;
    return KV_OK;
}

enum kv_status kv_map_needs_old(struct kv_map *map, const char *vault, const char *name, bool *ret,
                                struct kv_error *err)
{
    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_NEEDS_OLD, &row, err));
    kv_map_bind_key(row, vault, name, NULL);
    int64_t needs = 0;
    KV_TRY(kv_map_answer(map, row, &needs, err));
    *ret = needs != 0;
    return KV_OK;
}

/* --- Key Vault's own backups --- */

void kv_map_key_backup_free(struct kv_map_key_backup *backup)
{
    kv_text_free(kv_take(backup->path));
    kv_text_free(kv_take(backup->versions));
}

bool kv_map_key_backup_has(const struct kv_map_key_backup *backup, const char *version)
{
    const size_t len = strlen(version);

    for (const char *at = backup->versions; at && *at; at += strcspn(at, "\n")) {
        at += strspn(at, "\n");
        if (len && strcspn(at, "\n") == len && !strncasecmp(at, version, len))
            return true;
    }
    return false;
}

enum kv_status kv_map_key_backup(struct kv_map *map, struct kv_map_key_backup *backup, struct kv_error *err)
{
    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_KEY_BACKUP, &row, err));
    kv_map_bind_key(row, backup->vault, backup->name, NULL);
    bool found = false;
    backup->taken = 0;
    backup->path = backup->versions = NULL;
    KV_TRY(kv_map_step_found(map, row, &found, err));
    if (!found)
        return KV_OK;
    backup->taken = sqlite3_column_int64(row, 0);
    const char *path = (const char *)sqlite3_column_text(row, 1);
    const char *versions = (const char *)sqlite3_column_text(row, 3);
    backup->path = kv_text_copy(path ? path : "");
    backup->versions = kv_text_copy(versions ? versions : "");
    if (!kv_map_blob_fixed(row, 2, backup->sha256, sizeof backup->sha256))
        memset(backup->sha256, 0, sizeof backup->sha256);
    if (backup->path && backup->versions)
        return KV_OK;
    kv_map_key_backup_free(backup);
    return kv_fail(err, KV_NO_MEMORY, "out of memory");
}

enum kv_status kv_map_key_backed_up(struct kv_map *map, const struct kv_map_key_backup *backup,
                                    struct kv_error *err)
{
    KV_MAP_LOCK(map);
    if (!map->writable)
        return kv_map_begin(map, err);
    KV_AUTO_STATEMENT sqlite3_stmt *put = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_KEY_BACKUP_PUT, &put, err));
    kv_map_bind_key(put, backup->vault, backup->name, NULL);
    kv_map_bind_int(put, ":taken", backup->taken);
    kv_map_bind_text(put, ":path", backup->path);
    kv_map_bind_blob(put, ":sha256", (struct kv_view){ backup->sha256, sizeof backup->sha256 });
    kv_map_bind_text(put, ":versions", backup->versions);
    return kv_map_step_done(map, put, err);
}
