/* Objects that every slot has and nobody made: which profiles of PKCS#11 the token follows, and its mechanisms. They are built when they are asked for;
 * their handles come from what they are, above all that are counted. PKCS#11 3.0 §4.7 (mechanisms), §4.13 (profiles). */
#include "attr_rules.h"

#include "call.h"

#define FIXED_HANDLE ((CK_OBJECT_HANDLE)1 << (sizeof(CK_OBJECT_HANDLE) * 8 - 1))
#define FIXED_KIND   ((CK_OBJECT_HANDLE)1 << (sizeof(CK_OBJECT_HANDLE) * 8 - 2))

/* What is claimed here is held by tests/p11/test_profiles.c. */
static const CK_ULONG profiles[] = { CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER, CKP_AUTHENTICATION_TOKEN };
enum { PROFILES = sizeof profiles / sizeof *profiles };

/* The i-th object of this class; false past the last. Mechanisms are named by their first row in the table. */
static bool fixed_value(const struct kv_slot *slot, CK_OBJECT_CLASS type, size_t i, CK_ULONG *ret)
{
    if (type == CKO_PROFILE) {
        *ret = i < PROFILES ? profiles[i] : 0;
        return i < PROFILES;
    }
    CK_MECHANISM_TYPE types[KV_MECHANISM_TYPES];
    size_t count = type == CKO_MECHANISM ? kv_mech_types(&slot->offer, types, KV_MECHANISM_TYPES) : 0;
    if (i >= count || i >= KV_MECHANISM_TYPES)
        return false;
    *ret = types[i];
    return true;
}

enum kv_status kv_object_fixed(struct kv_call *call, CK_OBJECT_CLASS type, size_t i, struct kv_object **ret)
{
    const struct kv_slot *slot = kv_call_slot(call);
    CK_ULONG value;
    *ret = NULL;
    if (!fixed_value(slot, type, i, &value))
        return KV_OK;
    struct kv_object *object = calloc(1, sizeof *object);
    if (!object)
        return KV_NO_MEMORY;
    object->references = 1;
    object->handle = FIXED_HANDLE | (type == CKO_MECHANISM ? FIXED_KIND : 0) | i;
    object->slot = call->session->slot;
    object->type = type;
    object->key_type = CK_UNAVAILABLE_INFORMATION;
    object->flags = KV_IS_TOKEN;
    object->offer = &slot->offer;
    object->fixed = value;
    *ret = object;
    return KV_OK;
}

bool kv_object_is_fixed(CK_OBJECT_HANDLE handle)
{
    return handle & FIXED_HANDLE;
}

struct kv_object *kv_object_fixed_get(struct kv_call *call, CK_OBJECT_HANDLE handle)
{
    CK_OBJECT_CLASS type = handle & FIXED_KIND ? CKO_MECHANISM : CKO_PROFILE;
    struct kv_object *object = NULL;
    return kv_object_fixed(call, type, handle & ~(FIXED_HANDLE | FIXED_KIND), &object) ? NULL : object;
}
