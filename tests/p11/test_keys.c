/* Public and private keys that live in a session: brought in, generated, put to work here, and what becomes of their attributes. */
#include "keys_help.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static CK_SESSION_HANDLE session;
static EVP_PKEY *pkeys[5]; /* RSA, then the curves */
static CK_OBJECT_HANDLE publics[5], privates[5];

static const struct curve *curve_of(size_t i)
{
    return i ? &curves[i - 1] : NULL;
}

static int start(void **state)
{
    if (world_start(state))
        return -1;
    initialize();
    session = open_session(PROD);
    for (size_t i = 0; i < COUNT(pkeys); i++) {
        pkeys[i] = make_pkey(curve_of(i));
        publics[i] = create_public(session, pkeys[i], curve_of(i));
        privates[i] = create_private(session, pkeys[i], curve_of(i), true);
    }
    clear_log();
    return 0;
}

static int stop(void **state)
{
    for (size_t i = 0; i < COUNT(pkeys); i++)
        EVP_PKEY_free(pkeys[i]);
    return world_stop(state);
}

/* --- work --- */

static const struct signing {
    CK_MECHANISM_TYPE type;
    int padding; /* 0: ECDSA */
    const char *digest;
    CK_MECHANISM_TYPE hash;
    CK_RSA_PKCS_MGF_TYPE mgf;
    CK_ULONG salt;
} signings[] = {
    { CKM_SHA256_RSA_PKCS, RSA_PKCS1_PADDING, "SHA256", 0, 0, 0 },
    { CKM_SHA384_RSA_PKCS, RSA_PKCS1_PADDING, "SHA384", 0, 0, 0 },
    { CKM_SHA512_RSA_PKCS, RSA_PKCS1_PADDING, "SHA512", 0, 0, 0 },
    { CKM_SHA256_RSA_PKCS_PSS, RSA_PKCS1_PSS_PADDING, "SHA256", CKM_SHA256, CKG_MGF1_SHA256, 32 },
    { CKM_SHA384_RSA_PKCS_PSS, RSA_PKCS1_PSS_PADDING, "SHA384", CKM_SHA384, CKG_MGF1_SHA384, 48 },
    { CKM_SHA512_RSA_PKCS_PSS, RSA_PKCS1_PSS_PADDING, "SHA512", CKM_SHA512, CKG_MGF1_SHA512, 64 },
    { CKM_ECDSA_SHA256, 0, "SHA256", 0, 0, 0 },
    { CKM_ECDSA_SHA384, 0, "SHA384", 0, 0, 0 },
    { CKM_ECDSA_SHA512, 0, "SHA512", 0, 0, 0 },
};

static CK_MECHANISM mechanism_of(const struct signing *row, CK_RSA_PKCS_PSS_PARAMS *pss)
{
    *pss = (CK_RSA_PKCS_PSS_PARAMS){ row->hash, row->mgf, row->salt };
    return row->hash ? (CK_MECHANISM){ row->type, pss, sizeof *pss } : (CK_MECHANISM){ row->type, NULL, 0 };
}

static void check_signing(const struct signing *row, size_t key)
{
    static const CK_BYTE text[] = "a message of some length";
    struct kv_view message = { text, sizeof text };
    CK_RSA_PKCS_PSS_PARAMS pss;
    CK_MECHANISM mechanism = mechanism_of(row, &pss);
    struct result ours = sign(session, &mechanism, privates[key], text, sizeof text);
    assert_true(openssl_verifies(pkeys[key], row->padding, row->digest, message, &ours));
    struct result theirs = openssl_sign(pkeys[key], row->padding, row->digest, message);
    assert_true(verifies(session, &mechanism, publics[key], message, &theirs));
    theirs.data[theirs.len / 2] ^= 1;
    assert_false(verifies(session, &mechanism, publics[key], message, &theirs));
    theirs.len--;
    assert_false(verifies(session, &mechanism, publics[key], message, &theirs));

    struct result parts = { .len = sizeof parts.data };
    ok(world.p11->C_SignInit(session, &mechanism, privates[key]));
    ok(world.p11->C_SignUpdate(session, (CK_BYTE *)text, 5));
    ok(world.p11->C_SignUpdate(session, (CK_BYTE *)text + 5, sizeof text - 5));
    ok(world.p11->C_SignFinal(session, NULL, &parts.len));
    assert_int_equal(parts.len, ours.len);
    CK_ULONG little = parts.len - 1;
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_SignFinal(session, parts.data, &little));
    ok(world.p11->C_SignFinal(session, parts.data, &parts.len));
    assert_true(openssl_verifies(pkeys[key], row->padding, row->digest, message, &parts));
}

