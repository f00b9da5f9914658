/* The table of algorithms, the checks that every row shares, and the asymmetric rows (contract §7, §8.3). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include "material.h"

static bool rsa_cipher(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                       struct em_op_out *ret, struct em_refusal *refusal);
static bool rsa_signature(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                          struct em_op_out *ret, struct em_refusal *refusal);
static bool ecdsa(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                  struct em_op_out *ret, struct em_refusal *refusal);

/* clang-format off */
static const struct em_alg algorithms[] = {
    /* name                   kind    ops           mode        md        curve     bits exact spare run */
    { "RSA1_5",               EM_RSA, EM_CIPHER,    "pkcs1",    NULL,     NULL,       0,  0, 11, rsa_cipher },
    { "RSA-OAEP",             EM_RSA, EM_CIPHER,    "oaep",     "SHA1",   NULL,       0,  0, 42, rsa_cipher },
    { "RSA-OAEP-256",         EM_RSA, EM_CIPHER,    "oaep",     "SHA256", NULL,       0,  0, 66, rsa_cipher },
    { "RS256",                EM_RSA, EM_SIGNATURE, "pkcs1",    "SHA256", NULL,       0, 32,  0, rsa_signature },
    { "RS384",                EM_RSA, EM_SIGNATURE, "pkcs1",    "SHA384", NULL,       0, 48,  0, rsa_signature },
    { "RS512",                EM_RSA, EM_SIGNATURE, "pkcs1",    "SHA512", NULL,       0, 64,  0, rsa_signature },
    { "PS256",                EM_RSA, EM_SIGNATURE, "pss",      "SHA256", NULL,       0, 32,  0, rsa_signature },
    { "PS384",                EM_RSA, EM_SIGNATURE, "pss",      "SHA384", NULL,       0, 48,  0, rsa_signature },
    { "PS512",                EM_RSA, EM_SIGNATURE, "pss",      "SHA512", NULL,       0, 64,  0, rsa_signature },
    { "RSNULL",               EM_RSA, EM_SIGNATURE, "pkcs1",    NULL,     NULL,       0,  0, 11, rsa_signature },
    { "ES256",                EM_EC,  EM_SIGNATURE, NULL,       NULL,     "P-256",    0, 32,  0, ecdsa },
    { "ES256K",               EM_EC,  EM_SIGNATURE, NULL,       NULL,     "P-256K",   0, 32,  0, ecdsa },
    { "ES384",                EM_EC,  EM_SIGNATURE, NULL,       NULL,     "P-384",    0, 48,  0, ecdsa },
    { "ES512",                EM_EC,  EM_SIGNATURE, NULL,       NULL,     "P-521",    0, 64,  0, ecdsa },
    { "A128KW",               EM_OCT, EM_CIPHER,    "WRAP",     NULL,     NULL,     128,  0,  0, em_aes_wrap },
    { "A192KW",               EM_OCT, EM_CIPHER,    "WRAP",     NULL,     NULL,     192,  0,  0, em_aes_wrap },
    { "A256KW",               EM_OCT, EM_CIPHER,    "WRAP",     NULL,     NULL,     256,  0,  0, em_aes_wrap },
    { "CKM_AES_KEY_WRAP",     EM_OCT, EM_CIPHER,    "WRAP",     NULL,     NULL,       0,  0,  0, em_aes_wrap },
    { "CKM_AES_KEY_WRAP_PAD", EM_OCT, EM_CIPHER,    "WRAP-PAD", NULL,     NULL,       0,  0,  0, em_aes_wrap },
    { "A128CBC",              EM_OCT, EM_CIPHER,    "CBC",      NULL,     NULL,     128,  0,  0, em_aes_cbc },
    { "A192CBC",              EM_OCT, EM_CIPHER,    "CBC",      NULL,     NULL,     192,  0,  0, em_aes_cbc },
    { "A256CBC",              EM_OCT, EM_CIPHER,    "CBC",      NULL,     NULL,     256,  0,  0, em_aes_cbc },
    { "A128CBCPAD",           EM_OCT, EM_CIPHER,    "CBCPAD",   NULL,     NULL,     128,  0,  0, em_aes_cbc },
    { "A192CBCPAD",           EM_OCT, EM_CIPHER,    "CBCPAD",   NULL,     NULL,     192,  0,  0, em_aes_cbc },
    { "A256CBCPAD",           EM_OCT, EM_CIPHER,    "CBCPAD",   NULL,     NULL,     256,  0,  0, em_aes_cbc },
    { "A128GCM",              EM_OCT, EM_CIPHER,    "GCM",      NULL,     NULL,     128,  0,  0, em_aes_gcm },
    { "A192GCM",              EM_OCT, EM_CIPHER,    "GCM",      NULL,     NULL,     192,  0,  0, em_aes_gcm },
    { "A256GCM",              EM_OCT, EM_CIPHER,    "GCM",      NULL,     NULL,     256,  0,  0, em_aes_gcm },
    { "HS256",                EM_OCT, EM_SIGNATURE, NULL,       "SHA256", NULL,       0,  0,  0, em_hmac },
    { "HS384",                EM_OCT, EM_SIGNATURE, NULL,       "SHA384", NULL,       0,  0,  0, em_hmac },
    { "HS512",                EM_OCT, EM_SIGNATURE, NULL,       "SHA512", NULL,       0,  0,  0, em_hmac },
};
/* clang-format on */

