#include "metrics.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include "output.h"

enum { LABELS_MOST = 4, MODE = 0644 };

#define VERSION "vault", "key", "version"

/* Names and units as Prometheus advises: base units, and the unit at the end. All are gauges. */
static const struct {
    const char *name, *help;
    const char *labels[LABELS_MOST + 1];
} rows[KV_METRIC_COUNT] = {
    [KV_METRIC_LAST_RUN] = { "kvp11_sync_last_run_timestamp_seconds",
                             "When kvp11 sync wrote this file.",
                             { 0 } },
    [KV_METRIC_LAST_SUCCESS] = { "kvp11_sync_last_success_timestamp_seconds",
                                 "When the vault last told everything that was asked; 0: never.",
                                 { "vault" } },
    [KV_METRIC_VAULT_UP] = { "kvp11_vault_up", "Whether the vault answered this sync.", { "vault" } },
    [KV_METRIC_FINDINGS] = { "kvp11_findings",
                             "What kvp11 sync found, by kind and level.",
                             { "vault", "kind", "level" } },
    [KV_METRIC_VERSIONS] = { "kvp11_versions",
                             "Versions of keys that the version map knows, by state.",
                             { "vault", "state" } },
    [KV_METRIC_KEY_VERSIONS] = { "kvp11_key_versions",
                                 "Versions of a key that the vault has.",
                                 { "vault", "key" } },
    [KV_METRIC_KEY_VERSIONS_LIMIT] = { "kvp11_key_versions_limit",
                                       "Versions of a key that can be backed up, or on a Managed HSM be "
                                       "there.",
                                       { "vault" } },
    [KV_METRIC_SCHEDULED_PURGE] = { "kvp11_key_scheduled_purge_timestamp_seconds",
                                    "When a deleted key will be purged.",
                                    { "vault", "key" } },
    [KV_METRIC_PURGE_PROTECTION] = { "kvp11_vault_purge_protection",
                                     "Whether all keys of the vault are protected from being purged.",
                                     { "vault" } },
    [KV_METRIC_KEY_BACKUP_TAKEN] = { "kvp11_key_backup_taken_timestamp_seconds",
                                     "When the last backup of a key was taken.",
                                     { "vault", "key" } },
    [KV_METRIC_KEY_BACKUP_MISSING] = { "kvp11_key_backup_missing_versions",
                                       "Versions of a key that are not in its last backup.",
                                       { "vault", "key" } },
    [KV_METRIC_CREDENTIAL_EXPIRY] = { "kvp11_credential_expiry_timestamp_seconds",
                                      "When the secret or certificate ends that tokens are got by.",
                                      { "vault", "credential" } },
    [KV_METRIC_VERSION_STATE] = { "kvp11_version_state",
                                  "1 for the state of a version that is current, needed, or not enabled.",
                                  { VERSION, "state" } },
    [KV_METRIC_VERSION_EXPIRY] = { "kvp11_version_expiry_timestamp_seconds",
                                   "When such a version expires.",
                                   { VERSION } },
    [KV_METRIC_CERTIFICATE_EXPIRY] = { "kvp11_certificate_expiry_timestamp_seconds",
                                       "When the certificate of a current version ends.",
                                       { VERSION } },
    [KV_METRIC_VERSION_DEPENDENTS] = { "kvp11_version_dependents",
                                       "Backups that a version opens.",
                                       { VERSION } },
    [KV_METRIC_VERSION_SOLE] = { "kvp11_version_dependents_sole",
                                 "Backups that nothing else opens now.",
                                 { VERSION } },
    [KV_METRIC_VERSION_WRAPS] = { "kvp11_version_wraps",
                                  "Recorded wraps under a version that stand in no known backup.",
                                  { VERSION } },
    [KV_METRIC_VERSION_LAST_UNWRAP] = { "kvp11_version_last_unwrap_timestamp_seconds",
                                        "When something was last opened with a version.",
                                        { VERSION } },
    [KV_METRIC_VERSION_LAST_DRILL] = { "kvp11_version_last_drill_timestamp_seconds",
                                       "When a drill last succeeded with a version.",
                                       { VERSION } },
    [KV_METRIC_BACKUPS] = { "kvp11_backups", "Backups that are registered.", { 0 } },
    [KV_METRIC_BACKUPS_UNREADABLE] = { "kvp11_backups_unreadable", "Backups that nobody opens now.", { 0 } },
    [KV_METRIC_BACKUPS_WITHOUT_BREAK_GLASS] = { "kvp11_backups_without_break_glass",
                                                "Backups that only vaults open.",
                                                { 0 } },
    [KV_METRIC_BACKUPS_UNMAPPED] = { "kvp11_backups_unmapped",
                                     "Backups that need a version that is not in the map.",
                                     { 0 } },
    [KV_METRIC_LEFT_OUT] = { "kvp11_metrics_left_out",
                             "Values that are not in this file because there are too many of one metric.",
                             { "metric" } },
};

