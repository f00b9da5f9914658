/* One backup, opened as a restore would open it, with what comes out thrown away. One thread. */
#ifndef KV_TOOLS_DRILL_H
#define KV_TOOLS_DRILL_H

#include "keys/backup_map.h"
#include "parties.h"
#include "progress.h"

struct kv_drill {
    struct kv_tool *tool;
    struct kv_parties *parties; /* with the identities to try */
    bool quick;                 /* the first chunk is enough */
    bool break_glass;           /* without any vault */
    struct kv_progress progress;
};

/* `path`: where the file is; `key`: of the version to open it with (kv_map_key_of), empty: any. *ret_how says what was proved: "whole", "first chunk", "key only".
 * The error says why it does not open; KV_INPUT: the file is not to be had. */
KV_MUST_USE enum kv_status kv_drill_open(struct kv_drill *drill, const char *path, struct kv_view key,
                                         const char **ret_how, struct kv_error *err);

#endif
