/* C_DeriveKey with HKDF, against OpenSSL's own and the vectors of RFC 5869; what a derived key is and may be. */
#include "keys_help.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include "base/encode.h"
#include "../common/hkdf_vectors.h"

static CK_SESSION_HANDLE session;

static int start(void **state)
{
    if (world_start(state))
        return -1;
    create_key("prod", "signer", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    create_key("hsm", "wrapper", "{\"kty\":\"oct-HSM\",\"key_size\":256}");
    initialize();
    session = open_session(PROD);
    return 0;
}

static CK_OBJECT_HANDLE base_key(CK_KEY_TYPE type, struct kv_view value)
{
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, secret_class),
                                ITEM(CKA_KEY_TYPE, type),
                                ITEM(CKA_DERIVE, yes),
                                { CKA_VALUE, (void *)value.data, value.len } };
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    ok(world.p11->C_CreateObject(session, template, 4, &key));
    return key;
}

static CK_HKDF_PARAMS params_of(CK_MECHANISM_TYPE hash, struct kv_view salt, struct kv_view info)
{
    return (CK_HKDF_PARAMS){ .bExtract = CK_TRUE,
                             .bExpand = CK_TRUE,
                             .prfHashMechanism = hash,
                             .ulSaltType = salt.len ? CKF_HKDF_SALT_DATA : CKF_HKDF_SALT_NULL,
                             .pSalt = (CK_BYTE *)salt.data,
                             .ulSaltLen = salt.len,
                             .pInfo = (CK_BYTE *)info.data,
                             .ulInfoLen = info.len };
}

/* An open generic secret of this length. */
static CK_OBJECT_HANDLE derive(CK_OBJECT_HANDLE base, CK_HKDF_PARAMS *params, CK_ULONG len)
{
    CK_MECHANISM mechanism = { CKM_HKDF_DERIVE, params, sizeof *params };
    CK_ATTRIBUTE template[] = { ITEM(CKA_KEY_TYPE, generic), ITEM(CKA_SENSITIVE, no),
                                ITEM(CKA_EXTRACTABLE, yes), ITEM(CKA_VALUE_LEN, len) };
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    ok(world.p11->C_DeriveKey(session, &mechanism, base, template, len ? 4 : 3, &key));
    return key;
}

static void has_value(CK_OBJECT_HANDLE key, struct kv_view value)
{
    CK_BYTE got[2048];
    CK_ULONG len = 0;
    assert_int_equal(attribute(session, key, CKA_VALUE, got, sizeof got), value.len);
    assert_memory_equal(got, value.data, value.len);
    attribute(session, key, CKA_VALUE_LEN, &len, sizeof len);
    assert_int_equal(len, value.len);
}

static struct kv_bytes from_hex(const char *hex)
{
    struct kv_bytes bytes = { 0 };
    assert_int_equal(kv_decode_hex(hex, &bytes), KV_OK);
    return bytes;
}

/* In one step, in two, and with the salt as a key. */
static void test_vectors(void **state)
{
    for (size_t i = 0; i < COUNT(hkdf_vectors); i++) {
        KV_AUTO_BYTES struct kv_bytes key = from_hex(hkdf_vectors[i].key),
                                      salt = from_hex(hkdf_vectors[i].salt),
                                      info = from_hex(hkdf_vectors[i].info),
                                      prk = from_hex(hkdf_vectors[i].extracted),
                                      okm = from_hex(hkdf_vectors[i].expanded);
        CK_HKDF_PARAMS params = params_of(CKM_SHA256, KV_VIEW(salt), KV_VIEW(info));
        CK_OBJECT_HANDLE base = base_key(i % 2 ? CKK_HKDF : CKK_GENERIC_SECRET, KV_VIEW(key));
        has_value(derive(base, &params, okm.len), KV_VIEW(okm));
        params.bExpand = CK_FALSE;
        has_value(derive(base, &params, 0), KV_VIEW(prk));
        has_value(derive(base, &params, 32), KV_VIEW(prk));
        params.bExpand = CK_TRUE;
        params.bExtract = CK_FALSE;
        has_value(derive(base_key(CKK_HKDF, KV_VIEW(prk)), &params, okm.len), KV_VIEW(okm));
        if (!salt.len)
            continue;
        params.bExtract = CK_TRUE;
        params.ulSaltType = CKF_HKDF_SALT_KEY;
        params.hSaltKey = base_key(CKK_GENERIC_SECRET, KV_VIEW(salt));
        has_value(derive(base, &params, okm.len), KV_VIEW(okm));
    }
}

