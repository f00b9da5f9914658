/* The journal: an entry for every change of a fact, in the transaction that makes the change. Each entry's hash covers the hash of the one before, and the
 * head, in a table of its own, says how many there are and the last hash: an entry that was edited, taken out, put elsewhere or cut off at the end is found.
 * It is no signature: who can write the file can write a whole new one, which only a copy elsewhere shows (kvp11 map compare). */
#include "version_map_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/encode.h"

struct note {
    int64_t at, before;
    const char *kind;
    char subject[KV_SUBJECT_SIZE], detail[sizeof((struct kv_map_entry *)0)->detail];
    unsigned char facts[32];
};

static enum kv_status load_head(struct kv_map *map, struct kv_error *err)
{
    if (map->head.known)
        return KV_OK;
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_JOURNAL_HEAD, &row, err));
    int code = kv_map_step(row);
    if (code == SQLITE_DONE || (code == SQLITE_ROW && !kv_map_blob_fixed(row, 1, map->head.hash, 32)))
        return kv_fail(err, KV_MAP_CORRUPT,
                       "version map '%s': the head of its journal is gone: see `kvp11 map verify`",
                       map->file ? map->path : "in memory");
    if (code != SQLITE_ROW)
        return kv_map_failed(map, code, err);
    map->head.entries = sqlite3_column_int64(row, 0);
    map->head.known = true;
    return KV_OK;
}

enum kv_status kv_map_journal_seal(struct kv_map *map, struct kv_error *err)
{
    if (!map->head.moved)
        return KV_OK;
    KV_AUTO_STATEMENT sqlite3_stmt *seal = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_JOURNAL_SEAL, &seal, err));
    kv_map_bind_int(seal, ":entries", map->head.entries);
    kv_map_bind_blob(seal, ":hash", (struct kv_view){ map->head.hash, 32 });
    map->head.moved = false;
    return kv_map_step_done(map, seal, err);
}

static enum kv_status add(struct kv_map *map, const struct kv_map_entry *entry, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *insert = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_JOURNAL_ADD, &insert, err));
    kv_map_bind_int(insert, ":seq", entry->seq);
    kv_map_bind_int(insert, ":at", entry->at);
    kv_map_bind_int(insert, ":before", entry->before);
    kv_map_bind_text(insert, ":program", entry->program);
    kv_map_bind_text(insert, ":kind", entry->kind);
    kv_map_bind_text(insert, ":subject", entry->subject);
    kv_map_bind_text(insert, ":detail", entry->detail);
    kv_map_bind_blob(insert, ":facts", (struct kv_view){ entry->facts, 32 });
    kv_map_bind_blob(insert, ":hash", (struct kv_view){ entry->hash, 32 });
    return kv_map_step_done(map, insert, err);
}

static enum kv_status append(struct kv_map *map, const struct note *note, int64_t *ret_seq,
                             struct kv_error *err)
{
    KV_TRY(load_head(map, err));
    struct kv_map_entry entry = { .seq = map->head.entries + 1, .at = note->at, .before = note->before };
    (void)kv_text_fit(entry.program, sizeof entry.program, program_invocation_short_name);
    (void)kv_text_fit(entry.kind, sizeof entry.kind, note->kind);
    memcpy(entry.subject, note->subject, sizeof entry.subject);
    memcpy(entry.detail, note->detail, sizeof entry.detail);
    memcpy(entry.facts, note->facts, sizeof entry.facts);
    if (kv_map_entry_hash(&entry, map->head.hash, entry.hash))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(add(map, &entry, err));
    map->head.entries = entry.seq;
    memcpy(map->head.hash, entry.hash, sizeof entry.hash);
    map->head.moved = true;
    *ret_seq = entry.seq;
    return KV_OK;
}

void kv_map_read_entry(sqlite3_stmt *row, struct kv_map_entry *ret)
{
    *ret = (struct kv_map_entry){
        .seq = sqlite3_column_int64(row, 0),
        .at = sqlite3_column_int64(row, 1),
        .before = sqlite3_column_int64(row, 2),
    };
    kv_map_text(row, 3, ret->program, sizeof ret->program);
    kv_map_text(row, 4, ret->kind, sizeof ret->kind);
    kv_map_text(row, 5, ret->subject, sizeof ret->subject);
    kv_map_text(row, 6, ret->detail, sizeof ret->detail);
    /* One of another length is no digest, and differs from every one. */
    (void)kv_map_blob_fixed(row, 7, ret->facts, sizeof ret->facts);
    (void)kv_map_blob_fixed(row, 8, ret->hash, sizeof ret->hash);
}

