#include "mend.h"

#include <string.h>

char *kv_mend_protection(const struct kv_vault_config *config)
{
    return kv_text_format("az keyvault %s %.*s --enable-purge-protection true",
                          config->managed_hsm ? "update-hsm --hsm-name" : "update --name",
                          (int)strcspn(config->host, "."), config->host);
}

char *kv_mend_certificate(const struct kv_vault_config *config, const char *name)
{
    return kv_text_format("az keyvault certificate create --vault-name %.*s --name %s --policy @POLICY.json",
                          (int)strcspn(config->host, "."), config->host, name);
}

char *kv_mend_credential(const struct kv_vault_config *config, const char *kind)
{
    const char *who = config->client_id ? config->client_id : "APPLICATION-ID";
    bool has_secret =
        config->client_secret || config->client_secret_file; /* which goes before a certificate */
    if (strcmp(kind, "client-certificate") != 0 && has_secret)
        return kv_text_format(
            "az ad app credential reset --id %s --append, then put the new one %s%s%s, and its end "
            "into `client_secret_expires`",
            who, config->client_secret_file ? "into '" : "in its place",
            config->client_secret_file ? config->client_secret_file : "",
            config->client_secret_file ? "'" : "");
    return kv_text_format(
        "az ad app credential reset --id %s --append --cert @NEW.pem, then put the new one in the "
        "place of '%s'",
        who, config->client_certificate ? config->client_certificate : "the old one");
}