static void test_signatures_both_ways(void **state)
{
    for (size_t i = 0; i < COUNT(signings); i++)
        for (size_t key = 0; key < COUNT(pkeys); key++)
            if ((key == 0) == (signings[i].padding != 0))
                check_signing(&signings[i], key);
    assert_int_equal(requests(NULL), 0);
}

/* CKM_RSA_PKCS and CKM_ECDSA take what the caller has hashed. */
static void test_bare_digests(void **state)
{
    static const CK_BYTE header[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    CK_BYTE info[51];
    unsigned len = 0;
    CK_MECHANISM pkcs = { CKM_RSA_PKCS, NULL, 0 };
    memcpy(info, header, sizeof header);
    assert_int_equal(EVP_Digest("text", 4, info + sizeof header, &len, EVP_sha256(), NULL), 1);
    struct result made = sign(session, &pkcs, privates[0], info, sizeof info);
    assert_true(openssl_verifies(pkeys[0], RSA_PKCS1_PADDING, "SHA256", kv_view_text("text"), &made));
    assert_true(verifies(session, &pkcs, publics[0], BYTES(info, sizeof info), &made));
    CK_RSA_PKCS_PSS_PARAMS params = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
    CK_MECHANISM pss = { CKM_RSA_PKCS_PSS, &params, sizeof params };
    made = sign(session, &pss, privates[0], info + sizeof header, 32);
    assert_true(openssl_verifies(pkeys[0], RSA_PKCS1_PSS_PADDING, "SHA256", kv_view_text("text"), &made));
    assert_true(verifies(session, &pss, publics[0], BYTES(info + sizeof header, 32), &made));
    ok(world.p11->C_SignInit(session, &pss, privates[0]));
    expect(CKR_DATA_LEN_RANGE, world.p11->C_Sign(session, info, 31, made.data, &made.len));
    ok(world.p11->C_SignInit(session, &pkcs, privates[0]));
    expect(CKR_FUNCTION_NOT_SUPPORTED, world.p11->C_SignUpdate(session, info, 51));
    for (size_t key = 1; key < COUNT(pkeys); key++) {
        made = sign(session, &ecdsa, privates[key], info + sizeof header, 32);
        assert_true(openssl_verifies(pkeys[key], 0, "SHA256", kv_view_text("text"), &made));
        assert_true(verifies(session, &ecdsa, publics[key], BYTES(info + sizeof header, 32), &made));
    }
}

static void test_rsa_encrypts_and_decrypts(void **state)
{
    CK_MECHANISM *const mechanisms[] = { &oaep_sha256, &oaep_sha1 };
    for (int i = 0; i < 2; i++) {
        struct result cipher = encrypt(session, mechanisms[i], publics[0], "a data key", 10);
        struct result plain = decrypt(session, mechanisms[i], privates[0], &cipher);
        assert_int_equal(plain.len, 10);
        assert_memory_equal(plain.data, "a data key", 10);
        cipher.data[5] ^= 1;
        ok(world.p11->C_DecryptInit(session, mechanisms[i], privates[0]));
        expect(CKR_ENCRYPTED_DATA_INVALID,
               world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
        ok(world.p11->C_DecryptInit(session, mechanisms[i], privates[0]));
        expect(CKR_ENCRYPTED_DATA_LEN_RANGE,
               world.p11->C_Decrypt(session, cipher.data, cipher.len - 1, plain.data, &plain.len));
    }
    CK_MECHANISM pkcs = { CKM_RSA_PKCS, NULL, 0 };
    expect(CKR_MECHANISM_INVALID, world.p11->C_DecryptInit(session, &pkcs, privates[0]));
    assert_int_equal(requests(NULL), 0);
}

/* What the caller's buffer did not take is kept: as with a key in the vault. */
static void test_a_short_buffer_loses_nothing(void **state)
{
    struct result cipher = encrypt(session, &oaep_sha256, publics[0], "a data key", 10), plain;
    CK_ULONG little = 9, size = 0;
    ok(world.p11->C_DecryptInit(session, &oaep_sha256, privates[0]));
    ok(world.p11->C_Decrypt(session, cipher.data, cipher.len, NULL, &size));
    assert_true(size >= 10 && size <= 256);
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &little));
    assert_int_equal(little, 10);
    plain.len = 10;
    ok(world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
    assert_memory_equal(plain.data, "a data key", 10);
}

static void test_the_wrong_half_and_the_wrong_kind(void **state)
{
    CK_MECHANISM gcm = { CKM_AES_KEY_WRAP, NULL, 0 };
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_SignInit(session, &rsa_sha256, publics[0]));
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_VerifyInit(session, &rsa_sha256, privates[0]));
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_SignInit(session, &ecdsa, privates[0]));
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_SignInit(session, &rsa_sha256, privates[1]));
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_EncryptInit(session, &gcm, publics[0]));
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_EncryptInit(session, &oaep_sha256, publics[1]));
    struct growing template = { .count = 0 };
    grow_private(&template, pkeys[0], NULL);
    grow_bool(&template, CKA_SIGN, CK_FALSE);
    CK_OBJECT_HANDLE key = create(session, &template);
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED, world.p11->C_SignInit(session, &rsa_sha256, key));
    ok(world.p11->C_DecryptInit(session, &oaep_sha256, key));
    ok(world.p11->C_DecryptInit(session, NULL, 0));
    ok(world.p11->C_DestroyObject(session, key));
}

