/* EME-OAEP decoding (RFC 8017 §7.1.2, step 3) with SHA-256, for tokens that do no more than the number. Any thread. */
#ifndef KV_TOOLS_TOKEN_OAEP_H
#define KV_TOOLS_TOKEN_OAEP_H

#include "base/bytes.h"

/* `block`: what the private key made, `size` bytes or, where zeroes in front were left away, fewer. KV_BAD_CIPHERTEXT: not so padded, without a word on why. */
KV_MUST_USE enum kv_status kv_token_unpad(struct kv_view block, size_t size, const char *label,
                                          struct kv_bytes *ret, struct kv_error *err);

#endif
