#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "check.h"
#include "cipher.h"
#include "mech/local.h"

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

enum { PIECE = 64, LONGEST = 5 * PIECE, COVERED = 100 };

/* What OpenSSL makes of it in one piece. */
struct sealed {
    unsigned char key_bytes[KV_CMS_KEY_MAX], covered_bytes[COVERED + 1], plain[LONGEST], cipher[LONGEST + 1],
        tag[KV_CMS_TAG_MAX];
    struct kv_cms_cipher kind;
    struct kv_cms_content content;
    struct kv_view key, covered, whole;
    size_t tag_len;
};

static size_t any(size_t end)
{
    unsigned char bytes[4];
    assert_int_equal(kv_random_bytes(bytes, sizeof(bytes)), KV_OK);
    return (bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16) % end;
}

static void encrypt(struct sealed *sealed, size_t len)
{
    CK_GCM_PARAMS gcm = { sealed->content.nonce, sealed->content.nonce_len, 0,
                          sealed->covered_bytes, sealed->covered.len,       128 };
    CK_MECHANISM mechanism = { CKM_AES_GCM, &gcm, sizeof(gcm) };
    struct kv_mech_key key = { .kind = KV_OCT, .bits = (unsigned)(8 * sealed->key.len), .session = true };
    struct kv_mech_offer offer = { .session_ciphers = true };
    KV_CLEANUP(kv_mech_use_free) struct kv_mech_use use = { 0 };
    KV_AUTO_BUFFER struct kv_buffer out = { 0 };
    struct kv_cipher *cipher = NULL;
    gcm.ulIvBits = 8 * gcm.ulIvLen;
    assert_int_equal(kv_mech_select(&mechanism, &key, KV_OP_ENCRYPT, &offer, &use), KV_OK);
    assert_int_equal(kv_cipher_open(&use, sealed->key, true, &cipher), KV_OK);
    assert_int_equal(kv_cipher_update(cipher, (struct kv_view){ sealed->plain, len }, &out), KV_OK);
    assert_int_equal(kv_cipher_final(cipher, &out), KV_OK);
    kv_cipher_free(cipher);
    assert_int_equal(out.bytes.len, len + KV_CMS_TAG_MAX);
    memcpy(sealed->cipher, out.bytes.data, len);
    memcpy(sealed->tag, out.bytes.data + len, KV_CMS_TAG_MAX);
    sealed->whole = (struct kv_view){ sealed->cipher, len };
}

/* By a key, a nonce and attributes that are new each time. */
static void seal(struct sealed *sealed, size_t len)
{
    static const size_t nonces[] = { 12, 12, 8, 16, 13 };
    size_t key_len = 16 + 8 * any(3);
    sealed->kind = kv_cms_aes256_gcm;
    sealed->kind.key_len = key_len;
    sealed->kind.evp = key_len == 16 ? "AES-128-GCM" : key_len == 24 ? "AES-192-GCM" : "AES-256-GCM";
    sealed->content = (struct kv_cms_content){ .cipher = &sealed->kind, .nonce_len = nonces[any(5)] };
    sealed->tag_len = 12 + any(5);
    sealed->key = (struct kv_view){ sealed->key_bytes, key_len };
    sealed->covered = (struct kv_view){ sealed->covered_bytes, any(3) ? any(COVERED) : 0 };
    assert_int_equal(kv_random_bytes(sealed->key_bytes, sizeof(sealed->key_bytes)), KV_OK);
    assert_int_equal(kv_random_bytes(sealed->content.nonce, sealed->content.nonce_len), KV_OK);
    assert_int_equal(kv_random_bytes(sealed->covered_bytes, sealed->covered.len), KV_OK);
    assert_int_equal(kv_random_bytes(sealed->plain, len), KV_OK);
    encrypt(sealed, len);
}

static struct kv_view piece_of(struct kv_view all, size_t number)
{
    size_t at = number * PIECE, left = all.len - at;
    return (struct kv_view){ all.data + at, left < PIECE ? left : PIECE };
}

