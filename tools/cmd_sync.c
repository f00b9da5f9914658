/* kvp11 sync: the map and the vaults, side by side: what changed since the last time, and which versions that something depends on are going or gone. */
#include "common.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "keys/coverage.h"

static const struct kv_column columns[] = {
    { "LEVEL", "level" }, { "VAULT", "vault" }, { "VERSION", "version" }, { "FOUND", "found" },
    { "NEXT", "next" },   { NULL, "state" },    { NULL, "days_left" },    { NULL, "wraps" },
    { NULL, "backups" },  { NULL, "bytes" },    { NULL, "keep_until" },
};

/* In the order of their weight: what is about to be lost counts more than what nobody could tell. */
enum level { LEVEL_OK, LEVEL_WARNING, LEVEL_UNKNOWN, LEVEL_CRITICAL };
static const struct {
    const char *name;
    enum kv_status status;
} levels[] = {
    { "ok", KV_OK },
    { "warning", KV_ATTENTION },
    { "unknown", KV_UNKNOWN },
    { "critical", KV_CRITICAL },
};

/* What the vault says of a name that it no longer has. */
struct gone {
    char name[KV_NAME_SIZE];
    bool asked; /* and answered */
    struct kv_keyring_deleted deleted;
};

struct sync {
    struct kv_tool *tool;
    struct kv_table *table;
    size_t vault;
    const char *name; /* of the vault */
    int64_t now;
    struct gone *gone;
    size_t gone_count;
    enum level worst;
    size_t found[4];
};

struct row {
    enum level level;
    const struct kv_version *version; /* NULL: the vault as a whole */
    char *label, *found;              /* taken over */
    const char *next;
    int64_t days_left; /* -1: nothing runs out */
    struct kv_map_dependants needed;
    int64_t wraps; /* that stand in none of these backups */
};

static void add_row(struct sync *sync, struct row row)
{
    struct kv_table *table = sync->table;
    const struct kv_version *version = row.version;
    kv_table_text(table, levels[row.level].name);
    kv_table_text(table, sync->name);
    if (row.label)
        kv_table_take(table, row.label);
    else
        kv_table_text(table, NULL);
    kv_table_take(table, row.found);
    kv_table_text(table, row.next);
    kv_table_text(table, version ? kv_state_name(version->state) : NULL);
    if (row.days_left < 0)
        kv_table_text(table, NULL);
    else
        kv_table_int(table, row.days_left);
    kv_table_int(table, row.wraps);
    kv_table_int(table, row.needed.backups);
    kv_table_int(table, row.needed.bytes);
    kv_table_time(table, row.needed.keep_until);
    sync->found[row.level]++;
    if (row.level > sync->worst)
        sync->worst = row.level;
}

/* --- keys that are gone --- */

static struct gone *gone_of(struct sync *sync, const char *name)
{
    for (size_t i = 0; i < sync->gone_count; i++)
        if (kv_text_equal_case(sync->gone[i].name, name))
            return &sync->gone[i];
    return NULL;
}

/* Once a name. */
static enum kv_status ask_gone(struct sync *sync, const char *name, struct kv_error *err)
{
    struct kv_task task = kv_common_task(sync->tool, sync->vault);
    struct kv_error why = { 0 };
    if (gone_of(sync, name))
        return KV_OK;
    struct gone *more = reallocarray(sync->gone, sync->gone_count + 1, sizeof(*more));
    if (!more)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    sync->gone = more;
    struct gone *gone = &more[sync->gone_count++];
    *gone = (struct gone){ 0 };
    (void)kv_text_fit(gone->name, sizeof(gone->name), name);
    gone->asked = kv_keyring_deleted(kv_core_keyring(sync->tool->core, sync->vault), name, &task,
                                     &gone->deleted, &why) == KV_OK;
    if (!gone->asked)
        kv_common_note("vault '%s', deleted key '%s': %s", sync->name, name, why.text);
    return KV_OK;
}

/* --- every version of the vault, in pages --- */

typedef enum kv_status look_at(struct sync *sync, const struct kv_version *version, struct kv_error *err);

static enum kv_status each_version(struct sync *sync, look_at *look, struct kv_error *err)
{
    for (int64_t after = 0;;) {
        KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
        KV_TRY(kv_map_version_page(kv_core_map(sync->tool->core), after, 0, &list, err));
        if (!list.count)
            return KV_OK;
        for (size_t i = 0; i < list.count; i++)
            if (!strcmp(list.items[i]->vault, sync->name))
                KV_TRY(look(sync, list.items[i], err));
        after = list.items[list.count - 1]->row;
    }
}

