#include "spawn.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int set_signals(const struct kv_spawn *spawn, posix_spawnattr_t *attributes)
{
    sigset_t defaults;
    short flags =
        (short)((spawn->sigpipe ? POSIX_SPAWN_SETSIGDEF : 0) | (spawn->mask ? POSIX_SPAWN_SETSIGMASK : 0));
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int failed = posix_spawnattr_setflags(attributes, flags);
    if (!failed && spawn->sigpipe)
        failed = posix_spawnattr_setsigdefault(attributes, &defaults);
    if (!failed && spawn->mask)
        failed = posix_spawnattr_setsigmask(attributes, spawn->mask);
    return failed;
}

static int set_streams(const struct kv_spawn *spawn, posix_spawn_file_actions_t *actions)
{
    int failed = 0;
    if (spawn->in >= 0)
        failed = posix_spawn_file_actions_adddup2(actions, spawn->in, STDIN_FILENO);
    if (!failed && spawn->out >= 0)
        failed = posix_spawn_file_actions_adddup2(actions, spawn->out, STDOUT_FILENO);
    return failed;
}

int kv_spawn(const struct kv_spawn *spawn, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = set_signals(spawn, &attributes);
        failed = failed ? failed : set_streams(spawn, &actions);
        failed =
            failed ? failed : posix_spawnp(ret, spawn->argv[0], &actions, &attributes, spawn->argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

int kv_spawn_wait(pid_t pid)
{
    int how = 0;
    while (waitpid(pid, &how, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return how;
}
