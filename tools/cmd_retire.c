/* kvp11 retire-check, kvp11 retire: may a version be disabled, and then do it. */
#include "common.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "keys/coverage.h"
#include "which.h"

const struct kv_option kv_cmd_retire_check_options[] = {
    { "--limit", "NUMBER", "list so many of its backups; without it, 20" },
    { NULL, NULL, NULL },
};

static const struct kv_column columns[] = {
    { NULL, "version" },    { "BACKUP", "backup" }, { "STORE", "store" },
    { "OBJECT", "object" }, { "BYTES", "bytes" },   { "RETAIN UNTIL", "keep_until" },
    { "OTHERS", "others" }, { NULL, "backups" },    { NULL, "wraps" },
    { NULL, "sole" },       { NULL, "first_wrap" }, { NULL, "last_wrap" },
};

/* All of what a version means to this host. */
struct needed {
    struct kv_map_dependants backups;
    int64_t wraps;
};

static enum kv_status look_up(struct kv_tool *tool, const struct kv_version *version, struct needed *ret,
                              struct kv_error *err)
{
    struct kv_map *map = kv_core_map(tool->core);
    KV_TRY(kv_map_dependants(map, kv_map_key_of(version), true, &ret->backups, err));
    return kv_map_wraps_left(map, version, &ret->wraps, err);
}

/* The line of the version itself: what all of its backups come to. */
static void add_version(struct kv_table *table, const struct kv_version *version, const struct needed *needed)
{
    kv_table_take(table, kv_text_format("%s/%s@%s", version->vault, version->name, version->version));
    for (int i = 0; i < 3; i++)
        kv_table_text(table, NULL);
    kv_table_int(table, needed->backups.bytes);
    kv_table_time(table, needed->backups.keep_until);
    kv_table_text(table, NULL);
    kv_table_int(table, needed->backups.backups);
    kv_table_int(table, needed->wraps);
    kv_table_int(table, needed->backups.sole);
    kv_table_time(table, version->first_wrap);
    kv_table_time(table, version->last_wrap);
}

static int64_t count_others(const struct kv_map_backup *backup, struct kv_view key)
{
    int64_t count = 0;
    for (size_t i = 0; i < backup->recipient_count; i++) {
        const struct kv_map_recipient *recipient = &backup->recipients[i];
        count += !recipient->removed &&
                 !kv_view_equal(key, (struct kv_view){ recipient->key, recipient->key_len });
    }
    return count;
}

static void add_backup(struct kv_table *table, const struct kv_map_backup *backup, struct kv_view key)
{
    kv_table_text(table, NULL);
    kv_table_text(table, backup->id);
    kv_table_text(table, backup->store);
    kv_table_text(table, backup->object);
    kv_table_int(table, backup->size);
    kv_table_time(table, backup->keep_until);
    kv_table_int(table, count_others(backup, key));
    for (int i = 0; i < 5; i++)
        kv_table_text(table, NULL);
}

static enum kv_status add_backups(struct kv_tool *tool, const struct kv_version *version, int limit,
                                  struct kv_table *table, struct kv_error *err)
{
    struct kv_map_backup_query query = { .key = kv_map_key_of(version) };
    for (int left = limit; left > 0;) {
        KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
        query.limit = left < KV_BACKUP_PAGE ? (size_t)left : KV_BACKUP_PAGE;
        KV_TRY(kv_map_backup_page(kv_core_map(tool->core), &query, &list, err));
        if (!list.count)
            return KV_OK;
        for (size_t i = 0; i < list.count; i++)
            add_backup(table, &list.items[i], query.key);
        query.after = list.items[list.count - 1].row;
        left -= (int)list.count;
    }
    return KV_OK;
}

/* The same key in several places is one key: what depends on it is told once. */
static enum kv_status tell(const struct kv_version *version, const struct needed *needed, int limit,
                           struct kv_error *err)
{
    char until[21] = "", rest[64] = "";
    const struct kv_map_dependants *backups = &needed->backups;
    if (backups->keep_until)
        kv_clock_text(backups->keep_until, until);
    if (backups->backups > limit)
        snprintf(rest, sizeof(rest), "; the first %d are listed", limit);
    return kv_fail(err, KV_CRITICAL,
                   "version '%s/%s@%s' is needed by %" PRId64 " backups of %" PRId64 " bytes%s%s, %" PRId64
                   " of which nothing else opens, and by %" PRId64 " wraps that stand in no backup%s",
                   version->vault, version->name, version->version, backups->backups, backups->bytes,
                   *until ? ", the last kept until " : "", until, backups->sole, needed->wraps, rest);
}

