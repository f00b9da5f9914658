/* Message authentication codes, with keys of a session and of a Managed HSM; signatures over any bytes; decryption by a key that only unwraps; random
 * bytes of the vault. */
#include "hsm_help.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

static CK_SESSION_HANDLE session;
static const struct {
    CK_MECHANISM_TYPE type, general;
    const char *md;
    CK_ULONG size;
} hashes[] = {
    { CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL, "SHA256", 32 },
    { CKM_SHA384_HMAC, CKM_SHA384_HMAC_GENERAL, "SHA384", 48 },
    { CKM_SHA512_HMAC, CKM_SHA512_HMAC_GENERAL, "SHA512", 64 },
};
static const CK_BYTE message[200] = "a message that comes whole or in parts";

static int start(void **state)
{
    if (world_start(state))
        return -1;
    import_bytes("mac", known, 32, "\"sign\",\"verify\"");
    import_bytes("both", known, 32, CIPHER_OPS ",\"sign\",\"verify\"");
    create_key("prod", "rsa", "{\"kty\":\"RSA\"}");
    create_key("prod", "unwraps", "{\"kty\":\"RSA\",\"key_ops\":[\"wrapKey\",\"unwrapKey\"]}");
    initialize();
    session = open_session(HSM);
    return 0;
}

static CK_OBJECT_HANDLE session_key(CK_KEY_TYPE type, const CK_BYTE *value, CK_ULONG len)
{
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    CK_OBJECT_HANDLE key = 0;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &secret, sizeof secret },
                                { CKA_KEY_TYPE, &type, sizeof type },
                                { CKA_VALUE, (void *)value, len } };
    ok(world.p11->C_CreateObject(session, template, 3, &key));
    return key;
}

/* Whole and in parts, made and checked, right and wrong. */
static void exercise(CK_OBJECT_HANDLE key, CK_MECHANISM *mechanism, const struct result *code)
{
    struct result parts = { .len = 0 };
    struct result whole = sign(session, mechanism, key, message, sizeof message);
    same(&whole, code);
    ok(world.p11->C_SignInit(session, mechanism, key));
    ok(world.p11->C_SignUpdate(session, (CK_BYTE *)message, 1));
    ok(world.p11->C_SignUpdate(session, NULL, 0));
    ok(world.p11->C_SignUpdate(session, (CK_BYTE *)message + 1, sizeof message - 1));
    ok(world.p11->C_SignFinal(session, NULL, &parts.len));
    assert_int_equal(parts.len, code->len);
    parts.len--;
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_SignFinal(session, parts.data, &parts.len));
    ok(world.p11->C_SignFinal(session, parts.data, &parts.len));
    same(&parts, code);
    assert_true(verifies(session, mechanism, key, BYTES(message, sizeof message), code));
    assert_false(verifies(session, mechanism, key, BYTES(message, sizeof message - 1), code));
    parts.data[parts.len - 1] ^= 1;
    assert_false(verifies(session, mechanism, key, BYTES(message, sizeof message), &parts));
    ok(world.p11->C_VerifyInit(session, mechanism, key));
    ok(world.p11->C_VerifyUpdate(session, (CK_BYTE *)message, 100));
    ok(world.p11->C_VerifyUpdate(session, (CK_BYTE *)message + 100, sizeof message - 100));
    ok(world.p11->C_VerifyFinal(session, (CK_BYTE *)code->data, code->len));
    ok(world.p11->C_VerifyInit(session, mechanism, key));
    expect(CKR_SIGNATURE_LEN_RANGE, world.p11->C_Verify(session, (CK_BYTE *)message, sizeof message,
                                                        (CK_BYTE *)code->data, code->len - 1));
}

