#include "manage_private.h"

#include <string.h>
#include <time.h>
#include "call.h"

const struct kv_manage_usage kv_manage_usages[KV_MANAGE_USAGES] = {
    { CKA_SIGN, CKA_VERIFY, KV_OP_SIGN, KV_OP_VERIFY },
    { CKA_DECRYPT, CKA_ENCRYPT, KV_OP_DECRYPT, KV_OP_ENCRYPT },
    { CKA_UNWRAP, CKA_WRAP, KV_OP_UNWRAP, KV_OP_WRAP },
};

int kv_manage_said(struct kv_template template, CK_ATTRIBUTE_TYPE type)
{
    const CK_ATTRIBUTE *item = kv_attrs_find(template, type);
    if (!item || item->ulValueLen != sizeof(CK_BBOOL))
        return -1;
    return *(const CK_BBOOL *)item->pValue ? 1 : 0;
}

bool kv_manage_wanted(struct kv_template template)
{
    return kv_attrs_sound(template) && kv_manage_said(template, CKA_TOKEN) == 1;
}

CK_RV kv_manage_allowed(struct kv_call *call)
{
    const struct kv_vault_config *config = kv_call_slot(call)->config;
    if (!config->manage)
        return kv_call_refuse(
            call, CKR_TOKEN_WRITE_PROTECTED,
            "keys of vault '%s' are not made or changed through PKCS#11: set `manage = yes` for it, "
            "or ask with CKA_TOKEN false",
            config->name);
    if (!(call->session->flags & CKF_RW_SESSION))
        return kv_call_refuse(call, CKR_SESSION_READ_ONLY,
                              "this session is read-only: open it with CKF_RW_SESSION to change a vault");
    return CKR_OK;
}

/* --- dates --- */

static bool read_date(struct kv_view text, int64_t *ret)
{
    struct tm day = { .tm_mday = 1 };
    int fields[3] = { 0 };
    static const size_t ends[] = { 4, 6, 8 };
    for (size_t i = 0, k = 0; i < 8; i++) {
        k += i == ends[k];
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        fields[k] = fields[k] * 10 + text.data[i] - '0';
    }
    day.tm_year = fields[0] - 1900;
    day.tm_mon = fields[1] - 1;
    day.tm_mday = fields[2];
    time_t at = timegm(&day);
    /* 31 February comes back as another day. */
    if (fields[0] < 1970 || day.tm_mon != fields[1] - 1 || day.tm_mday != fields[2])
        return false;
    *ret = (int64_t)at;
    return true;
}

CK_RV kv_manage_dates(struct kv_call *call, struct kv_template template, int64_t *ret_nbf, int64_t *ret_exp)
{
    enum { REST_OF_THE_DAY = 86399 };
    const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
        int64_t more, *ret;
    } dates[] = { { CKA_START_DATE, "CKA_START_DATE", 0, ret_nbf },
                  { CKA_END_DATE, "CKA_END_DATE", REST_OF_THE_DAY, ret_exp } };
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        const CK_ATTRIBUTE *item = kv_attrs_find(template, dates[i].type);
        if (!item || !item->ulValueLen)
            continue;
        if (item->ulValueLen != sizeof(CK_DATE) ||
            !read_date((struct kv_view){ item->pValue, sizeof(CK_DATE) }, dates[i].ret))
            return kv_call_refuse(call, CKR_ATTRIBUTE_VALUE_INVALID, "%s is no day: it is YYYYMMDD",
                                  dates[i].name);
        *dates[i].ret += dates[i].more;
    }
    if (*ret_nbf && *ret_exp && *ret_exp <= *ret_nbf)
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT, "CKA_END_DATE comes before CKA_START_DATE");
    return CKR_OK;
}

/* --- changes to a version --- */

/* The objects of a version take in what has become of it. */
static CK_RV refresh(struct kv_call *call, struct kv_version *version)
{
    struct kv_object *objects[KV_VERSION_OBJECTS] = { NULL };
    enum kv_status status = kv_object_enter(call, version, objects);
    for (int i = 0; i < KV_VERSION_OBJECTS; i++)
        kv_object_free(objects[i]);
    return kv_call_status(call, status, 0);
}

CK_RV kv_manage_destroy(struct kv_call *call, const struct kv_object *object)
{
    KV_AUTO_VERSION struct kv_version *version = NULL;
    CK_RV rv = kv_manage_allowed(call);
    if (rv)
        return rv;
    struct kv_task task = kv_call_task(call);
    enum kv_status status =
        kv_keyring_disable(kv_call_slot(call)->keyring, object->version, &task, &version, &call->err);
    return status ? kv_call_status(call, status, KV_OP_PAIR) : refresh(call, version);
}

