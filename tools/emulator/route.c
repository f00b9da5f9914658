#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "auth.h"
#include "handlers.h"
#include "route.h"
#include "throttle.h"

enum { SEGMENTS = 5 };

enum flag {
    HSM_ONLY = 1,
    WRITES = 2, /* refused in read-only mode */
    WANTS_BODY = 4,
    VAULT_ONLY = 8,
};

#define READ                "keys/read", "keys/read/action"
#define CERTIFICATE(action) "certificates/" action, ""
#define DATA(verb)          "keys/" verb "/action", "keys/" verb "/action"
#define OPERATION(verb, perm, op)                                                                            \
    { "POST", "keys/{n}/" verb, perm, DATA(perm), WANTS_BODY, em_operate, op },                              \
    {                                                                                                        \
        "POST", "keys/{n}/{v}/" verb, perm, DATA(perm), WANTS_BODY, em_operate, op                           \
    }

/* Literal segments stand before variable ones of the same shape. */
static const struct em_route table[] = {
    { "GET", "keys", "list", READ, 0, em_list_keys },
    { "GET", "keys/{n}/versions", "list", READ, 0, em_list_versions },
    { "GET", "keys/{n}/rotationpolicy", "getpolicy", "keyrotationpolicies/read", "keys/read/action", 0,
      em_policy_get },
    { "PUT", "keys/{n}/rotationpolicy", "setpolicy", "keyrotationpolicies/write", "keys/write/action",
      WRITES | WANTS_BODY, em_policy_put },
    { "GET", "keys/{n}", "get", READ, 0, em_keys_get },
    { "GET", "keys/{n}/{v}", "get", READ, 0, em_keys_get },
    { "PATCH", "keys/{n}", "update", "keys/update/action", "keys/write/action", WRITES | WANTS_BODY,
      em_keys_update },
    { "PATCH", "keys/{n}/{v}", "update", "keys/update/action", "keys/write/action", WRITES | WANTS_BODY,
      em_keys_update },
    { "POST", "keys/{n}/create", "create", "keys/create/action", "keys/create", WRITES | WANTS_BODY,
      em_keys_create },
    { "PUT", "keys/{n}", "import", DATA("import"), WRITES | WANTS_BODY, em_keys_import },
    { "POST", "keys/{n}/rotate", "rotate", DATA("rotate"), WRITES, em_keys_rotate },
    { "POST", "keys/{n}/backup", "backup", DATA("backup"), 0, em_backup_make },
    { "POST", "keys/restore", "restore", DATA("restore"), WRITES | WANTS_BODY, em_backup_restore },
    { "DELETE", "keys/{n}", "delete", "keys/delete", "keys/delete", WRITES, em_deleted_delete },
    { "GET", "deletedkeys", "list", "keys/read", "keys/deletedKeys/read/action", 0, em_list_deleted },
    { "GET", "deletedkeys/{n}", "get", "keys/read", "keys/deletedKeys/read/action", 0, em_deleted_get },
    { "POST", "deletedkeys/{n}/recover", "recover", "keys/recover/action", "keys/deletedKeys/recover/action",
      WRITES, em_deleted_recover },
    { "DELETE", "deletedkeys/{n}", "purge", "keys/purge/action", "keys/deletedKeys/delete", WRITES,
      em_deleted_purge },
    { "GET", "certificates", "certlist", CERTIFICATE("read"), VAULT_ONLY, em_list_certificates },
    { "GET", "certificates/{n}/versions", "certlist", CERTIFICATE("read"), VAULT_ONLY,
      em_list_certificate_versions },
    { "GET", "certificates/{n}/policy", "certget", CERTIFICATE("read"), VAULT_ONLY, em_certificates_policy },
    { "GET", "certificates/{n}/pending", "certget", CERTIFICATE("read"), VAULT_ONLY,
      em_certificates_pending },
    { "GET", "certificates/{n}", "certget", CERTIFICATE("read"), VAULT_ONLY, em_certificates_get },
    { "GET", "certificates/{n}/{v}", "certget", CERTIFICATE("read"), VAULT_ONLY, em_certificates_get },
    { "POST", "certificates/{n}/create", "certcreate", CERTIFICATE("create/action"),
      VAULT_ONLY | WRITES | WANTS_BODY, em_certificates_create },
    { "DELETE", "certificates/{n}", "certdelete", CERTIFICATE("delete"), VAULT_ONLY | WRITES,
      em_deleted_delete },
    { "GET", "deletedcertificates/{n}", "certget", CERTIFICATE("read"), VAULT_ONLY, em_deleted_get },
    { "POST", "deletedcertificates/{n}/recover", "certdelete", CERTIFICATE("recover/action"),
      VAULT_ONLY | WRITES, em_deleted_recover },
    { "DELETE", "deletedcertificates/{n}", "certdelete", CERTIFICATE("purge/action"), VAULT_ONLY | WRITES,
      em_deleted_purge },
    { "GET", "secrets/{n}", "*", "secrets/getSecret/action", "", VAULT_ONLY, em_secrets_get },
    { "GET", "secrets/{n}/{v}", "*", "secrets/getSecret/action", "", VAULT_ONLY, em_secrets_get },
    { "POST", "rng", "rng", "rng/action", "rng/action", HSM_ONLY | WANTS_BODY, em_operate_random },
    OPERATION("encrypt", "encrypt", EM_ENCRYPT),
    OPERATION("decrypt", "decrypt", EM_DECRYPT),
    OPERATION("sign", "sign", EM_SIGN),
    OPERATION("verify", "verify", EM_VERIFY),
    OPERATION("wrapkey", "wrap", EM_WRAP),
    OPERATION("unwrapkey", "unwrap", EM_UNWRAP),
};

