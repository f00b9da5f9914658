/* Is the journal whole, and is what the tables say what its last entries say? Two bits of memory an entry: whether a later one of the same subject follows
 * it, and whether a row stands for it. At the end every last entry has a row.
 * All of it goes in pages, between which others may write: a check of a large map must not hold up who restores. What they append behind the end of the walk
 * is theirs; a row that they changed meanwhile leads back to its entry before the end. */
#include "version_map_verify.h"

#include <string.h>

#define REMEDY                                                                                               \
    "keep the file, and restore a copy of it; or make it anew: `kvp11 map export --out FILE`, move the map " \
    "away, `kvp11 map import` of that file and of every copy"

static const char *path_of(const struct kv_map *map)
{
    return map->file ? map->path : "in memory";
}

enum { PAGE = 2000 };

void kv_map_walk_free(struct kv_map_walk *walk)
{
    free(kv_take(walk->followed));
    free(kv_take(walk->claimed));
}

bool kv_map_walk_types(sqlite3_stmt *row, const char *types)
{
    static const int codes[] = { ['i'] = SQLITE_INTEGER, ['t'] = SQLITE_TEXT, ['b'] = SQLITE_BLOB };

    for (int column = 0; types[column]; column++) {
        if (sqlite3_column_type(row, column) != codes[(unsigned char)types[column]])
            return false;
        if (types[column] != 't')
            continue;
        const char *text = (const char *)sqlite3_column_text(row, column);
        if (text && strlen(text) != (size_t)sqlite3_column_bytes(row, column))
            return false;
    }
    return true;
}

static bool has(const unsigned char *bits, int64_t seq)
{
    return bits[seq / 8] >> seq % 8 & 1;
}

static void mark(unsigned char *bits, int64_t seq)
{
    bits[seq / 8] |= (unsigned char)(1u << seq % 8);
}

static enum kv_status read_head(struct kv_map_walk *walk, struct kv_error *err)
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
    return KV_OK;
}

static bool grow(unsigned char **bits, size_t room, size_t more)
{
    unsigned char *grown = realloc(*bits, more);

    if (!grown)
        return false;
    memset(grown + room, 0, more - room);
    *bits = grown;
    return true;
}

static enum kv_status make_room(struct kv_map_walk *walk, struct kv_error *err)
{
    size_t need = (size_t)(walk->seq + PAGE) / 8 + 1;

    if (need <= walk->room)
        return KV_OK;
    if (!grow(&walk->followed, walk->room, 2 * need) || !grow(&walk->claimed, walk->room, 2 * need))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    walk->room = 2 * need;
    return KV_OK;
}

static enum kv_status check_entry(struct kv_map_walk *walk, const struct kv_map_entry *entry,
                                  struct kv_error *err)
{
    int64_t seq = walk->seq + 1;
    unsigned char hash[32];

    if (entry->seq != seq)
        return kv_fail(err, KV_MAP_CORRUPT, "version map '%s': entry %lld of its journal is gone: " REMEDY,
                       path_of(walk->map), (long long)seq);
    if (seq > walk->entries)
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': its journal has entries behind its end, %lld: " REMEDY,
                       path_of(walk->map), (long long)walk->entries);
    if (kv_map_entry_hash(entry, walk->last, hash))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (memcmp(hash, entry->hash, sizeof hash) != 0 || entry->before < 0 || entry->before >= seq)
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': entry %lld of its journal (%s) is not as it was written: " REMEDY,
                       path_of(walk->map), (long long)seq, entry->subject);
    memcpy(walk->last, hash, sizeof hash);
    mark(walk->followed, entry->before);
    walk->seq = seq;
    return KV_OK;
}

static enum kv_status check_end(const struct kv_map_walk *walk, struct kv_error *err)
{
    if (walk->seq != walk->entries)
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': its journal ends at entry %lld, and had %lld: " REMEDY,
                       path_of(walk->map), (long long)walk->seq, (long long)walk->entries);
    if (memcmp(walk->last, walk->head, sizeof walk->last) != 0)
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': the head of its journal is not that of its last entry: " REMEDY,
                       path_of(walk->map));
    return KV_OK;
}

