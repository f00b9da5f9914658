/* The profiles that a token claims in objects of its own: the calls that their mandatory test cases make (PKCS #11 Profiles 3.2: BL-M-1-32,
 * EXT-M-1-32, AUTH-M-1-32), and the objects themselves. */
#include "harness.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
#define ITEM(type, value)                                                                                    \
    {                                                                                                        \
        type, (void *)&(value), sizeof(value)                                                                \
    }

static int start(void **state)
{
    if (world_start(state))
        return -1;
    create_key("prod", "testrsa", "{\"kty\":\"RSA\"}");
    create_key("hsm", "wrapper", "{\"kty\":\"oct-HSM\"}");
    return 0;
}

/* --- the mandatory test cases --- */

static void assert_field(const CK_BYTE *field, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_true(field[i] >= ' ');
}

static CK_SLOT_ID first_slot(CK_BBOOL present)
{
    CK_SLOT_ID list[8];
    CK_ULONG count = 0;
    ok(world.p11->C_GetSlotList(present, NULL, &count));
    assert_in_range(count, 1, 8);
    ok(world.p11->C_GetSlotList(present, list, &count));
    return list[0];
}

static void say_who_we_are(CK_SLOT_ID slot)
{
    CK_INFO info;
    CK_SLOT_INFO slot_info;
    CK_TOKEN_INFO token;
    ok(world.p11->C_GetInfo(&info));
    assert_field(info.manufacturerID, sizeof info.manufacturerID);
    assert_field(info.libraryDescription, sizeof info.libraryDescription);
    assert_int_equal(info.flags, 0);
    assert_in_range(info.cryptokiVersion.major, 2, 3);
    ok(world.p11->C_GetSlotInfo(slot, &slot_info));
    assert_field(slot_info.slotDescription, sizeof slot_info.slotDescription);
    assert_field(slot_info.manufacturerID, sizeof slot_info.manufacturerID);
    assert_true(slot_info.flags & CKF_TOKEN_PRESENT);
    ok(world.p11->C_GetTokenInfo(slot, &token));
    assert_field(token.label, sizeof token.label);
    assert_field(token.model, sizeof token.model);
    assert_field(token.serialNumber, sizeof token.serialNumber);
    assert_field((CK_BYTE *)token.utcTime, sizeof token.utcTime);
    assert_true(token.flags & CKF_TOKEN_INITIALIZED);
    assert_false(token.flags & CKF_CLOCK_ON_TOKEN);
    assert_true(token.ulMinPinLen <= token.ulMaxPinLen);
}

static CK_OBJECT_HANDLE find_first(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count)
{
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_ULONG found = 0;
    ok(world.p11->C_FindObjectsInit(session, template, count));
    ok(world.p11->C_FindObjects(session, &object, 1, &found));
    assert_int_equal(found, 1);
    ok(world.p11->C_FindObjectsFinal(session));
    return object;
}

static void end(CK_SESSION_HANDLE session, CK_SLOT_ID slot)
{
    ok(world.p11->C_CloseSession(session));
    ok(world.p11->C_CloseAllSessions(slot));
    ok(world.p11->C_Finalize(NULL));
}

static void test_baseline_provider(void **state)
{
    CK_ATTRIBUTE token[] = { ITEM(CKA_TOKEN, yes) };
    CK_SESSION_HANDLE session;
    ok(world.p11->C_Initialize(NULL));
    CK_SLOT_ID slot = first_slot(CK_TRUE);
    say_who_we_are(slot);
    ok(world.p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
    CK_OBJECT_HANDLE object = find_first(session, token, 1);
    assert_true(attribute_bool(session, object, CKA_TOKEN));
    end(session, slot);
}

static void check_mechanisms(CK_SLOT_ID slot)
{
    CK_MECHANISM_TYPE list[128];
    CK_MECHANISM_INFO info;
    CK_ULONG count = 0;
    ok(world.p11->C_GetMechanismList(slot, NULL, &count));
    assert_in_range(count, 1, 128);
    ok(world.p11->C_GetMechanismList(slot, list, &count));
    for (CK_ULONG i = 0; i < count; i++) {
        ok(world.p11->C_GetMechanismInfo(slot, list[i], &info));
        assert_true(info.flags != 0 && info.ulMinKeySize <= info.ulMaxKeySize);
    }
}

static void test_extended_provider(void **state)
{
    CK_ATTRIBUTE token[] = { ITEM(CKA_TOKEN, yes) };
    CK_SESSION_HANDLE session;
    ok(world.p11->C_Initialize(NULL));
    CK_SLOT_ID slot = first_slot(CK_TRUE);
    say_who_we_are(slot);
    check_mechanisms(slot);
    ok(world.p11->C_OpenSession(slot, CKF_RW_SESSION | CKF_SERIAL_SESSION, NULL, NULL, &session));
    ok(world.p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"1234", 4));
    find_first(session, token, 1);
    ok(world.p11->C_Logout(session));
    end(session, slot);
}

