/* Message-based AES-GCM with a key of a Managed HSM, where the service makes the vector, and what the classic functions can still do with it. */
#include "messages_help.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/encode.h"

static CK_OBJECT_HANDLE aes, hsm_key;

static void start_again(void)
{
    configure("none", "api_version = 2026-04-01");
    session = restart(HSM);
    aes = aes_key(session, key_value, 32, true);
    hsm_key = find_one(session, CKO_SECRET_KEY, "sealer");
}

static int start(void **state)
{
    if (world_start(state))
        return -1;
    create_key("hsm", "sealer", "{\"kty\":\"oct-HSM\",\"key_size\":256}");
    start_again();
    return 0;
}

/* The two-call convention: asking for the size, or having too little room, makes no vector and uses nothing up. */
static void test_sizes(void **state)
{
    CK_OBJECT_HANDLE keys[] = { aes, hsm_key };
    for (size_t i = 0; i < 2; i++) {
        struct message message, before;
        struct result cipher = { .len = 0 }, plain;
        CK_ULONG len = 12345;
        begin_both(keys[i]);
        prepare(&message, CKG_GENERATE);
        before = message;
        clear_log();
        ok(world.p11_3->C_EncryptMessage(session, &message.params, sizeof message.params, aad, AAD, text,
                                         TEXT, NULL, &len));
        assert_int_equal(len, TEXT);
        len = TEXT - 1;
        expect(CKR_BUFFER_TOO_SMALL,
               world.p11_3->C_EncryptMessage(session, &message.params, sizeof message.params, aad, AAD, text,
                                             TEXT, cipher.data, &len));
        assert_int_equal(len, TEXT);
        assert_memory_equal(&message, &before, sizeof message);
        assert_int_equal(requests(NULL), 0);
        ok(world.p11_3->C_EncryptMessage(session, &message.params, sizeof message.params, aad, AAD, text,
                                         TEXT, cipher.data, &len));
        cipher.len = len;
        clear_log();
        len = 0;
        ok(world.p11_3->C_DecryptMessage(session, &message.params, sizeof message.params, aad, AAD,
                                         cipher.data, cipher.len, NULL, &len));
        assert_int_equal(len, TEXT);
        len = TEXT - 1;
        expect(CKR_BUFFER_TOO_SMALL,
               world.p11_3->C_DecryptMessage(session, &message.params, sizeof message.params, aad, AAD,
                                             cipher.data, cipher.len, plain.data, &len));
        assert_int_equal(len, TEXT);
        assert_int_equal(requests(NULL), 0);
        /* In place. */
        ok(world.p11_3->C_DecryptMessage(session, &message.params, sizeof message.params, aad, AAD,
                                         cipher.data, cipher.len, cipher.data, &len));
        assert_memory_equal(cipher.data, text, TEXT);
        end_both();
    }
}

/* A message may be nothing but associated data. */
static void test_an_empty_message(void **state)
{
    CK_OBJECT_HANDLE keys[] = { aes, hsm_key };
    for (size_t i = 0; i < 2; i++) {
        struct message message;
        CK_BYTE nothing[16];
        CK_ULONG len = sizeof nothing;
        begin_both(keys[i]);
        prepare(&message, CKG_GENERATE);
        ok(world.p11_3->C_EncryptMessage(session, &message.params, sizeof message.params, aad, AAD, NULL, 0,
                                         nothing, &len));
        assert_int_equal(len, 0);
        len = sizeof nothing;
        ok(world.p11_3->C_DecryptMessage(session, &message.params, sizeof message.params, aad, AAD, NULL, 0,
                                         nothing, &len));
        assert_int_equal(len, 0);
        len = sizeof nothing;
        expect(CKR_AEAD_DECRYPT_FAILED,
               world.p11_3->C_DecryptMessage(session, &message.params, sizeof message.params, aad, AAD - 1,
                                             NULL, 0, nothing, &len));
        end_both();
    }
}

/* --- keys of a Managed HSM: the service makes the vector --- */

