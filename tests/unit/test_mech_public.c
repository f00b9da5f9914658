/* Public keys: what is read, what is refused, and Wycheproof's signatures. */
#include "mech_help.h"

#include <pthread.h>

static struct kv_public *p256;
static EVP_PKEY *p256_pkey;

static int setup(void **state)
{
    p256_pkey = make_key(KV_EC, "P-256");
    p256 = public_of(p256_pkey);
    return 0;
}

static int teardown(void **state)
{
    kv_public_free(p256);
    EVP_PKEY_free(p256_pkey);
    return 0;
}

static void ec_parts(void **state)
{
    static const char *const curves[] = { "P-256", "P-384", "P-521", "P-256K" };
    for (size_t i = 0; i < COUNT(curves); i++) {
        EVP_PKEY *pkey = make_key(KV_EC, curves[i]);
        struct kv_public *key = public_of(pkey), *again = NULL;
        const struct kv_curve *curve = kv_public_curve(key);
        struct kv_view point = kv_public_point(key);
        assert_string_equal(curve->name, curves[i]);
        assert_int_equal(kv_public_kind(key), KV_EC);
        assert_int_equal(kv_public_bits(key), curve->bits);
        assert_int_equal(kv_public_signature_size(key), 2 * curve->width);
        assert_int_equal(point.len, 1 + 2 * curve->width);
        assert_int_equal(point.data[0], 4);
        assert_bytes(kv_public_bits_string(key), point);
        assert_int_equal(kv_public_modulus(key).len, 0);

        struct kv_view x = { point.data + 1, curve->width }, y = { x.data + x.len, curve->width };
        assert_int_equal(kv_public_from_ec(curves[i], x, y, &again, NULL), KV_OK);
        assert_bytes(kv_public_spki(again), kv_public_spki(key));
        kv_public_free(again);
        kv_public_free(key);
        EVP_PKEY_free(pkey);
    }
}

static void points_off_the_curve_are_refused(void **state)
{
    struct kv_view point = kv_public_point(p256);
    unsigned char xy[64];
    struct kv_public *none = NULL;
    memcpy(xy, point.data + 1, sizeof xy);
    xy[63] ^= 1;
    struct kv_view x = { xy, 32 }, y = { xy + 32, 32 };
    assert_int_equal(kv_public_from_ec("P-256", x, y, &none, NULL), KV_BAD_DATA);

    KV_AUTO_BYTES struct kv_bytes spki = { 0 };
    assert_int_equal(kv_bytes_copy(kv_public_spki(p256), &spki), KV_OK);
    spki.data[spki.len - 1] ^= 1;
    assert_int_equal(kv_public_from_spki(KV_VIEW(spki), &none, NULL), KV_BAD_DATA);
    memset(xy, 0, sizeof xy);
    assert_int_equal(kv_public_from_ec("P-256", x, y, &none, NULL), KV_BAD_DATA);
    memset(xy, 0xff, sizeof xy);
    assert_int_equal(kv_public_from_ec("P-256", x, y, &none, NULL), KV_BAD_DATA);
    assert_null(none);
}

static void ec_shapes_are_checked(void **state)
{
    unsigned char xy[66] = { 0 };
    struct kv_view w31 = { xy, 31 }, w32 = { xy, 32 }, w33 = { xy, 33 };
    struct kv_public *none = NULL;
    assert_int_equal(kv_public_from_ec("P-256", w31, w32, &none, NULL), KV_BAD_DATA);
    assert_int_equal(kv_public_from_ec("P-256", w32, w33, &none, NULL), KV_BAD_DATA);
    assert_int_equal(kv_public_from_ec("P-192", w32, w32, &none, NULL), KV_KEY_SIZE);
    assert_int_equal(kv_public_from_ec(NULL, w32, w32, &none, NULL), KV_KEY_SIZE);
}

