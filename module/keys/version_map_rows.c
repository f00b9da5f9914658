/* Versions in and out of the map. */
#include "version_map_private.h"

#include <string.h>

/* In the order of VERSION_COLUMNS. */
enum column {
    COL_ROW,
    COL_VAULT,
    COL_NAME,
    COL_VERSION,
    COL_KID,
    COL_CURRENT,
    COL_KIND,
    COL_HSM,
    COL_BITS,
    COL_CURVE,
    COL_OPERATIONS,
    COL_ID,
    COL_SPKI_SHA256,
    COL_SPKI,
    COL_STATE,
    COL_ENABLED,
    COL_NBF,
    COL_EXP,
    COL_CREATED,
    COL_FIRST_SEEN,
    COL_SEEN,
    COL_FIRST_WRAP,
    COL_LAST_WRAP,
    COL_LAST_UNWRAP,
    COL_WRAPS,
    COL_MANAGED,
    COL_HSM_PLATFORM,
    COL_STATE_SINCE,
    COL_LAST_DRILL,
    COL_RETIRE_AFTER,
    COL_ENTRY,
    COL_UPDATED,
    COL_RECOVERY,
    COL_PROTECTED,
    COL_SETTLED
};

bool kv_map_blob_fixed(sqlite3_stmt *row, int column, unsigned char *ret, int size)
{
    const void *data = sqlite3_column_blob(row, column);

    if (!data || sqlite3_column_bytes(row, column) != size)
        return false;
    memcpy(ret, data, (size_t)size);
    return true;
}

static void read_numbers(sqlite3_stmt *row, struct kv_version *version)
{
    version->row = sqlite3_column_int64(row, COL_ROW);
    version->current = sqlite3_column_int(row, COL_CURRENT);
    version->kind = (enum kv_kind)sqlite3_column_int(row, COL_KIND);
    version->hsm = sqlite3_column_int(row, COL_HSM);
    version->bits = (unsigned)sqlite3_column_int(row, COL_BITS);
    version->operations = (unsigned)sqlite3_column_int(row, COL_OPERATIONS) & KV_OP_ALL;
    version->enabled = sqlite3_column_int(row, COL_ENABLED);
    version->nbf = sqlite3_column_int64(row, COL_NBF);
    version->exp = sqlite3_column_int64(row, COL_EXP);
    version->created = sqlite3_column_int64(row, COL_CREATED);
    version->first_seen = sqlite3_column_int64(row, COL_FIRST_SEEN);
    version->seen = sqlite3_column_int64(row, COL_SEEN);
    version->first_wrap = sqlite3_column_int64(row, COL_FIRST_WRAP);
    version->last_wrap = sqlite3_column_int64(row, COL_LAST_WRAP);
    version->last_unwrap = sqlite3_column_int64(row, COL_LAST_UNWRAP);
    version->wraps = sqlite3_column_int64(row, COL_WRAPS);
    version->settled = sqlite3_column_int64(row, COL_SETTLED);
    version->managed = sqlite3_column_int(row, COL_MANAGED);
    version->state_since = sqlite3_column_int64(row, COL_STATE_SINCE);
    version->last_drill = sqlite3_column_int64(row, COL_LAST_DRILL);
    version->retire_after = sqlite3_column_int64(row, COL_RETIRE_AFTER);
    version->entry = sqlite3_column_int64(row, COL_ENTRY);
    version->updated = sqlite3_column_int64(row, COL_UPDATED);
    version->protected_at = sqlite3_column_int64(row, COL_PROTECTED);
}

bool kv_map_row_is_whole(sqlite3_stmt *row)
{
    return (sqlite3_errcode(sqlite3_db_handle(row)) & 0xff) != SQLITE_NOMEM;
}

enum kv_status kv_map_row(sqlite3_stmt *row, struct kv_version **ret)
{
    KV_AUTO_VERSION struct kv_version *version = kv_version_new();
    char state[24];

    if (!version)
        return KV_NO_MEMORY;
    read_numbers(row, version);
    kv_map_text(row, COL_VAULT, version->vault, sizeof version->vault);
    kv_map_text(row, COL_NAME, version->name, sizeof version->name);
    kv_map_text(row, COL_VERSION, version->version, sizeof version->version);
    kv_map_text(row, COL_KID, version->kid, sizeof version->kid);
    kv_map_text(row, COL_CURVE, version->curve, sizeof version->curve);
    kv_map_text(row, COL_STATE, state, sizeof state);
    kv_map_text(row, COL_HSM_PLATFORM, version->hsm_platform, sizeof version->hsm_platform);
    kv_map_text(row, COL_RECOVERY, version->recovery, sizeof version->recovery);
    struct kv_view spki = { sqlite3_column_blob(row, COL_SPKI), (size_t)sqlite3_column_bytes(row, COL_SPKI) };
    if (!kv_map_row_is_whole(row))
        return KV_NO_MEMORY;
    if (version->kind > KV_OCT || !version->name[0] || !kv_state_from_name(state, &version->state) ||
        !kv_map_blob_fixed(row, COL_ID, version->id, sizeof version->id) ||
        !kv_map_blob_fixed(row, COL_SPKI_SHA256, version->spki_sha256, sizeof version->spki_sha256))
        return KV_BAD_DATA;
    KV_TRY(kv_bytes_copy(spki, &version->spki));
    kv_version_relabel(version);
    *ret = kv_take(version);
    return KV_OK;
}

