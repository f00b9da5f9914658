#include "sync.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "explain/explain.h"

enum { DAY = 86400 };

/* --- keys that are gone --- */

const struct kv_sync_gone *kv_sync_gone_of(const struct kv_sync *sync, const char *name)
{
    for (size_t i = 0; i < sync->gone_count; i++)
        if (kv_text_equal_case(sync->gone[i].name, name))
            return &sync->gone[i];
    return NULL;
}

/* Once a name. */
static enum kv_status ask_gone(struct kv_sync *sync, const char *name, struct kv_error *err)
{
    struct kv_task task = kv_common_task(sync->tool, sync->vault);
    struct kv_error why = { 0 };
    if (kv_sync_gone_of(sync, name))
        return KV_OK;
    struct kv_sync_gone *more = reallocarray(sync->gone, sync->gone_count + 1, sizeof(*more));
    if (!more)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    sync->gone = more;
    struct kv_sync_gone *gone = &more[sync->gone_count++];
    *gone = (struct kv_sync_gone){ .asked = false };
    (void)kv_text_fit(gone->name, sizeof(gone->name), name);
    gone->asked = kv_keyring_deleted(kv_core_keyring(sync->tool->core, sync->vault), name, &task,
                                     &gone->deleted, &why) == KV_OK;
    if (!gone->asked)
        kv_common_note("vault '%s', deleted key '%s': %s", sync->config->name, name, why.text);
    return KV_OK;
}

enum kv_status kv_sync_deleted(struct kv_sync *sync, const struct kv_version *version, struct kv_error *err)
{
    return version->state == KV_STATE_DELETED ? ask_gone(sync, version->name, err) : KV_OK;
}

/* --- states --- */

static const enum kv_alarm_kind kinds[] = {
    [KV_STATE_ENABLED] = KV_ALARM_CHANGE,
    [KV_STATE_DISABLED] = KV_ALARM_DISABLED,
    [KV_STATE_NOT_YET_VALID] = KV_ALARM_NOT_YET_VALID,
    [KV_STATE_EXPIRED] = KV_ALARM_EXPIRED,
    [KV_STATE_DELETED] = KV_ALARM_DELETED,
    [KV_STATE_PURGED] = KV_ALARM_PURGED,
    [KV_STATE_MISSING] = KV_ALARM_MISSING,
    [KV_STATE_UNREACHABLE] = KV_ALARM_UNREACHABLE,
};

/* Old data still opens with an expired version; one that is not current and expired is as it should be. */
static enum kv_level level_of(const struct kv_version *version, bool needed)
{
    switch (version->state) {
    case KV_STATE_ENABLED:
        return KV_LEVEL_OK;
    case KV_STATE_NOT_YET_VALID:
    case KV_STATE_EXPIRED:
        return version->current ? KV_LEVEL_WARNING : KV_LEVEL_OK;
    case KV_STATE_DISABLED:
        return needed ? KV_LEVEL_CRITICAL : version->current ? KV_LEVEL_WARNING : KV_LEVEL_OK;
    case KV_STATE_DELETED:
        return needed ? KV_LEVEL_CRITICAL : KV_LEVEL_WARNING;
    case KV_STATE_PURGED:
    case KV_STATE_MISSING:
        return needed ? KV_LEVEL_CRITICAL : KV_LEVEL_OK;
    case KV_STATE_UNREACHABLE:
        return KV_LEVEL_UNKNOWN;
    }
    return KV_LEVEL_UNKNOWN;
}

static char *found_text(const struct kv_version *version, const struct kv_alarm *alarm)
{
    char needs[96] = "", days[48] = "";
    if (alarm->wraps || alarm->needed.backups)
        snprintf(needs, sizeof(needs), ", and %" PRId64 " wraps and %" PRId64 " backups need it",
                 alarm->wraps, alarm->needed.backups);
    if (alarm->days_left >= 0)
        snprintf(days, sizeof(days), ", %" PRId64 " days left to recover it", alarm->days_left);
    const char *why = version->state == KV_STATE_MISSING ? " from a key that is there, or was made anew" : "";
    return kv_text_format("is %s%s%s%s", kv_state_name(version->state), why, days, needs);
}

