/* Create, import, read, update and rotate keys. Contract §6 rows 1–4 and 14, §7.1. */
#include <string.h>
#include "document.h"
#include "handlers.h"
#include "persist.h"

struct recipe {  /* what a new version is made from */
    char kty[8]; /* "oct-HSM" is the longest */
    int bits;
    long exponent;
    const char *curve;
};

static const struct {
    const char *type, *vault, *hsm; /* default key_ops; Managed HSM adds deriveKey to EC */
} default_ops[] = {
    { "RSA", "encrypt,decrypt,sign,verify,wrapKey,unwrapKey",
      "encrypt,decrypt,sign,verify,wrapKey,unwrapKey" },
    { "EC", "sign,verify", "sign,verify,deriveKey" },
    { "oct", "encrypt,decrypt,wrapKey,unwrapKey", "encrypt,decrypt,wrapKey,unwrapKey" },
};

static json_t *ops_for(const struct em_call *call, const char *type)
{
    json_t *ops = em_json(json_array());
    for (size_t i = 0; i < EM_COUNT(default_ops); i++) {
        if (strcmp(default_ops[i].type, type) != 0)
            continue;
        AUTO_TEXT list = em_copy(call->vault->hsm ? default_ops[i].hsm : default_ops[i].vault);
        char *rest = list, *word;
        while ((word = strsep(&rest, ",")))
            json_array_append_new(ops, em_json(json_string(word)));
    }
    return ops;
}

/* Managed HSM makes "RSA" an "RSA-HSM"; a standard vault has no HSM keys, and oct keys exist in HSMs only. */
static bool choose_kty(struct em_call *call, const char *asked, bool promote, char ret[8])
{
    static const char plain[] = "RSA,EC,oct", hard[] = "RSA-HSM,EC-HSM,oct-HSM";
    bool is_plain = em_listed(plain, asked), is_hard = em_listed(hard, asked);
    const struct em_vault *vault = call->vault;
    char kty[32];
    snprintf(kty, sizeof(kty), "%.8s%s", asked, is_plain && (vault->hsm || promote) ? "-HSM" : "");
    bool hardened = em_listed(hard, kty);
    if ((!is_plain && !is_hard) || (hardened && !vault->hsm && !vault->premium) || strcmp(kty, "oct") == 0)
        return em_call_fail(call, EM_BAD_KTY, asked);
    snprintf(ret, 8, "%.7s", kty);
    return true;
}

bool em_keys_name_free(struct em_call *call)
{
    static const enum em_error refusals[] = { [EM_RECOVERING] = EM_BEING_RECOVERED,
                                              [EM_DELETING] = EM_BEING_DELETED,
                                              [EM_DELETED] = EM_IS_DELETED,
                                              [EM_PURGING] = EM_BEING_DELETED };
    const struct em_key *key = em_store_find(call->vault, call->name, call->now_ms);
    enum em_state state = key ? em_key_state(key, call->now_ms) : EM_LIVE;
    if (key && call->vault->hsm && key->count >= EM_HSM_VERSIONS_MAX && state == EM_LIVE)
        return em_call_fail(call, EM_TOO_MANY_VERSIONS, call->name, EM_HSM_VERSIONS_MAX);
    if (state != EM_LIVE)
        return em_call_fail(call, refusals[state], key->name);
    return key && key->certificate && !call->certificate ? em_call_fail(call, EM_KEY_IS_MANAGED, key->name)
                                                         : true;
}

static bool name_free_now(struct em_call *call)
{
    READ_STORE(&call->world->store);
    return em_keys_name_free(call);
}

/* A version under its policy's expiry gets an exp of its own. */
static void apply_rotation(const struct em_key *key, struct em_version *version)
{
    int64_t exp;
    if (version->exp == EM_NEVER && key->rotation.expiry &&
        em_duration_add(key->rotation.expiry, version->created, &exp))
        version->exp = exp;
}

/* Puts the version under the call's name, on disk too, and answers with it. Takes the version. */
static bool publish(struct em_call *call, struct em_version *version)
{
    struct em_store *store = &call->world->store;
    WRITE_STORE(store);
    if (!em_keys_name_free(call)) {
        em_version_free(version);
        return false;
    }
    struct em_key *key = em_store_find(call->vault, call->name, call->now_ms);
    if (!key)
        key = em_store_new_key(call->vault, call->name);
    apply_rotation(key, version);
    em_key_add(key, version);
    json_t *bundle = em_document_bundle(call, key, version);
    return em_call_saved(call, key, bundle);
}

static struct em_version *version_make(struct em_call *call, const char *kty, struct em_material *material,
                                       const struct em_wishes *wishes)
{
    struct em_version *version = em_version_new(&call->world->store, call->now);
    snprintf(version->kty, sizeof(version->kty), "%s", kty);
    version->shared = em_shared_new(material);
    em_document_grant(wishes, version);
    if (!json_array_size(version->key_ops)) {
        json_decref(version->key_ops);
        version->key_ops = ops_for(call, em_material_type(material));
    }
    return version;
}

static bool read_integer(struct em_call *call, const char *name, json_int_t *ret)
{
    const json_t *value = json_object_get(call->body, name);
    if (value && !json_is_null(value) && !json_is_integer(value))
        return em_call_fail(call, EM_PROPERTY_BAD, name);
    *ret = json_is_integer(value) ? json_integer_value(value) : *ret;
    return true;
}

