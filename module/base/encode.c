#include "base/encode.h"

/* Keys and tokens pass through here, so base64 is computed instead of looked up: no memory address depends
 * on a secret. */

static const char *const url_marks = "-_";
static const char *const plain_marks = "+/";

/* All ones when lo ≤ c ≤ hi, else 0. */
static int in_range(int c, int lo, int hi)
{
    return ((lo - 1 - c) & (c - hi - 1)) >> 31;
}

static char letter(int v, const char *marks)
{
    return (char)((in_range(v, 0, 25) & (v + 'A')) | (in_range(v, 26, 51) & (v - 26 + 'a')) |
                  (in_range(v, 52, 61) & (v - 52 + '0')) | (in_range(v, 62, 62) & marks[0]) |
                  (in_range(v, 63, 63) & marks[1]));
}

/* Four letters side by side, 16 bits each, so that one pass of arithmetic serves them all: replies are decoded on the way of every remote
 * operation. */
#define LANES(x) ((uint64_t)(x)*0x0001000100010001u)

/* All ones in the lanes with lo ≤ c ≤ hi. A lane holds a byte, so nothing carries into its neighbour. */
static uint64_t lanes_in_range(uint64_t c, unsigned lo, unsigned hi)
{
    uint64_t reached = c + LANES(0x8000 - lo), passed = c + LANES(0x8000 - hi - 1);

    return ((reached & ~passed & LANES(0x8000)) >> 15) * 0xffff;
}

/* The six bits of each letter; a lane that holds no letter is all ones in *bad. */
static uint64_t sextets(uint64_t c, const char *marks, uint64_t *bad)
{
    uint64_t upper = lanes_in_range(c, 'A', 'Z'), lower = lanes_in_range(c, 'a', 'z');
    uint64_t digit = lanes_in_range(c, '0', '9');
    uint64_t first = lanes_in_range(c, (unsigned char)marks[0], (unsigned char)marks[0]);
    uint64_t second = lanes_in_range(c, (unsigned char)marks[1], (unsigned char)marks[1]);

    *bad |= ~(upper | lower | digit | first | second);
    return ((c & upper) - (upper & LANES('A'))) | ((c & lower) - (lower & LANES('a' - 26))) |
           ((c & digit) + (digit & LANES(52 - '0'))) | (first & LANES(62)) | (second & LANES(63));
}

/* Up to four letters, as many as there are, to 24 bits from the top; what is missing counts as zero bits. */
static unsigned decode_group(const unsigned char *text, size_t count, const char *marks, uint64_t *bad)
{
    uint64_t letters = 0;

    for (size_t i = 0; i < 4; i++)
        letters = letters << 16 | (i < count ? text[i] : 'A');
    uint64_t bits = sextets(letters, marks, bad);
    return (unsigned)(bits >> 48 << 18 | (bits >> 32 & 63) << 12 | (bits >> 16 & 63) << 6 | (bits & 63));
}

static char *encode(struct kv_view bytes, const char *marks, bool padded)
{
    char *text = bytes.len < SIZE_MAX / 2 ? malloc(bytes.len / 3 * 4 + 5) : NULL, *to = text;

    if (!text)
        return NULL;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        unsigned bits = (unsigned)bytes.data[i] << 16;
        bits |= left > 1 ? (unsigned)bytes.data[i + 1] << 8 : 0;
        bits |= left > 2 ? bytes.data[i + 2] : 0;
        for (size_t j = 0; j < 4; j++) {
            if (j <= left)
                *to++ = letter((int)(bits >> (18 - 6 * j) & 63), marks);
            else if (padded)
                *to++ = '=';
        }
    }
    *to = '\0';
    return text;
}

