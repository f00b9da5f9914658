/* Keys that applications make in a vault, and what they may do to those that are there. What came of it is asked of the vault, or proved by use. */
#include "manage_help.h"

static CK_SESSION_HANDLE session;

static int start(void **state)
{
    if (world_start(state))
        return -1;
    session = begin("operator", "manage = yes", PROD);
    return 0;
}

/* --- C_GenerateKeyPair --- */

static void test_an_rsa_pair(void **state)
{
    static const CK_ULONG bits = 3072;
    static const CK_BYTE f4[] = { 1, 0, 1 };
    static const CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY, public_class = CKO_PUBLIC_KEY;
    static const CK_KEY_TYPE rsa = CKK_RSA;
    /* As pkcs11-tool sends them, with its identifier and its CKA_PRIVATE. */
    CK_ATTRIBUTE public[] = { ITEM(CKA_CLASS, public_class), ITEM(CKA_TOKEN, yes),
                              ITEM(CKA_MODULUS_BITS, bits),  ITEM(CKA_PUBLIC_EXPONENT, f4),
                              ITEM(CKA_VERIFY, yes),         ITEM(CKA_KEY_TYPE, rsa),
                              TEXT(CKA_LABEL, "made-rsa"),   TEXT(CKA_ID, "\x01"),
                              ITEM(CKA_PRIVATE, no) };
    CK_ATTRIBUTE private[] = {
        ITEM(CKA_CLASS, private_class), ITEM(CKA_TOKEN, yes),        ITEM(CKA_PRIVATE, yes),
        ITEM(CKA_SENSITIVE, yes),       ITEM(CKA_EXTRACTABLE, no),   ITEM(CKA_SIGN, yes),
        ITEM(CKA_KEY_TYPE, rsa),        TEXT(CKA_LABEL, "made-rsa"), TEXT(CKA_ID, "\x01")
    };
    struct pair pair = { 0 };
    CK_ULONG is = 0;
    ok(world.p11->C_GenerateKeyPair(session, &rsa_pair, public, COUNT(public), private, COUNT(private),
                                    &pair.public, &pair.private));
    assert_text(session, pair.private, CKA_LABEL, "made-rsa");
    attribute(session, pair.private, CKA_MODULUS_BITS, &is, sizeof is);
    assert_int_equal(is, 3072);
    assert_true(attribute_bool(session, pair.private, CKA_TOKEN));
    assert_true(attribute_bool(session, pair.private, CKA_SENSITIVE));
    assert_false(attribute_bool(session, pair.private, CKA_PRIVATE));
    assert_false(attribute_bool(session, pair.private, CKA_EXTRACTABLE));
    assert_true(attribute_bool(session, pair.private, CKA_SIGN));
    assert_false(attribute_bool(session, pair.private, CKA_DECRYPT)); /* nobody asked for it */
    assert_false(attribute_bool(session, pair.public, CKA_ENCRYPT));
    CK_BYTE ids[2][20];
    assert_int_equal(attribute(session, pair.private, CKA_ID, ids[0], 20), 20);
    assert_int_equal(attribute(session, pair.public, CKA_ID, ids[1], 20), 20);
    assert_memory_equal(ids[0], ids[1], 20);
    struct result signature = sign(session, &rsa_sha256, pair.private, "message", 7);
    assert_true(verifies(session, &rsa_sha256, pair.public, BYTES("message", 7), &signature));
    assert_int_equal(find_one(session, CKO_PRIVATE_KEY, "made-rsa"), pair.private);
    assert_int_equal(find_one(session, CKO_PUBLIC_KEY, "made-rsa"), pair.public);
    assert_logged("CKA_ID is not used");
}

static void test_without_usage_the_service_decides(void **state)
{
    struct pair pair;
    ok(make_rsa(session, "any-use", &pair));
    struct result cipher = encrypt(session, &oaep_sha256, pair.public, "secret", 6);
    struct result plain = decrypt(session, &oaep_sha256, pair.private, &cipher);
    assert_memory_equal(plain.data, "secret", 6);
    assert_true(attribute_bool(session, pair.private, CKA_SIGN));
}

