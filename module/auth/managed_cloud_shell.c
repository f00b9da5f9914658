#include "managed.h"

static const char *missing(const struct kv_vault_config *config)
{
    return config->msi_endpoint ? NULL : "MSI_ENDPOINT is not set";
}

static const char *endpoint(const struct kv_vault_config *config)
{
    return config->msi_endpoint;
}

static enum kv_status send(const struct kv_managed_ask *ask, struct kv_http_reply *ret, struct kv_error *err)
{
    struct kv_managed_form form = { .endpoint = ask->request->config->msi_endpoint,
                                    .header = { "Metadata", "true" } };
    return kv_managed_send(ask, &form, ret, err);
}

const struct kv_managed_source kv_managed_cloud_shell = {
    .name = "cloud-shell",
    .missing = missing,
    .endpoint = endpoint,
    .ask = send,
};