static enum kv_status look_for_deleted(struct sync *sync, const struct kv_version *version,
                                       struct kv_error *err)
{
    return version->state == KV_STATE_DELETED ? ask_gone(sync, version->name, err) : KV_OK;
}

static const char *const remedies[KV_STATE_UNREACHABLE + 1] = {
    [KV_STATE_DISABLED] = "enable it: az keyvault key set-attributes --enabled true",
    [KV_STATE_NOT_YET_VALID] = "wait, or set another date: az keyvault key set-attributes --not-before",
    [KV_STATE_EXPIRED] = "make the next version: kvp11 rotate",
    [KV_STATE_DELETED] = "recover the key: kvp11 recover",
    [KV_STATE_PURGED] = "restore the key from its backup: kvp11 key-backup restore",
    [KV_STATE_MISSING] =
        "restore the key from its backup, in another vault if the name is taken: kvp11 key-backup restore",
    [KV_STATE_UNREACHABLE] = "look at the way there: kvp11 doctor",
};

/* Old data still opens with an expired version; one that is not current and expired is as it should be. */
static enum level level_of(const struct kv_version *version, bool needed)
{
    switch (version->state) {
    case KV_STATE_ENABLED:
        return LEVEL_OK;
    case KV_STATE_NOT_YET_VALID:
    case KV_STATE_EXPIRED:
        return version->current ? LEVEL_WARNING : LEVEL_OK;
    case KV_STATE_DISABLED:
        return needed ? LEVEL_CRITICAL : version->current ? LEVEL_WARNING : LEVEL_OK;
    case KV_STATE_DELETED:
        return needed ? LEVEL_CRITICAL : LEVEL_WARNING;
    case KV_STATE_PURGED:
    case KV_STATE_MISSING:
        return needed ? LEVEL_CRITICAL : LEVEL_OK;
    case KV_STATE_UNREACHABLE:
        return LEVEL_UNKNOWN;
    }
    return LEVEL_UNKNOWN;
}

static int64_t days_left(struct sync *sync, const struct kv_version *version)
{
    const struct gone *gone = version->state == KV_STATE_DELETED ? gone_of(sync, version->name) : NULL;
    if (!gone || !gone->asked || !gone->deleted.recoverable || !gone->deleted.purge)
        return -1;
    int64_t left = gone->deleted.purge - sync->now;
    return left > 0 ? left / 86400 : 0;
}

static char *found_text(const struct kv_version *version, const struct row *row)
{
    char needs[96] = "", days[48] = "";
    if (row->wraps || row->needed.backups)
        snprintf(needs, sizeof(needs), ", and %" PRId64 " wraps and %" PRId64 " backups need it", row->wraps,
                 row->needed.backups);
    if (row->days_left >= 0)
        snprintf(days, sizeof(days), ", %" PRId64 " days left to recover it", row->days_left);
    const char *why = version->state == KV_STATE_MISSING ? " from a key that is there, or was made anew" : "";
    return kv_text_format("is %s%s%s%s", kv_state_name(version->state), why, days, needs);
}

/* --- versions that nobody has promoted: with `adopt = manual` --- */

static enum kv_status look_for_waiting(struct sync *sync, const struct kv_version *version,
                                       struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_map_query query = {
        .vault = sync->name, .name = version->name, .current_only = true, .limit = 1
    };
    if (version->current || version->state != KV_STATE_ENABLED)
        return KV_OK;
    KV_TRY(kv_map_find(kv_core_map(sync->tool->core), &query, &list, err));
    if (!list.count || version->created < list.items[0]->created ||
        (version->created == list.items[0]->created && version->first_seen <= list.items[0]->first_seen))
        return KV_OK;
    KV_AUTO_TEXT char *next =
        kv_text_format("kvp11 --vault %s rotate %s --adopt %s", sync->name, version->name, version->version);
    add_row(sync, (struct row){ .level = LEVEL_WARNING,
                                .version = version,
                                .label = kv_text_format("%s@%s", version->name, version->version),
                                .found = kv_text_format("waits to be promoted: names still mean '%s'",
                                                        list.items[0]->version),
                                .next = next,
                                .days_left = -1 });
    return KV_OK;
}

static enum kv_status look_at_state(struct sync *sync, const struct kv_version *version, struct kv_error *err)
{
    struct row row = { .version = version, .next = remedies[version->state] };
    if (version->state == KV_STATE_ENABLED)
        return KV_OK;
    KV_TRY(kv_map_dependants(kv_core_map(sync->tool->core), kv_map_key_of(version), false, &row.needed, err));
    KV_TRY(kv_map_wraps_left(kv_core_map(sync->tool->core), version, &row.wraps, err));
    row.level = level_of(version, row.wraps || row.needed.backups);
    if (row.level == LEVEL_OK)
        return KV_OK;
    row.days_left = days_left(sync, version);
    row.label = kv_text_format("%s@%s", version->name, version->version);
    row.found = found_text(version, &row);
    add_row(sync, row);
    return KV_OK;
}

