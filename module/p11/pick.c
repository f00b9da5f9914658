#include "pick.h"

#include "call.h"

void kv_pick_free(struct kv_pick *pick)
{
    kv_object_free(pick->object);
    kv_mech_use_free(&pick->mech);
    *pick = (struct kv_pick){ 0 };
}

/* Which half of a pair an operation takes, and the attribute that permits it. A secret key is both halves. */
static const struct {
    unsigned operation;
    CK_OBJECT_CLASS half;
    unsigned flag;
    const char *attribute;
} roles[] = {
    { KV_OP_SIGN, CKO_PRIVATE_KEY, KV_CAN_SIGN, "CKA_SIGN" },
    { KV_OP_VERIFY, CKO_PUBLIC_KEY, KV_CAN_VERIFY, "CKA_VERIFY" },
    { KV_OP_ENCRYPT, CKO_PUBLIC_KEY, KV_CAN_ENCRYPT, "CKA_ENCRYPT" },
    { KV_OP_DECRYPT, CKO_PRIVATE_KEY, KV_CAN_DECRYPT, "CKA_DECRYPT" },
    { KV_OP_WRAP, CKO_PUBLIC_KEY, KV_CAN_WRAP, "CKA_WRAP" },
    { KV_OP_UNWRAP, CKO_PRIVATE_KEY, KV_CAN_UNWRAP, "CKA_UNWRAP" },
};

static enum kv_status check_role(const struct kv_object *object, unsigned operation, struct kv_error *err)
{
    const char *label = object->version ? object->version->label : "(session key)";
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (roles[i].operation != operation)
            continue;
        if (object->type != roles[i].half && object->type != CKO_SECRET_KEY)
            return kv_fail(err, KV_KEY_TYPE,
                           "'%s' is named by its %s object: this operation takes the %s one", label,
                           object->type == CKO_PUBLIC_KEY ? "public" : "private",
                           roles[i].half == CKO_PUBLIC_KEY ? "public" : "private");
        if (!(object->flags & roles[i].flag))
            return kv_fail(err, KV_KEY_OPERATION,
                           "'%s' has %s false: its key_ops or the setting old_versions leave it out", label,
                           roles[i].attribute);
    }
    return KV_OK;
}

static struct kv_mech_key mech_key(const struct kv_object *object)
{
    if (object->version)
        return kv_version_mech_key(object->version);
    return (struct kv_mech_key){ .kind = KV_OCT,
                                 .bits = (unsigned)(object->secret.value.len * 8),
                                 .session = true };
}

static enum kv_status told(struct kv_call *call, enum kv_status status, const CK_MECHANISM *mechanism)
{
    const char *name = kv_mech_type_name(mechanism->mechanism);
    if (!status || call->err.text[0])
        return status;
    return kv_fail(&call->err, status, "%s (0x%lx): %s", name ? name : "mechanism", mechanism->mechanism,
                   kv_status_text(status));
}

enum kv_status kv_pick_open(struct kv_call *call, const struct kv_pick_wish *wish, struct kv_pick *ret)
{
    KV_AUTO_PICK struct kv_pick pick = { .operation = wish->operation };
    pick.object = kv_object_get(call, wish->key);
    if (!pick.object)
        return kv_fail(&call->err, KV_NOT_FOUND, "no key has the handle %lu", wish->key);
    if (wish->mechanism->ulParameterLen && !wish->mechanism->pParameter)
        return KV_MECHANISM_PARAM;
    struct kv_mech_key key = mech_key(pick.object);
    KV_TRY(told(
        call, kv_mech_select(wish->mechanism, &key, wish->operation, &kv_call_slot(call)->offer, &pick.mech),
        wish->mechanism));
    if (key.session && pick.object->key_type != CKK_AES)
        return kv_fail(&call->err, KV_KEY_TYPE, "a generic secret key has no cipher: CKK_AES is needed");
    KV_TRY(check_role(pick.object, wish->operation, &call->err));
    *ret = pick;
    pick = (struct kv_pick){ 0 };
    return KV_OK;
}

enum kv_status kv_pick_keyless(struct kv_call *call, const CK_MECHANISM *mechanism, unsigned operation,
                               const struct kv_mech **ret)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if (row->type != mechanism->mechanism || !(row->operations & operation) ||
            !kv_mech_offered(row, &kv_call_slot(call)->offer))
            continue;
        if (mechanism->ulParameterLen)
            return told(call, KV_MECHANISM_PARAM, mechanism);
        *ret = row;
        return KV_OK;
    }
    return told(call, KV_MECHANISM, mechanism);
}

bool kv_pick_in_session(const struct kv_pick *pick)
{
    return pick->object && !pick->object->version;
}

bool kv_pick_streams(const struct kv_pick *pick)
{
    return kv_pick_in_session(pick) && pick->object->type == CKO_SECRET_KEY &&
           pick->operation & (KV_OP_ENCRYPT | KV_OP_DECRYPT);
}

enum kv_status kv_pick_cipher(const struct kv_pick *pick, struct kv_cipher **ret)
{
    bool forward = pick->operation & (KV_OP_ENCRYPT | KV_OP_WRAP);
    return kv_cipher_open(&pick->mech, KV_VIEW(pick->object->secret.value), forward, ret);
}

static void cipher_cleanup(struct kv_cipher **cipher)
{
    kv_cipher_free(*cipher);
}

static enum kv_status run_here(const struct kv_pick *pick, struct kv_view in, struct kv_bytes *ret)
{
    KV_CLEANUP(cipher_cleanup) struct kv_cipher *cipher = NULL;
    KV_AUTO_BUFFER struct kv_buffer out = { 0 };
    KV_TRY(kv_pick_cipher(pick, &cipher));
    KV_TRY(kv_cipher_update(cipher, in, &out));
    KV_TRY(kv_cipher_final(cipher, &out));
    return kv_bytes_copy(KV_VIEW(out.bytes), ret);
}

/* Declares `use`, with its task, as kv_key_* want it. */
#define WITH_KEY_USE(use)                                                                                    \
    struct kv_task task = kv_call_task(call);                                                                \
    const struct kv_key_use use = { kv_call_slot(call)->keyring, pick->object->version, &pick->mech, &task }

enum kv_status kv_pick_run(struct kv_call *call, const struct kv_pick *pick, struct kv_view in,
                           struct kv_bytes *ret)
{
    if (kv_pick_in_session(pick))
        return run_here(pick, in, ret);
    WITH_KEY_USE(use);
    if (pick->operation & (KV_OP_ENCRYPT | KV_OP_WRAP))
        return kv_key_encrypt(&use, pick->operation, in, ret, &call->err);
    return kv_key_decrypt(&use, pick->operation, in, ret, &call->err);
}

enum kv_status kv_pick_sign(struct kv_call *call, const struct kv_pick *pick, struct kv_view digest,
                            struct kv_bytes *ret)
{
    WITH_KEY_USE(use);
    return kv_key_sign(&use, digest, ret, &call->err);
}

enum kv_status kv_pick_verify(struct kv_call *call, const struct kv_pick *pick, struct kv_view digest,
                              struct kv_view signature)
{
    WITH_KEY_USE(use);
    return kv_key_verify(&use, digest, signature, &call->err);
}

size_t kv_pick_size(const struct kv_pick *pick, size_t len)
{
    return kv_key_output_size(pick->object->version, &pick->mech, pick->operation, len);
}
