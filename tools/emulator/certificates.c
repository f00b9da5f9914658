/* Certificates (contract §12): a key whose versions have a certificate each, with its name and version ids. The issuer is the vault itself. Chains,
 * contacts, issuers and imports are not here; the secret behind a certificate is refused whoever asks. */
#include <string.h>
#include "document.h"
#include "handlers.h"
#include "persist.h"

enum { MONTHS = 12, MONTHS_MAX = 1200, EARLY = 600 /* seconds that nbf lies before the creation */ };

static const char default_usage[] = "digitalSignature,keyEncipherment",
                  default_ekus[] = "1.3.6.1.5.5.7.3.1,1.3.6.1.5.5.7.3.2";

/* Contract §12.1. */
static const struct {
    const char *usage, *ops;
} usages[] = {
    { "dataEncipherment", "encrypt,decrypt" },
    { "decipherOnly", "decrypt" },
    { "digitalSignature", "sign,verify" },
    { "keyCertSign", "sign,verify" },
    { "nonRepudiation", "sign,verify" },
    { "cRLSign", "sign,verify" },
    { "encipherOnly", "encrypt" },
    { "keyEncipherment", "wrapKey,unwrapKey" },
};

/* --- reading a policy --- */

static json_t *member(const json_t *object, const char *name, json_t *standard)
{
    json_t *value = json_object_get(object, name);
    if (!value || json_is_null(value))
        return standard;
    json_decref(standard);
    return em_json(json_deep_copy(value));
}

static json_t *words(const char *list)
{
    AUTO_TEXT copy = em_copy(list);
    char *rest = copy, *word;
    json_t *array = em_json(json_array());
    while ((word = strsep(&rest, ",")))
        json_array_append_new(array, em_json(json_string(word)));
    return array;
}

static json_t *key_properties(const json_t *given)
{
    const char *kty = json_string_value(json_object_get(given, "kty"));
    bool curve = kty && em_starts(kty, "EC");
    json_t *object = em_json(json_object());
    json_object_set_new(object, "exportable", member(given, "exportable", json_true()));
    json_object_set_new(object, "kty", member(given, "kty", json_string("RSA")));
    if (!curve)
        json_object_set_new(object, "key_size", member(given, "key_size", json_integer(2048)));
    json_object_set_new(object, "reuse_key", member(given, "reuse_key", json_false()));
    if (curve)
        json_object_set_new(object, "crv", member(given, "crv", json_string("P-256")));
    return object;
}

static json_t *x509_properties(const json_t *given)
{
    json_t *object = em_json(json_object());
    json_object_set_new(object, "subject", member(given, "subject", json_string("")));
    if (json_object_get(given, "sans"))
        json_object_set_new(object, "sans", member(given, "sans", NULL));
    json_object_set_new(object, "ekus", member(given, "ekus", words(default_ekus)));
    json_object_set_new(object, "key_usage", member(given, "key_usage", words(default_usage)));
    json_object_set_new(object, "validity_months", member(given, "validity_months", json_integer(MONTHS)));
    json_object_set_new(object, "basic_constraints",
                        member(given, "basic_constraints", json_pack("{s:b}", "ca", 0)));
    return object;
}

/* What was not given is filled in, in the order in which the service shows it. */
static json_t *policy_complete(const struct em_call *call, const json_t *given)
{
    json_t *policy = em_json(json_object());
    json_object_set_new(policy, "key_props", key_properties(json_object_get(given, "key_props")));
    json_object_set_new(
        policy, "secret_props",
        member(given, "secret_props", json_pack("{s:s}", "contentType", "application/x-pkcs12")));
    json_object_set_new(policy, "x509_props", x509_properties(json_object_get(given, "x509_props")));
    json_object_set_new(policy, "lifetime_actions",
                        member(given, "lifetime_actions",
                               json_pack("[{s:{s:i}, s:{s:s}}]", "trigger", "lifetime_percentage", 80,
                                         "action", "action_type", "AutoRenew")));
    json_object_set_new(policy, "issuer", member(given, "issuer", json_pack("{s:s}", "name", "Self")));
    json_object_set_new(policy, "attributes",
                        em_json(json_pack("{s:b, s:I, s:I}", "enabled", 1, "created", (json_int_t)call->now,
                                          "updated", (json_int_t)call->now)));
    return policy;
}

