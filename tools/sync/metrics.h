/* What monitoring reads: a file in the text format of Prometheus 0.0.4, for the textfile collector of its node exporter. One thread. */
#ifndef KV_TOOLS_METRICS_H
#define KV_TOOLS_METRICS_H

#include <stdint.h>
#include "base/status.h"

enum kv_metric {
    KV_METRIC_LAST_RUN,
    KV_METRIC_LAST_SUCCESS,
    KV_METRIC_VAULT_UP,
    KV_METRIC_FINDINGS,
    KV_METRIC_VERSIONS,
    KV_METRIC_KEY_VERSIONS,
    KV_METRIC_KEY_VERSIONS_LIMIT,
    KV_METRIC_SCHEDULED_PURGE,
    KV_METRIC_PURGE_PROTECTION,
    KV_METRIC_KEY_BACKUP_TAKEN,
    KV_METRIC_KEY_BACKUP_MISSING,
    KV_METRIC_CREDENTIAL_EXPIRY,
    KV_METRIC_VERSION_STATE,
    KV_METRIC_VERSION_EXPIRY,
    KV_METRIC_CERTIFICATE_EXPIRY,
    KV_METRIC_VERSION_DEPENDENTS,
    KV_METRIC_VERSION_SOLE,
    KV_METRIC_VERSION_WRAPS,
    KV_METRIC_VERSION_LAST_UNWRAP,
    KV_METRIC_VERSION_LAST_DRILL,
    KV_METRIC_BACKUPS,
    KV_METRIC_BACKUPS_UNREADABLE,
    KV_METRIC_BACKUPS_WITHOUT_BREAK_GLASS,
    KV_METRIC_BACKUPS_UNMAPPED,
    KV_METRIC_LEFT_OUT,
    KV_METRIC_COUNT
};

struct kv_metrics;
struct kv_metrics *kv_metrics_open(void); /* NULL: memory is short */
void kv_metrics_free(struct kv_metrics *metrics);

/* A value, with the labels that this metric has, in their order (metrics.c); `labels` may be NULL where there are none. `metrics` NULL: nobody wants it. Past
 * KV_METRIC_MOST values of one metric it is only counted, and kvp11_metrics_left_out says so. Memory that ran out is told by kv_metrics_write. */
enum { KV_METRIC_MOST = 20000 };
void kv_metric_add(struct kv_metrics *metrics, enum kv_metric metric, const char *const *labels,
                   int64_t value);

/* Whole or not at all, readable for all: there is nothing secret in it. */
KV_MUST_USE enum kv_status kv_metrics_write(struct kv_metrics *metrics, const char *path,
                                            struct kv_error *err);

#endif
