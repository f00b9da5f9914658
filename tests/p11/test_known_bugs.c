/* Six bugs that other modules had while their test suites were green, each with a test that fails on it. */
#include "harness.h"

#include <stdio.h>

static CK_SESSION_HANDLE session, hsm;
static CK_OBJECT_HANDLE rsa_shut, rsa_open, ec_shut, aes, inner, hsm_aes;
static const CK_BYTE value[32] = "0123456789abcdef0123456789abcde";
static CK_BYTE iv[16] = "initial vector.", nonce[12] = "twelve bytes";
static CK_GCM_PARAMS gcm_params = { .pIv = nonce, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128 };
static CK_MECHANISM gcm = { CKM_AES_GCM, &gcm_params, sizeof gcm_params }, cbc = { CKM_AES_CBC_PAD, iv, 16 },
                    kw = { CKM_AES_KEY_WRAP, NULL, 0 }, sha256 = { CKM_SHA256, NULL, 0 };

/* RSA keys with both common exponents, and of all sizes. */
static const struct {
    const char *name, *body;
    CK_ULONG bytes, exponent_len;
} rsa_keys[] = {
    { "rsa", "{\"kty\":\"RSA\"}", 256, 3 },
    { "rsa-3072", "{\"kty\":\"RSA\",\"key_size\":3072}", 384, 3 },
    { "rsa-4096", "{\"kty\":\"RSA\",\"key_size\":4096}", 512, 3 },
    { "rsa-three", "{\"kty\":\"RSA\",\"public_exponent\":3}", 256, 1 },
};
enum { RSA_KEYS = sizeof rsa_keys / sizeof *rsa_keys };

