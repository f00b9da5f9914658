/* C_WrapKey and C_UnwrapKey: every kind of key under every key that can wrap it, opened here, there, and by OpenSSL; and the templates that keys impose. */
#include "keys_help.h"

#include <openssl/x509.h>

static CK_SESSION_HANDLE prod, hsm;
static EVP_PKEY *pkeys[5]; /* RSA, then the curves */
static const CK_BYTE kek_value[33] = "0123456789abcdef0123456789ABCDEF";
static CK_BYTE iv[16] = "initial vector.";
static CK_GCM_PARAMS gcm_params = { .pIv = iv, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128 };
static CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 }, kwp = { CKM_AES_KEY_WRAP_KWP, NULL, 0 },
                    pad = { CKM_AES_KEY_WRAP_PAD, NULL, 0 }, cbc = { CKM_AES_CBC, iv, 16 },
                    cbc_pad = { CKM_AES_CBC_PAD, iv, 16 },
                    gcm = { CKM_AES_GCM, &gcm_params, sizeof gcm_params };

static const struct curve *curve_of(size_t i)
{
    return i ? &curves[i - 1] : NULL;
}

static int start(void **state)
{
    if (world_start(state))
        return -1;
    create_key("prod", "kek", "{\"kty\":\"RSA\"}");
    create_key("hsm", "wrapper", "{\"kty\":\"oct-HSM\",\"key_size\":256}");
    initialize();
    prod = open_session(PROD);
    hsm = open_session(HSM);
    for (size_t i = 0; i < COUNT(pkeys); i++)
        pkeys[i] = make_pkey(curve_of(i));
    return 0;
}

static int stop(void **state)
{
    for (size_t i = 0; i < COUNT(pkeys); i++)
        EVP_PKEY_free(pkeys[i]);
    return world_stop(state);
}

struct blob {
    CK_BYTE data[4096];
    CK_ULONG len;
};

static CK_RV wrap(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
                  CK_OBJECT_HANDLE key, struct blob *ret)
{
    ret->len = sizeof ret->data;
    return world.p11->C_WrapKey(in, mechanism, wrapping, key, ret->data, &ret->len);
}

static CK_OBJECT_HANDLE secret(CK_SESSION_HANDLE in, CK_KEY_TYPE type, const void *value, CK_ULONG len)
{
    struct growing template = { .count = 0 };
    grow(&template, CKA_CLASS, &secret_class, sizeof secret_class);
    grow(&template, CKA_KEY_TYPE, &type, sizeof type);
    grow(&template, CKA_VALUE, value, len);
    grow_bool(&template, CKA_EXTRACTABLE, CK_TRUE);
    grow_bool(&template, CKA_SENSITIVE, CK_FALSE);
    return create(in, &template);
}

static CK_RV unwrap(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping,
                    const struct blob *blob, const struct growing *template, CK_OBJECT_HANDLE *ret)
{
    return world.p11->C_UnwrapKey(in, mechanism, unwrapping, (CK_BYTE *)blob->data, blob->len,
                                  (CK_ATTRIBUTE *)template->items, template->count, ret);
}

/* An open key of this class and type. */
static void opened(struct growing *ret, CK_OBJECT_CLASS type, CK_KEY_TYPE key_type, CK_ULONG len)
{
    ret->count = 0;
    ret->used = 0;
    grow(ret, CKA_CLASS, &type, sizeof type);
    grow(ret, CKA_KEY_TYPE, &key_type, sizeof key_type);
    grow_bool(ret, CKA_SENSITIVE, CK_FALSE);
    if (len)
        grow(ret, CKA_VALUE_LEN, &len, sizeof len);
}

static void has_value(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE key, const void *value, size_t len)
{
    CK_BYTE got[128];
    assert_int_equal(attribute(in, key, CKA_VALUE, got, sizeof got), len);
    assert_memory_equal(got, value, len);
}

/* --- secret keys --- */