static bool read_recipe(struct em_call *call, struct recipe *ret)
{
    const char *kty, *curve;
    if (!em_call_required(call, call->body, "kty", &kty) || !choose_kty(call, kty, false, ret->kty) ||
        !em_call_text(call, call->body, "crv", &curve))
        return false;
    json_int_t bits = em_starts(ret->kty, "RSA") ? 2048 : em_starts(ret->kty, "oct") ? 256 : 0;
    json_int_t exponent = 65537;
    if (!read_integer(call, "key_size", &bits) || !read_integer(call, "public_exponent", &exponent))
        return false;
    if (bits < 0 || bits > 65536)
        return em_call_fail(call, EM_PROPERTY_BAD, "key_size");
    ret->bits = (int)bits;
    ret->exponent = (long)exponent;
    ret->curve = em_starts(ret->kty, "EC") ? (curve ? curve : "P-256") : NULL;
    return true;
}

static bool generate(struct em_call *call, const struct recipe *recipe, struct em_material **ret)
{
    struct em_refusal refusal = { 0 };
    if (em_material_generate(recipe->kty, recipe->bits, recipe->exponent, recipe->curve, ret, &refusal))
        return true;
    return em_call_refuse(call, &refusal);
}

bool em_keys_generate(struct em_call *call, json_t *properties, char ret_kty[8], struct em_material **ret)
{
    struct recipe recipe = { 0 };
    json_t *body = call->body;
    call->body = properties;
    bool ok = read_recipe(call, &recipe) && generate(call, &recipe, ret);
    call->body = body;
    snprintf(ret_kty, 8, "%s", recipe.kty);
    return ok;
}

bool em_keys_create(struct em_call *call)
{
    struct recipe recipe = { 0 };
    struct em_wishes wishes;
    struct em_material *material = NULL;
    if (!read_recipe(call, &recipe) || !em_document_wishes(call, call->body, &wishes) ||
        !name_free_now(call) || !generate(call, &recipe, &material))
        return false;
    return publish(call, version_make(call, recipe.kty, material, &wishes));
}

bool em_keys_import(struct em_call *call)
{
    const json_t *jwk = json_object_get(call->body, "key"), *hsm = json_object_get(call->body, "Hsm");
    const char *asked;
    char kty[8];
    struct em_wishes wishes;
    struct em_material *material = NULL;
    struct em_refusal refusal = { 0 };
    if (!json_is_object(jwk))
        return em_call_fail(call, EM_PROPERTY_MISSING, "key");
    if (!em_call_required(call, jwk, "kty", &asked) || !choose_kty(call, asked, json_is_true(hsm), kty) ||
        !em_document_wishes(call, jwk, &wishes) || !name_free_now(call))
        return false;
    if (!em_material_import(jwk, &material, &refusal))
        return em_call_refuse(call, &refusal);
    return publish(call, version_make(call, kty, material, &wishes));
}

bool em_keys_get(struct em_call *call)
{
    READ_STORE(&call->world->store);
    const struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    const struct em_version *version = key ? em_key_version(key, call->version) : NULL;
    if (!version)
        return em_call_not_found(call);
    em_call_json(call, em_document_bundle(call, key, version));
    return true;
}

bool em_keys_update(struct em_call *call)
{
    struct em_store *store = &call->world->store;
    struct em_wishes wishes;
    if (!em_document_wishes(call, call->body, &wishes))
        return false;
    WRITE_STORE(store);
    struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    struct em_version *version = key ? em_key_version(key, call->version) : NULL;
    if (!version)
        return em_call_not_found(call);
    wishes.exportable = NULL;
    em_document_grant(&wishes, version);
    version->updated = call->now;
    json_t *bundle = em_document_bundle(call, key, version);
    return em_call_saved(call, key, bundle);
}

/* What the next version inherits from the latest; tags and ops are copies that the caller releases. */
static bool inherit(struct em_call *call, struct recipe *recipe, struct em_wishes *wishes)
{
    READ_STORE(&call->world->store);
    const struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    if (!key)
        return em_call_not_found(call);
    if (call->vault->hsm && !call->at_once && !key->rotation.actions)
        return em_call_fail(call, EM_POLICY_MISSING, key->name);
    const struct em_version *latest = key->latest;
    const struct em_material *material = latest->shared->material;
    snprintf(recipe->kty, sizeof(recipe->kty), "%s", latest->kty);
    recipe->bits = em_material_bits(material);
    recipe->curve = em_material_curve(material);
    recipe->exponent = 65537;
    wishes->exportable = latest->exportable ? json_true() : NULL;
    wishes->key_ops = json_deep_copy(latest->key_ops);
    wishes->tags = json_deep_copy(latest->tags);
    wishes->policy = json_deep_copy(latest->policy);
    return true;
}

bool em_keys_rotate(struct em_call *call)
{
    struct recipe recipe = { 0 };
    struct em_wishes wishes = { 0 };
    struct em_material *material = NULL;
    if (!inherit(call, &recipe, &wishes))
        return false;
    bool ok = name_free_now(call) && generate(call, &recipe, &material) &&
              publish(call, version_make(call, recipe.kty, material, &wishes));
    json_decref(wishes.key_ops);
    json_decref(wishes.tags);
    json_decref(wishes.policy);
    return ok;
}
