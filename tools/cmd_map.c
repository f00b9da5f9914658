/* kvp11 map: what this host will not forget. */
#include "common.h"
#include "keys/backup_map.h"

#include <string.h>

static const struct kv_column columns[] = {
    { "VAULT", "vault" },       { "KEYS", "keys" },   { "VERSIONS", "versions" }, { "ENABLED", "enabled" },
    { "NOT USABLE", "closed" }, { "WRAPS", "wraps" }, { "BACKUPS", "backups" },   { "LAST SEEN", "seen" },
};

struct summary {
    int64_t keys, versions, enabled, wraps, seen;
    const char *key;
};

static void count(struct summary *summary, const struct kv_version *version)
{
    summary->keys += !summary->key || strcmp(summary->key, version->name) != 0; /* rows come by name */
    summary->key = version->name;
    summary->versions++;
    summary->enabled += version->state == KV_STATE_ENABLED;
    summary->wraps += version->wraps;
    if (version->seen > summary->seen)
        summary->seen = version->seen;
}

static enum kv_status add_vault(struct kv_tool *tool, struct kv_table *table, const char *vault,
                                struct kv_error *err)
{
    struct kv_map *map = kv_core_map(tool->core);
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    int64_t backups = 0;
    const struct kv_map_query query = { .vault = vault };
    KV_TRY(kv_map_find(map, &query, &list, err));
    KV_TRY(kv_map_backup_count(map, vault, &backups, err));
    struct summary summary = { 0 };
    for (size_t i = 0; i < list.count; i++)
        count(&summary, list.items[i]);
    kv_table_text(table, vault);
    kv_table_int(table, summary.keys);
    kv_table_int(table, summary.versions);
    kv_table_int(table, summary.enabled);
    kv_table_int(table, summary.versions - summary.enabled);
    kv_table_int(table, summary.wraps);
    kv_table_int(table, backups);
    kv_table_time(table, summary.seen);
    return KV_OK;
}

enum kv_status kv_cmd_map_show(struct kv_tool *tool, struct kv_error *err)
{
    size_t first = 0, end = 0;
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    const struct kv_config *config = kv_core_config(tool->core);
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = first; i < end; i++)
        KV_TRY(add_vault(tool, table, config->vaults[i].name, err));
    kv_common_note("version map: %s%s", config->map,
                   kv_map_writable(kv_core_map(tool->core)) ? "" : " (read-only)");
    return kv_common_print(tool, table, err);
}

static const struct kv_column verify_columns[] = {
    { "MAP", "map" },         { "VERSIONS", "versions" }, { "BACKUPS", "backups" },
    { "JOURNAL", "entries" }, { "RESULT", "result" },
};

enum kv_status kv_cmd_map_verify(struct kv_tool *tool, struct kv_error *err)
{
    struct kv_map_found found = { 0 };
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_map_verify(kv_core_map(tool->core), &found, err));
    KV_AUTO_TABLE struct kv_table *table =
        kv_table_open(verify_columns, sizeof(verify_columns) / sizeof(verify_columns[0]));
    kv_table_text(table, kv_core_config(tool->core)->map);
    kv_table_int(table, found.versions);
    kv_table_int(table, found.backups);
    kv_table_int(table, found.entries);
    kv_table_text(table, "ok");
    return kv_common_print(tool, table, err);
}
