/* Session secret keys, and the main job: a data key wrapped under a vault's key and unwrapped again, whatever was rotated in between. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

static CK_SESSION_HANDLE session;
static const CK_BYTE value[32] = "\x00\x01\x02 a data key of 32 bytes...\xff";
static CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 }, kwp = { CKM_AES_KEY_WRAP_PAD, NULL, 0 };
static const CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
static const CK_KEY_TYPE aes = CKK_AES, generic = CKK_GENERIC_SECRET;
static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
#define ITEM(type, v)                                                                                        \
    {                                                                                                        \
        type, (void *)&(v), sizeof(v)                                                                        \
    }

static int start(void **state)
{
    if (world_start(state))
        return -1;
    create_key("prod", "kek", "{\"kty\":\"RSA\"}");
    create_key("prod", "signer", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    create_key("hsm", "wrapper", "{\"kty\":\"oct-HSM\",\"key_size\":256}");
    initialize();
    session = open_session(PROD);
    return 0;
}

static struct result wrap_with(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
                               CK_OBJECT_HANDLE key)
{
    struct result blob = { .len = sizeof blob.data };
    ok(world.p11->C_WrapKey(in, mechanism, wrapping, key, blob.data, &blob.len));
    return blob;
}

/* As pkcs11-tool does it, the insistence on the token included. */
static CK_RV unwrap_rv(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping,
                       const struct result *blob, CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, secret),    ITEM(CKA_TOKEN, yes),
                                ITEM(CKA_KEY_TYPE, aes),    ITEM(CKA_SENSITIVE, no),
                                ITEM(CKA_ENCRYPT, yes),     ITEM(CKA_DECRYPT, yes),
                                ITEM(CKA_EXTRACTABLE, yes), { CKA_LABEL, "unwrapped", 9 },
                                { CKA_ID, "\x21", 1 } };
    return world.p11->C_UnwrapKey(in, mechanism, unwrapping, (CK_BYTE *)blob->data, blob->len, template, 9,
                                  ret);
}

static CK_OBJECT_HANDLE unwrap_with(CK_SESSION_HANDLE in, CK_MECHANISM *mechanism,
                                    CK_OBJECT_HANDLE unwrapping, const struct result *blob)
{
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    ok(unwrap_rv(in, mechanism, unwrapping, blob, &key));
    return key;
}

static void is_our_value(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE key)
{
    CK_BYTE got[64];

    assert_int_equal(attribute(in, key, CKA_VALUE, got, sizeof got), 32);
    assert_memory_equal(got, value, 32);
}

/* --- wrapping --- */

static void test_rsa_wraps_here_and_unwraps_there(void **state)
{
    CK_MECHANISM *const mechanisms[] = { &oaep_sha256, &oaep_sha1 };
    for (int i = 0; i < 2; i++) {
        CK_OBJECT_HANDLE open = find_one(session, CKO_PUBLIC_KEY, "kek");
        CK_OBJECT_HANDLE shut = find_one(session, CKO_PRIVATE_KEY, "kek");
        clear_log();
        struct result blob = wrap_with(session, mechanisms[i], open, aes_key(session, value, 32, true));
        assert_int_equal(blob.len, 256);
        assert_int_equal(requests(NULL), 0);
        CK_OBJECT_HANDLE key = unwrap_with(session, mechanisms[i], shut, &blob);
        assert_int_equal(requests(NULL), 1);
        is_our_value(session, key);
        assert_false(attribute_bool(session, key, CKA_TOKEN));
        assert_false(attribute_bool(session, key, CKA_LOCAL));
        assert_false(attribute_bool(session, key, CKA_ALWAYS_SENSITIVE));
        assert_false(attribute_bool(session, key, CKA_NEVER_EXTRACTABLE));
        assert_int_equal(find_all(session, CKO_SECRET_KEY, "unwrapped", NULL, NULL, 0), 1);
        ok(world.p11->C_DestroyObject(session, key));
        assert_int_equal(find_all(session, CKO_SECRET_KEY, "unwrapped", NULL, NULL, 0), 0);
    }
}

