/* HMAC against RFC 4231, at once and in parts. */
#include "mech_help.h"

/* RFC 4231 §4.3 ("Jefe") and §4.7 (a key longer than a block). */
static const struct {
    const char *evp, *code[2];
} rows[] = {
    { "SHA2-256",
      { "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" } },
    { "SHA2-384",
      { "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f4495"
        "2" } },
    { "SHA2-512",
      { "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
        "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598" } },
};
static const char *const messages[] = { "what do ya want for nothing?",
                                        "Test Using Larger Than Block-Size Key - Hash Key First" };

static struct kv_bytes key_of(int i)
{
    struct kv_bytes key = { 0 };
    assert_int_equal(kv_bytes_alloc(i ? 131 : 4, &key), KV_OK);
    memset(key.data, 0xaa, key.len);
    if (!i)
        memcpy(key.data, "Jefe", 4);
    return key;
}

static void answers_of_the_rfc(void **state)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int k = 0; k < 2; k++) {
            KV_AUTO_BYTES struct kv_bytes should = from_hex(rows[i].code[k]), key = key_of(k), code = { 0 };
            struct kv_mac *mac = NULL;
            size_t len = strlen(messages[k]);
            assert_int_equal(kv_mac_open(rows[i].evp, KV_VIEW(key), &mac), KV_OK);
            for (size_t at = 0; at < len; at += 5) {
                struct kv_view part = { (const unsigned char *)messages[k] + at,
                                        len - at < 5 ? len - at : 5 };
                assert_int_equal(kv_mac_update(mac, part), KV_OK);
            }
            assert_int_equal(kv_mac_final(mac, &code), KV_OK);
            assert_bytes(KV_VIEW(code), KV_VIEW(should));
            kv_mac_free(mac);
        }
}

/* No part at all is the empty message, and an empty key is a key. */
static void nothing_is_a_message(void **state)
{
    KV_AUTO_BYTES struct kv_bytes code = { 0 },
                                  should = from_hex(
                                      "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    struct kv_mac *mac = NULL;
    assert_int_equal(kv_mac_open("SHA2-256", (struct kv_view){ 0 }, &mac), KV_OK);
    assert_int_equal(kv_mac_final(mac, &code), KV_OK);
    assert_bytes(KV_VIEW(code), KV_VIEW(should));
    kv_mac_free(mac);
}

static void unknown_names_are_refused(void **state)
{
    struct kv_mac *mac = NULL;
    assert_int_equal(kv_mac_open("MD5", kv_view_text("key"), &mac), KV_INTERNAL);
    assert_null(mac);
    kv_mac_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_the_rfc),
        cmocka_unit_test(nothing_is_a_message),
        cmocka_unit_test(unknown_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
