#include <string.h>
#include "clock.h"
#include "control_keys.h"
#include "document.h"
#include "handlers.h"
#include "persist.h"

enum { BULK_KEYS_MAX = 100000, BULK_VERSIONS_MAX = 10000 };

static bool call_open(struct em_control *control, struct em_call *call)
{
    struct em_vault *vault = em_store_vault_by_name(&control->world->store, control->part[0]);
    if (!vault) {
        em_control_fail(control, 404, "there is no such vault");
        return false;
    }
    *call = (struct em_call){ .world = control->world,
                              .vault = vault,
                              .request = control->request,
                              .reply = control->reply,
                              .body = control->body,
                              .at_once = true,
                              .now_ms = em_clock_ms() };
    call->now = call->now_ms / 1000;
    snprintf(call->name, sizeof(call->name), "%s", control->part[1]);
    snprintf(call->base, sizeof(call->base), "https://%s:%d", vault->host, control->world->port);
    return true;
}

/* Refusals of the service become one line, and success always has a body. */
static void call_close(struct em_control *control)
{
    const struct em_reply *reply = control->reply;
    if (reply->status == 204)
        return em_control_ok(control);
    if (reply->status == 200)
        return;
    const char *text = json_string_value(json_object_get(json_object_get(reply->json, "error"), "message"));
    AUTO_TEXT line = em_copy(text ? text : "refused");
    em_control_fail(control, reply->status, line);
}

struct verb {
    const char *verb;
    bool body;
    bool (*handle)(struct em_call *);
};

static void run_verb(struct em_control *control, const struct verb *verbs, size_t count, bool certificate)
{
    struct em_call call;
    if (!call_open(control, &call))
        return;
    call.certificate = certificate;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(verbs[i].verb, control->part[2]) != 0)
            continue;
        if (verbs[i].body && !json_is_object(control->body))
            return em_control_fail(control, 400, "a JSON object is wanted");
        verbs[i].handle(&call);
        return call_close(control);
    }
    em_control_fail(control, 404, "there is no such verb");
}

void em_control_key(struct em_control *control)
{
    static const struct verb verbs[] = {
        { "create", true, em_keys_create },       { "import", true, em_keys_import },
        { "rotate", false, em_keys_rotate },      { "delete", false, em_deleted_delete },
        { "recover", false, em_deleted_recover }, { "purge", false, em_deleted_purge },
        { "copy", true, em_backup_copy },
    };
    run_verb(control, verbs, EM_COUNT(verbs), false);
}

void em_control_certificate(struct em_control *control)
{
    static const struct verb verbs[] = {
        { "create", false, em_certificates_create },
        { "delete", false, em_deleted_delete },
        { "recover", false, em_deleted_recover },
        { "purge", false, em_deleted_purge },
    };
    run_verb(control, verbs, EM_COUNT(verbs), true);
}

struct patch {
    struct em_version *version;
    const json_t *body;
};

static bool patch_time(const struct patch *patch, const char *name, int64_t *time)
{
    const json_t *value = json_object_get(patch->body, name);
    if (json_is_null(value))
        *time = EM_NEVER;
    else if (json_is_integer(value))
        *time = json_integer_value(value);
    return !value || json_is_null(value) || json_is_integer(value);
}

static bool patch_apply(const struct patch *patch)
{
    struct em_version *version = patch->version;
    const json_t *enabled = json_object_get(patch->body, "enabled");
    json_t *ops = json_object_get(patch->body, "key_ops");
    int64_t nbf = version->nbf, exp = version->exp, created = version->created;
    if (!patch_time(patch, "nbf", &nbf) || !patch_time(patch, "exp", &exp) ||
        !patch_time(patch, "created", &created) || created == EM_NEVER ||
        (enabled && !json_is_boolean(enabled)) || (ops && !json_is_array(ops)))
        return false;
    version->nbf = nbf;
    version->exp = exp;
    version->created = created;
    if (enabled)
        version->enabled = json_is_true(enabled);
    if (ops) {
        json_decref(version->key_ops);
        version->key_ops = em_json(json_deep_copy(ops));
    }
    return true;
}