static struct kv_cms_check *read_first(const struct sealed *sealed)
{
    struct kv_cms_check *check = NULL;
    assert_int_equal(kv_cms_check_new(&sealed->content, sealed->key, PIECE, &check, NULL), KV_OK);
    for (size_t i = 0; i <= sealed->whole.len / PIECE; i++) {
        unsigned char mark[KV_CMS_TAG_MAX];
        struct kv_view piece = piece_of(sealed->whole, i);
        assert_int_equal(kv_cms_check_mark(check, piece, mark, NULL), KV_OK);
        assert_int_equal(kv_cms_check_add(check, piece.len, mark, NULL), KV_OK);
    }
    return check;
}

static enum kv_status checked(const struct sealed *sealed)
{
    KV_AUTO_CMS_CHECK struct kv_cms_check *check = read_first(sealed);
    return kv_cms_check_tag(check, sealed->covered, (struct kv_view){ sealed->tag, sealed->tag_len }, NULL);
}

/* What was changed is noticed; then it is as it was. */
static void notices(struct sealed *sealed, unsigned char *byte)
{
    unsigned char bit = (unsigned char)(1 << any(8));
    *byte ^= bit;
    assert_int_equal(checked(sealed), KV_BAD_CIPHERTEXT);
    *byte ^= bit;
}

/* A zero more at an end would be nothing to the polynomial, whose last block is filled up with zeros: the lengths tell. */
static void notices_lengths(struct sealed *sealed)
{
    sealed->cipher[sealed->whole.len++] = 0;
    assert_int_equal(checked(sealed), KV_BAD_CIPHERTEXT);
    sealed->whole.len--;
    sealed->covered_bytes[sealed->covered.len++] = 0;
    assert_int_equal(checked(sealed), KV_BAD_CIPHERTEXT);
    sealed->covered.len--;
}

/* Every length, with tags and nonces of every length, keys of each size, with attributes and without: our sum of pieces is OpenSSL's tag, and of nothing else. */
static void test_is_gcm(void **state)
{
    struct sealed sealed;
    for (size_t len = 0; len <= LONGEST; len++) {
        seal(&sealed, len);
        if (checked(&sealed) != KV_OK)
            fail_msg("%zu bytes, %zu covered, a nonce of %zu", len, sealed.covered.len,
                     sealed.content.nonce_len);
        notices(&sealed, &sealed.tag[any(sealed.tag_len)]);
        if (len)
            notices(&sealed, &sealed.cipher[any(len)]);
        if (sealed.covered.len)
            notices(&sealed, &sealed.covered_bytes[any(sealed.covered.len)]);
        if (len < LONGEST)
            notices_lengths(&sealed);
    }
}

/* Whole blocks of attributes that go to the content, and two pieces that change places, are the same blocks. */
static void test_order_matters(void **state)
{
    struct sealed sealed, moved;
    unsigned char other[PIECE];
    seal(&sealed, 3 * PIECE);
    memcpy(other, sealed.cipher, PIECE);
    memcpy(sealed.cipher, sealed.cipher + PIECE, PIECE);
    assert_int_equal(checked(&sealed), KV_BAD_CIPHERTEXT);
    memcpy(sealed.cipher + PIECE, other, PIECE);
    assert_int_equal(checked(&sealed), KV_BAD_CIPHERTEXT);
    memcpy(sealed.cipher, other, PIECE);
    seal(&moved, 32);
    moved.covered.len = 32;
    encrypt(&moved, 32);
    assert_int_equal(checked(&moved), KV_OK);
    memmove(moved.cipher + 16, moved.cipher, 32);
    memcpy(moved.cipher, moved.covered_bytes + 16, 16);
    moved.covered.len = 16;
    moved.whole.len = 48;
    assert_int_equal(checked(&moved), KV_BAD_CIPHERTEXT);
}

