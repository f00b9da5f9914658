/* What --json tells of a command whose result is data, or a program that runs: where it came from and where it went to, never what it is. On the standard
 * output when a file has the data, else on the standard error, behind everything else. One thread. */
#ifndef KV_TOOLS_REPORT_H
#define KV_TOOLS_REPORT_H

#include "keys/backup_map.h"
#include "output.h"
#include "common.h"

/* How much of a row is told: its length says something of a secret. */
enum kv_report_width { KV_REPORT_PLACES, KV_REPORT_BYTES, KV_REPORT_SEALED };
struct kv_report_row {
    const char *from; /* NULL: the standard input */
    const char *to;   /* NULL: the standard output */
    uint64_t bytes;   /* of what was written */
    const struct kv_map_backup *sealed;
};
struct kv_report {
    enum kv_report_width width;
    const struct kv_report_row *rows;
    size_t count;
    const struct kv_output *output; /* has the data; NULL: the standard output has */
};
/* Nothing without --json. */
KV_MUST_USE enum kv_status kv_report(struct kv_tool *tool, const struct kv_report *report,
                                     struct kv_error *err);
/* One row. */
KV_MUST_USE enum kv_status kv_report_one(struct kv_tool *tool, enum kv_report_width width,
                                         const struct kv_report_row *row, const struct kv_output *output,
                                         struct kv_error *err);

#endif
