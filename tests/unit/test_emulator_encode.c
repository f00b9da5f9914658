/* The emulator's text forms of bytes, and the sealing of its backups. */
#include "emulator_help.h"

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
        cmocka_unit_test(base64_both_ways),
        cmocka_unit_test(base64_refusals),
        cmocka_unit_test(sealed_and_opened),
    };
    return cmocka_run_group_tests_name("emulator encode", tests, NULL, NULL);
}
