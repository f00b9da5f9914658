/* What the emulator's cryptography refuses, in the service's own words. */
#include "emulator_help.h"

enum { ON_RSA, ON_K256, ON_P521, ON_OCT, KEYS };

static unsigned char bytes[256];

static const struct {
    int key;
    struct em_op_in in;
    const char *message;
} refusals[] = {
    { ON_K256,
      { EM_SIGN, "ES256K", NULL, { bytes, 43 } },
      "Invalid length of 'value': 43 bytes. ES256K requires 32 bytes, encoded with base64url." },
    { ON_P521,
      { EM_SIGN, "ES512", NULL, { bytes, 66 } },
      "Invalid length of 'value': 66 bytes. ES512 requires 64 bytes, encoded with base64url." },
    { ON_RSA,
      { EM_VERIFY, "PS384", NULL, { bytes, 256 }, { bytes, 32 } },
      "Invalid length of 'digest': 32 bytes. PS384 requires 48 bytes, encoded with base64url." },
    { ON_RSA,
      { EM_WRAP, "RSA-OAEP", NULL, { bytes, 215 } },
      "Invalid length of 'value': 215 bytes. RSA-OAEP allows at most 214 bytes, encoded with "
      "base64url." },
    { ON_RSA,
      { EM_WRAP, "RSA-OAEP-256", NULL, { bytes, 191 } },
      "Invalid length of 'value': 191 bytes. RSA-OAEP-256 allows at most 190 bytes, encoded with "
      "base64url." },
    { ON_RSA,
      { EM_ENCRYPT, "RSA1_5", NULL, { bytes, 246 } },
      "Invalid length of 'value': 246 bytes. RSA1_5 allows at most 245 bytes, encoded with base64url." },
    { ON_RSA,
      { EM_SIGN, "RSNULL", NULL, { bytes, 246 } },
      "Invalid length of 'value': 246 bytes. RSNULL allows at most 245 bytes, encoded with base64url." },
    { ON_RSA,
      { EM_UNWRAP, "RSA-OAEP", NULL, { bytes, 255 } },
      "Invalid length of 'value': 255 bytes. RSA-OAEP requires 256 bytes, encoded with base64url." },
    { ON_RSA,
      { EM_UNWRAP, "RSA-OAEP", NULL, { bytes, 256 } },
      "Error occurred while decoding OAEP padding." },
    { ON_RSA,
      { EM_DECRYPT, "RSA-OAEP-256", NULL, { bytes, 256 } },
      "Error occurred while decoding OAEP padding." },
    { ON_RSA,
      { EM_DECRYPT, "RSA1_5", NULL, { bytes, 256 } },
      "Unable to decrypt specified value with this key" },
    { ON_RSA, { EM_SIGN, "RS256", NULL, { NULL, 0 } }, "Property 'value' is required.\r\n" },
    { ON_RSA, { EM_VERIFY, "RS256", NULL, { bytes, 256 } }, "Property 'digest' is required.\r\n" },
    { ON_RSA,
      { EM_SIGN, "RSA-OAEP", NULL, { bytes, 32 } },
      "Algorithm 'RSA-OAEP' is not supported for operation sign." },
    { ON_RSA,
      { EM_WRAP, "RSA-OAEP-512", NULL, { bytes, 32 } },
      "Algorithm 'RSA-OAEP-512' is not supported for operation wrapKey." },
    { ON_RSA,
      { EM_WRAP, NULL, NULL, { bytes, 32 } },
      "Algorithm '' is not supported for operation wrapKey." },
    { ON_K256,
      { EM_SIGN, "ES256", NULL, { bytes, 32 } },
      "Key and signing algorithm are incompatible. Key " KID
      " uses curve 'P-256K', and algorithm 'ES256' can only be used with curve 'P-256'." },
    { ON_RSA,
      { EM_SIGN, "ES256", NULL, { bytes, 32 } },
      "Key and signing algorithm are incompatible. Key " KID
      " is of type 'RSA', and algorithm 'ES256' can only be used with type 'EC'." },
    { ON_OCT,
      { EM_WRAP, "A256KW", NULL, { bytes, 32 } },
      "Key and encryption algorithm are incompatible. Key " KID
      " has 128 bits, and algorithm 'A256KW' can only be used with 256 bits." },
    { ON_OCT,
      { EM_WRAP, "A128KW", NULL, { bytes, 20 } },
      "Invalid length of 'value': 20 bytes. A128KW requires a multiple of 8 and at least 16 bytes." },
    { ON_OCT,
      { EM_WRAP, "CKM_AES_KEY_WRAP_PAD", NULL, { bytes, 0 } },
      "Invalid length of 'value': 0 bytes. CKM_AES_KEY_WRAP_PAD requires at least 1 bytes." },
    { ON_OCT,
      { EM_ENCRYPT, "A128CBC", NULL, { bytes, 16 } },
      "Invalid length of 'iv': 0 bytes. A128CBC requires 16 bytes." },
    { ON_OCT,
      { EM_DECRYPT, "A128CBC", NULL, { bytes, 15 }, .iv = { bytes, 16 } },
      "Invalid length of 'value': 15 bytes. A128CBC requires a multiple of 16 bytes." },
    { ON_OCT,
      { EM_ENCRYPT, "A128GCM", NULL, { bytes, 16 }, .iv = { bytes, 12 } },
      "Property 'iv' is not allowed: A128GCM chooses its own nonce." },
    { ON_OCT,
      { EM_DECRYPT, "A128GCM", NULL, { bytes, 16 }, .iv = { bytes, 12 } },
      "Invalid length of 'tag': 0 bytes. A128GCM requires 16 bytes." },
    { ON_OCT,
      { EM_DECRYPT, "A128GCM", NULL, { bytes, 16 }, .iv = { bytes, 12 }, .tag = { bytes, 16 } },
      "Unable to decrypt specified value with this key" },
};

