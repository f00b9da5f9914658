/* Which versions an application finds, at what price in requests, and what their state, the settings and a missing permission make of them. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

static CK_SESSION_HANDLE session;
static char old_version[65], new_version[65];

static int start(void **state)
{
    if (world_start(state))
        return -1;
    kv_text_fit(old_version, sizeof old_version, create_key("prod", "kek", "{\"kty\":\"RSA\"}"));
    kv_text_fit(new_version, sizeof new_version, rotate_key("prod", "kek"));
    create_key("prod", "signer", "{\"kty\":\"EC\",\"crv\":\"P-384\"}");
    initialize();
    session = open_session(PROD);
    return 0;
}

/* --- versions --- */

static void version_of(CK_OBJECT_HANDLE object, char ret[65])
{
    size_t len = attribute(session, object, CKA_KVP11_VERSION, ret, 64);
    ret[len] = 0;
}

static void test_the_bare_label_is_the_current_version(void **state)
{
    char version[65];
    version_of(find_one(session, CKO_PRIVATE_KEY, "kek"), version);
    assert_string_equal(version, new_version);
}

static void test_an_old_version_has_its_own_label(void **state)
{
    char label[256], version[65];
    snprintf(label, sizeof label, "kek@%s", old_version);
    version_of(find_one(session, CKO_PRIVATE_KEY, label), version);
    assert_string_equal(version, old_version);
    snprintf(label, sizeof label, "kek@%s", "00000000000000000000000000000000");
    assert_int_equal(find_all(session, CKO_PRIVATE_KEY, label, NULL, NULL, 0), 0);
}

/* The identifier alone finds a version, on private and public object alike, in a process that knows nothing yet. */
static void test_an_identifier_names_one_version(void **state)
{
    char label[256], version[65];
    CK_BYTE id[20];
    snprintf(label, sizeof label, "kek@%s", old_version);
    assert_int_equal(attribute(session, find_one(session, CKO_PUBLIC_KEY, label), CKA_ID, id, 20), 20);
    session = restart(PROD);
    CK_OBJECT_HANDLE found[3];
    assert_int_equal(find_all(session, CKO_PRIVATE_KEY, NULL, id, found, 3), 1);
    version_of(found[0], version);
    assert_string_equal(version, old_version);
    assert_int_equal(find_all(session, CKO_PUBLIC_KEY, NULL, id, found, 3), 1);
    assert_int_equal(find_all(session, CKO_PUBLIC_KEY, "kek", id, found, 3), 0);
    assert_int_equal(find_all(session, CKO_PUBLIC_KEY, label, id, found, 3), 1);
}

static void test_everything_is_listed_once(void **state)
{
    CK_OBJECT_HANDLE found[16];
    assert_int_equal(find_all(session, CKO_PRIVATE_KEY, NULL, NULL, found, 16), 3);
    assert_int_equal(find_all(session, CKO_PUBLIC_KEY, NULL, NULL, found, 16), 3);
    CK_ULONG count;
    ok(world.p11->C_FindObjectsInit(session, NULL, 0));
    ok(world.p11->C_FindObjects(session, found, 16, &count));
    assert_int_equal(count, 6);
    ok(world.p11->C_FindObjectsFinal(session));
}

/* --- searches --- */

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static const CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY, certificate_class = CKO_CERTIFICATE,
                             data_class = CKO_DATA, secret_class = CKO_SECRET_KEY, nss_class = 0xce534353UL;
static const CK_KEY_TYPE rsa_type = CKK_RSA, ec_type = CKK_EC;
#define ITEM(type, value)                                                                                    \
    {                                                                                                        \
        type, (void *)&(value), sizeof(value)                                                                \
    }
