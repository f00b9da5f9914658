/* From what a file or a word names to the version in the map, and to what its vault says of it now. */
#include "explain.h"

#include <string.h>
#include "keys/backup_map.h"

static bool opens(const struct kv_version *version)
{
    return version->state == KV_STATE_ENABLED || version->state == KV_STATE_EXPIRED ||
           version->state == KV_STATE_NOT_YET_VALID;
}

/* The index of a version's vault among those that the command works on; false: it is none of them. */
static bool vault_of(const struct kv_tool *tool, const char *name, size_t *ret)
{
    size_t first = 0, end = 0;
    if (kv_common_vaults(tool, &first, &end, NULL) != KV_OK)
        return false;
    for (*ret = first; *ret < end; ++*ret)
        if (!strcmp(kv_core_config(tool->core)->vaults[*ret].name, name))
            return true;
    return false;
}

enum kv_status kv_explain_blob(struct kv_tool *tool, struct kv_view blob, struct kv_version **ret,
                               struct kv_error *err)
{
    size_t first = 0, end = 0;
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    for (size_t vault = first; vault < end; vault++) {
        struct kv_task task = kv_common_task(tool, vault);
        KV_TRY(kv_key_resolve(kv_core_keyring(tool->core, vault), blob, &task, ret, err));
        if (*ret)
            return KV_OK;
    }
    return kv_fail(
        err, KV_NOT_FOUND,
        "no entry of the version map names these bytes: they were wrapped on another host, or before the "
        "map, or changed since");
}

/* --- in the map --- */

/* Of the same key at several places, one that opens now. */
static void keep_better(struct kv_tool *tool, struct kv_version *version, struct kv_version **best)
{
    size_t vault = 0;
    if (!vault_of(tool, version->vault, &vault) || (*best && (opens(*best) || !opens(version))))
        return;
    kv_version_free(*best);
    *best = kv_version_ref(version);
}

static enum kv_status look(struct kv_tool *tool, const struct kv_map_query *query, struct kv_version **best,
                           struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    KV_TRY(kv_map_find(kv_core_map(tool->core), query, &list, err));
    for (size_t i = 0; i < list.count; i++)
        keep_better(tool, list.items[i], best);
    return KV_OK;
}

/* Is this vault meant by the part? What names none means any. */
static bool is_meant(const struct kv_tool *tool, const struct kv_subject_part *part, size_t vault)
{
    const struct kv_vault_config *config = &kv_core_config(tool->core)->vaults[vault];
    if (part->vault[0])
        return !strcmp(part->vault, config->name);
    return !part->host[0] || kv_text_equal_case(part->host, config->host);
}

static enum kv_status look_by_name(struct kv_tool *tool, const struct kv_subject_part *part, size_t vault,
                                   struct kv_version **best, struct kv_error *err)
{
    struct kv_map_query query = { .vault = kv_core_config(tool->core)->vaults[vault].name,
                                  .name = part->name };
    if (part->version[0])
        query.version = part->version;
    else
        query.current_only = true;
    return look(tool, &query, best, err);
}

static enum kv_status in_map(struct kv_tool *tool, const struct kv_subject_part *part,
                             struct kv_version **best, struct kv_error *err)
{
    struct kv_map_query query = { 0 };
    size_t first = 0, end = 0;
    if (part->has_spki)
        query.spki_sha256 = (struct kv_view){ part->spki_sha256, sizeof(part->spki_sha256) };
    else if (part->has_id)
        query.id = (struct kv_view){ part->id, sizeof(part->id) };
    if (part->has_spki || part->has_id)
        return look(tool, &query, best, err);
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    for (size_t vault = first; vault < end; vault++)
        if (is_meant(tool, part, vault))
            KV_TRY(look_by_name(tool, part, vault, best, err));
    return KV_OK;
}

/* --- in a vault --- */

static bool fits(const struct kv_subject_part *part, const struct kv_version *version)
{
    if (part->has_spki)
        return version->kind != KV_OCT &&
               !memcmp(part->spki_sha256, version->spki_sha256, sizeof(part->spki_sha256));
    return !part->has_id || !memcmp(part->id, version->id, sizeof(part->id));
}

