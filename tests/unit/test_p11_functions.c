#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "interface.h"

static void test_every_pointer_is_filled(void **state)
{
    CK_FUNCTION_LIST *list = NULL;
    assert_int_equal(C_GetFunctionList(&list), CKR_OK);
    assert_int_equal(list->version.major, 2);
    assert_int_equal(list->version.minor, 40);
    unsigned char *from = (unsigned char *)&list->C_Initialize;
    unsigned char *end = (unsigned char *)(list + 1);
    for (; from < end; from += sizeof(void *)) {
        void *function;
        memcpy(&function, from, sizeof function);
        assert_non_null(function);
    }
    assert_ptr_equal(list->C_GetFunctionList, C_GetFunctionList);
    assert_int_equal(C_GetFunctionList(NULL), CKR_ARGUMENTS_BAD);
}

/* That they are not offered is for afterwards: tests/p11/test_interfaces.c. */
static void test_what_is_not_offered_needs_a_library_too(void **state)
{
    CK_FUNCTION_LIST *list = NULL;
    assert_int_equal(C_GetFunctionList(&list), CKR_OK);
    assert_int_equal(list->C_GetOperationState(1, NULL, NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
    assert_int_equal(list->C_InitPIN(1, NULL, 0), CKR_CRYPTOKI_NOT_INITIALIZED);
    assert_int_equal(list->C_InitToken(0, NULL, 0, NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
}

/* Which is handed out when: tests/p11/test_interfaces.c. Here, that the two are the same functions. */
static void test_both_lists_have_the_same_functions(void **state)
{
    CK_FUNCTION_LIST *old = NULL;
    CK_INTERFACE *interface = NULL;
    CK_VERSION version = { 3, 0 };
    assert_int_equal(C_GetFunctionList(&old), CKR_OK);
    assert_int_equal(C_GetInterface((CK_UTF8CHAR *)"PKCS 11", &version, &interface, 0), CKR_OK);
    const CK_FUNCTION_LIST_3_0 *new = interface->pFunctionList;
    assert_int_equal(new->version.major, 3);
    assert_int_equal(new->version.minor, 0);
#define KV_FUNCTION_2_40(name)            assert_ptr_equal(old->name, new->name);
#define KV_FUNCTION_3_0(name, parameters) assert_non_null(new->name);
#include "mech/functions.def"
#undef KV_FUNCTION_2_40
#undef KV_FUNCTION_3_0
    assert_int_equal(new->C_MessageSignInit(1, NULL, 1), CKR_CRYPTOKI_NOT_INITIALIZED);
    assert_int_equal(new->C_VerifyMessageBegin(1, NULL, 0), CKR_CRYPTOKI_NOT_INITIALIZED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pointer_is_filled),
        cmocka_unit_test(test_what_is_not_offered_needs_a_library_too),
        cmocka_unit_test(test_both_lists_have_the_same_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