static void test_a_message_is_one_request(void **state)
{
    struct message message;
    struct result cipher, plain;
    begin_both(hsm_key);
    clear_log();
    for (size_t i = 0; i < 3; i++) {
        prepare(&message, i ? CKG_GENERATE : CKG_GENERATE_RANDOM);
        ok(seal(&message, &cipher));
        assert_int_equal(requests("/encrypt"), i + 1);
        assert_int_equal(message.iv[12], 7); /* not written behind the nonce */
        assert_memory_not_equal(message.iv, message.iv + 4, 8);
        assert_memory_not_equal(cipher.data, text, TEXT);
        ok(unseal(&message, &cipher, &plain));
        assert_int_equal(plain.len, TEXT);
        assert_memory_equal(plain.data, text, TEXT);
        assert_int_equal(requests("/decrypt"), i + 1);
    }
    assert_int_equal(vault_requests(), 6);
    end_both();
}

static void test_parts_are_one_request(void **state)
{
    struct message message;
    struct result cipher = { .len = 0 }, plain = { .len = 0 };
    CK_ULONG len = 0;
    begin_both(hsm_key);
    clear_log();
    prepare(&message, CKG_GENERATE);
    ok(seal_begin(&message));
    ok(seal_next(&message, BYTES(text, 20), &cipher, 0));
    assert_int_equal(cipher.len, 0);
    ok(seal_next(&message, BYTES(text + 20, 0), &cipher, 0));
    ok(world.p11_3->C_EncryptMessageNext(session, &message.params, sizeof message.params, text + 20,
                                         TEXT - 20, NULL, &len, CKF_END_OF_MESSAGE));
    assert_int_equal(len, TEXT);
    assert_int_equal(requests(NULL), 0);
    ok(seal_next(&message, BYTES(text + 20, TEXT - 20), &cipher, CKF_END_OF_MESSAGE));
    assert_int_equal(requests(NULL), 1);
    assert_int_equal(cipher.len, TEXT);
    ok(unseal_begin(&message));
    ok(unseal_next(&message, BYTES(cipher.data, 1), &plain, 0));
    assert_int_equal(plain.len, 0);
    ok(unseal_next(&message, BYTES(cipher.data + 1, TEXT - 1), &plain, CKF_END_OF_MESSAGE));
    assert_memory_equal(plain.data, text, TEXT);
    assert_int_equal(requests(NULL), 2);
    end_both();
}

static void test_what_the_service_cannot_do(void **state)
{
    struct message message;
    struct result cipher;
    prepare(&message, CKG_GENERATE);
    const CK_GCM_MESSAGE_PARAMS good = message.params;
    struct {
        const char *sentence;
        CK_GCM_MESSAGE_PARAMS params;
    } rows[] = {
        { "the caller's vector", good },  { "a counter", good },     { "a vector of 16 bytes", good },
        { "a part that is fixed", good }, { "a shorter tag", good },
    };
    rows[0].params.ivGenerator = CKG_NO_GENERATE;
    rows[1].params.ivGenerator = CKG_GENERATE_COUNTER;
    rows[2].params.ulIvLen = 16;
    rows[3].params.ulIvFixedBits = 8;
    rows[4].params.ulTagBits = 120;
    clear_log();
    ok(world.p11_3->C_MessageEncryptInit(session, &gcm, hsm_key));
    for (size_t i = 0; i < 5; i++) {
        message.params = rows[i].params;
        CK_RV rv = seal(&message, &cipher);
        if (rv != CKR_MECHANISM_PARAM_INVALID)
            fail_msg("%s: 0x%lx", rows[i].sentence, rv);
        expect(CKR_MECHANISM_PARAM_INVALID, seal_begin(&message));
    }
    assert_int_equal(requests(NULL), 0);
    char *log = module_log();
    assert_non_null(strstr(log,
                           "C_EncryptMessage: CKR_MECHANISM_PARAM_INVALID: 'sealer' is in a Managed HSM, "
                           "which makes the nonce of AES-GCM and takes none"));
    free(log);
    message.params = good;
    ok(seal(&message, &cipher));
    ok(world.p11_3->C_MessageEncryptFinal(session));
    ok(world.p11_3->C_MessageDecryptInit(session, &gcm, hsm_key));
    message.params.ulTagBits = 120;
    expect(CKR_MECHANISM_PARAM_INVALID, unseal(&message, &cipher, &(struct result){ 0 }));
    message.params.ulTagBits = 128;
    message.params.ulIvLen = 16;
    expect(CKR_MECHANISM_PARAM_INVALID, unseal(&message, &cipher, &(struct result){ 0 }));
    ok(world.p11_3->C_MessageDecryptFinal(session));
}

