#include "mech/local.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include "base/ossl.h"
#include "mech_private.h"

struct kv_digest {
    EVP_MD_CTX *context;
};

KV_DEFINE_CLEANUP(struct kv_digest, kv_digest_free)

enum kv_status kv_digest_open(const char *evp, struct kv_digest **ret)
{
    const EVP_MD *md = kv_fetch_md(evp);
    if (!md)
        return KV_INTERNAL;

    KV_CLEANUP(kv_digest_free_cleanup) struct kv_digest *digest = calloc(1, sizeof *digest);
    if (!digest)
        return KV_NO_MEMORY;
    digest->context = EVP_MD_CTX_new();
    if (!digest->context)
        return KV_NO_MEMORY;
    if (EVP_DigestInit_ex2(digest->context, md, NULL) != 1)
        return KV_INTERNAL;
    *ret = kv_take(digest);
    return KV_OK;
}

enum kv_status kv_digest_update(struct kv_digest *digest, struct kv_view data)
{
    return EVP_DigestUpdate(digest->context, data.data, data.len) == 1 ? KV_OK : KV_INTERNAL;
}

enum kv_status kv_digest_final(struct kv_digest *digest, struct kv_bytes *ret)
{
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_DigestFinal_ex(digest->context, value, &len) != 1)
        return KV_INTERNAL;
    enum kv_status status = kv_bytes_copy((struct kv_view){ value, len }, ret);
    kv_wipe(value, sizeof value);
    return status;
}

void kv_digest_free(struct kv_digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

size_t kv_digest_size(const char *evp)
{
    const EVP_MD *md = kv_fetch_md(evp);
    return md ? (size_t)EVP_MD_get_size(md) : 0;
}

enum kv_status kv_digest_once(const char *evp, struct kv_view data, struct kv_bytes *ret)
{
    const EVP_MD *md = kv_fetch_md(evp);
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!md || EVP_Digest(data.data, data.len, value, &len, md, NULL) != 1)
        return KV_INTERNAL;
    return kv_bytes_copy((struct kv_view){ value, len }, ret);
}

enum kv_status kv_random_bytes(unsigned char *ret, size_t len)
{
    OSSL_LIB_CTX *context = kv_ossl_context();
    if (!context || RAND_priv_bytes_ex(context, ret, len, 0) != 1)
        return KV_INTERNAL;
    return KV_OK;
}
