/* Reading, comparing and setting attributes by the rules of attr_rules.c. Never any network. Any thread. PKCS#11 §4, §5.7. */
#ifndef KV_P11_ATTRS_H
#define KV_P11_ATTRS_H

#include "attr_rules.h"

struct kv_template {
    const CK_ATTRIBUTE *items; /* borrowed from the caller */
    CK_ULONG count;
};

/* C_GetAttributeValue: every attribute is answered, whatever becomes of the others; the first trouble is the return value. */
CK_RV kv_attrs_read(struct kv_call *call, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *items, CK_ULONG count);
/* C_SetAttributeValue. */
CK_RV kv_attrs_modify(struct kv_call *call, CK_OBJECT_HANDLE handle, struct kv_template template);

/* Does the object have every attribute of the template with this value? What is hidden equals nothing. A failure: not known for lack of memory. */
KV_MUST_USE enum kv_status kv_attrs_compare(const struct kv_object *object, struct kv_template template,
                                            bool *ret);
/* The value of one attribute in a template, NULL: not there. */
const CK_ATTRIBUTE *kv_attrs_find(struct kv_template template, CK_ATTRIBUTE_TYPE type);
/* NULL pointers where there is a length, as PKCS#11 forbids. */
bool kv_attrs_sound(struct kv_template template);

/* Sets what the template says on an object that nobody else has; `how` is one KV_SET_* of CREATE, GENERATE, UNWRAP, COPY, MODIFY. */
CK_RV kv_attrs_apply(struct kv_call *call, struct kv_object *object, struct kv_template template,
                     unsigned how);
/* Nothing is set; may the template stand there? `how` is any number of KV_SET_*: what one of them allows is allowed. */
CK_RV kv_attrs_check(struct kv_call *call, const struct kv_object *object, struct kv_template template,
                     unsigned how);
/* C_CreateObject: is all there that must be? */
CK_RV kv_attrs_complete(struct kv_call *call, const struct kv_object *object, struct kv_template template);

#endif
