#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "out.h"

static const struct {
    const char *sentence;
    bool data, len;
    CK_ULONG room, need;
    CK_RV rv;
    bool fill;
    CK_ULONG told;
} rows[] = {
    { "a size query is told the size", false, true, 0, 256, CKR_OK, false, 256 },
    { "its room is garbage and is not read", false, true, (CK_ULONG)-1, 256, CKR_OK, false, 256 },
    { "a buffer of the right size is filled", true, true, 256, 256, CKR_OK, true, 256 },
    { "a larger one is told how much it got", true, true, 300, 256, CKR_OK, true, 256 },
    { "a short one is told the size", true, true, 255, 256, CKR_BUFFER_TOO_SMALL, false, 256 },
    { "an empty one, too", true, true, 0, 1, CKR_BUFFER_TOO_SMALL, false, 1 },
    { "nothing fits into nothing", true, true, 0, 0, CKR_OK, true, 0 },
    { "without a length there is no answer", true, false, 0, 1, CKR_ARGUMENTS_BAD, false, 0 },
    { "nor for a size query", false, false, 0, 1, CKR_ARGUMENTS_BAD, false, 0 },
};

static void test_room(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char data[300];
        CK_ULONG len = rows[i].room;
        bool fill = !rows[i].fill;
        struct kv_out out = { rows[i].data ? data : NULL, rows[i].len ? &len : NULL };
        CK_RV rv = kv_out_room(out, rows[i].need, &fill);
        if (rv != rows[i].rv || fill != rows[i].fill || (rows[i].len && len != rows[i].told))
            fail_msg("%s: rv 0x%lx, fill %d, len %lu", rows[i].sentence, rv, fill, len);
    }
}

static void test_bytes_are_copied_only_when_they_fit(void **state)
{
    unsigned char data[4] = "....";
    CK_ULONG len = 2;
    struct kv_view bytes = kv_view_text("abc");
    assert_int_equal(kv_out_bytes((struct kv_out){ data, &len }, bytes), CKR_BUFFER_TOO_SMALL);
    assert_memory_equal(data, "....", 4);
    assert_int_equal(len, 3);
    assert_int_equal(kv_out_bytes((struct kv_out){ data, &len }, bytes), CKR_OK);
    assert_memory_equal(data, "abc.", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_bytes_are_copied_only_when_they_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
