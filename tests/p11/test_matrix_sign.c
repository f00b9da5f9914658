/* Signatures and MACs: every row that signs or verifies, with every key that serves it. What a vault signs is verified here by OpenSSL; what
 * OpenSSL signs the module verifies. */
#include "reference.h"

#include <openssl/rsa.h>
#include "base/encode.h"

static CK_FUNCTION_LIST *p11;

static int start(void **state)
{
    int rc = matrix_start(state);
    p11 = world.p11;
    return rc;
}

static struct result sign_it(const struct matrix_case *it, const struct result *input)
{
    struct matrix_mechanism made;
    struct result signature = { .len = sizeof signature.data };
    OK(it, p11->C_SignInit(it->key->session, matrix_mechanism(it, &made), it->key->shut));
    OK(it, p11->C_Sign(it->key->session, (CK_BYTE *)input->data, input->len, signature.data, &signature.len));
    return signature;
}

static void one_shot(const struct matrix_case *it)
{
    struct result input = reference_input(it, "kvp11");
    clear_log();
    struct result signature = sign_it(it, &input);
    HOLDS(it, vault_requests() == (matrix_is_remote(it, KV_OP_SIGN) ? 1 : 0));
    HOLDS(it, reference_verifies(it, "kvp11", &signature));
    HOLDS(it, !reference_verifies(it, "kvp12", &signature));
}

static void test_one_shot(void **state)
{
    assert_true(matrix_walk(KV_OP_SIGN, one_shot) >= 24);
}

/* Parts of nothing and of one byte; the message may end with nothing. A mechanism that takes no message takes no parts either, and says so without
 * leaving anything behind. */
static void in_parts(const struct matrix_case *it)
{
    CK_SESSION_HANDLE session = it->key->session;
    struct matrix_mechanism made;
    CK_BYTE place[1024], *data = (CK_BYTE *)"kvp11";
    struct result signature = { .len = sizeof signature.data };
    OK(it, p11->C_SignInit(session, matrix_mechanism(it, &made), it->key->shut));
    if (!matrix_has_parts(it)) {
        EXPECT(it, CKR_FUNCTION_NOT_SUPPORTED, p11->C_SignUpdate(session, data, 2));
        EXPECT(it, CKR_OPERATION_NOT_INITIALIZED, p11->C_Sign(session, data, 2, place, &signature.len));
        return;
    }
    OK(it, p11->C_SignUpdate(session, data, 1));
    OK(it, p11->C_SignUpdate(session, NULL, 0));
    OK(it, p11->C_SignUpdate(session, data + 1, 4));
    clear_log();
    CK_ULONG size = 0, little;
    OK(it, p11->C_SignFinal(session, NULL, &size));
    little = size - 1;
    EXPECT(it, CKR_BUFFER_TOO_SMALL, p11->C_SignFinal(session, place, &little));
    HOLDS(it, little == size && requests(NULL) == 0);
    OK(it, p11->C_SignFinal(session, signature.data, &signature.len));
    HOLDS(it, signature.len == size);
    HOLDS(it, vault_requests() == (matrix_is_remote(it, KV_OP_SIGN) ? 1 : 0));
    HOLDS(it, reference_verifies(it, "kvp11", &signature));
    EXPECT(it, CKR_OPERATION_NOT_INITIALIZED, p11->C_SignFinal(session, place, &size));
}

static void test_in_parts(void **state)
{
    matrix_walk(KV_OP_SIGN, in_parts);
}

/* A size query and a short buffer cost no request, keep the operation, and the signature comes with the next call. */
static void sizes(const struct matrix_case *it)
{
    CK_SESSION_HANDLE session = it->key->session;
    struct matrix_mechanism made;
    struct result input = reference_input(it, "kvp11"), signature;
    CK_ULONG size = 12345, shorter, none = 0;
    clear_log();
    OK(it, p11->C_SignInit(session, matrix_mechanism(it, &made), it->key->shut));
    OK(it, p11->C_Sign(session, input.data, input.len, NULL, &size));
    shorter = size - 1;
    memset(signature.data, 0x5a, sizeof signature.data);
    EXPECT(it, CKR_BUFFER_TOO_SMALL, p11->C_Sign(session, input.data, input.len, signature.data, &shorter));
    HOLDS(it, shorter == size);
    EXPECT(it, CKR_BUFFER_TOO_SMALL, p11->C_Sign(session, input.data, input.len, signature.data, &none));
    HOLDS(it, none == size && requests(NULL) == 0 && signature.data[0] == 0x5a);
    signature.len = size;
    OK(it, p11->C_Sign(session, input.data, input.len, signature.data, &signature.len));
    HOLDS(it, signature.len == size && signature.data[size] == 0x5a);
    HOLDS(it, requests("/sign") == (matrix_is_remote(it, KV_OP_SIGN) ? 1 : 0));
    HOLDS(it, vault_requests() == requests("/sign"));
    HOLDS(it, reference_verifies(it, "kvp11", &signature));
    EXPECT(it, CKR_OPERATION_NOT_INITIALIZED,
           p11->C_Sign(session, input.data, input.len, signature.data, &size));
}

