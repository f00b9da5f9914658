#include "producer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "leave.h"
#include "spawn.h"

enum kv_status kv_producer_start(char *const *argv, struct kv_producer *ret, struct kv_error *err)
{
    int ends[2];
    pid_t pid = 0;
    if (pipe2(ends, O_CLOEXEC))
        return kv_fail(err, KV_INPUT, "the producer '%s' cannot be started: %m", argv[0]);
    /* SIGPIPE is ours to ignore, not the producer's: it shall end when nobody reads. */
    int failed =
        kv_spawn(&(struct kv_spawn){ .argv = argv, .in = -1, .out = ends[1], .sigpipe = true }, &pid);
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
    int how = kv_spawn_wait(producer->pid), why = errno;
    kv_leave_child(0);
    producer->pid = 0;
    if (how == -1)
        return kv_fail(err, KV_INPUT, "how the producer '%s' ended is not known: %s", producer->name,
                       strerror(why));
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
