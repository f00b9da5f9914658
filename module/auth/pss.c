#include "pss.h"

#include "base/ossl.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

enum { HASH = 32, SALT = 32 };

static bool hash(struct kv_view data, unsigned char ret[HASH])
{
    size_t len = HASH;
    return EVP_Q_digest(kv_ossl_context(), "SHA256", NULL, data.data, data.len, ret, &len) == 1;
}

/* MGF1 over the seed, onto what stands there. */
static bool mask(const unsigned char seed[HASH], struct kv_bytes *onto)
{
    unsigned char input[HASH + 4], block[HASH];
    memcpy(input, seed, HASH);
    for (size_t i = 0; i < onto->len; i++) {
        size_t counter = i / HASH;
        const unsigned char bytes[4] = { 0, 0, (unsigned char)(counter >> 8), (unsigned char)counter };
        memcpy(input + HASH, bytes, sizeof bytes);
        if (i % HASH == 0 && !hash((struct kv_view){ input, sizeof input }, block))
            return false;
        onto->data[i] ^= block[i % HASH];
    }
    return true;
}

/* H over eight zeroes, the digest and the salt. */
static bool bind(const unsigned char digest[HASH], const unsigned char salt[SALT], unsigned char ret[HASH])
{
    unsigned char input[8 + HASH + SALT] = { 0 };
    memcpy(input + 8, digest, HASH);
    memcpy(input + 8 + HASH, salt, SALT);
    return hash((struct kv_view){ input, sizeof input }, ret);
}

static bool fill(const unsigned char digest[HASH], int bits, struct kv_bytes *block)
{
    unsigned char salt[SALT], bound[HASH];
    struct kv_bytes db = { block->data, block->len - HASH - 1, false };
    if (RAND_bytes_ex(kv_ossl_context(), salt, sizeof salt, 0) != 1 || !bind(digest, salt, bound))
        return false;
    db.data[db.len - SALT - 1] = 1;
    memcpy(db.data + db.len - SALT, salt, SALT);
    if (!mask(bound, &db))
        return false;
    db.data[0] &= (unsigned char)(0xff >> (8 * block->len - (size_t)(bits - 1)));
    memcpy(db.data + db.len, bound, HASH);
    block->data[block->len - 1] = 0xbc;
    return true;
}

enum kv_status kv_pss_encode(const unsigned char digest[32], int bits, struct kv_bytes *ret)
{
    KV_AUTO_BYTES struct kv_bytes whole = { 0 };
    size_t modulus = ((size_t)bits + 7) / 8,
           len = ((size_t)bits + 6) / 8; /* of bits - 1: a byte less at times */
    if (len < HASH + SALT + 2)
        return KV_ARGUMENTS;
    KV_TRY(kv_bytes_alloc(modulus, &whole));
    struct kv_bytes block = { whole.data + modulus - len, len, false };
    struct kv_ossl_guard guard = kv_ossl_enter();
    bool done = fill(digest, bits, &block);
    kv_ossl_leave(&guard);
    if (!done)
        return KV_INTERNAL;
    *ret = kv_bytes_take(&whole);
    return KV_OK;
}