static bool check_policy(struct em_call *call, const json_t *policy)
{
    const json_t *x509 = json_object_get(policy, "x509_props");
    const char *issuer = json_string_value(json_object_get(json_object_get(policy, "issuer"), "name"));
    json_int_t months = json_integer_value(json_object_get(x509, "validity_months"));
    if (!issuer || !em_same(issuer, "Self"))
        return em_call_fail(call, EM_PROPERTY_BAD, "issuer");
    if (!json_string_value(json_object_get(x509, "subject")))
        return em_call_fail(call, EM_PROPERTY_BAD, "subject");
    if (months < 1 || months > MONTHS_MAX)
        return em_call_fail(call, EM_PROPERTY_BAD, "validity_months");
    if (!json_is_array(json_object_get(x509, "ekus")) || !json_is_array(json_object_get(x509, "key_usage")))
        return em_call_fail(call, EM_PROPERTY_BAD, "x509_props");
    return true;
}

static json_t *ops_for(const json_t *key_usage, const char *type)
{
    static const char order[] = "sign,verify,wrapKey,unwrapKey,encrypt,decrypt";
    AUTO_TEXT all = em_copy("");
    size_t i;
    json_t *item;
    json_array_foreach(key_usage, i, item)
    {
        for (size_t k = 0; k < EM_COUNT(usages); k++) {
            if (!json_is_string(item) || !em_same(usages[k].usage, json_string_value(item)))
                continue;
            char *longer = em_format("%s,%s", all, usages[k].ops);
            free(all);
            all = longer;
        }
    }
    AUTO_TEXT copy = em_copy(em_same(type, "EC") ? "sign,verify" : order);
    char *rest = copy, *word;
    json_t *ops = em_json(json_array());
    while ((word = strsep(&rest, ",")))
        if (em_listed(all, word))
            json_array_append_new(ops, em_json(json_string(word)));
    return ops;
}

/* --- making one --- */

struct making {
    json_t *policy;               /* complete */
    struct em_material *material; /* NULL: `shared` is used again */
    struct em_shared *shared;
    char kty[8];
    struct em_blob cer, csr;
    int64_t nbf, exp;
};

static void making_free(struct making *making)
{
    json_decref(making->policy);
    em_material_free(making->material);
    em_shared_free(making->shared);
    em_blob_free(&making->cer);
    em_blob_free(&making->csr);
}

static char *joined(const json_t *array, const char *prefix)
{
    char *text = em_copy("");
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item)
    {
        char *longer = em_format("%s%s%s%s", text, *text ? "," : "", prefix, json_string_value(item));
        free(text);
        text = longer;
    }
    return text;
}

static bool certify(struct em_call *call, struct making *making)
{
    const json_t *x509 = json_object_get(making->policy, "x509_props");
    AUTO_TEXT usage = joined(json_object_get(x509, "key_usage"), "");
    AUTO_TEXT ekus = joined(json_object_get(x509, "ekus"), "");
    AUTO_TEXT sans = joined(json_object_get(json_object_get(x509, "sans"), "dns_names"), "DNS:");
    AUTO_TEXT months =
        em_format("P%lldM", (long long)json_integer_value(json_object_get(x509, "validity_months")));
    struct em_refusal refusal = { 0 };
    making->nbf = call->now - EARLY;
    if (!em_duration_add(months, making->nbf, &making->exp))
        return em_call_fail(call, EM_PROPERTY_BAD, "validity_months");
    const struct em_certificate_wishes wishes = {
        .subject = json_string_value(json_object_get(x509, "subject")),
        .key_usage = usage,
        .ekus = ekus,
        .sans = sans,
        .ca = json_is_true(json_object_get(json_object_get(x509, "basic_constraints"), "ca")),
        .not_before = making->nbf,
        .not_after = making->exp
    };
    const struct em_material *material = making->shared ? making->shared->material : making->material;
    return em_material_certify(material, &wishes, &making->cer, &making->csr, &refusal) ||
           em_call_refuse(call, &refusal);
}

/* The policy of the body; without one, that of the certificate which is being renewed, whose key is taken again if the policy says so. */
static bool prepare(struct em_call *call, struct making *making)
{
    const json_t *given = json_object_get(call->body, "policy");
    READ_STORE(&call->world->store);
    if (!em_keys_name_free(call))
        return false;
    const struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    if (key && !key->certificate)
        return em_call_fail(call, EM_NAME_IN_USE, key->name);
    if (!given && key)
        given = json_object_get(key->certificate, "policy");
    making->policy = policy_complete(call, given);
    if (!check_policy(call, making->policy))
        return false;
    if (key && json_is_true(json_object_get(json_object_get(making->policy, "key_props"), "reuse_key"))) {
        making->shared = em_shared_ref(key->latest->shared);
        snprintf(making->kty, sizeof(making->kty), "%s", key->latest->kty);
    }
    return true;
}

