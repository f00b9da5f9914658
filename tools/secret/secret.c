#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "age/armor.h"
#include "age/envelope.h"
#include "age/sidecar.h"
#include "base/locked.h"
#include "mend.h"

/* Fills as much of `ret` as there is; *ret_len may be as large as that. */
static bool read_all(int fd, struct kv_bytes *into, size_t *ret_len)
{
    *ret_len = 0;
    while (*ret_len < into->len) {
        ssize_t got = read(fd, into->data + *ret_len, into->len - *ret_len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        *ret_len += (size_t)got;
    }
    return true;
}

enum kv_status kv_secret_read(const char *path, size_t largest, struct kv_bytes *ret, struct kv_error *err)
{
    bool standard = !strcmp(path, "-");
    KV_AUTO_FD int opened = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    KV_AUTO_BYTES struct kv_bytes room = { 0 };
    const char *name = standard ? "the standard input" : path;
    size_t len = 0;
    if (!standard && opened < 0)
        return kv_fail(err, KV_INPUT, "'%s' cannot be opened: %m", name);
    if (kv_bytes_alloc_locked(largest + 1, &room) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (!read_all(standard ? STDIN_FILENO : opened, &room, &len))
        return kv_fail(err, KV_INPUT, "'%s' cannot be read: %m", name);
    if (len > largest)
        return kv_fail(err, KV_DATA_LENGTH,
                       "'%s' has more than %zu bytes, which is no secret: 'kvp11 seal' and "
                       "'kvp11 open' are for files",
                       name, largest);
    return kv_bytes_copy_locked((struct kv_view){ room.data, len }, ret);
}

enum kv_status kv_secret_identities(struct kv_parties *parties, struct kv_error *err)
{
    const char *path;
    for (size_t at = 0; (path = kv_common_each(parties->tool, "-i", &at));)
        KV_TRY(kv_parties_identities(parties, path, err));
    return kv_parties_vaults(parties, err);
}

enum kv_status kv_secret_cache_seconds(const struct kv_tool *tool, int *ret, struct kv_error *err)
{
    enum { LONGEST = 24 * 60 * 60 };
    const char *text = kv_common_option(tool, "--cache");
    int seconds = 0;
    if (text)
        KV_TRY(kv_common_number("--cache", text, &seconds, err));
    if (seconds > LONGEST)
        return kv_fail(err, KV_ARGUMENTS, "--cache keeps a secret for a day (%d seconds) at the most",
                       LONGEST);
    *ret = seconds;
    return KV_OK;
}

/* ---- with the header beside the file, where `kvp11 rewrap` has left one ---- */

static enum kv_status open_with(const struct kv_parties *parties, const struct kv_age_sidecar *sidecar,
                                struct kv_view payload, struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer whole = { 0 };
    enum kv_status status = kv_buffer_add(&whole, KV_VIEW(sidecar->header.text));
    if (status == KV_OK)
        status = kv_buffer_add(&whole, payload);
    if (status != KV_OK)
        return kv_fail(err, status, "out of memory");
    return kv_age_envelope_open(parties->identities, parties->identity_count, KV_VIEW(whole.bytes), ret, err);
}

/* As `kvp11 open` does it: one that stays goes first, one of a change that was cut off last. */
static enum kv_status open_file(const struct kv_parties *parties, const char *path, struct kv_view file,
                                struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_AGE_SIDECAR struct kv_age_sidecar sidecar = { 0 };
    size_t len = 0;
    bool sided = strcmp(path, "-") != 0 && kv_age_sidecar_read(path, &sidecar, NULL) == KV_OK;
    bool whole = sided && kv_age_header_length(file, &len, NULL) == KV_OK && len;
    const struct kv_view header = { file.data, len };
    if (whole && sidecar.stays && kv_age_sidecar_is_of(&sidecar, header) &&
        open_with(parties, &sidecar, (struct kv_view){ file.data + len, file.len - len }, ret, NULL) == KV_OK)
        return KV_OK;
    enum kv_status status =
        kv_age_envelope_open(parties->identities, parties->identity_count, file, ret, err);
    len = sidecar.header.text.len;
    if (status == KV_OK || !sided || sidecar.stays || len > file.len)
        return status;
    return open_with(parties, &sidecar, (struct kv_view){ file.data + len, file.len - len }, ret, NULL) ==
                   KV_OK
               ? KV_OK
               : status;
}

enum kv_status kv_secret_open(struct kv_parties *parties, const char *path, int cache, struct kv_bytes *ret,
                              struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes file = { 0 }, bare = { 0 };
    KV_TRY(kv_secret_read(path, KV_ENVELOPE_TEXT_MAX, &file, err));
    if (cache && kv_secret_cached(KV_VIEW(file), ret))
        return KV_OK;
    bool armored = kv_age_armor_look(KV_VIEW(file)) == KV_AGE_ARMOR_YES;
    enum kv_status status =
        armored ? kv_age_armor_front(KV_VIEW(file), true, &bare, err) : (enum kv_status)KV_OK;
    if (status == KV_OK)
        status = open_file(parties, path, armored ? KV_VIEW(bare) : KV_VIEW(file), ret, err);
    KV_TRY(kv_mend_file(status, path, err));
    if (cache)
        kv_secret_cache(KV_VIEW(file), KV_VIEW(*ret), cache);
    return KV_OK;
}

enum kv_status kv_secret_check_line(struct kv_view secret, struct kv_error *err)
{
    if (!secret.len)
        return kv_fail(err, KV_BAD_DATA, "the secret is empty");
    if (secret.data[secret.len - 1] == '\n')
        return kv_fail(err, KV_BAD_DATA,
                       "the secret ends with a new line: wrap it without one (printf '%%s' instead of "
                       "echo, tr -d '\\n' behind base64)");
    for (size_t i = 0; i < secret.len; i++) {
        if (secret.data[i] < ' ' || secret.data[i] == 0x7f)
            return kv_fail(err, KV_BAD_DATA,
                           "the secret is not one line of text (byte %zu is 0x%02x): wrap it in base64, or "
                           "hand it over with --file",
                           i, secret.data[i]);
    }
    return KV_OK;
}
