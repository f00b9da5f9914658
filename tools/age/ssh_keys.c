#include "ssh_keys.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>
#include "base/ossl.h"

enum { BITS_MIN = 2048, BITS_MAX = 16384 };

KV_DEFINE_CLEANUP(BIGNUM, BN_free)
KV_DEFINE_CLEANUP(BN_CTX, BN_CTX_free)
KV_DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
KV_DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
KV_DEFINE_CLEANUP(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
KV_DEFINE_CLEANUP(OSSL_PARAM, OSSL_PARAM_free)

/* ---- Ed25519 ---- */

struct field {
    BN_CTX *context;
    BIGNUM *p, *d, *one; /* the prime, the curve's d = -121665/121666 */
};

static bool field_fill(struct field *field)
{
    BN_CTX *c = field->context;
    field->p = BN_CTX_get(c);
    field->d = BN_CTX_get(c);
    field->one = BN_CTX_get(c);
    BIGNUM *low = BN_CTX_get(c);
    return low && BN_set_word(low, 121666) && BN_one(field->one) && BN_one(field->p) &&
           BN_lshift(field->p, field->p, 255) && BN_sub_word(field->p, 19) &&
           BN_mod_inverse(low, low, field->p, c) && BN_set_word(field->d, 121665) &&
           BN_mod_mul(field->d, field->d, low, field->p, c) && BN_sub(field->d, field->p, field->d);
}

/* x² = (y² - 1) / (d·y² + 1) must have a root, or y is on no point. */
static bool is_on_curve(const struct field *field, const BIGNUM *y)
{
    BN_CTX *c = field->context;
    BIGNUM *square = BN_CTX_get(c), *above = BN_CTX_get(c), *below = BN_CTX_get(c);
    return below && BN_mod_sqr(square, y, field->p, c) &&
           BN_mod_sub(above, square, field->one, field->p, c) &&
           BN_mod_mul(below, field->d, square, field->p, c) &&
           BN_mod_add(below, below, field->one, field->p, c) &&
           BN_mod_mul(above, above, below, field->p, c) && BN_kronecker(above, field->p, c) >= 0;
}

/* u = (1 + y) / (1 - y) */
static bool to_montgomery(const struct field *field, const unsigned char *key, unsigned char *ret)
{
    unsigned char bytes[KV_AGE_POINT];
    BN_CTX *c = field->context;
    BIGNUM *y = BN_CTX_get(c), *above = BN_CTX_get(c), *below = BN_CTX_get(c);
    memcpy(bytes, key, sizeof bytes);
    bytes[KV_AGE_POINT - 1] &= 0x7f; /* the sign of x */
    return below && BN_lebin2bn(bytes, sizeof bytes, y) && BN_cmp(y, field->p) < 0 && is_on_curve(field, y) &&
           BN_mod_add(above, field->one, y, field->p, c) && BN_mod_sub(below, field->one, y, field->p, c) &&
           BN_mod_inverse(below, below, field->p, c) && BN_mod_mul(above, above, below, field->p, c) &&
           BN_bn2lebinpad(above, ret, KV_AGE_POINT) == KV_AGE_POINT;
}

enum kv_status kv_age_ed25519_point(const unsigned char key[KV_AGE_POINT], unsigned char ret[KV_AGE_POINT],
                                    struct kv_error *err)
{
    KV_CLEANUP(BN_CTX_free_cleanup) BN_CTX *context = BN_CTX_new_ex(kv_ossl_context());
    if (!context)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    BN_CTX_start(context);
    struct field field = { context, NULL, NULL, NULL };
    bool done = field_fill(&field) && to_montgomery(&field, key, ret);
    BN_CTX_end(context);
    return done ? KV_OK
                : kv_fail(err, KV_BAD_DATA, "the Ed25519 key is damaged: it is no point of its curve");
}

enum kv_status kv_age_ed25519_secret(const unsigned char seed[KV_AGE_KEY], unsigned char ret[KV_AGE_KEY],
                                     struct kv_error *err)
{
    unsigned char digest[64];
    size_t len = 0;
    if (!EVP_Q_digest(kv_ossl_context(), "SHA512", NULL, seed, KV_AGE_KEY, digest, &len) ||
        len != sizeof digest)
        return kv_fail(err, KV_INTERNAL, "OpenSSL cannot do SHA-512");
    memcpy(ret, digest, KV_AGE_KEY);
    kv_wipe(digest, sizeof digest);
    return KV_OK;
}

/* ---- RSA ---- */

static EVP_PKEY *rsa_public(struct kv_view modulus, struct kv_view exponent)
{
    KV_CLEANUP(BN_free_cleanup) BIGNUM *n = BN_bin2bn(modulus.data, (int)modulus.len, NULL);
    KV_CLEANUP(BN_free_cleanup) BIGNUM *e = BN_bin2bn(exponent.data, (int)exponent.len, NULL);
    KV_CLEANUP(OSSL_PARAM_BLD_free_cleanup) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (!n || !e || !builder || !OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) ||
        !OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e))
        return NULL;
    KV_CLEANUP(OSSL_PARAM_free_cleanup) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(kv_ossl_context(), "RSA", NULL);
    EVP_PKEY *key = NULL;
    if (!params || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    return key;
}

/* OpenSSL takes over the label. */
static bool set_oaep(EVP_PKEY_CTX *context, const char *label)
{
    unsigned char *copy = EVP_PKEY_encrypt_init(context) == 1 ? OPENSSL_memdup(label, strlen(label)) : NULL;
    if (copy && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_oaep_md_name(context, "SHA256", NULL) == 1 &&
        EVP_PKEY_CTX_set0_rsa_oaep_label(context, copy, (int)strlen(label)) == 1)
        return true;
    OPENSSL_free(copy);
    return false;
}

enum kv_status kv_age_rsa_wrap(struct kv_view modulus, struct kv_view exponent, const char *label,
                               struct kv_view plain, struct kv_bytes *ret, struct kv_error *err)
{
    modulus = kv_view_minimal(modulus);
    if (modulus.len < BITS_MIN / 8 || modulus.len > BITS_MAX / 8 || exponent.len > modulus.len ||
        (modulus.len == BITS_MIN / 8 && !(modulus.data[0] & 0x80)))
        return kv_fail(err, KV_KEY_SIZE, "an RSA key has %d to %d bits", BITS_MIN, BITS_MAX);
    KV_CLEANUP(EVP_PKEY_free_cleanup) EVP_PKEY *key = rsa_public(modulus, exponent);
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup)
    EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new_from_pkey(kv_ossl_context(), key, NULL) : NULL;
    KV_AUTO_BYTES struct kv_bytes out = { 0 };
    if (!context || kv_bytes_alloc(modulus.len, &out) != KV_OK)
        return kv_fail(err, KV_BAD_DATA, "the RSA key is damaged");
    size_t len = out.len;
    if (!set_oaep(context, label) || EVP_PKEY_encrypt(context, out.data, &len, plain.data, plain.len) != 1 ||
        len != out.len)
        return kv_fail(err, KV_BAD_DATA, "the RSA key is damaged: nothing can be encrypted to it");
    *ret = kv_bytes_take(&out);
    return KV_OK;
}
