#include "assertion.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include "clock.h"
#include "jwt_parts.h"
#include "material.h"

EM_AUTO_FREE(X509, X509_free)
EM_AUTO_FREE(X509_STORE, X509_STORE_free)
EM_AUTO_FREE(X509_STORE_CTX, X509_STORE_CTX_free)

enum { CHAIN_MOST = 10 };

struct assertion {
    const struct em_identity *identity;
    const json_t *header;
    X509 *leaf;             /* of x5c; NULL: it brings none */
    STACK_OF(X509) * chain; /* the others of x5c */
    char *why;              /* 256 bytes */
};

static bool refuse(const struct assertion *assertion, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(const struct assertion *assertion, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(assertion->why, 256, format, args);
    va_end(args);
    return false;
}

static void assertion_free(struct assertion *assertion)
{
    X509_free(assertion->leaf);
    sk_X509_pop_free(assertion->chain, X509_free);
}

/* ---- what it brings ---- */

static X509 *parse_der(const json_t *item)
{
    const char *text = json_string_value(item);
    AUTO_BLOB der = { 0 };
    if (!text || !em_unbase64(text, &der))
        return NULL;
    const unsigned char *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);
    if (certificate && at == der.data + der.len)
        return certificate;
    X509_free(certificate);
    return NULL;
}

/* Standard base64 of DER, the key's own first (RFC 7515 §4.1.6). */
static bool read_chain(struct assertion *assertion)
{
    const json_t *list = json_object_get(assertion->header, "x5c");
    size_t count = json_array_size(list);
    if (!list)
        return true;
    assertion->chain = sk_X509_new_null();
    for (size_t i = 0; i < count && count <= CHAIN_MOST; i++) {
        X509 *certificate = parse_der(json_array_get(list, i));
        if (!certificate)
            count = 0;
        else if (!i)
            assertion->leaf = certificate;
        else if (!sk_X509_push(assertion->chain, certificate))
            em_die("out of memory");
    }
    return (count && count <= CHAIN_MOST) ||
           refuse(assertion,
                  "AADSTS50027: JWT token is invalid or malformed: x5c is no list of certificates.");
}

/* ---- which certificate ---- */

/* Thumbprints come as base64url or as standard base64 with padding (contract §14.2). 1: it is this one's; 0: another's; -1: there is none. */
static int thumbprint_is(const json_t *header, const char *member, struct em_blob digest)
{
    const char *text = json_string_value(json_object_get(header, member));
    AUTO_TEXT url = em_base64url(digest.data, digest.len);
    AUTO_TEXT standard = em_base64(digest.data, digest.len);
    if (!json_object_get(header, member))
        return -1;
    return text && (strcmp(text, url) == 0 || strcmp(text, standard) == 0);
}

/* kid may be anything, but where nothing else names the certificate it is the SHA-1 in hexadecimal. */
static bool kid_is(const json_t *header, const unsigned char sha1[20])
{
    const char *kid = json_string_value(json_object_get(header, "kid"));
    char hex[41] = "";
    for (size_t i = 0; i < 20; i++)
        snprintf(hex + 2 * i, 3, "%02x", sha1[i]);
    return kid && em_same(kid, hex);
}

/* Everything that names a certificate names this one. */
static bool is_named(const json_t *header, const X509 *certificate)
{
    unsigned char sha1[EVP_MAX_MD_SIZE], sha256[EVP_MAX_MD_SIZE];
    if (!X509_digest(certificate, EVP_sha1(), sha1, NULL) ||
        !X509_digest(certificate, EVP_sha256(), sha256, NULL))
        return false;
    int old = thumbprint_is(header, "x5t", (struct em_blob){ sha1, 20 });
    int new = thumbprint_is(header, "x5t#S256", (struct em_blob){ sha256, 32 });
    if (old < 0 && new < 0)
        return kid_is(header, sha1);
    return old && new;
}

static bool is_timely(const struct assertion *assertion, const X509 *certificate)
{
    time_t now = (time_t)em_clock_seconds();
    if (X509_cmp_time(X509_get0_notBefore(certificate), &now) < 0 &&
        X509_cmp_time(X509_get0_notAfter(certificate), &now) > 0)
        return true;
    return refuse(
        assertion,
        "AADSTS700027: The certificate with identifier used to sign the client assertion is expired "
        "or not yet valid on application.");
}

