#include "private_key.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>
#include "base/file.h"
#include "base/ossl.h"
#include "mech/local.h"
#include "recipient.h"

enum { PASSPHRASE_MAX = 1000 };

KV_DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

struct kv_cms_private {
    EVP_PKEY *key;
    unsigned char id[KV_ID_SIZE];
    struct kv_certificate_list certificates; /* of this key */
};

void kv_cms_private_free(struct kv_cms_private *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->key);
    kv_certificate_list_free(&key->certificates);
    free(key);
}

static void private_cleanup(struct kv_cms_private **key)
{
    kv_cms_private_free(*key);
}

/* ---- reading ---- */

static bool holds(struct kv_view text, const char *what)
{
    return text.len && memmem(text.data, text.len, what, strlen(what));
}

bool kv_cms_private_is(struct kv_view file)
{
    return holds(file, "PRIVATE KEY-----") && !holds(file, "-----BEGIN OPENSSH PRIVATE KEY-----");
}

enum kv_status kv_cms_passphrase(const char *path, struct kv_bytes *ret, struct kv_error *err)
{
    const struct kv_file_rule rule = { .secret = true, .largest = PASSPHRASE_MAX, .status = KV_DENIED };
    if (!path)
        return KV_OK;
    enum kv_status status = kv_file_read(path, &rule, ret, err);
    if (status != KV_OK)
        return kv_fail_in(err, status, "--passphrase-file");
    while (ret->len && (ret->data[ret->len - 1] == '\n' || ret->data[ret->len - 1] == '\r'))
        ret->len--;
    return KV_OK;
}

struct asking {
    struct kv_view passphrase;
    bool asked;
};

static int give_passphrase(char *ret, int size, int writing, void *context)
{
    struct asking *asking = context;
    asking->asked = true;
    if (!asking->passphrase.len || asking->passphrase.len > (size_t)size)
        return -1;
    memcpy(ret, asking->passphrase.data, asking->passphrase.len);
    return (int)asking->passphrase.len;
}

static enum kv_status read_key(struct kv_view file, struct kv_view passphrase, EVP_PKEY **ret,
                               struct kv_error *err)
{
    struct asking asking = { .passphrase = passphrase };
    BIO *text = BIO_new_mem_buf(file.data, (int)file.len);
    if (!text)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    *ret = PEM_read_bio_PrivateKey_ex(text, NULL, give_passphrase, &asking, kv_ossl_context(), NULL);
    BIO_free(text);
    if (!*ret && asking.asked && !passphrase.len)
        return kv_fail(err, KV_UNSUPPORTED,
                       "the private key has a passphrase: put that into a file of mode 0600 and name it with "
                       "--passphrase-file");
    if (!*ret && asking.asked)
        return kv_fail(
            err, KV_PIN_INCORRECT,
            "the private key has another passphrase than the one in the file of --passphrase-file");
    if (!*ret)
        return kv_fail(err, KV_BAD_DATA, "the private key is damaged");
    return EVP_PKEY_is_a(*ret, "RSA")
               ? KV_OK
               : kv_fail(err, KV_UNSUPPORTED,
                         "the private key is no RSA key, and only those open envelopes here");
}

static enum kv_status set_id(struct kv_cms_private *key, struct kv_bytes *ret_spki)
{
    unsigned char *der = NULL;
    KV_AUTO_BYTES struct kv_bytes id = { 0 };
    int len = i2d_PUBKEY(key->key, &der);
    enum kv_status status = len > 0 ? kv_bytes_copy((struct kv_view){ der, (size_t)len }, ret_spki)
                                    : (enum kv_status)KV_NO_MEMORY;
    OPENSSL_free(der);
    KV_TRY(status);
    KV_TRY(kv_digest_once("SHA1", kv_x509_key_bits(KV_VIEW(*ret_spki)), &id));
    memcpy(key->id, id.data, sizeof key->id);
    return KV_OK;
}

/* Those of other keys, as of a chain, say nothing. */
static enum kv_status read_certificates(struct kv_cms_private *key, struct kv_view file, struct kv_view spki,
                                        struct kv_error *err)
{
    for (;;) {
        KV_AUTO_BYTES struct kv_bytes der = { 0 };
        KV_AUTO_CERTIFICATE struct kv_certificate *certificate = NULL;
        KV_TRY(kv_x509_next(&file, &der, err));
        if (!der.len)
            return KV_OK;
        KV_TRY(kv_certificate_new(KV_VIEW(der), &certificate, err));
        if (kv_view_equal(certificate->facts.spki, spki) &&
            kv_certificate_list_add(&key->certificates, certificate) != KV_OK)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
}

enum kv_status kv_cms_private_read(struct kv_view file, struct kv_view passphrase,
                                   struct kv_cms_private **ret, struct kv_error *err)
{
    KV_CLEANUP(private_cleanup) struct kv_cms_private *key = calloc(1, sizeof *key);
    KV_AUTO_BYTES struct kv_bytes spki = { 0 };
    if (!key)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(read_key(file, passphrase, &key->key, err));
    if (set_id(key, &spki) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (holds(file, "-----BEGIN CERTIFICATE-----"))
        KV_TRY(read_certificates(key, file, KV_VIEW(spki), err));
    *ret = kv_take(key);
    return KV_OK;
}

/* ---- opening ---- */

static bool set_padding(EVP_PKEY_CTX *context, const struct kv_cms_transport *transport)
{
    const char *hash = transport->hash == CKM_SHA_1 ? "SHA1" : "SHA256";
    if (!transport->hash)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_oaep_md_name(context, hash, NULL) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md_name(context, hash, NULL) == 1;
}

static enum kv_status decrypt(const struct kv_cms_private *key, const struct kv_cms_recipient *recipient,
                              struct kv_bytes *ret, struct kv_error *err)
{
    const struct kv_cms_transport *transport = NULL;
    KV_AUTO_BYTES struct kv_bytes plain = { 0 };
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(kv_ossl_context(), key->key, NULL);
    size_t len = (size_t)EVP_PKEY_get_size(key->key);
    KV_TRY(kv_cms_transport_read(recipient->algorithm, &transport, err));
    if (!context || kv_bytes_alloc(len, &plain) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (EVP_PKEY_decrypt_init(context) != 1 || !set_padding(context, transport) ||
        EVP_PKEY_decrypt(context, plain.data, &len, recipient->key.data, recipient->key.len) != 1)
        return kv_fail(err, KV_BAD_CIPHERTEXT, "what the envelope has for the private key is not for it");
    plain.len = len;
    *ret = kv_bytes_take(&plain);
    return KV_OK;
}

enum kv_status kv_cms_private_open(const struct kv_cms_private *key, struct kv_cms_envelope *envelope,
                                   struct kv_bytes *ret, struct kv_error *err)
{
    const struct kv_view id = { key->id, sizeof key->id };
    for (size_t i = 0; i < key->certificates.count; i++)
        (void)!kv_cms_recipient_is(envelope, key->certificates.items[i], NULL);
    for (size_t i = 0; i < envelope->recipient_count; i++)
        if (envelope->recipients[i].kind == KV_BER_SEQUENCE &&
            kv_view_equal(envelope->recipients[i].key_id, id))
            return decrypt(key, &envelope->recipients[i], ret, err);
    return kv_fail(err, KV_NOT_FOUND, "none of the envelope's %zu recipients is that private key%s",
                   envelope->recipient_count,
                   key->certificates.count
                       ? ""
                       : "; where it names a certificate by issuer and serial number, put "
                         "that into the key's file, too");
}
