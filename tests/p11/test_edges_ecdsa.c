/* ECDSA at its edges: raw r‖s (PKCS#11 §6.3.12) whose halves are 0, the order, above it, negated, short, swapped, or DER; and digests of every length. On
 * every curve. */
#include "edges.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include "base/encode.h"
#include "reference.h"

static const char *const names[] = { "m-p256", "m-p384", "m-p521", "m-p256k" };
enum { CURVES = 4 };

static CK_FUNCTION_LIST *p11;

static int start(void **state)
{
    int rc = matrix_start(state);
    p11 = world.p11;
    return rc;
}

static size_t width_of(const struct matrix_key *key)
{
    return (key->bits + 7) / 8;
}

static CK_RV verify(const struct matrix_key *key, struct kv_view digest, const struct result *signature)
{
    ok(p11->C_VerifyInit(key->session, &ecdsa, key->open));
    return p11->C_Verify(key->session, (CK_BYTE *)digest.data, digest.len, (CK_BYTE *)signature->data,
                         signature->len);
}

static void must(const struct matrix_key *key, const char *what, CK_RV rv, CK_RV wanted)
{
    if (rv != wanted)
        fail_msg("%s: %s: 0x%lx instead of 0x%lx", key->name, what, rv, wanted);
}

/* By OpenSSL, as DER and raw. */
static struct result honest(const struct matrix_key *key, struct kv_view digest, struct result *ret_der)
{
    struct result raw = { .len = 0 };
    struct kv_bytes bytes = { 0 };
    size_t len = sizeof ret_der->data;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->pkey, NULL);
    assert_int_equal(EVP_PKEY_sign_init(context), 1);
    assert_int_equal(EVP_PKEY_sign(context, ret_der->data, &len, digest.data, digest.len), 1);
    EVP_PKEY_CTX_free(context);
    ret_der->len = len;
    assert_int_equal(kv_ecdsa_from_der(BYTES(ret_der->data, len), width_of(key), &bytes), KV_OK);
    memcpy(raw.data, bytes.data, bytes.len);
    raw.len = bytes.len;
    kv_bytes_free(&bytes);
    return raw;
}

/* What becomes of one half: kept, a number, the order plus a number, the order minus the half, the half plus the order. */
enum part { KEPT, SMALL, ORDER, NEGATED, RAISED, ONES };

static const struct {
    const char *what;
    enum part r, s;
    long add;
    bool valid;
} rows[] = {
    { "the honest one", KEPT, KEPT, 0, true },
    { "s negated", KEPT, NEGATED, 0, true }, /* (r, n-s) is the other signature of the pair */
    { "r negated", NEGATED, KEPT, 0, false },
    { "r is 0", SMALL, KEPT, 0, false },
    { "s is 0", KEPT, SMALL, 0, false },
    { "both are 0", SMALL, SMALL, 0, false },
    { "r is 1", SMALL, KEPT, 1, false },
    { "s is 1", KEPT, SMALL, 1, false },
    { "both are 1", SMALL, SMALL, 1, false },
    { "r is the order", ORDER, KEPT, 0, false },
    { "s is the order", KEPT, ORDER, 0, false },
    { "both are the order", ORDER, ORDER, 0, false },
    { "r is the order and 1", ORDER, KEPT, 1, false },
    { "s is the order and 1", KEPT, ORDER, 1, false },
    { "r is the order less 1", ORDER, KEPT, -1, false },
    { "s is the order less 1", KEPT, ORDER, -1, false },
    { "r is all ones", ONES, KEPT, 0, false },
    { "s is all ones", KEPT, ONES, 0, false },
    { "r and the order", RAISED, KEPT, 0, false },
    { "s and the order", KEPT, RAISED, 0, false },
};

