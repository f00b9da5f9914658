/* Key material: made, read from a JWK, described as one (contract §5.1, §5.2, §7.1). */
#include <stdlib.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include "material.h"

static const struct em_curve curves[] = {
    { "P-256", "P-256", 256, 32 },
    { "P-384", "P-384", 384, 48 },
    { "P-521", "P-521", 521, 66 },
    { "P-256K", "secp256k1", 256, 32 },
};

/* Public members first, in the service's order. */
static const struct {
    const char *jwk, *param;
} rsa_members[] = {
    { "n", OSSL_PKEY_PARAM_RSA_N },          { "e", OSSL_PKEY_PARAM_RSA_E },
    { "d", OSSL_PKEY_PARAM_RSA_D },          { "p", OSSL_PKEY_PARAM_RSA_FACTOR1 },
    { "q", OSSL_PKEY_PARAM_RSA_FACTOR2 },    { "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1 },
    { "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2 }, { "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
};
enum { RSA_PUBLIC = 2, RSA_ALL = 8, EC_PUBLIC = 2, EC_MEMBERS = 3 };

static const struct {
    const char *jwk, *param;
} ec_members[EC_MEMBERS] = {
    { "x", OSSL_PKEY_PARAM_EC_PUB_X },
    { "y", OSSL_PKEY_PARAM_EC_PUB_Y },
    { "d", OSSL_PKEY_PARAM_PRIV_KEY },
};

static const struct {
    const char *kty;
    enum em_kind kind;
} types[] = {
    { "RSA", EM_RSA },   { "RSA-HSM", EM_RSA }, { "EC", EM_EC },
    { "EC-HSM", EM_EC }, { "oct", EM_OCT },     { "oct-HSM", EM_OCT },
};

static bool type_of(const char *kty, enum em_kind *ret)
{
    for (size_t i = 0; kty && i < sizeof(types) / sizeof(*types); i++)
        if (!strcmp(types[i].kty, kty)) {
            *ret = types[i].kind;
            return true;
        }
    return false;
}

static const struct em_curve *curve_of(const char *name)
{
    for (size_t i = 0; name && i < sizeof(curves) / sizeof(*curves); i++)
        if (!strcmp(curves[i].jwk, name))
            return &curves[i];
    return NULL;
}

static bool rsa_size_ok(int bits)
{
    return bits == 2048 || bits == 3072 || bits == 4096;
}

static bool oct_size_ok(int bits)
{
    return bits == 128 || bits == 192 || bits == 256;
}

static struct em_material *make(enum em_kind kind)
{
    struct em_material *material = calloc(1, sizeof(*material));
    if (material)
        material->kind = kind;
    return material;
}

void em_material_free(struct em_material *material)
{
    if (!material)
        return;
    EVP_PKEY_free(material->pkey);
    em_blob_free(&material->oct);
    free(material);
}

/* ------------------------------------------------------------------------------------------- generate */

static EVP_PKEY *rsa_generate(int bits, long exponent)
{
    EM_AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EM_AUTO(BIGNUM) e = BN_new();
    EVP_PKEY *key = NULL;
    if (ctx && e && BN_set_word(e, (BN_ULONG)exponent) && EVP_PKEY_keygen_init(ctx) > 0 &&
        EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits) > 0 && EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) > 0 &&
        EVP_PKEY_generate(ctx, &key) > 0)
        return key;
    return NULL;
}

static bool generate_rsa(struct em_material *material, int bits, long exponent, struct em_refusal *refusal)
{
    bits = bits ? bits : 2048;
    exponent = exponent ? exponent : 65537;
    if (!rsa_size_ok(bits))
        return em_bad_parameter(refusal, "Unsupported key size: %d. RSA keys have 2048, 3072 or 4096 bits.",
                                bits);
    if (exponent < 3 || exponent % 2 == 0)
        return em_bad_parameter(refusal, "Unsupported public exponent: %ld.", exponent);
    material->pkey = rsa_generate(bits, exponent);
    return material->pkey || em_internal_error(refusal, "RSA key generation");
}

static bool generate_ec(struct em_material *material, const char *name, struct em_refusal *refusal)
{
    material->curve = curve_of(name ? name : "P-256");
    if (!material->curve)
        return em_bad_parameter(refusal,
                                "Unsupported curve: '%s'. EC keys use P-256, P-384, P-521 or P-256K.", name);
    material->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", material->curve->group);
    return material->pkey || em_internal_error(refusal, "EC key generation");
}

