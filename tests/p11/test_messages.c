/* Message-based AES-GCM under a session's key. What is made here OpenSSL opens, without the module. Keys of a Managed HSM: test_messages_hsm.c. */
#include "messages_help.h"

#include <stdio.h>
#include <openssl/evp.h>

static CK_OBJECT_HANDLE aes[3];

static int start(void **state)
{
    if (world_start(state))
        return -1;
    initialize();
    session = open_session(HSM);
    for (size_t i = 0; i < 3; i++)
        aes[i] = aes_key(session, key_value, 16 + 8 * i, true);
    return 0;
}

/* --- OpenSSL's word for it --- */

static bool openssl_opens(size_t key_len, const struct message *message, const CK_BYTE *cipher, size_t len,
                          CK_BYTE *ret)
{
    char name[16];
    int some = 0, rest = 0;
    snprintf(name, sizeof name, "AES-%zu-GCM", 8 * key_len);
    EVP_CIPHER *evp = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_DecryptInit_ex2(context, evp, NULL, NULL, NULL), 1);
    assert_int_equal(
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)message->params.ulIvLen, NULL), 1);
    assert_int_equal(EVP_DecryptInit_ex2(context, NULL, key_value, message->iv, NULL), 1);
    assert_int_equal(EVP_DecryptUpdate(context, NULL, &some, aad, AAD), 1);
    assert_int_equal(EVP_DecryptUpdate(context, ret, &some, cipher, (int)len), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, (int)message->params.ulTagBits / 8,
                                         (void *)message->tag),
                     1);
    bool good = EVP_DecryptFinal_ex(context, ret + some, &rest) == 1;
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(evp);
    return good && (size_t)(some + rest) == len;
}

static void assert_openssl_opens(size_t key_len, const struct message *message, const struct result *cipher)
{
    CK_BYTE plain[256];
    assert_int_equal(cipher->len, TEXT);
    assert_memory_not_equal(cipher->data, text, TEXT);
    assert_true(openssl_opens(key_len, message, cipher->data, cipher->len, plain));
    assert_memory_equal(plain, text, TEXT);
}

/* --- session keys --- */

static void test_messages_of_a_session_key(void **state)
{
    static const CK_GENERATOR_FUNCTION generators[] = { CKG_NO_GENERATE, CKG_GENERATE, CKG_GENERATE_COUNTER,
                                                        CKG_GENERATE_RANDOM };
    static const CK_ULONG tags[] = { 128, 120, 112, 104, 96 };
    struct message message;
    struct result cipher, plain;
    clear_log();
    for (size_t i = 0; i < 3; i++)
        for (size_t g = 0; g < 4; g++) {
            begin_both(aes[i]);
            for (size_t t = 0; t < 5; t++) {
                prepare(&message, generators[g]);
                message.params.ulTagBits = tags[t];
                ok(seal(&message, &cipher));
                assert_openssl_opens(16 + 8 * i, &message, &cipher);
                ok(unseal(&message, &cipher, &plain));
                assert_int_equal(plain.len, TEXT);
                assert_memory_equal(plain.data, text, TEXT);
                if (tags[t] < 128)
                    assert_int_equal(message.tag[tags[t] / 8], 0xee);
            }
            end_both();
        }
    assert_int_equal(requests(NULL), 0);
}

static void test_a_template_may_come_with_init(void **state)
{
    struct message message;
    struct result cipher;
    prepare(&message, CKG_GENERATE);
    CK_MECHANISM with = { CKM_AES_GCM, &message.params, sizeof message.params };
    ok(world.p11_3->C_MessageEncryptInit(session, &with, aes[0]));
    ok(seal(&message, &cipher));
    assert_openssl_opens(16, &message, &cipher);
    ok(world.p11_3->C_MessageEncryptFinal(session));
}

