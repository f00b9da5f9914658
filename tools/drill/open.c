#include "drill.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "age/file.h"
#include "cms/open.h"
#include "cms/recipient.h"
#include "scan/head.h"
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

/* The header as if it had no other stanza than that of this key, so that no other can stand in for it. */
static bool narrow(const struct kv_age_header *header, struct kv_view key, struct kv_age_header *ret)
{
    *ret = *header;
    if (!key.len)
        return true;
    for (size_t i = 0; i < header->count; i++) {
        if (!kv_head_is_for(&header->stanzas[i], key))
            continue;
        ret->stanzas = &header->stanzas[i];
        ret->count = 1;
        return true;
    }
    return false;
}

static enum kv_status open_age(struct kv_drill *drill, int in, const char *path, struct kv_view key,
                               const char **ret_how, struct kv_error *err)
{
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    KV_AUTO_BUFFER struct kv_buffer ahead = { 0 };
    KV_AUTO_FD int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct kv_age_stream stream = { .in = in, .out = out, .in_name = path, .out_name = "/dev/null" };
    struct kv_age_header narrowed;
    unsigned char file_key[KV_AGE_FILE_KEY];
    if (out < 0)
        return kv_fail(err, KV_IO, "/dev/null cannot be opened: %m");
    KV_TRY(kv_age_file_header(&stream, &header, &ahead, err));
    if (!narrow(&header, key, &narrowed))
        return kv_fail(err, KV_BAD_DATA,
                       "%s: its header does not name that version any more: run `kvp11 scan` again", path);
    enum kv_status status = kv_age_header_open(&narrowed, drill->parties->identities,
                                               drill->parties->identity_count, file_key, err);
    if (status == KV_OK)
        status = open_payload(drill, &stream, file_key, ret_how, err);
    kv_wipe(file_key, sizeof(file_key));
    return status;
}

/* --- CMS --- */

static enum kv_status open_cms(struct kv_drill *drill, const char *path, const char **ret_how,
                               struct kv_error *err)
{
    KV_AUTO_CMS_INPUT struct kv_cms_input input = { .fd = -1, .copy = -1 };
    KV_CLEANUP(kv_cms_opening_free) struct kv_cms_opening opening = { 0 };
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    KV_AUTO_BYTES struct kv_bytes content_key = { 0 };
    if (drill->break_glass)
        return kv_fail(err, KV_UNSUPPORTED,
                       "%s: an envelope's break-glass key is a certificate's: drill it with 'openssl cms "
                       "-decrypt'",
                       path);
    KV_TRY(kv_cms_input_open(path, &input, err));
    KV_TRY(kv_cms_open_head(&input, true, &opening, err));
    KV_TRY(kv_cms_recipient_key(drill->tool, &opening.envelope, &content_key, err));
    *ret_how = "key only";
    if (drill->quick)
        return KV_OK;
    KV_TRY(kv_output_open("/dev/null", &output, err));
    *ret_how = opening.envelope.authenticated ? "whole" : "whole, unauthenticated";
    return kv_cms_open_content(&opening, KV_VIEW(content_key), output, err);
}

/* --- which of them --- */

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
    if (status != KV_OK)
        return kv_fail_in(err, status, "%s", path);
    if (head.kind == KV_HEAD_AGE)
        return open_age(drill, in, path, key, ret_how, err);
    return head.kind == KV_HEAD_CMS ? open_cms(drill, path, ret_how, err)
                                    : kv_fail(err, KV_BAD_DATA, "%s: it is no backup any more", path);
}
