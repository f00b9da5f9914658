#include "base/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void every_status_has_a_row(void **state)
{
    for (int i = 0; i < KV_STATUS_COUNT; i++) {
        assert_true(strlen(kv_status_name((enum kv_status)i)) > 1);
        assert_true(strlen(kv_status_text((enum kv_status)i)) > 1);
        assert_int_equal(i == KV_OK, kv_status_exit((enum kv_status)i) == 0);
    }
    assert_string_equal(kv_status_name(KV_NOT_FOUND), "NOT_FOUND");
    assert_int_equal(kv_status_exit(KV_CONFIG), 78);
}

static void numbers_from_nowhere_are_internal_errors(void **state)
{
    assert_string_equal(kv_status_name((enum kv_status)999), "INTERNAL");
    assert_string_equal(kv_status_name((enum kv_status) - 1), "INTERNAL");
}

static void fail_writes_the_whole_error(void **state)
{
    struct kv_error err = { .http = 403, .code = "Forbidden", .request_id = "r" };

    assert_int_equal(kv_fail(&err, KV_DENIED, "key '%s'", "a"), KV_DENIED);
    assert_int_equal(err.status, KV_DENIED);
    assert_string_equal(err.text, "key 'a'");
    assert_int_equal(err.http, 0);
    assert_string_equal(err.code, "");
    assert_string_equal(err.request_id, "");
}

static void fail_may_quote_its_own_text(void **state)
{
    struct kv_error err = { .text = "first" };

    assert_int_equal(kv_fail(&err, KV_IO, "%s, then second", err.text), KV_IO);
    assert_string_equal(err.text, "first, then second");
}

static void fail_without_an_error_is_just_the_status(void **state)
{
    assert_int_equal(kv_fail(NULL, KV_IO, "x"), KV_IO);
    assert_int_equal(kv_fail_in(NULL, KV_IO, "x"), KV_IO);
}

static void text_stays_one_line(void **state)
{
    struct kv_error err = { 0 };

    assert_int_equal(kv_fail(&err, KV_IO, "a\nb\033c\x7f%s", "ä"), KV_IO);
    assert_string_equal(err.text, "a?b?c?ä");
    assert_int_equal(kv_fail(&err, KV_IO,
                             "a\xc2\x9b"
                             "31mb"),
                     KV_IO); /* a control sequence in one character */
    assert_string_equal(err.text, "a??31mb");
    assert_int_equal(kv_fail(&err, KV_IO, "a\nb\033c\x7f%s", "ä"), KV_IO);
    assert_int_equal(kv_fail_in(&err, KV_IO, "d\re"), KV_IO);
    assert_string_equal(err.text, "d?e: a?b?c?ä");
}

static void context_goes_before(void **state)
{
    struct kv_error err = { .http = 500, .code = "Internal" };

    assert_int_equal(kv_fail_in(&err, KV_SERVER, "vault '%s'", "prod"), KV_SERVER);
    assert_string_equal(err.text, "vault 'prod': vault failed");
    assert_int_equal(kv_fail_in(&err, KV_TIMED_OUT, "C_Sign"), KV_TIMED_OUT);
    assert_string_equal(err.text, "C_Sign: vault 'prod': vault failed");
    assert_int_equal(err.status, KV_TIMED_OUT);
    assert_int_equal(err.http, 500);
    assert_string_equal(err.code, "Internal");
}

static void long_texts_are_cut(void **state)
{
    struct kv_error err = { 0 };
    char text[3000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(kv_fail(&err, KV_IO, "%s", text), KV_IO);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_int_equal(kv_fail_in(&err, KV_IO, "in"), KV_IO);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "in: xxx", 7);
    assert_int_equal(kv_fail_in(&err, KV_IO, "%s", text), KV_IO);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_row),
        cmocka_unit_test(numbers_from_nowhere_are_internal_errors),
        cmocka_unit_test(fail_writes_the_whole_error),
        cmocka_unit_test(fail_may_quote_its_own_text),
        cmocka_unit_test(fail_without_an_error_is_just_the_status),
        cmocka_unit_test(text_stays_one_line),
        cmocka_unit_test(context_goes_before),
        cmocka_unit_test(long_texts_are_cut),
    };
    return cmocka_run_group_tests_name("base/status", tests, NULL, NULL);
}