/* Lengths that fill a block and lengths that do not: CKA_VALUE_LEN tells what was there. */
static void test_secrets_of_every_length(void **state)
{
    static const struct {
        CK_MECHANISM *mechanism;
        bool zero_padded;
    } rows[] = { { &kw, true },  { &kwp, false },     { &pad, false },
                 { &cbc, true }, { &cbc_pad, false }, { &gcm, false } };
    static const CK_ULONG lengths[] = { 1, 8, 15, 16, 20, 24, 32, 33, 64 };
    CK_BYTE value[64];
    memset(value, 0xa5, sizeof value);
    CK_OBJECT_HANDLE wrapping = secret(prod, CKK_AES, kek_value, 32);
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t k = 0; k < COUNT(lengths); k++) {
            struct blob blob;
            CK_OBJECT_HANDLE back, key = secret(prod, CKK_GENERIC_SECRET, value, lengths[k]);
            struct growing template;
            opened(&template, CKO_SECRET_KEY, CKK_GENERIC_SECRET, rows[i].zero_padded ? lengths[k] : 0);
            if (rows[i].mechanism == &kw && lengths[k] < 9) { /* RFC 3394: two blocks, or none */
                expect(CKR_KEY_SIZE_RANGE, wrap(prod, &kw, wrapping, key, &blob));
                ok(world.p11->C_DestroyObject(prod, key));
                continue;
            }
            ok(wrap(prod, rows[i].mechanism, wrapping, key, &blob));
            ok(unwrap(prod, rows[i].mechanism, wrapping, &blob, &template, &back));
            has_value(prod, back, value, lengths[k]);
            ok(world.p11->C_DestroyObject(prod, back));
            ok(world.p11->C_DestroyObject(prod, key));
        }
}

static void test_lengths_that_cannot_be(void **state)
{
    static const struct {
        const char *sentence;
        CK_MECHANISM *mechanism;
        CK_KEY_TYPE type;
        CK_ULONG len;
        CK_RV rv;
    } rows[] = {
        { "another length", &kwp, CKK_GENERIC_SECRET, 19, CKR_WRAPPED_KEY_LEN_RANGE },
        { "the same length", &kwp, CKK_GENERIC_SECRET, 20, CKR_OK },
        { "AES has no such length", &kwp, CKK_AES, 0, CKR_WRAPPED_KEY_LEN_RANGE },
        { "a block less", &kw, CKK_GENERIC_SECRET, 16, CKR_WRAPPED_KEY_LEN_RANGE },
        { "some of the padding", &kw, CKK_GENERIC_SECRET, 17, CKR_OK },
        { "AES, of what is zero-padded", &kw, CKK_AES, 24, CKR_OK },
        { "more than there is", &kw, CKK_GENERIC_SECRET, 25, CKR_WRAPPED_KEY_LEN_RANGE },
        { "cut to an AES key", &cbc, CKK_AES, 24, CKR_OK },
        { "a whole block less", &cbc, CKK_AES, 16, CKR_WRAPPED_KEY_LEN_RANGE },
    };
    CK_OBJECT_HANDLE wrapping = secret(prod, CKK_AES, kek_value, 32),
                     key = secret(prod, CKK_GENERIC_SECRET, "twenty bytes of them", 20), back;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct blob blob;
        struct growing template;
        opened(&template, CKO_SECRET_KEY, rows[i].type, rows[i].len);
        ok(wrap(prod, rows[i].mechanism, wrapping, key, &blob));
        CK_RV rv = unwrap(prod, rows[i].mechanism, wrapping, &blob, &template, &back);
        if (rv != rows[i].rv)
            fail_msg("%s: 0x%lx", rows[i].sentence, rv);
    }
}

