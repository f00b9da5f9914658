#include "oauth_client.h"

static const char *unavailable(const struct kv_vault_config *config)
{
    if (!config->client_id)
        return "`client_id` is not set";
    if (!config->client_secret && !config->client_secret_file)
        return "neither `client_secret_file` nor KVP11_CLIENT_SECRET is set";
    return NULL;
}

/* The file is read at each request, so that a new secret needs no restart; its own error says why it cannot be. */
static enum kv_status take_secret(const struct kv_vault_config *config, char **ret, struct kv_error *err)
{
    if (config->client_secret_file)
        return kv_config_secret_file(config->client_secret_file, ret, err);
    *ret = kv_text_copy(config->client_secret);
    return *ret ? KV_OK : kv_fail(err, KV_NO_MEMORY, "no memory for a token request");
}

static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    const char *missing = unavailable(request->config);
    KV_AUTO_TEXT char *secret = NULL;
    if (missing)
        return kv_fail(err, KV_CREDENTIAL, "credential 'client-secret': %s", missing);
    enum kv_status status = take_secret(request->config, &secret, err);
    if (status != KV_OK)
        return kv_fail_in(err, status == KV_NO_MEMORY ? status : KV_CREDENTIAL, "credential 'client-secret'");
    return kv_oauth_client_token(request, &(struct kv_oauth_proof){ .secret = secret }, ret, err);
}

/* No answer of the directory tells: who wrote the secret down can write that down, too. */
static enum kv_status ends(const struct kv_vault_config *config, int64_t *ret, struct kv_error *err)
{
    *ret = config->client_secret_expires;
    return KV_OK;
}

const struct kv_credential_kind kv_credential_client_secret = { "client-secret", unavailable, acquire,
                                                                .ends = ends };
