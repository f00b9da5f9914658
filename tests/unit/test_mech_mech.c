/* Which row a mechanism becomes, and what a slot offers. */
#include "mech_help.h"

#define RSA                                                                                                  \
    {                                                                                                        \
        .kind = KV_RSA, .bits = 2048                                                                         \
    }
#define EC                                                                                                   \
    {                                                                                                        \
        .kind = KV_EC, .bits = 384, .curve = "P-384"                                                         \
    }
#define AES                                                                                                  \
    {                                                                                                        \
        .kind = KV_OCT, .bits = 256, .session = true                                                         \
    }
#define HSM                                                                                                  \
    {                                                                                                        \
        .kind = KV_OCT, .bits = 256                                                                          \
    }

static CK_RSA_PKCS_PSS_PARAMS pss512 = { CKM_SHA512, CKG_MGF1_SHA512, 64 };
static unsigned char iv[16];
static CK_AES_CTR_PARAMS counter = { .ulCounterBits = 32 };
static CK_ULONG half = 16;

static const struct {
    const char *sentence;
    CK_MECHANISM mechanism;
    struct kv_mech_key key;
    unsigned operation;
    struct kv_mech_offer offer;
    enum kv_status status;
    const char *alg;
} selections[] = {
    { "raw RSA signature", { CKM_RSA_PKCS }, RSA, KV_OP_SIGN, { 0 }, KV_OK, "RS256" },
    { "hash and RSA", { CKM_SHA384_RSA_PKCS }, RSA, KV_OP_VERIFY, { 0 }, KV_OK, "RS384" },
    { "PSS by its parameter",
      { CKM_RSA_PKCS_PSS, &pss512, sizeof pss512 },
      RSA,
      KV_OP_SIGN,
      { 0 },
      KV_OK,
      "PS512" },
    { "PSS, two hashes",
      { CKM_SHA256_RSA_PKCS_PSS, &pss512, sizeof pss512 },
      RSA,
      KV_OP_SIGN,
      { 0 },
      KV_MECHANISM_PARAM },
    { "ECDSA by the curve", { CKM_ECDSA }, EC, KV_OP_SIGN, { 0 }, KV_OK, "ES384" },
    { "any hash with any curve", { CKM_ECDSA_SHA512 }, EC, KV_OP_SIGN, { 0 }, KV_OK, "ES384" },
    { "unknown curve", { CKM_ECDSA }, { .kind = KV_EC, .curve = "P-192" }, KV_OP_SIGN, { 0 }, KV_KEY_SIZE },
    { "OAEP without parameter is SHA-1", { CKM_RSA_PKCS_OAEP }, RSA, KV_OP_WRAP, { 0 }, KV_OK, "RSA-OAEP" },
    { "RSA1_5 is off by itself", { CKM_RSA_PKCS }, RSA, KV_OP_DECRYPT, { 0 }, KV_MECHANISM },
    { "RSA1_5 when wanted", { CKM_RSA_PKCS }, RSA, KV_OP_DECRYPT, { .rsa1_5 = true }, KV_OK, "RSA1_5" },
    { "RSA1_5 unwraps", { CKM_RSA_PKCS }, RSA, KV_OP_UNWRAP, { .rsa1_5 = true }, KV_OK, "RSA1_5" },
    { "OAEP does not sign", { CKM_RSA_PKCS_OAEP }, RSA, KV_OP_SIGN, { 0 }, KV_MECHANISM },
    { "no raw RSA", { CKM_RSA_X_509 }, RSA, KV_OP_SIGN, { 0 }, KV_MECHANISM },
    { "no SHA-1", { CKM_SHA1_RSA_PKCS }, RSA, KV_OP_SIGN, { 0 }, KV_MECHANISM },
    { "RSA mechanism, EC key", { CKM_RSA_PKCS }, EC, KV_OP_SIGN, { 0 }, KV_KEY_TYPE },
    { "EC mechanism, RSA key", { CKM_ECDSA }, RSA, KV_OP_SIGN, { 0 }, KV_KEY_TYPE },
    { "RSA 1024", { CKM_RSA_PKCS }, { .kind = KV_RSA, .bits = 1024 }, KV_OP_SIGN, { 0 }, KV_KEY_SIZE },
    { "RSA 8192", { CKM_RSA_PKCS }, { .kind = KV_RSA, .bits = 8192 }, KV_OP_SIGN, { 0 }, KV_KEY_SIZE },
    { "a parameter where none belongs", { CKM_ECDSA, iv, 16 }, EC, KV_OP_SIGN, { 0 }, KV_MECHANISM_PARAM },
    { "session cipher", { CKM_AES_CBC, iv, 16 }, AES, KV_OP_ENCRYPT, { .session_ciphers = true }, KV_OK },
    { "session ciphers off", { CKM_AES_CBC, iv, 16 }, AES, KV_OP_ENCRYPT, { 0 }, KV_MECHANISM },
    { "session cipher, vault key",
      { CKM_AES_CTR, &counter, sizeof counter },
      HSM,
      KV_OP_ENCRYPT,
      { true, true, true, true },
      KV_KEY_TYPE },
    { "CBC in the HSM",
      { CKM_AES_CBC, iv, 16 },
      HSM,
      KV_OP_ENCRYPT,
      { .managed_hsm = true },
      KV_OK,
      "A256CBC" },
    { "CBC in the HSM, by the key's size",
      { CKM_AES_CBC_PAD, iv, 16 },
      { .kind = KV_OCT, .bits = 128 },
      KV_OP_UNWRAP,
      { .managed_hsm = true },
      KV_OK,
      "A128CBCPAD" },
    { "CBC in the HSM, size not told: the largest is as good as any",
      { CKM_AES_CBC, iv, 16 },
      { .kind = KV_OCT },
      KV_OP_DECRYPT,
      { .managed_hsm = true },
      KV_OK,
      "A256CBC" },
    { "CBC in the HSM, a size that AES has not",
      { CKM_AES_CBC, iv, 16 },
      { .kind = KV_OCT, .bits = 512 },
      KV_OP_DECRYPT,
      { .managed_hsm = true },
      KV_KEY_SIZE },
    { "CBC in a vault",
      { CKM_AES_CBC, iv, 16 },
      HSM,
      KV_OP_ENCRYPT,
      { .session_ciphers = true },
      KV_KEY_TYPE },
    { "HMAC in the HSM",
      { CKM_SHA384_HMAC },
      { .kind = KV_OCT },
      KV_OP_VERIFY,
      { .managed_hsm = true, .hsm_hmac = true },
      KV_OK,
      "HS384" },
    { "HMAC in the HSM, turned off",
      { CKM_SHA384_HMAC },
      HSM,
      KV_OP_SIGN,
      { .managed_hsm = true },
      KV_MECHANISM },
    { "HMAC with a session key", { CKM_SHA512_HMAC }, AES, KV_OP_SIGN, { .session_ciphers = true }, KV_OK },
    { "HMAC of general length in the HSM",
      { CKM_SHA256_HMAC_GENERAL, &half, sizeof half },
      HSM,
      KV_OP_SIGN,
      { true, true, true, true, true, true },
      KV_KEY_TYPE },
    { "AES key of 200 bits",
      { CKM_AES_CBC, iv, 16 },
      { .kind = KV_OCT, .bits = 200, .session = true },
      KV_OP_ENCRYPT,
      { .session_ciphers = true },
      KV_KEY_SIZE },
    { "KW in the HSM", { CKM_AES_KEY_WRAP }, HSM, KV_OP_WRAP, { .managed_hsm = true }, KV_OK, "A256KW" },
    { "KW, size not told",
      { CKM_AES_KEY_WRAP },
      { .kind = KV_OCT },
      KV_OP_WRAP,
      { .managed_hsm = true },
      KV_OK,
      "CKM_AES_KEY_WRAP" },
    { "KWP in the HSM",
      { CKM_AES_KEY_WRAP_PAD },
      HSM,
      KV_OP_UNWRAP,
      { .managed_hsm = true },
      KV_OK,
      "CKM_AES_KEY_WRAP_PAD" },
    { "KWP by its 3.0 name",
      { 0x210b },
      HSM,
      KV_OP_WRAP,
      { .managed_hsm = true },
      KV_OK,
      "CKM_AES_KEY_WRAP_PAD" },
    { "KW without an HSM", { CKM_AES_KEY_WRAP }, HSM, KV_OP_WRAP, { 0 }, KV_MECHANISM },
    { "KW with a session key", { CKM_AES_KEY_WRAP }, AES, KV_OP_WRAP, { .session_ciphers = true }, KV_OK },
    { "an HSM key encrypts nothing by KW",
      { CKM_AES_KEY_WRAP },
      HSM,
      KV_OP_ENCRYPT,
      { .managed_hsm = true },
      KV_MECHANISM },
    { "digest", { CKM_SHA256 }, { 0 }, KV_OP_DIGEST, { .digests = true }, KV_OK },
    { "digests off", { CKM_SHA256 }, { 0 }, KV_OP_DIGEST, { 0 }, KV_MECHANISM },
    { "AES key generation", { CKM_AES_KEY_GEN }, { 0 }, KV_OP_GENERATE, { 0 }, KV_OK },
};