static const char *const operation_names[] = {
    [EM_ENCRYPT] = "encrypt",  [EM_DECRYPT] = "decrypt", [EM_WRAP] = "wrapKey",
    [EM_UNWRAP] = "unwrapKey", [EM_SIGN] = "sign",       [EM_VERIFY] = "verify",
};

const struct em_alg *em_alg_at(size_t i)
{
    return i < sizeof(algorithms) / sizeof(*algorithms) ? &algorithms[i] : NULL;
}

static const struct em_alg *find(const char *name)
{
    const struct em_alg *alg;
    for (size_t i = 0; name && (alg = em_alg_at(i)); i++)
        if (!strcmp(alg->name, name))
            return alg;
    return NULL;
}

bool em_bad_parameter(struct em_refusal *refusal, const char *format, ...)
{
    va_list args;
    *refusal = (struct em_refusal){ .status = 400, .code = "BadParameter" };
    va_start(args, format);
    vsnprintf(refusal->message, sizeof(refusal->message), format, args);
    va_end(args);
    return false;
}

bool em_internal_error(struct em_refusal *refusal, const char *what)
{
    char reason[128];
    ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
    ERR_clear_error();
    *refusal = (struct em_refusal){ .status = 500, .code = "InternalServerError" };
    snprintf(refusal->message, sizeof(refusal->message), "%s: %s", what, reason);
    return false;
}

/* Which key: the curve's text is the service's own (§7.3), the others follow its form. */
static bool check_key(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                      struct em_refusal *refusal)
{
    static const char *const kinds[] = { [EM_RSA] = "RSA", [EM_EC] = "EC", [EM_OCT] = "oct" };
    const char *use = alg->ops == EM_SIGNATURE ? "signing" : "encryption", *kid = in->kid ? in->kid : "";
    if (alg->kind != key->kind)
        return em_bad_parameter(
            refusal,
            "Key and %s algorithm are incompatible. Key %s is of type '%s', and algorithm '%s' can "
            "only be used with type '%s'.",
            use, kid, kinds[key->kind], alg->name, kinds[alg->kind]);
    if (alg->curve && strcmp(alg->curve, key->curve->jwk) != 0)
        return em_bad_parameter(
            refusal,
            "Key and %s algorithm are incompatible. Key %s uses curve '%s', and algorithm '%s' can "
            "only be used with curve '%s'.",
            use, kid, key->curve->jwk, alg->name, alg->curve);
    if (alg->bits && alg->bits != em_material_bits(key))
        return em_bad_parameter(
            refusal,
            "Key and %s algorithm are incompatible. Key %s has %d bits, and algorithm '%s' can "
            "only be used with %d bits.",
            use, kid, em_material_bits(key), alg->name, alg->bits);
    return true;
}