enum kv_status kv_map_entry_of(struct kv_map *map, int64_t seq, struct kv_map_entry *ret,
                               struct kv_error *err)
{
    *ret = (struct kv_map_entry){ 0 };
    if (!seq)
        return KV_OK;
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_JOURNAL_ENTRY, &row, err));
    kv_map_bind_int(row, ":seq", seq);
    bool found = false;
    KV_TRY(kv_map_step_found(map, row, &found, err));
    if (found)
        kv_map_read_entry(row, ret);
    return KV_OK;
}

static enum kv_status set_entry(struct kv_map *map, enum kv_map_sql which, int64_t row, int64_t entry,
                                struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *set = NULL;
    KV_TRY(kv_map_statement(map, which, &set, err));
    kv_map_bind_int(set, ":row", row);
    kv_map_bind_int(set, ":entry", entry);
    return kv_map_step_done(map, set, err);
}

/* What happened to a version, by what the last entry says of it and what is so now; both begin with the state, then whether it is current. */
static const char *version_kind(const struct kv_map_entry *last, const char *detail)
{
    size_t state = strcspn(detail, ","), was = strcspn(last->detail, ",");

    if (!last->seq)
        return "appeared";
    if (state != was || strncmp(detail, last->detail, state) != 0)
        return "state";
    if (strncmp(detail + state, last->detail + was, 3) != 0)
        return detail[state + 2] == 'c' ? "promoted" : "demoted";
    return "changed";
}

static enum kv_status note_version(struct kv_map *map, const struct kv_version *version, struct note *note,
                                   struct kv_error *err)
{
    struct kv_map_entry last;
    int64_t seq = 0;

    if (kv_map_digest_version(version, note->facts))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_map_entry_of(map, version->entry, &last, err));
    if (last.seq && !memcmp(last.facts, note->facts, sizeof note->facts))
        return KV_OK;
    note->before = version->entry;
    kv_map_subject_version(version, note->subject);
    snprintf(note->detail, sizeof note->detail,
             "%s, %s, not before %lld, expires %lld, retire after %lld, at %s", kv_state_name(version->state),
             version->current ? "current" : "older", (long long)version->nbf, (long long)version->exp,
             (long long)version->retire_after, version->kid);
    if (!note->kind)
        note->kind = version_kind(&last, note->detail);
    KV_TRY(append(map, note, &seq, err));
    return set_entry(map, KV_SQL_VERSION_ENTRY, version->row, seq, err);
}

enum kv_status kv_map_note_version(struct kv_map *map, int64_t row, int64_t at, const char *kind,
                                   struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *version = NULL;
    struct note note = { .at = at, .kind = kind };

    KV_AUTO_STATEMENT sqlite3_stmt *find = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_VERSION_ROW, &find, err));
    kv_map_bind_int(find, ":row", row);
    int code = kv_map_step(find);
    if (code != SQLITE_ROW)
        return kv_map_failed(map, code, err);
    enum kv_status status = kv_map_row(find, &version);
    if (status == KV_BAD_DATA)
        return KV_OK; /* kv_map_verify names it; it must not keep others from being written */
    return status ? kv_fail(err, status, "out of memory") : note_version(map, version, &note, err);
}

/* "rsa-oaep-256 64c0ace7…, x25519 age1…": who can open it, as far as there is room. */
static void tell_recipients(const struct kv_map_backup *backup, struct note *note)
{
    size_t at = (size_t)snprintf(note->detail, sizeof note->detail, "%lld bytes, until %lld",
                                 (long long)backup->size, (long long)backup->keep_until);

    for (size_t i = 0; i < backup->recipient_count && at < sizeof note->detail; i++) {
        const struct kv_map_recipient *recipient = &backup->recipients[i];
        char hex[17] = "";
        if (recipient->removed)
            continue;
        if (recipient->key_len)
            kv_encode_hex((struct kv_view){ recipient->key, 8 }, hex);
        at += (size_t)snprintf(note->detail + at, sizeof note->detail - at, ", %s %s", recipient->kind,
                               *hex ? hex : recipient->text);
    }
}

