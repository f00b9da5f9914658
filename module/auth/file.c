#include "file.h"

#include "base/file.h"

#include <string.h>

enum { FILE_MAX = 64 << 10 };

enum kv_status kv_auth_file_fail_open(const struct kv_auth_file *file, struct kv_error *err)
{
    return kv_fail(err, KV_CREDENTIAL, "%s '%s' is open to others; chmod it to 0600", file->what, file->path);
}

/* For a token it is all the same why the file is not there. */
static enum kv_status fail_in(const struct kv_auth_file *file, enum kv_status status, struct kv_error *err)
{
    return kv_fail_in(err, status == KV_NO_MEMORY ? status : KV_CREDENTIAL, "%s", file->what);
}

enum kv_status kv_auth_file_read(const struct kv_auth_file *file, struct kv_bytes *ret, bool *ret_private,
                                 struct kv_error *err)
{
    const struct kv_file_rule rule = { .secret = file->secret, .largest = FILE_MAX, .status = KV_CREDENTIAL };
    KV_AUTO_FD int fd = -1;
    enum kv_status status = kv_file_open(file->path, &rule, &fd, err);
    if (status == KV_OK)
        status = kv_file_read_opened(fd, file->path, &rule, ret, err);
    if (status != KV_OK)
        return fail_in(file, status, err);
    if (ret_private)
        *ret_private = kv_file_private(fd);
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
