#include "private_private.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include "base/encode.h"
#include "base/locked.h"
#include "base/ossl.h"
#include "mech_private.h"
#include "public_private.h"

KV_DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
KV_DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

static EVP_PKEY_CTX *context_for(EVP_PKEY *pkey)
{
    return pkey ? EVP_PKEY_CTX_new_from_pkey(kv_ossl_context(), pkey, NULL) : NULL;
}

enum kv_status kv_private_sign(const struct kv_private *key, const struct kv_mech *row, struct kv_view digest,
                               struct kv_bytes *ret)
{
    enum { ECDSA_DER_MAX = 160 };
    if (row->kind != key->kind || !(row->operations & KV_OP_SIGN))
        return KV_KEY_TYPE;
    if (row->kind == KV_RSA && row->evp && digest.len != kv_digest_size(row->evp))
        return KV_DATA_LENGTH;
    if (row == kv_mech_rsnull() && digest.len + KV_PKCS1_OVERHEAD > kv_public_signature_size(key->public))
        return KV_DATA_LENGTH;
    KV_CLEANUP(EVP_PKEY_free_cleanup) EVP_PKEY *pkey = kv_private_open(key);
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup) EVP_PKEY_CTX *context = context_for(pkey);
    if (!context)
        return KV_NO_MEMORY;
    if (EVP_PKEY_sign_init(context) != 1 || (row->kind == KV_RSA && !kv_public_set_signature(context, row)))
        return KV_INTERNAL;
    KV_AUTO_BYTES struct kv_bytes signature = { 0 };
    KV_TRY(kv_bytes_alloc(row->kind == KV_EC ? ECDSA_DER_MAX : kv_public_signature_size(key->public),
                          &signature));
    /* Not into signature.len: what OpenSSL leaves there when it fails is no length of ours. */
    size_t len = signature.len;
    if (EVP_PKEY_sign(context, signature.data, &len, digest.data, digest.len) != 1 || len > signature.len)
        return KV_INTERNAL;
    signature.len = len;
    if (row->kind == KV_EC)
        return kv_ecdsa_from_der(KV_VIEW(signature), kv_public_curve(key->public)->width, ret);
    *ret = kv_bytes_take(&signature);
    return KV_OK;
}

enum kv_status kv_private_decrypt(const struct kv_private *key, const struct kv_mech *row,
                                  struct kv_view cipher, struct kv_bytes *ret)
{
    if (key->kind != KV_RSA || row->kind != KV_RSA || row->input != KV_PLAIN)
        return KV_KEY_TYPE;
    if (cipher.len != kv_public_modulus(key->public).len)
        return KV_CIPHERTEXT_LENGTH;
    KV_CLEANUP(EVP_PKEY_free_cleanup) EVP_PKEY *pkey = kv_private_open(key);
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup) EVP_PKEY_CTX *context = context_for(pkey);
    if (!context)
        return KV_NO_MEMORY;
    if (EVP_PKEY_decrypt_init(context) != 1 || !kv_public_set_padding(context, row))
        return KV_INTERNAL;
    KV_AUTO_BYTES struct kv_bytes plain = { 0 };
    KV_TRY(kv_bytes_alloc_locked(cipher.len, &plain));
    size_t len = plain.len;
    kv_public_ask();
    bool good = EVP_PKEY_decrypt(context, plain.data, &len, cipher.data, cipher.len) == 1 && len <= plain.len,
         short_of_memory = kv_public_no_memory();
    if (!good)
        return short_of_memory ? KV_NO_MEMORY : KV_BAD_CIPHERTEXT;
    plain.len = len;
    *ret = kv_bytes_take(&plain);
    return KV_OK;
}
