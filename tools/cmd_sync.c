/* kvp11 sync: the map and the vaults, side by side: what changed since the last time, which versions that something depends on are going or gone, and what else would keep
 * a restore from working one day. */
#include "progress.h"
#include "sync/sync.h"

#include <string.h>

const struct kv_option kv_cmd_sync_options[] = {
    { "--full", NULL, "list all versions of all keys, also those that nothing seems to have changed" },
    { "--metrics", "FILE", "write this file for Prometheus (textfile collector), too" },
    { NULL, NULL, NULL },
};

enum { WHOLE_AFTER = 24 * 60 * 60 };

/* --- what changed: what the journal got meanwhile --- */

static void add_change(struct kv_sync *sync, const struct kv_map_entry *entry)
{
    KV_AUTO_TEXT char *pattern = kv_text_format("version %s/", sync->config->name);
    if (!pattern || strncmp(entry->subject, pattern, strlen(pattern)) != 0)
        return;
    kv_sync_add(sync, (struct kv_alarm){ .label = kv_text_copy(entry->subject + strlen(pattern)),
                                         .found = kv_text_format("%s: %s", entry->kind, entry->detail),
                                         .days_left = -1 });
}

static enum kv_status tell_changes(struct kv_sync *sync, int64_t after, struct kv_error *err)
{
    for (;;) {
        KV_AUTO_FREE struct kv_map_entry *entries = NULL;
        size_t count = 0;
        KV_TRY(kv_map_journal_page(sync->map, after, 0, &entries, &count, err));
        if (!count)
            return KV_OK;
        for (size_t i = 0; i < count; i++)
            add_change(sync, &entries[i]);
        after = entries[count - 1].seq;
    }
}

/* --- a vault --- */

static void add_unknown(struct kv_sync *sync, enum kv_alarm_kind kind, char *found)
{
    kv_sync_add(
        sync, (struct kv_alarm){ .level = KV_LEVEL_UNKNOWN,
                                 .kind = kind,
                                 .found = found,
                                 .next = kv_text_format("kvp11 doctor %s", kv_word(sync->config->name).text),
                                 .days_left = -1 });
}

static enum kv_status ask_vault(struct kv_sync *sync, struct kv_error *err)
{
    struct kv_keyring *keyring = kv_core_keyring(sync->tool->core, sync->vault);
    struct kv_task task = kv_common_long_task(sync->tool, sync->vault);
    struct kv_error why = { 0 };
    size_t left_out = 0;
    int64_t whole_after = kv_common_option(sync->tool, "--full") ? 0 : WHOLE_AFTER;
    struct kv_progress progress;
    kv_progress_watch(&progress, &task);
    enum kv_status status = kv_keyring_reconcile(keyring, whole_after, &task, &left_out, &why);
    kv_progress_end(&progress);
    if (status == KV_NO_MEMORY)
        return kv_fail(err, status, "out of memory");
    sync->told = status == KV_OK;
    if (!sync->told)
        add_unknown(sync, KV_ALARM_UNREACHABLE,
                    kv_text_format("cannot be asked%s%s", *why.text ? ": " : "", why.text));
    else if (left_out)
        add_unknown(sync, KV_ALARM_UNREAD, kv_text_format("%zu keys could not be read", left_out));
    return KV_OK;
}

static enum kv_status look_at_vault(struct kv_sync *sync, struct kv_error *err)
{
    unsigned char hash[32];
    int64_t before = 0;
    KV_TRY(kv_map_journal_head(sync->map, &before, hash, err));
    KV_TRY(ask_vault(sync, err));
    if (sync->told)
        KV_TRY(kv_sync_each(sync, kv_sync_deleted, err));
    KV_TRY(tell_changes(sync, before, err));
    kv_sync_credential(sync);
    if (sync->config->adopt == KV_ADOPT_MANUAL)
        KV_TRY(kv_sync_each(sync, kv_sync_waiting, err));
    KV_TRY(kv_sync_each(sync, kv_sync_state, err));
    KV_TRY(kv_sync_each(sync, kv_sync_expiry, err));
    KV_TRY(kv_sync_keys(sync, err));
    return kv_sync_measure_vault(sync, err);
}

static enum kv_status look_at_all(struct kv_sync *sync, struct kv_error *err)
{
    size_t first = 0, end = 0;
    enum kv_status status = KV_OK;
    KV_TRY(kv_common_vaults(sync->tool, &first, &end, err));
    for (sync->vault = first; sync->vault < end && !status; sync->vault++) {
        sync->config = &kv_core_config(sync->tool->core)->vaults[sync->vault];
        memset(sync->found, 0, sizeof(sync->found));
        status = look_at_vault(sync, err);
        free(kv_take(sync->gone));
        sync->gone_count = 0;
    }
    KV_TRY(status);
    return kv_sync_measure_backups(sync, first, end, err);
}

/* What was found is printed all the same when the metrics cannot be written. */
static enum kv_status tell(struct kv_sync *sync, const char *metrics, struct kv_error *err)
{
    if (metrics && !strcmp(metrics, "-"))
        return kv_fail(err, KV_ARGUMENTS, "'--metrics -': the standard output is the table's: name a file");
    if (metrics)
        KV_TRY(kv_sync_measure_begin(sync, err));
    KV_TRY(look_at_all(sync, err));
    enum kv_status status = kv_findings_end(sync->tool, &sync->findings, err);
    if (!metrics)
        return status;
    struct kv_error why = { 0 };
    if (kv_metrics_write(sync->metrics, metrics, &why) == KV_OK)
        return status;
    sync->tool->findings = true;
    if (err)
        *err = why;
    return why.status;
}

enum kv_status kv_cmd_sync(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(kv_sync_columns, kv_sync_column_count);
    const char *metrics = kv_common_option(tool, "--metrics");
    if (!table)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_common_open_map(tool, err));
    const struct kv_clock *clock = kv_core_clock(tool->core);
    struct kv_sync sync = { .tool = tool,
                            .findings = { .table = table },
                            .map = kv_core_map(tool->core),
                            .now = clock->unix_seconds(clock) };
    enum kv_status status = tell(&sync, metrics, err);
    kv_metrics_free(sync.metrics);
    kv_map_survey_free(&sync.survey);
    return status;
}