static void test_allowed_mechanisms(void **state)
{
    static const CK_MECHANISM_TYPE allowed[] = { CKM_SHA384_RSA_PKCS, CKM_SHA256_RSA_PKCS };
    CK_MECHANISM_TYPE got[4];
    CK_MECHANISM other = { CKM_SHA512_RSA_PKCS, NULL, 0 };
    struct growing template = { .count = 0 };
    grow_private(&template, pkeys[0], NULL);
    grow(&template, CKA_ALLOWED_MECHANISMS, allowed, sizeof allowed);
    CK_OBJECT_HANDLE key = create(session, &template), copy;
    assert_int_equal(attribute(session, key, CKA_ALLOWED_MECHANISMS, got, sizeof got), sizeof allowed);
    assert_memory_equal(got, allowed, sizeof allowed);
    ok(world.p11->C_CopyObject(session, key, NULL, 0, &copy));
    for (int i = 0; i < 2; i++) {
        CK_OBJECT_HANDLE which = i ? copy : key;
        ok(world.p11->C_SignInit(session, &rsa_sha256, which));
        ok(world.p11->C_SignInit(session, NULL, 0));
        expect(CKR_MECHANISM_INVALID, world.p11->C_SignInit(session, &other, which));
        expect(CKR_MECHANISM_INVALID, world.p11->C_DecryptInit(session, &oaep_sha256, which));
        ok(world.p11->C_DestroyObject(session, which));
    }
}

/* --- generating --- */

static CK_RV generate_pair(CK_MECHANISM_TYPE type, struct growing *out, struct growing *in,
                           CK_OBJECT_HANDLE ret[2])
{
    CK_MECHANISM mechanism = { type, NULL, 0 };
    return world.p11->C_GenerateKeyPair(session, &mechanism, out->items, out->count, in->items, in->count,
                                        &ret[0], &ret[1]);
}

static void check_pair(CK_OBJECT_HANDLE pair[2], CK_MECHANISM_TYPE type, CK_MECHANISM *mechanism, int padding)
{
    struct result made = sign(session, mechanism, pair[1], "text", 4);
    assert_true(verifies(session, mechanism, pair[0], BYTES("text", 4), &made));
    EVP_PKEY *pkey = pkey_of(session, pair[0]);
    assert_true(openssl_verifies(pkey, padding, "SHA256", kv_view_text("text"), &made));
    EVP_PKEY_free(pkey);
    for (int i = 0; i < 2; i++) {
        CK_MECHANISM_TYPE by = 0;
        assert_true(attribute_bool(session, pair[i], CKA_LOCAL));
        assert_false(attribute_bool(session, pair[i], CKA_TOKEN));
        attribute(session, pair[i], CKA_KEY_GEN_MECHANISM, &by, sizeof by);
        assert_int_equal(by, type);
    }
    assert_true(attribute_bool(session, pair[1], CKA_ALWAYS_SENSITIVE));
    assert_true(attribute_bool(session, pair[1], CKA_NEVER_EXTRACTABLE));
}

