/* The inside of a kv_private, for private.c (reading, holding), private_make.c (numbers into keys) and private_ops.c (working with it). */
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

#endif
