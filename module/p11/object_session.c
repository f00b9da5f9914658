/* Objects that live in a session and end with it. */
#include "object.h"

#include "base/locked.h"
#include "call.h"

enum kv_status kv_object_session_list(struct kv_call *call, struct kv_object ***ret, size_t *ret_count)
{
    KV_HOLD_LIBRARY(call->library);
    const struct kv_handles *living = &call->library->living;
    struct kv_object **list = calloc(living->count + 1, sizeof(struct kv_object *));
    if (!list)
        return KV_NO_MEMORY;
    size_t count = 0, place = 0;
    struct kv_object *object;
    while (count < living->count && (object = kv_handles_next(living, &place)))
        if (object->slot == call->session->slot)
            list[count++] = kv_object_ref(object);
    *ret = list;
    *ret_count = count;
    return KV_OK;
}

enum kv_status kv_object_new(struct kv_call *call, CK_OBJECT_CLASS type, struct kv_object **ret)
{
    KV_AUTO_OBJECT struct kv_object *object = calloc(1, sizeof *object);
    if (!object)
        return KV_NO_MEMORY;
    object->references = 1;
    object->secret = calloc(1, sizeof *object->secret);
    if (!object->secret)
        return KV_NO_MEMORY;
    object->slot = call->session->slot;
    object->session = call->session->handle;
    object->type = type;
    object->key_type = CK_UNAVAILABLE_INFORMATION;
    object->flags = KV_IS_MODIFIABLE | KV_IS_COPYABLE | KV_IS_DESTROYABLE;
    object->flags |= type == CKO_PUBLIC_KEY ? 0 : KV_IS_SENSITIVE;
    object->offer = &kv_call_slot(call)->offer;
    object->secret->generated_by = CK_UNAVAILABLE_INFORMATION;
    *ret = kv_take(object);
    return KV_OK;
}

static enum kv_status copy_bytes(const struct kv_secret *from, struct kv_secret *to)
{
    const struct {
        const struct kv_bytes *from;
        struct kv_bytes *to;
    } pairs[] = { { &from->label, &to->label },     { &from->id, &to->id },
                  { &from->subject, &to->subject }, { &from->allowed, &to->allowed },
                  { &from->start, &to->start },     { &from->end, &to->end } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].from->data)
            KV_TRY(kv_bytes_copy(KV_VIEW(*pairs[i].from), pairs[i].to));
    return from->value.data ? kv_bytes_copy_locked(KV_VIEW(from->value), &to->value) : KV_OK;
}

static enum kv_status copy_secret(const struct kv_secret *from, struct kv_secret *to)
{
    to->generated_by = from->generated_by;
    to->public = kv_public_ref(from->public);
    to->private = kv_private_ref(from->private);
    KV_TRY(copy_bytes(from, to));
    KV_TRY(kv_attr_array_copy(&from->wrap, &to->wrap));
    KV_TRY(kv_attr_array_copy(&from->unwrap, &to->unwrap));
    return kv_attr_array_copy(&from->derive, &to->derive);
}

enum kv_status kv_object_clone(const struct kv_object *from, struct kv_object **ret)
{
    KV_AUTO_OBJECT struct kv_object *to = calloc(1, sizeof *to);
    if (!to)
        return KV_NO_MEMORY;
    *to = *from;
    to->references = 1;
    to->version = from->version ? kv_version_ref(from->version) : NULL;
    to->certificate = kv_certificate_ref(from->certificate);
    to->secret = from->secret ? calloc(1, sizeof *to->secret) : NULL;
    if (from->secret && !to->secret)
        return KV_NO_MEMORY;
    if (from->secret)
        KV_TRY(copy_secret(from->secret, to->secret));
    *ret = kv_take(to);
    return KV_OK;
}

/* Under the library's lock: in both tables or in none. */
static enum kv_status enter(struct kv_library *library, struct kv_object *object)
{
    KV_TRY(kv_handles_put(&library->objects, object->handle, object));
    enum kv_status status = kv_handles_put(&library->living, object->handle, object);
    if (status)
        kv_handles_remove(&library->objects, object->handle);
    return status;
}

enum kv_status kv_object_add(struct kv_call *call, struct kv_object *object, CK_OBJECT_HANDLE *ret)
{
    KV_AUTO_OBJECT struct kv_object *mine = object;
    KV_HOLD_LIBRARY(call->library);
    mine->handle = ++call->library->last_handle;
    mine->session = call->session->handle;
    KV_TRY(kv_session_own(call->session, mine->handle));
    if (enter(call->library, mine)) {
        kv_session_disown(call->session, mine->handle);
        return KV_NO_MEMORY;
    }
    *ret = kv_take(mine)->handle;
    return KV_OK;
}

bool kv_object_replace(struct kv_library *library, struct kv_object *object)
{
    kv_library_lock(library);
    struct kv_object *former = kv_handles_swap(&library->living, object->handle, object);
    if (former)
        kv_handles_swap(&library->objects, object->handle, object);
    kv_library_unlock(library);
    kv_object_free(former ? former : object);
    return former != NULL;
}

bool kv_object_drop(struct kv_library *library, CK_OBJECT_HANDLE handle)
{
    kv_library_lock(library);
    struct kv_object *object = kv_handles_remove(&library->living, handle);
    if (object)
        kv_handles_remove(&library->objects, handle);
    kv_library_unlock(library);
    kv_object_free(object);
    return object != NULL;
}