static void test_parts_of_any_size(void **state)
{
    static const size_t cuts[][3] = { { 0, 0, TEXT }, { 1, 16, TEXT - 17 }, { TEXT, 0, 0 }, { 16, 16, 16 } };
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct message message;
        struct result cipher = { .len = 0 }, plain = { .len = 0 };
        size_t a = cuts[i][0], b = cuts[i][1], c = cuts[i][2];
        prepare(&message, CKG_GENERATE);
        begin_both(aes[2]);
        ok(seal_begin(&message));
        assert_int_not_equal(message.iv[0] & message.iv[1] & message.iv[2] & message.iv[3], 0xff);
        ok(seal_next(&message, BYTES(text, a), &cipher, 0));
        assert_int_equal(cipher.len, a);
        ok(seal_next(&message, BYTES(text + a, b), &cipher, 0));
        assert_int_equal(cipher.len, a + b);
        assert_int_equal(message.tag[0], 0xee);
        ok(seal_next(&message, BYTES(text + a + b, c), &cipher, CKF_END_OF_MESSAGE));
        assert_openssl_opens(32, &message, &cipher);

        ok(unseal_begin(&message));
        ok(unseal_next(&message, BYTES(cipher.data, c), &plain, 0));
        ok(unseal_next(&message, BYTES(cipher.data + c, b), &plain, 0));
        assert_int_equal(plain.len, 0);
        ok(unseal_next(&message, BYTES(cipher.data + b + c, a), &plain, CKF_END_OF_MESSAGE));
        assert_int_equal(plain.len, TEXT);
        assert_memory_equal(plain.data, text, TEXT);
        end_both();
    }
}

/* What the tag does not vouch for is not shown, in any number of parts; and only that message is lost. */
static void test_tampering(void **state)
{
    static const struct {
        const char *sentence;
        size_t place; /* in the message, or in the ciphertext from 1000 on */
    } flips[] = {
        { "the tag", offsetof(struct message, tag) + 15 },
        { "the vector", offsetof(struct message, iv) + 11 },
        { "the ciphertext", 1000 + TEXT - 1 },
    };
    for (size_t i = 0; i < 3; i++) {
        struct message message;
        struct result cipher, plain = { .len = 0 };
        CK_BYTE untouched[sizeof plain.data];
        memset(untouched, 0x55, sizeof untouched);
        begin_both(aes[1]);
        prepare(&message, CKG_GENERATE);
        ok(seal(&message, &cipher));
        CK_BYTE *flipped = flips[i].place >= 1000 ? &cipher.data[flips[i].place - 1000]
                                                  : (CK_BYTE *)&message + flips[i].place;
        *flipped ^= 1;
        memset(plain.data, 0x55, sizeof plain.data);
        CK_RV rv = unseal(&message, &cipher, &plain);
        if (rv != CKR_AEAD_DECRYPT_FAILED)
            fail_msg("%s: 0x%lx", flips[i].sentence, rv);
        assert_memory_equal(plain.data, untouched, sizeof untouched);
        plain.len = 0;
        ok(unseal_begin(&message));
        ok(unseal_next(&message, BYTES(cipher.data, 20), &plain, 0));
        expect(CKR_AEAD_DECRYPT_FAILED,
               unseal_next(&message, BYTES(cipher.data + 20, TEXT - 20), &plain, CKF_END_OF_MESSAGE));
        assert_memory_equal(plain.data, untouched, sizeof untouched);
        *flipped ^= 1;
        ok(unseal(&message, &cipher, &plain));
        assert_memory_equal(plain.data, text, TEXT);
        aad[0] ^= 1;
        expect(CKR_AEAD_DECRYPT_FAILED, unseal(&message, &cipher, &plain));
        aad[0] ^= 1;
        end_both();
    }
}

/* --- vectors --- */

