/* From a stanza to the version that it names, and from a name to the version that it means. */
#include "vault_private.h"

#include <string.h>
#include "base/encode.h"
#include "keys/backup_map.h"

enum kv_status kv_age_vault_index(const struct kv_age_vault *vault, const char *name, size_t *ret,
                                  struct kv_error *err)
{
    const struct kv_config *config = kv_core_config(vault->core);
    for (size_t i = 0; i < config->vault_count; i++) {
        if (!strcmp(config->vaults[i].name, name)) {
            *ret = i;
            return KV_OK;
        }
    }
    return kv_fail(err, KV_CONFIG, "no vault '%s' is configured", name);
}

/* --- what the map knows --- */
bool kv_age_vault_opens(const struct kv_version *version)
{
    return version->state == KV_STATE_ENABLED || version->state == KV_STATE_EXPIRED ||
           version->state == KV_STATE_NOT_YET_VALID;
}

/* Gone is worse than disabled, which is worse than out of reach. */
static int rank(const struct kv_version *version)
{
    if (kv_age_vault_opens(version))
        return 0;
    if (version->state == KV_STATE_UNREACHABLE)
        return 1;
    return version->state == KV_STATE_DISABLED ? 2 : 3;
}

static int compare(const void *left, const void *right)
{
    const struct kv_version *a = *(struct kv_version *const *)left, *b = *(struct kv_version *const *)right;
    return rank(a) - rank(b);
}

enum kv_status kv_age_vault_known(const struct kv_age_vault *vault, const struct kv_vault_stanza *stanza,
                                  struct kv_version_list *ret, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list rows = { 0 }, found = { 0 };
    struct kv_map_query query = { 0 };
    if (!vault->core)
        return KV_OK;
    if (stanza->kind == KV_RSA)
        query.spki_sha256 = (struct kv_view){ stanza->digest, KV_VAULT_DIGEST };
    else
        query.id = (struct kv_view){ stanza->digest, KV_ID_SIZE };
    KV_TRY(kv_map_find(kv_core_map(vault->core), &query, &rows, err));
    for (size_t i = 0; i < rows.count; i++) {
        if (kv_core_keyring_named(vault->core, rows.items[i]->vault) &&
            kv_vault_stanza_fits(stanza, rows.items[i]))
            KV_TRY(kv_version_list_add(&found, rows.items[i]));
    }
    if (found.count)
        qsort(found.items, found.count, sizeof(*found.items), compare);
    *ret = found;
    found = (struct kv_version_list){ 0 };
    return KV_OK;
}

/* --- what the vaults say --- */
struct search {
    const struct kv_age_vault *vault;
    const struct kv_vault_stanza *stanza;
    struct kv_kid kid;
    struct kv_version_list found;
    enum kv_status status; /* of the first vault that could not be asked; KV_OK: all could */
    struct kv_error why;
};

static void keep_failure(struct search *search, enum kv_status status, const struct kv_error *why)
{
    if (status == KV_OK || status == KV_NOT_FOUND || search->status != KV_OK)
        return;
    search->status = status;
    search->why = *why;
}

static enum kv_status keep_if_fit(struct search *search, struct kv_version *version)
{
    return kv_vault_stanza_fits(search->stanza, version) ? kv_version_list_add(&search->found, version)
                                                         : KV_OK;
}

/* Where the file says that it was. True: that place answered with another key, or with none, so it is worth a look at the key's other versions. */
static bool look_at_kid(struct search *search, size_t i)
{
    KV_AUTO_VERSION struct kv_version *version = NULL;
    struct kv_task task = kv_core_task(search->vault->core, i, search->vault->caller);
    struct kv_error why = { 0 };
    enum kv_status status = kv_keyring_version(kv_core_keyring(search->vault->core, i), search->kid.name,
                                               search->kid.version, &task, &version, &why);
    if (status == KV_OK)
        status = keep_if_fit(search, version);
    keep_failure(search, status, &why);
    return status == KV_OK || status == KV_NOT_FOUND;
}