/* False: it does not fit the width. */
static bool change(const struct matrix_key *key, enum part part, long add, unsigned char *half)
{
    int width = (int)width_of(key), fits = 0;
    BIGNUM *order = NULL, *number = BN_bin2bn(half, width, NULL);
    assert_int_equal(EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_EC_ORDER, &order), 1);
    if (part == SMALL)
        assert_int_equal(BN_set_word(number, (BN_ULONG)add), 1);
    if (part == ORDER) {
        assert_non_null(BN_copy(number, order));
        assert_int_equal(add < 0 ? BN_sub_word(number, (BN_ULONG)-add) : BN_add_word(number, (BN_ULONG)add),
                         1);
    }
    if (part == NEGATED)
        assert_int_equal(BN_sub(number, order, number), 1);
    if (part == RAISED)
        assert_int_equal(BN_add(number, order, number), 1);
    if (part == ONES)
        memset(half, 0xff, (size_t)width);
    else
        fits = BN_bn2binpad(number, half, width);
    BN_free(order);
    BN_free(number);
    return part == ONES || fits == width;
}

static void test_halves(void **state)
{
    for (size_t c = 0; c < CURVES; c++) {
        const struct matrix_key *key = matrix_find(names[c]);
        struct result digest = reference_digest("SHA2-256", BYTES("kvp11", 5)), der;
        size_t tried = 0;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct result raw = honest(key, BYTES(digest.data, 32), &der);
            if (!change(key, rows[i].r, rows[i].add, raw.data) ||
                !change(key, rows[i].s, rows[i].add, raw.data + width_of(key)))
                continue;
            must(key, rows[i].what, verify(key, BYTES(digest.data, 32), &raw),
                 rows[i].valid ? CKR_OK : CKR_SIGNATURE_INVALID);
            tried++;
        }
        /* The order plus a half fits only where the order leaves room: P-521 has seven bits. */
        assert_true(tried >= sizeof rows / sizeof *rows - (key->bits == 521 ? 0 : 2));
    }
}

static void test_forms(void **state)
{
    for (size_t c = 0; c < CURVES; c++) {
        const struct matrix_key *key = matrix_find(names[c]);
        size_t width = width_of(key);
        struct result digest = reference_digest("SHA2-256", BYTES("kvp11", 5)), der;
        struct result raw = honest(key, BYTES(digest.data, 32), &der), swapped = raw;
        must(key, "DER", verify(key, BYTES(digest.data, 32), &der), CKR_SIGNATURE_LEN_RANGE);
        memcpy(swapped.data, raw.data + width, width);
        memcpy(swapped.data + width, raw.data, width);
        must(key, "swapped", verify(key, BYTES(digest.data, 32), &swapped), CKR_SIGNATURE_INVALID);
        const CK_ULONG lengths[] = {
            0, 1, width, 2 * width - 2, 2 * width - 1, 2 * width + 1, 2 * width + 2
        };
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            struct result other = raw;
            other.len = lengths[i];
            must(key, "a length", verify(key, BYTES(digest.data, 32), &other), CKR_SIGNATURE_LEN_RANGE);
        }
    }
}

/* Halves with zeros in front keep their width; without them it is no signature of this curve. */
static void test_leading_zeros(void **state)
{
    for (size_t c = 0; c < CURVES; c++) {
        const struct matrix_key *key = matrix_find(names[c]);
        size_t width = width_of(key), seen[2] = { 0 };
        struct result digest = reference_digest("SHA2-256", BYTES("kvp11", 5)), der;
        /* P-521 begins with zeros half of the time: there a whole byte beyond those seven bits is asked for. */
        size_t at = key->bits == 521 ? 1 : 0;
        for (int i = 0; i < 100000 && !(seen[0] && seen[1]); i++) {
            struct result raw = honest(key, BYTES(digest.data, 32), &der);
            for (size_t half = 0; half < 2; half++) {
                unsigned char *place = raw.data + half * width;
                if (place[0] || place[at] || seen[half]++)
                    continue;
                must(key, "a leading zero", verify(key, BYTES(digest.data, 32), &raw), CKR_OK);
                memmove(place, place + 1, raw.len - half * width - 1);
                raw.len--;
                must(key, "its zero gone", verify(key, BYTES(digest.data, 32), &raw),
                     CKR_SIGNATURE_LEN_RANGE);
                break;
            }
        }
        assert_true(seen[0] && seen[1]);
    }
}

