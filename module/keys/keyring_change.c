#include "keyring_change.h"

#include <string.h>

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
static enum kv_status send(const struct kv_change *change, struct kv_vault_key *ret, struct kv_error *err)
{
    struct kv_vault *vault = change->keyring->parts.vault;

    if (!change->what)
        return kv_vault_rotate_key(vault, change->name, change->task, ret, err);
    if (change->what->import)
        return kv_vault_import_key(vault, change->what->import, change->task, ret, err);
    return kv_vault_create_key(vault, change->what->create, change->task, ret, err);
}

static enum kv_status post(struct kv_change *change, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key item = { 0 };
    enum kv_status status = send(change, &item, err);

    kv_keyring_learn(change->keyring);
    KV_TRY(status);
    (void)kv_text_fit(change->made, sizeof(change->made), item.version);
    return hear_new(change->keyring, change->name, &item, err);
}

/* Sends; where the reply is lost the versions are listed, and what is sent again is a rotation alone, once, and after nothing has come of the first:
 * nobody can tell what is made under a name from what another makes there meanwhile. */
static enum kv_status make_next(struct kv_change *change, struct kv_error *err)
{
    struct kv_error own = { 0 };
    enum kv_status status = KV_OK;

    err = err ? err : &own;
    for (unsigned attempts = change->what ? 1 : 2; attempts; attempts--) {
        status = post(change, err);
        if (status == KV_OK || !err->maybe_done)
            return status;
        status = kv_change_settle(change, status, err);
        if (status == KV_OK || err->maybe_done || !kv_deadline_left(change->task->deadline))
            return status;
    }
    return status;
}

/* What there is, so that a new version can be told from an old one. Without permission to list it is what the map knows. */
static enum kv_status take_stock(struct kv_change *change, struct kv_error *err)
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
static enum kv_status run(struct kv_change *change, struct kv_version **ret_old, struct kv_version **ret_new,
                          struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *old = NULL, *made = NULL;
    enum kv_status status = take_stock(change, err);
    const struct kv_version *current = kv_merge_current(&change->before);

    if (status == KV_OK)
        status = kv_change_begin(change, err);
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
    struct kv_change change = {
        .keyring = keyring, .name = name, .task = task, .started = kv_keyring_now(keyring)
    };

    KV_TRY(kv_keyring_check_name(keyring, name, err));
    KV_TRY(kv_keyring_ask_current(keyring, name, task, err));
    enum kv_status status = run(&change, ret_old, ret_new, err);
    if (status != KV_OK && err && !err->maybe_done && !*change.made)
        (void)!kv_keyring_rotated(keyring, name, NULL);
    return status;
}

/* --- a new key --- */
static enum kv_status make_first(struct kv_change *change, struct kv_version **ret, struct kv_error *err)
{
    KV_TRY(make_next(change, err));
    return row_of(change->keyring, change->name, change->made, ret, err);
}

/* The service is believed, but not blindly: what it says it took in has to be what it was given. */
static enum kv_status check_import(const struct kv_change *change, const struct kv_version *version,
                                   struct kv_error *err)
{
    if (kv_change_is_ours(change, version))
        return KV_OK;
    return kv_fail(err, KV_WRONG_KEY, "version '%s' of '%s/%s' is not the key that was imported",
                   version->version, change->keyring->parts.config->name, change->name);
}

enum kv_status kv_keyring_make(struct kv_keyring *keyring, const struct kv_keyring_new *what,
                               const struct kv_task *task, struct kv_version **ret, struct kv_error *err)
{
    const char *name = what->import ? what->import->name : what->create->name;
    struct kv_change change = {
        .keyring = keyring, .name = name, .what = what, .task = task, .started = kv_keyring_now(keyring)
    };
    KV_AUTO_VERSION struct kv_version *old = NULL, *made = NULL;

    KV_TRY(kv_keyring_check_name(keyring, name, err));
    /* A second create under one name would silently be a rotation. */
    enum kv_status status = kv_keyring_ask_current(keyring, name, task, err);
    if (status == KV_OK && !what->next)
        return kv_fail(
            err, KV_CONFLICT,
            "key '%s/%s' exists already: `kvp11 --vault %s rotate %s` makes its next version, and so does "
            "an application with `new_version = yes`",
            keyring->parts.config->name, name, kv_word(keyring->parts.config->name).text, kv_word(name).text);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    if (status == KV_OK)
        KV_TRY(run(&change, &old, &made, err));
    else
        KV_TRY(make_first(&change, &made, err));
    if (what->import)
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
