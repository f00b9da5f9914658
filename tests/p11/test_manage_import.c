/* Keys brought into a vault: what the vault then signs, OpenSSL verifies with the key it made; what OpenSSL encrypts, the vault decrypts. */
#include "manage_help.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include "base/encode.h"
#include "../common/rsa_keys.h"

static CK_SESSION_HANDLE session;
static EVP_PKEY *rsa;

/* An RSA key as PKCS#11 wants it, in the order of its parts; each number with a leading zero, which some writers add. */
enum { MODULUS, EXPONENT, PRIVATE, PARTS = 8 };
static const struct {
    const char *param;
    CK_ATTRIBUTE_TYPE type;
} parts[PARTS] = {
    { OSSL_PKEY_PARAM_RSA_N, CKA_MODULUS },
    { OSSL_PKEY_PARAM_RSA_E, CKA_PUBLIC_EXPONENT },
    { OSSL_PKEY_PARAM_RSA_D, CKA_PRIVATE_EXPONENT },
    { OSSL_PKEY_PARAM_RSA_FACTOR1, CKA_PRIME_1 },
    { OSSL_PKEY_PARAM_RSA_FACTOR2, CKA_PRIME_2 },
    { OSSL_PKEY_PARAM_RSA_EXPONENT1, CKA_EXPONENT_1 },
    { OSSL_PKEY_PARAM_RSA_EXPONENT2, CKA_EXPONENT_2 },
    { OSSL_PKEY_PARAM_RSA_COEFFICIENT1, CKA_COEFFICIENT },
};
static CK_BYTE numbers[PARTS][520];
static CK_ULONG lengths[PARTS];

static size_t number_of(EVP_PKEY *pkey, const char *param, CK_BYTE *ret, size_t width)
{
    BIGNUM *number = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(pkey, param, &number), 1);
    size_t len = width ? width : (size_t)BN_num_bytes(number) + 1;
    assert_int_equal(BN_bn2binpad(number, ret, (int)len), (int)len);
    BN_free(number);
    return len;
}

static int start(void **state)
{
    if (world_start(state))
        return -1;
    rsa = rsa_key(NULL, 2048, 0);
    for (size_t i = 0; i < PARTS; i++)
        lengths[i] = number_of(rsa, parts[i].param, numbers[i], 0);
    session = begin("operator", "manage = yes", PROD);
    return 0;
}

static int stop(void **state)
{
    EVP_PKEY_free(rsa);
    return world_stop(state);
}

static const CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY, public_class = CKO_PUBLIC_KEY,
                             secret_class = CKO_SECRET_KEY;
static const CK_KEY_TYPE rsa_type = CKK_RSA, ec_type = CKK_EC, aes_type = CKK_AES;

/* `left_out`: an index of parts, or PARTS. */
static CK_RV import_rsa(const char *label, size_t left_out, CK_ATTRIBUTE more, CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[PARTS + 6] = { ITEM(CKA_CLASS, private_class),
                                         ITEM(CKA_KEY_TYPE, rsa_type),
                                         ITEM(CKA_TOKEN, yes),
                                         ITEM(CKA_PRIVATE, yes),
                                         { CKA_LABEL, (void *)label, strlen(label) } };
    CK_ULONG count = 5;
    for (size_t i = 0; i < PARTS; i++)
        if (i != left_out)
            template[count++] = (CK_ATTRIBUTE){ parts[i].type, numbers[i], lengths[i] };
    if (more.ulValueLen)
        template[count++] = more;
    return world.p11->C_CreateObject(session, template, count, ret);
}

static bool openssl_verifies(EVP_PKEY *pkey, const char *message, const struct result *signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    struct kv_view bytes = { signature->data, signature->len };
    if (EVP_PKEY_is_a(pkey, "EC")) {
        assert_int_equal(kv_ecdsa_to_der(bytes, &der), KV_OK);
        bytes = KV_VIEW(der);
    }
    assert_int_equal(EVP_DigestVerifyInit_ex(context, NULL, "SHA2-256", NULL, NULL, pkey, NULL), 1);
    int good =
        EVP_DigestVerify(context, bytes.data, bytes.len, (const unsigned char *)message, strlen(message));
    EVP_MD_CTX_free(context);
    return good == 1;
}

