#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

enum { ERRORS_MAX = 4096, SLICE_MS = 20, FIRST_FD = 3, READS_MOST = 64 };

void kv_program_result_free(struct kv_program_result *result)
{
    if (!result)
        return;
    kv_buffer_free(&result->output);
    kv_buffer_free(&result->errors);
}

/* ---- starting ---- */

struct channel {
    int ours, theirs;
};

static void channel_close(struct channel *channel)
{
    kv_fd_cleanup(&channel->ours);
    kv_fd_cleanup(&channel->theirs);
    *channel = (struct channel){ -1, -1 };
}

/* Above the three that the program gets: in a host that has closed its own they would be in each other's way. */
static bool lift(int *fd)
{
    int lifted = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FD);
    close(*fd);
    *fd = lifted;
    return lifted >= 0;
}

static bool channel_open(struct channel *ret)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    *ret = (struct channel){ ends[0], ends[1] };
    bool ours = lift(&ret->ours), theirs = lift(&ret->theirs);
    return ours && theirs && fcntl(ret->ours, F_SETFL, O_NONBLOCK) == 0;
}

struct start {
    const struct kv_program *program;
    const struct channel *output, *errors;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
};

#ifdef KV_HAVE_CLOSEFROM
static int close_others(posix_spawn_file_actions_t *actions)
{
    return posix_spawn_file_actions_addclosefrom_np(actions, FIRST_FD);
}
#else /* what the host has not marked close-on-exec goes along */
static int close_others(posix_spawn_file_actions_t *actions)
{
    return 0;
}
#endif

static int set_actions(struct start *start)
{
    posix_spawn_file_actions_t *a = &start->actions;
    int failed = posix_spawn_file_actions_addopen(a, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    failed = failed ? failed : posix_spawn_file_actions_adddup2(a, start->output->theirs, STDOUT_FILENO);
    failed = failed ? failed : posix_spawn_file_actions_adddup2(a, start->errors->theirs, STDERR_FILENO);
    /* Not the host's folder, in which somebody may have put a program of the same name. */
    failed = failed ? failed : posix_spawn_file_actions_addchdir_np(a, "/");
    return failed ? failed : close_others(a);
}

/* What the host blocks or ignores is no business of the program. */
static int set_attributes(struct start *start)
{
    posix_spawnattr_t *a = &start->attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failed =
        posix_spawnattr_setflags(a, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    failed = failed ? failed : posix_spawnattr_setpgroup(a, 0);
    failed = failed ? failed : posix_spawnattr_setsigmask(a, &none);
    return failed ? failed : posix_spawnattr_setsigdefault(a, &all);
}

/* 0, or an error number. */
static int spawn(struct start *start, pid_t *ret)
{
    char *const *argv = start->program->argv;
    int failed = posix_spawn_file_actions_init(&start->actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&start->attributes);
    if (!failed) {
        failed = set_actions(start);
        failed = failed ? failed : set_attributes(start);
        if (!failed)
            failed = posix_spawnp(ret, argv[0], &start->actions, &start->attributes, argv,
                                  start->program->environment);
        posix_spawnattr_destroy(&start->attributes);
    }
    posix_spawn_file_actions_destroy(&start->actions);
    return failed;
}

/* ---- listening ---- */

/* What is there now, which is no more than a pipe holds. Past its limit a buffer takes nothing more, but reading goes on, or the
 * program would wait for ever. False when the other end is closed. */
static bool drain(int fd, struct kv_buffer *to)
{
    unsigned char part[4096];
    ssize_t got = -1;
    for (size_t i = 0; i < READS_MOST; i++) {
        got = read(fd, part, sizeof part);
        if (got <= 0)
            break;
        size_t room = to->limit - to->bytes.len, len = (size_t)got;
        if (kv_buffer_add(to, (struct kv_view){ part, len < room ? len : room }) != KV_OK || len > room)
            to->failed = true;
    }
    kv_wipe(part, sizeof part);
    return got != 0;
}

static void take(int *fd, struct kv_buffer *to)
{
    if (*fd < 0 || drain(*fd, to))
        return;
    close(*fd);
    *fd = -1;
}

static bool has_ended(pid_t pid, int *ret_exit)
{
    int status;
    pid_t got = waitpid(pid, &status, WNOHANG);
    if (got == 0)
        return false;
    *ret_exit = -1;
    if (got == pid)
        *ret_exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

/* It is still our child, so its number is still its own; it takes along what it has started. */
static void put_down(pid_t pid)
{
    int status;
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
}

struct run {
    pid_t pid;
    struct channel *output, *errors;
    struct kv_program_result *result;
    struct kv_deadline deadline;
};

/* What the program has started may hold the pipes open for longer than it lives itself, so its end is looked for, too. */
static enum kv_status listen_to(struct run *run)
{
    struct kv_program_result *result = run->result;
    bool ended = false;
    while (!ended) {
        struct pollfd fds[2] = { { run->output->ours, POLLIN, 0 }, { run->errors->ours, POLLIN, 0 } };
        int64_t left = kv_deadline_left(run->deadline);
        poll(fds, 2, (int)(left < SLICE_MS ? left : SLICE_MS));
        ended = has_ended(run->pid, &result->exit);
        take(&run->output->ours, &result->output);
        take(&run->errors->ours, &result->errors);
        bool cancelled = kv_deadline_cancelled(run->deadline);
        if (!ended && (result->output.failed || !left || cancelled)) {
            put_down(run->pid);
            if (cancelled)
                return KV_CANCELLED;
            return result->output.failed ? KV_DATA_LENGTH : KV_TIMED_OUT;
        }
    }
    return result->output.failed ? KV_DATA_LENGTH : KV_OK;
}

enum kv_status kv_program_run(const struct kv_program *program, struct kv_program_result *ret)
{
    KV_CLEANUP(channel_close) struct channel output = { -1, -1 }, errors = { -1, -1 };
    struct start start = { .program = program, .output = &output, .errors = &errors };
    struct run run = { .output = &output, .errors = &errors, .result = ret, .deadline = program->deadline };
    *ret = (struct kv_program_result){ .output.limit = program->output_max,
                                       .errors.limit = ERRORS_MAX,
                                       .exit = -1 };
    if (!channel_open(&output) || !channel_open(&errors))
        return KV_IO;
    int failed = spawn(&start, &run.pid);
    close(output.theirs);
    close(errors.theirs);
    output.theirs = errors.theirs = -1;
    if (failed) {
        errno = failed;
        return failed == ENOENT || failed == ENOTDIR || failed == EACCES ? KV_NOT_FOUND : KV_IO;
    }
    return listen_to(&run);
}
