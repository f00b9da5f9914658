#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "slot.h"

static const struct {
    const char *sentence, *text, *field;
} rows[] = {
    { "blanks follow a short text", "prod", "prod    " },
    { "nothing is all blanks", "", "        " },
    { "a full field has no NUL", "12345678", "12345678" },
    { "what is too long is cut", "123456789", "12345678" },
    { "but not inside a character", "1234567\xc3\xa9", "1234567 " },
    { "nor inside a longer one", "123456\xe2\x82\xac", "123456  " },
    { "a character that just fits stays", "123456\xc3\xa9", "123456\xc3\xa9" },
};

static void test_pad(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char field[9] = "????????";
        kv_slot_pad(field, 8, rows[i].text);
        if (memcmp(field, rows[i].field, 8))
            fail_msg("%s: '%s'", rows[i].sentence, field);
        assert_int_equal(field[8], 0);
    }
}

static void test_wait(void **state)
{
    assert_int_equal(kv_slot_wait(CKF_DONT_BLOCK), CKR_NO_EVENT);
    assert_int_equal(kv_slot_wait(0), CKR_FUNCTION_NOT_SUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_pad), cmocka_unit_test(test_wait) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