/* C_DigestKey is C_DigestUpdate with the key's value. */
static void test_the_digest_of_a_key(void **state)
{
    CK_MECHANISM sha256 = { CKM_SHA256, NULL, 0 };
    CK_MECHANISM_TYPE hmac = CKM_SHA256_HMAC;
    CK_ATTRIBUTE allowed = { CKA_ALLOWED_MECHANISMS, &hmac, sizeof hmac };
    CK_OBJECT_HANDLE key = session_key(CKK_GENERIC_SECRET, known, 20), bound = 0;
    struct result got = { .len = 32 }, want = { .len = 32 };
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &secret, sizeof secret },
                                { CKA_KEY_TYPE, &type, sizeof type },
                                { CKA_VALUE, (void *)known, 20 },
                                allowed };
    ok(world.p11->C_CreateObject(session, template, 4, &bound));
    CK_OBJECT_HANDLE others[] = { bound, find_one(session, CKO_SECRET_KEY, "mac"), 0, key + 1000 };
    const CK_RV refusals[] = { CKR_KEY_INDIGESTIBLE, CKR_KEY_INDIGESTIBLE, CKR_KEY_HANDLE_INVALID,
                               CKR_KEY_HANDLE_INVALID };
    CK_BYTE text[26] = "abc";
    memcpy(text + 3, known, 20);
    memcpy(text + 23, "xyz", 3);
    ok(world.p11->C_DigestInit(session, &sha256));
    ok(world.p11->C_Digest(session, text, sizeof text, want.data, &want.len));
    clear_log();
    expect(CKR_OPERATION_NOT_INITIALIZED, world.p11->C_DigestKey(session, key));
    ok(world.p11->C_DigestInit(session, &sha256));
    ok(world.p11->C_DigestUpdate(session, text, 3));
    ok(world.p11->C_DigestKey(session, key));
    ok(world.p11->C_DigestUpdate(session, text + 23, 3));
    ok(world.p11->C_DigestFinal(session, got.data, &got.len));
    same(&got, &want);
    for (int i = 0; i < 4; i++) {
        ok(world.p11->C_DigestInit(session, &sha256));
        expect(refusals[i], world.p11->C_DigestKey(session, others[i]));
        expect(CKR_OPERATION_NOT_INITIALIZED, world.p11->C_DigestFinal(session, got.data, &got.len));
    }
    assert_int_equal(requests(NULL), 0);
    expect(CKR_SESSION_HANDLE_INVALID, world.p11->C_DigestKey(session + 1000, key));
}

static void test_codes_of_a_session_key(void **state)
{
    static const CK_ULONG lens[] = { 1, 20, 64 };
    clear_log();
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            CK_OBJECT_HANDLE key = session_key(CKK_GENERIC_SECRET, known, lens[k]);
            CK_MECHANISM mechanism = { hashes[i].type, NULL, 0 };
            struct result code =
                openssl_hmac(hashes[i].md, BYTES(known, lens[k]), BYTES(message, sizeof message));
            assert_int_equal(code.len, hashes[i].size);
            exercise(key, &mechanism, &code);
            /* Of general length: the first bytes. */
            CK_ULONG half = hashes[i].size / 2, none = 0, more = hashes[i].size + 1;
            CK_MECHANISM general = { hashes[i].general, &half, sizeof half },
                         zero = { hashes[i].general, &none, sizeof none },
                         too_long = { hashes[i].general, &more, sizeof more };
            code.len = half;
            exercise(key, &general, &code);
            expect(CKR_MECHANISM_PARAM_INVALID, world.p11->C_SignInit(session, &zero, key));
            expect(CKR_MECHANISM_PARAM_INVALID, world.p11->C_VerifyInit(session, &too_long, key));
            ok(world.p11->C_DestroyObject(session, key));
        }
    assert_int_equal(requests(NULL), 0);
}

static void test_keys_of_the_wrong_kind(void **state)
{
    CK_MECHANISM hmac = { CKM_SHA256_HMAC, NULL, 0 };
    CK_OBJECT_HANDLE aes = session_key(CKK_AES, known, 32);
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_SignInit(session, &hmac, aes));
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL no = CK_FALSE;
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &secret, sizeof secret },
                                { CKA_KEY_TYPE, &type, sizeof type },
                                { CKA_VALUE, (void *)known, 32 },
                                { CKA_SIGN, &no, 1 } };
    ok(world.p11->C_CreateObject(session, template, 4, &key));
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED, world.p11->C_SignInit(session, &hmac, key));
    ok(world.p11->C_VerifyInit(session, &hmac, key));
    ok(world.p11->C_VerifyInit(session, NULL, 0));
}

static void test_codes_of_the_hsm(void **state)
{
    CK_OBJECT_HANDLE key = find_one(session, CKO_SECRET_KEY, "mac");
    CK_KEY_TYPE type = 0;
    attribute(session, key, CKA_KEY_TYPE, &type, sizeof type);
    assert_int_equal(type, CKK_GENERIC_SECRET);
    assert_true(attribute_bool(session, key, CKA_SIGN));
    assert_true(attribute_bool(session, key, CKA_VERIFY));
    assert_false(attribute_bool(session, key, CKA_ENCRYPT));
    for (int i = 0; i < 3; i++) {
        CK_MECHANISM mechanism = { hashes[i].type, NULL, 0 };
        struct result code = openssl_hmac(hashes[i].md, BYTES(known, 32), BYTES(message, sizeof message));
        clear_log();
        exercise(key, &mechanism, &code);
        assert_int_equal(requests("/sign"), 2);
        assert_int_equal(requests("/verify"), 4); /* a wrong length costs none */
        /* The empty message is one, too. */
        struct result empty = sign(session, &mechanism, key, "", 0),
                      expected = openssl_hmac(hashes[i].md, BYTES(known, 32), BYTES("", 0));
        same(&empty, &expected);
    }
    CK_ULONG half = 16;
    CK_MECHANISM general = { CKM_SHA256_HMAC_GENERAL, &half, sizeof half };
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_SignInit(session, &general, key));
    key = find_one(session, CKO_SECRET_KEY, "both");
    attribute(session, key, CKA_KEY_TYPE, &type, sizeof type);
    assert_int_equal(type, CKK_AES);
    CK_MECHANISM hmac = { CKM_SHA256_HMAC, NULL, 0 };
    struct result code = openssl_hmac("SHA256", BYTES(known, 32), BYTES("x", 1)),
                  made = sign(session, &hmac, key, "x", 1);
    same(&made, &code);
}

