/* Is the file whole, and does every row say of its public key what is true of it? */
#include "version_map_verify.h"

#include <string.h>
#include "mech/certificate.h"

static enum kv_status check_pages(struct kv_map *map, struct kv_error *err)
{
    sqlite3_stmt *statement = NULL;
    enum kv_status status = KV_OK;
    int code = sqlite3_prepare_v2(map->db, "PRAGMA integrity_check(1)", -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW) {
        status = kv_map_failed(map, code, err);
    } else {
        char said[256];
        kv_map_text(statement, 0, said, sizeof said);
        if (strcmp(said, "ok"))
            status = kv_fail(err, KV_MAP_CORRUPT,
                             "version map '%s' is damaged (%s): restore a copy of it; or move it away, "
                             "`kvp11 map import` every copy, and `kvp11 map rebuild --scan STORE`",
                             map->file ? map->path : "in memory", said);
    }
    sqlite3_finalize(statement);
    return status;
}

static enum kv_status claim(struct kv_map_walk *walk, const struct kv_version *version, struct kv_error *err)
{
    char subject[KV_SUBJECT_SIZE];
    unsigned char facts[32];

    if (kv_map_digest_version(version, facts))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    kv_map_subject_version(version, subject);
    return kv_map_walk_claim(walk, version->entry, subject, facts, err);
}

/* Of VERSION_COLUMNS. */
#define VERSION_TYPES                                                                                        \
    "i"                                                                                                      \
    "tttt"                                                                                                   \
    "iiii"                                                                                                   \
    "t"                                                                                                      \
    "i"                                                                                                      \
    "bbb"                                                                                                    \
    "t"                                                                                                      \
    "iiiiiiiiiii"                                                                                            \
    "t"                                                                                                      \
    "iiiii"                                                                                                  \
    "t"                                                                                                      \
    "ii"

static enum kv_status check_row(struct kv_map_walk *walk, sqlite3_stmt *row, struct kv_error *err)
{
    struct kv_map *map = walk->map;
    KV_AUTO_VERSION struct kv_version *version = NULL;
    enum kv_status status = kv_map_walk_types(row, VERSION_TYPES) ? kv_map_row(row, &version) : KV_BAD_DATA;
    KV_AUTO_VERSION struct kv_version *again = version ? kv_version_copy(version) : NULL;
    const char *path = map->file ? map->path : "in memory";

    if (status == KV_BAD_DATA)
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': row %lld ('%s@%s') cannot be read: restore a copy of the map", path,
                       (long long)sqlite3_column_int64(row, 0), sqlite3_column_text(row, 2),
                       sqlite3_column_text(row, 3));
    if (!again)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (kv_version_identify(again) || memcmp(again->id, version->id, sizeof version->id) ||
        memcmp(again->spki_sha256, version->spki_sha256, sizeof version->spki_sha256))
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': the identity of '%s/%s@%s' is not that of its public key: restore "
                       "a copy of the map",
                       path, version->vault, version->name, version->version);
    return claim(walk, version, err);
}

static struct kv_view blob_of(sqlite3_stmt *row, int column)
{
    return (struct kv_view){ sqlite3_column_blob(row, column), (size_t)sqlite3_column_bytes(row, column) };
}

