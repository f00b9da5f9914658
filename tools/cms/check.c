#include "check.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include "base/ossl.h"
#include "cipher.h"

enum { BLOCK = 16, BITS = 8 };

/* A polynomial of degree under 128, as GCM has it: the first bit of the first byte is x^0. */
struct element {
    uint64_t high, low;
};

struct kv_cms_check {
    EVP_CIPHER_CTX *context; /* GMAC under the content's key and nonce */
    struct kv_view nonce;
    struct kv_cms_content content;
    size_t piece;
    struct element h, mask;   /* E(0), and what is added to every tag */
    struct element per_piece; /* h to the number of blocks of a whole piece */
    struct element sum;       /* of the pieces so far, times h */
    uint64_t length;
    bool ended; /* the last piece was short */
    unsigned char (*tags)[BLOCK];
    size_t count, room, confirmed;
};

/* --- the field, without a branch or an index that depends on a secret --- */
static struct element load(const unsigned char bytes[BLOCK])
{
    struct element ret = { 0, 0 };
    for (size_t i = 0; i < BLOCK / 2; i++) {
        ret.high = ret.high << BITS | bytes[i];
        ret.low = ret.low << BITS | bytes[BLOCK / 2 + i];
    }
    return ret;
}

static void store(struct element from, unsigned char ret[BLOCK])
{
    for (size_t i = 0; i < BLOCK / 2; i++) {
        ret[i] = (unsigned char)(from.high >> (56 - BITS * i));
        ret[BLOCK / 2 + i] = (unsigned char)(from.low >> (56 - BITS * i));
    }
}

static struct element add(struct element a, struct element b)
{
    return (struct element){ a.high ^ b.high, a.low ^ b.low };
}

/* SP 800-38D §6.3. */
static struct element multiply(struct element a, struct element b)
{
    struct element sum = { 0, 0 };
    for (unsigned i = 0; i < 2 * 64; i++) {
        uint64_t bit = (i < 64 ? a.high >> (63 - i) : a.low >> (127 - i)) & 1, carry = b.low & 1;
        sum.high ^= b.high & -bit;
        sum.low ^= b.low & -bit;
        b.low = b.low >> 1 | b.high << 63;
        b.high = b.high >> 1 ^ (UINT64_C(0xe1) << 56 & -carry);
    }
    return sum;
}

static struct element power(struct element base, uint64_t exponent)
{
    struct element ret = { UINT64_C(1) << 63, 0 };
    for (; exponent; exponent >>= 1) {
        if (exponent & 1)
            ret = multiply(ret, base);
        base = multiply(base, base);
    }
    return ret;
}

static uint64_t blocks(uint64_t length)
{
    return length / BLOCK + (length % BLOCK != 0);
}

/* --- pieces --- */
static enum kv_status broken(struct kv_error *err)
{
    return kv_fail(err, KV_INTERNAL, "OpenSSL failed");
}

/* Of bytes as if they were all that a tag covers. */
static bool tag_of(struct kv_cms_check *check, struct kv_view bytes, unsigned char ret[BLOCK])
{
    int len = 0;
    return EVP_CipherInit_ex2(check->context, NULL, NULL, check->nonce.data, 1, NULL) == 1 &&
           (!bytes.len || EVP_CipherUpdate(check->context, NULL, &len, bytes.data, (int)bytes.len) == 1) &&
           EVP_CipherFinal_ex(check->context, ret, &len) == 1 &&
           EVP_CIPHER_CTX_ctrl(check->context, EVP_CTRL_AEAD_GET_TAG, BLOCK, ret) == 1;
}

/* The polynomial of these bytes times h, taken out of their tag: without the mask and the block with their length. */
static struct element bare(const struct kv_cms_check *check, const unsigned char tag[BLOCK], uint64_t length)
{
    struct element lengths = { length * BITS, 0 };
    return add(add(load(tag), check->mask), multiply(lengths, check->h));
}