static void test_codes_of_the_hsm_can_be_turned_off(void **state)
{
    CK_MECHANISM hmac = { CKM_SHA256_HMAC, NULL, 0 };
    configure("none", "hsm_hmac = no");
    session = restart(HSM);
    expect(CKR_KEY_TYPE_INCONSISTENT,
           world.p11->C_SignInit(session, &hmac, find_one(session, CKO_SECRET_KEY, "mac")));
    sign(session, &hmac, session_key(CKK_GENERIC_SECRET, known, 32), "x", 1);
    configure("none", "");
    session = restart(HSM);
}

/* --- RSA --- */

static EVP_PKEY *public_of(CK_SESSION_HANDLE in, const char *label)
{
    unsigned char der[1024];
    const unsigned char *at = der;
    size_t len = attribute(in, find_one(in, CKO_PUBLIC_KEY, label), CKA_PUBLIC_KEY_INFO, der, sizeof der);
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)len);
    assert_non_null(key);
    return key;
}

/* OpenSSL takes the padding off and finds the caller's bytes. */
static void holds_bytes(EVP_PKEY *key, const struct result *signature, const CK_BYTE *data, size_t len)
{
    unsigned char found[256];
    size_t found_len = sizeof found;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_verify_recover_init(context), 1);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, 1) > 0);
    assert_int_equal(EVP_PKEY_verify_recover(context, found, &found_len, signature->data, signature->len), 1);
    assert_int_equal(found_len, len);
    assert_memory_equal(found, data, len);
    EVP_PKEY_CTX_free(context);
}

static void test_any_bytes_are_signed_when_asked_for(void **state)
{
    static const size_t lens[] = { 1, 20, 36, 245 };
    static const CK_BYTE bytes[246] = "md5 and sha-1, as TLS 1.0 has them";
    CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 };
    configure("none", "rsnull = yes");
    CK_SESSION_HANDLE prod = restart(PROD);
    CK_OBJECT_HANDLE shut = find_one(prod, CKO_PRIVATE_KEY, "rsa"),
                     open = find_one(prod, CKO_PUBLIC_KEY, "rsa");
    EVP_PKEY *key = public_of(prod, "rsa");
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        clear_log();
        struct result signature = sign(prod, &raw, shut, bytes, lens[i]);
        assert_int_equal(requests("/sign"), 1);
        holds_bytes(key, &signature, bytes, lens[i]);
        assert_true(verifies(prod, &raw, open, BYTES(bytes, lens[i]), &signature));
        assert_false(verifies(prod, &raw, open, BYTES(bytes, lens[i] - 1), &signature));
        assert_false(verifies(prod, &raw, open, BYTES("another text", 12), &signature));
        signature.data[5] ^= 1;
        assert_false(verifies(prod, &raw, open, BYTES(bytes, lens[i]), &signature));
    }
    CK_ULONG room = sizeof bytes;
    CK_BYTE out[256];
    clear_log();
    ok(world.p11->C_SignInit(prod, &raw, shut));
    room = sizeof out;
    expect(CKR_DATA_LEN_RANGE, world.p11->C_Sign(prod, (CK_BYTE *)bytes, 246, out, &room));
    assert_int_equal(requests(NULL), 0);
    EVP_PKEY_free(key);
}

/* Byte for byte what was given: RS256 would put the NULL in. */
static void test_a_digestinfo_without_its_null(void **state)
{
    static const CK_BYTE info[49] = "\x30\x2f\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x04\x20"
                                    "thirty-two bytes of some digest.";
    CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 };
    CK_BYTE out[256];
    CK_ULONG room = sizeof out;
    configure("none", "rsnull = yes");
    CK_SESSION_HANDLE prod = restart(PROD);
    EVP_PKEY *key = public_of(prod, "rsa");
    struct result signature = sign(prod, &raw, find_one(prod, CKO_PRIVATE_KEY, "rsa"), info, sizeof info);
    holds_bytes(key, &signature, info, sizeof info);
    assert_true(
        verifies(prod, &raw, find_one(prod, CKO_PUBLIC_KEY, "rsa"), BYTES(info, sizeof info), &signature));
    EVP_PKEY_free(key);
    configure("none", "");
    prod = restart(PROD);
    ok(world.p11->C_SignInit(prod, &raw, find_one(prod, CKO_PRIVATE_KEY, "rsa")));
    expect(CKR_DATA_INVALID, world.p11->C_Sign(prod, (CK_BYTE *)info, sizeof info, out, &room));
}

