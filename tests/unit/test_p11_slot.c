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

static void test_token_flags(void **state)
{
    static const struct {
        const char *sentence;
        bool manage, person;
        CK_FLAGS flags;
    } flags[] = {
        { "as it comes", false, false, CKF_WRITE_PROTECTED },
        { "keys can be made", true, false, 0 },
        { "somebody has to be there", false, true, CKF_WRITE_PROTECTED | CKF_PROTECTED_AUTHENTICATION_PATH },
        { "both", true, true, CKF_PROTECTED_AUTHENTICATION_PATH },
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        struct kv_vault_config config = { .manage = flags[i].manage };
        struct kv_slot slot = { .config = &config, .needs_person = flags[i].person };
        CK_FLAGS always = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED;
        if (kv_slot_token_flags(&slot) != (flags[i].flags | always))
            fail_msg("%s: 0x%lx", flags[i].sentence, kv_slot_token_flags(&slot));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_pad), cmocka_unit_test(test_wait),
                                        cmocka_unit_test(test_token_flags) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
