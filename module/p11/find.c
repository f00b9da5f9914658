#include "find.h"

#include <string.h>
#include "call.h"

void kv_find_reset(struct kv_find *find)
{
    free(find->handles);
    *find = (struct kv_find){ 0 };
}

static enum kv_status add(struct kv_find *find, const struct kv_object *object, struct kv_template template)
{
    bool same = false;
    KV_TRY(kv_attrs_compare(object, template, &same));
    if (!same)
        return KV_OK;
    if (find->count == find->room) {
        size_t room = find->room ? find->room * 2 : 16;
        CK_OBJECT_HANDLE *more = realloc(find->handles, room * sizeof *more);
        if (!more)
            return KV_NO_MEMORY;
        find->handles = more;
        find->room = room;
    }
    find->handles[find->count++] = object->handle;
    return KV_OK;
}

/* A query for the keyring, made from a template. `label` is text that stays with the query. */
struct query {
    char label[KV_LABEL_SIZE];
    struct kv_keyring_query ask;
};

static CK_ULONG number_in(const CK_ATTRIBUTE *item)
{
    CK_ULONG value = CK_UNAVAILABLE_INFORMATION;
    if (item->ulValueLen == sizeof value)
        memcpy(&value, item->pValue, sizeof value);
    return value;
}

static bool class_possible(const CK_ATTRIBUTE *item, const struct kv_slot *slot)
{
    CK_OBJECT_CLASS type = number_in(item);
    return type == CKO_PRIVATE_KEY || type == CKO_PUBLIC_KEY ||
           (type == CKO_SECRET_KEY && slot->config->managed_hsm) ||
           (type == CKO_CERTIFICATE && kv_keyring_certifies(slot->keyring));
}

/* Could a certificate fit? Only then is it worth a request. */
static bool certificate_possible(struct kv_template template)
{
    const CK_ATTRIBUTE *type = kv_attrs_find(template, CKA_CLASS);
    if (type && number_in(type) != CKO_CERTIFICATE)
        return false;
    for (CK_ULONG i = 0; i < template.count; i++)
        if (!kv_attr_exists(KV_ON_CERTIFICATE, template.items[i].type))
            return false;
    return true;
}

/* Could a vault's key fit at all? Searches of other classes, of session objects and with identifiers of another length are answered without a request. */
static bool ask_vault(struct kv_call *call, struct kv_template template, struct query *ret)
{
    const CK_ATTRIBUTE *type = kv_attrs_find(template, CKA_CLASS);
    const CK_ATTRIBUTE *token = kv_attrs_find(template, CKA_TOKEN);
    const CK_ATTRIBUTE *label = kv_attrs_find(template, CKA_LABEL);
    const CK_ATTRIBUTE *id = kv_attrs_find(template, CKA_ID);
    if (type && !class_possible(type, kv_call_slot(call)))
        return false;
    if (token && (token->ulValueLen != sizeof(CK_BBOOL) || !*(CK_BBOOL *)token->pValue))
        return false;
    if (id && id->ulValueLen != KV_ID_SIZE)
        return false;
    if (label) {
        if (!label->ulValueLen || label->ulValueLen >= sizeof ret->label ||
            memchr(label->pValue, 0, label->ulValueLen))
            return false;
        memcpy(ret->label, label->pValue, label->ulValueLen);
        ret->ask.label = ret->label;
    }
    if (id)
        ret->ask.id = (struct kv_view){ id->pValue, id->ulValueLen };
    return true;
}

static enum kv_status enter_version(struct kv_call *call, struct kv_find *find, struct kv_version *version,
                                    const struct kv_certificate *certificate, struct kv_template template)
{
    struct kv_object *objects[KV_VERSION_OBJECTS] = { NULL };
    KV_TRY(kv_object_enter_certified(call, version, certificate, objects));
    enum kv_status status = KV_OK;
    for (int i = 0; i < KV_VERSION_OBJECTS; i++) {
        if (objects[i] && !status)
            status = add(find, objects[i], template);
        kv_object_free(objects[i]);
    }
    return status;
}

/* The versions with their certificates, which are asked for where one could fit and else only used as far as they are known. */
static enum kv_status enter(struct kv_call *call, struct kv_find *find, const struct kv_version_list *list,
                            struct kv_template template)
{
    struct kv_certificate **certificates = calloc(list->count + 1, sizeof(struct kv_certificate *));
    struct kv_task task = kv_call_task(call);
    if (!certificates)
        return KV_NO_MEMORY;
    enum kv_status status = kv_keyring_certificates(kv_call_slot(call)->keyring, list,
                                                    certificate_possible(template), &task, certificates);
    for (size_t i = 0; i < list->count; i++) {
        if (!status)
            status = enter_version(call, find, list->items[i], certificates[i], template);
        kv_certificate_free(certificates[i]);
    }
    free(certificates);
    return status;
}

