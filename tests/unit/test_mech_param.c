/* Mechanism parameters: what real clients send is taken, what the service cannot do is refused. */
#include "mech_help.h"

static unsigned char bytes[300];

static enum kv_status choose(CK_MECHANISM_TYPE type, void *param, size_t len, struct kv_mech_use *ret)
{
    bool rsa = type == CKM_RSA_PKCS_PSS || type == CKM_RSA_PKCS_OAEP;
    struct kv_mech_key key = { .kind = rsa ? KV_RSA : KV_OCT, .bits = rsa ? 3072 : 128, .session = !rsa };
    CK_MECHANISM mechanism = { type, param, len };
    bool mac = strstr(kv_mech_type_name(type), "_HMAC") != NULL;
    unsigned operation = type == CKM_RSA_PKCS_PSS || mac ? KV_OP_SIGN : KV_OP_ENCRYPT;
    return kv_mech_select(&mechanism, &key, operation, &offer_all, ret);
}

static void pss(void **state)
{
    static struct {
        CK_RSA_PKCS_PSS_PARAMS params;
        size_t len;
        enum kv_status status;
        const char *alg;
    } rows[] = {
        { { CKM_SHA256, CKG_MGF1_SHA256, 32 }, sizeof(CK_RSA_PKCS_PSS_PARAMS), KV_OK, "PS256" },
        { { CKM_SHA384, CKG_MGF1_SHA384, 48 }, sizeof(CK_RSA_PKCS_PSS_PARAMS), KV_OK, "PS384" },
        { { CKM_SHA512, CKG_MGF1_SHA512, 64 }, sizeof(CK_RSA_PKCS_PSS_PARAMS), KV_OK, "PS512" },
        { { CKM_SHA256, CKG_MGF1_SHA256, 222 }, sizeof(CK_RSA_PKCS_PSS_PARAMS), KV_MECHANISM_PARAM },
        { { CKM_SHA256, CKG_MGF1_SHA256, 0 }, sizeof(CK_RSA_PKCS_PSS_PARAMS), KV_MECHANISM_PARAM },
        { { CKM_SHA256, CKG_MGF1_SHA1, 32 }, sizeof(CK_RSA_PKCS_PSS_PARAMS), KV_MECHANISM_PARAM },
        { { CKM_SHA_1, CKG_MGF1_SHA1, 20 }, sizeof(CK_RSA_PKCS_PSS_PARAMS), KV_MECHANISM_PARAM },
        { { CKM_SHA256, CKG_MGF1_SHA256, 32 }, sizeof(CK_RSA_PKCS_PSS_PARAMS) - 1, KV_MECHANISM_PARAM },
        { { CKM_SHA256, CKG_MGF1_SHA256, 32 }, 0, KV_MECHANISM_PARAM },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_mech_use use = { 0 };
        assert_int_equal(choose(CKM_RSA_PKCS_PSS, &rows[i].params, rows[i].len, &use), rows[i].status);
        if (rows[i].alg)
            assert_string_equal(use.row->alg, rows[i].alg);
    }
    assert_int_equal(choose(CKM_RSA_PKCS_PSS, NULL, 0, &(struct kv_mech_use){ 0 }), KV_MECHANISM_PARAM);
}

