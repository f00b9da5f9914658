/* Keys brought into the vault: C_CreateObject with CKA_TOKEN true. Private parts stand in locked memory while the request is made. */
#include "manage_private.h"

#include <string.h>
#include "call.h"
#include "create.h"
#include "mech/private.h"

KV_DEFINE_CLEANUP(struct kv_private, kv_private_free)

static const struct {
    CK_KEY_TYPE type;
    CK_OBJECT_CLASS class;
    enum kv_kind kind;
} importable[] = { { CKK_RSA, CKO_PRIVATE_KEY, KV_RSA },
                   { CKK_EC, CKO_PRIVATE_KEY, KV_EC },
                   { CKK_AES, CKO_SECRET_KEY, KV_OCT },
                   { CKK_GENERIC_SECRET, CKO_SECRET_KEY, KV_OCT } };

static CK_RV read_number(struct kv_call *call, struct kv_template template, CK_ATTRIBUTE_TYPE type,
                         CK_ULONG *ret)
{
    const CK_ATTRIBUTE *item = kv_attrs_find(template, type);
    if (!item)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "attribute 0x%lx is missing", type);
    if (item->ulValueLen != sizeof *ret)
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx has a malformed value",
                              type);
    memcpy(ret, item->pValue, sizeof *ret);
    return CKR_OK;
}

static CK_RV read_kind(struct kv_call *call, struct kv_template template, struct kv_wish *ret,
                       CK_OBJECT_CLASS *ret_class)
{
    CK_ULONG type = 0;
    CK_RV rv = read_number(call, template, CKA_CLASS, ret_class);
    if (!rv && *ret_class != CKO_PRIVATE_KEY && *ret_class != CKO_SECRET_KEY)
        rv = kv_call_refuse(
            call, CKR_TEMPLATE_INCONSISTENT,
            "only private and secret keys are brought into a vault: a public key comes with its "
            "private one");
    if (!rv)
        rv = read_number(call, template, CKA_KEY_TYPE, &type);
    if (rv)
        return rv;
    for (size_t i = 0; i < sizeof importable / sizeof *importable; i++)
        if (importable[i].type == type && importable[i].class == *ret_class) {
            ret->kind = importable[i].kind;
            ret->key_type = type;
            return CKR_OK;
        }
    return kv_call_refuse(
        call, CKR_TEMPLATE_INCONSISTENT,
        "a key of type 0x%lx cannot be brought into a vault: RSA and EC private keys can, and AES "
        "and generic secret keys into a Managed HSM",
        type);
}

static struct kv_view minimal(const CK_ATTRIBUTE *item)
{
    return kv_view_minimal((struct kv_view){ item->pValue, item->ulValueLen });
}

static const int rsa_members[KV_RSA_PARTS] = {
    [KV_PART_MODULUS] = KV_JWK_N,          [KV_PART_EXPONENT] = KV_JWK_E,
    [KV_PART_PRIVATE_EXPONENT] = KV_JWK_D, [KV_PART_PRIME_1] = KV_JWK_P,
    [KV_PART_PRIME_2] = KV_JWK_Q,          [KV_PART_EXPONENT_1] = KV_JWK_DP,
    [KV_PART_EXPONENT_2] = KV_JWK_DQ,      [KV_PART_COEFFICIENT] = KV_JWK_QI,
};

/* A part of an RSA key that the template leaves out is empty. */
static CK_RV read_rsa(struct kv_call *call, struct kv_template template, struct kv_private **ret)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *needed; /* its name, where it cannot be computed */
    } attributes[KV_RSA_PARTS] = {
        [KV_PART_MODULUS] = { CKA_MODULUS, "CKA_MODULUS" },
        [KV_PART_EXPONENT] = { CKA_PUBLIC_EXPONENT, "CKA_PUBLIC_EXPONENT" },
        [KV_PART_PRIVATE_EXPONENT] = { CKA_PRIVATE_EXPONENT, "CKA_PRIVATE_EXPONENT" },
        [KV_PART_PRIME_1] = { CKA_PRIME_1, NULL },
        [KV_PART_PRIME_2] = { CKA_PRIME_2, NULL },
        [KV_PART_EXPONENT_1] = { CKA_EXPONENT_1, NULL },
        [KV_PART_EXPONENT_2] = { CKA_EXPONENT_2, NULL },
        [KV_PART_COEFFICIENT] = { CKA_COEFFICIENT, NULL },
    };
    struct kv_view parts[KV_RSA_PARTS] = { { NULL, 0 } };
    for (size_t i = 0; i < KV_RSA_PARTS; i++) {
        const CK_ATTRIBUTE *item = kv_attrs_find(template, attributes[i].type);
        if (item)
            parts[i] = minimal(item);
        if (attributes[i].needed && !parts[i].len)
            return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "%s is missing", attributes[i].needed);
    }
    struct kv_view n = parts[KV_PART_MODULUS];
    if ((n.len != 256 && n.len != 384 && n.len != 512) || !(n.data[0] & 0x80))
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID,
                              "CKA_MODULUS: a vault has RSA keys of 2048, 3072 and 4096 bits");
    return kv_call_status(call, kv_private_from_rsa(parts, ret, &call->err), KV_OP_PAIR);
}

