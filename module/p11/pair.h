/* C_GenerateKeyPair. PKCS#11 §5.18.2. */
#ifndef KV_P11_PAIR_H
#define KV_P11_PAIR_H

#include "attrs.h"

struct kv_pair_wish {
    const CK_MECHANISM *mechanism;
    struct kv_template public, private;
};
CK_RV kv_pair_generate(struct kv_call *call, const struct kv_pair_wish *wish, CK_OBJECT_HANDLE *ret_public,
                       CK_OBJECT_HANDLE *ret_private);

#endif
