/* New objects of a session: what every way to make one begins and ends with, C_CreateObject and C_CopyObject. PKCS#11 §4.1, §5.7. */
#ifndef KV_P11_CREATE_H
#define KV_P11_CREATE_H

#include "attrs.h"

CK_RV kv_create_object(struct kv_call *call, struct kv_template template, CK_OBJECT_HANDLE *ret);
CK_RV kv_create_copy(struct kv_call *call, CK_OBJECT_HANDLE from, struct kv_template template,
                     CK_OBJECT_HANDLE *ret);

/* Class and key type, which decide what the other attributes mean. As the template says, or as the way of making says (`type` not CK_UNAVAILABLE_INFORMATION). */
struct kv_create_kind {
    CK_OBJECT_CLASS type;
    CK_KEY_TYPE key_type;
};
/* The kind of the template: CK_UNAVAILABLE_INFORMATION where it is silent. CKR_ATTRIBUTE_VALUE_INVALID. */
CK_RV kv_create_kind(struct kv_call *call, struct kv_template template, struct kv_create_kind *ret);
/* An object of this kind, its template not applied yet. CKR_TEMPLATE_INCONSISTENT: no such kind is offered. */
CK_RV kv_create_begin(struct kv_call *call, struct kv_create_kind kind, struct kv_object **ret);
/* What the key may do when its template is silent. */
void kv_create_abilities(struct kv_object *object, struct kv_template template);
/* CKA_LOCAL and what follows from having been generated here. */
void kv_create_mark_local(struct kv_object *object, CK_MECHANISM_TYPE mechanism);

/* The curve that raw CKA_EC_PARAMS name. CKR_CURVE_NOT_SUPPORTED, CKR_DOMAIN_PARAMS_INVALID. */
CK_RV kv_create_curve(struct kv_call *call, const struct kv_raw *raw, const struct kv_curve **ret);
/* The point in a CKA_EC_POINT, which *ret borrows. CKR_ATTRIBUTE_VALUE_INVALID; compressed: CKR_TEMPLATE_INCONSISTENT. */
CK_RV kv_create_point(struct kv_call *call, const struct kv_curve *curve, struct kv_view given,
                      struct kv_view *ret);

#endif
