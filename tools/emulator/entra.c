#include <openssl/crypto.h>
#include <string.h>
#include <time.h>
#include "assertion.h"
#include "auth.h"
#include "clock.h"
#include "entra.h"

struct entra {
    struct em_world *world;
    const struct em_request *request;
    struct em_reply *reply;
    struct em_fields form;
    char *identity;              /* 128 bytes */
    char tenant[128], rest[256]; /* "/{tenant}/{rest}" */
};

struct refusal {
    int status, number; /* AADSTS number */
    const char *error;
};

static const struct refusal invalid_request = { 400, 900144, "invalid_request" },
                            no_tenant = { 400, 90002, "invalid_request" },
                            bad_grant = { 400, 70003, "unsupported_grant_type" },
                            bad_scope = { 400, 70011, "invalid_scope" },
                            no_client = { 400, 700016, "unauthorized_client" },
                            bad_secret = { 401, 7000215, "invalid_client" },
                            bad_assertion = { 401, 700027, "invalid_client" };

static void headers(const struct entra *entra)
{
    static const char *const fixed[][2] = {
        { "Cache-Control", "no-store, no-cache" },
        { "Pragma", "no-cache" },
        { "Content-Type", "application/json; charset=utf-8" },
        { "Expires", "-1" },
        { "Strict-Transport-Security", "max-age=31536000; includeSubDomains" },
        { "X-Content-Type-Options", "nosniff" },
        { "x-ms-ests-server", "2.1.0 - local" },
    };
    char guid[EM_GUID_SIZE];
    const char *echo = em_request_header(entra->request, "client-request-id");
    for (size_t i = 0; i < EM_COUNT(fixed); i++)
        em_reply_header(entra->reply, fixed[i][0], fixed[i][1]);
    if (echo)
        em_reply_header(entra->reply, "client-request-id", echo);
    em_guid(guid);
    em_reply_header(entra->reply, "x-ms-request-id", guid);
}

static void refuse(struct entra *entra, const struct refusal *why, const char *text)
{
    char trace[EM_GUID_SIZE], correlation[EM_GUID_SIZE], stamp[32];
    bool told = em_starts(text, "AADSTS"); /* a number of its own */
    int code = told ? (int)strtol(text + strlen("AADSTS"), NULL, 10) : why->number;
    time_t now = (time_t)em_clock_seconds();
    struct tm parts;
    em_guid(trace);
    em_guid(correlation);
    strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%SZ", gmtime_r(&now, &parts));
    AUTO_TEXT number = em_format("AADSTS%d: ", code);
    AUTO_TEXT description = em_format("%s%s Trace ID: %s Correlation ID: %s Timestamp: %s",
                                      told ? "" : number, text, trace, correlation, stamp);
    AUTO_TEXT uri = em_format("%s/error?code=%d", entra->world->authority, code);
    em_reply_json(entra->reply, why->status,
                  em_json(json_pack("{s:s, s:s, s:[i], s:s, s:s, s:s, s:s}", "error", why->error,
                                    "error_description", description, "error_codes", code, "timestamp", stamp,
                                    "trace_id", trace, "correlation_id", correlation, "error_uri", uri)));
}

