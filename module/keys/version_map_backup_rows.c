/* Backups out of the map: in pages, with their recipients, and counted without loading any. */
#include "version_map_private.h"

#include <string.h>

/* In the order of BACKUP_FIELDS. */
enum column {
    COL_ROW,
    COL_ID,
    COL_STORE,
    COL_OBJECT,
    COL_HEADER,
    COL_SIZE,
    COL_CREATED,
    COL_KEEP_UNTIL,
    COL_DRILLED,
    COL_DRILL_RESULT,
    COL_RETIRED,
    COL_ENTRY
};

void kv_map_backup_free(struct kv_map_backup *backup)
{
    free(kv_take(backup->recipients));
    backup->recipient_count = 0;
}

void kv_map_backup_list_free(struct kv_map_backup_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        kv_map_backup_free(&list->items[i]);
    free(kv_take(list->items));
    list->count = 0;
}

/* In the order of KV_SQL_OPENERS. */
static bool read_recipient(sqlite3_stmt *row, struct kv_map_recipient *ret)
{
    *ret = (struct kv_map_recipient){ .key_len = (size_t)sqlite3_column_bytes(row, 1) };
    kv_map_text(row, 0, ret->kind, sizeof ret->kind);
    kv_map_text(row, 2, ret->text, sizeof ret->text);
    ret->added = sqlite3_column_int64(row, 3);
    ret->removed = sqlite3_column_int64(row, 4);
    return !ret->key_len ||
           (ret->key_len <= sizeof ret->key && kv_map_blob_fixed(row, 1, ret->key, (int)ret->key_len));
}