static void rsa_parts(void **state)
{
    static unsigned char e[] = { 0, 1, 0, 1 };
    unsigned char n[257] = { 0 };
    struct kv_public *key = NULL, *again = NULL;
    memset(n + 1, 0xc5, 256);
    assert_int_equal(kv_public_from_rsa((struct kv_view){ n, 257 }, (struct kv_view){ e, 4 }, &key, NULL),
                     KV_OK);
    assert_int_equal(kv_public_kind(key), KV_RSA);
    assert_int_equal(kv_public_bits(key), 2048);
    assert_bytes(kv_public_modulus(key), (struct kv_view){ n + 1, 256 });
    assert_bytes(kv_public_exponent(key), (struct kv_view){ e + 1, 3 });
    assert_int_equal(kv_public_signature_size(key), 256);
    assert_int_equal(kv_public_point(key).len, 0);
    assert_null(kv_public_curve(key));
    assert_int_equal(kv_public_from_spki(kv_public_spki(key), &again, NULL), KV_OK);
    assert_bytes(kv_public_spki(again), kv_public_spki(key));
    kv_public_free(again);
    again = kv_public_ref(key);
    kv_public_free(key);
    assert_int_equal(kv_public_bits(again), 2048); /* the second reference still holds it */
    kv_public_free(again);
}

static void rsa_bounds(void **state)
{
    static const struct {
        size_t n;
        unsigned char top, e[9];
        size_t e_len;
        enum kv_status status;
    } rows[] = {
        { 256, 0x80, { 1, 0, 1 }, 3, KV_OK },
        { 255, 0xff, { 1, 0, 1 }, 3, KV_KEY_SIZE },
        { 256, 0x7f, { 1, 0, 1 }, 3, KV_KEY_SIZE },
        { 1024, 0xff, { 1, 0, 1 }, 3, KV_OK },
        { 1026, 1, { 1, 0, 1 }, 3, KV_KEY_SIZE },
        { 0, 0, { 1, 0, 1 }, 3, KV_KEY_SIZE },
        { 256, 0x80, { 3 }, 1, KV_OK },
        { 256, 0x80, { 1 }, 1, KV_BAD_DATA },
        { 256, 0x80, { 4 }, 1, KV_BAD_DATA },
        { 256, 0x80, { 0 }, 1, KV_BAD_DATA },
        { 256, 0x80, { 1 }, 0, KV_BAD_DATA },
        { 256, 0x80, { 1, 0, 0, 0, 0, 0, 0, 0, 1 }, 9, KV_KEY_SIZE },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned char n[1026] = { rows[i].top };
        struct kv_public *key = NULL;
        struct kv_error err = { 0 };
        if (rows[i].n)
            n[rows[i].n - 1] |= 0x1d;
        enum kv_status status = kv_public_from_rsa((struct kv_view){ n, rows[i].n },
                                                   (struct kv_view){ rows[i].e, rows[i].e_len }, &key, &err);
        if (status != rows[i].status)
            fail_msg("row %zu: %s: %s", i, kv_status_name(status), err.text);
        assert_int_equal(key != NULL, status == KV_OK);
        kv_public_free(key);
    }
}

static void broken_der_is_refused(void **state)
{
    struct kv_view spki = kv_public_spki(p256);
    struct kv_public *none = NULL;
    unsigned char longer[128] = { 0 };
    for (size_t len = 0; len < spki.len; len++)
        assert_int_equal(kv_public_from_spki((struct kv_view){ spki.data, len }, &none, NULL), KV_BAD_DATA);
    memcpy(longer, spki.data, spki.len);
    assert_int_equal(kv_public_from_spki((struct kv_view){ longer, spki.len + 1 }, &none, NULL), KV_BAD_DATA);
    assert_int_equal(kv_public_from_spki((struct kv_view){ 0 }, &none, NULL), KV_BAD_DATA);
    for (size_t i = 0; i < spki.len; i++) {
        struct kv_public *key = NULL;
        memcpy(longer, spki.data, spki.len);
        longer[i] ^= 0x11;
        assert_int_not_equal(kv_public_from_spki((struct kv_view){ longer, spki.len }, &key, NULL), KV_OK);
        assert_null(key);
    }
}