static void test_an_rsa_key(void **state)
{
    CK_OBJECT_HANDLE key = 0;
    ok(import_rsa("brought-rsa", PARTS, (CK_ATTRIBUTE){ 0 }, &key));
    assert_text(session, key, CKA_LABEL, "brought-rsa");
    assert_true(attribute_bool(session, key, CKA_SENSITIVE));
    assert_false(attribute_bool(session, key, CKA_EXTRACTABLE));
    struct result signature = sign(session, &rsa_sha256, key, "message", 7);
    assert_true(openssl_verifies(rsa, "message", &signature));
    assert_false(openssl_verifies(rsa, "massage", &signature));

    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(rsa, NULL);
    struct result cipher;
    size_t len = sizeof cipher.data;
    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_encrypt(context, cipher.data, &len, (const CK_BYTE *)"secret", 6), 1);
    cipher.len = len;
    EVP_PKEY_CTX_free(context);
    struct result plain = decrypt(session, &oaep_sha1, key, &cipher);
    assert_int_equal(plain.len, 6);
    assert_memory_equal(plain.data, "secret", 6);
    assert_int_equal(find_one(session, CKO_PRIVATE_KEY, "brought-rsa"), key);
    CK_BYTE modulus[256];
    assert_int_equal(
        attribute(session, find_one(session, CKO_PUBLIC_KEY, "brought-rsa"), CKA_MODULUS, modulus, 256), 256);
    assert_memory_equal(modulus, numbers[MODULUS] + 1, 256);
}

static void test_usage_and_dates(void **state)
{
    CK_OBJECT_HANDLE key = 0;
    ok(import_rsa("brought-signer", PARTS, (CK_ATTRIBUTE)ITEM(CKA_SIGN, yes), &key));
    assert_true(attribute_bool(session, key, CKA_SIGN));
    assert_false(attribute_bool(session, key, CKA_DECRYPT));
    ok(import_rsa("brought-dated", PARTS, (CK_ATTRIBUTE)TEXT(CKA_END_DATE, "20991231"), &key));
    assert_text(session, key, CKA_END_DATE, "20991231");
}

/* Of the primes and what comes of them each may be missing. */
static void test_parts_are_computed(void **state)
{
    for (size_t i = PRIVATE + 1; i < PARTS; i++) {
        CK_OBJECT_HANDLE key = 0;
        char label[32];
        snprintf(label, sizeof label, "brought-part-%zu", i);
        ok(import_rsa(label, i, (CK_ATTRIBUTE){ 0 }, &key));
        struct result signature = sign(session, &rsa_sha256, key, "message", 7);
        assert_true(openssl_verifies(rsa, "message", &signature));
    }
}

static void test_parts_that_are_missing(void **state)
{
    CK_OBJECT_HANDLE key = 77;
    clear_log();
    for (size_t i = 0; i <= PRIVATE; i++)
        expect(CKR_TEMPLATE_INCOMPLETE, import_rsa("brought-torn", i, (CK_ATTRIBUTE){ 0 }, &key));
    assert_logged("CKA_PRIVATE_EXPONENT is missing");
    expect(CKR_TEMPLATE_INCONSISTENT,
           import_rsa("brought-torn", PARTS, (CK_ATTRIBUTE)ITEM(CKA_EXTRACTABLE, yes), &key));
    expect(CKR_ATTRIBUTE_VALUE_INVALID, import_rsa("brought.torn", PARTS, (CK_ATTRIBUTE){ 0 }, &key));
    expect(CKR_TEMPLATE_INCOMPLETE, import_rsa("", PARTS, (CK_ATTRIBUTE){ 0 }, &key));
    /* Parts that do not belong together are no key. */
    numbers[PRIVATE][100] ^= 1;
    expect(CKR_ATTRIBUTE_VALUE_INVALID, import_rsa("brought-torn", PARTS, (CK_ATTRIBUTE){ 0 }, &key));
    assert_int_equal(requests(NULL), 0);
    numbers[PRIVATE][100] ^= 1;
    assert_int_equal(key, 77);
}

