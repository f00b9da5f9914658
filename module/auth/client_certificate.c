#include "client_key.h"
#include "jwt.h"
#include "oauth_client.h"

static const char *unavailable(const struct kv_vault_config *config)
{
    if (!config->client_id)
        return "`client_id` is not set";
    return config->client_certificate ? NULL : "`client_certificate` is not set";
}

/* Certificate and key are read at each request, so that a renewed one needs no restart. */
static enum kv_status make_assertion(const struct kv_credential_request *request, char **ret,
                                     struct kv_error *err)
{
    const struct kv_vault_config *config = request->config;
    const struct kv_clock *clock = request->task->deadline.clock;
    int64_t now = clock->unix_seconds(clock);
    KV_AUTO_CLIENT_KEY struct kv_client_key *key = NULL;
    KV_AUTO_FREE char *audience = kv_oauth_client_url(request);
    if (!audience)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a token request");
    KV_TRY(kv_client_key_open(config, now, &key, err));
    struct kv_jwt jwt = { .key = key,
                          /* The other is not known there. */
                          .algorithm = kv_oauth_is_adfs(request->challenge) ? KV_ASSERTION_RS256
                                                                            : config->assertion_algorithm,
                          .chain = config->send_certificate_chain,
                          .audience = audience,
                          .subject = config->client_id,
                          .now = now,
                          .deadline = request->task->deadline };
    return kv_jwt_make(&jwt, ret, err);
}

static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    const char *missing = unavailable(request->config);
    KV_AUTO_TEXT char *assertion = NULL;
    if (missing)
        return kv_fail(err, KV_CREDENTIAL, "credential 'client-certificate': %s", missing);
    enum kv_status status = make_assertion(request, &assertion, err);
    if (status != KV_OK)
        return kv_fail_in(err,
                          status == KV_TIMED_OUT || status == KV_CANCELLED || status == KV_NO_MEMORY
                              ? status
                              : KV_CREDENTIAL,
                          "credential 'client-certificate'");
    return kv_oauth_client_token(request, &(struct kv_oauth_proof){ .assertion = assertion }, ret, err);
}

const struct kv_credential_kind kv_credential_client_certificate = { "client-certificate", unavailable,
                                                                     acquire, .ends = kv_client_key_ends };
