#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <linux/magic.h>
#include "base/locked.h"
#include "spawn.h"

static bool write_all(int fd, struct kv_view bytes)
{
    while (bytes.len) {
        ssize_t put = write(fd, bytes.data, bytes.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        bytes.data += put;
        bytes.len -= (size_t)put;
    }
    return true;
}

/* --- files --- */
/* Not closed on exec: it is for the tool. */
static int memory_file(struct kv_view secret, struct kv_error *err)
{
    int fd = memfd_create("kvp11-secret", MFD_ALLOW_SEALING);
    if (fd >= 0 && !fchmod(fd, 0400) && write_all(fd, secret) && lseek(fd, 0, SEEK_SET) == 0 &&
        !fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        return fd;
    (void)!kv_fail(err, KV_IO, "no file in memory can be made: %m");
    if (fd >= 0)
        close(fd);
    return -1;
}

enum kv_status kv_run_memory(struct kv_view secret, char **ret_path, struct kv_error *err)
{
    int fd = memory_file(secret, err);
    if (fd < 0)
        return KV_IO;
    char *path = kv_text_format("/proc/self/fd/%d", fd);
    if (!path) {
        close(fd);
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    *ret_path = path;
    return KV_OK;
}

/* A secret that was written to a disk is there for good, whatever is done to its name. */
static enum kv_status open_in_memory(const char *path, int *ret, struct kv_error *err)
{
    const char *slash = strrchr(path, '/');
    KV_AUTO_TEXT char *folder = kv_text_copy_n(path, slash == path ? 1 : (size_t)(slash - path));
    struct statfs system;
    KV_AUTO_FD int at = folder ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (at < 0)
        return kv_fail(err, KV_IO, "--file '%s': its folder cannot be opened: %m", path);
    if (fstatfs(at, &system) ||
        ((unsigned)system.f_type != TMPFS_MAGIC && (unsigned)system.f_type != RAMFS_MAGIC))
        return kv_fail(
            err, KV_IO,
            "--file '%s': its folder is not in memory (tmpfs): choose one below /run or /dev/shm, or give "
            "the name of a variable instead of a path",
            path);
    int fd = openat(at, slash + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return kv_fail(err, KV_IO, "--file '%s' cannot be made: %m%s", path,
                       errno == EEXIST ? ": another 'kvp11 run' has it, or one was killed: then remove it"
                                       : "");
    *ret = fd;
    return KV_OK;
}

enum kv_status kv_run_file(const char *path, struct kv_view secret, struct kv_error *err)
{
    KV_AUTO_FD int fd = -1;
    KV_TRY(open_in_memory(path, &fd, err));
    if (!fchmod(fd, 0600) && write_all(fd, secret))
        return KV_OK;
    enum kv_status status = kv_fail(err, KV_IO, "--file '%s' cannot be written: %m", path);
    unlink(path);
    return status;
}

void kv_run_remove(const struct kv_run_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        unlink(files->paths[i]);
}

/* --- the filter --- */
enum { WORDS = 32, FILTERED_MAX = 64 * 1024 };

static enum kv_status split(char *text, char *ret[WORDS + 1], struct kv_error *err)
{
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (count == WORDS)
            return kv_fail(err, KV_ARGUMENTS, "--filter has more than %d words", WORDS);
        ret[count++] = word;
    }
    ret[count] = NULL;
    return count ? KV_OK : kv_fail(err, KV_ARGUMENTS, "--filter names no program");
}

/* One byte more than may be shows that it was too much. */
static enum kv_status collect(int fd, struct kv_bytes *into, size_t *ret_len)
{
    *ret_len = 0;
    while (*ret_len < into->len) {
        ssize_t got = read(fd, into->data + *ret_len, into->len - *ret_len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got ? KV_INPUT : KV_OK;
        *ret_len += (size_t)got;
    }
    return KV_DATA_LENGTH;
}

static enum kv_status filter_once(char *const *argv, int in, struct kv_bytes *secret, struct kv_error *err)
{
    int ends[2];
    pid_t pid = 0;
    size_t len = 0;
    KV_AUTO_BYTES struct kv_bytes room = { 0 }, made = { 0 };
    if (kv_bytes_alloc_locked(FILTERED_MAX + 1, &room) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (pipe2(ends, O_CLOEXEC))
        return kv_fail(err, KV_INPUT, "--filter '%s' cannot be started: %m", argv[0]);
    int failed = kv_spawn(&(struct kv_spawn){ .argv = argv, .in = in, .out = ends[1] }, &pid);
    close(ends[1]);
    enum kv_status status = failed ? KV_OK : collect(ends[0], &room, &len);
    close(ends[0]);
    if (failed)
        return kv_fail(err, KV_INPUT, "--filter '%s' cannot be started: %s", argv[0], strerror(failed));
    int how = kv_spawn_wait(pid);
    if (status == KV_DATA_LENGTH) /* which ends it by SIGPIPE */
        return kv_fail(err, KV_INPUT, "--filter '%s' wrote more than a secret of %d bytes", argv[0],
                       FILTERED_MAX);
    if (how == -1 || !WIFEXITED(how) || WEXITSTATUS(how))
        return kv_fail(err, KV_INPUT, "--filter '%s' failed (%s %d)", argv[0],
                       WIFEXITED(how) ? "exit" : "signal", WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how));
    if (status != KV_OK)
        return kv_fail(err, KV_INPUT, "--filter '%s': what it wrote cannot be read", argv[0]);
    if (len && room.data[len - 1] == '\n')
        len--;
    if (!len)
        return kv_fail(err, KV_INPUT, "--filter '%s' wrote nothing", argv[0]);
    KV_TRY(kv_bytes_copy_locked((struct kv_view){ room.data, len }, &made));
    kv_bytes_free(secret);
    *secret = kv_bytes_take(&made);
    return KV_OK;
}

enum kv_status kv_run_filter(const char *command, struct kv_bytes *secret, struct kv_error *err)
{
    char *argv[WORDS + 1];
    KV_AUTO_TEXT char *text = kv_text_copy(command);
    if (!text)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(split(text, argv, err));
    KV_AUTO_FD int in = memory_file(KV_VIEW(*secret), err);
    return in < 0 ? KV_IO : filter_once(argv, in, secret, err);
}

/* --- the tool --- */
/* As shells tell it. */
static int not_started(char *const *argv, int why, struct kv_error *err)
{
    (void)!kv_fail(err, KV_INPUT, "'%s' cannot be started: %s", argv[0], strerror(why));
    return why == ENOENT ? 127 : 126;
}

int kv_run_become(char *const *argv, struct kv_error *err)
{
    execvp(argv[0], argv);
    return not_started(argv, errno, err);
}

/* What a person or a service manager sends. What a terminal sends goes to the tool, too, which is in the same group. */
static const int handed_on[] = { SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
                                 SIGUSR2, SIGCONT, SIGWINCH, SIGALRM };

void kv_run_hold(struct kv_run_signals *ret)
{
    sigemptyset(&ret->watched);
    sigaddset(&ret->watched, SIGCHLD);
    for (size_t i = 0; i < sizeof(handed_on) / sizeof(handed_on[0]); i++)
        sigaddset(&ret->watched, handed_on[i]);
    sigprocmask(SIG_BLOCK, &ret->watched, &ret->before);
}

static int wait_and_hand_on(pid_t pid, const sigset_t *watched)
{
    for (;;) {
        siginfo_t info;
        int how = 0;
        if (sigwaitinfo(watched, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD && info.si_code != SI_KERNEL)
            kill(pid, info.si_signo);
        pid_t ended = waitpid(pid, &how, WNOHANG);
        if (ended == pid || (ended < 0 && errno != EINTR))
            return ended == pid ? how : -1;
    }
}

enum kv_status kv_run_wait(char *const *argv, const struct kv_run_signals *held,
                           const struct kv_run_files *files, int *ret_how, struct kv_error *err)
{
    pid_t pid = 0;
    const struct kv_spawn tool = { .argv = argv, .in = -1, .out = -1, .mask = &held->before };
    int failed = kv_spawn(&tool, &pid), how = 0;
    if (!failed)
        how = wait_and_hand_on(pid, &held->watched);
    kv_run_remove(files);
    sigprocmask(SIG_SETMASK, &held->before, NULL);
    if (failed) {
        *ret_how = W_EXITCODE(not_started(argv, failed, err), 0);
        return KV_INPUT;
    }
    if (how == -1)
        return kv_fail(err, KV_INPUT, "how '%s' ended is not known", argv[0]);
    *ret_how = how;
    return KV_OK;
}
