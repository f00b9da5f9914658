/* Session ciphers against published vectors (RFC 3394, RFC 5649, SP 800-38A, the GCM specification, Wycheproof) and against bad input. */
#include "mech_help.h"

/* A use as kv_mech_select makes it, for a key of this size. */
static struct kv_mech_use use_for(CK_MECHANISM_TYPE type, size_t key_len, void *param, size_t param_len)
{
    struct kv_mech_key key = { .kind = KV_OCT, .bits = (unsigned)key_len * 8, .session = true };
    CK_MECHANISM mechanism = { type, param, param_len };
    struct kv_mech_use use = { 0 };
    assert_int_equal(kv_mech_select(&mechanism, &key, KV_OP_ENCRYPT, &offer_all, &use), KV_OK);
    return use;
}

static struct kv_mech_use gcm_use(size_t key_len, struct kv_view iv, struct kv_view aad, CK_ULONG tag_bits)
{
    CK_GCM_PARAMS params = { .pIv = (unsigned char *)iv.data, .ulIvLen = iv.len, .ulTagBits = tag_bits };
    params.aad_ptr = (unsigned char *)aad.data;
    params.aad_len = aad.len;
    return use_for(CKM_AES_GCM, key_len, &params, sizeof params);
}

/* An update either way: through a buffer, or without a copy where the cipher can. */
static enum kv_status update(struct kv_cipher *cipher, struct kv_view in, bool stream, struct kv_buffer *ret)
{
    static unsigned char out[(3u << 20) + 64];
    size_t len = 0, bound = kv_cipher_bound(cipher, in.len), before = ret->bytes.len;
    if (!stream || !kv_cipher_streams_to(cipher, in, out, sizeof out)) {
        enum kv_status status = kv_cipher_update(cipher, in, ret);
        assert_true(status || ret->bytes.len - before <= bound);
        return status;
    }
    enum kv_status status = kv_cipher_stream(cipher, in, out, &len);
    assert_true(status || len <= bound);
    return status ? status : kv_buffer_add(ret, (struct kv_view){ out, len });
}

/* In pieces of `step` bytes, which go through a buffer when step is even. */
static enum kv_status crypt_by(const struct kv_mech_use *use, struct kv_view key, bool encrypt,
                               struct kv_view in, size_t step, struct kv_buffer *ret)
{
    struct kv_cipher *cipher = NULL;
    enum kv_status status = kv_cipher_open(use, key, encrypt, &cipher);
    for (size_t at = 0; !status && at < in.len; at += step) {
        size_t len = in.len - at < step ? in.len - at : step;
        status = update(cipher, (struct kv_view){ in.data + at, len }, step % 2, ret);
    }
    if (!status) {
        size_t bound = kv_cipher_bound(cipher, 0), before = ret->bytes.len;
        status = kv_cipher_final(cipher, ret);
        assert_true(ret->bytes.len - before <= bound);
    }
    kv_cipher_free(cipher);
    return status;
}

static void check_both_ways(const struct kv_mech_use *use, struct kv_view key, struct kv_view plain,
                            struct kv_view cipher)
{
    static const size_t steps[] = { 1, 2, 5, 16, 17, 999, 1000 };
    for (size_t i = 0; i < COUNT(steps); i++) {
        KV_AUTO_BUFFER struct kv_buffer there = { 0 }, back = { 0 };
        assert_int_equal(crypt_by(use, key, true, plain, steps[i], &there), KV_OK);
        assert_bytes(KV_VIEW(there.bytes), cipher);
        assert_int_equal(crypt_by(use, key, false, cipher, steps[i], &back), KV_OK);
        assert_bytes(KV_VIEW(back.bytes), plain);
    }
}

#define K128 "000102030405060708090a0b0c0d0e0f"
#define K192 K128 "1011121314151617"
#define K256 K128 "101112131415161718191a1b1c1d1e1f"
#define D128 "00112233445566778899aabbccddeeff"

