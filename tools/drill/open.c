#include "drill.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "age/opening.h"
#include "cms/open.h"
#include "cms/recipient.h"
#include "scan/head.h"
#include "mend.h"
#include "output.h"

/* --- age --- */

struct payload {
    struct kv_drill *drill;
    bool enough;
};

/* What comes here is authentic. */
static enum kv_status passing(void *state, struct kv_view part, struct kv_error *err)
{
    struct payload *payload = state;
    kv_progress_add(&payload->drill->progress, part.len);
    payload->enough = payload->drill->quick;
    return payload->enough ? kv_fail(err, KV_CANCELLED, "enough was read") : KV_OK;
}

static enum kv_status open_payload(struct kv_drill *drill, struct kv_age_stream *stream,
                                   const unsigned char *file_key, const char **ret_how, struct kv_error *err)
{
    struct payload payload = { .drill = drill };
    stream->passing = passing;
    stream->state = &payload;
    enum kv_status status = kv_age_payload_open(stream, file_key, err);
    if (status == KV_CANCELLED && payload.enough)
        status = KV_OK;
    *ret_how = payload.enough ? "first chunk" : "whole";
    return status;
}

/* The header as if it had no other stanzas than those of this key, so that no other can stand in for it. The text stays, for its MAC. */
static void narrow(struct kv_age_header *header, struct kv_view key)
{
    size_t kept = 0;
    for (size_t i = 0; i < header->count; i++) {
        if (kv_head_is_for(&header->stanzas[i], key))
            header->stanzas[kept++] = header->stanzas[i];
        else
            kv_age_stanza_free(&header->stanzas[i]);
    }
    header->count = kept;
}

/* False: neither header has it. */
static bool narrow_both(struct kv_age_opening *opening, struct kv_view key)
{
    bool readable = opening->own_error.status == KV_OK;
    if (!key.len)
        return true;
    narrow(&opening->own, key);
    narrow(&opening->side.header, key);
    return opening->own.count || opening->side.header.count || !readable;
}

static enum kv_status open_age(struct kv_drill *drill, int in, const char *path, struct kv_view key,
                               const char **ret_how, struct kv_error *err)
{
    KV_AUTO_AGE_OPENING struct kv_age_opening opening = { 0 };
    KV_AUTO_FD int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct kv_age_stream stream = { .in = in, .out = out, .in_name = path, .out_name = "/dev/null" };
    const struct kv_parties *parties = drill->parties;
    unsigned char file_key[KV_AGE_FILE_KEY];
    if (out < 0)
        return kv_fail(err, KV_IO, "/dev/null cannot be opened: %m");
    if (!parties->identity_count)
        return kv_fail(err, KV_UNSUPPORTED,
                       "%s: a private key in PEM opens no age file: give its age or SSH key with -i", path);
    kv_age_opening_read(&stream, path, &opening);
    if (!narrow_both(&opening, key))
        return kv_fail(err, KV_BAD_DATA,
                       "%s: its header does not name that version any more: run `kvp11 scan` again", path);
    enum kv_status status =
        kv_age_opening_key(&opening, &stream, parties->identities, parties->identity_count, file_key, err);
    if (status == KV_OK)
        status = open_payload(drill, &stream, file_key, ret_how, err);
    kv_wipe(file_key, sizeof(file_key));
    return kv_mend_file(status, path, err);
}

/* --- CMS --- */

/* The first key that the envelope names; when there is none, what the first one says. */
static enum kv_status break_glass_key(const struct kv_drill *drill, const char *path,
                                      struct kv_cms_envelope *envelope, struct kv_bytes *ret,
                                      struct kv_error *err)
{
    struct kv_error first = { 0 };
    for (size_t i = 0; i < drill->key_count; i++) {
        struct kv_error why = { 0 };
        enum kv_status status = kv_cms_private_open(drill->keys[i], envelope, ret, &why);
        if (status == KV_OK)
            return KV_OK;
        why.status = status;
        if (first.status == KV_OK || (first.status == KV_NOT_FOUND && status != KV_NOT_FOUND))
            first = why;
    }
    if (first.status == KV_OK)
        return kv_fail(err, KV_UNSUPPORTED,
                       "%s: an envelope's break-glass key is the private key of a certificate: give that "
                       "with -i KEY.pem",
                       path);
    if (err)
        *err = first;
    return kv_fail_in(err, first.status, "%s", path);
}

static enum kv_status open_cms(struct kv_drill *drill, const char *path, const char **ret_how,
                               struct kv_error *err)
{
    KV_AUTO_CMS_INPUT struct kv_cms_input input = { .fd = -1, .copy = -1 };
    KV_CLEANUP(kv_cms_opening_free) struct kv_cms_opening opening = { 0 };
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    KV_AUTO_BYTES struct kv_bytes content_key = { 0 };
    KV_TRY(kv_cms_input_open(path, &input, err));
    KV_TRY(kv_cms_open_head(&input, true, &opening, err));
    if (drill->break_glass)
        KV_TRY(break_glass_key(drill, path, &opening.envelope, &content_key, err));
    else
        KV_TRY(kv_cms_recipient_key(drill->tool, &opening.envelope, &content_key, err));
    *ret_how = "key only";
    if (drill->quick)
        return KV_OK;
    if (content_key.len != opening.envelope.content.cipher->key_len)
        return kv_fail(err, KV_BAD_DATA, "%s: the key of the content has another length", path);
    KV_TRY(kv_output_open("/dev/null", &output, err));
    *ret_how = opening.envelope.authenticated ? "whole" : "whole, unauthenticated";
    return kv_cms_open_content(&opening, KV_VIEW(content_key), output, err);
}

/* --- which of them --- */

/* One of a change that was cut off opens a file whose own header is damaged. */
static bool has_sidecar(const char *path)
{
    KV_AUTO_AGE_SIDECAR struct kv_age_sidecar sidecar = { 0 };
    return kv_age_sidecar_read(path, &sidecar, NULL) == KV_OK && !sidecar.stays;
}

enum kv_status kv_drill_open(struct kv_drill *drill, const char *path, struct kv_view key,
                             const char **ret_how, struct kv_error *err)
{
    KV_AUTO_HEAD_READER struct kv_head_reader *reader = kv_head_reader_new(drill->tool);
    KV_AUTO_HEAD struct kv_head head = { 0 };
    if (!reader)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_AUTO_FD int in = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (in < 0)
        return kv_fail(err, KV_INPUT, "%s: cannot be opened: %m", path);
    enum kv_status status = kv_head_read(reader, in, &head, err);
    bool damaged = status == KV_BAD_DATA || (status == KV_OK && head.kind == KV_HEAD_NONE);
    if (status != KV_OK && !(damaged && has_sidecar(path)))
        return kv_fail_in(err, status, "%s", path);
    if (head.kind == KV_HEAD_AGE || (damaged && has_sidecar(path)))
        return open_age(drill, in, path, key, ret_how, err);
    return head.kind == KV_HEAD_CMS ? open_cms(drill, path, ret_how, err)
                                    : kv_fail(err, KV_BAD_DATA, "%s: it is no backup any more", path);
}
