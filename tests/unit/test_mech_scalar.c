/* The public half of an EC private key, computed: the same as the one that OpenSSL made with it. */
#include "mech_help.h"

#include <openssl/core_names.h>

static void the_point_is_the_keys_own(void **state)
{
    static const char *const curves[] = { "P-256", "P-384", "P-521", "P-256K" };
    for (size_t i = 0; i < COUNT(curves); i++) {
        EVP_PKEY *pkey = make_key(KV_EC, curves[i]);
        struct kv_public *should = public_of(pkey), *is = NULL;
        BIGNUM *number = NULL;
        unsigned char scalar[66];
        assert_int_equal(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
        int len = BN_bn2bin(number, scalar);
        assert_int_equal(kv_public_from_scalar(kv_curve_find(curves[i]),
                                               (struct kv_view){ scalar, (size_t)len }, &is, NULL),
                         KV_OK);
        assert_bytes(kv_public_spki(is), kv_public_spki(should));
        BN_free(number);
        kv_public_free(is);
        kv_public_free(should);
        EVP_PKEY_free(pkey);
    }
}

/* The order of P-256, and what lies around it. */
static unsigned char order[33] = { 0,    0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
                                   0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };
static unsigned char zero[32];

static void the_range_is_checked(void **state)
{
    static const struct {
        const char *sentence;
        size_t skip, len;
        int less;
        enum kv_status status;
    } rows[] = {
        { "the order itself", 1, 32, 0, KV_BAD_DATA },
        { "one less", 1, 32, 1, KV_OK },
        { "one less, with a byte too many", 0, 33, 1, KV_BAD_DATA },
        { "its first byte alone", 1, 1, 0, KV_OK },
    };
    const struct kv_curve *curve = kv_curve_find("P-256");
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_public *key = NULL;
        struct kv_error err = { 0 };
        order[32] = (unsigned char)(0x51 - rows[i].less);
        struct kv_view scalar = { order + rows[i].skip, rows[i].len };
        if (kv_public_from_scalar(curve, scalar, &key, &err) != rows[i].status)
            fail_msg("%s", rows[i].sentence);
        assert_int_equal(key != NULL, rows[i].status == KV_OK);
        assert_int_equal(*err.text != 0, rows[i].status != KV_OK);
        kv_public_free(key);
    }
    struct kv_public *none = NULL;
    assert_int_equal(kv_public_from_scalar(curve, (struct kv_view){ zero, 32 }, &none, NULL), KV_BAD_DATA);
    assert_int_equal(kv_public_from_scalar(curve, (struct kv_view){ zero, 0 }, &none, NULL), KV_BAD_DATA);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_point_is_the_keys_own),
                                        cmocka_unit_test(the_range_is_checked) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
