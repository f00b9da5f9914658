/* A program whose output is the input of a command: run without a shell, its exit status looked at. It has the caller's standard input and standard error. One thread. */
#ifndef KV_TOOLS_PROCESS_PRODUCER_H
#define KV_TOOLS_PROCESS_PRODUCER_H

#include <sys/types.h>
#include "base/status.h"

struct kv_producer {
    const char *name; /* borrowed */
    pid_t pid;        /* 0: not running */
    int out;          /* what it writes, to read; closed by kv_producer_stop */
};

/* KV_INPUT: it cannot be started. */
KV_MUST_USE enum kv_status kv_producer_start(char *const *argv, struct kv_producer *ret,
                                             struct kv_error *err);
/* Waits for its end. KV_INPUT: it failed, so what it wrote is not whole. */
KV_MUST_USE enum kv_status kv_producer_wait(struct kv_producer *producer, struct kv_error *err);
/* When nobody wants to read on: closes what it writes to, and tells it. One that has ended is left alone. */
void kv_producer_stop(struct kv_producer *producer);
#define KV_AUTO_PRODUCER KV_CLEANUP(kv_producer_stop)

#endif
