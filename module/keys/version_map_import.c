/* What another map knows, into this one. It is taken for what was once true there: it completes, and never changes what is known here. */
#include "version_map_private.h"

#include <string.h>

struct work {
    struct kv_map *map;
    int64_t at;
    struct kv_map_imported done;
};

/* --- versions --- */

static enum kv_status find_one(struct work *work, enum kv_map_sql which, const struct kv_version *version,
                               struct kv_version **ret, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(work->map, which, &row, err));
    kv_map_bind_text(row, ":vault", which == KV_SQL_FIND_NAME ? version->vault : NULL);
    kv_map_bind_text(row, ":name", which == KV_SQL_FIND_NAME ? version->name : NULL);
    kv_map_bind_text(row, ":version", which == KV_SQL_FIND_NAME ? version->version : NULL);
    kv_map_bind_blob(row, ":spki", (struct kv_view){ version->spki_sha256, 32 });
    kv_map_bind_int(row, ":current", 0);
    kv_map_bind_int(row, ":limit", 1);
    bool found = false;
    KV_TRY(kv_map_step_found(work->map, row, &found, err));
    if (!found)
        return KV_OK;
    enum kv_status status = kv_map_row(row, ret);
    return status ? kv_fail(err, status, "version '%s/%s@%s' cannot be read: see `kvp11 map verify`",
                            version->vault, version->name, version->version)
                  : KV_OK;
}

static enum kv_status has_current(struct work *work, const struct kv_version *version, bool *ret,
                                  struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(work->map, KV_SQL_FIND_NAME, &row, err));
    kv_map_bind_key(row, version->vault, version->name, NULL);
    kv_map_bind_int(row, ":current", 1);
    kv_map_bind_int(row, ":limit", 1);
    return kv_map_step_found(work->map, row, ret, err);
}

static enum kv_status take_location(struct work *work, const struct kv_map_location *location,
                                    struct kv_error *err)
{
    int64_t before = work->map->head.entries;

    KV_TRY(kv_map_locate_row(work->map, location, err));
    work->done.locations += work->map->head.entries != before;
    return KV_OK;
}

/* Its key is here already, at another place. */
static enum kv_status take_place(struct work *work, const struct kv_version *version, struct kv_error *err)
{
    struct kv_map_location location = { .first_seen = version->first_seen,
                                        .seen = version->seen,
                                        .accepted = work->at };

    memcpy(location.spki_sha256, version->spki_sha256, sizeof location.spki_sha256);
    memcpy(location.kid, version->kid, sizeof location.kid);
    return take_location(work, &location, err);
}

