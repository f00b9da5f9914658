#include "derive.h"

#include <string.h>
#include "call.h"
#include "create.h"
#include "secret.h"
#include "wrap.h"

static CK_RV prepare(struct kv_call *call, struct kv_template template, struct kv_object **ret)
{
    KV_AUTO_OBJECT struct kv_object *object = NULL;
    struct kv_create_kind kind;
    CK_RV rv = kv_create_kind(call, template, &kind);
    if (rv)
        return rv;
    if (kind.type == CK_UNAVAILABLE_INFORMATION)
        kind.type = CKO_SECRET_KEY;
    if (kind.type != CKO_SECRET_KEY)
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT, "what is derived is a secret key");
    /* PKCS#11 says of other derivations: without a type, a generic secret key. */
    if (kind.key_type == CK_UNAVAILABLE_INFORMATION)
        kind.key_type = CKK_GENERIC_SECRET;
    rv = kv_create_begin(call, kind, &object);
    if (!rv)
        rv = kv_attrs_apply(call, object, template, KV_SET_GENERATE);
    if (rv)
        return rv;
    kv_create_abilities(object, template);
    *ret = kv_take(object);
    return CKR_OK;
}

/* Expanded: as long as CKA_VALUE_LEN says; only extracted: as long as the hash is, whatever else is asked for. */
static CK_RV length_of(struct kv_call *call, const struct kv_object *object, const struct kv_hkdf *hkdf,
                       size_t *ret)
{
    size_t block = kv_digest_size(hkdf->evp), wanted = object->secret->wanted_len;
    if (hkdf->expand && !wanted)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_VALUE_LEN is missing");
    if (!hkdf->expand && wanted && wanted != block)
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT,
                              "HKDF without its expansion gives %zu bytes, CKA_VALUE_LEN says %zu", block,
                              wanted);
    *ret = hkdf->expand ? wanted : block;
    if (*ret > 255 * block)
        return kv_call_refuse(call, CKR_KEY_SIZE_RANGE, "HKDF with this hash gives at most %zu bytes",
                              255 * block);
    return kv_secret_check_length(call, object, *ret);
}

/* A salt that is a key: any secret key of the session that may be derived from. *ret_key keeps it. */
static CK_RV salt_of(struct kv_call *call, const CK_HKDF_PARAMS *params, struct kv_object **ret_key,
                     struct kv_view *ret)
{
    if (!params->bExtract || params->ulSaltType == CKF_HKDF_SALT_NULL)
        return CKR_OK;
    if (params->ulSaltType == CKF_HKDF_SALT_DATA) {
        *ret = (struct kv_view){ params->pSalt, params->ulSaltLen };
        return CKR_OK;
    }
    KV_AUTO_OBJECT struct kv_object *key = kv_object_get(call, params->hSaltKey);
    if (!key || key->type != CKO_SECRET_KEY || !key->secret)
        return kv_call_refuse(call, CKR_KEY_HANDLE_INVALID, "hSaltKey %lu is no secret key of the session",
                              params->hSaltKey);
    if (!(key->flags & KV_CAN_DERIVE))
        return kv_call_refuse(call, CKR_KEY_FUNCTION_NOT_PERMITTED, "the salt's key has CKA_DERIVE false");
    *ret = KV_VIEW(key->secret->value);
    *ret_key = kv_take(key);
    return CKR_OK;
}

/* PKCS#11 §6.62.3: never cleaner than the key it comes from. */
static void inherit(const struct kv_object *base, struct kv_object *object)
{
    if (base->flags & KV_IS_ALWAYS_SENSITIVE && object->flags & KV_IS_SENSITIVE)
        object->flags |= KV_IS_ALWAYS_SENSITIVE;
    if (base->flags & KV_IS_NEVER_EXTRACTABLE && !(object->flags & KV_IS_EXTRACTABLE))
        object->flags |= KV_IS_NEVER_EXTRACTABLE;
}

static CK_RV derive_value(struct kv_call *call, const struct kv_pick *pick, const CK_HKDF_PARAMS *params,
                          struct kv_object *object)
{
    KV_AUTO_OBJECT struct kv_object *salt_key = NULL;
    struct kv_hkdf hkdf = { .extract = params->bExtract,
                            .expand = params->bExpand,
                            .evp = pick->mech.row->evp,
                            .key = KV_VIEW(pick->object->secret->value),
                            .info = { params->pInfo, params->ulInfoLen } };
    size_t len = 0;
    CK_RV rv = length_of(call, object, &hkdf, &len);
    if (!rv)
        rv = salt_of(call, params, &salt_key, &hkdf.salt);
    if (rv)
        return rv;
    return kv_call_status(call, kv_hkdf(&hkdf, len, &object->secret->value), KV_OP_DERIVE);
}

CK_RV kv_derive_key(struct kv_call *call, const struct kv_derive *derive, CK_OBJECT_HANDLE *ret)
{
    if (!derive->mechanism || !ret)
        return CKR_ARGUMENTS_BAD;
    KV_AUTO_OBJECT struct kv_object *object = NULL;
    KV_AUTO_PICK struct kv_pick pick = { 0 };
    struct kv_template template;
    CK_HKDF_PARAMS params;
    struct kv_pick_wish wish = { KV_OP_DERIVE, derive->mechanism, derive->base };
    enum kv_status status = kv_pick_open(call, &wish, &pick);
    if (status)
        return kv_call_status(call, status, KV_OP_DERIVE);
    memcpy(&params, derive->mechanism->pParameter, sizeof params);
    CK_RV rv = kv_wrap_impose(call, derive->template, &pick.object->secret->derive, &template);
    if (rv)
        return rv;
    KV_AUTO_FREE __attribute__((unused)) void *items = (void *)template.items;
    rv = prepare(call, template, &object);
    if (!rv)
        rv = derive_value(call, &pick, &params, object);
    if (rv)
        return rv;
    inherit(pick.object, object);
    return kv_call_status(call, kv_object_add(call, kv_take(object), ret), 0);
}
