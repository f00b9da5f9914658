/* The few primitives of age v1, on OpenSSL: HKDF and HMAC with SHA-256, ChaCha20-Poly1305 with a nonce of zeroes for wrapped keys, X25519, random bytes. What stands in *ret after a failure
 * is zeroes. Any thread. */
#ifndef KV_TOOLS_AGE_PRIMITIVES_H
#define KV_TOOLS_AGE_PRIMITIVES_H

#include "base/bytes.h"

enum { KV_AGE_KEY = 32, KV_AGE_TAG = 16, KV_AGE_POINT = 32 };

KV_MUST_USE enum kv_status kv_age_random(unsigned char *ret, size_t len, struct kv_error *err);
KV_MUST_USE enum kv_status kv_age_hkdf(struct kv_view ikm, struct kv_view salt, const char *info,
                                       unsigned char ret[KV_AGE_KEY], struct kv_error *err);
KV_MUST_USE enum kv_status kv_age_sha256(struct kv_view data, unsigned char ret[KV_AGE_KEY],
                                         struct kv_error *err);
KV_MUST_USE enum kv_status kv_age_hmac(struct kv_view key, struct kv_view data, unsigned char ret[KV_AGE_KEY],
                                       struct kv_error *err);
/* `ret` has room for plain.len + KV_AGE_TAG. */
KV_MUST_USE enum kv_status kv_age_wrap(const unsigned char key[KV_AGE_KEY], struct kv_view plain,
                                       unsigned char *ret, struct kv_error *err);
/* `ret` has room for wrapped.len - KV_AGE_TAG. KV_BAD_CIPHERTEXT: another key, or changed bytes. */
KV_MUST_USE enum kv_status kv_age_unwrap(const unsigned char key[KV_AGE_KEY], struct kv_view wrapped,
                                         unsigned char *ret, struct kv_error *err);
/* KV_BAD_DATA: the result is all zeroes, as of a point of small order. */
KV_MUST_USE enum kv_status kv_age_x25519(const unsigned char secret[KV_AGE_KEY],
                                         const unsigned char point[KV_AGE_POINT],
                                         unsigned char ret[KV_AGE_KEY], struct kv_error *err);
KV_MUST_USE enum kv_status kv_age_x25519_public(const unsigned char secret[KV_AGE_KEY],
                                                unsigned char ret[KV_AGE_POINT], struct kv_error *err);

#endif