static void test_every_hash_as_openssl_has_it(void **state)
{
    static const struct {
        CK_MECHANISM_TYPE type;
        const char *name;
    } hashes[] = { { CKM_SHA256, "SHA256" }, { CKM_SHA384, "SHA384" }, { CKM_SHA512, "SHA512" } };
    struct kv_view key = kv_view_text("input key material"), salt = kv_view_text("salt"),
                   info = kv_view_text("info");
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    for (size_t i = 0; i < COUNT(hashes); i++) {
        unsigned char out[500];
        EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
        OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)hashes[i].name, 0),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key.data, key.len),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt.data, salt.len),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info.data, info.len),
            OSSL_PARAM_construct_end()
        };
        assert_int_equal(EVP_KDF_derive(context, out, sizeof out, params), 1);
        EVP_KDF_CTX_free(context);
        CK_HKDF_PARAMS ours = params_of(hashes[i].type, salt, info);
        CK_OBJECT_HANDLE base = base_key(CKK_GENERIC_SECRET, key);
        has_value(derive(base, &ours, sizeof out), (struct kv_view){ out, sizeof out });
    }
    EVP_KDF_free(kdf);
}

/* A derived AES key is an AES key like another. */
static void test_a_derived_key_works(void **state)
{
    CK_HKDF_PARAMS params = params_of(CKM_SHA256, kv_view_text("salt"), kv_view_text("for data"));
    CK_MECHANISM mechanism = { CKM_HKDF_DERIVE, &params, sizeof params };
    CK_BYTE iv[12] = "twelve bytes", value[32];
    CK_GCM_PARAMS gcm_params = { .pIv = iv, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128 };
    CK_MECHANISM gcm = { CKM_AES_GCM, &gcm_params, sizeof gcm_params };
    CK_OBJECT_HANDLE base = base_key(CKK_HKDF, kv_view_text("input key material")), key;
    CK_ULONG len = 32;
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, secret_class), ITEM(CKA_KEY_TYPE, aes),
                                ITEM(CKA_VALUE_LEN, len) };
    attribute(session, derive(base, &params, 32), CKA_VALUE, value, sizeof value);
    ok(world.p11->C_DeriveKey(session, &mechanism, base, template, 3, &key));
    struct result cipher = encrypt(session, &gcm, key, "plain", 5);
    struct result plain = decrypt(session, &gcm, aes_key(session, value, 32, true), &cipher);
    assert_int_equal(plain.len, 5);
    assert_memory_equal(plain.data, "plain", 5);
    assert_false(attribute_bool(session, key, CKA_LOCAL));
    CK_ATTRIBUTE hidden = { CKA_VALUE, value, sizeof value };
    expect(CKR_ATTRIBUTE_SENSITIVE, world.p11->C_GetAttributeValue(session, key, &hidden, 1));
}

/* PKCS#11 §6.62.3: a derived key was never cleaner than the one it comes from. */
static void test_what_is_inherited(void **state)
{
    CK_MECHANISM generate = { CKM_HKDF_KEY_GEN, NULL, 0 };
    CK_HKDF_PARAMS params = params_of(CKM_SHA256, kv_view_text("salt"), kv_view_text(""));
    CK_MECHANISM mechanism = { CKM_HKDF_DERIVE, &params, sizeof params };
    CK_ULONG len = 32;
    CK_ATTRIBUTE make[] = { ITEM(CKA_VALUE_LEN, len), ITEM(CKA_DERIVE, yes) };
    CK_OBJECT_HANDLE clean, key;
    ok(world.p11->C_GenerateKey(session, &generate, make, 2, &clean));
    CK_OBJECT_HANDLE bases[] = { clean, base_key(CKK_HKDF, kv_view_text("brought from elsewhere")) };
    for (int i = 0; i < 2; i++)
        for (int open = 0; open < 2; open++) {
            CK_BBOOL out = (CK_BBOOL)open, sensitive = !out;
            CK_ATTRIBUTE template[] = { ITEM(CKA_VALUE_LEN, len), ITEM(CKA_SENSITIVE, sensitive),
                                        ITEM(CKA_EXTRACTABLE, out) };
            ok(world.p11->C_DeriveKey(session, &mechanism, bases[i], template, 3, &key));
            assert_int_equal(attribute_bool(session, key, CKA_ALWAYS_SENSITIVE), !i && !open);
            assert_int_equal(attribute_bool(session, key, CKA_NEVER_EXTRACTABLE), !i && !open);
            CK_KEY_TYPE type = 0;
            attribute(session, key, CKA_KEY_TYPE, &type, sizeof type);
            assert_int_equal(type, CKK_GENERIC_SECRET);
        }
}

