/* What an operation is at every moment: not begun, under way, after an error, after a size query, cancelled. */
#include "harness.h"

#include <stdio.h>

static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE rsa_private, rsa_public, ec_private, ec_public, aes;
static const CK_BYTE aes_value[32] = "0123456789abcdef0123456789abcde";
static CK_BYTE iv[16] = "initial vector.";
static CK_MECHANISM cbc = { CKM_AES_CBC_PAD, iv, 16 }, sha256 = { CKM_SHA256, NULL, 0 };

static int start(void **state)
{
    if (world_start(state))
        return -1;
    create_key("prod", "rsa", "{\"kty\":\"RSA\"}");
    create_key("prod", "ec", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    initialize();
    session = open_session(PROD);
    rsa_private = find_one(session, CKO_PRIVATE_KEY, "rsa");
    rsa_public = find_one(session, CKO_PUBLIC_KEY, "rsa");
    ec_private = find_one(session, CKO_PRIVATE_KEY, "ec");
    ec_public = find_one(session, CKO_PUBLIC_KEY, "ec");
    aes = aes_key(session, aes_value, 32, true);
    return 0;
}

/* Every function that continues something, with arguments that are right. */
static CK_BYTE some[64] = "some", out[512], no_signature[64] = "not a signature";
static CK_ULONG room;

static CK_RV call_sign(void)
{
    return world.p11->C_Sign(session, some, 32, out, &room);
}
static CK_RV call_sign_update(void)
{
    return world.p11->C_SignUpdate(session, some, 4);
}
static CK_RV call_sign_final(void)
{
    return world.p11->C_SignFinal(session, out, &room);
}
static CK_RV call_verify(void)
{
    return world.p11->C_Verify(session, some, 32, no_signature, 64);
}
static CK_RV call_verify_update(void)
{
    return world.p11->C_VerifyUpdate(session, some, 4);
}
static CK_RV call_verify_final(void)
{
    return world.p11->C_VerifyFinal(session, no_signature, 64);
}
static CK_RV call_encrypt(void)
{
    return world.p11->C_Encrypt(session, some, 16, out, &room);
}
static CK_RV call_encrypt_update(void)
{
    return world.p11->C_EncryptUpdate(session, some, 16, out, &room);
}
static CK_RV call_encrypt_final(void)
{
    return world.p11->C_EncryptFinal(session, out, &room);
}
static CK_RV call_decrypt(void)
{
    return world.p11->C_Decrypt(session, some, 16, out, &room);
}
static CK_RV call_decrypt_update(void)
{
    return world.p11->C_DecryptUpdate(session, some, 16, out, &room);
}
static CK_RV call_decrypt_final(void)
{
    return world.p11->C_DecryptFinal(session, out, &room);
}
static CK_RV call_digest(void)
{
    return world.p11->C_Digest(session, some, 4, out, &room);
}
static CK_RV call_digest_update(void)
{
    return world.p11->C_DigestUpdate(session, some, 4);
}
static CK_RV call_digest_final(void)
{
    return world.p11->C_DigestFinal(session, out, &room);
}
static CK_RV call_find(void)
{
    CK_OBJECT_HANDLE object;
    CK_ULONG count;
    return world.p11->C_FindObjects(session, &object, 1, &count);
}
static CK_RV call_find_final(void)
{
    return world.p11->C_FindObjectsFinal(session);
}

static const struct {
    const char *name;
    CK_RV (*call)(void);
} steps[] = {
    { "C_Sign", call_sign },
    { "C_SignUpdate", call_sign_update },
    { "C_SignFinal", call_sign_final },
    { "C_Verify", call_verify },
    { "C_VerifyUpdate", call_verify_update },
    { "C_VerifyFinal", call_verify_final },
    { "C_Encrypt", call_encrypt },
    { "C_EncryptUpdate", call_encrypt_update },
    { "C_EncryptFinal", call_encrypt_final },
    { "C_Decrypt", call_decrypt },
    { "C_DecryptUpdate", call_decrypt_update },
    { "C_DecryptFinal", call_decrypt_final },
    { "C_Digest", call_digest },
    { "C_DigestUpdate", call_digest_update },
    { "C_DigestFinal", call_digest_final },
    { "C_FindObjects", call_find },
    { "C_FindObjectsFinal", call_find_final },
};

static void test_nothing_goes_on_that_was_not_begun(void **state)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        room = sizeof out;
        CK_RV rv = steps[i].call();
        if (rv != CKR_OPERATION_NOT_INITIALIZED)
            fail_msg("%s: 0x%lx", steps[i].name, rv);
    }
}

