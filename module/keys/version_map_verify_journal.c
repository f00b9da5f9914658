/* Is the journal whole, and is what the tables say what its last entries say? Two bits of memory an entry: whether a later one of the same subject follows
 * it, and whether a row stands for it. At the end every last entry has a row. */
#include "version_map_verify.h"

#include <string.h>

#define REMEDY                                                                                               \
    "keep the file, and restore a copy of it; or make it anew: `kvp11 map export --out FILE`, move the map " \
    "away, `kvp11 map import` of that file and of every copy"

static const char *path_of(const struct kv_map *map)
{
    return map->file ? map->path : "in memory";
}

void kv_map_walk_free(struct kv_map_walk *walk)
{
    free(kv_take(walk->followed));
    free(kv_take(walk->claimed));
}

static bool has(const unsigned char *bits, int64_t seq)
{
    return bits[seq / 8] >> seq % 8 & 1;
}

static void mark(unsigned char *bits, int64_t seq)
{
    bits[seq / 8] |= (unsigned char)(1u << seq % 8);
}

static enum kv_status start(struct kv_map_walk *walk, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(walk->map, KV_SQL_JOURNAL_HEAD, &row, err));
    int code = kv_map_step(row);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return kv_map_failed(walk->map, code, err);
    walk->entries = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : -1;
    if (walk->entries < 0 || walk->entries > INT32_MAX ||
        !kv_map_blob_fixed(row, 1, walk->head, sizeof walk->head))
        return kv_fail(err, KV_MAP_CORRUPT, "version map '%s': the head of its journal is gone: " REMEDY,
                       path_of(walk->map));
    size_t size = (size_t)walk->entries / 8 + 1;
    walk->followed = calloc(size, 1);
    walk->claimed = calloc(size, 1);
    return walk->followed && walk->claimed ? KV_OK : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

static enum kv_status check_entry(struct kv_map_walk *walk, int64_t seq, const struct kv_map_entry *entry,
                                  unsigned char last[32], struct kv_error *err)
{
    unsigned char hash[32];

    if (entry->seq != seq)
        return kv_fail(err, KV_MAP_CORRUPT, "version map '%s': entry %lld of its journal is gone: " REMEDY,
                       path_of(walk->map), (long long)seq);
    if (seq > walk->entries)
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': its journal has entries behind its end, %lld: " REMEDY,
                       path_of(walk->map), (long long)walk->entries);
    if (kv_map_entry_hash(entry, last, hash))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (memcmp(hash, entry->hash, sizeof hash) != 0 || entry->before < 0 || entry->before >= seq)
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': entry %lld of its journal (%s) is not as it was written: " REMEDY,
                       path_of(walk->map), (long long)seq, entry->subject);
    memcpy(last, hash, sizeof hash);
    mark(walk->followed, entry->before);
    return KV_OK;
}

enum kv_status kv_map_walk_chain(struct kv_map_walk *walk, struct kv_error *err)
{
    unsigned char last[32] = { 0 };
    int64_t seq = 0;
    int code;

    KV_TRY(start(walk, err));
    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    KV_TRY(kv_map_statement(walk->map, KV_SQL_JOURNAL_PAGE, &rows, err));
    kv_map_bind_int(rows, ":after", INT64_MIN);
    kv_map_bind_int(rows, ":limit", -1);
    while ((code = kv_map_step(rows)) == SQLITE_ROW) {
        struct kv_map_entry entry;
        kv_map_read_entry(rows, &entry);
        KV_TRY(check_entry(walk, ++seq, &entry, last, err));
    }
    if (code != SQLITE_DONE)
        return kv_map_failed(walk->map, code, err);
    if (seq != walk->entries)
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': its journal ends at entry %lld, and had %lld: " REMEDY,
                       path_of(walk->map), (long long)seq, (long long)walk->entries);
    return memcmp(last, walk->head, sizeof last)
               ? kv_fail(err, KV_MAP_CORRUPT,
                         "version map '%s': the head of its journal is not that of its last entry: " REMEDY,
                         path_of(walk->map))
               : KV_OK;
}

