#include "mech_private.h"

#include <string.h>
#include <openssl/evp.h>
#include "base/ossl.h"

static struct {
    const char *name;
    EVP_MD *md;
} digests[] = { { "SHA1" }, { "SHA2-256" }, { "SHA2-384" }, { "SHA2-512" } };

static struct {
    const char *name;
    EVP_CIPHER *cipher;
} ciphers[] = {
    { "AES-128-GCM" },      { "AES-192-GCM" },      { "AES-256-GCM" },      { "AES-128-CBC" },
    { "AES-192-CBC" },      { "AES-256-CBC" },      { "AES-128-CTR" },      { "AES-192-CTR" },
    { "AES-256-CTR" },      { "AES-128-WRAP" },     { "AES-192-WRAP" },     { "AES-256-WRAP" },
    { "AES-128-WRAP-PAD" }, { "AES-192-WRAP-PAD" }, { "AES-256-WRAP-PAD" },
};

/* Fetched once for the life of the process, each at its first use; what failed, for lack of memory say, is tried again. Of two threads that fetch
 * at once the second one's is given back. */
const EVP_MD *kv_fetch_md(const char *evp)
{
    for (size_t i = 0; evp && i < sizeof digests / sizeof *digests; i++) {
        if (strcmp(digests[i].name, evp))
            continue;
        EVP_MD *md = __atomic_load_n(&digests[i].md, __ATOMIC_ACQUIRE), *none = NULL;
        OSSL_LIB_CTX *context = md ? NULL : kv_ossl_context();
        if (context && (md = EVP_MD_fetch(context, evp, NULL)) &&
            !__atomic_compare_exchange_n(&digests[i].md, &none, md, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            EVP_MD_free(md);
            md = none;
        }
        return md;
    }
    return NULL;
}

const EVP_CIPHER *kv_fetch_cipher(const char *evp)
{
    for (size_t i = 0; evp && i < sizeof ciphers / sizeof *ciphers; i++) {
        if (strcmp(ciphers[i].name, evp))
            continue;
        EVP_CIPHER *cipher = __atomic_load_n(&ciphers[i].cipher, __ATOMIC_ACQUIRE), *none = NULL;
        OSSL_LIB_CTX *context = cipher ? NULL : kv_ossl_context();
        if (context && (cipher = EVP_CIPHER_fetch(context, evp, NULL)) &&
            !__atomic_compare_exchange_n(&ciphers[i].cipher, &none, cipher, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
            EVP_CIPHER_free(cipher);
            cipher = none;
        }
        return cipher;
    }
    return NULL;
}
