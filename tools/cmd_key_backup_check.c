/* kvp11 key-backup check: would this backup bring back what the vault has now? */
#include "finding.h"
#include "key_backup/key_backup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "keys/coverage.h"

const struct kv_option kv_cmd_key_backup_check_options[] = {
    { "--max-age", "DAYS", "warn when it is older (90)" },
    { "--offline", NULL, "compare with the version map alone" },
    { NULL, NULL, NULL },
};

static const struct kv_column columns[] = {
    { "LEVEL", "level" }, { "CHECK", "check" }, { "FOUND", "found" }, { "NEXT", "next" },
    { NULL, "version" },  { NULL, "wraps" },    { NULL, "backups" },
};

struct check {
    struct kv_tool *tool;
    struct kv_findings findings;
    const struct kv_key_backup *backup;
};

struct row {
    enum kv_level level;
    const char *check;
    char *found, *next; /* taken over; next NULL: nothing to do */
    const char *version;
    int64_t wraps, backups;
};

static void add_row(struct check *check, struct row row)
{
    struct kv_table *table = check->findings.table;
    kv_finding_level(&check->findings, row.level);
    kv_table_text(table, row.check);
    kv_table_take(table, row.found);
    if (row.next)
        kv_table_take(table, row.next);
    else
        kv_table_text(table, NULL);
    kv_table_text(table, row.version);
    kv_table_int(table, row.wraps);
    kv_table_int(table, row.backups);
}

static char *take_again(const struct check *check)
{
    return kv_text_format("kvp11 --vault %s key-backup %s", kv_word(check->backup->vault).text,
                          kv_word(check->backup->name).text);
}

static void check_age(struct check *check, int most)
{
    const struct kv_clock *clock = kv_core_clock(check->tool->core);
    int64_t days = (clock->unix_seconds(clock) - check->backup->taken) / 86400;
    char when[21];
    kv_clock_text(check->backup->taken, when);
    bool old = days > most;
    add_row(check, (struct row){ .level = old ? KV_LEVEL_WARNING : KV_LEVEL_OK,
                                 .check = "age",
                                 .found = kv_text_format("taken %s, %" PRId64 " days ago", when, days),
                                 .next = old ? take_again(check) : NULL });
}

static void check_room(struct check *check, size_t count)
{
    int limit = kv_key_backup_limit(check->backup->managed_hsm);
    enum kv_level room = kv_key_backup_room(count, check->backup->managed_hsm);
    add_row(check,
            (struct row){
                .level = room,
                .check = "room",
                .found = kv_text_format("the key has %zu versions, and %d can be backed up", count, limit),
                .next = room ? kv_text_format("kvp11 --vault %s create NEW-NAME, then kvp11 rewrap",
                                              kv_word(check->backup->vault).text)
                             : NULL });
}

static void check_place(struct check *check)
{
    const struct kv_key_backup *backup = check->backup;
    char *found =
        backup->managed_hsm
            ? kv_text_format("restores only into HSMs of the security domain of '%s'", backup->url)
            : kv_text_format("restores only in the subscription (%s) and geography of '%s'",
                             backup->subscription[0] ? backup->subscription : "not told", backup->url);
    add_row(check, (struct row){ .check = "place", .found = found });
}

/* One that came after the backup, or whose key is another than then. */
static enum kv_status check_version(struct check *check, const struct kv_version *version,
                                    struct kv_error *err)
{
    const struct kv_key_backup_version *told = kv_key_backup_find(check->backup, version->version);
    struct kv_map *map = kv_core_map(check->tool->core);
    struct kv_map_dependants needed = { 0 };
    int64_t wraps = 0;
    if (told && !memcmp(told->spki_sha256, version->spki_sha256, sizeof(told->spki_sha256)))
        return KV_OK;
    KV_TRY(kv_map_dependants(map, kv_map_key_of(version), false, &needed, err));
    KV_TRY(kv_map_wraps_left(map, version, &wraps, err));
    bool depended = wraps || needed.backups;
    add_row(check, (struct row){ .level = depended ? KV_LEVEL_CRITICAL : KV_LEVEL_WARNING,
                                 .check = "versions",
                                 .found = kv_text_format("version '%s' is not in it, and %" PRId64
                                                         " wraps and %" PRId64 " backups need it",
                                                         version->version, wraps, needed.backups),
                                 .next = take_again(check),
                                 .version = version->version,
                                 .wraps = wraps,
                                 .backups = needed.backups });
    return KV_OK;
}

static size_t bad_ones(const struct check *check)
{
    return check->findings.found[KV_LEVEL_WARNING] + check->findings.found[KV_LEVEL_CRITICAL];
}

