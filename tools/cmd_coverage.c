/* kvp11 coverage: backups × versions: who can open them now, and what opening all of them takes. */
#include "finding.h"

#include <inttypes.h>
#include <string.h>
#include "base/encode.h"
#include "keys/coverage.h"

const struct kv_option kv_cmd_coverage_options[] = {
    { "--store", "STORE", "only the backups of this store" },
    { "--limit", "NUMBER", "name so many of the backups that nobody opens; without it, 20" },
    { NULL, NULL, NULL },
};

static const struct kv_column columns[] = {
    { "LEVEL", "level" },   { "WHAT", "what" }, { "OF", "subject" },  { "BACKUPS", "backups" },
    { "BYTES", "bytes" },   { "SOLE", "sole" }, { "FOUND", "found" }, { NULL, "state" },
    { NULL, "keep_until" }, { NULL, "calls" },  { NULL, "seconds" },
};

struct coverage {
    struct kv_tool *tool;
    struct kv_findings findings;
    struct kv_map_survey survey;
};

struct row {
    enum kv_level level;
    const char *what;
    char *subject, *found;                                    /* taken over */
    int64_t backups, bytes, sole, keep_until, calls, seconds; /* -1: not told */
    const char *state;
};

static void add_int(struct kv_table *table, int64_t value)
{
    if (value < 0)
        kv_table_text(table, NULL);
    else
        kv_table_int(table, value);
}

static void add_take(struct kv_table *table, char *text)
{
    if (text)
        kv_table_take(table, text);
    else
        kv_table_text(table, NULL);
}

static void add_row(struct coverage *coverage, struct row row)
{
    struct kv_table *table = coverage->findings.table;
    kv_finding_level(&coverage->findings, row.level);
    kv_table_text(table, row.what);
    add_take(table, row.subject);
    add_int(table, row.backups);
    add_int(table, row.bytes);
    add_int(table, row.sole);
    add_take(table, row.found);
    kv_table_text(table, row.state);
    kv_table_time(table, row.keep_until);
    add_int(table, row.calls);
    add_int(table, row.seconds);
}

/* --- all of them --- */

static void add_sum(struct coverage *coverage, enum kv_level level, const char *what, int64_t backups,
                    int64_t bytes)
{
    add_row(coverage, (struct row){ .level = level,
                                    .what = what,
                                    .backups = backups,
                                    .bytes = bytes,
                                    .sole = -1,
                                    .calls = -1,
                                    .seconds = -1 });
}

static void tell_sums(struct coverage *coverage)
{
    const struct kv_map_coverage *sums = &coverage->survey.sums;
    add_sum(coverage, KV_LEVEL_OK, "all", sums->backups, sums->bytes);
    add_sum(coverage, KV_LEVEL_OK, "by vault", sums->by_vault, -1);
    add_sum(coverage, KV_LEVEL_OK, "by break-glass", sums->by_break_glass, -1);
    add_sum(coverage, sums->by_nobody ? KV_LEVEL_CRITICAL : KV_LEVEL_OK, "by nobody", sums->by_nobody,
            sums->by_nobody_bytes);
    add_sum(coverage, sums->without_break_glass ? KV_LEVEL_WARNING : KV_LEVEL_OK, "without break-glass",
            sums->without_break_glass, sums->without_break_glass_bytes);
    add_sum(coverage, sums->unmapped ? KV_LEVEL_WARNING : KV_LEVEL_OK, "of unknown versions", sums->unmapped,
            -1);
}

static enum kv_status name_lost(struct coverage *coverage, int64_t row, struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
    const struct kv_map_backup_query query = { .after = row - 1, .limit = 1 };
    KV_TRY(kv_map_backup_page(kv_core_map(coverage->tool->core), &query, &list, err));
    if (!list.count || list.items[0].row != row) /* gone meanwhile */
        return KV_OK;
    const struct kv_map_backup *backup = &list.items[0];
    add_row(coverage, (struct row){ .level = KV_LEVEL_CRITICAL,
                                    .what = "backup",
                                    .subject = kv_text_copy(backup->id),
                                    .found = kv_text_format("in '%s': nobody opens it now: see `kvp11 "
                                                            "sync` for what became of its versions",
                                                            backup->store),
                                    .backups = 1,
                                    .bytes = backup->size,
                                    .sole = -1,
                                    .keep_until = backup->keep_until,
                                    .calls = -1,
                                    .seconds = -1 });
    return KV_OK;
}

/* --- by key --- */

static enum kv_status key_text(struct coverage *coverage, const struct kv_map_covered *covered, char **ret,
                               struct kv_error *err)
{
    char text[KV_KID_SIZE], hex[2 * sizeof(covered->key) + 1];
    KV_TRY(kv_map_covered_text(kv_core_map(coverage->tool->core), covered, text, err));
    kv_encode_hex((struct kv_view){ covered->key, covered->key_len }, hex);
    *ret = kv_text_copy(*text ? text : hex);
    return KV_OK;
}