/* Names the file where one is known that holds this version. Where the name is taken, another vault has to be found for it. */
static enum kv_status restore_command(struct kv_sync *sync, const struct kv_version *version, char **ret,
                                      struct kv_error *err)
{
    KV_CLEANUP(kv_map_key_backup_free) struct kv_map_key_backup backup = { .taken = 0 };
    (void)kv_text_fit(backup.vault, sizeof(backup.vault), version->vault);
    (void)kv_text_fit(backup.name, sizeof(backup.name), version->name);
    KV_TRY(kv_map_key_backup(sync->map, &backup, err));
    bool has = backup.taken && kv_map_key_backup_has(&backup, version->version);
    *ret = kv_text_format("kvp11 --vault %s key-backup restore %s",
                          kv_word(version->state == KV_STATE_MISSING ? "OTHER" : version->vault).text,
                          kv_word(has ? backup.path : "FILE").text);
    return KV_OK;
}

static enum kv_status mend(struct kv_sync *sync, const struct kv_version *version, char **ret,
                           struct kv_error *err)
{
    const struct kv_sync_gone *gone = kv_sync_gone_of(sync, version->name);
    bool is_lost = version->state == KV_STATE_PURGED || version->state == KV_STATE_MISSING ||
                   (version->state == KV_STATE_DELETED && gone && gone->asked && !gone->deleted.recoverable);
    struct kv_verdict_input input = { .version = version,
                                      .now = sync->now,
                                      .deleted = gone && gone->asked ? &gone->deleted : NULL };
    if (is_lost)
        return restore_command(sync, version, ret, err);
    KV_AUTO_VERDICT struct kv_verdict verdict = kv_verdict_of(&input);
    *ret = verdict.mend ? kv_take(verdict.mend)
                        : kv_text_format("wait, or set another date: az keyvault key set-attributes "
                                         "--not-before DATE --id '%s'",
                                         version->kid);
    return KV_OK;
}

static int64_t days_left(struct kv_sync *sync, const struct kv_version *version)
{
    const struct kv_sync_gone *gone =
        version->state == KV_STATE_DELETED ? kv_sync_gone_of(sync, version->name) : NULL;
    if (!gone || !gone->asked || !gone->deleted.recoverable || !gone->deleted.purge)
        return -1;
    int64_t left = gone->deleted.purge - sync->now;
    return left > 0 ? left / DAY : 0;
}

enum kv_status kv_sync_state(struct kv_sync *sync, const struct kv_version *version, struct kv_error *err)
{
    struct kv_alarm alarm = { .version = version, .kind = kinds[version->state] };
    if (version->state == KV_STATE_ENABLED)
        return KV_OK;
    KV_TRY(kv_map_dependants(sync->map, kv_map_key_of(version), false, &alarm.needed, err));
    KV_TRY(kv_map_wraps_left(sync->map, version, &alarm.wraps, err));
    alarm.level = level_of(version, alarm.wraps || alarm.needed.backups);
    if (alarm.level == KV_LEVEL_OK)
        return KV_OK;
    KV_TRY(mend(sync, version, &alarm.next, err));
    alarm.days_left = days_left(sync, version);
    alarm.label = kv_text_format("%s@%s", version->name, version->version);
    alarm.found = found_text(version, &alarm);
    kv_sync_add(sync, alarm);
    return KV_OK;
}

/* --- versions that nobody has promoted: with `adopt = manual` --- */

enum kv_status kv_sync_waiting(struct kv_sync *sync, const struct kv_version *version, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_map_query query = {
        .vault = version->vault, .name = version->name, .current_only = true, .limit = 1
    };
    if (version->current || version->state != KV_STATE_ENABLED)
        return KV_OK;
    KV_TRY(kv_map_find(sync->map, &query, &list, err));
    if (!list.count || version->created < list.items[0]->created ||
        (version->created == list.items[0]->created && version->first_seen <= list.items[0]->first_seen))
        return KV_OK;
    kv_sync_add(
        sync,
        (struct kv_alarm){
            .level = KV_LEVEL_WARNING,
            .kind = KV_ALARM_WAITING,
            .version = version,
            .label = kv_text_format("%s@%s", version->name, version->version),
            .found = kv_text_format("waits to be promoted: names still mean '%s'", list.items[0]->version),
            .next = kv_text_format("kvp11 --vault %s rotate %s --adopt %s", kv_word(version->vault).text,
                                   kv_word(version->name).text, version->version),
            .days_left = -1 });
    return KV_OK;
}