static bool secret_good(const struct em_identity *identity, const char *secret)
{
    size_t length = strlen(identity->secret);
    return length && strlen(secret) == length && CRYPTO_memcmp(secret, identity->secret, length) == 0;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* The audience is this token endpoint, whatever name and port the client knows it by, or the tenant's v2.0 issuer. */
static bool audience_good(const struct entra *entra, const char *audience)
{
    AUTO_TEXT endpoint = em_format("/%s/%s", em_tenant(entra->world), entra->rest);
    AUTO_TEXT issuer = em_format("/%s/v2.0", em_tenant(entra->world));
    const char *path = em_starts(audience, "https://") ? strchr(audience + 8, '/') : NULL;
    return path && (em_same(path, endpoint) || em_same(path, issuer));
}

static bool assertion_good(struct entra *entra, const struct em_identity *identity, const char *assertion)
{
    char why[256];
    AUTO_JSON claims = em_assertion_verify(identity, assertion, why);
    if (!claims) {
        refuse(entra, &bad_assertion, why);
        return false;
    }
    int64_t now = em_clock_seconds(), leeway = 300;
    bool timely = now < json_integer_value(json_object_get(claims, "exp")) + leeway &&
                  now + leeway >= json_integer_value(json_object_get(claims, "nbf"));
    bool named =
        em_same(text_of(claims, "iss"), identity->id) && em_same(text_of(claims, "sub"), identity->id);
    if (!timely)
        refuse(entra, &bad_assertion, "AADSTS700024: Client assertion is not within its valid time range.");
    else if (!named)
        refuse(entra, &bad_assertion, "AADSTS700021: Client assertion application identifier doesn't match.");
    else if (!audience_good(entra, text_of(claims, "aud")))
        refuse(entra, &bad_assertion, "AADSTS700023: Client assertion audience claim does not match.");
    return timely && named && audience_good(entra, text_of(claims, "aud"));
}

/* Is it the token of another issuer, and not the application's own? */
static bool is_foreign(const struct em_identity *identity, const char *assertion)
{
    AUTO_JSON claims = em_jwt_peek(assertion);
    return claims && !em_same(text_of(claims, "iss"), identity->id);
}

static bool federated_good(struct entra *entra, const struct em_identity *identity, const char *assertion)
{
    static const struct {
        const char *claim, *member, *text;
        int number;
    } rows[] = {
        { "iss", "issuer", "No matching federated identity record found for presented assertion issuer.",
          700211 },
        { "aud", "audience", "No matching federated identity record found for presented assertion audience.",
          700212 },
        { "sub", "subject", "No matching federated identity record found for presented assertion subject.",
          700213 },
    };
    const json_t *record = identity->federated;
    AUTO_JSON told = em_jwt_peek(assertion);
    AUTO_JSON claims = record ? em_jwt_verify_foreign(text_of(record, "key"), assertion) : NULL;
    for (size_t i = 0; record && i < EM_COUNT(rows); i++) {
        if (strcmp(text_of(told, rows[i].claim), text_of(record, rows[i].member)) == 0)
            continue;
        refuse(entra, &(struct refusal){ 401, rows[i].number, "invalid_client" }, rows[i].text);
        return false;
    }
    bool timely = claims && em_clock_seconds() < json_integer_value(json_object_get(claims, "exp"));
    if (!record)
        refuse(entra, &(struct refusal){ 401, 70021, "invalid_client" },
               "No matching federated identity record found for presented assertion.");
    else if (!claims)
        refuse(entra, &(struct refusal){ 401, 50013, "invalid_client" },
               "Assertion failed signature validation.");
    else if (!timely)
        refuse(entra, &(struct refusal){ 401, 700024, "invalid_client" },
               "Client assertion is not within its valid time range.");
    return timely;
}

static bool client_good(struct entra *entra, const struct em_identity *identity)
{
    const char *secret = em_fields_get(&entra->form, "client_secret");
    const char *assertion = em_fields_get(&entra->form, "client_assertion");
    if (assertion && is_foreign(identity, assertion))
        return federated_good(entra, identity, assertion);
    if (assertion)
        return assertion_good(entra, identity, assertion);
    if (secret && secret_good(identity, secret))
        return true;
    if (secret)
        refuse(entra, &bad_secret, "Invalid client secret provided.");
    else
        refuse(
            entra, &(struct refusal){ 401, 7000218, "invalid_client" },
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.");
    return false;
}

/* "https://vault.localhost/.default" without its end; NULL when it has none. */
static char *scope_audience(const char *scope)
{
    static const char end[] = "/.default";
    size_t length = scope ? strlen(scope) : 0, tail = strlen(end);
    if (length <= tail || strcmp(scope + length - tail, end) != 0 || strchr(scope, ' '))
        return NULL;
    return em_format("%.*s", (int)(length - tail), scope);
}

/* Does the request ask for all that was demanded, and say that the client bears being asked ("cp1")? Contract §14.8. */
static bool demand_met(const struct entra *entra, const json_t *demand)
{
    const char *text = em_fields_get(&entra->form, "claims");
    AUTO_JSON asked = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *have = json_object_get(asked, "access_token"),
                 *want = json_object_get(demand, "access_token");
    const json_t *values = json_object_get(json_object_get(have, "xms_cc"), "values"), *value;
    const char *name;
    size_t i;
    bool capable = false;
    json_array_foreach((json_t *)(uintptr_t)values, i, value) capable =
        capable || em_same(json_string_value(value) ? json_string_value(value) : "", "cp1");
    json_object_foreach((json_t *)(uintptr_t)want, name, value) capable =
        capable && json_equal(json_object_get(have, name), value);
    return capable;
}

static void grant(struct entra *entra, const struct em_identity *identity, const char *audience)
{
    int lifetime = entra->world->settings.value[EM_TOKEN_LIFETIME];
    bool stale = identity->demand && !demand_met(entra, identity->demand);
    if (identity->demand && !stale)
        em_identities_answered(&entra->world->identities, identity->id);
    AUTO_TEXT token = em_auth_issue(entra->world, &(struct em_grant){ .identity = identity->id,
                                                                      .audience = audience,
                                                                      .tenant = entra->tenant,
                                                                      .stale = stale });
    em_reply_json(entra->reply, 200,
                  em_json(json_pack("{s:s, s:i, s:i, s:s}", "token_type", "Bearer", "expires_in", lifetime,
                                    "ext_expires_in", lifetime, "access_token", token ? token : "")));
}

/* AD FS, which Azure Stack Hub may have, is a tenant of this name, and knows the first version of the protocol alone (contract §14). */
static bool is_adfs(const struct entra *entra)
{
    return em_same(entra->tenant, "adfs");
}

static void token(struct entra *entra)
{
    const char *type = em_fields_get(&entra->form, "grant_type");
    const char *client = em_fields_get(&entra->form, "client_id");
    const char *resource = em_fields_get(&entra->form, "resource");
    AUTO_TEXT audience = !is_adfs(entra) ? scope_audience(em_fields_get(&entra->form, "scope"))
                         : resource      ? em_copy(resource)
                                         : NULL;
    struct em_identity identity;
    const char *former = __atomic_load_n(&entra->world->former_tenant, __ATOMIC_ACQUIRE);
    if (!em_same(entra->tenant, em_tenant(entra->world)) && !(former && em_same(entra->tenant, former))) {
        AUTO_TEXT text =
            em_format("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are "
                      "signing into the correct cloud.",
                      entra->tenant);
        return refuse(entra, &no_tenant, text);
    }
    if (!type || !client)
        return refuse(entra, &invalid_request, "The request body must contain 'grant_type' and 'client_id'.");
    if (strcmp(type, "client_credentials") != 0)
        return refuse(entra, &bad_grant, "The app requested an unsupported grant type.");
    if (!audience)
        return refuse(entra, &bad_scope, "The provided value for the input parameter 'scope' is not valid.");
    if (!em_identities_find(&entra->world->identities, client, &identity)) {
        AUTO_TEXT text = em_format("Application with identifier '%s' was not found in the directory '%s'.",
                                   client, entra->tenant);
        return refuse(entra, &no_client, text);
    }
    snprintf(entra->identity, 128, "%s", identity.id);
    if (client_good(entra, &identity))
        grant(entra, &identity, audience);
    em_identity_free(&identity);
}

static void token_of_v1(struct entra *entra)
{
    if (is_adfs(entra))
        token(entra);
}

static void token_of_v2(struct entra *entra)
{
    if (!is_adfs(entra))
        token(entra);
}

static void openid_configuration(struct entra *entra)
{
    const char *authority = entra->world->authority, *tenant = entra->tenant;
    AUTO_TEXT token_endpoint = em_format("%s/%s/oauth2/v2.0/token", authority, tenant);
    AUTO_TEXT authorize = em_format("%s/%s/oauth2/v2.0/authorize", authority, tenant);
    AUTO_TEXT logout = em_format("%s/%s/oauth2/v2.0/logout", authority, tenant);
    AUTO_TEXT device = em_format("%s/%s/oauth2/v2.0/devicecode", authority, tenant);
    AUTO_TEXT keys = em_format("%s/%s/discovery/v2.0/keys", authority, tenant);
    AUTO_TEXT issuer = em_format("%s/%s/v2.0", authority, tenant);
    em_reply_json(
        entra->reply, 200,
        em_json(json_pack("{s:s, s:[s,s], s:s, s:[s], s:[s], s:s, s:s, s:s, s:s, s:n}", "token_endpoint",
                          token_endpoint, "token_endpoint_auth_methods_supported", "client_secret_post",
                          "private_key_jwt", "jwks_uri", keys, "response_types_supported", "token",
                          "id_token_signing_alg_values_supported", "RS256", "issuer", issuer,
                          "authorization_endpoint", authorize, "device_authorization_endpoint", device,
                          "end_session_endpoint", logout, "tenant_region_scope")));
}

static void instance_discovery(struct entra *entra)
{
    const char *authority = entra->world->authority, *host = authority + strlen("https://");
    AUTO_TEXT configuration =
        em_format("%s/%s/v2.0/.well-known/openid-configuration", authority, em_tenant(entra->world));
    em_reply_json(entra->reply, 200,
                  em_json(json_pack("{s:s, s:s, s:[{s:s, s:s, s:[s]}]}", "tenant_discovery_endpoint",
                                    configuration, "api-version", "1.1", "metadata", "preferred_network",
                                    host, "preferred_cache", host, "aliases", host)));
}

static void key_set(struct entra *entra)
{
    em_reply_json(entra->reply, 200, em_signer_jwks(&entra->world->signer));
}

static const struct {
    const char *method, *rest;
    void (*handle)(struct entra *);
} table[] = {
    { "POST", "oauth2/v2.0/token", token_of_v2 },
    { "POST", "oauth2/token", token_of_v1 },
    { "GET", "v2.0/.well-known/openid-configuration", openid_configuration },
    { "GET", "discovery/v2.0/keys", key_set },
    { "GET", "discovery/instance", instance_discovery },
};

void em_entra_handle(struct em_world *world, const struct em_request *request, struct em_reply *reply,
                     char ret_identity[128])
{
    struct entra entra = { .world = world, .request = request, .reply = reply, .identity = ret_identity };
    entra.form = em_fields_parse(request->body ? request->body : "", true);
    em_reply_json(reply, 404, em_json(json_pack("{s:s}", "error", "not_found")));
    if (sscanf(request->path, "/%127[^/]/%255s", entra.tenant, entra.rest) == 2) {
        for (size_t i = 0; i < EM_COUNT(table); i++) {
            if (em_same(request->method, table[i].method) && em_same(entra.rest, table[i].rest))
                table[i].handle(&entra);
        }
    }
    headers(&entra);
    em_fields_free(&entra.form);
}
