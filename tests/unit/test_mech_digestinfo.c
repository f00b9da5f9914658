/* DigestInfo as CKM_RSA_PKCS gets it: taken to the letter, or refused. */
#include "mech_help.h"

#define D16 "00112233445566778899aabbccddeeff"
#define D32 D16 D16

static void reads(void **state)
{
    static const struct {
        const char *sentence, *hex, *alg; /* alg NULL: KV_BAD_DATA */
        size_t len;
    } rows[] = {
        { "SHA-256", "3031300d060960864801650304020105000420" D32, "RS256", 32 },
        { "SHA-384", "3041300d060960864801650304020205000430" D32 D16, "RS384", 48 },
        { "SHA-512", "3051300d060960864801650304020305000440" D32 D32, "RS512", 64 },
        { "without NULL", "302f300b06096086480165030402010420" D32 },
        { "SHA-224", "302d300d06096086480165030402040500041c"
                     "00112233445566778899aabbccddeeff00112233445566778899aabb" },
        { "SHA-1", "3021300906052b0e03021a05000414"
                   "00112233445566778899aabbccddeeff00112233" },
        { "digest too short", "3030300d06096086480165030402010500041f" D16 "00112233445566778899aabbccddee" },
        { "OID and length disagree", "3041300d060960864801650304020105000430" D32 D16 },
        { "a byte behind it", "3031300d060960864801650304020105000420" D32 "00" },
        { "a byte inside, behind the digest", "3032300d060960864801650304020105000420" D32 "00" },
        { "parameters that are not NULL", "3033300f0609608648016503040201040200000420" D32 },
        { "NULL with contents", "3032300e06096086480165030402010501000420" D32 },
        { "length not minimal", "308131300d060960864801650304020105000420" D32 },
        { "a bare digest", D32 },
        { "nothing", "" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        KV_AUTO_BYTES struct kv_bytes data = from_hex(rows[i].hex);
        const struct kv_mech *row = NULL;
        struct kv_view digest = { 0 };
        enum kv_status status = kv_mech_digestinfo(KV_VIEW(data), &row, &digest);
        if (status != (rows[i].alg ? KV_OK : KV_BAD_DATA))
            fail_msg("%s: %s", rows[i].sentence, kv_status_name(status));
        if (!rows[i].alg)
            continue;
        assert_string_equal(row->alg, rows[i].alg);
        assert_int_equal(row->type, CKM_RSA_PKCS);
        assert_int_equal(digest.len, rows[i].len);
        assert_ptr_equal(digest.data + digest.len, data.data + data.len);
    }
}

static void every_truncation_is_refused(void **state)
{
    KV_AUTO_BYTES struct kv_bytes data = from_hex("3031300d060960864801650304020105000420" D32);
    for (size_t len = 0; len < data.len; len++) {
        const struct kv_mech *row = NULL;
        struct kv_view digest;
        assert_int_equal(kv_mech_digestinfo((struct kv_view){ data.data, len }, &row, &digest), KV_BAD_DATA);
        assert_null(row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(every_truncation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