static void test_the_counter_begins_at_zero(void **state)
{
    static const struct {
        CK_ULONG fixed;
        CK_BYTE first[12], second[12];
    } rows[] = {
        { 0, { 0 }, { [11] = 1 } },
        { 32, { 7, 7, 7, 7 }, { 7, 7, 7, 7, [11] = 1 } },
        /* 0x07 with its four high bits fixed. */
        { 36, { 7, 7, 7, 7, 0 }, { 7, 7, 7, 7, 0, [11] = 1 } },
        { 39, { 7, 7, 7, 7, 6 }, { 7, 7, 7, 7, 6, [11] = 1 } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct message message;
        struct result cipher;
        ok(world.p11_3->C_MessageEncryptInit(session, &gcm, aes[0]));
        prepare(&message, CKG_GENERATE_COUNTER);
        message.params.ulIvFixedBits = rows[i].fixed;
        ok(seal(&message, &cipher));
        assert_memory_equal(message.iv, rows[i].first, 12);
        assert_openssl_opens(16, &message, &cipher);
        cipher.len = 0;
        ok(seal_begin(&message));
        assert_memory_equal(message.iv, rows[i].second, 12);
        ok(seal_next(&message, BYTES(text, TEXT), &cipher, CKF_END_OF_MESSAGE));
        assert_openssl_opens(16, &message, &cipher);
        ok(world.p11_3->C_MessageEncryptFinal(session));
    }
}

/* A counter that has gone round would make a vector twice. */
static void test_a_counter_ends(void **state)
{
    struct message message;
    struct result cipher;
    ok(world.p11_3->C_MessageEncryptInit(session, &gcm, aes[0]));
    prepare(&message, CKG_GENERATE_COUNTER);
    message.params.ulIvFixedBits = 95;
    ok(seal(&message, &cipher));
    assert_int_equal(message.iv[11], 6);
    ok(seal(&message, &cipher));
    assert_int_equal(message.iv[11], 7);
    expect(CKR_MECHANISM_PARAM_INVALID, seal(&message, &cipher));
    expect(CKR_MECHANISM_PARAM_INVALID, seal_begin(&message));
    message.params.ulIvFixedBits = 64;
    ok(seal(&message, &cipher));
    assert_int_equal(message.iv[11], 2);
    ok(world.p11_3->C_MessageEncryptFinal(session));
}

static void test_random_vectors_differ(void **state)
{
    static const CK_GENERATOR_FUNCTION generators[] = { CKG_GENERATE, CKG_GENERATE_RANDOM };
    struct message message;
    struct result cipher;
    CK_BYTE seen[8][12];
    for (size_t g = 0; g < 2; g++) {
        ok(world.p11_3->C_MessageEncryptInit(session, &gcm, aes[0]));
        for (size_t i = 0; i < 8; i++) {
            prepare(&message, generators[g]);
            message.params.ulIvFixedBits = 12;
            ok(seal(&message, &cipher));
            assert_int_equal(message.iv[0], 7);
            assert_int_equal(message.iv[1] & 0xf0, 0);
            memcpy(seen[i], message.iv, 12);
            for (size_t k = 0; k < i; k++)
                assert_memory_not_equal(seen[i], seen[k], 12);
        }
        ok(world.p11_3->C_MessageEncryptFinal(session));
    }
}

/* --- what is wrong --- */

static void test_wrong_parameters(void **state)
{
    struct message message;
    struct result cipher = { .len = 0 };
    prepare(&message, CKG_GENERATE);
    const CK_GCM_MESSAGE_PARAMS good = message.params;
    struct {
        const char *sentence;
        CK_GCM_MESSAGE_PARAMS params;
        bool decrypts; /* the standard has it ignored there */
    } rows[] = {
        { "no vector", good, false },
        { "a vector of no length", good, false },
        { "too long a vector", good, false },
        { "no place for the tag", good, false },
        { "a tag of seven bits more", good, false },
        { "a tag that is too short", good, false },
        { "a tag that is too long", good, false },
        { "an unknown generator", good, true },
        { "more fixed bits than bits", good, true },
        { "too few bits for random ones", good, true },
    };
    rows[0].params.pIv = NULL;
    rows[1].params.ulIvLen = 0;
    rows[2].params.ulIvLen = 129;
    rows[3].params.pTag = NULL;
    rows[4].params.ulTagBits = 127;
    rows[5].params.ulTagBits = 88;
    rows[6].params.ulTagBits = 136;
    rows[7].params.ivGenerator = 4;
    rows[8].params.ulIvFixedBits = 97;
    rows[9].params.ulIvFixedBits = 33;
    begin_both(aes[0]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        message.params = rows[i].params;
        CK_RV rv = seal(&message, &cipher);
        if (rv != CKR_MECHANISM_PARAM_INVALID)
            fail_msg("%s: 0x%lx", rows[i].sentence, rv);
        cipher.len = TEXT;
        rv = unseal(&message, &cipher, &(struct result){ 0 });
        if (rv != (rows[i].decrypts ? CKR_AEAD_DECRYPT_FAILED : CKR_MECHANISM_PARAM_INVALID))
            fail_msg("%s: 0x%lx to decrypt", rows[i].sentence, rv);
    }
    CK_ULONG len = sizeof cipher.data;
    expect(CKR_MECHANISM_PARAM_INVALID,
           world.p11_3->C_EncryptMessage(session, NULL, 0, aad, AAD, text, TEXT, cipher.data, &len));
    expect(CKR_MECHANISM_PARAM_INVALID,
           world.p11_3->C_EncryptMessage(session, (void *)&good, sizeof good - 1, aad, AAD, text, TEXT,
                                         cipher.data, &len));
    expect(CKR_ARGUMENTS_BAD, world.p11_3->C_EncryptMessage(session, (void *)&good, sizeof good, NULL, 3,
                                                            text, TEXT, cipher.data, &len));
    expect(CKR_ARGUMENTS_BAD, world.p11_3->C_EncryptMessage(session, (void *)&good, sizeof good, aad, AAD,
                                                            NULL, 3, cipher.data, &len));
    expect(CKR_ARGUMENTS_BAD, world.p11_3->C_EncryptMessage(session, (void *)&good, sizeof good, aad, AAD,
                                                            text, TEXT, cipher.data, NULL));
    message.params = good;
    ok(seal(&message, &cipher));
    end_both();
}

static void test_what_cannot_begin(void **state)
{
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE never[] = { { CKA_ENCRYPT, &no, sizeof no }, { CKA_DECRYPT, &no, sizeof no } };
    CK_OBJECT_HANDLE idle = CK_INVALID_HANDLE;
    CK_MECHANISM cbc = { CKM_AES_CBC, (void *)key_value, 16 }, short_one = { CKM_AES_GCM, (void *)aad, AAD },
                 hollow = { CKM_AES_GCM, NULL, sizeof(CK_GCM_MESSAGE_PARAMS) }, md5 = { CKM_MD5, NULL, 0 };
    ok(world.p11->C_CopyObject(session, aes[0], never, 2, &idle));
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED, world.p11_3->C_MessageEncryptInit(session, &gcm, idle));
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED, world.p11_3->C_MessageDecryptInit(session, &gcm, idle));
    expect(CKR_KEY_HANDLE_INVALID, world.p11_3->C_MessageEncryptInit(session, &gcm, 424242));
    expect(CKR_MECHANISM_INVALID, world.p11_3->C_MessageEncryptInit(session, &cbc, aes[0]));
    expect(CKR_MECHANISM_INVALID, world.p11_3->C_MessageDecryptInit(session, &md5, aes[0]));
    expect(CKR_MECHANISM_PARAM_INVALID, world.p11_3->C_MessageEncryptInit(session, &short_one, aes[0]));
    expect(CKR_MECHANISM_PARAM_INVALID, world.p11_3->C_MessageEncryptInit(session, &hollow, aes[0]));
    ok(world.p11->C_DestroyObject(session, idle));
    expect(CKR_OPERATION_NOT_INITIALIZED, world.p11_3->C_MessageEncryptFinal(session));
}