static void test_pairs(void **state)
{
    static const CK_ULONG sizes[] = { 2048, 3072 };
    for (size_t i = 0; i < COUNT(sizes) + COUNT(curves); i++) {
        struct growing out = { .count = 0 }, in = { .count = 0 };
        CK_OBJECT_HANDLE pair[2];
        bool is_rsa = i < COUNT(sizes);
        if (is_rsa)
            grow(&out, CKA_MODULUS_BITS, &sizes[i], sizeof sizes[i]);
        else
            grow(&out, CKA_EC_PARAMS, curves[i - 2].params, curves[i - 2].params_len);
        grow_bool(&out, CKA_VERIFY, CK_TRUE);
        grow(&in, CKA_LABEL, "made", 4);
        grow_bool(&in, CKA_TOKEN, CK_FALSE);
        CK_MECHANISM_TYPE type = is_rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN;
        ok(generate_pair(type, &out, &in, pair));
        check_pair(pair, type, is_rsa ? &rsa_sha256 : &ecdsa_sha256, is_rsa ? RSA_PKCS1_PADDING : 0);
        CK_ULONG bits = 0;
        if (is_rsa)
            attribute(session, pair[0], CKA_MODULUS_BITS, &bits, sizeof bits);
        assert_int_equal(bits, is_rsa ? sizes[i] : 0);
        ok(world.p11->C_DestroyObject(session, pair[0]));
        ok(world.p11->C_DestroyObject(session, pair[1]));
    }
    assert_int_equal(requests(NULL), 0);
}

static void test_pairs_that_are_not_made(void **state)
{
    static const CK_ULONG odd_size = 2047, size = 2048;
    static const CK_BYTE even[] = { 4 }, brainpool[] = { 6, 9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7 },
                         unnamed[] = { 0x30, 0 };
    static const struct {
        const char *sentence;
        CK_MECHANISM_TYPE type;
        CK_ATTRIBUTE out[2], in;
        CK_RV rv;
    } rows[] = {
        { "no size", CKM_RSA_PKCS_KEY_PAIR_GEN, { { CKA_LABEL, "x", 1 } }, { 0 }, CKR_TEMPLATE_INCOMPLETE },
        { "an odd size",
          CKM_RSA_PKCS_KEY_PAIR_GEN,
          { ITEM(CKA_MODULUS_BITS, odd_size) },
          { 0 },
          CKR_ATTRIBUTE_VALUE_INVALID },
        { "an even exponent",
          CKM_RSA_PKCS_KEY_PAIR_GEN,
          { ITEM(CKA_MODULUS_BITS, size), ITEM(CKA_PUBLIC_EXPONENT, even) },
          { 0 },
          CKR_TEMPLATE_INCONSISTENT },
        { "no curve", CKM_EC_KEY_PAIR_GEN, { { CKA_LABEL, "x", 1 } }, { 0 }, CKR_TEMPLATE_INCOMPLETE },
        { "a curve that is not offered",
          CKM_EC_KEY_PAIR_GEN,
          { ITEM(CKA_EC_PARAMS, brainpool) },
          { 0 },
          CKR_CURVE_NOT_SUPPORTED },
        { "no name of a curve",
          CKM_EC_KEY_PAIR_GEN,
          { ITEM(CKA_EC_PARAMS, unnamed) },
          { 0 },
          CKR_DOMAIN_PARAMS_INVALID },
        { "another type",
          CKM_EC_KEY_PAIR_GEN,
          { ITEM(CKA_KEY_TYPE, rsa) },
          { 0 },
          CKR_TEMPLATE_INCONSISTENT },
        { "the wrong class",
          CKM_RSA_PKCS_KEY_PAIR_GEN,
          { ITEM(CKA_MODULUS_BITS, size) },
          ITEM(CKA_CLASS, public_class),
          CKR_TEMPLATE_INCONSISTENT },
        { "a modulus of one's own",
          CKM_RSA_PKCS_KEY_PAIR_GEN,
          { ITEM(CKA_MODULUS, size) },
          { 0 },
          CKR_ATTRIBUTE_READ_ONLY },
        { "in the vault, without manage",
          CKM_RSA_PKCS_KEY_PAIR_GEN,
          { ITEM(CKA_MODULUS_BITS, size) },
          ITEM(CKA_TOKEN, yes),
          CKR_TOKEN_WRITE_PROTECTED },
        { "of another algorithm",
          CKM_DSA_KEY_PAIR_GEN,
          { ITEM(CKA_MODULUS_BITS, size) },
          { 0 },
          CKR_MECHANISM_INVALID },
    };
    size_t before = find_all(session, CKO_PUBLIC_KEY, NULL, NULL, NULL, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct growing out = { .count = 0 }, in = { .count = 0 };
        CK_OBJECT_HANDLE pair[2] = { 77, 78 };
        for (int k = 0; k < 2 && rows[i].out[k].pValue; k++)
            grow(&out, rows[i].out[k].type, rows[i].out[k].pValue, rows[i].out[k].ulValueLen);
        if (rows[i].in.pValue)
            grow(&in, rows[i].in.type, rows[i].in.pValue, rows[i].in.ulValueLen);
        CK_RV rv = generate_pair(rows[i].type, &out, &in, pair);
        if (rv != rows[i].rv || pair[0] != 77 || pair[1] != 78)
            fail_msg("%s: 0x%lx", rows[i].sentence, rv);
    }
    assert_int_equal(find_all(session, CKO_PUBLIC_KEY, NULL, NULL, NULL, 0), before);
}

