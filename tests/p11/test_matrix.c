/* The table itself: that every row can be tested, what a slot says of its mechanisms, and the rows that need no key. The other rows have their own
 * programs: test_matrix_sign.c, _cipher.c, _wrap.c, _refusals.c, _states.c. */
#include "exercise.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

/* The words of the table that these programs walk. A new one needs a program before it needs a row. */
enum {
    WALKED = KV_OP_SIGN | KV_OP_VERIFY | KV_OP_ENCRYPT | KV_OP_DECRYPT | KV_OP_WRAP | KV_OP_UNWRAP |
             KV_OP_DIGEST | KV_OP_GENERATE | KV_OP_PAIR | KV_OP_DERIVE | KV_OP_MESSAGE /* test_messages*.c */
};

static CK_FUNCTION_LIST *p11;
static CK_SESSION_HANDLE session;

static int start(void **state)
{
    int rc = matrix_start(state);
    p11 = world.p11;
    session = matrix_find("m-rsa")->session;
    return rc;
}

static void nothing(const struct matrix_case *it)
{
    HOLDS(it, it->row->operations);
    if (it->row->operations & ~(unsigned)WALKED)
        fail_msg("%s: no test for its operations 0x%x", matrix_name(it),
                 it->row->operations & ~(unsigned)WALKED);
}

static void test_every_row_can_be_tested(void **state)
{
    size_t rows = matrix_walk_keyless(~0U, nothing);
    assert_int_equal(rows, kv_mech_count);
    assert_true(matrix_walk(KV_OP_ALL, nothing) > rows / 2);
}

/* What the slots say of their mechanisms agrees with the table. */
static void test_mechanism_list(void **state)
{
    for (CK_SLOT_ID slot = PROD; slot <= HSM; slot++) {
        CK_MECHANISM_TYPE list[96];
        CK_ULONG count = (CK_ULONG)-7, room;
        ok(p11->C_GetMechanismList(slot, NULL, &count));
        assert_in_range(count, 15, 96);
        room = count - 1;
        expect(CKR_BUFFER_TOO_SMALL, p11->C_GetMechanismList(slot, list, &room));
        assert_int_equal(room, count);
        room = 96;
        ok(p11->C_GetMechanismList(slot, list, &room));
        assert_int_equal(room, count);
        for (CK_ULONG i = 0; i < count; i++) {
            CK_MECHANISM_INFO info;
            ok(p11->C_GetMechanismInfo(slot, list[i], &info));
            assert_int_not_equal(info.flags & ~(CK_FLAGS)CKF_EXTENSION, 0);
            assert_non_null(kv_mech_type_name(list[i]));
            for (CK_ULONG k = 0; k < i; k++)
                assert_int_not_equal(list[i], list[k]);
        }
    }
    CK_MECHANISM_INFO info;
    expect(CKR_MECHANISM_INVALID, p11->C_GetMechanismInfo(PROD, CKM_RSA_X_509, &info));
    expect(CKR_SLOT_ID_INVALID, p11->C_GetMechanismInfo(9, CKM_ECDSA, &info));
    expect(CKR_ARGUMENTS_BAD, p11->C_GetMechanismInfo(PROD, CKM_ECDSA, NULL));
}

/* Each row's operations and its size are within what C_GetMechanismInfo says where the row is offered. */
static void within_info(const struct matrix_case *it)
{
    static const struct {
        unsigned operation;
        CK_FLAGS flag;
    } flags[] = {
        { KV_OP_ENCRYPT, CKF_ENCRYPT },        { KV_OP_DECRYPT, CKF_DECRYPT },   { KV_OP_SIGN, CKF_SIGN },
        { KV_OP_VERIFY, CKF_VERIFY },          { KV_OP_WRAP, CKF_WRAP },         { KV_OP_UNWRAP, CKF_UNWRAP },
        { KV_OP_DIGEST, CKF_DIGEST },          { KV_OP_GENERATE, CKF_GENERATE }, { KV_OP_DERIVE, CKF_DERIVE },
        { KV_OP_PAIR, CKF_GENERATE_KEY_PAIR },
    };
    CK_MECHANISM_INFO info;
    OK(it, p11->C_GetMechanismInfo(it->key->slot, it->row->type, &info));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (it->row->operations & flags[i].operation)
            HOLDS(it, info.flags & flags[i].flag);
    HOLDS(it, !(it->row->operations & KV_OP_MESSAGE) || info.flags & CKF_MESSAGE_ENCRYPT);
    HOLDS(it, info.ulMinKeySize <= info.ulMaxKeySize);
    if (it->row->operations & (KV_OP_DIGEST | KV_OP_GENERATE))
        return;
    CK_ULONG size = it->key->kind == KV_OCT && it->scheme != MATRIX_MAC ? it->key->bits / 8 : it->key->bits;
    HOLDS(it, it->scheme == MATRIX_MAC || (size >= info.ulMinKeySize && size <= info.ulMaxKeySize));
    HOLDS(it, it->row->kind != KV_EC || info.flags & CKF_EC_NAMEDCURVE);
}

