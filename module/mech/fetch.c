#include "mech_private.h"

#include <pthread.h>
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

static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch_all(void)
{
    OSSL_LIB_CTX *context = kv_ossl_context();
    if (!context)
        return;
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++)
        digests[i].md = EVP_MD_fetch(context, digests[i].name, NULL);
    for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++)
        ciphers[i].cipher = EVP_CIPHER_fetch(context, ciphers[i].name, NULL);
}

const EVP_MD *kv_fetch_md(const char *evp)
{
    pthread_once(&fetched, fetch_all);
    for (size_t i = 0; evp && i < sizeof digests / sizeof *digests; i++)
        if (strcmp(digests[i].name, evp) == 0)
            return digests[i].md;
    return NULL;
}

const EVP_CIPHER *kv_fetch_cipher(const char *evp)
{
    pthread_once(&fetched, fetch_all);
    for (size_t i = 0; evp && i < sizeof ciphers / sizeof *ciphers; i++)
        if (strcmp(ciphers[i].name, evp) == 0)
            return ciphers[i].cipher;
    return NULL;
}
