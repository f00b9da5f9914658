#include "primitives.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include "base/ossl.h"

KV_DEFINE_CLEANUP(EVP_CIPHER, EVP_CIPHER_free)
KV_DEFINE_CLEANUP(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)
KV_DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
KV_DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

static enum kv_status fail_openssl(struct kv_error *err)
{
    return kv_fail(err, KV_INTERNAL, "OpenSSL cannot do what age needs: SHA-256, ChaCha20-Poly1305, X25519");
}

enum kv_status kv_age_random(unsigned char *ret, size_t len, struct kv_error *err)
{
    if (RAND_priv_bytes_ex(kv_ossl_context(), ret, len, 0) == 1)
        return KV_OK;
    kv_wipe(ret, len);
    return kv_fail(err, KV_INTERNAL, "no random bytes are to be had");
}

enum kv_status kv_age_sha256(struct kv_view data, unsigned char ret[KV_AGE_KEY], struct kv_error *err)
{
    size_t len = 0;
    return EVP_Q_digest(kv_ossl_context(), "SHA256", NULL, data.data, data.len, ret, &len)
               ? KV_OK
               : fail_openssl(err);
}

enum kv_status kv_age_hmac(struct kv_view key, struct kv_view data, unsigned char ret[KV_AGE_KEY],
                           struct kv_error *err)
{
    size_t len = 0;
    /* A NULL key would mean the one of before. */
    const void *bytes = key.len ? key.data : (const void *)"";
    const unsigned char *from = data.len ? data.data : (const unsigned char *)"";
    if (EVP_Q_mac(kv_ossl_context(), "HMAC", NULL, "SHA256", NULL, bytes, key.len, from, data.len, ret,
                  KV_AGE_KEY, &len) &&
        len == KV_AGE_KEY)
        return KV_OK;
    kv_wipe(ret, KV_AGE_KEY);
    return fail_openssl(err);
}

/* RFC 5869 with one block of output, which is all that age ever asks for. */
enum kv_status kv_age_hkdf(struct kv_view ikm, struct kv_view salt, const char *info,
                           unsigned char ret[KV_AGE_KEY], struct kv_error *err)
{
    static const unsigned char no_salt[KV_AGE_KEY] = { 0 };
    enum { INFO_MAX = 64 };
    unsigned char extracted[KV_AGE_KEY], block[INFO_MAX + 1];
    size_t len = strlen(info);
    if (len > INFO_MAX)
        return kv_fail(err, KV_INTERNAL, "'%s' is too long for HKDF", info);
    memcpy(block, info, len);
    block[len] = 1;
    KV_TRY(kv_age_hmac(salt.len ? salt : (struct kv_view){ no_salt, sizeof no_salt }, ikm, extracted, err));
    enum kv_status status = kv_age_hmac((struct kv_view){ extracted, sizeof extracted },
                                        (struct kv_view){ block, len + 1 }, ret, err);
    kv_wipe(extracted, sizeof extracted);
    return status;
}

/* ---- wrapped keys ---- */

static EVP_CIPHER_CTX *aead(const unsigned char *key, int encrypt)
{
    static const unsigned char nonce[12] = { 0 };
    KV_CLEANUP(EVP_CIPHER_free_cleanup)
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(kv_ossl_context(), "ChaCha20-Poly1305", NULL);
    EVP_CIPHER_CTX *context = cipher ? EVP_CIPHER_CTX_new() : NULL;
    if (context && EVP_CipherInit_ex2(context, cipher, key, nonce, encrypt, NULL) == 1)
        return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

enum kv_status kv_age_wrap(const unsigned char key[KV_AGE_KEY], struct kv_view plain, unsigned char *ret,
                           struct kv_error *err)
{
    KV_CLEANUP(EVP_CIPHER_CTX_free_cleanup) EVP_CIPHER_CTX *context = aead(key, 1);
    int len = 0, rest = 0;
    if (context && EVP_CipherUpdate(context, ret, &len, plain.data, (int)plain.len) == 1 &&
        EVP_CipherFinal_ex(context, ret + len, &rest) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, KV_AGE_TAG, ret + plain.len) == 1)
        return KV_OK;
    kv_wipe(ret, plain.len + KV_AGE_TAG);
    return fail_openssl(err);
}

enum kv_status kv_age_unwrap(const unsigned char key[KV_AGE_KEY], struct kv_view wrapped, unsigned char *ret,
                             struct kv_error *err)
{
    if (wrapped.len < KV_AGE_TAG)
        return kv_fail(err, KV_BAD_CIPHERTEXT, "a wrapped key is shorter than its tag");
    KV_CLEANUP(EVP_CIPHER_CTX_free_cleanup) EVP_CIPHER_CTX *context = aead(key, 0);
    size_t plain = wrapped.len - KV_AGE_TAG;
    int len = 0, rest = 0;
    if (!context ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, KV_AGE_TAG, (void *)(wrapped.data + plain)) != 1)
        return fail_openssl(err);
    if (EVP_CipherUpdate(context, ret, &len, wrapped.data, (int)plain) == 1 &&
        EVP_CipherFinal_ex(context, ret + len, &rest) == 1)
        return KV_OK;
    kv_wipe(ret, plain);
    return kv_fail(err, KV_BAD_CIPHERTEXT, "a wrapped key cannot be unwrapped with this key");
}

/* ---- X25519 ---- */

static EVP_PKEY *x25519_secret(const unsigned char *secret)
{
    return EVP_PKEY_new_raw_private_key_ex(kv_ossl_context(), "X25519", NULL, secret, KV_AGE_KEY);
}

enum kv_status kv_age_x25519_public(const unsigned char secret[KV_AGE_KEY], unsigned char ret[KV_AGE_POINT],
                                    struct kv_error *err)
{
    KV_CLEANUP(EVP_PKEY_free_cleanup) EVP_PKEY *key = x25519_secret(secret);
    size_t len = KV_AGE_POINT;
    if (key && EVP_PKEY_get_raw_public_key(key, ret, &len) == 1 && len == KV_AGE_POINT)
        return KV_OK;
    return fail_openssl(err);
}

/* OpenSSL fails by itself when the result is all zeroes; it is looked at here all the same, for that is a duty of age and no promise of OpenSSL. */
enum kv_status kv_age_x25519(const unsigned char secret[KV_AGE_KEY], const unsigned char point[KV_AGE_POINT],
                             unsigned char ret[KV_AGE_KEY], struct kv_error *err)
{
    static const unsigned char zeroes[KV_AGE_KEY] = { 0 };
    KV_CLEANUP(EVP_PKEY_free_cleanup) EVP_PKEY *key = x25519_secret(secret);
    KV_CLEANUP(EVP_PKEY_free_cleanup)
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key_ex(kv_ossl_context(), "X25519", NULL, point, KV_AGE_POINT);
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup)
    EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new_from_pkey(kv_ossl_context(), key, NULL) : NULL;
    size_t len = KV_AGE_KEY;
    memset(ret, 0, KV_AGE_KEY);
    if (!context || !peer || EVP_PKEY_derive_init(context) != 1 ||
        EVP_PKEY_derive_set_peer(context, peer) != 1)
        return fail_openssl(err);
    bool derived = EVP_PKEY_derive(context, ret, &len) == 1 && len == KV_AGE_KEY;
    if (derived && !kv_view_equal_ct((struct kv_view){ ret, len }, (struct kv_view){ zeroes, len }))
        return KV_OK;
    kv_wipe(ret, KV_AGE_KEY);
    return kv_fail(err, KV_BAD_DATA, "an X25519 point of small order gives no secret");
}
