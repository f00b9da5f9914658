#include "ber.h"

#include <inttypes.h>
#include <stdio.h>
#include "base/encode.h"

enum { LONG_FORM = 0x80, TAG_NUMBER = 0x1f, LENGTH_BYTES = 8 };

void kv_ber_open(struct kv_cms_input *input, struct kv_ber *ret)
{
    *ret = (struct kv_ber){ .input = input, .budget = UINT64_MAX };
}

enum kv_status kv_ber_fail(const struct kv_ber *ber, struct kv_error *err, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return kv_fail(err, KV_BAD_DATA, "'%s' is no envelope that can be read: at byte %" PRIu64 ": %s",
                   ber->input->name, ber->input->position, text);
}

static uint64_t innermost(const struct kv_ber *ber)
{
    return ber->depth ? ber->stack[ber->depth - 1].end : UINT64_MAX;
}

static bool is_indefinite(const struct kv_ber *ber)
{
    return ber->depth && ber->stack[ber->depth - 1].indefinite;
}

static enum kv_status byte(struct kv_ber *ber, unsigned char *ret, struct kv_error *err)
{
    if (ber->input->position == innermost(ber))
        return kv_ber_fail(ber, err, "an element is longer than the one around it");
    if (ber->input->position >= ber->budget)
        return kv_ber_fail(ber, err, "what stands beside the content is longer than is allowed");
    return kv_cms_input_byte(ber->input, ret, err);
}

/* X.690 §8.1.3. Leading zeros are allowed in BER. */
static enum kv_status length(struct kv_ber *ber, struct kv_error *err)
{
    unsigned char first = 0, next = 0;
    KV_TRY(byte(ber, &first, err));
    ber->indefinite = first == LONG_FORM;
    ber->len = first;
    if (ber->indefinite && !(ber->tag & KV_BER_CONSTRUCTED))
        return kv_ber_fail(ber, err, "an indefinite length where no elements can follow");
    if (first > LONG_FORM + LENGTH_BYTES)
        return kv_ber_fail(ber, err, "a length of more than %d bytes", LENGTH_BYTES);
    if (first >= LONG_FORM)
        ber->len = 0;
    for (unsigned i = LONG_FORM; i < first; i++) {
        KV_TRY(byte(ber, &next, err));
        ber->len = ber->len << 8 | next;
    }
    return KV_OK;
}

static enum kv_status fits(struct kv_ber *ber, struct kv_error *err)
{
    uint64_t end = 0;
    if (__builtin_add_overflow(ber->input->position, ber->len, &end) || end > INT64_MAX)
        return kv_ber_fail(ber, err, "a length that no file can have");
    return end <= innermost(ber) ? KV_OK
                                 : kv_ber_fail(ber, err, "an element is longer than the one around it");
}

static enum kv_status at_end(struct kv_ber *ber, bool *ret, struct kv_error *err)
{
    *ret = ber->depth && !is_indefinite(ber) && ber->input->position == innermost(ber);
    return ber->depth ? KV_OK : kv_cms_input_fill(ber->input, ret, err);
}

enum kv_status kv_ber_next(struct kv_ber *ber, struct kv_error *err)
{
    bool end = false;
    ber->tag = KV_BER_END;
    ber->len = 0;
    KV_TRY(at_end(ber, &end, err));
    if (end)
        return KV_OK;
    KV_TRY(byte(ber, &ber->tag, err));
    if ((ber->tag & TAG_NUMBER) == TAG_NUMBER)
        return kv_ber_fail(ber, err, "an identifier of more than one byte");
    KV_TRY(length(ber, err));
    if (ber->tag == KV_BER_END)
        return is_indefinite(ber) && !ber->len && !ber->indefinite
                   ? KV_OK
                   : kv_ber_fail(ber, err, "an end of contents where none can be");
    return fits(ber, err);
}

enum kv_status kv_ber_expect(struct kv_ber *ber, unsigned char tag, const char *what, struct kv_error *err)
{
    KV_TRY(kv_ber_next(ber, err));
    return ber->tag == tag ? KV_OK : kv_ber_fail(ber, err, "%s should stand here", what);
}

enum kv_status kv_ber_enter(struct kv_ber *ber, struct kv_error *err)
{
    if (!(ber->tag & KV_BER_CONSTRUCTED))
        return kv_ber_fail(ber, err, "an element that has no elements");
    if (ber->depth == KV_BER_DEPTH)
        return kv_ber_fail(ber, err, "elements in elements, more than %d deep", KV_BER_DEPTH);
    uint64_t end = ber->indefinite ? innermost(ber) : ber->input->position + ber->len;
    ber->stack[ber->depth].end = end;
    ber->stack[ber->depth++].indefinite = ber->indefinite;
    return KV_OK;
}

void kv_ber_left(struct kv_ber *ber)
{
    ber->depth--;
}

