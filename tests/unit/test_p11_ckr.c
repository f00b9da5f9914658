#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "base/kinds.h"
#include "ckr.h"

static void test_every_status_has_a_named_value(void **state)
{
    for (int status = 0; status < KV_STATUS_COUNT; status++)
        if (!strcmp(kv_ckr_name(kv_ckr(status)), "CKR_?"))
            fail_msg("%s becomes 0x%lx, which has no name", kv_status_name(status), kv_ckr(status));
    assert_int_equal(kv_ckr(KV_OK), CKR_OK);
    assert_int_equal(kv_ckr(KV_STATUS_COUNT), CKR_GENERAL_ERROR);
    for (int status = 1; status < KV_STATUS_COUNT; status++)
        assert_int_not_equal(kv_ckr(status), CKR_OK);
}

/* Trap: one code for everything. A person must be able to tell these apart by the code alone. */
static void test_causes_are_distinct(void **state)
{
    static const enum kv_status causes[] = { KV_DENIED,    KV_NOT_FOUND, KV_DISABLED,    KV_NOT_VALID,
                                             KV_THROTTLED, KV_TIMED_OUT, KV_UNREACHABLE, KV_CREDENTIAL,
                                             KV_TLS,       KV_SERVER };
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(kv_ckr(causes[i]), kv_ckr(causes[k]));
}

static const struct {
    const char *sentence;
    enum kv_status status;
    unsigned operation;
    CK_RV rv;
} rows[] = {
    { "wrapping has a word for its key", KV_KEY_TYPE, KV_OP_WRAP, CKR_WRAPPING_KEY_TYPE_INCONSISTENT },
    { "unwrapping, too", KV_NOT_FOUND, KV_OP_UNWRAP, CKR_UNWRAPPING_KEY_HANDLE_INVALID },
    { "a refused blob is the blob's fault", KV_BAD_CIPHERTEXT, KV_OP_UNWRAP, CKR_WRAPPED_KEY_INVALID },
    { "for decryption it is the data", KV_BAD_WRAPPED_KEY, KV_OP_DECRYPT, CKR_ENCRYPTED_DATA_INVALID },
    { "a message's tag has a word of its own", KV_BAD_CIPHERTEXT, KV_OP_DECRYPT | KV_OP_MESSAGE,
      CKR_AEAD_DECRYPT_FAILED },
    { "a message's version may be disabled", KV_DISABLED, KV_OP_DECRYPT | KV_OP_MESSAGE,
      CKR_KVP11_VERSION_DISABLED },
    { "a disabled version stays one", KV_DISABLED, KV_OP_UNWRAP, CKR_KVP11_VERSION_DISABLED },
    { "signing has no special words", KV_KEY_TYPE, KV_OP_SIGN, CKR_KEY_TYPE_INCONSISTENT },
    { "success is success", KV_OK, KV_OP_WRAP, CKR_OK },
};

static void test_words_of_wrapping(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (kv_ckr_for(rows[i].status, rows[i].operation) != rows[i].rv)
            fail_msg("%s: %s", rows[i].sentence, kv_ckr_name(kv_ckr_for(rows[i].status, rows[i].operation)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_has_a_named_value),
        cmocka_unit_test(test_causes_are_distinct),
        cmocka_unit_test(test_words_of_wrapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
