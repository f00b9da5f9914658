#include "file.h"

#include <errno.h>
#include <poll.h>
#include "pipeline.h"

enum { PIECE = 4096 };

/* 0: the end. */
static enum kv_status read_piece(const struct kv_age_stream *stream, struct kv_buffer *text, size_t *ret_len,
                                 struct kv_error *err)
{
    unsigned char piece[PIECE];
    ssize_t got;
    while ((got = read(stream->in, piece, sizeof piece)) < 0) {
        struct pollfd fd = { stream->in, POLLIN, 0 };
        if (errno != EINTR && errno != EAGAIN)
            return kv_age_stream_unread(stream, err);
        if (errno == EAGAIN)
            (void)poll(&fd, 1, -1);
    }
    *ret_len = (size_t)got;
    return kv_buffer_add(text, (struct kv_view){ piece, (size_t)got }) == KV_OK
               ? KV_OK
               : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

enum kv_status kv_age_file_header(struct kv_age_stream *stream, struct kv_age_header *ret,
                                  struct kv_buffer *ret_ahead, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    size_t len = 0, more = 1;
    while (!len && more) {
        KV_TRY(read_piece(stream, &text, &more, err));
        enum kv_status status = kv_age_header_length(KV_VIEW(text.bytes), &len, err);
        if (status != KV_OK)
            return kv_fail_in(err, status, "%s", stream->in_name);
    }
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    enum kv_status status = kv_age_header_parse(KV_VIEW(text.bytes), &header, err);
    if (status != KV_OK)
        return kv_fail_in(err, status, "%s", stream->in_name);
    *ret = header;
    header = (struct kv_age_header){ 0 };
    *ret_ahead = text;
    text = (struct kv_buffer){ 0 };
    stream->ahead = (struct kv_view){ ret_ahead->bytes.data + len, ret_ahead->bytes.len - len };
    return KV_OK;
}
