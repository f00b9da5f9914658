/* What is computed here, by OpenSSL in our own library context: public-key operations, digests, random bytes, HMAC, session ciphers. Objects belong to
 * who made them; a kv_public is immutable and shared by threads, the others are used by one thread at a time. */
#ifndef KV_MECH_LOCAL_H
#define KV_MECH_LOCAL_H

#include "mech/mech.h"

/* --- public keys --- */
struct kv_public;
KV_MUST_USE enum kv_status kv_public_from_spki(struct kv_view der, struct kv_public **ret,
                                               struct kv_error *err);
KV_MUST_USE enum kv_status kv_public_from_rsa(struct kv_view n, struct kv_view e, struct kv_public **ret,
                                              struct kv_error *err);
KV_MUST_USE enum kv_status
kv_public_from_ec(const char *curve, struct kv_view x, struct kv_view y, struct kv_public **ret,
                  struct kv_error *err); /* refuses a point that is not on the curve */
struct kv_public *kv_public_ref(struct kv_public *key);
void kv_public_free(struct kv_public *key); /* drops one reference */

enum kv_kind kv_public_kind(const struct kv_public *key);
unsigned kv_public_bits(const struct kv_public *key);
const struct kv_curve *kv_public_curve(const struct kv_public *key);
/* Borrowed for the life of the key. */
struct kv_view kv_public_spki(const struct kv_public *key); /* DER SubjectPublicKeyInfo */
struct kv_view kv_public_bits_string(
    const struct kv_public *key); /* contents of its BIT STRING: PKCS#1 RSAPublicKey or EC point */
struct kv_view kv_public_modulus(const struct kv_public *key); /* RSA, minimal big-endian */
struct kv_view kv_public_exponent(const struct kv_public *key);
struct kv_view kv_public_point(const struct kv_public *key); /* EC: 04 ‖ x ‖ y */
size_t
kv_public_signature_size(const struct kv_public *key); /* RSA: modulus bytes; EC: 2 * width (raw r‖s) */

/* `digest` is the bare digest (after kv_mech_digestinfo, kv_mech_fit_digest); EC signatures raw r‖s. KV_BAD_SIGNATURE, KV_SIGNATURE_LENGTH. */
KV_MUST_USE enum kv_status kv_public_verify(const struct kv_public *key, const struct kv_mech *row,
                                            struct kv_view digest, struct kv_view signature);
/* RSA1_5, OAEP. KV_DATA_LENGTH when the plaintext is too long. */
KV_MUST_USE enum kv_status kv_public_encrypt(const struct kv_public *key, const struct kv_mech *row,
                                             struct kv_view plain, struct kv_bytes *ret);
size_t kv_public_encrypt_max(const struct kv_public *key,
                             const struct kv_mech *row); /* longest plaintext, bytes */

/* --- digests --- */
struct kv_digest;
KV_MUST_USE enum kv_status kv_digest_open(const char *evp, struct kv_digest **ret);
KV_MUST_USE enum kv_status kv_digest_update(struct kv_digest *digest, struct kv_view data);
KV_MUST_USE enum kv_status kv_digest_final(struct kv_digest *digest, struct kv_bytes *ret);
void kv_digest_free(struct kv_digest *digest);
size_t kv_digest_size(const char *evp); /* 0: unknown */
KV_MUST_USE enum kv_status kv_digest_once(const char *evp, struct kv_view data, struct kv_bytes *ret);

KV_MUST_USE enum kv_status kv_random_bytes(unsigned char *ret, size_t len);

/* --- HKDF, RFC 5869 --- */
struct kv_hkdf {
    bool extract, expand;           /* one at the least */
    const char *evp;                /* the hash: "SHA2-256" */
    struct kv_view key, salt, info; /* salt of an extract, empty: zeroes; info of an expand */
};
enum { KV_HKDF_INFO_MAX = 2048 }; /* OpenSSL's bound */
/* *ret is in locked memory. KV_MECHANISM_PARAM: too much info; KV_DATA_LENGTH: not so many bytes; KV_KEY_SIZE: the key is shorter than the hash and not extracted first. */
KV_MUST_USE enum kv_status kv_hkdf(const struct kv_hkdf *hkdf, size_t len, struct kv_bytes *ret);

/* --- session secret keys: HMAC --- */
struct kv_mac;
/* `evp` names the hash: "SHA2-256". */
KV_MUST_USE enum kv_status kv_mac_open(const char *evp, struct kv_view key, struct kv_mac **ret);
KV_MUST_USE enum kv_status kv_mac_update(struct kv_mac *mac, struct kv_view data);
KV_MUST_USE enum kv_status kv_mac_final(struct kv_mac *mac, struct kv_bytes *ret); /* as long as the hash */
void kv_mac_free(struct kv_mac *mac);

/* --- session secret keys: AES-GCM, CBC, CBC-PAD, CTR, KW, KWP --- */
struct kv_cipher;
/* `use` as kv_mech_select made it; borrowed until kv_cipher_free. KV_KEY_SIZE, KV_MECHANISM_PARAM. */
KV_MUST_USE enum kv_status kv_cipher_open(const struct kv_mech_use *use, struct kv_view key, bool encrypt,
                                          struct kv_cipher **ret);
/* Output appended to *ret. GCM decryption and KW/KWP hold everything back until final: nothing unauthenticated is released. */
KV_MUST_USE enum kv_status kv_cipher_update(struct kv_cipher *cipher, struct kv_view in,
                                            struct kv_buffer *ret);
/* An update without a copy: true where all that it gives can go straight to `out`, which has room for it and is no part of the input (or is the input). */
bool kv_cipher_streams_to(const struct kv_cipher *cipher, struct kv_view in, const unsigned char *out,
                          size_t room);
KV_MUST_USE enum kv_status kv_cipher_stream(struct kv_cipher *cipher, struct kv_view in, unsigned char *out,
                                            size_t *ret_len);
/* KV_BAD_CIPHERTEXT (tag, padding), KV_DATA_LENGTH / KV_CIPHERTEXT_LENGTH. GCM encryption appends the tag. */
KV_MUST_USE enum kv_status kv_cipher_final(struct kv_cipher *cipher, struct kv_buffer *ret);
void kv_cipher_free(struct kv_cipher *cipher);
/* Upper bound of what is still to come after `more` further input bytes: for size queries. */
size_t kv_cipher_bound(const struct kv_cipher *cipher, size_t more);

#endif
