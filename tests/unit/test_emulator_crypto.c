/* The emulator's cryptography: published and recorded vectors, a round trip for every row of its table of
 * algorithms, and the refusals with the service's own words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../tools/emulator/material.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define KID      "https://prod.vault.localhost/keys/k/0123456789abcdef0123456789abcdef"

static struct em_blob text(const char *s)
{
    return (struct em_blob){ (unsigned char *)s, strlen(s) };
}

static struct em_blob hex(const char *s)
{
    struct em_blob blob = { 0 };
    assert_true(em_blob_make(&blob, strlen(s) / 2));
    for (size_t i = 0; i < blob.len; i++)
        assert_int_equal(sscanf(s + 2 * i, "%2hhx", &blob.data[i]), 1);
    return blob;
}

static void assert_same(struct em_blob a, struct em_blob b)
{
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
}

static struct em_material *import_json(json_t *jwk)
{
    struct em_material *material = NULL;
    struct em_refusal refusal = { 0 };
    if (!em_material_import(jwk, &material, &refusal))
        fail_msg("%s", refusal.message);
    json_decref(jwk);
    return material;
}

static struct em_material *import_oct(struct em_blob key)
{
    char *k = em_base64url(key.data, key.len);
    json_t *jwk = json_pack("{s:s, s:s}", "kty", "oct-HSM", "k", k);
    free(k);
    return import_json(jwk);
}

static struct em_material *generate(const char *kty, int bits, const char *curve)
{
    struct em_material *material = NULL;
    struct em_refusal refusal = { 0 };
    if (!em_material_generate(kty, bits, 0, curve, &material, &refusal))
        fail_msg("%s", refusal.message);
    return material;
}

static void out_free(struct em_op_out *out)
{
    em_blob_free(&out->value);
    em_blob_free(&out->iv);
    em_blob_free(&out->tag);
}

static struct em_op_out operate(const struct em_material *key, struct em_op_in in)
{
    struct em_op_out out = { 0 };
    struct em_refusal refusal = { 0 };
    if (!em_material_operate(key, &in, &out, &refusal))
        fail_msg("%s: %s", in.alg, refusal.message);
    return out;
}

static void assert_refused(const struct em_material *key, struct em_op_in in, const char *message)
{
    struct em_op_out out = { 0 };
    struct em_refusal refusal = { 0 };
    in.kid = KID;
    assert_false(em_material_operate(key, &in, &out, &refusal));
    assert_int_equal(refusal.status, 400);
    assert_string_equal(refusal.code, "BadParameter");
    assert_null(refusal.inner);
    assert_string_equal(refusal.message, message);
    assert_null(out.value.data);
}

/* ------------------------------------------------------------------------------------------ vectors */

static const struct {
    const char *source, *alg, *key, *plain, *wrapped;
} wraps[] = {
    { "RFC 3394 4.1", "A128KW", "000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF",
      "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5" },
    { "RFC 3394 4.2", "A192KW", "000102030405060708090A0B0C0D0E0F1011121314151617",
      "00112233445566778899AABBCCDDEEFF", "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D" },
    { "RFC 3394 4.6", "A256KW", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
      "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
      "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21" },
    { "RFC 3394 4.6", "CKM_AES_KEY_WRAP", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
      "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
      "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21" },
    { "RFC 5649 6, 20 bytes", "CKM_AES_KEY_WRAP_PAD", "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
      "c37b7e6492584340bed12207808941155068f738",
      "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a" },
    { "RFC 5649 6, 7 bytes", "CKM_AES_KEY_WRAP_PAD", "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
      "466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f" },
};

static void published_wraps(void **state)
{
    for (size_t i = 0; i < COUNT(wraps); i++) {
        EM_AUTO_BLOB key = hex(wraps[i].key), plain = hex(wraps[i].plain), wrapped = hex(wraps[i].wrapped);
        struct em_material *material = import_oct(key);
        struct em_op_out out = operate(material, (struct em_op_in){ EM_WRAP, wraps[i].alg, KID, plain });
        assert_same(out.value, wrapped);
        out_free(&out);
        out = operate(material, (struct em_op_in){ EM_UNWRAP, wraps[i].alg, KID, wrapped });
        assert_same(out.value, plain);
        out_free(&out);
        wrapped.data[3] ^= 1;
        assert_refused(material, (struct em_op_in){ EM_UNWRAP, wraps[i].alg, KID, wrapped },
                       "Unable to decrypt specified value with this key");
        em_material_free(material);
    }
}

