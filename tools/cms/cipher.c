#include "cipher.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include "base/ossl.h"

struct kv_cms_opener {
    EVP_CIPHER_CTX *context;
    const struct kv_cms_cipher *cipher;
    uint64_t taken;
};

static enum kv_status broken(struct kv_error *err)
{
    return kv_fail(err, KV_INTERNAL, "OpenSSL failed");
}

static EVP_CIPHER_CTX *start(const char *evp, const unsigned char *key, struct kv_view nonce, bool encrypt)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(kv_ossl_context(), evp, NULL);
    EVP_CIPHER_CTX *context = cipher ? EVP_CIPHER_CTX_new() : NULL;
    bool good = context && EVP_CipherInit_ex2(context, cipher, NULL, NULL, encrypt, NULL) == 1;
    if (good && EVP_CIPHER_get_mode(cipher) == EVP_CIPH_GCM_MODE)
        good = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)nonce.len, NULL) == 1;
    good = good && EVP_CipherInit_ex2(context, NULL, key, nonce.data, encrypt, NULL) == 1;
    EVP_CIPHER_free(cipher); /* the context has its own reference */
    if (good)
        return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

static EVP_CIPHER_CTX *start_content(const struct kv_cms_content *content, struct kv_view key, bool encrypt)
{
    return start(content->cipher->evp, key.data, (struct kv_view){ content->nonce, content->nonce_len },
                 encrypt);
}

enum kv_status kv_cms_opener_new(const struct kv_cms_content *content, struct kv_view key,
                                 struct kv_view covered, struct kv_cms_opener **ret, struct kv_error *err)
{
    int len = 0;
    KV_AUTO_CMS_OPENER struct kv_cms_opener *opener = calloc(1, sizeof(*opener));
    if (!opener)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    opener->cipher = content->cipher;
    if (key.len != content->cipher->key_len)
        return kv_fail(err, KV_INTERNAL, "a key of %zu bytes for %s", key.len, content->cipher->name);
    opener->context = start_content(content, key, false);
    if (!opener->context)
        return broken(err);
    if (covered.len && EVP_CipherUpdate(opener->context, NULL, &len, covered.data, (int)covered.len) != 1)
        return broken(err);
    *ret = kv_take(opener);
    return KV_OK;
}

void kv_cms_opener_free(struct kv_cms_opener *opener)
{
    if (opener)
        EVP_CIPHER_CTX_free(opener->context);
    free(opener);
}

enum kv_status kv_cms_opener_update(struct kv_cms_opener *opener, struct kv_view in, unsigned char *to,
                                    size_t *ret_len, struct kv_error *err)
{
    int len = 0;
    opener->taken += in.len;
    if (opener->cipher->authenticated && opener->taken > KV_CMS_GCM_MAX)
        return kv_fail(err, KV_DATA_LENGTH, "the content is longer than AES-GCM can protect (64 GiB)");
    if (in.len && EVP_CipherUpdate(opener->context, to, &len, in.data, (int)in.len) != 1)
        return broken(err);
    *ret_len = (size_t)len;
    return KV_OK;
}

/* A wrong key, a changed content, a changed tag: whoever feeds us chosen envelopes is told them apart by nothing. */
enum kv_status kv_cms_not_authentic(struct kv_error *err)
{
    return kv_fail(
        err, KV_BAD_CIPHERTEXT,
        "the content is not what its sender wrote, or its key is another: the file was changed or is "
        "damaged");
}

enum kv_status kv_cms_opener_end(struct kv_cms_opener *opener, struct kv_view tag, unsigned char *to,
                                 size_t *ret_len, struct kv_error *err)
{
    int len = 0;
    if (opener->cipher->authenticated &&
        EVP_CIPHER_CTX_ctrl(opener->context, EVP_CTRL_AEAD_SET_TAG, (int)tag.len, (void *)tag.data) != 1)
        return broken(err);
    if (EVP_CipherFinal_ex(opener->context, to, &len) != 1)
        return kv_cms_not_authentic(err);
    *ret_len = (size_t)len;
    return KV_OK;
}

enum kv_status kv_cms_seal_content(struct kv_view key, const unsigned char *nonce, struct kv_view plain,
                                   unsigned char *to, unsigned char *ret_tag, struct kv_error *err)
{
    int len = 0;
    EVP_CIPHER_CTX *context =
        start(kv_cms_aes256_gcm.evp, key.data, (struct kv_view){ nonce, KV_CMS_NONCE }, true);
    bool good = context &&
                (!plain.len || EVP_CipherUpdate(context, to, &len, plain.data, (int)plain.len) == 1) &&
                EVP_CipherFinal_ex(context, to + len, &len) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, KV_CMS_TAG_MAX, ret_tag) == 1;
    EVP_CIPHER_CTX_free(context);
    return good ? KV_OK : broken(err);
}

/* --- pieces --- */
bool kv_cms_can_jump(const struct kv_cms_content *content)
{
    return content->cipher->authenticated && content->nonce_len == KV_CMS_NONCE;
}

/* GCM deciphers by AES in counter mode, from the second counter on (SP 800-38D §7.1). Of 2^32 counters a content has two less, so that none comes twice. */
enum kv_status kv_cms_decipher(const struct kv_cms_content *content, struct kv_view key, uint64_t offset,
                               unsigned char *bytes, size_t len, struct kv_error *err)
{
    enum { FIRST = 2, AES_BLOCK = 16 };
    unsigned char counter[AES_BLOCK] = { 0 };
    char name[16];
    int done = 0;
    uint32_t number = (uint32_t)(offset / AES_BLOCK + FIRST);
    memcpy(counter, content->nonce, KV_CMS_NONCE);
    for (size_t i = 0; i < sizeof(number); i++)
        counter[AES_BLOCK - 1 - i] = (unsigned char)(number >> (8 * i));
    snprintf(name, sizeof(name), "AES-%zu-CTR", 8 * key.len);
    EVP_CIPHER_CTX *context = start(name, key.data, (struct kv_view){ counter, sizeof(counter) }, false);
    bool good = context && (!len || EVP_CipherUpdate(context, bytes, &done, bytes, (int)len) == 1);
    EVP_CIPHER_CTX_free(context);
    return good ? KV_OK : broken(err);
}

enum kv_status kv_cms_gmac(const struct kv_cms_content *content, struct kv_view key, struct kv_view bytes,
                           unsigned char ret[KV_CMS_TAG_MAX], struct kv_error *err)
{
    int len = 0;
    EVP_CIPHER_CTX *context = start_content(content, key, true);
    bool good = context &&
                (!bytes.len || EVP_CipherUpdate(context, NULL, &len, bytes.data, (int)bytes.len) == 1) &&
                EVP_CipherFinal_ex(context, ret, &len) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, KV_CMS_TAG_MAX, ret) == 1;
    EVP_CIPHER_CTX_free(context);
    return good ? KV_OK : broken(err);
}

enum kv_status kv_cms_hash_key(const struct kv_cms_content *content, struct kv_view key,
                               unsigned char ret[KV_CMS_TAG_MAX], struct kv_error *err)
{
    static const unsigned char zeros[KV_CMS_TAG_MAX];
    char name[16];
    int len = 0;
    snprintf(name, sizeof(name), "AES-%zu-ECB", 8 * content->cipher->key_len);
    EVP_CIPHER_CTX *context = start(name, key.data, (struct kv_view){ 0 }, true);
    bool good = context && EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
                EVP_CipherUpdate(context, ret, &len, zeros, sizeof(zeros)) == 1 && len == sizeof(zeros);
    EVP_CIPHER_CTX_free(context);
    return good ? KV_OK : broken(err);
}
