/* Curves, and digests that are made to fit them. */
#include "mech_help.h"

static void facts(void **state)
{
    static const struct {
        const char *name, *params;
        unsigned bits, width, digest;
    } rows[] = {
        { "P-256", "06082a8648ce3d030107", 256, 32, 32 },
        { "P-384", "06052b81040022", 384, 48, 48 },
        { "P-521", "06052b81040023", 521, 66, 64 },
        { "P-256K", "06052b8104000a", 256, 32, 32 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct kv_curve *curve = kv_curve_find(rows[i].name);
        KV_AUTO_BYTES struct kv_bytes params = from_hex(rows[i].params);
        assert_non_null(curve);
        assert_bytes((struct kv_view){ curve->params, curve->params_len }, KV_VIEW(params));
        assert_int_equal(curve->bits, rows[i].bits);
        assert_int_equal(curve->width, rows[i].width);
        assert_int_equal(curve->digest, rows[i].digest);
    }
    assert_null(kv_curve_find("P-192"));
    assert_null(kv_curve_find(NULL));
}

static void digests_are_fitted(void **state)
{
    static const struct {
        const char *alg;
        size_t given;
        enum kv_status status;
        size_t zeros, used; /* in the result: zeros on the left, then that many leading bytes of the input */
    } rows[] = {
        { "ES256", 32, KV_OK, 0, 32 },  { "ES256", 20, KV_OK, 12, 20 },  { "ES256", 64, KV_OK, 0, 32 },
        { "ES256", 1, KV_OK, 31, 1 },   { "ES256", 0, KV_DATA_LENGTH },  { "ES256K", 48, KV_OK, 0, 32 },
        { "ES384", 32, KV_OK, 16, 32 }, { "ES384", 64, KV_OK, 0, 48 },   { "ES512", 32, KV_OK, 32, 32 },
        { "ES512", 64, KV_OK, 0, 64 },  { "ES512", 65, KV_DATA_LENGTH }, { "ES512", 66, KV_DATA_LENGTH },
    };
    unsigned char input[66];
    memset(input, 0xee, sizeof input);
    for (size_t i = 0; i < COUNT(rows); i++) {
        KV_AUTO_BYTES struct kv_bytes fitted = { 0 };
        enum kv_status status = kv_mech_fit_digest(find_row(CKM_ECDSA, rows[i].alg),
                                                   (struct kv_view){ input, rows[i].given }, &fitted);
        assert_int_equal(status, rows[i].status);
        if (status != KV_OK)
            continue;
        assert_int_equal(fitted.len, rows[i].zeros + rows[i].used);
        for (size_t k = 0; k < fitted.len; k++)
            assert_int_equal(fitted.data[k], k < rows[i].zeros ? 0 : 0xee);
    }
}

static void without_a_curve_nothing_fits(void **state)
{
    struct kv_bytes none = { 0 };
    assert_int_equal(kv_mech_fit_digest(find_row(CKM_RSA_PKCS, "RS256"), kv_view_text("digest"), &none),
                     KV_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts),
        cmocka_unit_test(digests_are_fitted),
        cmocka_unit_test(without_a_curve_nothing_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