static enum kv_status read_recipients(struct kv_map *map, struct kv_map_backup *backup, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    int code;

    KV_TRY(kv_map_statement(map, KV_SQL_OPENERS, &row, err));
    kv_map_bind_int(row, ":row", backup->row);
    while ((code = kv_map_step(row)) == SQLITE_ROW) {
        struct kv_map_recipient *more =
            reallocarray(backup->recipients, backup->recipient_count + 1, sizeof *more);
        if (!more)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        backup->recipients = more;
        bool right = read_recipient(row, &more[backup->recipient_count++]);
        if (!kv_map_row_is_whole(row))
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        if (!right)
            return KV_BAD_DATA;
    }
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

enum kv_status kv_map_backup_row(struct kv_map *map, sqlite3_stmt *row, struct kv_map_backup *ret,
                                 struct kv_error *err)
{
    struct kv_map_backup backup = {
        .row = sqlite3_column_int64(row, COL_ROW),
        .has_header = sqlite3_column_bytes(row, COL_HEADER) > 0,
        .size = sqlite3_column_int64(row, COL_SIZE),
        .created = sqlite3_column_int64(row, COL_CREATED),
        .keep_until = sqlite3_column_int64(row, COL_KEEP_UNTIL),
        .drilled = sqlite3_column_int64(row, COL_DRILLED),
        .retired = sqlite3_column_int64(row, COL_RETIRED),
        .entry = sqlite3_column_int64(row, COL_ENTRY),
    };
    kv_map_text(row, COL_ID, backup.id, sizeof backup.id);
    kv_map_text(row, COL_STORE, backup.store, sizeof backup.store);
    kv_map_text(row, COL_OBJECT, backup.object, sizeof backup.object);
    kv_map_text(row, COL_DRILL_RESULT, backup.drill_result, sizeof backup.drill_result);
    bool right = *backup.id && (!backup.has_header || kv_map_blob_fixed(row, COL_HEADER, backup.header_sha256,
                                                                        sizeof backup.header_sha256));
    if (!kv_map_row_is_whole(row))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (!right)
        return KV_BAD_DATA;
    enum kv_status status = read_recipients(map, &backup, err);
    if (status)
        kv_map_backup_free(&backup);
    else
        *ret = backup;
    return status;
}

enum kv_status kv_map_backup_collect(struct kv_map *map, sqlite3_stmt *rows, struct kv_map_backup_list *to,
                                     struct kv_error *err)
{
    int code;

    while ((code = kv_map_step(rows)) == SQLITE_ROW) {
        struct kv_map_backup *more = reallocarray(to->items, to->count + 1, sizeof *more);
        if (!more)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        to->items = more;
        enum kv_status status = kv_map_backup_row(map, rows, &more[to->count], err);
        to->count += status == KV_OK;
        if (status && status != KV_BAD_DATA) /* kv_map_verify names it; it must not hide the others */
            return status;
    }
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

static enum kv_status page_of(struct kv_map *map, enum kv_map_sql which,
                              const struct kv_map_backup_query *query, int64_t recipient,
                              struct kv_map_backup_list *to, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    KV_TRY(kv_map_statement(map, which, &rows, err));
    kv_map_bind_text(rows, ":id", query->id && *query->id ? query->id : NULL);
    kv_map_bind_text(rows, ":store", query->store && *query->store ? query->store : NULL);
    kv_map_bind_text(rows, ":object", query->object);
    kv_map_bind_int(rows, ":recipient", recipient);
    kv_map_bind_int(rows, ":after", query->after);
    kv_map_bind_int(rows, ":retired", query->retired);
    kv_map_bind_int(rows, ":limit", query->limit ? (int64_t)query->limit : KV_BACKUP_PAGE);
    return kv_map_backup_collect(map, rows, to, err);
}

static int by_row(const void *a, const void *b)
{
    const struct kv_map_backup *x = a, *y = b;

    return (x->row > y->row) - (x->row < y->row);
}

/* Pages of several recipients, each in order, become one: a backup once, and no more than a page. */
static void join(struct kv_map_backup_list *list, size_t limit)
{
    size_t kept = 0;

    if (list->count > 1)
        qsort(list->items, list->count, sizeof *list->items, by_row);
    for (size_t i = 0; i < list->count; i++) {
        bool wanted = kept < limit && (!kept || list->items[kept - 1].row != list->items[i].row);
        if (!wanted)
            kv_map_backup_free(&list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

/* A key stands in as many recipients as there are kinds of stanza for it: a few, but none may be missed. */
struct recipients {
    int64_t *rows;
    size_t count;
};

static void recipients_free(struct recipients *recipients)
{
    free(recipients->rows);
}
#define AUTO_RECIPIENTS KV_CLEANUP(recipients_free)

static enum kv_status recipients_of(struct kv_map *map, struct kv_view key, struct recipients *ret,
                                    struct kv_error *err)
{
    int code;

    KV_AUTO_STATEMENT sqlite3_stmt *rows = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_RECIPIENTS, &rows, err));
    kv_map_bind_blob(rows, ":key", key);
    while ((code = kv_map_step(rows)) == SQLITE_ROW) {
        int64_t *more = reallocarray(ret->rows, ret->count + 1, sizeof *more);
        if (!more)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        ret->rows = more;
        more[ret->count++] = sqlite3_column_int64(rows, 0);
    }
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

static enum kv_status page_of_key(struct kv_map *map, const struct kv_map_backup_query *query,
                                  struct kv_map_backup_list *to, struct kv_error *err)
{
    AUTO_RECIPIENTS struct recipients recipients = { 0 };

    KV_TRY(recipients_of(map, query->key, &recipients, err));
    for (size_t i = 0; i < recipients.count; i++)
        KV_TRY(page_of(map, KV_SQL_BACKUP_PAGE_OPENER, query, recipients.rows[i], to, err));
    join(to, query->limit ? query->limit : KV_BACKUP_PAGE);
    return KV_OK;
}

enum kv_status kv_map_backup_page(struct kv_map *map, const struct kv_map_backup_query *query,
                                  struct kv_map_backup_list *ret, struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };

    KV_MAP_LOCK(map);
    if (query->key.len)
        KV_TRY(page_of_key(map, query, &list, err));
    else if (query->id && *query->id)
        KV_TRY(page_of(map, KV_SQL_BACKUP_PAGE_ID, query, 0, &list, err));
    else if (query->object && *query->object)
        KV_TRY(page_of(map, KV_SQL_BACKUP_PAGE_OBJECT, query, 0, &list, err));
    else
        KV_TRY(page_of(map, query->store && *query->store ? KV_SQL_BACKUP_PAGE_STORE : KV_SQL_BACKUP_PAGE,
                       query, 0, &list, err));
    *ret = list;
    list = (struct kv_map_backup_list){ 0 };
    return KV_OK;
}

struct kv_view kv_map_key_of(const struct kv_version *version)
{
    if (version->kind == KV_OCT)
        return (struct kv_view){ version->id, sizeof version->id };
    return (struct kv_view){ version->spki_sha256, sizeof version->spki_sha256 };
}

bool kv_map_recipient_of(const struct kv_version *version, const char *kind, const char *text,
                         struct kv_map_recipient *ret)
{
    struct kv_view key = kv_map_key_of(version);
    struct kv_map_recipient recipient = { .key_len = key.len };

    memcpy(recipient.key, key.data, key.len);
    if (!kv_text_fit(recipient.kind, sizeof recipient.kind, kind) ||
        !kv_text_fit(recipient.text, sizeof recipient.text, text ? text : version->kid))
        return false;
    *ret = recipient;
    return true;
}

static enum kv_status add_up(struct kv_map *map, int64_t recipient, struct kv_map_dependants *ret,
                             struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_DEPENDANTS, &row, err));
    kv_map_bind_int(row, ":recipient", recipient);
    int code = kv_map_step(row);
    if (code != SQLITE_ROW)
        return kv_map_failed(map, code, err);
    ret->backups += sqlite3_column_int64(row, 0);
    if (__builtin_add_overflow(ret->bytes, sqlite3_column_int64(row, 1), &ret->bytes))
        ret->bytes = INT64_MAX;
    if (sqlite3_column_int64(row, 2) > ret->keep_until)
        ret->keep_until = sqlite3_column_int64(row, 2);
    return KV_OK;
}

static enum kv_status add_sole(struct kv_map *map, int64_t recipient, struct kv_view key,
                               struct kv_map_dependants *ret, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_SOLE, &row, err));
    kv_map_bind_int(row, ":recipient", recipient);
    kv_map_bind_blob(row, ":key", key);
    int64_t sole = 0;
    KV_TRY(kv_map_answer(map, row, &sole, err));
    ret->sole += sole;
    return KV_OK;
}