static void test_an_hsm_key_wraps_and_unwraps_there(void **state)
{
    CK_MECHANISM *const mechanisms[] = { &kw, &kwp };
    CK_SESSION_HANDLE hsm = open_session(HSM);
    CK_OBJECT_HANDLE wrapper = find_one(hsm, CKO_SECRET_KEY, "wrapper");
    CK_OBJECT_HANDLE key = aes_key(hsm, value, 32, true);
    for (int i = 0; i < 2; i++) {
        CK_ULONG size = 0, little = 39;
        CK_BYTE place[64];
        clear_log();
        ok(world.p11->C_WrapKey(hsm, mechanisms[i], wrapper, key, NULL, &size));
        assert_int_equal(size, 40);
        expect(CKR_BUFFER_TOO_SMALL, world.p11->C_WrapKey(hsm, mechanisms[i], wrapper, key, place, &little));
        assert_int_equal(requests(NULL), 0);
        struct result blob = wrap_with(hsm, mechanisms[i], wrapper, key);
        assert_int_equal(requests("/wrapkey"), 1);
        is_our_value(hsm, unwrap_with(hsm, mechanisms[i], wrapper, &blob));
        blob.data[3] ^= 1;
        CK_OBJECT_HANDLE none;
        expect(CKR_WRAPPED_KEY_INVALID, unwrap_rv(hsm, mechanisms[i], wrapper, &blob, &none));
    }
    ok(world.p11->C_CloseSession(hsm));
}

static void test_session_keys_wrap_each_other(void **state)
{
    CK_BYTE iv[12] = "twelve bytes";
    CK_GCM_PARAMS params = { .pIv = iv, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128 };
    CK_MECHANISM gcm = { CKM_AES_GCM, &params, sizeof params };
    CK_MECHANISM *const mechanisms[] = { &kw, &kwp, &gcm };
    CK_OBJECT_HANDLE outer = aes_key(session, value, 16, false), inner = aes_key(session, value, 32, true);
    clear_log();
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++) {
        struct result blob = wrap_with(session, mechanisms[i], outer, inner);
        is_our_value(session, unwrap_with(session, mechanisms[i], outer, &blob));
        blob.data[5] ^= 4;
        CK_OBJECT_HANDLE none;
        expect(CKR_WRAPPED_KEY_INVALID, unwrap_rv(session, mechanisms[i], outer, &blob, &none));
    }
    assert_int_equal(requests(NULL), 0);
}

static void test_what_may_not_be_wrapped(void **state)
{
    struct result blob = { .len = sizeof blob.data };
    CK_OBJECT_HANDLE open = find_one(session, CKO_PUBLIC_KEY, "kek");
    CK_OBJECT_HANDLE shut = find_one(session, CKO_PRIVATE_KEY, "kek");
    CK_OBJECT_HANDLE wrapping = aes_key(session, value, 32, false), key = aes_key(session, value, 32, true);
    CK_ATTRIBUTE trusted = ITEM(CKA_WRAP_WITH_TRUSTED, yes);
    expect(CKR_KEY_UNEXTRACTABLE,
           world.p11->C_WrapKey(session, &oaep_sha256, open, wrapping, blob.data, &blob.len));
    expect(CKR_KEY_UNEXTRACTABLE,
           world.p11->C_WrapKey(session, &oaep_sha256, open, shut, blob.data, &blob.len));
    expect(CKR_KEY_HANDLE_INVALID,
           world.p11->C_WrapKey(session, &oaep_sha256, open, 998877, blob.data, &blob.len));
    expect(CKR_WRAPPING_KEY_HANDLE_INVALID,
           world.p11->C_WrapKey(session, &oaep_sha256, 998877, key, blob.data, &blob.len));
    expect(CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
           world.p11->C_WrapKey(session, &oaep_sha256, shut, key, blob.data, &blob.len));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_WrapKey(session, NULL, open, key, blob.data, &blob.len));
    ok(world.p11->C_SetAttributeValue(session, key, &trusted, 1));
    expect(CKR_KEY_NOT_WRAPPABLE, world.p11->C_WrapKey(session, &kw, wrapping, key, blob.data, &blob.len));
    ok(world.p11->C_WrapKey(session, &oaep_sha256, open, key, blob.data, &blob.len));
}

