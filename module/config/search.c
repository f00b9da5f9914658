#include "search.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const char *const host_path = "/etc/kvp11/kvp11.conf";

enum { LARGEST_CONFIG = 256 * 1024, LARGEST_SECRET = 4096 };

struct rule {
    const char *what;
    mode_t forbidden; /* bits that the file must not have */
    const char *remedy;
    size_t largest;
};

static const struct rule config_rule = { "can be written by others than its owner", 022, "chmod go-w",
                                         LARGEST_CONFIG };
static const struct rule secret_rule = { "can be read or written by others than its owner", 066, "chmod 600",
                                         LARGEST_SECRET };

static bool is_ours(uid_t owner)
{
    return owner == 0 || owner == geteuid();
}

static enum kv_status check_file(const char *path, const struct rule *rule, const struct stat *info,
                                 struct kv_error *err)
{
    if (!S_ISREG(info->st_mode))
        return kv_fail(err, KV_CONFIG, "%s: is not a regular file: give the path of one", path);
    if (!is_ours(info->st_uid))
        return kv_fail(err, KV_CONFIG,
                       "%s: belongs to user %u, who is neither root nor the caller: chown root '%s'", path,
                       (unsigned)info->st_uid, path);
    if (info->st_mode & rule->forbidden)
        return kv_fail(err, KV_CONFIG, "%s: %s (mode %03o): %s '%s'", path, rule->what,
                       (unsigned)info->st_mode & 0777, rule->remedy, path);
    if ((uintmax_t)info->st_size > rule->largest)
        return kv_fail(err, KV_CONFIG, "%s: is larger than %zu bytes: is it the right file?", path,
                       rule->largest);
    return KV_OK;
}

static enum kv_status read_all(int fd, const char *path, size_t largest, struct kv_bytes *ret,
                               struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer text = { .limit = largest };
    unsigned char block[4096];
    ssize_t got;

    while ((got = read(fd, block, sizeof block)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return kv_fail(err, KV_CONFIG, "%s: cannot be read: %s", path, strerror(errno));
        enum kv_status status = kv_buffer_add(&text, (struct kv_view){ block, (size_t)got });
        kv_wipe(block, (size_t)got);
        if (status)
            return kv_fail(err, KV_CONFIG, "%s: is larger than %zu bytes: is it the right file?", path,
                           largest);
    }
    /* A NUL follows the text, also an empty one. */
    if (kv_buffer_add(&text, kv_view_text("")))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (memchr(text.bytes.data, 0, text.bytes.len))
        return kv_fail(err, KV_CONFIG, "%s: has a NUL byte in it: is it the right file?", path);
    *ret = kv_bytes_take(&text.bytes);
    return KV_OK;
}

/* O_NONBLOCK: a FIFO in the file's place must not hang the host. */
static int open_quietly(const char *path, int more)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | more);
}

static enum kv_status read_file(int fd, const char *path, const struct rule *rule, struct kv_bytes *ret,
                                struct kv_error *err)
{
    struct stat info;

    if (fstat(fd, &info))
        return kv_fail(err, KV_CONFIG, "%s: cannot be read: %s", path, strerror(errno));
    KV_TRY(check_file(path, rule, &info, err));
    return read_all(fd, path, rule->largest, ret, err);
}

void kv_search_file_free(struct kv_search_file *file)
{
    if (!file)
        return;
    kv_text_free(file->path);
    kv_bytes_free(&file->text);
    *file = (struct kv_search_file){ 0 };
}

static enum kv_status fail_open(const char *path, int cause, struct kv_error *err)
{
    const char *remedy = cause == ENOENT || cause == ENOTDIR ? "make it, or name another file"
                                                             : "its mode and those of its folders decide";

    if (cause == ELOOP)
        return kv_fail(err, KV_CONFIG, "%s: is a symbolic link: name the file that it leads to", path);
    return kv_fail(err, KV_CONFIG, "%s: cannot be opened: %s: %s", path, strerror(cause), remedy);
}

/* `skippable`: errors that mean "look further" are no errors, and *ret stays empty. EACCES is one of them
 * for the user's own folder: services often run with the HOME of somebody else. */
static enum kv_status try_path(const char *path, const int skippable[3], struct kv_search_file *ret,
                               struct kv_error *err)
{
    KV_AUTO_SEARCH_FILE struct kv_search_file file = { .path = kv_text_copy(path) };
    KV_AUTO_FD int fd = open_quietly(path, O_NOFOLLOW);
    int cause = errno;

    if (!file.path)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (int i = 0; fd < 0 && i < 3; i++)
        if (cause == skippable[i])
            return KV_OK;
    if (fd < 0)
        return fail_open(path, cause, err);
    KV_TRY(read_file(fd, path, &config_rule, &file.text, err));
    *ret = file;
    file = (struct kv_search_file){ 0 };
    return KV_OK;
}

static char *user_path(kv_raw_lookup *lookup)
{
    const char *config = lookup("XDG_CONFIG_HOME"), *home = lookup("HOME");

    if (config && *config == '/')
        return kv_text_format("%s/kvp11/kvp11.conf", config);
    return home && *home == '/' ? kv_text_format("%s/.config/kvp11/kvp11.conf", home) : kv_text_copy("");
}

enum kv_status kv_search_read(const char *named, kv_raw_lookup *lookup, struct kv_search_file *ret,
                              struct kv_error *err)
{
    static const int none[3] = { 0 }, absent[3] = { ENOENT, ENOTDIR },
                     closed[3] = { ENOENT, ENOTDIR, EACCES };

    if (named)
        return try_path(named, none, ret, err);
    KV_AUTO_TEXT char *user = user_path(lookup);
    if (!user)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (*user)
        KV_TRY(try_path(user, closed, ret, err));
    return ret->path ? KV_OK : try_path(host_path, absent, ret, err);
}

/* Secrets are often mounted as links, so a link will do when nobody else could have put it there. */
static enum kv_status check_link(const char *path, struct kv_error *err)
{
    struct stat info;

    if (lstat(path, &info))
        return fail_open(path, errno, err);
    if (S_ISLNK(info.st_mode) && !is_ours(info.st_uid))
        return kv_fail(
            err, KV_CONFIG,
            "%s: is a symbolic link of user %u, who is neither root nor the caller: name the file that it "
            "leads to",
            path, (unsigned)info.st_uid);
    return KV_OK;
}

enum kv_status kv_config_secret_file(const char *path, char **ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes text = { 0 };

    KV_TRY(check_link(path, err));
    KV_AUTO_FD int fd = open_quietly(path, 0);
    if (fd < 0)
        return fail_open(path, errno, err);
    KV_TRY(read_file(fd, path, &secret_rule, &text, err));
    if (text.len && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    if (text.len && text.data[text.len - 1] == '\r')
        text.data[--text.len] = '\0';
    if (!text.len)
        return kv_fail(err, KV_CONFIG, "%s: is empty: write the secret into it", path);
    *ret = (char *)text.data;
    text = (struct kv_bytes){ 0 };
    return KV_OK;
}