static enum kv_status check_certificates(struct kv_map *map, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    int code;

    KV_TRY(kv_map_statement(map, KV_SQL_CERTIFICATES, &row, err));
    while ((code = sqlite3_step(row)) == SQLITE_ROW) {
        struct kv_x509 facts;

        if (kv_x509_read(blob_of(row, 0), &facts, NULL) || !kv_view_equal(facts.spki, blob_of(row, 1)))
            return kv_fail(err, KV_MAP_CORRUPT,
                           "version map '%s': the certificate of '%s/%s@%s' is not one of its public key: "
                           "restore a copy of the map",
                           map->file ? map->path : "in memory", sqlite3_column_text(row, 2),
                           sqlite3_column_text(row, 3), sqlite3_column_text(row, 4));
    }
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

/* --- what no digest can tell, since the rows read the same --- */

#define OBJECTS                                                                                              \
    "SELECT coalesce(group_concat(thing), '') FROM (SELECT type || ' ' || name AS thing FROM sqlite_schema " \
    "WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY 1)"
/* Along the index, in order: one reading, and a short one. */
#define STRAYS                                                                                               \
    "SELECT 1 FROM backup_recipient o WHERE NOT EXISTS (SELECT 1 FROM backup b WHERE b.row = o.backup) "     \
    "UNION ALL SELECT 1 FROM recipient WHERE typeof(kind) <> 'text' OR typeof(key) <> 'blob' OR "            \
    "typeof(text) <> 'text' OR instr(kind || text, char(0)) > 0 LIMIT 1"

/* A query of this check alone: *ret_row, where it answers; sqlite3_finalize. */
static enum kv_status ask_once(struct kv_map *map, const char *text, sqlite3_stmt **ret_row,
                               struct kv_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(map->db, text, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *ret_row = statement;
        return KV_OK;
    }
    sqlite3_finalize(statement);
    *ret_row = NULL;
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

static void finalize(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement);
}
#define AUTO_ONCE KV_CLEANUP(finalize) sqlite3_stmt *

static enum kv_status check_recipients(struct kv_map *map, struct kv_error *err)
{
    AUTO_ONCE row = NULL;

    KV_TRY(ask_once(map, STRAYS, &row, err));
    return row ? kv_fail(err, KV_MAP_CORRUPT,
                         "version map '%s': who can open a backup is not told as the backup is: restore a "
                         "copy of the map",
                         map->file ? map->path : "in memory")
               : KV_OK;
}

/* Tables, indexes and triggers, as in a map that is made now. */
static enum kv_status check_schema(struct kv_map *map, struct kv_map *fresh, struct kv_error *err)
{
    AUTO_ONCE is = NULL;
    AUTO_ONCE should = NULL;

    KV_TRY(ask_once(map, OBJECTS, &is, err));
    KV_TRY(ask_once(fresh, OBJECTS, &should, err));
    const char *a = is ? (const char *)sqlite3_column_text(is, 0) : NULL;
    const char *b = should ? (const char *)sqlite3_column_text(should, 0) : NULL;
    if (!a || !b)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return strcmp(a, b) ? kv_fail(err, KV_MAP_CORRUPT,
                                  "version map '%s': its tables, indexes and triggers are not those of its "
                                  "format: restore a copy of the map",
                                  map->file ? map->path : "in memory")
                        : KV_OK;
}

static enum kv_status check_all(struct kv_map *map, struct kv_map_found *ret, struct kv_error *err)
{
    static const struct kv_map_walk_table versions = { KV_SQL_VERSION_PAGE, check_row, true };
    KV_CLEANUP(kv_map_walk_free) struct kv_map_walk walk = { .map = map };

    KV_TRY(check_pages(map, err));
    KV_TRY(check_certificates(map, err));
    KV_TRY(kv_map_walk_chain(&walk, err));
    KV_TRY(kv_map_walk_rows(&walk, &versions, &ret->versions, err));
    KV_TRY(kv_map_walk_end(&walk, &ret->backups, err));
    KV_TRY(check_recipients(map, err));
    ret->entries = walk.seq;
    return KV_OK;
}

enum kv_status kv_map_verify(struct kv_map *map, struct kv_map_found *ret, struct kv_error *err)
{
    struct kv_map_found found = { 0 };
    struct kv_map *fresh = NULL;

    KV_TRY(kv_map_health(map, err));
    KV_TRY(kv_map_scratch(&fresh, err));
    kv_map_enter(map);
    enum kv_status status = check_all(map, &found, err);
    if (!status)
        status = check_schema(map, fresh, err);
    kv_map_leave(map);
    kv_map_free(fresh);
    if (!status)
        *ret = found;
    return status;
}
