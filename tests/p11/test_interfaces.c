/* What a host finds before it initializes anything: interfaces, versions, function lists; and the two functions of 3.0 that belong to sessions. */
#include "harness.h"

#include <dlfcn.h>

static CK_C_GetInterface get_interface;
static CK_C_GetInterfaceList get_list;

static int start(void **state)
{
    if (world_start(state))
        return -1;
    get_interface = (CK_C_GetInterface)dlsym(world.module, "C_GetInterface");
    get_list = (CK_C_GetInterfaceList)dlsym(world.module, "C_GetInterfaceList");
    return get_interface && get_list ? 0 : -1;
}

/* Real clients: pkcs11-provider asks for 3.0, then for anything; NSS for fork-safe, then for less, then for a vendor's. */
static const struct {
    const char *sentence, *name;
    const CK_VERSION *version;
    CK_FLAGS flags;
    CK_RV rv;
    CK_BYTE major;
} asked[] = {
    { "anything is the newest", NULL, NULL, 0, CKR_OK, 3 },
    { "a name alone is its newest", "PKCS 11", NULL, 0, CKR_OK, 3 },
    { "3.0 by name", "PKCS 11", &(CK_VERSION){ 3, 0 }, 0, CKR_OK, 3 },
    { "2.40 by name", "PKCS 11", &(CK_VERSION){ 2, 40 }, 0, CKR_OK, 2 },
    { "3.0 without a name", NULL, &(CK_VERSION){ 3, 0 }, 0, CKR_OK, 3 },
    { "2.40 without a name", NULL, &(CK_VERSION){ 2, 40 }, 0, CKR_OK, 2 },
    { "no later version", "PKCS 11", &(CK_VERSION){ 3, 1 }, 0, CKR_ARGUMENTS_BAD, 0 },
    { "no earlier version", "PKCS 11", &(CK_VERSION){ 2, 20 }, 0, CKR_ARGUMENTS_BAD, 0 },
    { "no name that only begins alike", "PKCS 1", NULL, 0, CKR_ARGUMENTS_BAD, 0 },
    { "no longer name", "PKCS 11 ", NULL, 0, CKR_ARGUMENTS_BAD, 0 },
    { "no empty name", "", NULL, 0, CKR_ARGUMENTS_BAD, 0 },
    { "no vendor's", "Vendor NSS FIPS Interface", NULL, 0, CKR_ARGUMENTS_BAD, 0 },
    { "fork-safe is not promised", "PKCS 11", NULL, CKF_INTERFACE_FORK_SAFE, CKR_ARGUMENTS_BAD, 0 },
    { "nor by default", NULL, NULL, CKF_INTERFACE_FORK_SAFE, CKR_ARGUMENTS_BAD, 0 },
    { "nor is an unknown flag", NULL, NULL, 0x80, CKR_ARGUMENTS_BAD, 0 },
};

static void test_an_interface_by_name_version_and_flags(void **state)
{
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        CK_INTERFACE *got = NULL;
        CK_VERSION version = asked[i].version ? *asked[i].version : (CK_VERSION){ 0, 0 };
        CK_RV rv = get_interface((CK_UTF8CHAR *)asked[i].name, asked[i].version ? &version : NULL, &got,
                                 asked[i].flags);
        if (rv != asked[i].rv)
            fail_msg("%s: 0x%lx", asked[i].sentence, rv);
        if (rv) {
            assert_null(got);
            continue;
        }
        assert_string_equal(got->pInterfaceName, "PKCS 11");
        assert_int_equal(got->flags, 0);
        if (((CK_VERSION *)got->pFunctionList)->major != asked[i].major)
            fail_msg("%s: another version", asked[i].sentence);
        if (asked[i].major == 2)
            assert_ptr_equal(got->pFunctionList, world.p11);
    }
    expect(CKR_ARGUMENTS_BAD, get_interface(NULL, NULL, NULL, 0));
}

static void test_the_list_of_interfaces(void **state)
{
    CK_INTERFACE list[3] = { { NULL, NULL, 0 } };
    CK_ULONG count = (CK_ULONG)-5;
    ok(get_list(NULL, &count));
    assert_int_equal(count, 2);
    count = 1;
    expect(CKR_BUFFER_TOO_SMALL, get_list(list, &count));
    assert_int_equal(count, 2);
    assert_null(list[0].pInterfaceName);
    count = 3;
    ok(get_list(list, &count));
    assert_int_equal(count, 2);
    assert_null(list[2].pInterfaceName);
    assert_ptr_equal(list[0].pFunctionList, world.p11_3);
    assert_ptr_equal(list[1].pFunctionList, world.p11);
    expect(CKR_ARGUMENTS_BAD, get_list(list, NULL));
}