static void test_sizes_of_parts(void **state)
{
    struct message message;
    struct result cipher = { .len = 0 }, plain = { .len = 0 };
    CK_ULONG len = 0;
    begin_both(aes[2]);
    prepare(&message, CKG_GENERATE);
    ok(seal_begin(&message));
    ok(world.p11_3->C_EncryptMessageNext(session, NULL, 0, text, 20, NULL, &len, 0));
    assert_int_equal(len, 20);
    len = 19;
    expect(CKR_BUFFER_TOO_SMALL,
           world.p11_3->C_EncryptMessageNext(session, NULL, 0, text, 20, cipher.data, &len, 0));
    assert_int_equal(len, 20);
    ok(seal_next(&message, BYTES(text, 20), &cipher, 0));
    len = TEXT - 21;
    expect(CKR_BUFFER_TOO_SMALL,
           world.p11_3->C_EncryptMessageNext(session, &message.params, sizeof message.params, text + 20,
                                             TEXT - 20, cipher.data, &len, CKF_END_OF_MESSAGE));
    assert_int_equal(len, TEXT - 20);
    ok(seal_next(&message, BYTES(text + 20, TEXT - 20), &cipher, CKF_END_OF_MESSAGE));
    assert_openssl_opens(32, &message, &cipher);

    ok(unseal_begin(&message));
    /* Nothing will come of it yet; but an application that is told so and brings no buffer would only ask again. */
    ok(world.p11_3->C_DecryptMessageNext(session, NULL, 0, cipher.data, 20, NULL, &len, 0));
    assert_int_equal(len, 20);
    ok(unseal_next(&message, BYTES(cipher.data, 20), &plain, 0));
    len = TEXT - 1;
    expect(CKR_BUFFER_TOO_SMALL, world.p11_3->C_DecryptMessageNext(
                                     session, &message.params, sizeof message.params, cipher.data + 20,
                                     TEXT - 20, plain.data, &len, CKF_END_OF_MESSAGE));
    assert_int_equal(len, TEXT);
    ok(unseal_next(&message, BYTES(cipher.data + 20, TEXT - 20), &plain, CKF_END_OF_MESSAGE));
    assert_int_equal(plain.len, TEXT);
    assert_memory_equal(plain.data, text, TEXT);
    end_both();
}

