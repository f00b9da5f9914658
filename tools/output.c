#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/encode.h"
#include "process/leave.h"
#include "mech/local.h"

enum { MODE = 0600, FD_PATH = 64 };

struct kv_output {
    int fd, folder;
    const char *path;           /* borrowed; for messages */
    const char *name;           /* in the folder; inside path */
    char passing[NAME_MAX + 1]; /* its name until it has taken its place, "": it has none */
    bool holds;
    bool terminal;
    unsigned char before; /* the last byte that a terminal was shown */
    uint64_t written;
};

/* Of control characters only those that lines are made of; those of ISO 6429 above 0x7f, in UTF-8, begin commands as well. */
static bool is_text(unsigned char before, unsigned char byte)
{
    bool c1 = before == 0xc2 && byte >= 0x80 && byte <= 0x9f;
    return byte >= ' ' ? byte != 0x7f && !c1 : byte && strchr("\t\n\r", byte);
}

enum kv_status kv_output_shows(struct kv_output *output, struct kv_view part, struct kv_error *err)
{
    for (size_t i = 0; output->terminal && i < part.len; i++) {
        if (!is_text(output->before, part.data[i]))
            return kv_fail(err, KV_ARGUMENTS,
                           "the contents are binary, and %s is a terminal, which could take them for "
                           "commands: send them to a file",
                           output->path);
        output->before = part.data[i];
    }
    return KV_OK;
}

