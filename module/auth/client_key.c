#include "client_key.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/ossl.h"
#include "foreign_key.h"
#include "key_file.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

enum { LEAST_BITS = 2048 };

struct kv_client_key {
    const struct kv_vault_config *config;
    struct kv_key_file parts; /* the key's own certificate first; key NULL: it is in another module */
    struct kv_bytes *der;     /* of the certificates */
    size_t count;
};

void kv_client_key_free(struct kv_client_key *key)
{
    if (!key)
        return;
    for (size_t i = 0; i < key->count; i++)
        kv_bytes_free(&key->der[i]);
    free(key->der);
    kv_key_file_free(&key->parts);
    free(key);
}

static X509 *certificate_of(const struct kv_client_key *key)
{
    return sk_X509_value(key->parts.certificates, 0);
}

/* ---- opening ---- */

static bool in_module(const struct kv_vault_config *config)
{
    return config->client_key && strncmp(config->client_key, "pkcs11:", 7) == 0;
}

static enum kv_status read_them(struct kv_client_key *key, struct kv_error *err)
{
    const struct kv_vault_config *config = key->config;
    const char *password = config->client_certificate_password;
    KV_AUTO_TEXT char *fresh = NULL;
    if (config->client_certificate_password_file) {
        KV_TRY(kv_config_secret_file(config->client_certificate_password_file, &fresh, err));
        password = fresh;
    }
    KV_TRY(kv_key_file_read(config->client_certificate, password, &key->parts, err));
    if (in_module(config)) {
        EVP_PKEY_free(key->parts.key);
        key->parts.key = NULL;
        return KV_OK;
    }
    if (config->client_key)
        KV_TRY(kv_key_file_read(config->client_key, password, &key->parts, err));
    if (!key->parts.key)
        return kv_fail(err, KV_CREDENTIAL, "'%s' holds no private key; name it in `client_key`",
                       config->client_key ? config->client_key : config->client_certificate);
    return KV_OK;
}

/* A PIN that nobody looks at would be right whatever it is. */
static enum kv_status read_files(struct kv_client_key *key, struct kv_error *err)
{
    const struct kv_vault_config *config = key->config;
    KV_TRY(read_them(key, err));
    if (config->pin == KV_PIN_PKCS12_PASSWORD && !key->parts.locked)
        return kv_fail(err, KV_CREDENTIAL,
                       "'%s' opens without a password, so that any PIN would be right; encrypt it, or remove "
                       "`pin`",
                       in_module(config) || !config->client_key ? config->client_certificate
                                                                : config->client_key);
    return KV_OK;
}

/* The first certificate that is the key's goes to the front; the others follow as they stood. */
static enum kv_status sort(struct kv_client_key *key, struct kv_error *err)
{
    STACK_OF(X509) *all = key->parts.certificates;
    if (sk_X509_num(all) < 1)
        return kv_fail(err, KV_CREDENTIAL, "'%s' holds no certificate; is it the right file?",
                       key->config->client_certificate);
    for (int i = 0; key->parts.key && i < sk_X509_num(all); i++) {
        if (X509_check_private_key(sk_X509_value(all, i), key->parts.key) != 1)
            continue;
        return sk_X509_unshift(all, sk_X509_delete(all, i)) > 0
                   ? KV_OK
                   : kv_fail(err, KV_NO_MEMORY, "no memory for a certificate");
    }
    if (!key->parts.key)
        return KV_OK;
    return kv_fail(
        err, KV_CREDENTIAL,
        "the private key is not that of the certificate in '%s'; name the one that belongs to it in "
        "`client_key`",
        key->config->client_certificate);
}

/* 0: it cannot be read. */
static int64_t seconds_of(const ASN1_TIME *from)
{
    struct tm parts = { 0 };
    return ASN1_TIME_to_tm(from, &parts) ? (int64_t)timegm(&parts) : 0;
}

static void print_time(const ASN1_TIME *from, char ret[21])
{
    int64_t at = seconds_of(from);
    memcpy(ret, "an unreadable time", 19);
    if (at)
        kv_clock_text(at, ret);
}