static CK_RV import_ec(const struct ec_name *name, const char *label, struct kv_view value,
                       CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, private_class),
                                ITEM(CKA_KEY_TYPE, ec_type),
                                ITEM(CKA_TOKEN, yes),
                                { CKA_LABEL, (void *)label, strlen(label) },
                                { CKA_EC_PARAMS, (void *)name->params, name->len },
                                { CKA_VALUE, (void *)value.data, value.len } };
    return world.p11->C_CreateObject(session, template, 6, ret);
}

static void test_a_key_on_each_curve(void **state)
{
    for (size_t i = 0; i < COUNT(ec_names); i++) {
        EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", ec_names[i].group);
        CK_BYTE scalar[80];
        size_t len = number_of(pkey, OSSL_PKEY_PARAM_PRIV_KEY, scalar, 0);
        CK_OBJECT_HANDLE key = 0;
        char label[32];
        snprintf(label, sizeof label, "brought-%s", ec_names[i].curve);
        ok(import_ec(&ec_names[i], label, BYTES(scalar, len), &key));
        struct result signature = sign(session, &ecdsa_sha256, key, "message", 7);
        assert_true(openssl_verifies(pkey, "message", &signature));
        EVP_PKEY_free(pkey);
    }
}

/* One in 256 keys is shorter than its curve: the vault wants the width all the same, and checks that point and number belong together. */
static void test_a_short_scalar(void **state)
{
    for (size_t i = 0; i < COUNT(ec_names); i++) {
        CK_OBJECT_HANDLE key = 0;
        char label[32];
        snprintf(label, sizeof label, "brought-short-%zu", i);
        ok(import_ec(&ec_names[i], label, BYTES("\1\2\3", 3), &key));
        struct result signature = sign(session, &ecdsa_sha256, key, "message", 7);
        assert_true(verifies(session, &ecdsa_sha256, find_one(session, CKO_PUBLIC_KEY, label),
                             BYTES("message", 7), &signature));
    }
}

static void test_what_is_no_scalar(void **state)
{
    static const CK_BYTE zero[32] = { 0 };
    CK_BYTE high[32], much[67];
    CK_OBJECT_HANDLE key = 77;
    memset(high, 0xff, sizeof high);
    memset(much, 1, sizeof much);
    clear_log();
    expect(CKR_ATTRIBUTE_VALUE_INVALID, import_ec(&ec_names[0], "brought-torn", BYTES(zero, 32), &key));
    expect(CKR_ATTRIBUTE_VALUE_INVALID, import_ec(&ec_names[0], "brought-torn", BYTES(high, 32), &key));
    expect(CKR_ATTRIBUTE_VALUE_INVALID, import_ec(&ec_names[0], "brought-torn", BYTES(much, 67), &key));
    expect(CKR_ATTRIBUTE_VALUE_INVALID, import_ec(&ec_names[0], "brought-torn", BYTES(NULL, 0), &key));
    assert_int_equal(requests(NULL), 0);
    assert_int_equal(key, 77);
}

