/* kvp11 map rebuild: every version that the vaults still have, into the map. */
#include "common.h"

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
                              struct kv_error *err)
{
    const char *name = kv_core_config(tool->core)->vaults[vault].name;
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_task task = kv_common_long_task(tool, vault);
    int64_t before = 0, after = 0;
    size_t left_out = 0;
    KV_TRY(count_known(tool, name, &before, err));
    KV_TRY(kv_keyring_find(kv_core_keyring(tool->core, vault), &(struct kv_keyring_query){ .force = true },
                           &task, &list, &left_out, err));
    KV_TRY(count_known(tool, name, &after, err));
    kv_table_text(table, name);
    kv_table_int(table, (int64_t)list.count);
    kv_table_int(table, after - before);
    kv_table_int(table, (int64_t)left_out);
    return KV_OK;
}

enum kv_status kv_cmd_map_rebuild(struct kv_tool *tool, struct kv_error *err)
{
    size_t first = 0, end = 0;
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    for (size_t i = first; i < end; i++)
        KV_TRY(rebuild(tool, i, table, err));
    return kv_common_print(tool, table, err);
}
