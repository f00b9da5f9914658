#include "wrap.h"

#include <string.h>
#include "base/encode.h"
#include "base/locked.h"
#include "call.h"
#include "create.h"
#include "secret.h"

/* --- wrap --- */

/* PKCS#11 §6.14.2, §6.13.4: these fill a key up with zeroes to whole blocks of theirs, and unwrapping cuts them off again. */
static size_t zero_padded_block(CK_MECHANISM_TYPE mechanism)
{
    return mechanism == CKM_AES_CBC ? 16 : mechanism == CKM_AES_KEY_WRAP ? 8 : 0;
}

/* CKA_WRAP_TEMPLATE: what the wrapping key may wrap at all. */
static CK_RV check_wrap_template(struct kv_call *call, const struct kv_object *key,
                                 const struct kv_object *wrapping)
{
    const struct kv_attr_list *wanted = wrapping->secret ? &wrapping->secret->wrap : NULL;
    bool fits = true;
    enum kv_status status =
        wanted ? kv_attrs_compare(key, (struct kv_template){ wanted->items, wanted->count }, &fits) : KV_OK;
    if (status || fits)
        return kv_call_status(call, status, KV_OP_WRAP);
    return kv_call_refuse(call, CKR_KEY_HANDLE_INVALID,
                          "the key is not one that the wrapping key's CKA_WRAP_TEMPLATE lets it wrap");
}

static CK_RV check_wrappable(struct kv_call *call, const struct kv_object *key, const struct kv_pick *pick)
{
    if (key->type == CKO_PUBLIC_KEY)
        return kv_call_refuse(call, CKR_KEY_NOT_WRAPPABLE, "only secret and private keys are wrapped");
    if (key->type != CKO_SECRET_KEY && key->type != CKO_PRIVATE_KEY)
        return kv_call_refuse(call, CKR_KEY_HANDLE_INVALID, "the object is no key");
    if (!(key->flags & KV_IS_EXTRACTABLE))
        return kv_call_refuse(call, CKR_KEY_UNEXTRACTABLE,
                              "a key with CKA_EXTRACTABLE false cannot be wrapped");
    if (key->flags & KV_IS_WRAP_WITH_TRUSTED && !(pick->object->flags & KV_IS_TRUSTED))
        return kv_call_refuse(
            call, CKR_KEY_NOT_WRAPPABLE,
            "a key with CKA_WRAP_WITH_TRUSTED is wrapped by a vault's key only: those are the trusted ones");
    /* RFC 3394 §2 wraps two blocks or more. The standard fills the last one up, which unwrapping takes back; a whole one it could not. */
    if (pick->mech.row->type == CKM_AES_KEY_WRAP && key->type == CKO_SECRET_KEY &&
        key->secret->value.len <= 8)
        return kv_call_refuse(call, CKR_KEY_SIZE_RANGE,
                              "CKM_AES_KEY_WRAP wraps keys of 9 bytes or more, this one has %zu: "
                              "CKM_AES_KEY_WRAP_KWP wraps it",
                              key->secret->value.len);
    bool plain_cbc = pick->mech.row->type == CKM_AES_CBC;
    if (key->type == CKO_PRIVATE_KEY && (pick->mech.row->kind != KV_OCT || plain_cbc))
        return kv_call_refuse(call, CKR_KEY_NOT_WRAPPABLE,
                              "a private key is wrapped by a secret key, and not with CKM_AES_CBC: "
                              "CKM_AES_KEY_WRAP_KWP or CKM_AES_CBC_PAD do it");
    return check_wrap_template(call, key, pick->object);
}

static enum kv_status bytes_of(const struct kv_object *key, CK_MECHANISM_TYPE mechanism, struct kv_bytes *ret)
{
    struct kv_view bytes =
        key->secret->private ? kv_private_pkcs8(key->secret->private) : KV_VIEW(key->secret->value);
    size_t block = zero_padded_block(mechanism), len = bytes.len;
    if (block)
        len = (len + block - 1) / block * block;
    KV_TRY(kv_bytes_alloc_locked(len, ret));
    memcpy(ret->data, bytes.data, bytes.len);
    return KV_OK;
}

