/* Keys brought into the vault: C_CreateObject with CKA_TOKEN true. Private parts are borrowed from the template; the one copy made here is wiped. */
#include "manage_private.h"

#include <string.h>
#include "call.h"

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
    struct kv_view number = { item->pValue, item->ulValueLen };
    while (number.len && !*number.data)
        number = (struct kv_view){ number.data + 1, number.len - 1 };
    return number;
}

static CK_RV read_rsa(struct kv_call *call, struct kv_template template, struct kv_vault_import *import)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
        int member;
    } parts[] = {
        { CKA_MODULUS, "CKA_MODULUS", KV_JWK_N },
        { CKA_PUBLIC_EXPONENT, "CKA_PUBLIC_EXPONENT", KV_JWK_E },
        { CKA_PRIVATE_EXPONENT, "CKA_PRIVATE_EXPONENT", KV_JWK_D },
        { CKA_PRIME_1, "CKA_PRIME_1", KV_JWK_P },
        { CKA_PRIME_2, "CKA_PRIME_2", KV_JWK_Q },
        { CKA_EXPONENT_1, "CKA_EXPONENT_1", KV_JWK_DP },
        { CKA_EXPONENT_2, "CKA_EXPONENT_2", KV_JWK_DQ },
        { CKA_COEFFICIENT, "CKA_COEFFICIENT", KV_JWK_QI },
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const CK_ATTRIBUTE *item = kv_attrs_find(template, parts[i].type);
        if (!item)
            return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE,
                                  "%s is missing: a vault takes an RSA key with all its parts",
                                  parts[i].name);
        import->members[parts[i].member] = minimal(item);
        if (!import->members[parts[i].member].len)
            return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID, "%s is zero", parts[i].name);
    }
    struct kv_view n = import->members[KV_JWK_N];
    if ((n.len != 256 && n.len != 384 && n.len != 512) || !(n.data[0] & 0x80))
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID,
                              "CKA_MODULUS: a vault has RSA keys of 2048, 3072 and 4096 bits");
    return CKR_OK;
}

/* A private key of PKCS#11 does not bring its point along; a vault wants it. `room` holds what the members point to. */
struct ec_room {
    unsigned char scalar[66];
    struct kv_public *public;
};

static void ec_room_free(struct ec_room *room)
{
    kv_wipe(room->scalar, sizeof room->scalar);
    kv_public_free(room->public);
}

static CK_RV read_ec(struct kv_call *call, struct kv_template template, struct ec_room *room,
                     struct kv_vault_import *import)
{
    const CK_ATTRIBUTE *value = kv_attrs_find(template, CKA_VALUE);
    const struct kv_curve *curve = NULL;
    CK_RV rv = kv_manage_read_curve(call, template, &curve);
    if (rv)
        return rv;
    if (!value)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_VALUE is missing: the private key itself");
    struct kv_view scalar = minimal(value);
    enum kv_status status = kv_public_from_scalar(curve, scalar, &room->public, &call->err);
    if (status)
        return kv_call_status(call, status, KV_OP_PAIR);
    memcpy(room->scalar + curve->width - scalar.len, scalar.data, scalar.len);
    struct kv_view point = kv_public_point(room->public);
    import->curve = curve->name;
    import->members[KV_JWK_D] = (struct kv_view){ room->scalar, curve->width };
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
    unsigned how = KV_SET_CREATE | KV_SET_VAULT_IMPORT;
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
    KV_CLEANUP(ec_room_free) struct ec_room room = { .public = NULL };
    const struct kv_slot *slot = kv_call_slot(call);
    CK_OBJECT_CLASS class = 0;
    struct kv_wish wish = { 0 };
    if (!ret)
        return CKR_ARGUMENTS_BAD;
    CK_RV rv = read_import(call, template, &wish, &class);
    struct kv_vault_import import = {
        .name = wish.name, .operations = wish.operations, .nbf = wish.nbf, .exp = wish.exp
    };
    if (!rv)
        rv = wish.kind == KV_RSA  ? read_rsa(call, template, &import)
             : wish.kind == KV_EC ? read_ec(call, template, &room, &import)
                                  : read_value(call, template, &import);
    if (rv)
        return rv;
    import.kty = kv_manage_kty(slot, wish.kind, false);
    import.hsm = kv_manage_in_hsm(slot) && !slot->config->managed_hsm;
    kv_manage_tell(call, template);
    rv = kv_manage_make(call, &(struct kv_keyring_new){ .import = &import }, objects);
    if (!rv)
        kv_manage_hand_over(objects, class, ret);
    kv_manage_let_go(objects);
    return rv;
}
