/* base64 in both alphabets, and byte strings. */
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include "crypto.h"
#include "material.h"

static const char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char std_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool em_blob_make(struct em_blob *ret, size_t len)
{
    unsigned char *data = calloc(1, len + 1);
    if (!data)
        return false;
    *ret = (struct em_blob){ data, len };
    return true;
}

void em_blob_free(struct em_blob *blob)
{
    if (!blob)
        return;
    if (blob->data)
        OPENSSL_cleanse(blob->data, blob->len);
    free(blob->data);
    *blob = (struct em_blob){ 0 };
}

bool em_random(unsigned char *out, size_t len)
{
    return RAND_bytes(out, (int)len) == 1;
}

static char *encode(const char *alphabet, bool pad, const unsigned char *data, size_t len)
{
    char *text = malloc(len / 3 * 4 + 5), *out = text;
    if (!text)
        return NULL;
    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        unsigned group = (unsigned)data[i] << 16;
        group |= have > 1 ? (unsigned)data[i + 1] << 8 : 0;
        group |= have > 2 ? data[i + 2] : 0;
        for (size_t k = 0; k < 4; k++) {
            if (k <= have)
                *out++ = alphabet[group >> (18 - 6 * k) & 63];
            else if (pad)
                *out++ = '=';
        }
    }
    *out = '\0';
    return text;
}

/* A last group of one character, or one whose unused bits are set, is no encoding of anything. */
static bool decode(const char *alphabet, const char *text, size_t len, struct em_blob *ret)
{
    EM_AUTO_BLOB blob = { 0 };
    if (len % 4 == 1 || !em_blob_make(&blob, len / 4 * 3 + (len % 4 ? len % 4 - 1 : 0)))
        return false;
    unsigned group = 0, bits = 0;
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        const char *at = memchr(alphabet, text[i], 64);
        if (!at)
            return false;
        group = group << 6 | (unsigned)(at - alphabet);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            blob.data[used++] = (unsigned char)(group >> bits);
            group &= (1U << bits) - 1;
        }
    }
    if (group)
        return false;
    *ret = blob;
    blob = (struct em_blob){ 0 };
    return true;
}

/* Length without the padding, SIZE_MAX where the padding is wrong. */
static size_t unpadded(const char *text, bool padding_required)
{
    size_t len = strlen(text), pad = 0;
    while (pad < len && pad < 3 && text[len - 1 - pad] == '=')
        pad++;
    bool needed = padding_required || pad > 0;
    return pad > 2 || (needed && len % 4 != 0) ? SIZE_MAX : len - pad;
}

char *em_base64url(const unsigned char *data, size_t len)
{
    return encode(url_alphabet, false, data, len);
}

char *em_base64(const unsigned char *data, size_t len)
{
    return encode(std_alphabet, true, data, len);
}

bool em_unbase64url(const char *text, struct em_blob *ret)
{
    size_t len = unpadded(text, false);
    return len != SIZE_MAX && decode(url_alphabet, text, len, ret);
}

bool em_unbase64(const char *text, struct em_blob *ret)
{
    size_t len = unpadded(text, true);
    return len != SIZE_MAX && decode(std_alphabet, text, len, ret);
}
