/* Private keys that live in a session: RSA and EC, made here, from their numbers or from a PKCS#8 PrivateKeyInfo. The bytes stand in locked memory
 * (base/locked.h); OpenSSL has them for the length of one operation only. Immutable and counted; any thread. */
#ifndef KV_MECH_PRIVATE_KEY_H
#define KV_MECH_PRIVATE_KEY_H

#include "mech/local.h"

struct kv_private;

/* The numbers of a private key, unsigned and big-endian. */
enum kv_private_part {
    KV_PART_MODULUS,
    KV_PART_EXPONENT,
    KV_PART_PRIVATE_EXPONENT,
    KV_PART_PRIME_1,
    KV_PART_PRIME_2,
    KV_PART_EXPONENT_1,
    KV_PART_EXPONENT_2,
    KV_PART_COEFFICIENT,
    KV_RSA_PARTS,
    KV_PART_SCALAR = KV_RSA_PARTS, /* EC */
    KV_PRIVATE_PARTS
};

/* RSA: modulus and both exponents are needed; what else is empty is computed, what else is given must fit. KV_KEY_SIZE, KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_private_from_rsa(const struct kv_view parts[KV_RSA_PARTS],
                                               struct kv_private **ret, struct kv_error *err);
KV_MUST_USE enum kv_status kv_private_from_ec(const struct kv_curve *curve, struct kv_view scalar,
                                              struct kv_private **ret, struct kv_error *err);
/* RFC 5208; EC as SEC 1 has it inside, with or without the public key, which must fit. KV_CURVE and the above. */
KV_MUST_USE enum kv_status kv_private_from_pkcs8(struct kv_view der, struct kv_private **ret,
                                                 struct kv_error *err);
/* `exponent`: unsigned and big-endian; empty: 65537. */
KV_MUST_USE enum kv_status kv_private_new_rsa(unsigned bits, struct kv_view exponent, struct kv_private **ret,
                                              struct kv_error *err);
KV_MUST_USE enum kv_status kv_private_new_ec(const struct kv_curve *curve, struct kv_private **ret,
                                             struct kv_error *err);
struct kv_private *kv_private_ref(struct kv_private *key); /* NULL is fine */
void kv_private_free(struct kv_private *key);              /* drops one reference; wipes with the last */

/* Borrowed for the life of the key. */
struct kv_public *kv_private_public(const struct kv_private *key);
struct kv_view kv_private_pkcs8(const struct kv_private *key);
struct kv_view
kv_private_part(const struct kv_private *key,
                enum kv_private_part part); /* minimal, the scalar as wide as the field; empty: has none */

/* As kv_public_verify and kv_public_encrypt have it: a bare digest, raw r‖s. */
KV_MUST_USE enum kv_status kv_private_sign(const struct kv_private *key, const struct kv_mech *row,
                                           struct kv_view digest, struct kv_bytes *ret);
/* *ret is in locked memory. KV_CIPHERTEXT_LENGTH, KV_BAD_CIPHERTEXT. */
KV_MUST_USE enum kv_status kv_private_decrypt(const struct kv_private *key, const struct kv_mech *row,
                                              struct kv_view cipher, struct kv_bytes *ret);

#endif
