/* Backups into the map. What is written stands in the journal, in the same transaction; where nothing changes nothing is written. */
#include "version_map_private.h"

#include <string.h>

static bool is_plain(const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return len < size;
}

static bool is_recipient(const struct kv_map_recipient *recipient)
{
    return recipient->kind[0] && is_plain(recipient->kind, sizeof recipient->kind) &&
           is_plain(recipient->text, sizeof recipient->text) &&
           (recipient->key_len == 0 || recipient->key_len == KV_ID_SIZE ||
            recipient->key_len == sizeof recipient->key);
}

enum kv_status kv_map_backup_check(const struct kv_map_backup *backup, struct kv_error *err)
{
    bool right = backup->id[0] && is_plain(backup->id, sizeof backup->id) &&
                 is_plain(backup->store, sizeof backup->store) &&
                 is_plain(backup->object, sizeof backup->object) && backup->size >= 0 &&
                 backup->created >= 0 && backup->keep_until >= 0 &&
                 backup->recipient_count <= KV_BACKUP_RECIPIENTS_MAX;

    for (size_t i = 0; right && i < backup->recipient_count; i++)
        right = is_recipient(&backup->recipients[i]);
    return right ? KV_OK
                 : kv_fail(err, KV_BAD_DATA,
                           "backup '%.60s' cannot be registered: its id, its texts, sizes, dates or "
                           "recipients are not such as the version map takes",
                           is_plain(backup->id, sizeof backup->id) ? backup->id : "?");
}

/* The two are one as the map sees it: a key with its kind, or what a text names. */
static bool same_recipient(const struct kv_map_recipient *a, const struct kv_map_recipient *b)
{
    return !strcmp(a->kind, b->kind) && a->key_len == b->key_len && !memcmp(a->key, b->key, a->key_len) &&
           (a->key_len || !strcmp(a->text, b->text));
}

struct kv_map_recipient *kv_map_backup_recipient(const struct kv_map_backup *backup,
                                                 const struct kv_map_recipient *recipient)
{
    for (size_t i = 0; i < backup->recipient_count; i++)
        if (same_recipient(&backup->recipients[i], recipient))
            return &backup->recipients[i];
    return NULL;
}

/* --- SQL --- */

enum kv_status kv_map_backup_find(struct kv_map *map, const char *id, const char *store,
                                  struct kv_map_backup *ret, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_BACKUP_FIND, &row, err));
    kv_map_bind_text(row, ":id", id);
    kv_map_bind_text(row, ":store", store);
    bool found = false;
    *ret = (struct kv_map_backup){ 0 };
    KV_TRY(kv_map_step_found(map, row, &found, err));
    if (!found)
        return KV_OK;
    enum kv_status status = kv_map_backup_row(map, row, ret, err);
    return status == KV_BAD_DATA ? kv_fail(err, KV_MAP_CORRUPT,
                                           "version map '%s': the row of backup '%.60s' cannot be read: see "
                                           "`kvp11 map verify`",
                                           map->file ? map->path : "in memory", id)
                                 : status;
}

static enum kv_status write_backup(struct kv_map *map, const struct kv_map_backup *backup, int64_t *ret_row,
                                   struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *put = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_BACKUP_PUT, &put, err));
    const struct kv_view header = { backup->header_sha256,
                                    backup->has_header ? sizeof backup->header_sha256 : 0 };
    kv_map_bind_text(put, ":id", backup->id);
    kv_map_bind_text(put, ":store", backup->store);
    kv_map_bind_text(put, ":object", backup->object);
    kv_map_bind_blob(put, ":header", header);
    kv_map_bind_int(put, ":size", backup->size);
    kv_map_bind_int(put, ":created", backup->created);
    kv_map_bind_int(put, ":keep_until", backup->keep_until);
    kv_map_bind_int(put, ":drilled", backup->drilled);
    kv_map_bind_text(put, ":drill_result", backup->drill_result);
    kv_map_bind_int(put, ":retired", backup->retired);
    kv_map_bind_int(put, ":entry", backup->entry);
    return kv_map_answer(map, put, ret_row, err);
}

