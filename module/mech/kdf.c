#include "mech/local.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include "base/locked.h"
#include "base/ossl.h"

KV_DEFINE_CLEANUP(EVP_KDF, EVP_KDF_free)
KV_DEFINE_CLEANUP(EVP_KDF_CTX, EVP_KDF_CTX_free)

static OSSL_PARAM bytes(const char *name, struct kv_view value)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)value.data, value.len);
}

/* What comes out: as many bytes as asked for, RFC 5869 §2.3 allows 255 blocks; a bare extract gives one block. */
static enum kv_status check_len(const struct kv_hkdf *hkdf, size_t len)
{
    size_t block = kv_digest_size(hkdf->evp);
    if (!block || (!hkdf->extract && !hkdf->expand))
        return KV_INTERNAL;
    if (hkdf->info.len > KV_HKDF_INFO_MAX)
        return KV_MECHANISM_PARAM;
    if (!len || len > 255 * block || (!hkdf->expand && len != block))
        return KV_DATA_LENGTH;
    /* §2.3: the pseudorandom key has at least the length of the hash. */
    return hkdf->extract || hkdf->key.len >= block ? KV_OK : KV_KEY_SIZE;
}

enum kv_status kv_hkdf(const struct kv_hkdf *hkdf, size_t len, struct kv_bytes *ret)
{
    KV_TRY(check_len(hkdf, len));
    int mode = !hkdf->expand    ? EVP_KDF_HKDF_MODE_EXTRACT_ONLY
               : !hkdf->extract ? EVP_KDF_HKDF_MODE_EXPAND_ONLY
                                : EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
    OSSL_PARAM params[6], *at = params;
    *at++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    *at++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)hkdf->evp, 0);
    *at++ = bytes(OSSL_KDF_PARAM_KEY, hkdf->key);
    if (hkdf->extract && hkdf->salt.len)
        *at++ = bytes(OSSL_KDF_PARAM_SALT, hkdf->salt);
    if (hkdf->expand && hkdf->info.len)
        *at++ = bytes(OSSL_KDF_PARAM_INFO, hkdf->info);
    *at = OSSL_PARAM_construct_end();

    KV_CLEANUP(EVP_KDF_free_cleanup) EVP_KDF *kdf = EVP_KDF_fetch(kv_ossl_context(), "HKDF", NULL);
    KV_CLEANUP(EVP_KDF_CTX_free_cleanup) EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    KV_AUTO_BYTES struct kv_bytes out = { 0 };
    if (!context)
        return KV_NO_MEMORY;
    KV_TRY(kv_bytes_alloc_locked(len, &out));
    if (EVP_KDF_derive(context, out.data, out.len, params) != 1)
        return KV_INTERNAL;
    *ret = kv_bytes_take(&out);
    return KV_OK;
}
