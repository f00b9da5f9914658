#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct kv_bytes from_hex(const char *hex)
{
    struct kv_bytes bytes = { 0 };

    assert_int_equal(kv_decode_hex(hex, &bytes), KV_OK);
    return bytes;
}

static void assert_hex(struct kv_view bytes, const char *hex)
{
    KV_AUTO_FREE char *text = malloc(2 * bytes.len + 1);

    assert_non_null(text);
    kv_encode_hex(bytes, text);
    assert_string_equal(text, hex);
}

static void base64_both_ways(void **state)
{
    /* RFC 4648 §10, and the two letters in which the alphabets differ. */
    static const struct {
        const char *hex, *url, *plain;
    } rows[] = {
        { "", "", "" },
        { "66", "Zg", "Zg==" },
        { "666f", "Zm8", "Zm8=" },
        { "666f6f", "Zm9v", "Zm9v" },
        { "666f6f62", "Zm9vYg", "Zm9vYg==" },
        { "666f6f6261", "Zm9vYmE", "Zm9vYmE=" },
        { "666f6f626172", "Zm9vYmFy", "Zm9vYmFy" },
        { "fbff", "-_8", "+/8=" },
        { "00", "AA", "AA==" },
        { "ffffffff", "_____w", "/////w==" },
        { "010001", "AQAB", "AQAB" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_BYTES struct kv_bytes bytes = from_hex(rows[i].hex), url = { 0 }, plain = { 0 }, raw = { 0 };
        KV_AUTO_TEXT char *url_text = kv_encode_base64url(KV_VIEW(bytes));
        KV_AUTO_TEXT char *plain_text = kv_encode_base64(KV_VIEW(bytes));
        KV_AUTO_TEXT char *raw_text = kv_encode_base64_raw(KV_VIEW(bytes));
        assert_string_equal(url_text, rows[i].url);
        assert_string_equal(plain_text, rows[i].plain);
        assert_int_equal(kv_decode_base64url(rows[i].url, &url), KV_OK);
        assert_int_equal(kv_decode_base64(rows[i].plain, &plain), KV_OK);
        assert_true(kv_view_equal(KV_VIEW(url), KV_VIEW(bytes)));
        assert_true(kv_view_equal(KV_VIEW(plain), KV_VIEW(bytes)));
        assert_int_equal(strlen(raw_text), strcspn(rows[i].plain, "="));
        assert_memory_equal(raw_text, rows[i].plain, strlen(raw_text));
        assert_int_equal(kv_decode_base64_raw(raw_text, &raw), KV_OK);
        assert_true(kv_view_equal(KV_VIEW(raw), KV_VIEW(bytes)));
    }
}

static void every_byte_survives(void **state)
{
    unsigned char all[256 + 2];

    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (unsigned char)(i * 7);
    for (size_t len = sizeof all - 3; len <= sizeof all; len++) {
        struct kv_view view = { all, len };
        KV_AUTO_TEXT char *text = kv_encode_base64url(view);
        KV_AUTO_BYTES struct kv_bytes back = { 0 };
        assert_int_equal(kv_decode_base64url(text, &back), KV_OK);
        assert_true(kv_view_equal(KV_VIEW(back), view));
    }
}

static void base64_refuses_the_rest(void **state)
{
    static const char *const url[] = { "Z",   "Zg==", "Zg=",   "Zm8=",  "Z g",       "Zg\n",  "Zh",  "Zm9",
                                       "+/8", "-/8",  "Zm9v!", "Zm9vY", "\xc3\xa4x", "Zm9v=", "Zm.v" };
    static const char *const plain[] = { "Z",    "Zg",     "Zg=",   "Zm8",  "-_8=",
                                         "Zh==", "Zm9=",   "Z===",  "====", "Zg==Zg==",
                                         "=Zg=", "Zm9v\n", " Zm9v", "Zm=v", "Zm9v====" };
    struct kv_bytes untouched = { NULL, 42 };

    for (size_t i = 0; i < sizeof url / sizeof *url; i++)
        if (kv_decode_base64url(url[i], &untouched) != KV_BAD_DATA)
            fail_msg("base64url '%s' was taken", url[i]);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (kv_decode_base64(plain[i], &untouched) != KV_BAD_DATA)
            fail_msg("base64 '%s' was taken", plain[i]);
    /* Without padding the rules are those of base64url, and the letters the others. */
    for (size_t i = 0; i < sizeof url / sizeof *url; i++)
        if (strcmp(url[i], "+/8") != 0 && kv_decode_base64_raw(url[i], &untouched) != KV_BAD_DATA)
            fail_msg("raw base64 '%s' was taken", url[i]);
    assert_int_equal(kv_decode_base64_raw("-_8", &untouched), KV_BAD_DATA);
    assert_int_equal(kv_decode_base64_raw(NULL, &untouched), KV_BAD_DATA);
    assert_int_equal(kv_decode_base64url(NULL, &untouched), KV_BAD_DATA);
    assert_int_equal(kv_decode_base64(NULL, &untouched), KV_BAD_DATA);
    assert_int_equal(untouched.len, 42);
}

static void only_64_letters_exist(void **state)
{
    int url = 0, plain = 0;

    for (int c = 1; c < 256; c++) {
        KV_AUTO_BYTES struct kv_bytes a = { 0 }, b = { 0 };
        char text[] = { (char)c, 'A', 'A', 'A', 0 };
        url += kv_decode_base64url(text, &a) == KV_OK;
        plain += kv_decode_base64(text, &b) == KV_OK;
    }
    assert_int_equal(url, 64);
    assert_int_equal(plain, 64);
}

static void hex_both_ways(void **state)
{
    KV_AUTO_BYTES struct kv_bytes lower = from_hex("00ff1aaf"), upper = from_hex("00FF1AAF");
    static const char *const bad[] = { "0", "0g", "g0", " 0", "0x", "00 ", "/0", ":0", "@0", "`0", "0\n" };
    struct kv_bytes untouched = { NULL, 42 };

    assert_true(kv_view_equal(KV_VIEW(lower), KV_VIEW(upper)));
    assert_hex(KV_VIEW(lower), "00ff1aaf");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (kv_decode_hex(bad[i], &untouched) != KV_BAD_DATA)
            fail_msg("hex '%s' was taken", bad[i]);
    assert_int_equal(kv_decode_hex(NULL, &untouched), KV_BAD_DATA);
    assert_int_equal(untouched.len, 42);
}

static void percent(void **state)
{
    KV_AUTO_TEXT char *text = kv_encode_percent("aZ09-._~ /?&=+%\xc3\xa4\x7f"), *none = kv_encode_percent("");

    assert_string_equal(text, "aZ09-._~%20%2F%3F%26%3D%2B%25%C3%A4%7F");
    assert_string_equal(none, "");
}

static void der_lengths(void **state)
{
    static const struct {
        size_t len;
        const char *header;
    } rows[] = {
        { 0, "0400" },     { 1, "0401" },       { 127, "047f" },       { 128, "048180" },
        { 255, "0481ff" }, { 256, "04820100" }, { 65535, "0482ffff" }, { 65536, "0483010000" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_BYTES struct kv_bytes contents = { 0 }, element = { 0 };
        assert_int_equal(kv_bytes_alloc(rows[i].len, &contents), KV_OK);
        assert_int_equal(kv_der_wrap(0x04, KV_VIEW(contents), &element), KV_OK);
        size_t header = strlen(rows[i].header) / 2;
        assert_int_equal(element.len, header + rows[i].len);
        assert_hex((struct kv_view){ element.data, header }, rows[i].header);
        struct kv_view rest = KV_VIEW(element), back;
        assert_int_equal(kv_der_read(&rest, 0x04, &back), KV_OK);
        assert_int_equal(back.len, rows[i].len);
        assert_int_equal(rest.len, 0);
    }
}

static void der_reads_one_element_after_another(void **state)
{
    KV_AUTO_BYTES struct kv_bytes bytes = from_hex("020105"
                                                   "0400"
                                                   "30020500");
    struct kv_view rest = KV_VIEW(bytes), contents;

    assert_int_equal(kv_der_read(&rest, 0x02, &contents), KV_OK);
    assert_hex(contents, "05");
    assert_int_equal(kv_der_read(&rest, 0x04, &contents), KV_OK);
    assert_int_equal(contents.len, 0);
    assert_int_equal(kv_der_read(&rest, 0x31, &contents), KV_BAD_DATA);
    assert_int_equal(rest.len, 4);
    assert_int_equal(kv_der_read(&rest, 0x30, &contents), KV_OK);
    assert_hex(contents, "0500");
    assert_int_equal(kv_der_read(&rest, 0x30, &contents), KV_BAD_DATA);
}

static void der_refuses_what_is_not_der(void **state)
{
    static const char *const rows[] = {
        "",     /* nothing */
        "30",   /* no length */
        "3001", /* shorter than it says */
        "30020500" /* cut below */,
        "3080050000", /* indefinite */
        "308101"
        "00",     /* long form of a short length */
        "30817f", /* the same */
        "30820001"
        "00",   /* leading zero */
        "3082", /* length cut */
        "308500000000"
        "00",   /* five length bytes */
        "30ff", /* reserved */
        "3084ffffffff"
        "00" /* more than there is */
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_BYTES struct kv_bytes bytes = from_hex(rows[i]);
        struct kv_view rest = KV_VIEW(bytes), contents = { NULL, 42 };
        if (i == 3)
            rest.len--;
        if (kv_der_read(&rest, 0x30, &contents) != KV_BAD_DATA)
            fail_msg("'%s' was taken", rows[i]);
        assert_int_equal(contents.len, 42);
    }
}

static void der_is_appended(void **state)
{
    static const struct {
        const char *number, *der;
    } rows[] = { { "", "020100" },     { "00", "020100" },     { "0000", "020100" },      { "7f", "02017f" },
                 { "80", "02020080" }, { "000001", "020101" }, { "00ff00", "020300ff00" } };
    static const unsigned char many[300] = { 1 };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_BYTES struct kv_bytes number = from_hex(rows[i].number);
        KV_AUTO_BUFFER struct kv_buffer all = { 0 };
        assert_int_equal(kv_der_add(0x05, (struct kv_view){ NULL, 0 }, &all), KV_OK);
        assert_int_equal(kv_der_add_unsigned(KV_VIEW(number), &all), KV_OK);
        assert_hex((struct kv_view){ all.bytes.data, 2 }, "0500");
        assert_hex((struct kv_view){ all.bytes.data + 2, all.bytes.len - 2 }, rows[i].der);
    }
    KV_AUTO_BUFFER struct kv_buffer large = { 0 };
    assert_int_equal(kv_der_add(0x04, (struct kv_view){ many, sizeof many }, &large), KV_OK);
    assert_int_equal(large.bytes.len, 304);
    assert_hex((struct kv_view){ large.bytes.data, 5 }, "0482012c01");
}

static void ecdsa_both_ways(void **state)
{
    static const struct {
        size_t width;
        const char *raw, *der;
    } rows[] = {
        { 1, "0102", "3006020101020102" },
        { 1, "8001", "300702020080020101" },
        { 1, "0000", "3006020100020100" },
        { 2, "00010080", "300702010102020080" },
        { 2, "007fff00", "300802017f020300ff00" },
        { 4, "0000000000000001", "3006020100020101" },
        { 4, "00800000ffffffff", "300d020400800000020500ffffffff" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_BYTES struct kv_bytes raw = from_hex(rows[i].raw), der = { 0 }, back = { 0 };
        assert_int_equal(kv_ecdsa_to_der(KV_VIEW(raw), &der), KV_OK);
        KV_AUTO_FREE char *got = malloc(2 * der.len + 1);
        kv_encode_hex(KV_VIEW(der), got);
        if (strcmp(got, rows[i].der))
            fail_msg("%s became %s, not %s", rows[i].raw, got, rows[i].der);
        assert_int_equal(kv_ecdsa_from_der(KV_VIEW(der), rows[i].width, &back), KV_OK);
        assert_true(kv_view_equal(KV_VIEW(back), KV_VIEW(raw)));
    }
}

static void ecdsa_of_p521_has_a_long_length(void **state)
{
    KV_AUTO_BYTES struct kv_bytes raw = { 0 }, der = { 0 }, back = { 0 };

    assert_int_equal(kv_bytes_alloc(132, &raw), KV_OK);
    memset(raw.data, 0xff, raw.len);
    raw.data[0] = raw.data[66] = 0x01;
    assert_int_equal(kv_ecdsa_to_der(KV_VIEW(raw), &der), KV_OK);
    assert_hex((struct kv_view){ der.data, 5 }, "3081880242");
    assert_int_equal(kv_ecdsa_from_der(KV_VIEW(der), 66, &back), KV_OK);
    assert_true(kv_view_equal(KV_VIEW(back), KV_VIEW(raw)));
}

static void ecdsa_refuses_malformed(void **state)
{
    static const struct {
        const char *what, *der;
    } rows[] = {
        { "empty", "" },
        { "no numbers", "3000" },
        { "one number", "3003020101" },
        { "three numbers", "3009020101020101020101" },
        { "trailing byte", "300602010102010100" },
        { "trailing byte inside", "300702010102010100" },
        { "negative r", "3006020180020101" },
        { "negative s", "3006020101020180" },
        { "r not minimal", "300702020001020101" },
        { "s not minimal", "300702010102020001" },
        { "empty number", "30050200020101" },
        { "too wide", "300802020101"
                      "02020101" },
        { "too wide behind a zero", "3008020300ffff020101" },
        { "length not minimal", "308106020101020101" },
        { "octet string instead of a number", "3006040101020101" },
        { "set instead of a sequence", "3106020101020101" },
    };
    struct kv_bytes untouched = { NULL, 42 };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_BYTES struct kv_bytes der = from_hex(rows[i].der);
        if (kv_ecdsa_from_der(KV_VIEW(der), 1, &untouched) != KV_BAD_DATA)
            fail_msg("%s was taken", rows[i].what);
    }
    assert_int_equal(kv_ecdsa_to_der((struct kv_view){ 0 }, &untouched), KV_BAD_DATA);
    assert_int_equal(kv_ecdsa_to_der(kv_view_text("abc"), &untouched), KV_BAD_DATA);
    assert_int_equal(kv_ecdsa_from_der(kv_view_text("0\6\2\1\1\2\1\1"), 0, &untouched), KV_BAD_DATA);
    assert_int_equal(untouched.len, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_both_ways),
        cmocka_unit_test(every_byte_survives),
        cmocka_unit_test(base64_refuses_the_rest),
        cmocka_unit_test(only_64_letters_exist),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(percent),
        cmocka_unit_test(der_lengths),
        cmocka_unit_test(der_reads_one_element_after_another),
        cmocka_unit_test(der_refuses_what_is_not_der),
        cmocka_unit_test(der_is_appended),
        cmocka_unit_test(ecdsa_both_ways),
        cmocka_unit_test(ecdsa_of_p521_has_a_long_length),
        cmocka_unit_test(ecdsa_refuses_malformed),
    };
    return cmocka_run_group_tests_name("base/encode", tests, NULL, NULL);
}
