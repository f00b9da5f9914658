/* What `kvp11 sync` finds, vault by vault: each finding is a row of a kind and a level, with the command that mends it. One thread. */
#ifndef KV_TOOLS_SYNC_H
#define KV_TOOLS_SYNC_H

#include "finding.h"
#include "keys/coverage.h"
#include "keys/watch.h"
#include "metrics.h"

enum kv_alarm_kind {
    KV_ALARM_CHANGE, /* news, and no alarm */
    KV_ALARM_DISABLED,
    KV_ALARM_NOT_YET_VALID,
    KV_ALARM_EXPIRED,
    KV_ALARM_EXPIRES,
    KV_ALARM_CERTIFICATE,
    KV_ALARM_DELETED,
    KV_ALARM_PURGED,
    KV_ALARM_MISSING,
    KV_ALARM_UNREACHABLE,
    KV_ALARM_UNREAD,
    KV_ALARM_WAITING,
    KV_ALARM_PURGE_PROTECTION,
    KV_ALARM_KEY_BACKUP,
    KV_ALARM_ROOM,
    KV_ALARM_CREDENTIAL,
    KV_ALARM_COUNT
};

/* What the vault says of a name that it no longer has. */
struct kv_sync_gone {
    char name[KV_NAME_SIZE];
    bool asked; /* and answered */
    struct kv_keyring_deleted deleted;
};

struct kv_sync {
    struct kv_tool *tool;
    struct kv_findings findings;
    struct kv_map *map;
    int64_t now;
    size_t vault;
    const struct kv_vault_config *config; /* of it */
    struct kv_sync_gone *gone;
    size_t gone_count;
    bool told; /* it answered */
    int64_t found[KV_ALARM_COUNT][KV_LEVEL_CRITICAL + 1];
    struct kv_metrics *metrics;  /* NULL: nobody wants them */
    struct kv_map_survey survey; /* this and the next for them alone */
    int64_t states[KV_STATE_UNREACHABLE + 1];
};

struct kv_alarm {
    enum kv_level level;
    enum kv_alarm_kind kind;
    const struct kv_version *version; /* NULL: a key, or the vault as a whole */
    char *label, *found, *next;       /* taken over; next NULL: nothing to do */
    int64_t days_left;                /* -1: nothing runs out */
    struct kv_map_dependants needed;
    int64_t wraps; /* that stand in none of these backups */
};

/* --- row.c --- */
extern const struct kv_column kv_sync_columns[];
extern const size_t kv_sync_column_count;
const char *kv_alarm_name(enum kv_alarm_kind kind);
void kv_sync_add(struct kv_sync *sync, struct kv_alarm alarm);
/* Every version of the vault that the map knows, in pages. */
typedef enum kv_status kv_sync_look(struct kv_sync *sync, const struct kv_version *version,
                                    struct kv_error *err);
KV_MUST_USE enum kv_status kv_sync_each(struct kv_sync *sync, kv_sync_look *look, struct kv_error *err);

/* --- state.c: versions that cannot be used, or wait to be promoted --- */
KV_MUST_USE enum kv_status kv_sync_deleted(struct kv_sync *sync, const struct kv_version *version,
                                           struct kv_error *err);
KV_MUST_USE enum kv_status kv_sync_waiting(struct kv_sync *sync, const struct kv_version *version,
                                           struct kv_error *err);
KV_MUST_USE enum kv_status kv_sync_state(struct kv_sync *sync, const struct kv_version *version,
                                         struct kv_error *err);
const struct kv_sync_gone *kv_sync_gone_of(const struct kv_sync *sync,
                                           const char *name); /* NULL: it is not */

/* --- expiry.c: current versions, and their certificates, that will expire soon --- */
KV_MUST_USE enum kv_status kv_sync_expiry(struct kv_sync *sync, const struct kv_version *version,
                                          struct kv_error *err);

/* --- watch.c: keys, the vault, and the way to it --- */
KV_MUST_USE enum kv_status kv_sync_keys(struct kv_sync *sync, struct kv_error *err);
void kv_sync_credential(struct kv_sync *sync);

/* --- measure.c: the same for a monitoring system --- */
KV_MUST_USE enum kv_status kv_sync_measure_begin(struct kv_sync *sync, struct kv_error *err);
/* After all that was found of a vault; and after that of all of them. Without metrics these do nothing. */
KV_MUST_USE enum kv_status kv_sync_measure_vault(struct kv_sync *sync, struct kv_error *err);
KV_MUST_USE enum kv_status kv_sync_measure_backups(struct kv_sync *sync, size_t first, size_t end,
                                                   struct kv_error *err);

#endif