enum kv_status kv_map_dependants(struct kv_map *map, struct kv_view key, bool with_sole,
                                 struct kv_map_dependants *ret, struct kv_error *err)
{
    struct kv_map_dependants sum = { 0 };
    AUTO_RECIPIENTS struct recipients recipients = { 0 };

    KV_MAP_LOCK(map);
    KV_TRY(recipients_of(map, key, &recipients, err));
    for (size_t i = 0; i < recipients.count; i++) {
        KV_TRY(add_up(map, recipients.rows[i], &sum, err));
        if (with_sole)
            KV_TRY(add_sole(map, recipients.rows[i], key, &sum, err));
    }
    *ret = sum;
    return KV_OK;
}

enum kv_status kv_map_unknown_openers(struct kv_map *map, int64_t *ret, struct kv_error *err)
{
    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_UNKNOWN_OPENERS, &row, err));
    return kv_map_answer(map, row, ret, err);
}

enum kv_status kv_map_backup_count(struct kv_map *map, const char *vault, int64_t *ret, struct kv_error *err)
{
    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, vault ? KV_SQL_BACKUP_COUNT_VAULT : KV_SQL_BACKUP_COUNT, &row, err));
    kv_map_bind_text(row, ":vault", vault);
    return kv_map_answer(map, row, ret, err);
}