static enum kv_map_sql find_by(const struct kv_map_query *query)
{
    if (query->id.data)
        return KV_SQL_FIND_ID;
    if (query->spki_sha256.data)
        return KV_SQL_FIND_SPKI;
    return query->vault && query->name ? KV_SQL_FIND_NAME : KV_SQL_FIND_ALL;
}

static const char *given(const char *text)
{
    return text && *text ? text : NULL;
}

static enum kv_status collect(struct kv_map *map, sqlite3_stmt *statement, struct kv_version_list *ret,
                              struct kv_error *err)
{
    int code;

    while ((code = kv_map_step(statement)) == SQLITE_ROW) {
        KV_AUTO_VERSION struct kv_version *version = NULL;
        enum kv_status status = kv_map_row(statement, &version);
        if (status == KV_BAD_DATA)
            continue; /* kv_map_verify names it; it must not hide the others */
        if (status || kv_version_list_add(ret, version))
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

enum kv_status kv_map_find(struct kv_map *map, const struct kv_map_query *query, struct kv_version_list *ret,
                           struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list found = { 0 };
    struct kv_map_query q = *query;

    q.vault = given(q.vault);
    q.name = given(q.name);
    KV_MAP_LOCK(map);
    if (!map->db)
        return KV_OK; /* its health has been told; without it the vault is asked */
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, find_by(&q), &statement, err));
    kv_map_bind_text(statement, ":vault", q.vault);
    kv_map_bind_text(statement, ":name", q.name);
    kv_map_bind_text(statement, ":version", given(q.version));
    kv_map_bind_blob(statement, ":id", q.id);
    kv_map_bind_blob(statement, ":spki", q.spki_sha256);
    kv_map_bind_int(statement, ":current", q.current_only);
    kv_map_bind_int(statement, ":limit", q.limit ? (int64_t)q.limit : -1);
    KV_TRY(collect(map, statement, &found, err));
    *ret = found;
    found = (struct kv_version_list){ 0 };
    return KV_OK;
}

/* For the rows that a change answers with. */
static enum kv_status note_rows(struct kv_map *map, sqlite3_stmt *change, int64_t at, const char *kind,
                                struct kv_error *err)
{
    int code;

    while ((code = kv_map_step(change)) == SQLITE_ROW)
        KV_TRY(kv_map_note_version(map, sqlite3_column_int64(change, 0), at, kind, err));
    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

enum kv_status kv_map_version_page(struct kv_map *map, int64_t after, size_t limit,
                                   struct kv_version_list *ret, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list found = { 0 };

    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_VERSION_PAGE, &statement, err));
    kv_map_bind_int(statement, ":after", after);
    kv_map_bind_int(statement, ":limit", limit ? (int64_t)limit : KV_BACKUP_PAGE);
    KV_TRY(collect(map, statement, &found, err));
    *ret = found;
    found = (struct kv_version_list){ 0 };
    return KV_OK;
}

