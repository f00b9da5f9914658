/* How an operation takes its bytes: a digest, a message authentication code or a cipher as they come, or all of them kept for one request at the
 * end. What the operation is for is operation.c's. Used under the session's lock. */
#ifndef KV_P11_ENGINE_H
#define KV_P11_ENGINE_H

#include "operation.h"

/* By key and mechanism, chosen before; kv_operation_reset ends it. */
KV_MUST_USE enum kv_status kv_engine_start(struct kv_operation *operation);
bool kv_engine_takes_parts(const struct kv_operation *operation);
/* Not for ciphers, which give while they take. */
KV_MUST_USE enum kv_status kv_engine_absorb(struct kv_operation *operation, struct kv_view in);
/* The last bytes, and what became of all of them: digest, code, or the bytes themselves. */
KV_MUST_USE enum kv_status kv_engine_close(struct kv_operation *operation, struct kv_view in,
                                           struct kv_bytes *ret);
/* What a step gives when `in` is added to what was taken before: exact, or an upper bound (kv_engine_is_exact). No request. */
size_t kv_engine_size(const struct kv_operation *operation, struct kv_piece in);
bool kv_engine_is_exact(const struct kv_operation *operation);

#endif
