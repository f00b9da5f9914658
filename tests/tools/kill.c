/* Preloaded: kills the process at its n-th call that changes something on a disk (KVP11_KILL_AT, from 1 on), before the call; of a write, half is done. It counts from the first
 * write to a file under KVP11_KILL_UNDER on. With KVP11_KILL_NOT that call fails instead. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int begun;

/* 0: this is not the one. */
static int is_it(void)
{
    static int calls;
    const char *at = getenv("KVP11_KILL_AT");
    return begun && at && ++calls == (int)strtol(at, NULL, 10);
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

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define BEFORE(type, name, parameters, arguments)                                                            \
    __attribute__((visibility("default"))) type name parameters                                              \
    {                                                                                                        \
        if (is_it()) {                                                                                       \
            end();                                                                                           \
            return -1;                                                                                       \
        }                                                                                                    \
        return REAL(name) arguments;                                                                         \
    }

/* clang-format off */
BEFORE(int, fsync, (int fd), (fd))
BEFORE(int, fdatasync, (int fd), (fd))
BEFORE(int, futimens, (int fd, const struct timespec times[2]), (fd, times))
BEFORE(int, unlink, (const char *path), (path))
BEFORE(int, unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
BEFORE(int, renameat, (int from, const char *old, int to, const char *new), (from, old, to, new))
BEFORE(int, linkat, (int from, const char *old, int to, const char *new, int flags), (from, old, to, new, flags))
/* clang-format on */

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