/* One GET, where the part says a name; else, by identifier, the look at the named keys that the module takes, too. */
static enum kv_status ask_for(struct kv_tool *tool, const struct kv_subject_part *part, size_t vault,
                              struct kv_version **ret, struct kv_error *err)
{
    struct kv_keyring *keyring = kv_core_keyring(tool->core, vault);
    struct kv_task task = kv_common_task(tool, vault);
    KV_AUTO_VERSION struct kv_version *found = NULL;
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    if (part->name[0] && part->version[0]) {
        KV_TRY(kv_keyring_version(keyring, part->name, part->version, &task, &found, err));
    } else if (part->name[0]) {
        KV_TRY(kv_keyring_current(keyring, part->name, &task, &found, err));
    } else if (part->has_id) {
        struct kv_keyring_query query = { .id = { part->id, sizeof(part->id) } };
        size_t left_out = 0;
        KV_TRY(kv_keyring_find(keyring, &query, &task, &list, &left_out, err));
        found = list.count ? kv_version_ref(list.items[0]) : NULL;
    }
    *ret = found && fits(part, found) ? kv_take(found) : NULL;
    return KV_OK;
}

enum kv_status kv_explain_find(struct kv_tool *tool, const struct kv_subject_part *part, bool ask,
                               struct kv_version **ret, struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *best = NULL;
    size_t first = 0, end = 0;
    KV_TRY(in_map(tool, part, &best, err));
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    for (size_t vault = first; ask && !best && vault < end; vault++) {
        struct kv_error why = { 0 };
        if (!is_meant(tool, part, vault))
            continue;
        enum kv_status status = ask_for(tool, part, vault, &best, &why);
        if (status == KV_NO_MEMORY)
            return kv_fail(err, status, "out of memory");
        if (status != KV_OK && err)
            *err = why;
    }
    *ret = kv_take(best);
    return KV_OK;
}

/* What the map has now that the vault has spoken; and time passes without that. */
static enum kv_status again(struct kv_tool *tool, struct kv_version **version, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_clock *clock = kv_core_clock(tool->core);
    struct kv_map_query query = { .vault = (*version)->vault,
                                  .name = (*version)->name,
                                  .version = (*version)->version };
    KV_TRY(kv_map_find(kv_core_map(tool->core), &query, &list, err));
    struct kv_version *now = kv_version_copy(list.count ? list.items[0] : *version);
    if (!now)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (opens(now) || now->state == KV_STATE_DISABLED)
        now->state = kv_state_of(now->enabled, now->nbf, now->exp, clock->unix_seconds(clock));
    kv_version_free(*version);
    *version = now;
    return KV_OK;
}

enum kv_status kv_explain_ask(struct kv_tool *tool, struct kv_version **version,
                              struct kv_explain_asked *asked, struct kv_verdict_input *verdict,
                              struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    size_t vault = 0, left_out = 0;
    if (!vault_of(tool, (*version)->vault, &vault))
        return kv_fail(err, KV_CONFIG, "no vault '%s' is configured", (*version)->vault);
    struct kv_keyring *keyring = kv_core_keyring(tool->core, vault);
    KV_AUTO_TEXT char *pinned = kv_text_format("%s@%s", (*version)->name, (*version)->version);
    struct kv_keyring_query query = { .label = (*version)->current ? (*version)->name : pinned,
                                      .force = true };
    struct kv_task task = kv_common_task(tool, vault);
    asked->why = (struct kv_error){ 0 };
    enum kv_status status = kv_keyring_find(keyring, &query, &task, &list, &left_out, &asked->why);
    if (status == KV_OK && asked->why.status != KV_NOT_FOUND)
        status = asked->why.status;
    verdict->asked = status == KV_NOT_FOUND ? KV_OK : status;
    verdict->why = asked->why.text;
    KV_TRY(again(tool, version, err));
    verdict->version = *version;
    if (verdict->asked != KV_OK ||
        ((*version)->state != KV_STATE_DELETED && (*version)->state != KV_STATE_MISSING))
        return KV_OK;
    struct kv_error why = { 0 };
    task = kv_common_task(tool, vault);
    if (kv_keyring_deleted(keyring, (*version)->name, &task, &asked->deleted, &why) == KV_OK)
        verdict->deleted = &asked->deleted;
    KV_TRY(again(tool, version, err));
    verdict->version = *version;
    return KV_OK;
}
