#include "pick.h"

#include <string.h>
#include "call.h"
#include "mech/message_param.h"
#include "pick_here.h"

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
    { KV_OP_DERIVE, CKO_SECRET_KEY, KV_CAN_DERIVE, "CKA_DERIVE" },
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

/* Without the PIN the vault cannot be asked. The public half is here. */
static enum kv_status check_login(struct kv_call *call, const struct kv_object *object)
{
    if (!object->version || object->type == CKO_PUBLIC_KEY || !kv_session_locked(call))
        return KV_OK;
    return kv_fail(&call->err, KV_NOT_LOGGED_IN,
                   "'%s' needs the vault, whose secret is the PIN of C_Login: nobody has logged in",
                   object->version->label);
}

static bool is_key(const struct kv_object *object)
{
    return object->type == CKO_PRIVATE_KEY || object->type == CKO_PUBLIC_KEY ||
           object->type == CKO_SECRET_KEY;
}

static struct kv_mech_key mech_key(const struct kv_object *object)
{
    if (object->version)
        return kv_version_mech_key(object->version);
    const struct kv_public *public = object->secret->public;
    if (!public)
        return (struct kv_mech_key){ .kind = KV_OCT,
                                     .bits = (unsigned)(object->secret->value.len * 8),
                                     .session = true };
    const struct kv_curve *curve = kv_public_curve(public);
    return (struct kv_mech_key){ .kind = kv_public_kind(public),
                                 .bits = kv_public_bits(public),
                                 .curve = curve ? curve->name : NULL,
                                 .session = true };
}

/* A cipher takes an AES key, HMAC a generic secret, HKDF anything but an AES key. */
static enum kv_status check_type(const struct kv_object *object, unsigned operation, struct kv_error *err)
{
    enum { CIPHERS = KV_OP_ENCRYPT | KV_OP_DECRYPT | KV_OP_WRAP | KV_OP_UNWRAP };
    if (object->version || object->type != CKO_SECRET_KEY)
        return KV_OK;
    if (operation & CIPHERS && object->key_type != CKK_AES)
        return kv_fail(err, KV_KEY_TYPE, "a generic secret key has no cipher: CKK_AES is needed");
    if (operation & (KV_OP_SIGN | KV_OP_VERIFY) && object->key_type != CKK_GENERIC_SECRET)
        return kv_fail(err, KV_KEY_TYPE, "HMAC takes a key of CKK_GENERIC_SECRET");
    if (operation == KV_OP_DERIVE && object->key_type == CKK_AES)
        return kv_fail(err, KV_KEY_TYPE, "HKDF takes a key of CKK_HKDF or CKK_GENERIC_SECRET");
    return KV_OK;
}

/* CKA_ALLOWED_MECHANISMS, where a key of the session has it. A vault's key has it by computation. */
static enum kv_status check_allowed(const struct kv_object *object, CK_MECHANISM_TYPE type,
                                    struct kv_error *err)
{
    const struct kv_bytes *allowed = object->secret ? &object->secret->allowed : NULL;
    if (!allowed || !allowed->data)
        return KV_OK;
    for (size_t at = 0; at < allowed->len; at += sizeof type)
        if (!memcmp(allowed->data + at, &type, sizeof type))
            return KV_OK;
    return kv_fail(err, KV_MECHANISM, "the key's CKA_ALLOWED_MECHANISMS leave out 0x%lx", type);
}

bool kv_pick_digestible(const struct kv_object *object, const struct kv_mech *row)
{
    struct kv_error err = { 0 };
    return object->type == CKO_SECRET_KEY && object->secret && !check_allowed(object, row->type, &err);
}

static enum kv_status told(struct kv_call *call, enum kv_status status, const CK_MECHANISM *mechanism)
{
    const char *name = kv_mech_type_name(mechanism->mechanism);
    if (!status || call->err.text[0])
        return status;
    return kv_fail(&call->err, status, "%s (0x%lx): %s", name ? name : "mechanism", mechanism->mechanism,
                   kv_status_text(status));
}

static enum kv_status select_row(struct kv_call *call, const struct kv_pick_wish *wish,
                                 const struct kv_mech_key *key, struct kv_pick *pick)
{
    const struct kv_mech_offer *offer = &kv_call_slot(call)->offer;
    bool message = wish->operation & KV_OP_MESSAGE;
    return message ? kv_message_param_select(wish->mechanism, key, pick->operation, offer, &pick->mech)
                   : kv_mech_select(wish->mechanism, key, pick->operation, offer, &pick->mech);
}