/* The public half, where a template has it: 65 bytes of P-256 behind `head`, of which `skip` are left out in front. */
static void test_a_point_beside_the_scalar(void **state)
{
    static const struct {
        const char *sentence, *head;
        size_t head_len, skip;
        CK_BYTE change;
        CK_RV rv;
    } rows[] = {
        { "an OCTET STRING", "\x04\x41", 2, 0, 0, CKR_OK },
        { "the point alone", "", 0, 0, 0, CKR_OK },
        { "another point", "\x04\x41", 2, 0, 1, CKR_TEMPLATE_INCONSISTENT },
        { "another tag", "\x05\x41", 2, 0, 0, CKR_ATTRIBUTE_VALUE_INVALID },
        { "another length", "\x04\x40", 2, 0, 0, CKR_ATTRIBUTE_VALUE_INVALID },
        { "something in front", "\x30\x04\x41", 3, 0, 0, CKR_ATTRIBUTE_VALUE_INVALID },
        { "a byte too few", "\x04\x40", 2, 1, 0, CKR_ATTRIBUTE_VALUE_INVALID },
        { "compressed", "\x04\x21\x02", 3, 33, 0, CKR_TEMPLATE_INCONSISTENT },
    };
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", ec_names[0].group);
    CK_BYTE scalar[80], point[65], given[80];
    size_t len = number_of(pkey, OSSL_PKEY_PARAM_PRIV_KEY, scalar, 0), size = 0;
    assert_int_equal(
        EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &size), 1);
    assert_int_equal(size, sizeof point);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char label[32];
        CK_OBJECT_HANDLE key = 0;
        snprintf(label, sizeof label, "brought-point-%zu", i);
        memcpy(given, rows[i].head, rows[i].head_len);
        memcpy(given + rows[i].head_len, point + rows[i].skip, sizeof point - rows[i].skip);
        size_t given_len = rows[i].head_len + sizeof point - rows[i].skip;
        given[given_len - 1] ^= rows[i].change;
        CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, private_class),
                                    ITEM(CKA_KEY_TYPE, ec_type),
                                    ITEM(CKA_TOKEN, yes),
                                    { CKA_LABEL, label, strlen(label) },
                                    { CKA_EC_PARAMS, (void *)ec_names[0].params, ec_names[0].len },
                                    { CKA_VALUE, scalar, len },
                                    { CKA_EC_POINT, given, given_len } };
        CK_RV rv = world.p11->C_CreateObject(session, template, COUNT(template), &key);
        if (rv != rows[i].rv)
            fail_msg("%s: 0x%lx", rows[i].sentence, rv);
    }
    EVP_PKEY_free(pkey);
}

/* --- names that exist, lost replies --- */

static void test_existing_names(void **state)
{
    CK_OBJECT_HANDLE key = 77, old;
    clear_log();
    expect(CKR_TEMPLATE_INCONSISTENT, import_rsa("brought-rsa", PARTS, (CK_ATTRIBUTE){ 0 }, &key));
    assert_logged("new_version = yes");
    create_key("prod", "followed", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    session = begin("operator", "manage = yes\nnew_version = yes", PROD);
    old = find_one(session, CKO_PRIVATE_KEY, "followed");
    ok(import_rsa("followed", PARTS, (CK_ATTRIBUTE){ 0 }, &key));
    assert_int_equal(find_one(session, CKO_PRIVATE_KEY, "followed"), key);
    assert_int_not_equal(key, old);
    struct result signature = sign(session, &rsa_sha256, key, "message", 7);
    assert_true(openssl_verifies(rsa, "message", &signature));
    session = begin("operator", "manage = yes", PROD);
}

static void test_a_lost_reply(void **state)
{
    CK_OBJECT_HANDLE key = 0;
    control_do("POST", "/faults",
               "{\"method\":\"PUT\",\"path\":\"/keys/brought-lost\",\"kind\":\"cut\",\"count\":1}");
    ok(import_rsa("brought-lost", PARTS, (CK_ATTRIBUTE){ 0 }, &key));
    control_do("DELETE", "/faults", NULL);
    struct result signature = sign(session, &rsa_sha256, key, "message", 7);
    assert_true(openssl_verifies(rsa, "message", &signature));
    struct kv_json *log = control("GET", "/log", NULL);
    size_t puts = 0;
    for (size_t i = 0; i < kv_json_count(log); i++) {
        const struct kv_json *entry = kv_json_at(log, i);
        const char *path = kv_json_text(kv_json_get(entry, "path"));
        const char *method = kv_json_text(kv_json_get(entry, "method"));
        puts += path && method && strstr(path, "brought-lost") && !strcmp(method, "PUT");
    }
    kv_json_free(log);
    assert_int_equal(puts, 1);
}

/* --- who may, and what --- */

static void test_who_may_not(void **state)
{
    CK_OBJECT_HANDLE key = 77;
    session = begin("operator", "", PROD);
    clear_log();
    expect(CKR_TOKEN_WRITE_PROTECTED, import_rsa("never-brought", PARTS, (CK_ATTRIBUTE){ 0 }, &key));
    assert_int_equal(requests(NULL), 0);
    session = begin("workload", "manage = yes", PROD);
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED, import_rsa("never-brought", PARTS, (CK_ATTRIBUTE){ 0 }, &key));
    assert_logged("'never-brought' in vault 'prod': import: permission denied");
    session = begin("operator", "manage = yes", PROD);
    CK_SESSION_HANDLE writing = session;
    session = open_session(PROD);
    clear_log();
    expect(CKR_SESSION_READ_ONLY, import_rsa("never-brought", PARTS, (CK_ATTRIBUTE){ 0 }, &key));
    assert_int_equal(requests(NULL), 0);
    ok(world.p11->C_CloseSession(session));
    session = writing;
    CK_ATTRIBUTE public[] = { ITEM(CKA_CLASS, public_class),
                              ITEM(CKA_KEY_TYPE, rsa_type),
                              ITEM(CKA_TOKEN, yes),
                              TEXT(CKA_LABEL, "never-brought"),
                              { CKA_MODULUS, numbers[MODULUS], lengths[MODULUS] },
                              { CKA_PUBLIC_EXPONENT, numbers[EXPONENT], lengths[EXPONENT] } };
    expect(CKR_TEMPLATE_INCONSISTENT, world.p11->C_CreateObject(session, public, 6, &key));
    assert_int_equal(find_all(session, CKO_PUBLIC_KEY, "never-brought", NULL, NULL, 0), 0);
}

