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

/* Of several copies one that is refused keeps none of the others out; all are told, and which were taken in is listed. */
static enum kv_status tell(struct kv_tool *tool, size_t refused, enum kv_status first, struct kv_error *err)
{
    tool->findings = true;
    return kv_fail(err, first, "%zu of %zu copies %s not taken in, and nothing of %s; the others are listed",
                   refused, tool->word_count, refused == 1 ? "was" : "were", refused == 1 ? "it" : "them");
}

enum kv_status kv_cmd_map_import(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    enum kv_status first = KV_OK;
    size_t refused = 0;
    KV_TRY(kv_common_open_map(tool, err));
    for (size_t i = 0; i < tool->word_count; i++) {
        struct kv_error why = { 0 };
        enum kv_status status = take_in(tool, tool->words[i], table, &why);
        if (status == KV_OK)
            continue;
        if (tool->word_count == 1) {
            *err = why;
            return status;
        }
        kv_common_note("%s", *why.text ? why.text : kv_status_text(status));
        first = refused++ ? first : status;
    }
    if (refused == tool->word_count)
        return kv_fail(err, first, "none of %zu copies was taken in", refused);
    KV_TRY(kv_common_print(tool, table, err));
    return refused ? tell(tool, refused, first, err) : KV_OK;
}
