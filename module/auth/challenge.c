#include "auth/challenge.h"

#include "base/encode.h"
#include "base/json.h"
#include "base/origin.h"
#include "cloud.h"
#include "net/http.h"

#include <stddef.h>
#include <string.h>

/* ---- reading ---- */

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* The longest value is that of claims, in base64. */
enum { VALUE_SIZE = KV_CLAIMS_SIZE / 3 * 4 + 8 };

/* What one Bearer challenge says, as sent; "" : nothing. */
struct params {
    char authorization[512], resource[256], scope[256], error[64], claims[VALUE_SIZE];
};

static const struct {
    const char *name;
    size_t offset, size;
} known[] = {
#define PARAM(name, member) name, offsetof(struct params, member), sizeof((struct params *)NULL)->member
    { PARAM("authorization", authorization) },
    { PARAM("authorization_uri", authorization) },
    { PARAM("resource", resource) },
    { PARAM("scope", scope) },
    { PARAM("error", error) },
    { PARAM("claims", claims) },
#undef PARAM
};

static void keep_param(struct params *params, const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char *to = (char *)params + known[i].offset;
        if (!*to && kv_text_equal_case(name, known[i].name))
            kv_text_fit(to, known[i].size, value);
    }
}

/* A quoted string or a token, from *at on. False when it does not fit. */
static bool read_value(const char **at, char *ret, size_t size)
{
    const char *p = *at;
    bool quoted = *p == '"', fits = true;
    size_t len = 0;
    for (p += quoted; *p && (quoted ? *p != '"' : !strchr(", \t", *p)); p++) {
        if (quoted && *p == '\\' && p[1])
            p++;
        fits = fits && len + 1 < size;
        if (fits)
            ret[len++] = *p;
    }
    ret[fits ? len : 0] = 0;
    *at = *p == '"' ? p + 1 : p;
    return fits;
}

static bool complete(const struct params *params)
{
    return params->authorization[0] && (params->resource[0] || params->scope[0]);
}

static bool demands(const struct params *params)
{
    return strcmp(params->error, "insufficient_claims") == 0 && params->claims[0];
}

/* The line's first Bearer challenge that is `wanted`. Words separated by spaces or commas: one followed by `=` is a parameter, one that is not
 * begins a challenge. */
static bool read_line(const char *at, bool (*wanted)(const struct params *), struct params *ret)
{
    bool bearer = false;
    *ret = (struct params){ 0 };
    while (*(at += strspn(at, " \t,"))) {
        char name[32], value[VALUE_SIZE];
        size_t len = strspn(at, LETTERS DIGITS "-_.!#$%&'*+^`|~");
        const char *behind = at + len + strspn(at + len, " \t");
        bool fits = len < sizeof name;
        memcpy(name, at, fits ? len : 0);
        name[fits ? len : 0] = 0;
        if (len && *behind == '=') {
            at = behind + 1 + strspn(behind + 1, " \t");
            if (read_value(&at, value, sizeof value) && bearer)
                keep_param(ret, name, value);
            continue;
        }
        at += len ? len : 1;
        if (!len)
            continue;
        if (wanted(ret))
            return true;
        bearer = kv_text_equal_case(name, "Bearer");
        *ret = (struct params){ 0 };
    }
    return wanted(ret);
}

/* ---- the parts of an address ---- */

struct origin {
    size_t len; /* of "https://host:port" */
    char host[256];
    unsigned long port;
};

static bool read_origin(const char *url, struct origin *ret)
{
    struct kv_origin origin;
    if (!kv_origin_read(url, &origin) || origin.host_len >= sizeof ret->host)
        return false;
    *ret = (struct origin){ .len = (size_t)(origin.path - url), .port = origin.port };
    memcpy(ret->host, origin.host, origin.host_len);
    return true;
}

static bool cut_segment(const char **path, char *ret, size_t size)
{
    const char *from = *path + strspn(*path, "/");
    size_t len = strcspn(from, "/?#");
    *path = from + len;
    if (!len || len >= size || strspn(from, LETTERS DIGITS ".-") < len)
        return false;
    memcpy(ret, from, len);
    ret[len] = 0;
    return strcmp(ret, ".") != 0 && strcmp(ret, "..") != 0;
}

/* The tenant is the first segment, behind "dstsv2" the second. */
static bool split_authorization(const char *url, struct kv_challenge *ret)
{
    struct origin origin;
    if (!read_origin(url, &origin) || origin.len >= sizeof ret->authority)
        return false;
    const char *path = url + origin.len;
    if (!cut_segment(&path, ret->tenant, sizeof ret->tenant))
        return false;
    size_t len = origin.len;
    if (kv_text_equal_case(ret->tenant, "dstsv2")) {
        len = (size_t)(path - url);
        if (!cut_segment(&path, ret->tenant, sizeof ret->tenant))
            return false;
    }
    if (len >= sizeof ret->authority)
        return false;
    memcpy(ret->authority, url, len);
    ret->authority[len] = 0;
    return true;
}

static bool make_scope(const struct params *params, struct kv_challenge *ret)
{
    static const char suffix[] = "/.default";
    const char *from = params->scope[0] ? params->scope : params->resource;
    if (strcspn(from, " \t\"<>\\") != strlen(from))
        return false;
    if (params->scope[0])
        return kv_text_fit(ret->scope, sizeof ret->scope, from);
    size_t len = strlen(from);
    if (from[len - 1] == '/')
        len--;
    if (len + sizeof suffix > sizeof ret->scope)
        return false;
    memcpy(ret->scope, from, len);
    memcpy(ret->scope + len, suffix, sizeof suffix);
    return true;
}

