#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include "tls.h"
#include "util.h"

enum { CA_DAYS = 3650, SERVER_DAYS = 825 };

static const char standard_names[] = "DNS:*.vault.localhost,DNS:*.managedhsm.localhost,DNS:vault.localhost,"
                                     "DNS:managedhsm.localhost,DNS:login.localhost,DNS:localhost,"
                                     "IP:127.0.0.1,IP:::1";

struct extension {
    int nid;
    const char *value;
};

static const struct extension ca_extensions[] = {
    { NID_basic_constraints, "critical,CA:TRUE,pathlen:0" },
    { NID_key_usage, "critical,keyCertSign,cRLSign" },
    { NID_subject_key_identifier, "hash" },
    { 0, NULL },
};

static const struct extension server_extensions[] = {
    { NID_basic_constraints, "critical,CA:FALSE" },
    { NID_key_usage, "critical,digitalSignature" },
    { NID_ext_key_usage, "serverAuth" },
    { NID_subject_key_identifier, "hash" },
    { NID_authority_key_identifier, "keyid" },
    { 0, NULL },
};

struct authority {
    X509 *certificate;
    EVP_PKEY *key;
};

static void authority_free(struct authority *ca)
{
    X509_free(ca->certificate);
    EVP_PKEY_free(ca->key);
    *ca = (struct authority){ 0 };
}

static bool extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return ok;
}

static bool set_serial(X509 *certificate)
{
    BIGNUM *serial = BN_new();
    bool ok = serial && BN_rand(serial, 120, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
              BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate));
    BN_free(serial);
    return ok;
}

/* A certificate without its alternative names and signature; the caller frees it. */
static X509 *draft(const char *name, int days, EVP_PKEY *key, X509 *issuer,
                   const struct extension *extensions)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = certificate ? X509_get_subject_name(certificate) : NULL;
    bool ok =
        subject && X509_set_version(certificate, X509_VERSION_3) && set_serial(certificate) &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), -86400) &&
        X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days * 86400) &&
        X509_set_pubkey(certificate, key) &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) &&
        X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : subject);
    for (; ok && extensions->nid; extensions++)
        ok = extend(certificate, issuer ? issuer : certificate, extensions->nid, extensions->value);
    if (ok)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static char *bio_text(BIO *bio)
{
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);
    char *text = em_alloc((size_t)length + 1);
    memcpy(text, data, (size_t)length);
    return text;
}

static char *pem_certificate(X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = bio && PEM_write_bio_X509(bio, certificate) ? bio_text(bio) : NULL;
    BIO_free(bio);
    return text;
}

static char *pem_key(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) ? bio_text(bio) : NULL;
    BIO_free(bio);
    return text;
}

static bool authority_load(const char *certificate_file, const char *key_file, struct authority *ret)
{
    struct authority ca = { 0 };
    AUTO_FILE certificate = fopen(certificate_file, "re");
    AUTO_FILE key = fopen(key_file, "re");
    if (certificate && key) {
        ca.certificate = PEM_read_X509(certificate, NULL, NULL, NULL);
        ca.key = PEM_read_PrivateKey(key, NULL, NULL, NULL);
    }
    if (!ca.certificate || !ca.key || !X509_check_private_key(ca.certificate, ca.key)) {
        authority_free(&ca);
        return false;
    }
    *ret = ca;
    return true;
}

static bool authority_create(const char *certificate_file, const char *key_file, struct authority *ret)
{
    struct authority ca = { .key = EVP_EC_gen("P-256") };
    ca.certificate = ca.key ? draft("kvp11-emulator CA", CA_DAYS, ca.key, NULL, ca_extensions) : NULL;
    bool ok = ca.certificate && X509_sign(ca.certificate, ca.key, EVP_sha256());
    AUTO_TEXT certificate = ok ? pem_certificate(ca.certificate) : NULL;
    AUTO_TEXT key = ok ? pem_key(ca.key) : NULL;
    ok = certificate && key && em_file_write(key_file, key, 0600, false) &&
         em_file_write(certificate_file, certificate, 0644, false);
    if (!ok) {
        authority_free(&ca);
        return false;
    }
    *ret = ca;
    return true;
}

static char *alternative_names(const char *const *hosts, size_t count)
{
    char *names = em_copy(standard_names);
    for (size_t i = 0; i < count; i++) {
        char *longer = em_format("%s,DNS:%s", names, hosts[i]);
        free(names);
        names = longer;
    }
    return names;
}

static bool server_create(const struct authority *ca, const char *names, struct em_tls *tls)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate =
        key ? draft("kvp11-emulator", SERVER_DAYS, key, ca->certificate, server_extensions) : NULL;
    if (certificate && extend(certificate, ca->certificate, NID_subject_alt_name, names) &&
        X509_sign(certificate, ca->key, EVP_sha256())) {
        tls->certificate = pem_certificate(certificate);
        tls->key = pem_key(key);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    return tls->certificate && tls->key;
}

bool em_tls_prepare(const char *directory, const char *const *hosts, size_t count, struct em_tls *ret,
                    char ret_why[256])
{
    struct em_tls tls = { .ca_file = em_format("%s/ca.pem", directory) };
    AUTO_TEXT ca_key = em_format("%s/ca.key", directory);
    AUTO_TEXT certificate = em_format("%s/server.pem", directory);
    AUTO_TEXT key = em_format("%s/server.key", directory);
    AUTO_TEXT names = alternative_names(hosts, count);
    struct authority ca = { 0 };
    bool ok = em_folder_make(directory) &&
              (authority_load(tls.ca_file, ca_key, &ca) || authority_create(tls.ca_file, ca_key, &ca)) &&
              server_create(&ca, names, &tls) && em_file_write(certificate, tls.certificate, 0644, false) &&
              em_file_write(key, tls.key, 0600, false);
    authority_free(&ca);
    if (!ok) {
        snprintf(ret_why, 256, "cannot make certificates in '%.150s': %s", directory, strerror(errno));
        em_tls_free(&tls);
        return false;
    }
    *ret = tls;
    return true;
}

void em_tls_free(struct em_tls *tls)
{
    free(tls->ca_file);
    free(tls->certificate);
    free(tls->key);
    *tls = (struct em_tls){ 0 };
}

void em_tls_remove(const char *directory)
{
    static const char *const files[] = { "ca.pem", "ca.key", "server.pem", "server.key" };
    for (size_t i = 0; i < EM_COUNT(files); i++) {
        AUTO_TEXT path = em_format("%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}
