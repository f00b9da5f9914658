#include "managed.h"

/* App Service, Functions and Container Apps. */
static const char *missing(const struct kv_vault_config *config)
{
    return config->identity_endpoint && config->identity_header
               ? NULL
               : "IDENTITY_ENDPOINT and IDENTITY_HEADER are not both set";
}

static const char *endpoint(const struct kv_vault_config *config)
{
    return config->identity_endpoint;
}

static enum kv_status send(const struct kv_managed_ask *ask, struct kv_http_reply *ret, struct kv_error *err)
{
    const struct kv_vault_config *config = ask->request->config;
    struct kv_managed_form form = { .endpoint = config->identity_endpoint,
                                    .api_version = "2019-08-01",
                                    .header = { "X-IDENTITY-HEADER", config->identity_header } };
    return kv_managed_send(ask, &form, ret, err);
}

const struct kv_managed_source kv_managed_app_service = {
    .name = "app-service",
    .missing = missing,
    .endpoint = endpoint,
    .parameters = { "client_id", "principal_id", "mi_res_id" },
    .ask = send,
};
