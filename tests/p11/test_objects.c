/* What an application sees of a vault: slots, tokens, sessions, the attributes of its objects, their handles. */
#include "harness.h"

#include <stdio.h>

static CK_SESSION_HANDLE session;

static int start(void **state)
{
    if (world_start(state))
        return -1;
    create_key("prod", "kek", "{\"kty\":\"RSA\"}");
    create_key("prod", "signer", "{\"kty\":\"EC\",\"crv\":\"P-384\"}");
    create_key("hsm", "wrapper", "{\"kty\":\"oct-HSM\",\"key_size\":256}");
    initialize();
    session = open_session(PROD);
    return 0;
}

/* --- slots and tokens --- */

static void test_slots(void **state)
{
    CK_SLOT_ID list[8];
    CK_ULONG count = (CK_ULONG)-3;
    ok(world.p11->C_GetSlotList(CK_TRUE, NULL, &count));
    assert_int_equal(count, 3);
    count = 2;
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_GetSlotList(CK_TRUE, list, &count));
    assert_int_equal(count, 3);
    count = 8;
    ok(world.p11->C_GetSlotList(CK_FALSE, list, &count));
    assert_int_equal(count, 3);
    expect(CKR_ARGUMENTS_BAD, world.p11->C_GetSlotList(CK_TRUE, list, NULL));
}

static void test_tokens(void **state)
{
    static const char *const labels[] = { "prod", "dr", "hsm" }, *const models[] = { "Key Vault", "Key Vault",
                                                                                     "Managed HSM" };
    char serials[3][17] = { "" };
    for (CK_SLOT_ID slot = 0; slot < 3; slot++) {
        CK_TOKEN_INFO token;
        CK_SLOT_INFO info;
        char expected[33];
        ok(world.p11->C_GetSlotInfo(slot, &info));
        assert_int_equal(info.flags, CKF_TOKEN_PRESENT);
        ok(world.p11->C_GetTokenInfo(slot, &token));
        snprintf(expected, sizeof expected, "%-32s", labels[slot]);
        assert_memory_equal(token.label, expected, 32);
        snprintf(expected, sizeof expected, "%-16s", models[slot]);
        assert_memory_equal(token.model, expected, 16);
        snprintf(expected, sizeof expected, "%-32s", "kvp11");
        assert_memory_equal(token.manufacturerID, expected, 32);
        assert_int_equal(token.flags, CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | CKF_WRITE_PROTECTED);
        memcpy(serials[slot], token.serialNumber, 16);
        assert_int_equal(strspn(serials[slot], "0123456789abcdef"), 16);
        for (CK_SLOT_ID other = 0; other < slot; other++)
            assert_string_not_equal(serials[slot], serials[other]);
    }
    CK_TOKEN_INFO token;
    expect(CKR_SLOT_ID_INVALID, world.p11->C_GetTokenInfo(3, &token));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_GetTokenInfo(0, NULL));
}

/* --- attributes --- */

static const CK_ATTRIBUTE_TYPE common[] = {
    CKA_CLASS,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_MODIFIABLE,
    CKA_COPYABLE,
    CKA_DESTROYABLE,
    CKA_LABEL,
    CKA_KEY_TYPE,
    CKA_ID,
    CKA_START_DATE,
    CKA_END_DATE,
    CKA_LOCAL,
    CKA_DERIVE,
    CKA_SUBJECT,
    CKA_KEY_GEN_MECHANISM,
    CKA_ALLOWED_MECHANISMS,
    CKA_PUBLIC_KEY_INFO,
    0x4UL /* CKA_UNIQUE_ID */,
    CKA_KVP11_KID,
    CKA_KVP11_VERSION,
    CKA_KVP11_STATE,
    CKA_KVP11_CREATED,
    CKA_KVP11_SPKI_SHA256,
};
static const CK_ATTRIBUTE_TYPE of_private[] = {
    CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE,   CKA_SIGN,
    CKA_DECRYPT,   CKA_UNWRAP,      CKA_SIGN_RECOVER,     CKA_ALWAYS_AUTHENTICATE, CKA_WRAP_WITH_TRUSTED,
};
static const CK_ATTRIBUTE_TYPE of_public[] = { CKA_VERIFY, CKA_ENCRYPT, CKA_WRAP, CKA_VERIFY_RECOVER,
                                               CKA_TRUSTED };