static void test_any_bytes_are_refused_else(void **state)
{
    CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 };
    CK_BYTE out[256];
    CK_ULONG room = sizeof out;
    configure("none", "");
    CK_SESSION_HANDLE prod = restart(PROD);
    CK_OBJECT_HANDLE shut = find_one(prod, CKO_PRIVATE_KEY, "rsa"),
                     open = find_one(prod, CKO_PUBLIC_KEY, "rsa");
    clear_log();
    ok(world.p11->C_SignInit(prod, &raw, shut));
    expect(CKR_DATA_INVALID, world.p11->C_Sign(prod, (CK_BYTE *)message, 36, out, &room));
    ok(world.p11->C_VerifyInit(prod, &raw, open));
    expect(CKR_DATA_INVALID, world.p11->C_Verify(prod, (CK_BYTE *)message, 36, out, 256));
    assert_int_equal(requests(NULL), 0);
    char *log = module_log();
    assert_non_null(strstr(log, "`rsnull = yes`"));
    free(log);
}

/* As the key of a certificate often has it: unwrapKey without decrypt. */
static void test_a_key_that_unwraps_decrypts(void **state)
{
    CK_SESSION_HANDLE prod = restart(PROD);
    struct result cipher =
        encrypt(prod, &oaep_sha256, find_one(prod, CKO_PUBLIC_KEY, "unwraps"), "a data key", 10);
    CK_OBJECT_HANDLE shut = find_one(prod, CKO_PRIVATE_KEY, "unwraps");
    assert_true(attribute_bool(prod, shut, CKA_DECRYPT));
    clear_log();
    struct result plain = decrypt(prod, &oaep_sha256, shut, &cipher);
    assert_int_equal(plain.len, 10);
    assert_memory_equal(plain.data, "a data key", 10);
    assert_int_equal(requests("/unwrapkey"), 1);
    assert_int_equal(requests("/decrypt"), 0);
}

/* --- random bytes --- */

static CK_FLAGS token_flags(CK_SLOT_ID slot)
{
    CK_TOKEN_INFO info;
    ok(world.p11->C_GetTokenInfo(slot, &info));
    return info.flags;
}

static void test_random_bytes_of_the_vault(void **state)
{
    static CK_BYTE a[300], b[300], zero[44];
    session = restart(HSM);
    assert_false(token_flags(HSM) & CKF_RNG);
    configure("none", "random = hsm");
    session = restart(HSM);
    assert_true(token_flags(HSM) & CKF_RNG);
    assert_false(token_flags(PROD) & CKF_RNG);
    clear_log();
    ok(world.p11->C_GenerateRandom(session, a, sizeof a));
    assert_int_equal(requests("/rng"), 4); /* three pieces, and the first question for the way in */
    ok(world.p11->C_GenerateRandom(session, b, sizeof b));
    assert_int_equal(requests("/rng"), 7);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 256, zero, 44);
    ok(world.p11->C_GenerateRandom(session, a, 0));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_GenerateRandom(session, NULL, 1));
    expect(CKR_RANDOM_SEED_NOT_SUPPORTED, world.p11->C_SeedRandom(session, a, 1));
    assert_int_equal(requests("/rng"), 7);
    /* A vault has none, and nothing is put in its place. */
    CK_SESSION_HANDLE prod = open_session(PROD);
    expect(CKR_RANDOM_NO_RNG, world.p11->C_GenerateRandom(prod, a, 16));
    expect(CKR_RANDOM_NO_RNG, world.p11->C_SeedRandom(prod, a, 16));
    char *log = module_log();
    assert_non_null(strstr(log, "`random = hsm` needs a Managed HSM"));
    free(log);
    configure("none", "");
    session = restart(HSM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_digest_of_a_key),
        cmocka_unit_test(test_codes_of_a_session_key),
        cmocka_unit_test(test_keys_of_the_wrong_kind),
        cmocka_unit_test(test_codes_of_the_hsm),
        cmocka_unit_test(test_codes_of_the_hsm_can_be_turned_off),
        cmocka_unit_test(test_any_bytes_are_signed_when_asked_for),
        cmocka_unit_test(test_a_digestinfo_without_its_null),
        cmocka_unit_test(test_any_bytes_are_refused_else),
        cmocka_unit_test(test_a_key_that_unwraps_decrypts),
        cmocka_unit_test(test_random_bytes_of_the_vault),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
