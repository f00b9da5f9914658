#include "secret.h"

#include "call.h"

enum { KV_SECRET_MAX = 512 };

static bool length_fits(CK_KEY_TYPE type, size_t len)
{
    return type == CKK_AES ? len == 16 || len == 24 || len == 32 : len >= 1 && len <= KV_SECRET_MAX;
}

/* What an AES key may do when its template is silent. */
static void default_abilities(struct kv_object *object, struct kv_template template)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        unsigned flag;
    } defaults[] = { { CKA_ENCRYPT, KV_CAN_ENCRYPT },
                     { CKA_DECRYPT, KV_CAN_DECRYPT },
                     { CKA_WRAP, KV_CAN_WRAP },
                     { CKA_UNWRAP, KV_CAN_UNWRAP } };
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (object->key_type == CKK_AES && !kv_attrs_find(template, defaults[i].type))
            object->flags |= defaults[i].flag;
}

/* Gives the new key its value. Takes over both. */
static CK_RV finish(struct kv_call *call, struct kv_object *object, struct kv_bytes value,
                    CK_OBJECT_HANDLE *ret)
{
    kv_bytes_free(&object->secret.value);
    object->secret.value = value;
    return kv_call_status(call, kv_object_add(call, object, ret), 0);
}

CK_RV kv_secret_create(struct kv_call *call, struct kv_template template, CK_OBJECT_HANDLE *ret)
{
    KV_AUTO_OBJECT struct kv_object *object = NULL;
    if (!ret)
        return CKR_ARGUMENTS_BAD;
    if (kv_object_secret(call, &object))
        return CKR_HOST_MEMORY;
    CK_RV rv = kv_attrs_apply(call, object, template, KV_SET_CREATE);
    if (!rv)
        rv = kv_attrs_complete(call, object, template);
    if (rv)
        return rv;
    struct kv_bytes value = kv_bytes_take(&object->secret.value);
    if (!length_fits(object->key_type, value.len)) {
        kv_bytes_free(&value);
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_VALUE has a length no such key has");
    }
    default_abilities(object, template);
    return finish(call, kv_take(object), value, ret);
}

static CK_RV generate(struct kv_call *call, struct kv_object *object, CK_MECHANISM_TYPE mechanism,
                      struct kv_template template)
{
    object->key_type = mechanism == CKM_AES_KEY_GEN ? CKK_AES : CKK_GENERIC_SECRET;
    CK_RV rv = kv_attrs_apply(call, object, template, KV_SET_GENERATE);
    if (rv)
        return rv;
    if (!object->secret.wanted_len)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_VALUE_LEN is missing");
    if (!length_fits(object->key_type, object->secret.wanted_len))
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID, "CKA_VALUE_LEN %lu fits no such key",
                              object->secret.wanted_len);
    default_abilities(object, template);
    object->secret.generated_by = mechanism;
    object->flags |= KV_IS_LOCAL;
    object->flags |= object->flags & KV_IS_SENSITIVE ? KV_IS_ALWAYS_SENSITIVE : 0;
    object->flags |= object->flags & KV_IS_EXTRACTABLE ? 0 : KV_IS_NEVER_EXTRACTABLE;
    return CKR_OK;
}

CK_RV kv_secret_generate(struct kv_call *call, const CK_MECHANISM *mechanism, struct kv_template template,
                         CK_OBJECT_HANDLE *ret)
{
    KV_AUTO_OBJECT struct kv_object *object = NULL;
    KV_AUTO_BYTES struct kv_bytes value = { 0 };
    const struct kv_mech *row;
    if (!mechanism || !ret)
        return CKR_ARGUMENTS_BAD;
    enum kv_status status = kv_pick_keyless(call, mechanism, KV_OP_GENERATE, &row);
    if (!status)
        status = kv_object_secret(call, &object);
    if (status)
        return kv_call_status(call, status, 0);
    CK_RV rv = generate(call, object, mechanism->mechanism, template);
    if (rv)
        return rv;
    status = kv_bytes_alloc(object->secret.wanted_len, &value);
    if (!status)
        status = kv_random_bytes(value.data, value.len);
    if (status)
        return kv_call_status(call, status, 0);
    return finish(call, kv_take(object), kv_bytes_take(&value), ret);
}

