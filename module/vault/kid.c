#include "vault_private.h"

#include <string.h>
#include "base/origin.h"

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum { KV_KIND_SIZE = 16 }; /* "certificates" */

static bool word_valid(const char *text, size_t size)
{
    size_t len = strspn(text, LETTERS DIGITS "-");
    return len && len < size && !text[len];
}

bool kv_kid_name_valid(const char *name)
{
    return name && word_valid(name, KV_NAME_SIZE);
}

bool kv_kid_version_valid(const char *version)
{
    return version && word_valid(version, KV_VERSION_SIZE);
}

/* What may stand in a request line: RFC 3986 §2, without the fragment, which is never sent. */
static bool is_sendable(const char *url)
{
    return strspn(url, LETTERS DIGITS "-._~:/?[]@!$&'()*+,;=%") == strlen(url);
}

bool kv_kid_same_origin(const char *url, const char *vault_url)
{
    struct kv_origin a, b;
    return kv_origin_read(url, &a) && is_sendable(url) && kv_origin_read(vault_url, &b) &&
           kv_origin_equal(&a, &b);
}

static bool take_segment(const char **at, char *ret, size_t size)
{
    size_t len = strcspn(*at, "/");
    if (len >= size)
        return false;
    memcpy(ret, *at, len);
    ret[len] = 0;
    *at += len;
    *at += **at == '/';
    return true;
}

static bool read_kid(const char *text, const char *kind, struct kv_kid *ret)
{
    struct kv_origin origin;
    struct kv_kid kid = { 0 };
    char folder[KV_KIND_SIZE];
    if (!kv_origin_read(text, &origin) || origin.host_len >= sizeof kid.host)
        return false;
    memcpy(kid.host, origin.host, origin.host_len);
    const char *at = origin.path + (*origin.path == '/');
    if (!take_segment(&at, folder, sizeof folder) || !kv_text_equal_case(folder, kind) ||
        !take_segment(&at, kid.name, sizeof kid.name) || !kv_text_fit(kid.version, sizeof kid.version, at) ||
        !kv_kid_name_valid(kid.name) || (kid.version[0] && !kv_kid_version_valid(kid.version)))
        return false;
    *ret = kid;
    return true;
}

enum kv_status kv_kid_parse(const char *text, struct kv_kid *ret, struct kv_error *err)
{
    if (!read_kid(text, "keys", ret))
        return kv_fail(err, KV_PROTOCOL, "'%.200s' is not a key's identifier", text ? text : "");
    return KV_OK;
}

enum kv_status kv_kid_check_kind(const char *id, const char *kind, const char *name, const char *version,
                                 struct kv_error *err)
{
    struct kv_kid parts;
    if (!read_kid(id, kind, &parts))
        return kv_fail(err, KV_PROTOCOL, "'%.200s' is not an identifier among the %s", id ? id : "", kind);
    if (kv_text_equal_case(parts.name, name) && kv_text_equal_case(parts.version, version))
        return KV_OK;
    return kv_fail(
        err, KV_WRONG_KEY,
        "the certificate of '%s' version '%s' was asked for, but the reply names '%.200s'; it is not used",
        name, version, id);
}

enum kv_status kv_kid_check(const char *kid, const char *name, const char *version, struct kv_error *err)
{
    struct kv_kid parts;
    KV_TRY(kv_kid_parse(kid, &parts, err));
    if (kv_text_equal_case(parts.name, name) && parts.version[0] &&
        (!version || kv_text_equal_case(parts.version, version)))
        return KV_OK;
    return kv_fail(
        err, KV_WRONG_KEY,
        "key '%s' version '%s' was asked for, but the reply is from '%.200s'; the result is not used", name,
        version ? version : "(newest)", kid);
}
