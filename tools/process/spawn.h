/* Starting a program without a shell, and waiting for it. One thread. */
#ifndef KV_TOOLS_PROCESS_SPAWN_H
#define KV_TOOLS_PROCESS_SPAWN_H

#include <signal.h>
#include <stdbool.h>

struct kv_spawn {
    char *const *argv;
    int in, out;          /* of it; -1: those of the caller */
    const sigset_t *mask; /* NULL: the caller's */
    bool sigpipe;         /* SIGPIPE ends it, whatever the caller does with that */
};
/* 0, or an errno. */
int kv_spawn(const struct kv_spawn *spawn, pid_t *ret);
/* As waitpid tells it; -1 and errno: not known. */
int kv_spawn_wait(pid_t pid);

#endif
