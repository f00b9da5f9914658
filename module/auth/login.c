#include "auth/login.h"

#include "base/json.h"
#include "oauth.h"
#include "token_private.h"

#include <stdio.h>
#include <string.h>

/* ---- what a token says ---- */

/* It goes to a terminal: no control characters, whoever wrote it. */
static void tame(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == '\x7f')
            *text = '?';
    }
}

static void keep_text(char *ret, size_t size, const char *text)
{
    snprintf(ret, size, "%s", text ? text : "");
    tame(ret);
}

static void keep_first(const struct kv_json *claims, const char *const *names, char *ret, size_t size)
{
    for (; *names && !*ret; names++)
        keep_text(ret, size, kv_json_text(kv_json_get(claims, *names)));
}

static void keep_words(const struct kv_json *list, char *ret, size_t size)
{
    for (size_t i = 0, len = 0; i < kv_json_count(list); i++) {
        const char *word = kv_json_text(kv_json_at(list, i));
        if (!word || len + strlen(word) + 2 > size)
            continue;
        len += (size_t)snprintf(ret + len, size - len, "%s%s", len ? " " : "", word);
    }
    tame(ret);
}

void kv_login_read_claims(const char *bearer, struct kv_login_claims *ret)
{
    static const char *const application[] = { "appid", "azp", NULL }, *const object[] = { "oid", NULL },
                             *const user[] = { "upn", "preferred_username", "unique_name", NULL },
                             *const tenant[] = { "tid", NULL };
    KV_AUTO_JSON struct kv_json *claims = kv_oauth_claims(bearer);
    *ret = (struct kv_login_claims){ .user = "" };
    keep_first(claims, application, ret->application, sizeof ret->application);
    keep_first(claims, object, ret->object, sizeof ret->object);
    keep_first(claims, user, ret->user, sizeof ret->user);
    keep_first(claims, tenant, ret->tenant, sizeof ret->tenant);
    keep_words(kv_json_get(claims, "roles"), ret->roles, sizeof ret->roles);
    keep_words(kv_json_get(claims, "wids"), ret->directory_roles, sizeof ret->directory_roles);
}

/* ---- one by one ---- */

static enum kv_status try_kind(const struct kv_credential_kind *kind,
                               const struct kv_credential_request *request, struct kv_access_token *ret_token,
                               struct kv_login_try *ret, bool *ret_absent)
{
    const char *missing = kind->unavailable(request->config);
    *ret_absent = missing != NULL;
    *ret = (struct kv_login_try){ .kind = kind->name, .outcome = KV_LOGIN_NOT_SET_UP };
    if (missing)
        return kv_fail(&ret->why, KV_CREDENTIAL, "%s", missing);
    struct kv_credential_request one = *request;
    one.absent = kv_credential_chain_at(request->config, 1) ? ret_absent : NULL;
    enum kv_status status = kind->acquire(&one, ret_token, &ret->why);
    ret->outcome = status == KV_OK ? KV_LOGIN_USED : KV_LOGIN_FAILED;
    return status;
}

/* As the chain does it: on past what is not there, and no further than what is there and refuses. */
static enum kv_status walk(const struct kv_credential_request *request, struct kv_access_token *ret_token,
                           struct kv_login_report *report)
{
    const struct kv_credential_kind *kind;
    enum kv_status status = KV_CREDENTIAL;
    bool over = false;
    for (size_t i = 0; i < KV_LOGIN_TRIES && (kind = kv_credential_chain_at(request->config, i)); i++) {
        struct kv_login_try *one = &report->tries[report->count++];
        if (over) {
            *one = (struct kv_login_try){ .kind = kind->name, .outcome = KV_LOGIN_NOT_TRIED };
            continue;
        }
        bool absent = false;
        status = try_kind(kind, request, ret_token, one, &absent);
        over = !absent;
    }
    return status;
}

static enum kv_status fail_walk(const struct kv_vault_config *config, const struct kv_login_report *report,
                                enum kv_status status, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    enum kv_status fits = KV_OK;
    const struct kv_login_try *one = report->tries;
    for (size_t i = 0; i < report->count; i++, one++) {
        if (one->outcome == KV_LOGIN_FAILED && err)
            *err = one->why;
        if (one->outcome == KV_LOGIN_FAILED)
            return status;
        if (fits == KV_OK)
            fits = kv_buffer_format(&text, "%s%s: %s", i ? "; " : "", one->kind, one->why.text);
    }
    return kv_fail(err, KV_CREDENTIAL, "no credential is set up: %s; see `credential`",
                   text.bytes.data ? (const char *)text.bytes.data : config->credential);
}

static void tell_token(const struct kv_access_token *token, const char *kind, struct kv_login_report *ret)
{
    keep_text(ret->kind, sizeof ret->kind, kind);
    ret->expires = token->expires;
    kv_login_read_claims(token->bearer, &ret->claims);
}

static bool take_cached(struct kv_token_cache *cache, const struct kv_token_wish *wish,
                        struct kv_login_report *ret)
{
    KV_CLEANUP(kv_kept_token_free) struct kv_kept_token kept = { 0 };
    ret->cached = kv_token_cache_look(cache, wish, &kept);
    if (ret->cached)
        tell_token(&kept.token, kept.kind, ret);
    return ret->cached;
}

static const char *used(const struct kv_login_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        if (report->tries[i].outcome == KV_LOGIN_USED)
            return report->tries[i].kind;
    }
    return NULL;
}

enum kv_status kv_login_check(struct kv_token_cache *cache, const struct kv_token_wish *wish, bool fresh,
                              const struct kv_task *task, struct kv_login_report *ret, struct kv_error *err)
{
    struct kv_credential_request request = {
        .config = wish->config, .challenge = wish->challenge, .http = wish->http, .task = task
    };
    struct kv_access_token token = { 0 };
    keep_text(ret->authority, sizeof ret->authority, wish->key.authority);
    keep_text(ret->tenant, sizeof ret->tenant, wish->key.tenant);
    keep_text(ret->scope, sizeof ret->scope, wish->key.scope);
    if (!fresh && take_cached(cache, wish, ret))
        return KV_OK;
    enum kv_status status = walk(&request, &token, ret);
    if (status != KV_OK)
        return fail_walk(wish->config, ret, status, err);
    token.kind = used(ret);
    tell_token(&token, token.kind, ret);
    kv_token_cache_put(cache, wish, &token);
    return KV_OK;
}
