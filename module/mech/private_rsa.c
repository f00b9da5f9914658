#include "private_private.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include "base/ossl.h"
#include "public_private.h"

enum { EXPONENT_MAX = 8, FACTOR_TRIES = 100 };

KV_DEFINE_CLEANUP(struct kv_public, kv_public_free)
KV_DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
KV_DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
KV_DEFINE_CLEANUP(BIGNUM, BN_clear_free)

/* --- RSA: the numbers of a key, each computed from the others or held against them --- */

struct rsa {
    BN_CTX *context; /* wipes its own */
    BIGNUM *parts[KV_RSA_PARTS];
    BIGNUM *p1, *q1, *t; /* p - 1, q - 1, scratch */
};

static void rsa_free(struct rsa *rsa)
{
    for (int i = 0; i < KV_RSA_PARTS; i++)
        BN_clear_free(rsa->parts[i]);
    BN_clear_free(rsa->p1);
    BN_clear_free(rsa->q1);
    BN_clear_free(rsa->t);
    BN_CTX_free(rsa->context);
}

static bool rsa_load(struct rsa *rsa, const struct kv_view parts[KV_RSA_PARTS])
{
    bool all = (rsa->context = BN_CTX_new_ex(kv_ossl_context())) && (rsa->p1 = BN_new()) &&
               (rsa->q1 = BN_new()) && (rsa->t = BN_new());
    for (int i = 0; i < KV_RSA_PARTS && all; i++) {
        rsa->parts[i] = BN_bin2bn(parts[i].data, (int)parts[i].len, NULL);
        all = rsa->parts[i] != NULL;
        if (all && i >= KV_PART_PRIVATE_EXPONENT)
            BN_set_flags(rsa->parts[i], BN_FLG_CONSTTIME);
    }
    return all;
}

/* One try: does this base lead to a root of 1 that is neither 1 nor -1? Its distance from 1 shares a factor with the modulus. NIST SP 800-56B, appendix C. */
static bool try_base(struct rsa *rsa, const BIGNUM *odd, int twos, BIGNUM *ret_root)
{
    const BIGNUM *n = rsa->parts[KV_PART_MODULUS];
    if (!BN_sub(rsa->p1, n, BN_value_one()) || !BN_priv_rand_range_ex(ret_root, n, 0, rsa->context) ||
        !BN_mod_exp(ret_root, ret_root, odd, n, rsa->context))
        return false;
    for (int i = 0; i < twos && !BN_is_one(ret_root) && BN_cmp(ret_root, rsa->p1); i++) {
        if (!BN_mod_sqr(rsa->t, ret_root, n, rsa->context))
            return false;
        if (BN_is_one(rsa->t))
            return true;
        if (!BN_copy(ret_root, rsa->t))
            return false;
    }
    return false;
}

/* The primes from modulus and exponents: e·d - 1 is a multiple of the group's order. */
static bool find_primes(struct rsa *rsa)
{
    KV_CLEANUP(BN_clear_free_cleanup) BIGNUM *odd = BN_new();
    KV_CLEANUP(BN_clear_free_cleanup) BIGNUM *root = BN_new();
    BIGNUM *p = rsa->parts[KV_PART_PRIME_1], *q = rsa->parts[KV_PART_PRIME_2];
    int twos = 0;
    if (!odd || !root ||
        !BN_mul(odd, rsa->parts[KV_PART_EXPONENT], rsa->parts[KV_PART_PRIVATE_EXPONENT], rsa->context) ||
        !BN_sub_word(odd, 1) || BN_is_zero(odd))
        return false;
    while (!BN_is_bit_set(odd, twos))
        twos++;
    if (!twos || !BN_rshift(odd, odd, twos)) /* the order is even */
        return false;
    BN_set_flags(odd, BN_FLG_CONSTTIME);
    for (int i = 0; i < FACTOR_TRIES; i++)
        if (try_base(rsa, odd, twos, root))
            return BN_sub_word(root, 1) && BN_gcd(p, root, rsa->parts[KV_PART_MODULUS], rsa->context) &&
                   BN_div(q, NULL, rsa->parts[KV_PART_MODULUS], p, rsa->context) &&
                   (BN_cmp(p, q) >= 0 || (BN_swap(p, q), true));
    return false;
}

/* A part that is missing becomes `computed`; one that is there must be that. */
static bool settle(struct rsa *rsa, enum kv_private_part part, const BIGNUM *computed)
{
    if (BN_is_zero(rsa->parts[part]))
        return BN_copy(rsa->parts[part], computed) != NULL;
    return BN_cmp(rsa->parts[part], computed) == 0;
}

static bool inverts(struct rsa *rsa, const BIGNUM *order)
{
    return BN_mod_mul(rsa->t, rsa->parts[KV_PART_EXPONENT], rsa->parts[KV_PART_PRIVATE_EXPONENT], order,
                      rsa->context) &&
           BN_is_one(rsa->t);
}