static enum kv_status recipient_row(struct kv_map *map, const struct kv_map_recipient *recipient,
                                    int64_t *ret, struct kv_error *err)
{
    static const enum kv_map_sql steps[] = { KV_SQL_RECIPIENT_FIND, KV_SQL_RECIPIENT_PUT };

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
        KV_TRY(kv_map_statement(map, steps[i], &statement, err));
        kv_map_bind_text(statement, ":kind", recipient->kind);
        kv_map_bind_blob(statement, ":key", (struct kv_view){ recipient->key, recipient->key_len });
        kv_map_bind_text(statement, ":text", recipient->text);
        int code = kv_map_step(statement);
        if (code == SQLITE_ROW) {
            *ret = sqlite3_column_int64(statement, 0);
            return KV_OK;
        }
        if (code != SQLITE_DONE)
            return kv_map_failed(map, code, err);
    }
    return kv_fail(err, KV_INTERNAL, "a recipient was not stored");
}

static enum kv_status write_recipient(struct kv_map *map, const struct kv_map_backup *backup,
                                      const struct kv_map_recipient *recipient, struct kv_error *err)
{
    int64_t row = 0;

    KV_TRY(recipient_row(map, recipient, &row, err));
    KV_AUTO_STATEMENT sqlite3_stmt *put = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_OPENER_PUT, &put, err));
    kv_map_bind_int(put, ":recipient", row);
    kv_map_bind_int(put, ":row", backup->row);
    kv_map_bind_int(put, ":added", recipient->added);
    kv_map_bind_int(put, ":removed", recipient->removed);
    kv_map_bind_int(put, ":keep_until", backup->keep_until);
    kv_map_bind_int(put, ":size", backup->size);
    return kv_map_step_done(map, put, err);
}

enum kv_status kv_map_backup_write(struct kv_map *map, struct kv_map_backup *backup, int64_t at,
                                   const char *kind, struct kv_error *err)
{
    KV_TRY(write_backup(map, backup, &backup->row, err));
    for (size_t i = 0; i < backup->recipient_count; i++)
        KV_TRY(write_recipient(map, backup, &backup->recipients[i], err));
    return kv_map_note_backup(map, backup->row, at, kind, err);
}

/* --- what becomes of what was known --- */

enum kv_status kv_map_backup_add(struct kv_map_backup *backup, const struct kv_map_recipient *recipient,
                                 struct kv_error *err)
{
    struct kv_map_recipient *more =
        reallocarray(backup->recipients, backup->recipient_count + 1, sizeof *more);

    if (!more)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    backup->recipients = more;
    more[backup->recipient_count++] = *recipient;
    return KV_OK;
}

static struct kv_map_recipient added(const struct kv_map_recipient *recipient, int64_t at)
{
    struct kv_map_recipient back = *recipient;

    back.added = at;
    back.removed = 0;
    return back;
}

/* *ret_changed: is set when the recipients are not what they were. */
static enum kv_status take_recipients(struct kv_map_backup *known, const struct kv_map_backup *given,
                                      int64_t at, bool *ret_changed, struct kv_error *err)
{
    for (size_t i = 0; i < known->recipient_count; i++) {
        struct kv_map_recipient *recipient = &known->recipients[i];
        if (recipient->removed || kv_map_backup_recipient(given, recipient))
            continue;
        recipient->removed = at;
        *ret_changed = true;
    }
    for (size_t i = 0; i < given->recipient_count; i++) {
        struct kv_map_recipient *recipient = kv_map_backup_recipient(known, &given->recipients[i]);
        if (recipient && !recipient->removed)
            continue;
        *ret_changed = true;
        const struct kv_map_recipient now = added(recipient ? recipient : &given->recipients[i], at);
        if (!recipient)
            KV_TRY(kv_map_backup_add(known, &now, err));
        else
            *recipient = now;
    }
    return KV_OK;
}

static bool take_int(int64_t *known, int64_t given)
{
    bool changed = given && given != *known;

    if (changed)
        *known = given;
    return changed;
}

