#include "rewrap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "output.h"

const struct kv_age_header *kv_rewrap_file_header(const struct kv_rewrap_file *file)
{
    return file->sided ? &file->side.header : &file->own;
}

/* ---- common ---- */

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? kv_text_copy_n(path, slash == path ? 1 : (size_t)(slash - path)) : kv_text_copy(".");
}

static enum kv_status sync_folder(const char *path, struct kv_error *err)
{
    KV_AUTO_TEXT char *folder = folder_of(path);
    KV_AUTO_FD int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL && errno != EROFS))
        return kv_fail(err, KV_IO, "%s: its folder cannot be synced to the disk: %m", path);
    return KV_OK;
}

/* Who may read the file may read this one, and it is as old. Not everybody may give files away, and not every file system has owners. */
static void be_like(int fd, const struct stat *info)
{
    const struct timespec times[2] = { info->st_atim, info->st_mtim };
    if (fchown(fd, info->st_uid, info->st_gid) != 0)
        (void)!fchown(fd, (uid_t)-1, info->st_gid);
    (void)!fchmod(fd, info->st_mode & 0777);
    (void)!futimens(fd, times);
}

static enum kv_status write_whole(const char *path, const struct stat *like, struct kv_view text,
                                  struct kv_error *err)
{
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    KV_TRY(kv_output_open(path, &output, err));
    KV_TRY(kv_output_write(output, text, err));
    be_like(kv_output_fd(output), like);
    return kv_output_commit(output, err);
}

/* ---- in place ---- */