static enum kv_status enter_authorities(struct kv_call *call, struct kv_find *find,
                                        struct kv_template template)
{
    KV_CLEANUP(kv_certificate_list_free) struct kv_certificate_list list = { 0 };
    if (!certificate_possible(template))
        return KV_OK;
    KV_TRY(kv_keyring_authorities(kv_call_slot(call)->keyring, &list));
    for (size_t i = 0; i < list.count; i++) {
        KV_AUTO_OBJECT struct kv_object *object = NULL;
        KV_TRY(kv_object_enter_authority(call, list.items[i], &object));
        KV_TRY(add(find, object, template));
    }
    return KV_OK;
}

static enum kv_status search_versions(struct kv_call *call, struct kv_find *find, const struct query *query,
                                      struct kv_template template)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_task task = kv_call_task(call);
    enum kv_status status =
        kv_keyring_find(kv_call_slot(call)->keyring, &query->ask, &task, &list, NULL, &call->err);
    /* A key that is not there, or not there for this identity, is a search without result; what was denied stands in the log. */
    if (status == KV_NOT_FOUND)
        call->err.text[0] = 0;
    if (status == KV_NOT_FOUND || status == KV_DENIED)
        return KV_OK;
    KV_TRY(status);
    return enter(call, find, &list, template);
}

static enum kv_status search_vault(struct kv_call *call, struct kv_find *find, struct kv_template template)
{
    struct query query = { .label = "" };
    /* Nobody may ask the vault before the login. That is no error: clients look around first, and log in when they have not found what they want. */
    if (kv_session_locked(call))
        return KV_OK;
    if (!ask_vault(call, template, &query))
        return KV_OK;
    KV_TRY(search_versions(call, find, &query, template));
    return enter_authorities(call, find, template);
}

static enum kv_status search_session(struct kv_call *call, struct kv_find *find, struct kv_template template)
{
    struct kv_object **list = NULL;
    size_t count = 0;
    KV_TRY(kv_object_session_list(call, &list, &count));
    enum kv_status status = KV_OK;
    for (size_t i = 0; i < count; i++) {
        if (!status)
            status = add(find, list[i], template);
        kv_object_free(list[i]);
    }
    free(list);
    return status;
}

/* Profiles and mechanisms: only for who asks for them by class. */
static enum kv_status search_fixed(struct kv_call *call, struct kv_find *find, struct kv_template template)
{
    const CK_ATTRIBUTE *type = kv_attrs_find(template, CKA_CLASS);
    enum kv_status status = KV_OK;
    bool more = type != NULL;
    for (size_t i = 0; more && !status; i++) {
        KV_AUTO_OBJECT struct kv_object *object = kv_object_fixed(call, number_in(type), i);
        more = object != NULL;
        if (more)
            status = add(find, object, template);
    }
    return status;
}

CK_RV kv_find_init(struct kv_call *call, struct kv_template template)
{
    if (!kv_attrs_sound(template))
        return CKR_ARGUMENTS_BAD;
    if (call->session->find.active)
        return CKR_OPERATION_ACTIVE;
    struct kv_find find = { .active = true };
    enum kv_status status = search_vault(call, &find, template);
    if (!status)
        status = search_session(call, &find, template);
    if (!status)
        status = search_fixed(call, &find, template);
    if (status)
        kv_find_reset(&find);
    else
        call->session->find = find;
    return kv_call_status(call, status, 0);
}

CK_RV kv_find_next(struct kv_call *call, CK_OBJECT_HANDLE_PTR list, CK_ULONG room, CK_ULONG_PTR ret_count)
{
    struct kv_find *find = &call->session->find;
    if (!find->active)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (!ret_count || (!list && room))
        return CKR_ARGUMENTS_BAD;
    CK_ULONG count = 0;
    while (count < room && find->next < find->count)
        list[count++] = find->handles[find->next++];
    *ret_count = count;
    return CKR_OK;
}

CK_RV kv_find_final(struct kv_call *call)
{
    bool active = call->session->find.active;
    kv_find_reset(&call->session->find);
    return active ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED;
}