/* The operation that an attribute of usage stands for; 0: it is none of this object. */
static unsigned operation_of(const struct kv_object *object, CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < KV_MANAGE_USAGES; i++) {
        if (kv_manage_usages[i].opens == type && object->type != CKO_PUBLIC_KEY)
            return kv_manage_usages[i].open_operation;
        if (kv_manage_usages[i].closes == type && object->type != CKO_PRIVATE_KEY)
            return kv_manage_usages[i].close_operation;
    }
    return 0;
}

static CK_RV read_change(struct kv_call *call, const struct kv_object *object, const CK_ATTRIBUTE *item,
                         struct kv_keyring_update *ret)
{
    const struct kv_attr_rule *rule = kv_attr_rule(object, item->type);
    unsigned operation = operation_of(object, item->type);
    if (item->type == CKA_LABEL)
        return kv_call_refuse(
            call, CKR_ATTRIBUTE_READ_ONLY,
            "the name of key '%s' cannot be changed: a vault's names are for ever. Make a key "
            "with the other name, and wrap anew what this one protects",
            object->version->name);
    if (rule->form != KV_FORM_BOOL)
        return item->type == CKA_START_DATE || item->type == CKA_END_DATE
                   ? CKR_OK
                   : kv_call_refuse(call, CKR_ATTRIBUTE_READ_ONLY,
                                    "attribute 0x%lx of a vault's key cannot be changed", item->type);
    bool was = object->flags & rule->flag, wanted = *(const CK_BBOOL *)item->pValue;
    if (was == wanted)
        return CKR_OK;
    if (!operation)
        return kv_call_refuse(call, CKR_ATTRIBUTE_READ_ONLY,
                              "attribute 0x%lx of a vault's key cannot be changed", item->type);
    ret->allow |= wanted ? operation : 0;
    ret->forbid |= wanted ? 0 : operation;
    return CKR_OK;
}

/* Will every attribute be what was asked for? Some stand for one operation of the vault together. */
static CK_RV foresee(struct kv_call *call, const struct kv_object *object, struct kv_template template,
                     const struct kv_keyring_update *change)
{
    KV_AUTO_VERSION struct kv_version *then = kv_version_copy(object->version);
    if (!then)
        return CKR_HOST_MEMORY;
    then->operations = (then->operations | change->allow) & ~change->forbid;
    unsigned flags = kv_object_vault_flags(object->type, then);
    if (!then->operations)
        return kv_call_refuse(call, CKR_TEMPLATE_INCONSISTENT,
                              "a key that may do nothing: disable it instead");
    for (CK_ULONG i = 0; i < template.count; i++) {
        const struct kv_attr_rule *rule = kv_attr_rule(object, template.items[i].type);
        if (!operation_of(object, template.items[i].type))
            continue;
        bool wanted = *(const CK_BBOOL *)template.items[i].pValue;
        if (wanted != !!(flags & rule->flag))
            return kv_call_refuse(
                call, CKR_TEMPLATE_INCONSISTENT,
                "attribute 0x%lx cannot be set alone: for this kind of key the vault has one "
                "permission for two attributes, so set both",
                rule->type);
    }
    return CKR_OK;
}

static CK_RV check_change(struct kv_call *call, const struct kv_object *object, struct kv_template template,
                          struct kv_keyring_update *ret)
{
    CK_RV rv = kv_manage_allowed(call);
    if (!rv)
        rv = kv_attrs_check(call, object, template, KV_SET_MODIFY);
    for (CK_ULONG i = 0; i < template.count && !rv; i++)
        rv = read_change(call, object, &template.items[i], ret);
    return !rv && (ret->allow | ret->forbid) ? foresee(call, object, template, ret) : rv;
}

CK_RV kv_manage_modify(struct kv_call *call, const struct kv_object *object, struct kv_template template)
{
    KV_AUTO_VERSION struct kv_version *version = NULL;
    struct kv_keyring_update change = { 0 };
    int64_t nbf = 0, exp = 0;
    CK_RV rv = check_change(call, object, template, &change);
    if (!rv)
        rv = kv_manage_dates(call, template, &nbf, &exp);
    change.nbf = nbf ? &nbf : NULL;
    change.exp = exp ? &exp : NULL;
    if (rv || !(nbf || exp || change.allow || change.forbid))
        return rv;
    struct kv_task task = kv_call_task(call);
    enum kv_status status =
        kv_keyring_update(kv_call_slot(call)->keyring, object->version, &change, &task, &version, &call->err);
    return status ? kv_call_status(call, status, KV_OP_PAIR) : refresh(call, version);
}
