/* Certificates that a vault issues to itself (contract §12.1, issuer "Self"). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include "material.h"

EM_AUTO_FREE(X509, X509_free)
EM_AUTO_FREE(X509_REQ, X509_REQ_free)
EM_AUTO_FREE(X509_NAME, X509_NAME_free)

static const char *digest_of(const struct em_material *material)
{
    int bits = material->kind == EM_EC ? em_material_bits(material) : 0;
    return bits == 384 ? "SHA384" : bits == 521 ? "SHA512" : "SHA256";
}

/* "CN=xyz, O=Example": no escapes, no multi-valued parts. */
static bool name_parse(const char *text, X509_NAME *name)
{
    char *copy = strdup(text), *rest = copy, *part;
    bool ok = copy && *text;
    while (ok && (part = strsep(&rest, ","))) {
        part += strspn(part, " ");
        char *value = strchr(part, '=');
        if (value)
            *value++ = 0;
        ok =
            value && X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8, (unsigned char *)value, -1, -1, 0);
    }
    free(copy);
    return ok;
}

static bool extend(X509 *certificate, int nid, const char *critical, const char *value)
{
    X509V3_CTX context;
    char text[1024];
    if (!value || !*value)
        return true;
    if ((size_t)snprintf(text, sizeof(text), "%s%s", critical, value) >= sizeof(text))
        return false;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, text);
    bool ok = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return ok;
}

static bool number_make(X509 *certificate)
{
    unsigned char bytes[16];
    if (!em_random(bytes, sizeof(bytes)))
        return false;
    bytes[0] = (bytes[0] & 0x3f) | 0x40;
    EM_AUTO(BIGNUM) number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    return number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
}

static bool fill(X509 *certificate, const struct em_material *material,
                 const struct em_certificate_wishes *wishes, const X509_NAME *name)
{
    return X509_set_version(certificate, 2) && number_make(certificate) &&
           X509_set_subject_name(certificate, name) && X509_set_issuer_name(certificate, name) &&
           ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)wishes->not_before) &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)wishes->not_after) &&
           X509_set_pubkey(certificate, material->pkey) &&
           extend(certificate, NID_key_usage, "critical,", wishes->key_usage) &&
           extend(certificate, NID_basic_constraints, wishes->ca ? "critical," : "",
                  wishes->ca ? "CA:TRUE" : "CA:FALSE") &&
           extend(certificate, NID_ext_key_usage, "", wishes->ekus) &&
           extend(certificate, NID_subject_alt_name, "", wishes->sans) &&
           extend(certificate, NID_subject_key_identifier, "", "hash");
}

static bool blob_take(struct em_blob *ret, const unsigned char *der, int len)
{
    if (len <= 0 || !em_blob_make(ret, (size_t)len))
        return false;
    memcpy(ret->data, der, (size_t)len);
    return true;
}

static bool request_make(const struct em_material *material, const X509_NAME *name, struct em_blob *ret)
{
    EM_AUTO(X509_REQ) request = X509_REQ_new();
    unsigned char *der = NULL;
    bool ok = request && X509_REQ_set_subject_name(request, name) &&
              X509_REQ_set_pubkey(request, material->pkey) &&
              X509_REQ_sign(request, material->pkey, EVP_get_digestbyname(digest_of(material)));
    int len = ok ? i2d_X509_REQ(request, &der) : 0;
    ok = blob_take(ret, der, len);
    OPENSSL_free(der);
    return ok;
}

bool em_material_certify(const struct em_material *material, const struct em_certificate_wishes *wishes,
                         struct em_blob *ret_cer, struct em_blob *ret_csr, struct em_refusal *refusal)
{
    EM_AUTO(X509) certificate = X509_new();
    EM_AUTO(X509_NAME) name = X509_NAME_new();
    unsigned char *der = NULL;
    if (!material->pkey)
        return em_bad_parameter(refusal, "A symmetric key cannot have a certificate.");
    if (!name || !name_parse(wishes->subject, name))
        return em_bad_parameter(refusal, "Property 'subject' is not a distinguished name: '%s'.",
                                wishes->subject);
    if (!certificate || !fill(certificate, material, wishes, name))
        return em_bad_parameter(refusal, "The certificate policy has a member that cannot be used.");
    if (!X509_sign(certificate, material->pkey, EVP_get_digestbyname(digest_of(material))))
        return em_internal_error(refusal, "signing a certificate");
    int len = i2d_X509(certificate, &der);
    bool ok = blob_take(ret_cer, der, len) && request_make(material, name, ret_csr);
    OPENSSL_free(der);
    return ok || em_internal_error(refusal, "encoding a certificate");
}

bool em_sha1(struct em_blob data, unsigned char ret[20])
{
    return EVP_Digest(data.data, data.len, ret, NULL, EVP_sha1(), NULL) == 1;
}
