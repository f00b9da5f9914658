#include "file.h"
#include "oauth_client.h"

static const char *unavailable(const struct kv_vault_config *config)
{
    if (!config->client_id)
        return "neither `client_id` nor AZURE_CLIENT_ID is set";
    if (!config->federated_token_file)
        return "neither `federated_token_file` nor AZURE_FEDERATED_TOKEN_FILE is set";
    return NULL;
}

/* Read at each request: who put it there renews it. It is no secret of ours: an orchestrator mounts it as it likes, through links and for all to read,
 * and it is worth something only for some minutes. */
static enum kv_status read_token(const struct kv_credential_request *request, char **ret,
                                 struct kv_error *err)
{
    const struct kv_clock *clock = request->task->deadline.clock;
    const char *path = request->config->federated_token_file;
    struct kv_oauth_claims claims = { 0 };
    KV_AUTO_TEXT char *token = NULL;
    KV_TRY(kv_auth_file_text(&(struct kv_auth_file){ "federated token file", path, false }, &token, err));
    if (!kv_oauth_is_bearer(token) || !kv_oauth_read_claims(token, &claims))
        return kv_fail(err, KV_CREDENTIAL, "federated token file '%s' does not hold a signed token", path);
    if (claims.expires && claims.expires <= clock->unix_seconds(clock))
        return kv_fail(err, KV_CREDENTIAL,
                       "the federated token in '%s' has expired; see that what puts it there renews it, and "
                       "set this host's clock",
                       path);
    *ret = kv_take(token);
    return KV_OK;
}

static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    const char *missing = unavailable(request->config);
    KV_AUTO_TEXT char *token = NULL;
    if (missing)
        return kv_fail(err, KV_CREDENTIAL, "credential 'workload-identity': %s", missing);
    KV_TRY(read_token(request, &token, err));
    return kv_oauth_client_token(request, &(struct kv_oauth_proof){ .assertion = token }, ret, err);
}

const struct kv_credential_kind kv_credential_workload_identity = { "workload-identity", unavailable, acquire,
                                                                    false };
