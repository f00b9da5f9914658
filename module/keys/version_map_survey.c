/* Backups × versions in two readings of the map: who can open what, then every backup beside its recipients, in order. What is kept is a few bytes a recipient, a row a
 * key, and nothing a backup. */
#include "keys/coverage.h"
#include "version_map_private.h"

#include <string.h>

enum { RECIPIENTS_MAX = 1 << 26, COSTS_MAX = 4096, NOBODY = -1 };

struct opener {
    int32_t key, cost; /* among those of the survey; NOBODY: none */
    bool vault, glass, unmapped;
};

/* A backup, while its recipients come in. */
struct current {
    int64_t row, size, keep_until;
    bool is_open, vault, glass, unmapped;
    int32_t cost;        /* of the first version that opens it */
    int64_t cost_row;    /* that version */
    int32_t sole;        /* the one key that opens it; NOBODY: none yet */
    bool several;        /* there is another one */
    size_t first, count; /* keys of it, in `keys` of the survey */
};

struct work {
    struct kv_map *map;
    const struct kv_map_choice *choice;
    struct kv_map_survey *ret;
    struct opener *openers; /* by the row of the recipient */
    int64_t *version;       /* that opens, the first of each; beside openers */
    size_t count;
    size_t key_room, cost_room;
    int64_t *stamp; /* of each key: the last backup that it was counted for */
    int32_t *here;  /* the keys of the backup at hand */
    size_t here_room;
    size_t lost_most;
};

void kv_map_survey_free(struct kv_map_survey *survey)
{
    free(kv_take(survey->keys));
    free(kv_take(survey->costs));
    free(kv_take(survey->lost));
    survey->key_count = survey->cost_count = survey->lost_count = 0;
}

static void work_free(struct work *work)
{
    free(work->openers);
    free(work->version);
    free(work->stamp);
    free(work->here);
}

/* Room for one more; NULL: memory is short. */
static void *grow(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    size_t more = *room ? 2 * *room : 64;
    void *fresh = reallocarray(items, more, size);

    if (fresh)
        *room = more;
    return fresh;
}

/* --- who opens --- */

/* In the order of KV_SQL_SURVEY_OPENERS, which is that of keys. */
enum column {
    COL_ID,
    COL_KEY,
    COL_UNKNOWN,
    COL_VERSION,
    COL_OPENS,
    COL_ENABLED,
    COL_VAULT,
    COL_KIND,
    COL_BITS,
    COL_HSM
};

static enum kv_status key_of(struct work *work, sqlite3_stmt *row, int32_t *ret)
{
    struct kv_map_survey *survey = work->ret;
    size_t len = (size_t)sqlite3_column_bytes(row, COL_KEY);
    struct kv_map_covered *last = survey->key_count ? &survey->keys[survey->key_count - 1] : NULL;

    *ret = NOBODY;
    if (!len || len > sizeof last->key)
        return KV_OK;
    if (!last || last->key_len != len || memcmp(last->key, sqlite3_column_blob(row, COL_KEY), len) != 0) {
        void *keys = grow(survey->keys, survey->key_count, &work->key_room, sizeof *survey->keys);
        if (!keys)
            return KV_NO_MEMORY;
        survey->keys = keys;
        last = &survey->keys[survey->key_count++];
        *last = (struct kv_map_covered){ .key_len = len };
        memcpy(last->key, sqlite3_column_blob(row, COL_KEY), len);
    }
    /* Of several places of one key, the one that is best off. */
    if (sqlite3_column_type(row, COL_VERSION) != SQLITE_NULL &&
        (!last->version || (!last->is_enabled && sqlite3_column_int(row, COL_ENABLED)))) {
        last->version = sqlite3_column_int64(row, COL_VERSION);
        last->is_enabled = sqlite3_column_int(row, COL_ENABLED) != 0;
    }
    *ret = (int32_t)survey->key_count - 1;
    return KV_OK;
}

static enum kv_status cost_of(struct work *work, sqlite3_stmt *row, int32_t *ret)
{
    struct kv_map_survey *survey = work->ret;
    struct kv_map_cost cost = { .kind = (enum kv_kind)sqlite3_column_int(row, COL_KIND),
                                .bits = (unsigned)sqlite3_column_int(row, COL_BITS),
                                .hsm = sqlite3_column_int(row, COL_HSM) != 0 };

    kv_map_text(row, COL_VAULT, cost.vault, sizeof cost.vault);
    for (size_t i = 0; i < survey->cost_count; i++) {
        const struct kv_map_cost *other = &survey->costs[i];
        if (other->kind == cost.kind && other->bits == cost.bits && other->hsm == cost.hsm &&
            !strcmp(other->vault, cost.vault)) {
            *ret = (int32_t)i;
            return KV_OK;
        }
    }
    *ret = NOBODY;
    if (survey->cost_count == COSTS_MAX)
        return KV_OK;
    void *costs = grow(survey->costs, survey->cost_count, &work->cost_room, sizeof *survey->costs);
    if (!costs)
        return KV_NO_MEMORY;
    survey->costs = costs;
    survey->costs[survey->cost_count] = cost;
    *ret = (int32_t)survey->cost_count++;
    return KV_OK;
}

