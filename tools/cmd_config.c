/* kvp11 config check: what is in force, without a request. */
#include "common.h"

#include <string.h>
#include <unistd.h>

static const struct kv_column columns[] = {
    { "SECTION", "section" },
    { "SETTING", "setting" },
    { "VALUE", "value" },
    { "DEFAULT", "default" },
};

static enum kv_status add_section(struct kv_table *table, const struct kv_config *config,
                                  const struct kv_vault_config *vault, struct kv_error *err)
{
    const char *kind = vault ? "vault" : "kvp11";
    const struct kv_setting_info *setting;
    for (size_t i = 0; (setting = kv_config_setting(i)); i++) {
        if (strcmp(setting->section, kind) != 0)
            continue;
        KV_AUTO_TEXT char *value = kv_config_value(config, vault, setting->name);
        if (!value)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        kv_table_text(table, vault ? vault->name : "kvp11");
        kv_table_text(table, setting->name);
        kv_table_text(table, value);
        kv_table_text(table, setting->standard);
    }
    return KV_OK;
}

/* What differs for the commands that change something. */
static enum kv_status add_operators(struct kv_tool *tool, struct kv_table *table, size_t first, size_t end,
                                    struct kv_error *err)
{
    struct kv_config_source source = { .path = tool->config_file, .operators = true };
    KV_AUTO_CONFIG struct kv_config *config = NULL;
    const struct kv_setting_info *setting;
    KV_TRY(kv_config_load(&source, &config, err));
    for (size_t v = first; v < end && v < config->vault_count; v++) {
        const struct kv_vault_config *vault = &config->vaults[v];
        for (size_t i = 0; vault->as_operator && (setting = kv_config_setting(i)); i++) {
            if (!setting->credential)
                continue;
            kv_table_take(table, kv_text_format("%s.operator", vault->name));
            kv_table_text(table, setting->name);
            kv_table_take(table, kv_config_value(config, vault, setting->name));
            kv_table_text(table, setting->standard);
        }
    }
    return KV_OK;
}

/* Settings that are legal and seldom meant. */
static void warn_of_vault(const struct kv_vault_config *vault)
{
    const struct {
        bool so;
        const char *text;
    } warnings[] = {
        { vault->disable_challenge_resource_verification,
          "disable_challenge_resource_verification = yes: a token may be sent to a host that is no key "
          "vault" },
        { vault->rsa1_5, "rsa1_5 = yes: PKCS#1 v1.5 decryption can be attacked through its error answers" },
        { vault->failover_secret_keys,
          "failover_secret_keys = yes: a secret key of another vault is taken for "
          "the same by its name and version alone" },
        { !vault->ledger && !vault->decrypt_fallback, "ledger = no and decrypt_fallback = no: a bare label "
                                                      "opens nothing older than the current version" },
    };
    for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
        if (warnings[i].so)
            kv_common_note("warning: [%s]: %s", vault->name, warnings[i].text);
    }
}

/* The module cannot say so: where it would is what cannot be written. */
static void warn_of_sink(const char *setting, const char *path)
{
    const char *slash = strrchr(path, '/');
    KV_AUTO_FREE char *folder = slash ? kv_text_copy_n(path, (size_t)(slash - path) + 1) : NULL;
    bool is_new = access(path, F_OK) != 0;
    if (folder && access(is_new ? folder : path, W_OK) != 0)
        kv_common_note("warning: %s = %s: this user cannot write there, and its lines are lost", setting,
                       path);
}

static void warn(const struct kv_config *config, const struct kv_map *map)
{
    if (config->path)
        kv_common_note("configuration: %s", config->path);
    else
        kv_common_note("configuration: the environment alone");
    if (!strcmp(config->map, "none"))
        kv_common_note("warning: map = none: nothing is remembered from one process to the next");
    else if (!kv_map_writable(map))
        kv_common_note(
            "warning: version map '%s' cannot be written by this user: new versions and wraps are not "
            "remembered",
            config->map);
    warn_of_sink("log", config->log);
    warn_of_sink("audit", config->audit);
    for (size_t i = 0; i < config->vault_count; i++)
        warn_of_vault(&config->vaults[i]);
}

enum kv_status kv_cmd_config_check(struct kv_tool *tool, struct kv_error *err)
{
    KV_TRY(kv_common_open(tool, err));
    const struct kv_config *config = kv_core_config(tool->core);
    size_t first = 0, end = 0;
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    KV_TRY(add_section(table, config, NULL, err));
    for (size_t i = first; i < end; i++)
        KV_TRY(add_section(table, config, &config->vaults[i], err));
    KV_TRY(add_operators(tool, table, first, end, err));
    KV_TRY(kv_map_health(kv_core_map(tool->core), err));
    warn(config, kv_core_map(tool->core));
    return kv_common_print(tool, table, err);
}
