#include "base/encode.h"

#include <string.h>

enum { DER_INTEGER = 0x02, DER_SEQUENCE = 0x30, LONG_FORM = 0x80, LENGTH_BYTES = 4 };

/* Writes the length octets (X.690 §8.1.3, §10.1) and returns how many; 0: longer than we ever write. */
static size_t put_length(size_t len, unsigned char ret[LENGTH_BYTES + 1])
{
    size_t count = 0;

    if (len < LONG_FORM) {
        ret[0] = (unsigned char)len;
        return 1;
    }
    while (count < sizeof len && len >> (8 * count))
        count++;
    if (count > LENGTH_BYTES)
        return 0;
    ret[0] = (unsigned char)(LONG_FORM | count);
    for (size_t i = 0; i < count; i++)
        ret[1 + i] = (unsigned char)(len >> (8 * (count - 1 - i)));
    return 1 + count;
}

enum kv_status kv_der_wrap(unsigned char tag, struct kv_view contents, struct kv_bytes *ret)
{
    unsigned char length[LENGTH_BYTES + 1];
    size_t length_size = put_length(contents.len, length);
    struct kv_bytes element;

    if (!length_size)
        return KV_DATA_LENGTH;
    KV_TRY(kv_bytes_alloc(1 + length_size + contents.len, &element));
    element.data[0] = tag;
    memcpy(element.data + 1, length, length_size);
    if (contents.len)
        memcpy(element.data + 1 + length_size, contents.data, contents.len);
    *ret = element;
    return KV_OK;
}

/* Reads the length octets behind the tag: only definite ones, and only in their shortest form (DER). */
static bool get_length(struct kv_view element, size_t *ret_header, size_t *ret_len)
{
    size_t count = 0, len;

    if (element.len < 2)
        return false;
    len = element.data[1];
    if (len >= LONG_FORM) {
        count = len & (LONG_FORM - 1);
        if (!count || count > LENGTH_BYTES || element.len - 2 < count || !element.data[2])
            return false;
        len = 0;
        for (size_t i = 0; i < count; i++)
            len = len << 8 | element.data[2 + i];
        if (len < LONG_FORM)
            return false;
    }
    *ret_header = 2 + count;
    *ret_len = len;
    return true;
}

enum kv_status kv_der_read(struct kv_view *rest, unsigned char tag, struct kv_view *ret_contents)
{
    size_t header, len;

    if (!get_length(*rest, &header, &len) || rest->data[0] != tag || rest->len - header < len)
        return KV_BAD_DATA;
    *ret_contents = (struct kv_view){ rest->data + header, len };
    *rest = (struct kv_view){ rest->data + header + len, rest->len - header - len };
    return KV_OK;
}

enum kv_status kv_der_add(unsigned char tag, struct kv_view contents, struct kv_buffer *ret)
{
    unsigned char header[2 + LENGTH_BYTES] = { tag };
    size_t length_size = put_length(contents.len, header + 1);

    if (!length_size)
        return KV_DATA_LENGTH;
    KV_TRY(kv_buffer_add(ret, (struct kv_view){ header, 1 + length_size }));
    return kv_buffer_add(ret, contents);
}

enum kv_status kv_der_add_unsigned(struct kv_view number, struct kv_buffer *ret)
{
    static const unsigned char zero = 0;
    struct kv_view sign = { &zero, 0 };
    unsigned char header[2 + LENGTH_BYTES] = { DER_INTEGER };

    while (number.len > 1 && !number.data[0])
        number = (struct kv_view){ number.data + 1, number.len - 1 };
    sign.len = !number.len || number.data[0] & 0x80 ? 1 : 0;
    size_t header_len = 1 + put_length(sign.len + number.len, header + 1);
    KV_TRY(kv_buffer_add(ret, (struct kv_view){ header, header_len }));
    KV_TRY(kv_buffer_add(ret, sign));
    return kv_buffer_add(ret, number);
}

enum kv_status kv_ecdsa_to_der(struct kv_view raw, struct kv_bytes *ret)
{
    KV_AUTO_BUFFER struct kv_buffer numbers = { 0 };
    size_t width = raw.len / 2;

    if (!width || raw.len % 2)
        return KV_BAD_DATA;
    KV_TRY(kv_der_add_unsigned((struct kv_view){ raw.data, width }, &numbers));
    KV_TRY(kv_der_add_unsigned((struct kv_view){ raw.data + width, width }, &numbers));
    return kv_der_wrap(DER_SEQUENCE, KV_VIEW(numbers.bytes), ret);
}

/* The other way: right-aligned in `width` bytes that are zero already. */
static enum kv_status get_unsigned(struct kv_view *rest, size_t width, unsigned char *ret)
{
    struct kv_view number;

    KV_TRY(kv_der_read(rest, DER_INTEGER, &number));
    if (!number.len || number.data[0] & 0x80)
        return KV_BAD_DATA;
    if (!number.data[0] && number.len > 1) {
        if (!(number.data[1] & 0x80))
            return KV_BAD_DATA;
        number = (struct kv_view){ number.data + 1, number.len - 1 };
    }
    if (number.len > width)
        return KV_BAD_DATA;
    memcpy(ret + width - number.len, number.data, number.len);
    return KV_OK;
}

enum kv_status kv_ecdsa_from_der(struct kv_view der, size_t width, struct kv_bytes *ret)
{
    KV_AUTO_BYTES struct kv_bytes raw = { 0 };
    struct kv_view numbers;

    KV_TRY(kv_der_read(&der, DER_SEQUENCE, &numbers));
    if (der.len || !width || width > SIZE_MAX / 2)
        return KV_BAD_DATA;
    KV_TRY(kv_bytes_alloc(2 * width, &raw));
    KV_TRY(get_unsigned(&numbers, width, raw.data));
    KV_TRY(get_unsigned(&numbers, width, raw.data + width));
    if (numbers.len)
        return KV_BAD_DATA;
    *ret = kv_bytes_take(&raw);
    return KV_OK;
}