static X509 *parse_pem(const char *pem)
{
    BIO *bio = pem ? BIO_new_mem_buf(pem, -1) : NULL;
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return certificate;
}

/* By the certificate that is registered; one that comes along is no other. */
static X509 *choose_registered(const struct assertion *assertion)
{
    EM_AUTO(X509) registered = parse_pem(assertion->identity->certificate);
    if (!registered || !is_named(assertion->header, registered) ||
        (assertion->leaf && X509_cmp(registered, assertion->leaf) != 0)) {
        refuse(assertion,
               "AADSTS700027: The certificate with identifier used to sign the client assertion is "
               "not registered on application.");
        return NULL;
    }
    if (!is_timely(assertion, registered))
        return NULL;
    X509 *ret = registered;
    registered = NULL;
    return ret;
}

static bool is_issued(const struct assertion *assertion)
{
    EM_AUTO(X509) authority = parse_pem(assertion->identity->authority);
    EM_AUTO(X509_STORE) store = X509_STORE_new();
    EM_AUTO(X509_STORE_CTX) context = X509_STORE_CTX_new();
    if (!store || !context || !authority || !X509_STORE_add_cert(store, authority) ||
        !X509_STORE_CTX_init(context, store, assertion->leaf, assertion->chain))
        return false;
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(param, (time_t)em_clock_seconds());
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    return X509_cmp(authority, assertion->leaf) != 0 && X509_verify_cert(context) == 1;
}

/* By the name and issuer that are registered: the certificate itself may be any, so it has to come along. */
static X509 *choose_by_name(const struct assertion *assertion)
{
    const char *name = assertion->identity->subject_name;
    unsigned flags = X509_CHECK_FLAG_ALWAYS_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS;
    if (!is_named(assertion->header, assertion->leaf)) {
        refuse(assertion,
               "AADSTS700027: The certificate with identifier used to sign the client assertion is "
               "not that of x5c.");
    } else if (!is_issued(assertion)) {
        refuse(assertion, "AADSTS7000213: Invalid certificate chain.");
    } else if (X509_check_host(assertion->leaf, name, 0, flags, NULL) != 1) {
        refuse(assertion,
               "AADSTS700030: Invalid certificate - subject name in certificate is not authorized.");
    } else {
        X509_up_ref(assertion->leaf);
        return assertion->leaf;
    }
    return NULL;
}

static bool is_registered_by_name(const struct em_identity *identity)
{
    return identity->subject_name && identity->authority;
}

static json_t *verify(struct assertion *assertion, const struct em_jwt_parts *parts)
{
    const char *alg = json_string_value(json_object_get(assertion->header, "alg"));
    bool pss = alg && strcmp(alg, "PS256") == 0;
    if (!read_chain(assertion))
        return NULL;
    bool by_name = assertion->leaf && is_registered_by_name(assertion->identity);
    EM_AUTO(X509) certificate = by_name ? choose_by_name(assertion) : NULL;
    if (!certificate && (!by_name || assertion->identity->certificate))
        certificate = choose_registered(assertion);
    if (!certificate)
        return NULL;
    if (!alg || (!pss && strcmp(alg, "RS256") != 0) ||
        !em_jwt_signature_good(X509_get0_pubkey(certificate), parts, pss)) {
        refuse(assertion,
               "AADSTS700027: The certificate with identifier used to sign the client assertion is "
               "registered, but the signature is not valid.");
        return NULL;
    }
    return em_jwt_decode(parts->claims);
}

json_t *em_assertion_verify(const struct em_identity *identity, const char *token, char ret_why[256])
{
    struct em_jwt_parts parts;
    struct assertion assertion = { .identity = identity, .why = ret_why };
    if (!em_jwt_split(token, &parts)) {
        refuse(&assertion, "AADSTS50027: JWT token is invalid or malformed.");
        return NULL;
    }
    AUTO_TEXT text = parts.text;
    AUTO_JSON header = em_jwt_decode(parts.header);
    assertion.header = header;
    json_t *claims = verify(&assertion, &parts);
    assertion_free(&assertion);
    return claims;
}
