/* Keys that the vault makes: C_GenerateKeyPair and C_GenerateKey with CKA_TOKEN true. */
#include "manage_private.h"

#include <string.h>
#include "call.h"
#include "pick.h"

/* --- C_GenerateKeyPair --- */

static CK_RV read_modulus_bits(struct kv_call *call, struct kv_template template, int *ret)
{
    static const unsigned char f4[] = { 1, 0, 1 };
    const CK_ATTRIBUTE *bits = kv_attrs_find(template, CKA_MODULUS_BITS);
    const CK_ATTRIBUTE *exponent = kv_attrs_find(template, CKA_PUBLIC_EXPONENT);
    CK_ULONG value;
    if (!bits)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_MODULUS_BITS is missing");
    memcpy(&value, bits->pValue, sizeof value);
    if (value != 2048 && value != 3072 && value != 4096)
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID,
                              "an RSA key of %lu bits is not made by a vault: 2048, 3072 and 4096 are",
                              value);
    *ret = (int)value;
    struct kv_view e = { exponent ? exponent->pValue : f4, exponent ? exponent->ulValueLen : sizeof f4 };
    if (!kv_view_equal(kv_view_minimal(e), (struct kv_view){ f4, sizeof f4 }))
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID,
                              "CKA_PUBLIC_EXPONENT is not 65537: no other is asked of a vault");
    return CKR_OK;
}

static CK_RV read_pair(struct kv_call *call, const struct kv_pair_wish *pair, struct kv_wish *ret)
{
    unsigned how = KV_SET_GENERATE | KV_SET_VAULT_MAKE;
    CK_RV rv = kv_manage_check(call, pair->public, CKO_PUBLIC_KEY, ret, how);
    if (!rv)
        rv = kv_manage_check(call, pair->private, CKO_PRIVATE_KEY, ret, how);
    if (!rv)
        rv = kv_manage_read_name(call, pair->private, pair->public, ret->name);
    if (!rv)
        rv = kv_manage_read_usage(call, pair->private, pair->public, ret);
    if (!rv)
        rv = kv_manage_dates(call, pair->public, &ret->nbf, &ret->exp);
    return rv ? rv : kv_manage_dates(call, pair->private, &ret->nbf, &ret->exp);
}

/* A contradiction is told of whether or not the vault may be written to. */
static CK_RV check_place(struct kv_call *call, const struct kv_pair_wish *pair)
{
    if (kv_manage_said(pair->private, CKA_TOKEN) == 1 && kv_manage_said(pair->public, CKA_TOKEN) != 0)
        return kv_manage_allowed(call);
    return kv_call_refuse(
        call, CKR_TEMPLATE_INCONSISTENT,
        "CKA_TOKEN is true for one key alone: both halves of a pair live in the same place");
}

static CK_RV plan_pair(struct kv_call *call, const struct kv_pair_wish *pair, struct kv_wish *wish,
                       struct kv_vault_create *ret)
{
    const struct kv_mech *row = NULL;
    const struct kv_curve *curve = NULL;
    if (!pair->mechanism)
        return CKR_ARGUMENTS_BAD;
    CK_RV rv = check_place(call, pair);
    enum kv_status status = rv ? KV_OK : kv_pick_keyless(call, pair->mechanism, KV_OP_PAIR, &row);
    if (rv || status)
        return rv ? rv : kv_call_status(call, status, 0);
    wish->kind = row->kind;
    wish->key_type = row->kind == KV_RSA ? CKK_RSA : CKK_EC;
    rv = read_pair(call, pair, wish);
    if (!rv)
        rv = wish->kind == KV_RSA ? read_modulus_bits(call, pair->public, &ret->bits)
                                  : kv_manage_read_curve(call, pair->public, &curve);
    ret->name = wish->name;
    ret->kty = kv_manage_kty(kv_call_slot(call), wish->kind, kv_manage_in_hsm(kv_call_slot(call)));
    ret->curve = curve ? curve->name : NULL;
    ret->operations = wish->operations;
    ret->nbf = wish->nbf;
    ret->exp = wish->exp;
    return rv;
}

CK_RV kv_manage_generate_pair(struct kv_call *call, const struct kv_pair_wish *pair,
                              CK_OBJECT_HANDLE *ret_public, CK_OBJECT_HANDLE *ret_private)
{
    struct kv_object *objects[KV_VERSION_OBJECTS] = { NULL };
    struct kv_vault_create create = { 0 };
    struct kv_wish wish = { 0 };
    if (!ret_public || !ret_private)
        return CKR_ARGUMENTS_BAD;
    CK_RV rv = plan_pair(call, pair, &wish, &create);
    if (rv)
        return rv;
    kv_manage_tell(call, pair->private);
    rv = kv_manage_make(call, &(struct kv_keyring_new){ .create = &create }, objects);
    if (!rv) {
        kv_manage_hand_over(objects, CKO_PUBLIC_KEY, ret_public);
        kv_manage_hand_over(objects, CKO_PRIVATE_KEY, ret_private);
    }
    kv_manage_let_go(objects);
    return rv;
}

/* --- C_GenerateKey --- */

CK_RV kv_manage_generate(struct kv_call *call, const CK_MECHANISM *mechanism, struct kv_template template,
                         CK_OBJECT_HANDLE *ret)
{
    struct kv_object *objects[KV_VERSION_OBJECTS] = { NULL };
    struct kv_wish wish = { .kind = KV_OCT };
    const struct kv_mech *row;
    CK_ULONG bytes = 0;
    if (!mechanism || !ret)
        return CKR_ARGUMENTS_BAD;
    CK_RV rv = kv_manage_allowed(call);
    if (!rv)
        rv = kv_call_status(call, kv_pick_keyless(call, mechanism, KV_OP_GENERATE, &row), 0);
    if (rv)
        return rv;
    wish.key_type = mechanism->mechanism == CKM_AES_KEY_GEN ? CKK_AES : CKK_GENERIC_SECRET;
    rv = kv_manage_read_secret(call, template, KV_SET_GENERATE | KV_SET_VAULT_MAKE, &wish);
    const CK_ATTRIBUTE *length = rv ? NULL : kv_attrs_find(template, CKA_VALUE_LEN);
    if (!rv && !length)
        rv = kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_VALUE_LEN is missing");
    if (!rv)
        memcpy(&bytes, length->pValue, sizeof bytes);
    if (!rv)
        rv = kv_manage_check_secret(call, "CKA_VALUE_LEN", bytes);
    if (rv)
        return rv;
    kv_manage_tell(call, template);
    const struct kv_vault_create create = { .name = wish.name,
                                            .kty = kv_manage_kty(kv_call_slot(call), KV_OCT, true),
                                            .bits = (int)bytes * 8,
                                            .operations = wish.operations,
                                            .nbf = wish.nbf,
                                            .exp = wish.exp };
    rv = kv_manage_make(call, &(struct kv_keyring_new){ .create = &create }, objects);
    if (!rv)
        kv_manage_hand_over(objects, CKO_SECRET_KEY, ret);
    kv_manage_let_go(objects);
    return rv;
}
