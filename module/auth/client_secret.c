#include "oauth.h"

#include "base/encode.h"

#include <string.h>

static const char *unavailable(const struct kv_vault_config *config)
{
    if (!config->client_id)
        return "`client_id` is not set";
    if (!config->client_secret && !config->client_secret_file)
        return "neither `client_secret_file` nor KVP11_CLIENT_SECRET is set";
    return NULL;
}

/* What the refusals that people meet mean, and what to do. */
static const struct {
    const char *code, *remedy;
} remedies[] = {
    { "AADSTS7000215",
      "the client secret is wrong: put the secret's value, not its id, into `client_secret_file`" },
    { "AADSTS7000222", "the client secret has expired: add a new one and put it into `client_secret_file`" },
    { "AADSTS700016", "this tenant has no such application: correct `client_id` or `tenant`" },
    { "AADSTS90002", "there is no such tenant: correct `tenant`" },
    { "AADSTS900023", "this is not a tenant: correct `tenant`" },
    { "AADSTS7000112", "the application is disabled: enable it" },
    { "AADSTS7000229", "the application has no service principal in this tenant: create it" },
    { "AADSTS500011", "the tenant does not know the vault's resource: check `tenant`" },
    { "AADSTS53003", "conditional access forbids it: allow the application from this host" },
};

static enum kv_status fail_refused(const struct kv_credential_request *request, const char *tenant,
                                   const struct kv_http_reply *reply, struct kv_error *err)
{
    struct kv_oauth_refusal refusal;
    kv_oauth_read_refusal(KV_VIEW(reply->body), &refusal);
    const char *remedy = refusal.said[0] ? refusal.said : "see the sign-in log of the tenant";
    for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++) {
        if (strcmp(remedies[i].code, refusal.code) == 0)
            remedy = remedies[i].remedy;
    }
    enum kv_status status =
        kv_fail(err, KV_CREDENTIAL, "client '%s' got no token from tenant '%s': HTTP %d %s: %s",
                request->config->client_id, tenant, reply->status, refusal.code, remedy);
    if (err) {
        err->http = reply->status;
        kv_text_fit(err->code, sizeof err->code, refusal.code);
    }
    return status;
}

/* The file is read at each request, so that a new secret needs no restart; its own error says why it cannot be. */
static enum kv_status take_secret(const struct kv_vault_config *config, char **ret, struct kv_error *err)
{
    if (config->client_secret_file)
        return kv_config_secret_file(config->client_secret_file, ret, err);
    *ret = kv_text_copy(config->client_secret);
    return *ret ? KV_OK : kv_fail(err, KV_NO_MEMORY, "no memory for a token request");
}

static enum kv_status make_body(const struct kv_credential_request *request, const char *client_secret,
                                struct kv_buffer *ret)
{
    KV_AUTO_TEXT char *id = kv_encode_percent(request->config->client_id);
    KV_AUTO_TEXT char *secret = kv_encode_percent(client_secret);
    KV_AUTO_TEXT char *scope = kv_encode_percent(request->challenge->scope);
    if (!id || !secret || !scope)
        return KV_NO_MEMORY;
    return kv_buffer_format(ret, "grant_type=client_credentials&client_id=%s&client_secret=%s&scope=%s", id,
                            secret, scope);
}

static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    const struct kv_vault_config *config = request->config;
    const char *authority = config->authority ? config->authority : request->challenge->authority;
    const char *tenant = config->tenant ? config->tenant : request->challenge->tenant;
    const char *missing = unavailable(config);
    if (missing)
        return kv_fail(err, KV_CREDENTIAL, "credential 'client-secret': %s", missing);
    KV_AUTO_FREE char *url = kv_text_format("%s/%s/oauth2/v2.0/token", authority, tenant);
    KV_AUTO_BUFFER struct kv_buffer body = { 0 };
    KV_AUTO_TEXT char *secret = NULL;
    if (take_secret(config, &secret, err) != KV_OK)
        return kv_fail_in(err, KV_CREDENTIAL, "credential 'client-secret'");
    if (!url || make_body(request, secret, &body) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a token request");
    struct kv_http_request post = {
        .method = "POST",
        .url = url,
        .headers = { { "Content-Type", "application/x-www-form-urlencoded" },
                     { "Accept", "application/json" } },
        .body = KV_VIEW(body.bytes),
    };
    struct kv_oauth_send send = { .http = request->http, .request = &post, .task = request->task };
    const struct kv_clock *clock = request->task->deadline.clock;
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    KV_TRY(kv_oauth_send(&send, &reply, err));
    if (reply.status != 200)
        return fail_refused(request, tenant, &reply, err);
    enum kv_status status = kv_oauth_read_token(KV_VIEW(reply.body), clock->unix_seconds(clock), ret, err);
    return status == KV_OK ? KV_OK : kv_fail_in(err, status, "'%s'", authority);
}

const struct kv_credential_kind kv_credential_client_secret = { "client-secret", unavailable, acquire,
                                                                false };
