#include "keyring_change.h"

#include <string.h>
#include <strings.h>

/* --- whose is it --- */

static bool is_imported(const struct kv_vault_import *import, const struct kv_version *version)
{
    const struct kv_view *members = import->members;
    struct kv_public *key = NULL;
    enum kv_status status;

    if (members[KV_JWK_K].data)
        return version->kind == KV_OCT;
    status = import->curve
                 ? kv_public_from_ec(import->curve, members[KV_JWK_X], members[KV_JWK_Y], &key, NULL)
                 : kv_public_from_rsa(members[KV_JWK_N], members[KV_JWK_E], &key, NULL);
    bool is_same = status == KV_OK && kv_view_equal(kv_public_spki(key), KV_VIEW(version->spki));
    kv_public_free(key);
    return is_same;
}

/* What the create leaves to the service is as the service likes it; and it may keep in its HSM what nobody asked it to. */
static bool is_created(const struct kv_vault_create *create, const struct kv_version *version)
{
    static const struct {
        const char *start;
        enum kv_kind kind;
    } kinds[] = { { "RSA", KV_RSA }, { "EC", KV_EC }, { "oct", KV_OCT } };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (!strncasecmp(create->kty, kinds[i].start, strlen(kinds[i].start)) &&
            kinds[i].kind != version->kind)
            return false;
    return (!create->bits || !version->bits || version->kind == KV_EC ||
            create->bits == (int)version->bits) &&
           (!create->curve || !strcmp(create->curve, version->curve));
}

bool kv_change_is_ours(const struct kv_change *change, const struct kv_version *version)
{
    const struct kv_version *old = kv_merge_current(&change->before);

    if (!change->what)
        return !old || (old->kind == version->kind && old->bits == version->bits);
    return change->what->import ? is_imported(change->what->import, version)
                                : is_created(change->what->create, version);
}

static bool is_new(const struct kv_change *change, const struct kv_version *version)
{
    enum {
        SKEW = 300
    }; /* seconds that the vault's clock may be behind ours: a token would not be taken with more */
    const struct kv_version *old = kv_merge_current(&change->before);

    return !kv_merge_find(&change->before, version->version) && kv_version_is_there(version) &&
           version->created >= (old ? old->created : change->started - SKEW);
}

/* --- what has come of it --- */

/* The change's own time may be over; not knowing what came of it would be worse than being late. */
static struct kv_task more_time(const struct kv_change *change)
{
    const struct kv_keyring_parts *parts = &change->keyring->parts;

    return (struct kv_task){ kv_deadline_again(change->task->deadline, parts->config->timeout_ms),
                             change->task->caller };
}

/* The list, and what the name means now, which a list does not tell. *ret_whole false: we may not list, so that what is not seen may be there. */
static enum kv_status look(const struct kv_change *change, const struct kv_task *task, bool *ret_whole)
{
    enum kv_status status = kv_keyring_ask_versions(change->keyring, change->name, task, NULL);

    *ret_whole = status == KV_OK || status == KV_NOT_FOUND;
    if (status != KV_OK && status != KV_DENIED && status != KV_NOT_FOUND)
        return status;
    status = kv_keyring_ask_current(change->keyring, change->name, task, NULL);
    return status == KV_NOT_FOUND ? KV_OK : status;
}

static enum kv_status count_ours(struct kv_change *change, size_t *ret)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };

    KV_TRY(kv_keyring_rows(change->keyring, change->name, &rows, NULL));
    for (size_t i = 0; i < rows.list.count; i++) {
        const struct kv_version *row = rows.list.items[i]; /* newest first */

        if (!is_new(change, row) || !kv_change_is_ours(change, row))
            continue;
        if (!*change->made)
            (void)kv_text_fit(change->made, sizeof(change->made), row->version);
        ++*ret;
    }
    return KV_OK;
}

static enum kv_status unsettled(const struct kv_change *change, enum kv_status lost, struct kv_error *err)
{
    return kv_fail_in(err, lost,
                      "the reply was lost and the versions of '%s/%s' cannot be listed, so a new version may "
                      "or may not exist: look with `kvp11 keys` before doing it again",
                      change->keyring->parts.config->name, change->name);
}

/* The same key twice is the same key; of two that were made apart nobody can tell which is whose. */
static enum kv_status too_many(struct kv_change *change, enum kv_status lost, size_t count,
                               struct kv_error *err)
{
    change->made[0] = '\0';
    return kv_fail_in(
        err, lost,
        "the reply was lost and %zu new versions of '%s/%s' have come meanwhile, so that nobody "
        "can tell which is of this change: look with `kvp11 keys`",
        count, change->keyring->parts.config->name, change->name);
}

enum kv_status kv_change_settle(struct kv_change *change, enum kv_status lost, struct kv_error *err)
{
    struct kv_task task = more_time(change);
    const char *vault = change->keyring->parts.config->name;
    size_t count = 0;
    bool whole = false;

    if (look(change, &task, &whole) != KV_OK || count_ours(change, &count) != KV_OK || (!count && !whole))
        return unsettled(change, lost, err);
    if (count > 1 && !(change->what && change->what->import))
        return too_many(change, lost, count, err);
    if (count) {
        kv_log_line(change->keyring->parts.log, KV_LOG_INFO,
                    "the reply about a new version of '%s/%s' was lost; version '%s' has come of it", vault,
                    change->name, change->made);
        return KV_OK;
    }
    err->maybe_done = false;
    return kv_fail_in(err, lost, "key '%s/%s' has no new version: the vault lists none", vault, change->name);
}
