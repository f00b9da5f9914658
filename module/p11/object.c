#include "object.h"

#include "call.h"
#include "manage.h"

struct kv_object *kv_object_ref(const struct kv_object *object)
{
    struct kv_object *mine = (struct kv_object *)object;
    __atomic_fetch_add(&mine->references, 1, __ATOMIC_RELAXED);
    return mine;
}

void kv_object_forget_raw(struct kv_object *object)
{
    struct kv_raw *raw = object->secret ? object->secret->raw : NULL;
    if (!raw)
        return;
    for (size_t i = 0; i < KV_PRIVATE_PARTS; i++)
        kv_bytes_free(&raw->parts[i]);
    kv_bytes_free(&raw->ec_params);
    kv_bytes_free(&raw->ec_point);
    kv_bytes_free(&raw->public_info);
    free(raw);
    object->secret->raw = NULL;
}

static void secret_free(struct kv_secret *secret)
{
    if (!secret)
        return;
    struct kv_bytes *bytes[] = { &secret->value, &secret->label, &secret->id,     &secret->subject,
                                 &secret->start, &secret->end,   &secret->allowed };
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        kv_bytes_free(bytes[i]);
    kv_public_free(secret->public);
    kv_private_free(secret->private);
    kv_attr_array_free(&secret->wrap);
    kv_attr_array_free(&secret->unwrap);
    kv_attr_array_free(&secret->derive);
    free(secret);
}

void kv_object_free(struct kv_object *object)
{
    if (!object || __atomic_sub_fetch(&object->references, 1, __ATOMIC_ACQ_REL))
        return;
    kv_version_free(object->version);
    kv_certificate_free(object->certificate);
    kv_object_forget_raw(object);
    secret_free(object->secret);
    free(object);
}

struct kv_object *kv_object_get(struct kv_call *call, CK_OBJECT_HANDLE handle)
{
    if (kv_object_is_fixed(handle))
        return kv_object_fixed_get(call, handle);
    KV_HOLD_LIBRARY(call->library);
    struct kv_object *object = kv_handles_get(&call->library->objects, handle);
    return object && object->slot == call->session->slot ? kv_object_ref(object) : NULL;
}

CK_RV kv_object_destroy(struct kv_call *call, CK_OBJECT_HANDLE handle)
{
    KV_AUTO_OBJECT struct kv_object *object = kv_object_get(call, handle);
    if (!object)
        return CKR_OBJECT_HANDLE_INVALID;
    if (!(object->flags & KV_IS_DESTROYABLE))
        return kv_call_refuse(call, CKR_ACTION_PROHIBITED,
                              object->version && object->type != CKO_CERTIFICATE
                                  ? "a vault's keys are not disabled without `manage = yes`"
                                  : "this object cannot be destroyed");
    if (object->version)
        return kv_manage_destroy(call, object);
    kv_session_disown(call->session, handle);
    return kv_object_drop(call->library, handle) ? CKR_OK : CKR_OBJECT_HANDLE_INVALID;
}

static size_t array_size(const struct kv_attr_list *list)
{
    size_t size = list->count * sizeof *list->items;
    for (CK_ULONG i = 0; i < list->count; i++)
        size += list->items[i].ulValueLen;
    return size;
}

static size_t secret_size(const struct kv_secret *secret)
{
    size_t size = sizeof *secret + secret->value.len + secret->label.len + secret->id.len +
                  secret->subject.len + secret->start.len + secret->end.len + secret->allowed.len;
    size += secret->public ? kv_public_spki(secret->public).len : 0;
    size += secret->private ? kv_private_pkcs8(secret->private).len : 0;
    return size + array_size(&secret->wrap) + array_size(&secret->unwrap) + array_size(&secret->derive);
}

CK_RV kv_object_size(struct kv_call *call, CK_OBJECT_HANDLE handle, CK_ULONG_PTR ret)
{
    if (!ret)
        return CKR_ARGUMENTS_BAD;
    KV_AUTO_OBJECT struct kv_object *object = kv_object_get(call, handle);
    if (!object)
        return CKR_OBJECT_HANDLE_INVALID;
    *ret = sizeof *object + (object->version ? object->version->spki.len : 0) +
           (object->secret ? secret_size(object->secret) : 0) +
           (object->certificate ? object->certificate->der.len : 0);
    return CKR_OK;
}