/* RFC 4231 test case 1 with its key cut to 16 bytes (its own 20 are no oct-HSM size); expected by `openssl dgst`
 * and Python hmac. */
static void hmac_known_answer(void **state)
{
    EM_AUTO_BLOB key = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
                 expected = hex("492ce020fe2534a5789dc3848806c78f4f6711397f08e7e7a12ca5a4483c8aa6");
    struct em_material *material = import_oct(key);
    struct em_op_out out = operate(material, (struct em_op_in){ EM_SIGN, "HS256", KID, text("Hi There") });
    assert_same(out.value, expected);
    out_free(&out);
    em_material_free(material);
}

static struct em_blob recorded(const json_t *object, const char *name)
{
    struct em_blob blob = { 0 };
    assert_true(em_unbase64url(json_string_value(json_object_get(object, name)), &blob));
    return blob;
}

/* decrypt(recorded) begins with the plaintext; what follows are the zero bytes of §7.2, of the length given. */
static void check_recorded(const json_t *kat, const char *alg, size_t zeros)
{
    const json_t *row = json_object_get(kat, alg);
    EM_AUTO_BLOB k = recorded(kat, "k"), plain = recorded(kat, "plaintext"), value = recorded(row, "value"),
                 iv = recorded(row, "iv"), aad = { 0 }, tag = { 0 };
    bool gcm = json_object_get(row, "tag");
    if (gcm) {
        aad = recorded(row, "aad");
        tag = recorded(row, "tag");
    }
    struct em_material *material = import_oct(k);
    struct em_op_out out = operate(
        material,
        (struct em_op_in){ .op = EM_DECRYPT, .alg = alg, .value = value, .iv = iv, .aad = aad, .tag = tag });
    assert_int_equal(out.value.len, plain.len + zeros);
    assert_memory_equal(out.value.data, plain.data, plain.len);
    for (size_t i = 0; i < zeros; i++)
        assert_int_equal(out.value.data[plain.len + i], 0);
    out_free(&out);
    if (!gcm) {
        out = operate(material, (struct em_op_in){ .op = EM_ENCRYPT, .alg = alg, .value = plain, .iv = iv });
        assert_same(out.value, value);
        assert_same(out.iv, iv);
        out_free(&out);
    }
    em_material_free(material);
}

static void recorded_managed_hsm(void **state)
{
    const char *dir = getenv("KVP11_TEST_DATA"), *ci = getenv("CI");
    if (!dir || !*dir) {
        if (ci && !strcmp(ci, "true"))
            fail_msg(
                "KVP11_TEST_DATA is not set: the recorded AES answers of a Managed HSM were not checked");
        print_message("not run: recorded AES answers of a Managed HSM (KVP11_TEST_DATA is not set)\n");
        return;
    }
    char path[4096];
    snprintf(path, sizeof(path), "%s/recordings/mhsm-aes-kat.json", dir);
    json_error_t why;
    json_t *kat = json_load_file(path, 0, &why);
    if (!kat)
        fail_msg("'%s': %s", path, why.text);
    check_recorded(kat, "A256GCM", 0);
    check_recorded(kat, "A256CBCPAD", 0);
    EM_AUTO_BLOB plain = recorded(kat, "plaintext");
    check_recorded(kat, "A256CBC", (16 - plain.len % 16) % 16);
    json_decref(kat);
}

/* -------------------------------------------------------------------------------------- round trips */

static struct em_material *key_for(const struct em_alg *alg)
{
    static const char *const kty[] = { [EM_RSA] = "RSA", [EM_EC] = "EC-HSM", [EM_OCT] = "oct-HSM" };
    return generate(kty[alg->kind], alg->kind == EM_OCT ? alg->bits : 0, alg->curve);
}

static void flip(struct em_blob blob)
{
    blob.data[blob.len / 2] ^= 1;
}