static void test_a_bad_template_costs_no_request(void **state)
{
    CK_OBJECT_HANDLE open = find_one(session, CKO_PUBLIC_KEY, "kek"), key;
    CK_OBJECT_HANDLE shut = find_one(session, CKO_PRIVATE_KEY, "kek");
    struct result blob = wrap_with(session, &oaep_sha256, open, aes_key(session, value, 32, true));
    CK_KEY_TYPE rsa = CKK_RSA;
    CK_ULONG sixteen = 16;
    CK_ATTRIBUTE no_type[] = { ITEM(CKA_CLASS, secret) };
    CK_ATTRIBUTE wrong_type[] = { ITEM(CKA_CLASS, secret), ITEM(CKA_KEY_TYPE, rsa) };
    CK_ATTRIBUTE with_value[] = { ITEM(CKA_KEY_TYPE, aes), { CKA_VALUE, (void *)value, 32 } };
    CK_ATTRIBUTE too_short[] = { ITEM(CKA_KEY_TYPE, aes), ITEM(CKA_VALUE_LEN, sixteen) };
    CK_ATTRIBUTE as_generic[] = { ITEM(CKA_KEY_TYPE, generic) };
    clear_log();
    expect(CKR_TEMPLATE_INCOMPLETE,
           world.p11->C_UnwrapKey(session, &oaep_sha256, shut, blob.data, blob.len, no_type, 1, &key));
    expect(CKR_TEMPLATE_INCONSISTENT,
           world.p11->C_UnwrapKey(session, &oaep_sha256, shut, blob.data, blob.len, wrong_type, 2, &key));
    expect(CKR_ATTRIBUTE_READ_ONLY,
           world.p11->C_UnwrapKey(session, &oaep_sha256, shut, blob.data, blob.len, with_value, 2, &key));
    expect(CKR_ARGUMENTS_BAD,
           world.p11->C_UnwrapKey(session, &ecdsa, shut, blob.data, blob.len, NULL, 2, &key));
    assert_int_equal(requests(NULL), 0);
    expect(CKR_WRAPPED_KEY_LEN_RANGE,
           world.p11->C_UnwrapKey(session, &oaep_sha256, shut, blob.data, blob.len, too_short, 2, &key));
    ok(world.p11->C_UnwrapKey(session, &oaep_sha256, shut, blob.data, blob.len, as_generic, 1, &key));
}

/* --- the main job --- */

static void test_old_blobs_open_by_the_bare_label(void **state)
{
    struct result blobs[3];
    char versions[3][65], path[256];
    configure("ledger.db", "");
    for (int i = 0; i < 3; i++) {
        const char *version =
            i ? rotate_key("prod", "backup") : create_key("prod", "backup", "{\"kty\":\"RSA\"}");
        kv_text_fit(versions[i], sizeof versions[i], version);
        session = restart(PROD);
        if (i) { /* the map still says the former version is current: a look past its age */
            configure("ledger.db", "refresh_seconds = 0");
            session = restart(PROD);
            configure("ledger.db", "");
        }
        blobs[i] = wrap_with(session, &oaep_sha256, find_one(session, CKO_PUBLIC_KEY, "backup"),
                             aes_key(session, value, 32, true));
    }
    session = restart(PROD);
    for (int i = 2; i >= 0; i--) {
        clear_log();
        is_our_value(session, unwrap_with(session, &oaep_sha256, find_one(session, CKO_PRIVATE_KEY, "backup"),
                                          &blobs[i]));
        snprintf(path, sizeof path, "/keys/backup/%s/", versions[i]);
        if (requests(path) != 1 || vault_requests() != 1)
            fail_msg("blob %d: %zu requests to its version, %zu in all", i, requests(path), vault_requests());
    }
}