static bool take_facts(struct kv_map_backup *known, const struct kv_map_backup *given)
{
    bool changed = take_int(&known->size, given->size);

    changed |= take_int(&known->created, given->created);
    changed |= take_int(&known->keep_until, given->keep_until);
    if (given->object[0] && strcmp(given->object, known->object) != 0) {
        memcpy(known->object, given->object, sizeof known->object);
        changed = true;
    }
    if (given->has_header && (!known->has_header || memcmp(given->header_sha256, known->header_sha256,
                                                           sizeof known->header_sha256))) {
        memcpy(known->header_sha256, given->header_sha256, sizeof known->header_sha256);
        changed = known->has_header = true;
    }
    return changed;
}

static enum kv_status put_one(struct kv_map *map, const struct kv_map_all *all, size_t i,
                              struct kv_error *err)
{
    const struct kv_map_backup *given = (const struct kv_map_backup *)all->items + i;
    KV_CLEANUP(kv_map_backup_free) struct kv_map_backup known = { 0 };
    bool rewrapped = false;

    KV_TRY(kv_map_backup_check(given, err));
    KV_TRY(kv_map_backup_find(map, given->id, given->store, &known, err));
    bool fresh = !known.row, back = known.retired != 0;
    if (fresh) {
        memcpy(known.id, given->id, sizeof known.id);
        memcpy(known.store, given->store, sizeof known.store);
    }
    known.retired = 0;
    bool changed = take_facts(&known, given);
    if (given->recipient_count)
        KV_TRY(take_recipients(&known, given, all->at, &rewrapped, err));
    if (!fresh && !back && !changed && !rewrapped)
        return KV_OK;
    return kv_map_backup_write(map, &known, all->at,
                               fresh || back ? "registered"
                               : rewrapped   ? "rewrapped"
                                             : "changed",
                               err);
}

enum kv_status kv_map_backup_put(struct kv_map *map, const struct kv_map_backup *backups, size_t count,
                                 int64_t at, struct kv_error *err)
{
    return kv_map_put_all(map, &(struct kv_map_all){ backups, count, at, put_one }, err);
}

/* --- what happens to one --- */

struct event {
    const char *id, *store, *kind, *result; /* result NULL: it is gone */
    int64_t at;
};

static enum kv_status happen(struct kv_map *map, const struct event *event, struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_free) struct kv_map_backup known = { 0 };

    KV_TRY(kv_map_backup_find(map, event->id, event->store, &known, err));
    if (!known.row)
        return kv_fail(err, KV_NOT_FOUND, "no backup '%s' in '%s' is in the version map", event->id,
                       event->store);
    if (event->result) {
        known.drilled = event->at;
        if (!is_plain(event->result, sizeof known.drill_result))
            return kv_fail(err, KV_BAD_DATA, "the result of a drill has to be a short line");
        (void)kv_text_fit(known.drill_result, sizeof known.drill_result, event->result);
    } else if (known.retired) {
        return KV_OK;
    } else {
        known.retired = event->at;
        for (size_t i = 0; i < known.recipient_count; i++)
            if (!known.recipients[i].removed)
                known.recipients[i].removed = event->at;
    }
    return kv_map_backup_write(map, &known, event->at, event->kind, err);
}

static enum kv_status tell(struct kv_map *map, const struct event *event, struct kv_error *err)
{
    KV_MAP_LOCK(map);
    KV_TRY(kv_map_begin(map, err));
    return kv_map_end(map, happen(map, event, err), err);
}

enum kv_status kv_map_backup_drilled(struct kv_map *map, const char *id, const char *store, int64_t at,
                                     const char *result, struct kv_error *err)
{
    return tell(map, &(struct event){ id, store, "drilled", result, at }, err);
}

enum kv_status kv_map_backup_retire(struct kv_map *map, const char *id, const char *store, int64_t at,
                                    struct kv_error *err)
{
    return tell(map, &(struct event){ id, store, "retired", NULL, at }, err);
}
