#include "opening.h"

#include <unistd.h>

void kv_age_opening_free(struct kv_age_opening *opening)
{
    kv_age_header_free(&opening->own);
    kv_buffer_free(&opening->ahead);
    kv_age_armor_reader_free(&opening->armor);
    kv_age_sidecar_free(&opening->side);
}

/* ---- reading ---- */

static void read_side(const char *path, struct kv_age_opening *opening)
{
    enum kv_status status = kv_age_sidecar_read(path, &opening->side, &opening->passed);
    opening->passed.status = status == KV_NOT_FOUND ? KV_OK : status;
    if (status != KV_OK)
        return;
    if (opening->side.stays && !kv_age_sidecar_is_of(&opening->side, KV_VIEW(opening->own.text))) {
        kv_age_sidecar_free(&opening->side);
        opening->passed.status = kv_fail(&opening->passed, KV_BAD_DATA,
                                         "%s: the header beside it is another file's, or out of date", path);
    }
}

void kv_age_opening_read(struct kv_age_stream *stream, const char *path, struct kv_age_opening *ret)
{
    stream->armor_in = &ret->armor;
    ret->own_error.status = kv_age_file_header(stream, &ret->own, &ret->ahead, &ret->own_error);
    if (path)
        read_side(path, ret);
}

/* ---- by whom ---- */

struct asked {
    const struct kv_age_opening *opening;
    struct kv_age_stream *stream;
    const struct kv_age_identity *identities;
    size_t count;
};

static enum kv_status open_own(const struct asked *asked, unsigned char *file_key, struct kv_error *err)
{
    const struct kv_age_opening *opening = asked->opening;
    if (opening->own_error.status == KV_OK)
        return kv_age_header_open(&opening->own, asked->identities, asked->count, file_key, err);
    if (err)
        *err = opening->own_error;
    return opening->own_error.status;
}

/* Behind a header that was being written over, the payload begins where the new one ends, which is as long. */
static enum kv_status open_side(const struct asked *asked, unsigned char *file_key, struct kv_error *err)
{
    const struct kv_age_sidecar *side = &asked->opening->side;
    struct kv_age_stream *stream = asked->stream;
    KV_TRY(kv_age_header_open(&side->header, asked->identities, asked->count, file_key, err));
    if (side->stays)
        return KV_OK;
    if (asked->opening->armor.on)
        return kv_fail(err, KV_BAD_DATA, "the header beside it is of a file without armor");
    if (lseek(stream->in, (off_t)side->header.text.len, SEEK_SET) < 0)
        return kv_fail(err, KV_INPUT, "%s: its payload cannot be reached: %m", stream->in_name);
    stream->ahead = (struct kv_view){ 0 };
    return KV_OK;
}

/* A sidecar that stays is what the file is opened by, as long as that works; one of a change that was cut off is asked only when the file does not open by itself. */
enum kv_status kv_age_opening_key(const struct kv_age_opening *opening, struct kv_age_stream *stream,
                                  const struct kv_age_identity *identities, size_t count,
                                  unsigned char ret_file_key[KV_AGE_FILE_KEY], struct kv_error *err)
{
    const struct asked asked = { opening, stream, identities, count };
    bool sided = opening->side.header.count, side_first = sided && opening->side.stays;
    enum kv_status status =
        side_first ? open_side(&asked, ret_file_key, err) : open_own(&asked, ret_file_key, err);
    if (status == KV_OK || !sided)
        return status;
    struct kv_error why = { 0 };
    enum kv_status second =
        side_first ? open_own(&asked, ret_file_key, &why) : open_side(&asked, ret_file_key, &why);
    return second == KV_OK ? KV_OK : status;
}
