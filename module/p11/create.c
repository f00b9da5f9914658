#include "create.h"

#include <string.h>
#include "base/encode.h"
#include "call.h"
#include "secret.h"

enum { TAG_OCTET_STRING = 4, TAG_OID = 6, POINT_PLAIN = 4 };

/* --- kinds --- */

static CK_RV number_in(struct kv_call *call, struct kv_template template, CK_ATTRIBUTE_TYPE type,
                       CK_ULONG *ret)
{
    const CK_ATTRIBUTE *item = kv_attrs_find(template, type);
    *ret = CK_UNAVAILABLE_INFORMATION;
    if (!item)
        return CKR_OK;
    if (item->ulValueLen != sizeof *ret)
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx has a malformed value",
                              type);
    memcpy(ret, item->pValue, sizeof *ret);
    return CKR_OK;
}

CK_RV kv_create_kind(struct kv_call *call, struct kv_template template, struct kv_create_kind *ret)
{
    if (!kv_attrs_sound(template))
        return CKR_ARGUMENTS_BAD;
    CK_RV rv = number_in(call, template, CKA_CLASS, &ret->type);
    return rv ? rv : number_in(call, template, CKA_KEY_TYPE, &ret->key_type);
}

CK_RV kv_create_begin(struct kv_call *call, struct kv_create_kind kind, struct kv_object **ret)
{
    static const struct kv_create_kind offered[] = {
        { CKO_SECRET_KEY, CKK_AES },  { CKO_SECRET_KEY, CKK_GENERIC_SECRET },
        { CKO_SECRET_KEY, CKK_HKDF }, { CKO_PUBLIC_KEY, CKK_RSA },
        { CKO_PUBLIC_KEY, CKK_EC },   { CKO_PRIVATE_KEY, CKK_RSA },
        { CKO_PRIVATE_KEY, CKK_EC },
    };
    for (size_t i = 0; i < sizeof offered / sizeof *offered; i++)
        if (offered[i].type == kind.type && offered[i].key_type == kind.key_type) {
            if (kv_object_new(call, kind.type, ret))
                return CKR_HOST_MEMORY;
            (*ret)->key_type = kind.key_type;
            return CKR_OK;
        }
    return kv_call_refuse(
        call, CKR_TEMPLATE_INCONSISTENT,
        "class 0x%lx with key type 0x%lx is not offered: AES, generic and HKDF secret keys, "
        "RSA and EC public and private keys are",
        kind.type, kind.key_type);
}

void kv_create_abilities(struct kv_object *object, struct kv_template template)
{
    static const struct {
        CK_OBJECT_CLASS type;
        CK_KEY_TYPE key_type;
        CK_ATTRIBUTE_TYPE attribute;
        unsigned flag;
    } defaults[] = {
        { CKO_SECRET_KEY, CKK_AES, CKA_ENCRYPT, KV_CAN_ENCRYPT },
        { CKO_SECRET_KEY, CKK_AES, CKA_DECRYPT, KV_CAN_DECRYPT },
        { CKO_SECRET_KEY, CKK_AES, CKA_WRAP, KV_CAN_WRAP },
        { CKO_SECRET_KEY, CKK_AES, CKA_UNWRAP, KV_CAN_UNWRAP },
        { CKO_SECRET_KEY, CKK_GENERIC_SECRET, CKA_SIGN, KV_CAN_SIGN },
        { CKO_SECRET_KEY, CKK_GENERIC_SECRET, CKA_VERIFY, KV_CAN_VERIFY },
        { CKO_PUBLIC_KEY, CKK_RSA, CKA_ENCRYPT, KV_CAN_ENCRYPT },
        { CKO_PUBLIC_KEY, CKK_RSA, CKA_WRAP, KV_CAN_WRAP },
        { CKO_PUBLIC_KEY, CKK_RSA, CKA_VERIFY, KV_CAN_VERIFY },
        { CKO_PUBLIC_KEY, CKK_EC, CKA_VERIFY, KV_CAN_VERIFY },
        { CKO_PRIVATE_KEY, CKK_RSA, CKA_DECRYPT, KV_CAN_DECRYPT },
        { CKO_PRIVATE_KEY, CKK_RSA, CKA_UNWRAP, KV_CAN_UNWRAP },
        { CKO_PRIVATE_KEY, CKK_RSA, CKA_SIGN, KV_CAN_SIGN },
        { CKO_PRIVATE_KEY, CKK_EC, CKA_SIGN, KV_CAN_SIGN },
    };
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (object->type == defaults[i].type && object->key_type == defaults[i].key_type &&
            !kv_attrs_find(template, defaults[i].attribute))
            object->flags |= defaults[i].flag;
}