static bool check_length(const char *name, struct em_blob value, const struct em_alg *alg,
                         const struct em_material *key, struct em_refusal *refusal)
{
    size_t most = alg->spare ? (size_t)em_material_bits(key) / 8 - alg->spare : SIZE_MAX;
    if (alg->exact && value.len != alg->exact)
        return em_bad_parameter(
            refusal, "Invalid length of '%s': %zu bytes. %s requires %zu bytes, encoded with base64url.",
            name, value.len, alg->name, alg->exact);
    if (value.len > most)
        return em_bad_parameter(
            refusal,
            "Invalid length of '%s': %zu bytes. %s allows at most %zu bytes, encoded with "
            "base64url.",
            name, value.len, alg->name, most);
    return true;
}

static bool check_input(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                        struct em_refusal *refusal)
{
    if (!in->value.data)
        return em_bad_parameter(refusal, "Property 'value' is required.\r\n");
    if (in->op == EM_VERIFY && !in->digest.data)
        return em_bad_parameter(refusal, "Property 'digest' is required.\r\n");
    if (in->op == EM_VERIFY)
        return check_length("digest", in->digest, alg, key, refusal);
    if (in->op == EM_DECRYPT || in->op == EM_UNWRAP)
        return true;
    return check_length("value", in->value, alg, key, refusal);
}

static void discard(struct em_op_out *out)
{
    em_blob_free(&out->value);
    em_blob_free(&out->iv);
    em_blob_free(&out->tag);
}

bool em_material_operate(const struct em_material *material, const struct em_op_in *in, struct em_op_out *ret,
                         struct em_refusal *refusal)
{
    struct em_op_out out = { 0 };
    const struct em_alg *alg = find(in->alg);
    if (!alg || !(alg->ops & EM_BIT(in->op)))
        return em_bad_parameter(refusal, "Algorithm '%s' is not supported for operation %s.",
                                in->alg ? in->alg : "", operation_names[in->op]);
    if (!check_key(alg, material, in, refusal) || !check_input(alg, material, in, refusal))
        return false;
    if (!alg->run(alg, material, in, &out, refusal)) {
        discard(&out);
        return false;
    }
    *ret = out;
    return true;
}

/* ------------------------------------------------------------------------------------------ RSA and EC */

typedef int init_fn(EVP_PKEY_CTX *, const OSSL_PARAM *);
typedef int run_fn(EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *, size_t);

/* Signatures and encryption name these parameters alike. */
static EVP_PKEY_CTX *context(const struct em_alg *alg, const struct em_material *key, init_fn *init)
{
    OSSL_PARAM params[6], *next = params;
    unsigned explicit_errors = 0;
    bool pss = alg->mode && !strcmp(alg->mode, "pss");
    if (alg->mode)
        *next++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_PAD_MODE, (char *)alg->mode, 0);
    if (alg->md)
        *next++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_DIGEST, (char *)alg->md, 0);
    if (alg->md && strcmp(alg->mode, "pkcs1") != 0)
        *next++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_MGF1_DIGEST, (char *)alg->md, 0);
    if (pss)
        *next++ = OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN,
                                                   (char *)OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST, 0);
    /* Newer OpenSSL answers bad PKCS #1 padding with random bytes; the service answers 400. Older ones ignore it. */
    if (alg->mode && alg->ops == EM_CIPHER)
        *next++ = OSSL_PARAM_construct_uint("implicit-rejection", &explicit_errors);
    *next = OSSL_PARAM_construct_end();

    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    if (ctx && init(ctx, params) > 0)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

static bool pkey_run(EVP_PKEY_CTX *ctx, run_fn *run, struct em_blob in, struct em_blob *ret)
{
    EM_AUTO_BLOB out = { 0 };
    size_t len = 0;
    if (!ctx || run(ctx, NULL, &len, in.data, in.len) <= 0 || !em_blob_make(&out, len) ||
        run(ctx, out.data, &len, in.data, in.len) <= 0)
        return false;
    *ret = (struct em_blob){ out.data, len };
    out = (struct em_blob){ 0 };
    return true;
}

