#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "../../tools/age/bech32.h"
#include "base/encode.h"

static struct kv_bytes from_hex(const char *hex)
{
    struct kv_bytes bytes = { 0 };
    assert_int_equal(kv_decode_hex(hex, &bytes), KV_OK);
    return bytes;
}

static bool decodes(const char *text, char *hrp, struct kv_bytes *ret)
{
    return kv_bech32_decode(text, hrp, KV_BECH32_HRP_MAX + 1, ret) == KV_OK;
}

/* BIP 173, "Test vectors", as far as their data are whole bytes; the last two are of age's own description. */
static const struct {
    const char *text, *hrp, *hex;
} vectors[] = {
    { "A12UEL5L", "a", "" },
    { "a12uel5l", "a", "" },
    { "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
      "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio", "" },
    { "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "abcdef", "00443214c74254b635cf84653a56d7c675be77df" },
    { "?1ezyfcl", "?", "" },
    { "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", "age",
      "132c442be010fbd57e72603328aa76e71fccc1503aae219327d14d9c9993f472" },
    { "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", "age-secret-key-",
      "4242424242424242424242424242424242424242424242424242424242424242" },
};

static void vectors_both_ways(void **state)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        KV_AUTO_BYTES struct kv_bytes data = { 0 }, expected = from_hex(vectors[i].hex);
        char hrp[KV_BECH32_HRP_MAX + 1];
        bool upper = vectors[i].text[0] == 'A';
        if (!decodes(vectors[i].text, hrp, &data))
            fail_msg("'%s' was refused", vectors[i].text);
        assert_string_equal(hrp, vectors[i].hrp);
        assert_true(kv_view_equal(KV_VIEW(data), KV_VIEW(expected)));
        KV_AUTO_TEXT char *back = kv_bech32_encode(hrp, KV_VIEW(data), upper);
        assert_string_equal(back, vectors[i].text);
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *what, *text;
    } rows[] = {
        { "nothing", "" },
        { "no separator", "pzry9x0s0muk" },
        { "no prefix", "1pzry9x0s0muk" },
        { "no prefix, checksum of one", "10a06t8" },
        { "a blank in the prefix", "\x20"
                                   "1nwldj5" },
        { "DEL in the prefix", "\x7f"
                               "1axkwrx" },
        { "a byte beyond ASCII", "\x80"
                                 "1eym55h" },
        { "a letter that is none", "x1b4n0q5v" },
        { "a checksum that is too short", "li1dgmt3" },
        { "a byte beyond ASCII in the checksum", "de1lg7wt\xff" },
        { "the checksum of the upper case", "A1G7SGD8" },
        { "mixed case in the data", "a12UEL5l" },
        { "mixed case, prefix and data", "A12uel5l" },
        { "one letter changed", "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwq" },
        { "two letters swapped", "age1vzkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj" },
        { "one letter lost", "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujw" },
        { "another prefix", "bge1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj" },
        { "more than four bits of padding", "age1qdd35qf" },
        { "padding that is not zero", "age1qpu0j2ex" },
        { "a new line behind it", "a12uel5l\n" },
        { "84 letters of prefix",
          "an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx" },
    };
    struct kv_bytes untouched = { NULL, 42 };
    char hrp[KV_BECH32_HRP_MAX + 1] = "untouched";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (kv_bech32_decode(rows[i].text, hrp, sizeof(hrp), &untouched) != KV_BAD_DATA)
            fail_msg("%s was taken: '%s'", rows[i].what, rows[i].text);
    }
    assert_int_equal(kv_bech32_decode("abc12uel5l", hrp, 3, &untouched), KV_BAD_DATA); /* no room */
    assert_int_equal(untouched.len, 42);
    assert_string_equal(hrp, "untouched");
}

static void every_length_survives(void **state)
{
    unsigned char all[512];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (unsigned char)(i * 37 + 11);
    for (size_t len = 0; len <= sizeof(all); len++) {
        KV_AUTO_TEXT char *text = kv_bech32_encode("age1kvp11", (struct kv_view){ all, len }, len % 2);
        KV_AUTO_BYTES struct kv_bytes back = { 0 };
        char hrp[KV_BECH32_HRP_MAX + 1];
        assert_non_null(text);
        assert_true(decodes(text, hrp, &back));
        assert_string_equal(hrp, "age1kvp11");
        assert_true(kv_view_equal(KV_VIEW(back), ((struct kv_view){ all, len })));
    }
}

/* Any one letter changed into any other is noticed: what the code is for. */
static void one_wrong_letter_is_noticed(void **state)
{
    static const char good[] = "age1kvp111qqqsyqcyq5rqwzqfwd9kga";
    static const char letters[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    unsigned char data[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    KV_AUTO_TEXT char *text = kv_bech32_encode("age1kvp11", (struct kv_view){ data, sizeof(data) }, false);
    assert_non_null(text);
    assert_string_equal(text, good);
    for (size_t at = strlen("age1kvp111"); text[at]; at++) {
        char was = text[at];
        for (size_t i = 0; i < sizeof(letters) - 1; i++) {
            KV_AUTO_BYTES struct kv_bytes back = { 0 };
            char hrp[KV_BECH32_HRP_MAX + 1];
            text[at] = letters[i];
            assert_int_equal(decodes(text, hrp, &back), letters[i] == was);
        }
        text[at] = was;
    }
}

static void limits(void **state)
{
    static unsigned char large[KV_BECH32_TEXT_MAX];
    struct kv_bytes untouched = { NULL, 42 };
    char hrp[KV_BECH32_HRP_MAX + 1];
    assert_null(kv_bech32_encode("a", (struct kv_view){ large, sizeof(large) }, false));
    size_t most = (KV_BECH32_TEXT_MAX - 8) * 5 / 8;
    assert_null(kv_bech32_encode("a", (struct kv_view){ large, most + 1 }, false));
    KV_AUTO_TEXT char *text = kv_bech32_encode("a", (struct kv_view){ large, most }, false);
    KV_AUTO_BYTES struct kv_bytes back = { 0 };
    assert_non_null(text);
    assert_true(decodes(text, hrp, &back));
    assert_int_equal(back.len, most);
    KV_AUTO_TEXT char *longer = kv_text_format("%s%s", "q", text);
    KV_AUTO_TEXT char *much = kv_text_format("%s%s", longer, text);
    assert_int_equal(kv_bech32_decode(much, hrp, sizeof(hrp), &untouched), KV_BAD_DATA);
    assert_null(kv_bech32_encode("", (struct kv_view){ large, 1 }, false));
    assert_null(kv_bech32_encode("Age", (struct kv_view){ large, 1 }, false));
    assert_null(kv_bech32_encode("a b", (struct kv_view){ large, 1 }, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_both_ways),
        cmocka_unit_test(refuses),
        cmocka_unit_test(every_length_survives),
        cmocka_unit_test(one_wrong_letter_is_noticed),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests_name("tools/bech32", tests, NULL, NULL);
}