static enum kv_status check(const struct kv_client_key *key, int64_t now, struct kv_error *err)
{
    const X509 *certificate = certificate_of(key);
    const char *path = key->config->client_certificate;
    const EVP_PKEY *public = X509_get0_pubkey(certificate);
    time_t at = (time_t)now;
    char text[21];
    if (!public || !EVP_PKEY_is_a(public, "RSA") || EVP_PKEY_get_bits(public) < LEAST_BITS)
        return kv_fail(
            err, KV_CREDENTIAL,
            "the certificate in '%s' has no RSA key of at least %d bits; the directory takes no other", path,
            LEAST_BITS);
    print_time(X509_get0_notAfter(certificate), text);
    if (X509_cmp_time(X509_get0_notAfter(certificate), &at) <= 0)
        return kv_fail(
            err, KV_CREDENTIAL,
            "the certificate in '%s' expired at %s; put a new one there and add it to the application", path,
            text);
    print_time(X509_get0_notBefore(certificate), text);
    if (X509_cmp_time(X509_get0_notBefore(certificate), &at) > 0)
        return kv_fail(err, KV_CREDENTIAL,
                       "the certificate in '%s' is not valid before %s; set this host's clock, or wait", path,
                       text);
    return KV_OK;
}

static enum kv_status keep_der(struct kv_client_key *key)
{
    int count = sk_X509_num(key->parts.certificates);
    key->der = calloc((size_t)count, sizeof *key->der);
    for (int i = 0; key->der && i < count; i++) {
        const X509 *certificate = sk_X509_value(key->parts.certificates, i);
        int len = i2d_X509(certificate, NULL);
        if (len < 0)
            return KV_NO_MEMORY;
        KV_TRY(kv_bytes_alloc((size_t)len, &key->der[i]));
        key->count++;
        unsigned char *at = key->der[i].data;
        if (i2d_X509(certificate, &at) != len)
            return KV_NO_MEMORY;
    }
    return key->der ? KV_OK : KV_NO_MEMORY;
}

static enum kv_status open_inside(struct kv_client_key *key, int64_t now, struct kv_error *err)
{
    KV_TRY(read_files(key, err));
    KV_TRY(sort(key, err));
    KV_TRY(check(key, now, err));
    return keep_der(key) == KV_OK ? KV_OK : kv_fail(err, KV_NO_MEMORY, "no memory for a certificate");
}

enum kv_status kv_client_key_open(const struct kv_vault_config *config, int64_t now,
                                  struct kv_client_key **ret, struct kv_error *err)
{
    KV_AUTO_CLIENT_KEY struct kv_client_key *key = calloc(1, sizeof *key);
    if (!key)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a certificate");
    key->config = config;
    struct kv_ossl_guard guard = kv_ossl_enter();
    enum kv_status status = open_inside(key, now, err);
    kv_ossl_leave(&guard);
    KV_TRY(status);
    *ret = kv_take(key);
    return KV_OK;
}

static enum kv_status end_inside(struct kv_client_key *key, int64_t *ret, struct kv_error *err)
{
    KV_TRY(read_files(key, err));
    KV_TRY(sort(key, err));
    *ret = seconds_of(X509_get0_notAfter(certificate_of(key)));
    return KV_OK;
}

enum kv_status kv_client_key_ends(const struct kv_vault_config *config, int64_t *ret, struct kv_error *err)
{
    KV_AUTO_CLIENT_KEY struct kv_client_key *key = calloc(1, sizeof *key);
    if (!key)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a certificate");
    key->config = config;
    struct kv_ossl_guard guard = kv_ossl_enter();
    enum kv_status status = end_inside(key, ret, err);
    kv_ossl_leave(&guard);
    return status;
}

/* ---- naming ---- */

struct kv_view kv_client_key_certificate(const struct kv_client_key *key, size_t i)
{
    return i < key->count ? KV_VIEW(key->der[i]) : (struct kv_view){ 0 };
}

static bool digest(const char *name, struct kv_view data, unsigned char ret[EVP_MAX_MD_SIZE], size_t *ret_len)
{
    struct kv_ossl_guard guard = kv_ossl_enter();
    bool done = EVP_Q_digest(kv_ossl_context(), name, NULL, data.data, data.len, ret, ret_len);
    kv_ossl_leave(&guard);
    return done;
}