static bool pkey_verify(const struct em_alg *alg, const struct em_material *key, struct em_blob digest,
                        struct em_blob signature)
{
    EM_AUTO(EVP_PKEY_CTX) ctx = context(alg, key, EVP_PKEY_verify_init_ex);
    bool good = ctx && EVP_PKEY_verify(ctx, signature.data, signature.len, digest.data, digest.len) == 1;
    ERR_clear_error();
    return good;
}

static bool rsa_cipher(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                       struct em_op_out *ret, struct em_refusal *refusal)
{
    bool encrypt = in->op == EM_ENCRYPT || in->op == EM_WRAP;
    size_t modulus = (size_t)em_material_bits(key) / 8;
    if (!encrypt && in->value.len != modulus)
        return em_bad_parameter(
            refusal, "Invalid length of 'value': %zu bytes. %s requires %zu bytes, encoded with base64url.",
            in->value.len, alg->name, modulus);
    EM_AUTO(EVP_PKEY_CTX)
    ctx = context(alg, key, encrypt ? EVP_PKEY_encrypt_init_ex : EVP_PKEY_decrypt_init_ex);
    if (!ctx)
        return em_internal_error(refusal, alg->name);
    if (pkey_run(ctx, encrypt ? EVP_PKEY_encrypt : EVP_PKEY_decrypt, in->value, &ret->value))
        return true;
    if (encrypt)
        return em_internal_error(refusal, alg->name);
    ERR_clear_error();
    return em_bad_parameter(refusal, "%s",
                            strcmp(alg->mode, "oaep") ? "Unable to decrypt specified value with this key"
                                                      : "Error occurred while decoding OAEP padding.");
}

static bool rsa_signature(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                          struct em_op_out *ret, struct em_refusal *refusal)
{
    if (in->op == EM_VERIFY) {
        ret->verified = pkey_verify(alg, key, in->digest, in->value);
        return true;
    }
    EM_AUTO(EVP_PKEY_CTX) ctx = context(alg, key, EVP_PKEY_sign_init_ex);
    return pkey_run(ctx, EVP_PKEY_sign, in->value, &ret->value) || em_internal_error(refusal, alg->name);
}

/* OpenSSL speaks DER, the service r ‖ s, each as wide as the field. */
static bool raw_from_der(struct em_blob der, size_t width, struct em_blob *ret)
{
    const unsigned char *at = der.data;
    EM_AUTO(ECDSA_SIG) sig = d2i_ECDSA_SIG(NULL, &at, (long)der.len);
    EM_AUTO_BLOB raw = { 0 };
    if (!sig || !em_blob_make(&raw, 2 * width) ||
        BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw.data, (int)width) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw.data + width, (int)width) < 0)
        return false;
    *ret = raw;
    raw = (struct em_blob){ 0 };
    return true;
}

static bool der_from_raw(struct em_blob raw, size_t width, struct em_blob *ret)
{
    EM_AUTO(ECDSA_SIG) sig = ECDSA_SIG_new();
    if (!sig || raw.len != 2 * width)
        return false;
    BIGNUM *r = BN_bin2bn(raw.data, (int)width, NULL), *s = BN_bin2bn(raw.data + width, (int)width, NULL);
    if (!r || !s || !ECDSA_SIG_set0(sig, r, s)) {
        BN_free(r);
        BN_free(s);
        return false;
    }
    unsigned char *at = NULL;
    int len = i2d_ECDSA_SIG(sig, NULL);
    if (len <= 0 || !em_blob_make(ret, (size_t)len))
        return false;
    at = ret->data;
    return i2d_ECDSA_SIG(sig, &at) == len;
}

static bool ecdsa(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                  struct em_op_out *ret, struct em_refusal *refusal)
{
    EM_AUTO_BLOB der = { 0 };
    if (in->op == EM_VERIFY) {
        ret->verified =
            der_from_raw(in->value, key->curve->width, &der) && pkey_verify(alg, key, in->digest, der);
        return true;
    }
    EM_AUTO(EVP_PKEY_CTX) ctx = context(alg, key, EVP_PKEY_sign_init_ex);
    if (!pkey_run(ctx, EVP_PKEY_sign, in->value, &der) || !raw_from_der(der, key->curve->width, &ret->value))
        return em_internal_error(refusal, alg->name);
    return true;
}