static const CK_BYTE kek[32] = "thirty-two bytes for a key, fit.", value[16] = "0123456789abcdef";

static CK_RV import_aes(const char *label, CK_ULONG len, CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, secret_class),
                                ITEM(CKA_KEY_TYPE, aes_type),
                                ITEM(CKA_TOKEN, yes),
                                { CKA_LABEL, (void *)label, strlen(label) },
                                { CKA_VALUE, (void *)kek, len } };
    return world.p11->C_CreateObject(session, template, 5, ret);
}

static void test_a_secret_key(void **state)
{
    CK_OBJECT_HANDLE key = 0;
    CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 };
    CK_BYTE wrapped[64], opened[64];
    CK_ULONG len = sizeof wrapped;
    expect(CKR_TEMPLATE_INCONSISTENT, import_aes("brought-aes", 32, &key));
    session = begin("operator", "manage = yes", HSM);
    expect(CKR_ATTRIBUTE_VALUE_INVALID, import_aes("brought-aes", 20, &key));
    ok(import_aes("brought-aes", 32, &key));
    ok(world.p11->C_WrapKey(session, &kw, key, aes_key(session, value, 16, true), wrapped, &len));
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-WRAP", NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int got = 0;
    EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    assert_int_equal(EVP_DecryptInit_ex2(context, cipher, kek, NULL, NULL), 1);
    assert_int_equal(EVP_DecryptUpdate(context, opened, &got, wrapped, (int)len), 1);
    assert_int_equal(got, 16);
    assert_memory_equal(opened, value, 16);
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    ok(import_rsa("brought-hard", PARTS, (CK_ATTRIBUTE){ 0 }, &key));
    struct result signature = sign(session, &rsa_sha256, key, "message", 7);
    assert_true(openssl_verifies(rsa, "message", &signature));
    session = begin("operator", "manage = yes", PROD);
}

static void test_nothing_secret_is_logged(void **state)
{
    char *log = module_log();
    char *d = kv_encode_base64url((struct kv_view){ numbers[PRIVATE] + 1, 30 });
    char *k = kv_encode_base64url((struct kv_view){ kek, 30 });
    assert_true(strlen(log) > 100);
    assert_null(strstr(log, d));
    assert_null(strstr(log, k));
    assert_null(strstr(log, (const char *)"thirty-two"));
    free(log);
    kv_text_free(d);
    kv_text_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_rsa_key),
        cmocka_unit_test(test_usage_and_dates),
        cmocka_unit_test(test_parts_are_computed),
        cmocka_unit_test(test_parts_that_are_missing),
        cmocka_unit_test(test_a_key_on_each_curve),
        cmocka_unit_test(test_a_short_scalar),
        cmocka_unit_test(test_a_point_beside_the_scalar),
        cmocka_unit_test(test_what_is_no_scalar),
        cmocka_unit_test(test_existing_names),
        cmocka_unit_test(test_a_lost_reply),
        cmocka_unit_test(test_who_may_not),
        cmocka_unit_test(test_a_secret_key),
        cmocka_unit_test(test_nothing_secret_is_logged),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