/* The places of the standard's header, and one function behind both lists. */
static void test_the_lists_are_complete(void **state)
{
    enum { ALL_2_40 = 68, ALL_3_0 = 92 };
    void *old[ALL_2_40], *new[ALL_3_0];
    assert_int_equal(sizeof(CK_FUNCTION_LIST_3_0) - offsetof(CK_FUNCTION_LIST_3_0, C_Initialize), sizeof new);
    memcpy(old, &world.p11->C_Initialize, sizeof old);
    memcpy(new, &world.p11_3->C_Initialize, sizeof new);
    for (size_t i = 0; i < ALL_3_0; i++) {
        assert_non_null(new[i]);
        if (i < ALL_2_40)
            assert_ptr_equal(new[i], old[i]);
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(new[i], new[k]);
    }
    size_t first = offsetof(CK_FUNCTION_LIST_3_0, C_Initialize) / sizeof(void *);
    assert_int_equal(offsetof(CK_FUNCTION_LIST_3_0, C_GetInterfaceList) / sizeof(void *) - first, 68);
    assert_int_equal(offsetof(CK_FUNCTION_LIST_3_0, C_SessionCancel) / sizeof(void *) - first, 71);
    assert_int_equal(offsetof(CK_FUNCTION_LIST_3_0, C_MessageEncryptFinal) / sizeof(void *) - first, 76);
    assert_int_equal(offsetof(CK_FUNCTION_LIST_3_0, C_MessageVerifyFinal) / sizeof(void *) - first, 91);
}

static void test_the_library_is_of_3_0(void **state)
{
    CK_INFO info;
    initialize();
    ok(world.p11->C_GetInfo(&info));
    assert_int_equal(info.cryptokiVersion.major, 3);
    assert_int_equal(info.cryptokiVersion.minor, 0);
    finalize();
}

static CK_RV sign_message_init(CK_SESSION_HANDLE session)
{
    return world.p11_3->C_MessageSignInit(session, &ecdsa, 1);
}
static CK_RV verify_message_init(CK_SESSION_HANDLE session)
{
    return world.p11_3->C_MessageVerifyInit(session, &ecdsa, 1);
}

static void test_signing_messages_is_not_offered(void **state)
{
    CK_SESSION_HANDLE session = restart(PROD);
    expect(CKR_FUNCTION_NOT_SUPPORTED, sign_message_init(session));
    expect(CKR_FUNCTION_NOT_SUPPORTED, verify_message_init(session));
    finalize();
}

/* What module/p11/unsupported.def lists, before and after C_Initialize: the stubs do not look at their arguments. */
static void each_that_is_not_offered(CK_RV should)
{
    CK_SESSION_HANDLE session = 1;
    CK_BYTE out[16];
    CK_ULONG len = sizeof out;
    expect(should, world.p11->C_InitToken(0, out, 4, out));
    expect(should, world.p11->C_InitPIN(session, out, 4));
    expect(should, world.p11->C_SetPIN(session, out, 4, out, 4));
    expect(should, world.p11->C_GetOperationState(session, NULL, &len));
    expect(should, world.p11->C_SetOperationState(session, out, len, 0, 0));
    expect(should, world.p11->C_SignRecoverInit(session, &ecdsa, 1));
    expect(should, world.p11->C_SignRecover(session, out, 1, out, &len));
    expect(should, world.p11->C_VerifyRecoverInit(session, &ecdsa, 1));
    expect(should, world.p11->C_VerifyRecover(session, out, 1, out, &len));
    expect(should, world.p11->C_DigestEncryptUpdate(session, out, 1, out, &len));
    expect(should, world.p11->C_DecryptDigestUpdate(session, out, 1, out, &len));
    expect(should, world.p11->C_SignEncryptUpdate(session, out, 1, out, &len));
    expect(should, world.p11->C_DecryptVerifyUpdate(session, out, 1, out, &len));
    expect(should, world.p11_3->C_MessageSignInit(session, &ecdsa, 1));
    expect(should, world.p11_3->C_SignMessage(session, NULL, 0, out, 1, out, &len));
    expect(should, world.p11_3->C_MessageVerifyInit(session, &ecdsa, 1));
    expect(should, world.p11_3->C_MessageVerifyFinal(session));
}