static void look_at_name(struct search *search, size_t i)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_task task = kv_core_task(search->vault->core, i, search->vault->caller);
    struct kv_error why = { 0 };
    enum kv_status status =
        kv_keyring_siblings(kv_core_keyring(search->vault->core, i), search->kid.name, &task, &list, &why);
    for (size_t j = 0; status == KV_OK && j < list.count; j++)
        status = keep_if_fit(search, list.items[j]);
    keep_failure(search, status, &why);
}

static void look_everywhere(struct search *search)
{
    const struct kv_config *config = kv_core_config(search->vault->core);
    /* The kid's own vault first, and the others only where it does not have the key. */
    for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
        for (size_t i = 0; i < config->vault_count && !search->found.count; i++) {
            bool there = kv_text_equal_case(config->vaults[i].host, search->kid.host);
            if (there == (elsewhere == 1))
                continue;
            if ((!there || look_at_kid(search, i)) && !search->found.count)
                look_at_name(search, i);
        }
    }
}

/* Where an operator has shown that the key is (`kvp11 map relocate`), or where it was once seen: a vault that was configured since. */
static void look_at_locations(struct search *search)
{
    const struct kv_config *config = kv_core_config(search->vault->core);
    KV_AUTO_FREE struct kv_map_location *places = NULL;
    struct kv_view digest = { search->stanza->digest, KV_VAULT_DIGEST };
    size_t count = 0;
    if (search->stanza->kind != KV_RSA ||
        kv_map_locations(kv_core_map(search->vault->core), digest, &places, &count, NULL) != KV_OK)
        return;
    for (size_t i = 0; i < count && !search->found.count; i++) {
        if (kv_kid_parse(places[i].kid, &search->kid, NULL) != KV_OK || !search->kid.version[0])
            continue;
        for (size_t j = 0; j < config->vault_count && !search->found.count; j++) {
            if (kv_text_equal_case(config->vaults[j].host, search->kid.host))
                (void)look_at_kid(search, j);
        }
    }
}

static void vault_names(const struct kv_config *config, struct kv_buffer *ret)
{
    for (size_t i = 0; i < config->vault_count; i++) {
        if (kv_buffer_format(ret, "%s'%s'", i ? ", " : "", config->vaults[i].name) != KV_OK)
            return;
    }
}

static enum kv_status not_found(const struct search *search, struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer names = { .limit = 256 };
    char digest[2 * KV_VAULT_DIGEST + 1];
    const char *kid = search->stanza->kid;
    kv_encode_hex((struct kv_view){ search->stanza->digest, KV_VAULT_DIGEST }, digest);
    vault_names(kv_core_config(search->vault->core), &names);
    if (search->status != KV_OK) {
        if (err)
            *err = search->why;
        return kv_fail_in(err, search->status, "version '%s' (key SHA-256 %s) is needed", kid, digest);
    }
    return kv_fail(
        err, KV_NOT_FOUND,
        "version '%s' (key SHA-256 %s) is needed, and none of the configured vaults (%s) has it%s: "
        "add the vault that has the key to the configuration, bring the key back (kvp11 recover NAME, kvp11 "
        "key-backup restore FILE), or open the file with its break-glass identity",
        *kid ? kid : "not told", digest, names.bytes.data ? (const char *)names.bytes.data : "none",
        *kid ? "" : " in its map");
}

enum kv_status kv_age_vault_ask(const struct kv_age_vault *vault, const struct kv_vault_stanza *stanza,
                                struct kv_version_list *ret, struct kv_error *err)
{
    struct search search = { .vault = vault, .stanza = stanza };
    if (!vault->core) {
        if (err)
            *err = vault->why;
        return vault->why.status;
    }
    look_at_locations(&search);
    if (stanza->kid[0] && !search.found.count) {
        KV_TRY(kv_kid_parse(stanza->kid, &search.kid, err));
        look_everywhere(&search);
    }
    if (!search.found.count)
        return not_found(&search, err);
    *ret = search.found;
    return KV_OK;
}

