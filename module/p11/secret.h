/* Secret keys of a session: generated here, or finished for those who bring their value. PKCS#11 §5.18.1. */
#ifndef KV_P11_SECRET_H
#define KV_P11_SECRET_H

#include "attrs.h"

CK_RV kv_secret_generate(struct kv_call *call, const CK_MECHANISM *mechanism, struct kv_template template,
                         CK_OBJECT_HANDLE *ret);

/* Has a key of this type such a length? CKR_ATTRIBUTE_VALUE_INVALID. */
CK_RV kv_secret_check_length(struct kv_call *call, const struct kv_object *object, size_t len);
bool kv_secret_length_fits(CK_KEY_TYPE type, size_t len);

#endif
