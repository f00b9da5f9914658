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

/* --- the next version: by a rotation, or made or brought in under a name that exists --- */
struct change {
    struct kv_keyring *keyring;
    const char *name;
    const struct kv_keyring_new *what; /* NULL: a rotation */
    const struct kv_task *task;
    struct kv_version_list before; /* what there was, as completely as we may know */
    char made[KV_VERSION_SIZE];    /* the new one, "" : none yet */
};

static enum kv_status send(const struct change *change, struct kv_vault_key *ret, struct kv_error *err)
{
    struct kv_vault *vault = change->keyring->parts.vault;

    if (!change->what)
        return kv_vault_rotate_key(vault, change->name, change->task, ret, err);
    if (change->what->import)
        return kv_vault_import_key(vault, change->what->import, change->task, ret, err);
    return kv_vault_create_key(vault, change->what->create, change->task, ret, err);
}

static enum kv_status post(struct change *change, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key item = { 0 };
    enum kv_status status = send(change, &item, err);

    kv_keyring_learn(change->keyring);
    KV_TRY(status);
    (void)kv_text_fit(change->made, sizeof(change->made), item.version);
    return hear_new(change->keyring, change->name, &item, err);
}

/* The newest version that was not there before; the map's rows come newest first. */
static enum kv_status spot_new(struct change *change, struct kv_error *err)
{
    const struct kv_version *old = kv_merge_current(&change->before);
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    KV_TRY(kv_keyring_rows(change->keyring, change->name, &rows, err));
    for (size_t i = 0; i < rows.list.count && !*change->made; i++) {
        const struct kv_version *row = rows.list.items[i];

        if (!kv_merge_find(&change->before, row->version) && old && row->created >= old->created)
            (void)kv_text_fit(change->made, sizeof(change->made), row->version);
    }
    return KV_OK;
}

/* The change's own time may be over; not knowing what came of it would be worse than being late. */
static struct kv_task more_time(const struct change *change)
{
    const struct kv_keyring_parts *parts = &change->keyring->parts;

    return (struct kv_task){ kv_deadline_in(parts->clock, parts->config->timeout_ms), change->task->caller };
}

/* After a lost reply: did a new version come? KV_OK: the question is settled, see `made`. */
static enum kv_status settle(struct change *change)
{
    struct kv_keyring *keyring = change->keyring;
    struct kv_task task = more_time(change);

    KV_TRY(kv_keyring_ask_current(keyring, change->name, &task, NULL));
    KV_TRY(spot_new(change, NULL));
    if (*change->made)
        return KV_OK;
    KV_TRY(kv_keyring_ask_versions(keyring, change->name, &task, NULL));
    return spot_new(change, NULL);
}

static enum kv_status make_next(struct change *change, struct kv_error *err)
{
    /* What is made or brought in goes out once: nobody can tell ours from what another makes under the same name meanwhile. */
    const unsigned attempts = change->what ? 1 : 2;
    const char *vault = change->keyring->parts.config->name;
    enum kv_status status = KV_OK;

    for (unsigned attempt = 0; attempt < attempts; attempt++) {
        status = post(change, err);
        if (!is_lost(status))
            return status;
        if (settle(change) != KV_OK)
            return kv_fail_in(
                err, status,
                "the reply was lost and the versions of '%s/%s' cannot be listed, so a new version may "
                "or may not exist: look with `kvp11 keys` before doing it again",
                vault, change->name);
        if (*change->made) {
            kv_log_line(change->keyring->parts.log, KV_LOG_INFO,
                        "the reply about a new version of '%s/%s' was lost; version '%s' has come of it",
                        vault, change->name, change->made);
            return KV_OK;
        }
        if (!kv_deadline_left(change->task->deadline))
            break;
    }
    return kv_fail_in(err, status, "key '%s/%s' has no new version: the vault lists none", vault,
                      change->name);
}

/* What there is, so that a new version can be told from an old one. Without permission to list it is what the map knows. */
static enum kv_status take_stock(struct change *change, struct kv_error *err)
{
    struct kv_keyring *keyring = change->keyring;
    KV_AUTO_ROWS struct kv_rows rows = { 0 };
    struct kv_error why = { 0 };
    enum kv_status status = kv_keyring_ask_versions(keyring, change->name, change->task, &why);

    if (kv_keyring_is_vault_wide(status)) {
        if (err)
            *err = why;
        return status;
    }
    KV_TRY(kv_keyring_rows(keyring, change->name, &rows, err));
    change->before = rows.list;
    rows.list = (struct kv_version_list){ 0 };
    return KV_OK;
}