/* A page of the chain, and where it is the last one the head, seen at the same moment. */
static enum kv_status chain_page(struct kv_map_walk *walk, bool *ret_more, struct kv_error *err)
{
    int count = 0, code;

    KV_TRY(read_head(walk, err));
    KV_TRY(make_room(walk, err));
    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    KV_TRY(kv_map_statement(walk->map, KV_SQL_JOURNAL_PAGE, &rows, err));
    kv_map_bind_int(rows, ":after", walk->seq ? walk->seq : INT64_MIN);
    kv_map_bind_int(rows, ":limit", PAGE);
    for (; (code = kv_map_step(rows)) == SQLITE_ROW; count++) {
        struct kv_map_entry entry = { .seq = walk->seq + 1 };
        if (kv_map_walk_types(rows, "iiittttbb"))
            kv_map_read_entry(rows, &entry);
        KV_TRY(check_entry(walk, &entry, err));
    }
    *ret_more = count == PAGE;
    if (code != SQLITE_DONE)
        return kv_map_failed(walk->map, code, err);
    return *ret_more ? KV_OK : check_end(walk, err);
}

enum kv_status kv_map_walk_chain(struct kv_map_walk *walk, struct kv_error *err)
{
    bool more = true;

    while (more) {
        KV_TRY(kv_map_exec(walk->map, "BEGIN", err));
        enum kv_status status = chain_page(walk, &more, err);
        (void)!kv_map_exec(walk->map, "ROLLBACK", NULL);
        KV_TRY(status);
    }
    return KV_OK;
}

struct claim {
    const char *subject;
    const unsigned char *facts;
};

static enum kv_status check_claim(struct kv_map_walk *walk, int64_t seq, struct claim claim,
                                  struct kv_map_entry *ret, struct kv_error *err)
{
    if (seq < 1)
        return kv_fail(err, KV_MAP_CORRUPT, "version map '%s': %s stands in no entry of its journal: " REMEDY,
                       path_of(walk->map), claim.subject);
    KV_TRY(kv_map_entry_of(walk->map, seq, ret, err));
    if (memcmp(claim.facts, ret->facts, sizeof ret->facts) != 0 || strcmp(claim.subject, ret->subject) != 0 ||
        (seq <= walk->seq && (has(walk->followed, seq) || has(walk->claimed, seq))))
        return kv_fail(err, KV_MAP_CORRUPT, "version map '%s': %s is not as its journal last told: " REMEDY,
                       path_of(walk->map), claim.subject);
    return KV_OK;
}

enum kv_status kv_map_walk_claim(struct kv_map_walk *walk, int64_t seq, const char *subject,
                                 const unsigned char facts[32], struct kv_error *err)
{
    struct kv_map_entry entry;

    KV_TRY(check_claim(walk, seq, (struct claim){ subject, facts }, &entry, err));
    /* Written since the walk went by: then it follows the one that the row stood for. */
    while (entry.seq > walk->seq && entry.before)
        KV_TRY(kv_map_entry_of(walk->map, entry.before, &entry, err));
    if (entry.seq <= walk->seq)
        mark(walk->claimed, entry.seq);
    return KV_OK;
}

/* Size and date stand beside each recipient as well, for those who count. */
static enum kv_status check_openers(struct kv_map_walk *walk, const struct kv_map_backup *backup,
                                    struct kv_error *err)
{
    bool found = false;

    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(walk->map, KV_SQL_OPENERS_STRAY, &row, err));
    kv_map_bind_int(row, ":row", backup->row);
    KV_TRY(kv_map_step_found(walk->map, row, &found, err));
    return found ? kv_fail(err, KV_MAP_CORRUPT,
                           "version map '%s': who can open backup '%s' is not told as the backup is: " REMEDY,
                           path_of(walk->map), backup->id)
                 : KV_OK;
}

