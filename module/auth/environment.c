#include "oauth.h"

/* What Azure's own variables set up, or the settings that stand for them: a secret goes before a certificate (contract §14.6). */
static const struct kv_credential_kind *choose(const struct kv_vault_config *config)
{
    static const struct kv_credential_kind *const both[] = { &kv_credential_client_secret,
                                                             &kv_credential_client_certificate };
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++) {
        if (!both[i]->unavailable(config))
            return both[i];
    }
    return NULL;
}

static const char *unavailable(const struct kv_vault_config *config)
{
    if (!config->client_id)
        return "AZURE_CLIENT_ID is not set";
    return choose(config) ? NULL : "neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set";
}

static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    const char *missing = unavailable(request->config);
    if (missing)
        return kv_fail(err, KV_CREDENTIAL, "credential 'environment': %s", missing);
    return choose(request->config)->acquire(request, ret, err);
}

static enum kv_status ends(const struct kv_vault_config *config, int64_t *ret, struct kv_error *err)
{
    const struct kv_credential_kind *kind = choose(config);
    return kind ? kind->ends(config, ret, err) : KV_OK;
}

const struct kv_credential_kind kv_credential_environment = { "environment", unavailable, acquire,
                                                              .ends = ends };