static void round_trip_signature(const struct em_alg *alg, const struct em_material *key)
{
    EM_AUTO_BLOB digest = { 0 };
    assert_true(em_blob_make(&digest, alg->exact ? alg->exact : 40));
    assert_true(em_random(digest.data, digest.len));
    struct em_op_out out = operate(key, (struct em_op_in){ EM_SIGN, alg->name, KID, digest });
    struct em_op_in verify = { EM_VERIFY, alg->name, KID, out.value, digest };
    assert_true(operate(key, verify).verified);
    flip(out.value);
    assert_false(operate(key, verify).verified);
    flip(out.value);
    flip(digest);
    assert_false(operate(key, verify).verified);
    flip(digest);
    verify.value.len--;
    assert_false(operate(key, verify).verified);
    verify.value.len = 0;
    assert_false(operate(key, verify).verified);
    out_free(&out);
}

static void round_trip_cipher(const struct em_alg *alg, const struct em_material *key, enum em_op forth,
                              enum em_op back)
{
    static unsigned char vector[16] = "0123456789abcdef";
    bool cbc = alg->mode && !strncmp(alg->mode, "CBC", 3), gcm = alg->mode && !strcmp(alg->mode, "GCM");
    struct em_op_in in = { .op = forth, .alg = alg->name, .value = text("thirty-two bytes of a data key..") };
    in.iv = cbc ? (struct em_blob){ vector, sizeof(vector) } : (struct em_blob){ 0 };
    in.aad = gcm ? text("header") : (struct em_blob){ 0 };
    struct em_op_out there = operate(key, in);
    struct em_op_in again = in;
    again.op = back;
    again.value = there.value;
    again.iv = there.iv;
    again.tag = there.tag;
    struct em_op_out here = operate(key, again);
    assert_same(here.value, in.value);
    assert_int_equal(there.tag.len, gcm ? 16 : 0);
    assert_int_equal(there.iv.len, gcm ? 12 : cbc ? 16 : 0);
    out_free(&here);
    out_free(&there);
}

static void every_row(void **state)
{
    const struct em_alg *alg;
    size_t rows = 0;
    for (; (alg = em_alg_at(rows)); rows++) {
        struct em_material *key = key_for(alg);
        if (alg->ops == EM_SIGNATURE) {
            round_trip_signature(alg, key);
        } else {
            round_trip_cipher(alg, key, EM_ENCRYPT, EM_DECRYPT);
            round_trip_cipher(alg, key, EM_WRAP, EM_UNWRAP);
        }
        em_material_free(key);
    }
    assert_int_equal(rows, 31);
}

/* With some 1 in 128 r or s a byte shorter than the field, 600 signatures meet the case with near certainty. */
static void ecdsa_is_padded_and_not_normalised(void **state)
{
    struct em_material *key = generate("EC", 0, "P-256");
    struct em_op_in in = { EM_SIGN, "ES256", KID, text("0123456789abcdef0123456789abcdef") };
    size_t high = 0;
    for (int i = 0; i < 600; i++) {
        struct em_op_out out = operate(key, in);
        assert_int_equal(out.value.len, 64);
        assert_true(operate(key, (struct em_op_in){ EM_VERIFY, "ES256", KID, out.value, in.value }).verified);
        high += out.value.data[32] >= 0x80;
        out_free(&out);
    }
    assert_true(high > 0);
    em_material_free(key);
}

static const struct {
    const char *kty;
    int bits;
    const char *curve;
    int want_bits;
    const char *want_type;
} kinds[] = {
    { "RSA", 0, NULL, 2048, "RSA" },    { "RSA-HSM", 3072, NULL, 3072, "RSA" },
    { "EC", 0, NULL, 256, "EC" },       { "EC-HSM", 0, "P-384", 384, "EC" },
    { "EC", 0, "P-521", 521, "EC" },    { "EC", 0, "P-256K", 256, "EC" },
    { "oct-HSM", 0, NULL, 256, "oct" }, { "oct-HSM", 128, NULL, 128, "oct" },
    { "oct", 192, NULL, 192, "oct" },
};

