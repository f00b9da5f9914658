/* kvp11 map rebuild: every version that the vaults still have, and every backup in stores, into the map. */
#include "progress.h"
#include "scan/scan.h"
#include "scan/row.h"

const struct kv_option kv_cmd_map_rebuild_options[] = {
    { "--scan", "STORE", "then register the backups of this store, as `kvp11 scan` does; may repeat",
      .repeats = true },
    { "--name", "NAME", "what the map calls the store" },
    { "--retain-until", "DATE|AGE", "how long its backups are kept" },
    { NULL, NULL, NULL },
};

static const struct kv_column columns[] = {
    { "VAULT", "vault" },
    { "VERSIONS", "versions" },
    { "NEW", "new" },
    { "LEFT OUT", "left_out" },
};

static enum kv_status count_known(struct kv_tool *tool, const char *vault, int64_t *ret, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    KV_TRY(kv_map_find(kv_core_map(tool->core), &(struct kv_map_query){ .vault = vault }, &list, err));
    *ret = (int64_t)list.count;
    return KV_OK;
}

static enum kv_status rebuild(struct kv_tool *tool, size_t vault, struct kv_table *table,
                              size_t *ret_left_out, struct kv_error *err)
{
    const char *name = kv_core_config(tool->core)->vaults[vault].name;
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_task task = kv_common_long_task(tool, vault);
    int64_t before = 0, after = 0;
    size_t left_out = 0;
    struct kv_error why = { 0 };
    struct kv_progress progress;
    KV_TRY(count_known(tool, name, &before, err));
    kv_progress_watch(&progress, &task);
    enum kv_status status =
        kv_keyring_find(kv_core_keyring(tool->core, vault), &(struct kv_keyring_query){ .force = true },
                        &task, &list, &left_out, &why);
    kv_progress_end(&progress);
    /* A vault that does not answer is answered for by the map, of which nothing can be learnt. */
    if (status != KV_OK || why.status != KV_OK) {
        *err = why;
        return status != KV_OK ? status : why.status;
    }
    KV_TRY(count_known(tool, name, &after, err));
    kv_table_text(table, name);
    kv_table_int(table, (int64_t)list.count);
    kv_table_int(table, after - before);
    kv_table_int(table, (int64_t)left_out);
    *ret_left_out += left_out;
    return KV_OK;
}

static enum kv_status check(const struct kv_tool *tool, struct kv_error *err)
{
    bool named = kv_common_option(tool, "--name"),
         of_scan = named || kv_common_option(tool, "--retain-until");
    if (of_scan && !tool->repeated_count)
        return kv_fail(err, KV_ARGUMENTS, "--name and --retain-until are of a store: give it with --scan");
    if (named && tool->repeated_count > 1)
        return kv_fail(err, KV_ARGUMENTS, "--name is the name of one store, and %zu are given",
                       tool->repeated_count);
    return KV_OK;
}

/* One result can be printed: that of the vaults goes to people, the findings to everybody. */
static enum kv_status scan_stores(struct kv_tool *tool, struct kv_table *versions, struct kv_error *err)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(kv_scan_columns, KV_SCAN_COLUMNS);
    struct kv_findings findings = { .table = table };
    KV_AUTO_SCAN struct kv_scan *scan = kv_scan_new(tool, &findings);
    const char *store;
    if (!scan)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (size_t at = 0; (store = kv_common_each(tool, "--scan", &at));)
        KV_TRY(kv_scan_store(scan, store, err));
    if (!tool->json)
        KV_TRY(kv_common_print(tool, versions, err));
    return kv_findings_end(tool, &findings, err);
}

enum kv_status kv_cmd_map_rebuild(struct kv_tool *tool, struct kv_error *err)
{
    size_t first = 0, end = 0, left_out = 0;
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    KV_TRY(check(tool, err));
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    for (size_t i = first; i < end; i++)
        KV_TRY(rebuild(tool, i, table, &left_out, err));
    KV_TRY(tool->repeated_count ? scan_stores(tool, table, err) : kv_common_print(tool, table, err));
    if (!left_out)
        return KV_OK;
    tool->findings = true;
    return kv_fail(err, KV_UNKNOWN, "%zu keys could not be read: see `kvp11 doctor`, then do it again",
                   left_out);
}