static struct em_version *version_make(struct em_call *call, struct making *making,
                                       const struct em_wishes *wishes)
{
    const json_t *x509 = json_object_get(making->policy, "x509_props");
    struct em_version *version = em_version_new(&call->world->store, call->now);
    snprintf(version->kty, sizeof(version->kty), "%s", making->kty);
    if (making->shared)
        version->shared = em_shared_ref(making->shared);
    else
        version->shared = em_shared_new(making->material);
    making->material = NULL; /* the version has it now */
    em_document_grant(wishes, version);
    json_decref(version->key_ops);
    version->key_ops =
        ops_for(json_object_get(x509, "key_usage"), em_material_type(version->shared->material));
    version->exportable =
        json_is_true(json_object_get(json_object_get(making->policy, "key_props"), "exportable"));
    version->nbf = making->nbf;
    version->exp = making->exp;
    version->cer = making->cer;
    making->cer = (struct em_blob){ 0 };
    return version;
}

static json_t *certificate_state(struct em_call *call, const struct making *making)
{
    int64_t latency = call->at_once ? 0 : call->world->settings.value[EM_CERTIFICATE_LATENCY];
    char request_id[33];
    em_hex_random(request_id, 32);
    AUTO_TEXT csr = em_base64(making->csr.data, making->csr.len);
    return em_json(json_pack("{s:O, s:s, s:s, s:I}", "policy", making->policy, "csr", csr, "request_id",
                             request_id, "ready_ms", (json_int_t)(call->now_ms + latency * 1000)));
}

static void answer_accepted(struct em_call *call, const struct em_key *key, json_t *json)
{
    AUTO_TEXT place = em_format("%s/certificates/%s/pending?api-version=%s&request_id=%s", call->base,
                                key->name, em_request_parameter(call->request, "api-version"),
                                json_string_value(json_object_get(key->certificate, "request_id")));
    em_reply_json(call->reply, 202, json);
    em_reply_header(call->reply, "Location", place);
    em_reply_header(call->reply, "Retry-After", "10");
}

static bool publish(struct em_call *call, struct making *making, const struct em_wishes *wishes)
{
    struct em_store *store = &call->world->store;
    WRITE_STORE(store);
    if (!em_keys_name_free(call))
        return false;
    struct em_key *key = em_store_find(call->vault, call->name, call->now_ms);
    if (key && !key->certificate)
        return em_call_fail(call, EM_NAME_IN_USE, key->name);
    if (!key)
        key = em_store_new_key(call->vault, call->name);
    em_key_add(key, version_make(call, making, wishes));
    json_decref(key->certificate);
    key->certificate = certificate_state(call, making);
    if (!em_persist_save(store, call->vault, key, EM_DURABLE))
        return em_call_fail(call, EM_STORAGE_FAILED);
    if (call->at_once) /* the control API wants to know what came of it */
        em_call_json(call, em_document_certificate(call, key, key->latest));
    else
        answer_accepted(call, key, em_document_certificate_pending(call, key));
    return true;
}

bool em_certificates_create(struct em_call *call)
{
    __attribute__((cleanup(making_free))) struct making making = { 0 };
    struct em_wishes wishes = { 0 };
    if (call->body && !em_document_wishes(call, call->body, &wishes))
        return false;
    wishes.nbf = wishes.exp = wishes.key_ops = NULL; /* the certificate says these */
    if (!prepare(call, &making))
        return false;
    if (!making.shared &&
        !em_keys_generate(call, json_object_get(making.policy, "key_props"), making.kty, &making.material))
        return false;
    return certify(call, &making) && publish(call, &making, &wishes);
}

/* --- reading --- */

static const struct em_key *find(struct em_call *call)
{
    const struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    return key && key->certificate ? key : NULL;
}

bool em_certificates_get(struct em_call *call)
{
    READ_STORE(&call->world->store);
    const struct em_key *key = find(call);
    const struct em_version *version = key ? em_key_version(key, call->version) : NULL;
    if (!version)
        return em_call_not_found(call);
    em_call_json(call, em_document_certificate(call, key, version));
    return true;
}

bool em_certificates_policy(struct em_call *call)
{
    READ_STORE(&call->world->store);
    const struct em_key *key = find(call);
    if (!key)
        return em_call_not_found(call);
    em_call_json(call, em_document_certificate_policy(call, key));
    return true;
}

bool em_certificates_pending(struct em_call *call)
{
    READ_STORE(&call->world->store);
    const struct em_key *key = find(call);
    if (!key)
        return em_call_not_found(call);
    json_t *object = em_document_certificate_pending(call, key);
    bool ready = json_object_get(object, "target") != NULL;
    em_call_json(call, object);
    if (!ready)
        em_reply_header(call->reply, "Retry-After", "10");
    return true;
}

/* The value would be the private key in clear: nobody who tests with this emulator may come to rely on it. */
bool em_secrets_get(struct em_call *call)
{
    return em_call_denied(call, "secrets/getSecret/action");
}
