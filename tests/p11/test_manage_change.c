/* What applications may do to versions that are there: disable one that nobody needs, change its dates and its permissions, and nothing else. */
#include "manage_help.h"
#include "keys/backup_map.h"

static CK_SESSION_HANDLE session;
static char old_version[65], new_version[65];

static void with_map(const char *map, const char *settings)
{
    configure_as("operator", map, settings);
    CK_RV rv = world.p11->C_Finalize(NULL);
    assert_true(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED);
    initialize();
    session = open_rw(PROD);
}

static int start(void **state)
{
    if (world_start(state))
        return -1;
    kv_text_fit(old_version, sizeof old_version, create_key("prod", "kek", "{\"kty\":\"RSA\"}"));
    kv_text_fit(new_version, sizeof new_version, rotate_key("prod", "kek"));
    session = begin("operator", "manage = yes", PROD);
    return 0;
}

static CK_OBJECT_HANDLE key_at(CK_OBJECT_CLASS type, const char *version)
{
    char label[128];
    snprintf(label, sizeof label, "kek@%s", version);
    return find_one(session, type, version == new_version ? "kek" : label);
}

static void enable(const char *version)
{
    change_key("prod", "kek", version, "{\"attributes\":{\"enabled\":true}}");
}

/* --- C_DestroyObject --- */

static void test_destroying_disables_one_version(void **state)
{
    CK_OBJECT_HANDLE old = key_at(CKO_PRIVATE_KEY, old_version), new = key_at(CKO_PRIVATE_KEY, new_version);
    CK_BYTE out[512];
    CK_ULONG len = sizeof out;
    assert_true(attribute_bool(session, old, CKA_DESTROYABLE));
    clear_log();
    ok(world.p11->C_DestroyObject(session, old));
    assert_int_equal(vault_requests(), 1);
    assert_text(session, old, CKA_KVP11_STATE, "disabled");
    assert_text(session, key_at(CKO_PUBLIC_KEY, old_version), CKA_KVP11_STATE, "disabled");
    assert_text(session, new, CKA_KVP11_STATE, "enabled");
    assert_int_equal(key_at(CKO_PRIVATE_KEY, old_version), old); /* still there, under the same handle */
    ok(world.p11->C_SignInit(session, &rsa_sha256, new));
    ok(world.p11->C_Sign(session, (void *)"message", 7, out, &len));
    CK_RV rv = world.p11->C_SignInit(session, &rsa_sha256, old);
    len = sizeof out;
    if (!rv)
        rv = world.p11->C_Sign(session, (void *)"message", 7, out, &len);
    expect(CKR_KVP11_VERSION_DISABLED, rv);
    session = begin("operator", "manage = yes", PROD); /* the vault itself says so, too */
    assert_text(session, key_at(CKO_PRIVATE_KEY, old_version), CKA_KVP11_STATE, "disabled");
    assert_text(session, key_at(CKO_PRIVATE_KEY, new_version), CKA_KVP11_STATE, "enabled");
    enable(old_version);
}

static void test_the_public_half_stands_for_the_version(void **state)
{
    session = begin("operator", "manage = yes", PROD);
    CK_OBJECT_HANDLE public = key_at(CKO_PUBLIC_KEY, old_version);
    ok(world.p11->C_DestroyObject(session, public));
    assert_text(session, key_at(CKO_PRIVATE_KEY, old_version), CKA_KVP11_STATE, "disabled");
    ok(world.p11->C_DestroyObject(session, public)); /* again: it is disabled already */
    enable(old_version);
}

static void test_not_what_a_wrapped_key_needs(void **state)
{
    static const CK_BYTE value[16] = "0123456789abcdef";
    CK_BYTE wrapped[512];
    CK_ULONG len = sizeof wrapped;
    with_map("wraps.db", "manage = yes");
    ok(world.p11->C_WrapKey(session, &oaep_sha256, key_at(CKO_PUBLIC_KEY, old_version),
                            aes_key(session, value, 16, true), wrapped, &len));
    clear_log();
    expect(CKR_ACTION_PROHIBITED, world.p11->C_DestroyObject(session, key_at(CKO_PRIVATE_KEY, old_version)));
    assert_int_equal(vault_requests(), 0);
    assert_logged("is needed by 1 wrapped keys or ciphertexts");
    assert_logged("see `kvp11 retire-check https://prod.");
    assert_text(session, key_at(CKO_PRIVATE_KEY, old_version), CKA_KVP11_STATE, "enabled");
    ok(world.p11->C_DestroyObject(session,
                                  key_at(CKO_PRIVATE_KEY, new_version))); /* nothing needs this one */
    enable(new_version);
}

