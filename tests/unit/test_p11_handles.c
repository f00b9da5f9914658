#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include "handles.h"

static char things[4000];

static void test_what_was_put_is_found(void **state)
{
    struct kv_handles handles = { 0 };
    assert_null(kv_handles_get(&handles, 1));
    for (uint64_t i = 1; i < sizeof things; i++)
        assert_int_equal(kv_handles_put(&handles, i, &things[i]), KV_OK);
    for (uint64_t i = 1; i < sizeof things; i++)
        assert_ptr_equal(kv_handles_get(&handles, i), &things[i]);
    assert_null(kv_handles_get(&handles, sizeof things));
    assert_int_equal(handles.count, sizeof things - 1);
    kv_handles_free(&handles);
}

static void test_zero_and_twice_are_refused(void **state)
{
    struct kv_handles handles = { 0 };
    assert_int_equal(kv_handles_put(&handles, 0, things), KV_INTERNAL);
    assert_int_equal(kv_handles_put(&handles, 7, things), KV_OK);
    assert_int_equal(kv_handles_put(&handles, 7, things), KV_INTERNAL);
    assert_null(kv_handles_get(&handles, 0));
    kv_handles_free(&handles);
}

/* A hole in a run of neighbours must not hide those behind it. */
static void test_removal_hides_nobody(void **state)
{
    struct kv_handles handles = { 0 };
    for (uint64_t i = 1; i < sizeof things; i++)
        assert_int_equal(kv_handles_put(&handles, i * 977, &things[i]), KV_OK);
    for (uint64_t i = 1; i < sizeof things; i += 3)
        assert_ptr_equal(kv_handles_remove(&handles, i * 977), &things[i]);
    for (uint64_t i = 1; i < sizeof things; i++) {
        char *expected = i % 3 == 1 ? NULL : &things[i];
        assert_ptr_equal(kv_handles_get(&handles, i * 977), expected);
    }
    assert_null(kv_handles_remove(&handles, 977));
    kv_handles_free(&handles);
}

static void test_swap_needs_a_place(void **state)
{
    struct kv_handles handles = { 0 };
    assert_null(kv_handles_swap(&handles, 1, things));
    assert_int_equal(kv_handles_put(&handles, 1, things), KV_OK);
    assert_ptr_equal(kv_handles_swap(&handles, 1, things + 1), things);
    assert_ptr_equal(kv_handles_get(&handles, 1), things + 1);
    kv_handles_free(&handles);
}

static void test_the_walk_meets_each_once(void **state)
{
    struct kv_handles handles = { 0 };
    unsigned char seen[100] = { 0 };
    for (uint64_t i = 1; i < 100; i++)
        assert_int_equal(kv_handles_put(&handles, i, &things[i]), KV_OK);
    size_t place = 0;
    for (char *thing; (thing = kv_handles_next(&handles, &place));)
        seen[thing - things]++;
    for (size_t i = 1; i < 100; i++)
        assert_int_equal(seen[i], 1);
    kv_handles_free(&handles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_put_is_found),    cmocka_unit_test(test_zero_and_twice_are_refused),
        cmocka_unit_test(test_removal_hides_nobody),     cmocka_unit_test(test_swap_needs_a_place),
        cmocka_unit_test(test_the_walk_meets_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
