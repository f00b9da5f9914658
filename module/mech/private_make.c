#include "private_private.h"

#include <string.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include "base/locked.h"
#include "base/ossl.h"
#include "mech_private.h"

enum { EXPONENT_MAX = 8, FACTOR_TRIES = 100 };

KV_DEFINE_CLEANUP(struct kv_public, kv_public_free)
KV_DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
KV_DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
KV_DEFINE_CLEANUP(EC_GROUP, EC_GROUP_free)
KV_DEFINE_CLEANUP(EC_POINT, EC_POINT_free)
KV_DEFINE_CLEANUP(BIGNUM, BN_clear_free)
KV_DEFINE_CLEANUP(BN_CTX, BN_CTX_free)

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
    if (!BN_rshift(odd, odd, twos))
        return false;
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

/* The numbers as bytes in one locked block, of which the views are parts. */
static enum kv_status export(BIGNUM *const numbers[], size_t count, struct kv_bytes *ret_block,
                             struct kv_view *ret_parts) {
    size_t size = 0, at = 0; for (size_t i = 0; i < count; i++) size += (size_t)BN_num_bytes(numbers[i]);
    KV_TRY(kv_bytes_alloc_locked(size, ret_block)); for (size_t i = 0; i < count; i++){
        size_t len = (size_t)BN_num_bytes(numbers[i]); BN_bn2bin(numbers[i], ret_block->data + at);
        ret_parts[i] = (struct kv_view){ ret_block->data + at, len }; at += len; }
return KV_OK;
}

static enum kv_status from_numbers(struct rsa *rsa, struct kv_private **ret, struct kv_error *err)
{
    struct kv_view parts[KV_PRIVATE_PARTS] = { 0 };
    KV_AUTO_BYTES struct kv_bytes block = { 0 };
    struct kv_public *public = NULL;
    if (export(rsa->parts, KV_RSA_PARTS, &block, parts))
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
    if (!complete(&rsa))
        return kv_fail(err, KV_BAD_DATA, "the numbers of the RSA key do not belong together");
    return from_numbers(&rsa, ret, err);
}

/* --- EC --- */

/* The public point of a scalar that is on the curve's group; 1 ≤ scalar < order. */
static enum kv_status point_of(const struct kv_curve *curve, struct kv_view scalar, unsigned char *ret)
{
    KV_CLEANUP(BN_CTX_free_cleanup) BN_CTX *context = BN_CTX_new_ex(kv_ossl_context());
    KV_CLEANUP(BN_clear_free_cleanup) BIGNUM *d = BN_bin2bn(scalar.data, (int)scalar.len, NULL);
    KV_CLEANUP(EC_GROUP_free_cleanup)
    EC_GROUP *group = EC_GROUP_new_by_curve_name_ex(kv_ossl_context(), NULL, OBJ_sn2nid(curve->group));
    KV_CLEANUP(EC_POINT_free_cleanup) EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    if (!context || !d || !point)
        return KV_NO_MEMORY;
    BN_set_flags(d, BN_FLG_CONSTTIME);
    if (BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(group)) >= 0)
        return KV_BAD_DATA;
    size_t size = 1 + 2 * (size_t)curve->width;
    if (EC_POINT_mul(group, point, d, NULL, NULL, context) != 1 ||
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, ret, size, context) != size)
        return KV_INTERNAL;
    return KV_OK;
}

enum kv_status kv_private_from_ec(const struct kv_curve *curve, struct kv_view scalar,
                                  struct kv_private **ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes wide = { 0 };
    struct kv_view parts[KV_PRIVATE_PARTS] = { 0 };
    struct kv_public *public = NULL;
    unsigned char point[160];
    while (scalar.len && !scalar.data[0])
        scalar = (struct kv_view){ scalar.data + 1, scalar.len - 1 };
    if (!scalar.len || scalar.len > curve->width)
        return kv_fail(err, KV_BAD_DATA, "not a private value of %s", curve->name);
    if (kv_bytes_alloc_locked(curve->width, &wide))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    memcpy(wide.data + wide.len - scalar.len, scalar.data, scalar.len);
    enum kv_status status = point_of(curve, scalar, point);
    if (status)
        return kv_fail(err, status, "not a private value of %s", curve->name);
    KV_TRY(kv_public_from_ec(curve->name, (struct kv_view){ point + 1, curve->width },
                             (struct kv_view){ point + 1 + curve->width, curve->width }, &public, err));
    parts[KV_PART_SCALAR] = KV_VIEW(wide);
    return kv_private_join(public, parts, ret, err);
}

/* --- new ones --- */

static EVP_PKEY *generate(EVP_PKEY_CTX *context)
{
    EVP_PKEY *made = NULL;
    return EVP_PKEY_generate(context, &made) == 1 ? made : NULL;
}

/* By object identifier, as public.c does and says why. */
static EVP_PKEY_CTX *generator(enum kv_kind kind)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(
        kv_ossl_context(), kind == KV_RSA ? "1.2.840.113549.1.1.1" : "1.2.840.10045.2.1", NULL);
    if (context && EVP_PKEY_keygen_init(context) != 1) {
        EVP_PKEY_CTX_free(context);
        return NULL;
    }
    return context;
}