/* What the vault signs has its full width, whatever it begins with. */
static void test_signatures_keep_their_width(void **state)
{
    const struct matrix_key *key = matrix_find("m-p256");
    struct result digest = reference_digest("SHA2-256", BYTES("kvp11", 5));
    size_t zeros = 0, tries = 0;
    for (; tries < 2500 && !zeros; tries++) {
        struct result signature = sign(key->session, &ecdsa, key->shut, digest.data, 32);
        assert_int_equal(signature.len, 64);
        if (signature.data[0] && signature.data[32])
            continue;
        zeros++;
        assert_true(verifies(key->session, &ecdsa, key->open, BYTES(digest.data, 32), &signature));
    }
    assert_true(zeros);
}

/* Only as many bits of a digest count as the order has: what is behind them may be anything, and what is in front of a short one is zeros. */
static void test_digests_are_cut(void **state)
{
    for (size_t c = 0; c < CURVES; c++) {
        const struct matrix_key *key = matrix_find(names[c]);
        size_t whole = key->bits == 521 ? 64 : key->bits / 8; /* no digest has 521 bits */
        unsigned char digest[128] = { 0 };
        struct result der;
        memset(digest, 0x3c, whole);
        struct result raw = honest(key, BYTES(digest, whole), &der);
        memset(digest + whole, 0x99, 16);
        /* P-521 would count bits that ES512 has no room for. */
        must(key, "more behind it", verify(key, BYTES(digest, whole + 16), &raw),
             key->bits == 521 ? CKR_DATA_LEN_RANGE : CKR_OK);
        must(key, "nothing", verify(key, BYTES(digest, 0), &raw), CKR_DATA_LEN_RANGE);
        must(key, "one byte less", verify(key, BYTES(digest, whole - 1), &raw), CKR_SIGNATURE_INVALID);
        digest[whole - 1] ^= 1;
        must(key, "its last bit", verify(key, BYTES(digest, whole), &raw), CKR_SIGNATURE_INVALID);
        unsigned char tiny[32] = { 0 };
        tiny[31] = 7;
        raw = honest(key, BYTES(tiny, 32), &der);
        must(key, "without its zeros", verify(key, BYTES(tiny + 31, 1), &raw), CKR_OK);
        unsigned char zero[32] = { 0 };
        raw = honest(key, BYTES(zero, 32), &der);
        must(key, "a digest of zeros", verify(key, BYTES(zero, 32), &raw), CKR_OK);
        must(key, "another digest", verify(key, BYTES(tiny, 32), &raw), CKR_SIGNATURE_INVALID);
    }
}

/* A signature of one key is none of another, the same curve or not. */
static void test_keys_are_told_apart(void **state)
{
    struct result digest = reference_digest("SHA2-256", BYTES("kvp11", 5)), der;
    for (size_t a = 0; a < CURVES; a++)
        for (size_t b = 0; b < CURVES; b++) {
            const struct matrix_key *by = matrix_find(names[a]), *with = matrix_find(names[b]);
            struct result raw = honest(by, BYTES(digest.data, 32), &der);
            CK_RV wanted = a == b                           ? CKR_OK
                           : width_of(by) == width_of(with) ? CKR_SIGNATURE_INVALID
                                                            : CKR_SIGNATURE_LEN_RANGE;
            must(with, by->name, verify(with, BYTES(digest.data, 32), &raw), wanted);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves),          cmocka_unit_test(test_forms),
        cmocka_unit_test(test_leading_zeros),   cmocka_unit_test(test_signatures_keep_their_width),
        cmocka_unit_test(test_digests_are_cut), cmocka_unit_test(test_keys_are_told_apart),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