struct kv_metrics {
    struct kv_buffer text[KV_METRIC_COUNT];
    int64_t count[KV_METRIC_COUNT];
};

struct kv_metrics *kv_metrics_open(void)
{
    return calloc(1, sizeof(struct kv_metrics));
}

void kv_metrics_free(struct kv_metrics *metrics)
{
    for (size_t i = 0; metrics && i < KV_METRIC_COUNT; i++)
        kv_buffer_free(&metrics->text[i]);
    free(metrics);
}

/* Once a buffer fails it stays so, and kv_metrics_write asks. */
static void put(struct kv_buffer *text, const char *value)
{
    (void)!kv_buffer_add(text, kv_view_text(value));
}

static void put_label(struct kv_buffer *text, const char *name, const char *value)
{
    put(text, name);
    put(text, "=\"");
    for (; *value; value++) {
        const char one[] = { *value, '\0' };
        put(text, *value == '\n' ? "\\n" : *value == '"' ? "\\\"" : *value == '\\' ? "\\\\" : one);
    }
    put(text, "\"");
}

static void put_value(struct kv_buffer *text, enum kv_metric metric, const char *const *labels, int64_t value)
{
    put(text, rows[metric].name);
    for (size_t i = 0; rows[metric].labels[i]; i++) {
        put(text, i ? "," : "{");
        put_label(text, rows[metric].labels[i], labels[i]);
        put(text, rows[metric].labels[i + 1] ? "" : "}");
    }
    (void)!kv_buffer_format(text, " %" PRId64 "\n", value);
}

void kv_metric_add(struct kv_metrics *metrics, enum kv_metric metric, const char *const *labels,
                   int64_t value)
{
    if (metrics && ++metrics->count[metric] <= KV_METRIC_MOST)
        put_value(&metrics->text[metric], metric, labels, value);
}

static void count_left_out(struct kv_metrics *metrics)
{
    for (size_t i = 0; i < KV_METRIC_LEFT_OUT; i++)
        if (metrics->count[i] > KV_METRIC_MOST)
            kv_metric_add(metrics, KV_METRIC_LEFT_OUT, &rows[i].name, metrics->count[i] - KV_METRIC_MOST);
}

static enum kv_status write_all(const struct kv_metrics *metrics, struct kv_output *output,
                                struct kv_error *err)
{
    for (size_t i = 0; i < KV_METRIC_COUNT; i++) {
        const struct kv_buffer *text = &metrics->text[i];
        KV_AUTO_BUFFER struct kv_buffer head = { 0 };
        if (text->failed || kv_buffer_format(&head, "# HELP %s %s\n# TYPE %s gauge\n", rows[i].name,
                                             rows[i].help, rows[i].name) != KV_OK)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        if (!text->bytes.len)
            continue;
        KV_TRY(kv_output_write(output, KV_VIEW(head.bytes), err));
        KV_TRY(kv_output_write(output, KV_VIEW(text->bytes), err));
    }
    return KV_OK;
}

enum kv_status kv_metrics_write(struct kv_metrics *metrics, const char *path, struct kv_error *err)
{
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    count_left_out(metrics);
    KV_TRY(kv_output_open(path, &output, err));
    KV_TRY(write_all(metrics, output, err));
    /* Who collects is another user. */
    if (kv_output_holds(output) && fchmod(kv_output_fd(output), MODE) != 0)
        return kv_fail(err, KV_IO, "cannot make '%s' readable: %m", path);
    return kv_output_commit(output, err);
}
