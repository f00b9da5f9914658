#include "key_file.h"

#include "auth/credential.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <string.h>

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}
#define AUTO_BIO KV_CLEANUP(free_bio) BIO

static void free_pkcs12(PKCS12 **pkcs12)
{
    PKCS12_free(*pkcs12);
}

void kv_key_file_free(struct kv_key_file *file)
{
    sk_X509_pop_free(file->certificates, X509_free);
    EVP_PKEY_free(file->key);
    *file = (struct kv_key_file){ 0 };
}

/* Takes the certificate. */
static enum kv_status add(struct kv_key_file *file, X509 *certificate)
{
    if (!file->certificates)
        file->certificates = sk_X509_new_null();
    if (file->certificates && sk_X509_push(file->certificates, certificate))
        return KV_OK;
    X509_free(certificate);
    return KV_NO_MEMORY;
}

/* ---- PEM ---- */

struct asked {
    const char *password; /* NULL: none */
    bool asked;
};

static int give_password(char *ret, int size, int writing, void *context)
{
    struct asked *asked = context;
    size_t len = asked->password ? strlen(asked->password) : 0;
    asked->asked = true;
    if (!len || len > (size_t)size)
        return -1;
    memcpy(ret, asked->password, len);
    return (int)len;
}

static enum kv_status fail_password(const struct kv_auth_file *file, const char *password,
                                    struct kv_error *err)
{
    if (!password)
        return kv_fail(err, KV_CREDENTIAL,
                       "%s '%s' is encrypted; put its password into a file and name that in "
                       "`client_certificate_password_file`",
                       file->what, file->path);
    enum kv_status status =
        kv_fail(err, KV_CREDENTIAL, "%s '%s' does not open with the password given; correct it", file->what,
                file->path);
    if (err)
        kv_text_fit(err->code, sizeof err->code, KV_CREDENTIAL_WRONG_SECRET);
    return status;
}

static enum kv_status read_pem(const struct kv_auth_file *file, struct kv_view text, const char *password,
                               struct kv_key_file *ret, struct kv_error *err)
{
    AUTO_BIO *certificates = BIO_new_mem_buf(text.data, (int)text.len);
    AUTO_BIO *keys = BIO_new_mem_buf(text.data, (int)text.len);
    struct asked asked = { .password = password };
    X509 *certificate;
    if (!certificates || !keys)
        return kv_fail(err, KV_NO_MEMORY, "no memory for %s '%s'", file->what, file->path);
    while ((certificate = PEM_read_bio_X509(certificates, NULL, NULL, NULL)))
        if (add(ret, certificate) != KV_OK)
            return kv_fail(err, KV_NO_MEMORY, "no memory for %s '%s'", file->what, file->path);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(keys, NULL, give_password, &asked);
    if (!key && asked.asked)
        return fail_password(file, password, err);
    if (!key && strstr((const char *)text.data, "PRIVATE KEY-----"))
        return kv_fail(err, KV_CREDENTIAL, "%s '%s' holds a private key that cannot be read; export it again",
                       file->what, file->path);
    if (key) {
        EVP_PKEY_free(ret->key);
        ret->key = key;
        ret->locked |= asked.asked;
    }
    return KV_OK;
}

/* ---- PKCS#12 ---- */

/* The certificate that is the key's stands apart from the others in such a file. */
static enum kv_status take_parts(const struct kv_auth_file *file, PKCS12 *pkcs12, const char *password,
                                 struct kv_key_file *ret, struct kv_error *err)
{
    struct kv_key_file parts = { 0 };
    X509 *own = NULL, *other;
    if (!PKCS12_parse(pkcs12, password ? password : "", &parts.key, &own, &parts.certificates))
        return kv_fail(
            err, KV_CREDENTIAL,
            "%s '%s' is encrypted in a way that OpenSSL no longer offers; write it anew with `openssl "
            "pkcs12 -legacy` and `openssl pkcs12 -export`",
            file->what, file->path);
    enum kv_status status = own ? add(ret, own) : KV_OK;
    while (status == KV_OK && (other = sk_X509_shift(parts.certificates)))
        status = add(ret, other);
    if (parts.key) {
        EVP_PKEY_free(ret->key);
        ret->key = kv_take(parts.key);
    }
    kv_key_file_free(&parts);
    return status == KV_OK ? KV_OK : kv_fail(err, status, "no memory for %s '%s'", file->what, file->path);
}

static enum kv_status read_pkcs12(const struct kv_auth_file *file, struct kv_view der, const char *password,
                                  struct kv_key_file *ret, struct kv_error *err)
{
    const unsigned char *at = der.data;
    KV_CLEANUP(free_pkcs12) PKCS12 *pkcs12 = d2i_PKCS12(NULL, &at, (long)der.len);
    if (!pkcs12)
        return kv_fail(err, KV_CREDENTIAL, "%s '%s' is neither PEM nor PKCS#12; is it the right file?",
                       file->what, file->path);
    /* "No password" is sometimes written as an empty one, sometimes as none. */
    if (!password && PKCS12_mac_present(pkcs12) && !PKCS12_verify_mac(pkcs12, "", 0) &&
        !PKCS12_verify_mac(pkcs12, NULL, 0))
        return fail_password(file, NULL, err);
    if (password && PKCS12_mac_present(pkcs12) && !PKCS12_verify_mac(pkcs12, password, -1))
        return fail_password(file, password, err);
    ret->locked |= password && PKCS12_mac_present(pkcs12);
    return take_parts(file, pkcs12, password, ret, err);
}

enum kv_status kv_key_file_read(const char *path, const char *password, struct kv_key_file *ret,
                                struct kv_error *err)
{
    struct kv_auth_file file = { "certificate file", path, false };
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    bool private = false;
    KV_TRY(kv_auth_file_read(&file, &bytes, &private, err));
    bool pem =
        bytes.len && !memchr(bytes.data, 0, bytes.len) && strstr((const char *)bytes.data, "-----BEGIN ");
    /* Before anything of it is used: what others could read is no secret any more. */
    if (!private && (!pem || strstr((const char *)bytes.data, "PRIVATE KEY-----")))
        return kv_auth_file_fail_open(&file, err);
    return pem ? read_pem(&file, KV_VIEW(bytes), password, ret, err)
               : read_pkcs12(&file, KV_VIEW(bytes), password, ret, err);
}
