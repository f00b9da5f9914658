/* kvp11 scan: the backups of a store into the version map, by what stands at the front of each file. */
#include "scan/scan.h"
#include "scan/row.h"

#include <string.h>

const struct kv_option kv_cmd_scan_options[] = {
    { "--name", "STORE", "what the map calls this store; without it, its folder" },
    { "--retain-until", "DATE|AGE",
      "how long they are kept: 2033-11-23, or 30d, 12w, 7y after each was written" },
    { "--prune-gone", NULL,
      "mark backups whose files are gone: nothing depends on a version for them any more" },
    { "--dry-run", NULL, "write nothing" },
    { NULL, NULL, NULL },
};

static enum kv_status check(const struct kv_tool *tool, struct kv_error *err)
{
    if (kv_common_option(tool, "--name") && tool->word_count > 1)
        return kv_fail(err, KV_ARGUMENTS, "--name is the name of one store, and %zu are given",
                       tool->word_count);
    for (size_t i = 0; i < tool->word_count; i++)
        if (kv_common_option(tool, "--prune-gone") && !strcmp(tool->words[i], "-"))
            return kv_fail(err, KV_ARGUMENTS,
                           "--prune-gone needs the folder: what a list does not name need not be gone");
    return KV_OK;
}

enum kv_status kv_cmd_scan(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(kv_scan_columns, KV_SCAN_COLUMNS);
    struct kv_findings findings = { .table = table };
    KV_TRY(check(tool, err));
    KV_TRY(kv_common_open_map(tool, err));
    KV_AUTO_SCAN struct kv_scan *scan = kv_scan_new(tool, &findings);
    if (!scan)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < tool->word_count; i++)
        KV_TRY(kv_scan_store(scan, tool->words[i], err));
    return kv_findings_end(tool, &findings, err);
}