/* Without the ledger the other versions are tried, newest first; forbidden, the current one refuses and the log names what to use. */
static void test_fallback_and_its_absence(void **state)
{
    char old[65], label[256];
    configure("none", "");
    kv_text_fit(old, sizeof old, create_key("prod", "turned", "{\"kty\":\"RSA\"}"));
    session = restart(PROD);
    struct result blob = wrap_with(session, &oaep_sha256, find_one(session, CKO_PUBLIC_KEY, "turned"),
                                   aes_key(session, value, 32, true));
    rotate_key("prod", "turned");
    session = restart(PROD);
    is_our_value(session,
                 unwrap_with(session, &oaep_sha256, find_one(session, CKO_PRIVATE_KEY, "turned"), &blob));

    configure("none", "decrypt_fallback = no\nledger = no");
    session = restart(PROD);
    CK_OBJECT_HANDLE none;
    expect(CKR_WRAPPED_KEY_INVALID,
           unwrap_rv(session, &oaep_sha256, find_one(session, CKO_PRIVATE_KEY, "turned"), &blob, &none));
    snprintf(label, sizeof label, "turned@%s", old);
    is_our_value(session,
                 unwrap_with(session, &oaep_sha256, find_one(session, CKO_PRIVATE_KEY, label), &blob));
    char *log = module_log();
    assert_non_null(strstr(log, "C_UnwrapKey: CKR_WRAPPED_KEY_INVALID"));
    free(log);
    configure("none", "");
    session = restart(PROD);
}

/* --- secret keys in a session --- */

static void test_generate(void **state)
{
    static const struct {
        CK_MECHANISM_TYPE type;
        CK_ULONG len;
        CK_RV rv;
    } rows[] = {
        { CKM_AES_KEY_GEN, 16, CKR_OK },
        { CKM_AES_KEY_GEN, 24, CKR_OK },
        { CKM_AES_KEY_GEN, 32, CKR_OK },
        { CKM_AES_KEY_GEN, 0, CKR_ATTRIBUTE_VALUE_INVALID },
        { CKM_AES_KEY_GEN, 17, CKR_ATTRIBUTE_VALUE_INVALID },
        { CKM_GENERIC_SECRET_KEY_GEN, 48, CKR_OK },
        { CKM_GENERIC_SECRET_KEY_GEN, 100000, CKR_ATTRIBUTE_VALUE_INVALID },
        { CKM_DES_KEY_GEN, 8, CKR_MECHANISM_INVALID },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CK_MECHANISM mechanism = { rows[i].type, NULL, 0 };
        CK_ATTRIBUTE template[] = { ITEM(CKA_VALUE_LEN, rows[i].len), ITEM(CKA_TOKEN, no) };
        CK_OBJECT_HANDLE key = 0;
        CK_RV rv = world.p11->C_GenerateKey(session, &mechanism, template, 2, &key);
        if (rv != rows[i].rv)
            fail_msg("0x%lx of %lu bytes: 0x%lx", rows[i].type, rows[i].len, rv);
        if (rv)
            continue;
        CK_ULONG len = 0;
        CK_BYTE got[64];
        CK_ATTRIBUTE item = { CKA_VALUE, got, sizeof got };
        attribute(session, key, CKA_VALUE_LEN, &len, sizeof len);
        assert_int_equal(len, rows[i].len);
        assert_true(attribute_bool(session, key, CKA_LOCAL));
        assert_true(attribute_bool(session, key, CKA_ALWAYS_SENSITIVE));
        assert_true(attribute_bool(session, key, CKA_NEVER_EXTRACTABLE));
        expect(CKR_ATTRIBUTE_SENSITIVE, world.p11->C_GetAttributeValue(session, key, &item, 1));
    }
    CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
    CK_OBJECT_HANDLE key;
    CK_ULONG len = 32;
    CK_ATTRIBUTE on_token[] = { ITEM(CKA_VALUE_LEN, len), ITEM(CKA_TOKEN, yes) };
    expect(CKR_TEMPLATE_INCOMPLETE, world.p11->C_GenerateKey(session, &mechanism, NULL, 0, &key));
    /* Bad arguments are told of before a mechanism that is not offered. */
    CK_MECHANISM other = { CKM_DES_KEY_GEN, NULL, 0 };
    expect(CKR_ARGUMENTS_BAD, world.p11->C_GenerateKey(session, &other, NULL, 2, &key));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_GenerateKey(session, &other, on_token, 1, NULL));
    expect(CKR_TOKEN_WRITE_PROTECTED, world.p11->C_GenerateKey(session, &mechanism, on_token, 2, &key));
}