/* Public keys of the session and of the vault wrap; private ones of both unwrap what the other's twin has wrapped. */
static void test_rsa_here_and_there(void **state)
{
    CK_OBJECT_HANDLE there[2] = { find_one(prod, CKO_PUBLIC_KEY, "kek"),
                                  find_one(prod, CKO_PRIVATE_KEY, "kek") };
    EVP_PKEY *vaults = pkey_of(prod, there[0]);
    CK_OBJECT_HANDLE twin = create_public(prod, vaults, NULL), key = secret(prod, CKK_AES, kek_value, 32),
                     back;
    CK_OBJECT_HANDLE here[2] = { create_public(prod, pkeys[0], NULL),
                                 create_private(prod, pkeys[0], NULL, false) };
    struct growing template;
    opened(&template, CKO_SECRET_KEY, CKK_AES, 0);
    struct blob blob;
    clear_log();
    ok(wrap(prod, &oaep_sha256, twin, key, &blob));
    assert_int_equal(blob.len, 256);
    assert_int_equal(requests(NULL), 0);
    ok(unwrap(prod, &oaep_sha256, there[1], &blob, &template, &back));
    assert_int_equal(requests("/unwrapkey"), 1);
    has_value(prod, back, kek_value, 32);
    clear_log();
    ok(wrap(prod, &oaep_sha1, here[0], key, &blob));
    ok(unwrap(prod, &oaep_sha1, here[1], &blob, &template, &back));
    has_value(prod, back, kek_value, 32);
    expect(CKR_WRAPPED_KEY_INVALID, unwrap(prod, &oaep_sha256, here[1], &blob, &template, &back));
    blob.len--;
    expect(CKR_WRAPPED_KEY_LEN_RANGE, unwrap(prod, &oaep_sha1, here[1], &blob, &template, &back));
    assert_int_equal(requests(NULL), 0);
    EVP_PKEY_free(vaults);
}

/* --- private keys --- */

/* The bytes under the wrap are a PrivateKeyInfo that OpenSSL takes for the key. */
static void is_pkcs8_of(const struct result *plain, EVP_PKEY *pkey)
{
    const unsigned char *at = plain->data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)plain->len);
    assert_non_null(info);
    EVP_PKEY *back = EVP_PKCS82PKEY(info);
    assert_non_null(back);
    assert_int_equal(EVP_PKEY_eq(back, pkey), 1);
    EVP_PKEY_free(back);
    PKCS8_PRIV_KEY_INFO_free(info);
}

static void signs_like(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE key, size_t i)
{
    struct result made = sign(in, i ? &ecdsa_sha256 : &rsa_sha256, key, "text", 4);
    assert_true(openssl_verifies(pkeys[i], i ? 0 : 1, "SHA256", kv_view_text("text"), &made));
}

static void check_private(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping, size_t i)
{
    CK_OBJECT_HANDLE key = create_private(in, pkeys[i], curve_of(i), true), back;
    struct growing template;
    opened(&template, CKO_PRIVATE_KEY, i ? CKK_EC : CKK_RSA, 0);
    struct growing other;
    opened(&other, CKO_PRIVATE_KEY, i ? CKK_RSA : CKK_EC, 0);
    struct blob blob;
    ok(wrap(in, mechanism, wrapping, key, &blob));
    ok(unwrap(in, mechanism, wrapping, &blob, &template, &back));
    signs_like(in, back, i);
    assert_true(attribute_bool(in, back, CKA_EXTRACTABLE));
    assert_false(attribute_bool(in, back, CKA_LOCAL));
    assert_false(attribute_bool(in, back, CKA_ALWAYS_SENSITIVE));
    assert_false(attribute_bool(in, back, CKA_NEVER_EXTRACTABLE));
    ok(world.p11->C_DestroyObject(in, back));
    expect(CKR_WRAPPED_KEY_INVALID, unwrap(in, mechanism, wrapping, &blob, &other, &back));
    blob.data[blob.len / 2] ^= 0x10;
    expect(CKR_WRAPPED_KEY_INVALID, unwrap(in, mechanism, wrapping, &blob, &template, &back));
    ok(world.p11->C_DestroyObject(in, key));
}

static void test_private_keys_under_session_keys(void **state)
{
    CK_MECHANISM *const mechanisms[] = { &kw, &kwp, &pad, &cbc_pad, &gcm };
    CK_OBJECT_HANDLE wrapping = secret(prod, CKK_AES, kek_value, 16);
    clear_log();
    for (size_t m = 0; m < COUNT(mechanisms); m++)
        for (size_t i = 0; i < COUNT(pkeys); i++)
            check_private(prod, mechanisms[m], wrapping, i);
    assert_int_equal(requests(NULL), 0);
    CK_OBJECT_HANDLE key = create_private(prod, pkeys[1], curve_of(1), true);
    struct blob blob;
    struct result cipher;
    ok(wrap(prod, &kwp, wrapping, key, &blob));
    cipher.len = blob.len;
    memcpy(cipher.data, blob.data, blob.len);
    struct result plain = decrypt(prod, &kwp, wrapping, &cipher);
    is_pkcs8_of(&plain, pkeys[1]);
}

