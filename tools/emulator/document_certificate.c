/* Certificates as the service shows them (contract §12.1). The store's lock is held. */
#include <string.h>
#include "document.h"

static json_t *identifier(const struct em_call *call, const char *kind, const struct em_key *key,
                          const char *part)
{
    return em_json(json_sprintf("%s/%s/%s%s%s", call->base, kind, key->name, *part ? "/" : "", part));
}

static json_t *thumbprint(const struct em_version *version)
{
    unsigned char digest[20];
    if (!em_sha1(version->cer, digest))
        em_die("SHA-1 is not to be had");
    AUTO_TEXT text = em_base64url(digest, sizeof(digest));
    return em_json(json_string(text));
}

/* A list leaves the recovery level out. */
static json_t *attributes(const struct em_version *version, bool recovery)
{
    json_t *object = em_json(json_object());
    json_object_set_new(object, "enabled", json_boolean(version->enabled));
    if (version->nbf != EM_NEVER)
        json_object_set_new(object, "nbf", json_integer(version->nbf));
    if (version->exp != EM_NEVER)
        json_object_set_new(object, "exp", json_integer(version->exp));
    json_object_set_new(object, "created", json_integer(version->created));
    json_object_set_new(object, "updated", json_integer(version->updated));
    if (recovery) {
        json_object_set_new(object, "recoveryLevel", json_string("Recoverable+Purgeable"));
        json_object_set_new(object, "recoverableDays", json_integer(EM_RETENTION_KV));
    }
    return object;
}

static json_t *tags(const struct em_version *version)
{
    return em_json(version->tags ? json_deep_copy(version->tags) : json_object());
}

json_t *em_document_certificate_policy(const struct em_call *call, const struct em_key *key)
{
    json_t *policy = em_json(json_object());
    json_object_set_new(policy, "id", identifier(call, "certificates", key, "policy"));
    AUTO_JSON rest = em_json(json_deep_copy(json_object_get(key->certificate, "policy")));
    json_object_update(policy, rest);
    return policy;
}

json_t *em_document_certificate(const struct em_call *call, const struct em_key *key,
                                const struct em_version *version)
{
    json_t *bundle = em_json(json_object());
    AUTO_TEXT cer = em_base64(version->cer.data, version->cer.len);
    json_object_set_new(bundle, "id", identifier(call, "certificates", key, version->id));
    json_object_set_new(bundle, "kid", identifier(call, "keys", key, version->id));
    json_object_set_new(bundle, "sid", identifier(call, "secrets", key, version->id));
    json_object_set_new(bundle, "x5t", thumbprint(version));
    json_object_set_new(bundle, "cer", em_json(json_string(cer)));
    json_object_set_new(bundle, "attributes", attributes(version, true));
    json_object_set_new(bundle, "tags", tags(version));
    json_object_set_new(bundle, "policy", em_document_certificate_policy(call, key));
    json_object_set_new(bundle, "pending",
                        em_json(json_pack("{s:o}", "id", identifier(call, "certificates", key, "pending"))));
    return bundle;
}

json_t *em_document_certificate_item(const struct em_call *call, const struct em_key *key,
                                     const struct em_version *version, bool versioned)
{
    return em_json(json_pack("{s:o, s:o, s:o, s:o, s:s}", "id",
                             identifier(call, "certificates", key, versioned ? version->id : ""), "x5t",
                             thumbprint(version), "attributes", attributes(version, false), "tags",
                             tags(version), "subject", ""));
}

json_t *em_document_shown(const struct em_call *call, const struct em_key *key,
                          const struct em_version *version)
{
    return call->certificate ? em_document_certificate(call, key, version)
                             : em_document_bundle(call, key, version);
}

/* The names in status and details are the service's. */
json_t *em_document_certificate_pending(const struct em_call *call, const struct em_key *key)
{
    bool ready = call->now_ms >= json_integer_value(json_object_get(key->certificate, "ready_ms"));
    json_t *object = em_json(json_object());
    json_object_set_new(object, "id", identifier(call, "certificates", key, "pending"));
    json_object_set_new(object, "issuer", em_json(json_pack("{s:s}", "name", "Self")));
    json_object_set(object, "csr", json_object_get(key->certificate, "csr"));
    json_object_set_new(object, "cancellation_requested", json_false());
    json_object_set_new(object, "status", json_string(ready ? "completed" : "inProgress"));
    if (ready)
        json_object_set_new(object, "target", identifier(call, "certificates", key, ""));
    else
        json_object_set_new(
            object, "status_details",
            json_string("Pending certificate created. Certificate request is in progress. This may take some "
                        "time based on the issuer provider. Please check again later."));
    json_object_set(object, "request_id", json_object_get(key->certificate, "request_id"));
    return object;
}