static void test_copies_and_changes(void **state)
{
    CK_OBJECT_HANDLE key = aes_key(session, value, 32, true), copy = 0;
    CK_ATTRIBUTE label = { CKA_LABEL, "second", 6 }, sensitive = ITEM(CKA_SENSITIVE, yes),
                 open = ITEM(CKA_SENSITIVE, no);
    ok(world.p11->C_CopyObject(session, key, &label, 1, &copy));
    assert_int_not_equal(copy, key);
    is_our_value(session, copy);
    ok(world.p11->C_SetAttributeValue(session, copy, &sensitive, 1));
    CK_BYTE got[32];
    CK_ATTRIBUTE item = { CKA_VALUE, got, sizeof got };
    expect(CKR_ATTRIBUTE_SENSITIVE, world.p11->C_GetAttributeValue(session, copy, &item, 1));
    expect(CKR_ATTRIBUTE_READ_ONLY, world.p11->C_SetAttributeValue(session, copy, &open, 1));
    is_our_value(session, key);
    ok(world.p11->C_DestroyObject(session, copy));
}

static void test_a_session_takes_its_objects_with_it(void **state)
{
    CK_SESSION_HANDLE other = open_session(PROD);
    CK_OBJECT_HANDLE key = aes_key(other, value, 32, true);
    is_our_value(session, key);
    ok(world.p11->C_CloseSession(other));
    CK_ATTRIBUTE item = { CKA_CLASS, NULL, 0 };
    expect(CKR_OBJECT_HANDLE_INVALID, world.p11->C_GetAttributeValue(session, key, &item, 1));
}

/* An operation that is under way keeps the key that another call destroys. */
static void test_a_destroyed_key_ends_no_operation(void **state)
{
    CK_OBJECT_HANDLE key = aes_key(session, value, 32, true);
    struct result expected = encrypt(session, &kw, key, value, 16), blob = { .len = sizeof blob.data };
    ok(world.p11->C_EncryptInit(session, &kw, key));
    ok(world.p11->C_DestroyObject(session, key));
    ok(world.p11->C_Encrypt(session, (CK_BYTE *)value, 16, blob.data, &blob.len));
    assert_int_equal(blob.len, expected.len);
    assert_memory_equal(blob.data, expected.data, blob.len);
}