/* {"attributes":{…}} as the service wants it is taken as well as the bare members. */
void em_control_patch(struct em_control *control)
{
    struct em_call call;
    const json_t *inner = json_object_get(control->body, "attributes");
    if (!call_open(control, &call))
        return;
    struct em_store *store = &call.world->store;
    const char *id = strcmp(control->part[2], "latest") == 0 ? "" : control->part[2];
    WRITE_STORE(store);
    struct em_key *key = em_store_live(call.vault, call.name, call.now_ms);
    struct em_version *version = key ? em_key_version(key, id) : NULL;
    if (!version)
        return em_control_fail(control, 404, "there is no such key or version");
    if (!patch_apply(&(struct patch){ version, inner ? inner : control->body }))
        return em_control_fail(control, 400, "a member has the wrong type");
    version->updated = call.now;
    em_key_find_latest(key);
    json_t *bundle = em_document_bundle(&call, key, version);
    if (em_persist_save(store, call.vault, key, EM_DURABLE))
        return em_reply_json(control->reply, 200, bundle);
    json_decref(bundle);
    em_control_fail(control, 500, "the key could not be written to the state directory");
}

struct bulk {
    const char *prefix, *kty, *curve;
    int keys, versions, bits;
    struct em_shared **pool; /* one for each version of a key; keys share them */
    json_t *key_ops;
};

static bool bulk_read(struct em_control *control, struct bulk *bulk)
{
    *bulk =
        (struct bulk){ .prefix = "k", .kty = "EC", .curve = "P-256", .keys = 1, .versions = 1, .bits = 2048 };
    return json_unpack(control->body, "{s?s, s?i, s?i, s?s, s?s, s?i}", "prefix", &bulk->prefix, "keys",
                       &bulk->keys, "versions", &bulk->versions, "kty", &bulk->kty, "crv", &bulk->curve,
                       "key_size", &bulk->bits) == 0 &&
           bulk->keys > 0 && bulk->keys <= BULK_KEYS_MAX && bulk->versions > 0 &&
           bulk->versions <= BULK_VERSIONS_MAX && strlen(bulk->prefix) <= 100 &&
           (em_starts(bulk->kty, "EC") || em_starts(bulk->kty, "RSA"));
}

static bool bulk_pool(struct em_control *control, struct bulk *bulk)
{
    bulk->pool = em_alloc((size_t)bulk->versions * sizeof(*bulk->pool));
    bulk->key_ops = em_json(em_starts(bulk->kty, "EC") ? json_pack("[s,s]", "sign", "verify")
                                                       : json_pack("[s,s,s,s,s,s]", "encrypt", "decrypt",
                                                                   "sign", "verify", "wrapKey", "unwrapKey"));
    for (int i = 0; i < bulk->versions; i++) {
        struct em_material *material = NULL;
        struct em_refusal refusal = { 0 };
        if (!em_material_generate(bulk->kty, bulk->bits, 65537, bulk->curve, &material, &refusal)) {
            em_control_fail(control, 400, refusal.message);
            return false;
        }
        bulk->pool[i] = em_shared_new(material);
    }
    return true;
}

static void bulk_free(struct bulk *bulk)
{
    for (int i = 0; bulk->pool && i < bulk->versions; i++)
        em_shared_free(bulk->pool[i]);
    free(bulk->pool);
    json_decref(bulk->key_ops);
}

static void bulk_key(struct em_call *call, const struct bulk *bulk, struct em_key *key)
{
    bool hard = call->vault->hsm && !strstr(bulk->kty, "-HSM");
    for (int i = 0; i < bulk->versions; i++) {
        struct em_version *version = em_version_new(&call->world->store, call->now);
        snprintf(version->kty, sizeof(version->kty), "%.3s%s", bulk->kty, hard ? "-HSM" : "");
        if (!hard)
            snprintf(version->kty, sizeof(version->kty), "%.7s", bulk->kty);
        version->shared = em_shared_ref(bulk->pool[i]);
        version->key_ops = json_incref(bulk->key_ops);
        em_key_add(key, version);
    }
}

static bool bulk_make(struct em_call *call, const struct bulk *bulk)
{
    struct em_store *store = &call->world->store;
    WRITE_STORE(store);
    for (int i = 0; i < bulk->keys; i++) {
        AUTO_TEXT name = em_format("%s%04d", bulk->prefix, i);
        struct em_key *key = em_store_find(call->vault, name, call->now_ms);
        if (!key)
            key = em_store_new_key(call->vault, name);
        bulk_key(call, bulk, key);
        if (!em_persist_save(store, call->vault, key, EM_LATER))
            return false;
    }
    return em_persist_sync(store);
}

void em_control_bulk(struct em_control *control)
{
    struct em_call call;
    struct bulk bulk;
    if (!call_open(control, &call))
        return;
    if (!bulk_read(control, &bulk))
        return em_control_fail(control, 400,
                               "prefix, keys, versions, kty (EC or RSA), crv or key_size are wanted");
    if (bulk_pool(control, &bulk)) {
        if (bulk_make(&call, &bulk))
            em_control_ok(control);
        else
            em_control_fail(control, 500, "the keys could not be written to the state directory");
    }
    bulk_free(&bulk);
}