static void selects(void **state)
{
    for (size_t i = 0; i < COUNT(selections); i++) {
        struct kv_mech_use use = { 0 };
        enum kv_status status = kv_mech_select(&selections[i].mechanism, &selections[i].key,
                                               selections[i].operation, &selections[i].offer, &use);
        if (status != selections[i].status)
            fail_msg("%s: %s", selections[i].sentence, kv_status_name(status));
        if (status != KV_OK)
            assert_null(use.row);
        else if (selections[i].alg)
            assert_string_equal(use.row->alg, selections[i].alg);
        kv_mech_use_free(&use);
    }
}

static void only_digestinfo_leaves_the_row_open(void **state)
{
    const struct kv_mech_key rsa = RSA;
    struct kv_mech_use raw = { 0 }, hashed = { 0 };
    assert_int_equal(kv_mech_select(&(CK_MECHANISM){ CKM_RSA_PKCS }, &rsa, KV_OP_SIGN, &offer_all, &raw),
                     KV_OK);
    assert_int_equal(
        kv_mech_select(&(CK_MECHANISM){ CKM_SHA256_RSA_PKCS }, &rsa, KV_OP_SIGN, &offer_all, &hashed), KV_OK);
    assert_true(raw.any_digest);
    assert_true(raw.any_bytes);
    assert_false(hashed.any_digest);
    assert_false(hashed.any_bytes);
}

