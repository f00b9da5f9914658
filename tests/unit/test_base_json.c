#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct kv_json *parse(const char *text)
{
    struct kv_json *json = NULL;
    struct kv_error err = { 0 };

    if (kv_json_parse(kv_view_text(text), &json, &err))
        fail_msg("%s: %s", text, err.text);
    return json;
}

static void takes_json(void **state)
{
    static const char *const rows[] = {
        "{}",
        "[]",
        " {\"a\":1}\r\n",
        "\t[1,2]",
        "\"x\"",
        "1",
        "-0",
        "null",
        "true",
        "0",
        "1.5e3",
        "-12.25E-2",
        "{\"a\":{\"b\":[1,\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\"]}}",
        "\"\\\\u0000\"",
        "{\"A\":1,\"a\":2}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        kv_json_free(parse(rows[i]));
}

static void refuses_the_rest(void **state)
{
    static const struct {
        const char *text, *reason;
    } rows[] = {
        { "", "empty" },
        { "   ", "malformed" },
        { "{", "malformed" },
        { "{\"a\":1,}", "malformed" },
        { "[1,]", "malformed" },
        { "{\"a\" 1}", "malformed" },
        { "{a:1}", "malformed" },
        { "{'a':1}", "malformed" },
        { "\"abc", "string without end" },
        { "\"abc\\", "string without end" },
        { "\"a\\q\"", "malformed" },
        { "\"\\ud800\"", "malformed" },
        { "\"a\nb\"", "control character in a string" },
        { "{}\f", "control character" },
        { "\"a\\u0000b\"", "NUL in a string" },
        { "{\"\\u0000\":1}", "NUL in a string" },
        { "\"\xff\"", "not UTF-8" },
        { "\"\x80\"", "not UTF-8" },
        { "\"\xc0\x80\"", "not UTF-8" },
        { "\"\xc3\"", "not UTF-8" },
        { "\"\xe0\x9f\xbf\"", "not UTF-8" },
        { "\"\xe2\x82\"", "not UTF-8" },
        { "\"\xed\xa0\x80\"", "not UTF-8" },
        { "\"\xf4\x90\x80\x80\"", "not UTF-8" },
        { "\"\\\xff\"", "not UTF-8" },
        { "\"\\\\\\u0000\"", "NUL in a string" },
        { "01", "malformed number" },
        { "-", "malformed number" },
        { "-01", "malformed number" },
        { "1.", "malformed number" },
        { "1.e5", "malformed number" },
        { ".5", "malformed" },
        { "+1", "malformed" },
        { "NaN", "malformed" },
        { "{} {}", "text behind the end at byte 3" },
        { "1 2", "text behind the end at byte 2" },
        { "truex", "text behind the end" },
        { "{\"a\":1,\"a\":1}", "the member 'a' twice" },
        { "[{\"x\":{\"kid\":1,\"b\":2,\"kid\":3}}]", "the member 'kid' twice" },
        { "{\"a\":1,\"\\u0061\":1}", "the member 'a' twice" },
        { "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
          "nested too deeply at byte 33" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_json *json = NULL;
        struct kv_error err = { 0 };
        if (kv_json_parse(kv_view_text(rows[i].text), &json, &err) != KV_PROTOCOL)
            fail_msg("'%s' was taken", rows[i].text);
        if (!strstr(err.text, rows[i].reason))
            fail_msg("'%s': '%s' says nothing of '%s'", rows[i].text, err.text, rows[i].reason);
        assert_null(json);
    }
}

static void nul_bytes_are_no_end(void **state)
{
    struct kv_json *json = NULL;
    const unsigned char text[] = "{}\0{}";

    assert_int_equal(kv_json_parse((struct kv_view){ text, 5 }, &json, NULL), KV_PROTOCOL);
    assert_int_equal(kv_json_parse((struct kv_view){ text, 3 }, &json, NULL), KV_PROTOCOL);
    assert_int_equal(kv_json_parse((struct kv_view){ text, 2 }, &json, NULL), KV_OK);
    kv_json_free(json);
}

static void every_cut_is_refused(void **state)
{
    const char *text = "{\"key\":{\"kid\":\"https://"
                       "x\",\"n\":\"AQAB\",\"ops\":[\"sign\",\"wrapKey\"],\"on\":true,\"t\":-1.5e1}}";

    for (size_t len = 0; len < strlen(text); len++) {
        struct kv_json *json = NULL;
        /* A block of exactly this size, so that a sanitizer sees a read behind it. */
        KV_AUTO_BYTES struct kv_bytes cut = { 0 };
        assert_int_equal(kv_bytes_copy((struct kv_view){ (const unsigned char *)text, len }, &cut), KV_OK);
        assert_int_equal(kv_json_parse(KV_VIEW(cut), &json, NULL), KV_PROTOCOL);
    }
}

static void many_members_take_no_time(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    KV_AUTO_JSON struct kv_json *json = NULL;

    for (int i = 0; i < 100000; i++)
        assert_int_equal(kv_buffer_format(&text, "%s\"m%d\":0", i ? "," : "{", i), KV_OK);
    assert_int_equal(kv_buffer_add(&text, kv_view_text("}")), KV_OK);
    assert_int_equal(kv_json_parse(KV_VIEW(text.bytes), &json, NULL), KV_OK);
}

static void reads_members(void **state)
{
    KV_AUTO_JSON struct kv_json *json =
        parse("{\"s\":\"x\",\"n\":null,\"t\":true,\"f\":false,\"a\":[1,\"b\"],\"o\":{\"S\":\"deep\"}}");
    bool flag = false;

    assert_string_equal(kv_json_text(kv_json_get(json, "s")), "x");
    assert_null(kv_json_get(json, "S"));
    assert_null(kv_json_get(json, "n"));
    assert_null(kv_json_text(kv_json_get(json, "t")));
    assert_true(kv_json_bool(kv_json_get(json, "t"), &flag) && flag);
    assert_true(kv_json_bool(kv_json_get(json, "f"), &flag) && !flag);
    assert_false(kv_json_bool(kv_json_get(json, "s"), &flag));
    assert_true(kv_json_is_object(json));
    assert_false(kv_json_is_array(json));
    const struct kv_json *array = kv_json_get(json, "a");
    assert_true(kv_json_is_array(array));
    assert_int_equal(kv_json_count(array), 2);
    assert_string_equal(kv_json_text(kv_json_at(array, 1)), "b");
    assert_null(kv_json_at(array, 2));
    assert_null(kv_json_at(array, SIZE_MAX));
    assert_null(kv_json_at(json, 0));
    assert_int_equal(kv_json_count(json), 0);
    assert_null(kv_json_get(array, "x"));
    assert_string_equal(kv_json_text(kv_json_get(kv_json_get(json, "o"), "S")), "deep");
}

static void readers_take_null(void **state)
{
    int64_t number = 7;
    bool flag = true;

    assert_null(kv_json_text(kv_json_get(kv_json_at(kv_json_get(NULL, "a"), 0), "b")));
    assert_false(kv_json_int(NULL, &number));
    assert_false(kv_json_bool(NULL, &flag));
    assert_int_equal(number, 7);
    assert_int_equal(kv_json_count(NULL), 0);
    kv_json_free(NULL);
}

static void integers_are_exact(void **state)
{
    static const struct {
        const char *text;
        bool whole;
        int64_t value;
    } rows[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "1", true, 1 },
        { "1.0", true, 1 },
        { "1e3", true, 1000 },
        { "-7", true, -7 },
        { "2147483648", true, 2147483648 },
        { "253402300799", true, 253402300799 },
        { "9007199254740991", true, 9007199254740991 },
        { "-9007199254740991", true, -9007199254740991 },
        { "9007199254740992", false, 0 },
        { "9007199254740993", false, 0 },
        { "-9007199254740992", false, 0 },
        { "9223372036854775808", false, 0 },
        { "1e300", false, 0 },
        { "1e999", false, 0 },
        { "-1e999", false, 0 },
        { "1.5", false, 0 },
        { "0.1", false, 0 },
        { "1e-9", false, 0 },
        { "\"1\"", false, 0 },
        { "true", false, 0 },
        { "[1]", false, 0 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_JSON struct kv_json *json = parse(rows[i].text);
        int64_t value = 42;
        if (kv_json_int(json, &value) != rows[i].whole || value != (rows[i].whole ? rows[i].value : 42))
            fail_msg("%s", rows[i].text);
    }
}

static void builds_and_prints(void **state)
{
    struct kv_json *object = kv_json_object(), *array = kv_json_array();

    kv_json_append_text(array, "sign");
    kv_json_append(array, kv_json_object());
    kv_json_put_text(object, "s", "a\"\\\n\x01 ä");
    kv_json_put_text(object, "none", NULL);
    kv_json_put_int(object, "i", 1735689600);
    kv_json_put_int(object, "big", 9007199254740991);
    kv_json_put_int(object, "minus", -1);
    kv_json_put_bool(object, "b", true);
    kv_json_put(object, "a", array);
    KV_AUTO_TEXT char *text = kv_json_print(object, false), *pretty = kv_json_print(object, true);
    assert_string_equal(
        text, "{\"s\":\"a\\\"\\\\\\n\\u0001 ä\",\"none\":null,\"i\":1735689600,\"big\":9007199254740991,"
              "\"minus\":-1,\"b\":true,\"a\":[\"sign\",{}]}");
    assert_non_null(strchr(pretty, '\n'));
    kv_json_free(object);
}

static void long_trees_print_whole(void **state)
{
    KV_AUTO_JSON struct kv_json *array = kv_json_array();
    char number[16];

    for (int i = 0; i < 5000; i++) {
        snprintf(number, sizeof number, "%06d", i);
        kv_json_append_text(array, number);
    }
    KV_AUTO_TEXT char *text = kv_json_print(array, false);
    assert_int_equal(strlen(text), 5000 * 9 + 1);
    KV_AUTO_JSON struct kv_json *back = parse(text);
    assert_int_equal(kv_json_count(back), 5000);
}

static void what_is_missing_breaks_the_tree(void **state)
{
    KV_AUTO_JSON struct kv_json *object = kv_json_object(), *outer = kv_json_array();
    struct kv_json *inner = kv_json_array();

    kv_json_put_int(object, "a", 1);
    kv_json_put(object, "lost", NULL);
    kv_json_put_int(object, "b", 1);
    kv_json_put(object, "c", kv_json_object());
    assert_null(kv_json_print(object, false));

    kv_json_append(outer, inner);
    kv_json_append(inner, NULL); /* broken after it was put */
    assert_null(kv_json_print(outer, false));

    kv_json_put(NULL, "x", kv_json_object());
    kv_json_append(NULL, kv_json_object());
    kv_json_put_text(NULL, "x", "y");
    kv_json_put_int(NULL, "x", 1);
    kv_json_put_bool(NULL, "x", true);
    kv_json_append_text(NULL, "y");
    assert_null(kv_json_print(NULL, false));
}

static void members_go_into_objects_only(void **state)
{
    KV_AUTO_JSON struct kv_json *object = kv_json_object(), *array = kv_json_array();

    kv_json_append_text(object, "x");
    assert_null(kv_json_print(object, false));
    kv_json_put_text(array, "n", "x");
    assert_null(kv_json_print(array, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_json),
        cmocka_unit_test(refuses_the_rest),
        cmocka_unit_test(nul_bytes_are_no_end),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(many_members_take_no_time),
        cmocka_unit_test(reads_members),
        cmocka_unit_test(readers_take_null),
        cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(builds_and_prints),
        cmocka_unit_test(long_trees_print_whole),
        cmocka_unit_test(what_is_missing_breaks_the_tree),
        cmocka_unit_test(members_go_into_objects_only),
    };
    return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
