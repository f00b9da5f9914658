/* What every template for a new key of a vault has in common: checked by the rule table, read into a wish, and made. */
#include "manage_private.h"

#include <string.h>
#include "call.h"

/* An object as the new one will be, to hold the template against. */
static struct kv_object draft_of(struct kv_call *call, CK_OBJECT_CLASS type, CK_KEY_TYPE key_type)
{
    unsigned secrecy = KV_IS_SENSITIVE | KV_IS_ALWAYS_SENSITIVE | KV_IS_NEVER_EXTRACTABLE;
    return (struct kv_object){ .slot = call->session->slot,
                               .session = call->session->handle,
                               .type = type,
                               .key_type = key_type,
                               .flags = KV_IS_TOKEN | KV_IS_MODIFIABLE | KV_IS_DESTROYABLE |
                                        (type == CKO_PUBLIC_KEY ? 0 : secrecy),
                               .offer = &kv_call_slot(call)->offer };
}

static CK_RV check_number(struct kv_call *call, struct kv_template template, CK_ATTRIBUTE_TYPE type,
                          CK_ULONG should)
{
    const CK_ATTRIBUTE *item = kv_attrs_find(template, type);
    CK_ULONG is = should;
    if (item)
        memcpy(&is, item->pValue, sizeof is);
    if (is == should)
        return CKR_OK;
    return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT, "attribute 0x%lx is 0x%lx, where 0x%lx is made",
                          type, is, should);
}

/* What is no usage and no choice of the caller's must be what the key will be. */
static CK_RV check_flags(struct kv_call *call, struct kv_template template, const struct kv_object *draft)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
        const char *why;
    } fixed[] = {
        { CKA_TOKEN, "CKA_TOKEN", "both halves of a pair live in the same place" },
        { CKA_SENSITIVE, "CKA_SENSITIVE", "a vault's key is never shown" },
        { CKA_EXTRACTABLE, "CKA_EXTRACTABLE", "a vault's key never leaves it" },
        { CKA_COPYABLE, "CKA_COPYABLE", "a vault's key cannot be copied" },
        { CKA_MODIFIABLE, "CKA_MODIFIABLE", "with `manage = yes` a vault's key can be changed" },
        { CKA_DESTROYABLE, "CKA_DESTROYABLE", "with `manage = yes` a vault's key can be disabled" },
        { CKA_WRAP_WITH_TRUSTED, "CKA_WRAP_WITH_TRUSTED", "a vault's key is never wrapped" },
    };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const struct kv_attr_rule *rule = kv_attr_rule(draft, fixed[i].type);
        int said = kv_manage_said(template, fixed[i].type);
        if (rule && said >= 0 && said != !!(draft->flags & rule->flag))
            return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT, "%s cannot be %s: %s", fixed[i].name,
                                  said ? "true" : "false", fixed[i].why);
    }
    return CKR_OK;
}

/* What would hold for a key in a session and is lost on one in a vault must not seem to hold. */
static CK_RV check_kept(struct kv_call *call, struct kv_template template)
{
    static const CK_ATTRIBUTE_TYPE lost[] = { CKA_ALLOWED_MECHANISMS, CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE,
                                              CKA_DERIVE_TEMPLATE };
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
        if (kv_attrs_find(template, lost[i]))
            return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT, "attribute 0x%lx is not kept by a vault",
                                  lost[i]);
    return CKR_OK;
}

CK_RV kv_manage_check(struct kv_call *call, struct kv_template template, CK_OBJECT_CLASS type,
                      const struct kv_wish *wish, unsigned how)
{
    struct kv_object draft = draft_of(call, type, wish->key_type);
    CK_RV rv = kv_attrs_check(call, &draft, template, how);
    if (!rv)
        rv = check_number(call, template, CKA_CLASS, type);
    if (!rv)
        rv = check_number(call, template, CKA_KEY_TYPE, wish->key_type);
    if (!rv)
        rv = check_kept(call, template);
    return rv ? rv : check_flags(call, template, &draft);
}

CK_RV kv_manage_read_name(struct kv_call *call, struct kv_template template, struct kv_template other,
                          char ret[KV_NAME_SIZE])
{
    const CK_ATTRIBUTE *label = kv_attrs_find(template, CKA_LABEL), *same = kv_attrs_find(other, CKA_LABEL);
    label = label ? label : same;
    if (!label || !label->ulValueLen)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_LABEL is missing: it names the key");
    struct kv_view text = { label->pValue, label->ulValueLen };
    if (same && !kv_view_equal(text, (struct kv_view){ same->pValue, same->ulValueLen }))
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT,
                              "the two templates have different labels: a key pair has one name");
    if (text.len >= KV_NAME_SIZE || memchr(text.data, 0, text.len))
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID,
                              "CKA_LABEL cannot be the name of a key: 1 to 127 letters, digits and '-'");
    memcpy(ret, text.data, text.len);
    ret[text.len] = 0;
    return kv_keyring_check_name(kv_call_slot(call)->keyring, ret, &call->err) ? CKR_ATTRIBUTE_VALUE_INVALID
                                                                               : CKR_OK;
}

