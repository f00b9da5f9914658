#include "oauth.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 64 << 10, SPAN_UNTOLD = 600 };

static const char *unavailable(const struct kv_vault_config *config)
{
    return config->token_file ? NULL : "`token_file` is not set";
}

static enum kv_status check_file(int fd, const char *path, struct kv_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return kv_fail(err, KV_CREDENTIAL, "token file '%s': %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return kv_fail(err, KV_CREDENTIAL, "token file '%s' is not a regular file", path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return kv_fail(err, KV_CREDENTIAL,
                       "token file '%s' belongs to another user; let it be yours or root's", path);
    if (st.st_mode & (S_IWGRP | S_IRWXO))
        return kv_fail(err, KV_CREDENTIAL, "token file '%s' is open to others; chmod it to 0600 or 0640",
                       path);
    if (st.st_size > FILE_MAX)
        return kv_fail(err, KV_CREDENTIAL, "token file '%s' is larger than %d bytes", path, FILE_MAX);
    return KV_OK;
}

static enum kv_status read_whole(int fd, const char *path, struct kv_buffer *ret, struct kv_error *err)
{
    unsigned char part[4096];
    ssize_t got;
    enum kv_status status = KV_OK;
    while (status == KV_OK && (got = read(fd, part, sizeof part)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return kv_fail(err, KV_CREDENTIAL, "token file '%s': %s", path, strerror(errno));
        status = kv_buffer_add(ret, (struct kv_view){ part, (size_t)got });
    }
    kv_wipe(part, sizeof part);
    return status == KV_OK ? KV_OK : kv_fail(err, status, "token file '%s' cannot be read whole", path);
}

static char *trimmed(const struct kv_buffer *buffer)
{
    static const char space[] = " \t\r\n";
    const char *text = (const char *)buffer->bytes.data;
    if (!text)
        return NULL;
    text += strspn(text, space);
    size_t len = strlen(text);
    while (len && strchr(space, text[len - 1]))
        len--;
    return kv_text_copy_n(text, len);
}

static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    const char *path = request->config->token_file;
    if (!path)
        return kv_fail(err, KV_CREDENTIAL, "credential 'static-token': %s", unavailable(request->config));
    KV_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return kv_fail(err, KV_CREDENTIAL, "token file '%s': %s", path, strerror(errno));
    KV_TRY(check_file(fd, path, err));
    KV_AUTO_BUFFER struct kv_buffer text = { .limit = FILE_MAX };
    KV_TRY(read_whole(fd, path, &text, err));
    KV_AUTO_TEXT char *bearer = trimmed(&text);
    if (!bearer || !kv_oauth_is_bearer(bearer))
        return kv_fail(err, KV_CREDENTIAL, "token file '%s' does not hold an access token", path);
    const struct kv_clock *clock = request->task->deadline.clock;
    int64_t now = clock->unix_seconds(clock);
    struct kv_oauth_claims claims = { 0 };
    if (!kv_oauth_read_claims(bearer, &claims) || !claims.expires)
        claims.expires = now + SPAN_UNTOLD;
    if (claims.expires <= now)
        return kv_fail(err, KV_CREDENTIAL, "the token in '%s' has expired; put a fresh one there", path);
    struct kv_access_token token = { .expires = claims.expires };
    kv_text_fit(token.identity, sizeof token.identity, claims.identity);
    token.bearer = kv_take(bearer);
    *ret = token;
    return KV_OK;
}

const struct kv_credential_kind kv_credential_static_token = { "static-token", unavailable, acquire, false };
