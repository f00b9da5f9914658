/* Objects of a vault: what each version of a key is shown as, and the handles they keep for the life of the library. */
#include "object.h"

#include <stdio.h>
#include <string.h>
#include "base/encode.h"
#include "call.h"

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
    { CKO_SECRET_KEY, KV_OP_SIGN, KV_CAN_SIGN },
    { CKO_SECRET_KEY, KV_OP_VERIFY, KV_CAN_VERIFY },
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
    { CKO_CERTIFICATE, KV_IS_TOKEN },
    { CKO_SECRET_KEY,
      KV_IS_TOKEN | KV_IS_SENSITIVE | KV_IS_ALWAYS_SENSITIVE | KV_IS_NEVER_EXTRACTABLE | KV_IS_TRUSTED },
};

unsigned kv_object_vault_flags(CK_OBJECT_CLASS type, const struct kv_version *version)
{
    unsigned flags = 0;
    for (size_t i = 0; i < sizeof natures / sizeof *natures; i++)
        if (natures[i].type == type)
            flags |= natures[i].flags;
    if (!version)
        return flags;
    for (size_t i = 0; i < sizeof abilities / sizeof *abilities; i++)
        if (abilities[i].type == type && abilities[i].operations & version->operations)
            flags |= abilities[i].flags;
    return version->kind == KV_EC
               ? flags & ~(unsigned)(KV_CAN_ENCRYPT | KV_CAN_DECRYPT | KV_CAN_WRAP | KV_CAN_UNWRAP)
               : flags;
}

static bool same(const struct kv_object *object, const struct kv_object *like)
{
    if (object->slot != like->slot || object->type != like->type || !object->version != !like->version)
        return false;
    if (!object->version)
        return !memcmp(object->certificate->sha256, like->certificate->sha256,
                       sizeof object->certificate->sha256);
    return !strcmp(object->version->name, like->version->name) &&
           !strcmp(object->version->version, like->version->version);
}

/* FNV-1a over what the object is; equal numbers are told apart by `same`. */
static uint64_t identity_of(const struct kv_object *object)
{
    char text[KV_NAME_SIZE + KV_VERSION_SIZE + 64], digest[2 * 32 + 1] = "";
    const char *name = object->version ? object->version->name : "";
    if (!object->version)
        kv_encode_hex((struct kv_view){ object->certificate->sha256, 32 }, digest);
    int len = snprintf(text, sizeof text, "%lu/%lu/%s/%s", object->slot, object->type, name,
                       object->version ? object->version->version : digest);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < len && i < (int)sizeof text; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash ? hash : 1;
}

/* The vault says "oct" and no more: a secret key that only signs and verifies is one for HMAC. */
static CK_KEY_TYPE key_type(const struct kv_version *version)
{
    static const CK_KEY_TYPE key_types[] = { [KV_RSA] = CKK_RSA, [KV_EC] = CKK_EC, [KV_OCT] = CKK_AES };
    bool signs = version->operations & (KV_OP_SIGN | KV_OP_VERIFY);
    if (version->kind == KV_OCT && signs && !(version->operations & (KV_OPENS | KV_CLOSES)))
        return CKK_GENERIC_SECRET;
    return key_types[version->kind];
}

static struct kv_object *vault_object(struct kv_call *call, CK_OBJECT_CLASS type,
                                      const struct kv_version *version,
                                      const struct kv_certificate *certificate)
{
    struct kv_object *object = calloc(1, sizeof *object);
    if (!object)
        return NULL;
    object->references = 1;
    object->slot = call->session->slot;
    object->type = type;
    object->key_type = version && type != CKO_CERTIFICATE ? key_type(version) : CK_UNAVAILABLE_INFORMATION;
    object->flags = kv_object_vault_flags(type, version);
    object->offer = &kv_call_slot(call)->offer;
    if (type != CKO_CERTIFICATE && object->offer->manage)
        object->flags |= KV_IS_MODIFIABLE | KV_IS_DESTROYABLE;
    object->version = kv_version_ref(version);
    object->certificate = kv_certificate_ref(certificate);
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
    /* Who does not know the certificate takes nothing from one who did. */
    if (there && there->version == mine->version &&
        (!mine->certificate || there->certificate == mine->certificate)) {
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

static enum kv_status enter_one(struct kv_call *call, struct kv_object *fresh, struct kv_object **ret)
{
    if (!fresh)
        return KV_NO_MEMORY;
    KV_HOLD_LIBRARY(call->library);
    return settle(call->library, fresh, ret);
}

enum kv_status kv_object_enter_certified(struct kv_call *call, struct kv_version *version,
                                         const struct kv_certificate *certificate,
                                         struct kv_object *ret[KV_VERSION_OBJECTS])
{
    bool secret = version->kind == KV_OCT;
    const struct {
        CK_OBJECT_CLASS type;
        bool there;
    } parts[KV_VERSION_OBJECTS] = { { secret ? CKO_SECRET_KEY : CKO_PRIVATE_KEY, true },
                                    { CKO_PUBLIC_KEY, !secret },
                                    { CKO_CERTIFICATE, certificate } };
    struct kv_object *found[KV_VERSION_OBJECTS] = { NULL };
    enum kv_status status = KV_OK;
    for (int i = 0; i < KV_VERSION_OBJECTS && !status; i++)
        if (parts[i].there)
            status = enter_one(call, vault_object(call, parts[i].type, version, certificate), &found[i]);
    for (int i = 0; i < KV_VERSION_OBJECTS; i++) {
        if (status)
            kv_object_free(found[i]);
        else
            ret[i] = found[i];
    }
    return status;
}

enum kv_status kv_object_enter(struct kv_call *call, struct kv_version *version,
                               struct kv_object *ret[KV_VERSION_OBJECTS])
{
    return kv_object_enter_certified(call, version, NULL, ret);
}

enum kv_status kv_object_enter_authority(struct kv_call *call, const struct kv_certificate *certificate,
                                         struct kv_object **ret)
{
    return enter_one(call, vault_object(call, CKO_CERTIFICATE, NULL, certificate), ret);
}