/* One half of a usage speaks for the other when that is silent: who may verify what nobody signs? */
CK_RV kv_manage_read_usage(struct kv_call *call, struct kv_template opening, struct kv_template closing,
                           struct kv_wish *wish)
{
    static const unsigned possible[] = {
        [KV_RSA] = KV_OP_ALL, [KV_EC] = KV_OP_SIGN | KV_OP_VERIFY, [KV_OCT] = KV_OP_ALL
    };
    bool any = false;
    for (size_t i = 0; i < KV_MANAGE_USAGES; i++) {
        const struct kv_manage_usage *usage = &kv_manage_usages[i];
        int opens = kv_manage_said(opening, usage->opens), closes = kv_manage_said(closing, usage->closes);
        any = any || opens >= 0 || closes >= 0;
        wish->operations |= (opens < 0 ? closes : opens) > 0 ? usage->open_operation : 0;
        wish->operations |= (closes < 0 ? opens : closes) > 0 ? usage->close_operation : 0;
    }
    if (any && !wish->operations)
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT, "the key may do nothing: say what it is for");
    if (wish->operations & ~possible[wish->kind])
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT,
                              "a key on an elliptic curve signs and verifies, nothing else");
    /* The service makes a secret key for encryption when it is not told better. */
    if (!any && wish->key_type == CKK_GENERIC_SECRET)
        wish->operations = KV_OP_SIGN | KV_OP_VERIFY;
    return CKR_OK;
}

void kv_manage_tell(struct kv_call *call, struct kv_template template)
{
    if (kv_attrs_find(template, CKA_ID))
        kv_log_line(kv_core_log(call->library->core), KV_LOG_INFO,
                    "%s: the template's CKA_ID is not used: a vault's key is identified by its public key",
                    call->name);
    if (kv_manage_said(template, CKA_DERIVE) == 1)
        kv_log_line(kv_core_log(call->library->core), KV_LOG_WARN,
                    "%s: the template's CKA_DERIVE is not granted: no key of a vault derives", call->name);
}

CK_RV kv_manage_read_curve(struct kv_call *call, struct kv_template template, const struct kv_curve **ret)
{
    const CK_ATTRIBUTE *params = kv_attrs_find(template, CKA_EC_PARAMS);
    if (!params)
        return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "CKA_EC_PARAMS is missing");
    *ret = kv_curve_by_params((struct kv_view){ params->pValue, params->ulValueLen });
    if (!*ret)
        return kv_call_refuse(call, CKR_CURVE_NOT_SUPPORTED,
                              "CKA_EC_PARAMS names no curve of a vault: P-256, P-384, P-521 and P-256K are");
    return CKR_OK;
}

CK_RV kv_manage_read_secret(struct kv_call *call, struct kv_template template, unsigned how,
                            struct kv_wish *ret)
{
    CK_RV rv = kv_manage_check(call, template, CKO_SECRET_KEY, ret, how);
    if (!rv && !kv_call_slot(call)->config->managed_hsm)
        rv = kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT,
                            "a vault holds no secret keys, a Managed HSM does: ask with CKA_TOKEN false");
    if (!rv)
        rv = kv_manage_read_name(call, template, template, ret->name);
    if (!rv)
        rv = kv_manage_read_usage(call, template, template, ret);
    return rv ? rv : kv_manage_dates(call, template, &ret->nbf, &ret->exp);
}

CK_RV kv_manage_check_secret(struct kv_call *call, const char *attribute, CK_ULONG bytes)
{
    if (bytes == 16 || bytes == 24 || bytes == 32)
        return CKR_OK;
    return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID,
                          "%s: a Managed HSM has secret keys of 16, 24 and 32 bytes, not of %lu", attribute,
                          bytes);
}

CK_RV kv_manage_make(struct kv_call *call, struct kv_keyring_new *what,
                     struct kv_object *ret[KV_VERSION_OBJECTS])
{
    const struct kv_slot *slot = kv_call_slot(call);
    KV_AUTO_VERSION struct kv_version *version = NULL;
    struct kv_task task = kv_call_task(call);
    what->next = slot->config->new_version;
    enum kv_status status = kv_keyring_make(slot->keyring, what, &task, &version, &call->err);
    if (!status)
        status = kv_object_enter(call, version, ret);
    return kv_call_status(call, status, KV_OP_PAIR);
}

/* Gives the handle of the object of this class, and lets go of it. */
void kv_manage_hand_over(struct kv_object *objects[KV_VERSION_OBJECTS], CK_OBJECT_CLASS type,
                         CK_OBJECT_HANDLE *ret)
{
    for (int i = 0; i < KV_VERSION_OBJECTS; i++)
        if (objects[i] && objects[i]->type == type)
            *ret = objects[i]->handle;
}

void kv_manage_let_go(struct kv_object *objects[KV_VERSION_OBJECTS])
{
    for (int i = 0; i < KV_VERSION_OBJECTS; i++)
        kv_object_free(objects[i]);
}

bool kv_manage_in_hsm(const struct kv_slot *slot)
{
    return slot->config->managed_hsm || slot->config->new_keys == KV_NEW_HSM;
}

const char *kv_manage_kty(const struct kv_slot *slot, enum kv_kind kind, bool hsm)
{
    static const struct {
        const char *software, *hsm;
    } types[] = {
        [KV_RSA] = { "RSA", "RSA-HSM" }, [KV_EC] = { "EC", "EC-HSM" }, [KV_OCT] = { "oct", "oct-HSM" }
    };
    return slot->config->managed_hsm || hsm ? types[kind].hsm : types[kind].software;
}
