#include "sync.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "core/login.h"
#include "key_backup/key_backup.h"
#include "mend.h"

enum { DAY = 86400 };

/* --- room for further versions --- */

static void look_at_room(struct kv_sync *sync, const struct kv_map_key *key)
{
    bool hsm = sync->config->managed_hsm;
    enum kv_level level = kv_key_backup_room((size_t)key->versions, hsm);
    if (level == KV_LEVEL_OK)
        return;
    kv_sync_add(sync, (struct kv_alarm){
                          .level = level,
                          .kind = KV_ALARM_ROOM,
                          .label = kv_text_copy(key->name),
                          .found = kv_text_format("has %" PRId64 " versions of the %d that %s, and none "
                                                  "can be taken away",
                                                  key->versions, kv_key_backup_limit(hsm),
                                                  hsm ? "a key can have" : "can be backed up"),
                          .next = kv_text_format("kvp11 --vault %s create NEW-NAME, then kvp11 rewrap",
                                                 kv_word(sync->config->name).text),
                          .days_left = -1 });
}

/* --- Key Vault's own backup, and what came after it --- */

struct lag {
    const struct kv_version *newest;
    size_t missing;
    int64_t wraps;
    struct kv_map_dependants needed;
};

static enum kv_status add_missing(struct kv_sync *sync, const struct kv_version *version, struct lag *lag,
                                  struct kv_error *err)
{
    struct kv_map_dependants needed;
    int64_t wraps = 0;
    KV_TRY(kv_map_dependants(sync->map, kv_map_key_of(version), false, &needed, err));
    KV_TRY(kv_map_wraps_left(sync->map, version, &wraps, err));
    if (!lag->newest)
        lag->newest = version; /* the map answers in this order */
    lag->missing++;
    lag->wraps += wraps;
    lag->needed.backups += needed.backups;
    lag->needed.bytes += needed.bytes;
    if (needed.keep_until > lag->needed.keep_until)
        lag->needed.keep_until = needed.keep_until;
    return KV_OK;
}

static void tell_lag(struct kv_sync *sync, const struct kv_map_key_backup *backup, const struct lag *lag)
{
    char when[21], others[48] = "", needs[96] = "";
    kv_clock_text(backup->taken, when);
    if (lag->missing > 1)
        snprintf(others, sizeof(others), " and %zu others", lag->missing - 1);
    if (lag->wraps || lag->needed.backups)
        snprintf(needs, sizeof(needs), ", and %" PRId64 " wraps and %" PRId64 " backups need what is missing",
                 lag->wraps, lag->needed.backups);
    kv_sync_add(sync, (struct kv_alarm){
                          .level = KV_LEVEL_WARNING,
                          .kind = KV_ALARM_KEY_BACKUP,
                          .version = lag->newest,
                          .label = kv_text_format("%s@%s", lag->newest->name, lag->newest->version),
                          .found = kv_text_format("is%s not in the key's last backup, taken %s, '%s'%s",
                                                  others, when, backup->path, needs),
                          .next = kv_text_format("kvp11 --vault %s key-backup %s",
                                                 kv_word(backup->vault).text, kv_word(backup->name).text),
                          .days_left = -1,
                          .needed = lag->needed,
                          .wraps = lag->wraps });
}

static void measure_backup(struct kv_sync *sync, const struct kv_map_key_backup *backup, size_t missing)
{
    const char *labels[] = { backup->vault, backup->name };
    kv_metric_add(sync->metrics, KV_METRIC_KEY_BACKUP_TAKEN, labels, backup->taken);
    kv_metric_add(sync->metrics, KV_METRIC_KEY_BACKUP_MISSING, labels, (int64_t)missing);
}

/* A key of which no backup is known is left to its owner: there may be one elsewhere. */
static enum kv_status look_at_backup(struct kv_sync *sync, const struct kv_map_key *key, struct kv_error *err)
{
    KV_CLEANUP(kv_map_key_backup_free) struct kv_map_key_backup backup = { .taken = 0 };
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_map_query query = { .vault = sync->config->name, .name = key->name };
    struct lag lag = { .missing = 0 };
    (void)kv_text_fit(backup.vault, sizeof(backup.vault), sync->config->name);
    (void)kv_text_fit(backup.name, sizeof(backup.name), key->name);
    KV_TRY(kv_map_key_backup(sync->map, &backup, err));
    if (!backup.taken)
        return KV_OK;
    KV_TRY(kv_map_find(sync->map, &query, &list, err));
    for (size_t i = 0; i < list.count; i++)
        if (kv_version_is_there(list.items[i]) && !kv_map_key_backup_has(&backup, list.items[i]->version))
            KV_TRY(add_missing(sync, list.items[i], &lag, err));
    measure_backup(sync, &backup, lag.missing);
    if (lag.missing)
        tell_lag(sync, &backup, &lag);
    return KV_OK;
}