static void key_wrap_vectors(void **state)
{
    static const struct {
        CK_MECHANISM_TYPE type;
        const char *key, *plain, *cipher;
    } rows[] = {
        /* RFC 3394 §4.1–4.6 */
        { CKM_AES_KEY_WRAP, K128, D128, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5" },
        { CKM_AES_KEY_WRAP, K192, D128, "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d" },
        { CKM_AES_KEY_WRAP, K256, D128, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7" },
        { CKM_AES_KEY_WRAP, K256, D128 "0001020304050607",
          "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1" },
        { CKM_AES_KEY_WRAP, K256, D128 K128,
          "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21" },
        /* RFC 5649 §6, under both names */
        { CKM_AES_KEY_WRAP_PAD, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
          "c37b7e6492584340bed12207808941155068f738",
          "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a" },
        { 0x210b, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "466f7250617369",
          "afbeb0f07dfbf5419200f2ccb50bb24f" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        KV_AUTO_BYTES struct kv_bytes key = from_hex(rows[i].key), plain = from_hex(rows[i].plain);
        KV_AUTO_BYTES struct kv_bytes cipher = from_hex(rows[i].cipher);
        struct kv_mech_use use = use_for(rows[i].type, key.len, NULL, 0);
        check_both_ways(&use, KV_VIEW(key), KV_VIEW(plain), KV_VIEW(cipher));
    }
}

/* SP 800-38A F.2 (CBC) and F.5 (CTR), first two blocks. */
static void block_vectors(void **state)
{
    static const char *const plain_hex = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51";
    static const char *const key_hex = "2b7e151628aed2a6abf7158809cf4f3c";
    KV_AUTO_BYTES struct kv_bytes key = from_hex(key_hex), plain = from_hex(plain_hex), iv = from_hex(K128);
    KV_AUTO_BYTES struct kv_bytes cbc =
        from_hex("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2");
    KV_AUTO_BYTES struct kv_bytes ctr =
        from_hex("874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff");
    CK_AES_CTR_PARAMS counter = { .ulCounterBits = 128,
                                  .cb = { 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
                                          0xfb, 0xfc, 0xfd, 0xfe, 0xff } };
    struct kv_mech_use use = use_for(CKM_AES_CBC, key.len, iv.data, iv.len);
    check_both_ways(&use, KV_VIEW(key), KV_VIEW(plain), KV_VIEW(cbc));
    kv_mech_use_free(&use);
    use = use_for(CKM_AES_CTR, key.len, &counter, sizeof counter);
    check_both_ways(&use, KV_VIEW(key), KV_VIEW(plain), KV_VIEW(ctr));
    check_both_ways(&use, KV_VIEW(key), (struct kv_view){ plain.data, 19 }, (struct kv_view){ ctr.data, 19 });
    kv_mech_use_free(&use);
}

/* The GCM specification's test case 4. */
static void gcm_vector(void **state)
{
    KV_AUTO_BYTES struct kv_bytes key = from_hex("feffe9928665731c6d6a8f9467308308"),
                                  iv = from_hex("cafebabefacedbaddecaf888"),
                                  aad = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
                                  plain = from_hex(
                                      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                                      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
                                  cipher = from_hex(
                                      "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                                      "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
                                      "5bc94fbc3221a5db94fae95ae7121a47");
    struct kv_mech_use use = gcm_use(key.len, KV_VIEW(iv), KV_VIEW(aad), 128);
    check_both_ways(&use, KV_VIEW(key), KV_VIEW(plain), KV_VIEW(cipher));
    kv_mech_use_free(&use);
    use = gcm_use(key.len, KV_VIEW(iv), KV_VIEW(aad), 96);
    check_both_ways(&use, KV_VIEW(key), KV_VIEW(plain), (struct kv_view){ cipher.data, cipher.len - 4 });
    kv_mech_use_free(&use);
}

static void nothing_unauthenticated_leaves(void **state)
{
    static const unsigned char iv[12], text[100], secret[32];
    struct kv_view key = { secret, 32 };
    struct kv_mech_use use = gcm_use(32, (struct kv_view){ iv, 12 }, (struct kv_view){ text, 10 }, 128);
    KV_AUTO_BUFFER struct kv_buffer cipher = { 0 };
    assert_int_equal(crypt_by(&use, key, true, (struct kv_view){ text, 100 }, 100, &cipher), KV_OK);
    for (size_t i = 0; i < cipher.bytes.len; i += 7) {
        KV_AUTO_BUFFER struct kv_buffer plain = { 0 };
        cipher.bytes.data[i] ^= 0x40;
        assert_int_equal(crypt_by(&use, key, false, KV_VIEW(cipher.bytes), 16, &plain), KV_BAD_CIPHERTEXT);
        assert_int_equal(plain.bytes.len, 0);
        cipher.bytes.data[i] ^= 0x40;
    }
    kv_mech_use_free(&use);
}

/* What size queries tell of. A block that OpenSSL holds may come out with the next byte. */
static void bounds(void **state)
{
    static unsigned char zeros[64];
    static const struct {
        CK_MECHANISM_TYPE type;
        size_t before, more, least, most;
    } rows[] = {
        { CKM_AES_CBC, 0, 64, 64, 64 },     { CKM_AES_CBC, 16, 32, 32, 32 },
        { CKM_AES_CBC, 15, 1, 16, 33 },     { CKM_AES_CBC, 16, 0, 0, 0 },
        { CKM_AES_CBC_PAD, 0, 64, 80, 96 }, { CKM_AES_CBC_PAD, 16, 0, 16, 32 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_mech_use use = use_for(rows[i].type, 16, zeros, 16);
        struct kv_cipher *cipher = NULL;
        KV_AUTO_BUFFER struct kv_buffer out = { 0 };
        assert_int_equal(kv_cipher_open(&use, (struct kv_view){ zeros, 16 }, true, &cipher), KV_OK);
        assert_int_equal(kv_cipher_update(cipher, (struct kv_view){ zeros, rows[i].before }, &out), KV_OK);
        assert_in_range(kv_cipher_bound(cipher, rows[i].more), rows[i].least, rows[i].most);
        kv_cipher_free(cipher);
        kv_mech_use_free(&use);
    }
}

static void lengths(void **state)
{
    static unsigned char zeros[64];
    static const struct {
        CK_MECHANISM_TYPE type;
        bool encrypt;
        size_t len;
        enum kv_status status;
    } rows[] = {
        { CKM_AES_CBC, true, 0, KV_OK },
        { CKM_AES_CBC, true, 15, KV_DATA_LENGTH },
        { CKM_AES_CBC, false, 17, KV_CIPHERTEXT_LENGTH },
        { CKM_AES_CBC_PAD, true, 15, KV_OK },
        { CKM_AES_CBC_PAD, false, 0, KV_CIPHERTEXT_LENGTH },
        { CKM_AES_CBC_PAD, false, 31, KV_CIPHERTEXT_LENGTH },
        { CKM_AES_KEY_WRAP, true, 8, KV_DATA_LENGTH },
        { CKM_AES_KEY_WRAP, true, 17, KV_DATA_LENGTH },
        { CKM_AES_KEY_WRAP, true, 0, KV_DATA_LENGTH },
        { CKM_AES_KEY_WRAP, false, 16, KV_CIPHERTEXT_LENGTH },
        { CKM_AES_KEY_WRAP, false, 25, KV_CIPHERTEXT_LENGTH },
        { CKM_AES_KEY_WRAP, false, 24, KV_BAD_CIPHERTEXT },
        { CKM_AES_KEY_WRAP_PAD, true, 0, KV_DATA_LENGTH },
        { CKM_AES_KEY_WRAP_PAD, true, 1, KV_OK },
        { CKM_AES_KEY_WRAP_PAD, true, 33, KV_OK },
        { CKM_AES_KEY_WRAP_PAD, false, 8, KV_CIPHERTEXT_LENGTH },
        { CKM_AES_KEY_WRAP_PAD, false, 16, KV_BAD_CIPHERTEXT },
        { CKM_AES_KEY_WRAP_PAD, false, 32, KV_BAD_CIPHERTEXT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool iv = rows[i].type == CKM_AES_CBC || rows[i].type == CKM_AES_CBC_PAD;
        struct kv_mech_use use = use_for(rows[i].type, 16, iv ? zeros : NULL, iv ? 16 : 0);
        KV_AUTO_BUFFER struct kv_buffer out = { 0 };
        enum kv_status status = crypt_by(&use, (struct kv_view){ zeros, 16 }, rows[i].encrypt,
                                         (struct kv_view){ zeros, rows[i].len }, 64, &out);
        if (status != rows[i].status)
            fail_msg("row %zu: %s", i, kv_status_name(status));
        kv_mech_use_free(&use);
    }
    struct kv_mech_use use = gcm_use(16, (struct kv_view){ zeros, 12 }, (struct kv_view){ 0 }, 128);
    KV_AUTO_BUFFER struct kv_buffer out = { 0 };
    assert_int_equal(
        crypt_by(&use, (struct kv_view){ zeros, 16 }, false, (struct kv_view){ zeros, 15 }, 64, &out),
        KV_CIPHERTEXT_LENGTH);
    kv_mech_use_free(&use);
}

static void what_cannot_go_without_a_copy(void **state)
{
    static unsigned char memory[256];
    static const struct {
        CK_MECHANISM_TYPE type;
        size_t out, room; /* from the input's place, which is 64 */
        bool streams;
    } rows[] = {
        { CKM_AES_CBC_PAD, 128, 64, true },   { CKM_AES_CBC_PAD, 128, 63, false },
        { CKM_AES_CBC_PAD, 64, 64, false },   { CKM_AES_CBC_PAD, 111, 64, false },
        { CKM_AES_CBC_PAD, 112, 64, true },   { CKM_AES_CBC_PAD, 0, 64, true },
        { CKM_AES_CBC_PAD, 1, 64, false },    { CKM_AES_CBC, 128, 63, false },
        { CKM_AES_CTR, 128, 48, true },       { CKM_AES_CTR, 128, 47, false },
        { CKM_AES_CTR, 64, 48, true },        { CKM_AES_CTR, 65, 48, false },
        { CKM_AES_CTR, 16, 48, true },        { CKM_AES_CTR, 17, 48, false },
        { CKM_AES_KEY_WRAP, 128, 64, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_AES_CTR_PARAMS counter = { 128, { 0 } };
        bool ctr = rows[i].type == CKM_AES_CTR, wrap = rows[i].type == CKM_AES_KEY_WRAP;
        struct kv_mech_use use = use_for(rows[i].type, 16,
                                         ctr    ? (void *)&counter
                                         : wrap ? NULL
                                                : memory,
                                         ctr    ? sizeof counter
                                         : wrap ? 0
                                                : 16);
        struct kv_cipher *cipher = NULL;
        assert_int_equal(kv_cipher_open(&use, (struct kv_view){ memory, 16 }, true, &cipher), KV_OK);
        if (kv_cipher_streams_to(cipher, (struct kv_view){ memory + 64, 48 }, memory + rows[i].out,
                                 rows[i].room) != rows[i].streams)
            fail_msg("row %zu", i);
        kv_cipher_free(cipher);
        kv_mech_use_free(&use);
    }
}

static void keys_of_the_wrong_size(void **state)
{
    static unsigned char zeros[33];
    struct kv_mech_use use = use_for(CKM_AES_CBC, 16, zeros, 16);
    static const size_t sizes[] = { 0, 15, 17, 24, 32 };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct kv_cipher *none = NULL;
        assert_int_equal(kv_cipher_open(&use, (struct kv_view){ zeros, sizes[i] }, true, &none), KV_KEY_SIZE);
        assert_null(none);
    }
    kv_mech_use_free(&use);
    kv_cipher_free(NULL);
}

static void the_counter_may_not_run_over(void **state)
{
    static const unsigned char secret[16], text[600];
    static const struct {
        unsigned bits;
        unsigned char last, all; /* of the counter block: its last byte, all others */
        size_t len;
        enum kv_status status;
    } rows[] = {
        { 4, 0xff, 0, 16, KV_OK },
        { 4, 0xff, 0, 17, KV_DATA_LENGTH },
        { 4, 0xf0, 0, 256, KV_OK },
        { 4, 0, 0, 257, KV_DATA_LENGTH },
        { 8, 0xfe, 0xff, 33, KV_DATA_LENGTH },
        { 8, 0xfe, 0xff, 32, KV_OK },
        { 64, 0xfe, 0xff, 33, KV_DATA_LENGTH },
        { 64, 0xfe, 0, 600, KV_OK },
        { 100, 0xfe, 0xff, 33, KV_DATA_LENGTH },
        { 128, 0xff, 0xff, 17, KV_DATA_LENGTH },
        { 128, 0xff, 0, 600, KV_OK },
        { 64, 0, 0, 600, KV_OK },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_AES_CTR_PARAMS counter = { .ulCounterBits = rows[i].bits };
        memset(counter.cb, rows[i].all, sizeof counter.cb);
        counter.cb[15] = rows[i].last;
        struct kv_mech_use use = use_for(CKM_AES_CTR, 16, &counter, sizeof counter);
        KV_AUTO_BUFFER struct kv_buffer out = { 0 };
        enum kv_status status = crypt_by(&use, (struct kv_view){ secret, 16 }, true,
                                         (struct kv_view){ text, rows[i].len }, 600, &out);
        if (status != rows[i].status)
            fail_msg("row %zu: %s", i, kv_status_name(status));
        kv_mech_use_free(&use);
    }
}

static void large_input_comes_in_pieces(void **state)
{
    KV_AUTO_BYTES struct kv_bytes text = { 0 };
    static unsigned char secret[16];
    assert_int_equal(kv_bytes_alloc((3u << 20) + 5, &text), KV_OK);
    memset(text.data, 0x5a, text.len);
    struct kv_mech_use use = use_for(CKM_AES_CBC_PAD, 16, secret, 16);
    for (size_t more = 0; more < 2; more++) { /* both ways of an update */
        KV_AUTO_BUFFER struct kv_buffer there = { 0 }, back = { 0 };
        assert_int_equal(
            crypt_by(&use, (struct kv_view){ secret, 16 }, true, KV_VIEW(text), text.len + more, &there),
            KV_OK);
        assert_int_equal(there.bytes.len, (3u << 20) + 16);
        assert_int_equal(crypt_by(&use, (struct kv_view){ secret, 16 }, false, KV_VIEW(there.bytes),
                                  there.bytes.len + more, &back),
                         KV_OK);
        assert_bytes(KV_VIEW(back.bytes), KV_VIEW(text));
    }
    kv_mech_use_free(&use);
}

/* --- Wycheproof --- */

static void check_decryption(const struct wycheproof_test *test, const struct kv_mech_use *use,
                             struct kv_view key, struct kv_view cipher)
{
    KV_AUTO_BYTES struct kv_bytes message = wycheproof_hex(test->test, "msg");
    KV_AUTO_BUFFER struct kv_buffer plain = { 0 }, again = { 0 };
    enum kv_status status = crypt_by(use, key, false, cipher, 64, &plain);
    int64_t id = 0;
    kv_json_int(kv_json_get(test->test, "tcId"), &id);
    if (!test->acceptable && (status == KV_OK) != test->valid)
        fail_msg("tcId %d: %s", (int)id, kv_status_name(status));
    if (status != KV_OK || !test->valid)
        return;
    assert_bytes(KV_VIEW(plain.bytes), KV_VIEW(message));
    assert_int_equal(crypt_by(use, key, true, KV_VIEW(message), 64, &again), KV_OK);
    assert_bytes(KV_VIEW(again.bytes), cipher);
}

static void check_gcm(const struct wycheproof_test *test)
{
    KV_AUTO_BYTES struct kv_bytes key = wycheproof_hex(test->test, "key"),
                                  iv = wycheproof_hex(test->test, "iv");
    KV_AUTO_BYTES struct kv_bytes aad = wycheproof_hex(test->test, "aad"),
                                  tag = wycheproof_hex(test->test, "tag");
    KV_AUTO_BYTES struct kv_bytes body = wycheproof_hex(test->test, "ct");
    KV_AUTO_BUFFER struct kv_buffer cipher = { 0 };
    if (iv.len < 1 || iv.len > 128) { /* refused with the parameter: test_mech_param.c */
        return;
    }
    struct kv_mech_use use = gcm_use(key.len, KV_VIEW(iv), KV_VIEW(aad), tag.len * 8);
    assert_int_equal(kv_buffer_add(&cipher, KV_VIEW(body)), KV_OK);
    assert_int_equal(kv_buffer_add(&cipher, KV_VIEW(tag)), KV_OK);
    check_decryption(test, &use, KV_VIEW(key), KV_VIEW(cipher.bytes));
    kv_mech_use_free(&use);
}

static void check_cbc(const struct wycheproof_test *test)
{
    KV_AUTO_BYTES struct kv_bytes key = wycheproof_hex(test->test, "key"),
                                  iv = wycheproof_hex(test->test, "iv");
    KV_AUTO_BYTES struct kv_bytes cipher = wycheproof_hex(test->test, "ct");
    struct kv_mech_use use = use_for(CKM_AES_CBC_PAD, key.len, iv.data, iv.len);
    check_decryption(test, &use, KV_VIEW(key), KV_VIEW(cipher));
    kv_mech_use_free(&use);
}

static void check_wrap(const struct wycheproof_test *test)
{
    KV_AUTO_BYTES struct kv_bytes key = wycheproof_hex(test->test, "key"),
                                  cipher = wycheproof_hex(test->test, "ct");
    struct kv_mech_use use = use_for(CKM_AES_KEY_WRAP, key.len, NULL, 0);
    check_decryption(test, &use, KV_VIEW(key), KV_VIEW(cipher));
}

static void wycheproof_gcm(void **state)
{
    walk_wycheproof("aes_gcm", check_gcm);
}

static void wycheproof_cbc(void **state)
{
    walk_wycheproof("aes_cbc_pkcs5", check_cbc);
}

static void wycheproof_wrap(void **state)
{
    walk_wycheproof("aes_wrap", check_wrap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_wrap_vectors),
        cmocka_unit_test(block_vectors),
        cmocka_unit_test(gcm_vector),
        cmocka_unit_test(nothing_unauthenticated_leaves),
        cmocka_unit_test(bounds),
        cmocka_unit_test(lengths),
        cmocka_unit_test(what_cannot_go_without_a_copy),
        cmocka_unit_test(keys_of_the_wrong_size),
        cmocka_unit_test(the_counter_may_not_run_over),
        cmocka_unit_test(large_input_comes_in_pieces),
        cmocka_unit_test(wycheproof_gcm),
        cmocka_unit_test(wycheproof_cbc),
        cmocka_unit_test(wycheproof_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
