#include "mech/local.h"

#include <string.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include "base/encode.h"
#include "base/ossl.h"
#include "mech_private.h"
#include "public_private.h"

KV_DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

static EVP_PKEY_CTX *new_context(const struct kv_public *key)
{
    return EVP_PKEY_CTX_new_from_pkey(kv_ossl_context(), key->pkey, NULL);
}

bool kv_public_set_signature(EVP_PKEY_CTX *context, const struct kv_mech *row)
{
    const EVP_MD *md = kv_fetch_md(row->evp);
    if (EVP_PKEY_CTX_set_rsa_padding(context, row->padding) != 1)
        return false;
    if (!row->evp) /* RSNULL */
        return true;
    if (!md || EVP_PKEY_CTX_set_signature_md(context, md) != 1)
        return false;
    return row->padding != RSA_PKCS1_PSS_PADDING ||
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

struct kv_verifier {
    const struct kv_mech *row;
    EVP_PKEY_CTX *context;
};

KV_DEFINE_CLEANUP(struct kv_verifier, kv_verifier_free)

void kv_verifier_free(struct kv_verifier *verifier)
{
    if (!verifier)
        return;
    EVP_PKEY_CTX_free(verifier->context);
    free(verifier);
}

/* ECDSA knows nothing but the digest; RSA rows of several types may mean the same. */
static bool serves(const struct kv_verifier *verifier, const struct kv_mech *row)
{
    return verifier && verifier->row->padding == row->padding &&
           (row->kind == KV_EC || strcmp(verifier->row->evp, row->evp) == 0);
}

/* The one that is kept, if no other thread has it and it serves; else a new one. */
static enum kv_status take_verifier(const struct kv_public *key, const struct kv_mech *row,
                                    struct kv_verifier **ret)
{
    struct kv_public *same = (struct kv_public *)key; /* what is kept changes nothing that can be seen */
    KV_CLEANUP(kv_verifier_free_cleanup)
    struct kv_verifier *verifier = __atomic_exchange_n(&same->verifier, NULL, __ATOMIC_ACQ_REL);

    if (!serves(verifier, row)) {
        kv_verifier_free(verifier);
        verifier = calloc(1, sizeof *verifier);
        if (!verifier)
            return KV_NO_MEMORY;
        *verifier = (struct kv_verifier){ row, new_context(key) };
        if (!verifier->context)
            return KV_NO_MEMORY;
        if (EVP_PKEY_verify_init(verifier->context) != 1 ||
            (row->kind == KV_RSA && !kv_public_set_signature(verifier->context, row)))
            return KV_INTERNAL;
    }
    *ret = kv_take(verifier);
    return KV_OK;
}

static void keep_verifier(const struct kv_public *key, struct kv_verifier *verifier)
{
    struct kv_public *same = (struct kv_public *)key;
    kv_verifier_free(__atomic_exchange_n(&same->verifier, verifier, __ATOMIC_ACQ_REL));
}

void kv_public_ask(void)
{
    ERR_set_mark();
    ERR_raise(ERR_LIB_USER, ERR_R_OPERATION_FAIL); /* hides what the host left there */
}

bool kv_public_no_memory(void)
{
    bool short_of_it = ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
    ERR_pop_to_mark();
    return short_of_it;
}

/* RSNULL: what is left when the padding is gone has to be the caller's bytes. OpenSSL, told of no digest, knows no DigestInfo either. */
static enum kv_status verify_bytes(const struct kv_public *key, struct kv_view bytes,
                                   struct kv_view signature)
{
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup) EVP_PKEY_CTX *context = new_context(key);
    KV_AUTO_BYTES struct kv_bytes found = { 0 };

    if (!context)
        return KV_NO_MEMORY;
    if (bytes.len + KV_PKCS1_OVERHEAD > key->modulus.len)
        return KV_DATA_LENGTH;
    if (EVP_PKEY_verify_recover_init(context) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) != 1)
        return KV_INTERNAL;
    KV_TRY(kv_bytes_alloc(key->modulus.len, &found));
    size_t len = found.len;
    kv_public_ask();
    bool good = EVP_PKEY_verify_recover(context, found.data, &len, signature.data, signature.len) == 1,
         short_of_memory = kv_public_no_memory();
    if (!good)
        return short_of_memory ? KV_NO_MEMORY : KV_BAD_SIGNATURE;
    return kv_view_equal_ct((struct kv_view){ found.data, len }, bytes) ? KV_OK : KV_BAD_SIGNATURE;
}

enum kv_status kv_public_verify(const struct kv_public *key, const struct kv_mech *row, struct kv_view digest,
                                struct kv_view signature)
{
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    struct kv_verifier *verifier = NULL;

    if (row->kind != key->kind || !(row->operations & KV_OP_VERIFY))
        return KV_KEY_TYPE;
    if (signature.len != kv_public_signature_size(key))
        return KV_SIGNATURE_LENGTH;
    if (row->kind == KV_RSA && !row->evp)
        return verify_bytes(key, digest, signature);
    if (row->kind == KV_RSA && digest.len != kv_digest_size(row->evp))
        return KV_DATA_LENGTH;
    if (row->kind == KV_EC) {
        KV_TRY(kv_ecdsa_to_der(signature, &der));
        signature = KV_VIEW(der);
    }
    KV_TRY(take_verifier(key, row, &verifier));
    kv_public_ask();
    int good = EVP_PKEY_verify(verifier->context, signature.data, signature.len, digest.data, digest.len);
    keep_verifier(key, verifier);
    if (kv_public_no_memory() && good != 1)
        return KV_NO_MEMORY;
    return good == 1 ? KV_OK : KV_BAD_SIGNATURE;
}

size_t kv_public_encrypt_max(const struct kv_public *key, const struct kv_mech *row)
{
    size_t overhead =
        row->padding == RSA_PKCS1_OAEP_PADDING ? 2 * kv_digest_size(row->evp) + 2 : KV_PKCS1_OVERHEAD;
    return key->kind == KV_RSA ? key->modulus.len - overhead : 0;
}

bool kv_public_set_padding(EVP_PKEY_CTX *context, const struct kv_mech *row)
{
    if (EVP_PKEY_CTX_set_rsa_padding(context, row->padding) != 1)
        return false;
    if (row->padding != RSA_PKCS1_OAEP_PADDING)
        return true;
    const EVP_MD *md = kv_fetch_md(row->evp);
    return md && EVP_PKEY_CTX_set_rsa_oaep_md(context, md) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(context, md) == 1;
}

enum kv_status kv_public_encrypt(const struct kv_public *key, const struct kv_mech *row, struct kv_view plain,
                                 struct kv_bytes *ret)
{
    if (key->kind != KV_RSA || row->kind != KV_RSA || row->input != KV_PLAIN)
        return KV_KEY_TYPE;
    if (plain.len > kv_public_encrypt_max(key, row))
        return KV_DATA_LENGTH;

    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup) EVP_PKEY_CTX *context = new_context(key);
    if (!context)
        return KV_NO_MEMORY;
    if (EVP_PKEY_encrypt_init(context) != 1 || !kv_public_set_padding(context, row))
        return KV_INTERNAL;

    KV_AUTO_BYTES struct kv_bytes cipher = { 0 };
    KV_TRY(kv_bytes_alloc(key->modulus.len, &cipher));
    static const unsigned char nothing;
    size_t len = cipher.len;
    if (EVP_PKEY_encrypt(context, cipher.data, &len, plain.data ? plain.data : &nothing, plain.len) != 1 ||
        len != cipher.len)
        return KV_INTERNAL;
    *ret = kv_bytes_take(&cipher);
    return KV_OK;
}
