#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "ber.h"
#include "base/encode.h"

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

/* A walk over everything: "30(02:01 04:6162)"; octet strings of any form as their contents, "E" where it fails. */
static enum kv_status walk(struct kv_ber *ber, struct kv_buffer *ret, struct kv_error *err)
{
    bool first = true;
    for (;;) {
        KV_TRY(kv_ber_next(ber, err));
        if (ber->tag == KV_BER_END)
            return KV_OK;
        KV_TRY(kv_buffer_format(ret, "%s%02x", first ? "" : " ", ber->tag));
        first = false;
        if ((ber->tag & KV_BER_CONSTRUCTED) && ber->tag != (KV_BER_OCTETS | KV_BER_CONSTRUCTED)) {
            KV_TRY(kv_buffer_format(ret, "("));
            KV_TRY(kv_ber_enter(ber, err));
            KV_TRY(walk(ber, ret, err));
            kv_ber_left(ber);
            KV_TRY(kv_buffer_format(ret, ")"));
            continue;
        }
        KV_AUTO_BYTES struct kv_bytes contents = { 0 };
        char hex[64];
        KV_TRY(kv_ber_bytes(ber, 16, &contents, err));
        kv_encode_hex(KV_VIEW(contents), hex);
        KV_TRY(kv_buffer_format(ret, ":%s", hex));
    }
}

struct sentence {
    const char *text, *hex, *seen; /* seen NULL: refused */
    const char *why;
};

static const struct sentence sentences[] = {
    { "nothing at all", "", "", NULL },
    { "definite lengths", "3006020101040161", "30(02:01 04:61)", NULL },
    { "an indefinite length ends with two zeros", "30800201010000", "30(02:01)", NULL },
    { "indefinite in indefinite", "3080308002010100000000", "30(30(02:01))", NULL },
    { "indefinite in definite", "30073080020101000004017a", "30(30(02:01)) 04:7a", NULL },
    { "definite in indefinite", "308030030201010000", "30(30(02:01))", NULL },
    { "an empty one of each", "30003080000004002480000024000500", "30() 30() 04: 24: 24: 05:", NULL },
    { "a string in segments", "248004016104016200000500", "24:6162 05:", NULL },
    { "a string in a definite number of segments", "24060401610401620500", "24:6162 05:", NULL },
    { "segments in segments", "24802405040161040004016200000500", "24:6162 05:", NULL },
    { "empty segments", "24800400040004016104000000", "24:61", NULL },
    { "a length in more bytes than it needs", "048300000161", "04:61", NULL },
    { "a length in eight bytes", "0488000000000000000161", "04:61", NULL },
    { "a length in nine bytes", "048900000000000000000161", NULL, "more than 8 bytes" },
    { "a length of 2^64 - 1", "0488ffffffffffffffff61", NULL, "no file can have" },
    { "a length of 2^63", "0488800000000000000061", NULL, "no file can have" },
    { "the reserved length", "04ff61", NULL, "more than 8 bytes" },
    { "an identifier of two bytes", "1f0100", NULL, "identifier of more than one byte" },
    { "an indefinite length of a primitive", "04800000", NULL, "indefinite length where" },
    { "an end where none can be: at the top", "0000", NULL, "an end of contents" },
    { "an end where none can be: in a definite one", "30020000", NULL, "an end of contents" },
    { "an end that has contents", "3080000100", NULL, "an end of contents" },
    { "an element longer than the one around it", "3003040261", NULL, "longer than the one around" },
    { "an element longer than the one around the one around it", "300530800404616263", NULL,
      "longer than the one around" },
    { "a header that goes over the border", "30010400", NULL, "longer than the one around" },
    { "an indefinite one that its surrounding cuts off", "300530800201010000", NULL,
      "longer than the one around" },
    { "a segment that is none", "24800201010000", NULL, "something else among the segments" },
    { "cut in an identifier", "3080", NULL, "it was cut" },
    { "cut in a length", "308004", NULL, "it was cut" },
    { "cut in a long length", "048200", NULL, "it was cut" },
    { "cut in contents", "040261", NULL, "it was cut" },
    { "cut before the second zero", "308000", NULL, "it was cut" },
    { "more than what is expected", "041100112233445566778899aabbccddeeff00", NULL, "at most 16" },
    { "more than what is expected, in segments", "2480040900112233445566778804090011223344556677880000", NULL,
      "more than 16" },
};