static bool prepare(struct kv_cms_check *check, struct kv_view key)
{
    static const unsigned char zeros[BLOCK];
    unsigned char h[BLOCK], mask[BLOCK];
    check->context = kv_cms_gcm_start(&check->content, key);
    bool good =
        check->context && kv_cms_block(key, zeros, h) && tag_of(check, (struct kv_view){ zeros, 0 }, mask);
    check->h = load(h);
    check->mask = load(mask); /* the tag of nothing is nothing but the mask */
    check->per_piece = power(check->h, check->piece / BLOCK);
    kv_wipe(h, sizeof(h));
    kv_wipe(mask, sizeof(mask));
    return good;
}

enum kv_status kv_cms_check_new(const struct kv_cms_content *content, struct kv_view key, size_t piece,
                                struct kv_cms_check **ret, struct kv_error *err)
{
    KV_AUTO_CMS_CHECK struct kv_cms_check *check = calloc(1, sizeof(*check));
    if (!check)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    check->content = *content;
    check->nonce = (struct kv_view){ check->content.nonce, content->nonce_len };
    check->piece = piece;
    if (!prepare(check, key))
        return broken(err);
    *ret = kv_take(check);
    return KV_OK;
}

void kv_cms_check_free(struct kv_cms_check *check)
{
    if (!check)
        return;
    EVP_CIPHER_CTX_free(check->context);
    if (check->tags)
        kv_wipe(check->tags, check->count * sizeof(*check->tags));
    free(check->tags);
    kv_wipe(check, sizeof(*check));
    free(check);
}

static enum kv_status make_room(struct kv_cms_check *check, struct kv_error *err)
{
    if (check->count < check->room)
        return KV_OK;
    size_t room = check->room ? 2 * check->room : 64;
    void *tags = reallocarray(check->tags, room, sizeof(*check->tags));
    if (!tags)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    check->tags = tags;
    check->room = room;
    return KV_OK;
}

enum kv_status kv_cms_check_add(struct kv_cms_check *check, struct kv_view piece, struct kv_error *err)
{
    if (check->ended || piece.len > check->piece)
        return kv_fail(err, KV_INTERNAL, "a piece behind the last one");
    check->length += piece.len;
    if (check->length > KV_CMS_GCM_MAX)
        return kv_fail(err, KV_DATA_LENGTH, "the content is longer than AES-GCM can protect (64 GiB)");
    KV_TRY(make_room(check, err));
    unsigned char *tag = check->tags[check->count++];
    if (!tag_of(check, piece, tag))
        return broken(err);
    check->ended = piece.len < check->piece;
    struct element shift = check->ended ? power(check->h, blocks(piece.len)) : check->per_piece;
    check->sum = add(multiply(check->sum, shift), bare(check, tag, piece.len));
    return KV_OK;
}

enum kv_status kv_cms_check_tag(struct kv_cms_check *check, struct kv_view covered, struct kv_view tag,
                                struct kv_error *err)
{
    unsigned char of_covered[BLOCK], computed[BLOCK];
    if (!tag_of(check, covered, of_covered))
        return broken(err);
    struct element front =
        multiply(bare(check, of_covered, covered.len), power(check->h, blocks(check->length)));
    struct element lengths = { covered.len * BITS, check->length * BITS };
    struct element all = add(add(front, check->sum), add(multiply(lengths, check->h), check->mask));
    store(all, computed);
    return tag.len <= BLOCK && kv_view_equal_ct((struct kv_view){ computed, tag.len }, tag)
               ? KV_OK
               : kv_cms_not_authentic(err);
}

enum kv_status kv_cms_check_confirm(struct kv_cms_check *check, struct kv_view piece, bool last,
                                    struct kv_error *err)
{
    unsigned char tag[BLOCK];
    size_t number = check->confirmed++;
    bool known = number < check->count && last == (number == check->count - 1);
    if (known && !tag_of(check, piece, tag))
        return broken(err);
    return known && kv_view_equal_ct((struct kv_view){ tag, BLOCK },
                                     (struct kv_view){ check->tags[number], BLOCK })
               ? KV_OK
               : kv_fail(
                     err, KV_BAD_CIPHERTEXT,
                     "the file was changed while it was read: it is not the content that was authenticated");
}
