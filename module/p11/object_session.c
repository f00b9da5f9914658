/* Objects that live in a session and end with it. */
#include "object.h"

#include "call.h"

enum kv_status kv_object_session_list(struct kv_call *call, struct kv_object ***ret, size_t *ret_count)
{
    KV_HOLD_LIBRARY(call->library);
    struct kv_object **list = calloc(call->library->session_objects + 1, sizeof(struct kv_object *));
    if (!list)
        return KV_NO_MEMORY;
    size_t count = 0, place = 0;
    struct kv_object *object;
    while (count < call->library->session_objects &&
           (object = kv_handles_next(&call->library->objects, &place)))
        if (object->session && object->slot == call->session->slot)
            list[count++] = kv_object_ref(object);
    *ret = list;
    *ret_count = count;
    return KV_OK;
}

enum kv_status kv_object_secret(struct kv_call *call, struct kv_object **ret)
{
    struct kv_object *object = calloc(1, sizeof *object);
    if (!object)
        return KV_NO_MEMORY;
    object->references = 1;
    object->slot = call->session->slot;
    object->session = call->session->handle;
    object->type = CKO_SECRET_KEY;
    object->key_type = CK_UNAVAILABLE_INFORMATION;
    object->flags = KV_IS_MODIFIABLE | KV_IS_COPYABLE | KV_IS_DESTROYABLE | KV_IS_SENSITIVE;
    object->offer = &kv_call_slot(call)->offer;
    object->secret.generated_by = CK_UNAVAILABLE_INFORMATION;
    *ret = object;
    return KV_OK;
}

enum kv_status kv_object_clone(const struct kv_object *from, struct kv_object **ret)
{
    KV_AUTO_OBJECT struct kv_object *to = calloc(1, sizeof *to);
    if (!to)
        return KV_NO_MEMORY;
    *to = *from;
    to->references = 1;
    to->version = from->version ? kv_version_ref(from->version) : NULL;
    to->secret = (struct kv_secret){ .generated_by = from->secret.generated_by };
    KV_TRY(kv_bytes_copy(KV_VIEW(from->secret.value), &to->secret.value));
    KV_TRY(kv_bytes_copy(KV_VIEW(from->secret.label), &to->secret.label));
    KV_TRY(kv_bytes_copy(KV_VIEW(from->secret.id), &to->secret.id));
    KV_TRY(kv_bytes_copy(KV_VIEW(from->secret.start), &to->secret.start));
    KV_TRY(kv_bytes_copy(KV_VIEW(from->secret.end), &to->secret.end));
    *ret = kv_take(to);
    return KV_OK;
}

enum kv_status kv_object_add(struct kv_call *call, struct kv_object *object, CK_OBJECT_HANDLE *ret)
{
    KV_AUTO_OBJECT struct kv_object *mine = object;
    KV_HOLD_LIBRARY(call->library);
    mine->handle = ++call->library->last_handle;
    mine->session = call->session->handle;
    KV_TRY(kv_session_own(call->session, mine->handle));
    if (kv_handles_put(&call->library->objects, mine->handle, mine)) {
        kv_session_disown(call->session, mine->handle);
        return KV_NO_MEMORY;
    }
    call->library->session_objects++;
    *ret = kv_take(mine)->handle;
    return KV_OK;
}

bool kv_object_replace(struct kv_library *library, struct kv_object *object)
{
    kv_library_lock(library);
    struct kv_object *former = kv_handles_swap(&library->objects, object->handle, object);
    kv_library_unlock(library);
    kv_object_free(former ? former : object);
    return former != NULL;
}

bool kv_object_drop(struct kv_library *library, CK_OBJECT_HANDLE handle)
{
    kv_library_lock(library);
    struct kv_object *object = kv_handles_get(&library->objects, handle);
    if (object && !object->session)
        object = NULL;
    if (object) {
        kv_handles_remove(&library->objects, handle);
        library->session_objects--;
    }
    kv_library_unlock(library);
    kv_object_free(object);
    return object != NULL;
}