static void any_bytes_are_a_matter_of_the_offer(void **state)
{
    const struct kv_mech_key rsa = RSA;
    const struct kv_mech_offer offer = { .rsa1_5 = true };
    const struct kv_mech *row = kv_mech_rsnull();
    struct kv_mech_use use = { 0 };
    assert_int_equal(kv_mech_select(&(CK_MECHANISM){ CKM_RSA_PKCS }, &rsa, KV_OP_SIGN, &offer, &use), KV_OK);
    assert_true(use.any_digest);
    assert_false(use.any_bytes);
    assert_string_equal(row->alg, "RSNULL");
    assert_false(kv_mech_offered(row, &offer));
    assert_true(kv_mech_offered(row, &(struct kv_mech_offer){ .rsnull = true }));
}

static void rows_have_siblings_by_size(void **state)
{
    static const struct {
        CK_MECHANISM_TYPE type;
        unsigned bits, other;
        const char *alg; /* NULL: none */
    } rows[] = {
        { CKM_AES_CBC, 256, 128, "A128CBC" },
        { CKM_AES_CBC_PAD, 128, 192, "A192CBCPAD" },
        { CKM_AES_CBC, 256, 0, NULL },
        { CKM_AES_CBC, 256, 512, NULL },
        { CKM_AES_KEY_WRAP, 192, 256, "A256KW" },
        { CKM_AES_KEY_WRAP, 256, 0, "CKM_AES_KEY_WRAP" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct kv_mech *row = NULL;
        for (size_t k = 0; k < kv_mech_count && !row; k++)
            if (kv_mech_table[k].type == rows[i].type && kv_mech_table[k].key_bits == rows[i].bits &&
                kv_mech_table[k].service == KV_MANAGED_HSM)
                row = &kv_mech_table[k];
        assert_non_null(row);
        const struct kv_mech *other = kv_mech_sized(row, rows[i].other);
        assert_int_equal(other != NULL, rows[i].alg != NULL);
        if (other)
            assert_string_equal(other->alg, rows[i].alg);
    }
}

static void what_a_wrong_key_cannot_hide(void **state)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        bool hides = row->type == CKM_AES_CBC || row->type == CKM_AES_CBC_PAD ||
                     (row->alg && !strcmp(row->alg, "RSA1_5"));
        assert_int_equal(kv_mech_proves(row), !hides);
    }
}

