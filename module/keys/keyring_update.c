/* Changes to a version that exists: its state, its dates, what it may do. */
#include "keyring_private.h"

#include "keys/coverage.h"

/* The row as the map has it now: what was handed out may be older than the last wrap. */
static enum kv_status look_up(struct kv_keyring *keyring, const struct kv_version *version,
                              struct kv_version **ret, struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    KV_TRY(kv_keyring_rows(keyring, version->name, &rows, err));
    const struct kv_version *row = kv_merge_find(&rows.list, version->version);
    *ret = kv_version_ref(row ? row : version);
    return KV_OK;
}

static enum kv_status check_wraps(struct kv_keyring *keyring, const struct kv_version *row,
                                  struct kv_error *err)
{
    char first[21], last[21];
    int64_t wraps = 0;

    KV_TRY(kv_map_wraps_left(keyring->parts.map, row, &wraps, err));
    if (!wraps)
        return KV_OK;
    kv_clock_text(row->first_wrap, first);
    kv_clock_text(row->last_wrap, last);
    return kv_fail(
        err, KV_DEPENDED,
        "version '%s' of key '%s/%s' is needed by %lld wrapped keys or ciphertexts that the map knows "
        "of, since '%s', last '%s': see `kvp11 retire-check %s`",
        row->version, row->vault, row->name, (long long)wraps, first, last, row->kid);
}

static enum kv_status check_backups(struct kv_keyring *keyring, const struct kv_version *row,
                                    struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list first = { 0 };
    const struct kv_map_backup_query query = { .key = kv_map_key_of(row), .limit = 1 };
    struct kv_map_dependants needed = { 0 };
    char since[21];

    KV_TRY(kv_map_dependants(keyring->parts.map, query.key, false, &needed, err));
    if (!needed.backups)
        return KV_OK;
    KV_TRY(kv_map_backup_page(keyring->parts.map, &query, &first, err));
    if (!first.count)
        return kv_fail(err, KV_DEPENDED,
                       "version '%s' of key '%s/%s' is needed by %lld backups: see `kvp11 retire-check %s`",
                       row->version, row->vault, row->name, (long long)needed.backups, row->kid);
    kv_clock_text(first.items[0].created, since);
    return kv_fail(
        err, KV_DEPENDED,
        "version '%s' of key '%s/%s' is needed by %lld backups, such as '%.60s' in '%.100s' since '%s': "
        "see `kvp11 retire-check %s`",
        row->version, row->vault, row->name, (long long)needed.backups, first.items[0].id,
        first.items[0].store, since, row->kid);
}

static enum kv_status send(struct kv_keyring *keyring, const struct kv_vault_update *update,
                           const struct kv_task *task, struct kv_version **ret, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key item = { 0 };
    KV_AUTO_ROWS struct kv_rows rows = { 0 };
    enum kv_status status = kv_vault_update_key(keyring->parts.vault, update, task, &item, err);

    kv_keyring_learn(keyring);
    KV_TRY(status);
    struct kv_merge_input input = { .name = update->name,
                                    .heard = KV_HEARD_VERSION,
                                    .items = &item,
                                    .count = 1,
                                    .version = update->version };
    KV_TRY(kv_keyring_hear(keyring, &input, false, err));
    KV_TRY(kv_keyring_rows(keyring, update->name, &rows, err));
    const struct kv_version *row = kv_merge_find(&rows.list, update->version);
    if (!row)
        return kv_fail(err, KV_INTERNAL, "version '%s' of key '%s' was changed, but is not known",
                       update->version, update->name);
    return kv_keyring_hand_out(keyring, row, false, ret);
}

/* What names mean from now on, so only what can seal and sign. */
static enum kv_status check_promotable(struct kv_keyring *keyring, const struct kv_version *row,
                                       struct kv_error *err)
{
    enum kv_state state = kv_state_of(row->enabled, row->nbf, row->exp, kv_keyring_now(keyring));

    if (keyring->parts.config->adopt != KV_ADOPT_MANUAL)
        return kv_fail(err, KV_CONFIG,
                       "vault '%s' has 'adopt = auto': the newest version is current, and no other can be "
                       "promoted; set 'adopt = manual' for that",
                       row->vault);
    if (kv_version_is_there(row) && state == KV_STATE_ENABLED)
        return KV_OK;
    return kv_fail(err, KV_DISABLED, "version '%s/%s@%s' is %s, so it cannot become current", row->vault,
                   row->name, row->version, kv_state_name(kv_version_is_there(row) ? state : row->state));
}

enum kv_status kv_keyring_promote(struct kv_keyring *keyring, const struct kv_version *version,
                                  struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *row = NULL, *copy = NULL;

    KV_TRY(look_up(keyring, version, &row, err));
    KV_TRY(check_promotable(keyring, row, err));
    copy = kv_version_copy(row);
    if (!copy)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    copy->current = true;
    copy->entry = 0; /* it is meant, whatever others have written since */
    copy->seen = kv_keyring_now(keyring);
    return kv_map_store(keyring->parts.map, &copy, 1, err);
}

enum kv_status kv_keyring_update(struct kv_keyring *keyring, const struct kv_version *version,
                                 const struct kv_keyring_update *change, const struct kv_task *task,
                                 struct kv_version **ret, struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *row = NULL;

    KV_TRY(look_up(keyring, version, &row, err));
    unsigned operations = (row->operations | change->allow) & ~change->forbid;
    const struct kv_vault_update update = { .name = row->name,
                                            .version = row->version,
                                            .nbf = change->nbf,
                                            .exp = change->exp,
                                            .operations =
                                                change->allow || change->forbid ? &operations : NULL };
    return send(keyring, &update, task, ret, err);
}

enum kv_status kv_keyring_disable(struct kv_keyring *keyring, const struct kv_version *version,
                                  const struct kv_task *task, struct kv_version **ret, struct kv_error *err)
{
    static const bool enabled = false;
    KV_AUTO_VERSION struct kv_version *row = NULL;

    kv_ledger_flush(keyring->ledger);
    KV_TRY(look_up(keyring, version, &row, err));
    KV_TRY(check_wraps(keyring, row, err));
    KV_TRY(check_backups(keyring, row, err));
    const struct kv_vault_update update = { .name = row->name, .version = row->version, .enabled = &enabled };
    return send(keyring, &update, task, ret, err);
}