static const struct {
    const char *sentence;
    CK_ATTRIBUTE template[3];
    CK_ULONG count;
    size_t found;
    bool quiet; /* costs no request even in a process that knows nothing */
} searches[] = {
    { "certificates of keys that back none", { ITEM(CKA_CLASS, certificate_class) }, 1, 0, false },
    { "data", { ITEM(CKA_CLASS, data_class) }, 1, 0, true },
    { "a vendor's class", { ITEM(CKA_CLASS, nss_class), ITEM(CKA_TOKEN, yes) }, 2, 0, true },
    { "secret keys of a vault that has none", { ITEM(CKA_CLASS, secret_class) }, 1, 0, true },
    { "session objects", { ITEM(CKA_TOKEN, no) }, 1, 0, true },
    { "a foreign identifier", { { CKA_ID, (void *)"\x01", 1 } }, 1, 0, true },
    { "an empty identifier", { { CKA_ID, NULL, 0 } }, 1, 0, true },
    { "an empty label", { { CKA_LABEL, NULL, 0 } }, 1, 0, true },
    { "a label with a NUL", { { CKA_LABEL, (void *)"ke\0k", 4 } }, 1, 0, true },
    { "a certificate with a label",
      { ITEM(CKA_CLASS, certificate_class), { CKA_LABEL, (void *)"kek", 3 } },
      2,
      0,
      false },
    { "by label without class", { { CKA_LABEL, (void *)"kek", 3 } }, 1, 2, false },
    { "a label that is not there", { { CKA_LABEL, (void *)"nobody", 6 } }, 1, 0, false },
    { "half a label", { { CKA_LABEL, (void *)"ke", 2 } }, 1, 0, false },
    { "what can sign", { ITEM(CKA_CLASS, private_class), ITEM(CKA_SIGN, yes) }, 2, 3, false },
    { "what can decrypt",
      { ITEM(CKA_CLASS, private_class), ITEM(CKA_DECRYPT, yes), ITEM(CKA_KEY_TYPE, rsa_type) },
      3,
      2,
      false },
    { "elliptic curves", { ITEM(CKA_CLASS, private_class), ITEM(CKA_KEY_TYPE, ec_type) }, 2, 1, false },
    { "what needs a login", { ITEM(CKA_PRIVATE, yes) }, 1, 0, false },
    { "with an attribute nobody knows", { { 0x80001234UL, (void *)"x", 1 } }, 1, 0, false },
    { "by what is secret", { { CKA_PRIVATE_EXPONENT, (void *)"x", 1 } }, 1, 0, false },
};

static void test_searches(void **state)
{
    for (size_t i = 0; i < sizeof searches / sizeof *searches; i++) {
        CK_OBJECT_HANDLE found[16];
        CK_ULONG count = 0;
        session = restart(PROD);
        clear_log();
        CK_RV rv =
            world.p11->C_FindObjectsInit(session, (CK_ATTRIBUTE *)searches[i].template, searches[i].count);
        if (!rv)
            ok(world.p11->C_FindObjects(session, found, 16, &count));
        if (rv || count != searches[i].found)
            fail_msg("%s: 0x%lx, %lu found", searches[i].sentence, rv, count);
        ok(world.p11->C_FindObjectsFinal(session));
        if (searches[i].quiet && requests(NULL))
            fail_msg("%s: %zu requests", searches[i].sentence, requests(NULL));
    }
}

/* Nothing but a search, and later an operation, may reach the network. */
static void test_no_network_before_the_first_search(void **state)
{
    CK_INFO info;
    CK_SLOT_ID list[8];
    CK_ULONG count = 8;
    CK_TOKEN_INFO token;
    CK_MECHANISM_TYPE mechanisms[64];
    CK_SESSION_INFO session_info;
    finalize();
    clear_log();
    initialize();
    ok(world.p11->C_GetInfo(&info));
    ok(world.p11->C_GetSlotList(CK_TRUE, list, &count));
    ok(world.p11->C_GetTokenInfo(PROD, &token));
    count = 64;
    ok(world.p11->C_GetMechanismList(PROD, mechanisms, &count));
    session = open_session(PROD);
    ok(world.p11->C_GetSessionInfo(session, &session_info));
    ok(world.p11->C_Login(session, CKU_USER, NULL, 0));
    ok(world.p11->C_Logout(session));
    assert_int_equal(requests(NULL), 0);
    find_one(session, CKO_PRIVATE_KEY, "signer");
    assert_true(requests(NULL) > 0);
    assert_int_equal(vault_requests(), 1);
}

/* A second look, and every attribute, answers from memory. */
static void test_what_is_known_costs_nothing(void **state)
{
    session = restart(PROD);
    find_one(session, CKO_PRIVATE_KEY, "signer");
    clear_log();
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "signer");
    unsigned char point[200];
    assert_true(attribute(session, key, CKA_EC_POINT, point, sizeof point) > 97);
    assert_int_equal(requests(NULL), 0);
}

