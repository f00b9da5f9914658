#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdbool.h>
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

static void test_what_is_not_offered_says_so(void **state)
{
    CK_FUNCTION_LIST *list = NULL;
    assert_int_equal(C_GetFunctionList(&list), CKR_OK);
    assert_int_equal(list->C_GetOperationState(1, NULL, NULL), CKR_FUNCTION_NOT_SUPPORTED);
    assert_int_equal(list->C_InitPIN(1, NULL, 0), CKR_FUNCTION_NOT_SUPPORTED);
    assert_int_equal(list->C_InitToken(0, NULL, 0, NULL), CKR_FUNCTION_NOT_SUPPORTED);
}

static const struct {
    const char *sentence, *name;
    bool with_version;
    CK_VERSION version;
    CK_FLAGS flags;
    CK_RV rv;
} rows[] = {
    { "nothing asked: the default", NULL, false, { 0, 0 }, 0, CKR_OK },
    { "by name", "PKCS 11", false, { 0, 0 }, 0, CKR_OK },
    { "by name and version", "PKCS 11", true, { 2, 40 }, 0, CKR_OK },
    { "by version alone", NULL, true, { 2, 40 }, 0, CKR_OK },
    { "a later one is not there yet", "PKCS 11", true, { 3, 0 }, 0, CKR_ARGUMENTS_BAD },
    { "nor is a vendor's", "Vendor NSS FIPS Interface", false, { 0, 0 }, 0, CKR_ARGUMENTS_BAD },
    { "fork-safe is not promised", "PKCS 11", false, { 0, 0 }, CKF_INTERFACE_FORK_SAFE, CKR_ARGUMENTS_BAD },
};

static void test_interface(void **state)
{
    CK_FUNCTION_LIST *list = NULL;
    assert_int_equal(C_GetFunctionList(&list), CKR_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CK_INTERFACE *interface = NULL;
        CK_VERSION version = rows[i].version;
        CK_RV rv = C_GetInterface((CK_UTF8CHAR *)rows[i].name, rows[i].with_version ? &version : NULL,
                                  &interface, rows[i].flags);
        if (rv != rows[i].rv)
            fail_msg("%s: 0x%lx", rows[i].sentence, rv);
        if (!rv)
            assert_ptr_equal(interface->pFunctionList, list);
    }
    assert_int_equal(C_GetInterface(NULL, NULL, NULL, 0), CKR_ARGUMENTS_BAD);
}

static void test_interface_list(void **state)
{
    CK_INTERFACE list[4];
    CK_ULONG count = 12345;
    assert_int_equal(C_GetInterfaceList(NULL, &count), CKR_OK);
    assert_int_equal(count, 1);
    count = 0;
    assert_int_equal(C_GetInterfaceList(list, &count), CKR_BUFFER_TOO_SMALL);
    assert_int_equal(count, 1);
    count = 4;
    assert_int_equal(C_GetInterfaceList(list, &count), CKR_OK);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].pInterfaceName, "PKCS 11");
    assert_int_equal(C_GetInterfaceList(list, NULL), CKR_ARGUMENTS_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pointer_is_filled),
        cmocka_unit_test(test_what_is_not_offered_says_so),
        cmocka_unit_test(test_interface),
        cmocka_unit_test(test_interface_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