static enum kv_status complete_hints(struct work *work, const struct kv_version *known,
                                     const struct kv_version *version, struct kv_error *err)
{
    if (known->kind != version->kind ||
        memcmp(known->spki_sha256, version->spki_sha256, sizeof known->spki_sha256) != 0)
        return kv_fail(err, KV_CONFLICT,
                       "'%s' has another public key here than there: a version never changes its key, so one "
                       "of the two is wrong, and nothing was taken in: ask the vault with `kvp11 --vault %s "
                       "keys %s --all --refresh`",
                       version->kid, kv_word(version->vault).text, kv_word(version->name).text);
    KV_AUTO_STATEMENT sqlite3_stmt *hints = NULL;
    KV_TRY(kv_map_statement(work->map, KV_SQL_VERSION_HINTS, &hints, err));
    const struct {
        const char *name;
        int64_t value;
    } values[] = {
        { ":first_seen", version->first_seen },
        { ":first_wrap", version->first_wrap },
        { ":last_wrap", version->last_wrap },
        { ":last_unwrap", version->last_unwrap },
        { ":left", version->wraps > version->settled ? version->wraps - version->settled : 0 },
        { ":last_drill", version->last_drill },
        { ":retire_after", version->retire_after },
        { ":row", known->row },
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        kv_map_bind_int(hints, values[i].name, values[i].value);
    KV_TRY(kv_map_step_done(work->map, hints, err));
    return kv_map_note_version(work->map, known->row, work->at, "imported", err);
}

static enum kv_status complete(struct work *work, const struct kv_version *known,
                               const struct kv_version *version, struct kv_error *err)
{
    KV_TRY(complete_hints(work, known, version, err));
    /* The same key under the same names in a vault of another host. */
    return version->kind == KV_OCT || kv_text_equal_case(known->kid, version->kid)
               ? KV_OK
               : take_place(work, version, err);
}

/* Nothing may be known of its place but this key. */
static enum kv_status check_place(struct work *work, const struct kv_version *version, struct kv_error *err)
{
    struct kv_map_location location = { .first_seen = version->first_seen, .seen = version->seen };

    memcpy(location.spki_sha256, version->spki_sha256, sizeof location.spki_sha256);
    memcpy(location.kid, version->kid, sizeof location.kid);
    return version->kind == KV_OCT ? KV_OK : kv_map_locate_row(work->map, &location, err);
}

static enum kv_status take_version(struct work *work, const struct kv_version *version, struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *known = NULL, *elsewhere = NULL;
    bool taken = false;

    KV_TRY(find_one(work, KV_SQL_FIND_NAME, version, &known, err));
    if (known)
        return complete(work, known, version, err);
    if (version->kind != KV_OCT)
        KV_TRY(find_one(work, KV_SQL_FIND_SPKI, version, &elsewhere, err));
    if (elsewhere) {
        KV_TRY(complete_hints(work, elsewhere, version, err)); /* what it wrapped there, its key opens here */
        return take_place(work, version, err);
    }
    KV_TRY(check_place(work, version, err));
    KV_TRY(has_current(work, version, &taken, err));
    KV_AUTO_VERSION struct kv_version *fresh = kv_version_copy(version);
    if (!fresh)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    fresh->current = version->current && !taken;
    work->done.versions++;
    return kv_map_store_one(work->map, fresh, work->at, "imported", err);
}

/* --- backups --- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What only the other one tells; true when there was something. */
static bool complete_facts(struct kv_map_backup *known, const struct kv_map_backup *other)
{
    struct kv_map_backup was = *known;

    known->size = known->size ? known->size : other->size;
    known->created = known->created ? known->created : other->created;
    known->keep_until = later(known->keep_until, other->keep_until);
    if (!known->object[0])
        memcpy(known->object, other->object, sizeof known->object);
    if (!known->has_header && other->has_header) {
        memcpy(known->header_sha256, other->header_sha256, sizeof known->header_sha256);
        known->has_header = true;
    }
    if (other->drilled > known->drilled) {
        known->drilled = other->drilled;
        memcpy(known->drill_result, other->drill_result, sizeof known->drill_result);
    }
    return was.size != known->size || was.created != known->created || was.keep_until != known->keep_until ||
           was.drilled != known->drilled || was.has_header != known->has_header ||
           strcmp(was.object, known->object) != 0;
}

/* Gone here, and there again since: the other map has sealed it anew, or rewrapped it, after it went. */
static bool came_back(struct kv_map_backup *known, const struct kv_map_backup *other)
{
    bool back = false;

    for (size_t i = 0; known->retired && !other->retired && i < other->recipient_count; i++)
        back |= !other->recipients[i].removed && other->recipients[i].added > known->retired;
    for (size_t i = 0; back && i < other->recipient_count; i++) {
        struct kv_map_recipient *recipient = kv_map_backup_recipient(known, &other->recipients[i]);
        if (recipient && !other->recipients[i].removed)
            recipient->removed = 0;
    }
    if (back)
        known->retired = 0;
    return back;
}

static enum kv_status take_backup(struct work *work, const struct kv_map_backup *other, struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_free) struct kv_map_backup known = { 0 };

    KV_TRY(kv_map_backup_check(other, err));
    KV_TRY(kv_map_backup_find(work->map, other->id, other->store, &known, err));
    bool changed = !known.row;
    if (!known.row) {
        known = *other;
        known.row = known.entry = 0;
        known.recipients = NULL;
        known.recipient_count = 0;
    } else {
        changed = complete_facts(&known, other);
        changed |= came_back(&known, other);
    }
    for (size_t i = 0; i < other->recipient_count; i++) {
        if (kv_map_backup_recipient(&known, &other->recipients[i]))
            continue;
        changed = true;
        KV_TRY(kv_map_backup_add(&known, &other->recipients[i], err));
    }
    if (!changed)
        return KV_OK;
    work->done.backups++;
    return kv_map_backup_write(work->map, &known, work->at, "imported", err);
}

/* --- certificates --- */

static enum kv_status take_certificate(struct work *work, const struct kv_map_certificate *certificate,
                                       struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *known = NULL, *of = kv_version_new();

    if (!of || !kv_text_fit(of->vault, sizeof of->vault, certificate->vault) ||
        !kv_text_fit(of->name, sizeof of->name, certificate->name) ||
        !kv_text_fit(of->version, sizeof of->version, certificate->version))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(find_one(work, KV_SQL_FIND_NAME, of, &known, err));
    if (!known)
        return KV_OK; /* its key is here under another name: that one's certificate is got or made for it */
    KV_TRY(kv_map_certify_row(work->map, certificate, err));
    work->done.certificates += sqlite3_changes(work->map->db);
    return KV_OK;
}

