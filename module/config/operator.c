#include "raw.h"

#include <string.h>

static const char suffix[] = "." KV_OPERATOR;

bool kv_raw_is_operator(const char *name)
{
    size_t len = strlen(name), tail = sizeof suffix - 1;

    return len > tail && !strcmp(name + len - tail, suffix);
}

const struct kv_raw_section *kv_raw_operator(const struct kv_raw *raw, const char *vault)
{
    size_t len = strlen(vault);

    for (size_t i = 1; i < raw->count; i++) {
        const char *name = raw->sections[i]->name;
        if (kv_raw_is_operator(name) && strlen(name) == len + sizeof suffix - 1 && !strncmp(name, vault, len))
            return raw->sections[i];
    }
    return NULL;
}

static bool has_vault(const struct kv_raw *raw, const struct kv_raw_section *section)
{
    for (size_t i = 1; i < raw->count; i++)
        if (!kv_raw_is_operator(raw->sections[i]->name) &&
            kv_raw_operator(raw, raw->sections[i]->name) == section)
            return true;
    return false;
}

/* Values are read as a vault's own would be, and thrown away: the section is checked also by who may not use it. */
static enum kv_status check_values(const struct kv_raw_section *section, struct kv_error *err)
{
    enum kv_status status = KV_OK;
    struct kv_vault_config nobody = { 0 };

    for (size_t i = 0; kv_settings[i].info.name; i++) {
        if (!status && section->values[i].text)
            status = kv_setting_set(&kv_settings[i], section->values[i].text, section->values[i].origin,
                                    &nobody, err);
        if (kv_settings[i].info.credential)
            kv_setting_clear(&kv_settings[i], &nobody);
    }
    return status;
}

enum kv_status kv_raw_check_operators(const struct kv_raw *raw, struct kv_error *err)
{
    for (size_t i = 1; i < raw->count; i++) {
        const struct kv_raw_section *section = raw->sections[i];
        if (!kv_raw_is_operator(section->name))
            continue;
        if (!has_vault(raw, section))
            return kv_fail(
                err, KV_CONFIG,
                "%s: [%s] is the operator of a vault that has no section: write [%.*s], or correct the name",
                section->origin, section->name, (int)(strlen(section->name) - (sizeof suffix - 1)),
                section->name);
        KV_TRY(check_values(section, err));
    }
    return KV_OK;
}