static enum kv_status note_backup(struct kv_map *map, const struct kv_map_backup *backup, struct note *note,
                                  struct kv_error *err)
{
    struct kv_map_entry last;
    int64_t seq = 0;

    if (kv_map_digest_backup(backup, note->facts))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_map_entry_of(map, backup->entry, &last, err));
    if (last.seq && !memcmp(last.facts, note->facts, sizeof note->facts))
        return KV_OK;
    note->before = backup->entry;
    kv_map_subject_backup(backup, note->subject);
    tell_recipients(backup, note);
    KV_TRY(append(map, note, &seq, err));
    return set_entry(map, KV_SQL_BACKUP_ENTRY, backup->row, seq, err);
}

enum kv_status kv_map_note_backup(struct kv_map *map, int64_t row, int64_t at, const char *kind,
                                  struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_free) struct kv_map_backup backup = { 0 };
    struct note note = { .at = at, .kind = kind };

    KV_AUTO_STATEMENT sqlite3_stmt *find = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_BACKUP_ROW, &find, err));
    kv_map_bind_int(find, ":row", row);
    int code = kv_map_step(find);
    if (code != SQLITE_ROW)
        return kv_map_failed(map, code, err);
    enum kv_status status = kv_map_backup_row(map, find, &backup, err);
    if (status == KV_BAD_DATA)
        return KV_OK;
    KV_TRY(status);
    return note_backup(map, &backup, &note, err);
}

enum kv_status kv_map_note_location(struct kv_map *map, const struct kv_map_location *location,
                                    int64_t before, int64_t *ret_entry, struct kv_error *err)
{
    struct note note = { .at = location->accepted, .kind = "located", .before = before };

    if (kv_map_digest_location(location, note.facts))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    kv_map_subject_location(location, note.subject);
    return append(map, &note, ret_entry, err);
}

static enum kv_status note_each(struct kv_map *map, enum kv_map_sql which,
                                enum kv_status (*note)(struct kv_map *, int64_t, int64_t, const char *,
                                                       struct kv_error *),
                                const char *kind, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    int code;

    KV_TRY(kv_map_statement(map, which, &rows, err));
    while ((code = kv_map_step(rows)) == SQLITE_ROW)
        KV_TRY(note(map, sqlite3_column_int64(rows, 0), sqlite3_column_int64(rows, 1), kind, err));
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

enum kv_status kv_map_note_all(struct kv_map *map, struct kv_error *err)
{
    KV_TRY(note_each(map, KV_SQL_VERSIONS_UNWRITTEN, kv_map_note_version, "known", err));
    return note_each(map, KV_SQL_BACKUPS_UNWRITTEN, kv_map_note_backup, "known", err);
}

enum kv_status kv_map_journal_page(struct kv_map *map, int64_t after, size_t limit, struct kv_map_entry **ret,
                                   size_t *ret_count, struct kv_error *err)
{
    size_t room = limit ? limit : KV_BACKUP_PAGE, count = 0;
    KV_AUTO_FREE struct kv_map_entry *entries = calloc(room, sizeof *entries);
    int code = SQLITE_DONE;

    if (!entries)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *page = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_JOURNAL_PAGE, &page, err));
    kv_map_bind_int(page, ":after", after);
    kv_map_bind_int(page, ":limit", (int64_t)room);
    while (count < room && (code = kv_map_step(page)) == SQLITE_ROW)
        kv_map_read_entry(page, &entries[count++]);
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        return kv_map_failed(map, code, err);
    *ret = kv_take(entries);
    *ret_count = count;
    return KV_OK;
}

enum kv_status kv_map_journal_head(struct kv_map *map, int64_t *ret_entries, unsigned char ret_hash[32],
                                   struct kv_error *err)
{
    KV_MAP_LOCK(map);
    map->head = (struct kv_journal_head){ 0 };
    KV_TRY(load_head(map, err));
    *ret_entries = map->head.entries;
    memcpy(ret_hash, map->head.hash, 32);
    return KV_OK;
}
