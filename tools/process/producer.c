#include "producer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "leave.h"

extern char **environ;

/* SIGPIPE is ours to ignore, not the producer's: it shall end when nobody reads. */
static int set_signals(posix_spawnattr_t *attributes)
{
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int failed = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF);
    return failed ? failed : posix_spawnattr_setsigdefault(attributes, &defaults);
}

static int spawn(char *const *argv, int out, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = set_signals(&attributes);
        failed = failed ? failed : posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        failed = failed ? failed : posix_spawnp(ret, argv[0], &actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

enum kv_status kv_producer_start(char *const *argv, struct kv_producer *ret, struct kv_error *err)
{
    int ends[2];
    pid_t pid = 0;
    if (pipe2(ends, O_CLOEXEC))
        return kv_fail(err, KV_INPUT, "the producer '%s' cannot be started: %m", argv[0]);
    int failed = spawn(argv, ends[1], &pid);
    close(ends[1]);
    if (failed) {
        close(ends[0]);
        return kv_fail(err, KV_INPUT, "the producer '%s' cannot be started: %s", argv[0], strerror(failed));
    }
    *ret = (struct kv_producer){ argv[0], pid, ends[0] };
    kv_leave_child(pid);
    return KV_OK;
}

enum kv_status kv_producer_wait(struct kv_producer *producer, struct kv_error *err)
{
    int how = 0;
    pid_t ended;
    do
        ended = waitpid(producer->pid, &how, 0);
    while (ended < 0 && errno == EINTR);
    kv_leave_child(0);
    producer->pid = 0;
    if (ended < 0)
        return kv_fail(err, KV_INPUT, "how the producer '%s' ended is not known: %m", producer->name);
    if (WIFSIGNALED(how))
        return kv_fail(err, KV_INPUT, "the producer '%s' was killed by signal %d: what it wrote is not whole",
                       producer->name, WTERMSIG(how));
    if (WEXITSTATUS(how))
        return kv_fail(err, KV_INPUT, "the producer '%s' ended with exit %d: what it wrote is not whole",
                       producer->name, WEXITSTATUS(how));
    return KV_OK;
}

void kv_producer_stop(struct kv_producer *producer)
{
    if (!producer->name)
        return;
    close(producer->out);
    if (producer->pid > 0)
        kill(producer->pid, SIGTERM);
    kv_leave_child(0);
    *producer = (struct kv_producer){ 0 };
}