static enum kv_status tell_key(struct coverage *coverage, const struct kv_map_covered *covered,
                               struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_version *version = NULL;
    char *subject = NULL;
    if (covered->version) {
        KV_TRY(kv_map_version_page(kv_core_map(coverage->tool->core), covered->version - 1, 1, &list, err));
        version = list.count && list.items[0]->row == covered->version ? list.items[0] : NULL;
    }
    if (version)
        subject = kv_text_format("%s/%s@%s", version->vault, version->name, version->version);
    else
        KV_TRY(key_text(coverage, covered, &subject, err));
    add_row(coverage, (struct row){ .level = KV_LEVEL_OK,
                                    .what = "version",
                                    .subject = subject,
                                    .state = version ? kv_state_name(version->state) : "unknown",
                                    .found = kv_text_copy(version ? kv_state_name(version->state)
                                                                  : "not in the map: kvp11 map rebuild"),
                                    .backups = covered->backups,
                                    .bytes = covered->bytes,
                                    .sole = covered->sole,
                                    .keep_until = covered->keep_until,
                                    .calls = -1,
                                    .seconds = -1 });
    return KV_OK;
}

/* --- what a mass restore takes --- */

struct restore {
    int64_t calls, bytes, weight;
};

static void tell_restore(struct coverage *coverage, const struct kv_vault_config *config,
                         const struct restore *restore)
{
    enum { WINDOW_S = 10, MINUTE_S = 60 };
    int64_t quota = kv_vault_quota(config);
    int64_t seconds = quota ? (restore->weight * WINDOW_S + quota - 1) / quota : -1;
    if (!restore->calls)
        return;
    add_row(coverage,
            (struct row){
                .level = KV_LEVEL_OK,
                .what = "restore",
                .subject = kv_text_copy(config->name),
                .found = quota ? kv_text_format("%" PRId64 " calls, %" PRId64 " minutes at the vault's quota",
                                                restore->calls, (seconds + MINUTE_S - 1) / MINUTE_S)
                               : kv_text_format("%" PRId64 " calls; no quota is known", restore->calls),
                .backups = restore->calls,
                .bytes = restore->bytes,
                .sole = -1,
                .calls = restore->calls,
                .seconds = seconds });
}

static void tell_costs(struct coverage *coverage)
{
    const struct kv_config *config = kv_core_config(coverage->tool->core);
    for (size_t vault = 0; vault < config->vault_count; vault++) {
        struct restore restore = { 0 };
        for (size_t i = 0; i < coverage->survey.cost_count; i++) {
            const struct kv_map_cost *cost = &coverage->survey.costs[i];
            if (strcmp(cost->vault, config->vaults[vault].name) != 0)
                continue;
            restore.calls += cost->calls;
            restore.bytes += cost->bytes;
            restore.weight += cost->calls * kv_vault_weight(cost->kind, cost->bits, cost->hsm);
        }
        tell_restore(coverage, &config->vaults[vault], &restore);
    }
}

/* "\nprod\ndr\n" */
static enum kv_status name_vaults(const struct kv_tool *tool, struct kv_buffer *ret, struct kv_error *err)
{
    size_t first = 0, end = 0;
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    enum kv_status status = kv_buffer_format(ret, "\n");
    for (size_t i = first; i < end && status == KV_OK; i++)
        status = kv_buffer_format(ret, "%s\n", kv_core_config(tool->core)->vaults[i].name);
    return status == KV_OK ? KV_OK : kv_fail(err, status, "out of memory");
}

static enum kv_status tell(struct coverage *coverage, struct kv_error *err)
{
    const struct kv_map_survey *survey = &coverage->survey;
    tell_sums(coverage);
    for (size_t i = 0; i < survey->lost_count; i++)
        KV_TRY(name_lost(coverage, survey->lost[i], err));
    for (size_t i = 0; i < survey->key_count; i++)
        KV_TRY(tell_key(coverage, &survey->keys[i], err));
    tell_costs(coverage);
    return kv_findings_end(coverage->tool, &coverage->findings, err);
}

enum kv_status kv_cmd_coverage(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    KV_AUTO_BUFFER struct kv_buffer vaults = { 0 };
    struct coverage coverage = { .tool = tool, .findings = { .table = table } };
    const char *text = kv_common_option(tool, "--limit");
    int limit = 20;
    if (text)
        KV_TRY(kv_common_number("--limit", text, &limit, err));
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(name_vaults(tool, &vaults, err));
    const struct kv_map_choice choice = { kv_common_option(tool, "--store"), (char *)vaults.bytes.data };
    KV_TRY(kv_map_survey(kv_core_map(tool->core), &choice, (size_t)limit, &coverage.survey, err));
    enum kv_status status = tell(&coverage, err);
    kv_map_survey_free(&coverage.survey);
    return status;
}
