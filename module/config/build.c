#include "raw.h"

#include <stdio.h>
#include <string.h>

/* Where the values of one section come from. */
struct sources {
    const struct kv_raw_section *own, *shared; /* shared: [kvp11] */
    const struct kv_raw_section *instead;      /* [NAME.operator]; NULL: the vault's own credential */
    kv_raw_lookup *lookup;
};

/* Azure's own tools take `1` and `true` for yes, and anything else for no. */
static const char *in_our_words(const struct kv_setting *row, const char *azure)
{
    if (row->kind != KV_SETTING_FLAG)
        return azure;
    return !strcmp(azure, "1") || kv_text_equal_case(azure, "true") ? "yes" : "no";
}

/* The section that was written for it: of an operator where there is one, the vault's, [kvp11] for all vaults. Whose token an operator asks for
 * nothing but its own section says, or a secret of the one would go out with the name of the other. NULL: none. */
static const struct kv_raw_value *written(const struct sources *from, const struct kv_setting *row)
{
    size_t i = (size_t)(row - kv_settings);
    bool theirs = from->instead && row->info.credential;

    if (theirs && from->instead->values[i].text)
        return &from->instead->values[i];
    if (theirs && row->info.credential == KV_CREDENTIAL_WHO)
        return NULL;
    if (from->own->values[i].text)
        return &from->own->values[i];
    return from->shared->values[i].text ? &from->shared->values[i] : NULL;
}

/* What was written, Azure's own name for it, the standard. */
static enum kv_status fill(const struct sources *from, const struct kv_setting *row, void *base,
                           struct kv_error *err)
{
    const struct kv_raw_value *value = written(from, row);
    const char *azure = row->fallback ? from->lookup(row->fallback) : NULL;
    char origin[64];

    if (value)
        return kv_setting_set(row, value->text, value->origin, base, err);
    if (azure && *azure) {
        snprintf(origin, sizeof origin, "environment %s", row->fallback);
        return kv_setting_set(row, in_our_words(row, azure), origin, base, err);
    }
    if (*row->info.standard)
        return kv_setting_set(row, row->info.standard, "standard", base, err);
    return KV_OK;
}

static enum kv_status fill_all(const struct sources *from, bool vaults, void *base, struct kv_error *err)
{
    for (const struct kv_setting *row = kv_settings; row->info.name; row++)
        if (kv_setting_is_vaults(row) == vaults && !row->info.secret)
            KV_TRY(fill(from, row, base, err));
    return KV_OK;
}

static void clear_vault(struct kv_vault_config *vault)
{
    for (const struct kv_setting *row = kv_settings; row->info.name; row++)
        if (kv_setting_is_vaults(row))
            kv_setting_clear(row, vault);
    kv_text_free(vault->name);
    kv_text_free(vault->host);
}

void kv_config_free(struct kv_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->vault_count; i++)
        clear_vault(&config->vaults[i]);
    free(config->vaults);
    for (const struct kv_setting *row = kv_settings; row->info.name; row++)
        if (!kv_setting_is_vaults(row))
            kv_setting_clear(row, config);
    kv_text_free(config->path);
    kv_text_free(config->surroundings);
    free(config);
}

/* Where the secrets come from that stand in no file of ours. */
static const struct {
    const char *name;    /* of the setting */
    size_t secret, file; /* members of kv_vault_config */
    const char *names[2];
} secrets[] = {
    { "client_secret",
      offsetof(struct kv_vault_config, client_secret),
      offsetof(struct kv_vault_config, client_secret_file),
      { "KVP11_CLIENT_SECRET", "AZURE_CLIENT_SECRET" } },
    { "client_certificate_password",
      offsetof(struct kv_vault_config, client_certificate_password),
      offsetof(struct kv_vault_config, client_certificate_password_file),
      { "KVP11_CLIENT_CERTIFICATE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PASSWORD" } },
};

/* One that cannot be read now is no failure: who asks for a token reads it again and says why. */
static enum kv_status fill_from_file(const char *file, char **secret, struct kv_error *err)
{
    KV_AUTO_TEXT char *text = NULL;
    enum kv_status status = kv_config_secret_file(file, &text, NULL);

    if (status == KV_OK)
        status = kv_setting_keep_secret(text, secret);
    return status == KV_NO_MEMORY ? kv_fail(err, status, "out of memory") : KV_OK;
}

/* A file goes before the environment. */
static enum kv_status fill_secret(kv_raw_lookup *lookup, size_t row, struct kv_vault_config *vault,
                                  struct kv_error *err)
{
    char **secret = (char **)((char *)vault + secrets[row].secret);
    const char *file = *(char **)((char *)vault + secrets[row].file);