static void test_mechanism_info(void **state)
{
    matrix_walk(KV_OP_ALL, within_info);
}

/* --- digests --- */

static void digests(const struct matrix_case *it)
{
    struct result expected = reference_digest(it->row->evp, BYTES("kvp11", 5)), digest = { .len = 0 };
    CK_MECHANISM mechanism = { it->row->type, NULL, 0 };
    OK(it, p11->C_DigestInit(session, &mechanism));
    OK(it, p11->C_Digest(session, (CK_BYTE *)"kvp11", 5, NULL, &digest.len));
    HOLDS(it, digest.len == expected.len);
    OK(it, p11->C_Digest(session, (CK_BYTE *)"kvp11", 5, digest.data, &digest.len));
    assert_memory_equal(digest.data, expected.data, expected.len);
    EXPECT(it, CKR_OPERATION_NOT_INITIALIZED,
           p11->C_Digest(session, (CK_BYTE *)"kvp11", 5, digest.data, &digest.len));
    OK(it, p11->C_DigestInit(session, &mechanism));
    OK(it, p11->C_DigestUpdate(session, (CK_BYTE *)"kv", 2));
    OK(it, p11->C_DigestUpdate(session, NULL, 0));
    OK(it, p11->C_DigestUpdate(session, (CK_BYTE *)"p11", 3));
    OK(it, p11->C_DigestFinal(session, NULL, &digest.len));
    digest.len = expected.len - 1;
    EXPECT(it, CKR_BUFFER_TOO_SMALL, p11->C_DigestFinal(session, digest.data, &digest.len));
    HOLDS(it, digest.len == expected.len);
    OK(it, p11->C_DigestFinal(session, digest.data, &digest.len));
    assert_memory_equal(digest.data, expected.data, expected.len);
    mechanism.pParameter = "x";
    mechanism.ulParameterLen = 1;
    EXPECT(it, CKR_MECHANISM_PARAM_INVALID, p11->C_DigestInit(session, &mechanism));
}

static void test_digests(void **state)
{
    assert_int_equal(matrix_walk_keyless(KV_OP_DIGEST, digests), 3);
}

static void empty_digest(const struct matrix_case *it)
{
    struct result expected = reference_digest(it->row->evp, BYTES("", 0)), digest = { .len = 64 };
    CK_MECHANISM mechanism = { it->row->type, NULL, 0 };
    OK(it, p11->C_DigestInit(session, &mechanism));
    OK(it, p11->C_Digest(session, NULL, 0, digest.data, &digest.len));
    assert_memory_equal(digest.data, expected.data, expected.len);
    digest.len = 64;
    OK(it, p11->C_DigestInit(session, &mechanism));
    OK(it, p11->C_DigestFinal(session, digest.data, &digest.len));
    assert_memory_equal(digest.data, expected.data, expected.len);
}

static void test_digests_of_nothing(void **state)
{
    matrix_walk_keyless(KV_OP_DIGEST, empty_digest);
}

/* --- generation --- */

static CK_RV generate(const struct matrix_case *it, CK_ULONG len, CK_OBJECT_HANDLE *ret)
{
    CK_MECHANISM mechanism = { it->row->type, NULL, 0 };
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE template[] = { { CKA_VALUE_LEN, &len, sizeof len },
                                { CKA_EXTRACTABLE, &yes, sizeof yes },
                                { CKA_SENSITIVE, &no, sizeof no } };
    return p11->C_GenerateKey(session, &mechanism, template, 3, ret);
}

/* Two keys of the row's size: of that size, unlike each other, and not mostly zeros. */
static void generates(const struct matrix_case *it)
{
    CK_OBJECT_HANDLE keys[2];
    CK_BYTE values[2][64];
    CK_ULONG len = it->row->key_bits ? it->row->key_bits / 8 : 47, zeros = 0;
    CK_MECHANISM_TYPE by = 0;
    for (int i = 0; i < 2; i++) {
        OK(it, generate(it, len, &keys[i]));
        HOLDS(it, attribute(session, keys[i], CKA_VALUE, values[i], sizeof values[i]) == len);
        attribute(session, keys[i], CKA_KEY_GEN_MECHANISM, &by, sizeof by);
        HOLDS(it, by == it->row->type && attribute_bool(session, keys[i], CKA_LOCAL));
    }
    HOLDS(it, memcmp(values[0], values[1], len));
    for (CK_ULONG i = 0; i < len; i++)
        zeros += !values[0][i];
    HOLDS(it, zeros < len / 2);
    if (it->row->key_bits)
        EXPECT(it, CKR_ATTRIBUTE_VALUE_INVALID, generate(it, len + 1, &keys[0]));
    CK_MECHANISM mechanism = { it->row->type, NULL, 0 };
    EXPECT(it, CKR_TEMPLATE_INCOMPLETE, p11->C_GenerateKey(session, &mechanism, NULL, 0, &keys[0]));
    mechanism = (CK_MECHANISM){ it->row->type, "x", 1 };
    EXPECT(it, CKR_MECHANISM_PARAM_INVALID, p11->C_GenerateKey(session, &mechanism, NULL, 0, &keys[0]));
}

