#include "base/ossl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

static OSSL_LIB_CTX *current(void)
{
    return OSSL_LIB_CTX_set0_default(NULL);
}

static void raise_error(int reason)
{
    ERR_new();
    ERR_set_error(ERR_LIB_USER, reason, NULL);
}

static void the_context_is_ours_and_works(void **state)
{
    OSSL_LIB_CTX *context = kv_ossl_context();

    assert_non_null(context);
    assert_ptr_equal(context, kv_ossl_context());
    assert_ptr_not_equal(context, current());
    assert_true(OSSL_PROVIDER_available(context, "default"));
    assert_false(OSSL_PROVIDER_available(context, "legacy"));
    EVP_MD *md = EVP_MD_fetch(context, "SHA256", NULL);
    assert_non_null(md);
    EVP_MD_free(md);
}

static void enter_and_leave_put_the_context_back(void **state)
{
    OSSL_LIB_CTX *host = current();
    struct kv_ossl_guard outer = kv_ossl_enter();

    assert_ptr_equal(current(), kv_ossl_context());
    struct kv_ossl_guard inner = kv_ossl_enter();
    assert_ptr_equal(current(), kv_ossl_context());
    kv_ossl_leave(&inner);
    assert_ptr_equal(current(), kv_ossl_context());
    kv_ossl_leave(&outer);
    assert_ptr_equal(current(), host);
}

static void a_context_of_the_hosts_comes_back(void **state)
{
    OSSL_LIB_CTX *host = OSSL_LIB_CTX_new(), *before = OSSL_LIB_CTX_set0_default(host);
    struct kv_ossl_guard guard = kv_ossl_enter();

    kv_ossl_leave(&guard);
    assert_ptr_equal(current(), host);
    OSSL_LIB_CTX_set0_default(before);
    OSSL_LIB_CTX_free(host);
}

static void our_errors_go_and_theirs_stay(void **state)
{
    ERR_clear_error();
    raise_error(1);
    raise_error(2);
    struct kv_ossl_guard outer = kv_ossl_enter();
    raise_error(3);
    struct kv_ossl_guard inner = kv_ossl_enter();
    raise_error(4);
    kv_ossl_leave(&inner);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), 3);
    kv_ossl_leave(&outer);
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 1);
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 2);
    assert_int_equal(ERR_get_error(), 0);
}

static void an_empty_queue_is_empty_again(void **state)
{
    ERR_clear_error();
    struct kv_ossl_guard outer = kv_ossl_enter(), inner = kv_ossl_enter();
    raise_error(1);
    kv_ossl_leave(&inner);
    raise_error(2);
    kv_ossl_leave(&outer);
    assert_int_equal(ERR_peek_error(), 0);
}

static void a_queue_cleared_inside_leaves_nothing_of_ours(void **state)
{
    ERR_clear_error();
    raise_error(1);
    struct kv_ossl_guard guard = kv_ossl_enter();
    ERR_clear_error();
    raise_error(2);
    kv_ossl_leave(&guard);
    assert_int_equal(ERR_peek_error(), 0);
}

/* Another thread may have held a lock of the parent's context when it forked. */
static void a_child_has_a_context_of_its_own(void **state)
{
    OSSL_LIB_CTX *ours = kv_ossl_context();
    int status;

    assert_non_null(ours);
    pid_t child = fork();
    if (!child) {
        OSSL_LIB_CTX *fresh = kv_ossl_context();
        _exit(fresh && fresh != ours ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_ptr_equal(kv_ossl_context(), ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_has_a_context_of_its_own),
        cmocka_unit_test(the_context_is_ours_and_works),
        cmocka_unit_test(enter_and_leave_put_the_context_back),
        cmocka_unit_test(a_context_of_the_hosts_comes_back),
        cmocka_unit_test(our_errors_go_and_theirs_stay),
        cmocka_unit_test(an_empty_queue_is_empty_again),
        cmocka_unit_test(a_queue_cleared_inside_leaves_nothing_of_ours),
    };
    return cmocka_run_group_tests_name("base/ossl", tests, NULL, NULL);
}
