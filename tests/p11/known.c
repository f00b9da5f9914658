#include "known.h"

#include <stdio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include "base/encode.h"

static const struct {
    const char *crv, *group;
    int width;
} curves[] = {
    { "P-256", "prime256v1", 32 },
    { "P-384", "secp384r1", 48 },
    { "P-521", "secp521r1", 66 },
    { "P-256K", "secp256k1", 32 },
};
enum { CURVES = sizeof curves / sizeof *curves };

const char *known_group(const char *crv)
{
    for (size_t i = 0; i < CURVES; i++)
        if (!strcmp(crv, curves[i].crv))
            return curves[i].group;
    fail_msg("no such curve: %s", crv);
    return NULL;
}

EVP_PKEY *known_ec(const char *crv)
{
    EVP_PKEY *key = EVP_EC_gen(known_group(crv));
    assert_non_null(key);
    return key;
}

static void put_number(struct kv_json *jwk, const char *member, const BIGNUM *number, int width)
{
    unsigned char bytes[1024];
    assert_int_equal(BN_bn2binpad(number, bytes, width), width);
    char *text = kv_encode_base64url(BYTES(bytes, (size_t)width));
    assert_non_null(text);
    kv_json_put_text(jwk, member, text);
    kv_text_free(text);
}

static void put_param(struct kv_json *jwk, const char *member, const EVP_PKEY *key, const char *name,
                      int width)
{
    BIGNUM *number = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
    put_number(jwk, member, number, width ? width : BN_num_bytes(number));
    BN_clear_free(number);
}

static struct kv_json *rsa_jwk(const EVP_PKEY *key)
{
    static const struct {
        const char *member, *name;
    } rows[] = {
        { "n", OSSL_PKEY_PARAM_RSA_N },          { "e", OSSL_PKEY_PARAM_RSA_E },
        { "d", OSSL_PKEY_PARAM_RSA_D },          { "p", OSSL_PKEY_PARAM_RSA_FACTOR1 },
        { "q", OSSL_PKEY_PARAM_RSA_FACTOR2 },    { "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1 },
        { "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2 }, { "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
    };
    struct kv_json *jwk = kv_json_object();
    kv_json_put_text(jwk, "kty", "RSA");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        put_param(jwk, rows[i].member, key, rows[i].name, 0);
    return jwk;
}

static struct kv_json *ec_jwk(const EVP_PKEY *key)
{
    char group[32];
    struct kv_json *jwk = kv_json_object();
    assert_int_equal(EVP_PKEY_get_group_name(key, group, sizeof group, NULL), 1);
    kv_json_put_text(jwk, "kty", "EC");
    for (size_t i = 0; i < CURVES; i++) {
        if (strcmp(group, curves[i].group))
            continue;
        kv_json_put_text(jwk, "crv", curves[i].crv);
        put_param(jwk, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, curves[i].width);
        put_param(jwk, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, curves[i].width);
        put_param(jwk, "d", key, OSSL_PKEY_PARAM_PRIV_KEY, curves[i].width);
    }
    return jwk;
}

static void put_ops(struct kv_json *jwk, const char *ops)
{
    struct kv_json *list = kv_json_array();
    char copy[128], *rest = copy, *word;
    assert_true(kv_text_fit(copy, sizeof copy, ops));
    while ((word = strsep(&rest, ",")))
        kv_json_append_text(list, word);
    kv_json_put(jwk, "key_ops", list);
}

static const char *import(const char *vault, const char *name, struct kv_json *jwk, const char *ops)
{
    char path[256];
    if (ops)
        put_ops(jwk, ops);
    struct kv_json *body = kv_json_object();
    kv_json_put(body, "key", jwk);
    char *text = kv_json_print(body, false);
    assert_non_null(text);
    snprintf(path, sizeof path, "/vaults/%s/keys/%s/import", vault, name);
    const char *version = bundle_version(control("POST", path, text));
    kv_text_free(text);
    kv_json_free(body);
    return version;
}

const char *known_import(const char *vault, const char *name, const EVP_PKEY *key, const char *ops)
{
    return import(vault, name, EVP_PKEY_is_a(key, "RSA") ? rsa_jwk(key) : ec_jwk(key), ops);
}

const char *known_import_secret(const char *vault, const char *name, struct kv_view value, const char *ops)
{
    struct kv_json *jwk = kv_json_object();
    char *text = kv_encode_base64url(value);
    kv_json_put_text(jwk, "kty", "oct-HSM");
    kv_json_put_text(jwk, "k", text);
    kv_text_free(text);
    return import(vault, name, jwk, ops);
}