static const CK_ATTRIBUTE_TYPE of_rsa[] = { CKA_MODULUS, CKA_MODULUS_BITS, CKA_PUBLIC_EXPONENT };
static const CK_ATTRIBUTE_TYPE of_ec[] = { CKA_EC_PARAMS, CKA_EC_POINT };

static void has(CK_OBJECT_HANDLE object, const CK_ATTRIBUTE_TYPE *types, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char value[1024];
        CK_ATTRIBUTE size = { types[i], NULL, 7 }, item = { types[i], value, sizeof value };
        CK_RV rv = world.p11->C_GetAttributeValue(session, object, &size, 1);
        if (rv)
            fail_msg("attribute 0x%lx: 0x%lx", types[i], rv);
        ok(world.p11->C_GetAttributeValue(session, object, &item, 1));
        assert_int_equal(size.ulValueLen, item.ulValueLen);
    }
}
#define HAS(object, types) has(object, types, sizeof types / sizeof *types)

static void test_every_attribute_that_clients_ask_for(void **state)
{
    static const char *const labels[] = { "kek", "signer" };
    for (int i = 0; i < 2; i++) {
        CK_OBJECT_HANDLE private_key = find_one(session, CKO_PRIVATE_KEY, labels[i]);
        CK_OBJECT_HANDLE public_key = find_one(session, CKO_PUBLIC_KEY, labels[i]);
        HAS(private_key, common);
        HAS(public_key, common);
        HAS(private_key, of_private);
        HAS(public_key, of_public);
        has(private_key, i ? of_ec : of_rsa, i ? 2 : 3);
        has(public_key, i ? of_ec : of_rsa, i ? 2 : 3);
    }
}

static const struct {
    CK_ATTRIBUTE_TYPE type;
    CK_BBOOL value;
} truths[] = {
    { CKA_TOKEN, 1 },
    { CKA_PRIVATE, 0 },
    { CKA_MODIFIABLE, 0 },
    { CKA_COPYABLE, 0 },
    { CKA_DESTROYABLE, 0 },
    { CKA_SENSITIVE, 1 },
    { CKA_EXTRACTABLE, 0 },
    { CKA_ALWAYS_SENSITIVE, 1 },
    { CKA_NEVER_EXTRACTABLE, 1 },
    { CKA_SIGN, 1 },
    { CKA_DECRYPT, 1 },
    { CKA_UNWRAP, 1 },
    { CKA_SIGN_RECOVER, 0 },
    { CKA_DERIVE, 0 },
    { CKA_ALWAYS_AUTHENTICATE, 0 },
    { CKA_WRAP_WITH_TRUSTED, 0 },
};

static void test_values(void **state)
{
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "kek");
    for (size_t i = 0; i < sizeof truths / sizeof *truths; i++)
        if (attribute_bool(session, key, truths[i].type) != truths[i].value)
            fail_msg("attribute 0x%lx is not %d", truths[i].type, truths[i].value);
    unsigned char text[600];
    CK_ULONG bits;
    attribute(session, key, CKA_MODULUS_BITS, &bits, sizeof bits);
    assert_int_equal(bits, 2048);
    assert_int_equal(attribute(session, key, CKA_MODULUS, text, sizeof text), 256);
    assert_true(text[0] & 0x80);
    assert_int_equal(attribute(session, key, CKA_PUBLIC_EXPONENT, text, sizeof text), 3);
    assert_memory_equal(text, "\x01\x00\x01", 3);
    size_t len = attribute(session, key, CKA_KVP11_STATE, text, sizeof text);
    assert_int_equal(len, 7);
    assert_memory_equal(text, "enabled", 7);
    len = attribute(session, key, CKA_KVP11_KID, text, sizeof text);
    text[len] = 0;
    assert_non_null(strstr((char *)text, "/keys/kek/"));
    assert_int_equal(attribute(session, key, CKA_SUBJECT, text, sizeof text), 0);
    CK_OBJECT_HANDLE ec = find_one(session, CKO_PUBLIC_KEY, "signer");
    assert_int_equal(attribute(session, ec, CKA_EC_PARAMS, text, sizeof text), 7);
    assert_memory_equal(text, "\x06\x05\x2b\x81\x04\x00\x22", 7);
    assert_int_equal(attribute(session, ec, CKA_EC_POINT, text, sizeof text), 99);
    assert_memory_equal(text, "\x04\x61\x04", 3);
    assert_false(attribute_bool(session, ec, CKA_ENCRYPT));
}