static void wrong_algorithms_and_lengths(void **state)
{
    struct em_material *keys[KEYS] = { [ON_RSA] = fixed_rsa(2048),
                                       [ON_K256] = generate("EC", 0, "P-256K"),
                                       [ON_P521] = generate("EC", 0, "P-521"),
                                       [ON_OCT] = generate("oct-HSM", 128, NULL) };
    for (size_t i = 0; i < COUNT(refusals); i++)
        assert_refused(keys[refusals[i].key], refusals[i].in, refusals[i].message);
    for (size_t i = 0; i < KEYS; i++)
        em_material_free(keys[i]);
}

static void wrong_kinds(void **state)
{
    static const struct {
        const char *kty;
        int bits;
        long exponent;
        const char *curve;
    } rows[] = {
        { "RSA", 1024, 0, NULL },   { "RSA", 2049, 0, NULL }, { "RSA", 2048, 65536, NULL },
        { "EC", 0, 0, "P-192" },    { "EC", 0, 0, "" },       { "oct", 512, 0, NULL },
        { "OKP", 0, 0, "Ed25519" }, { NULL, 0, 0, NULL },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct em_material *key = NULL;
        struct em_refusal refusal = { 0 };
        assert_false(
            em_material_generate(rows[i].kty, rows[i].bits, rows[i].exponent, rows[i].curve, &key, &refusal));
        assert_null(key);
        assert_int_equal(refusal.status, 400);
        assert_string_equal(refusal.code, "BadParameter");
    }
}

static void refuse_import(json_t *jwk)
{
    struct em_material *key = NULL;
    struct em_refusal refusal = { 0 };
    assert_false(em_material_import(jwk, &key, &refusal));
    assert_null(key);
    assert_int_equal(refusal.status, 400);
    json_decref(jwk);
}

static void wrong_imports(void **state)
{
    struct em_material *first = generate("EC", 0, "P-256"), *second = generate("EC", 0, "P-256");
    json_t *mixed = em_material_save(first), *other = em_material_save(second),
           *partial = json_deep_copy(other);
    json_object_set(mixed, "d", json_object_get(other, "d"));
    refuse_import(mixed);
    json_object_del(partial, "y");
    refuse_import(partial);
    json_object_set_new(other, "crv", json_string("P-384"));
    refuse_import(other);
    refuse_import(json_pack("{s:s, s:s}", "kty", "oct-HSM", "k", "AAAA"));
    refuse_import(json_pack("{s:s, s:s}", "kty", "oct-HSM", "k", "not base64url!"));
    refuse_import(json_pack("{s:s, s:i}", "kty", "oct-HSM", "k", 7));
    refuse_import(json_object());
    em_material_free(first);
    em_material_free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_algorithms_and_lengths),
        cmocka_unit_test(wrong_kinds),
        cmocka_unit_test(wrong_imports),
    };
    return cmocka_run_group_tests_name("emulator refusals", tests, NULL, NULL);
}
