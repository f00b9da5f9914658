#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { LINKS_MAX = 16, GROUPS_MAX = 256 };

/* ---- the way to it ---- */

struct walk {
    const char *path; /* as it was given */
    const struct kv_file_rule *rule;
    struct kv_error *err;
    int folder; /* where we are */
    char *rest; /* what is left of the way, never with a '/' in front */
    unsigned links;
    uid_t owner;    /* of the folder where we are */
    bool strange;   /* a service's rule has let pass what belongs to: */
    uid_t stranger; /* who has to be the one who owns the last folder */
    struct kv_error
        trouble; /* the first folder or link that cannot be trusted: told only when there is a file behind it */
};

static void walk_end(struct walk *walk)
{
    if (walk->folder >= 0)
        close(walk->folder);
    free(walk->rest);
}

static bool is_ours(uid_t owner)
{
    return owner == 0 || owner == geteuid();
}

static enum kv_status fail_open(const struct walk *walk, int cause)
{
    const char *remedy = cause == ENOENT || cause == ENOTDIR ? "make it, or name another file"
                                                             : "its mode and those of its folders decide";
    if (cause == EMFILE || cause == ENFILE || cause == ENOMEM) /* says nothing about the file */
        return kv_fail(
            walk->err, KV_NO_MEMORY,
            "%s: cannot be opened: %s: raise the limit of open files, or repeat when there are fewer",
            walk->path, strerror(cause));
    enum kv_status status = cause == ENOENT || cause == ENOTDIR ? KV_NOT_FOUND
                            : cause == EACCES                   ? KV_DENIED
                                                                : walk->rule->status;
    if (cause == ELOOP)
        return kv_fail(walk->err, status,
                       "%s: its symbolic links change or go round: name the file that they lead to",
                       walk->path);
    return kv_fail(walk->err, status, "%s: cannot be opened: %s: %s", walk->path, strerror(cause), remedy);
}

/* Everything on the way is root's, the caller's, or one and the same other's. */
static bool is_of_service(struct walk *walk, uid_t owner)
{
    if (!walk->rule->service || (walk->strange && walk->stranger != owner))
        return false;
    walk->strange = true;
    walk->stranger = owner;
    return true;
}

static enum kv_status fail_kind(const struct walk *walk)
{
    return kv_fail(walk->err, walk->rule->status, "%s: is not a regular file: give the path of one",
                   walk->path);
}

static void look_at_folder(struct walk *walk, const char *name, const struct stat *info)
{
    bool open = info->st_mode & (walk->rule->service ? 002 : 022) && !(info->st_mode & S_ISVTX);
    walk->owner = info->st_uid;
    if (walk->trouble.status || (!open && (is_ours(info->st_uid) || is_of_service(walk, info->st_uid))))
        return;
    if (open)
        walk->trouble.status = kv_fail(
            &walk->trouble, walk->rule->status,
            "%s: its folder '%s' can be written by others than its owner (mode %03o): chmod go-w that folder",
            walk->path, name, (unsigned)info->st_mode & 0777);
    else
        walk->trouble.status = kv_fail(&walk->trouble, walk->rule->status,
                                       "%s: its folder '%s' belongs to user %u, who is neither root nor the "
                                       "caller: chown root that folder",
                                       walk->path, name, (unsigned)info->st_uid);
}

static enum kv_status enter(struct walk *walk, int folder, const char *name)
{
    struct stat info;
    if (folder < 0 || fstat(folder, &info))
        return fail_open(walk, errno);
    look_at_folder(walk, name, &info);
    if (walk->folder >= 0)
        close(walk->folder);
    walk->folder = folder;
    return KV_OK;
}