static int start(void **state)
{
    if (world_start(state))
        return -1;
    for (size_t i = 0; i < RSA_KEYS; i++)
        create_key("prod", rsa_keys[i].name, rsa_keys[i].body);
    create_key("prod", "ec", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    create_key("hsm", "wrapper", "{\"kty\":\"oct-HSM\",\"key_size\":256}");
    initialize();
    session = open_session(PROD);
    hsm = open_session(HSM);
    rsa_shut = find_one(session, CKO_PRIVATE_KEY, "rsa");
    rsa_open = find_one(session, CKO_PUBLIC_KEY, "rsa");
    ec_shut = find_one(session, CKO_PRIVATE_KEY, "ec");
    aes = aes_key(session, value, 32, true);
    inner = aes_key(session, value, 16, true);
    hsm_aes = find_one(hsm, CKO_SECRET_KEY, "wrapper");
    return 0;
}

/* --- every function that fills a buffer --- */

static struct result cipher; /* the input of a decryption */

static void begin_sign(void)
{
    ok(world.p11->C_SignInit(session, &ecdsa_sha256, ec_shut));
}
static CK_RV call_sign(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_Sign(session, (CK_BYTE *)value, 32, out, len);
}
static void begin_sign_final(void)
{
    ok(world.p11->C_SignInit(session, &rsa_sha256, rsa_shut));
    ok(world.p11->C_SignUpdate(session, (CK_BYTE *)value, 32));
}
static CK_RV call_sign_final(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_SignFinal(session, out, len);
}
static void begin_encrypt(void)
{
    ok(world.p11->C_EncryptInit(session, &gcm, aes));
}
static void begin_encrypt_rsa(void)
{
    ok(world.p11->C_EncryptInit(session, &oaep_sha256, rsa_open));
}
static CK_RV call_encrypt(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_Encrypt(session, (CK_BYTE *)value, 32, out, len);
}
static void begin_encrypt_cbc(void)
{
    ok(world.p11->C_EncryptInit(session, &cbc, aes));
}
static CK_RV call_encrypt_update(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_EncryptUpdate(session, (CK_BYTE *)value, 32, out, len);
}
static CK_RV call_encrypt_final(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_EncryptFinal(session, out, len);
}
static void begin_decrypt(void)
{
    cipher = encrypt(session, &cbc, aes, value, 32);
    ok(world.p11->C_DecryptInit(session, &cbc, aes));
}
static void begin_decrypt_rsa(void)
{
    cipher = encrypt(session, &oaep_sha256, rsa_open, value, 32);
    ok(world.p11->C_DecryptInit(session, &oaep_sha256, rsa_shut));
}
static CK_RV call_decrypt(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_Decrypt(session, cipher.data, cipher.len, out, len);
}
static CK_RV call_decrypt_update(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_DecryptUpdate(session, cipher.data, cipher.len, out, len);
}
static void begin_decrypt_final(void)
{
    struct result none;
    cipher = encrypt(session, &gcm, aes, value, 32);
    none.len = sizeof none.data;
    ok(world.p11->C_DecryptInit(session, &gcm, aes));
    ok(world.p11->C_DecryptUpdate(session, cipher.data, cipher.len, none.data, &none.len));
    assert_int_equal(none.len, 0);
}
static CK_RV call_decrypt_final(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_DecryptFinal(session, out, len);
}
static void begin_digest(void)
{
    ok(world.p11->C_DigestInit(session, &sha256));
}
static CK_RV call_digest(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_Digest(session, (CK_BYTE *)value, 32, out, len);
}
static void begin_digest_final(void)
{
    ok(world.p11->C_DigestInit(session, &sha256));
    ok(world.p11->C_DigestUpdate(session, (CK_BYTE *)value, 32));
}
static CK_RV call_digest_final(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_DigestFinal(session, out, len);
}
static void begin_nothing(void)
{
}
static CK_RV call_wrap(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_WrapKey(session, &kw, aes, inner, out, len);
}
static CK_RV call_wrap_rsa(CK_BYTE *out, CK_ULONG *len)
{
    return world.p11->C_WrapKey(session, &oaep_sha256, rsa_open, inner, out, len);
}

static const struct {
    const char *name;
    void (*begin)(void);
    CK_RV (*call)(CK_BYTE *out, CK_ULONG *len);
    CK_ULONG size; /* of the result */
    bool random;   /* the result differs from call to call */
} outputs[] = {
    { "C_Sign", begin_sign, call_sign, 64, true },
    { "C_SignFinal", begin_sign_final, call_sign_final, 256, false },
    { "C_Encrypt, AES-GCM", begin_encrypt, call_encrypt, 48, false },
    { "C_Encrypt, RSA-OAEP", begin_encrypt_rsa, call_encrypt, 256, true },
    { "C_EncryptUpdate", begin_encrypt_cbc, call_encrypt_update, 32, false },
    { "C_EncryptFinal", begin_encrypt_cbc, call_encrypt_final, 16, false },
    { "C_Decrypt, AES-CBC-PAD", begin_decrypt, call_decrypt, 32, false },
    { "C_Decrypt, RSA-OAEP", begin_decrypt_rsa, call_decrypt, 32, false },
    { "C_DecryptUpdate", begin_decrypt, call_decrypt_update, 32, false },
    { "C_DecryptFinal", begin_decrypt_final, call_decrypt_final, 32, false },
    { "C_Digest", begin_digest, call_digest, 32, false },
    { "C_DigestFinal", begin_digest_final, call_digest_final, 32, false },
    { "C_WrapKey, AES-KW", begin_nothing, call_wrap, 24, false },
    { "C_WrapKey, RSA-OAEP", begin_nothing, call_wrap_rsa, 256, true },
};

/* Ends what a row left under way. */
static void cancel(void)
{
    world.p11->C_SignInit(session, NULL, 0);
    world.p11->C_EncryptInit(session, NULL, 0);
    world.p11->C_DecryptInit(session, NULL, 0);
    world.p11->C_DigestInit(session, NULL);
}

enum { GUARD = 0xa5 };

static bool untouched(const CK_BYTE *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != GUARD)
            return false;
    return true;
}

/* Bug 1: with a buffer that is a byte too short, or has no byte at all, the call answers OK, or writes into it. */
static void test_a_short_buffer_is_never_ok(void **state)
{
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        for (int pass = 0; pass < 2; pass++) {
            CK_BYTE out[1024];
            CK_ULONG room = pass ? outputs[i].size - 1 : 0;
            memset(out, GUARD, sizeof out);
            outputs[i].begin();
            CK_RV rv = outputs[i].call(out, &room);
            if (rv != CKR_BUFFER_TOO_SMALL || room < outputs[i].size || !untouched(out, sizeof out))
                fail_msg("%s: 0x%lx, %lu bytes needed%s", outputs[i].name, rv, room,
                         untouched(out, sizeof out) ? "" : ", and the buffer is written to");
            cancel();
        }
}

