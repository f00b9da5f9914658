#include "settings.h"

#include <string.h>

/* Secrets by names that no row has as its fallback. */
static const char *const more[] = { "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD" };

static bool is_for(const char *entry, const char *name)
{
    size_t len = strlen(name);

    return !strncmp(entry, name, len) && entry[len] == '=';
}

/* NO_MEMORY: not known. */
static enum kv_status is_secret(const char *entry, bool *ret)
{
    bool found = false;

    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        found = found || is_for(entry, more[i]);
    for (const struct kv_setting *row = kv_settings; row->info.name && !found; row++) {
        if (!row->info.secret)
            continue;
        KV_AUTO_TEXT char *variable = kv_setting_variable(row);
        if (!variable)
            return KV_NO_MEMORY;
        found = is_for(entry, variable) || (row->fallback && is_for(entry, row->fallback));
    }
    *ret = found;
    return KV_OK;
}

void kv_config_child_environment_free(char **environment)
{
    for (size_t i = 0; environment && environment[i]; i++)
        kv_text_free(environment[i]);
    free(environment);
}

KV_DEFINE_CLEANUP(char *, kv_config_child_environment_free)

char **kv_config_child_environment(void)
{
    size_t count = 0, filled = 0;

    while (environ && environ[count])
        count++;
    KV_CLEANUP(kv_config_child_environment_free_cleanup) char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count && environ[i]; i++) {
        bool secret;
        if (is_secret(environ[i], &secret))
            return NULL;
        if (secret)
            continue;
        copy[filled] = kv_text_copy(environ[i]);
        if (!copy[filled++])
            return NULL;
    }
    return kv_take(copy);
}