static void test_pair_and_unique_identifiers(void **state)
{
    CK_OBJECT_HANDLE private_key = find_one(session, CKO_PRIVATE_KEY, "kek");
    CK_OBJECT_HANDLE public_key = find_one(session, CKO_PUBLIC_KEY, "kek");
    unsigned char a[600], b[600];
    assert_int_equal(attribute(session, private_key, CKA_ID, a, sizeof a), 20);
    assert_int_equal(attribute(session, public_key, CKA_ID, b, sizeof b), 20);
    assert_memory_equal(a, b, 20);
    size_t a_len = attribute(session, private_key, 0x4UL, a, sizeof a);
    size_t b_len = attribute(session, public_key, 0x4UL, b, sizeof b);
    assert_false(a_len == b_len && !memcmp(a, b, a_len));
}

/* One attribute of a batch that is missing, secret or too large for its buffer, in every place: the others are answered all the same. */
static void test_batches_are_answered_in_full(void **state)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        CK_ULONG room;
        CK_RV rv;
    } bad[] = { { 0x80001234UL, 8, CKR_ATTRIBUTE_TYPE_INVALID },
                { CKA_EC_POINT, 200, CKR_ATTRIBUTE_TYPE_INVALID },
                { CKA_PRIVATE_EXPONENT, 256, CKR_ATTRIBUTE_SENSITIVE },
                { CKA_MODULUS, 10, CKR_BUFFER_TOO_SMALL } };
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "kek");
    for (size_t kind = 0; kind < 4; kind++)
        for (size_t place = 0; place < 4; place++) {
            CK_OBJECT_CLASS type = 0;
            CK_BBOOL token = 7;
            unsigned char exponent[8], other[256];
            CK_ATTRIBUTE good[3] = { { CKA_CLASS, &type, sizeof type },
                                     { CKA_TOKEN, &token, sizeof token },
                                     { CKA_PUBLIC_EXPONENT, exponent, sizeof exponent } };
            CK_ATTRIBUTE items[4];
            for (size_t i = 0, k = 0; i < 4; i++)
                items[i] = i == place ? (CK_ATTRIBUTE){ bad[kind].type, other, bad[kind].room } : good[k++];
            expect(bad[kind].rv, world.p11->C_GetAttributeValue(session, key, items, 4));
            assert_int_equal(items[place].ulValueLen, CK_UNAVAILABLE_INFORMATION);
            assert_int_equal(type, CKO_PRIVATE_KEY);
            assert_int_equal(token, CK_TRUE);
            for (size_t i = 0; i < 4; i++)
                if (items[i].type == CKA_PUBLIC_EXPONENT)
                    assert_int_equal(items[i].ulValueLen, 3);
        }
    expect(CKR_ARGUMENTS_BAD, world.p11->C_GetAttributeValue(session, key, NULL, 2));
    CK_ATTRIBUTE none = { CKA_CLASS, NULL, 0 };
    expect(CKR_OBJECT_HANDLE_INVALID, world.p11->C_GetAttributeValue(session, 987654, &none, 1));
}

static void test_vault_objects_cannot_be_changed(void **state)
{
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "kek"), copy;
    CK_ATTRIBUTE label = { CKA_LABEL, "x", 1 };
    CK_ULONG size = 0;
    expect(CKR_ACTION_PROHIBITED, world.p11->C_SetAttributeValue(session, key, &label, 1));
    expect(CKR_ACTION_PROHIBITED, world.p11->C_CopyObject(session, key, NULL, 0, &copy));
    expect(CKR_ACTION_PROHIBITED, world.p11->C_DestroyObject(session, key));
    expect(CKR_OBJECT_HANDLE_INVALID, world.p11->C_DestroyObject(session, 987654));
    ok(world.p11->C_GetObjectSize(session, key, &size));
    assert_true(size > 256);
}

