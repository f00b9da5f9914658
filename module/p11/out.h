/* The two-call convention, once: PKCS#11 §5.2 "conventions for functions returning output in a variable-length buffer". Any thread. */
#ifndef KV_P11_OUT_H
#define KV_P11_OUT_H

#include "mech/pkcs11.h"
#include "base/bytes.h"

struct kv_out {
    CK_BYTE_PTR data;
    CK_ULONG_PTR len; /* in: room; out: what there is or what is needed */
};

/* Says how much is needed, and whether the caller's buffer takes it. *len is not read when data is NULL. */
CK_RV kv_out_room(struct kv_out out, size_t need, bool *ret_fill);
/* The whole convention for bytes that are there already. */
CK_RV kv_out_bytes(struct kv_out out, struct kv_view bytes);
bool kv_out_query(struct kv_out out); /* only the size is asked */

#endif
