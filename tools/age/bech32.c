#include "bech32.h"

#include <string.h>

enum { CHECKSUM = 6, BITS = 5 };

static const char letters[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char upper_of(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* --- the checksum: a BCH code over GF(32) --- */
static uint32_t feed(uint32_t sum, unsigned value)
{
    static const uint32_t generator[BITS] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3 };
    uint32_t top = sum >> 25;

    sum = (sum & 0x1ffffff) << BITS ^ value;
    for (unsigned i = 0; i < BITS; i++)
        sum ^= top >> i & 1 ? generator[i] : 0;
    return sum;
}

static uint32_t feed_prefix(const char *hrp, size_t len)
{
    uint32_t sum = 1;

    for (size_t i = 0; i < len; i++)
        sum = feed(sum, (unsigned char)lower(hrp[i]) >> BITS);
    sum = feed(sum, 0);
    for (size_t i = 0; i < len; i++)
        sum = feed(sum, (unsigned char)lower(hrp[i]) & 31);
    return sum;
}

/* --- encoding --- */
static bool is_prefix(const char *hrp, size_t len)
{
    if (!len || len > KV_BECH32_HRP_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (hrp[i] < 33 || hrp[i] > 126 || lower(hrp[i]) != hrp[i])
            return false;
    }
    return true;
}

/* Each group of five bits, from the top, zero bits at the end; the checksum goes along. */
static char *put_data(char *to, struct kv_view data, uint32_t *sum)
{
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t i = 0; i < data.len || count; i++) {
        if (i < data.len) {
            bits = bits << 8 | data.data[i];
            count += 8;
        } else {
            bits <<= BITS - count;
            count = BITS;
        }
        for (; count >= BITS; count -= BITS) {
            unsigned value = bits >> (count - BITS) & 31;
            *sum = feed(*sum, value);
            *to++ = letters[value];
        }
    }
    return to;
}

char *kv_bech32_encode(const char *hrp, struct kv_view data, bool upper)
{
    size_t len = strlen(hrp);
    if (!is_prefix(hrp, len) || data.len > KV_BECH32_TEXT_MAX)
        return NULL;
    size_t size = len + 1 + (data.len * 8 + BITS - 1) / BITS + CHECKSUM;
    char *text = size <= KV_BECH32_TEXT_MAX ? malloc(size + 1) : NULL, *to = text;
    if (!text)
        return NULL;
    uint32_t sum = feed_prefix(hrp, len);
    memcpy(to, hrp, len);
    to += len;
    *to++ = '1';
    to = put_data(to, data, &sum);
    for (int i = 0; i < CHECKSUM; i++)
        sum = feed(sum, 0);
    sum ^= 1;
    for (int i = CHECKSUM - 1; i >= 0; i--)
        *to++ = letters[sum >> (BITS * i) & 31];
    *to = '\0';
    for (char *c = text; upper && *c; c++)
        *c = upper_of(*c);
    return text;
}

/* --- decoding --- */
static bool is_one_case(const char *text)
{
    bool small = false, large = false;

    for (; *text; text++) {
        if (*text < 33 || *text > 126)
            return false;
        small |= *text >= 'a' && *text <= 'z';
        large |= *text >= 'A' && *text <= 'Z';
    }
    return !(small && large);
}

/* Letters to values, in place; false: a letter that is none, or a checksum that is wrong. */
static bool read_values(uint32_t sum, const char *text, size_t len, unsigned char *ret)
{
    for (size_t i = 0; i < len; i++) {
        const char *found = memchr(letters, lower(text[i]), sizeof(letters) - 1);
        if (!found)
            return false;
        ret[i] = (unsigned char)(found - letters);
        sum = feed(sum, ret[i]);
    }
    return sum == 1;
}

static enum kv_status join_bits(struct kv_view values, struct kv_bytes *ret)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    uint32_t bits = 0;
    unsigned count = 0;
    size_t filled = 0;

    KV_TRY(kv_bytes_alloc(values.len * BITS / 8, &bytes));
    for (size_t i = 0; i < values.len; i++) {
        bits = bits << BITS | values.data[i];
        count += BITS;
        if (count >= 8) {
            count -= 8;
            bytes.data[filled++] = (unsigned char)(bits >> count);
        }
    }
    /* What is left over is padding: less than a group, and nothing but zeroes. */
    if (count >= BITS || bits & ((1u << count) - 1))
        return KV_BAD_DATA;
    *ret = kv_bytes_take(&bytes);
    return KV_OK;
}

enum kv_status kv_bech32_decode(const char *text, char *ret_hrp, size_t hrp_size, struct kv_bytes *ret)
{
    const char *separator = strrchr(text, '1');
    size_t len = strlen(text), hrp_len = separator ? (size_t)(separator - text) : 0;
    if (len > KV_BECH32_TEXT_MAX || !hrp_len || hrp_len > KV_BECH32_HRP_MAX || hrp_len >= hrp_size ||
        len - hrp_len - 1 < CHECKSUM || !is_one_case(text))
        return KV_BAD_DATA;
    KV_AUTO_BYTES struct kv_bytes values = { 0 };
    KV_TRY(kv_bytes_alloc(len - hrp_len - 1, &values));
    if (!read_values(feed_prefix(text, hrp_len), separator + 1, values.len, values.data))
        return KV_BAD_DATA;
    KV_TRY(join_bits((struct kv_view){ values.data, values.len - CHECKSUM }, ret));
    for (size_t i = 0; i < hrp_len; i++)
        ret_hrp[i] = lower(text[i]);
    ret_hrp[hrp_len] = '\0';
    return KV_OK;
}