static bool generate_oct(struct em_material *material, int bits, struct em_refusal *refusal)
{
    bits = bits ? bits : 256;
    if (!oct_size_ok(bits))
        return em_bad_parameter(refusal, "Unsupported key size: %d. oct-HSM keys have 128, 192 or 256 bits.",
                                bits);
    if (!em_blob_make(&material->oct, (size_t)bits / 8) || !em_random(material->oct.data, material->oct.len))
        return em_internal_error(refusal, "key generation");
    return true;
}

bool em_material_generate(const char *kty, int bits, long public_exponent, const char *curve,
                          struct em_material **ret, struct em_refusal *refusal)
{
    enum em_kind kind;
    if (!type_of(kty, &kind))
        return em_bad_parameter(refusal, "Unsupported kty: '%s'.", kty ? kty : "");
    struct em_material *material = make(kind);
    bool made = material && (kind == EM_RSA  ? generate_rsa(material, bits, public_exponent, refusal)
                             : kind == EM_EC ? generate_ec(material, curve, refusal)
                                             : generate_oct(material, bits, refusal));
    if (!material)
        em_internal_error(refusal, "out of memory");
    if (!made) {
        em_material_free(material);
        return false;
    }
    *ret = material;
    return true;
}

/* --------------------------------------------------------------------------------------------- import */

static bool member(const json_t *jwk, const char *name, struct em_blob *ret)
{
    const char *text = json_string_value(json_object_get(jwk, name));
    return text && em_unbase64url(text, ret);
}

/* Leading zero bytes are fine: the service takes them (§5.1). */
static bool push_member(OSSL_PARAM_BLD *bld, const json_t *jwk, const char *name, const char *param,
                        BIGNUM **ret_keep)
{
    EM_AUTO_BLOB bytes = { 0 };
    if (!member(jwk, name, &bytes))
        return false;
    *ret_keep = BN_bin2bn(bytes.data, (int)bytes.len, NULL);
    return *ret_keep && OSSL_PARAM_BLD_push_BN(bld, param, *ret_keep);
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM_BLD *bld)
{
    EM_AUTO(OSSL_PARAM) params = OSSL_PARAM_BLD_to_param(bld);
    EM_AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;
    if (params && ctx && EVP_PKEY_fromdata_init(ctx) > 0 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) > 0)
        return key;
    return NULL;
}

static bool read_rsa(struct em_material *material, const json_t *jwk)
{
    EM_AUTO(OSSL_PARAM_BLD) bld = OSSL_PARAM_BLD_new();
    BIGNUM *keep[RSA_ALL] = { NULL };
    bool good = bld;
    for (size_t i = 0; good && i < RSA_ALL; i++)
        good = push_member(bld, jwk, rsa_members[i].jwk, rsa_members[i].param, &keep[i]);
    material->pkey = good ? pkey_from("RSA", bld) : NULL;
    for (size_t i = 0; i < RSA_ALL; i++)
        BN_clear_free(keep[i]);
    return material->pkey;
}

/* Right-aligned in a field of the curve's width. */
static bool read_fixed(const json_t *jwk, const char *name, unsigned char *out, size_t width)
{
    EM_AUTO_BLOB bytes = { 0 };
    if (!member(jwk, name, &bytes))
        return false;
    EM_AUTO(BIGNUM) number = BN_bin2bn(bytes.data, (int)bytes.len, NULL);
    return number && BN_bn2binpad(number, out, (int)width) >= 0;
}

static bool read_ec(struct em_material *material, const json_t *jwk)
{
    EM_AUTO(OSSL_PARAM_BLD) bld = OSSL_PARAM_BLD_new();
    EM_AUTO(BIGNUM) d = NULL;
    unsigned char point[1 + 2 * 66] = { POINT_CONVERSION_UNCOMPRESSED };
    material->curve = curve_of(json_string_value(json_object_get(jwk, "crv")));
    if (!bld || !material->curve)
        return false;
    size_t width = material->curve->width;
    if (!read_fixed(jwk, "x", point + 1, width) || !read_fixed(jwk, "y", point + 1 + width, width) ||
        !push_member(bld, jwk, "d", OSSL_PKEY_PARAM_PRIV_KEY, &d) ||
        !OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, material->curve->group, 0) ||
        !OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * width))
        return false;
    material->pkey = pkey_from("EC", bld);
    return material->pkey;
}

