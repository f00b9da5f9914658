#include "check.h"

#include <string.h>
#include "cipher.h"

enum { BLOCK = 16, BITS = 8 };

/* A polynomial of degree under 128, as GCM has it: the first bit of the first byte is x^0. */
struct element {
    uint64_t high, low;
};

struct kv_cms_check {
    struct kv_cms_content content;
    struct kv_view key;
    size_t piece;
    struct element h, mask;   /* E(0), and what is added to every tag */
    struct element per_piece; /* h to the number of blocks of a whole piece */
    struct element sum;       /* of the pieces so far, times h */
    uint64_t length;
    bool ended; /* the last piece was short */
    unsigned char (*marks)[BLOCK];
    size_t count, room;
};

/* --- the field ---
 * h is a secret: whoever knows it can forge. So there is no branch and no index here that depends on an element: a table of multiples, as fast code has it, would tell
 * them to who watches the cache. Bit by bit is fast enough for one product a piece. Exponents are lengths, which everybody sees. */
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

/* --- marks --- */

/* Of bytes as if they were all that a tag covers. */
static enum kv_status tag_of(const struct kv_cms_check *check, struct kv_view bytes, unsigned char ret[BLOCK],
                             struct kv_error *err)
{
    return kv_cms_gmac(&check->content, check->key, bytes, ret, err);
}

/* The polynomial of these bytes times h, taken out of their tag: without the mask and the block with their length. */
static struct element bare(const struct kv_cms_check *check, const unsigned char tag[BLOCK], uint64_t length)
{
    struct element lengths = { length * BITS, 0 };
    return add(add(load(tag), check->mask), multiply(lengths, check->h));
}

static enum kv_status prepare(struct kv_cms_check *check, struct kv_error *err)
{
    unsigned char h[BLOCK], mask[BLOCK];
    enum kv_status status = kv_cms_hash_key(&check->content, check->key, h, err);
    if (status == KV_OK)
        status = tag_of(check, (struct kv_view){ 0 }, mask, err); /* nothing but the mask */
    if (status == KV_OK) {
        check->h = load(h);
        check->mask = load(mask);
        check->per_piece = power(check->h, check->piece / BLOCK);
    }
    kv_wipe(h, sizeof(h));
    kv_wipe(mask, sizeof(mask));
    return status;
}

enum kv_status kv_cms_check_new(const struct kv_cms_content *content, struct kv_view key, size_t piece,
                                struct kv_cms_check **ret, struct kv_error *err)
{
    KV_AUTO_CMS_CHECK struct kv_cms_check *check = calloc(1, sizeof(*check));
    if (!check)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    check->content = *content;
    check->key = key;
    check->piece = piece;
    KV_TRY(prepare(check, err));
    *ret = kv_take(check);
    return KV_OK;
}

void kv_cms_check_free(struct kv_cms_check *check)
{
    if (!check)
        return;
    if (check->marks)
        kv_wipe(check->marks, check->count * sizeof(*check->marks));
    free(check->marks);
    kv_wipe(check, sizeof(*check));
    free(check);
}

/* --- the first reading --- */
enum kv_status kv_cms_check_mark(const struct kv_cms_check *check, struct kv_view piece,
                                 unsigned char ret[KV_CMS_TAG_MAX], struct kv_error *err)
{
    return tag_of(check, piece, ret, err);
}

/* No realloc, which would leave a copy behind. */
static enum kv_status make_room(struct kv_cms_check *check, struct kv_error *err)
{
    if (check->count < check->room)
        return KV_OK;
    size_t room = check->room ? 2 * check->room : 64;
    unsigned char(*marks)[BLOCK] = calloc(room, sizeof(*marks));
    if (!marks)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (check->count) {
        memcpy(marks, check->marks, check->count * sizeof(*marks));
        kv_wipe(check->marks, check->count * sizeof(*marks));
    }
    free(check->marks);
    check->marks = marks;
    check->room = room;
    return KV_OK;
}

enum kv_status kv_cms_check_add(struct kv_cms_check *check, size_t len, const unsigned char mark[BLOCK],
                                struct kv_error *err)
{
    if (check->ended || len > check->piece)
        return kv_fail(err, KV_INTERNAL, "a piece behind the last one");
    check->length += len;
    if (check->length > KV_CMS_GCM_MAX)
        return kv_fail(err, KV_DATA_LENGTH, "the content is longer than AES-GCM can protect (64 GiB)");
    KV_TRY(make_room(check, err));
    memcpy(check->marks[check->count++], mark, BLOCK);
    check->ended = len < check->piece;
    struct element shift = check->ended ? power(check->h, blocks(len)) : check->per_piece;
    check->sum = add(multiply(check->sum, shift), bare(check, mark, len));
    return KV_OK;
}

enum kv_status kv_cms_check_tag(const struct kv_cms_check *check, struct kv_view covered, struct kv_view tag,
                                struct kv_error *err)
{
    unsigned char of_covered[BLOCK], computed[BLOCK];
    KV_TRY(tag_of(check, covered, of_covered, err));
    struct element front =
        multiply(bare(check, of_covered, covered.len), power(check->h, blocks(check->length)));
    struct element lengths = { covered.len * BITS, check->length * BITS };
    struct element all = add(add(front, check->sum), add(multiply(lengths, check->h), check->mask));
    store(all, computed);
    bool same = tag.len <= BLOCK && kv_view_equal_ct((struct kv_view){ computed, tag.len }, tag);
    kv_wipe(computed,
            sizeof(computed)); /* of a content that somebody changed it is what he would need to know */
    return same ? KV_OK : kv_cms_not_authentic(err);
}

/* --- the second --- */
enum kv_status kv_cms_check_confirm(const struct kv_cms_check *check, uint64_t number, struct kv_view piece,
                                    bool last, struct kv_error *err)
{
    unsigned char mark[BLOCK];
    bool known = number < check->count && last == (number == check->count - 1);
    if (known)
        KV_TRY(tag_of(check, piece, mark, err));
    return known && kv_view_equal_ct((struct kv_view){ mark, BLOCK },
                                     (struct kv_view){ check->marks[number], BLOCK })
               ? KV_OK
               : kv_fail(
                     err, KV_BAD_CIPHERTEXT,
                     "the file was changed while it was read: it is not the content that was authenticated");
}