static enum kv_status set_out(struct walk *walk, const char *path)
{
    char here[PATH_MAX] = "";
    if (*path != '/' && !getcwd(here, sizeof here))
        return fail_open(walk, errno);
    char *rest = kv_text_format("%s/%s", here, path);
    if (!rest)
        return kv_fail(walk->err, KV_NO_MEMORY, "out of memory");
    memmove(rest, rest + strspn(rest, "/"), strlen(rest + strspn(rest, "/")) + 1);
    free(walk->rest);
    walk->rest = rest;
    return enter(walk, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "/");
}

/* The link's text takes the place of its name. */
static enum kv_status follow(struct walk *walk, int link, const struct stat *info, const char *behind)
{
    char to[PATH_MAX];
    ssize_t len = readlinkat(link, "", to, sizeof to - 1);
    bool refused = walk->rule->service && !strchr(behind, '/'); /* its folder, or the file itself */
    if (len <= 0 || refused || ++walk->links > LINKS_MAX)
        return fail_open(walk, len < 0 ? errno : ELOOP);
    to[len] = 0;
    if (!is_ours(info->st_uid) && !walk->trouble.status)
        walk->trouble.status = kv_fail(
            &walk->trouble, walk->rule->status,
            "%s: is a symbolic link of user %u, who is neither root nor the caller: name the file that "
            "it leads to",
            walk->path, (unsigned)info->st_uid);
    KV_AUTO_FREE char *rest = kv_text_format("%s%s%s", to, *behind ? "/" : "", behind);
    if (!rest)
        return kv_fail(walk->err, KV_NO_MEMORY, "out of memory");
    if (*rest == '/')
        return set_out(walk, rest);
    free(walk->rest);
    walk->rest = kv_take(rest);
    return KV_OK;
}