static void test_authentication_token(void **state)
{
    CK_OBJECT_CLASS public_class = CKO_PUBLIC_KEY, private_class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template[] = { ITEM(CKA_TOKEN, yes),
                                { CKA_LABEL, (void *)"testrsa", 7 },
                                ITEM(CKA_CLASS, public_class) };
    CK_BYTE modulus[1024], exponent[1024];
    CK_ATTRIBUTE read[] = { { CKA_MODULUS, modulus, sizeof modulus },
                            { CKA_PUBLIC_EXPONENT, exponent, sizeof exponent } };
    CK_SESSION_HANDLE session;
    ok(world.p11->C_Initialize(NULL));
    CK_SLOT_ID slot = first_slot(CK_TRUE);
    ok(world.p11->C_OpenSession(slot, CKF_RW_SESSION | CKF_SERIAL_SESSION, NULL, NULL, &session));
    ok(world.p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"1234", 4));
    CK_OBJECT_HANDLE public = find_first(session, template, 3);
    ok(world.p11->C_GetAttributeValue(session, public, read, 2));
    assert_int_equal(read[0].ulValueLen, 256);
    assert_int_equal(read[1].ulValueLen, 3);
    assert_memory_equal(exponent, "\1\0\1", 3);
    template[2] = (CK_ATTRIBUTE)ITEM(CKA_CLASS, private_class);
    CK_OBJECT_HANDLE private = find_first(session, template, 3);
    struct result signature = sign(session, &rsa_sha256, private, "data", 4);
    assert_true(verifies(session, &rsa_sha256, public, BYTES("data", 4), &signature));
    ok(world.p11->C_Logout(session));
    end(session, slot);
}

/* Both the extended provider and the authentication token want C_LoginUser, which stands behind the functions of 2.40 in the list of 3.0. */
static void test_login_user(void **state)
{
    enum { AFTER_2_40 = sizeof(CK_FUNCTION_LIST) / sizeof(void *), LOGIN_USER = AFTER_2_40 + 2 };
    typedef struct {
        CK_UTF8CHAR *name;
        void *list;
        CK_FLAGS flags;
    } interface_t;
    typedef CK_RV (*get_interface_t)(CK_UTF8CHAR *, CK_VERSION *, interface_t **, CK_FLAGS);
    typedef CK_RV (*login_user_t)(CK_SESSION_HANDLE, CK_USER_TYPE, CK_UTF8CHAR *, CK_ULONG, CK_UTF8CHAR *,
                                  CK_ULONG);
    get_interface_t get = (get_interface_t)dlsym(world.module, "C_GetInterface");
    CK_VERSION version = { 3, 0 };
    interface_t *interface = NULL;
    assert_non_null(get);
    ok(get((CK_UTF8CHAR *)"PKCS 11", &version, &interface, 0));
    login_user_t login = ((login_user_t *)interface->list)[LOGIN_USER];
    ok(world.p11->C_Initialize(NULL));
    CK_SESSION_HANDLE session = open_session(0);
    ok(login(session, CKU_USER, (CK_UTF8CHAR *)"1234", 4, (CK_UTF8CHAR *)"name", 4));
    ok(world.p11->C_Logout(session));
    end(session, 0);
}

/* --- the objects --- */

static size_t find_class(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, CK_OBJECT_HANDLE ret[128])
{
    return find_all(session, type, NULL, NULL, ret, 128);
}

static void test_profiles_are_objects(void **state)
{
    static const CK_ULONG should[] = { CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER,
                                       CKP_AUTHENTICATION_TOKEN };
    CK_OBJECT_HANDLE found[128], again[128];
    CK_OBJECT_CLASS type = CKO_PROFILE, is_class = 0;
    CK_ULONG extended = CKP_EXTENDED_PROVIDER, vendor = 0x80000000UL;
    char names[3][64];
    CK_SESSION_HANDLE session = restart(PROD);
    clear_log();
    assert_int_equal(find_class(session, CKO_PROFILE, found), 3);
    for (size_t i = 0; i < 3; i++) {
        CK_ULONG is = 0;
        attribute(session, found[i], CKA_PROFILE_ID, &is, sizeof is);
        assert_int_equal(is, should[i]);
        attribute(session, found[i], CKA_CLASS, &is_class, sizeof is_class);
        assert_int_equal(is_class, CKO_PROFILE);
        assert_true(attribute_bool(session, found[i], CKA_TOKEN));
        assert_false(attribute_bool(session, found[i], CKA_PRIVATE));
        assert_false(attribute_bool(session, found[i], CKA_MODIFIABLE));
        names[i][attribute(session, found[i], CKA_UNIQUE_ID, names[i], 63)] = 0;
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(names[i], names[k]);
    }
    CK_ATTRIBUTE one[] = { ITEM(CKA_CLASS, type), ITEM(CKA_PROFILE_ID, extended), ITEM(CKA_TOKEN, yes) };
    assert_int_equal(find_first(session, one, 3), found[1]);
    CK_ATTRIBUTE none[] = { ITEM(CKA_CLASS, type), ITEM(CKA_PROFILE_ID, vendor) };
    CK_ULONG count = 7;
    ok(world.p11->C_FindObjectsInit(session, none, 2));
    ok(world.p11->C_FindObjects(session, again, 128, &count));
    ok(world.p11->C_FindObjectsFinal(session));
    assert_int_equal(count, 0);
    assert_int_equal(find_class(open_session(PROD), CKO_PROFILE, again), 3);
    assert_memory_equal(found, again, 3 * sizeof *found);
    assert_int_equal(requests(NULL), 0);
}