static CK_GCM_PARAMS classic(struct message *message, CK_BYTE *data, CK_ULONG len)
{
    return (
        CK_GCM_PARAMS){ .pIv = message->iv, .ulIvLen = 12, .pAAD = data, .ulAADLen = len, .ulTagBits = 128 };
}

/* C_Decrypt and C_UnwrapKey have the nonce in their parameter and the tag behind the ciphertext; C_Encrypt and C_WrapKey would have to bring one. */
static void test_the_classic_functions(void **state)
{
    struct message message;
    struct result cipher, plain;
    ok(world.p11_3->C_MessageEncryptInit(session, &gcm, hsm_key));
    prepare(&message, CKG_GENERATE);
    ok(seal(&message, &cipher));
    CK_GCM_PARAMS params = classic(&message, aad, AAD);
    CK_MECHANISM mechanism = { CKM_AES_GCM, &params, sizeof params };
    clear_log();
    expect(CKR_MECHANISM_PARAM_INVALID, world.p11->C_EncryptInit(session, &mechanism, hsm_key));
    cipher.len = sizeof cipher.data;
    expect(CKR_MECHANISM_PARAM_INVALID,
           world.p11->C_WrapKey(session, &mechanism, hsm_key, aes, plain.data, &cipher.len));
    params.ulTagBits = 96;
    expect(CKR_MECHANISM_PARAM_INVALID, world.p11->C_DecryptInit(session, &mechanism, hsm_key));
    params.ulTagBits = 128;
    params.ulIvLen = 13;
    expect(CKR_MECHANISM_PARAM_INVALID, world.p11->C_DecryptInit(session, &mechanism, hsm_key));
    params.ulIvLen = 12;
    assert_int_equal(requests(NULL), 0);
    memcpy(cipher.data + TEXT, message.tag, 16);
    cipher.len = TEXT + 16;
    plain = decrypt(session, &mechanism, hsm_key, &cipher);
    assert_int_equal(plain.len, TEXT);
    assert_memory_equal(plain.data, text, TEXT);
    assert_int_equal(requests(NULL), 1);
    /* Fewer bytes than a tag has are nothing to ask the service about. */
    ok(world.p11->C_DecryptInit(session, &mechanism, hsm_key));
    plain.len = sizeof plain.data;
    expect(CKR_ENCRYPTED_DATA_LEN_RANGE,
           world.p11->C_Decrypt(session, cipher.data, 15, plain.data, &plain.len));
    assert_int_equal(requests(NULL), 1);
    cipher.data[0] ^= 1;
    ok(world.p11->C_DecryptInit(session, &mechanism, hsm_key));
    plain.len = sizeof plain.data;
    expect(CKR_ENCRYPTED_DATA_INVALID,
           world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
    ok(world.p11_3->C_MessageEncryptFinal(session));
}

static void test_a_key_is_unwrapped(void **state)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE kind = CKK_AES;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &kind, sizeof kind },
                                { CKA_SENSITIVE, &no, sizeof no } };
    CK_OBJECT_HANDLE made = CK_INVALID_HANDLE;
    struct message message;
    CK_BYTE wrapped[48], value[64];
    CK_ULONG len = sizeof wrapped;
    prepare(&message, CKG_GENERATE);
    ok(world.p11_3->C_MessageEncryptInit(session, &gcm, hsm_key));
    ok(world.p11_3->C_EncryptMessage(session, &message.params, sizeof message.params, NULL, 0,
                                     (CK_BYTE *)key_value, 32, wrapped, &len));
    ok(world.p11_3->C_MessageEncryptFinal(session));
    memcpy(wrapped + 32, message.tag, 16);
    CK_GCM_PARAMS params = classic(&message, NULL, 0);
    CK_MECHANISM mechanism = { CKM_AES_GCM, &params, sizeof params };
    clear_log();
    ok(world.p11->C_UnwrapKey(session, &mechanism, hsm_key, wrapped, 48, template, 3, &made));
    assert_int_equal(requests(NULL), 1);
    assert_int_equal(requests("/unwrapkey"), 1);
    assert_int_equal(attribute(session, made, CKA_VALUE, value, sizeof value), 32);
    assert_memory_equal(value, key_value, 32);
    wrapped[47] ^= 1;
    expect(CKR_WRAPPED_KEY_INVALID,
           world.p11->C_UnwrapKey(session, &mechanism, hsm_key, wrapped, 48, template, 3, &made));
    expect(CKR_WRAPPED_KEY_LEN_RANGE,
           world.p11->C_UnwrapKey(session, &mechanism, hsm_key, wrapped, 15, template, 3, &made));
}