static enum kv_status read_entry(struct kv_map_walk *walk, int64_t seq, struct kv_map_entry *ret,
                                 struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(walk->map, KV_SQL_JOURNAL_ENTRY, &row, err));
    kv_map_bind_int(row, ":seq", seq);
    int code = kv_map_step(row);
    if (code != SQLITE_ROW)
        return kv_map_failed(walk->map, code, err);
    kv_map_read_entry(row, ret);
    return KV_OK;
}

enum kv_status kv_map_walk_claim(struct kv_map_walk *walk, int64_t seq, const char *subject,
                                 const unsigned char facts[32], struct kv_error *err)
{
    struct kv_map_entry entry;

    if (seq < 1 || seq > walk->entries || has(walk->claimed, seq))
        return kv_fail(err, KV_MAP_CORRUPT, "version map '%s': %s stands in no entry of its journal: " REMEDY,
                       path_of(walk->map), subject);
    KV_TRY(read_entry(walk, seq, &entry, err));
    if (has(walk->followed, seq) || memcmp(facts, entry.facts, sizeof entry.facts) != 0 ||
        strcmp(subject, entry.subject) != 0)
        return kv_fail(err, KV_MAP_CORRUPT, "version map '%s': %s is not as its journal last told: " REMEDY,
                       path_of(walk->map), subject);
    mark(walk->claimed, seq);
    return KV_OK;
}

static enum kv_status claim_backup(struct kv_map_walk *walk, sqlite3_stmt *row, struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_free) struct kv_map_backup backup = { 0 };
    char subject[KV_SUBJECT_SIZE];
    unsigned char facts[32];
    enum kv_status status = kv_map_backup_row(walk->map, row, &backup, err);

    if (status == KV_BAD_DATA)
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': the row of backup '%s' cannot be read: " REMEDY, path_of(walk->map),
                       sqlite3_column_text(row, 1));
    KV_TRY(status);
    if (kv_map_digest_backup(&backup, facts))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    kv_map_subject_backup(&backup, subject);
    return kv_map_walk_claim(walk, backup.entry, subject, facts, err);
}

static enum kv_status claim_location(struct kv_map_walk *walk, sqlite3_stmt *row, struct kv_error *err)
{
    struct kv_map_location location;
    char subject[KV_SUBJECT_SIZE];
    unsigned char facts[32];

    kv_map_location_row(row, &location);
    if (kv_map_digest_location(&location, facts))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    kv_map_subject_location(&location, subject);
    return kv_map_walk_claim(walk, sqlite3_column_int64(row, 5), subject, facts, err);
}

static enum kv_status claim_all(struct kv_map_walk *walk, enum kv_map_sql which,
                                enum kv_status (*claim)(struct kv_map_walk *, sqlite3_stmt *,
                                                        struct kv_error *),
                                int64_t *ret_count, struct kv_error *err)
{
    int code;

    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    KV_TRY(kv_map_statement(walk->map, which, &rows, err));
    kv_map_bind_int(rows, ":after", INT64_MIN);
    kv_map_bind_int(rows, ":retired", 1);
    kv_map_bind_int(rows, ":limit", -1);
    for (*ret_count = 0; (code = kv_map_step(rows)) == SQLITE_ROW; (*ret_count)++)
        KV_TRY(claim(walk, rows, err));
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(walk->map, code, err);
}

enum kv_status kv_map_walk_end(struct kv_map_walk *walk, int64_t *ret_backups, struct kv_error *err)
{
    struct kv_map_entry entry;
    int64_t locations = 0;

    KV_TRY(claim_all(walk, KV_SQL_BACKUP_PAGE, claim_backup, ret_backups, err));
    KV_TRY(claim_all(walk, KV_SQL_LOCATIONS_ACCEPTED, claim_location, &locations, err));
    for (int64_t seq = 1; seq <= walk->entries; seq++) {
        if (has(walk->followed, seq) || has(walk->claimed, seq))
            continue;
        KV_TRY(read_entry(walk, seq, &entry, err));
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': %s is gone, of which entry %lld of its journal speaks: " REMEDY,
                       path_of(walk->map), entry.subject, (long long)seq);
    }
    return KV_OK;
}