static void test_sizes(void **state)
{
    matrix_walk(KV_OP_SIGN, sizes);
}

/* --- verification --- */

static CK_RV verify(const struct matrix_case *it, const struct result *input, const struct result *signature)
{
    struct matrix_mechanism made;
    OK(it, p11->C_VerifyInit(it->key->session, matrix_mechanism(it, &made), it->key->open));
    CK_RV rv = p11->C_Verify(it->key->session, (CK_BYTE *)input->data, input->len, (CK_BYTE *)signature->data,
                             signature->len);
    EXPECT(it, CKR_OPERATION_NOT_INITIALIZED,
           p11->C_Verify(it->key->session, (CK_BYTE *)input->data, input->len, (CK_BYTE *)signature->data,
                         signature->len));
    return rv;
}

static void verifies_reference(const struct matrix_case *it)
{
    struct result input = reference_input(it, "kvp11"), signature = reference_sign(it, "kvp11");
    clear_log();
    OK(it, verify(it, &input, &signature));
    HOLDS(it, vault_requests() == (matrix_is_remote(it, KV_OP_VERIFY) ? 1 : 0));
    if (!matrix_has_parts(it))
        return;
    struct matrix_mechanism made;
    OK(it, p11->C_VerifyInit(it->key->session, matrix_mechanism(it, &made), it->key->open));
    OK(it, p11->C_VerifyUpdate(it->key->session, input.data, 1));
    OK(it, p11->C_VerifyUpdate(it->key->session, NULL, 0));
    OK(it, p11->C_VerifyUpdate(it->key->session, input.data + 1, input.len - 1));
    OK(it, p11->C_VerifyFinal(it->key->session, signature.data, signature.len));
    OK(it, p11->C_VerifyInit(it->key->session, matrix_mechanism(it, &made), it->key->open));
    OK(it, p11->C_VerifyUpdate(it->key->session, input.data, input.len - 1));
    EXPECT(it, CKR_SIGNATURE_INVALID, p11->C_VerifyFinal(it->key->session, signature.data, signature.len));
}

static void test_verifies_what_openssl_signs(void **state)
{
    assert_true(matrix_walk(KV_OP_VERIFY, verifies_reference) >= 24);
}

/* Single bits at the ends and in the middle of signature and input, and lengths that no signature has. */
static void refuses_tampering(const struct matrix_case *it)
{
    struct result input = reference_input(it, "kvp11"), signature = reference_sign(it, "kvp11");
    size_t last = signature.len - 1, places[] = { 0, last / 2, last };
    for (size_t i = 0; i < 3; i++) {
        signature.data[places[i]] ^= 1;
        EXPECT(it, CKR_SIGNATURE_INVALID, verify(it, &input, &signature));
        signature.data[places[i]] ^= 1;
    }
    input.data[input.len - 1] ^= 1;
    EXPECT(it, CKR_SIGNATURE_INVALID, verify(it, &input, &signature));
    input.data[input.len - 1] ^= 1;
    static const int changes[] = { -1, 1, -1000 };
    for (size_t i = 0; i < 3; i++) {
        struct result changed = signature;
        changed.len = changes[i] == -1000 ? 0 : signature.len + (CK_ULONG)changes[i];
        EXPECT(it, CKR_SIGNATURE_LEN_RANGE, verify(it, &input, &changed));
    }
    OK(it, verify(it, &input, &signature));
}

static void test_refuses_tampering(void **state)
{
    matrix_walk(KV_OP_VERIFY, refuses_tampering);
}

/* What one row signs no other row of the same key verifies, unless it means the same. */
static void signs_for_itself_only(const struct matrix_case *it)
{
    struct result signature = reference_sign(it, "kvp11");
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *other = &kv_mech_table[i];
        if (!(other->operations & KV_OP_VERIFY) || other->kind != it->row->kind ||
            other->input != KV_MESSAGE || other->service != it->row->service || !other->evp || !it->row->evp)
            continue;
        if (other->curve && strcmp(other->curve, it->row->curve))
            continue;
        struct matrix_case as;
        assert_true(matrix_case_of(other, it->key, &as));
        struct result input = reference_input(&as, "kvp11");
        bool same =
            !strcmp(other->evp, it->row->evp) && other->padding == it->row->padding && as.form == it->form;
        CK_RV rv = verify(&as, &input, &signature);
        if (same ? rv != CKR_OK : rv != CKR_SIGNATURE_INVALID && rv != CKR_SIGNATURE_LEN_RANGE)
            fail_msg("%s verifies as %s: 0x%lx", matrix_name(it), other->name, rv);
    }
}

static void test_rows_are_not_mixed_up(void **state)
{
    matrix_walk(KV_OP_SIGN, signs_for_itself_only);
}

