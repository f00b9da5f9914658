#include "raw.h"

#include <string.h>

static const char blanks[] = " \t\n";

enum kv_status kv_sections_split(const char *value, struct kv_pair_list *ret)
{
    KV_CLEANUP(kv_words_free) struct kv_pair_list list = { 0 };

    KV_TRY(kv_words_split(value, ",", &list));
    for (size_t i = 0; i < list.count; i++) {
        char *name = list.items[i], *first = name + strspn(name, blanks);
        size_t len = strlen(first);

        while (len && strchr(blanks, first[len - 1]))
            len--;
        if (!len)
            return KV_CONFIG;
        memmove(name, first, len);
        name[len] = '\0';
    }
    if (!list.count || list.count > KV_FAILOVER_MAX)
        return KV_CONFIG;
    *ret = list;
    list = (struct kv_pair_list){ 0 };
    return KV_OK;
}

/* Where a vault's `failover` was written. */
static const char *origin_of(const struct kv_raw *raw, const char *vault)
{
    size_t row = (size_t)(kv_setting_find("failover") - kv_settings);

    for (size_t i = 1; i < raw->count; i++)
        if (!strcmp(raw->sections[i]->name, vault) && raw->sections[i]->values[row].text)
            return raw->sections[i]->values[row].origin;
    return raw->sections[0]->values[row].origin;
}

static bool is_vault(const struct kv_config *config, const char *name)
{
    for (size_t i = 0; i < config->vault_count; i++)
        if (!strcmp(config->vaults[i].name, name))
            return true;
    return false;
}

static enum kv_status check_one(const struct kv_config *config, const struct kv_vault_config *vault,
                                size_t place, const char *origin, struct kv_error *err)
{
    const char *name = vault->failover.items[place];

    if (!strcmp(name, vault->name))
        return kv_fail(err, KV_CONFIG,
                       "%s: failover = '%s' is [%s] itself: name the vaults that have copies of its keys",
                       origin, name, vault->name);
    if (!is_vault(config, name))
        return kv_fail(err, KV_CONFIG,
                       "%s: failover = '%s' of [%s] is no vault of this configuration: write a section [%s] "
                       "with its url, or correct the name (a comma stands between two)",
                       origin, name, vault->name, name);
    for (size_t i = 0; i < place; i++)
        if (!strcmp(vault->failover.items[i], name))
            return kv_fail(err, KV_CONFIG, "%s: failover of [%s] names '%s' twice: remove one", origin,
                           vault->name, name);
    return KV_OK;
}

enum kv_status kv_raw_check_failover(const struct kv_raw *raw, const struct kv_config *config,
                                     struct kv_error *err)
{
    for (size_t i = 0; i < config->vault_count; i++) {
        const struct kv_vault_config *vault = &config->vaults[i];

        for (size_t k = 0; k < vault->failover.count; k++)
            KV_TRY(check_one(config, vault, k, origin_of(raw, vault->name), err));
    }
    return KV_OK;
}
