/* Status → CK_RV, in this one place. Any thread. */
#ifndef KV_P11_CKR_H
#define KV_P11_CKR_H

#include "mech/pkcs11.h"
#include "base/status.h"
#include "kvp11.h"

CK_RV kv_ckr(enum kv_status status);
/* The same for C_WrapKey and C_UnwrapKey, which have words of their own for the key that does the work and for the wrapped key, and for
 * the message-based functions. `operation` is a KV_OP_*, with KV_OP_MESSAGE for those. */
CK_RV kv_ckr_for(enum kv_status status, unsigned operation);
const char *kv_ckr_name(CK_RV rv); /* "CKR_DATA_INVALID"; "CKR_?" when it is none of ours */

#endif