/* --- purge protection, which a vault has for all its keys --- */

struct protection {
    int64_t keys, without; /* of those that tell */
    int64_t last;          /* when it was last seen */
    char level[48];        /* of one without */
};

static void look_at_protection(struct protection *protection, const struct kv_map_key *key)
{
    if (key->protected_at > protection->last)
        protection->last = key->protected_at;
    if (!key->versions || !*key->recovery)
        return;
    protection->keys++;
    if (kv_recovery_is_protected(key->recovery))
        return;
    protection->without++;
    (void)kv_text_fit(protection->level, sizeof(protection->level), key->recovery);
}

/* One that never had it is the business of `kvp11 doctor`: here it is told that it is gone. */
static void tell_protection(struct kv_sync *sync, const struct protection *protection)
{
    char when[21];
    if (protection->keys)
        kv_metric_add(sync->metrics, KV_METRIC_PURGE_PROTECTION, (const char *[]){ sync->config->name },
                      protection->without == 0);
    if (!protection->without || !protection->last)
        return;
    kv_clock_text(protection->last, when);
    kv_sync_add(
        sync, (struct kv_alarm){
                  .level = KV_LEVEL_WARNING,
                  .kind = KV_ALARM_PURGE_PROTECTION,
                  .found = kv_text_format("the vault has lost its purge protection ('%s'; it had it %s): who "
                                          "may purge can destroy %" PRId64 " keys, and all that is "
                                          "wrapped under them, for ever",
                                          protection->level, when, protection->without),
                  .next = kv_mend_protection(sync->config),
                  .days_left = -1 });
}

static void measure_key(struct kv_sync *sync, const struct kv_map_key *key)
{
    const char *labels[] = { sync->config->name, key->name };
    const struct kv_sync_gone *gone = kv_sync_gone_of(sync, key->name);
    kv_metric_add(sync->metrics, KV_METRIC_KEY_VERSIONS, labels, key->versions);
    if (gone && gone->asked && gone->deleted.recoverable && gone->deleted.purge)
        kv_metric_add(sync->metrics, KV_METRIC_SCHEDULED_PURGE, labels, gone->deleted.purge);
}

enum kv_status kv_sync_keys(struct kv_sync *sync, struct kv_error *err)
{
    struct protection protection = { .keys = 0 };
    char after[KV_NAME_SIZE] = "";
    for (;;) {
        KV_AUTO_FREE struct kv_map_key *keys = NULL;
        size_t count = 0;
        KV_TRY(kv_map_key_page(sync->map, sync->config->name, after, &keys, &count, err));
        if (!count)
            break;
        for (size_t i = 0; i < count; i++) {
            measure_key(sync, &keys[i]);
            look_at_room(sync, &keys[i]);
            look_at_protection(&protection, &keys[i]);
            KV_TRY(look_at_backup(sync, &keys[i], err));
        }
        memcpy(after, keys[count - 1].name, sizeof(after));
    }
    tell_protection(sync, &protection);
    return KV_OK;
}

/* --- what the token stands on --- */

static const char *thing(const char *kind)
{
    if (!strcmp(kind, "client-secret"))
        return "secret";
    return strcmp(kind, "client-certificate") ? "secret or certificate" : "certificate";
}

void kv_sync_credential(struct kv_sync *sync)
{
    struct kv_credential_end end = { 0 };
    struct kv_error why = { 0 };
    char when[21];
    if (kv_core_credential_ends(sync->tool->core, sync->vault, &end, &why) != KV_OK) {
        kv_common_note("vault '%s': nothing tells when its credential ends: %s", sync->config->name,
                       why.text);
        return;
    }
    if (!end.at)
        return;
    kv_metric_add(sync->metrics, KV_METRIC_CREDENTIAL_EXPIRY,
                  (const char *[]){ sync->config->name, end.kind }, end.at);
    int64_t left = end.at - sync->now;
    if (left >= (int64_t)KV_EXPIRY_DAYS * DAY)
        return;
    kv_clock_text(end.at, when);
    kv_sync_add(
        sync, (struct kv_alarm){
                  .level = left <= 0 ? KV_LEVEL_CRITICAL : KV_LEVEL_WARNING,
                  .kind = KV_ALARM_CREDENTIAL,
                  .found = kv_text_format("the %s of credential '%s' %s %s: without a new one there are no "
                                          "tokens, and nothing opens",
                                          thing(end.kind), end.kind, left <= 0 ? "has ended" : "ends", when),
                  .next = kv_mend_credential(sync->config, end.kind),
                  .days_left = left > 0 ? left / DAY : 0 });
}