/* The name is known to exist. */
static enum kv_status run(struct change *change, struct kv_version **ret_old, struct kv_version **ret_new,
                          struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *old = NULL, *made = NULL;
    enum kv_status status = take_stock(change, err);
    const struct kv_version *current = kv_merge_current(&change->before);

    if (status == KV_OK)
        status = make_next(change, err);
    if (status == KV_OK && current)
        status = row_of(change->keyring, change->name, current->version, &old, err);
    kv_version_list_free(&change->before);
    KV_TRY(status);
    KV_TRY(row_of(change->keyring, change->name, change->made, &made, err));
    *ret_old = kv_take(old);
    *ret_new = kv_take(made);
    return KV_OK;
}

enum kv_status kv_keyring_rotate(struct kv_keyring *keyring, const char *name, const struct kv_task *task,
                                 struct kv_version **ret_old, struct kv_version **ret_new,
                                 struct kv_error *err)
{
    struct change change = { .keyring = keyring, .name = name, .task = task };

    KV_TRY(kv_keyring_check_name(keyring, name, err));
    KV_TRY(kv_keyring_ask_current(keyring, name, task, err));
    return run(&change, ret_old, ret_new, err);
}

/* --- a new key --- */
static enum kv_status make_first(struct change *change, struct kv_version **ret, struct kv_error *err)
{
    enum kv_status status = post(change, err);
    struct kv_task task = more_time(change);

    /* It did not exist a moment ago: if it does now, the lost reply was a yes. */
    if (is_lost(status) && kv_keyring_ask_current(change->keyring, change->name, &task, NULL) == KV_OK)
        status = KV_OK;
    KV_TRY(status);
    return row_of(change->keyring, change->name, *change->made ? change->made : NULL, ret, err);
}

/* What was brought in can be recognised: after a lost reply another's key must not pass for it. */
static enum kv_status check_import(const struct change *change, const struct kv_version *version,
                                   struct kv_error *err)
{
    const struct kv_vault_import *import = change->what->import;
    struct kv_public *key = NULL;

    if (!import || version->kind == KV_OCT)
        return KV_OK;
    if (import->curve)
        KV_TRY(kv_public_from_ec(import->curve, import->members[KV_JWK_X], import->members[KV_JWK_Y], &key,
                                 err));
    else
        KV_TRY(kv_public_from_rsa(import->members[KV_JWK_N], import->members[KV_JWK_E], &key, err));
    bool ours = kv_view_equal(kv_public_spki(key), KV_VIEW(version->spki));
    kv_public_free(key);
    if (ours)
        return KV_OK;
    return kv_fail(err, KV_WRONG_KEY, "version '%s' of '%s/%s' is not the key that was imported",
                   version->version, change->keyring->parts.config->name, change->name);
}

enum kv_status kv_keyring_make(struct kv_keyring *keyring, const struct kv_keyring_new *what,
                               const struct kv_task *task, struct kv_version **ret, struct kv_error *err)
{
    const char *name = what->import ? what->import->name : what->create->name;
    struct change change = { .keyring = keyring, .name = name, .what = what, .task = task };
    KV_AUTO_VERSION struct kv_version *old = NULL, *made = NULL;

    KV_TRY(kv_keyring_check_name(keyring, name, err));
    /* A second create under one name would silently be a rotation. */
    enum kv_status status = kv_keyring_ask_current(keyring, name, task, err);
    if (status == KV_OK && !what->next)
        return kv_fail(err, KV_CONFLICT,
                       "key '%s/%s' exists already: `kvp11 rotate %s` makes its next version, and so does an "
                       "application with `new_version = yes`",
                       keyring->parts.config->name, name, name);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    if (status == KV_OK)
        KV_TRY(run(&change, &old, &made, err));
    else
        KV_TRY(make_first(&change, &made, err));
    KV_TRY(check_import(&change, made, err));
    if (err)
        *err = (struct kv_error){ 0 }; /* what was answered on the way is no failure */
    *ret = kv_take(made);
    return KV_OK;
}

enum kv_status kv_keyring_create(struct kv_keyring *keyring, const struct kv_vault_create *create,
                                 const struct kv_task *task, struct kv_version **ret, struct kv_error *err)
{
    const struct kv_keyring_new what = { .create = create };

    return kv_keyring_make(keyring, &what, task, ret, err);
}