static void oaep(void **state)
{
    static struct {
        const char *who;
        CK_RSA_PKCS_OAEP_PARAMS params;
        const char *alg; /* NULL: refused */
    } rows[] = {
        { "libp11", { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 }, "RSA-OAEP-256" },
        { "SHA-1", { CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0 }, "RSA-OAEP" },
        { "pkcs11-tool: source 0", { CKM_SHA256, CKG_MGF1_SHA256, 0, NULL, 0 }, "RSA-OAEP-256" },
        { "pkcs11-provider: nothing", { 0, 0, 0, NULL, 0 }, "RSA-OAEP" },
        { "pkcs11-provider: no mask", { CKM_SHA256, 0, CKZ_DATA_SPECIFIED, NULL, 0 }, "RSA-OAEP-256" },
        { "an empty label", { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, bytes, 0 }, "RSA-OAEP-256" },
        { "a label", { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, bytes, 1 }, NULL },
        { "a label, source 0", { CKM_SHA256, CKG_MGF1_SHA256, 0, bytes, 1 }, NULL },
        { "another source", { CKM_SHA256, CKG_MGF1_SHA256, 2, NULL, 0 }, NULL },
        { "two hashes", { CKM_SHA256, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0 }, NULL },
        { "SHA-384", { CKM_SHA384, CKG_MGF1_SHA384, CKZ_DATA_SPECIFIED, NULL, 0 }, NULL },
        { "SHA-512", { CKM_SHA512, CKG_MGF1_SHA512, CKZ_DATA_SPECIFIED, NULL, 0 }, NULL },
        { "no hash at all", { CKM_AES_CBC, 0, CKZ_DATA_SPECIFIED, NULL, 0 }, NULL },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_mech_use use = { 0 };
        enum kv_status status = choose(CKM_RSA_PKCS_OAEP, &rows[i].params, sizeof rows[i].params, &use);
        if (status != (rows[i].alg ? KV_OK : KV_MECHANISM_PARAM))
            fail_msg("%s: %s", rows[i].who, kv_status_name(status));
        if (rows[i].alg)
            assert_string_equal(use.row->alg, rows[i].alg);
    }
    struct kv_mech_use use = { 0 };
    assert_int_equal(choose(CKM_RSA_PKCS_OAEP, NULL, 0, &use), KV_OK);
    assert_string_equal(use.row->alg, "RSA-OAEP");
    assert_int_equal(choose(CKM_RSA_PKCS_OAEP, NULL, 8, &use), KV_MECHANISM_PARAM);
    assert_int_equal(choose(CKM_RSA_PKCS_OAEP, bytes, 8, &use), KV_MECHANISM_PARAM);
}