/* One row for each version of each recipient, or one where there is none. */
static enum kv_status take_opener(struct work *work, sqlite3_stmt *row)
{
    int64_t id = sqlite3_column_int64(row, COL_ID), version = sqlite3_column_int64(row, COL_VERSION);
    bool no_key = sqlite3_column_bytes(row, COL_KEY) == 0, is_known = version != 0;
    int32_t key = NOBODY;

    if (id < 0 || (size_t)id >= work->count)
        return KV_OK;
    struct opener *opener = &work->openers[id];
    KV_TRY(key_of(work, row, &key));
    opener->key = key;
    opener->glass = no_key && !sqlite3_column_int(row, COL_UNKNOWN);
    opener->unmapped = (!no_key && !is_known) || sqlite3_column_int(row, COL_UNKNOWN) == 2;
    if (!is_known || !sqlite3_column_int(row, COL_OPENS))
        return KV_OK;
    if (!opener->vault || version < work->version[id]) {
        work->version[id] = version;
        KV_TRY(cost_of(work, row, &opener->cost));
    }
    opener->vault = true;
    return KV_OK;
}

static enum kv_status make_room(struct work *work, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(work->map, KV_SQL_SURVEY_ROOM, &row, err));
    int code = kv_map_step(row);
    if (code != SQLITE_ROW)
        return kv_map_failed(work->map, code, err);
    int64_t most = sqlite3_column_int64(row, 0);
    if (most < 0 || most >= RECIPIENTS_MAX)
        return kv_fail(err, KV_DATA_LENGTH, "the version map has too many recipients to be summed up");
    work->count = (size_t)most + 1;
    work->openers = calloc(work->count, sizeof *work->openers);
    work->version = calloc(work->count, sizeof *work->version);
    if (!work->openers || !work->version)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < work->count; i++)
        work->openers[i].key = work->openers[i].cost = NOBODY;
    return KV_OK;
}

static enum kv_status read_openers(struct work *work, struct kv_error *err)
{
    int code;

    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(work->map, KV_SQL_SURVEY_OPENERS, &row, err));
    kv_map_bind_text(row, ":vaults", work->choice->vaults);
    kv_map_bind_int(row, ":open", KV_OP_UNWRAP | KV_OP_DECRYPT);
    while ((code = kv_map_step(row)) == SQLITE_ROW)
        if (take_opener(work, row) != KV_OK)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (code != SQLITE_DONE)
        return kv_map_failed(work->map, code, err);
    work->stamp = calloc(work->ret->key_count + 1, sizeof *work->stamp);
    return work->stamp ? KV_OK : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

/* --- what they open --- */

/* Sizes come from files of strangers, too. */
static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Nobody else opens it: where the one key that does is this one, or where none does. */
static bool is_sole(const struct current *backup, int32_t key)
{
    return !backup->glass && !backup->several && (backup->sole == NOBODY || backup->sole == key);
}

static void count_keys(struct work *work, const struct current *backup)
{
    for (size_t i = 0; i < backup->count; i++) {
        struct kv_map_covered *key = &work->ret->keys[work->here[i]];
        key->backups++;
        key->bytes = plus(key->bytes, backup->size);
        key->sole += is_sole(backup, work->here[i]);
        if (backup->keep_until > key->keep_until)
            key->keep_until = backup->keep_until;
    }
}

static enum kv_status note_lost(struct work *work, const struct current *backup)
{
    struct kv_map_survey *survey = work->ret;

    if (survey->lost_count == work->lost_most)
        return KV_OK;
    if (!survey->lost)
        survey->lost = calloc(work->lost_most, sizeof *survey->lost);
    if (!survey->lost)
        return KV_NO_MEMORY;
    survey->lost[survey->lost_count++] = backup->row;
    return KV_OK;
}

/* A backup whose recipients have all come in. */
static enum kv_status finish(struct work *work, const struct current *backup)
{
    struct kv_map_coverage *sums = &work->ret->sums;
    bool nobody = !backup->vault && !backup->glass;

    if (!backup->row)
        return KV_OK;
    sums->backups++;
    sums->bytes = plus(sums->bytes, backup->size);
    sums->by_vault += backup->vault;
    sums->by_break_glass += backup->glass;
    sums->by_nobody += nobody;
    sums->by_nobody_bytes = plus(sums->by_nobody_bytes, nobody ? backup->size : 0);
    sums->without_break_glass += !backup->glass;
    sums->without_break_glass_bytes = plus(sums->without_break_glass_bytes, backup->glass ? 0 : backup->size);
    sums->unmapped += backup->unmapped;
    count_keys(work, backup);
    if (backup->cost != NOBODY) {
        struct kv_map_cost *cost = &work->ret->costs[backup->cost];
        cost->calls++;
        cost->bytes = plus(cost->bytes, backup->size);
    }
    return nobody ? note_lost(work, backup) : KV_OK;
}