static void test_sentences(void **state)
{
    for (size_t i = 0; i < COUNT(sentences); i++) {
        const struct sentence *sentence = &sentences[i];
        KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
        KV_AUTO_BUFFER struct kv_buffer seen = { 0 };
        struct kv_cms_input input;
        struct kv_ber ber;
        struct kv_error err = { 0 };
        assert_int_equal(kv_decode_hex(sentence->hex, &bytes), KV_OK);
        assert_int_equal(kv_buffer_format(&seen, "%s", ""), KV_OK);
        kv_cms_input_memory(KV_VIEW(bytes), &input);
        kv_ber_open(&input, &ber);
        enum kv_status status = walk(&ber, &seen, &err);
        if (status != (sentence->seen ? KV_OK : KV_BAD_DATA))
            fail_msg("%s: %s: %s", sentence->text, kv_status_name(status), err.text);
        if (sentence->seen && strcmp(sentence->seen, (const char *)seen.bytes.data) != 0)
            fail_msg("%s: %s", sentence->text, (const char *)seen.bytes.data);
        if (sentence->why && !strstr(err.text, sentence->why))
            fail_msg("%s: '%s' is not in: %s", sentence->text, sentence->why, err.text);
    }
}

/* 16 levels are read, and one more is not: neither of elements nor of segments in segments. */
static void nested(unsigned char tag, unsigned levels, enum kv_status expected)
{
    KV_AUTO_BUFFER struct kv_buffer bytes = { 0 }, seen = { 0 };
    const unsigned char open[] = { tag, 0x80 };
    struct kv_cms_input input;
    struct kv_ber ber;
    struct kv_error err = { 0 };
    for (unsigned i = 0; i < levels; i++)
        assert_int_equal(kv_buffer_add(&bytes, (struct kv_view){ open, 2 }), KV_OK);
    for (unsigned i = 0; i < levels; i++)
        assert_int_equal(kv_buffer_add(&bytes, (struct kv_view){ (const unsigned char *)"\0\0", 2 }), KV_OK);
    kv_cms_input_memory(KV_VIEW(bytes.bytes), &input);
    kv_ber_open(&input, &ber);
    assert_int_equal(walk(&ber, &seen, &err), expected);
    if (expected != KV_OK)
        assert_non_null(strstr(err.text, "more than 16 deep"));
}

static void test_depth(void **state)
{
    nested(0x30, KV_BER_DEPTH, KV_OK);
    nested(0x30, KV_BER_DEPTH + 1, KV_BAD_DATA);
    nested(0x24, KV_BER_DEPTH, KV_OK);
    nested(0x24, KV_BER_DEPTH + 1, KV_BAD_DATA);
    nested(0x24, 100000, KV_BAD_DATA);
}

/* What is passed over is passed over whole, in every form, and no further. */
static void test_skip(void **state)
{
    static const char *const forms[] = { "0403616263", "300402016104", "30803080040161000004000000",
                                         "24800401612480040162000004000000" };
    for (size_t i = 0; i < COUNT(forms); i++) {
        KV_AUTO_TEXT char *hex = kv_text_format("%s020107", forms[i]);
        KV_AUTO_BYTES struct kv_bytes bytes = { 0 }, number = { 0 };
        struct kv_cms_input input;
        struct kv_ber ber;
        assert_int_equal(kv_decode_hex(hex, &bytes), KV_OK);
        kv_cms_input_memory(KV_VIEW(bytes), &input);
        kv_ber_open(&input, &ber);
        assert_int_equal(kv_ber_next(&ber, NULL), KV_OK);
        assert_int_equal(kv_ber_skip(&ber, NULL), KV_OK);
        assert_int_equal(kv_ber_expect(&ber, KV_BER_INTEGER, "a number", NULL), KV_OK);
        assert_int_equal(kv_ber_bytes(&ber, 1, &number, NULL), KV_OK);
        assert_int_equal(number.data[0], 7);
        assert_int_equal(kv_ber_next(&ber, NULL), KV_OK);
        assert_int_equal(ber.tag, KV_BER_END);
    }
}

