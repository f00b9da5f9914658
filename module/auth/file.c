#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { FILE_MAX = 64 << 10 };

static bool is_ours(uid_t owner)
{
    return owner == 0 || owner == geteuid();
}

enum kv_status kv_auth_file_private(const struct kv_auth_file *file, mode_t mode, struct kv_error *err)
{
    if (mode & KV_FILE_SECRET)
        return kv_fail(err, KV_CREDENTIAL, "%s '%s' is open to others; chmod it to 0600 or 0640", file->what,
                       file->path);
    return KV_OK;
}

static enum kv_status check(int fd, const struct kv_auth_file *file, mode_t *ret_mode, struct kv_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return kv_fail(err, KV_CREDENTIAL, "%s '%s': %s", file->what, file->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return kv_fail(err, KV_CREDENTIAL, "%s '%s' is not a regular file", file->what, file->path);
    if (!is_ours(st.st_uid))
        return kv_fail(err, KV_CREDENTIAL, "%s '%s' belongs to another user; let it be yours or root's",
                       file->what, file->path);
    if (file->forbidden == KV_FILE_SECRET)
        KV_TRY(kv_auth_file_private(file, st.st_mode, err));
    if (st.st_mode & file->forbidden)
        return kv_fail(err, KV_CREDENTIAL, "%s '%s' can be written by others; chmod it to 0644", file->what,
                       file->path);
    if (st.st_size > FILE_MAX)
        return kv_fail(err, KV_CREDENTIAL, "%s '%s' is larger than %d bytes", file->what, file->path,
                       FILE_MAX);
    *ret_mode = st.st_mode;
    return KV_OK;
}

static enum kv_status read_whole(int fd, const struct kv_auth_file *file, struct kv_buffer *ret,
                                 struct kv_error *err)
{
    unsigned char part[4096];
    ssize_t got;
    enum kv_status status = kv_buffer_add(ret, kv_view_text("")); /* a NUL follows an empty one, too */
    while (status == KV_OK && (got = read(fd, part, sizeof part)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return kv_fail(err, KV_CREDENTIAL, "%s '%s': %s", file->what, file->path, strerror(errno));
        status = kv_buffer_add(ret, (struct kv_view){ part, (size_t)got });
    }
    kv_wipe(part, sizeof part);
    return status == KV_OK ? KV_OK
                           : kv_fail(err, status, "%s '%s' cannot be read whole", file->what, file->path);
}

/* Orchestrators mount secrets as links, so a link will do when nobody else could have put it there. */
static enum kv_status check_link(const struct kv_auth_file *file, struct kv_error *err)
{
    struct stat st;
    if (lstat(file->path, &st) == 0 && S_ISLNK(st.st_mode) && !is_ours(st.st_uid))
        return kv_fail(err, KV_CREDENTIAL,
                       "%s '%s' is a symbolic link of another user; name the file that it leads to",
                       file->what, file->path);
    return KV_OK;
}

enum kv_status kv_auth_file_read(const struct kv_auth_file *file, struct kv_bytes *ret, mode_t *ret_mode,
                                 struct kv_error *err)
{
    mode_t mode = 0;
    KV_TRY(check_link(file, err));
    /* O_NONBLOCK: a FIFO in the file's place must not hang the host. */
    KV_AUTO_FD int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return kv_fail(err, KV_CREDENTIAL, "%s '%s': %s", file->what, file->path, strerror(errno));
    KV_TRY(check(fd, file, &mode, err));
    KV_AUTO_BUFFER struct kv_buffer text = { .limit = FILE_MAX };
    KV_TRY(read_whole(fd, file, &text, err));
    *ret = kv_bytes_take(&text.bytes);
    if (ret_mode)
        *ret_mode = mode;
    return KV_OK;
}

enum kv_status kv_auth_file_text(const struct kv_auth_file *file, char **ret, struct kv_error *err)
{
    static const char space[] = " \t\r\n";
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    KV_TRY(kv_auth_file_read(file, &bytes, NULL, err));
    const char *text = bytes.data ? (const char *)bytes.data : "";
    text += strspn(text, space);
    size_t len = strlen(text);
    while (len && strchr(space, text[len - 1]))
        len--;
    char *copy = kv_text_copy_n(text, len);
    if (!copy)
        return kv_fail(err, KV_NO_MEMORY, "no memory for %s '%s'", file->what, file->path);
    *ret = copy;
    return KV_OK;
}
