/* Digests against FIPS 180-4's "abc", and random bytes. */
#include "mech_help.h"

static const struct {
    const char *evp;
    size_t size;
    const char *abc;
} rows[] = {
    { "SHA1", 20, "a9993e364706816aba3e25717850c26c9cd0d89d" },
    { "SHA2-256", 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "SHA2-384", 48,
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" },
    { "SHA2-512", 64,
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
};

static void at_once_and_in_parts(void **state)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        KV_AUTO_BYTES struct kv_bytes should = from_hex(rows[i].abc), once = { 0 }, parts = { 0 };
        struct kv_digest *digest = NULL;
        assert_int_equal(kv_digest_size(rows[i].evp), rows[i].size);
        assert_int_equal(kv_digest_once(rows[i].evp, kv_view_text("abc"), &once), KV_OK);
        assert_bytes(KV_VIEW(once), KV_VIEW(should));

        assert_int_equal(kv_digest_open(rows[i].evp, &digest), KV_OK);
        assert_int_equal(kv_digest_update(digest, kv_view_text("a")), KV_OK);
        assert_int_equal(kv_digest_update(digest, kv_view_text("")), KV_OK);
        assert_int_equal(kv_digest_update(digest, kv_view_text("bc")), KV_OK);
        assert_int_equal(kv_digest_final(digest, &parts), KV_OK);
        assert_bytes(KV_VIEW(parts), KV_VIEW(should));
        kv_digest_free(digest);
    }
}

static void unknown_names_are_refused(void **state)
{
    struct kv_digest *digest = NULL;
    struct kv_bytes none = { 0 };
    assert_int_equal(kv_digest_size("MD5"), 0);
    assert_int_equal(kv_digest_size(NULL), 0);
    assert_int_equal(kv_digest_open("MD5", &digest), KV_INTERNAL);
    assert_int_equal(kv_digest_once("MD5", kv_view_text("abc"), &none), KV_INTERNAL);
    assert_null(digest);
    kv_digest_free(NULL);
}

static void random_bytes_differ(void **state)
{
    unsigned char a[32] = { 0 }, b[32] = { 0 };
    assert_int_equal(kv_random_bytes(a, sizeof a), KV_OK);
    assert_int_equal(kv_random_bytes(b, sizeof b), KV_OK);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(kv_random_bytes(a, 0), KV_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_once_and_in_parts),
        cmocka_unit_test(unknown_names_are_refused),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
