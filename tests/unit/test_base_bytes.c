#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void views_compare_by_content(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        { "", "", true },     { NULL, "", true },      { "a", "a", true },      { "a", "b", false },
        { "a", "ab", false }, { "abc", "abd", false }, { "abc", "xbc", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(kv_view_equal(kv_view_text(rows[i].a), kv_view_text(rows[i].b)), rows[i].equal);
        assert_int_equal(kv_view_equal_ct(kv_view_text(rows[i].a), kv_view_text(rows[i].b)), rows[i].equal);
    }
}

static void numbers_lose_the_zeros_in_front(void **state)
{
    static const struct {
        const char *number;
        size_t len, kept;
    } rows[] = { { NULL, 0, 0 }, { "\0\0", 2, 0 }, { "\0\1\0", 3, 2 }, { "\x80\0", 2, 2 } };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_view number = { (const unsigned char *)rows[i].number, rows[i].len };
        struct kv_view kept = kv_view_minimal(number);
        assert_int_equal(kept.len, rows[i].kept);
        assert_ptr_equal(kept.data + kept.len, number.data + number.len);
    }
}

static void alloc_is_zeroed_and_never_null(void **state)
{
    KV_AUTO_BYTES struct kv_bytes none = { 0 }, some = { 0 };

    assert_int_equal(kv_bytes_alloc(0, &none), KV_OK);
    assert_non_null(none.data);
    assert_int_equal(none.len, 0);
    assert_int_equal(kv_bytes_alloc(3, &some), KV_OK);
    assert_memory_equal(some.data, "\0\0\0", 3);
}