static enum kv_status claim_backup(struct kv_map_walk *walk, sqlite3_stmt *row, struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_free) struct kv_map_backup backup = { 0 };
    char subject[KV_SUBJECT_SIZE];
    unsigned char facts[32];
    enum kv_status status = kv_map_walk_types(row, "itttbiiiitii")
                                ? kv_map_backup_row(walk->map, row, &backup, err)
                                : KV_BAD_DATA;

    if (status == KV_BAD_DATA)
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': the row of backup '%s' cannot be read: " REMEDY, path_of(walk->map),
                       sqlite3_column_text(row, 1));
    KV_TRY(status);
    if (kv_map_digest_backup(&backup, facts))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    kv_map_subject_backup(&backup, subject);
    KV_TRY(kv_map_walk_claim(walk, backup.entry, subject, facts, err));
    return check_openers(walk, &backup, err);
}

static enum kv_status claim_location(struct kv_map_walk *walk, sqlite3_stmt *row, struct kv_error *err)
{
    struct kv_map_location location;
    char subject[KV_SUBJECT_SIZE];
    unsigned char facts[32];

    bool right = kv_map_walk_types(row, "btiiii");
    kv_map_location_row(row, &location);
    if (!right)
        return kv_fail(err, KV_MAP_CORRUPT, "version map '%s': the row of place '%s' cannot be read: " REMEDY,
                       path_of(walk->map), location.kid);
    if (kv_map_digest_location(&location, facts))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    kv_map_subject_location(&location, subject);
    return kv_map_walk_claim(walk, sqlite3_column_int64(row, 5), subject, facts, err);
}

/* A page of a table; *after moves along it. One statement, and so one view of the map. */
static enum kv_status claim_page(struct kv_map_walk *walk, const struct kv_map_walk_table *table,
                                 int64_t *after, bool *ret_more, struct kv_error *err)
{
    int count = 0, code;

    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    KV_TRY(kv_map_statement(walk->map, table->page, &rows, err));
    kv_map_bind_int(rows, ":after", *after);
    kv_map_bind_int(rows, ":retired", 1);
    kv_map_bind_int(rows, ":limit", PAGE);
    for (; (code = kv_map_step(rows)) == SQLITE_ROW; count++) {
        *after = sqlite3_column_int64(rows, 0);
        KV_TRY(table->claim(walk, rows, err));
    }
    *ret_more = table->paged && count == PAGE;
    walk->rows += count;
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(walk->map, code, err);
}

enum kv_status kv_map_walk_rows(struct kv_map_walk *walk, const struct kv_map_walk_table *table,
                                int64_t *ret_count, struct kv_error *err)
{
    int64_t after = INT64_MIN;
    bool more = true;

    walk->rows = 0;
    while (more)
        KV_TRY(claim_page(walk, table, &after, &more, err));
    *ret_count = walk->rows;
    return KV_OK;
}

enum kv_status kv_map_walk_end(struct kv_map_walk *walk, int64_t *ret_backups, struct kv_error *err)
{
    static const struct kv_map_walk_table backups = { KV_SQL_BACKUP_PAGE, claim_backup, true },
                                          locations = { KV_SQL_LOCATIONS_ACCEPTED, claim_location, false };
    struct kv_map_entry entry;
    int64_t ignored = 0;

    KV_TRY(kv_map_walk_rows(walk, &backups, ret_backups, err));
    KV_TRY(kv_map_walk_rows(walk, &locations, &ignored, err));
    for (int64_t seq = 1; seq <= walk->seq; seq++) {
        if (has(walk->followed, seq) || has(walk->claimed, seq))
            continue;
        KV_TRY(kv_map_entry_of(walk->map, seq, &entry, err));
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': %s is gone, of which entry %lld of its journal speaks: " REMEDY,
                       path_of(walk->map), entry.subject, (long long)seq);
    }
    return KV_OK;
}