static void digests_need_no_key(void **state)
{
    struct kv_mech_use use = { 0 };
    assert_int_equal(kv_mech_select(&(CK_MECHANISM){ CKM_SHA512 }, NULL, KV_OP_DIGEST, &offer_all, &use),
                     KV_OK);
    assert_string_equal(use.row->evp, "SHA2-512");
    assert_int_equal(kv_mech_select(&(CK_MECHANISM){ CKM_ECDSA }, NULL, KV_OP_SIGN, &offer_all, &use),
                     KV_KEY_TYPE);
}

static bool has(const CK_MECHANISM_TYPE *types, size_t count, CK_MECHANISM_TYPE type)
{
    for (size_t i = 0; i < count; i++)
        if (types[i] == type)
            return true;
    return false;
}

static void lists_each_type_once(void **state)
{
    CK_MECHANISM_TYPE types[64];
    size_t count = kv_mech_types(&offer_all, types, COUNT(types));
    assert_true(count > 20 && count < COUNT(types));
    for (size_t i = 0; i < count; i++)
        assert_false(has(types, i, types[i]));
    assert_int_equal(kv_mech_types(&offer_all, NULL, 0), count);

    CK_MECHANISM_TYPE two[3] = { 0, 0, 99 };
    assert_int_equal(kv_mech_types(&offer_all, two, 2), count);
    assert_int_equal(two[2], 99);
}

static void offers_follow_the_configuration(void **state)
{
    static const struct {
        CK_MECHANISM_TYPE type;
        bool plain, hsm, session, digests;
    } rows[] = {
        { CKM_RSA_PKCS, true, true, true, true },           { CKM_ECDSA, true, true, true, true },
        { CKM_AES_KEY_WRAP, false, true, true, false },     { CKM_AES_GCM, false, true, true, false },
        { CKM_SHA256, false, false, false, true },          { CKM_AES_KEY_GEN, true, true, true, true },
        { CKM_AES_KEY_WRAP_PAD, false, true, true, false }, { CKM_RSA_X_509, false, false, false, false },
    };
    static const struct kv_mech_offer offers[] = {
        { 0 }, { .managed_hsm = true }, { .session_ciphers = true }, { .digests = true }
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t k = 0; k < COUNT(offers); k++) {
            CK_MECHANISM_TYPE types[64];
            size_t count = kv_mech_types(&offers[k], types, COUNT(types));
            bool wanted[] = { rows[i].plain, rows[i].hsm, rows[i].session, rows[i].digests };
            CK_MECHANISM_INFO info;
            assert_int_equal(has(types, count, rows[i].type), wanted[k]);
            assert_int_equal(kv_mech_info(&offers[k], rows[i].type, &info) == KV_OK, wanted[k]);
        }
}