static void test_private_keys_under_an_hsm_key(void **state)
{
    CK_MECHANISM *const mechanisms[] = { &kwp, &pad, &kw };
    CK_OBJECT_HANDLE wrapper = find_one(hsm, CKO_SECRET_KEY, "wrapper");
    for (size_t m = 0; m < COUNT(mechanisms); m++)
        for (size_t i = 0; i < 2; i++) {
            clear_log();
            check_private(hsm, mechanisms[m], wrapper, i);
            assert_int_equal(requests("/wrapkey"), 1);
        }
}

static void test_what_wraps_no_private_key(void **state)
{
    CK_OBJECT_HANDLE key = create_private(prod, pkeys[1], curve_of(1), true),
                     shut = create_private(prod, pkeys[1], curve_of(1), false),
                     public = create_public(prod, pkeys[0], NULL),
                     aes_wrap = secret(prod, CKK_AES, kek_value, 32),
                     text = secret(prod, CKK_GENERIC_SECRET, "this is no PrivateKeyInfo", 25), back;
    struct growing template, public_template;
    opened(&template, CKO_PRIVATE_KEY, CKK_EC, 0);
    opened(&public_template, CKO_PUBLIC_KEY, CKK_EC, 0);
    struct blob blob;
    expect(CKR_KEY_NOT_WRAPPABLE, wrap(prod, &oaep_sha256, public, key, &blob));
    expect(CKR_KEY_NOT_WRAPPABLE, wrap(prod, &cbc, aes_wrap, key, &blob));
    expect(CKR_KEY_UNEXTRACTABLE, wrap(prod, &kwp, aes_wrap, shut, &blob));
    expect(CKR_KEY_NOT_WRAPPABLE, wrap(prod, &kwp, aes_wrap, public, &blob));
    expect(CKR_WRAPPING_KEY_TYPE_INCONSISTENT, wrap(prod, &kwp, text, key, &blob));
    ok(wrap(prod, &kwp, aes_wrap, text, &blob));
    expect(CKR_WRAPPED_KEY_INVALID, unwrap(prod, &kwp, aes_wrap, &blob, &template, &back));
    expect(CKR_TEMPLATE_INCONSISTENT, unwrap(prod, &kwp, aes_wrap, &blob, &public_template, &back));
}

/* A PrivateKeyInfo of a curve or a size that is not offered says so. */
static void test_foreign_private_keys(void **state)
{
    static const struct {
        const char *type, *curve;
        size_t bits;
        CK_KEY_TYPE key_type;
        CK_RV rv;
    } rows[] = { { "EC", "brainpoolP256r1", 0, CKK_EC, CKR_CURVE_NOT_SUPPORTED },
                 { "RSA", NULL, 1024, CKK_RSA, CKR_WRAPPED_KEY_LEN_RANGE },
                 { "ED25519", NULL, 0, CKK_EC, CKR_WRAPPED_KEY_INVALID } };
    CK_OBJECT_HANDLE wrapping = secret(prod, CKK_AES, kek_value, 32), back;
    for (size_t i = 0; i < COUNT(rows); i++) {
        EVP_PKEY *pkey = rows[i].curve  ? EVP_PKEY_Q_keygen(NULL, NULL, rows[i].type, rows[i].curve)
                         : rows[i].bits ? EVP_PKEY_Q_keygen(NULL, NULL, rows[i].type, rows[i].bits)
                                        : EVP_PKEY_Q_keygen(NULL, NULL, rows[i].type);
        PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
        unsigned char *der = NULL;
        int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
        struct growing template;
        opened(&template, CKO_PRIVATE_KEY, rows[i].key_type, 0);
        struct blob blob;
        ok(wrap(prod, &kwp, wrapping, secret(prod, CKK_GENERIC_SECRET, der, (CK_ULONG)len), &blob));
        CK_RV rv = unwrap(prod, &kwp, wrapping, &blob, &template, &back);
        if (rv != rows[i].rv)
            fail_msg("%s: 0x%lx", rows[i].type, rv);
        OPENSSL_free(der);
        PKCS8_PRIV_KEY_INFO_free(info);
        EVP_PKEY_free(pkey);
    }
}

