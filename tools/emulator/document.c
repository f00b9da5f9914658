#include <string.h>
#include "document.h"

enum { TAGS_MAX = 15 };

static const char operations[] = "encrypt,decrypt,sign,verify,wrapKey,unwrapKey,import,export,deriveKey";

static json_t *shown_kid(const struct em_call *call, const struct em_key *key,
                         const struct em_version *version)
{
    return em_json(json_sprintf("%s/keys/%s%s%s", call->base, key->name, version ? "/" : "",
                                version ? version->id : ""));
}

static void set_time(json_t *object, const char *name, int64_t value)
{
    if (value != EM_NEVER)
        json_object_set_new(object, name, json_integer(value));
}

/* Contract §3: the size of a symmetric key is told since this version of the interface. */
static bool tells_size(const struct em_call *call)
{
    const char *version = call->request ? em_request_parameter(call->request, "api-version") : NULL;
    return version && strcmp(version, "2026-04-01") == 0;
}

static json_t *attributes(const struct em_call *call, const struct em_version *version)
{
    json_t *object = em_json(json_object());
    bool hsm = call->vault->hsm, protected = strstr(version->kty, "-HSM") != NULL;
    json_object_set_new(object, "enabled", json_boolean(version->enabled));
    set_time(object, "nbf", version->nbf);
    set_time(object, "exp", version->exp);
    set_time(object, "created", version->created);
    set_time(object, "updated", version->updated);
    json_object_set_new(object, "recoveryLevel",
                        json_sprintf("%s%s", hsm ? "CustomizedRecoverable" : "Recoverable",
                                     call->world->settings.value[EM_PURGE_PROTECTION] ? "" : "+Purgeable"));
    json_object_set_new(object, "recoverableDays", json_integer(hsm ? EM_RETENTION_HSM : EM_RETENTION_KV));
    json_object_set_new(object, "exportable", json_boolean(version->exportable));
    if (!hsm)
        json_object_set_new(object, "hsmPlatform", json_string(protected ? "2" : "0"));
    if (tells_size(call) && em_material_oct_bits(version->shared->material))
        json_object_set_new(object, "key_size",
                            json_integer(em_material_oct_bits(version->shared->material)));
    return object;
}

/* A Managed HSM lists them in another order at every reply. */
static json_t *shown_ops(const struct em_call *call, const struct em_version *version)
{
    json_t *ops = em_json(json_deep_copy(version->key_ops));
    for (size_t i = json_array_size(ops); call->vault->hsm && i > 1; i--) {
        unsigned char random = 0;
        em_random(&random, 1);
        size_t other = random % i;
        json_t *a = json_incref(json_array_get(ops, i - 1)), *b = json_incref(json_array_get(ops, other));
        json_array_set_new(ops, i - 1, b);
        json_array_set_new(ops, other, a);
    }
    return ops;
}

json_t *em_document_bundle(const struct em_call *call, const struct em_key *key,
                           const struct em_version *version)
{
    json_t *jwk = em_json(json_object()), *bundle = em_json(json_object());
    json_object_set_new(jwk, "kid", shown_kid(call, key, version));
    json_object_set_new(jwk, "kty", em_json(json_string(version->kty)));
    json_object_set_new(jwk, "key_ops", shown_ops(call, version));
    em_material_describe(version->shared->material, jwk);
    json_object_set_new(bundle, "key", jwk);
    json_object_set_new(bundle, "attributes", attributes(call, version));
    if (version->tags)
        json_object_set_new(bundle, "tags", em_json(json_deep_copy(version->tags)));
    if (key->certificate)
        json_object_set_new(bundle, "managed", json_true());
    if (version->policy)
        json_object_set_new(bundle, "release_policy", em_json(json_deep_copy(version->policy)));
    return bundle;
}

json_t *em_document_item(const struct em_call *call, const struct em_key *key,
                         const struct em_version *version, bool versioned)
{
    json_t *item = em_json(json_object());
    json_object_set_new(item, "kid", shown_kid(call, key, versioned ? version : NULL));
    json_object_set_new(item, "attributes", attributes(call, version));
    if (version->tags)
        json_object_set_new(item, "tags", em_json(json_deep_copy(version->tags)));
    if (key->certificate)
        json_object_set_new(item, "managed", json_true());
    return item;
}