static void test_refusals(void **state)
{
    enum { EXTRACT = 1, EXPAND = 2, SALT_KEY = 4, BAD_SALT = 8, NO_INFO = 16, NO_PARAMS = 32 };
    static const struct {
        const char *sentence;
        CK_KEY_TYPE base, made;
        CK_MECHANISM_TYPE hash;
        int how;
        CK_ULONG len;
        CK_RV rv;
    } rows[] = {
        { "neither half", CKK_HKDF, CKK_AES, CKM_SHA256, 0, 32, CKR_MECHANISM_PARAM_INVALID },
        { "another hash", CKK_HKDF, CKK_AES, CKM_SHA_1, 3, 32, CKR_MECHANISM_PARAM_INVALID },
        { "no hash at all", CKK_HKDF, CKK_AES, CKM_AES_GCM, 3, 32, CKR_MECHANISM_PARAM_INVALID },
        { "no parameter", CKK_HKDF, CKK_AES, CKM_SHA256, 3 | NO_PARAMS, 32, CKR_MECHANISM_PARAM_INVALID },
        { "a salt of no kind", CKK_HKDF, CKK_AES, CKM_SHA256, 3 | BAD_SALT, 32, CKR_MECHANISM_PARAM_INVALID },
        { "information that is not there", CKK_HKDF, CKK_AES, CKM_SHA256, 3 | NO_INFO, 32,
          CKR_MECHANISM_PARAM_INVALID },
        { "a salt that is no key", CKK_HKDF, CKK_AES, CKM_SHA256, 3 | SALT_KEY, 32, CKR_KEY_HANDLE_INVALID },
        { "from an AES key", CKK_AES, CKK_AES, CKM_SHA256, 3, 32, CKR_KEY_TYPE_INCONSISTENT },
        { "no length", CKK_HKDF, CKK_AES, CKM_SHA256, 3, 0, CKR_TEMPLATE_INCOMPLETE },
        { "a length that AES has not", CKK_HKDF, CKK_AES, CKM_SHA256, 3, 17, CKR_ATTRIBUTE_VALUE_INVALID },
        { "more than there is", CKK_HKDF, CKK_GENERIC_SECRET, CKM_SHA256, 3, 8161, CKR_KEY_SIZE_RANGE },
        { "an extract that is cut", CKK_HKDF, CKK_AES, CKM_SHA256, EXTRACT, 16, CKR_TEMPLATE_INCONSISTENT },
        { "an extract too long for AES", CKK_HKDF, CKK_AES, CKM_SHA512, EXTRACT, 0,
          CKR_ATTRIBUTE_VALUE_INVALID },
        { "an expansion of too short a key", CKK_HKDF, CKK_AES, CKM_SHA512, EXPAND, 32, CKR_KEY_SIZE_RANGE },
        { "an RSA key", CKK_HKDF, CKK_RSA, CKM_SHA256, 3, 32, CKR_TEMPLATE_INCONSISTENT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_HKDF_PARAMS params = params_of(rows[i].hash, kv_view_text("salt"), kv_view_text("info"));
        CK_MECHANISM mechanism = { CKM_HKDF_DERIVE, &params, sizeof params };
        CK_ATTRIBUTE template[] = { ITEM(CKA_KEY_TYPE, rows[i].made), ITEM(CKA_VALUE_LEN, rows[i].len) };
        CK_OBJECT_HANDLE key = 77,
                         base = base_key(rows[i].base, kv_view_text("0123456789abcdef0123456789abcdef"));
        params.bExtract = !!(rows[i].how & EXTRACT);
        params.bExpand = !!(rows[i].how & EXPAND);
        params.ulSaltType = rows[i].how & BAD_SALT   ? 8
                            : rows[i].how & SALT_KEY ? CKF_HKDF_SALT_KEY
                                                     : CKF_HKDF_SALT_DATA;
        params.hSaltKey = 998877;
        params.pInfo = rows[i].how & NO_INFO ? NULL : params.pInfo;
        mechanism.ulParameterLen = rows[i].how & NO_PARAMS ? 0 : sizeof params;
        CK_RV rv = world.p11->C_DeriveKey(session, &mechanism, base, template, rows[i].len ? 2 : 1, &key);
        if (rv != rows[i].rv || key != 77)
            fail_msg("%s: 0x%lx", rows[i].sentence, rv);
        ok(world.p11->C_DestroyObject(session, base));
    }
}

static void test_who_may_be_derived_from(void **state)
{
    CK_HKDF_PARAMS params = params_of(CKM_SHA256, kv_view_text("salt"), kv_view_text("info"));
    CK_MECHANISM mechanism = { CKM_HKDF_DERIVE, &params, sizeof params };
    CK_ULONG len = 32;
    CK_ATTRIBUTE template[] = { ITEM(CKA_VALUE_LEN, len) }, off = ITEM(CKA_DERIVE, no);
    CK_OBJECT_HANDLE key, base = base_key(CKK_HKDF, kv_view_text("0123456789abcdef0123456789abcdef"));
    ok(world.p11->C_SetAttributeValue(session, base, &off, 1));
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED,
           world.p11->C_DeriveKey(session, &mechanism, base, template, 1, &key));
    expect(CKR_KEY_HANDLE_INVALID, world.p11->C_DeriveKey(session, &mechanism, 998877, template, 1, &key));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_DeriveKey(session, NULL, base, template, 1, &key));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_DeriveKey(session, &mechanism, base, template, 1, NULL));
    CK_OBJECT_HANDLE signer = find_one(session, CKO_PRIVATE_KEY, "signer");
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_DeriveKey(session, &mechanism, signer, template, 1, &key));
    CK_SESSION_HANDLE hsm = open_session(HSM);
    CK_OBJECT_HANDLE wrapper = find_one(hsm, CKO_SECRET_KEY, "wrapper");
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_DeriveKey(hsm, &mechanism, wrapper, template, 1, &key));
    assert_false(attribute_bool(hsm, wrapper, CKA_DERIVE));
    ok(world.p11->C_CloseSession(hsm));
    CK_MECHANISM_INFO info;
    ok(world.p11->C_GetMechanismInfo(PROD, CKM_HKDF_DERIVE, &info));
    assert_int_equal(info.flags, CKF_DERIVE);
    ok(world.p11->C_GetMechanismInfo(PROD, CKM_HKDF_KEY_GEN, &info));
    assert_int_equal(info.flags, CKF_GENERATE);
}

