#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "../../tools/age/armor.h"

#define BEGIN "-----BEGIN AGE ENCRYPTED FILE-----\n"
#define END   "-----END AGE ENCRYPTED FILE-----\n"
#define FULL  "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n" /* 48 times 'A' */

static const char as[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static void a_text_is_taken_to_the_letter(void **state)
{
    static const struct {
        const char *what, *text, *plain; /* plain NULL: it is refused */
    } cases[] = {
        { "a short line", BEGIN "QUI=\n" END, "AB" },
        { "nothing", BEGIN END, "" },
        { "a full line", BEGIN FULL END, as },
        { "CR LF", "-----BEGIN AGE ENCRYPTED FILE-----\r\nQUI=\r\n-----END AGE ENCRYPTED FILE-----\r\n",
          "AB" },
        { "no end of the last line", BEGIN "QUI=\n-----END AGE ENCRYPTED FILE-----", "AB" },
        { "blanks outside", "\n \t\r\n" BEGIN "QUI=\n" END " \n", "AB" },
        { "no last line", BEGIN "QUI=\n", NULL },
        { "no line at all", "", NULL },
        { "only the first half of a line", "-----BEGIN AGE", NULL },
        { "a line behind the short one", BEGIN "QUI=\nQUI=\n" END, NULL },
        { "a line behind a full one with padding",
          BEGIN "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\nQUI=\n" END, NULL },
        { "an empty line", BEGIN "\nQUI=\n" END, NULL },
        { "an empty line behind a full one", BEGIN FULL "\n" END, NULL },
        { "a blank", BEGIN "QUI= \n" END, NULL },
        { "no padding", BEGIN "QUI\n" END, NULL },
        { "bits that say nothing", BEGIN "QUJ=\n" END, NULL },
        { "a line of 65", BEGIN "A" FULL END, NULL },
        { "letters of base64url", BEGIN "-_-_\n" END, NULL },
        { "another first line", "-----BEGIN AGE ENCRYPTED FILES-----\nQUI=\n" END, NULL },
        { "another last line", BEGIN "QUI=\n-----END AGE-----\n", NULL },
        { "something behind it", BEGIN "QUI=\n" END "\n.", NULL },
        { "a checksum", BEGIN "QUI=\n=QUIK\n" END, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
        struct kv_error err = { 0 };
        enum kv_status status = kv_age_armor_front(kv_view_text(cases[i].text), true, &bytes, &err);
        if (status != (cases[i].plain ? KV_OK : KV_BAD_DATA))
            fail_msg("%s: %s", cases[i].what, err.text);
        if (cases[i].plain && !kv_view_equal(KV_VIEW(bytes), kv_view_text(cases[i].plain)))
            fail_msg("%s: other bytes", cases[i].what);
        if (!cases[i].plain && !strstr(err.text, "armor"))
            fail_msg("%s: told as '%s'", cases[i].what, err.text);
    }
}

static void blanks_are_bounded(void **state)
{
    static const char text[] = BEGIN "QUI=\n" END;
    for (size_t blanks = KV_AGE_ARMOR_BLANKS; blanks <= KV_AGE_ARMOR_BLANKS + 1; blanks++) {
        for (int behind = 0; behind < 2; behind++) {
            KV_AUTO_BUFFER struct kv_buffer whole = { 0 };
            KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
            if (behind)
                assert_int_equal(kv_buffer_add(&whole, kv_view_text(text)), KV_OK);
            for (size_t i = 0; i < blanks; i++)
                assert_int_equal(kv_buffer_add(&whole, kv_view_text("\n")), KV_OK);
            if (!behind)
                assert_int_equal(kv_buffer_add(&whole, kv_view_text(text)), KV_OK);
            assert_int_equal(kv_age_armor_front(KV_VIEW(whole.bytes), true, &bytes, NULL),
                             blanks == KV_AGE_ARMOR_BLANKS ? KV_OK : KV_BAD_DATA);
        }
    }
}

static void the_first_bytes_tell_as_soon_as_they_can(void **state)
{
    static const struct {
        const char *text;
        enum kv_age_armor_looks looks;
    } cases[] = {
        { "", KV_AGE_ARMOR_MAYBE },           { "\n ", KV_AGE_ARMOR_MAYBE },
        { "-----BEGIN", KV_AGE_ARMOR_MAYBE }, { "-----BEGIN CMS", KV_AGE_ARMOR_NONE },
        { "age-e", KV_AGE_ARMOR_NONE },       { "\r\n" BEGIN, KV_AGE_ARMOR_YES },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(kv_age_armor_look(kv_view_text(cases[i].text)), cases[i].looks);
}

/* Written in pieces of `step` bytes, read in pieces of as many letters. */
static void round_trip(size_t size, size_t step)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 }, back = { 0 };
    KV_AUTO_BYTES struct kv_bytes plain = { 0 };
    KV_AUTO_AGE_ARMOR_READER struct kv_age_armor_reader reader = { 0 };
    struct kv_age_armor_writer writer = { 0 };
    assert_int_equal(kv_bytes_alloc(size, &plain), KV_OK);
    for (size_t i = 0; i < size; i++)
        plain.data[i] = (unsigned char)(i * 7 + i / 251);
    for (size_t at = 0; at < size; at += step)
        assert_int_equal(
            kv_age_armor_put(&writer,
                             (struct kv_view){ plain.data + at, size - at < step ? size - at : step }, &text),
            KV_OK);
    assert_int_equal(kv_age_armor_end(&writer, &text), KV_OK);
    assert_int_equal(writer.written, text.bytes.len);
    for (size_t at = 0; at <= text.bytes.len; at += step) {
        size_t len = text.bytes.len - at < step ? text.bytes.len - at : step;
        assert_int_equal(kv_age_armor_take(&reader, (struct kv_view){ text.bytes.data + at, len },
                                           at + step > text.bytes.len, NULL),
                         KV_OK);
        /* Half of what is there, so that something is kept. */
        size_t take = (reader.bytes.len - reader.at + 1) / 2;
        assert_int_equal(kv_buffer_add(&back, (struct kv_view){ reader.bytes.data + reader.at, take }),
                         KV_OK);
        reader.at += take;
    }
    assert_int_equal(
        kv_buffer_add(&back, (struct kv_view){ reader.bytes.data + reader.at, reader.bytes.len - reader.at }),
        KV_OK);
    assert_true(reader.ended);
    assert_true(kv_view_equal(KV_VIEW(plain), KV_VIEW(back.bytes)));
}

static void what_is_put_on_is_taken_off_in_pieces_of_any_size(void **state)
{
    static const size_t sizes[] = { 0, 1, 2, 3, 46, 47, 48, 49, 95, 96, 97, 144, 1000 };
    static const size_t steps[] = { 1, 2, 33, 47, 48, 49, 64, 65, 66, 96, 5000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof steps / sizeof *steps; j++)
            round_trip(sizes[i], steps[j]);
}

static void padding_is_an_end_in_whatever_pieces_it_comes(void **state)
{
    KV_AUTO_AGE_ARMOR_READER struct kv_age_armor_reader reader = { 0 };
    struct kv_error err = { 0 };
    const struct kv_view first =
        kv_view_text(BEGIN "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n");
    assert_int_equal(kv_age_armor_take(&reader, first, false, &err), KV_OK);
    assert_int_equal(kv_age_armor_take(&reader, kv_view_text("QUI=\n" END), true, &err), KV_BAD_DATA);
}

static void the_front_of_a_file_is_enough(void **state)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    assert_int_equal(kv_age_armor_front(kv_view_text(BEGIN FULL "QUFB"), false, &bytes, NULL), KV_OK);
    assert_true(kv_view_equal(KV_VIEW(bytes), kv_view_text(as)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_taken_to_the_letter),
        cmocka_unit_test(blanks_are_bounded),
        cmocka_unit_test(the_first_bytes_tell_as_soon_as_they_can),
        cmocka_unit_test(what_is_put_on_is_taken_off_in_pieces_of_any_size),
        cmocka_unit_test(padding_is_an_end_in_whatever_pieces_it_comes),
        cmocka_unit_test(the_front_of_a_file_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