/* --- names --- */
/* Of one vault, from the map alone. *ret NULL: it has none. */
static enum kv_status named_in_map(const struct kv_age_vault *vault, const char *name,
                                   const struct kv_vault_text *text, struct kv_version **ret,
                                   struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_map_query query = { .vault = name, .name = text->name, .limit = 1 };
    if (text->version[0])
        query.version = text->version;
    else
        query.current_only = true;
    KV_TRY(kv_map_find(kv_core_map(vault->core), &query, &list, err));
    *ret = list.count ? kv_version_ref(list.items[0]) : NULL;
    return KV_OK;
}

static enum kv_status named_in_vault(const struct kv_age_vault *vault, size_t i,
                                     const struct kv_vault_text *text, struct kv_version **ret,
                                     struct kv_error *err)
{
    struct kv_keyring *keyring = kv_core_keyring(vault->core, i);
    struct kv_task task = kv_core_task(vault->core, i, vault->caller);
    if (text->version[0])
        return kv_keyring_version(keyring, text->name, text->version, &task, ret, err);
    return kv_keyring_current(keyring, text->name, &task, ret, err);
}

/* `ask`: the vaults; else only the map, and none is KV_OK. */
static enum kv_status named(const struct kv_age_vault *vault, const struct kv_vault_text *text, bool ask,
                            struct kv_version **ret, struct kv_error *err)
{
    const struct kv_config *config = kv_core_config(vault->core);
    KV_AUTO_VERSION struct kv_version *found = NULL;
    for (size_t i = 0; i < config->vault_count; i++) {
        const char *name = config->vaults[i].name;
        KV_AUTO_VERSION struct kv_version *here = NULL;
        if (text->vault[0] && strcmp(text->vault, name) != 0)
            continue;
        enum kv_status status =
            ask ? named_in_vault(vault, i, text, &here, err) : named_in_map(vault, name, text, &here, err);
        if (status == KV_NOT_FOUND)
            continue;
        KV_TRY(status);
        if (here && found)
            return kv_fail(err, KV_ARGUMENTS, "vaults '%s' and '%s' both have a key '%s': say which: %s/%s",
                           found->vault, name, text->name, name, text->name);
        found = here ? kv_take(here) : found;
    }
    *ret = kv_take(found);
    return KV_OK;
}

enum kv_status kv_age_vault_named(const struct kv_age_vault *vault, const struct kv_vault_text *text,
                                  struct kv_version **ret, struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *known = NULL, *asked = NULL;
    size_t i = 0;
    if (!vault->core) {
        if (err)
            *err = vault->why;
        return vault->why.status;
    }
    if (text->vault[0])
        KV_TRY(kv_age_vault_index(vault, text->vault, &i, err));
    KV_TRY(named(vault, text, false, &known, err));
    if (known && known->state == KV_STATE_ENABLED) {
        *ret = kv_take(known);
        return KV_OK;
    }
    KV_TRY(named(vault, text, true, &asked, err));
    if (!asked && known && !kv_version_is_there(known))
        return kv_fail(err, KV_NOT_FOUND,
                       "key '%s/%s' is no longer in the vault (%s): if it was deleted, `" KV_KEY_RECOVER
                       "` brings it back",
                       known->vault, known->name, kv_state_name(known->state), kv_word(known->vault).text,
                       kv_word(known->name).text);
    if (!asked)
        return kv_fail(err, KV_NOT_FOUND,
                       "no key '%s%s%s%s%s' is in a configured vault: 'kvp11 keys' lists them", text->vault,
                       text->vault[0] ? "/" : "", text->name, text->version[0] ? "@" : "", text->version);
    *ret = kv_take(asked);
    return KV_OK;
}