/* A sanitizer would end the program where malloc(3) says no. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void alloc_of_too_much_leaves_the_output(void **state)
{
    struct kv_bytes bytes = { NULL, 7 };
    volatile size_t huge = SIZE_MAX;

    assert_int_equal(kv_bytes_alloc(huge, &bytes), KV_NO_MEMORY);
    assert_int_equal(bytes.len, 7);
}

static void copy_take_and_free(void **state)
{
    struct kv_bytes bytes = { 0 };

    assert_int_equal(kv_bytes_copy(kv_view_text("abc"), &bytes), KV_OK);
    struct kv_bytes taken = kv_bytes_take(&bytes);
    assert_null(bytes.data);
    assert_int_equal(bytes.len, 0);
    assert_memory_equal(taken.data, "abc", 3);
    kv_bytes_free(&taken);
    assert_null(taken.data);
    kv_bytes_free(&taken);
    kv_bytes_free(NULL);
    assert_int_equal(kv_bytes_copy((struct kv_view){ 0 }, &bytes), KV_OK);
    assert_non_null(bytes.data);
    kv_bytes_free(&bytes);
}

static void wipe_zeroes(void **state)
{
    char secret[] = "secret";

    kv_wipe(secret, sizeof secret);
    assert_memory_equal(secret, "\0\0\0\0\0\0\0", sizeof secret);
    kv_wipe(NULL, 0);
}

static void text_copies(void **state)
{
    KV_AUTO_TEXT char *a = kv_text_copy("abc"), *b = kv_text_copy_n("abc", 2);
    KV_AUTO_TEXT char *c = kv_text_format("%s-%d", "x", 7), *d = kv_text_copy_n(NULL, 0);

    assert_string_equal(a, "abc");
    assert_string_equal(b, "ab");
    assert_string_equal(c, "x-7");
    assert_string_equal(d, "");
    assert_null(kv_text_copy(NULL));
    kv_text_free(NULL);
}

static void fit_is_all_or_nothing(void **state)
{
    char room[4] = "old";

    assert_true(kv_text_fit(room, sizeof room, "abc"));
    assert_string_equal(room, "abc");
    assert_false(kv_text_fit(room, sizeof room, "abcd"));
    assert_string_equal(room, "");
    assert_true(kv_text_fit(room, sizeof room, ""));
    assert_true(kv_text_fit(room, sizeof room, NULL));
    assert_string_equal(room, "");
    assert_false(kv_text_fit(room, 0, ""));
}

static void case_is_ascii_only(void **state)
{
    assert_true(kv_text_equal_case("Key-1", "kEY-1"));
    assert_true(kv_text_equal_case("", ""));
    assert_false(kv_text_equal_case("a", "ab"));
    assert_false(kv_text_equal_case("@", "`"));
    assert_false(kv_text_equal_case("[", "{"));
    assert_false(kv_text_equal_case("Ä", "ä"));
    assert_true(kv_text_equal_case(NULL, NULL));
    assert_false(kv_text_equal_case(NULL, ""));
}

static void patterns(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        { "", "", true },
        { "", "a", false },
        { "*", "", true },
        { "*", "anything", true },
        { "?", "", false },
        { "?", "x", true },
        { "backup-*", "backup-kek", true },
        { "backup-*", "Backup-", true },
        { "backup-*", "backup", false },
        { "*-kek", "a-kek-kek", true },
        { "*-kek", "a-kek-keks", false },
        { "a*b*c", "axxbxxbxxc", true },
        { "a*b*c", "axxbxxb", false },
        { "a?c", "abc", true },
        { "a?c", "ac", false },
        { "**", "x", true },
        { "abc", "ABC", true },
        { NULL, "x", false },
        { "x", NULL, false },
        { "*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (kv_text_match(rows[i].pattern, rows[i].text) != rows[i].matches)
            fail_msg("'%s' against '%s'", rows[i].pattern, rows[i].text);
}

static void buffer_grows_and_ends_with_nul(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer buffer = { 0 };

    assert_int_equal(kv_buffer_add(&buffer, (struct kv_view){ 0 }), KV_OK);
    assert_string_equal((char *)buffer.bytes.data, "");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(kv_buffer_format(&buffer, "%04d", i), KV_OK);
    assert_int_equal(buffer.bytes.len, 4000);
    assert_int_equal(strlen((char *)buffer.bytes.data), 4000);
    assert_memory_equal(buffer.bytes.data, "00000001", 8);
    assert_memory_equal(buffer.bytes.data + 3996, "0999", 4);
}

static void buffer_at_every_size(void **state)
{
    for (size_t len = 250; len < 260; len++) {
        KV_AUTO_BUFFER struct kv_buffer buffer = { 0 };
        KV_AUTO_BYTES struct kv_bytes zeroes = { 0 };
        assert_int_equal(kv_bytes_alloc(len, &zeroes), KV_OK);
        assert_int_equal(kv_buffer_add(&buffer, KV_VIEW(zeroes)), KV_OK);
        assert_int_equal(buffer.bytes.len, len);
        assert_true(buffer.room > len);
    }
}

static void buffer_stops_at_its_limit(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer buffer = { .limit = 5 };

    assert_int_equal(kv_buffer_add(&buffer, kv_view_text("abc")), KV_OK);
    assert_int_equal(kv_buffer_add(&buffer, kv_view_text("def")), KV_DATA_LENGTH);
    assert_int_equal(kv_buffer_add(&buffer, kv_view_text("d")), KV_DATA_LENGTH);
    assert_int_equal(kv_buffer_format(&buffer, "d"), KV_DATA_LENGTH);
    assert_true(buffer.failed);
    assert_string_equal((char *)buffer.bytes.data, "abc");
}

static void buffer_may_be_filled_to_its_limit(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer buffer = { .limit = 5 };

    assert_int_equal(kv_buffer_add(&buffer, kv_view_text("abcde")), KV_OK);
    assert_string_equal((char *)buffer.bytes.data, "abcde");
    kv_buffer_free(&buffer);
    assert_null(buffer.bytes.data);
    kv_buffer_free(NULL);
}

static void a_name_becomes_one_word_of_a_shell(void **state)
{
    static const struct {
        const char *name, *word;
    } rows[] = {
        { "prod", "prod" },
        { "/srv/a-b_c.d+e=f:g,h@i%j", "/srv/a-b_c.d+e=f:g,h@i%j" },
        { "", "''" },
        { "my vault", "'my vault'" },
        { "it's", "'it'\\''s'" },
        { "'", "''\\'''" },
        { "$(rm -rf ~)`x`;&|<>*?\"\\!#", "'$(rm -rf ~)`x`;&|<>*?\"\\!#'" },
        { "schl\xc3\xbcssel", "'schl\xc3\xbcssel'" },
    };
    char name[1100];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(kv_word(rows[i].name).text, rows[i].word);
    memset(name, 'x', sizeof name);
    name[1023] = '\0';
    assert_string_equal(kv_word(name).text, name);
    name[1023] = 'x', name[1024] = '\0';
    assert_string_equal(kv_word(name).text, "NAME");
    name[5] = ' ', name[900] = '\0';
    assert_int_equal(strlen(kv_word(name).text), 902);
    memset(name, '\'', 300);
    assert_string_equal(kv_word(name).text, "NAME");
}

static void text_is_made_one_line(void **state)
{
    static const struct {
        const char *text, *line, *utf8;
    } rows[] = {
        { "", "", "" },
        { "schlüssel \xe2\x82\xac", "schlüssel \xe2\x82\xac", "schlüssel \xe2\x82\xac" },
        { "a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?", "a\nb\tc\x1b[31m\x7f" },
        { "csi \xc2\x9b", "csi ??", "csi \xc2\x9b" },
        { "latin \xe9t\xe9", "latin \xe9t\xe9", "latin ?t?" },
        { "cut \xe2\x82", "cut \xe2\x82", "cut ??" },
        { "surrogate \xed\xa0\x80, long \xc0\x80", "surrogate \xed\xa0\x80, long \xc0\x80",
          "surrogate ???, long ??" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_TEXT char *line = kv_text_copy(rows[i].text), *utf8 = kv_text_copy(rows[i].text);
        kv_text_one_line(line);
        kv_text_utf8(utf8);
        assert_string_equal(line, rows[i].line);
        assert_string_equal(utf8, rows[i].utf8);
    }
    assert_int_equal(kv_view_character((struct kv_view){ NULL, 0 }), 0);
    assert_int_equal(kv_view_character(kv_view_text("\xf0\x9f\x94\x91x")), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_compare_by_content),
        cmocka_unit_test(numbers_lose_the_zeros_in_front),
        cmocka_unit_test(alloc_is_zeroed_and_never_null),
        cmocka_unit_test(alloc_of_too_much_leaves_the_output),
        cmocka_unit_test(copy_take_and_free),
        cmocka_unit_test(wipe_zeroes),
        cmocka_unit_test(text_copies),
        cmocka_unit_test(fit_is_all_or_nothing),
        cmocka_unit_test(case_is_ascii_only),
        cmocka_unit_test(patterns),
        cmocka_unit_test(a_name_becomes_one_word_of_a_shell),
        cmocka_unit_test(text_is_made_one_line),
        cmocka_unit_test(buffer_grows_and_ends_with_nul),
        cmocka_unit_test(buffer_at_every_size),
        cmocka_unit_test(buffer_stops_at_its_limit),
        cmocka_unit_test(buffer_may_be_filled_to_its_limit),
    };
    return cmocka_run_group_tests_name("base/bytes", tests, NULL, NULL);
}