char *kv_client_key_thumbprint(const struct kv_client_key *key, enum kv_assertion algorithm)
{
    unsigned char value[EVP_MAX_MD_SIZE];
    size_t len;
    const char *name = algorithm == KV_ASSERTION_PS256 ? "SHA256" : "SHA1";
    if (!digest(name, KV_VIEW(key->der[0]), value, &len))
        return NULL;
    return kv_encode_base64url((struct kv_view){ value, len });
}

/* ---- signing ---- */

static void free_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}
#define AUTO_CONTEXT KV_CLEANUP(free_context) EVP_MD_CTX

static bool set_padding(EVP_PKEY_CTX *detail, enum kv_assertion algorithm)
{
    return algorithm == KV_ASSERTION_RS256 ||
           (EVP_PKEY_CTX_set_rsa_padding(detail, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(detail, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static bool sign_here(EVP_PKEY *key, enum kv_assertion algorithm, struct kv_view message,
                      struct kv_bytes *ret)
{
    AUTO_CONTEXT *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *detail = NULL;
    size_t len = ret->len;
    return context && EVP_DigestSignInit_ex(context, &detail, "SHA256", NULL, NULL, key, NULL) == 1 &&
           set_padding(detail, algorithm) &&
           EVP_DigestSign(context, ret->data, &len, message.data, message.len) == 1 && len == ret->len;
}

static bool verifies(const struct kv_client_key *key, enum kv_assertion algorithm, struct kv_view message,
                     struct kv_view signature)
{
    AUTO_CONTEXT *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *detail = NULL;
    EVP_PKEY *public = X509_get0_pubkey(certificate_of(key));
    return context && EVP_DigestVerifyInit_ex(context, &detail, "SHA256", NULL, NULL, public, NULL) == 1 &&
           set_padding(detail, algorithm) &&
           EVP_DigestVerify(context, signature.data, signature.len, message.data, message.len) == 1;
}

static enum kv_status sign_there(const struct kv_client_key *key, const struct kv_client_message *message,
                                 struct kv_bytes *ret, struct kv_error *err)
{
    struct kv_foreign_job job = { .uri = key->config->client_key,
                                  .module = key->config->client_key_module,
                                  .pin_file = key->config->client_key_pin_file,
                                  .algorithm = message->algorithm,
                                  .message = message->text,
                                  .deadline = message->deadline,
                                  .bits = EVP_PKEY_get_bits(X509_get0_pubkey(certificate_of(key))) };
    unsigned char value[EVP_MAX_MD_SIZE];
    size_t len;
    if (!digest("SHA256", message->text, value, &len) || len != sizeof job.digest)
        return kv_fail(err, KV_INTERNAL, "OpenSSL gives no SHA-256");
    memcpy(job.digest, value, len);
    kv_bytes_free(ret);
    return kv_foreign_sign(&job, ret, err);
}

enum kv_status kv_client_key_sign(const struct kv_client_key *key, const struct kv_client_message *message,
                                  struct kv_bytes *ret, struct kv_error *err)
{
    struct kv_ossl_guard guard = kv_ossl_enter();
    KV_AUTO_BYTES struct kv_bytes signature = { 0 };
    const EVP_PKEY *public = X509_get0_pubkey(certificate_of(key));
    enum kv_status status = kv_bytes_alloc((size_t)EVP_PKEY_get_size(public), &signature);
    if (status == KV_OK && !key->parts.key)
        status = sign_there(key, message, &signature, err);
    else if (status == KV_OK && !sign_here(key->parts.key, message->algorithm, message->text, &signature))
        status =
            kv_fail(err, KV_CREDENTIAL, "the key of '%s' does not sign", key->config->client_certificate);
    if (status == KV_OK && !verifies(key, message->algorithm, message->text, KV_VIEW(signature)))
        status = kv_fail(
            err, KV_CREDENTIAL,
            "what '%s' signs is not from the key of the certificate in '%s'; name the key that belongs "
            "to it in `client_key`",
            key->config->client_key ? key->config->client_key : "the private key",
            key->config->client_certificate);
    kv_ossl_leave(&guard);
    if (status == KV_OK)
        *ret = kv_bytes_take(&signature);
    return status;
}
