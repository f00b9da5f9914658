#include "raw.h"

#include <string.h>

char *kv_setting_variable(const struct kv_setting *row)
{
    char *name = kv_text_format("KVP11_%s", row->info.name);

    for (char *c = name; c && *c; c++)
        if (*c >= 'a' && *c <= 'z')
            *c -= 'a' - 'A';
    return name;
}

static enum kv_status replace_from(struct kv_raw_section *section, const struct kv_setting *row,
                                   kv_raw_lookup *lookup)
{
    KV_AUTO_TEXT char *variable = kv_setting_variable(row);
    const char *value = variable ? lookup(variable) : NULL;

    if (!variable)
        return KV_NO_MEMORY;
    if (!value || !*value)
        return KV_OK;
    KV_AUTO_TEXT char *origin = kv_text_format("environment %s", variable);
    return origin ? kv_raw_replace(section, (size_t)(row - kv_settings), value, origin) : KV_NO_MEMORY;
}

/* KVP11_PIN would be taken for the PIN itself, and the message about its bad value would tell it. */
static bool takes_secrets(const struct kv_setting *row)
{
    return !strcmp(row->info.name, "pin");
}

/* A section of the file may name the same vault: it is set up there, and the environment adds nothing. */
static bool is_there(const struct kv_raw *raw, const char *url)
{
    const size_t row = (size_t)(kv_setting_find("url") - kv_settings);

    for (size_t i = 1; i < raw->count; i++) {
        const char *written = raw->sections[i]->values[row].text;
        KV_AUTO_TEXT char *other = NULL, *host = NULL;
        if (written && !kv_url_normalise(written, "https", &other, &host) && !strcmp(other, url))
            return true;
    }
    return false;
}

static enum kv_status add_vault(struct kv_raw *raw, const char *written, struct kv_error *err)
{
    const char *origin = "environment KVP11_VAULT_URL";
    KV_AUTO_TEXT char *url = NULL, *host = NULL;
    struct kv_raw_section *section;

    /* What is wrong with it is said once, where every value is read: any section name will do till then. */
    if (kv_url_normalise(written, "https", &url, &host) == KV_OK && is_there(raw, url))
        return KV_OK;
    KV_AUTO_TEXT char *name = host ? kv_text_copy_n(host, strcspn(host, ".")) : kv_text_copy("vault");
    if (!name)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_raw_begin(raw, name, origin, &section, err));
    return kv_raw_set(section, "url", written, origin, err);
}

char *kv_raw_surroundings(kv_raw_lookup *lookup)
{
    static const struct {
        const char *name;
        bool secret;
    } names[] = {
        { "AZURE_TENANT_ID", false },
        { "AZURE_CLIENT_ID", false },
        { "AZURE_CLIENT_SECRET", true },
        { "KVP11_CLIENT_SECRET", true },
        { "AZURE_CLIENT_CERTIFICATE_PATH", false },
        { "AZURE_USERNAME", false },
        { "AZURE_FEDERATED_TOKEN_FILE", false },
        { "AZURE_AUTHORITY_HOST", false },
        { "AZURE_TOKEN_CREDENTIALS", false },
        { "AZURE_POD_IDENTITY_AUTHORITY_HOST", false },
        { "IDENTITY_ENDPOINT", false },
        { "IDENTITY_HEADER", true },
        { "IDENTITY_SERVER_THUMBPRINT", false },
        { "IMDS_ENDPOINT", false },
        { "MSI_ENDPOINT", false },
        { "MSI_SECRET", true },
        { "DEFAULT_IDENTITY_CLIENT_ID", false },
        { "AZURE_CONFIG_DIR", false },
        { "HOME", false },
    };
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = lookup(names[i].name);
        if (value && *value &&
            kv_buffer_format(&text, "%s %zu:%s\n", names[i].name, names[i].secret ? 3 : strlen(value),
                             names[i].secret ? "set" : value))
            return NULL;
    }
    return kv_text_copy(text.bytes.data ? (const char *)text.bytes.data : "");
}

enum kv_status kv_raw_add_environment(struct kv_raw *raw, kv_raw_lookup *lookup, struct kv_error *err)
{
    for (const struct kv_setting *row = kv_settings; row->info.name; row++)
        if (!row->info.secret && row->kind != KV_SETTING_VAULT_URL && !takes_secrets(row) &&
            replace_from(raw->sections[0], row, lookup))
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    const char *url = lookup("KVP11_VAULT_URL");
    return url && *url ? add_vault(raw, url, err) : KV_OK;
}
