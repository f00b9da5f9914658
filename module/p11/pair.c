#include "pair.h"

#include "call.h"
#include "create.h"
#include "manage.h"

struct halves {
    struct kv_object *public, *private;
};

static void halves_free(struct halves *halves)
{
    kv_object_free(halves->public);
    kv_object_free(halves->private);
}

/* The sizes that the service has, too: a key made here can be brought there. */
static bool size_is_offered(CK_ULONG bits)
{
    return bits == 2048 || bits == 3072 || bits == 4096;
}

static CK_RV make_rsa(struct kv_call *call, const struct kv_raw *raw, struct kv_private **ret)
{
    if (!raw || !raw->modulus_bits)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_MODULUS_BITS is missing");
    if (!size_is_offered(raw->modulus_bits))
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID,
                              "CKA_MODULUS_BITS %lu is not offered: 2048, 3072 and 4096 are",
                              raw->modulus_bits);
    enum kv_status status = kv_private_new_rsa((unsigned)raw->modulus_bits,
                                               KV_VIEW(raw->parts[KV_PART_EXPONENT]), ret, &call->err);
    if (status == KV_BAD_DATA)
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT, "CKA_PUBLIC_EXPONENT is not one to use");
    return kv_call_status(call, status, 0);
}

static CK_RV make_ec(struct kv_call *call, const struct kv_raw *raw, struct kv_private **ret)
{
    const struct kv_curve *curve;
    if (!raw || !raw->ec_params.len)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_EC_PARAMS is missing");
    CK_RV rv = kv_create_curve(call, raw, &curve);
    return rv ? rv : kv_call_status(call, kv_private_new_ec(curve, ret, &call->err), 0);
}

static CK_RV prepare(struct kv_call *call, const struct kv_pair_wish *wish, CK_KEY_TYPE type,
                     struct halves *ret)
{
    CK_RV rv = kv_create_begin(call, (struct kv_create_kind){ CKO_PUBLIC_KEY, type }, &ret->public);
    if (!rv)
        rv = kv_create_begin(call, (struct kv_create_kind){ CKO_PRIVATE_KEY, type }, &ret->private);
    if (!rv)
        rv = kv_attrs_apply(call, ret->public, wish->public, KV_SET_GENERATE);
    if (!rv)
        rv = kv_attrs_apply(call, ret->private, wish->private, KV_SET_GENERATE);
    return rv;
}

static CK_RV make(struct kv_call *call, const struct halves *halves)
{
    const struct kv_raw *raw = halves->public->secret->raw;
    struct kv_private **key = &halves->private->secret->private;
    CK_RV rv = halves->public->key_type == CKK_RSA ? make_rsa(call, raw, key) : make_ec(call, raw, key);
    if (rv)
        return rv;
    halves->private->secret->public = kv_public_ref(kv_private_public(*key));
    halves->public->secret->public = kv_public_ref(kv_private_public(*key));
    kv_object_forget_raw(halves->public);
    kv_object_forget_raw(halves->private);
    return CKR_OK;
}

/* Both, or none. */
static CK_RV add(struct kv_call *call, struct halves *halves, CK_OBJECT_HANDLE *ret_public,
                 CK_OBJECT_HANDLE *ret_private)
{
    CK_OBJECT_HANDLE public = CK_INVALID_HANDLE;
    enum kv_status status = kv_object_add(call, kv_take(halves->public), &public);
    if (!status) {
        status = kv_object_add(call, kv_take(halves->private), ret_private);
        if (status) {
            kv_session_disown(call->session, public);
            kv_object_drop(call->library, public);
        }
    }
    if (!status)
        *ret_public = public;
    return kv_call_status(call, status, 0);
}

static CK_RV generate_here(struct kv_call *call, const struct kv_pair_wish *wish,
                           CK_OBJECT_HANDLE *ret_public, CK_OBJECT_HANDLE *ret_private)
{
    CK_MECHANISM_TYPE mechanism = wish->mechanism->mechanism;
    KV_CLEANUP(halves_free) struct halves halves = { 0 };
    CK_RV rv = prepare(call, wish, mechanism == CKM_EC_KEY_PAIR_GEN ? CKK_EC : CKK_RSA, &halves);
    if (!rv)
        rv = make(call, &halves);
    if (rv)
        return rv;
    kv_create_abilities(halves.public, wish->public);
    kv_create_abilities(halves.private, wish->private);
    kv_create_mark_local(halves.public, mechanism);
    kv_create_mark_local(halves.private, mechanism);
    return add(call, &halves, ret_public, ret_private);
}

CK_RV kv_pair_generate(struct kv_call *call, const struct kv_pair_wish *wish, CK_OBJECT_HANDLE *ret_public,
                       CK_OBJECT_HANDLE *ret_private)
{
    const struct kv_mech *row;
    if (!wish->mechanism || !ret_public || !ret_private || !kv_attrs_sound(wish->public) ||
        !kv_attrs_sound(wish->private))
        return CKR_ARGUMENTS_BAD;
    /* A template with CKA_TOKEN true asks for a key of the vault. */
    if (kv_manage_wanted(wish->public) || kv_manage_wanted(wish->private))
        return kv_manage_generate_pair(call, wish, ret_public, ret_private);
    enum kv_status status = kv_pick_keyless(call, wish->mechanism, KV_OP_PAIR, &row);
    if (status)
        return kv_call_status(call, status, 0);
    return generate_here(call, wish, ret_public, ret_private);
}