/* One key, one SPKI: a compressed point would give the same key another SHA-256. */
static void other_forms_are_refused(void **state)
{
    struct kv_public *none = NULL;
    assert_int_equal(EVP_PKEY_set_utf8_string_param(p256_pkey, "point-format", "compressed"), 1);
    KV_AUTO_BYTES struct kv_bytes compressed = spki_of(p256_pkey);
    assert_int_equal(EVP_PKEY_set_utf8_string_param(p256_pkey, "point-format", "uncompressed"), 1);
    assert_true(compressed.len < kv_public_spki(p256).len);
    assert_int_equal(kv_public_from_spki(KV_VIEW(compressed), &none, NULL), KV_BAD_DATA);

    static const struct {
        const char *type, *group;
        enum kv_status status;
    } foreign[] = { { "ED25519", NULL, KV_KEY_TYPE }, { "EC", "secp224r1", KV_KEY_SIZE } };
    for (size_t i = 0; i < COUNT(foreign); i++) {
        EVP_PKEY *pkey = EVP_PKEY_Q_keygen(kv_ossl_context(), NULL, foreign[i].type, foreign[i].group);
        KV_AUTO_BYTES struct kv_bytes spki = spki_of(pkey);
        assert_int_equal(kv_public_from_spki(KV_VIEW(spki), &none, NULL), foreign[i].status);
        EVP_PKEY_free(pkey);
    }
}

/* A digest shorter than the curve is padded, a longer one is cut: the signature over what fits is one over the original. */
static void fitting_changes_no_signature(void **state)
{
    static const size_t lengths[] = { 20, 32, 48, 64 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        unsigned char digest[64], der[80];
        size_t len = sizeof der;
        assert_int_equal(kv_random_bytes(digest, sizeof digest), KV_OK);
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(kv_ossl_context(), p256_pkey, NULL);
        assert_int_equal(EVP_PKEY_sign_init(context), 1);
        assert_int_equal(EVP_PKEY_sign(context, der, &len, digest, lengths[i]), 1);
        EVP_PKEY_CTX_free(context);

        KV_AUTO_BYTES struct kv_bytes raw = { 0 }, fitted = { 0 };
        const struct kv_mech *row = find_row(CKM_ECDSA, "ES256");
        assert_int_equal(kv_ecdsa_from_der((struct kv_view){ der, len }, 32, &raw), KV_OK);
        assert_int_equal(kv_mech_fit_digest(row, (struct kv_view){ digest, lengths[i] }, &fitted), KV_OK);
        assert_int_equal(kv_public_verify(p256, row, KV_VIEW(fitted), KV_VIEW(raw)), KV_OK);
    }
}

static struct kv_bytes shared_signature, shared_digest;

static void *verify_many(void *argument)
{
    const struct kv_mech *row = find_row(CKM_ECDSA, "ES256");
    unsigned char wrong[64] = { 1 };
    for (int i = 0; i < 50; i++)
        if (kv_public_verify(argument, row, KV_VIEW(shared_digest), KV_VIEW(shared_signature)) != KV_OK ||
            kv_public_verify(argument, row, KV_VIEW(shared_digest), (struct kv_view){ wrong, 64 }) !=
                KV_BAD_SIGNATURE)
            return argument;
    return NULL;
}

/* What a key keeps for the next signature is one thread's at a time. */
static void threads_share_a_key(void **state)
{
    pthread_t threads[4];
    unsigned char der[80];
    size_t len = sizeof der;
    assert_int_equal(kv_digest_once("SHA2-256", kv_view_text("message"), &shared_digest), KV_OK);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(kv_ossl_context(), p256_pkey, NULL);
    assert_int_equal(EVP_PKEY_sign_init(context), 1);
    assert_int_equal(EVP_PKEY_sign(context, der, &len, shared_digest.data, shared_digest.len), 1);
    EVP_PKEY_CTX_free(context);
    assert_int_equal(kv_ecdsa_from_der((struct kv_view){ der, len }, 32, &shared_signature), KV_OK);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, verify_many, p256), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *failed = p256;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    kv_bytes_free(&shared_digest);
    kv_bytes_free(&shared_signature);
}

