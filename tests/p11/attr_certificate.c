#include "attr_certificate.h"

#include <time.h>
#include <openssl/x509.h>
#include "reference.h"

static X509 *certificate;
static struct matrix_key key = { .name = "a-certified", .kind = KV_RSA, .slot = PROD, .bits = 2048 };
static char version[65], from[9], to[9];

static void date(const ASN1_TIME *time, char ret[9])
{
    struct tm parts;
    assert_int_equal(ASN1_TIME_to_tm(time, &parts), 1);
    assert_int_equal(strftime(ret, 9, "%Y%m%d", &parts), 8);
}

static void read_certificate(CK_OBJECT_HANDLE object)
{
    unsigned char der[4096];
    const unsigned char *at = der;
    size_t len = attribute(key.session, object, CKA_VALUE, der, sizeof der);
    certificate = d2i_X509(NULL, &at, (long)len);
    assert_non_null(certificate);
    assert_ptr_equal(at, der + len);
    key.pkey = X509_get_pubkey(certificate);
    date(X509_get0_notBefore(certificate), from);
    date(X509_get0_notAfter(certificate), to);
}

struct subject certificate_subject(CK_SESSION_HANDLE session)
{
    struct kv_json *bundle =
        control("POST", "/vaults/prod/certificates/a-certified/create",
                "{\"policy\":{\"x509_props\":{\"subject\":\"CN=a.example, O=Test\",\"validity_months\":6}}}");
    const char *kid = kv_json_text(kv_json_get(bundle, "kid"));
    assert_non_null(kid);
    assert_true(kv_text_fit(version, sizeof version, strrchr(kid, '/') + 1));
    kv_json_free(bundle);
    key.session = session;
    CK_OBJECT_HANDLE object = find_one(session, CKO_CERTIFICATE, key.name);
    read_certificate(object);
    return (struct subject){ .label = key.name,
                             .nature = ON_CERTIFICATE | ON_VAULT,
                             .session = session,
                             .object = object,
                             .key = &key,
                             .name = key.name,
                             .version = version,
                             .start = from,
                             .end = to };
}

static void name(const X509_NAME *from_it, struct result *ret)
{
    unsigned char *place = ret->data;
    ret->len = (CK_ULONG)i2d_X509_NAME(from_it, &place);
}

void certificate_holder(const struct subject *subject, struct result *ret)
{
    name(X509_get_subject_name(certificate), ret);
}

void certificate_issuer(const struct subject *subject, struct result *ret)
{
    name(X509_get_issuer_name(certificate), ret);
}

void certificate_serial(const struct subject *subject, struct result *ret)
{
    unsigned char *place = ret->data;
    ret->len = (CK_ULONG)i2d_ASN1_INTEGER(X509_get_serialNumber(certificate), &place);
}

/* The first three bytes of its SHA-1. */
void certificate_check(const struct subject *subject, struct result *ret)
{
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    assert_true(len > 0);
    *ret = reference_digest("SHA1", BYTES(der, (size_t)len));
    ret->len = 3;
    OPENSSL_free(der);
}