struct path {
    char *copy;
    const char *segment[SEGMENTS];
    int count; /* SEGMENTS + 1: too many */
};

/* Empty segments do not count: "//rng" and "/keys/n/" are fine. */
static void path_split(const char *text, struct path *path)
{
    char *rest = path->copy = em_copy(text);
    char *word;
    while ((word = strsep(&rest, "/"))) {
        if (!*word)
            continue;
        em_unescape(word, false);
        if (path->count < SEGMENTS)
            path->segment[path->count] = word;
        path->count += path->count <= SEGMENTS;
    }
}

static bool copy_segment(char *to, size_t room, const char *segment)
{
    return (size_t)snprintf(to, room, "%s", segment) < room;
}

static bool segment_matches(const char *pattern, size_t length, const char *segment, struct em_call *call)
{
    if (em_starts(pattern, "{n}"))
        return copy_segment(call->name, sizeof(call->name), segment);
    if (em_starts(pattern, "{v}"))
        return copy_segment(call->version, sizeof(call->version), segment);
    return strlen(segment) == length && strncasecmp(pattern, segment, length) == 0;
}

static bool pattern_matches(const char *pattern, const struct path *path, struct em_call *call)
{
    *call->name = *call->version = '\0';
    for (int i = 0; i < path->count && i < SEGMENTS; i++) {
        size_t length = strcspn(pattern, "/");
        if (!length || !segment_matches(pattern, length, path->segment[i], call))
            return false;
        pattern += length + (pattern[length] == '/');
    }
    return !*pattern && path->count <= SEGMENTS;
}

static bool find_route(struct em_call *call)
{
    const struct em_request *request = call->request;
    struct path path = { 0 };
    bool known = false;
    path_split(request->path, &path);
    for (size_t i = 0; i < EM_COUNT(table) && !call->route; i++) {
        if (!pattern_matches(table[i].pattern, &path, call))
            continue;
        known = true;
        if (em_same(table[i].method, request->method))
            call->route = &table[i];
    }
    free(path.copy);
    if (call->route) {
        call->certificate = em_starts(call->route->pattern, "certificates") ||
                            em_starts(call->route->pattern, "deletedcertificates");
        return true;
    }
    if (known)
        return em_call_fail(call, EM_NO_METHOD, request->method, request->path);
    return em_call_fail(call, EM_NO_ROUTE, request->path);
}

static bool is_date(const char *text, size_t length)
{
    if (length != 10)
        return false;
    for (size_t i = 0; i < 10; i++) {
        if (i == 4 || i == 7 ? text[i] != '-' : !isdigit((unsigned char)text[i]))
            return false;
    }
    return true;
}

/* Contract §1: the stable ones, their previews, and previews by date. */
static bool api_version_known(const char *version)
{
    static const char stable[] = "2016-10-01,7.0,7.1,7.2,7.3,7.4,7.5,7.6,2025-07-01,2026-04-01";
    const char *preview = strstr(version, "-preview");
    size_t length = preview ? (size_t)(preview - version) : strlen(version);
    AUTO_TEXT base = em_format("%.*s", (int)length, version);
    if (!*base || (preview && preview[8] && preview[8] != '.'))
        return false;
    return em_listed(stable, base) || (preview && is_date(version, length));
}

static bool check_api_version(struct em_call *call)
{
    const char *version = em_request_parameter(call->request, "api-version");
    if (!version || !*version)
        return em_call_fail(call, EM_NO_API_VERSION);
    return api_version_known(version) ? true : em_call_fail(call, EM_BAD_API_VERSION, version);
}

static bool check_name(struct em_call *call)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
    size_t length = strlen(call->name);
    return length <= 127 && strspn(call->name, letters) == length
               ? true
               : em_call_fail(call, EM_BAD_NAME, call->name);
}

static bool check_permission(struct em_call *call)
{
    const struct em_route *route = call->route;
    if (em_identities_allow(&call->world->identities, call->identity, route->perm, call->name))
        return true;
    return em_call_denied(call, call->vault->hsm ? route->hsm_action : route->action);
}

static bool check_place(struct em_call *call)
{
    if (call->route->flags & HSM_ONLY && !call->vault->hsm)
        return em_call_fail(call, EM_HSM_ONLY, call->request->path);
    if (call->route->flags & VAULT_ONLY && call->vault->hsm)
        return em_call_fail(call, EM_NO_ROUTE, call->request->path);
    if (call->route->flags & WRITES && call->world->settings.value[EM_READONLY])
        return em_call_fail(call, EM_FORBIDDEN_READONLY);
    return true;
}

static bool parse_body(struct em_call *call)
{
    const struct em_request *request = call->request;
    if (request->body_length)
        call->body = json_loadb(request->body, request->body_length, JSON_REJECT_DUPLICATES, NULL);
    if (call->route->flags & WANTS_BODY && !json_is_object(call->body))
        return em_call_fail(call, EM_BAD_JSON);
    return true;
}

static bool (*const steps[])(struct em_call *) = {
    em_auth_check,     check_api_version, find_route,  check_name,
    em_throttle_check, check_permission,  check_place, parse_body,
};

void em_route_run(struct em_call *call)
{
    bool ok = true;
    for (size_t i = 0; i < EM_COUNT(steps) && ok; i++)
        ok = steps[i](call);
    if (ok)
        call->route->handle(call);
    json_decref(call->body);
    call->body = NULL;
    em_call_headers(call);
}