enum kv_status kv_ber_leave(struct kv_ber *ber, const char *what, struct kv_error *err)
{
    KV_TRY(kv_ber_next(ber, err));
    if (ber->tag != KV_BER_END)
        return kv_ber_fail(ber, err, "%s has more in it than it may", what);
    kv_ber_left(ber);
    return KV_OK;
}

static enum kv_status within_budget(struct kv_ber *ber, struct kv_error *err)
{
    return ber->input->position <= ber->budget && ber->len <= ber->budget - ber->input->position
               ? KV_OK
               : kv_ber_fail(ber, err, "what stands beside the content is longer than is allowed");
}

static enum kv_status pass(struct kv_ber *ber, struct kv_error *err)
{
    size_t done = 0;
    KV_TRY(within_budget(ber, err));
    for (; ber->len; ber->len -= done)
        KV_TRY(kv_cms_input_some(ber->input, NULL, ber->len < SIZE_MAX ? (size_t)ber->len : SIZE_MAX, &done,
                                 err));
    return KV_OK;
}

enum kv_status kv_ber_skip(struct kv_ber *ber, struct kv_error *err)
{
    if (!ber->indefinite)
        return pass(ber, err);
    size_t floor = ber->depth;
    KV_TRY(kv_ber_enter(ber, err));
    while (ber->depth > floor) {
        KV_TRY(kv_ber_next(ber, err));
        if (ber->tag == KV_BER_END)
            kv_ber_left(ber);
        else if (ber->indefinite)
            KV_TRY(kv_ber_enter(ber, err));
        else
            KV_TRY(pass(ber, err));
    }
    return KV_OK;
}

enum kv_status kv_ber_stream(struct kv_ber *ber, struct kv_error *err)
{
    ber->floor = ber->depth;
    ber->left = 0;
    if (ber->tag & KV_BER_CONSTRUCTED)
        return kv_ber_enter(ber, err);
    ber->left = ber->len;
    return KV_OK;
}

/* The next segment of a string in segments, which may have segments themselves (X.690 §8.7.3). */
static enum kv_status segment(struct kv_ber *ber, struct kv_error *err)
{
    KV_TRY(kv_ber_next(ber, err));
    if (ber->tag == KV_BER_END) {
        kv_ber_left(ber);
        return KV_OK;
    }
    if (ber->tag == (KV_BER_OCTETS | KV_BER_CONSTRUCTED))
        return kv_ber_enter(ber, err);
    if (ber->tag != KV_BER_OCTETS)
        return kv_ber_fail(ber, err, "something else among the segments of a string");
    ber->left = ber->len;
    return KV_OK;
}

enum kv_status kv_ber_stream_read(struct kv_ber *ber, unsigned char *to, size_t room, size_t *ret,
                                  struct kv_error *err)
{
    size_t len = 0, done = 0;
    while (len < room && (ber->left || ber->depth > ber->floor)) {
        if (!ber->left) {
            KV_TRY(segment(ber, err));
            continue;
        }
        size_t want = ber->left < room - len ? (size_t)ber->left : room - len;
        KV_TRY(kv_cms_input_some(ber->input, to + len, want, &done, err));
        ber->left -= done;
        len += done;
    }
    *ret = len;
    return KV_OK;
}

enum kv_status kv_ber_bytes(struct kv_ber *ber, size_t limit, struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer all = { .limit = limit + 1 };
    unsigned char part[512];
    size_t len = sizeof(part);
    if (!(ber->tag & KV_BER_CONSTRUCTED) && ber->len > limit)
        return kv_ber_fail(ber, err, "an element of %" PRIu64 " bytes where at most %zu are expected",
                           ber->len, limit);
    KV_TRY(within_budget(ber, err));
    KV_TRY(kv_ber_stream(ber, err));
    while (len == sizeof(part)) {
        KV_TRY(kv_ber_stream_read(ber, part, sizeof(part), &len, err));
        if (all.bytes.len + len > limit)
            return kv_ber_fail(ber, err, "an element of more than %zu bytes", limit);
        if (kv_buffer_add(&all, (struct kv_view){ part, len }) != KV_OK)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    return kv_bytes_copy(KV_VIEW(all.bytes), ret);
}

enum kv_status kv_ber_whole(struct kv_ber *ber, size_t limit, struct kv_bytes *ret, struct kv_error *err)
{
    unsigned char tag = ber->tag;
    KV_AUTO_BYTES struct kv_bytes contents = { 0 };
    if (ber->indefinite)
        return kv_ber_fail(ber, err, "an element that must be in DER has no definite length");
    ber->tag &= (unsigned char)~KV_BER_CONSTRUCTED; /* its contents as they are */
    KV_TRY(kv_ber_bytes(ber, limit, &contents, err));
    return kv_der_wrap(tag, KV_VIEW(contents), ret) == KV_OK ? KV_OK
                                                             : kv_fail(err, KV_NO_MEMORY, "out of memory");
}
