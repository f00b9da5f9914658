/* C_WrapKey and C_UnwrapKey: keys of the session under a vault's key or another of the session. PKCS#11 §5.18.3, §5.18.4, §6.7. */
#ifndef KV_P11_WRAP_H
#define KV_P11_WRAP_H

#include "attrs.h"
#include "out.h"

struct kv_wrap {
    const CK_MECHANISM *mechanism;
    CK_OBJECT_HANDLE wrapping;
    CK_OBJECT_HANDLE key;        /* C_WrapKey */
    struct kv_view wrapped;      /* C_UnwrapKey */
    struct kv_template template; /* C_UnwrapKey */
};
CK_RV kv_wrap_key(struct kv_call *call, const struct kv_wrap *wrap, struct kv_out out);
CK_RV kv_wrap_unwrap(struct kv_call *call, const struct kv_wrap *wrap, CK_OBJECT_HANDLE *ret);

/* CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE: what the application wants and what the key imposes, as one template. free() ret->items.
 * CKR_TEMPLATE_INCONSISTENT: the two contradict each other. */
CK_RV kv_wrap_impose(struct kv_call *call, struct kv_template wanted, const struct kv_attr_list *imposed,
                     struct kv_template *ret);

#endif
