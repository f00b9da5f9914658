/* What `kvp11 run` does with secrets and with the tool that gets them. One thread. */
#ifndef KV_TOOLS_PROCESS_CHILD_H
#define KV_TOOLS_PROCESS_CHILD_H

#include <signal.h>
#include "base/bytes.h"

/* Everything that the secret goes through before it is handed over: `command` is split at blanks and run without a shell; the secret is its standard input, and what it
 * writes, without a new line at the end, takes the secret's place. KV_INPUT: it cannot be started, failed, or wrote nothing. */
KV_MUST_USE enum kv_status kv_run_filter(const char *command, struct kv_bytes *secret, struct kv_error *err);

/* An anonymous file in memory that can be read and no longer changed; *ret_path is "/proc/self/fd/N", good in the tool and in what it starts. kv_text_free. */
KV_MUST_USE enum kv_status kv_run_memory(struct kv_view secret, char **ret_path, struct kv_error *err);
/* A file of this name, mode 0600, which must be new, and in a folder in memory (tmpfs): KV_IO. */
KV_MUST_USE enum kv_status kv_run_file(const char *path, struct kv_view secret, struct kv_error *err);

/* Becomes the tool; returns only when it cannot be started, 127 (it is not there) or 126. */
int kv_run_become(char *const *argv, struct kv_error *err);

/* Signals that people and service managers send wait from now on, so that none of them ends this process while a secret's file is there. */
struct kv_run_signals {
    sigset_t before, watched;
};
void kv_run_hold(struct kv_run_signals *ret);
struct kv_run_files {
    const char *const *paths;
    size_t count;
};
void kv_run_remove(const struct kv_run_files *files);
/* Runs the tool to its end, handing on the signals that were held and that come, then removes the files. *ret_how is as waitpid tells it. KV_INPUT. */
KV_MUST_USE enum kv_status kv_run_wait(char *const *argv, const struct kv_run_signals *held,
                                       const struct kv_run_files *files, int *ret_how, struct kv_error *err);

#endif