static struct em_material *read_jwk(const json_t *jwk)
{
    enum em_kind kind;
    if (!type_of(json_string_value(json_object_get(jwk, "kty")), &kind))
        return NULL;
    struct em_material *material = make(kind);
    bool good = material && (kind == EM_RSA  ? read_rsa(material, jwk)
                             : kind == EM_EC ? read_ec(material, jwk)
                                             : member(jwk, "k", &material->oct));
    ERR_clear_error();
    if (good)
        return material;
    em_material_free(material);
    return NULL;
}

/* Whole and consistent: the public half belongs to the private half. */
static bool consistent(const struct em_material *material)
{
    if (material->kind == EM_OCT)
        return true;
    EM_AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_pkey(NULL, material->pkey, NULL);
    bool good = ctx && EVP_PKEY_pairwise_check(ctx) == 1;
    ERR_clear_error();
    return good;
}

static bool size_ok(const struct em_material *material)
{
    int bits = em_material_bits(material);
    return material->kind == EM_RSA ? rsa_size_ok(bits) : material->kind == EM_EC || oct_size_ok(bits);
}

bool em_material_import(const json_t *jwk, struct em_material **ret, struct em_refusal *refusal)
{
    struct em_material *material = read_jwk(jwk);
    bool good = true;
    if (!material)
        return em_bad_parameter(refusal, "Property 'key' is not a complete private key of a supported type.");
    if (!size_ok(material))
        good = em_bad_parameter(refusal, "Unsupported key size: %d.", em_material_bits(material));
    else if (!consistent(material))
        good =
            em_bad_parameter(refusal, "Property 'key' is inconsistent: its members do not belong together.");
    if (!good) {
        em_material_free(material);
        return false;
    }
    *ret = material;
    return true;
}

/* What was saved by ourselves was checked when it came in. */
bool em_material_load(const json_t *saved, struct em_material **ret)
{
    struct em_material *material = read_jwk(saved);
    if (!material)
        return false;
    *ret = material;
    return true;
}

/* ------------------------------------------------------------------------------------------- describe */

const char *em_material_type(const struct em_material *material)
{
    static const char *const names[] = { [EM_RSA] = "RSA", [EM_EC] = "EC", [EM_OCT] = "oct" };
    return names[material->kind];
}

int em_material_bits(const struct em_material *material)
{
    if (material->kind == EM_OCT)
        return (int)material->oct.len * 8;
    return material->kind == EM_EC ? material->curve->bits : EVP_PKEY_get_bits(material->pkey);
}

const char *em_material_curve(const struct em_material *material)
{
    return material->kind == EM_EC ? material->curve->jwk : NULL;
}

static void set_bytes(json_t *jwk, const char *name, const unsigned char *data, size_t len)
{
    char *text = em_base64url(data, len);
    json_object_set_new(jwk, name, text ? json_string(text) : json_null());
    free(text);
}

/* width 0: as short as the number allows. */
static void set_number(json_t *jwk, const char *name, const EVP_PKEY *pkey, const char *param, size_t width)
{
    unsigned char bytes[4096 / 8 + 1];
    EM_AUTO(BIGNUM) number = NULL;
    if (!EVP_PKEY_get_bn_param(pkey, param, &number))
        return;
    size_t len = width ? width : (size_t)BN_num_bytes(number);
    if (len <= sizeof(bytes) && BN_bn2binpad(number, bytes, (int)len) >= 0)
        set_bytes(jwk, name, bytes, len);
    OPENSSL_cleanse(bytes, sizeof(bytes));
}

static void describe(const struct em_material *material, json_t *jwk, bool whole)
{
    if (material->kind == EM_RSA)
        for (size_t i = 0; i < (whole ? RSA_ALL : RSA_PUBLIC); i++)
            set_number(jwk, rsa_members[i].jwk, material->pkey, rsa_members[i].param, 0);
    if (material->kind == EM_EC) {
        json_object_set_new(jwk, "crv", json_string(material->curve->jwk));
        for (size_t i = 0; i < (whole ? EC_MEMBERS : EC_PUBLIC); i++)
            set_number(jwk, ec_members[i].jwk, material->pkey, ec_members[i].param, material->curve->width);
    }
    if (material->kind == EM_OCT && whole)
        set_bytes(jwk, "k", material->oct.data, material->oct.len);
}

unsigned em_material_oct_bits(const struct em_material *material)
{
    return material->kind == EM_OCT ? 8 * (unsigned)material->oct.len : 0;
}

void em_material_describe(const struct em_material *material, json_t *jwk)
{
    describe(material, jwk, false);
}

json_t *em_material_save(const struct em_material *material)
{
    json_t *jwk = json_object();
    json_object_set_new(jwk, "kty", json_string(em_material_type(material)));
    describe(material, jwk, true);
    return jwk;
}