/* A recorded message of a real Managed HSM: what went in, and what the service made of it. */
static void test_a_recorded_message(void **state)
{
    char path[256], body[512];
    const char *folder = getenv("KVP11_TEST_DATA");
    struct message message;
    struct result cipher, plain;
    struct kv_json *recorded = NULL;
    if (!folder) {
        print_message("KVP11_TEST_DATA is not set: no recordings\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/recordings/mhsm-aes-kat.json", folder);
    FILE *file = fopen(path, "r");
    char *text_of_file = NULL;
    size_t size = 0;
    assert_non_null(file);
    assert_true(getdelim(&text_of_file, &size, 0, file) > 0);
    fclose(file);
    assert_int_equal(kv_json_parse(kv_view_text(text_of_file), &recorded, NULL), KV_OK);
    free(text_of_file);
    const struct kv_json *kat = kv_json_get(recorded, "A256GCM");
    static const char *const names[] = { "iv", "tag", "aad", "value" };
    struct kv_bytes parts[4] = { { 0 } }, expected = { 0 };
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(kv_decode_base64url(kv_json_text(kv_json_get(kat, names[i])), &parts[i]), KV_OK);
    assert_int_equal(kv_decode_base64url(kv_json_text(kv_json_get(recorded, "plaintext")), &expected), KV_OK);

    snprintf(body, sizeof body, "{\"key\":{\"kty\":\"oct-HSM\",\"k\":\"%s\",\"key_ops\":[\"decrypt\"]}}",
             kv_json_text(kv_json_get(recorded, "k")));
    control_do("POST", "/vaults/hsm/keys/recorded/import", body);
    CK_OBJECT_HANDLE key = find_one(session, CKO_SECRET_KEY, "recorded");
    prepare(&message, CKG_NO_GENERATE);
    memcpy(message.iv, parts[0].data, 12);
    memcpy(message.tag, parts[1].data, 16);
    ok(world.p11_3->C_MessageDecryptInit(session, &gcm, key));
    plain.len = sizeof plain.data;
    ok(world.p11_3->C_DecryptMessage(session, &message.params, sizeof message.params, parts[2].data,
                                     parts[2].len, parts[3].data, parts[3].len, plain.data, &plain.len));
    assert_int_equal(plain.len, expected.len);
    assert_memory_equal(plain.data, expected.data, expected.len);
    ok(world.p11_3->C_MessageDecryptFinal(session));
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED, world.p11_3->C_MessageEncryptInit(session, &gcm, key));

    /* The same bytes for the same key under the session, where the vector is ours to choose: the service's ciphertext. */
    struct kv_bytes value = { 0 };
    assert_int_equal(kv_decode_base64url(kv_json_text(kv_json_get(recorded, "k")), &value), KV_OK);
    CK_OBJECT_HANDLE same = aes_key(session, value.data, value.len, true);
    memset(message.tag, 0, 16);
    ok(world.p11_3->C_MessageEncryptInit(session, &gcm, same));
    cipher.len = sizeof cipher.data;
    ok(world.p11_3->C_EncryptMessage(session, &message.params, sizeof message.params, parts[2].data,
                                     parts[2].len, expected.data, expected.len, cipher.data, &cipher.len));
    assert_int_equal(cipher.len, parts[3].len);
    assert_memory_equal(cipher.data, parts[3].data, cipher.len);
    assert_memory_equal(message.tag, parts[1].data, 16);
    ok(world.p11_3->C_MessageEncryptFinal(session));
    kv_bytes_free(&value);
    kv_bytes_free(&expected);
    for (size_t i = 0; i < 4; i++)
        kv_bytes_free(&parts[i]);
    kv_json_free(recorded);
}