/* CKA_DERIVE_TEMPLATE: what comes of this key is of this kind, whatever its user says. */
static void test_the_base_imposes(void **state)
{
    CK_ULONG sixteen = 16, len = 32;
    CK_ATTRIBUTE imposed[] = { ITEM(CKA_KEY_TYPE, aes), ITEM(CKA_VALUE_LEN, sixteen),
                               ITEM(CKA_EXTRACTABLE, no) };
    CK_ATTRIBUTE make[] = { ITEM(CKA_CLASS, secret_class),
                            ITEM(CKA_KEY_TYPE, hkdf),
                            ITEM(CKA_DERIVE, yes),
                            { CKA_VALUE, "0123456789abcdef", 16 },
                            { CKA_DERIVE_TEMPLATE, imposed, sizeof imposed } };
    CK_ATTRIBUTE against[] = { ITEM(CKA_VALUE_LEN, len) }, with[] = { { CKA_LABEL, "derived", 7 } };
    CK_HKDF_PARAMS params = params_of(CKM_SHA256, kv_view_text("salt"), kv_view_text("info"));
    CK_MECHANISM mechanism = { CKM_HKDF_DERIVE, &params, sizeof params };
    CK_OBJECT_HANDLE base, key;
    CK_KEY_TYPE type = 0;
    ok(world.p11->C_CreateObject(session, make, 5, &base));
    expect(CKR_TEMPLATE_INCONSISTENT, world.p11->C_DeriveKey(session, &mechanism, base, against, 1, &key));
    ok(world.p11->C_DeriveKey(session, &mechanism, base, with, 1, &key));
    attribute(session, key, CKA_KEY_TYPE, &type, sizeof type);
    attribute(session, key, CKA_VALUE_LEN, &len, sizeof len);
    assert_int_equal(type, CKK_AES);
    assert_int_equal(len, 16);
    assert_false(attribute_bool(session, key, CKA_EXTRACTABLE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_every_hash_as_openssl_has_it),
        cmocka_unit_test(test_a_derived_key_works),
        cmocka_unit_test(test_what_is_inherited),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_who_may_be_derived_from),
        cmocka_unit_test(test_the_base_imposes),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
