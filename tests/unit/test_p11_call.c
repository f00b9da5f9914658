#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include "call.h"

/* What a host would see if OpenSSL, inside a call of ours, came back to us through a provider. */
static CK_RV from_inside(CK_RV (*again)(void))
{
    KV_CALL_BARE(call);
    return call.rv ? call.rv : again();
}

static CK_RV asks_info(void)
{
    CK_INFO info;
    return C_GetInfo(&info);
}

static CK_RV initializes(void)
{
    return C_Initialize(NULL);
}

static CK_RV finalizes(void)
{
    return C_Finalize(NULL);
}

static void test_reentry_is_refused_and_the_thread_recovers(void **state)
{
    static CK_RV (*const calls[])(void) = { asks_info, initializes, finalizes };
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(from_inside(calls[i]), CKR_FUNCTION_FAILED);
    assert_int_equal(asks_info(), CKR_CRYPTOKI_NOT_INITIALIZED);
}

static CK_RV spoils_everything(void)
{
    errno = 99;
    ERR_raise(ERR_LIB_USER, 1);
    assert_ptr_equal(OSSL_LIB_CTX_set0_default(NULL), kv_ossl_context());
    return CKR_OK;
}

static void test_the_host_gets_back_what_was_its_own(void **state)
{
    OSSL_LIB_CTX *host = OSSL_LIB_CTX_new();
    assert_non_null(OSSL_LIB_CTX_set0_default(host));
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 7);
    errno = 4711;
    assert_int_equal(from_inside(spoils_everything), CKR_OK);
    assert_int_equal(errno, 4711);
    assert_ptr_equal(OSSL_LIB_CTX_set0_default(NULL), host);
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 7);
    assert_int_equal(ERR_get_error(), 0);
    OSSL_LIB_CTX_set0_default(NULL);
    OSSL_LIB_CTX_free(host);
}

static void test_a_status_brings_its_text(void **state)
{
    struct kv_call call = { 0 };
    assert_int_equal(kv_call_status(&call, KV_OK, 0), CKR_OK);
    assert_int_equal(call.err.text[0], 0);
    assert_int_equal(kv_call_status(&call, KV_TIMED_OUT, 0), CKR_KVP11_TIMED_OUT);
    assert_string_equal(call.err.text, kv_status_text(KV_TIMED_OUT));
    assert_int_equal(kv_call_refuse(&call, CKR_TEMPLATE_INCOMPLETE, "'%s' is missing", "x"),
                     CKR_TEMPLATE_INCOMPLETE);
    assert_string_equal(call.err.text, "'x' is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reentry_is_refused_and_the_thread_recovers),
        cmocka_unit_test(test_the_host_gets_back_what_was_its_own),
        cmocka_unit_test(test_a_status_brings_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
