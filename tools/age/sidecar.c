#include "sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/encode.h"
#include "mech/local.h"
#include "sidecar_mark.h"

void kv_age_sidecar_free(struct kv_age_sidecar *sidecar)
{
    if (!sidecar)
        return;
    kv_age_header_free(&sidecar->header);
    *sidecar = (struct kv_age_sidecar){ 0 };
}

char *kv_age_sidecar_path(const char *path)
{
    return kv_text_format("%s" KV_AGE_SIDECAR_SUFFIX, path);
}

bool kv_age_sidecar_is_name(const char *name)
{
    size_t len = strlen(name), end = strlen(KV_AGE_SIDECAR_SUFFIX);
    return len > end && !strcmp(name + len - end, KV_AGE_SIDECAR_SUFFIX);
}

/* ---- reading ---- */

static bool read_all(int fd, struct kv_bytes *into)
{
    size_t len = 0;
    while (len < into->len) {
        ssize_t got = read(fd, into->data + len, into->len - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (!got)
            break;
        len += (size_t)got;
    }
    into->len = len;
    return true;
}

static const struct kv_age_stanza *mark_of(const struct kv_age_header *header)
{
    for (size_t i = 0; i < header->count; i++)
        if (!strcmp(header->stanzas[i].args[0], KV_AGE_SIDECAR_MARK))
            return &header->stanzas[i];
    return NULL;
}

static enum kv_status parse(const char *name, struct kv_view text, struct kv_age_sidecar *ret,
                            struct kv_error *err)
{
    KV_AUTO_AGE_SIDECAR struct kv_age_sidecar sidecar = { 0 };
    enum kv_status status = kv_age_header_parse(text, &sidecar.header, err);
    if (status != KV_OK)
        return kv_fail_in(err, status, "%s", name);
    if (sidecar.header.text.len != text.len)
        return kv_fail(err, KV_BAD_DATA, "%s: there is more in it than a header", name);
    sidecar.stays = mark_of(&sidecar.header);
    *ret = sidecar;
    sidecar = (struct kv_age_sidecar){ 0 };
    return KV_OK;
}

enum kv_status kv_age_sidecar_read(const char *path, struct kv_age_sidecar *ret, struct kv_error *err)
{
    KV_AUTO_TEXT char *name = kv_age_sidecar_path(path);
    KV_AUTO_BYTES struct kv_bytes text = { 0 };
    struct stat info;
    if (!name || kv_bytes_alloc(KV_AGE_HEADER_MAX + 1, &text) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_AUTO_FD int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENAMETOOLONG))
        return kv_fail(err, KV_NOT_FOUND, "%s: there is none", name);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || !read_all(fd, &text))
        return kv_fail(err, KV_INPUT, "%s: cannot be read, or is no file", name);
    return parse(name, KV_VIEW(text), ret, err);
}

/* ---- whose it is ---- */

enum kv_status kv_age_sidecar_mark(struct kv_view header_in_file, struct kv_age_stanza *ret,
                                   struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    KV_TRY(kv_digest_once("SHA2-256", header_in_file, &digest));
    KV_AUTO_TEXT char *letters = kv_encode_base64_raw(KV_VIEW(digest));
    const char *args[] = { KV_AGE_SIDECAR_MARK, letters };
    if (!letters)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return kv_age_stanza_make(args, 2, (struct kv_view){ 0 }, ret, err);
}

bool kv_age_sidecar_is_of(const struct kv_age_sidecar *sidecar, struct kv_view header_in_file)
{
    KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza wanted = { 0 };
    const struct kv_age_stanza *mark = mark_of(&sidecar->header);
    return mark && mark->arg_count == 2 && kv_age_sidecar_mark(header_in_file, &wanted, NULL) == KV_OK &&
           !strcmp(mark->args[1], wanted.args[1]);
}