/* The classic functions name the nonce at their beginning. */
static enum kv_status check_nonce(const struct kv_pick *pick, struct kv_error *err)
{
    if (!kv_mech_makes_nonce(pick->mech.row))
        return KV_OK;
    if (pick->operation & (KV_OP_ENCRYPT | KV_OP_WRAP))
        return kv_fail(
            err, KV_MECHANISM_PARAM,
            "'%s' is in a Managed HSM, which makes the nonce of AES-GCM and takes none: encrypt with "
            "C_EncryptMessage and CKG_GENERATE",
            pick->object->version->label);
    if (pick->mech.iv.len != KV_SEALED_IV || pick->mech.tag_len != KV_SEALED_TAG)
        return kv_fail(
            err, KV_MECHANISM_PARAM,
            "'%s' is in a Managed HSM, whose AES-GCM has a nonce of 12 bytes and a tag of 128 bits; "
            "%zu bytes and %zu bits are given",
            pick->object->version->label, pick->mech.iv.len, 8 * pick->mech.tag_len);
    return KV_OK;
}

enum kv_status kv_pick_open(struct kv_call *call, const struct kv_pick_wish *wish, struct kv_pick *ret)
{
    KV_AUTO_PICK struct kv_pick pick = { .operation = wish->operation & ~(unsigned)KV_OP_MESSAGE };
    pick.object = kv_object_get(call, wish->key);
    if (!pick.object || !is_key(pick.object))
        return kv_fail(&call->err, KV_NOT_FOUND, "no key has the handle %lu", wish->key);
    if (wish->mechanism->ulParameterLen && !wish->mechanism->pParameter)
        return KV_MECHANISM_PARAM;
    KV_TRY(check_allowed(pick.object, wish->mechanism->mechanism, &call->err));
    struct kv_mech_key key = mech_key(pick.object);
    enum kv_status status = select_row(call, wish, &key, &pick);
    /* Whatever its size, it has the wrong type: that is what the caller has to hear. */
    if (!status || status == KV_KEY_SIZE)
        KV_TRY(check_type(pick.object, pick.operation, &call->err));
    KV_TRY(told(call, status, wish->mechanism));
    KV_TRY(check_role(pick.object, pick.operation, &call->err));
    KV_TRY(check_login(call, pick.object));
    if (!(wish->operation & KV_OP_MESSAGE))
        KV_TRY(check_nonce(&pick, &call->err));
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

/* Declares `use`, with its task, as kv_key_* want it. */
#define WITH_KEY_USE(use)                                                                                    \
    struct kv_task task = kv_call_task(call);                                                                \
    const struct kv_key_use use = { kv_call_slot(call)->keyring, pick->object->version, &pick->mech, &task }

enum kv_status kv_pick_run(struct kv_call *call, const struct kv_pick *pick, struct kv_view in,
                           struct kv_bytes *ret)
{
    if (kv_pick_in_session(pick))
        return kv_pick_here_run(pick, in, ret, &call->err);
    WITH_KEY_USE(use);
    if (pick->operation & (KV_OP_ENCRYPT | KV_OP_WRAP))
        return kv_key_encrypt(&use, pick->operation, in, ret, &call->err);
    return kv_key_decrypt(&use, pick->operation, in, ret, &call->err);
}

enum kv_status kv_pick_seal(struct kv_call *call, const struct kv_pick *pick, struct kv_view plain,
                            struct kv_sealed *ret)
{
    WITH_KEY_USE(use);
    return kv_key_seal(&use, plain, ret, &call->err);
}

enum kv_status kv_pick_sign(struct kv_call *call, const struct kv_pick *pick, struct kv_view digest,
                            struct kv_bytes *ret)
{
    if (kv_pick_in_session(pick))
        return kv_pick_here_sign(pick, digest, ret, &call->err);
    WITH_KEY_USE(use);
    return kv_key_sign(&use, digest, ret, &call->err);
}

enum kv_status kv_pick_verify(struct kv_call *call, const struct kv_pick *pick, struct kv_view digest,
                              struct kv_view signature)
{
    if (kv_pick_in_session(pick))
        return kv_pick_here_verify(pick, digest, signature, &call->err);
    WITH_KEY_USE(use);
    return kv_key_verify(&use, digest, signature, &call->err);
}

size_t kv_pick_size(const struct kv_pick *pick, size_t len)
{
    if (kv_pick_in_session(pick))
        return kv_pick_here_size(pick);
    return kv_key_output_size(pick->object->version, &pick->mech, pick->operation, len);
}
