/* The service's refusals as a table (contract §8), and the two dialects that print them. */
#include <stdarg.h>
#include <string.h>
#include "call.h"
#include "persist.h"

static const struct {
    int status;
    const char *code, *inner, *text;
} table[] = {
    [EM_NO_TOKEN] = { 401, "Unauthorized", NULL, "AKV10000: Request is missing a Bearer or PoP token." },
    [EM_BAD_TOKEN] = { 401, "Unauthorized", NULL, "AKV10001: Error validating token: %s" },
    [EM_TOKEN_EXPIRED] = { 401, "Unauthorized", NULL, "[TokenExpired] Error validating token: 'S2S12086'." },
    [EM_TOKEN_EARLY] = { 401, "Unauthorized", NULL,
                         "AKV10001: Error validating token: Lifetime validation failed. The token is not yet "
                         "valid." },
    [EM_INSUFFICIENT_CLAIMS] = { 401, "Unauthorized", NULL,
                                 "AKV10001: Error validating token: Continuous access evaluation resulted in "
                                 "claims challenge." },
    [EM_BAD_AUDIENCE] = { 401, "Unauthorized", NULL, "AKV10022: Invalid audience. Expected %s, found: %s." },
    [EM_BAD_ISSUER] = { 401, "Unauthorized", NULL,
                        "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/%s/, found %s." },
    [EM_NO_API_VERSION] = { 400, "BadParameter", NULL, "api-version must be specified" },
    [EM_BAD_API_VERSION] = { 400, "BadParameter", NULL, "The specified api-version '%s' is not supported." },
    [EM_NO_ROUTE] = { 404, "NotFound", NULL, "There is no resource '%s'." },
    [EM_NO_METHOD] = { 405, "MethodNotAllowed", NULL, "Method %s is not allowed on '%s'." },
    [EM_FORBIDDEN_READONLY] = { 403, "Forbidden", NULL,
                                "The vault is in read-only mode during a fail-over; try again later." },
    [EM_BAD_JSON] = { 400, "BadParameter", NULL, "The request body is not a JSON object." },
    [EM_PROPERTY_MISSING] = { 400, "BadParameter", NULL, "Property '%s' is required.\r\n" },
    [EM_PROPERTY_BAD] = { 400, "BadParameter", NULL, "Property '%s' has invalid value\r\n" },
    [EM_NOT_BASE64URL] = { 400, "BadParameter", NULL,
                           "Content of '%s' is not base64url.\r\nProperty '%s' is required.\r\n" },
    [EM_BAD_NAME] = { 400, "BadParameter", NULL, "The request URI contains an invalid name: %s" },
    [EM_BAD_MAXRESULTS] = { 400, "BadParameter", NULL, "maxresults must be between 1 and 25, not '%s'." },
    [EM_BAD_KTY] = { 400, "BadParameter", NULL, "Key type '%s' is not supported by this vault." },
    [EM_HSM_ONLY] = { 404, "NotFound", NULL, "'%s' exists on a Managed HSM only." },
    [EM_KEY_NOT_FOUND] = { 404, "KeyNotFound", NULL,
                           "A key with (name/id) %s was not found in this key vault. If you recently deleted "
                           "this key "
                           "you may be able to recover it using the correct recovery command. For help "
                           "resolving this "
                           "issue, please see https://go.microsoft.com/fwlink/?linkid=2125182" },
    [EM_DELETED_NOT_FOUND] = { 404, "KeyNotFound", NULL, "Deleted Key not found: %s" },
    [EM_CERTIFICATE_NOT_FOUND] = { 404, "CertificateNotFound", NULL,
                                   "A certificate with (name/id) %s was not found in this key vault. If you "
                                   "recently deleted this certificate you may be able to recover it using "
                                   "the "
                                   "correct recovery command. For help resolving this issue, please see "
                                   "https://go.microsoft.com/fwlink/?linkid=2125182" },
    [EM_DELETED_CERTIFICATE_NOT_FOUND] = { 404, "CertificateNotFound", NULL,
                                           "Deleted Certificate not found: %s" },
    [EM_KEY_IS_MANAGED] = { 403, "Forbidden", NULL,
                            "Key %s backs a certificate: this operation is done on the certificate." },
    [EM_PURGE_FORBIDDEN] = { 403, "Forbidden", NULL,
                             "Operation \"purge\" is not allowed because purge protection is enabled for "
                             "this "
                             "vault." },
    [EM_IS_DELETED] = { 409, "Conflict", "ObjectIsDeletedButRecoverable",
                        "Key %s is currently in a deleted but recoverable state, and its name cannot be "
                        "reused; in "
                        "this state, the key can only be recovered or purged." },
    [EM_BEING_DELETED] = { 409, "Conflict", "ObjectIsBeingDeleted",
                           "Key %s is currently being deleted and cannot be re-created; retry later." },
    [EM_BEING_RECOVERED] = { 409, "Conflict", "ObjectIsBeingRecovered",
                             "Key %s is currently being recovered; retry later." },
    [EM_NAME_IN_USE] = { 409, "Conflict", NULL,
                         "Restore operation failed: a key with the name '%s' already exists in this key "
                         "vault." },
    [EM_KEY_DISABLED] = { 403, "Forbidden", "KeyDisabled", "Operation %s is not allowed on a disabled key." },
    [EM_KEY_EXPIRED] = { 403, "Forbidden", "KeyExpired", "Operation %s is not allowed on an expired key." },
    [EM_KEY_NOT_YET_VALID] = { 403, "Forbidden", "KeyNotYetValid",
                               "Operation %s is not allowed on a key that is not yet valid." },
    [EM_OPERATION_FORBIDDEN] = { 403, "Forbidden", "KeyOperationForbidden",
                                 "Operation %s is not permitted on this key." },
    [EM_POLICY_BAD] = { 400, "BadParameter", NULL, "Invalid key rotation policy: %s" },
    [EM_POLICY_MISSING] = { 400, "BadParameter", NULL,
                            "Key '%s' has no rotation policy; set one before rotating it." },
    [EM_TOO_MANY_VERSIONS] = { 400, "BadParameter", NULL,
                               "Key '%s' has reached the maximum of %d versions." },
    [EM_BACKUP_TOO_MANY] = { 400, "BadParameter", NULL,
                             "Key '%s' has more than %d past versions and cannot be backed up." },
    [EM_BACKUP_BAD] = { 400, "BadParameter", NULL, "The backup blob is malformed or was made elsewhere." },
    [EM_THROTTLED] = { 429, "Throttled", NULL,
                       "Request was not processed because too many requests were received. Reason: "
                       "VaultRequestTypeLimitReached" },
    [EM_STORAGE_FAILED] = { 500, "InternalServerError", NULL,
                            "The key could not be written to the state directory." },
    [EM_INTERNAL] = { 500, "InternalServerError", NULL, "An internal error occurred." },
};

