#include <string.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include "jwt.h"
#include "jwt_parts.h"
#include "persist.h"

enum { SIGNER_BITS = 2048 };

static const char file_name[] = "token.key";

bool em_jwt_split(const char *token, struct em_jwt_parts *ret)
{
    char *text = em_copy(token);
    char *first = strchr(text, '.'), *second = first ? strchr(first + 1, '.') : NULL;
    if (!second || strchr(second + 1, '.')) {
        free(text);
        return false;
    }
    *first = *second = '\0';
    *ret = (struct em_jwt_parts){ token, text, text, first + 1, second + 1, (size_t)(second - text) };
    return true;
}

json_t *em_jwt_decode(const char *part)
{
    AUTO_BLOB bytes = { 0 };
    if (!em_unbase64url(part, &bytes))
        return NULL;
    return json_loadb((const char *)bytes.data, bytes.len, 0, NULL);
}

static EVP_PKEY *signer_parse(char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return key;
}

static EVP_PKEY *signer_create(const struct em_store *store)
{
    EVP_PKEY *key = EVP_RSA_gen(SIGNER_BITS);
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    bool ok = key && bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    long length = ok ? BIO_get_mem_data(bio, &data) : 0;
    AUTO_TEXT text = em_format("%.*s", (int)length, data ? data : "");
    ok = ok && em_persist_put(store, file_name, text);
    BIO_free(bio);
    if (ok)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

static char *modulus(const EVP_PKEY *key)
{
    BIGNUM *n = NULL;
    unsigned char bytes[1024];
    if (!EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) || BN_num_bytes(n) > (int)sizeof(bytes)) {
        BN_free(n);
        return NULL;
    }
    int length = BN_bn2bin(n, bytes);
    BN_free(n);
    return em_base64url(bytes, (size_t)length);
}

bool em_signer_load(struct em_signer *signer, const struct em_store *store, char ret_why[256])
{
    AUTO_TEXT pem = em_persist_get(store, file_name);
    EVP_PKEY *key = pem ? signer_parse(pem) : signer_create(store);
    AUTO_TEXT n = key ? modulus(key) : NULL;
    unsigned char digest[EVP_MAX_MD_SIZE];
    AUTO_TEXT kid =
        n && EVP_Digest(n, strlen(n), digest, NULL, EVP_sha256(), NULL) ? em_base64url(digest, 20) : NULL;
    if (!kid) {
        EVP_PKEY_free(key);
        snprintf(ret_why, 256, "cannot read or make the token signing key '%s'", file_name);
        return false;
    }
    signer->key = key;
    snprintf(signer->kid, sizeof(signer->kid), "%s", kid);
    return true;
}

void em_signer_free(struct em_signer *signer)
{
    EVP_PKEY_free(signer->key);
    signer->key = NULL;
}

json_t *em_signer_jwks(const struct em_signer *signer)
{
    AUTO_TEXT n = modulus(signer->key);
    return em_json(json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:s}]}", "keys", "kty", "RSA", "use", "sig",
                             "kid", signer->kid, "x5t", signer->kid, "n", n ? n : "", "e", "AQAB"));
}

static char *encode(const json_t *json)
{
    AUTO_TEXT text = json_dumps(json, JSON_COMPACT);
    return text ? em_base64url((const unsigned char *)text, strlen(text)) : NULL;
}

char *em_jwt_sign(const struct em_signer *signer, const json_t *claims)
{
    AUTO_JSON header = em_json(json_pack("{s:s, s:s, s:s, s:s}", "typ", "JWT", "alg", "RS256", "x5t",
                                         signer->kid, "kid", signer->kid));
    AUTO_TEXT head = encode(header);
    AUTO_TEXT body = encode(claims);
    AUTO_TEXT input = em_format("%s.%s", head, body);
    unsigned char signature[SIGNER_BITS / 8 * 2];
    size_t length = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, signer->key) == 1 &&
              EVP_DigestSign(context, signature, &length, (unsigned char *)input, strlen(input)) == 1;
    EVP_MD_CTX_free(context);
    AUTO_TEXT tail = ok ? em_base64url(signature, length) : NULL;
    return tail ? em_format("%s.%s", input, tail) : NULL;
}

bool em_jwt_signature_good(EVP_PKEY *key, const struct em_jwt_parts *parts, bool pss)
{
    AUTO_BLOB signature = { 0 };
    EVP_PKEY_CTX *detail = NULL;
    if (!em_unbase64url(parts->signature, &signature))
        return false;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context && EVP_DigestVerifyInit(context, &detail, EVP_sha256(), NULL, key) == 1 &&
              (!pss || (EVP_PKEY_CTX_set_rsa_padding(detail, RSA_PKCS1_PSS_PADDING) == 1 &&
                        EVP_PKEY_CTX_set_rsa_pss_saltlen(detail, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
              EVP_DigestVerify(context, signature.data, signature.len, (const unsigned char *)parts->token,
                               parts->signed_length) == 1;
    EVP_MD_CTX_free(context);
    return ok;
}

json_t *em_jwt_verify(const struct em_signer *signer, const char *token)
{
    struct em_jwt_parts parts;
    if (!em_jwt_split(token, &parts))
        return NULL;
    AUTO_TEXT text = parts.text;
    AUTO_JSON header = em_jwt_decode(parts.header);
    const char *alg = json_string_value(json_object_get(header, "alg"));
    if (!alg || strcmp(alg, "RS256") != 0 || !em_jwt_signature_good(signer->key, &parts, false))
        return NULL;
    return em_jwt_decode(parts.claims);
}

json_t *em_jwt_verify_foreign(const char *pem, const char *token)
{
    struct em_jwt_parts parts;
    if (!em_jwt_split(token, &parts))
        return NULL;
    AUTO_TEXT text = parts.text;
    AUTO_JSON header = em_jwt_decode(parts.header);
    const char *alg = json_string_value(json_object_get(header, "alg"));
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    bool good = key && alg && strcmp(alg, "RS256") == 0 && em_jwt_signature_good(key, &parts, false);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return good ? em_jwt_decode(parts.claims) : NULL;
}

json_t *em_jwt_peek(const char *token)
{
    struct em_jwt_parts parts;
    if (!em_jwt_split(token, &parts))
        return NULL;
    AUTO_TEXT text = parts.text;
    return em_jwt_decode(parts.claims);
}