/* The empty message, signed and verified; where a digest is wanted, an empty one is none. */
static void signs_nothing(const struct matrix_case *it)
{
    CK_SESSION_HANDLE session = it->key->session;
    struct matrix_mechanism made;
    struct result signature = { .len = sizeof signature.data };
    OK(it, p11->C_SignInit(session, matrix_mechanism(it, &made), it->key->shut));
    CK_RV rv = p11->C_Sign(session, NULL, 0, signature.data, &signature.len);
    if (it->row->input != KV_MESSAGE) {
        HOLDS(it, rv == CKR_DATA_LEN_RANGE || rv == CKR_DATA_INVALID);
        return;
    }
    OK(it, rv);
    HOLDS(it, reference_verifies(it, "", &signature));
    OK(it, p11->C_VerifyInit(session, matrix_mechanism(it, &made), it->key->open));
    OK(it, p11->C_Verify(session, NULL, 0, signature.data, signature.len));
}

static void test_nothing_at_all_can_be_signed(void **state)
{
    matrix_walk(KV_OP_SIGN, signs_nothing);
}

/* A message that fits no buffer of ours: hashes have no cap. */
static void test_a_long_message(void **state)
{
    enum { PIECE = 1 << 16, PIECES = 160 };
    static CK_BYTE piece[PIECE];
    const struct matrix_key *key = matrix_find("m-p256");
    struct result signature = { .len = sizeof signature.data };
    memset(piece, 'x', sizeof piece);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(digest, EVP_sha256(), NULL), 1);
    ok(p11->C_SignInit(key->session, &ecdsa_sha256, key->shut));
    for (int i = 0; i < PIECES; i++) {
        ok(p11->C_SignUpdate(key->session, piece, PIECE));
        assert_int_equal(EVP_DigestUpdate(digest, piece, PIECE), 1);
    }
    ok(p11->C_SignFinal(key->session, signature.data, &signature.len));
    CK_BYTE hash[32];
    assert_int_equal(EVP_DigestFinal_ex(digest, hash, NULL), 1);
    EVP_MD_CTX_free(digest);
    assert_true(verifies(key->session, &ecdsa, key->open, BYTES(hash, 32), &signature));
    assert_false(verifies(key->session, &ecdsa, key->open, BYTES(hash, 31), &signature));
}

/* ECDSA with a digest of any length: shorter is padded, longer is cut (bits2int). */
static void any_digest(const struct matrix_case *it)
{
    static CK_BYTE digest[64] = { 1, 2, 3 };
    static const size_t lengths[] = { 1, 20, 28, 32, 48, 64 };
    if (it->scheme != MATRIX_ECDSA || it->row->input != KV_DIGEST)
        return;
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        struct result input = { .len = lengths[k] };
        memcpy(input.data, digest, lengths[k]);
        struct result signature = sign_it(it, &input);
        OK(it, verify(it, &input, &signature));
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(it->key->pkey, NULL);
        struct kv_bytes der = { 0 };
        assert_int_equal(EVP_PKEY_verify_init(context), 1);
        assert_int_equal(kv_ecdsa_to_der(BYTES(signature.data, signature.len), &der), KV_OK);
        HOLDS(it, EVP_PKEY_verify(context, der.data, der.len, digest, lengths[k]) == 1);
        EVP_PKEY_CTX_free(context);
        kv_bytes_free(&der);
    }
}

static void test_ecdsa_takes_any_digest(void **state)
{
    matrix_walk(KV_OP_SIGN, any_digest);
}

/* A digest that is not the mechanism's: the length tells. */
static void wrong_digest(const struct matrix_case *it)
{
    CK_SESSION_HANDLE session = it->key->session;
    if (it->row->input == KV_MESSAGE || it->scheme != MATRIX_RSA)
        return;
    struct result input = reference_input(it, "kvp11"), signature = { .len = sizeof signature.data };
    struct matrix_mechanism made;
    CK_RV wanted = it->row->input == KV_DIGEST ? CKR_DATA_LEN_RANGE : CKR_DATA_INVALID;
    clear_log();
    for (int longer = 0; longer < 2; longer++) {
        CK_ULONG len = longer ? input.len + 1 : input.len - 1;
        OK(it, p11->C_SignInit(session, matrix_mechanism(it, &made), it->key->shut));
        EXPECT(it, wanted, p11->C_Sign(session, input.data, len, signature.data, &signature.len));
        OK(it, p11->C_VerifyInit(session, matrix_mechanism(it, &made), it->key->open));
        EXPECT(it, wanted, p11->C_Verify(session, input.data, len, signature.data, it->key->bits / 8));
    }
    HOLDS(it, requests(NULL) == 0);
}

static void test_a_digest_of_another_length(void **state)
{
    matrix_walk(KV_OP_SIGN, wrong_digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_shot),
        cmocka_unit_test(test_in_parts),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_verifies_what_openssl_signs),
        cmocka_unit_test(test_refuses_tampering),
        cmocka_unit_test(test_rows_are_not_mixed_up),
        cmocka_unit_test(test_nothing_at_all_can_be_signed),
        cmocka_unit_test(test_a_long_message),
        cmocka_unit_test(test_ecdsa_takes_any_digest),
        cmocka_unit_test(test_a_digest_of_another_length),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
