#include "base/bytes.h"

#include <stdio.h>
#include <string.h>
#include "base/locked.h"

enum { FIRST_ROOM = 256 };

static enum kv_status give_up(struct kv_buffer *buffer)
{
    buffer->failed = true;
    return buffer->limit ? KV_DATA_LENGTH : KV_NO_MEMORY;
}

/* Makes room for `more` bytes and the NUL. A fresh block and a wipe, not realloc: that would leave a copy of
 * secrets behind. */
static enum kv_status reserve(struct kv_buffer *buffer, size_t more)
{
    size_t need, room = buffer->room ? buffer->room : FIRST_ROOM;

    if (buffer->failed || __builtin_add_overflow(buffer->bytes.len, more, &need) || need > SIZE_MAX / 4 ||
        (buffer->limit && need > buffer->limit))
        return give_up(buffer);
    if (need < buffer->room)
        return KV_OK;
    while (room <= need)
        room *= 2;
    unsigned char *data = buffer->locked ? kv_locked_alloc(room) : malloc(room);
    if (!data) {
        buffer->failed = true;
        return KV_NO_MEMORY;
    }
    if (buffer->bytes.len)
        memcpy(data, buffer->bytes.data, buffer->bytes.len);
    size_t len = buffer->bytes.len;
    kv_bytes_free(&buffer->bytes);
    buffer->bytes = (struct kv_bytes){ data, len, buffer->locked };
    buffer->room = room;
    return KV_OK;
}

enum kv_status kv_buffer_add(struct kv_buffer *buffer, struct kv_view more)
{
    KV_TRY(reserve(buffer, more.len));
    if (more.len)
        memcpy(buffer->bytes.data + buffer->bytes.len, more.data, more.len);
    buffer->bytes.len += more.len;
    buffer->bytes.data[buffer->bytes.len] = '\0';
    return KV_OK;
}

enum kv_status kv_buffer_format(struct kv_buffer *buffer, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    enum kv_status status = len < 0 ? give_up(buffer) : reserve(buffer, (size_t)len);
    if (!status) {
        vsnprintf((char *)buffer->bytes.data + buffer->bytes.len, (size_t)len + 1, format, again);
        buffer->bytes.len += (size_t)len;
    }
    va_end(again);
    va_end(args);
    return status;
}

void kv_buffer_free(struct kv_buffer *buffer)
{
    if (!buffer)
        return;
    kv_bytes_free(&buffer->bytes);
    *buffer = (struct kv_buffer){ 0 };
}