static void test_tampering_with_the_service(void **state)
{
    struct message message;
    struct result cipher, plain;
    begin_both(hsm_key);
    prepare(&message, CKG_GENERATE);
    ok(seal(&message, &cipher));
    message.tag[0] ^= 1;
    expect(CKR_AEAD_DECRYPT_FAILED, unseal(&message, &cipher, &plain));
    message.tag[0] ^= 1;
    cipher.data[3] ^= 1;
    expect(CKR_AEAD_DECRYPT_FAILED, unseal(&message, &cipher, &plain));
    cipher.data[3] ^= 1;
    ok(unseal(&message, &cipher, &plain));
    end_both();
}

/* Only the message is lost, not the process. */
static void test_a_service_error_ends_the_message_alone(void **state)
{
    struct message message;
    struct result cipher;
    begin_both(hsm_key);
    prepare(&message, CKG_GENERATE);
    control_do("POST", "/faults", "{\"path\":\"/encrypt\",\"kind\":\"wrong_version\",\"count\":1}");
    expect(CKR_DEVICE_ERROR, seal(&message, &cipher));
    control_do("DELETE", "/faults", NULL);
    ok(seal(&message, &cipher));
    end_both();
}

/* What was sealed under a version that is no longer current is found: by the ledger with one request, without it by trying. */
static void test_old_messages(void **state)
{
    static const struct {
        const char *map;
        size_t decrypts;
    } rows[] = { { "messages.db", 1 }, { "none", 2 } };
    for (size_t i = 0; i < 2; i++) {
        struct message message;
        struct result cipher, plain;
        char name[32];
        snprintf(name, sizeof name, "turning%zu", i);
        create_key("hsm", name, "{\"kty\":\"oct-HSM\",\"key_size\":128}");
        configure(rows[i].map, "api_version = 2026-04-01\nrefresh_seconds = 0");
        session = restart(HSM);
        ok(world.p11_3->C_MessageEncryptInit(session, &gcm, find_one(session, CKO_SECRET_KEY, name)));
        prepare(&message, CKG_GENERATE);
        ok(seal(&message, &cipher));
        create_key("hsm", name, "{\"kty\":\"oct-HSM\",\"key_size\":128}");
        session = restart(HSM);
        ok(world.p11_3->C_MessageDecryptInit(session, &gcm, find_one(session, CKO_SECRET_KEY, name)));
        clear_log();
        ok(unseal(&message, &cipher, &plain));
        assert_memory_equal(plain.data, text, TEXT);
        assert_int_equal(requests("/decrypt"), rows[i].decrypts);
    }
    start_again();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_an_empty_message),
        cmocka_unit_test(test_a_message_is_one_request),
        cmocka_unit_test(test_parts_are_one_request),
        cmocka_unit_test(test_what_the_service_cannot_do),
        cmocka_unit_test(test_the_classic_functions),
        cmocka_unit_test(test_a_key_is_unwrapped),
        cmocka_unit_test(test_a_recorded_message),
        cmocka_unit_test(test_tampering_with_the_service),
        cmocka_unit_test(test_a_service_error_ends_the_message_alone),
        cmocka_unit_test(test_old_messages),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