CK_RV kv_secret_copy(struct kv_call *call, CK_OBJECT_HANDLE from, struct kv_template template,
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

static CK_RV check_wrappable(struct kv_call *call, const struct kv_object *key, const struct kv_pick *pick)
{
    if (!(key->flags & KV_IS_EXTRACTABLE))
        return kv_call_refuse(call, CKR_KEY_UNEXTRACTABLE,
                              "a key with CKA_EXTRACTABLE false cannot be wrapped");
    if (key->flags & KV_IS_WRAP_WITH_TRUSTED && !(pick->object->flags & KV_IS_TRUSTED))
        return kv_call_refuse(
            call, CKR_KEY_NOT_WRAPPABLE,
            "a key with CKA_WRAP_WITH_TRUSTED is wrapped by a vault's key only: those are the trusted ones");
    return CKR_OK;
}

static CK_RV wrap_value(struct kv_call *call, const struct kv_pick *pick, struct kv_view value,
                        struct kv_out out)
{
    /* A vault's key may cost a request: not for a size query, nor for a buffer that is too small. */
    if (!kv_pick_in_session(pick)) {
        bool fits;
        CK_ULONG room = out.len && out.data ? *out.len : 0;
        CK_RV rv = kv_out_room(out, kv_pick_size(pick, value.len), &fits);
        if (rv || !fits)
            return rv;
        *out.len = room;
    }
    KV_AUTO_BYTES struct kv_bytes wrapped = { 0 };
    enum kv_status status = kv_pick_run(call, pick, value, &wrapped);
    return status ? kv_call_status(call, status, KV_OP_WRAP) : kv_out_bytes(out, KV_VIEW(wrapped));
}

CK_RV kv_secret_wrap(struct kv_call *call, const struct kv_secret_wrap *wrap, struct kv_out out)
{
    if (!wrap->mechanism || !out.len)
        return CKR_ARGUMENTS_BAD;
    KV_AUTO_OBJECT struct kv_object *key = kv_object_get(call, wrap->key);
    if (!key)
        return CKR_KEY_HANDLE_INVALID;
    KV_AUTO_PICK struct kv_pick pick = { 0 };
    struct kv_pick_wish wish = { KV_OP_WRAP, wrap->mechanism, wrap->wrapping };
    enum kv_status status = kv_pick_open(call, &wish, &pick);
    if (status)
        return kv_call_status(call, status, KV_OP_WRAP);
    CK_RV rv = check_wrappable(call, key, &pick);
    return rv ? rv : wrap_value(call, &pick, KV_VIEW(key->secret.value), out);
}

/* CKA_VALUE_LEN: a cipher that pads with zeroes gives more than the key; all others give the key itself. */
static CK_RV cut_to_length(struct kv_call *call, const struct kv_object *object, CK_MECHANISM_TYPE mechanism,
                           struct kv_bytes *value)
{
    size_t wanted = object->secret.wanted_len ? object->secret.wanted_len : value->len;
    bool zero_padded = mechanism == CKM_AES_CBC && wanted < value->len;
    if (wanted != value->len && !zero_padded)
        return kv_call_refuse(call, CKR_WRAPPED_KEY_LEN_RANGE,
                              "the unwrapped key has %zu bytes, CKA_VALUE_LEN says %zu", value->len, wanted);
    if (!length_fits(object->key_type, wanted))
        return kv_call_refuse(call, CKR_WRAPPED_KEY_LEN_RANGE,
                              "the unwrapped bytes have a length (%zu) no such key has", wanted);
    if (zero_padded)
        kv_wipe(value->data + wanted, value->len - wanted);
    value->len = wanted;
    return CKR_OK;
}

/* The new key as its template wants it, before anything is asked of the vault. */
static CK_RV prepare(struct kv_call *call, struct kv_template template, struct kv_object **ret)
{
    KV_AUTO_OBJECT struct kv_object *object = NULL;
    if (kv_object_secret(call, &object))
        return CKR_HOST_MEMORY;
    /* PKCS#11 §5.14: CKA_EXTRACTABLE is by default true for an unwrapped key. */
    object->flags |= KV_IS_EXTRACTABLE;
    CK_RV rv = kv_attrs_apply(call, object, template, KV_SET_UNWRAP);
    if (rv)
        return rv;
    if (object->key_type == CK_UNAVAILABLE_INFORMATION)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_KEY_TYPE is missing");
    default_abilities(object, template);
    *ret = kv_take(object);
    return CKR_OK;
}

CK_RV kv_secret_unwrap(struct kv_call *call, const struct kv_secret_wrap *wrap, CK_OBJECT_HANDLE *ret)
{
    if (!wrap->mechanism || !ret || !wrap->wrapped.data)
        return CKR_ARGUMENTS_BAD;
    KV_AUTO_OBJECT struct kv_object *object = NULL;
    CK_RV rv = prepare(call, wrap->template, &object);
    if (rv)
        return rv;
    KV_AUTO_PICK struct kv_pick pick = { 0 };
    KV_AUTO_BYTES struct kv_bytes value = { 0 };
    struct kv_pick_wish wish = { KV_OP_UNWRAP, wrap->mechanism, wrap->wrapping };
    enum kv_status status = kv_pick_open(call, &wish, &pick);
    if (!status)
        status = kv_pick_run(call, &pick, wrap->wrapped, &value);
    if (status)
        return kv_call_status(call, status, KV_OP_UNWRAP);
    rv = cut_to_length(call, object, wrap->mechanism->mechanism, &value);
    return rv ? rv : finish(call, kv_take(object), kv_bytes_take(&value), ret);
}
