#include "oauth.h"

#include "base/encode.h"

#include <string.h>

enum { PROBE_MS = 1000 };

static const char *unavailable(const struct kv_vault_config *config)
{
    return config->imds_endpoint ? NULL : "`imds_endpoint` is not set";
}

/* Contract §14.4: 404 while an identity is being assigned, 410 while the endpoint is being upgraded. */
static const int repeat[] = { 404, 410, 0 };

static bool nobody_there(enum kv_status status, const struct kv_http_reply *reply)
{
    return status == KV_UNREACHABLE;
}

static char *make_url(const struct kv_credential_request *request)
{
    static const char suffix[] = "/.default";
    const char *scope = request->challenge->scope;
    size_t len = strlen(scope);
    if (len >= sizeof suffix - 1 && strcmp(scope + len - (sizeof suffix - 1), suffix) == 0)
        len -= sizeof suffix - 1;
    KV_AUTO_FREE char *plain = kv_text_copy_n(scope, len);
    KV_AUTO_FREE char *resource = plain ? kv_encode_percent(plain) : NULL;
    KV_AUTO_FREE char *id = kv_encode_percent(request->config->client_id ? request->config->client_id : "");
    if (!resource || !id)
        return NULL;
    return kv_text_format("%s/metadata/identity/oauth2/token?api-version=2018-02-01&resource=%s%s%s",
                          request->config->imds_endpoint, resource, *id ? "&client_id=" : "", id);
}

static enum kv_status fail_refused(const struct kv_credential_request *request,
                                   const struct kv_http_reply *reply, struct kv_error *err)
{
    const char *id = request->config->client_id;
    struct kv_oauth_refusal refusal;
    kv_oauth_read_refusal(KV_VIEW(reply->body), &refusal);
    const char *remedy = reply->status == 400 ? "assign the identity to this machine, or correct `client_id`"
                                              : "see whether the machine's identity endpoint works";
    enum kv_status status =
        kv_fail(err, KV_CREDENTIAL, "managed identity%s%s%s got no token from '%s': HTTP %d %s: %s%s%s",
                id ? " '" : "", id ? id : "", id ? "'" : "", request->config->imds_endpoint, reply->status,
                refusal.code, refusal.said, refusal.said[0] ? "; " : "", remedy);
    if (err) {
        err->http = reply->status;
        kv_text_fit(err->code, sizeof err->code, refusal.code);
    }
    return status;
}

static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    const char *missing = unavailable(request->config);
    if (missing)
        return kv_fail(err, KV_CREDENTIAL, "credential 'managed-identity': %s", missing);
    KV_AUTO_FREE char *url = make_url(request);
    if (!url)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a token request");
    /* Chosen by name it is waited for; as a link of a chain it may well not be there at all. */
    bool probe = request->absent != NULL;
    struct kv_http_request get = {
        .method = "GET",
        .url = url,
        .headers = { { "Metadata", "true" }, { "Accept", "application/json" } },
        .link_local = true,
        .connect_timeout_ms = probe ? PROBE_MS : 0,
    };
    struct kv_oauth_send send = { .http = request->http,
                                  .request = &get,
                                  .task = request->task,
                                  .repeat = repeat,
                                  .absent = probe ? nobody_there : NULL };
    const struct kv_clock *clock = request->task->deadline.clock;
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    enum kv_status sent = kv_oauth_send(&send, &reply, err);
    if (probe)
        *request->absent = nobody_there(sent, &reply);
    KV_TRY(sent);
    if (reply.status != 200)
        return fail_refused(request, &reply, err);
    enum kv_status status = kv_oauth_read_token(KV_VIEW(reply.body), clock->unix_seconds(clock), ret, err);
    return status == KV_OK ? KV_OK : kv_fail_in(err, status, "'%s'", request->config->imds_endpoint);
}

const struct kv_credential_kind kv_credential_managed_identity = { "managed-identity", unavailable, acquire,
                                                                   false };
