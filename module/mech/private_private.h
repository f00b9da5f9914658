/* The inside of a kv_private, for private.c (reading, holding), private_rsa.c and private_make.c (numbers into keys) and private_ops.c (working with it). */
#ifndef KV_MECH_PRIVATE_PRIVATE_H
#define KV_MECH_PRIVATE_PRIVATE_H

#include <openssl/types.h>
#include "mech/private.h"

struct kv_private {
    unsigned references; /* atomic */
    enum kv_kind kind;
    struct kv_public *public;
    struct kv_bytes pkcs8;                  /* locked */
    struct kv_view parts[KV_PRIVATE_PARTS]; /* inside pkcs8 */
};

/* Writes the PrivateKeyInfo of these numbers and reads it back as a key. `public` is taken over, also on failure. RSA: all parts; EC: the scalar, as wide as the field. */
KV_MUST_USE enum kv_status kv_private_join(struct kv_public *public,
                                           const struct kv_view parts[KV_PRIVATE_PARTS],
                                           struct kv_private **ret, struct kv_error *err);

/* The key as OpenSSL wants it, for one operation. NULL: memory is short, or OpenSSL says no. */
EVP_PKEY *kv_private_open(const struct kv_private *key);

/* The numbers as bytes in one locked block, of which the views are parts. */
KV_MUST_USE enum kv_status kv_private_export(BIGNUM *const numbers[], size_t count,
                                             struct kv_bytes *ret_block, struct kv_view *ret_parts);
/* A context that is set up to generate keys of a kind, and a key of it. NULL: OpenSSL says no. */
EVP_PKEY_CTX *kv_private_generator(enum kv_kind kind);
EVP_PKEY *kv_private_generate(EVP_PKEY_CTX *context);
/* OpenSSL's names of the parts. */
extern const char *const kv_private_rsa_names[KV_RSA_PARTS];

#endif