static void test_generation(void **state)
{
    assert_true(matrix_walk_keyless(KV_OP_GENERATE, generates) >= 4);
}

/* --- pairs and derivation --- */

static CK_RV make_pair(const struct matrix_case *it, struct matrix_key *ret)
{
    CK_MECHANISM mechanism = { it->row->type, NULL, 0 };
    CK_ULONG bits = 2048;
    CK_BYTE params[16];
    CK_ATTRIBUTE open = { CKA_MODULUS_BITS, &bits, sizeof bits };
    if (it->row->kind == KV_EC) {
        const struct kv_curve *curve = kv_curve_find(it->row->curve);
        memcpy(params, curve->params, curve->params_len);
        open = (CK_ATTRIBUTE){ CKA_EC_PARAMS, params, curve->params_len };
    }
    return p11->C_GenerateKeyPair(session, &mechanism, &open, 1, NULL, 0, &ret->open, &ret->shut);
}

/* A pair of the row's kind: what its private half signs OpenSSL verifies with its public one. */
static void pairs(const struct matrix_case *it)
{
    CK_BYTE der[1024];
    const unsigned char *at = der;
    struct matrix_key key = { .name = "made", .kind = it->row->kind, .in_session = true, .session = session };
    OK(it, make_pair(it, &key));
    size_t len = attribute(session, key.open, CKA_PUBLIC_KEY_INFO, der, sizeof der);
    key.pkey = d2i_PUBKEY(NULL, &at, (long)len);
    key.curve = it->row->curve;
    key.bits = (unsigned)EVP_PKEY_get_bits(key.pkey);
    const struct kv_mech row = { .type = key.kind == KV_RSA ? CKM_SHA256_RSA_PKCS : CKM_ECDSA_SHA256,
                                 .name = it->row->name,
                                 .kind = key.kind,
                                 .evp = "SHA2-256",
                                 .padding = key.kind == KV_RSA ? RSA_PKCS1_PADDING : 0,
                                 .input = KV_MESSAGE };
    struct matrix_case use = { &row, &key, key.kind == KV_RSA ? MATRIX_RSA : MATRIX_ECDSA, MATRIX_BARE };
    OK(&use, exercise(&use, KV_OP_SIGN));
    EVP_PKEY_free(key.pkey);
    OK(it, p11->C_DestroyObject(session, key.open));
    OK(it, p11->C_DestroyObject(session, key.shut));
}

static void test_pairs(void **state)
{
    assert_true(matrix_walk_keyless(KV_OP_PAIR, pairs) >= 5);
}

/* HKDF with the row's hash, and what OpenSSL makes of the same. */
static void derives(const struct matrix_case *it)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG len = 77;
    CK_BYTE got[128], wanted[128];
    CK_ATTRIBUTE base[] = { { CKA_CLASS, &type, sizeof type },
                            { CKA_KEY_TYPE, &generic, sizeof generic },
                            { CKA_DERIVE, &yes, 1 },
                            { CKA_VALUE, "a secret to begin with", 22 } };
    CK_ATTRIBUTE template[] = { { CKA_KEY_TYPE, &generic, sizeof generic },
                                { CKA_SENSITIVE, &no, 1 },
                                { CKA_EXTRACTABLE, &yes, 1 },
                                { CKA_VALUE_LEN, &len, sizeof len } };
    CK_HKDF_PARAMS params = {
        CK_TRUE, CK_TRUE, it->row->digest, CKF_HKDF_SALT_DATA, (CK_BYTE *)"salt", 4, 0, (CK_BYTE *)"info", 4
    };
    CK_MECHANISM mechanism = { it->row->type, &params, sizeof params };
    CK_OBJECT_HANDLE from = 0, key = 0;
    OK(it, p11->C_CreateObject(session, base, 4, &from));
    OK(it, p11->C_DeriveKey(session, &mechanism, from, template, 4, &key));
    HOLDS(it, attribute(session, key, CKA_VALUE, got, sizeof got) == len);
    reference_hkdf(it->row->evp, BYTES("a secret to begin with", 22), wanted, len);
    HOLDS(it, !memcmp(got, wanted, len));
    params.prfHashMechanism = CKM_MD5;
    EXPECT(it, CKR_MECHANISM_PARAM_INVALID, p11->C_DeriveKey(session, &mechanism, from, template, 4, &key));
    mechanism.ulParameterLen = 3;
    EXPECT(it, CKR_MECHANISM_PARAM_INVALID, p11->C_DeriveKey(session, &mechanism, from, template, 4, &key));
    OK(it, p11->C_DestroyObject(session, from));
    OK(it, p11->C_DestroyObject(session, key));
}

static void test_derivation(void **state)
{
    assert_int_equal(matrix_walk_keyless(KV_OP_DERIVE, derives), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_can_be_tested),
        cmocka_unit_test(test_mechanism_list),
        cmocka_unit_test(test_mechanism_info),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_digests_of_nothing),
        cmocka_unit_test(test_generation),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_derivation),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
