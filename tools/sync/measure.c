#include "sync.h"

#include <string.h>
#include "key_backup/key_backup.h"

enum kv_status kv_sync_measure_begin(struct kv_sync *sync, struct kv_error *err)
{
    sync->metrics = kv_metrics_open();
    if (!sync->metrics)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    kv_metric_add(sync->metrics, KV_METRIC_LAST_RUN, NULL, sync->now);
    return KV_OK;
}

/* Those that there are none of, too: an alarm that is over has to go back to 0. */
enum kv_status kv_sync_measure_vault(struct kv_sync *sync, struct kv_error *err)
{
    static const char *const levels[] = {
        [KV_LEVEL_WARNING] = "warning", [KV_LEVEL_UNKNOWN] = "unknown", [KV_LEVEL_CRITICAL] = "critical"
    };
    const char *vault = sync->config->name;
    struct kv_map_visit visit = { 0 };
    if (!sync->metrics)
        return KV_OK;
    KV_TRY(kv_map_visited(sync->map, vault, NULL, &visit, err));
    kv_metric_add(sync->metrics, KV_METRIC_VAULT_UP, &vault, sync->told);
    kv_metric_add(sync->metrics, KV_METRIC_LAST_SUCCESS, &vault, visit.at);
    kv_metric_add(sync->metrics, KV_METRIC_KEY_VERSIONS_LIMIT, &vault,
                  kv_key_backup_limit(sync->config->managed_hsm));
    for (enum kv_alarm_kind kind = KV_ALARM_CHANGE + 1; kind < KV_ALARM_COUNT; kind++)
        for (enum kv_level level = KV_LEVEL_WARNING; level <= KV_LEVEL_CRITICAL; level++)
            kv_metric_add(sync->metrics, KV_METRIC_FINDINGS,
                          (const char *[]){ vault, kv_alarm_name(kind), levels[level] },
                          sync->found[kind][level]);
    return KV_OK;
}

/* --- versions --- */

static int by_key(const void *a, const void *b)
{
    const struct kv_map_covered *x = a, *y = b;
    size_t least = x->key_len < y->key_len ? x->key_len : y->key_len;
    int order = memcmp(x->key, y->key, least);
    return order ? order : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

static struct kv_map_covered covered_by(const struct kv_sync *sync, const struct kv_version *version)
{
    const struct kv_view key = kv_map_key_of(version);
    struct kv_map_covered wanted = { .key_len = key.len };
    memcpy(wanted.key, key.data, key.len);
    const struct kv_map_covered *found =
        sync->survey.key_count
            ? bsearch(&wanted, sync->survey.keys, sync->survey.key_count, sizeof(wanted), by_key)
            : NULL;
    return found ? *found : wanted;
}

static void add_if(struct kv_sync *sync, enum kv_metric metric, const char *const *labels, int64_t value)
{
    if (value)
        kv_metric_add(sync->metrics, metric, labels, value);
}

/* An old version that is enabled and that nothing needs is only counted. */
static enum kv_status measure_version(struct kv_sync *sync, const struct kv_version *version,
                                      struct kv_error *err)
{
    const char *state = kv_state_name(version->state);
    const char *labels[] = { version->vault, version->name, version->version, state };
    const struct kv_map_covered covered = covered_by(sync, version);
    int64_t wraps = 0;
    KV_TRY(kv_map_wraps_left(sync->map, version, &wraps, err));
    sync->states[version->state]++;
    if (!version->current && !covered.backups && !wraps && version->state == KV_STATE_ENABLED)
        return KV_OK;
    kv_metric_add(sync->metrics, KV_METRIC_VERSION_STATE, labels, 1);
    kv_metric_add(sync->metrics, KV_METRIC_VERSION_DEPENDENTS, labels, covered.backups);
    kv_metric_add(sync->metrics, KV_METRIC_VERSION_SOLE, labels, covered.sole);
    kv_metric_add(sync->metrics, KV_METRIC_VERSION_WRAPS, labels, wraps);
    add_if(sync, KV_METRIC_VERSION_EXPIRY, labels, version->exp);
    add_if(sync, KV_METRIC_VERSION_LAST_UNWRAP, labels, version->last_unwrap);
    add_if(sync, KV_METRIC_VERSION_LAST_DRILL, labels, version->last_drill);
    return KV_OK;
}

static enum kv_status measure_versions(struct kv_sync *sync, struct kv_error *err)
{
    memset(sync->states, 0, sizeof(sync->states));
    KV_TRY(kv_sync_each(sync, measure_version, err));
    for (enum kv_state state = KV_STATE_ENABLED; state < KV_STATE_UNREACHABLE; state++)
        kv_metric_add(sync->metrics, KV_METRIC_VERSIONS,
                      (const char *[]){ sync->config->name, kv_state_name(state) }, sync->states[state]);
    return KV_OK;
}

enum kv_status kv_sync_measure_backups(struct kv_sync *sync, size_t first, size_t end, struct kv_error *err)
{
    const struct kv_map_choice everything = { 0 };
    const struct kv_map_coverage *sums = &sync->survey.sums;
    if (!sync->metrics)
        return KV_OK;
    KV_TRY(kv_map_survey(sync->map, &everything, 0, &sync->survey, err));
    kv_metric_add(sync->metrics, KV_METRIC_BACKUPS, NULL, sums->backups);
    kv_metric_add(sync->metrics, KV_METRIC_BACKUPS_UNREADABLE, NULL, sums->by_nobody);
    kv_metric_add(sync->metrics, KV_METRIC_BACKUPS_WITHOUT_BREAK_GLASS, NULL, sums->without_break_glass);
    kv_metric_add(sync->metrics, KV_METRIC_BACKUPS_UNMAPPED, NULL, sums->unmapped);
    for (sync->vault = first; sync->vault < end; sync->vault++) {
        sync->config = &kv_core_config(sync->tool->core)->vaults[sync->vault];
        KV_TRY(measure_versions(sync, err));
    }
    return KV_OK;
}