static void test_a_pair_on_each_curve(void **state)
{
    for (size_t i = 0; i < COUNT(ec_names); i++) {
        char label[32];
        CK_BYTE params[16];
        struct pair pair = { 0 };
        snprintf(label, sizeof label, "made-%s", ec_names[i].curve);
        CK_ATTRIBUTE public[] = { { CKA_EC_PARAMS, (void *)ec_names[i].params, ec_names[i].len },
                                  { CKA_LABEL, label, strlen(label) },
                                  ITEM(CKA_DERIVE, yes) };
        CK_ATTRIBUTE private[] = { ITEM(CKA_TOKEN, yes), ITEM(CKA_SIGN, yes), ITEM(CKA_DERIVE, yes) };
        ok(world.p11->C_GenerateKeyPair(session, &ec_pair, public, 3, private, 3, &pair.public,
                                        &pair.private));
        assert_int_equal(attribute(session, pair.public, CKA_EC_PARAMS, params, sizeof params),
                         ec_names[i].len);
        assert_memory_equal(params, ec_names[i].params, ec_names[i].len);
        struct result signature = sign(session, &ecdsa_sha256, pair.private, "message", 7);
        assert_true(verifies(session, &ecdsa_sha256, pair.public, BYTES("message", 7), &signature));
    }
    assert_logged("CKA_DERIVE is not granted");
}

static void test_dates(void **state)
{
    static const CK_ULONG bits = 2048;
    CK_ATTRIBUTE public[] = { ITEM(CKA_TOKEN, yes), ITEM(CKA_MODULUS_BITS, bits) };
    CK_ATTRIBUTE private[] = { ITEM(CKA_TOKEN, yes), TEXT(CKA_LABEL, "dated"),
                               TEXT(CKA_START_DATE, "20200229"), TEXT(CKA_END_DATE, "20991231") };
    struct pair pair;
    ok(world.p11->C_GenerateKeyPair(session, &rsa_pair, public, 2, private, 4, &pair.public, &pair.private));
    assert_text(session, pair.private, CKA_START_DATE, "20200229");
    assert_text(session, pair.public, CKA_END_DATE, "20991231");
    struct result signature = sign(session, &rsa_sha256, pair.private, "message", 7);
    assert_int_equal(signature.len, 256);
}

#define LABEL TEXT(CKA_LABEL, "never-made")
#define TOKEN ITEM(CKA_TOKEN, yes)

/* --- names that exist --- */

static void test_an_existing_name_is_refused(void **state)
{
    struct pair pair;
    const char *version = create_key("prod", "taken", "{\"kty\":\"RSA\"}");
    clear_log();
    expect(CKR_TEMPLATE_INCONSISTENT, make_rsa(session, "taken", &pair));
    assert_int_equal(requests("/create"), 0);
    assert_logged("new_version = yes");
    assert_text(session, find_one(session, CKO_PRIVATE_KEY, "taken"), CKA_KVP11_VERSION, version);
    create_key("prod", "gone", "{\"kty\":\"RSA\"}");
    control_do("POST", "/vaults/prod/keys/gone/delete", NULL);
    expect(CKR_TEMPLATE_INCONSISTENT, make_rsa(session, "gone", &pair)); /* deleted, and still in the way */
}

static void test_new_version(void **state)
{
    struct pair pair;
    char label[128], version[256];
    const char *old = create_key("prod", "grows", "{\"kty\":\"RSA\"}");
    session = begin("operator", "manage = yes\nnew_version = yes", PROD);
    ok(make_rsa(session, "grows", &pair));
    text_of(session, pair.private, CKA_KVP11_VERSION, version);
    assert_string_not_equal(version, old);
    assert_int_equal(find_one(session, CKO_PRIVATE_KEY, "grows"), pair.private);
    snprintf(label, sizeof label, "grows@%s", old);
    assert_text(session, find_one(session, CKO_PRIVATE_KEY, label), CKA_KVP11_VERSION, old);
    ok(make_rsa(session, "new-born", &pair));
    assert_text(session, pair.private, CKA_LABEL, "new-born");
    session = begin("operator", "manage = yes", PROD);
}

/* --- lost replies --- */

/* The fault comes at the POST; the key is there all the same, and was asked for once. */
static void lose_reply(const char *label, const char *kind, CK_RV rv)
{
    struct pair pair;
    char fault[160], path[96];
    snprintf(fault, sizeof fault, "{\"method\":\"POST\",\"path\":\"/create\",\"kind\":\"%s\",\"count\":1}",
             kind);
    snprintf(path, sizeof path, "/keys/%s/create", label);
    clear_log();
    control_do("POST", "/faults", fault);
    expect(rv, make_rsa(session, label, &pair));
    control_do("DELETE", "/faults", NULL);
    assert_int_equal(requests(path), 1);
    if (rv)
        return;
    struct result signature = sign(session, &rsa_sha256, pair.private, "message", 7);
    assert_true(verifies(session, &rsa_sha256, pair.public, BYTES("message", 7), &signature));
}