/* Beside the content nothing may be longer than the budget, in one element or in many empty ones. */
static void test_budget(void **state)
{
    static const char *const forms[] = { "0406616263646566", "308004000400040004000000",
                                         "248004000400040004000000" };
    for (size_t i = 0; i < COUNT(forms); i++) {
        for (uint64_t budget = 4; budget <= 7; budget++) {
            KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
            struct kv_cms_input input;
            struct kv_ber ber;
            struct kv_error err = { 0 };
            assert_int_equal(kv_decode_hex(forms[i], &bytes), KV_OK);
            kv_cms_input_memory(KV_VIEW(bytes), &input);
            kv_ber_open(&input, &ber);
            ber.budget = budget;
            assert_int_equal(kv_ber_next(&ber, &err), KV_OK);
            assert_int_equal(kv_ber_skip(&ber, &err), KV_BAD_DATA);
            assert_non_null(strstr(err.text, "longer than is allowed"));
        }
    }
}

/* The whole of an element comes out in the shortest form, whatever its length looked like. */
static void test_whole(void **state)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 }, whole = { 0 };
    struct kv_cms_input input;
    struct kv_ber ber;
    struct kv_error err = { 0 };
    char hex[32];
    assert_int_equal(kv_decode_hex("308200030201073080", &bytes), KV_OK);
    kv_cms_input_memory(KV_VIEW(bytes), &input);
    kv_ber_open(&input, &ber);
    assert_int_equal(kv_ber_next(&ber, NULL), KV_OK);
    assert_int_equal(kv_ber_whole(&ber, 16, &whole, NULL), KV_OK);
    kv_encode_hex(KV_VIEW(whole), hex);
    assert_string_equal(hex, "3003020107");
    kv_bytes_free(&whole);
    assert_int_equal(kv_ber_next(&ber, NULL), KV_OK);
    assert_int_equal(kv_ber_whole(&ber, 16, &whole, &err), KV_BAD_DATA);
    assert_non_null(strstr(err.text, "no definite length"));
}

/* Pieces of any size have the same bytes in them; only the last is short. */
static void test_stream(void **state)
{
    for (size_t room = 1; room <= 9; room++) {
        KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
        KV_AUTO_BUFFER struct kv_buffer all = { 0 };
        struct kv_cms_input input;
        struct kv_ber ber;
        unsigned char part[9];
        size_t len = room;
        assert_int_equal(kv_decode_hex("a0800403616263040024070402646504016604016700000500", &bytes), KV_OK);
        kv_cms_input_memory(KV_VIEW(bytes), &input);
        kv_ber_open(&input, &ber);
        assert_int_equal(kv_ber_next(&ber, NULL), KV_OK);
        assert_int_equal(kv_ber_stream(&ber, NULL), KV_OK);
        while (len == room) {
            assert_int_equal(kv_ber_stream_read(&ber, part, room, &len, NULL), KV_OK);
            assert_int_equal(kv_buffer_add(&all, (struct kv_view){ part, len }), KV_OK);
        }
        assert_string_equal((const char *)all.bytes.data, "abcdefg");
        assert_int_equal(kv_ber_expect(&ber, KV_BER_NULL, "what follows", NULL), KV_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences), cmocka_unit_test(test_depth), cmocka_unit_test(test_skip),
        cmocka_unit_test(test_budget),    cmocka_unit_test(test_whole), cmocka_unit_test(test_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