void kv_create_mark_local(struct kv_object *object, CK_MECHANISM_TYPE mechanism)
{
    object->secret->generated_by = mechanism;
    object->flags |= KV_IS_LOCAL;
    if (object->type == CKO_PUBLIC_KEY)
        return;
    object->flags |= object->flags & KV_IS_SENSITIVE ? KV_IS_ALWAYS_SENSITIVE : 0;
    object->flags |= object->flags & KV_IS_EXTRACTABLE ? 0 : KV_IS_NEVER_EXTRACTABLE;
}

/* --- C_CreateObject --- */

static CK_RV refuse_value(struct kv_call *call)
{
    return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID, "%s",
                          call->err.text[0] ? call->err.text : "the numbers make no key");
}

CK_RV kv_create_curve(struct kv_call *call, const struct kv_raw *raw, const struct kv_curve **ret)
{
    struct kv_view params = KV_VIEW(raw->ec_params), oid;
    *ret = kv_curve_by_params(params);
    if (*ret)
        return CKR_OK;
    if (kv_der_read(&params, TAG_OID, &oid) || params.len)
        return kv_call_refuse(call, CKR_DOMAIN_PARAMS_INVALID,
                              "CKA_EC_PARAMS is not the object identifier of a curve");
    return kv_call_refuse(call, CKR_CURVE_NOT_SUPPORTED,
                          "CKA_EC_PARAMS names none of P-256, P-384, P-521, P-256K");
}

/* CKA_EC_POINT is a DER OCTET STRING; some clients leave that out, and the length tells them apart. */
CK_RV kv_create_point(struct kv_call *call, const struct kv_curve *curve, struct kv_view given,
                      struct kv_view *ret)
{
    size_t size = 1 + 2 * (size_t)curve->width;
    struct kv_view point = given;
    if (given.len != size && (kv_der_read(&given, TAG_OCTET_STRING, &point) || given.len))
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID,
                              "CKA_EC_POINT is not an OCTET STRING with a point");
    if (point.len == 1 + (size_t)curve->width && (point.data[0] == 2 || point.data[0] == 3))
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT,
                              "CKA_EC_POINT is compressed: the uncompressed form is taken");
    if (point.len != size || point.data[0] != POINT_PLAIN)
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID,
                              "CKA_EC_POINT is not an uncompressed point of %s", curve->name);
    *ret = point;
    return CKR_OK;
}

static CK_RV make_public_ec(struct kv_call *call, struct kv_object *object)
{
    const struct kv_raw *raw = object->secret->raw;
    const struct kv_curve *curve;
    struct kv_view point;
    CK_RV rv = kv_create_curve(call, raw, &curve);
    if (!rv)
        rv = kv_create_point(call, curve, KV_VIEW(raw->ec_point), &point);
    if (rv)
        return rv;
    enum kv_status status = kv_public_from_ec(curve->name, (struct kv_view){ point.data + 1, curve->width },
                                              (struct kv_view){ point.data + 1 + curve->width, curve->width },
                                              &object->secret->public, &call->err);
    if (status == KV_BAD_DATA)
        return kv_call_refuse(call, CKR_PUBLIC_KEY_INVALID, "CKA_EC_POINT is no point of %s", curve->name);
    return kv_call_status(call, status, 0);
}

static CK_RV make_public_rsa(struct kv_call *call, struct kv_object *object)
{
    const struct kv_bytes *parts = object->secret->raw->parts;
    enum kv_status status = kv_public_from_rsa(kv_view_minimal(KV_VIEW(parts[KV_PART_MODULUS])),
                                               kv_view_minimal(KV_VIEW(parts[KV_PART_EXPONENT])),
                                               &object->secret->public, &call->err);
    if (status == KV_BAD_DATA || status == KV_KEY_SIZE)
        return refuse_value(call);
    return kv_call_status(call, status, 0);
}

static CK_RV private_made(struct kv_call *call, struct kv_object *object, enum kv_status status)
{
    if (status == KV_BAD_DATA || status == KV_KEY_SIZE)
        return refuse_value(call);
    if (status)
        return kv_call_status(call, status, 0);
    object->secret->public = kv_public_ref(kv_private_public(object->secret->private));
    return CKR_OK;
}

static CK_RV make_private_rsa(struct kv_call *call, struct kv_object *object)
{
    struct kv_view parts[KV_RSA_PARTS];
    for (int i = 0; i < KV_RSA_PARTS; i++)
        parts[i] = kv_view_minimal(KV_VIEW(object->secret->raw->parts[i]));
    return private_made(call, object, kv_private_from_rsa(parts, &object->secret->private, &call->err));
}

