/* How far something long is, in one line of a terminal that is written over, a few times a second; nothing where the standard error is none. One thread at a time. */
#ifndef KV_TOOLS_PROGRESS_H
#define KV_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"

struct kv_progress {
    bool shown;
    uint64_t total, done; /* bytes; total 0: nobody knows */
    const char *unit;     /* what they are, if not bytes: "files" */
    int64_t began, told;  /* ms of the monotonic clock */
};

/* `total` 0: not known. */
void kv_progress_begin(struct kv_progress *progress, uint64_t total);
void kv_progress_begin_count(struct kv_progress *progress, uint64_t total, const char *unit);
/* Counts the requests of a task. */
void kv_progress_watch(struct kv_progress *progress, struct kv_task *task);
void kv_progress_add(struct kv_progress *progress, uint64_t bytes);
void kv_progress_hide(struct kv_progress *progress); /* until it is shown again: a line is to be written */
void kv_progress_end(struct kv_progress *progress);  /* takes the line away; fine when there is none */

#endif
