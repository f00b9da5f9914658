/* Objects that every slot has and nobody made: which profiles of PKCS#11 the token follows, and its mechanisms. They are built with their slot, so that
 * looking one up needs no memory; their handles come from what they are, above all that are counted. PKCS#11 3.0 §4.7 (mechanisms), §4.13 (profiles). */
#include "attr_rules.h"

#include "call.h"

#define FIXED_HANDLE ((CK_OBJECT_HANDLE)1 << (sizeof(CK_OBJECT_HANDLE) * 8 - 1))
#define FIXED_KIND   ((CK_OBJECT_HANDLE)1 << (sizeof(CK_OBJECT_HANDLE) * 8 - 2))

/* What is claimed here is held by tests/p11/test_profiles.c. */
static const CK_ULONG profiles[] = { CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER, CKP_AUTHENTICATION_TOKEN };
enum { PROFILES = sizeof profiles / sizeof *profiles };

static void add(struct kv_slot *slot, CK_OBJECT_CLASS type, size_t i, CK_ULONG value)
{
    /* The slot keeps one reference for ever: kv_object_free never comes to the last. */
    slot->fixed[slot->fixed_count++] = (struct kv_object){
        .handle = FIXED_HANDLE | (type == CKO_MECHANISM ? FIXED_KIND : 0) | i,
        .slot = slot->id,
        .type = type,
        .key_type = CK_UNAVAILABLE_INFORMATION,
        .flags = KV_IS_TOKEN,
        .offer = &slot->offer,
        .fixed = value,
        .references = 1,
    };
}

enum kv_status kv_object_fixed_open(struct kv_slot *slot)
{
    CK_MECHANISM_TYPE types[KV_MECHANISM_TYPES];
    size_t count = kv_mech_types(&slot->offer, types, KV_MECHANISM_TYPES);
    slot->fixed = calloc(PROFILES + KV_MECHANISM_TYPES, sizeof *slot->fixed);
    if (!slot->fixed)
        return KV_NO_MEMORY;
    for (size_t i = 0; i < PROFILES; i++)
        add(slot, CKO_PROFILE, i, profiles[i]);
    for (size_t i = 0; i < count && i < KV_MECHANISM_TYPES; i++) /* named by their first row in the table */
        add(slot, CKO_MECHANISM, i, types[i]);
    return KV_OK;
}

void kv_object_fixed_close(struct kv_slot *slot)
{
    free(slot->fixed);
    slot->fixed = NULL;
    slot->fixed_count = 0;
}

struct kv_object *kv_object_fixed(struct kv_call *call, CK_OBJECT_CLASS type, size_t i)
{
    const struct kv_slot *slot = kv_call_slot(call);
    size_t first = type == CKO_PROFILE ? 0 : PROFILES,
           end = type == CKO_PROFILE ? PROFILES : slot->fixed_count;
    if ((type != CKO_PROFILE && type != CKO_MECHANISM) || i >= end - first)
        return NULL;
    return kv_object_ref(&slot->fixed[first + i]);
}

bool kv_object_is_fixed(CK_OBJECT_HANDLE handle)
{
    return handle & FIXED_HANDLE;
}

struct kv_object *kv_object_fixed_get(struct kv_call *call, CK_OBJECT_HANDLE handle)
{
    CK_OBJECT_CLASS type = handle & FIXED_KIND ? CKO_MECHANISM : CKO_PROFILE;
    return kv_object_fixed(call, type, handle & ~(FIXED_HANDLE | FIXED_KIND));
}
