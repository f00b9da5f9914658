#include "sync.h"

#include <string.h>

const struct kv_column kv_sync_columns[] = {
    { "LEVEL", "level" }, { "VAULT", "vault" }, { "VERSION", "version" }, { "FOUND", "found" },
    { "NEXT", "next" },   { NULL, "kind" },     { NULL, "state" },        { NULL, "days_left" },
    { NULL, "wraps" },    { NULL, "backups" },  { NULL, "bytes" },        { NULL, "keep_until" },
};
const size_t kv_sync_column_count = sizeof(kv_sync_columns) / sizeof(kv_sync_columns[0]);

static const char *const names[KV_ALARM_COUNT] = {
    [KV_ALARM_CHANGE] = "change",
    [KV_ALARM_DISABLED] = "disabled",
    [KV_ALARM_NOT_YET_VALID] = "not-yet-valid",
    [KV_ALARM_EXPIRED] = "expired",
    [KV_ALARM_EXPIRES] = "expires",
    [KV_ALARM_CERTIFICATE] = "certificate",
    [KV_ALARM_DELETED] = "deleted",
    [KV_ALARM_PURGED] = "purged",
    [KV_ALARM_MISSING] = "missing",
    [KV_ALARM_UNREACHABLE] = "unreachable",
    [KV_ALARM_UNREAD] = "unread",
    [KV_ALARM_WAITING] = "waiting",
    [KV_ALARM_PURGE_PROTECTION] = "purge-protection",
    [KV_ALARM_KEY_BACKUP] = "key-backup",
    [KV_ALARM_ROOM] = "room",
    [KV_ALARM_CREDENTIAL] = "credential",
};

const char *kv_alarm_name(enum kv_alarm_kind kind)
{
    return names[kind];
}

static void take(struct kv_table *table, char *text)
{
    if (text)
        kv_table_take(table, text);
    else
        kv_table_text(table, NULL);
}

void kv_sync_add(struct kv_sync *sync, struct kv_alarm alarm)
{
    struct kv_table *table = sync->findings.table;
    kv_finding_level(&sync->findings, alarm.level);
    kv_table_text(table, sync->config->name);
    take(table, alarm.label);
    kv_table_take(table, alarm.found);
    take(table, alarm.next);
    kv_table_text(table, names[alarm.kind]);
    kv_table_text(table, alarm.version ? kv_state_name(alarm.version->state) : NULL);
    if (alarm.days_left < 0)
        kv_table_text(table, NULL);
    else
        kv_table_int(table, alarm.days_left);
    kv_table_int(table, alarm.wraps);
    kv_table_int(table, alarm.needed.backups);
    kv_table_int(table, alarm.needed.bytes);
    kv_table_time(table, alarm.needed.keep_until);
    sync->found[alarm.kind][alarm.level]++;
}

enum kv_status kv_sync_each(struct kv_sync *sync, kv_sync_look *look, struct kv_error *err)
{
    for (int64_t after = 0;;) {
        KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
        KV_TRY(kv_map_version_page(sync->map, after, 0, &list, err));
        if (!list.count)
            return KV_OK;
        for (size_t i = 0; i < list.count; i++)
            if (!strcmp(list.items[i]->vault, sync->config->name))
                KV_TRY(look(sync, list.items[i], err));
        after = list.items[list.count - 1]->row;
    }
}
