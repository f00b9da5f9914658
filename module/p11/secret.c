#include "secret.h"

#include "base/locked.h"
#include "call.h"
#include "create.h"

bool kv_secret_length_fits(CK_KEY_TYPE type, size_t len)
{
    return type == CKK_AES ? len == 16 || len == 24 || len == 32 : len >= 1 && len <= KV_SECRET_MAX;
}

CK_RV kv_secret_check_length(struct kv_call *call, const struct kv_object *object, size_t len)
{
    if (kv_secret_length_fits(object->key_type, len))
        return CKR_OK;
    return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID, "%zu bytes are a length that no such key has",
                          len);
}

static CK_KEY_TYPE type_of(CK_MECHANISM_TYPE mechanism)
{
    static const struct {
        CK_MECHANISM_TYPE mechanism;
        CK_KEY_TYPE type;
    } types[] = { { CKM_AES_KEY_GEN, CKK_AES }, { CKM_HKDF_KEY_GEN, CKK_HKDF } };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].mechanism == mechanism)
            return types[i].type;
    return CKK_GENERIC_SECRET;
}

static CK_RV prepare(struct kv_call *call, CK_MECHANISM_TYPE mechanism, struct kv_template template,
                     struct kv_object **ret)
{
    KV_AUTO_OBJECT struct kv_object *object = NULL;
    CK_RV rv = kv_create_begin(call, (struct kv_create_kind){ CKO_SECRET_KEY, type_of(mechanism) }, &object);
    if (!rv)
        rv = kv_attrs_apply(call, object, template, KV_SET_GENERATE);
    if (rv)
        return rv;
    if (!object->secret->wanted_len)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_VALUE_LEN is missing");
    rv = kv_secret_check_length(call, object, object->secret->wanted_len);
    if (rv)
        return rv;
    kv_create_abilities(object, template);
    kv_create_mark_local(object, mechanism);
    *ret = kv_take(object);
    return CKR_OK;
}

CK_RV kv_secret_generate(struct kv_call *call, const CK_MECHANISM *mechanism, struct kv_template template,
                         CK_OBJECT_HANDLE *ret)
{
    const struct kv_mech *row;
    KV_AUTO_OBJECT struct kv_object *object = NULL;
    if (!mechanism || !ret || !kv_attrs_sound(template))
        return CKR_ARGUMENTS_BAD;
    enum kv_status status = kv_pick_keyless(call, mechanism, KV_OP_GENERATE, &row);
    if (status)
        return kv_call_status(call, status, 0);
    CK_RV rv = prepare(call, mechanism->mechanism, template, &object);
    if (rv)
        return rv;
    struct kv_bytes *value = &object->secret->value;
    status = kv_bytes_alloc_locked(object->secret->wanted_len, value);
    if (!status)
        status = kv_random_bytes(value->data, value->len);
    if (!status)
        status = kv_object_add(call, kv_take(object), ret);
    return kv_call_status(call, status, 0);
}
