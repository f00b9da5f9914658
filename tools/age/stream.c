#include "pipeline.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum kv_status kv_age_stream_unread(const struct kv_age_stream *stream, struct kv_error *err)
{
    return kv_fail(err, KV_INPUT, "%s: cannot be read: %m", stream->in_name);
}

enum kv_status kv_age_stream_write(const struct kv_age_stream *stream, struct iovec *from, int count,
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

enum kv_status kv_age_stream_take(struct kv_age_stream *stream, unsigned char *ret, size_t len,
                                  struct kv_error *err)
{
    size_t done = stream->ahead.len < len ? stream->ahead.len : len;
    if (done)
        memcpy(ret, stream->ahead.data, done);
    stream->ahead = (struct kv_view){ stream->ahead.data + done, stream->ahead.len - done };
    while (done < len) {
        ssize_t got = read(stream->in, ret + done, len - done);
        if (got < 0 && errno == EAGAIN) {
            struct pollfd fd = { stream->in, POLLIN, 0 };
            (void)poll(&fd, 1, -1);
        } else if (got < 0 && errno != EINTR) {
            return kv_age_stream_unread(stream, err);
        } else if (!got) {
            return kv_fail(err, KV_BAD_DATA, "%s: ends behind its header: it was cut off", stream->in_name);
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return KV_OK;
}

enum kv_status kv_age_stream_put(const struct kv_age_stream *stream, struct kv_view bytes,
                                 struct kv_error *err)
{
    struct iovec from = { (void *)bytes.data, bytes.len };
    return kv_age_stream_write(stream, &from, 1, err);
}
