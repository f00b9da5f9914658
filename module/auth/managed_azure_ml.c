#include "managed.h"

static const char *missing(const struct kv_vault_config *config)
{
    return config->msi_endpoint && config->msi_secret ? NULL : "MSI_ENDPOINT and MSI_SECRET are not both set";
}

static const char *endpoint(const struct kv_vault_config *config)
{
    return config->msi_endpoint;
}

/* The identity of a job has to be named, too. */
static enum kv_status send(const struct kv_managed_ask *ask, struct kv_http_reply *ret, struct kv_error *err)
{
    const struct kv_vault_config *config = ask->request->config;
    struct kv_managed_ask own = *ask;
    struct kv_managed_form form = { .endpoint = config->msi_endpoint,
                                    .api_version = "2017-09-01",
                                    .header = { "secret", config->msi_secret } };
    if (!own.id && config->ml_client_id) {
        own.id = config->ml_client_id;
        own.parameter = kv_managed_azure_ml.parameters[KV_BY_CLIENT];
    }
    return kv_managed_send(&own, &form, ret, err);
}

const struct kv_managed_source kv_managed_azure_ml = {
    .name = "azure-ml",
    .missing = missing,
    .endpoint = endpoint,
    .parameters = { "clientid" },
    .ask = send,
};
