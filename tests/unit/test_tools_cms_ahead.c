#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "ahead.h"

enum { PIECE = 8 };

/* So many bytes, counted up from 0; a failure in their place after so many. */
struct source {
    size_t given, length, fails_at;
};

static enum kv_status give(void *user, unsigned char *to, size_t *ret_len, struct kv_error *err)
{
    struct source *source = user;
    if (source->fails_at && source->given >= source->fails_at)
        return kv_fail(err, KV_IO, "the disk is gone");
    size_t len = source->length - source->given;
    len = len < PIECE ? len : PIECE;
    for (size_t i = 0; i < len; i++)
        to[i] = (unsigned char)(source->given + i);
    source->given += len;
    *ret_len = len;
    return KV_OK;
}

static enum kv_status take_all(struct source *source, bool alone, size_t *ret_len, struct kv_error *err)
{
    struct kv_cms_ahead_source what = { give, source, PIECE, alone };
    KV_AUTO_CMS_AHEAD struct kv_cms_ahead *ahead = NULL;
    struct kv_view piece = { NULL, PIECE };
    *ret_len = 0;
    KV_TRY(kv_cms_ahead_start(&what, &ahead, err));
    while (piece.len == PIECE) {
        KV_TRY(kv_cms_ahead_next(ahead, &piece, err));
        for (size_t i = 0; i < piece.len; i++)
            assert_int_equal(piece.data[i], (unsigned char)(*ret_len + i));
        *ret_len += piece.len;
    }
    return KV_OK;
}

static void test_every_byte_in_order(void **state)
{
    static const size_t lengths[] = { 0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 4 * PIECE, 5001 };
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (int alone = 0; alone < 2; alone++) {
            struct source source = { .length = lengths[i] };
            size_t len = 0;
            assert_int_equal(take_all(&source, alone, &len, NULL), KV_OK);
            assert_int_equal(len, lengths[i]);
        }
    }
}

static void test_failure_comes_after_what_was_good(void **state)
{
    for (int alone = 0; alone < 2; alone++) {
        struct source source = { .length = 1000, .fails_at = 40 * PIECE };
        struct kv_error err = { 0 };
        size_t len = 0;
        assert_int_equal(take_all(&source, alone, &len, &err), KV_IO);
        assert_int_equal(len, 40 * PIECE);
        assert_string_equal(err.text, "the disk is gone");
    }
}

static void test_it_can_be_left_at_any_time(void **state)
{
    for (size_t taken = 0; taken < 6; taken++) {
        struct source source = { .length = 1000 };
        struct kv_cms_ahead_source what = { give, &source, PIECE, false };
        KV_AUTO_CMS_AHEAD struct kv_cms_ahead *ahead = NULL;
        struct kv_view piece;
        assert_int_equal(kv_cms_ahead_start(&what, &ahead, NULL), KV_OK);
        for (size_t i = 0; i < taken; i++)
            assert_int_equal(kv_cms_ahead_next(ahead, &piece, NULL), KV_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_in_order),
        cmocka_unit_test(test_failure_comes_after_what_was_good),
        cmocka_unit_test(test_it_can_be_left_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