/* In the second reading a piece that is another, in another place, shorter, missing or too many is not confirmed. */
static void test_confirms_what_it_saw(void **state)
{
    static const struct {
        const char *text;
        size_t number, of, len;
        bool last;
        enum kv_status status;
    } rows[] = {
        { "the same", 1, 1, PIECE, false, KV_OK },
        { "the same at the end", 4, 4, 10, true, KV_OK },
        { "another", 1, 2, PIECE, false, KV_BAD_CIPHERTEXT },
        { "a shorter one", 1, 1, PIECE - 1, false, KV_BAD_CIPHERTEXT },
        { "nothing", 1, 1, 0, false, KV_BAD_CIPHERTEXT },
        { "the end too soon", 3, 3, PIECE, true, KV_BAD_CIPHERTEXT },
        { "no end where it was", 4, 4, 10, false, KV_BAD_CIPHERTEXT },
        { "one too many", 5, 4, 10, true, KV_BAD_CIPHERTEXT },
    };
    struct sealed sealed;
    seal(&sealed, 4 * PIECE + 10);
    KV_AUTO_CMS_CHECK struct kv_cms_check *check = read_first(&sealed);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_view piece = { sealed.cipher + rows[i].of * PIECE, rows[i].len };
        enum kv_status status = kv_cms_check_confirm(check, rows[i].number, piece, rows[i].last, NULL);
        if (status != rows[i].status)
            fail_msg("%s: %s", rows[i].text, kv_status_name(status));
    }
    sealed.cipher[3 * PIECE - 1] ^= 0x80;
    assert_int_equal(kv_cms_check_confirm(check, 2, piece_of(sealed.whole, 2), false, NULL),
                     KV_BAD_CIPHERTEXT);
}

/* Pieces of any size, in any order. */
static void test_deciphers(void **state)
{
    struct sealed sealed;
    for (size_t i = 0; i < 50; i++) {
        size_t len = any(LONGEST) + 1, at = 16 * any((len - 1) / 16 + 1);
        seal(&sealed, len);
        if (!kv_cms_can_jump(&sealed.content)) {
            assert_true(sealed.content.nonce_len != 12);
            continue;
        }
        assert_int_equal(kv_cms_decipher(&sealed.content, sealed.key, at, sealed.cipher + at, len - at, NULL),
                         KV_OK);
        assert_memory_equal(sealed.cipher + at, sealed.plain + at, len - at);
    }
}

/* 2^36 - 32 bytes and no more; the last counter is that of the last block. */
static void test_bounds(void **state)
{
    enum { GIB = 1 << 30 };
    unsigned char mark[KV_CMS_TAG_MAX] = { 0 }, blocks[32] = { 0 }, block[16] = { 0 };
    struct sealed sealed;
    do
        seal(&sealed, 0);
    while (!kv_cms_can_jump(&sealed.content));
    for (size_t more = 32; more <= 33; more++) {
        KV_AUTO_CMS_CHECK struct kv_cms_check *check = NULL;
        assert_int_equal(kv_cms_check_new(&sealed.content, sealed.key, GIB, &check, NULL), KV_OK);
        for (size_t i = 0; i < 63; i++)
            assert_int_equal(kv_cms_check_add(check, GIB, mark, NULL), KV_OK);
        assert_int_equal(kv_cms_check_add(check, GIB + 1 - more, mark, NULL),
                         more == 32 ? KV_DATA_LENGTH : KV_OK);
        if (more == 33)
            assert_int_equal(kv_cms_check_add(check, 0, mark, NULL), KV_INTERNAL);
    }
    uint64_t last = KV_CMS_GCM_MAX - sizeof(block);
    assert_int_equal(kv_cms_decipher(&sealed.content, sealed.key, last - 16, blocks, 32, NULL), KV_OK);
    assert_int_equal(kv_cms_decipher(&sealed.content, sealed.key, last, block, 16, NULL), KV_OK);
    assert_memory_equal(blocks + 16, block, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_gcm),
        cmocka_unit_test(test_order_matters),
        cmocka_unit_test(test_confirms_what_it_saw),
        cmocka_unit_test(test_deciphers),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
