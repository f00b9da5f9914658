#include "file.h"
#include "oauth.h"

enum { SPAN_UNTOLD = 600 };

static const char *unavailable(const struct kv_vault_config *config)
{
    return config->token_file ? NULL : "`token_file` is not set";
}

static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    const char *path = request->config->token_file;
    KV_AUTO_TEXT char *bearer = NULL;
    if (!path)
        return kv_fail(err, KV_CREDENTIAL, "credential 'static-token': %s", unavailable(request->config));
    KV_TRY(kv_auth_file_text(&(struct kv_auth_file){ "token file", path, true }, &bearer, err));
    if (!kv_oauth_is_bearer(bearer))
        return kv_fail(err, KV_CREDENTIAL, "token file '%s' does not hold an access token", path);
    const struct kv_clock *clock = request->task->deadline.clock;
    int64_t now = clock->unix_seconds(clock);
    struct kv_oauth_claims claims = { 0 };
    if (!kv_oauth_read_claims(bearer, &claims) || !claims.expires)
        claims.expires = now + SPAN_UNTOLD;
    if (claims.expires <= now)
        return kv_fail(err, KV_CREDENTIAL, "the token in '%s' has expired; put a fresh one there", path);
    struct kv_access_token token = { .expires = claims.expires };
    kv_text_fit(token.identity, sizeof token.identity, claims.identity);
    token.bearer = kv_take(bearer);
    *ret = token;
    return KV_OK;
}

const struct kv_credential_kind kv_credential_static_token = { "static-token", unavailable, acquire, false };
