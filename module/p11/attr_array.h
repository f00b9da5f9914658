/* Attributes whose value is an array of attributes (CKA_WRAP_TEMPLATE and its like): copied to the last byte, one level deep, bounded. PKCS#11 §4.1, §5.7.5. */
#ifndef KV_P11_ATTR_ARRAY_H
#define KV_P11_ATTR_ARRAY_H

#include "mech/pkcs11.h"
#include "base/bytes.h"

enum { KV_ATTR_ARRAY_MAX = 64, KV_ATTR_ARRAY_BYTES = 16384 };

struct kv_attr_list {
    CK_ATTRIBUTE *items; /* NULL: not given; their values stand in the same block */
    CK_ULONG count;
    size_t size; /* of the block */
};

/* `value` is what a template has: an array of CK_ATTRIBUTE. KV_BAD_DATA: no such array; KV_UNSUPPORTED: an array within it, or more than is taken. */
KV_MUST_USE enum kv_status kv_attr_array_take(struct kv_view value, struct kv_attr_list *ret);
KV_MUST_USE enum kv_status kv_attr_array_copy(const struct kv_attr_list *from, struct kv_attr_list *ret);
void kv_attr_array_free(struct kv_attr_list *list);

/* C_GetAttributeValue of one: `value` as kv_attr_array_view gives it. */
struct kv_view kv_attr_array_view(const struct kv_attr_list *list);
CK_RV kv_attr_array_read(struct kv_view value, CK_ATTRIBUTE *item);
bool kv_attr_array_equal(struct kv_view a, struct kv_view b);

#endif