/* One name of the way; *ret_last when it is that of the file itself, which is then the rest. */
static enum kv_status step(struct walk *walk, bool *ret_last)
{
    size_t len = strcspn(walk->rest, "/");
    KV_AUTO_FREE char *name = kv_text_copy_n(walk->rest, len);
    KV_AUTO_FREE char *behind = kv_text_copy(walk->rest + len + strspn(walk->rest + len, "/"));
    struct stat info;
    if (!name || !behind)
        return kv_fail(walk->err, KV_NO_MEMORY, "out of memory");
    if (!*name) /* the root, by itself or by a link */
        return fail_kind(walk);
    KV_AUTO_FD int found = openat(walk->folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (found < 0 || fstat(found, &info))
        return fail_open(walk, errno);
    if (S_ISLNK(info.st_mode))
        return follow(walk, found, &info, behind);
    if (!*behind) {
        *ret_last = true;
        return KV_OK;
    }
    if (!S_ISDIR(info.st_mode))
        return fail_open(walk, ENOTDIR);
    KV_TRY(enter(walk, found, name));
    found = -1;
    free(walk->rest);
    walk->rest = kv_take(behind);
    return KV_OK;
}

/* ---- the file ---- */

static bool in_group(gid_t group)
{
    gid_t groups[GROUPS_MAX];
    int count = getgroups(GROUPS_MAX, groups);
    for (int i = 0; i < count; i++)
        if (groups[i] == group)
            return true;
    return group == getegid();
}

static mode_t forbidden_to_secrets(const struct stat *info)
{
    return info->st_uid == 0 && in_group(info->st_gid) ? 026 : 066;
}

static enum kv_status check_file(const struct walk *walk, const struct stat *info)
{
    const struct kv_file_rule *rule = walk->rule;
    const char *path = walk->path;
    mode_t forbidden = rule->service ? 002 : rule->secret ? forbidden_to_secrets(info) : 022;
    if (!S_ISREG(info->st_mode))
        return fail_kind(walk);
    if (!is_ours(info->st_uid) && !(rule->service && info->st_uid == walk->owner))
        return kv_fail(walk->err, rule->status,
                       "%s: belongs to user %u, who is neither root nor the caller: chown root '%s'", path,
                       (unsigned)info->st_uid, path);
    if (info->st_mode & forbidden)
        return kv_fail(walk->err, rule->status,
                       "%s: can be %swritten by others than its owner (mode %03o): %s '%s'", path,
                       rule->secret ? "read or " : "", (unsigned)info->st_mode & 0777,
                       rule->secret ? "chmod 600" : "chmod go-w", path);
    if ((uintmax_t)info->st_size > rule->largest)
        return kv_fail(walk->err, rule->status, "%s: is larger than %zu bytes: is it the right file?", path,
                       rule->largest);
    return KV_OK;
}

static enum kv_status tell_trouble(const struct walk *walk)
{
    if (walk->trouble.status && walk->err)
        *walk->err = walk->trouble;
    return walk->trouble.status;
}

/* O_NONBLOCK: a FIFO in the file's place must not hang the host. */
static enum kv_status open_last(struct walk *walk, int *ret_fd)
{
    KV_AUTO_FD int fd =
        openat(walk->folder, walk->rest, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    if (fd < 0 || fstat(fd, &info))
        return fail_open(walk, errno);
    KV_TRY(check_file(walk, &info));
    KV_TRY(tell_trouble(walk));
    if (walk->strange && walk->stranger != walk->owner)
        return kv_fail(walk->err, walk->rule->status,
                       "%s: a folder on the way belongs to user %u, who is neither root nor the owner of its "
                       "own folder: chown root that folder",
                       walk->path, (unsigned)walk->stranger);
    *ret_fd = fd;
    fd = -1;
    return KV_OK;
}

enum kv_status kv_file_open(const char *path, const struct kv_file_rule *rule, int *ret_fd,
                            struct kv_error *err)
{
    KV_CLEANUP(walk_end) struct walk walk = { .path = path, .rule = rule, .err = err, .folder = -1 };
    bool last = false;
    KV_TRY(set_out(&walk, path));
    while (!last)
        KV_TRY(step(&walk, &last));
    /* "a/b/" is a folder and no file, whatever b is. */
    walk.rest[strcspn(walk.rest, "/")] = 0;
    return open_last(&walk, ret_fd);
}

enum kv_status kv_file_folder(const char *path, const struct kv_file_rule *rule, struct kv_error *err)
{
    const char *slash = strrchr(path, '/');
    KV_AUTO_FREE char *inside =
        kv_text_format("%.*s/./.", slash ? (int)(slash - path) : 1, slash ? path : ".");
    KV_CLEANUP(walk_end) struct walk walk = { .path = path, .rule = rule, .err = err, .folder = -1 };
    bool last = false;
    if (!inside)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(set_out(&walk, inside));
    while (!last)
        KV_TRY(step(&walk, &last));
    return tell_trouble(&walk);
}

bool kv_file_private(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && !(info.st_mode & forbidden_to_secrets(&info));
}

enum kv_status kv_file_read_opened(int fd, const char *path, const struct kv_file_rule *rule,
                                   struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer text = { .limit = rule->largest };
    unsigned char block[4096];
    ssize_t got;
    while ((got = read(fd, block, sizeof block)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return kv_fail(err, rule->status, "%s: cannot be read: %s", path, strerror(errno));
        enum kv_status status = kv_buffer_add(&text, (struct kv_view){ block, (size_t)got });
        kv_wipe(block, (size_t)got);
        if (status)
            return kv_fail(err, rule->status, "%s: is larger than %zu bytes: is it the right file?", path,
                           rule->largest);
    }
    /* A NUL follows the text, also an empty one. */
    if (kv_buffer_add(&text, kv_view_text("")))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    *ret = kv_bytes_take(&text.bytes);
    return KV_OK;
}

enum kv_status kv_file_read(const char *path, const struct kv_file_rule *rule, struct kv_bytes *ret,
                            struct kv_error *err)
{
    KV_AUTO_FD int fd = -1;
    KV_TRY(kv_file_open(path, rule, &fd, err));
    return kv_file_read_opened(fd, path, rule, ret, err);
}
