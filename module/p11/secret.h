/* Session secret keys: made, brought in, copied, wrapped under another key and unwrapped by one. PKCS#11 §5.7, §5.14. */
#ifndef KV_P11_SECRET_H
#define KV_P11_SECRET_H

#include "attrs.h"
#include "out.h"

CK_RV kv_secret_create(struct kv_call *call, struct kv_template template, CK_OBJECT_HANDLE *ret);
CK_RV kv_secret_generate(struct kv_call *call, const CK_MECHANISM *mechanism, struct kv_template template,
                         CK_OBJECT_HANDLE *ret);
CK_RV kv_secret_copy(struct kv_call *call, CK_OBJECT_HANDLE from, struct kv_template template,
                     CK_OBJECT_HANDLE *ret);

struct kv_secret_wrap {
    const CK_MECHANISM *mechanism;
    CK_OBJECT_HANDLE wrapping;
    CK_OBJECT_HANDLE key;        /* C_WrapKey */
    struct kv_view wrapped;      /* C_UnwrapKey */
    struct kv_template template; /* C_UnwrapKey */
};
CK_RV kv_secret_wrap(struct kv_call *call, const struct kv_secret_wrap *wrap, struct kv_out out);
CK_RV kv_secret_unwrap(struct kv_call *call, const struct kv_secret_wrap *wrap, CK_OBJECT_HANDLE *ret);

#endif