static CK_RV make_private_ec(struct kv_call *call, struct kv_object *object)
{
    const struct kv_raw *raw = object->secret->raw;
    const struct kv_curve *curve;
    struct kv_view point;
    CK_RV rv = kv_create_curve(call, raw, &curve);
    if (!rv)
        rv = private_made(call, object,
                          kv_private_from_ec(curve, KV_VIEW(raw->parts[KV_PART_SCALAR]),
                                             &object->secret->private, &call->err));
    if (rv || !raw->ec_point.len)
        return rv;
    rv = kv_create_point(call, curve, KV_VIEW(raw->ec_point), &point);
    if (!rv && !kv_view_equal(point, kv_public_point(object->secret->public)))
        rv = kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID,
                            "CKA_EC_POINT is not the public half of CKA_VALUE");
    return rv;
}

static const struct {
    CK_OBJECT_CLASS type;
    CK_KEY_TYPE key_type;
    CK_RV (*make)(struct kv_call *call, struct kv_object *object);
} makers[] = {
    { CKO_PUBLIC_KEY, CKK_RSA, make_public_rsa },
    { CKO_PUBLIC_KEY, CKK_EC, make_public_ec },
    { CKO_PRIVATE_KEY, CKK_RSA, make_private_rsa },
    { CKO_PRIVATE_KEY, CKK_EC, make_private_ec },
};

static CK_RV make(struct kv_call *call, struct kv_object *object)
{
    CK_RV rv = CKR_OK;
    if (object->type == CKO_SECRET_KEY)
        return kv_secret_check_length(call, object, object->secret->value.len);
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (makers[i].type == object->type && makers[i].key_type == object->key_type)
            rv = makers[i].make(call, object);
    const struct kv_bytes *info = &object->secret->raw->public_info;
    if (!rv && info->len && !kv_view_equal(KV_VIEW(*info), kv_public_spki(object->secret->public)))
        rv = kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID,
                            "CKA_PUBLIC_KEY_INFO is not that of the key's other attributes");
    return rv;
}

/* Or a class that the template does not name, of which nothing can be said. */
static bool is_key(CK_OBJECT_CLASS type)
{
    return type == CKO_SECRET_KEY || type == CKO_PUBLIC_KEY || type == CKO_PRIVATE_KEY ||
           type == CK_UNAVAILABLE_INFORMATION;
}

CK_RV kv_create_object(struct kv_call *call, struct kv_template template, CK_OBJECT_HANDLE *ret)
{
    KV_AUTO_OBJECT struct kv_object *object = NULL;
    struct kv_create_kind kind;
    if (!ret)
        return CKR_ARGUMENTS_BAD;
    CK_RV rv = kv_create_kind(call, template, &kind);
    if (rv)
        return rv;
    if (!is_key(kind.type))
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT,
                              "objects of class 0x%lx are not offered: keys are", kind.type);
    if (kind.type == CK_UNAVAILABLE_INFORMATION || kind.key_type == CK_UNAVAILABLE_INFORMATION)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_CLASS or CKA_KEY_TYPE is missing");
    rv = kv_create_begin(call, kind, &object);
    if (!rv)
        rv = kv_attrs_apply(call, object, template, KV_SET_CREATE);
    if (!rv)
        rv = kv_attrs_complete(call, object, template);
    if (!rv)
        rv = make(call, object);
    if (rv)
        return rv;
    kv_object_forget_raw(object);
    kv_create_abilities(object, template);
    return kv_call_status(call, kv_object_add(call, kv_take(object), ret), 0);
}

/* --- C_CopyObject --- */

CK_RV kv_create_copy(struct kv_call *call, CK_OBJECT_HANDLE from, struct kv_template template,
                     CK_OBJECT_HANDLE *ret)
{
    if (!ret)
        return CKR_ARGUMENTS_BAD;
    KV_AUTO_OBJECT struct kv_object *source = kv_object_get(call, from);
    if (!source)
        return CKR_OBJECT_HANDLE_INVALID;
    if (!(source->flags & KV_IS_COPYABLE))
        return kv_call_refuse(call, CKR_ACTION_PROHIBITED, "this object cannot be copied");
    KV_AUTO_OBJECT struct kv_object *copy = NULL;
    if (kv_object_clone(source, &copy))
        return CKR_HOST_MEMORY;
    CK_RV rv = kv_attrs_apply(call, copy, template, KV_SET_COPY);
    return rv ? rv : kv_call_status(call, kv_object_add(call, kv_take(copy), ret), 0);
}
