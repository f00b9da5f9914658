#include "attrs.h"

#include <string.h>
#include "call.h"
#include "manage.h"

static bool hidden(const struct kv_object *object, const struct kv_attr_rule *rule)
{
    return rule->hidden && (object->flags & KV_IS_SENSITIVE || !(object->flags & KV_IS_EXTRACTABLE));
}

static bool value_of(const struct kv_object *object, const struct kv_attr_rule *rule,
                     struct kv_attr_value *ret)
{
    if (rule->form != KV_FORM_BOOL)
        return rule->get && rule->get(object, ret);
    ret->store.truth = object->flags & rule->flag ? CK_TRUE : CK_FALSE;
    ret->view = (struct kv_view){ ret->store.bytes, sizeof ret->store.truth };
    return true;
}

static CK_RV read_one(const struct kv_object *object, CK_ATTRIBUTE *item)
{
    struct kv_attr_value value = { .failure = KV_OK };
    const struct kv_attr_rule *rule = kv_attr_rule(object, item->type);
    CK_ULONG room = item->ulValueLen;
    item->ulValueLen = CK_UNAVAILABLE_INFORMATION;
    if (!rule)
        return CKR_ATTRIBUTE_TYPE_INVALID;
    if (hidden(object, rule))
        return CKR_ATTRIBUTE_SENSITIVE;
    if (!value_of(object, rule, &value))
        return value.failure ? kv_ckr(value.failure) : CKR_ATTRIBUTE_TYPE_INVALID;
    if (rule->form == KV_FORM_ARRAY) {
        item->ulValueLen = room;
        return kv_attr_array_read(value.view, item);
    }
    if (item->pValue && room < value.view.len)
        return CKR_BUFFER_TOO_SMALL;
    if (item->pValue && value.view.len)
        memcpy(item->pValue, value.view.data, value.view.len);
    item->ulValueLen = value.view.len;
    return CKR_OK;
}

CK_RV kv_attrs_read(struct kv_call *call, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *items, CK_ULONG count)
{
    if (!items && count)
        return CKR_ARGUMENTS_BAD;
    KV_AUTO_OBJECT struct kv_object *object = kv_object_get(call, handle);
    if (!object)
        return CKR_OBJECT_HANDLE_INVALID;
    CK_RV first = CKR_OK;
    for (CK_ULONG i = 0; i < count; i++) {
        CK_RV rv = read_one(object, &items[i]);
        first = first ? first : rv;
    }
    return first;
}

enum kv_status kv_attrs_compare(const struct kv_object *object, struct kv_template template, bool *ret)
{
    *ret = false;
    for (CK_ULONG i = 0; i < template.count; i++) {
        const CK_ATTRIBUTE *item = &template.items[i];
        const struct kv_attr_rule *rule = kv_attr_rule(object, item->type);
        struct kv_attr_value value = { .failure = KV_OK };
        if (!rule || hidden(object, rule))
            return KV_OK;
        if (!value_of(object, rule, &value))
            return value.failure;
        struct kv_view wanted = { item->pValue, item->ulValueLen };
        if (rule->form == KV_FORM_ARRAY ? !kv_attr_array_equal(value.view, wanted)
                                        : !kv_view_equal_ct(value.view, wanted))
            return KV_OK;
    }
    *ret = true;
    return KV_OK;
}

const CK_ATTRIBUTE *kv_attrs_find(struct kv_template template, CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < template.count; i++)
        if (template.items[i].type == type)
            return &template.items[i];
    return NULL;
}

bool kv_attrs_sound(struct kv_template template)
{
    if (!template.items && template.count)
        return false;
    for (CK_ULONG i = 0; i < template.count; i++)
        if (!template.items[i].pValue && template.items[i].ulValueLen)
            return false;
    return true;
}

static bool well_formed(enum kv_attr_form form, const CK_ATTRIBUTE *item)
{
    switch (form) {
    case KV_FORM_BOOL:
        return item->ulValueLen == sizeof(CK_BBOOL) && *(const CK_BBOOL *)item->pValue <= CK_TRUE;
    case KV_FORM_ULONG:
        return item->ulValueLen == sizeof(CK_ULONG);
    case KV_FORM_DATE:
        return item->ulValueLen == 0 || item->ulValueLen == sizeof(CK_DATE);
    case KV_FORM_BYTES:
        return item->ulValueLen <= 65536;
    case KV_FORM_ARRAY:
        return item->ulValueLen % sizeof(CK_ATTRIBUTE) == 0;
    }
    return false;
}

static CK_RV put_flag(struct kv_call *call, struct kv_object *object, const struct kv_attr_rule *rule,
                      bool truth, unsigned how)
{
    if (rule->type == CKA_TOKEN && truth) {
        /* pkcs11-tool --unwrap insists on a token object; it gets one that lives as long as its session. The others are told. */
        if (how == KV_SET_UNWRAP)
            return CKR_OK;
        return kv_call_refuse(call, CKR_TOKEN_WRITE_PROTECTED,
                              "keys are made in the session only: ask with CKA_TOKEN false, or set "
                              "`manage = yes` for keys of the vault");
    }
    bool later = how == KV_SET_COPY || how == KV_SET_MODIFY;
    bool was = object->flags & rule->flag;
    if (later && ((rule->set & KV_SET_RAISE && was && !truth) || (rule->set & KV_SET_LOWER && !was && truth)))
        return CKR_ATTRIBUTE_READ_ONLY;
    object->flags = truth ? object->flags | rule->flag : object->flags & ~rule->flag;
    return CKR_OK;
}

