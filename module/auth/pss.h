/* EMSA-PSS (RFC 8017 §9.1.1) with SHA-256, for modules that only raise a number to the key's power. Any thread. */
#ifndef KV_AUTH_PSS_H
#define KV_AUTH_PSS_H

#include "base/bytes.h"

/* `digest`: 32 bytes. A fresh salt of the same length. ret is as long as a modulus of so many bits. */
KV_MUST_USE enum kv_status kv_pss_encode(const unsigned char digest[32], int bits, struct kv_bytes *ret);

#endif