static void gcm(void **state)
{
    static struct {
        CK_GCM_PARAMS params;
        bool ok;
    } rows[] = {
        { { bytes, 12, 96, NULL, 0, 128 }, true },  { { bytes, 12, 0, bytes, 300, 96 }, true },
        { { bytes, 1, 8, NULL, 0, 104 }, true },    { { bytes, 128, 0, NULL, 0, 120 }, true },
        { { bytes, 129, 0, NULL, 0, 128 }, false }, { { bytes, 0, 0, NULL, 0, 128 }, false },
        { { NULL, 12, 96, NULL, 0, 128 }, false },  { { bytes, 12, 96, NULL, 5, 128 }, false },
        { { bytes, 12, 96, NULL, 0, 64 }, false },  { { bytes, 12, 96, NULL, 0, 100 }, false },
        { { bytes, 12, 96, NULL, 0, 136 }, false }, { { bytes, 12, 96, NULL, 0, 0 }, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        CK_GCM_PARAMS *params = &rows[i].params;
        struct kv_mech_use use = { 0 };
        assert_int_equal(choose(CKM_AES_GCM, params, sizeof *params, &use),
                         rows[i].ok ? KV_OK : KV_MECHANISM_PARAM);
        if (rows[i].ok) {
            assert_int_equal(use.tag_len, params->ulTagBits / 8);
            assert_int_equal(use.iv.len, params->ulIvLen);
            assert_true(use.iv.data != bytes); /* a copy: the caller's may go */
            assert_int_equal(use.aad.len, rows[i].params.aad_len);
        }
        kv_mech_use_free(&use);
    }
}

static void gcm_without_iv_bits(void **state)
{
    struct {
        void *iv;
        CK_ULONG iv_len;
        void *aad;
        CK_ULONG aad_len, tag_bits;
    } params = { bytes, 12, bytes, 20, 128 };
    struct kv_mech_use use = { 0 };
    assert_int_equal(choose(CKM_AES_GCM, &params, sizeof params, &use), KV_OK);
    assert_int_equal(use.iv.len, 12);
    assert_int_equal(use.aad.len, 20);
    assert_int_equal(use.tag_len, 16);
    kv_mech_use_free(&use);
    assert_int_equal(choose(CKM_AES_GCM, &params, sizeof params - 1, &use), KV_MECHANISM_PARAM);
    assert_int_equal(choose(CKM_AES_GCM, NULL, 0, &use), KV_MECHANISM_PARAM);
}

static void plain_ivs(void **state)
{
    static unsigned char kw[] = { 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6 },
                         kwp[] = { 0xa6, 0x59, 0x59, 0xa6 };
    static CK_ULONG mac_none = 0, mac_one = 1, mac_all = 48, mac_more = 49;
    static CK_AES_CTR_PARAMS ctr = { 32 }, ctr_max = { 128 }, ctr_none = { 0 }, ctr_more = { 129 };
    static const struct {
        CK_MECHANISM_TYPE type;
        void *param;
        size_t len;
        bool ok;
    } rows[] = {
        { CKM_AES_CBC, bytes, 16, true },
        { CKM_AES_CBC, bytes, 15, false },
        { CKM_AES_CBC, NULL, 0, false },
        { CKM_AES_CBC_PAD, bytes, 16, true },
        { CKM_AES_CBC_PAD, bytes, 17, false },
        { CKM_AES_CTR, &ctr, sizeof ctr, true },
        { CKM_AES_CTR, &ctr_max, sizeof ctr, true },
        { CKM_AES_CTR, &ctr_none, sizeof ctr, false },
        { CKM_AES_CTR, &ctr_more, sizeof ctr, false },
        { CKM_AES_CTR, &ctr, 16, false },
        { CKM_AES_KEY_WRAP, NULL, 0, true },
        { CKM_AES_KEY_WRAP, kw, 8, true },
        { CKM_AES_KEY_WRAP, bytes, 8, false },
        { CKM_AES_KEY_WRAP, kw, 7, false },
        { CKM_AES_KEY_WRAP_PAD, NULL, 0, true },
        { CKM_AES_KEY_WRAP_PAD, kwp, 4, true },
        { CKM_AES_KEY_WRAP_PAD, kw, 8, false },
        { 0x210b, kwp, 4, true },
        { CKM_SHA384_HMAC, NULL, 0, true },
        { CKM_SHA384_HMAC, &mac_all, sizeof mac_all, false },
        { CKM_SHA384_HMAC_GENERAL, &mac_one, sizeof mac_one, true },
        { CKM_SHA384_HMAC_GENERAL, &mac_all, sizeof mac_all, true },
        { CKM_SHA384_HMAC_GENERAL, &mac_none, sizeof mac_none, false },
        { CKM_SHA384_HMAC_GENERAL, &mac_more, sizeof mac_more, false },
        { CKM_SHA256_HMAC_GENERAL, &mac_all, sizeof mac_all, false },
        { CKM_SHA512_HMAC_GENERAL, &mac_more, sizeof mac_more, true },
        { CKM_SHA512_HMAC_GENERAL, &mac_more, sizeof mac_more / 2, false },
        { CKM_SHA512_HMAC_GENERAL, NULL, 0, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_mech_use use = { 0 };
        enum kv_status status = choose(rows[i].type, rows[i].param, rows[i].len, &use);
        if (status != (rows[i].ok ? KV_OK : KV_MECHANISM_PARAM))
            fail_msg("row %zu: %s", i, kv_status_name(status));
        kv_mech_use_free(&use);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pss),       cmocka_unit_test(oaep),
        cmocka_unit_test(gcm),       cmocka_unit_test(gcm_without_iv_bits),
        cmocka_unit_test(plain_ivs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