/* --- templates that keys impose --- */

static CK_OBJECT_HANDLE wrapper_with(CK_ATTRIBUTE_TYPE type, CK_ATTRIBUTE *items, CK_ULONG count)
{
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, secret_class),
                                ITEM(CKA_KEY_TYPE, aes),
                                { CKA_VALUE, (void *)kek_value, 32 },
                                { type, items, count * sizeof *items } };
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    ok(world.p11->C_CreateObject(prod, template, 4, &key));
    return key;
}

static void test_wrap_template(void **state)
{
    CK_ATTRIBUTE only[] = { ITEM(CKA_KEY_TYPE, generic), { CKA_LABEL, "may go", 6 } },
                 label = { CKA_LABEL, "may go", 6 }, hidden[] = { { CKA_VALUE, "sixteen bytes...", 16 } },
                 sensitive = ITEM(CKA_SENSITIVE, yes);
    CK_OBJECT_HANDLE wrapping = wrapper_with(CKA_WRAP_TEMPLATE, only, 2),
                     nothing = wrapper_with(CKA_WRAP_TEMPLATE, NULL, 0),
                     by_value = wrapper_with(CKA_WRAP_TEMPLATE, hidden, 1),
                     key = secret(prod, CKK_GENERIC_SECRET, "sixteen bytes...", 16);
    struct blob blob;
    expect(CKR_KEY_HANDLE_INVALID, wrap(prod, &kwp, wrapping, key, &blob));
    ok(wrap(prod, &kwp, nothing, key, &blob));
    ok(wrap(prod, &kwp, by_value, key, &blob));
    ok(world.p11->C_SetAttributeValue(prod, key, &label, 1));
    ok(wrap(prod, &kwp, wrapping, key, &blob));
    ok(world.p11->C_SetAttributeValue(prod, key, &sensitive, 1));
    expect(CKR_KEY_HANDLE_INVALID, wrap(prod, &kwp, by_value, key, &blob));
    expect(CKR_KEY_HANDLE_INVALID,
           wrap(prod, &kwp, wrapping, create_private(prod, pkeys[1], curve_of(1), true), &blob));
}

static void test_unwrap_template(void **state)
{
    CK_ATTRIBUTE imposed[] = { ITEM(CKA_EXTRACTABLE, no),
                               ITEM(CKA_SENSITIVE, yes),
                               { CKA_LABEL, "arrived", 7 } };
    CK_ATTRIBUTE plain[] = { ITEM(CKA_CLASS, secret_class), ITEM(CKA_KEY_TYPE, generic) },
                 agrees[] = { ITEM(CKA_KEY_TYPE, generic), ITEM(CKA_SENSITIVE, yes) },
                 against[] = { ITEM(CKA_KEY_TYPE, generic), ITEM(CKA_EXTRACTABLE, yes) };
    CK_OBJECT_HANDLE wrapping = wrapper_with(CKA_UNWRAP_TEMPLATE, imposed, 3), copy, back,
                     key = secret(prod, CKK_GENERIC_SECRET, "sixteen bytes...", 16);
    struct blob blob;
    ok(wrap(prod, &kwp, wrapping, key, &blob));
    ok(world.p11->C_CopyObject(prod, wrapping, NULL, 0, &copy));
    for (int i = 0; i < 2; i++) {
        CK_OBJECT_HANDLE by = i ? copy : wrapping;
        ok(world.p11->C_UnwrapKey(prod, &kwp, by, blob.data, blob.len, plain, 2, &back));
        assert_false(attribute_bool(prod, back, CKA_EXTRACTABLE));
        assert_true(attribute_bool(prod, back, CKA_SENSITIVE));
        CK_BYTE label[16];
        assert_int_equal(attribute(prod, back, CKA_LABEL, label, sizeof label), 7);
        ok(world.p11->C_UnwrapKey(prod, &kwp, by, blob.data, blob.len, agrees, 2, &back));
        expect(CKR_TEMPLATE_INCONSISTENT,
               world.p11->C_UnwrapKey(prod, &kwp, by, blob.data, blob.len, against, 2, &back));
    }
}