static size_t count_versions(const char *label)
{
    CK_OBJECT_HANDLE found[64];
    size_t count = find_all(session, CKO_PRIVATE_KEY, NULL, NULL, found, 64), with = 0;
    for (size_t i = 0; i < count; i++) {
        char text[256];
        text_of(session, found[i], CKA_LABEL, text);
        with += !strncmp(text, label, strlen(label)) && (!text[strlen(label)] || text[strlen(label)] == '@');
    }
    return with;
}

static void test_a_lost_reply_is_not_a_second_key(void **state)
{
    session = begin("operator", "manage = yes\nnew_version = yes", PROD);
    lose_reply("lost-reply", "cut", CKR_OK);
    lose_reply("lost-reply", "cut", CKR_OK); /* and so for a next version */
    lose_reply("lost-json", "broken_json", CKR_OK);
    lose_reply("lost-request", "cut_before", CKR_DEVICE_ERROR);
    session = begin("operator", "manage = yes", PROD);
    assert_int_equal(count_versions("lost-reply"), 2);
    assert_int_equal(count_versions("lost-json"), 1);
    assert_int_equal(count_versions("lost-request"), 0);
}

/* --- who may --- */

static void test_not_without_manage(void **state)
{
    struct pair pair;
    CK_TOKEN_INFO token;
    CK_MECHANISM_INFO info;
    session = begin("operator", "", PROD);
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "taken");
    clear_log();
    expect(CKR_TOKEN_WRITE_PROTECTED, make_rsa(session, "never-made", &pair));
    /* Halves in two places cannot be had anywhere. */
    CK_ATTRIBUTE here[] = { ITEM(CKA_TOKEN, no) }, there[] = { ITEM(CKA_TOKEN, yes) };
    expect(CKR_TEMPLATE_INCONSISTENT,
           world.p11->C_GenerateKeyPair(session, &rsa_pair, here, 1, there, 1, &pair.public, &pair.private));
    expect(CKR_TEMPLATE_INCONSISTENT,
           world.p11->C_GenerateKeyPair(session, &rsa_pair, there, 1, here, 1, &pair.public, &pair.private));
    expect(CKR_ACTION_PROHIBITED, world.p11->C_DestroyObject(session, key));
    CK_ATTRIBUTE label = LABEL;
    expect(CKR_ACTION_PROHIBITED, world.p11->C_SetAttributeValue(session, key, &label, 1));
    assert_int_equal(requests(NULL), 0);
    assert_logged("set `manage = yes`");
    assert_false(attribute_bool(session, key, CKA_MODIFIABLE));
    assert_false(attribute_bool(session, key, CKA_DESTROYABLE));
    ok(world.p11->C_GetTokenInfo(PROD, &token));
    assert_true(token.flags & CKF_WRITE_PROTECTED);
    session = begin("operator", "manage = yes", PROD);
    ok(world.p11->C_GetTokenInfo(PROD, &token));
    assert_false(token.flags & CKF_WRITE_PROTECTED);
    ok(world.p11->C_GetMechanismInfo(PROD, CKM_RSA_PKCS_KEY_PAIR_GEN, &info));
    assert_int_equal(info.ulMinKeySize, 2048);
    assert_int_equal(info.ulMaxKeySize, 4096);
    assert_true(info.flags & CKF_GENERATE_KEY_PAIR);
    ok(world.p11->C_GetMechanismInfo(PROD, CKM_EC_KEY_PAIR_GEN, &info));
    assert_int_equal(info.ulMinKeySize, 256);
    assert_int_equal(info.ulMaxKeySize, 521);
    assert_true(info.flags & CKF_GENERATE_KEY_PAIR && info.flags & CKF_EC_NAMEDCURVE);
}

static void test_not_in_a_read_only_session(void **state)
{
    struct pair pair;
    CK_SESSION_HANDLE reading = open_session(PROD);
    CK_OBJECT_HANDLE key = find_one(reading, CKO_PRIVATE_KEY, "taken");
    CK_ATTRIBUTE end = TEXT(CKA_END_DATE, "20991231");
    clear_log();
    expect(CKR_SESSION_READ_ONLY, make_rsa(reading, "never-made", &pair));
    expect(CKR_SESSION_READ_ONLY, world.p11->C_DestroyObject(reading, key));
    expect(CKR_SESSION_READ_ONLY, world.p11->C_SetAttributeValue(reading, key, &end, 1));
    assert_int_equal(requests(NULL), 0);
    ok(world.p11->C_CloseSession(reading));
}

