/* Searches: what of the keyring and of the session objects fits a template. Only C_FindObjectsInit may reach the network, and only for a template that a
 * vault's key could fit. PKCS#11 §5.7. */
#ifndef KV_P11_FIND_H
#define KV_P11_FIND_H

#include "attrs.h"

struct kv_find { /* under the session's lock */
    bool active;
    CK_OBJECT_HANDLE *handles;
    size_t count, room, next;
};

CK_RV kv_find_init(struct kv_call *call, struct kv_template template);
CK_RV kv_find_next(struct kv_call *call, CK_OBJECT_HANDLE_PTR list, CK_ULONG room, CK_ULONG_PTR ret_count);
CK_RV kv_find_final(struct kv_call *call);
void kv_find_reset(struct kv_find *find);

#endif