static bool write_at_start(int fd, struct kv_view text)
{
    size_t done = 0;
    while (done < text.len) {
        ssize_t wrote = pwrite(fd, text.data + done, text.len - done, (off_t)done);
        if (wrote < 0 && errno != EINTR)
            return false;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

/* The file that was looked at, and no other that has come to have its name. */
static enum kv_status open_to_write(const struct kv_rewrap_file *file, int *ret, struct kv_error *err)
{
    struct stat now;
    int fd = open(file->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0)
        return kv_fail(
            err, KV_READ_ONLY,
            "it cannot be written (%m): --sidecar writes the new header beside it, --copy DIR a new "
            "file");
    if (fstat(fd, &now) != 0 || now.st_dev != file->info.st_dev || now.st_ino != file->info.st_ino) {
        close(fd);
        return kv_fail(err, KV_IO, "another file has taken its place meanwhile");
    }
    *ret = fd;
    return KV_OK;
}

/* Its size and age stay: backup tools tell by them what has changed. */
static enum kv_status set_header(const struct kv_rewrap_file *file, int fd, const struct stat *like,
                                 struct kv_view header, struct kv_error *err)
{
    const struct timespec times[2] = { like->st_atim, like->st_mtim };
    if (!write_at_start(fd, header) || fsync(fd) != 0)
        return kv_fail(err, KV_IO, "its header cannot be written: %m");
    if (futimens(fd, times) != 0)
        return kv_fail(err, KV_IO, "its times cannot be set: %m");
    return KV_OK;
}

/* As it was, if that can be had; else the sidecar stays and opens it. */
static void put_back(const struct kv_rewrap_file *file, int fd, const char *beside)
{
    if (set_header(file, fd, &file->info, KV_VIEW(file->own.text), NULL) != KV_OK)
        return;
    if (file->sided)
        (void)!write_whole(beside, &file->info, KV_VIEW(file->side.header.text), NULL);
    else
        unlink(beside);
}

enum kv_status kv_rewrap_put_in_place(const struct kv_rewrap_file *file, struct kv_view header,
                                      struct kv_error *err)
{
    KV_AUTO_TEXT char *beside = kv_age_sidecar_path(file->path);
    KV_AUTO_FD int fd = -1;
    if (!beside)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (header.len != file->own.text.len)
        return kv_fail(err, KV_INTERNAL, "the new header has another length than the old one");
    KV_TRY(open_to_write(file, &fd, err));
    KV_TRY(write_whole(beside, &file->info, header, err));
    enum kv_status status = set_header(file, fd, &file->info, header, err);
    if (status != KV_OK)
        put_back(file, fd, beside);
    return status;
}

enum kv_status kv_rewrap_put_done(const struct kv_rewrap_file *file, struct kv_error *err)
{
    KV_AUTO_TEXT char *beside = kv_age_sidecar_path(file->path);
    if (!beside)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (unlink(beside) != 0 && errno != ENOENT)
        return kv_fail(err, KV_IO, "'%s' cannot be removed: %m", beside);
    return sync_folder(file->path, err);
}

/* The sidecar has the times that the file had. */
enum kv_status kv_rewrap_put_again(const struct kv_rewrap_file *file, struct kv_error *err)
{
    KV_AUTO_TEXT char *beside = kv_age_sidecar_path(file->path);
    KV_AUTO_FD int fd = -1;
    struct stat like;
    if (!beside)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (lstat(beside, &like) != 0)
        return kv_fail(err, KV_INPUT, "'%s' is gone: %m", beside);
    KV_TRY(open_to_write(file, &fd, err));
    return set_header(file, fd, &like, KV_VIEW(file->side.header.text), err);
}

/* ---- beside it, and elsewhere ---- */

enum kv_status kv_rewrap_put_sidecar(const struct kv_rewrap_file *file, struct kv_view header,
                                     struct kv_error *err)
{
    KV_AUTO_TEXT char *beside = kv_age_sidecar_path(file->path);
    if (!beside)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return write_whole(beside, &file->info, header, err);
}

/* Where the file system can share the bytes, it does. */
static enum kv_status copy_bytes(int from, off_t at, int to, struct kv_error *err)
{
    enum { PIECE = 1 << 20 };
    KV_AUTO_BYTES struct kv_bytes room = { 0 };
    bool plain = false;
    for (;;) {
        if (kv_rewrap_stopped())
            return kv_fail(err, KV_CANCELLED, "interrupted");
        ssize_t got =
            plain ? pread(from, room.data, PIECE, at) : copy_file_range(from, &at, to, NULL, PIECE * 64, 0);
        if (!got)
            return KV_OK;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && !plain) {
            plain = true;
            if (kv_bytes_alloc(PIECE, &room) != KV_OK)
                return kv_fail(err, KV_NO_MEMORY, "out of memory");
            continue;
        }
        if (got < 0)
            return kv_fail(err, KV_INPUT, "it cannot be read: %m");
        for (ssize_t done = 0; plain && done < got;) {
            ssize_t wrote = write(to, room.data + done, (size_t)(got - done));
            if (wrote < 0 && errno != EINTR)
                return kv_fail(err, KV_IO, "its copy cannot be written: %m");
            done += wrote > 0 ? wrote : 0;
        }
        at += plain ? got : 0;
    }
}

static enum kv_status make_folders(const char *path, struct kv_error *err)
{
    KV_AUTO_TEXT char *folder = folder_of(path);
    for (char *slash = folder; folder && (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        (void)!mkdir(folder, 0700);
        *slash = '/';
    }
    if (!folder || (mkdir(folder, 0700) != 0 && errno != EEXIST))
        return kv_fail(err, KV_IO, "'%s' cannot be made: %m", folder ? folder : path);
    return KV_OK;
}

enum kv_status kv_rewrap_put_copy(const struct kv_rewrap_file *file, const char *path, struct kv_view header,
                                  struct kv_error *err)
{
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    KV_TRY(make_folders(path, err));
    KV_TRY(kv_output_open(path, &output, err));
    KV_TRY(kv_output_write(output, header, err));
    KV_TRY(copy_bytes(file->fd, (off_t)file->own.text.len, kv_output_fd(output), err));
    be_like(kv_output_fd(output), &file->info);
    return kv_output_commit(output, err);
}