static void test_not_what_a_backup_needs(void **state)
{
    struct kv_map_recipient recipient;
    struct kv_map_backup backup = { .id = "set-7",
                                    .store = "/backups/7",
                                    .created = 1700000000,
                                    .recipients = &recipient,
                                    .recipient_count = 1 };
    const struct kv_map_query query = { .vault = "prod", .name = "kek", .version = old_version };
    KV_CLEANUP(kv_version_list_free) struct kv_version_list versions = { 0 };
    struct kv_map *map = NULL;
    char path[96];
    with_map("backups.db", "manage = yes");
    CK_OBJECT_HANDLE old = key_at(CKO_PRIVATE_KEY, old_version);
    snprintf(path, sizeof path, "%s/backups.db", world.dir);
    assert_int_equal(kv_map_open(path, &map, NULL), KV_OK);
    assert_int_equal(kv_map_find(map, &query, &versions, NULL), KV_OK);
    assert_int_equal(versions.count, 1);
    assert_true(kv_map_recipient_of(versions.items[0], "rsa-oaep-256", NULL, &recipient));
    assert_int_equal(kv_map_backup_put(map, &backup, 1, 1700000001, NULL), KV_OK);
    kv_map_free(map);
    clear_log();
    expect(CKR_ACTION_PROHIBITED, world.p11->C_DestroyObject(session, old));
    assert_int_equal(vault_requests(), 0);
    assert_logged("is needed by 1 backups, such as 'set-7' in '/backups/7' since '2023-11-14T22:13:20Z'");
    ok(world.p11->C_DestroyObject(session, key_at(CKO_PRIVATE_KEY, new_version)));
    enable(new_version);
}

static void test_a_lost_reply_is_asked_again(void **state)
{
    session = begin("operator", "manage = yes", PROD);
    CK_OBJECT_HANDLE old = key_at(CKO_PRIVATE_KEY, old_version);
    control_do("POST", "/faults",
               "{\"method\":\"PATCH\",\"path\":\"/keys/kek\",\"kind\":\"cut\",\"count\":1}");
    ok(world.p11->C_DestroyObject(session, old)); /* to disable twice is to disable once */
    control_do("DELETE", "/faults", NULL);
    assert_text(session, old, CKA_KVP11_STATE, "disabled");
    enable(old_version);
}

/* --- C_SetAttributeValue --- */

static const CK_BBOOL truth = CK_TRUE, untruth = CK_FALSE;
static const struct {
    const char *sentence;
    CK_ATTRIBUTE template[2];
    CK_ULONG count;
    CK_RV rv;
} refused[] = {
    { "a name is for ever", { TEXT(CKA_LABEL, "other") }, 1, CKR_ATTRIBUTE_READ_ONLY },
    { "even if it were the same", { TEXT(CKA_LABEL, "kek") }, 1, CKR_ATTRIBUTE_READ_ONLY },
    { "an identifier comes from the key", { TEXT(CKA_ID, "\x01") }, 1, CKR_ATTRIBUTE_READ_ONLY },
    { "half of what stands for one permission",
      { ITEM(CKA_DECRYPT, untruth) },
      1,
      CKR_TEMPLATE_INCONSISTENT },
    { "a secret cannot be given away", { ITEM(CKA_SENSITIVE, untruth) }, 1, CKR_ATTRIBUTE_READ_ONLY },
    { "nor taken out", { ITEM(CKA_EXTRACTABLE, truth) }, 1, CKR_ATTRIBUTE_READ_ONLY },
    { "the modulus stays", { TEXT(CKA_MODULUS, "12345678") }, 1, CKR_ATTRIBUTE_READ_ONLY },
    { "what is no attribute of it", { TEXT(CKA_VALUE_LEN, "12345678") }, 1, CKR_ATTRIBUTE_TYPE_INVALID },
    { "a vendor's", { TEXT(CKA_KVP11_STATE, "enabled") }, 1, CKR_ATTRIBUTE_READ_ONLY },
    { "a malformed truth", { TEXT(CKA_SIGN, "12") }, 1, CKR_ATTRIBUTE_VALUE_INVALID },
    { "no day", { TEXT(CKA_END_DATE, "20991341") }, 1, CKR_ATTRIBUTE_VALUE_INVALID },
    { "an end before the beginning",
      { TEXT(CKA_START_DATE, "20300102"), TEXT(CKA_END_DATE, "20300101") },
      2,
      CKR_TEMPLATE_INCONSISTENT },
    { "the same twice",
      { TEXT(CKA_END_DATE, "20300102"), TEXT(CKA_END_DATE, "20300101") },
      2,
      CKR_TEMPLATE_INCONSISTENT },
    { "a good one beside a bad one",
      { TEXT(CKA_END_DATE, "20991231"), TEXT(CKA_LABEL, "x") },
      2,
      CKR_ATTRIBUTE_READ_ONLY },
    { "what is so already", { ITEM(CKA_SIGN, truth), ITEM(CKA_SENSITIVE, truth) }, 2, CKR_OK },
    { "nothing", { { 0 } }, 0, CKR_OK },
};

