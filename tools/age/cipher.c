#include "cipher.h"

#include <openssl/evp.h>
#include <string.h>
#include "base/ossl.h"

enum { NONCE = 12 };

struct kv_age_cipher {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *context; /* has the key for good: a chunk sets its nonce only */
    bool seal;
};

void kv_age_cipher_free(struct kv_age_cipher *cipher)
{
    if (!cipher)
        return;
    EVP_CIPHER_CTX_free(cipher->context);
    EVP_CIPHER_free(cipher->cipher);
    free(cipher);
}

struct kv_age_cipher *kv_age_cipher_open(const unsigned char key[KV_AGE_KEY], bool seal)
{
    struct kv_age_cipher *cipher = calloc(1, sizeof *cipher);
    if (!cipher)
        return NULL;
    cipher->seal = seal;
    cipher->cipher = EVP_CIPHER_fetch(kv_ossl_context(), "ChaCha20-Poly1305", NULL);
    cipher->context = cipher->cipher ? EVP_CIPHER_CTX_new() : NULL;
    if (cipher->context && EVP_CipherInit_ex2(cipher->context, cipher->cipher, key, NULL, seal, NULL) == 1)
        return cipher;
    kv_age_cipher_free(cipher);
    return NULL;
}

/* Eleven bytes of counter, one byte that marks the last chunk. */
static bool start(struct kv_age_cipher *cipher, uint64_t number, bool last)
{
    unsigned char nonce[NONCE] = { 0 };
    for (int i = 0; i < 8; i++)
        nonce[NONCE - 2 - i] = (unsigned char)(number >> 8 * i);
    nonce[NONCE - 1] = last;
    return EVP_CipherInit_ex2(cipher->context, NULL, NULL, nonce, cipher->seal, NULL) == 1;
}

static bool pass(struct kv_age_cipher *cipher, unsigned char *data, size_t len)
{
    int done = 0;
    return !len ||
           (EVP_CipherUpdate(cipher->context, data, &done, data, (int)len) == 1 && (size_t)done == len);
}

static bool finish(struct kv_age_cipher *cipher)
{
    unsigned char none[1];
    int done = 0;
    return EVP_CipherFinal_ex(cipher->context, none, &done) == 1;
}

bool kv_age_cipher_seal(struct kv_age_cipher *cipher, uint64_t number, bool last, unsigned char *data,
                        size_t len)
{
    return start(cipher, number, last) && pass(cipher, data, len) && finish(cipher) &&
           EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_GET_TAG, KV_AGE_TAG, data + len) == 1;
}

bool kv_age_cipher_unseal(struct kv_age_cipher *cipher, uint64_t number, bool last, unsigned char *data,
                          size_t len)
{
    if (!start(cipher, number, last) ||
        EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_SET_TAG, KV_AGE_TAG, data + len) != 1)
        return false;
    if (pass(cipher, data, len) && finish(cipher))
        return true;
    /* A stream cipher: the same once more gives back what was there. */
    if (start(cipher, number, last))
        (void)pass(cipher, data, len);
    return false;
}
