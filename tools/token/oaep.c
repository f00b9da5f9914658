#include "oaep.h"

#include <string.h>
#include "mech/local.h"

enum { HASH = 32, LEAST = 2 * HASH + 2 };

/* MGF1 (RFC 8017 §B.2.1), over what is there already. */
static enum kv_status mask(struct kv_view seed, unsigned char *over, size_t len)
{
    KV_AUTO_BUFFER struct kv_buffer input = { 0 };
    KV_TRY(kv_buffer_add(&input, seed));
    KV_TRY(kv_buffer_add(&input, (struct kv_view){ (const unsigned char[4]){ 0 }, 4 }));
    for (size_t at = 0; at < len; at += HASH) {
        KV_AUTO_BYTES struct kv_bytes part = { 0 };
        size_t number = at / HASH;
        input.bytes.data[seed.len + 2] = (unsigned char)(number >> 8);
        input.bytes.data[seed.len + 3] = (unsigned char)number;
        KV_TRY(kv_digest_once("SHA2-256", KV_VIEW(input.bytes), &part));
        for (size_t i = 0; i < HASH && at + i < len; i++)
            over[at + i] ^= part.data[i];
    }
    return KV_OK;
}

/* Behind the label's digest: zeroes, a one, the message. *ret is where that begins, 0: it is not so. Every byte is looked at, whatever the others are. */
static size_t message_at(const unsigned char *block, size_t size, struct kv_view digest)
{
    bool good = !block[0] & kv_view_equal_ct(digest, (struct kv_view){ block + 1 + HASH, HASH });
    size_t at = 0;
    for (size_t i = 1 + 2 * HASH; i < size; i++) {
        bool searching = !at;
        at = (searching & (block[i] == 1)) ? i + 1 : at;
        good &= !searching | (block[i] <= 1);
    }
    return good ? at : 0;
}

static enum kv_status unmask(unsigned char *block, size_t size)
{
    unsigned char *seed = block + 1, *rest = block + 1 + HASH;
    size_t len = size - 1 - HASH;
    KV_TRY(mask((struct kv_view){ rest, len }, seed, HASH));
    return mask((struct kv_view){ seed, HASH }, rest, len);
}

enum kv_status kv_token_unpad(struct kv_view block, size_t size, const char *label, struct kv_bytes *ret,
                              struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes whole = { 0 }, digest = { 0 };
    if (size < LEAST || block.len > size)
        return kv_fail(err, KV_BAD_CIPHERTEXT, "what was decrypted is not for this key");
    if (kv_bytes_alloc(size, &whole) != KV_OK ||
        kv_digest_once("SHA2-256", kv_view_text(label), &digest) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    memcpy(whole.data + (size - block.len), block.data, block.len);
    if (unmask(whole.data, size) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    size_t at = message_at(whole.data, size, KV_VIEW(digest));
    if (!at)
        return kv_fail(err, KV_BAD_CIPHERTEXT, "what was decrypted is not for this key");
    return kv_bytes_copy((struct kv_view){ whole.data + at, size - at }, ret) == KV_OK
               ? KV_OK
               : kv_fail(err, KV_NO_MEMORY, "out of memory");
}