    if (kv_setting_is_pin(vault, secrets[row].name))
        return KV_OK;
    if (file)
        return fill_from_file(file, secret, err);
    for (size_t i = 0; i < sizeof secrets[row].names / sizeof *secrets[row].names && !*secret; i++) {
        const char *text = lookup(secrets[row].names[i]);
        if (!text || !*text)
            continue;
        if (kv_setting_keep_secret(text, secret))
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    return KV_OK;
}

static const char *first_of(kv_raw_lookup *lookup, const char *name, const char *other)
{
    const char *value = lookup(name);

    return value && *value ? value : lookup(other);
}

/* Secrets that the platform puts into the environment of what it runs. */
static enum kv_status fill_platform(kv_raw_lookup *lookup, struct kv_vault_config *vault,
                                    struct kv_error *err)
{
    for (const struct kv_setting *row = kv_settings; row->info.name; row++) {
        if (!row->info.secret || !row->fallback)
            continue;
        KV_AUTO_TEXT char *variable = kv_setting_variable(row);
        if (!variable)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        const char *secret = first_of(lookup, variable, row->fallback);
        if (secret && *secret)
            KV_TRY(kv_setting_set(row, secret, row->fallback, vault, err));
    }
    return KV_OK;
}

/* Of the last vault. */
static enum kv_status check_url(const struct kv_raw_section *section, const struct kv_config *config,
                                struct kv_error *err)
{
    size_t place = config->vault_count - 1;
    const char *url = config->vaults[place].url;

    if (!url)
        return kv_fail(err, KV_CONFIG, "%s: [%s] has no url: write url = https://NAME.vault.azure.net",
                       section->origin, section->name);
    for (size_t i = 0; i < place; i++)
        if (!strcmp(config->vaults[i].url, url))
            return kv_fail(err, KV_CONFIG, "%s: [%s] has the same url as [%s]: remove one of the two",
                           section->origin, section->name, config->vaults[i].name);
    return KV_OK;
}

static enum kv_status check_pin(const struct sources *from, const struct kv_vault_config *vault,
                                struct kv_error *err)
{
    const struct kv_raw_value *value = written(from, kv_setting_find("pin"));

    return value ? kv_setting_check_pin(vault, value->origin, err) : KV_OK;
}

static enum kv_status build_vault(const struct sources *from, struct kv_config *config, struct kv_error *err)
{
    struct kv_vault_config *vault = &config->vaults[config->vault_count++];

    vault->name = kv_text_copy(from->own->name);
    if (!vault->name)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(fill_all(from, true, vault, err));
    KV_TRY(check_url(from->own, config, err));
    vault->as_operator = from->instead != NULL;
    if (vault->as_operator)
        vault->pin = KV_PIN_NONE; /* which is the workload's; the module alone has a C_Login */
    KV_TRY(check_pin(from, vault, err));
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        KV_TRY(fill_secret(from->lookup, i, vault, err));
    return fill_platform(from->lookup, vault, err);
}

static enum kv_status build_vaults(const struct kv_raw *raw, const struct kv_raw_world *world,
                                   struct kv_config *config, struct kv_error *err)
{
    config->vaults = calloc(raw->count, sizeof *config->vaults);
    if (!config->vaults)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (size_t i = 1; i < raw->count; i++) {
        const struct kv_raw_section *own = raw->sections[i];
        if (kv_raw_is_operator(own->name))
            continue;
        const struct kv_raw_section *instead = kv_raw_operator(raw, own->name);
        struct sources from = { own, raw->sections[0], world->operators ? instead : NULL, world->lookup };
        KV_TRY(build_vault(&from, config, err));
        config->vaults[config->vault_count - 1].has_operator = instead != NULL;
    }
    return KV_OK;
}

static char *absolute(kv_raw_lookup *lookup, const char *name)
{
    const char *path = lookup(name);

    return path && *path == '/' ? kv_text_copy(path) : NULL;
}

/* Without a home there is no place that is surely the user's own, and so no map. */
static char *usual_map(kv_raw_lookup *lookup)
{
    KV_AUTO_TEXT char *state = absolute(lookup, "XDG_STATE_HOME"), *home = absolute(lookup, "HOME");

    if (geteuid() == 0)
        return kv_text_copy("/var/lib/kvp11/map.db");
    if (state)
        return kv_text_format("%s/kvp11/map.db", state);
    if (home)
        return kv_text_format("%s/.local/state/kvp11/map.db", home);
    return kv_text_copy("none");
}

/* A bad value in [kvp11] is an error even where no vault would read it. */
static enum kv_status check_shared(const struct kv_raw_section *shared, struct kv_error *err)
{
    KV_CLEANUP(clear_vault) struct kv_vault_config nobody = { 0 };

    for (size_t i = 0; kv_settings[i].info.name; i++)
        if (kv_setting_is_vaults(&kv_settings[i]) && shared->values[i].text)
            KV_TRY(kv_setting_set(&kv_settings[i], shared->values[i].text, shared->values[i].origin, &nobody,
                                  err));
    return KV_OK;
}

enum kv_status kv_raw_build(const struct kv_raw *raw, const struct kv_raw_world *world,
                            struct kv_config *config, struct kv_error *err)
{
    struct sources from = { raw->sections[0], raw->sections[0], NULL, world->lookup };

    KV_TRY(fill_all(&from, false, config, err));
    KV_TRY(check_shared(raw->sections[0], err));
    KV_TRY(kv_raw_check_operators(raw, err));
    config->surroundings = kv_raw_surroundings(world->lookup);
    if (!config->map)
        config->map = usual_map(world->lookup);
    if (!config->map || !config->surroundings)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(build_vaults(raw, world, config, err));
    return kv_raw_check_failover(raw, config, err);
}