/* Bug 2: CKR_BUFFER_TOO_SMALL ends the operation, or the call after it starts from the wrong state. */
static void test_a_short_buffer_loses_nothing(void **state)
{
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        CK_BYTE whole[1024], again[1024];
        CK_ULONG whole_len = sizeof whole, little = outputs[i].size / 2, size = 0;
        outputs[i].begin();
        ok(outputs[i].call(whole, &whole_len));
        cancel();
        outputs[i].begin();
        expect(CKR_BUFFER_TOO_SMALL, outputs[i].call(again, &little));
        expect(CKR_OK, outputs[i].call(NULL, &size));
        little = outputs[i].size - 1;
        expect(CKR_BUFFER_TOO_SMALL, outputs[i].call(again, &little));
        size = little;
        CK_RV rv = outputs[i].call(again, &size);
        if (rv || size != whole_len || whole_len != outputs[i].size ||
            (!outputs[i].random && memcmp(whole, again, size)))
            fail_msg("%s: 0x%lx, %lu bytes after a short buffer, %lu without", outputs[i].name, rv, size,
                     whole_len);
        cancel();
    }
}

/* Bug 3: an attribute that the object has not, or that is secret, answers with the length 0, as if it were there and empty. */
static void test_an_unavailable_attribute_has_no_length(void **state)
{
    static const CK_ATTRIBUTE_TYPE absent[] = { CKA_VALUE_LEN, CKA_PRIME_1, 0x80001234UL,
                                                CKA_HASH_OF_SUBJECT_PUBLIC_KEY, CKA_AC_ISSUER };
    static const CK_ATTRIBUTE_TYPE secret[] = { CKA_PRIVATE_EXPONENT, CKA_PRIME_1,    CKA_PRIME_2,
                                                CKA_EXPONENT_1,       CKA_EXPONENT_2, CKA_COEFFICIENT };
    struct {
        CK_OBJECT_HANDLE object;
        const CK_ATTRIBUTE_TYPE *types;
        size_t count;
        CK_RV rv;
    } rows[] = {
        { rsa_open, absent, 5, CKR_ATTRIBUTE_TYPE_INVALID },
        { rsa_shut, secret, 6, CKR_ATTRIBUTE_SENSITIVE },
        { hsm_aes, (CK_ATTRIBUTE_TYPE[]){ CKA_VALUE }, 1, CKR_ATTRIBUTE_SENSITIVE },
        { hsm_aes, (CK_ATTRIBUTE_TYPE[]){ CKA_MODULUS, CKA_EC_POINT }, 2, CKR_ATTRIBUTE_TYPE_INVALID },
        { ec_shut, (CK_ATTRIBUTE_TYPE[]){ CKA_VALUE }, 1, CKR_ATTRIBUTE_SENSITIVE },
        { ec_shut, (CK_ATTRIBUTE_TYPE[]){ CKA_MODULUS, CKA_MODULUS_BITS }, 2, CKR_ATTRIBUTE_TYPE_INVALID },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < 2 * rows[i].count; k++) {
            CK_BYTE place[512];
            CK_ATTRIBUTE item = { rows[i].types[k / 2], k % 2 ? place : NULL, k % 2 ? sizeof place : 0 };
            CK_RV rv = world.p11->C_GetAttributeValue(rows[i].object == hsm_aes ? hsm : session,
                                                      rows[i].object, &item, 1);
            if (rv != rows[i].rv || item.ulValueLen != CK_UNAVAILABLE_INFORMATION)
                fail_msg("row %zu, attribute 0x%lx: 0x%lx and length %lu", i, item.type, rv, item.ulValueLen);
        }
}

