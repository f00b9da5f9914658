/* What SSH keys need of OpenSSL to be recipients and identities. Any thread. */
#ifndef KV_TOOLS_AGE_SSH_KEYS_H
#define KV_TOOLS_AGE_SSH_KEYS_H

#include "primitives.h"

/* The X25519 point of an Ed25519 public key (RFC 7748 §4.1). KV_BAD_DATA: it is no point. */
KV_MUST_USE enum kv_status kv_age_ed25519_point(const unsigned char key[KV_AGE_POINT],
                                                unsigned char ret[KV_AGE_POINT], struct kv_error *err);
/* The X25519 secret of an Ed25519 seed (RFC 8032 §5.1.5). */
KV_MUST_USE enum kv_status kv_age_ed25519_secret(const unsigned char seed[KV_AGE_KEY],
                                                 unsigned char ret[KV_AGE_KEY], struct kv_error *err);
/* RSA-OAEP with SHA-256 and a label. Numbers big-endian. KV_KEY_SIZE: fewer than 2048 bits. */
KV_MUST_USE enum kv_status kv_age_rsa_wrap(struct kv_view modulus, struct kv_view exponent, const char *label,
                                           struct kv_view plain, struct kv_bytes *ret, struct kv_error *err);

#endif
