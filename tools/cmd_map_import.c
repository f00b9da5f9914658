/* kvp11 map import: what exported maps know and this one does not. */
#include "common.h"

#include "kvmap/kvmap.h"
#include "mend.h"

static const struct kv_column columns[] = {
    { "COPY", "copy" },       { "VERSIONS", "versions" },         { "PLACES", "locations" },
    { "BACKUPS", "backups" }, { "CERTIFICATES", "certificates" },
};

static enum kv_status take_in(struct kv_tool *tool, const char *path, struct kv_table *table,
                              struct kv_error *err)
{
    const struct kv_clock *clock = kv_core_clock(tool->core);
    struct kv_kvmap_header header;
    struct kv_map_imported came;
    struct kv_map *copy = NULL;
    KV_TRY(kv_mend_file(kv_kvmap_load(path, kv_core_config(tool->core), &copy, &header, err), path, err));
    enum kv_status status =
        kv_map_merge(kv_core_map(tool->core), copy, clock->unix_seconds(clock), &came, err);
    kv_map_free(copy);
    if (status)
        return kv_fail_in(err, status, "'%s'", path);
    kv_table_text(table, path);
    kv_table_int(table, came.versions);
    kv_table_int(table, came.locations);
    kv_table_int(table, came.backups);
    kv_table_int(table, came.certificates);
    return KV_OK;
}

enum kv_status kv_cmd_map_import(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    KV_TRY(kv_common_open_map(tool, err));
    for (size_t i = 0; i < tool->word_count; i++)
        KV_TRY(take_in(tool, tool->words[i], table, err));
    return kv_common_print(tool, table, err);
}