static const char region[] = "localhost", service_version[] = "1.9.2405.1";

void em_call_json(struct em_call *call, json_t *json)
{
    em_reply_json(call->reply, 200, em_json(json));
}

bool em_call_saved(struct em_call *call, struct em_key *key, json_t *json)
{
    if (em_persist_save(&call->world->store, call->vault, key, EM_DURABLE)) {
        em_call_json(call, json);
        return true;
    }
    json_decref(json);
    return em_call_fail(call, EM_STORAGE_FAILED);
}

bool em_call_error(struct em_call *call, int status, const char *code, const char *inner, const char *message)
{
    if (call->vault->hsm && status == 401) {
        em_reply_text(call->reply, status, NULL, "");
        return false;
    }
    AUTO_TEXT text =
        call->vault->hsm ? em_format("%s (Activity ID: %s)", message, call->request_id) : em_copy(message);
    json_t *error = em_json(json_pack("{s:s, s:s}", "code", code, "message", text));
    if (inner && !call->vault->hsm)
        json_object_set_new(error, "innererror", em_json(json_pack("{s:s}", "code", inner)));
    em_reply_json(call->reply, status, em_json(json_pack("{s:o}", "error", error)));
    return false;
}

bool em_call_fail(struct em_call *call, enum em_error error, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, error);
    int length = vasprintf(&text, table[error].text, args);
    va_end(args);
    if (length < 0)
        em_die("out of memory");
    em_call_error(call, table[error].status, table[error].code, table[error].inner, text);
    free(text);
    return false;
}

bool em_call_refuse(struct em_call *call, const struct em_refusal *refusal)
{
    return em_call_error(call, refusal->status, refusal->code, refusal->inner, refusal->message);
}

bool em_call_not_found(struct em_call *call)
{
    const char *slash = *call->version ? "/" : "";
    AUTO_TEXT id = em_format("%s%s%s", call->name, slash, call->version);
    if (call->certificate)
        return em_call_fail(call, EM_CERTIFICATE_NOT_FOUND, id);
    if (!call->vault->hsm)
        return em_call_fail(call, EM_KEY_NOT_FOUND, id);
    AUTO_TEXT text = em_format("Key not found: Key not found: %s/keys/%s", call->base, id);
    return em_call_error(call, 404, "KeyNotFound", NULL, text);
}

