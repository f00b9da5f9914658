/* Runs a program of the host's: no shell, its own process group, nothing open but /dev/null and two pipes, what it writes bounded, killed and
 * reaped at the deadline. How the host handles signals and children is left alone: it may ignore SIGCHLD, or reap what it does not know, and
 * then only the exit status is lost. Any thread. */
#ifndef KV_AUTH_PROGRAM_H
#define KV_AUTH_PROGRAM_H

#include "base/bytes.h"
#include "base/clock.h"

struct kv_program {    /* borrowed */
    char *const *argv; /* argv[0]: its path, or a name to look for on the PATH */
    char *const *environment;
    size_t output_max; /* bytes; one that writes more is killed */
    struct kv_deadline deadline;
};

struct kv_program_result {
    struct kv_buffer output; /* may be secret */
    struct kv_buffer errors; /* the first 4096 bytes */
    int exit;                /* 128 + N: by signal N; -1: the host took it away */
};
void kv_program_result_free(struct kv_program_result *result);

/* KV_OK: it has ended. KV_NOT_FOUND: there is no such program. KV_TIMED_OUT, KV_DATA_LENGTH: killed. KV_IO with errno. *ret holds what was
 * written so far, also after a failure. */
KV_MUST_USE enum kv_status kv_program_run(const struct kv_program *program, struct kv_program_result *ret);

#endif
