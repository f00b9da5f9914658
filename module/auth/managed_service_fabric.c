#include "managed.h"

#include <string.h>

enum { SHA1_HEX = 40 };

static const char *missing(const struct kv_vault_config *config)
{
    return config->identity_endpoint && config->identity_header && config->identity_thumbprint
               ? NULL
               : "IDENTITY_ENDPOINT, IDENTITY_HEADER and IDENTITY_SERVER_THUMBPRINT are not all set";
}

static const char *endpoint(const struct kv_vault_config *config)
{
    return config->identity_endpoint;
}

/* Its certificate is its own: who it is shows in the thumbprint alone, so nothing is sent without that. */
static enum kv_status check(const struct kv_vault_config *config, struct kv_error *err)
{
    const char *thumbprint = config->identity_thumbprint;
    if (strlen(thumbprint) != SHA1_HEX || strspn(thumbprint, "0123456789abcdefABCDEF") != SHA1_HEX)
        return kv_fail(
            err, KV_CREDENTIAL,
            "`identity_thumbprint` (IDENTITY_SERVER_THUMBPRINT) is '%s', and not the %d hex digits of "
            "a SHA-1 thumbprint: correct it",
            thumbprint, SHA1_HEX);
    if (strncmp(config->identity_endpoint, "https://", strlen("https://")) != 0)
        return kv_fail(
            err, KV_CREDENTIAL,
            "`identity_endpoint` (IDENTITY_ENDPOINT) is '%s', but Service Fabric is asked by https "
            "only: correct it",
            config->identity_endpoint);
    return KV_OK;
}

static enum kv_status send(const struct kv_managed_ask *ask, struct kv_http_reply *ret, struct kv_error *err)
{
    const struct kv_vault_config *config = ask->request->config;
    struct kv_managed_form form = { .endpoint = config->identity_endpoint,
                                    .api_version = "2019-07-01-preview",
                                    .header = { "Secret", config->identity_header },
                                    .pin_sha1 = config->identity_thumbprint };
    KV_TRY(check(config, err));
    enum kv_status status = kv_managed_send(ask, &form, ret, err);
    if (status == KV_TLS)
        return kv_fail(err, KV_TLS,
                       "TLS with '%s' failed: the certificate there must have the thumbprint '%s' that "
                       "IDENTITY_SERVER_THUMBPRINT names",
                       config->identity_endpoint, config->identity_thumbprint);
    return status;
}

const struct kv_managed_source kv_managed_service_fabric = {
    .name = "service-fabric",
    .missing = missing,
    .endpoint = endpoint,
    .ask = send,
};