/* With a map that knows them, a new process finds by label and by identifier without a single request. */
static void test_a_warm_map_answers_a_cold_process(void **state)
{
    configure("warm.db", "");
    session = restart(PROD);
    CK_BYTE id[20];
    attribute(session, find_one(session, CKO_PRIVATE_KEY, "kek"), CKA_ID, id, sizeof id);
    session = restart(PROD);
    clear_log();
    find_one(session, CKO_PRIVATE_KEY, "kek");
    assert_int_equal(find_all(session, CKO_PUBLIC_KEY, NULL, id, NULL, 0), 1);
    assert_int_equal(requests(NULL), 0);
    configure("none", "");
    session = restart(PROD);
}

/* --- states and settings --- */

static void state_of(CK_OBJECT_HANDLE object, char ret[32])
{
    size_t len = attribute(session, object, CKA_KVP11_STATE, ret, 31);
    ret[len] = 0;
}

static void test_disabled_and_expired_versions(void **state)
{
    CK_BYTE digest[32] = { 1 }, out[64];
    char word[32];
    CK_ULONG len = sizeof out;
    create_key("prod", "ending", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    change_key("prod", "ending", "latest", "{\"exp\":1000000000}");
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "ending");
    state_of(key, word);
    assert_string_equal(word, "expired");
    CK_DATE date;
    assert_int_equal(attribute(session, key, CKA_END_DATE, &date, sizeof date), sizeof date);
    assert_memory_equal(&date, "20010909", 8);
    clear_log();
    ok(world.p11->C_SignInit(session, &ecdsa, key));
    expect(CKR_KVP11_VERSION_NOT_VALID, world.p11->C_Sign(session, digest, 32, out, &len));
    assert_int_equal(requests("/sign"), 0);

    create_key("prod", "stopped", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    change_key("prod", "stopped", "latest", "{\"enabled\":false}");
    key = find_one(session, CKO_PRIVATE_KEY, "stopped");
    state_of(key, word);
    assert_string_equal(word, "disabled");
    ok(world.p11->C_SignInit(session, &ecdsa, key));
    expect(CKR_KVP11_VERSION_DISABLED, world.p11->C_Sign(session, digest, 32, out, &len));
    assert_int_equal(requests("/sign"), 0);
    char *log = module_log();
    assert_non_null(strstr(log, "C_Sign: CKR_KVP11_VERSION_DISABLED"));
    free(log);
}

static void test_an_expired_version_still_decrypts(void **state)
{
    create_key("prod", "archive", "{\"kty\":\"RSA\"}");
    CK_OBJECT_HANDLE open = find_one(session, CKO_PUBLIC_KEY, "archive");
    struct result cipher = encrypt(session, &oaep_sha256, open, "old data", 8);
    change_key("prod", "archive", "latest", "{\"exp\":1000000000}");
    session = restart(PROD);
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "archive");
    struct result plain = decrypt(session, &oaep_sha256, key, &cipher);
    assert_int_equal(plain.len, 8);
    struct result again = { .len = sizeof again.data };
    open = find_one(session, CKO_PUBLIC_KEY, "archive");
    ok(world.p11->C_EncryptInit(session, &oaep_sha256, open));
    expect(CKR_KVP11_VERSION_NOT_VALID,
           world.p11->C_Encrypt(session, (CK_BYTE *)"new", 3, again.data, &again.len));
}

static void test_key_ops_become_attributes(void **state)
{
    create_key("prod", "only-wrap", "{\"kty\":\"RSA\",\"key_ops\":[\"wrapKey\",\"unwrapKey\"]}");
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "only-wrap");
    assert_false(attribute_bool(session, key, CKA_SIGN));
    assert_true(attribute_bool(session, key, CKA_UNWRAP));
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED, world.p11->C_SignInit(session, &rsa_sha256, key));
}

static void test_old_versions_only_open(void **state)
{
    char label[256];
    configure("none", "old_versions = open-only");
    session = restart(PROD);
    snprintf(label, sizeof label, "kek@%s", old_version);
    CK_OBJECT_HANDLE old = find_one(session, CKO_PRIVATE_KEY, label);
    assert_false(attribute_bool(session, old, CKA_SIGN));
    assert_true(attribute_bool(session, old, CKA_DECRYPT));
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED, world.p11->C_SignInit(session, &rsa_sha256, old));
    assert_true(attribute_bool(session, find_one(session, CKO_PRIVATE_KEY, "kek"), CKA_SIGN));
    configure("none", "old_versions = none");
    session = restart(PROD);
    assert_int_equal(find_all(session, CKO_PRIVATE_KEY, label, NULL, NULL, 0), 0);
    configure("none", "");
    session = restart(PROD);
}