/* One operation of each kind, begun by `begin`; `good` ends it well, `bad` ends it by an error. */
static CK_RV begin_sign(CK_MECHANISM *m)
{
    return world.p11->C_SignInit(session, m ? &ecdsa : NULL, ec_private);
}
static CK_RV begin_verify(CK_MECHANISM *m)
{
    return world.p11->C_VerifyInit(session, m ? &ecdsa : NULL, ec_public);
}
static CK_RV begin_encrypt(CK_MECHANISM *m)
{
    return world.p11->C_EncryptInit(session, m ? &cbc : NULL, aes);
}
static CK_RV begin_decrypt(CK_MECHANISM *m)
{
    return world.p11->C_DecryptInit(session, m ? &cbc : NULL, aes);
}
static CK_RV begin_digest(CK_MECHANISM *m)
{
    return world.p11->C_DigestInit(session, m ? &sha256 : NULL);
}

static const struct {
    const char *name;
    CK_RV (*begin)(CK_MECHANISM *);
    CK_RV (*step)(void);
    CK_RV step_rv; /* of `step` with a fresh operation */
} kinds[] = {
    { "sign", begin_sign, call_sign, CKR_OK },
    { "verify", begin_verify, call_verify, CKR_SIGNATURE_INVALID },
    { "encrypt", begin_encrypt, call_encrypt, CKR_OK },
    { "decrypt", begin_decrypt, call_decrypt, CKR_ENCRYPTED_DATA_INVALID },
    { "digest", begin_digest, call_digest, CKR_OK },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void test_one_of_a_kind_at_a_time(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        expect(CKR_OK, kinds[i].begin(&ecdsa));
        expect(CKR_OPERATION_ACTIVE, kinds[i].begin(&ecdsa));
        room = sizeof out;
        expect(kinds[i].step_rv, kinds[i].step());
        room = sizeof out;
        expect(CKR_OPERATION_NOT_INITIALIZED, kinds[i].step());
        expect(CKR_OK, kinds[i].begin(&ecdsa));
        expect(CKR_OK, kinds[i].begin(NULL));
    }
}

static void test_no_mechanism_cancels(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        expect(CKR_OK, kinds[i].begin(NULL));
        expect(CKR_OK, kinds[i].begin(&ecdsa));
        expect(CKR_OK, kinds[i].begin(NULL));
        room = sizeof out;
        expect(CKR_OPERATION_NOT_INITIALIZED, kinds[i].step());
    }
}

static void test_kinds_do_not_disturb_each_other(void **state)
{
    for (size_t i = 0; i < KINDS; i++)
        expect(CKR_OK, kinds[i].begin(&ecdsa));
    for (size_t i = 0; i < KINDS; i++) {
        room = sizeof out;
        expect(kinds[i].step_rv, kinds[i].step());
    }
}

static void test_an_error_ends_it(void **state)
{
    static const struct {
        const char *sentence;
        CK_BYTE *data;
        CK_ULONG len;
        bool with_len;
    } wrongs[] = {
        { "data of NULL with a length", NULL, 5, true },
        { "no place for the length", some, 16, false },
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        room = sizeof out;
        ok(world.p11->C_SignInit(session, &ecdsa, ec_private));
        expect(CKR_ARGUMENTS_BAD, world.p11->C_Sign(session, wrongs[i].data, wrongs[i].len, out,
                                                    wrongs[i].with_len ? &room : NULL));
        expect(CKR_OPERATION_NOT_INITIALIZED, call_sign());
    }
    CK_BYTE no_digestinfo[20] = "no DigestInfo";
    CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 };
    room = sizeof out;
    clear_log();
    ok(world.p11->C_SignInit(session, &raw, rsa_private));
    expect(CKR_DATA_INVALID, world.p11->C_Sign(session, no_digestinfo, 20, out, &room));
    expect(CKR_OPERATION_NOT_INITIALIZED, call_sign());
    assert_int_equal(requests(NULL), 0);
}