static void test_what_is_not_offered(void **state)
{
    CK_RV rv = world.p11->C_Finalize(NULL);
    assert_true(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED);
    each_that_is_not_offered(CKR_CRYPTOKI_NOT_INITIALIZED);
    initialize();
    each_that_is_not_offered(CKR_FUNCTION_NOT_SUPPORTED);
    finalize();
}

static void test_a_login_with_a_name(void **state)
{
    CK_UTF8CHAR *pin = (CK_UTF8CHAR *)"1234", *name = (CK_UTF8CHAR *)"an operator";
    expect(CKR_CRYPTOKI_NOT_INITIALIZED, world.p11_3->C_LoginUser(1, CKU_USER, pin, 4, name, 11));
    CK_SESSION_HANDLE session = restart(PROD);
    expect(CKR_SESSION_HANDLE_INVALID, world.p11_3->C_LoginUser(session + 1, CKU_USER, pin, 4, name, 11));
    expect(CKR_ARGUMENTS_BAD, world.p11_3->C_LoginUser(session, CKU_USER, pin, 4, NULL, 11));
    expect(CKR_SESSION_READ_ONLY_EXISTS, world.p11_3->C_LoginUser(session, CKU_SO, pin, 4, name, 11));
    expect(CKR_OPERATION_NOT_INITIALIZED,
           world.p11_3->C_LoginUser(session, CKU_CONTEXT_SPECIFIC, pin, 4, name, 11));
    ok(world.p11_3->C_LoginUser(session, CKU_USER, pin, 4, name, 11));
    expect(CKR_USER_ALREADY_LOGGED_IN, world.p11_3->C_LoginUser(session, CKU_USER, pin, 4, name, 11));
    expect(CKR_USER_ALREADY_LOGGED_IN, world.p11->C_Login(session, CKU_USER, pin, 4));
    ok(world.p11->C_Logout(session));
    ok(world.p11_3->C_LoginUser(session, CKU_USER, NULL, 0, NULL, 0));
    finalize();
}

/* Cancels what is asked and nothing else; what is not under way, or is unknown, is not missed (§5.6, C_SessionCancel). */
static void test_cancelling(void **state)
{
    CK_MECHANISM sha256 = { CKM_SHA256, NULL, 0 }, ctr = { CKM_AES_CTR, NULL, 0 };
    CK_AES_CTR_PARAMS params = { .ulCounterBits = 32 };
    CK_BYTE out[64];
    CK_ULONG len = sizeof out;
    ctr.pParameter = &params;
    ctr.ulParameterLen = sizeof params;
    expect(CKR_CRYPTOKI_NOT_INITIALIZED, world.p11_3->C_SessionCancel(1, CKF_DIGEST));
    CK_SESSION_HANDLE session = restart(PROD);
    CK_OBJECT_HANDLE aes = aes_key(session, (CK_BYTE *)"0123456789abcdef", 16, true);
    expect(CKR_SESSION_HANDLE_INVALID, world.p11_3->C_SessionCancel(session + 1, CKF_DIGEST));
    ok(world.p11->C_DigestInit(session, &sha256));
    ok(world.p11->C_EncryptInit(session, &ctr, aes));
    ok(world.p11_3->C_SessionCancel(session, 0));
    ok(world.p11_3->C_SessionCancel(session, CKF_DECRYPT | CKF_SIGN | CKF_FIND_OBJECTS | CKF_MESSAGE_SIGN |
                                                 CKF_SIGN_RECOVER | CKF_GENERATE | 0x40000000UL));
    expect(CKR_OPERATION_ACTIVE, world.p11->C_DigestInit(session, &sha256));
    ok(world.p11_3->C_SessionCancel(session, CKF_DIGEST));
    expect(CKR_OPERATION_NOT_INITIALIZED, world.p11->C_Digest(session, out, 1, out, &len));
    len = sizeof out;
    ok(world.p11->C_Encrypt(session, out, 16, out, &len));
    finalize();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_interface_by_name_version_and_flags),
        cmocka_unit_test(test_the_list_of_interfaces),
        cmocka_unit_test(test_the_lists_are_complete),
        cmocka_unit_test(test_the_library_is_of_3_0),
        cmocka_unit_test(test_signing_messages_is_not_offered),
        cmocka_unit_test(test_what_is_not_offered),
        cmocka_unit_test(test_a_login_with_a_name),
        cmocka_unit_test(test_cancelling),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