/* --- what changed: what the journal got meanwhile --- */

static void add_change(struct sync *sync, const struct kv_map_entry *entry)
{
    KV_AUTO_TEXT char *pattern = kv_text_format("version %s/", sync->name);
    if (!pattern || strncmp(entry->subject, pattern, strlen(pattern)) != 0)
        return;
    add_row(sync, (struct row){ .label = kv_text_copy(entry->subject + strlen(pattern)),
                                .found = kv_text_format("%s: %s", entry->kind, entry->detail),
                                .days_left = -1 });
}

static enum kv_status tell_changes(struct sync *sync, int64_t after, struct kv_error *err)
{
    for (;;) {
        KV_AUTO_FREE struct kv_map_entry *entries = NULL;
        size_t count = 0;
        KV_TRY(kv_map_journal_page(kv_core_map(sync->tool->core), after, 0, &entries, &count, err));
        if (!count)
            return KV_OK;
        for (size_t i = 0; i < count; i++)
            add_change(sync, &entries[i]);
        after = entries[count - 1].seq;
    }
}

/* --- a vault --- */

/* Everything that the vault has; false when it did not tell all of it. */
static enum kv_status ask_vault(struct sync *sync, bool *ret_told, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_keyring *keyring = kv_core_keyring(sync->tool->core, sync->vault);
    struct kv_task task = kv_common_long_task(sync->tool, sync->vault);
    struct kv_error why = { 0 };
    size_t left_out = 0;
    enum kv_status status =
        kv_keyring_find(keyring, &(struct kv_keyring_query){ .force = true }, &task, &list, &left_out, &why);
    if (status == KV_NO_MEMORY)
        return kv_fail(err, status, "out of memory");
    /* What cannot be asked is answered from the map, and the reason is told all the same. */
    *ret_told = status == KV_OK && why.status == KV_OK;
    if (!*ret_told)
        add_row(sync,
                (struct row){ .level = LEVEL_UNKNOWN,
                              .found = kv_text_format("does not answer%s%s", *why.text ? ": " : "", why.text),
                              .next = remedies[KV_STATE_UNREACHABLE],
                              .days_left = -1 });
    else if (left_out)
        add_row(sync, (struct row){ .level = LEVEL_UNKNOWN,
                                    .found = kv_text_format("%zu keys could not be read", left_out),
                                    .next = remedies[KV_STATE_UNREACHABLE],
                                    .days_left = -1 });
    return KV_OK;
}

static enum kv_status sync_vault(struct sync *sync, struct kv_error *err)
{
    unsigned char hash[32];
    int64_t before = 0;
    bool told = false;
    KV_TRY(kv_map_journal_head(kv_core_map(sync->tool->core), &before, hash, err));
    KV_TRY(ask_vault(sync, &told, err));
    if (told)
        KV_TRY(each_version(sync, look_for_deleted, err));
    KV_TRY(tell_changes(sync, before, err));
    if (kv_core_config(sync->tool->core)->vaults[sync->vault].adopt == KV_ADOPT_MANUAL)
        KV_TRY(each_version(sync, look_for_waiting, err));
    return each_version(sync, look_at_state, err);
}

enum kv_status kv_cmd_sync(struct kv_tool *tool, struct kv_error *err)
{
    size_t first = 0, end = 0;
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    const struct kv_clock *clock = kv_core_clock(tool->core);
    struct sync sync = { .tool = tool, .table = table, .now = clock->unix_seconds(clock) };
    enum kv_status status = KV_OK;
    for (sync.vault = first; sync.vault < end && !status; sync.vault++) {
        sync.name = kv_core_config(tool->core)->vaults[sync.vault].name;
        status = sync_vault(&sync, err);
        free(kv_take(sync.gone));
        sync.gone_count = 0;
    }
    KV_TRY(status);
    KV_TRY(kv_common_print(tool, table, err));
    if (sync.worst == LEVEL_OK)
        return KV_OK;
    tool->findings = true;
    return kv_fail(err, levels[sync.worst].status, "%zu critical, %zu warnings, %zu unknown",
                   sync.found[LEVEL_CRITICAL], sync.found[LEVEL_WARNING], sync.found[LEVEL_UNKNOWN]);
}