static CK_RV wrap_bytes(struct kv_call *call, const struct kv_pick *pick, struct kv_view bytes,
                        struct kv_out out)
{
    /* A vault's key may cost a request: not for a size query, nor for a buffer that is too small. */
    if (!kv_pick_in_session(pick)) {
        bool fits;
        CK_ULONG room = out.len && out.data ? *out.len : 0;
        CK_RV rv = kv_out_room(out, kv_pick_size(pick, bytes.len), &fits);
        if (rv || !fits)
            return rv;
        *out.len = room;
    }
    KV_AUTO_BYTES struct kv_bytes wrapped = { 0 };
    enum kv_status status = kv_pick_run(call, pick, bytes, &wrapped);
    return status ? kv_call_status(call, status, KV_OP_WRAP) : kv_out_bytes(out, KV_VIEW(wrapped));
}

CK_RV kv_wrap_key(struct kv_call *call, const struct kv_wrap *wrap, struct kv_out out)
{
    if (!wrap->mechanism || !out.len)
        return CKR_ARGUMENTS_BAD;
    KV_AUTO_OBJECT struct kv_object *key = kv_object_get(call, wrap->key);
    if (!key)
        return CKR_KEY_HANDLE_INVALID;
    KV_AUTO_PICK struct kv_pick pick = { 0 };
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    struct kv_pick_wish wish = { KV_OP_WRAP, wrap->mechanism, wrap->wrapping };
    enum kv_status status = kv_pick_open(call, &wish, &pick);
    if (status)
        return kv_call_status(call, status, KV_OP_WRAP);
    CK_RV rv = check_wrappable(call, key, &pick);
    if (rv)
        return rv;
    if (bytes_of(key, pick.mech.row->type, &bytes))
        return CKR_HOST_MEMORY;
    return wrap_bytes(call, &pick, KV_VIEW(bytes), out);
}

/* --- unwrap --- */

static const struct kv_attr_list *imposed_by(const struct kv_object *key)
{
    static const struct kv_attr_list none;
    return key->secret ? &key->secret->unwrap : &none;
}

CK_RV kv_wrap_impose(struct kv_call *call, struct kv_template wanted, const struct kv_attr_list *imposed,
                     struct kv_template *ret)
{
    if (!kv_attrs_sound(wanted))
        return CKR_ARGUMENTS_BAD;
    CK_ULONG count = wanted.count;
    CK_ATTRIBUTE *all = calloc(wanted.count + imposed->count + 1, sizeof *all);
    if (!all)
        return CKR_HOST_MEMORY;
    if (wanted.count)
        memcpy(all, wanted.items, wanted.count * sizeof *all);
    for (CK_ULONG i = 0; i < imposed->count; i++) {
        const CK_ATTRIBUTE *item = &imposed->items[i], *there = kv_attrs_find(wanted, item->type);
        if (!there) {
            all[count++] = *item;
        } else if (!kv_view_equal_ct((struct kv_view){ there->pValue, there->ulValueLen },
                                     (struct kv_view){ item->pValue, item->ulValueLen })) {
            free(all);
            return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT,
                                  "attribute 0x%lx is not what the key's own template imposes", item->type);
        }
    }
    *ret = (struct kv_template){ all, count };
    return CKR_OK;
}

/* The new key as its template wants it, before anything is asked of the vault. */
static CK_RV prepare(struct kv_call *call, struct kv_template template, struct kv_object **ret)
{
    KV_AUTO_OBJECT struct kv_object *object = NULL;
    struct kv_create_kind kind;
    CK_RV rv = kv_create_kind(call, template, &kind);
    if (rv)
        return rv;
    if (kind.key_type == CK_UNAVAILABLE_INFORMATION)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_KEY_TYPE is missing");
    if (kind.type == CK_UNAVAILABLE_INFORMATION)
        kind.type = kind.key_type == CKK_RSA || kind.key_type == CKK_EC ? CKO_PRIVATE_KEY : CKO_SECRET_KEY;
    if (kind.type == CKO_PUBLIC_KEY)
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT, "a public key is never wrapped");
    rv = kv_create_begin(call, kind, &object);
    if (rv)
        return rv;
    /* PKCS#11 §5.18.4: CKA_EXTRACTABLE is by default true for an unwrapped key. */
    object->flags |= KV_IS_EXTRACTABLE;
    rv = kv_attrs_apply(call, object, template, KV_SET_UNWRAP);
    if (rv)
        return rv;
    kv_create_abilities(object, template);
    *ret = kv_take(object);
    return CKR_OK;
}

