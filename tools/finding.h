/* What a check found, as sync, scan, coverage and drill print it: rows of a level, whose worst is the exit status: 0 ok, 1 warning, 2 critical, 3 unknown. One thread. */
#ifndef KV_TOOLS_FINDING_H
#define KV_TOOLS_FINDING_H

#include "common.h"

/* In the order of their weight: what is about to be lost counts more than what nobody could tell. */
enum kv_level { KV_LEVEL_OK, KV_LEVEL_WARNING, KV_LEVEL_UNKNOWN, KV_LEVEL_CRITICAL };

struct kv_findings {
    struct kv_table *table; /* its first column is the level */
    enum kv_level worst;
    size_t found[KV_LEVEL_CRITICAL + 1];
};

/* The first cell of a row. */
void kv_finding_level(struct kv_findings *findings, enum kv_level level);
/* Prints, and gives the status. */
KV_MUST_USE enum kv_status kv_findings_end(struct kv_tool *tool, struct kv_findings *findings,
                                           struct kv_error *err);

#endif