static void test_both_kinds_and_the_classic_ones_at_once(void **state)
{
    struct message message;
    struct result cipher, plain;
    CK_BYTE iv[16] = { 1 };
    CK_MECHANISM cbc = { CKM_AES_CBC_PAD, iv, 16 };
    begin_both(aes[0]);
    ok(world.p11->C_EncryptInit(session, &cbc, aes[0]));
    prepare(&message, CKG_GENERATE);
    ok(seal(&message, &cipher));
    plain.len = sizeof plain.data;
    ok(world.p11->C_Encrypt(session, text, TEXT, plain.data, &plain.len));
    ok(unseal(&message, &cipher, &plain));
    assert_memory_equal(plain.data, text, TEXT);
    end_both();
}

static void test_what_the_slots_say(void **state)
{
    CK_MECHANISM_INFO info;
    const CK_FLAGS messages = CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE;
    for (CK_SLOT_ID slot = PROD; slot <= HSM; slot++) {
        ok(world.p11->C_GetMechanismInfo(slot, CKM_AES_GCM, &info));
        assert_int_equal(info.flags & messages, messages);
        assert_int_equal(info.ulMinKeySize, 16);
        assert_int_equal(info.ulMaxKeySize, 32);
        ok(world.p11->C_GetMechanismInfo(slot, CKM_AES_CBC, &info));
        assert_int_equal(info.flags & messages, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_of_a_session_key),
        cmocka_unit_test(test_a_template_may_come_with_init),
        cmocka_unit_test(test_parts_of_any_size),
        cmocka_unit_test(test_tampering),
        cmocka_unit_test(test_the_counter_begins_at_zero),
        cmocka_unit_test(test_a_counter_ends),
        cmocka_unit_test(test_random_vectors_differ),
        cmocka_unit_test(test_wrong_parameters),
        cmocka_unit_test(test_what_cannot_begin),
        cmocka_unit_test(test_sizes_of_parts),
        cmocka_unit_test(test_both_kinds_and_the_classic_ones_at_once),
        cmocka_unit_test(test_what_the_slots_say),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