json_t *em_document_deleted(const struct em_call *call, const struct em_key *key, json_t *rest)
{
    json_t *document = em_json(json_object());
    json_object_set_new(document, "recoveryId",
                        em_json(json_sprintf("%s/deleted%s/%s", call->base,
                                             call->certificate ? "certificates" : "keys", key->name)));
    json_object_set_new(document, "deletedDate", json_integer(key->deleted));
    json_object_set_new(document, "scheduledPurgeDate", json_integer(key->purge_at));
    json_object_update(document, rest);
    json_decref(rest);
    return document;
}

static bool check_ops(struct em_call *call, const json_t *ops)
{
    size_t i;
    json_t *item;
    if (ops && !json_is_array(ops))
        return em_call_fail(call, EM_PROPERTY_BAD, "key_ops");
    json_array_foreach(ops, i, item)
    {
        if (!json_is_string(item) || !em_listed(operations, json_string_value(item)))
            return em_call_fail(call, EM_PROPERTY_BAD, "key_ops");
    }
    return true;
}

static bool check_tags(struct em_call *call, json_t *tags)
{
    const char *name;
    json_t *value;
    if (tags && (!json_is_object(tags) || json_object_size(tags) > TAGS_MAX))
        return em_call_fail(call, EM_PROPERTY_BAD, "tags");
    json_object_foreach(tags, name, value)
    {
        if (!json_is_string(value) || json_string_length(value) > 256 || strlen(name) > 256)
            return em_call_fail(call, EM_PROPERTY_BAD, "tags");
    }
    return true;
}

/* JSON null counts as not given. */
static json_t *given(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static bool check_attributes(struct em_call *call, const json_t *object, struct em_wishes *wishes)
{
    const struct {
        const char *name;
        bool flag;
        json_t **ret;
    } members[] = {
        { "enabled", true, &wishes->enabled },
        { "exportable", true, &wishes->exportable },
        { "nbf", false, &wishes->nbf },
        { "exp", false, &wishes->exp },
    };
    if (object && !json_is_object(object))
        return em_call_fail(call, EM_PROPERTY_BAD, "attributes");
    for (size_t i = 0; i < EM_COUNT(members); i++) {
        json_t *value = given(object, members[i].name);
        if (value && !(members[i].flag ? json_is_boolean(value) : json_is_integer(value)))
            return em_call_fail(call, EM_PROPERTY_BAD, members[i].name);
        *members[i].ret = value;
    }
    return true;
}

bool em_document_wishes(struct em_call *call, const json_t *holder, struct em_wishes *ret)
{
    struct em_wishes wishes = { .key_ops = given(holder, "key_ops"),
                                .tags = given(call->body, "tags"),
                                .policy = given(call->body, "release_policy") };
    if (!check_attributes(call, given(call->body, "attributes"), &wishes) ||
        !check_ops(call, wishes.key_ops) || !check_tags(call, wishes.tags))
        return false;
    if (wishes.policy && !json_is_object(wishes.policy))
        return em_call_fail(call, EM_PROPERTY_BAD, "release_policy");
    *ret = wishes;
    return true;
}

static void replace(json_t **member, json_t *wish)
{
    if (!wish)
        return;
    json_decref(*member);
    *member = em_json(json_deep_copy(wish));
}

void em_document_grant(const struct em_wishes *wishes, struct em_version *version)
{
    if (wishes->enabled)
        version->enabled = json_is_true(wishes->enabled);
    if (wishes->exportable)
        version->exportable = json_is_true(wishes->exportable);
    if (wishes->nbf)
        version->nbf = json_integer_value(wishes->nbf);
    if (wishes->exp)
        version->exp = json_integer_value(wishes->exp);
    replace(&version->key_ops, wishes->key_ops);
    replace(&version->tags, wishes->tags);
    replace(&version->policy, wishes->policy);
}
