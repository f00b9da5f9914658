#include "mend.h"

#include <stdio.h>
#include <string.h>

char *kv_mend_protection(const struct kv_vault_config *config)
{
    return kv_text_format("az keyvault %s %.*s --enable-purge-protection true",
                          config->managed_hsm ? "update-hsm --hsm-name" : "update --name",
                          (int)strcspn(config->host, "."), config->host);
}

/* The bytes are not those that were written. */
static bool is_damage(enum kv_status status)
{
    return status == KV_BAD_DATA || status == KV_BAD_CIPHERTEXT || status == KV_BAD_WRAPPED_KEY ||
           status == KV_CIPHERTEXT_LENGTH;
}

/* The cause is not in the file, or is told with a name of its own. */
static bool is_elsewhere(enum kv_status status)
{
    return status == KV_INPUT || status == KV_IO || status == KV_ARGUMENTS || status == KV_CONFIG ||
           status == KV_NO_MEMORY || status == KV_CANCELLED;
}

enum kv_status kv_mend_file(enum kv_status status, const char *name, struct kv_error *err)
{
    if (status == KV_OK || !err || is_elsewhere(status))
        return status;
    size_t len = strlen(name);
    bool named = err->text[0] == '\'' && !strncmp(err->text + 1, name, len) && err->text[len + 1] == '\'';
    size_t end = strlen(err->text);
    if (is_damage(status) && !strstr(err->text, "another copy"))
        snprintf(err->text + end, sizeof err->text - end, "; restore it from another copy");
    return named ? status : kv_fail_in(err, status, "'%s'", name);
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