static void test_key_patterns_hide_the_rest(void **state)
{
    configure("none", "keys = sign*");
    session = restart(PROD);
    assert_int_equal(find_all(session, CKO_PRIVATE_KEY, NULL, NULL, NULL, 0), 1);
    clear_log();
    assert_int_equal(find_all(session, CKO_PRIVATE_KEY, "kek", NULL, NULL, 0), 0);
    assert_int_equal(requests(NULL), 0);
    configure("none", "");
    session = restart(PROD);
}

/* --- permissions --- */

static void test_without_list_permission_named_keys_are_found(void **state)
{
    configure_as("restore", "none", "keys = kek signer");
    session = restart(PROD);
    find_one(session, CKO_PRIVATE_KEY, "kek");
    session = restart(PROD);
    assert_true(find_all(session, CKO_PRIVATE_KEY, NULL, NULL, NULL, 0) >= 2);
    configure("none", "");
    session = restart(PROD);
}

static void test_one_forbidden_key_hides_no_other(void **state)
{
    control_do("POST", "/identities",
               "{\"id\":\"guest\",\"secret\":\"guest-secret\",\"perms\":\"get,list,sign,-get@signer\"}");
    configure_as("guest", "none", "");
    session = restart(PROD);
    assert_int_equal(find_all(session, CKO_PRIVATE_KEY, "signer", NULL, NULL, 0), 0);
    size_t count = find_all(session, CKO_PRIVATE_KEY, NULL, NULL, NULL, 0);
    assert_true(count >= 2);
    find_one(session, CKO_PRIVATE_KEY, "kek");
    configure("none", "");
    session = restart(PROD);
    assert_true(find_all(session, CKO_PRIVATE_KEY, NULL, NULL, NULL, 0) > count);
}

static void test_no_token_is_said(void **state)
{
    control_do("POST", "/identities", "{\"id\":\"stranger\",\"secret\":\"another\",\"perms\":\"*\"}");
    configure_as("stranger", "none", "");
    session = restart(PROD);
    CK_OBJECT_CLASS type = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type }, { CKA_LABEL, "kek", 3 } };
    expect(CKR_KVP11_CREDENTIAL, world.p11->C_FindObjectsInit(session, template, 2));
    expect(CKR_OPERATION_NOT_INITIALIZED, world.p11->C_FindObjectsFinal(session));
    char *log = module_log();
    assert_non_null(strstr(log, "C_FindObjectsInit: CKR_KVP11_CREDENTIAL"));
    assert_null(strstr(log, "another"));
    free(log);
    configure("none", "");
    session = restart(PROD);
}

/* A vault whose certificate is trusted, but has another key than the one that is pinned: it is told nothing. */
static void test_another_key_than_the_pinned_one(void **state)
{
    configure("none", "pin_certificate = sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    session = restart(PROD);
    CK_OBJECT_CLASS type = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type }, { CKA_LABEL, "kek", 3 } };
    clear_log();
    expect(CKR_KVP11_TLS, world.p11->C_FindObjectsInit(session, template, 2));
    assert_int_equal(requests(NULL), 0);
    char *log = module_log();
    assert_non_null(strstr(log, "`pin_certificate`"));
    free(log);
    configure("none", "");
    session = restart(PROD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bare_label_is_the_current_version),
        cmocka_unit_test(test_an_old_version_has_its_own_label),
        cmocka_unit_test(test_an_identifier_names_one_version),
        cmocka_unit_test(test_everything_is_listed_once),
        cmocka_unit_test(test_searches),
        cmocka_unit_test(test_no_network_before_the_first_search),
        cmocka_unit_test(test_what_is_known_costs_nothing),
        cmocka_unit_test(test_a_warm_map_answers_a_cold_process),
        cmocka_unit_test(test_disabled_and_expired_versions),
        cmocka_unit_test(test_an_expired_version_still_decrypts),
        cmocka_unit_test(test_key_ops_become_attributes),
        cmocka_unit_test(test_old_versions_only_open),
        cmocka_unit_test(test_key_patterns_hide_the_rest),
        cmocka_unit_test(test_without_list_permission_named_keys_are_found),
        cmocka_unit_test(test_one_forbidden_key_hides_no_other),
        cmocka_unit_test(test_no_token_is_said),
        cmocka_unit_test(test_another_key_than_the_pinned_one),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