enum kv_status kv_challenge_parse(char *const *lines, size_t count, struct kv_challenge *ret,
                                  struct kv_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct params params;
        struct kv_challenge challenge = { 0 };
        if (!read_line(lines[i], complete, &params) ||
            !split_authorization(params.authorization, &challenge) || !make_scope(&params, &challenge))
            continue;
        *ret = challenge;
        return KV_OK;
    }
    return kv_fail(
        err, KV_PROTOCOL,
        "the reply's WWW-Authenticate names no Bearer authority and resource; check that the url is "
        "that of a Key Vault or Managed HSM");
}

/* Sent as base64, now of the one alphabet, now of the other. */
static bool decode_claims(const char *text, char ret[KV_CLAIMS_SIZE])
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    KV_AUTO_JSON struct kv_json *json = NULL;
    if (kv_decode_base64(text, &bytes) != KV_OK && kv_decode_base64url(text, &bytes) != KV_OK)
        return false;
    if (bytes.len >= KV_CLAIMS_SIZE || kv_json_parse(KV_VIEW(bytes), &json, NULL) != KV_OK ||
        !kv_json_is_object(json))
        return false;
    memcpy(ret, bytes.data, bytes.len);
    ret[bytes.len] = 0;
    return true;
}

bool kv_challenge_claims(char *const *lines, size_t count, char ret_claims[KV_CLAIMS_SIZE])
{
    ret_claims[0] = 0;
    for (size_t i = 0; i < count; i++) {
        struct params params;
        if (read_line(lines[i], demands, &params) && decode_claims(params.claims, ret_claims))
            return true;
    }
    return false;
}

/* ---- checking ---- */

static bool authority_allowed(const struct origin *asked, const struct kv_challenge_policy *policy)
{
    struct origin own;
    if (policy->authority)
        return read_origin(policy->authority, &own) && kv_text_equal_case(own.host, asked->host) &&
               own.port == asked->port;
    return asked->port == 443 &&
           kv_cloud_has_authority(kv_cloud_find(policy->cloud, policy->request_host), asked->host);
}

static enum kv_status fail_authority(const struct kv_challenge *challenge,
                                     const struct kv_challenge_policy *policy, struct kv_error *err)
{
    const struct kv_cloud_row *cloud = kv_cloud_find(policy->cloud, policy->request_host);
    KV_AUTO_FREE char *wanted = NULL;
    if (policy->authority)
        wanted = kv_text_format("the configured '%s'", policy->authority);
    else if (cloud)
        wanted = kv_text_format("one of the cloud '%s', such as '%s'", cloud->name, cloud->authorities[0]);
    return kv_fail(err, KV_CREDENTIAL,
                   "'%s' names the authority '%s', which is not %s; no credential is sent there; set "
                   "`authority`%s if it is the right one",
                   policy->request_host, challenge->authority, wanted ? wanted : "a known one",
                   cloud && !policy->authority ? " or `cloud`" : "");
}

static bool tenant_allowed(const struct kv_challenge_policy *policy, const char *tenant)
{
    const struct kv_pair_list *more = policy->allowed_tenants;
    if (!policy->tenant || kv_text_equal_case(policy->tenant, tenant))
        return true;
    for (size_t i = 0; more && i < more->count; i++) {
        if (strcmp(more->items[i], "*") == 0 || kv_text_equal_case(more->items[i], tenant))
            return true;
    }
    return false;
}

/* With the dot: the resource "vault.azure.net" is not for "evilvault.azure.net"; and no "https://net". */
static bool resource_matches(const char *resource_host, const char *request_host)
{
    size_t resource = strlen(resource_host), request = strlen(request_host);
    return resource && strchr(resource_host, '.') && resource_host[0] != '.' && request > resource + 1 &&
           request_host[request - resource - 1] == '.' &&
           kv_text_equal_case(request_host + request - resource, resource_host);
}

enum kv_status kv_challenge_check(const struct kv_challenge *challenge,
                                  const struct kv_challenge_policy *policy, struct kv_error *err)
{
    struct origin authority, resource;
    const char *host = policy->request_host;
    if (!read_origin(challenge->authority, &authority))
        return kv_fail(err, KV_CREDENTIAL,
                       "'%s' names the authority '%s', which is not an https address; no credential is sent "
                       "there",
                       host, challenge->authority);
    if (!authority_allowed(&authority, policy))
        return fail_authority(challenge, policy, err);
    if (!tenant_allowed(policy, challenge->tenant))
        return kv_fail(
            err, KV_CREDENTIAL,
            "'%s' belongs to tenant '%s', but `tenant` is '%s'; correct `tenant` or remove it, or name "
            "the other in `additionally_allowed_tenants`",
            host, challenge->tenant, policy->tenant);
    if (policy->skip_resource_check)
        return KV_OK;
    if (!read_origin(challenge->scope, &resource) || !resource_matches(resource.host, host))
        return kv_fail(
            err, KV_CREDENTIAL,
            "the challenge's resource '%s' does not match the requested domain '%s'; check the url "
            "(`disable_challenge_resource_verification` turns this check off)",
            challenge->scope, host);
    return KV_OK;
}

/* ---- what has become of it ---- */

bool kv_challenge_leads_nowhere(const struct kv_error *why)
{
    static const char *const codes[] = {
        "AADSTS90002",  /* there is no such tenant */
        "AADSTS900023", /* nor can there be one of that name */
        KV_HTTP_NO_SUCH_HOST,
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (!strcmp(why->code, codes[i]))
            return true;
    }
    return false;
}
