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
    struct kv_map_choice choice;
    int limit;
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

static enum kv_status tell_sums(struct coverage *coverage, int64_t *ret_nobody, struct kv_error *err)
{
    struct kv_map_coverage sums;
    KV_TRY(kv_map_coverage(kv_core_map(coverage->tool->core), &coverage->choice, &sums, err));
    add_sum(coverage, KV_LEVEL_OK, "all", sums.backups, sums.bytes);
    add_sum(coverage, KV_LEVEL_OK, "by vault", sums.by_vault, -1);
    add_sum(coverage, KV_LEVEL_OK, "by break-glass", sums.by_break_glass, -1);
    add_sum(coverage, sums.by_nobody ? KV_LEVEL_CRITICAL : KV_LEVEL_OK, "by nobody", sums.by_nobody,
            sums.by_nobody_bytes);
    add_sum(coverage, sums.without_break_glass ? KV_LEVEL_WARNING : KV_LEVEL_OK, "without break-glass",
            sums.without_break_glass, sums.without_break_glass_bytes);
    add_sum(coverage, sums.unmapped ? KV_LEVEL_WARNING : KV_LEVEL_OK, "of unknown versions", sums.unmapped,
            -1);
    *ret_nobody = sums.by_nobody;
    return KV_OK;
}

static enum kv_status name_some(struct coverage *coverage, struct kv_error *err)
{
    int64_t after = 0;
    for (int left = coverage->limit; left > 0;) {
        KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
        KV_TRY(
            kv_map_uncovered(kv_core_map(coverage->tool->core), &coverage->choice, false, after, &list, err));
        if (!list.count)
            return KV_OK;
        for (size_t i = 0; i < list.count && left > 0; i++, left--) {
            const struct kv_map_backup *backup = &list.items[i];
            add_row(coverage,
                    (struct row){ .level = KV_LEVEL_CRITICAL,
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
        }
        after = list.items[list.count - 1].row;
    }
    return KV_OK;
}

/* --- by key --- */

/* Of several places of one key, the one that is best off. */
static const struct kv_version *best(const struct kv_version_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->state == KV_STATE_ENABLED)
            return list->items[i];
    return list->count ? list->items[0] : NULL;
}

static char *key_text(const struct kv_map_covered *covered, const struct kv_version *version)
{
    char hex[2 * sizeof(covered->key) + 1];
    if (version)
        return kv_text_format("%s/%s@%s", version->vault, version->name, version->version);
    kv_encode_hex((struct kv_view){ covered->key, covered->key_len }, hex);
    return kv_text_format("%s", *covered->text ? covered->text : hex);
}

static enum kv_status tell_key(struct coverage *coverage, const struct kv_map_covered *covered,
                               struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_view key = { covered->key, covered->key_len };
    struct kv_map_query query = { 0 };
    if (!covered->backups)
        return KV_OK;
    if (key.len == KV_ID_SIZE)
        query.id = key;
    else
        query.spki_sha256 = key;
    KV_TRY(kv_map_find(kv_core_map(coverage->tool->core), &query, &list, err));
    const struct kv_version *version = best(&list);
    add_row(coverage, (struct row){ .level = KV_LEVEL_OK,
                                    .what = "version",
                                    .subject = key_text(covered, version),
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

static enum kv_status tell_keys(struct coverage *coverage, struct kv_error *err)
{
    unsigned char last[32];
    struct kv_view after = { last, 0 };
    for (;;) {
        KV_AUTO_FREE struct kv_map_covered *page = NULL;
        size_t count = 0;
        KV_TRY(kv_map_covered_page(kv_core_map(coverage->tool->core), &coverage->choice, after, &page, &count,
                                   err));
        if (!count)
            return KV_OK;
        for (size_t i = 0; i < count; i++)
            KV_TRY(tell_key(coverage, &page[i], err));
        after.len = page[count - 1].key_len;
        memcpy(last, page[count - 1].key, after.len);
    }
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

static enum kv_status tell_costs(struct coverage *coverage, struct kv_error *err)
{
    const struct kv_config *config = kv_core_config(coverage->tool->core);
    KV_AUTO_FREE struct kv_map_cost *costs = NULL;
    size_t count = 0;
    KV_TRY(kv_map_restore_cost(kv_core_map(coverage->tool->core), &coverage->choice, &costs, &count, err));
    for (size_t vault = 0; vault < config->vault_count; vault++) {
        struct restore restore = { 0 };
        for (size_t i = 0; i < count; i++) {
            if (strcmp(costs[i].vault, config->vaults[vault].name) != 0)
                continue;
            restore.calls += costs[i].calls;
            restore.bytes += costs[i].bytes;
            restore.weight += costs[i].calls * kv_vault_weight(costs[i].kind, costs[i].bits, costs[i].hsm);
        }
        tell_restore(coverage, &config->vaults[vault], &restore);
    }
    return KV_OK;
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

enum kv_status kv_cmd_coverage(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    KV_AUTO_BUFFER struct kv_buffer vaults = { 0 };
    struct coverage coverage = { .tool = tool, .findings = { .table = table }, .limit = 20 };
    const char *limit = kv_common_option(tool, "--limit");
    int64_t nobody = 0;
    if (limit)
        KV_TRY(kv_common_number("--limit", limit, &coverage.limit, err));
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(name_vaults(tool, &vaults, err));
    coverage.choice = (struct kv_map_choice){ kv_common_option(tool, "--store"), (char *)vaults.bytes.data };
    KV_TRY(tell_sums(&coverage, &nobody, err));
    if (nobody)
        KV_TRY(name_some(&coverage, err));
    KV_TRY(tell_keys(&coverage, err));
    KV_TRY(tell_costs(&coverage, err));
    return kv_findings_end(tool, &coverage.findings, err);
}