static void test_mechanisms_are_objects(void **state)
{
    for (CK_SLOT_ID slot = PROD; slot <= HSM; slot++) {
        CK_OBJECT_HANDLE found[128];
        CK_MECHANISM_TYPE list[128];
        CK_ULONG count = 128;
        CK_SESSION_HANDLE session = restart(slot);
        clear_log();
        ok(world.p11->C_GetMechanismList(slot, list, &count));
        assert_int_equal(find_class(session, CKO_MECHANISM, found), count);
        for (CK_ULONG i = 0; i < count; i++) {
            CK_MECHANISM_TYPE is = 0;
            attribute(session, found[i], CKA_MECHANISM_TYPE, &is, sizeof is);
            assert_int_equal(is, list[i]);
        }
        assert_int_equal(requests(NULL), 0);
    }
}

/* Clients that list everything want keys and certificates. */
static void test_they_are_seen_only_by_who_asks(void **state)
{
    CK_SESSION_HANDLE session = restart(PROD);
    CK_ATTRIBUTE template[] = { ITEM(CKA_TOKEN, yes) };
    for (CK_ULONG asked = 0; asked < 2; asked++) {
        CK_OBJECT_HANDLE found[128];
        CK_OBJECT_CLASS type = 0;
        CK_ULONG count = 0;
        ok(world.p11->C_FindObjectsInit(session, template, asked));
        ok(world.p11->C_FindObjects(session, found, 128, &count));
        ok(world.p11->C_FindObjectsFinal(session));
        assert_int_equal(count, 2);
        for (CK_ULONG i = 0; i < count; i++) {
            attribute(session, found[i], CKA_CLASS, &type, sizeof type);
            assert_true(type == CKO_PRIVATE_KEY || type == CKO_PUBLIC_KEY);
        }
    }
}

static void test_they_are_for_reading_only(void **state)
{
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE found[128], copy = 0;
    CK_ATTRIBUTE change = ITEM(CKA_MODIFIABLE, no), label = { CKA_LABEL, NULL, 0 };
    CK_ULONG size = 0;
    configure("none", "manage = yes");
    restart(PROD);
    ok(world.p11->C_OpenSession(PROD, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
    for (CK_OBJECT_CLASS type = CKO_MECHANISM; type; type = type == CKO_MECHANISM ? CKO_PROFILE : 0) {
        assert_true(find_class(session, type, found) > 0);
        expect(CKR_ACTION_PROHIBITED, world.p11->C_DestroyObject(session, found[0]));
        expect(CKR_ACTION_PROHIBITED, world.p11->C_CopyObject(session, found[0], NULL, 0, &copy));
        expect(CKR_ACTION_PROHIBITED, world.p11->C_SetAttributeValue(session, found[0], &change, 1));
        expect(CKR_KEY_HANDLE_INVALID, world.p11->C_SignInit(session, &rsa_sha256, found[0]));
        expect(CKR_ATTRIBUTE_TYPE_INVALID, world.p11->C_GetAttributeValue(session, found[0], &label, 1));
        ok(world.p11->C_GetObjectSize(session, found[0], &size));
        assert_true(size > 0);
        expect(CKR_OBJECT_HANDLE_INVALID, world.p11->C_GetObjectSize(session, found[0] + 200, &size));
    }
    ok(world.p11->C_Finalize(NULL));
    configure("none", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_baseline_provider),
        cmocka_unit_test(test_extended_provider),
        cmocka_unit_test(test_authentication_token),
        cmocka_unit_test(test_login_user),
        cmocka_unit_test(test_profiles_are_objects),
        cmocka_unit_test(test_mechanisms_are_objects),
        cmocka_unit_test(test_they_are_seen_only_by_who_asks),
        cmocka_unit_test(test_they_are_for_reading_only),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