/* --- Wycheproof --- */

static void check_signature(const struct wycheproof_test *test, const char *key_member,
                            const struct kv_mech *row)
{
    KV_AUTO_BYTES struct kv_bytes spki = wycheproof_hex(test->group, key_member);
    KV_AUTO_BYTES struct kv_bytes message = wycheproof_hex(test->test, "msg");
    KV_AUTO_BYTES struct kv_bytes signature = wycheproof_hex(test->test, "sig"), digest = { 0 };
    struct kv_public *key = NULL;
    assert_int_equal(kv_public_from_spki(KV_VIEW(spki), &key, NULL), KV_OK);
    assert_int_equal(kv_digest_once(row->evp, KV_VIEW(message), &digest), KV_OK);
    enum kv_status status = kv_public_verify(key, row, KV_VIEW(digest), KV_VIEW(signature));
    int64_t id = 0;
    kv_json_int(kv_json_get(test->test, "tcId"), &id);
    if (!test->acceptable && (status == KV_OK) != test->valid)
        fail_msg("tcId %d: %s", (int)id, kv_status_name(status));
    if (status != KV_OK)
        assert_true(status == KV_BAD_SIGNATURE || status == KV_SIGNATURE_LENGTH);
    kv_public_free(key);
}

static void check_es256(const struct wycheproof_test *test)
{
    check_signature(test, "publicKeyDer", find_row(CKM_ECDSA_SHA256, "ES256"));
}

static void check_es384(const struct wycheproof_test *test)
{
    check_signature(test, "publicKeyDer", find_row(CKM_ECDSA_SHA384, "ES384"));
}

static void check_rs256(const struct wycheproof_test *test)
{
    check_signature(test, "publicKeyDer", find_row(CKM_SHA256_RSA_PKCS, "RS256"));
}

static void check_ps256(const struct wycheproof_test *test)
{
    check_signature(test, "publicKeyDer", find_row(CKM_SHA256_RSA_PKCS_PSS, "PS256"));
}

/* Salts of another length are good signatures of somebody else's: the service makes none, and none is taken. One vector has our length. */
static void check_no_salt(const struct wycheproof_test *test)
{
    struct wycheproof_test refused = *test;
    refused.valid = !strcmp(kv_json_text(kv_json_get(test->test, "comment")), "s_len changed to 32");
    check_ps256(&refused);
}

static void wycheproof_es256(void **state)
{
    walk_wycheproof("ecdsa_secp256r1_sha256_p1363", check_es256);
}

static void wycheproof_es384(void **state)
{
    walk_wycheproof("ecdsa_secp384r1_sha384_p1363", check_es384);
}

static void wycheproof_rs256(void **state)
{
    walk_wycheproof("rsa_signature_2048_sha256", check_rs256);
}

static void wycheproof_ps256(void **state)
{
    walk_wycheproof("rsa_pss_2048_sha256_mgf1_32", check_ps256);
}

static void wycheproof_pss_without_salt(void **state)
{
    walk_wycheproof("rsa_pss_2048_sha256_mgf1_0", check_no_salt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ec_parts),
        cmocka_unit_test(points_off_the_curve_are_refused),
        cmocka_unit_test(ec_shapes_are_checked),
        cmocka_unit_test(rsa_parts),
        cmocka_unit_test(rsa_bounds),
        cmocka_unit_test(broken_der_is_refused),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(fitting_changes_no_signature),
        cmocka_unit_test(threads_share_a_key),
        cmocka_unit_test(wycheproof_es256),
        cmocka_unit_test(wycheproof_es384),
        cmocka_unit_test(wycheproof_rs256),
        cmocka_unit_test(wycheproof_ps256),
        cmocka_unit_test(wycheproof_pss_without_salt),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