static const char *const rsa_names[KV_RSA_PARTS] = {
    [KV_PART_MODULUS] = OSSL_PKEY_PARAM_RSA_N,
    [KV_PART_EXPONENT] = OSSL_PKEY_PARAM_RSA_E,
    [KV_PART_PRIVATE_EXPONENT] = OSSL_PKEY_PARAM_RSA_D,
    [KV_PART_PRIME_1] = OSSL_PKEY_PARAM_RSA_FACTOR1,
    [KV_PART_PRIME_2] = OSSL_PKEY_PARAM_RSA_FACTOR2,
    [KV_PART_EXPONENT_1] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
    [KV_PART_EXPONENT_2] = OSSL_PKEY_PARAM_RSA_EXPONENT2,
    [KV_PART_COEFFICIENT] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

enum kv_status kv_private_new_rsa(unsigned bits, struct kv_view exponent, struct kv_private **ret,
                                  struct kv_error *err)
{
    static const unsigned char f4[] = { 1, 0, 1 };
    struct kv_view wanted = exponent.len ? exponent : (struct kv_view){ f4, sizeof f4 };
    unsigned char native[EXPONENT_MAX] = { 0 };
    size_t size = bits;
    while (wanted.len && !wanted.data[0])
        wanted = (struct kv_view){ wanted.data + 1, wanted.len - 1 };
    if (wanted.len > sizeof native || !wanted.len)
        return kv_fail(err, KV_BAD_DATA, "the public exponent is 0 or longer than %d bytes", EXPONENT_MAX);
    for (size_t i = 0; i < wanted.len; i++)
        native[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? i : sizeof native - 1 - i] =
            wanted.data[wanted.len - 1 - i];
    OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(OSSL_PKEY_PARAM_RSA_BITS, &size),
                            OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, native, sizeof native),
                            OSSL_PARAM_construct_end() };
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup) EVP_PKEY_CTX *context = generator(KV_RSA);
    if (!context || EVP_PKEY_CTX_set_params(context, params) != 1)
        return kv_fail(err, KV_KEY_SIZE, "an RSA key of %u bits with this exponent is not offered", bits);
    KV_CLEANUP(EVP_PKEY_free_cleanup) EVP_PKEY *pkey = generate(context);
    KV_CLEANUP(rsa_free) struct rsa rsa = { 0 };
    if (!pkey)
        return kv_fail(err, KV_BAD_DATA, "OpenSSL makes no RSA key of %u bits with this exponent", bits);
    for (int i = 0; i < KV_RSA_PARTS; i++)
        if (EVP_PKEY_get_bn_param(pkey, rsa_names[i], &rsa.parts[i]) != 1)
            return kv_fail(err, KV_INTERNAL, "OpenSSL keeps a number of the key to itself");
    return from_numbers(&rsa, ret, err);
}

enum kv_status kv_private_new_ec(const struct kv_curve *curve, struct kv_private **ret, struct kv_error *err)
{
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve->group,
                                                             0),
                            OSSL_PARAM_construct_end() };
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup) EVP_PKEY_CTX *context = generator(KV_EC);
    KV_CLEANUP(EVP_PKEY_free_cleanup)
    EVP_PKEY *pkey = context && EVP_PKEY_CTX_set_params(context, params) == 1 ? generate(context) : NULL;
    KV_CLEANUP(BN_clear_free_cleanup) BIGNUM *scalar = NULL;
    KV_AUTO_BYTES struct kv_bytes block = { 0 };
    struct kv_view bytes;
    if (!pkey || EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1)
        return kv_fail(err, KV_INTERNAL, "OpenSSL makes no key on %s", curve->name);
    if (export(&scalar, 1, &block, &bytes))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return kv_private_from_ec(curve, bytes, ret, err);
}

/* --- for one operation --- */

/* OpenSSL reads numbers in the machine's own order: copies, turned where they must be, in a block that is wiped. */
static size_t add_number(OSSL_PARAM *param, const char *name, struct kv_view number, unsigned char *place)
{
    for (size_t i = 0; i < number.len; i++)
        place[i] = number.data[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? number.len - 1 - i : i];
    *param = OSSL_PARAM_construct_BN(name, place, number.len);
    return number.len;
}

static size_t describe(const struct kv_private *key, OSSL_PARAM *ret, unsigned char *block)
{
    size_t count = 0, at = 0;
    if (key->kind == KV_RSA) {
        for (int i = 0; i < KV_RSA_PARTS; i++)
            at += add_number(&ret[count++], rsa_names[i], key->parts[i], block + at);
    } else {
        struct kv_view point = kv_public_point(key->public);
        const struct kv_curve *curve = kv_public_curve(key->public);
        ret[count++] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve->group, 0);
        ret[count++] =
            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point.data, point.len);
        add_number(&ret[count++], OSSL_PKEY_PARAM_PRIV_KEY, key->parts[KV_PART_SCALAR], block);
    }
    ret[count] = OSSL_PARAM_construct_end();
    return count;
}

EVP_PKEY *kv_private_open(const struct kv_private *key)
{
    OSSL_PARAM params[KV_RSA_PARTS + 1];
    KV_AUTO_BYTES struct kv_bytes block = { 0 };
    EVP_PKEY *pkey = NULL;
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(
        kv_ossl_context(), key->kind == KV_RSA ? "1.2.840.113549.1.1.1" : "1.2.840.10045.2.1", NULL);
    if (!context || kv_bytes_alloc_locked(key->pkcs8.len, &block))
        return NULL;
    describe(key, params, block.data);
    if (EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
        return NULL;
    return pkey;
}
