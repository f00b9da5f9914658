#include "keyring_private.h"

#include <string.h>

static bool is_lost(enum kv_status status)
{
    return status == KV_UNREACHABLE || status == KV_TIMED_OUT || status == KV_PROTOCOL || status == KV_SERVER;
}

static enum kv_status hear_new(struct kv_keyring *keyring, const char *name, struct kv_vault_key *item,
                               struct kv_error *err)
{
    struct kv_merge_input input = { .name = name, .heard = KV_HEARD_CURRENT, .items = item, .count = 1 };

    return kv_keyring_hear(keyring, &input, true, err);
}

/* A version from the rows as they are now. */
static enum kv_status row_of(struct kv_keyring *keyring, const char *name, const char *version,
                             struct kv_version **ret, struct kv_error *err)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    KV_TRY(kv_keyring_rows(keyring, name, &rows, err));
    const struct kv_version *row =
        version ? kv_merge_find(&rows.list, version) : kv_merge_current(&rows.list);
    if (!row)
        return kv_fail(err, KV_INTERNAL, "key '%s/%s' was changed, but its versions are not known",
                       keyring->parts.config->name, name);
    return kv_keyring_hand_out(keyring, row, false, ret);
}

/* --- rotate --- */
struct rotation {
    struct kv_keyring *keyring;
    const char *name;
    const struct kv_task *task;
    struct kv_version_list before; /* what there was, as completely as we may know */
    char made[KV_VERSION_SIZE];    /* the new one, "" : none yet */
};

static enum kv_status post(struct rotation *rotation, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key item = { 0 };
    enum kv_status status =
        kv_vault_rotate_key(rotation->keyring->parts.vault, rotation->name, rotation->task, &item, err);

    kv_keyring_learn(rotation->keyring);
    KV_TRY(status);
    (void)kv_text_fit(rotation->made, sizeof(rotation->made), item.version);
    return hear_new(rotation->keyring, rotation->name, &item, err);
}

/* The newest version that was not there before; the map's rows come newest first. */
static enum kv_status spot_new(struct rotation *rotation, struct kv_error *err)
{
    const struct kv_version *old = kv_merge_current(&rotation->before);
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    KV_TRY(kv_keyring_rows(rotation->keyring, rotation->name, &rows, err));
    for (size_t i = 0; i < rows.list.count && !*rotation->made; i++) {
        const struct kv_version *row = rows.list.items[i];

        if (!kv_merge_find(&rotation->before, row->version) && old && row->created >= old->created)
            (void)kv_text_fit(rotation->made, sizeof(rotation->made), row->version);
    }
    return KV_OK;
}

/* After a lost reply: did a new version come? KV_OK: the question is settled, see `made`. */
static enum kv_status settle(struct rotation *rotation)
{
    struct kv_keyring *keyring = rotation->keyring;
    /* The rotation's own time may be over; not knowing what came of it would be worse than being late. */
    struct kv_task task = { kv_deadline_in(keyring->parts.clock, keyring->parts.config->timeout_ms),
                            rotation->task->caller };

    KV_TRY(kv_keyring_ask_current(keyring, rotation->name, &task, NULL));
    KV_TRY(spot_new(rotation, NULL));
    if (*rotation->made)
        return KV_OK;
    KV_TRY(kv_keyring_ask_versions(keyring, rotation->name, &task, NULL));
    return spot_new(rotation, NULL);
}

static enum kv_status rotate(struct rotation *rotation, struct kv_error *err)
{
    enum { ATTEMPTS = 2 };
    enum kv_status status = KV_OK;

    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        status = post(rotation, err);
        if (!is_lost(status))
            return status;
        if (settle(rotation) != KV_OK)
            return kv_fail_in(
                err, status,
                "the reply was lost and the versions of '%s/%s' cannot be listed, so a new version may "
                "or may not exist: look with `kvp11 keys` before rotating again",
                rotation->keyring->parts.config->name, rotation->name);
        if (*rotation->made) {
            kv_log_line(rotation->keyring->parts.log, KV_LOG_INFO,
                        "the reply to the rotation of '%s/%s' was lost; version '%s' has come of it",
                        rotation->keyring->parts.config->name, rotation->name, rotation->made);
            return KV_OK;
        }
        if (!kv_deadline_left(rotation->task->deadline))
            break;
    }
    return kv_fail_in(err, status, "key '%s/%s' was not rotated: the vault lists no new version",
                      rotation->keyring->parts.config->name, rotation->name);
}

/* What there is, so that a new version can be told from an old one. Without permission to list it is what the map knows. */
static enum kv_status take_stock(struct rotation *rotation, struct kv_error *err)
{
    struct kv_keyring *keyring = rotation->keyring;
    KV_AUTO_ROWS struct kv_rows rows = { 0 };
    struct kv_error why = { 0 };

    KV_TRY(kv_keyring_ask_current(keyring, rotation->name, rotation->task, err));
    enum kv_status status = kv_keyring_ask_versions(keyring, rotation->name, rotation->task, &why);
    if (kv_keyring_is_vault_wide(status)) {
        if (err)
            *err = why;
        return status;
    }
    KV_TRY(kv_keyring_rows(keyring, rotation->name, &rows, err));
    rotation->before = rows.list;
    rows.list = (struct kv_version_list){ 0 };
    return KV_OK;
}

enum kv_status kv_keyring_rotate(struct kv_keyring *keyring, const char *name, const struct kv_task *task,
                                 struct kv_version **ret_old, struct kv_version **ret_new,
                                 struct kv_error *err)
{
    struct rotation rotation = { .keyring = keyring, .name = name, .task = task };
    KV_AUTO_VERSION struct kv_version *old = NULL, *made = NULL;

    KV_TRY(kv_keyring_check_name(keyring, name, err));
    enum kv_status status = take_stock(&rotation, err);
    const struct kv_version *current = kv_merge_current(&rotation.before);
    if (status == KV_OK)
        status = rotate(&rotation, err);
    if (status == KV_OK && current)
        status = row_of(keyring, name, current->version, &old, err);
    kv_version_list_free(&rotation.before);
    KV_TRY(status);
    KV_TRY(row_of(keyring, name, rotation.made, &made, err));
    *ret_old = kv_take(old);
    *ret_new = kv_take(made);
    return KV_OK;
}

/* --- create --- */
enum kv_status kv_keyring_create(struct kv_keyring *keyring, const struct kv_vault_create *create,
                                 const struct kv_task *task, struct kv_version **ret, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key item = { 0 };

    KV_TRY(kv_keyring_check_name(keyring, create->name, err));
    /* A second create under one name would silently be a rotation. */
    enum kv_status status = kv_keyring_ask_current(keyring, create->name, task, err);
    if (status == KV_OK)
        return kv_fail(err, KV_CONFLICT,
                       "key '%s/%s' exists already: `kvp11 rotate %s` makes its next version",
                       keyring->parts.config->name, create->name, create->name);
    if (status != KV_NOT_FOUND)
        return status;
    status = kv_vault_create_key(keyring->parts.vault, create, task, &item, err);
    kv_keyring_learn(keyring);
    if (status == KV_OK)
        KV_TRY(hear_new(keyring, create->name, &item, err));
    /* It did not exist a moment ago: if it does now, the lost reply was a yes. */
    else if (!is_lost(status) || kv_keyring_ask_current(keyring, create->name, task, NULL) != KV_OK)
        return status;
    return row_of(keyring, create->name, NULL, ret, err);
}
