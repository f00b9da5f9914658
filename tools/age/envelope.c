#include "envelope.h"

#include <string.h>
#include "base/locked.h"
#include "cipher.h"
#include "payload.h"

static void cipher_cleanup(struct kv_age_cipher **cipher)
{
    kv_age_cipher_free(*cipher);
}

/* The cipher of this file's only chunk. NULL: *err says why. */
static struct kv_age_cipher *cipher_of(const unsigned char file_key[KV_AGE_FILE_KEY],
                                       const unsigned char nonce[KV_AGE_NONCE], bool seal,
                                       struct kv_error *err)
{
    unsigned char key[KV_AGE_KEY];
    if (kv_age_hkdf((struct kv_view){ file_key, KV_AGE_FILE_KEY }, (struct kv_view){ nonce, KV_AGE_NONCE },
                    "payload", key, err) != KV_OK)
        return NULL;
    struct kv_age_cipher *cipher = kv_age_cipher_open(key, seal);
    kv_wipe(key, sizeof(key));
    if (!cipher)
        (void)!kv_fail(err, KV_NO_MEMORY, "out of memory");
    return cipher;
}

/* --- sealing --- */
static enum kv_status seal_chunk(const unsigned char file_key[KV_AGE_FILE_KEY], struct kv_view secret,
                                 struct kv_buffer *ret, struct kv_error *err)
{
    unsigned char nonce[KV_AGE_NONCE];
    KV_AUTO_BYTES struct kv_bytes chunk = { 0 };
    KV_TRY(kv_age_random(nonce, sizeof(nonce), err));
    KV_CLEANUP(cipher_cleanup) struct kv_age_cipher *cipher = cipher_of(file_key, nonce, true, err);
    if (!cipher)
        return KV_NO_MEMORY;
    if (kv_bytes_alloc_locked(secret.len + KV_AGE_TAG, &chunk) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (secret.len)
        memcpy(chunk.data, secret.data, secret.len);
    if (!kv_age_cipher_seal(cipher, 0, true, chunk.data, secret.len))
        return kv_fail(err, KV_INTERNAL, "OpenSSL cannot encrypt");
    enum kv_status status = kv_buffer_add(ret, (struct kv_view){ nonce, sizeof(nonce) });
    if (status == KV_OK)
        status = kv_buffer_add(ret, KV_VIEW(chunk));
    return status == KV_OK ? KV_OK : kv_fail(err, status, "out of memory");
}

enum kv_status kv_age_envelope_seal(const struct kv_age_recipient *recipients, size_t count,
                                    struct kv_view secret, struct kv_buffer *ret, struct kv_error *err)
{
    unsigned char file_key[KV_AGE_FILE_KEY];
    if (secret.len > KV_ENVELOPE_SECRET_MAX)
        return kv_fail(err, KV_ARGUMENTS, "a secret has at most %d bytes: 'kvp11 seal' is for files",
                       KV_ENVELOPE_SECRET_MAX);
    KV_TRY(kv_age_random(file_key, sizeof(file_key), err));
    enum kv_status status = kv_age_header_seal(recipients, count, file_key, ret, err);
    if (status == KV_OK)
        status = seal_chunk(file_key, secret, ret, err);
    kv_wipe(file_key, sizeof(file_key));
    return status;
}

/* --- opening --- */
static enum kv_status open_chunk(const unsigned char file_key[KV_AGE_FILE_KEY], struct kv_view rest,
                                 struct kv_bytes *ret, struct kv_error *err)
{
    struct kv_view sealed = { rest.data + KV_AGE_NONCE, rest.len - KV_AGE_NONCE };
    KV_AUTO_BYTES struct kv_bytes chunk = { 0 };
    KV_CLEANUP(cipher_cleanup) struct kv_age_cipher *cipher = cipher_of(file_key, rest.data, false, err);
    if (!cipher)
        return KV_NO_MEMORY;
    if (kv_bytes_copy_locked(sealed, &chunk) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (!kv_age_cipher_unseal(cipher, 0, true, chunk.data, sealed.len - KV_AGE_TAG))
        return kv_fail(err, KV_BAD_DATA, "it was changed or cut off behind its header");
    KV_TRY(kv_bytes_copy_locked((struct kv_view){ chunk.data, sealed.len - KV_AGE_TAG }, ret));
    return KV_OK;
}

enum kv_status kv_age_envelope_open(const struct kv_age_identity *identities, size_t count,
                                    struct kv_view file, struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    unsigned char file_key[KV_AGE_FILE_KEY];
    size_t len = 0;
    KV_TRY(kv_age_header_length(file, &len, err));
    if (!len)
        return kv_fail(err, KV_BAD_DATA, "it is cut off within its header");
    KV_TRY(kv_age_header_parse(file, &header, err));
    struct kv_view rest = { file.data + len, file.len - len };
    if (rest.len < KV_AGE_NONCE + KV_AGE_TAG)
        return kv_fail(err, KV_BAD_DATA, "it is cut off behind its header");
    if (rest.len > KV_AGE_NONCE + KV_ENVELOPE_SECRET_MAX + KV_AGE_TAG)
        return kv_fail(err, KV_BAD_DATA,
                       "it holds more than %d bytes, which is no secret: 'kvp11 open' opens it",
                       KV_ENVELOPE_SECRET_MAX);
    enum kv_status status = kv_age_header_open(&header, identities, count, file_key, err);
    if (status == KV_OK)
        status = open_chunk(file_key, rest, ret, err);
    kv_wipe(file_key, sizeof(file_key));
    return status;
}
