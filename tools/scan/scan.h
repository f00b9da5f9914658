/* Backups in folders, or on a list of names, into the version map. A million files take as much memory as a few: what is known is asked of the map, file by file,
 * what is new goes there in batches, and what has been done once is not done again. One thread. */
#ifndef KV_TOOLS_SCAN_H
#define KV_TOOLS_SCAN_H

#include <sys/stat.h>
#include "finding.h"
#include "head.h"
#include "progress.h"

enum { KV_SCAN_BATCH = 256, KV_SCAN_WRAPS = 2048, KV_SCAN_STRANGERS = 64, KV_SCAN_KNOWN = 256 };

/* A key of a vault that no version of the map has. */
struct kv_scan_stranger {
    struct kv_map_recipient recipient;
    int64_t backups;
    char first[KV_BACKUP_OBJECT_SIZE];
};

struct kv_scan {
    struct kv_tool *tool;
    struct kv_findings *findings;
    const char *name;   /* of the store; NULL: its folder's */
    const char *retain; /* --retain-until */
    bool dry_run, prune;

    const char *folder; /* as the command line names this store */
    char store[KV_BACKUP_STORE_SIZE];
    int64_t now;
    struct kv_head_reader *reader;
    struct kv_progress progress;
    int64_t files, backups, fresh, changed, others, broken, gone, unmapped; /* of this store */
    struct kv_map_backup batch[KV_SCAN_BATCH];
    size_t batched;
    unsigned char wraps[KV_SCAN_WRAPS][32];
    size_t wrap_count;
    struct kv_scan_stranger strangers[KV_SCAN_STRANGERS];
    size_t stranger_count;
    struct {
        struct kv_map_recipient recipient; /* kind and key */
        bool mapped;
    } known[KV_SCAN_KNOWN]; /* answers of the map, by the key's first byte */
};

/* By the options of the command line. NULL: memory is short. */
struct kv_scan *kv_scan_new(struct kv_tool *tool, struct kv_findings *findings);
void kv_scan_free(struct kv_scan *scan);
KV_DEFINE_CLEANUP(struct kv_scan, kv_scan_free)
#define KV_AUTO_SCAN KV_CLEANUP(kv_scan_free_cleanup)

/* A folder, or "-": names on the standard input, a line each. What is wrong with single files is a finding; an error is what stops the scan. */
KV_MUST_USE enum kv_status kv_scan_store(struct kv_scan *scan, const char *path, struct kv_error *err);

/* --- map.c: one file's head against the map --- */
KV_MUST_USE enum kv_status kv_scan_take(struct kv_scan *scan, const struct kv_head *head,
                                        const struct stat *info, const char *object, struct kv_error *err);
/* The file `object` is no backup, or not any more. */
KV_MUST_USE enum kv_status kv_scan_other(struct kv_scan *scan, const char *object, struct kv_error *err);
KV_MUST_USE enum kv_status kv_scan_flush(struct kv_scan *scan, struct kv_error *err);
/* Backups of this store whose files below `folder` are not there any more. */
KV_MUST_USE enum kv_status kv_scan_gone(struct kv_scan *scan, int folder, struct kv_error *err);
/* The line of this store. */
void kv_scan_tell(struct kv_scan *scan);

#endif