/* Bug 4: a modulus or an exponent comes as a signed integer does, with a zero byte before it. */
static void test_integers_have_no_leading_zero(void **state)
{
    static const CK_OBJECT_CLASS halves[] = { CKO_PRIVATE_KEY, CKO_PUBLIC_KEY };
    for (size_t i = 0; i < 2 * (size_t)RSA_KEYS; i++) {
        CK_OBJECT_HANDLE key = find_one(session, halves[i % 2], rsa_keys[i / 2].name);
        CK_BYTE number[600];
        CK_ULONG bits = 0;
        size_t len = attribute(session, key, CKA_MODULUS, number, sizeof number);
        attribute(session, key, CKA_MODULUS_BITS, &bits, sizeof bits);
        if (len != rsa_keys[i / 2].bytes || !(number[0] & 0x80) || bits != len * 8)
            fail_msg("%s: modulus of %zu bytes, first 0x%02x, %lu bits", rsa_keys[i / 2].name, len, number[0],
                     bits);
        len = attribute(session, key, CKA_PUBLIC_EXPONENT, number, sizeof number);
        if (len != rsa_keys[i / 2].exponent_len || !number[0])
            fail_msg("%s: exponent of %zu bytes, first 0x%02x", rsa_keys[i / 2].name, len, number[0]);
        CK_ATTRIBUTE template = { CKA_PUBLIC_EXPONENT, number, len };
        CK_OBJECT_HANDLE found[16];
        CK_ULONG count = 0;
        ok(world.p11->C_FindObjectsInit(session, &template, 1));
        ok(world.p11->C_FindObjects(session, found, 16, &count));
        ok(world.p11->C_FindObjectsFinal(session));
        assert_int_equal(count, rsa_keys[i / 2].exponent_len == 1 ? 2 : 6);
    }
}

/* Bug 5: a key that never leaves its vault says that it is not sensitive, so that a program asks for its value, or refuses the key. */
static void test_a_vault_key_is_sensitive(void **state)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        CK_BBOOL value;
    } truths[] = { { CKA_SENSITIVE, CK_TRUE },
                   { CKA_EXTRACTABLE, CK_FALSE },
                   { CKA_ALWAYS_SENSITIVE, CK_TRUE },
                   { CKA_NEVER_EXTRACTABLE, CK_TRUE } };
    const struct {
        CK_SESSION_HANDLE session;
        CK_OBJECT_HANDLE object;
    } keys[] = { { session, rsa_shut }, { session, ec_shut }, { hsm, hsm_aes } };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        for (size_t k = 0; k < sizeof truths / sizeof *truths; k++)
            if (attribute_bool(keys[i].session, keys[i].object, truths[k].type) != truths[k].value)
                fail_msg("key %zu: attribute 0x%lx is not %d", i, truths[k].type, truths[k].value);
    /* A search goes by the same answers. */
    CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
    CK_ATTRIBUTE open[] = { { CKA_TOKEN, &yes, 1 }, { CKA_SENSITIVE, &no, 1 } };
    CK_OBJECT_HANDLE found;
    CK_ULONG count = 7;
    ok(world.p11->C_FindObjectsInit(session, open, 2));
    ok(world.p11->C_FindObjects(session, &found, 1, &count));
    ok(world.p11->C_FindObjectsFinal(session));
    assert_int_equal(count, 0);
}

/* Bug 6: with room for fewer than there are, the list is cut and the answer is OK. */
static void test_a_list_that_does_not_fit_is_not_cut(void **state)
{
    CK_ULONG slots = 0, mechanisms = 0;
    ok(world.p11->C_GetSlotList(CK_TRUE, NULL, &slots));
    ok(world.p11->C_GetMechanismList(PROD, NULL, &mechanisms));
    assert_int_equal(slots, 3);
    assert_in_range(mechanisms, 15, 200);
    for (CK_ULONG room = 0; room <= mechanisms; room++) {
        CK_ULONG list[200], len = room;
        memset(list, GUARD, sizeof list);
        expect(room < mechanisms ? CKR_BUFFER_TOO_SMALL : CKR_OK,
               world.p11->C_GetMechanismList(PROD, list, &len));
        assert_int_equal(len, mechanisms);
        assert_int_equal(untouched((CK_BYTE *)list, sizeof list), room < mechanisms);
        assert_true(untouched((CK_BYTE *)(list + mechanisms), sizeof list - mechanisms * sizeof *list));
        len = room;
        memset(list, GUARD, sizeof list);
        expect(room < slots ? CKR_BUFFER_TOO_SMALL : CKR_OK, world.p11->C_GetSlotList(CK_TRUE, list, &len));
        assert_int_equal(len, slots);
        assert_int_equal(untouched((CK_BYTE *)list, sizeof list), room < slots);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_short_buffer_is_never_ok),
        cmocka_unit_test(test_a_short_buffer_loses_nothing),
        cmocka_unit_test(test_an_unavailable_attribute_has_no_length),
        cmocka_unit_test(test_integers_have_no_leading_zero),
        cmocka_unit_test(test_a_vault_key_is_sensitive),
        cmocka_unit_test(test_a_list_that_does_not_fit_is_not_cut),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