static void info_folds_the_rows(void **state)
{
    static const struct {
        CK_MECHANISM_TYPE type;
        struct kv_mech_offer offer;
        CK_ULONG min, max;
        CK_FLAGS with, without;
    } rows[] = {
        { CKM_RSA_PKCS, { 0 }, 2048, 4096, CKF_SIGN | CKF_VERIFY, CKF_DECRYPT | CKF_UNWRAP },
        { CKM_RSA_PKCS,
          { .rsa1_5 = true },
          2048,
          4096,
          CKF_SIGN | CKF_DECRYPT | CKF_UNWRAP | CKF_WRAP,
          CKF_DIGEST },
        { CKM_ECDSA,
          { 0 },
          256,
          521,
          CKF_SIGN | CKF_EC_NAMEDCURVE | CKF_EC_F_P | CKF_EC_UNCOMPRESS,
          CKF_DERIVE },
        { CKM_AES_GCM,
          { .session_ciphers = true },
          16,
          32,
          CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT |
              CKF_MULTI_MESSAGE,
          CKF_GENERATE },
        /* The service makes the nonce: nothing for the functions that bring one. */
        { CKM_AES_GCM,
          { .managed_hsm = true },
          16,
          32,
          CKF_DECRYPT | CKF_UNWRAP | CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE,
          CKF_ENCRYPT | CKF_WRAP },
        { CKM_AES_CBC,
          { .session_ciphers = true },
          16,
          32,
          CKF_ENCRYPT,
          CKF_MESSAGE_ENCRYPT | CKF_MULTI_MESSAGE },
        { CKM_AES_KEY_WRAP, { .managed_hsm = true }, 16, 32, CKF_WRAP | CKF_UNWRAP, CKF_ENCRYPT },
        { CKM_AES_KEY_WRAP_PAD, { .managed_hsm = true }, 16, 32, CKF_WRAP | CKF_UNWRAP, CKF_ENCRYPT },
        { CKM_AES_KEY_GEN, { 0 }, 16, 32, CKF_GENERATE, CKF_ENCRYPT },
        { CKM_SHA256, { .digests = true }, 0, 0, CKF_DIGEST, CKF_SIGN },
        { CKM_AES_CBC,
          { .managed_hsm = true },
          16,
          32,
          CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP,
          CKF_SIGN },
        { CKM_SHA256_HMAC,
          { .session_ciphers = true },
          1,
          KV_SECRET_MAX,
          CKF_SIGN | CKF_VERIFY,
          CKF_ENCRYPT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_MECHANISM_INFO info;
        assert_int_equal(kv_mech_info(&rows[i].offer, rows[i].type, &info), KV_OK);
        assert_int_equal(info.ulMinKeySize, rows[i].min);
        assert_int_equal(info.ulMaxKeySize, rows[i].max);
        assert_int_equal(info.flags & rows[i].with, rows[i].with);
        assert_int_equal(info.flags & rows[i].without, 0);
    }
}

static void allowed_follows_the_key(void **state)
{
    static const struct {
        struct kv_mech_key key;
        unsigned operations;
        CK_MECHANISM_TYPE with, without;
        size_t count;
    } rows[] = {
        { RSA, KV_OP_SIGN | KV_OP_VERIFY, CKM_SHA256_RSA_PKCS_PSS, CKM_RSA_PKCS_OAEP, 8 },
        { RSA, KV_OP_WRAP | KV_OP_UNWRAP, CKM_RSA_PKCS_OAEP, CKM_SHA256_RSA_PKCS, 2 },
        { EC, KV_OP_SIGN, CKM_ECDSA, CKM_RSA_PKCS, 4 },
        { HSM, KV_OP_WRAP, CKM_AES_GCM, CKM_AES_CTR, 6 },
        { { .kind = KV_OCT }, KV_OP_DECRYPT, CKM_AES_CBC, CKM_AES_CTR, 3 },
        { { .kind = KV_OCT }, KV_OP_SIGN, CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL, 3 },
        { AES, KV_OP_DECRYPT, CKM_AES_GCM, CKM_SHA256, 7 },
        { RSA, 0, 0, CKM_RSA_PKCS, 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_MECHANISM_TYPE types[64];
        size_t count = kv_mech_allowed(&rows[i].key, rows[i].operations, &offer_all, types, COUNT(types));
        assert_int_equal(count, rows[i].count);
        if (count)
            assert_true(has(types, count, rows[i].with));
        assert_false(has(types, count, rows[i].without));
    }
}

static void names(void **state)
{
    assert_string_equal(kv_mech_type_name(CKM_RSA_PKCS_OAEP), "CKM_RSA_PKCS_OAEP");
    assert_string_equal(kv_mech_type_name(0x210b), "CKM_AES_KEY_WRAP_KWP");
    assert_null(kv_mech_type_name(CKM_RSA_X_509));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selects),
        cmocka_unit_test(only_digestinfo_leaves_the_row_open),
        cmocka_unit_test(any_bytes_are_a_matter_of_the_offer),
        cmocka_unit_test(rows_have_siblings_by_size),
        cmocka_unit_test(what_a_wrong_key_cannot_hide),
        cmocka_unit_test(digests_need_no_key),
        cmocka_unit_test(lists_each_type_once),
        cmocka_unit_test(offers_follow_the_configuration),
        cmocka_unit_test(info_folds_the_rows),
        cmocka_unit_test(allowed_follows_the_key),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