static void test_a_service_error_ends_it(void **state)
{
    static const struct {
        const char *fault;
        CK_RV rv;
    } faults[] = {
        { "{\"path\":\"/sign\",\"kind\":\"status\",\"status\":403,\"body\":\"{\\\"error\\\":{\\\"code\\\":"
          "\\\"Forbidden\\\",\\\"message\\\":\\\"no\\\"}}\",\"count\":1}",
          CKR_KEY_FUNCTION_NOT_PERMITTED },
        { "{\"path\":\"/sign\",\"kind\":\"wrong_version\",\"count\":1}", CKR_DEVICE_ERROR },
        { "{\"path\":\"/sign\",\"kind\":\"wrong_kid\",\"count\":1}", CKR_DEVICE_ERROR },
        { "{\"path\":\"/sign\",\"kind\":\"html\",\"count\":1}", CKR_DEVICE_ERROR },
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        control_do("POST", "/faults", faults[i].fault);
        ok(world.p11->C_SignInit(session, &ecdsa, ec_private));
        room = sizeof out;
        CK_RV rv = call_sign();
        if (rv != faults[i].rv)
            fail_msg("%s: 0x%lx", faults[i].fault, rv);
        expect(CKR_OPERATION_NOT_INITIALIZED, call_sign());
        control_do("DELETE", "/faults", NULL);
        sign(session, &ecdsa, ec_private, some, 32);
    }
}

static void test_parts_and_one_shot_do_not_mix(void **state)
{
    CK_MECHANISM message = { CKM_ECDSA_SHA256, NULL, 0 };
    room = sizeof out;
    ok(world.p11->C_SignInit(session, &message, ec_private));
    ok(call_sign_update());
    expect(CKR_OPERATION_ACTIVE, call_sign());
    expect(CKR_OPERATION_NOT_INITIALIZED, call_sign_final());
}

static void test_final_asks_its_size_for_nothing(void **state)
{
    CK_MECHANISM message = { CKM_ECDSA_SHA256, NULL, 0 };
    clear_log();
    ok(world.p11->C_SignInit(session, &message, ec_private));
    ok(call_sign_update());
    ok(world.p11->C_SignFinal(session, NULL, &room));
    assert_int_equal(room, 64);
    room = 63;
    expect(CKR_BUFFER_TOO_SMALL, call_sign_final());
    assert_int_equal(room, 64);
    assert_int_equal(requests(NULL), 0);
    ok(call_sign_final());
    assert_int_equal(requests(NULL), 1);
    struct result signature = { .len = room };
    memcpy(signature.data, out, room);
    assert_true(verifies(session, &message, ec_public, BYTES(some, 4), &signature));
}

static void test_final_without_update_signs_the_empty_message(void **state)
{
    CK_MECHANISM message = { CKM_ECDSA_SHA256, NULL, 0 };
    struct result signature = { .len = sizeof signature.data };
    ok(world.p11->C_SignInit(session, &message, ec_private));
    ok(world.p11->C_SignFinal(session, signature.data, &signature.len));
    assert_true(verifies(session, &message, ec_public, BYTES("", 0), &signature));
}

/* A cipher's output that did not fit is not lost, and is not made twice. */
static void test_update_keeps_what_did_not_fit(void **state)
{
    struct result whole = encrypt(session, &cbc, aes, some, 48), parts = { 0 };
    room = 1;
    ok(world.p11->C_EncryptInit(session, &cbc, aes));
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_EncryptUpdate(session, some, 32, out, &room));
    assert_int_equal(room, 32);
    ok(world.p11->C_EncryptUpdate(session, some, 32, parts.data, &room));
    parts.len = room;
    room = sizeof out;
    ok(world.p11->C_EncryptUpdate(session, some + 32, 16, parts.data + parts.len, &room));
    parts.len += room;
    room = 0;
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_EncryptFinal(session, out, &room));
    ok(world.p11->C_EncryptFinal(session, parts.data + parts.len, &room));
    parts.len += room;
    assert_int_equal(parts.len, whole.len);
    assert_memory_equal(parts.data, whole.data, whole.len);
}

/* Large updates go straight into the caller's buffer, so input and output may be one, apart, or overlap by some bytes: the result is the same. */
static void test_updates_take_any_buffers(void **state)
{
    static const struct {
        const char *sentence;
        size_t in, out;
    } places[] = {
        { "apart", 0, 2048 },
        { "output before the input, side by side", 1024 + 32, 0 },
        { "one and the same", 64, 64 },
        { "output a byte further", 64, 65 },
        { "output a byte before", 64, 63 },
        { "output a block further", 64, 80 },
        { "output a block before", 64, 48 },
    };
    CK_GCM_PARAMS params = { .pIv = iv, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128 };
    CK_AES_CTR_PARAMS counter = { 128, "counter block..." };
    CK_MECHANISM ciphers[] = { { CKM_AES_GCM, &params, sizeof params },
                               { CKM_AES_CTR, &counter, sizeof counter },
                               cbc };
    CK_BYTE plain[1000], memory[4096], expected[1024];
    memset(plain, 'p', sizeof plain);
    for (size_t i = 0; i < 3 * sizeof places / sizeof *places; i++) {
        CK_MECHANISM *mechanism = &ciphers[i % 3];
        CK_ULONG whole = sizeof expected, len = sizeof expected, rest = 64;
        ok(world.p11->C_EncryptInit(session, mechanism, aes));
        ok(world.p11->C_Encrypt(session, plain, sizeof plain, expected, &whole));
        memcpy(memory + places[i / 3].in, plain, sizeof plain);
        ok(world.p11->C_EncryptInit(session, mechanism, aes));
        ok(world.p11->C_EncryptUpdate(session, memory + places[i / 3].in, sizeof plain,
                                      memory + places[i / 3].out, &len));
        ok(world.p11->C_EncryptFinal(session, memory + places[i / 3].out + len, &rest));
        if (len + rest != whole || memcmp(memory + places[i / 3].out, expected, whole))
            fail_msg("%s, mechanism 0x%lx: other bytes", places[i / 3].sentence, mechanism->mechanism);
    }
}