static enum kv_status tell_unknown(struct kv_tool *tool, struct kv_error *err)
{
    int64_t unknown = 0;
    KV_TRY(kv_map_unknown_openers(kv_core_map(tool->core), &unknown, err));
    if (unknown)
        kv_common_note("but %" PRId64
                       " backup%s a reader of whom nothing was known when it was scanned: scan "
                       "the stores again before this version goes",
                       unknown, unknown == 1 ? " has" : "s have");
    return KV_OK;
}

enum kv_status kv_cmd_retire_check(struct kv_tool *tool, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    const char *text = kv_common_option(tool, "--limit");
    struct needed needed = { 0 };
    int limit = 20;
    if (text)
        KV_TRY(kv_common_number("--limit", text, &limit, err));
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_which_versions(tool, tool->words[0], &list, err));
    const struct kv_version *version = list.items[0];
    KV_TRY(look_up(tool, version, &needed, err));
    for (size_t i = 1; i < list.count; i++)
        if (!kv_view_equal(kv_map_key_of(version), kv_map_key_of(list.items[i])))
            return kv_fail(
                err, KV_ARGUMENTS,
                "'%s' names different keys, such as '%s' and '%s': say which with its kid or --vault",
                tool->words[0], version->kid, list.items[i]->kid);
    bool none = !needed.backups.backups && !needed.wraps;
    if (tool->json || !none)
        add_version(table, version, &needed);
    KV_TRY(add_backups(tool, version, limit, table, err));
    if (none && !tool->json) {
        kv_common_note("nothing that this host knows of depends on version '%s/%s@%s'", version->vault,
                       version->name, version->version);
        return tell_unknown(tool, err);
    }
    KV_TRY(kv_common_print(tool, table, err));
    tool->findings = true;
    return none ? KV_OK : tell(version, &needed, limit, err);
}

/* --- retire --- */

static enum kv_status find_one(struct kv_tool *tool, size_t *ret_vault, struct kv_version **ret,
                               struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    KV_TRY(kv_which_versions(tool, tool->words[0], &list, err));
    if (list.count > 1)
        return kv_fail(err, KV_ARGUMENTS,
                       "'%s' is in several places, such as '%s' and '%s': say which with its kid or --vault",
                       tool->words[0], list.items[0]->kid, list.items[1]->kid);
    if (!strncmp(tool->words[0], "https://", strlen("https://")) &&
        !kv_text_equal_case(tool->words[0], list.items[0]->kid))
        return kv_fail(
            err, KV_NOT_FOUND,
            "'%s' is not in the version map, which has this name and version at '%s': say that one",
            tool->words[0], list.items[0]->kid);
    tool->vault = list.items[0]->vault;
    enum kv_status status = kv_common_vault(tool, ret_vault, err);
    tool->vault = NULL;
    KV_TRY(status);
    *ret = kv_version_ref(list.items[0]);
    return KV_OK;
}

/* What the name means now is asked of the vault, not remembered. */
static enum kv_status check_current(struct kv_tool *tool, size_t vault, const struct kv_version *version,
                                    struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *current = NULL;
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_task task = kv_common_task(tool, vault);
    struct kv_keyring *keyring = kv_core_keyring(tool->core, vault);
    const struct kv_keyring_query query = { .label = version->name, .force = true };
    KV_TRY(kv_keyring_find(keyring, &query, &task, &list, NULL, err));
    KV_TRY(kv_keyring_current(keyring, version->name, &task, &current, err));
    if (strcmp(current->version, version->version) != 0)
        return KV_OK;
    return kv_fail(
        err, KV_CONFLICT,
        "version '%s' of key '%s/%s' is the current one, with which new backups are sealed: make the "
        "next one first: kvp11 --vault %s rotate %s",
        version->version, version->vault, version->name, kv_word(version->vault).text,
        kv_word(version->name).text);
}

enum kv_status kv_cmd_retire(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *version = NULL, *now = NULL;
    size_t vault = 0;
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(find_one(tool, &vault, &version, err));
    KV_TRY(check_current(tool, vault, version, err));
    KV_CLEANUP(kv_versions_free_cleanup) struct kv_versions *versions = kv_versions_open(tool, false, err);
    if (!versions)
        return KV_NO_MEMORY;
    struct kv_task task = kv_common_task(tool, vault);
    const struct kv_clock *clock = kv_core_clock(tool->core);
    int64_t at = clock->unix_seconds(clock);
    KV_TRY(kv_keyring_disable(kv_core_keyring(tool->core, vault), version, &task, &now, err));
    enum kv_status status = kv_map_retire_after(kv_core_map(tool->core), now, at, at, err);
    if (status != KV_OK)
        return kv_fail_in(err, status, "version '%s' is disabled, and that could not be written down",
                          now->kid);
    kv_common_note(
        "should something need it after all: az keyvault key set-attributes --enabled true --id '%s'",
        now->kid);
    kv_versions_add(versions, NULL, now);
    return kv_versions_print(versions, err);
}