/* CKA_VALUE_LEN: a cipher that pads with zeroes gives more than the key; all others give the key itself. */
static CK_RV become_secret(struct kv_call *call, struct kv_object *object, size_t block,
                           struct kv_bytes *bytes)
{
    size_t wanted = object->secret->wanted_len ? object->secret->wanted_len : bytes->len;
    bool cut = wanted < bytes->len && bytes->len - wanted < block;
    if (wanted != bytes->len && !cut)
        return kv_call_refuse(call, CKR_WRAPPED_KEY_LEN_RANGE,
                              "the unwrapped key has %zu bytes, CKA_VALUE_LEN says %zu", bytes->len, wanted);
    if (!kv_secret_length_fits(object->key_type, wanted))
        return kv_call_refuse(call, CKR_WRAPPED_KEY_LEN_RANGE,
                              "the unwrapped bytes have a length (%zu) no such key has", wanted);
    enum kv_status status =
        kv_bytes_copy_locked((struct kv_view){ bytes->data, wanted }, &object->secret->value);
    return kv_call_status(call, status, 0);
}

/* The PrivateKeyInfo without the zeroes that filled it up. */
static struct kv_view without_padding(struct kv_view bytes, size_t block)
{
    struct kv_view rest = bytes, contents;
    if (!block || kv_der_read(&rest, 0x30, &contents) || rest.len >= block)
        return bytes;
    for (size_t i = 0; i < rest.len; i++)
        if (rest.data[i])
            return bytes;
    return (struct kv_view){ bytes.data, bytes.len - rest.len };
}

static CK_RV become_private(struct kv_call *call, struct kv_object *object, size_t block,
                            struct kv_view bytes)
{
    struct kv_secret *secret = object->secret;
    enum kv_status status =
        kv_private_from_pkcs8(without_padding(bytes, block), &secret->private, &call->err);
    CK_RV rv = kv_call_status(call, status, KV_OP_UNWRAP);
    if (rv) /* of the unwrapping key's size it is not */
        return status == KV_KEY_SIZE ? CKR_WRAPPED_KEY_LEN_RANGE : rv;
    secret->public = kv_public_ref(kv_private_public(secret->private));
    if ((kv_public_kind(secret->public) == KV_RSA) != (object->key_type == CKK_RSA))
        return kv_call_refuse(call, CKR_WRAPPED_KEY_INVALID,
                              "the wrapped key is not of the type that CKA_KEY_TYPE names");
    return CKR_OK;
}

static CK_RV unwrap(struct kv_call *call, const struct kv_wrap *wrap, const struct kv_pick *pick,
                    struct kv_object *object)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    size_t block = zero_padded_block(wrap->mechanism->mechanism);
    enum kv_status status = kv_pick_run(call, pick, wrap->wrapped, &bytes);
    if (status)
        return kv_call_status(call, status, KV_OP_UNWRAP);
    return object->type == CKO_PRIVATE_KEY ? become_private(call, object, block, KV_VIEW(bytes))
                                           : become_secret(call, object, block, &bytes);
}

CK_RV kv_wrap_unwrap(struct kv_call *call, const struct kv_wrap *wrap, CK_OBJECT_HANDLE *ret)
{
    if (!wrap->mechanism || !ret || !wrap->wrapped.data || !kv_attrs_sound(wrap->template))
        return CKR_ARGUMENTS_BAD;
    KV_AUTO_OBJECT struct kv_object *object = NULL;
    KV_AUTO_PICK struct kv_pick pick = { 0 };
    struct kv_template template;
    struct kv_pick_wish wish = { KV_OP_UNWRAP, wrap->mechanism, wrap->wrapping };
    enum kv_status status = kv_pick_open(call, &wish, &pick);
    if (status)
        return kv_call_status(call, status, KV_OP_UNWRAP);
    CK_RV rv = kv_wrap_impose(call, wrap->template, imposed_by(pick.object), &template);
    if (rv)
        return rv;
    KV_AUTO_FREE __attribute__((unused)) void *items = (void *)template.items;
    rv = prepare(call, template, &object);
    if (!rv)
        rv = unwrap(call, wrap, &pick, object);
    return rv ? rv : kv_call_status(call, kv_object_add(call, kv_take(object), ret), 0);
}
