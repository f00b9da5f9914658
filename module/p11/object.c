#include "object.h"

#include "call.h"

struct kv_object *kv_object_ref(const struct kv_object *object)
{
    struct kv_object *mine = (struct kv_object *)object;
    __atomic_fetch_add(&mine->references, 1, __ATOMIC_RELAXED);
    return mine;
}

static void secret_free(struct kv_secret *secret)
{
    kv_bytes_free(&secret->value);
    kv_bytes_free(&secret->label);
    kv_bytes_free(&secret->id);
    kv_bytes_free(&secret->start);
    kv_bytes_free(&secret->end);
}

void kv_object_free(struct kv_object *object)
{
    if (!object || __atomic_sub_fetch(&object->references, 1, __ATOMIC_ACQ_REL))
        return;
    kv_version_free(object->version);
    secret_free(&object->secret);
    free(object);
}

struct kv_object *kv_object_get(struct kv_call *call, CK_OBJECT_HANDLE handle)
{
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
        return CKR_ACTION_PROHIBITED;
    kv_session_disown(call->session, handle);
    return kv_object_drop(call->library, handle) ? CKR_OK : CKR_OBJECT_HANDLE_INVALID;
}

CK_RV kv_object_size(struct kv_call *call, CK_OBJECT_HANDLE handle, CK_ULONG_PTR ret)
{
    if (!ret)
        return CKR_ARGUMENTS_BAD;
    KV_AUTO_OBJECT struct kv_object *object = kv_object_get(call, handle);
    if (!object)
        return CKR_OBJECT_HANDLE_INVALID;
    const struct kv_secret *secret = &object->secret;
    *ret = sizeof *object + secret->value.len + secret->label.len + secret->id.len +
           (object->version ? object->version->spki.len : 0);
    return CKR_OK;
}