static void test_a_search_is_an_operation(void **state)
{
    CK_OBJECT_CLASS type = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template = { CKA_CLASS, &type, sizeof type };
    CK_ULONG count = 0;
    ok(world.p11->C_FindObjectsInit(session, &template, 1));
    expect(CKR_OPERATION_ACTIVE, world.p11->C_FindObjectsInit(session, &template, 1));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_FindObjects(session, NULL, 1, &count));
    ok(world.p11->C_FindObjects(session, NULL, 0, &count));
    assert_int_equal(count, 0);
    /* Attributes are read while it is open: libp11 does nothing else. */
    assert_true(attribute_bool(session, ec_private, CKA_SIGN));
    sign(session, &ecdsa, ec_private, some, 32);
    ok(world.p11->C_FindObjectsFinal(session));
    expect(CKR_OPERATION_NOT_INITIALIZED, world.p11->C_FindObjectsFinal(session));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_FindObjectsInit(session, NULL, 1));
    CK_ATTRIBUTE hollow = { CKA_LABEL, NULL, 4 };
    expect(CKR_ARGUMENTS_BAD, world.p11->C_FindObjectsInit(session, &hollow, 1));
}

static void test_an_init_that_fails_leaves_nothing(void **state)
{
    room = sizeof out;
    expect(CKR_KEY_HANDLE_INVALID, world.p11->C_SignInit(session, &ecdsa, 424242));
    expect(CKR_OPERATION_NOT_INITIALIZED, call_sign());
    expect(CKR_MECHANISM_INVALID, world.p11->C_DigestInit(session, &(CK_MECHANISM){ CKM_MD5, NULL, 0 }));
    expect(CKR_OPERATION_NOT_INITIALIZED, call_digest());
    ok(world.p11->C_SignInit(session, &ecdsa, ec_private));
    ok(call_sign());
}

/* Rotated between Init and the end: the operation keeps the version it began with. */
static void test_an_operation_keeps_its_version(void **state)
{
    char path[128];
    const char *old = create_key("prod", "turning", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "turning");
    CK_OBJECT_HANDLE open = find_one(session, CKO_PUBLIC_KEY, "turning");
    ok(world.p11->C_SignInit(session, &ecdsa, key));
    ok(world.p11->C_VerifyInit(session, &ecdsa, open));
    rotate_key("prod", "turning");
    clear_log();
    struct result signature = { .len = sizeof signature.data };
    ok(world.p11->C_Sign(session, some, 32, signature.data, &signature.len));
    snprintf(path, sizeof path, "/keys/turning/%s/sign", old);
    assert_int_equal(requests(path), 1);
    ok(world.p11->C_Verify(session, some, 32, signature.data, signature.len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_goes_on_that_was_not_begun),
        cmocka_unit_test(test_one_of_a_kind_at_a_time),
        cmocka_unit_test(test_no_mechanism_cancels),
        cmocka_unit_test(test_kinds_do_not_disturb_each_other),
        cmocka_unit_test(test_an_error_ends_it),
        cmocka_unit_test(test_a_service_error_ends_it),
        cmocka_unit_test(test_parts_and_one_shot_do_not_mix),
        cmocka_unit_test(test_final_asks_its_size_for_nothing),
        cmocka_unit_test(test_final_without_update_signs_the_empty_message),
        cmocka_unit_test(test_update_keeps_what_did_not_fit),
        cmocka_unit_test(test_updates_take_any_buffers),
        cmocka_unit_test(test_a_search_is_an_operation),
        cmocka_unit_test(test_an_init_that_fails_leaves_nothing),
        cmocka_unit_test(test_an_operation_keeps_its_version),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
