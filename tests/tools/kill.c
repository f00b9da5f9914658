/* Preloaded: kills the process at its n-th call that changes something on a disk (KVP11_KILL_AT, from 1 on), before the call; of a write, half is done. It counts from the first
 * write to a file under KVP11_KILL_UNDER on, or from the beginning where that is not set. With KVP11_KILL_NOT that call fails instead. With KVP11_KILL_NET it also counts what
 * happens to others: before something is sent, and when what came back for it has arrived and is not yet handed over. With KVP11_KILL_HURRY nothing waits for the disk: whoever is
 * killed, and not the machine, loses nothing by that. */
#undef _FORTIFY_SOURCE /* its functions are inline, and those here replace them */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int begun;

/* 0: this is not the one. */
static int is_it(void)
{
    static int calls;
    const char *at = getenv("KVP11_KILL_AT");
    return (begun || !getenv("KVP11_KILL_UNDER")) && at && ++calls == (int)strtol(at, NULL, 10);
}

static void begin(int fd)
{
    const char *under = getenv("KVP11_KILL_UNDER");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = begun || !under ? -1 : readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = 0;
    begun = begun || (len > 0 && !strncmp(path, under, strlen(under)));
}

static void end(void)
{
    errno = EIO;
    if (getenv("KVP11_KILL_NOT"))
        return;
    kill(getpid(), SIGKILL);
    pause();
}

static int hurry(int fd)
{
    (void)fd;
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define SYNC(name) (getenv("KVP11_KILL_HURRY") ? hurry : REAL(name))
#define BEFORE(type, name, real, parameters, arguments)                                                      \
    __attribute__((visibility("default"))) type name parameters                                              \
    {                                                                                                        \
        if (is_it()) {                                                                                       \
            end();                                                                                           \
            return -1;                                                                                       \
        }                                                                                                    \
        return real arguments;                                                                               \
    }

/* clang-format off */
BEFORE(int, fsync, SYNC(fsync), (int fd), (fd))
BEFORE(int, fdatasync, SYNC(fdatasync), (int fd), (fd))
BEFORE(int, ftruncate, REAL(ftruncate), (int fd, off_t len), (fd, len))
BEFORE(int, futimens, REAL(futimens), (int fd, const struct timespec times[2]), (fd, times))
BEFORE(int, unlink, REAL(unlink), (const char *path), (path))
BEFORE(int, unlinkat, REAL(unlinkat), (int folder, const char *path, int flags), (folder, path, flags))
BEFORE(int, renameat, REAL(renameat), (int from, const char *old, int to, const char *new), (from, old, to, new))
BEFORE(int, linkat, REAL(linkat), (int from, const char *old, int to, const char *new, int flags), (from, old, to, new, flags))
/* clang-format on */

static int sent;

__attribute__((visibility("default"))) ssize_t send(int fd, const void *data, size_t len, int flags)
{
    if (getenv("KVP11_KILL_NET") && is_it()) {
        end();
        return -1;
    }
    sent = 1;
    return REAL(send)(fd, data, len, flags);
}

__attribute__((visibility("default"))) ssize_t recv(int fd, void *data, size_t len, int flags)
{
    ssize_t got = REAL(recv)(fd, data, len, flags);
    if (got <= 0 || !sent || !getenv("KVP11_KILL_NET"))
        return got;
    sent = 0;
    if (!is_it())
        return got;
    end();
    return -1;
}

/* With its 64-bit offsets this has another name. */
typedef ssize_t pwriter(int, const void *, size_t, off_t);
static pwriter *real_pwrite(void)
{
    void *found = dlsym(RTLD_NEXT, "pwrite64");
    return (pwriter *)(found ? found : dlsym(RTLD_NEXT, "pwrite"));
}

__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    if (is_it()) {
        (void)!real_pwrite()(fd, data, len / 2, at);
        end();
        return -1;
    }
    return real_pwrite()(fd, data, len, at);
}

__attribute__((visibility("default"))) ssize_t write(int fd, const void *data, size_t len)
{
    struct stat info;
    begin(fd);
    if (!fstat(fd, &info) && S_ISREG(info.st_mode) && is_it()) {
        (void)!REAL(write)(fd, data, len / 2);
        end();
        return -1;
    }
    return REAL(write)(fd, data, len);
}