static enum kv_status decode(struct kv_view text, const char *marks, struct kv_bytes *ret)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    size_t tail = text.len % 4, filled = 0;
    uint64_t bad = 0;
    unsigned bits = 0;

    if (tail == 1)
        return KV_BAD_DATA;
    KV_TRY(kv_bytes_alloc(text.len / 4 * 3 + (tail ? tail - 1 : 0), &bytes));
    for (size_t i = 0; i < text.len; i += 4) {
        bits = decode_group(text.data + i, text.len - i < 4 ? tail : 4, marks, &bad);
        for (unsigned shift = 16; filled < bytes.len; shift -= 8) {
            bytes.data[filled++] = (unsigned char)(bits >> shift);
            if (!shift)
                break;
        }
    }
    /* The last letter of a short group may hold no bits beyond the last byte. */
    unsigned stray = tail == 2 ? bits & 0xffff : tail == 3 ? bits & 0xff : 0;
    if (bad || stray)
        return KV_BAD_DATA;
    *ret = kv_bytes_take(&bytes);
    return KV_OK;
}

char *kv_encode_base64url(struct kv_view bytes)
{
    return encode(bytes, url_marks, false);
}

enum kv_status kv_decode_base64url(const char *text, struct kv_bytes *ret)
{
    return text ? decode(kv_view_text(text), url_marks, ret) : KV_BAD_DATA;
}

char *kv_encode_base64(struct kv_view bytes)
{
    return encode(bytes, plain_marks, true);
}

enum kv_status kv_decode_base64(const char *text, struct kv_bytes *ret)
{
    struct kv_view view = kv_view_text(text);

    if (!text || view.len % 4)
        return KV_BAD_DATA;
    for (int i = 0; i < 2 && view.len && view.data[view.len - 1] == '='; i++)
        view.len--;
    return decode(view, plain_marks, ret);
}

char *kv_encode_base64_raw(struct kv_view bytes)
{
    return encode(bytes, plain_marks, false);
}

enum kv_status kv_decode_base64_raw(const char *text, struct kv_bytes *ret)
{
    return text ? decode(kv_view_text(text), plain_marks, ret) : KV_BAD_DATA;
}

void kv_encode_hex(struct kv_view bytes, char *ret)
{
    for (size_t i = 0; i < bytes.len; i++) {
        *ret++ = "0123456789abcdef"[bytes.data[i] >> 4];
        *ret++ = "0123456789abcdef"[bytes.data[i] & 15];
    }
    *ret = '\0';
}

static int nibble(int c)
{
    int digit = in_range(c, '0', '9'), lower = in_range(c, 'a', 'f'), upper = in_range(c, 'A', 'F');

    return (digit & (c - '0')) | (lower & (c - 'a' + 10)) | (upper & (c - 'A' + 10)) |
           ~(digit | lower | upper);
}

enum kv_status kv_decode_hex(const char *text, struct kv_bytes *ret)
{
    struct kv_view view = kv_view_text(text);
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    int bad = 0;

    if (!text || view.len % 2)
        return KV_BAD_DATA;
    KV_TRY(kv_bytes_alloc(view.len / 2, &bytes));
    for (size_t i = 0; i < bytes.len; i++) {
        int high = nibble(view.data[2 * i]), low = nibble(view.data[2 * i + 1]);
        bad |= high | low;
        bytes.data[i] = (unsigned char)((unsigned)high << 4 | ((unsigned)low & 15));
    }
    if (bad < 0)
        return KV_BAD_DATA;
    *ret = kv_bytes_take(&bytes);
    return KV_OK;
}

static bool unreserved(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

char *kv_encode_percent(const char *text)
{
    struct kv_view view = kv_view_text(text);
    char *encoded = view.len < SIZE_MAX / 4 ? malloc(3 * view.len + 1) : NULL, *to = encoded;

    if (!encoded)
        return NULL;
    for (size_t i = 0; i < view.len; i++) {
        unsigned char c = view.data[i];
        if (unreserved(c)) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = "0123456789ABCDEF"[c >> 4];
        *to++ = "0123456789ABCDEF"[c & 15];
    }
    *to = '\0';
    return encoded;
}