bool em_call_denied(struct em_call *call, const char *action)
{
    const struct em_vault *vault = call->vault;
    char oid[EM_GUID_SIZE];
    em_guid_of(call->identity, oid);
    const char *slash = *call->name ? "/" : "";
    if (vault->hsm) {
        AUTO_TEXT text = em_format("Not authorized to access Microsoft.KeyVault/managedHsm/%s on /keys%s%s",
                                   action, slash, call->name);
        return em_call_error(call, 403, "AccessDenied", NULL, text);
    }
    AUTO_TEXT text = em_format(
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or "
        "role "
        "definitions were changed recently, please observe propagation time.\r\nCaller: appid=%s;oid=%s;iss="
        "https://sts.windows.net/%s/\r\nAction: 'Microsoft.KeyVault/vaults/%s'\r\nResource: '/subscriptions/"
        "00000000-0000-0000-0000-000000000000/resourcegroups/emulator/providers/microsoft.keyvault/vaults/%s/"
        "%s%s%s"
        "'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' "
        "\r\n"
        "Vault: %s;location=%s\r\n",
        call->identity, oid, em_tenant(call->world), action, vault->name,
        call->certificate ? "certificates" : "keys", slash, call->name, vault->name, region);
    return em_call_error(call, 403, "Forbidden", "ForbiddenByRbac", text);
}

static void challenge(struct em_call *call)
{
    AUTO_TEXT text = em_format("Bearer authorization=\"%s/%s\", resource=\"%s\"", call->world->authority,
                               em_tenant(call->world), call->vault->resource);
    if (call->claims) {
        AUTO_TEXT more = em_format("%s, error=\"insufficient_claims\", claims=\"%s\"", text, call->claims);
        em_reply_header(call->reply, "WWW-Authenticate", more);
        return;
    }
    em_reply_header(call->reply, "WWW-Authenticate", text);
}

static void http_date(int64_t seconds, char ret[64])
{
    time_t when = (time_t)seconds;
    struct tm parts;
    gmtime_r(&when, &parts);
    strftime(ret, 64, "%a, %d %b %Y %H:%M:%S GMT", &parts);
}

static void vault_headers(struct em_call *call)
{
    struct em_reply *reply = call->reply;
    const char *echo = em_request_header(call->request, "x-ms-client-request-id");
    char date[64];
    http_date(call->now, date);
    em_reply_header(reply, "Pragma", "no-cache");
    if (reply->status != 204)
        em_reply_header(reply, "Content-Type", "application/json; charset=utf-8");
    em_reply_header(reply, "Expires", "-1");
    em_reply_header(reply, "x-ms-keyvault-region", region);
    if (echo)
        em_reply_header(reply, "x-ms-client-request-id", echo);
    em_reply_header(reply, "x-ms-request-id", call->request_id);
    em_reply_header(reply, "x-ms-keyvault-service-version", service_version);
    em_reply_header(reply, "x-ms-keyvault-network-info",
                    "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;");
    if (reply->status != 401 && reply->status != 403)
        em_reply_header(reply, "x-ms-keyvault-rbac-assignment-id", "f3048f1b4a8f53e4b9b21fe93bb45c12");
    em_reply_header(reply, "X-Content-Type-Options", "nosniff");
    em_reply_header(reply, "Strict-Transport-Security", "max-age=31536000;includeSubDomains");
    em_reply_header(reply, "Date", date);
}

static void hsm_headers(struct em_call *call)
{
    struct em_reply *reply = call->reply;
    em_reply_header(reply, "Content-Type", "application/json; charset=utf-8");
    em_reply_header(reply, "X-Content-Type-Options", "nosniff");
    em_reply_header(reply, "Content-Security-Policy", "default-src 'self'");
    em_reply_header(reply, "X-Frame-Options", "SAMEORIGIN");
    em_reply_header(reply, "x-ms-server-latency", "1");
    em_reply_header(reply, "Strict-Transport-Security", "max-age=31536000; includeSubDomains");
    em_reply_header(reply, "x-ms-request-id", call->request_id);
    if (reply->status == 200 && em_same(call->request->method, "GET"))
        em_reply_header(reply, "x-ms-build-version", "1.0.20260401-1-local");
    if (reply->status != 401 && reply->status != 404) {
        em_reply_header(reply, "x-ms-keyvault-region", region);
        em_reply_header(reply, "x-ms-keyvault-network-info",
                        "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=Ipv4;");
    }
    reply->sorted = true;
    reply->length_always = reply->status == 204;
}

void em_call_headers(struct em_call *call)
{
    em_reply_header(call->reply, "Cache-Control", "no-cache");
    if (call->reply->status == 401)
        challenge(call);
    if (call->vault->hsm)
        hsm_headers(call);
    else
        vault_headers(call);
}

bool em_call_text(struct em_call *call, const json_t *object, const char *name, const char **ret)
{
    const json_t *value = json_object_get(object, name);
    if (value && !json_is_string(value) && !json_is_null(value))
        return em_call_fail(call, EM_PROPERTY_BAD, name);
    *ret = json_string_value(value);
    return true;
}

bool em_call_required(struct em_call *call, const json_t *object, const char *name, const char **ret)
{
    if (!em_call_text(call, object, name, ret))
        return false;
    return *ret && **ret ? true : em_call_fail(call, EM_PROPERTY_MISSING, name);
}