static void test_secret_keys_of_a_managed_hsm(void **state)
{
    CK_SESSION_HANDLE hsm = open_session(HSM);
    CK_OBJECT_HANDLE key = find_one(hsm, CKO_SECRET_KEY, "wrapper");
    CK_KEY_TYPE type = 0;
    attribute(hsm, key, CKA_KEY_TYPE, &type, sizeof type);
    assert_int_equal(type, CKK_AES);
    assert_true(attribute_bool(hsm, key, CKA_WRAP));
    CK_BYTE value[32];
    CK_ATTRIBUTE item = { CKA_VALUE, value, sizeof value };
    expect(CKR_ATTRIBUTE_SENSITIVE, world.p11->C_GetAttributeValue(hsm, key, &item, 1));
    assert_int_equal(find_all(hsm, CKO_PRIVATE_KEY, "wrapper", NULL, NULL, 0), 0);
    ok(world.p11->C_CloseSession(hsm));
}

/* --- handles --- */

static void test_handles_are_stable_and_never_reused(void **state)
{
    CK_OBJECT_HANDLE first = find_one(session, CKO_PRIVATE_KEY, "kek"), last = 0;
    assert_int_equal(find_one(session, CKO_PRIVATE_KEY, "kek"), first);
    assert_int_not_equal(find_one(session, CKO_PUBLIC_KEY, "kek"), first);
    CK_SESSION_HANDLE second = open_session(PROD), third;
    assert_int_equal(find_one(second, CKO_PRIVATE_KEY, "kek"), first);
    ok(world.p11->C_CloseSession(second));
    expect(CKR_SESSION_HANDLE_INVALID, world.p11->C_CloseSession(second));
    third = open_session(PROD);
    assert_int_not_equal(third, second);
    for (int i = 0; i < 50; i++) {
        CK_OBJECT_HANDLE key = aes_key(third, (const CK_BYTE *)"0123456789abcdef", 16, true);
        assert_true(key > last);
        last = key;
        ok(world.p11->C_DestroyObject(third, key));
        expect(CKR_OBJECT_HANDLE_INVALID, world.p11->C_DestroyObject(third, key));
    }
    ok(world.p11->C_CloseSession(third));
    /* A handle belongs to its slot. */
    CK_SESSION_HANDLE elsewhere = open_session(DR);
    CK_ATTRIBUTE item = { CKA_CLASS, NULL, 0 };
    expect(CKR_OBJECT_HANDLE_INVALID, world.p11->C_GetAttributeValue(elsewhere, first, &item, 1));
    expect(CKR_KEY_HANDLE_INVALID, world.p11->C_SignInit(elsewhere, &rsa_sha256, first));
    ok(world.p11->C_CloseSession(elsewhere));
}

/* --- sessions and login --- */

static void test_sessions(void **state)
{
    CK_SESSION_HANDLE writer, reader = open_session(DR);
    CK_SESSION_INFO info;
    CK_TOKEN_INFO token;
    expect(CKR_SESSION_PARALLEL_NOT_SUPPORTED, world.p11->C_OpenSession(DR, 0, NULL, NULL, &writer));
    expect(CKR_SLOT_ID_INVALID, world.p11->C_OpenSession(7, CKF_SERIAL_SESSION, NULL, NULL, &writer));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_OpenSession(DR, CKF_SERIAL_SESSION, NULL, NULL, NULL));
    ok(world.p11->C_OpenSession(DR, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &writer));
    ok(world.p11->C_GetSessionInfo(writer, &info));
    assert_int_equal(info.state, CKS_RW_USER_FUNCTIONS);
    assert_int_equal(info.slotID, DR);
    ok(world.p11->C_GetSessionInfo(reader, &info));
    assert_int_equal(info.state, CKS_RO_USER_FUNCTIONS);
    ok(world.p11->C_GetTokenInfo(DR, &token));
    assert_int_equal(token.ulSessionCount, 2);
    assert_int_equal(token.ulRwSessionCount, 1);
    ok(world.p11->C_CloseAllSessions(DR));
    expect(CKR_SESSION_HANDLE_INVALID, world.p11->C_GetSessionInfo(writer, &info));
    ok(world.p11->C_GetTokenInfo(DR, &token));
    assert_int_equal(token.ulSessionCount, 0);
    ok(world.p11->C_GetSessionInfo(session, &info));
}

