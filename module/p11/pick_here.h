/* The work of a kv_pick whose key lives in the session, by OpenSSL. For pick.c. */
#ifndef KV_P11_PICK_HERE_H
#define KV_P11_PICK_HERE_H

#include "pick.h"

KV_MUST_USE enum kv_status kv_pick_here_run(const struct kv_pick *pick, struct kv_view in,
                                            struct kv_bytes *ret, struct kv_error *err);
KV_MUST_USE enum kv_status kv_pick_here_sign(const struct kv_pick *pick, struct kv_view digest,
                                             struct kv_bytes *ret, struct kv_error *err);
KV_MUST_USE enum kv_status kv_pick_here_verify(const struct kv_pick *pick, struct kv_view digest,
                                               struct kv_view signature, struct kv_error *err);
size_t kv_pick_here_size(const struct kv_pick *pick); /* RSA and EC */

#endif