/* What save wrote, load and import read: the copies describe themselves as the original does. */
static void saved_and_loaded(void **state)
{
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct em_material *key = generate(kinds[i].kty, kinds[i].bits, kinds[i].curve), *copy = NULL;
        assert_int_equal(em_material_bits(key), kinds[i].want_bits);
        assert_string_equal(em_material_type(key), kinds[i].want_type);
        json_t *saved = em_material_save(key), *first = json_object(), *second = json_object();
        assert_true(em_material_load(saved, &copy));
        em_material_describe(key, first);
        em_material_describe(copy, second);
        assert_true(json_equal(first, second));
        assert_null(json_object_get(first, "d"));
        assert_null(json_object_get(first, "k"));
        em_material_free(copy);
        em_material_free(key);
        em_material_free(import_json(saved));
        json_decref(first);
        json_decref(second);
    }
}

static size_t decoded_length(const json_t *jwk, const char *name)
{
    EM_AUTO_BLOB blob = recorded(jwk, name);
    return blob.len;
}

static void described_in_the_services_order(void **state)
{
    static const struct {
        const char *kty, *curve, *members;
        size_t width;
    } rows[] = {
        { "RSA", NULL, "n e ", 0 },         { "EC", "P-256", "crv x y ", 32 },
        { "EC", "P-384", "crv x y ", 48 },  { "EC", "P-521", "crv x y ", 66 },
        { "EC", "P-256K", "crv x y ", 32 }, { "oct-HSM", NULL, "", 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct em_material *key = generate(rows[i].kty, 0, rows[i].curve);
        json_t *jwk = json_object(), *value;
        char names[64] = "";
        const char *name;
        em_material_describe(key, jwk);
        json_object_foreach(jwk, name, value)
        {
            strncat(names, name, sizeof(names) - strlen(names) - 1);
            strncat(names, " ", sizeof(names) - strlen(names) - 1);
        }
        assert_string_equal(names, rows[i].members);
        if (rows[i].width) {
            assert_int_equal(decoded_length(jwk, "x"), rows[i].width);
            assert_int_equal(decoded_length(jwk, "y"), rows[i].width);
        }
        if (!strcmp(rows[i].kty, "RSA"))
            assert_string_equal(json_string_value(json_object_get(jwk, "e")), "AQAB");
        json_decref(jwk);
        em_material_free(key);
    }
}

/* Recorded imports carry p, q, dp, dq, qi with a zero byte in front. */
static void import_takes_leading_zeros(void **state)
{
    static const char *const names[] = { "n", "p", "q", "dp", "dq", "qi" };
    struct em_material *key = generate("RSA", 0, NULL);
    json_t *saved = em_material_save(key);
    for (size_t i = 0; i < COUNT(names); i++) {
        EM_AUTO_BLOB old = recorded(saved, names[i]), longer = { 0 };
        assert_true(em_blob_make(&longer, old.len + 1));
        memcpy(longer.data + 1, old.data, old.len);
        char *encoded = em_base64url(longer.data, longer.len);
        json_object_set_new(saved, names[i], json_string(encoded));
        free(encoded);
    }
    struct em_material *copy = import_json(saved);
    json_t *first = json_object(), *second = json_object();
    em_material_describe(key, first);
    em_material_describe(copy, second);
    assert_true(json_equal(first, second));
    json_decref(first);
    json_decref(second);
    em_material_free(copy);
    em_material_free(key);
}

/* ----------------------------------------------------------------------------------------- refusals */

static void wrong_algorithms_and_lengths(void **state)
{
    struct em_material *rsa = generate("RSA", 0, NULL), *k256 = generate("EC", 0, "P-256K"),
                       *p521 = generate("EC", 0, "P-521"), *oct = generate("oct-HSM", 128, NULL);
    static unsigned char bytes[256];
    const struct {
        const struct em_material *key;
        struct em_op_in in;
        const char *message;
    } rows[] = {
        { k256,
          { EM_SIGN, "ES256K", NULL, { bytes, 43 } },
          "Invalid length of 'value': 43 bytes. ES256K requires 32 bytes, encoded with base64url." },
        { p521,
          { EM_SIGN, "ES512", NULL, { bytes, 66 } },
          "Invalid length of 'value': 66 bytes. ES512 requires 64 bytes, encoded with base64url." },
        { rsa,
          { EM_VERIFY, "PS384", NULL, { bytes, 256 }, { bytes, 32 } },
          "Invalid length of 'digest': 32 bytes. PS384 requires 48 bytes, encoded with base64url." },
        { rsa,
          { EM_WRAP, "RSA-OAEP", NULL, { bytes, 215 } },
          "Invalid length of 'value': 215 bytes. RSA-OAEP allows at most 214 bytes, encoded with "
          "base64url." },
        { rsa,
          { EM_WRAP, "RSA-OAEP-256", NULL, { bytes, 191 } },
          "Invalid length of 'value': 191 bytes. RSA-OAEP-256 allows at most 190 bytes, encoded with "
          "base64url." },
        { rsa,
          { EM_ENCRYPT, "RSA1_5", NULL, { bytes, 246 } },
          "Invalid length of 'value': 246 bytes. RSA1_5 allows at most 245 bytes, encoded with base64url." },
        { rsa,
          { EM_SIGN, "RSNULL", NULL, { bytes, 246 } },
          "Invalid length of 'value': 246 bytes. RSNULL allows at most 245 bytes, encoded with base64url." },
        { rsa,
          { EM_UNWRAP, "RSA-OAEP", NULL, { bytes, 255 } },
          "Invalid length of 'value': 255 bytes. RSA-OAEP requires 256 bytes, encoded with base64url." },
        { rsa,
          { EM_UNWRAP, "RSA-OAEP", NULL, { bytes, 256 } },
          "Error occurred while decoding OAEP padding." },
        { rsa,
          { EM_DECRYPT, "RSA-OAEP-256", NULL, { bytes, 256 } },
          "Error occurred while decoding OAEP padding." },
        { rsa,
          { EM_DECRYPT, "RSA1_5", NULL, { bytes, 256 } },
          "Unable to decrypt specified value with this key" },
        { rsa, { EM_SIGN, "RS256", NULL, { NULL, 0 } }, "Property 'value' is required.\r\n" },
        { rsa, { EM_VERIFY, "RS256", NULL, { bytes, 256 } }, "Property 'digest' is required.\r\n" },
        { rsa,
          { EM_SIGN, "RSA-OAEP", NULL, { bytes, 32 } },
          "Algorithm 'RSA-OAEP' is not supported for operation sign." },
        { rsa,
          { EM_WRAP, "RSA-OAEP-512", NULL, { bytes, 32 } },
          "Algorithm 'RSA-OAEP-512' is not supported for operation wrapKey." },
        { rsa,
          { EM_WRAP, NULL, NULL, { bytes, 32 } },
          "Algorithm '' is not supported for operation wrapKey." },
        { k256,
          { EM_SIGN, "ES256", NULL, { bytes, 32 } },
          "Key and signing algorithm are incompatible. Key " KID
          " uses curve 'P-256K', and algorithm 'ES256' can only be used with curve 'P-256'." },
        { rsa,
          { EM_SIGN, "ES256", NULL, { bytes, 32 } },
          "Key and signing algorithm are incompatible. Key " KID
          " is of type 'RSA', and algorithm 'ES256' can only be used with type 'EC'." },
        { oct,
          { EM_WRAP, "A256KW", NULL, { bytes, 32 } },
          "Key and encryption algorithm are incompatible. Key " KID
          " has 128 bits, and algorithm 'A256KW' can only be used with 256 bits." },
        { oct,
          { EM_WRAP, "A128KW", NULL, { bytes, 20 } },
          "Invalid length of 'value': 20 bytes. A128KW requires a multiple of 8 and at least 16 bytes." },
        { oct,
          { EM_WRAP, "CKM_AES_KEY_WRAP_PAD", NULL, { bytes, 0 } },
          "Invalid length of 'value': 0 bytes. CKM_AES_KEY_WRAP_PAD requires at least 1 bytes." },
        { oct,
          { EM_ENCRYPT, "A128CBC", NULL, { bytes, 16 } },
          "Invalid length of 'iv': 0 bytes. A128CBC requires 16 bytes." },
        { oct,
          { EM_DECRYPT, "A128CBC", NULL, { bytes, 15 }, .iv = { bytes, 16 } },
          "Invalid length of 'value': 15 bytes. A128CBC requires a multiple of 16 bytes." },
        { oct,
          { EM_ENCRYPT, "A128GCM", NULL, { bytes, 16 }, .iv = { bytes, 12 } },
          "Property 'iv' is not allowed: A128GCM chooses its own nonce." },
        { oct,
          { EM_DECRYPT, "A128GCM", NULL, { bytes, 16 }, .iv = { bytes, 12 } },
          "Invalid length of 'tag': 0 bytes. A128GCM requires 16 bytes." },
        { oct,
          { EM_DECRYPT, "A128GCM", NULL, { bytes, 16 }, .iv = { bytes, 12 }, .tag = { bytes, 16 } },
          "Unable to decrypt specified value with this key" },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_refused(rows[i].key, rows[i].in, rows[i].message);
    em_material_free(rsa);
    em_material_free(k256);
    em_material_free(p521);
    em_material_free(oct);
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

/* ------------------------------------------------------------------------------------------- encode */

static void base64_both_ways(void **state)
{
    static const struct {
        const char *plain, *url, *standard;
    } rows[] = {
        { "", "", "" },
        { "f", "Zg", "Zg==" },
        { "fo", "Zm8", "Zm8=" },
        { "foo", "Zm9v", "Zm9v" },
        { "\xfb\xff\xfe", "-__-", "+//+" },
        { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        EM_AUTO_BLOB a = { 0 }, b = { 0 };
        struct em_blob plain = text(rows[i].plain);
        char *url = em_base64url(plain.data, plain.len), *standard = em_base64(plain.data, plain.len);
        assert_string_equal(url, rows[i].url);
        assert_string_equal(standard, rows[i].standard);
        assert_true(em_unbase64url(url, &a) && em_unbase64(standard, &b));
        assert_same(a, plain);
        assert_same(b, plain);
        free(url);
        free(standard);
    }
    EM_AUTO_BLOB padded = { 0 };
    assert_true(em_unbase64url("Zm8=", &padded));
    assert_same(padded, text("fo"));
}

static void base64_refusals(void **state)
{
    static const char *const url[] = { "Z", "Zm9vY", "Zm+v", "Zm 9", "Zg=", "Z===", "====", "Zh", "Zm9=" };
    static const char *const standard[] = { "Zg", "Zm-v", "Zm9v=", "Zh==", "Zg==\n" };
    struct em_blob untouched = { 0 };
    for (size_t i = 0; i < COUNT(url); i++)
        assert_false(em_unbase64url(url[i], &untouched));
    for (size_t i = 0; i < COUNT(standard); i++)
        assert_false(em_unbase64(standard[i], &untouched));
    assert_null(untouched.data);
}

static void sealed_and_opened(void **state)
{
    unsigned char key[32], other[32];
    EM_AUTO_BLOB first = { 0 }, second = { 0 }, plain = { 0 };
    assert_true(em_random(key, sizeof(key)) && em_random(other, sizeof(other)));
    assert_true(em_seal(key, text("backup"), &first) && em_seal(key, text("backup"), &second));
    assert_int_equal(first.len, 12 + 6 + 16);
    assert_memory_not_equal(first.data, second.data, 12);
    assert_true(em_open(key, first, &plain));
    assert_same(plain, text("backup"));
    assert_false(em_open(other, first, &second));
    flip(first);
    assert_false(em_open(key, first, &second));
    first.len = 27;
    assert_false(em_open(key, first, &second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_wraps),
        cmocka_unit_test(hmac_known_answer),
        cmocka_unit_test(recorded_managed_hsm),
        cmocka_unit_test(every_row),
        cmocka_unit_test(ecdsa_is_padded_and_not_normalised),
        cmocka_unit_test(saved_and_loaded),
        cmocka_unit_test(described_in_the_services_order),
        cmocka_unit_test(import_takes_leading_zeros),
        cmocka_unit_test(wrong_algorithms_and_lengths),
        cmocka_unit_test(wrong_kinds),
        cmocka_unit_test(wrong_imports),
        cmocka_unit_test(base64_both_ways),
        cmocka_unit_test(base64_refusals),
        cmocka_unit_test(sealed_and_opened),
    };
    return cmocka_run_group_tests_name("emulator crypto", tests, NULL, NULL);
}