/* May this attribute be named here? *ret: its rule, NULL when there is nothing to set. `how`: any of these KV_SET_*. */
static CK_RV admit(struct kv_call *call, const struct kv_object *object, const CK_ATTRIBUTE *item,
                   unsigned how, const struct kv_attr_rule **ret)
{
    const struct kv_attr_rule *rule = kv_attr_rule(object, item->type);
    *ret = NULL;
    if (!rule)
        return kv_call_refuse(call, CKR_ATTRIBUTE_TYPE_INVALID, "attribute 0x%lx is not offered", item->type);
    if (!well_formed(rule->form, item))
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx has a malformed value",
                              item->type);
    /* What is false for ever may be said to be false: templates of real clients do. */
    if (rule->form == KV_FORM_BOOL && !(rule->set & how) && !*(CK_BBOOL *)item->pValue &&
        !(object->flags & rule->flag) && !(how & KV_SET_MODIFY))
        return CKR_OK;
    if (!(rule->set & how))
        return kv_call_refuse(call, CKR_ATTRIBUTE_READ_ONLY, "attribute 0x%lx cannot be set here",
                              item->type);
    *ret = rule;
    return CKR_OK;
}

static CK_RV apply_one(struct kv_call *call, struct kv_object *object, const CK_ATTRIBUTE *item, unsigned how)
{
    const struct kv_attr_rule *rule;
    CK_RV rv = admit(call, object, item, how, &rule);
    if (rv || !rule)
        return rv;
    if (rule->form == KV_FORM_BOOL)
        return put_flag(call, object, rule, *(CK_BBOOL *)item->pValue, how);
    enum kv_status status = rule->put(object, (struct kv_view){ item->pValue, item->ulValueLen });
    if (status == KV_KEY_TYPE || status == KV_KEY_SIZE || status == KV_UNSUPPORTED)
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT,
                              "attribute 0x%lx asks for what is not offered or not what is made here",
                              item->type);
    if (status == KV_BAD_DATA)
        return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID, "attribute 0x%lx has a malformed value",
                              item->type);
    return kv_call_status(call, status, 0);
}

static CK_RV check_once(struct kv_call *call, struct kv_template template, CK_ULONG i)
{
    struct kv_template before = { template.items, i };
    if (!kv_attrs_find(before, template.items[i].type))
        return CKR_OK;
    return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT, "attribute 0x%lx stands there twice",
                          template.items[i].type);
}

CK_RV kv_attrs_apply(struct kv_call *call, struct kv_object *object, struct kv_template template,
                     unsigned how)
{
    CK_RV rv = kv_attrs_sound(template) ? CKR_OK : CKR_ARGUMENTS_BAD;
    for (CK_ULONG i = 0; i < template.count && !rv; i++) {
        rv = check_once(call, template, i);
        if (!rv)
            rv = apply_one(call, object, &template.items[i], how);
    }
    return rv;
}

CK_RV kv_attrs_check(struct kv_call *call, const struct kv_object *object, struct kv_template template,
                     unsigned how)
{
    CK_RV rv = kv_attrs_sound(template) ? CKR_OK : CKR_ARGUMENTS_BAD;
    const struct kv_attr_rule *rule;
    for (CK_ULONG i = 0; i < template.count && !rv; i++) {
        rv = check_once(call, template, i);
        if (!rv)
            rv = admit(call, object, &template.items[i], how, &rule);
    }
    return rv;
}

CK_RV kv_attrs_complete(struct kv_call *call, const struct kv_object *object, struct kv_template template)
{
    for (size_t i = 0; i < kv_attr_rule_count; i++) {
        const struct kv_attr_rule *rule = &kv_attr_rules[i];
        if (rule->set & KV_SET_NEEDED && kv_attr_rule(object, rule->type) == rule &&
            !kv_attrs_find(template, rule->type))
            return kv_call_refuse(call, CKR_TEMPLATE_INCOMPLETE, "attribute 0x%lx is missing", rule->type);
    }
    return CKR_OK;
}

CK_RV kv_attrs_modify(struct kv_call *call, CK_OBJECT_HANDLE handle, struct kv_template template)
{
    KV_AUTO_OBJECT struct kv_object *object = kv_object_get(call, handle);
    if (!object)
        return CKR_OBJECT_HANDLE_INVALID;
    if (!(object->flags & KV_IS_MODIFIABLE))
        return kv_call_refuse(call, CKR_ACTION_PROHIBITED,
                              object->version
                                  ? "a vault's keys are not changed without `manage = yes`, and their "
                                    "names never"
                                  : "this object cannot be modified");
    if (object->version)
        return kv_manage_modify(call, object, template);
    KV_AUTO_OBJECT struct kv_object *changed = NULL;
    if (kv_object_clone(object, &changed))
        return CKR_HOST_MEMORY;
    CK_RV rv = kv_attrs_apply(call, changed, template, KV_SET_MODIFY);
    if (!rv && !kv_object_replace(call->library, kv_take(changed)))
        rv = CKR_OBJECT_HANDLE_INVALID;
    return rv;
}
