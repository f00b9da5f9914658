/* The parameter of one message, and the vectors that are made for it. */
#include "mech_help.h"

#include "mech/message_param.h"

static unsigned char iv[256], tag[16];

static CK_GCM_MESSAGE_PARAMS params(CK_ULONG iv_len, CK_ULONG fixed, CK_GENERATOR_FUNCTION generator,
                                    CK_ULONG tag_bits)
{
    return (CK_GCM_MESSAGE_PARAMS){ iv, iv_len, fixed, generator, tag, tag_bits };
}

static void reads(void **state)
{
    static const struct {
        const char *sentence;
        CK_ULONG iv_len, fixed;
        CK_GENERATOR_FUNCTION generator;
        CK_ULONG tag_bits;
        enum kv_status encrypt, decrypt;
    } rows[] = {
        { "as everybody sends it", 12, 0, CKG_NO_GENERATE, 128, KV_OK, KV_OK },
        { "the shortest", 1, 0, CKG_NO_GENERATE, 96, KV_OK, KV_OK },
        { "the longest", 128, 1024, CKG_GENERATE_RANDOM, 128, KV_OK, KV_OK },
        { "no vector", 0, 0, CKG_NO_GENERATE, 128, KV_MECHANISM_PARAM, KV_MECHANISM_PARAM },
        { "longer than OpenSSL takes", 129, 0, CKG_NO_GENERATE, 128, KV_MECHANISM_PARAM, KV_MECHANISM_PARAM },
        { "a tag of no whole bytes", 12, 0, CKG_NO_GENERATE, 100, KV_MECHANISM_PARAM, KV_MECHANISM_PARAM },
        { "a short tag", 12, 0, CKG_NO_GENERATE, 64, KV_MECHANISM_PARAM, KV_MECHANISM_PARAM },
        { "a long tag", 12, 0, CKG_NO_GENERATE, 136, KV_MECHANISM_PARAM, KV_MECHANISM_PARAM },
        { "more fixed than there is", 12, 97, CKG_GENERATE, 128, KV_MECHANISM_PARAM, KV_OK },
        { "a number that overflows", 12, (CK_ULONG)-1, CKG_GENERATE, 128, KV_MECHANISM_PARAM, KV_OK },
        { "a generator of 3.1", 12, 0, 4, 128, KV_MECHANISM_PARAM, KV_OK },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_GCM_MESSAGE_PARAMS given =
            params(rows[i].iv_len, rows[i].fixed, rows[i].generator, rows[i].tag_bits);
        struct kv_message_param read = { 0 };
        if (kv_message_param_read(&given, sizeof given, true, &read) != rows[i].encrypt)
            fail_msg("%s: encrypt", rows[i].sentence);
        assert_int_equal(read.iv_len, rows[i].encrypt ? 0 : rows[i].iv_len);
        read = (struct kv_message_param){ 0 };
        if (kv_message_param_read(&given, sizeof given, false, &read) != rows[i].decrypt)
            fail_msg("%s: decrypt", rows[i].sentence);
        assert_int_equal(read.generator, CKG_NO_GENERATE);
        assert_int_equal(read.fixed_bits, 0);
        assert_int_equal(read.tag_len, rows[i].decrypt ? 0 : rows[i].tag_bits / 8);
    }
}

static void refuses_what_is_no_parameter(void **state)
{
    CK_GCM_MESSAGE_PARAMS given = params(12, 0, CKG_NO_GENERATE, 128);
    struct kv_message_param read;
    assert_int_equal(kv_message_param_read(NULL, 0, true, &read), KV_MECHANISM_PARAM);
    assert_int_equal(kv_message_param_read(NULL, sizeof given, true, &read), KV_MECHANISM_PARAM);
    assert_int_equal(kv_message_param_read(&given, sizeof given - 1, true, &read), KV_MECHANISM_PARAM);
    assert_int_equal(kv_message_param_read(&given, sizeof given + 1, true, &read), KV_MECHANISM_PARAM);
    given.pTag = NULL; /* at the beginning of a message in parts there may be none yet */
    assert_int_equal(kv_message_param_read(&given, sizeof given, true, &read), KV_OK);
    assert_null(read.tag);
    given.pIv = NULL;
    assert_int_equal(kv_message_param_read(&given, sizeof given, true, &read), KV_MECHANISM_PARAM);
}