/* --- some, or all of a map --- */

static enum kv_status take_all(struct work *work, const struct kv_map_import *what, struct kv_error *err)
{
    for (size_t i = 0; i < what->version_count; i++)
        KV_TRY(take_version(work, what->versions[i], err));
    for (size_t i = 0; i < what->location_count; i++)
        KV_TRY(take_location(work, &what->locations[i], err));
    for (size_t i = 0; i < what->certificate_count; i++)
        KV_TRY(take_certificate(work, &what->certificates[i], err));
    for (size_t i = 0; i < what->backup_count; i++)
        KV_TRY(take_backup(work, &what->backups[i], err));
    return KV_OK;
}

enum kv_status kv_map_import(struct kv_map *map, const struct kv_map_import *what, int64_t at,
                             struct kv_map_imported *ret, struct kv_error *err)
{
    struct work work = { .map = map, .at = at };

    KV_MAP_LOCK(map);
    KV_TRY(kv_map_begin(map, err));
    KV_TRY(kv_map_end(map, take_all(&work, what, err), err));
    if (ret)
        *ret = work.done;
    return KV_OK;
}

/* One row of the other map, as the import of one. */
static enum kv_status row_version(struct work *work, struct kv_map *from, sqlite3_stmt *row,
                                  struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *version = NULL;
    enum kv_status status = kv_map_row(row, &version);

    if (status)
        return kv_fail(err, status, "a version cannot be read");
    return take_version(work, version, err);
}

static enum kv_status row_location(struct work *work, struct kv_map *from, sqlite3_stmt *row,
                                   struct kv_error *err)
{
    struct kv_map_location location;

    kv_map_location_row(row, &location);
    if (location.accepted)
        location.accepted = work->at;
    return take_location(work, &location, err);
}

static enum kv_status row_certificate(struct work *work, struct kv_map *from, sqlite3_stmt *row,
                                      struct kv_error *err)
{
    const struct kv_map_certificate certificate = {
        .vault = (const char *)sqlite3_column_text(row, 0),
        .name = (const char *)sqlite3_column_text(row, 1),
        .version = (const char *)sqlite3_column_text(row, 2),
        .source = (const char *)sqlite3_column_text(row, 3),
        /* Only read: the copy is SQLite's to make. */
        .der = { (unsigned char *)(uintptr_t)sqlite3_column_blob(row, 4),
                 (size_t)sqlite3_column_bytes(row, 4), false },
        .at = sqlite3_column_int64(row, 5),
    };

    return take_certificate(work, &certificate, err);
}

static enum kv_status row_backup(struct work *work, struct kv_map *from, sqlite3_stmt *row,
                                 struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_free) struct kv_map_backup backup = { 0 };

    KV_TRY(kv_map_backup_row(from, row, &backup, err));
    return take_backup(work, &backup, err);
}

static const struct {
    enum kv_map_sql which;
    enum kv_status (*take)(struct work *work, struct kv_map *from, sqlite3_stmt *row, struct kv_error *err);
} tables[] = {
    { KV_SQL_VERSION_PAGE, row_version },
    { KV_SQL_LOCATIONS_ALL, row_location },
    { KV_SQL_CERTIFICATES_ALL, row_certificate },
    { KV_SQL_BACKUP_PAGE, row_backup },
};

static enum kv_status take_table(struct work *work, struct kv_map *from, size_t table, struct kv_error *err)
{
    int code;

    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    KV_TRY(kv_map_statement(from, tables[table].which, &rows, err));
    kv_map_bind_int(rows, ":after", INT64_MIN);
    kv_map_bind_int(rows, ":retired", 1);
    kv_map_bind_int(rows, ":limit", -1);
    while ((code = kv_map_step(rows)) == SQLITE_ROW)
        KV_TRY(tables[table].take(work, from, rows, err));
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(from, code, err);
}

static enum kv_status take_map(struct work *work, struct kv_map *from, struct kv_error *err)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        KV_TRY(take_table(work, from, i, err));
    return KV_OK;
}

enum kv_status kv_map_merge(struct kv_map *map, struct kv_map *from, int64_t at, struct kv_map_imported *ret,
                            struct kv_error *err)
{
    struct work work = { .map = map, .at = at };

    kv_map_enter(from);
    kv_map_enter(map);
    enum kv_status status = kv_map_begin(map, err);
    if (!status)
        status = kv_map_end(map, take_map(&work, from, err), err);
    kv_map_leave(map);
    kv_map_leave(from);
    if (!status)
        *ret = work.done;
    return status;
}
