/* C_DeriveKey: HKDF over secret keys of the session. PKCS#11 §5.18.5, §6.62. */
#ifndef KV_P11_DERIVE_H
#define KV_P11_DERIVE_H

#include "attrs.h"

struct kv_derive {
    const CK_MECHANISM *mechanism;
    CK_OBJECT_HANDLE base;
    struct kv_template template;
};
CK_RV kv_derive_key(struct kv_call *call, const struct kv_derive *derive, CK_OBJECT_HANDLE *ret);

#endif