static void test_ciphers_round_trip_in_parts(void **state)
{
    CK_BYTE iv[16] = "initial vector.";
    CK_GCM_PARAMS params = { .pIv = iv, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128 };
    CK_AES_CTR_PARAMS counter = { 128, "counter block..." };
    CK_MECHANISM ciphers[] = { { CKM_AES_GCM, &params, sizeof params },
                               { CKM_AES_CBC_PAD, iv, 16 },
                               { CKM_AES_CBC, iv, 16 },
                               { CKM_AES_CTR, &counter, sizeof counter } };
    CK_BYTE plain[64];
    memset(plain, 'p', sizeof plain);
    for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
        CK_OBJECT_HANDLE key = aes_key(session, value, 32, true);
        struct result whole = encrypt(session, &ciphers[i], key, plain, 64), parts = { 0 }, back = { 0 };
        CK_ULONG room = 512;
        ok(world.p11->C_EncryptInit(session, &ciphers[i], key));
        for (int k = 0; k < 4; k++, room = 512) {
            ok(world.p11->C_EncryptUpdate(session, plain + 16 * k, 16, parts.data + parts.len, &room));
            parts.len += room;
        }
        ok(world.p11->C_EncryptFinal(session, parts.data + parts.len, &room));
        parts.len += room;
        assert_int_equal(parts.len, whole.len);
        assert_memory_equal(parts.data, whole.data, whole.len);

        room = 512;
        ok(world.p11->C_DecryptInit(session, &ciphers[i], key));
        ok(world.p11->C_DecryptUpdate(session, parts.data, parts.len / 2, back.data, &room));
        back.len = room;
        room = 512;
        ok(world.p11->C_DecryptUpdate(session, parts.data + parts.len / 2, parts.len - parts.len / 2,
                                      back.data + back.len, &room));
        back.len += room;
        room = 512;
        ok(world.p11->C_DecryptFinal(session, back.data + back.len, &room));
        back.len += room;
        assert_int_equal(back.len, 64);
        assert_memory_equal(back.data, plain, 64);
        ok(world.p11->C_DestroyObject(session, key));
    }
}

static void test_generic_secrets_have_no_cipher(void **state)
{
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, secret),
                                ITEM(CKA_KEY_TYPE, generic),
                                { CKA_VALUE, (void *)value, 32 } };
    ok(world.p11->C_CreateObject(session, template, 3, &key));
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_EncryptInit(session, &kw, key));
    assert_false(attribute_bool(session, key, CKA_ENCRYPT));
}

/* Without session ciphers data keys are still made, wrapped and unwrapped by the vault's keys. */
static void test_ciphers_can_be_hidden(void **state)
{
    CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
    CK_MECHANISM_INFO info;
    CK_OBJECT_HANDLE key;
    CK_ULONG len = 32;
    CK_ATTRIBUTE template[] = { ITEM(CKA_VALUE_LEN, len), ITEM(CKA_EXTRACTABLE, yes) };
    configure("none", "session_ciphers = no");
    session = restart(PROD);
    expect(CKR_MECHANISM_INVALID, world.p11->C_GetMechanismInfo(PROD, CKM_AES_GCM, &info));
    ok(world.p11->C_GenerateKey(session, &mechanism, template, 2, &key));
    expect(CKR_MECHANISM_INVALID, world.p11->C_EncryptInit(session, &kw, key));
    wrap_with(session, &oaep_sha256, find_one(session, CKO_PUBLIC_KEY, "kek"), key);
    configure("none", "");
    session = restart(PROD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rsa_wraps_here_and_unwraps_there),
        cmocka_unit_test(test_an_hsm_key_wraps_and_unwraps_there),
        cmocka_unit_test(test_session_keys_wrap_each_other),
        cmocka_unit_test(test_what_may_not_be_wrapped),
        cmocka_unit_test(test_a_bad_template_costs_no_request),
        cmocka_unit_test(test_old_blobs_open_by_the_bare_label),
        cmocka_unit_test(test_fallback_and_its_absence),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_copies_and_changes),
        cmocka_unit_test(test_a_session_takes_its_objects_with_it),
        cmocka_unit_test(test_a_destroyed_key_ends_no_operation),
        cmocka_unit_test(test_ciphers_round_trip_in_parts),
        cmocka_unit_test(test_generic_secrets_have_no_cipher),
        cmocka_unit_test(test_ciphers_can_be_hidden),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
