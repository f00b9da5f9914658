#include "pipeline.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* ---- reading ---- */

static enum kv_status read_plain(const struct kv_age_stream *stream, const struct iovec *to, int count,
                                 ssize_t *ret, struct kv_error *err)
{
    *ret = readv(stream->in, to, count);
    return *ret >= 0 || errno == EINTR || errno == EAGAIN
               ? KV_OK
               : kv_fail(err, KV_INPUT, "%s: cannot be read: %m", stream->in_name);
}

/* The next of the text, to what it holds; that may be nothing, when it is less than a line. */
static enum kv_status read_text(const struct kv_age_stream *stream, struct kv_error *err)
{
    enum { PIECE = 64 * 1024 };
    KV_AUTO_BYTES struct kv_bytes room = { 0 };
    ssize_t got = 0;
    if (kv_bytes_alloc(PIECE, &room) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    struct iovec to = { room.data, room.len };
    KV_TRY(read_plain(stream, &to, 1, &got, err));
    if (got < 0)
        return KV_OK;
    return kv_age_armor_take(stream->armor_in, (struct kv_view){ room.data, (size_t)got }, !got, err);
}

static bool is_armored(const struct kv_age_stream *stream)
{
    return stream->armor_in && stream->armor_in->on;
}

static size_t held(const struct kv_age_armor_reader *armor)
{
    return armor->bytes.len - armor->at;
}

bool kv_age_stream_has(const struct kv_age_stream *stream)
{
    return is_armored(stream) && (held(stream->armor_in) || stream->armor_in->ended);
}

static ssize_t hand_over(struct kv_age_armor_reader *armor, const struct iovec *to, int count)
{
    size_t done = 0;
    for (int i = 0; i < count && held(armor); i++) {
        size_t len = held(armor) < to[i].iov_len ? held(armor) : to[i].iov_len;
        memcpy(to[i].iov_base, armor->bytes.data + armor->at, len);
        armor->at += len;
        done += len;
    }
    return (ssize_t)done;
}

enum kv_status kv_age_stream_read(const struct kv_age_stream *stream, const struct iovec *to, int count,
                                  ssize_t *ret, struct kv_error *err)
{
    if (!is_armored(stream))
        return read_plain(stream, to, count, ret, err);
    if (!kv_age_stream_has(stream))
        KV_TRY(read_text(stream, err));
    *ret = kv_age_stream_has(stream) ? hand_over(stream->armor_in, to, count) : -1;
    return KV_OK;
}

enum kv_status kv_age_stream_wait(const struct kv_age_stream *stream, const struct iovec *to, int count,
                                  ssize_t *ret, struct kv_error *err)
{
    for (;;) {
        errno = 0;
        KV_TRY(kv_age_stream_read(stream, to, count, ret, err));
        struct pollfd fd = { stream->in, POLLIN, 0 };
        if (*ret >= 0)
            return KV_OK;
        if (errno == EAGAIN)
            (void)poll(&fd, 1, -1);
    }
}

enum kv_status kv_age_stream_take(struct kv_age_stream *stream, unsigned char *ret, size_t len,
                                  struct kv_error *err)
{
    size_t done = stream->ahead.len < len ? stream->ahead.len : len;
    if (done)
        memcpy(ret, stream->ahead.data, done);
    stream->ahead = (struct kv_view){ stream->ahead.data + done, stream->ahead.len - done };
    while (done < len) {
        const struct iovec to = { ret + done, len - done };
        ssize_t got = 0;
        KV_TRY(kv_age_stream_wait(stream, &to, 1, &got, err));
        if (!got)
            return kv_fail(err, KV_BAD_DATA, "the file ends behind its header: it was cut off");
        done += (size_t)got;
    }
    return KV_OK;
}

/* ---- writing ---- */

static enum kv_status write_plain(const struct kv_age_stream *stream, struct iovec *from, int count,
                                  struct kv_error *err)
{
    while (count) {
        ssize_t put = writev(stream->out, from, count);
        if (put < 0 && errno == EAGAIN) {
            struct pollfd fd = { stream->out, POLLOUT, 0 };
            (void)poll(&fd, 1, -1);
        }
        if (put < 0 && errno != EINTR && errno != EAGAIN)
            return kv_fail(err, KV_IO, "%s: cannot be written: %m", stream->out_name);
        for (; put > 0 && count && (size_t)put >= from->iov_len; from++, count--)
            put -= (ssize_t)from->iov_len;
        if (put > 0)
            *from = (struct iovec){ (char *)from->iov_base + put, from->iov_len - (size_t)put };
    }
    return KV_OK;
}

static enum kv_status write_text(const struct kv_age_stream *stream, struct kv_view text,
                                 struct kv_error *err)
{
    struct iovec from = { (void *)text.data, text.len };
    return text.len ? write_plain(stream, &from, 1, err) : KV_OK;
}

enum kv_status kv_age_stream_write(const struct kv_age_stream *stream, struct iovec *from, int count,
                                   struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    enum kv_status status = KV_OK;
    if (!stream->armor_out)
        return write_plain(stream, from, count, err);
    for (int i = 0; i < count && status == KV_OK; i++)
        status =
            kv_age_armor_put(stream->armor_out, (struct kv_view){ from[i].iov_base, from[i].iov_len }, &text);
    return status == KV_OK ? write_text(stream, KV_VIEW(text.bytes), err)
                           : kv_fail(err, status, "out of memory");
}

enum kv_status kv_age_stream_put(const struct kv_age_stream *stream, struct kv_view bytes,
                                 struct kv_error *err)
{
    struct iovec from = { (void *)bytes.data, bytes.len };
    return kv_age_stream_write(stream, &from, 1, err);
}

enum kv_status kv_age_stream_end(const struct kv_age_stream *stream, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    if (!stream->armor_out)
        return KV_OK;
    enum kv_status status = kv_age_armor_end(stream->armor_out, &text);
    return status == KV_OK ? write_text(stream, KV_VIEW(text.bytes), err)
                           : kv_fail(err, status, "out of memory");
}
