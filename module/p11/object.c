#include "object.h"

#include <stdio.h>
#include <string.h>
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

/* --- vault objects --- */

enum { KV_OPENS = KV_OP_DECRYPT | KV_OP_UNWRAP, KV_CLOSES = KV_OP_ENCRYPT | KV_OP_WRAP };

/* For RSA, decrypt and unwrap are one computation, encrypt and wrap another: a key that may do one may do both. */
static const struct {
    CK_OBJECT_CLASS type;
    unsigned operations;
    unsigned flags;
} abilities[] = {
    { CKO_PRIVATE_KEY, KV_OP_SIGN, KV_CAN_SIGN },
    { CKO_PRIVATE_KEY, KV_OPENS, KV_CAN_DECRYPT | KV_CAN_UNWRAP },
    { CKO_PUBLIC_KEY, KV_OP_VERIFY | KV_OP_SIGN, KV_CAN_VERIFY },
    { CKO_PUBLIC_KEY, KV_CLOSES, KV_CAN_ENCRYPT | KV_CAN_WRAP },
    { CKO_SECRET_KEY, KV_OP_DECRYPT, KV_CAN_DECRYPT },
    { CKO_SECRET_KEY, KV_OP_UNWRAP, KV_CAN_UNWRAP },
    { CKO_SECRET_KEY, KV_OP_ENCRYPT, KV_CAN_ENCRYPT },
    { CKO_SECRET_KEY, KV_OP_WRAP, KV_CAN_WRAP },
};

static const struct {
    CK_OBJECT_CLASS type;
    unsigned flags;
} natures[] = {
    { CKO_PRIVATE_KEY, KV_IS_TOKEN | KV_IS_SENSITIVE | KV_IS_ALWAYS_SENSITIVE | KV_IS_NEVER_EXTRACTABLE },
    { CKO_PUBLIC_KEY, KV_IS_TOKEN | KV_IS_TRUSTED },
    { CKO_SECRET_KEY,
      KV_IS_TOKEN | KV_IS_SENSITIVE | KV_IS_ALWAYS_SENSITIVE | KV_IS_NEVER_EXTRACTABLE | KV_IS_TRUSTED },
};

static unsigned vault_flags(CK_OBJECT_CLASS type, const struct kv_version *version)
{
    unsigned flags = 0;
    for (size_t i = 0; i < sizeof natures / sizeof *natures; i++)
        if (natures[i].type == type)
            flags |= natures[i].flags;
    for (size_t i = 0; i < sizeof abilities / sizeof *abilities; i++)
        if (abilities[i].type == type && abilities[i].operations & version->operations)
            flags |= abilities[i].flags;
    return version->kind == KV_EC
               ? flags & ~(unsigned)(KV_CAN_ENCRYPT | KV_CAN_DECRYPT | KV_CAN_WRAP | KV_CAN_UNWRAP)
               : flags;
}

static bool same(const struct kv_object *object, const struct kv_object *like)
{
    return object->slot == like->slot && object->type == like->type &&
           !strcmp(object->version->name, like->version->name) &&
           !strcmp(object->version->version, like->version->version);
}

/* FNV-1a over what the object is; equal numbers are told apart by `same`. */
static uint64_t identity_of(const struct kv_object *object)
{
    char text[KV_NAME_SIZE + KV_VERSION_SIZE + 64];
    int len = snprintf(text, sizeof text, "%lu/%lu/%s/%s", object->slot, object->type, object->version->name,
                       object->version->version);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < len && i < (int)sizeof text; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash ? hash : 1;
}

static struct kv_object *vault_object(struct kv_call *call, CK_OBJECT_CLASS type, struct kv_version *version)
{
    static const CK_KEY_TYPE key_types[] = { [KV_RSA] = CKK_RSA, [KV_EC] = CKK_EC, [KV_OCT] = CKK_AES };
    struct kv_object *object = calloc(1, sizeof *object);
    if (!object)
        return NULL;
    object->references = 1;
    object->slot = call->session->slot;
    object->type = type;
    object->key_type = key_types[version->kind];
    object->flags = vault_flags(type, version);
    object->offer = &kv_call_slot(call)->offer;
    object->version = kv_version_ref(version);
    return object;
}

/* Under the library's lock. Takes over `fresh`; the table keeps one reference, *ret is another. */
static enum kv_status settle(struct kv_library *library, struct kv_object *fresh, struct kv_object **ret)
{
    KV_AUTO_OBJECT struct kv_object *mine = fresh;
    uint64_t identity = identity_of(mine);
    struct kv_object *there;
    while ((there = kv_handles_get(&library->identities, identity)) && !same(there, mine))
        identity = identity + 1 ? identity + 1 : 1;
    if (there && there->version == mine->version) {
        *ret = kv_object_ref(there);
        return KV_OK;
    }
    if (there) {
        mine->handle = there->handle;
        kv_handles_swap(&library->identities, identity, mine);
        kv_handles_swap(&library->objects, mine->handle, mine);
        kv_object_free(there);
    } else {
        mine->handle = ++library->last_handle;
        KV_TRY(kv_handles_put(&library->objects, mine->handle, mine));
        if (kv_handles_put(&library->identities, identity, mine)) {
            kv_handles_remove(&library->objects, mine->handle);
            return KV_NO_MEMORY;
        }
    }
    *ret = kv_object_ref(mine);
    (void)kv_take(mine);
    return KV_OK;
}

enum kv_status kv_object_enter(struct kv_call *call, struct kv_version *version, struct kv_object *ret[2])
{
    bool secret = version->kind == KV_OCT;
    const CK_OBJECT_CLASS types[2] = { secret ? CKO_SECRET_KEY : CKO_PRIVATE_KEY, CKO_PUBLIC_KEY };
    struct kv_object *found[2] = { NULL, NULL };
    enum kv_status status = KV_OK;
    for (int i = 0; i < (secret ? 1 : 2) && !status; i++) {
        struct kv_object *fresh = vault_object(call, types[i], version);
        KV_HOLD_LIBRARY(call->library);
        status = fresh ? settle(call->library, fresh, &found[i]) : KV_NO_MEMORY;
    }
    if (status) {
        kv_object_free(found[0]);
        return status;
    }
    ret[0] = found[0];
    ret[1] = found[1];
    return KV_OK;
}

/* --- session objects --- */

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
