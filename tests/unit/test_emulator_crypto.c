/* The emulator's cryptography: published and recorded vectors, and a round trip for every row of its table of algorithms. */
#include "emulator_help.h"

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

/* One RSA key serves all RSA rows. */
static struct em_material *key_for(const struct em_alg *alg, struct em_material *rsa)
{
    if (alg->kind == EM_RSA)
        return rsa;
    return generate(alg->kind == EM_EC ? "EC-HSM" : "oct-HSM", alg->kind == EM_OCT ? alg->bits : 0,
                    alg->curve);
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
    struct em_material *rsa = fixed_rsa(2048);
    const struct em_alg *alg;
    size_t rows = 0;
    for (; (alg = em_alg_at(rows)); rows++) {
        struct em_material *key = key_for(alg, rsa);
        if (alg->ops == EM_SIGNATURE) {
            round_trip_signature(alg, key);
        } else {
            round_trip_cipher(alg, key, EM_ENCRYPT, EM_DECRYPT);
            round_trip_cipher(alg, key, EM_WRAP, EM_UNWRAP);
        }
        if (key != rsa)
            em_material_free(key);
    }
    em_material_free(rsa);
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

/* What save wrote, load and import read: the copies describe themselves as the original does. That 3072 bits are made when they are asked for, tests/p11 sees. */
static void saved_and_loaded(void **state)
{
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct em_material *copy = NULL, *key = kinds[i].want_bits == 3072
                                                    ? fixed_rsa(3072)
                                                    : generate(kinds[i].kty, kinds[i].bits, kinds[i].curve);
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
        struct em_material *key =
            strcmp(rows[i].kty, "RSA") ? generate(rows[i].kty, 0, rows[i].curve) : fixed_rsa(2048);
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
    struct em_material *key = fixed_rsa(2048);
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
    };
    return cmocka_run_group_tests_name("emulator crypto", tests, NULL, NULL);
}