static CK_RV read_ec(struct kv_call *call, struct kv_template template, struct kv_private **ret)
{
    const CK_ATTRIBUTE *value = kv_attrs_find(template, CKA_VALUE);
    const struct kv_curve *curve = NULL;
    CK_RV rv = kv_manage_read_curve(call, template, &curve);
    if (!rv && !value)
        rv = kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_VALUE is missing: the private key itself");
    return rv ? rv
              : kv_call_status(call, kv_private_from_ec(curve, minimal(value), ret, &call->err), KV_OP_PAIR);
}

/* What a template says of the public half beside the private one must be so. */
static CK_RV check_public(struct kv_call *call, struct kv_template template, const struct kv_public *key)
{
    const CK_ATTRIBUTE *info = kv_attrs_find(template, CKA_PUBLIC_KEY_INFO);
    const CK_ATTRIBUTE *given = kv_attrs_find(template, CKA_EC_POINT);
    struct kv_view point = kv_public_point(key), spki = kv_public_spki(key), said = point;
    CK_RV rv = given && kv_public_curve(key)
                   ? kv_create_point(call, kv_public_curve(key),
                                     (struct kv_view){ given->pValue, given->ulValueLen }, &said)
                   : CKR_OK;
    if (rv)
        return rv;
    bool good = (!info || kv_view_equal(spki, (struct kv_view){ info->pValue, info->ulValueLen })) &&
                kv_view_equal(point, said);
    return good ? CKR_OK
                : kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT,
                                 "the template's public key is not that of its private key");
}

/* The key as OpenSSL knows it, and from there the members of the request; `ret` holds what they point to. */
static CK_RV read_pair(struct kv_call *call, struct kv_template template, bool rsa,
                       struct kv_vault_import *import, struct kv_private **ret)
{
    CK_RV rv = rsa ? read_rsa(call, template, ret) : read_ec(call, template, ret);
    if (!rv)
        rv = check_public(call, template, kv_private_public(*ret));
    if (rv)
        return rv;
    for (int i = 0; rsa && i < KV_RSA_PARTS; i++)
        import->members[rsa_members[i]] = kv_private_part(*ret, (enum kv_private_part)i);
    if (rsa)
        return CKR_OK;
    const struct kv_curve *curve = kv_public_curve(kv_private_public(*ret));
    struct kv_view point = kv_public_point(kv_private_public(*ret));
    import->curve = curve->name;
    import->members[KV_JWK_D] = kv_private_part(*ret, KV_PART_SCALAR);
    import->members[KV_JWK_X] = (struct kv_view){ point.data + 1, curve->width };
    import->members[KV_JWK_Y] = (struct kv_view){ point.data + 1 + curve->width, curve->width };
    return CKR_OK;
}

static CK_RV read_value(struct kv_call *call, struct kv_template template, struct kv_vault_import *import)
{
    const CK_ATTRIBUTE *value = kv_attrs_find(template, CKA_VALUE);
    if (!value)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_VALUE is missing: the key itself");
    import->members[KV_JWK_K] = (struct kv_view){ value->pValue, value->ulValueLen };
    return kv_manage_check_secret(call, "CKA_VALUE", value->ulValueLen);
}

static CK_RV read_import(struct kv_call *call, struct kv_template template, struct kv_wish *wish,
                         CK_OBJECT_CLASS *ret_class)
{
    unsigned how = KV_SET_CREATE;
    CK_RV rv = kv_manage_allowed(call);
    if (!rv)
        rv = read_kind(call, template, wish, ret_class);
    if (!rv && wish->kind == KV_OCT)
        return kv_manage_read_secret(call, template, how, wish);
    if (!rv)
        rv = kv_manage_check(call, template, CKO_PRIVATE_KEY, wish, how);
    if (!rv)
        rv = kv_manage_read_name(call, template, template, wish->name);
    if (!rv)
        rv = kv_manage_read_usage(call, template, (struct kv_template){ 0 }, wish);
    return rv ? rv : kv_manage_dates(call, template, &wish->nbf, &wish->exp);
}

CK_RV kv_manage_import(struct kv_call *call, struct kv_template template, CK_OBJECT_HANDLE *ret)
{
    struct kv_object *objects[KV_VERSION_OBJECTS] = { NULL };
    KV_CLEANUP(kv_private_free_cleanup) struct kv_private *key = NULL;
    const struct kv_slot *slot = kv_call_slot(call);
    CK_OBJECT_CLASS class = 0;
    struct kv_wish wish = { 0 };
    if (!ret)
        return CKR_ARGUMENTS_BAD;
    CK_RV rv = read_import(call, template, &wish, &class);
    struct kv_vault_import import = {
        .name = wish.name, .operations = wish.operations, .nbf = wish.nbf, .exp = wish.exp
    };
    import.kty = kv_manage_kty(slot, wish.kind, false);
    import.hsm = kv_manage_in_hsm(slot) && !slot->config->managed_hsm;
    if (!rv)
        rv = wish.kind == KV_OCT ? read_value(call, template, &import)
                                 : read_pair(call, template, wish.kind == KV_RSA, &import, &key);
    if (rv)
        return rv;
    kv_manage_tell(call, template);
    rv = kv_manage_make(call, &(struct kv_keyring_new){ .import = &import }, objects);
    if (!rv)
        kv_manage_hand_over(objects, class, ret);
    kv_manage_let_go(objects);
    return rv;
}