static void test_login(void **state)
{
    CK_SESSION_HANDLE mine = open_session(DR);
    ok(world.p11->C_Logout(mine));
    ok(world.p11->C_Login(mine, CKU_USER, (CK_UTF8CHAR *)"anything", 8));
    expect(CKR_USER_ALREADY_LOGGED_IN, world.p11->C_Login(mine, CKU_USER, NULL, 0));
    ok(world.p11->C_Logout(mine));
    ok(world.p11->C_Login(mine, CKU_USER, NULL, 0));
    expect(CKR_USER_TYPE_INVALID, world.p11->C_Login(mine, 99, NULL, 0));
    expect(CKR_OPERATION_NOT_INITIALIZED, world.p11->C_Login(mine, CKU_CONTEXT_SPECIFIC, NULL, 0));
    ok(world.p11->C_CloseSession(mine));
    mine = open_session(DR);
    ok(world.p11->C_Login(mine, CKU_USER, (CK_UTF8CHAR *)"", 0));
    ok(world.p11->C_CloseSession(mine));
}

/* No vault has a security officer; what would keep one out is said first (§5.6, C_Login). */
static void test_no_security_officer(void **state)
{
    CK_SESSION_HANDLE writer = CK_INVALID_HANDLE, reader = open_session(DR);
    ok(world.p11->C_OpenSession(DR, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &writer));
    expect(CKR_SESSION_READ_ONLY_EXISTS, world.p11->C_Login(reader, CKU_SO, NULL, 0));
    expect(CKR_SESSION_READ_ONLY_EXISTS, world.p11->C_Login(writer, CKU_SO, NULL, 0));
    ok(world.p11->C_CloseSession(reader));
    ok(world.p11->C_Login(writer, CKU_USER, NULL, 0));
    expect(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, world.p11->C_Login(writer, CKU_SO, NULL, 0));
    ok(world.p11->C_Logout(writer));
    expect(CKR_USER_TYPE_INVALID, world.p11->C_Login(writer, CKU_SO, NULL, 0));
    ok(world.p11->C_Login(writer, CKU_USER, NULL, 0));
    ok(world.p11->C_CloseSession(writer));
}

static void test_random(void **state)
{
    CK_BYTE a[32] = { 0 }, b[32] = { 0 };
    ok(world.p11->C_GenerateRandom(session, a, 32));
    ok(world.p11->C_GenerateRandom(session, b, 32));
    assert_memory_not_equal(a, b, 32);
    expect(CKR_RANDOM_SEED_NOT_SUPPORTED, world.p11->C_SeedRandom(session, a, 32));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_SeedRandom(session, NULL, 32));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_GenerateRandom(session, NULL, 32));
    configure("none", "random = none");
    session = restart(PROD);
    expect(CKR_RANDOM_NO_RNG, world.p11->C_GenerateRandom(session, a, 32));
    expect(CKR_RANDOM_NO_RNG, world.p11->C_SeedRandom(session, a, 32));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_GenerateRandom(session, NULL, 32));
    configure("none", "");
    session = restart(PROD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_every_attribute_that_clients_ask_for),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_pair_and_unique_identifiers),
        cmocka_unit_test(test_batches_are_answered_in_full),
        cmocka_unit_test(test_vault_objects_cannot_be_changed),
        cmocka_unit_test(test_secret_keys_of_a_managed_hsm),
        cmocka_unit_test(test_handles_are_stable_and_never_reused),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_no_security_officer),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
