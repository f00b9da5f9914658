/* Where a key is to be found: what vaults said, and what an operator showed. */
#include "version_map_private.h"

#include <string.h>

/* In the order of LOCATION_COLUMNS. */
void kv_map_location_row(sqlite3_stmt *row, struct kv_map_location *ret)
{
    *ret = (struct kv_map_location){
        .first_seen = sqlite3_column_int64(row, 2),
        .seen = sqlite3_column_int64(row, 3),
        .accepted = sqlite3_column_int64(row, 4),
    };
    (void)kv_map_blob_fixed(row, 0, ret->spki_sha256, sizeof ret->spki_sha256);
    kv_map_text(row, 1, ret->kid, sizeof ret->kid);
}

static bool read_location(sqlite3_stmt *row, void *to)
{
    kv_map_location_row(row, to);
    return true;
}

enum kv_status kv_map_locations(struct kv_map *map, struct kv_view spki_sha256, struct kv_map_location **ret,
                                size_t *ret_count, struct kv_error *err)
{
    struct kv_map_array array = { .read = read_location, .size = sizeof **ret };

    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_LOCATIONS, &rows, err));
    kv_map_bind_blob(rows, ":spki", spki_sha256);
    KV_TRY(kv_map_collect(map, rows, &array, err));
    *ret = array.items;
    *ret_count = array.count;
    return KV_OK;
}

/* What is known of this place: of this key in *ret (with its entry), and whether of another. */
static enum kv_status look(struct kv_map *map, const struct kv_map_location *location,
                           struct kv_map_location *ret, int64_t *ret_entry, struct kv_error *err)
{
    int code;

    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_LOCATIONS_OF_KID, &row, err));
    kv_map_bind_text(row, ":kid", location->kid);
    while ((code = kv_map_step(row)) == SQLITE_ROW) {
        struct kv_map_location known;
        kv_map_location_row(row, &known);
        if (memcmp(known.spki_sha256, location->spki_sha256, sizeof known.spki_sha256) != 0)
            return kv_fail(
                err, KV_CONFLICT,
                "'%s' is known as the place of another key: a version never changes its key, so one "
                "of the two is wrong: see `kvp11 keys --all`",
                location->kid);
        *ret = known;
        *ret_entry = sqlite3_column_int64(row, 5);
    }
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

enum kv_status kv_map_locate_row(struct kv_map *map, const struct kv_map_location *location,
                                 struct kv_error *err)
{
    struct kv_map_location known = { 0 }, next = *location;
    int64_t entry = 0;

    KV_TRY(look(map, location, &known, &entry, err));
    if (known.accepted) /* it was, and stays */
        next.accepted = known.accepted;
    if (next.accepted && !known.accepted) {
        (void)kv_text_fit(next.kid, sizeof next.kid, known.kid[0] ? known.kid : location->kid);
        KV_TRY(kv_map_note_location(map, &next, entry, &entry, err));
    }
    KV_AUTO_STATEMENT sqlite3_stmt *put = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_LOCATION_PUT, &put, err));
    kv_map_bind_blob(put, ":spki", (struct kv_view){ next.spki_sha256, sizeof next.spki_sha256 });
    kv_map_bind_text(put, ":kid", next.kid);
    kv_map_bind_int(put, ":first_seen", next.first_seen);
    kv_map_bind_int(put, ":seen", next.seen);
    kv_map_bind_int(put, ":accepted", next.accepted);
    kv_map_bind_int(put, ":entry", entry);
    return kv_map_step_done(map, put, err);
}

enum kv_status kv_map_locate(struct kv_map *map, const struct kv_map_location *location, struct kv_error *err)
{
    KV_MAP_LOCK(map);
    KV_TRY(kv_map_begin(map, err));
    return kv_map_end(map, kv_map_locate_row(map, location, err), err);
}