static void test_what_is_said_of_generation(void **state)
{
    CK_MECHANISM_INFO info;
    ok(world.p11->C_GetMechanismInfo(PROD, CKM_RSA_PKCS_KEY_PAIR_GEN, &info));
    assert_int_equal(info.flags, CKF_GENERATE_KEY_PAIR);
    assert_int_equal(info.ulMinKeySize, 2048);
    assert_int_equal(info.ulMaxKeySize, 4096);
    ok(world.p11->C_GetMechanismInfo(PROD, CKM_EC_KEY_PAIR_GEN, &info));
    assert_true(info.flags & CKF_GENERATE_KEY_PAIR);
    assert_int_equal(info.ulMinKeySize, 256);
    assert_int_equal(info.ulMaxKeySize, 521);
}

/* Any number of objects and sessions: each costs the same as the first, or this would not end in time. */
static void test_ten_thousand(void **state)
{
    enum { MANY = 10000 };
    static CK_OBJECT_HANDLE objects[MANY];
    static CK_SESSION_HANDLE sessions[MANY];
    CK_SESSION_HANDLE other = open_session(DR);
    for (size_t i = 0; i < MANY; i++) {
        sessions[i] = open_session(DR);
        objects[i] = aes_key(other, (const CK_BYTE *)"0123456789abcdef", 16, true);
    }
    assert_int_equal(find_all(other, CKO_SECRET_KEY, NULL, NULL, NULL, 0), MANY);
    for (size_t i = 0; i < MANY / 2; i++)
        ok(world.p11->C_DestroyObject(other, objects[i]));
    for (size_t i = 0; i < MANY / 2; i++)
        ok(world.p11->C_CloseSession(sessions[i]));
    assert_int_equal(find_all(other, CKO_SECRET_KEY, NULL, NULL, NULL, 0), MANY / 2);
    ok(world.p11->C_CloseAllSessions(DR));
    other = open_session(DR);
    assert_int_equal(find_all(other, CKO_SECRET_KEY, NULL, NULL, NULL, 0), 0);
    ok(world.p11->C_CloseSession(other));
}

/* PKCS#1 v1.5 opens only where the configuration asks for it, here as in the vault. */
static void test_rsa1_5_when_it_is_asked_for(void **state)
{
    CK_MECHANISM pkcs = { CKM_RSA_PKCS, NULL, 0 };
    CK_BYTE blob[256];
    CK_ULONG len = sizeof blob;
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, secret_class), ITEM(CKA_KEY_TYPE, aes),
                                ITEM(CKA_SENSITIVE, no) };
    configure("none", "rsa1_5 = yes");
    session = restart(PROD);
    CK_OBJECT_HANDLE out = create_public(session, pkeys[0], NULL),
                     in = create_private(session, pkeys[0], NULL, false), back;
    struct result cipher = encrypt(session, &pkcs, out, "a data key", 10);
    struct result plain = decrypt(session, &pkcs, in, &cipher);
    assert_int_equal(plain.len, 10);
    assert_memory_equal(plain.data, "a data key", 10);
    ok(world.p11->C_WrapKey(session, &pkcs, out,
                            aes_key(session, (const CK_BYTE *)"0123456789abcdef", 16, true), blob, &len));
    ok(world.p11->C_UnwrapKey(session, &pkcs, in, blob, len, template, 3, &back));
    assert_int_equal(attribute(session, back, CKA_VALUE, plain.data, sizeof plain.data), 16);
    assert_memory_equal(plain.data, "0123456789abcdef", 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures_both_ways),
        cmocka_unit_test(test_bare_digests),
        cmocka_unit_test(test_rsa_encrypts_and_decrypts),
        cmocka_unit_test(test_a_short_buffer_loses_nothing),
        cmocka_unit_test(test_the_wrong_half_and_the_wrong_kind),
        cmocka_unit_test(test_allowed_mechanisms),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_pairs_that_are_not_made),
        cmocka_unit_test(test_what_is_said_of_generation),
        cmocka_unit_test(test_ten_thousand),
        cmocka_unit_test(test_rsa1_5_when_it_is_asked_for),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