/* The convention for arrays: lengths first, then room for each value; what has no room says so and spares the others. */
static void test_templates_can_be_read(void **state)
{
    CK_ATTRIBUTE imposed[] = { ITEM(CKA_EXTRACTABLE, no), { CKA_LABEL, "arrived", 7 }, { CKA_ID, NULL, 0 } };
    CK_OBJECT_HANDLE wrapping = wrapper_with(CKA_UNWRAP_TEMPLATE, imposed, 3);
    CK_ATTRIBUTE outer = { CKA_UNWRAP_TEMPLATE, NULL, 0 }, inner[3] = { 0 };
    CK_BBOOL extractable = 9;
    CK_BYTE label[7];
    ok(world.p11->C_GetAttributeValue(prod, wrapping, &outer, 1));
    assert_int_equal(outer.ulValueLen, sizeof inner);
    outer.pValue = inner;
    outer.ulValueLen = sizeof inner - 1;
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_GetAttributeValue(prod, wrapping, &outer, 1));
    assert_int_equal(outer.ulValueLen, CK_UNAVAILABLE_INFORMATION);
    outer.ulValueLen = sizeof inner;
    ok(world.p11->C_GetAttributeValue(prod, wrapping, &outer, 1));
    assert_int_equal(inner[0].type, CKA_EXTRACTABLE);
    assert_int_equal(inner[0].ulValueLen, 1);
    assert_int_equal(inner[1].type, CKA_LABEL);
    assert_int_equal(inner[1].ulValueLen, 7);
    assert_int_equal(inner[2].ulValueLen, 0);
    assert_null(inner[1].pValue);
    inner[0].pValue = &extractable;
    inner[1] = (CK_ATTRIBUTE){ 0, label, 6 };
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_GetAttributeValue(prod, wrapping, &outer, 1));
    assert_int_equal(inner[1].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    assert_int_equal(extractable, CK_FALSE);
    inner[1].ulValueLen = 7;
    ok(world.p11->C_GetAttributeValue(prod, wrapping, &outer, 1));
    assert_memory_equal(label, "arrived", 7);
    CK_ATTRIBUTE other = { CKA_WRAP_TEMPLATE, NULL, 0 };
    expect(CKR_ATTRIBUTE_TYPE_INVALID, world.p11->C_GetAttributeValue(prod, wrapping, &other, 1));
    assert_int_equal(other.ulValueLen, CK_UNAVAILABLE_INFORMATION);
}

/* Trusted are the vault's keys, and no others. */
static void test_wrap_with_trusted(void **state)
{
    CK_ATTRIBUTE trusted = ITEM(CKA_WRAP_WITH_TRUSTED, yes);
    CK_OBJECT_HANDLE key = create_private(hsm, pkeys[1], curve_of(1), true),
                     mine = secret(hsm, CKK_AES, kek_value, 32);
    struct blob blob;
    ok(world.p11->C_SetAttributeValue(hsm, key, &trusted, 1));
    expect(CKR_KEY_NOT_WRAPPABLE, wrap(hsm, &kwp, mine, key, &blob));
    ok(wrap(hsm, &kwp, find_one(hsm, CKO_SECRET_KEY, "wrapper"), key, &blob));
    assert_false(attribute_bool(hsm, mine, CKA_TRUSTED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets_of_every_length),
        cmocka_unit_test(test_lengths_that_cannot_be),
        cmocka_unit_test(test_rsa_here_and_there),
        cmocka_unit_test(test_private_keys_under_session_keys),
        cmocka_unit_test(test_private_keys_under_an_hsm_key),
        cmocka_unit_test(test_what_wraps_no_private_key),
        cmocka_unit_test(test_foreign_private_keys),
        cmocka_unit_test(test_wrap_template),
        cmocka_unit_test(test_unwrap_template),
        cmocka_unit_test(test_templates_can_be_read),
        cmocka_unit_test(test_wrap_with_trusted),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