enum kv_status kv_output_write(struct kv_output *output, struct kv_view bytes, struct kv_error *err)
{
    KV_TRY(kv_output_shows(output, bytes, err));
    while (bytes.len) {
        ssize_t done = write(output->fd, bytes.data, bytes.len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return kv_fail(err, KV_IO, "cannot write to '%s': %m", output->path);
        output->written += (uint64_t)done;
        bytes = (struct kv_view){ bytes.data + done, bytes.len - (size_t)done };
    }
    return KV_OK;
}

enum kv_status kv_output_restart(struct kv_output *output, struct kv_error *err)
{
    if (!output->holds || ftruncate(output->fd, 0) != 0 || lseek(output->fd, 0, SEEK_SET) != 0)
        return kv_fail(err, KV_IO, "cannot write '%s' anew", output->path);
    output->written = 0;
    return KV_OK;
}

bool kv_output_holds(const struct kv_output *output)
{
    return output->holds;
}

int kv_output_fd(const struct kv_output *output)
{
    return output->fd;
}

const char *kv_output_name(const struct kv_output *output)
{
    return output->path;
}

uint64_t kv_output_written(const struct kv_output *output)
{
    return output->written;
}

bool kv_output_is_terminal(const struct kv_output *output)
{
    return output->terminal;
}

void kv_output_free(struct kv_output *output)
{
    if (!output)
        return;
    if (*output->passing) {
        unlinkat(output->folder, output->passing, 0);
        kv_leave_file(-1, NULL);
    }
    if (output->folder >= 0)
        close(output->folder);
    if (output->fd >= 0 && output->fd != STDOUT_FILENO)
        close(output->fd);
    free(output);
}

static void descriptor_path(const struct kv_output *output, char ret[FD_PATH])
{
    snprintf(ret, FD_PATH, "/proc/self/fd/%d", output->fd);
}

/* A name beside the file's that nobody has guessed. */
static enum kv_status passing_name(char ret[NAME_MAX + 1], struct kv_error *err)
{
    unsigned char random[8];
    char hex[2 * sizeof(random) + 1];
    if (kv_random_bytes(random, sizeof(random)) != KV_OK)
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    kv_encode_hex((struct kv_view){ random, sizeof(random) }, hex);
    snprintf(ret, NAME_MAX + 1, ".kvp11-%s.part", hex);
    return KV_OK;
}

/* From now on it is to be taken away, whatever ends the program. */
static void take_name(struct kv_output *output, const char passing[NAME_MAX + 1])
{
    memcpy(output->passing, passing, NAME_MAX + 1);
    kv_leave_file(output->folder, output->passing);
}

/* Without a name where the file system and /proc allow it: then even a kill leaves nothing. */
static enum kv_status make_file(struct kv_output *output, struct kv_error *err)
{
    char path[FD_PATH], passing[NAME_MAX + 1];
    output->fd = openat(output->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, MODE);
    descriptor_path(output, path);
    if (output->fd >= 0 && access(path, F_OK) == 0)
        return KV_OK;
    if (output->fd >= 0)
        close(output->fd);
    KV_TRY(passing_name(passing, err));
    output->fd = openat(output->folder, passing, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, MODE);
    if (output->fd < 0)
        return kv_fail(err, KV_IO, "cannot write '%s': no file can be made in its folder: %m", output->path);
    take_name(output, passing);
    return KV_OK;
}

static enum kv_status open_file(struct kv_output *output, struct kv_error *err)
{
    const char *slash = strrchr(output->path, '/');
    size_t len = slash ? (size_t)(slash - output->path) : 0;
    KV_AUTO_TEXT char *folder = slash ? kv_text_copy_n(output->path, len ? len : 1) : kv_text_copy(".");
    if (!folder)
        return KV_NO_MEMORY;
    output->name = slash ? slash + 1 : output->path;
    if (!*output->name)
        return kv_fail(err, KV_ARGUMENTS, "'%s' is a folder: name the file in it", output->path);
    output->folder = open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (output->folder < 0)
        return kv_fail(err, KV_IO, "cannot write '%s': its folder cannot be opened: %m", output->path);
    output->holds = true;
    return make_file(output, err);
}

static enum kv_status open_path(struct kv_output *output, struct kv_error *err)
{
    struct stat there, behind;
    if (lstat(output->path, &there) != 0)
        return open_file(output, err); /* which says what is wrong, if it is not that there is none yet */
    if (S_ISLNK(there.st_mode) && (stat(output->path, &behind) != 0 || S_ISREG(behind.st_mode)))
        return kv_fail(err, KV_ARGUMENTS,
                       "'%s' is a link to a file: name the file itself, or nothing for the standard output",
                       output->path);
    if (S_ISLNK(there.st_mode))
        there = behind;
    if (S_ISREG(there.st_mode))
        return open_file(output, err);
    output->fd = open(output->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return output->fd >= 0 ? KV_OK : kv_fail(err, KV_IO, "cannot write '%s': %m", output->path);
}

enum kv_status kv_output_open(const char *path, struct kv_output **ret, struct kv_error *err)
{
    KV_AUTO_OUTPUT struct kv_output *output = calloc(1, sizeof(*output));
    if (!output)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    output->folder = -1;
    output->fd = STDOUT_FILENO;
    output->path = path && strcmp(path, "-") != 0 ? path : "the standard output";
    if (output->path == path) {
        output->fd = -1;
        KV_TRY(open_path(output, err));
    }
    output->terminal = isatty(output->fd);
    *ret = kv_take(output);
    return KV_OK;
}

/* Its own name at once, where nothing has that yet: then there is no moment at which a kill leaves something. Else a passing one, for rename. */
static enum kv_status give_name(struct kv_output *output, struct kv_error *err)
{
    char path[FD_PATH], passing[NAME_MAX + 1];
    if (*output->passing)
        return KV_OK;
    descriptor_path(output, path);
    if (linkat(AT_FDCWD, path, output->folder, output->name, AT_SYMLINK_FOLLOW) == 0)
        return KV_OK;
    KV_TRY(passing_name(passing, err));
    if (linkat(AT_FDCWD, path, output->folder, passing, AT_SYMLINK_FOLLOW) != 0)
        return kv_fail(err, KV_IO, "cannot write '%s': it gets no name: %m", output->path);
    take_name(output, passing);
    return KV_OK;
}

enum kv_status kv_output_commit(struct kv_output *output, struct kv_error *err)
{
    if (!output->holds)
        return KV_OK;
    if (fsync(output->fd) != 0)
        return kv_fail(err, KV_IO, "cannot write '%s' to the disk: %m", output->path);
    KV_TRY(give_name(output, err));
    if (*output->passing && renameat(output->folder, output->passing, output->folder, output->name) != 0)
        return kv_fail(err, KV_IO, "cannot put '%s' in its place: %m", output->path);
    if (*output->passing)
        kv_leave_file(-1, NULL);
    *output->passing = '\0';
    /* The file is whole and in its place; a file system that cannot sync folders is no failure. */
    if (fsync(output->folder) != 0 && errno != EINVAL && errno != EROFS)
        return kv_fail(err, KV_IO, "'%s' is written, but its folder cannot be synced to the disk: %m",
                       output->path);
    return KV_OK;
}