static void counts(void **state)
{
    static const struct {
        size_t iv_len, fixed;
        uint64_t count;
        const char *vector; /* of fixed bits a5…; NULL: refused */
    } rows[] = {
        { 12, 0, 0, "000000000000000000000000" },
        { 12, 0, 258, "000000000000000000000102" },
        { 12, 32, 1, "a5a5a5a50000000000000001" },
        { 12, 33, 1, "a5a5a5a58000000000000001" },
        { 12, 40, UINT64_C(0xfffffffffffff), "a5a5a5a5a50fffffffffffff" },
        { 12, 64, UINT32_MAX, "a5a5a5a5a5a5a5a5ffffffff" },
        { 12, 64, (uint64_t)UINT32_MAX + 1, NULL },
        { 12, 93, 2, "a5a5a5a5a5a5a5a5a5a5a5a2" },
        { 12, 93, 7, "a5a5a5a5a5a5a5a5a5a5a5a7" },
        { 12, 93, 8, NULL },
        { 12, 96, 0, "a5a5a5a5a5a5a5a5a5a5a5a5" },
        { 12, 96, 1, NULL },
        { 1, 0, 255, "ff" },
        { 1, 0, 256, NULL },
        { 8, 0, UINT64_MAX, "ffffffffffffffff" },
    };
    memset(iv, 0xa5, sizeof iv);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_message_param param = {
            .iv = iv, .iv_len = rows[i].iv_len, .fixed_bits = rows[i].fixed, .generator = CKG_GENERATE_COUNTER
        };
        KV_AUTO_BYTES struct kv_bytes made = { 0 };
        enum kv_status status = kv_message_param_iv(&param, rows[i].count, &made);
        assert_int_equal(status, rows[i].vector ? KV_OK : KV_MECHANISM_PARAM);
        if (!rows[i].vector) {
            assert_null(made.data);
            continue;
        }
        KV_AUTO_BYTES struct kv_bytes should = from_hex(rows[i].vector);
        assert_bytes(KV_VIEW(made), KV_VIEW(should));
    }
    assert_int_equal(iv[0], 0xa5);
}

static void makes_at_random(void **state)
{
    memset(iv, 0xa5, sizeof iv);
    struct kv_message_param param = { .iv = iv, .iv_len = 12, .fixed_bits = 12, .generator = CKG_GENERATE };
    unsigned char seen = 0, all = 0xff;
    for (size_t i = 0; i < 64; i++) {
        KV_AUTO_BYTES struct kv_bytes made = { 0 };
        assert_int_equal(kv_message_param_iv(&param, 0, &made), KV_OK);
        assert_int_equal(made.data[0], 0xa5);
        assert_int_equal(made.data[1] & 0xf0, 0xa0);
        seen |= made.data[1] & 0x0f;
        all &= made.data[1];
    }
    assert_int_equal(seen, 0x0f); /* every free bit was once one, and once none */
    assert_int_equal(all & 0x0f, 0);
    param.fixed_bits = 33;
    assert_int_equal(kv_message_param_iv(&param, 0, &(struct kv_bytes){ 0 }), KV_MECHANISM_PARAM);
    param.generator = CKG_NO_GENERATE;
    KV_AUTO_BYTES struct kv_bytes own = { 0 };
    assert_int_equal(kv_message_param_iv(&param, 9, &own), KV_OK);
    assert_bytes(KV_VIEW(own), (struct kv_view){ iv, 12 });
}

static void selects(void **state)
{
    static const struct kv_mech_key hsm = { .kind = KV_OCT, .bits = 256 },
                                    here = { .kind = KV_OCT, .bits = 128, .session = true },
                                    rsa = { .kind = KV_RSA, .bits = 2048 };
    CK_GCM_MESSAGE_PARAMS given = params(12, 0, CKG_GENERATE, 128);
    const struct {
        CK_MECHANISM mechanism;
        const struct kv_mech_key *key;
        enum kv_status status;
        const char *name; /* of the algorithm */
    } rows[] = {
        { { CKM_AES_GCM, NULL, 0 }, &hsm, KV_OK, "A256GCM" },
        { { CKM_AES_GCM, &given, sizeof given }, &hsm, KV_OK, "A256GCM" },
        { { CKM_AES_GCM, NULL, 0 }, &here, KV_OK, "AES-128-GCM" },
        { { CKM_AES_GCM, &given, sizeof given - 8 }, &here, KV_MECHANISM_PARAM, NULL },
        { { CKM_AES_GCM, NULL, 8 }, &here, KV_MECHANISM_PARAM, NULL },
        { { CKM_AES_GCM, NULL, 0 }, &rsa, KV_KEY_TYPE, NULL },
        { { CKM_AES_CBC, NULL, 0 }, &here, KV_MECHANISM, NULL },
        { { CKM_RSA_PKCS_OAEP, NULL, 0 }, &rsa, KV_MECHANISM, NULL },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_mech_use use = { 0 };
        assert_int_equal(
            kv_message_param_select(&rows[i].mechanism, rows[i].key, KV_OP_DECRYPT, &offer_all, &use),
            rows[i].status);
        if (!rows[i].name)
            continue;
        assert_string_equal(use.row->alg ? use.row->alg : use.row->evp, rows[i].name);
        assert_int_equal(kv_mech_makes_nonce(use.row), use.row->alg != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),   cmocka_unit_test(refuses_what_is_no_parameter),
        cmocka_unit_test(counts),  cmocka_unit_test(makes_at_random),
        cmocka_unit_test(selects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