static bool complete(struct rsa *rsa)
{
    BIGNUM *const *parts = rsa->parts;
    BIGNUM *p = parts[KV_PART_PRIME_1], *q = parts[KV_PART_PRIME_2], *d = parts[KV_PART_PRIVATE_EXPONENT];
    if (BN_is_zero(d) || ((BN_is_zero(p) || BN_is_zero(q)) && !find_primes(rsa)))
        return false;
    if (BN_is_one(p) || BN_is_one(q) || !BN_mul(rsa->t, p, q, rsa->context) ||
        BN_cmp(rsa->t, parts[KV_PART_MODULUS]))
        return false;
    return BN_sub(rsa->p1, p, BN_value_one()) && BN_sub(rsa->q1, q, BN_value_one()) &&
           inverts(rsa, rsa->p1) && inverts(rsa, rsa->q1) && BN_mod(rsa->t, d, rsa->p1, rsa->context) &&
           settle(rsa, KV_PART_EXPONENT_1, rsa->t) && BN_mod(rsa->t, d, rsa->q1, rsa->context) &&
           settle(rsa, KV_PART_EXPONENT_2, rsa->t) && BN_mod_inverse(rsa->t, q, p, rsa->context) &&
           settle(rsa, KV_PART_COEFFICIENT, rsa->t);
}

static enum kv_status from_numbers(struct rsa *rsa, struct kv_private **ret, struct kv_error *err)
{
    struct kv_view parts[KV_PRIVATE_PARTS] = { 0 };
    KV_AUTO_BYTES struct kv_bytes block = { 0 };
    struct kv_public *public = NULL;
    if (kv_private_export(rsa->parts, KV_RSA_PARTS, &block, parts))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_public_from_rsa(parts[KV_PART_MODULUS], parts[KV_PART_EXPONENT], &public, err));
    return kv_private_join(public, parts, ret, err);
}

enum kv_status kv_private_from_rsa(const struct kv_view parts[KV_RSA_PARTS], struct kv_private **ret,
                                   struct kv_error *err)
{
    KV_CLEANUP(rsa_free) struct rsa rsa = { 0 };
    KV_CLEANUP(kv_public_free_cleanup) struct kv_public *public = NULL;
    /* Its limits first: numbers of strangers are as long as they like. */
    KV_TRY(kv_public_from_rsa(parts[KV_PART_MODULUS], parts[KV_PART_EXPONENT], &public, err));
    for (int i = 0; i < KV_RSA_PARTS; i++)
        if (parts[i].len > 2 * kv_public_modulus(public).len)
            return kv_fail(err, KV_BAD_DATA, "a number of the RSA key is longer than its modulus");
    if (!rsa_load(&rsa, parts))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    kv_public_ask();
    bool good = complete(&rsa), short_of_memory = kv_public_no_memory();
    if (!good && short_of_memory)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (!good)
        return kv_fail(err, KV_BAD_DATA, "the numbers of the RSA key do not belong together");
    return from_numbers(&rsa, ret, err);
}

/* --- new ones --- */

enum kv_status kv_private_new_rsa(unsigned bits, struct kv_view exponent, struct kv_private **ret,
                                  struct kv_error *err)
{
    static const unsigned char f4[] = { 1, 0, 1 };
    struct kv_view wanted = kv_view_minimal(exponent.len ? exponent : (struct kv_view){ f4, sizeof f4 });
    unsigned char native[EXPONENT_MAX] = { 0 };
    size_t size = bits;
    if (wanted.len > sizeof native || !wanted.len)
        return kv_fail(err, KV_BAD_DATA, "the public exponent is 0 or longer than %d bytes", EXPONENT_MAX);
    for (size_t i = 0; i < wanted.len; i++)
        native[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? i : sizeof native - 1 - i] =
            wanted.data[wanted.len - 1 - i];
    OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(OSSL_PKEY_PARAM_RSA_BITS, &size),
                            OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, native, sizeof native),
                            OSSL_PARAM_construct_end() };
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup) EVP_PKEY_CTX *context = kv_private_generator(KV_RSA);
    if (!context || EVP_PKEY_CTX_set_params(context, params) != 1)
        return kv_fail(err, KV_KEY_SIZE, "an RSA key of %u bits with this exponent is not offered", bits);
    KV_CLEANUP(EVP_PKEY_free_cleanup) EVP_PKEY *pkey = kv_private_generate(context);
    KV_CLEANUP(rsa_free) struct rsa rsa = { 0 };
    if (!pkey)
        return kv_fail(err, KV_BAD_DATA, "OpenSSL makes no RSA key of %u bits with this exponent", bits);
    for (int i = 0; i < KV_RSA_PARTS; i++)
        if (EVP_PKEY_get_bn_param(pkey, kv_private_rsa_names[i], &rsa.parts[i]) != 1)
            return kv_fail(err, KV_INTERNAL, "OpenSSL keeps a number of the key to itself");
    return from_numbers(&rsa, ret, err);
}
