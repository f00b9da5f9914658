/* The file in its folder, before SQLite sees it: made when it is missing, refused when others could have written it. Nothing is ever opened
 * for reading or writing here that SQLite may have open too: closing such a descriptor would drop SQLite's locks (POSIX fcntl locks). */
#include "version_map_private.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static enum kv_status make_folders(const char *path, struct kv_error *err)
{
    KV_AUTO_FREE char *folder = kv_text_copy(path);

    if (!folder)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (char *slash = folder; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        if (mkdir(folder, 0700) && errno != EEXIST)
            return kv_fail(
                err, KV_IO,
                "cannot make folder '%s' for the version map: %s: make it, or set `map` to another path",
                folder, strerror(errno));
        *slash = '/';
    }
    return KV_OK;
}

static enum kv_status make_file(const char *path, struct kv_error *err)
{
    KV_TRY(make_folders(path, err));
    KV_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 && errno != EEXIST)
        return kv_fail(err, KV_IO,
                       "cannot make version map '%s': %s: set `map` to a path that this user can write", path,
                       strerror(errno));
    return KV_OK;
}

static enum kv_status check_file(const char *path, struct kv_error *err)
{
    KV_AUTO_FD int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC); /* takes and drops no locks */
    struct stat info;

    if (fd < 0 || fstat(fd, &info))
        return kv_fail(err, errno == ENOENT ? KV_NOT_FOUND : KV_IO,
                       "cannot look at version map '%s': %s: set `map` to another path", path,
                       strerror(errno));
    if (!S_ISREG(info.st_mode))
        return kv_fail(err, KV_CONFIG, "version map '%s' is not a regular file: set `map` to another path",
                       path);
    if (info.st_uid != 0 && info.st_uid != geteuid())
        return kv_fail(
            err, KV_CONFIG,
            "version map '%s' belongs to user %u, neither root nor this one: run `chown` on it, or set "
            "`map` to another path",
            path, (unsigned)info.st_uid);
    if (info.st_mode & (S_IWGRP | S_IWOTH))
        return kv_fail(err, KV_CONFIG, "version map '%s' can be written by others: run `chmod go-w '%s'`",
                       path, path);
    return KV_OK;
}

/* The folder's true path and the file's own name: SQLite is told to follow no link at all, and a folder may well be reached by one. */
static enum kv_status resolve(const char *path, char **ret_folder, char **ret_file, struct kv_error *err)
{
    const char *slash = strrchr(path, '/');
    KV_AUTO_FREE char *given = slash ? kv_text_copy_n(path, (size_t)(slash - path) + 1) : kv_text_copy(".");
    KV_AUTO_FREE char *folder = given ? realpath(given, NULL) : NULL;

    if (!folder)
        return kv_fail(err, KV_IO, "cannot find the folder of version map '%s': %s", path, strerror(errno));
    KV_AUTO_FREE char *file =
        kv_text_format("%s/%s", strcmp(folder, "/") ? folder : "", slash ? slash + 1 : path);
    if (!file)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    *ret_folder = kv_take(folder);
    *ret_file = kv_take(file);
    return KV_OK;
}

/* Who can write a folder on the way can put another file in this one's place, at any time. */
static const struct kv_file_rule folder_rule = { .status = KV_CONFIG };

/* In the file's own folder a sticky bit is not enough: it protects the file, but whoever may make a new one could plant a journal, which SQLite
 * would play back. So nobody else may write there, and between this look and SQLite's own by the path nobody else can have come. */
static enum kv_status check_beside(const char *file, const char *folder, struct kv_error *err)
{
    static const char *const suffixes[] = { "-journal", "-wal", "-shm" };
    struct stat info;

    if (stat(folder, &info))
        return kv_fail(err, KV_IO, "cannot look at folder '%s' of the version map: %s", folder,
                       strerror(errno));
    if (info.st_mode & (S_IWGRP | S_IWOTH))
        return kv_fail(
            err, KV_CONFIG,
            "version map '%s': its folder '%s' can be written by others than its owner (mode %03o): "
            "chmod go-w that folder, or set `map` to a path in another",
            file, folder, (unsigned)info.st_mode & 07777);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        KV_AUTO_FREE char *beside = kv_text_format("%s%s", file, suffixes[i]);
        enum kv_status status = beside ? check_file(beside, err) : KV_NO_MEMORY;
        if (status != KV_NOT_FOUND)
            KV_TRY(status);
    }
    return KV_OK;
}

enum kv_status kv_map_file_ready(const char *path, char **ret_file, bool *ret_writable, struct kv_error *err)
{
    KV_AUTO_FREE char *folder = NULL;
    KV_AUTO_FREE char *file = NULL;
    enum kv_status status = check_file(path, err);

    if (status == KV_NOT_FOUND) {
        KV_TRY(make_file(path, err));
        status = check_file(path, err);
    }
    KV_TRY(status);
    if (kv_file_folder(path, &folder_rule, err) != KV_OK)
        return kv_fail_in(err, KV_CONFIG, "version map");
    KV_TRY(resolve(path, &folder, &file, err));
    KV_TRY(check_beside(file, folder, err));
    /* A journal is written beside the file, so its folder counts too. */
    *ret_writable = faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) == 0 &&
                    faccessat(AT_FDCWD, folder, W_OK, AT_EACCESS) == 0;
    *ret_file = kv_take(file);
    return KV_OK;
}

enum kv_status kv_map_file_fresh(const char *file, struct kv_error *err)
{
    (void)unlink(file); /* what a crash left behind */
    KV_AUTO_FD int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    return fd >= 0 ? KV_OK
                   : kv_fail(err, KV_IO,
                             "cannot make '%s', the copy of the version map before it is brought up to date: "
                             "%s: free "
                             "some space, or give this user write permission on the folder",
                             file, strerror(errno));
}