static enum kv_status check_versions(struct check *check, const struct kv_version_list *list,
                                     struct kv_error *err)
{
    size_t there = 0, before = bad_ones(check);
    for (size_t i = 0; i < list->count; i++) {
        if (!kv_version_is_there(list->items[i]))
            continue;
        there++;
        KV_TRY(check_version(check, list->items[i], err));
    }
    if (!there)
        add_row(check,
                (struct row){ .level = KV_LEVEL_WARNING,
                              .check = "versions",
                              .found = kv_text_copy("the vault does not have this key now: this file may be "
                                                    "all there is of it"),
                              .next = kv_text_format("kvp11 --vault %s explain %s",
                                                     kv_word(check->backup->vault).text,
                                                     kv_word(check->backup->name).text) });
    else if (before == bad_ones(check))
        add_row(check,
                (struct row){ .check = "versions",
                              .found = kv_text_format("all %zu versions of the key are in it", there) });
    check_room(check, there);
    return KV_OK;
}

/* As the vault lists them now, or else as the map has them. */
static enum kv_status load(struct check *check, size_t vault, struct kv_version_list *ret,
                           struct kv_error *err)
{
    struct kv_tool *tool = check->tool;
    struct kv_task task = kv_common_long_task(tool, vault);
    struct kv_map_query query = { .vault = kv_core_config(tool->core)->vaults[vault].name,
                                  .name = check->backup->name };
    struct kv_error why = { 0 };
    if (!kv_common_option(tool, "--offline")) {
        enum kv_status status =
            kv_keyring_listed(kv_core_keyring(tool->core, vault), check->backup->name, &task, ret, &why);
        if (status == KV_OK || status == KV_NO_MEMORY)
            return status;
        if (status != KV_NOT_FOUND)
            add_row(check,
                    (struct row){ .level = KV_LEVEL_UNKNOWN,
                                  .check = "vault",
                                  .found = kv_text_format("cannot be asked: %s", why.text),
                                  .next = kv_text_format("kvp11 doctor %s", kv_word(query.vault).text) });
    }
    return kv_map_find(kv_core_map(tool->core), &query, ret, err);
}

static enum kv_status vault_index(const struct kv_tool *tool, const struct kv_key_backup *backup, size_t *ret,
                                  struct kv_error *err)
{
    const struct kv_config *config = kv_core_config(tool->core);
    for (*ret = 0; *ret < config->vault_count; ++*ret)
        if (!strcmp(config->vaults[*ret].name, tool->vault ? tool->vault : backup->vault))
            return KV_OK;
    return kv_fail(err, KV_CONFIG,
                   "no vault '%s' is configured, from which this backup was taken: say which with --vault",
                   tool->vault ? tool->vault : backup->vault);
}

static enum kv_status look(struct check *check, int most, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const char *path = check->tool->words[0];
    size_t vault = 0;
    if (!check->backup->is_intact) {
        add_row(check,
                (struct row){ .level = KV_LEVEL_CRITICAL,
                              .check = "file",
                              .found = kv_text_format("'%s' is not what '%s.json' describes: it was changed, "
                                                      "or one of the two is of another backup",
                                                      path, path),
                              .next = take_again(check) });
        return KV_OK;
    }
    add_row(check, (struct row){
                       .check = "file",
                       .found = kv_text_format("%zu bytes, as they were written", check->backup->blob.len) });
    check_age(check, most);
    check_place(check);
    KV_TRY(vault_index(check->tool, check->backup, &vault, err));
    kv_key_backup_remember(check->tool, check->backup, path);
    KV_TRY(load(check, vault, &list, err));
    return check_versions(check, &list, err);
}

enum kv_status kv_cmd_key_backup_check(struct kv_tool *tool, struct kv_error *err)
{
    enum { MAX_AGE_DAYS = 90 };
    KV_AUTO_KEY_BACKUP struct kv_key_backup backup = { 0 };
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    const char *age = kv_common_option(tool, "--max-age");
    int most = MAX_AGE_DAYS;
    if (!table)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (age)
        KV_TRY(kv_common_number("--max-age", age, &most, err));
    KV_TRY(kv_key_backup_read(tool->words[0], &backup, err));
    KV_TRY(kv_common_open_map(tool, err));
    struct check check = { .tool = tool, .findings = { .table = table }, .backup = &backup };
    if (!backup.is_described)
        return kv_fail(
            err, KV_UNKNOWN,
            "'%s.json' is not there, so nothing says what the backup holds: put it beside, or take "
            "another backup: kvp11 key-backup NAME",
            tool->words[0]);
    KV_TRY(look(&check, most, err));
    return kv_findings_end(tool, &check.findings, err);
}