static void test_what_cannot_be_changed(void **state)
{
    session = begin("operator", "manage = yes", PROD);
    CK_OBJECT_HANDLE key = key_at(CKO_PRIVATE_KEY, new_version);
    clear_log();
    for (size_t i = 0; i < COUNT(refused); i++) {
        CK_RV rv = world.p11->C_SetAttributeValue(session, key, (CK_ATTRIBUTE *)refused[i].template,
                                                  refused[i].count);
        if (rv != refused[i].rv)
            fail_msg("%s: 0x%lx instead of 0x%lx", refused[i].sentence, rv, refused[i].rv);
    }
    assert_int_equal(requests(NULL), 0);
    assert_logged("the name of key 'kek' cannot be changed");
}

static void test_permissions(void **state)
{
    CK_OBJECT_HANDLE key = key_at(CKO_PRIVATE_KEY, new_version), public = key_at(CKO_PUBLIC_KEY, new_version);
    CK_ATTRIBUTE closed[] = { ITEM(CKA_DECRYPT, untruth), ITEM(CKA_UNWRAP, untruth) };
    CK_ATTRIBUTE open[] = { ITEM(CKA_DECRYPT, truth), ITEM(CKA_UNWRAP, truth) };
    CK_ATTRIBUTE no_sign[] = { ITEM(CKA_SIGN, untruth) }, sign_again[] = { ITEM(CKA_SIGN, truth) };
    ok(world.p11->C_SetAttributeValue(session, key, closed, 2));
    assert_false(attribute_bool(session, key, CKA_DECRYPT));
    assert_true(attribute_bool(session, key, CKA_SIGN));
    assert_true(attribute_bool(session, public, CKA_ENCRYPT));
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED, world.p11->C_DecryptInit(session, &oaep_sha256, key));
    ok(world.p11->C_SetAttributeValue(session, key, open, 2));
    ok(world.p11->C_SetAttributeValue(session, key, no_sign, 1));
    session = begin("operator", "manage = yes", PROD); /* the vault itself says so, too */
    key = key_at(CKO_PRIVATE_KEY, new_version);
    assert_true(attribute_bool(session, key, CKA_DECRYPT));
    assert_false(attribute_bool(session, key, CKA_SIGN));
    assert_true(attribute_bool(session, key_at(CKO_PRIVATE_KEY, old_version), CKA_SIGN));
    ok(world.p11->C_SetAttributeValue(session, key, sign_again, 1));
    struct result signature = sign(session, &rsa_sha256, key, "message", 7);
    assert_int_equal(signature.len, 256);
}

static void test_dates(void **state)
{
    CK_OBJECT_HANDLE key = key_at(CKO_PRIVATE_KEY, new_version);
    CK_ATTRIBUTE both[] = { TEXT(CKA_START_DATE, "20010101"), TEXT(CKA_END_DATE, "20010102") };
    CK_ATTRIBUTE one_day[] = { TEXT(CKA_START_DATE, "20200229"), TEXT(CKA_END_DATE, "20200229") };
    CK_ATTRIBUTE later[] = { TEXT(CKA_END_DATE, "20991231") };
    ok(world.p11->C_SetAttributeValue(session, key, one_day, 2)); /* the last day belongs to it, to its end */
    ok(world.p11->C_SetAttributeValue(session, key, both, 2));
    assert_text(session, key, CKA_START_DATE, "20010101");
    assert_text(session, key, CKA_END_DATE, "20010102");
    assert_text(session, key, CKA_KVP11_STATE, "expired");
    ok(world.p11->C_SetAttributeValue(session, key, later, 1));
    assert_text(session, key, CKA_END_DATE, "20991231");
    assert_text(session, key, CKA_START_DATE, "20010101");
    assert_text(session, key, CKA_KVP11_STATE, "enabled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_destroying_disables_one_version),
        cmocka_unit_test(test_the_public_half_stands_for_the_version),
        cmocka_unit_test(test_not_what_a_wrapped_key_needs),
        cmocka_unit_test(test_not_what_a_backup_needs),
        cmocka_unit_test(test_a_lost_reply_is_asked_again),
        cmocka_unit_test(test_what_cannot_be_changed),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