/* *ret_current: whether it now is. A version whose row others have changed since it was read is as current as they say: only they have seen that change. */
static enum kv_status store_row(struct kv_map *map, const struct kv_version *version, int64_t at,
                                const char *kind, bool *ret_current, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *store = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_STORE, &store, err));
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        { ":current", version->current },
        { ":kind", version->kind },
        { ":hsm", version->hsm },
        { ":bits", version->bits },
        { ":operations", version->operations },
        { ":enabled", version->enabled },
        { ":nbf", version->nbf },
        { ":exp", version->exp },
        { ":created", version->created },
        { ":first_seen", version->first_seen },
        { ":seen", version->seen },
        { ":first_wrap", version->first_wrap },
        { ":last_wrap", version->last_wrap },
        { ":last_unwrap", version->last_unwrap },
        { ":wraps", version->wraps },
        { ":settled", version->settled },
        { ":entry", version->entry },
        { ":managed", version->managed },
        { ":state_since", version->state_since },
        { ":last_drill", version->last_drill },
        { ":retire_after", version->retire_after },
        { ":updated", version->updated },
        { ":protected", version->protected_at },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        kv_map_bind_int(store, numbers[i].name, numbers[i].value);
    kv_map_bind_key(store, version->vault, version->name, version->version);
    kv_map_bind_text(store, ":kid", version->kid);
    kv_map_bind_text(store, ":curve", version->curve);
    kv_map_bind_text(store, ":state", kv_state_name(version->state));
    kv_map_bind_text(store, ":hsm_platform", version->hsm_platform);
    kv_map_bind_text(store, ":recovery", version->recovery);
    kv_map_bind_blob(store, ":id", (struct kv_view){ version->id, sizeof version->id });
    kv_map_bind_blob(store, ":spki_sha256",
                     (struct kv_view){ version->spki_sha256, sizeof version->spki_sha256 });
    kv_map_bind_blob(store, ":spki", KV_VIEW(version->spki));
    int code = kv_map_step(store);
    if (code != SQLITE_ROW)
        return kv_map_failed(map, code, err);
    *ret_current = sqlite3_column_int(store, 1) != 0;
    return kv_map_note_version(map, sqlite3_column_int64(store, 0), at, kind, err);
}

/* One version of a name is current: whoever becomes it takes it from the others. */
static enum kv_status take_current(struct kv_map *map, const struct kv_version *version, int64_t at,
                                   struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *others = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_UNCURRENT, &others, err));
    kv_map_bind_key(others, version->vault, version->name, version->version);
    return note_rows(map, others, at, NULL, err);
}

static enum kv_status locate(struct kv_map *map, const struct kv_version *version, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *place = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_LOCATE, &place, err));
    kv_map_bind_blob(place, ":spki_sha256",
                     (struct kv_view){ version->spki_sha256, sizeof version->spki_sha256 });
    kv_map_bind_text(place, ":kid", version->kid);
    kv_map_bind_int(place, ":seen", version->seen);
    return kv_map_step_done(map, place, err);
}

enum kv_status kv_map_store_one(struct kv_map *map, const struct kv_version *version, int64_t at,
                                const char *kind, struct kv_error *err)
{
    bool current = false;

    KV_TRY(store_row(map, version, at, kind, &current, err));
    if (current)
        KV_TRY(take_current(map, version, at, err));
    return version->kind == KV_OCT ? KV_OK : locate(map, version, err);
}

static enum kv_status store_seen(struct kv_map *map, const struct kv_map_all *all, size_t i,
                                 struct kv_error *err)
{
    struct kv_version *const *versions = all->items;
    return kv_map_store_one(map, versions[i], versions[i]->seen, NULL, err);
}

enum kv_status kv_map_store(struct kv_map *map, struct kv_version *const *versions, size_t count,
                            struct kv_error *err)
{
    return kv_map_put_all(map, &(struct kv_map_all){ .items = versions, .count = count, .one = store_seen },
                          err);
}

struct plan {
    const char *kind;
    const int64_t *drilled, *retire_after; /* NULL: left as it is */
    int64_t at;
};

static enum kv_status plan_row(struct kv_map *map, const struct kv_version *version, const struct plan *plan,
                               struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *change = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_VERSION_PLAN, &change, err));
    kv_map_bind_key(change, version->vault, version->name, version->version);
    if (plan->drilled)
        kv_map_bind_int(change, ":drilled", *plan->drilled);
    if (plan->retire_after)
        kv_map_bind_int(change, ":retire_after", *plan->retire_after);
    int code = kv_map_step(change);
    if (code == SQLITE_DONE)
        return kv_fail(err, KV_NOT_FOUND, "version '%s/%s@%s' is not in the version map", version->vault,
                       version->name, version->version);
    if (code != SQLITE_ROW)
        return kv_map_failed(map, code, err);
    return kv_map_note_version(map, sqlite3_column_int64(change, 0), plan->at, plan->kind, err);
}

static enum kv_status set_plan(struct kv_map *map, const struct kv_version *version, const struct plan *plan,
                               struct kv_error *err)
{
    KV_MAP_LOCK(map);
    KV_TRY(kv_map_begin(map, err));
    return kv_map_end(map, plan_row(map, version, plan, err), err);
}

enum kv_status kv_map_drilled(struct kv_map *map, const struct kv_version *version, int64_t at,
                              struct kv_error *err)
{
    return set_plan(map, version, &(struct plan){ "drilled", &at, NULL, at }, err);
}

enum kv_status kv_map_retire_after(struct kv_map *map, const struct kv_version *version, int64_t retire_after,
                                   int64_t at, struct kv_error *err)
{
    return set_plan(map, version, &(struct plan){ "planned", NULL, &retire_after, at }, err);
}