static void test_an_identity_without_permission(void **state)
{
    struct pair pair;
    session = begin("workload", "manage = yes", PROD);
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED, make_rsa(session, "never-made", &pair));
    assert_logged("'never-made' in vault 'prod': create: permission denied");
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED,
           world.p11->C_DestroyObject(session, find_one(session, CKO_PRIVATE_KEY, "taken")));
    assert_logged("update: permission denied");
    session = begin("operator", "manage = yes\nkeys = made-*", PROD);
    expect(CKR_ATTRIBUTE_VALUE_INVALID, make_rsa(session, "never-made", &pair));
    assert_logged("is not among `keys =`");
    session = begin("operator", "manage = yes", PROD);
    assert_int_equal(count_versions("never-made"), 0);
}

/* --- secret keys of a Managed HSM --- */

static CK_RV make_secret(CK_MECHANISM_TYPE type, const char *label, CK_ULONG len, CK_OBJECT_HANDLE *ret)
{
    CK_MECHANISM mechanism = { type, NULL, 0 };
    CK_ATTRIBUTE template[] = { TOKEN,
                                { CKA_LABEL, (void *)label, strlen(label) },
                                ITEM(CKA_VALUE_LEN, len) };
    return world.p11->C_GenerateKey(session, &mechanism, template, 3, ret);
}

static void test_secret_keys(void **state)
{
    static const CK_BYTE value[16] = "0123456789abcdef";
    CK_OBJECT_HANDLE key = 0;
    CK_BYTE wrapped[64];
    CK_ULONG len = sizeof wrapped, is = 0;
    CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 };
    expect(CKR_TEMPLATE_INCONSISTENT,
           make_secret(CKM_AES_KEY_GEN, "made-aes", 32, &key)); /* a vault has none */
    session = begin("operator", "manage = yes", HSM);
    expect(CKR_ATTRIBUTE_VALUE_INVALID, make_secret(CKM_AES_KEY_GEN, "made-aes", 20, &key));
    expect(CKR_ATTRIBUTE_VALUE_INVALID, make_secret(CKM_AES_KEY_GEN, "made_aes", 32, &key));
    ok(make_secret(CKM_AES_KEY_GEN, "made-aes", 24, &key));
    assert_text(session, key, CKA_LABEL, "made-aes");
    attribute(session, key, CKA_CLASS, &is, sizeof is);
    assert_int_equal(is, CKO_SECRET_KEY);
    assert_true(attribute_bool(session, key, CKA_SENSITIVE));
    ok(world.p11->C_WrapKey(session, &kw, key, aes_key(session, value, 16, true), wrapped, &len));
    assert_int_equal(len, 24);
    expect(CKR_TEMPLATE_INCONSISTENT, make_secret(CKM_AES_KEY_GEN, "made-aes", 32, &key));
    ok(make_secret(CKM_GENERIC_SECRET_KEY_GEN, "made-mac", 32, &key));
    assert_false(attribute_bool(session, key, CKA_WRAP)); /* made to authenticate */
    struct pair pair;
    ok(make_rsa(session, "made-in-hsm", &pair));
    struct result signature = sign(session, &rsa_sha256, pair.private, "message", 7);
    assert_true(verifies(session, &rsa_sha256, pair.public, BYTES("message", 7), &signature));
    session = begin("operator", "manage = yes", PROD);
}

/* The emulator's `prod` is a Standard vault, which has no hardware: that it was asked for shows in the refusal. */
static void test_new_keys_in_hardware(void **state)
{
    struct pair pair;
    session = begin("operator", "manage = yes\nnew_keys = hsm", PROD);
    expect(CKR_TEMPLATE_INCONSISTENT, make_rsa(session, "made-hard", &pair));
    assert_logged("Key type 'RSA-HSM' is not supported");
    session = begin("operator", "manage = yes", PROD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_rsa_pair),
        cmocka_unit_test(test_without_usage_the_service_decides),
        cmocka_unit_test(test_a_pair_on_each_curve),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_an_existing_name_is_refused),
        cmocka_unit_test(test_new_version),
        cmocka_unit_test(test_a_lost_reply_is_not_a_second_key),
        cmocka_unit_test(test_not_without_manage),
        cmocka_unit_test(test_not_in_a_read_only_session),
        cmocka_unit_test(test_an_identity_without_permission),
        cmocka_unit_test(test_secret_keys),
        cmocka_unit_test(test_new_keys_in_hardware),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
