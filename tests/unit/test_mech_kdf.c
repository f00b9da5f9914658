/* HKDF: the vectors of RFC 5869, appendix A, for the hash that is offered, and against HMAC by hand for the others. */
#include "mech_help.h"

#include <openssl/hmac.h>
#include "../common/hkdf_vectors.h"

static void test_vectors(void **state)
{
    for (size_t i = 0; i < COUNT(hkdf_vectors); i++) {
        KV_AUTO_BYTES struct kv_bytes key = from_hex(hkdf_vectors[i].key),
                                      salt = from_hex(hkdf_vectors[i].salt),
                                      info = from_hex(hkdf_vectors[i].info),
                                      prk = from_hex(hkdf_vectors[i].extracted),
                                      okm = from_hex(hkdf_vectors[i].expanded), one = { 0 }, two = { 0 },
                                      both = { 0 };
        struct kv_hkdf hkdf = { true, false, "SHA2-256", KV_VIEW(key), KV_VIEW(salt), KV_VIEW(info) };
        assert_int_equal(kv_hkdf(&hkdf, 32, &one), KV_OK);
        assert_bytes(KV_VIEW(one), KV_VIEW(prk));
        assert_true(one.locked);
        hkdf.expand = true;
        assert_int_equal(kv_hkdf(&hkdf, okm.len, &both), KV_OK);
        assert_bytes(KV_VIEW(both), KV_VIEW(okm));
        hkdf = (struct kv_hkdf){ false, true, "SHA2-256", KV_VIEW(prk), { 0 }, KV_VIEW(info) };
        assert_int_equal(kv_hkdf(&hkdf, okm.len, &two), KV_OK);
        assert_bytes(KV_VIEW(two), KV_VIEW(okm));
    }
}

/* Extract is HMAC(salt, key), the first block of expand HMAC(prk, info ‖ 01): RFC 5869 §2. */
static void test_against_hmac(void **state)
{
    static const char *const names[] = { "SHA2-256", "SHA2-384", "SHA2-512" };
    static const unsigned char info[] = { 'i', 'n', 'f', 'o', 1 };
    for (size_t i = 0; i < COUNT(names); i++) {
        unsigned char prk[64], block[64];
        size_t len = kv_digest_size(names[i]), got = 0;
        assert_non_null(EVP_Q_mac(kv_ossl_context(), "HMAC", NULL, names[i], NULL, "salt", 4,
                                  (const unsigned char *)"key", 3, prk, sizeof prk, &got));
        assert_int_equal(got, len);
        assert_non_null(EVP_Q_mac(kv_ossl_context(), "HMAC", NULL, names[i], NULL, prk, len, info,
                                  sizeof info, block, sizeof block, &got));
        struct kv_hkdf hkdf = {
            true, true, names[i], kv_view_text("key"), kv_view_text("salt"), { info, 4 }
        };
        KV_AUTO_BYTES struct kv_bytes out = { 0 };
        assert_int_equal(kv_hkdf(&hkdf, len, &out), KV_OK);
        assert_bytes(KV_VIEW(out), (struct kv_view){ block, len });
    }
}

static void test_bounds(void **state)
{
    static const struct {
        const char *sentence;
        bool extract, expand;
        size_t key, info, len;
        enum kv_status status;
    } rows[] = {
        { "all that there is", true, true, 32, 0, 255 * 32, KV_OK },
        { "one byte more", true, true, 32, 0, 255 * 32 + 1, KV_DATA_LENGTH },
        { "nothing", true, true, 32, 0, 0, KV_DATA_LENGTH },
        { "an extract is as long as its hash", true, false, 5, 0, 32, KV_OK },
        { "and no shorter", true, false, 5, 0, 31, KV_DATA_LENGTH },
        { "what is expanded is as long as the hash", false, true, 31, 0, 16, KV_KEY_SIZE },
        { "or longer", false, true, 33, 0, 16, KV_OK },
        { "as much information as OpenSSL takes", true, true, 32, KV_HKDF_INFO_MAX, 16, KV_OK },
        { "and no more", true, true, 32, KV_HKDF_INFO_MAX + 1, 16, KV_MECHANISM_PARAM },
        { "neither half", false, false, 32, 0, 32, KV_INTERNAL },
    };
    static const unsigned char bytes[KV_HKDF_INFO_MAX + 1];
    for (size_t i = 0; i < COUNT(rows); i++) {
        KV_AUTO_BYTES struct kv_bytes out = { 0 };
        struct kv_hkdf hkdf = { rows[i].extract,        rows[i].expand, "SHA2-256",
                                { bytes, rows[i].key }, { NULL, 0 },    { bytes, rows[i].info } };
        enum kv_status status = kv_hkdf(&hkdf, rows[i].len, &out);
        if (status != rows[i].status || out.len != (status ? 0 : rows[i].len))
            fail_msg("%s: %s", rows[i].sentence, kv_status_name(status));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_against_hmac),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