/* A key that opens a backup as two kinds counts once. */
static enum kv_status add_key(struct work *work, struct current *backup, int32_t key)
{
    if (key == NOBODY || work->stamp[key] == backup->row)
        return KV_OK;
    void *here = grow(work->here, backup->count, &work->here_room, sizeof *work->here);
    if (!here)
        return KV_NO_MEMORY;
    work->here = here;
    work->here[backup->count++] = key;
    work->stamp[key] = backup->row;
    return KV_OK;
}

static enum kv_status add_recipient(struct work *work, struct current *backup, int64_t id)
{
    if (id <= 0 || (size_t)id >= work->count)
        return KV_OK;
    const struct opener *opener = &work->openers[id];
    backup->vault |= opener->vault;
    backup->glass |= opener->glass;
    backup->unmapped |= opener->unmapped;
    if (opener->vault) {
        backup->several |= backup->sole != NOBODY && backup->sole != opener->key;
        backup->sole = opener->key;
    }
    if (opener->vault && (backup->cost == NOBODY || work->version[id] < backup->cost_row)) {
        backup->cost = opener->cost;
        backup->cost_row = work->version[id];
    }
    return add_key(work, backup, opener->key);
}

/* In the order of KV_SQL_SURVEY: backups in theirs, each as often as it has recipients, once where it has none. */
static enum kv_status take_row(struct work *work, sqlite3_stmt *row, struct current *backup)
{
    int64_t number = sqlite3_column_int64(row, 0);

    if (number != backup->row) {
        KV_TRY(finish(work, backup));
        *backup = (struct current){ .row = number,
                                    .size = sqlite3_column_int64(row, 1),
                                    .keep_until = sqlite3_column_int64(row, 2),
                                    .cost = NOBODY,
                                    .sole = NOBODY };
    }
    return add_recipient(work, backup, sqlite3_column_int64(row, 3));
}

static enum kv_status read_backups(struct work *work, struct kv_error *err)
{
    struct current backup = { .row = 0 };
    int code;

    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(work->map, KV_SQL_SURVEY, &row, err));
    kv_map_bind_text(row, ":store", work->choice->store);
    while ((code = kv_map_step(row)) == SQLITE_ROW)
        if (take_row(work, row, &backup) != KV_OK)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (code != SQLITE_DONE)
        return kv_map_failed(work->map, code, err);
    return finish(work, &backup) == KV_OK ? KV_OK : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

/* Those that open nothing are left out. */
static void tidy(struct kv_map_survey *survey)
{
    size_t keys = 0, costs = 0;

    for (size_t i = 0; i < survey->key_count; i++)
        if (survey->keys[i].backups)
            survey->keys[keys++] = survey->keys[i];
    for (size_t i = 0; i < survey->cost_count; i++)
        if (survey->costs[i].calls)
            survey->costs[costs++] = survey->costs[i];
    survey->key_count = keys;
    survey->cost_count = costs;
}

static enum kv_status read_all(struct work *work, struct kv_error *err)
{
    KV_TRY(make_room(work, err));
    KV_TRY(read_openers(work, err));
    return read_backups(work, err);
}

enum kv_status kv_map_survey(struct kv_map *map, const struct kv_map_choice *choice, size_t lost_most,
                             struct kv_map_survey *ret, struct kv_error *err)
{
    KV_CLEANUP(kv_map_survey_free) struct kv_map_survey survey = { .key_count = 0 };
    KV_CLEANUP(work_free)
    struct work work = { .map = map, .choice = choice, .ret = &survey, .lost_most = lost_most };

    KV_MAP_LOCK(map);
    KV_TRY(kv_map_run(map, KV_SQL_READ, err)); /* what others write meanwhile must not come between the two */
    enum kv_status status = read_all(&work, err);
    (void)!kv_map_run(map, KV_SQL_ROLLBACK, NULL);
    KV_TRY(status);
    tidy(&survey);
    *ret = survey;
    survey = (struct kv_map_survey){ .key_count = 0 };
    return KV_OK;
}

enum kv_status kv_map_covered_text(struct kv_map *map, const struct kv_map_covered *covered,
                                   char ret[KV_KID_SIZE], struct kv_error *err)
{
    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *row = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_RECIPIENT_TEXT, &row, err));
    kv_map_bind_blob(row, ":key", (struct kv_view){ covered->key, covered->key_len });
    int code = kv_map_step(row);
    if (code != SQLITE_ROW)
        return kv_map_failed(map, code, err);
    kv_map_text(row, 0, ret, KV_KID_SIZE);
    return KV_OK;
}
