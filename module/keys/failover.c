#include "failover.h"

#include <stdio.h>
#include <string.h>
#include "key_ops_private.h"

/* One opening on its way through the places of its version. */
struct round {
    const struct kv_key_use *use;
    unsigned operation;
    const struct kv_vault_op *op;
    struct kv_place places[KV_FAILOVER_PLACES]; /* the own vault alone, until the others are looked up */
    size_t count;
    bool gathered;
    bool own_failed, own_patient; /* the latter: with all the time there was */
    struct kv_error own;          /* why */
    struct kv_buffer refused;     /* "'dr/kek@…': why; 'hsm/…': why" */
};

static void round_free(struct round *round)
{
    for (size_t i = 0; i < round->count; i++)
        kv_version_free(round->places[i].version);
    kv_buffer_free(&round->refused);
}

/* --- what is remembered --- */

static int64_t pause_of(const struct kv_keyring *keyring)
{
    return keyring->parts.config->failover_pause_ms;
}

static void tell_change(struct kv_keyring *keyring, bool away, const char *why)
{
    const char *vault = keyring->parts.config->name;

    if (away)
        kv_log_line(keyring->parts.log, KV_LOG_WARN,
                    "vault '%s' failed; for %lld ms those of its `failover` that have the same key are asked "
                    "before it: %s",
                    vault, (long long)pause_of(keyring), why);
    else
        kv_log_line(keyring->parts.log, KV_LOG_INFO, "vault '%s' answers again", vault);
}

/* The lock is held. A look that has an older answer does not wait for a vault that is not there. */
static void rest(struct kv_keyring *keyring, enum kv_status status)
{
    keyring->down = kv_keyring_is_out_of_reach(status) ? status : KV_OK;
    keyring->down_until_ms = keyring->reach.away_until_ms;
}

/* The lock is held. */
static void note_gone(struct kv_keyring *keyring, const struct kv_vault_op *op, int64_t now_ms)
{
    char key[KV_KEYRING_KEY];

    kv_keyring_name_version(key, op->name, op->version);
    struct kv_slot *slot = kv_keyring_slot(keyring, key);
    if (slot)
        slot->gone_until_ms = now_ms + pause_of(keyring);
}

void kv_failover_note(struct kv_keyring *keyring, const struct kv_vault_op *op, enum kv_status status,
                      int64_t took_ms, const struct kv_error *err)
{
    int64_t now = kv_keyring_steady(keyring);

    pthread_mutex_lock(&keyring->lock);
    bool changed = kv_reach_note(&keyring->reach, status, took_ms, now, pause_of(keyring));
    if (status == KV_NOT_FOUND && op)
        note_gone(keyring, op, now);
    bool away = keyring->reach.away_until_ms != 0;
    if (keyring->elsewhere_count && (away || changed))
        rest(keyring, status);
    pthread_mutex_unlock(&keyring->lock);
    if (changed && keyring->elsewhere_count)
        tell_change(keyring, away, err && *err->text ? err->text : kv_status_text(status));
}

bool kv_failover_is_away(struct kv_keyring *keyring)
{
    pthread_mutex_lock(&keyring->lock);
    bool away = keyring->elsewhere_count && kv_reach_is_away(&keyring->reach, kv_keyring_steady(keyring));
    pthread_mutex_unlock(&keyring->lock);
    return away;
}

/* Is this version not there, as far as is known? The lock is held. */
static bool is_gone(struct kv_keyring *keyring, const struct kv_version *version, int64_t now_ms)
{
    char key[KV_KEYRING_KEY];

    if (!kv_version_is_there(version) || !version->enabled)
        return true;
    kv_keyring_name_version(key, version->name, version->version);
    struct kv_slot *slot = kv_keyring_slot(keyring, key);
    return slot && now_ms < slot->gone_until_ms;
}

/* --- the places --- */

static size_t places_left(const struct round *round, size_t asked)
{
    size_t all = round->gathered ? round->count : 1 + round->use->keyring->elsewhere_count;

    return all - asked;
}

static void add_own(struct round *round)
{
    struct kv_keyring *keyring = round->use->keyring;
    int64_t now = kv_keyring_steady(keyring),
            share = kv_failover_share(kv_deadline_left(round->use->task->deadline), places_left(round, 0));

    pthread_mutex_lock(&keyring->lock);
    bool away = is_gone(keyring, round->use->version, now) || !kv_reach_try(&keyring->reach, now, share);
    pthread_mutex_unlock(&keyring->lock);
    round->places[round->count++] =
        (struct kv_place){ keyring, kv_version_ref(round->use->version), .own = true, .away = away };
}

/* The same key: proved by the public one; a secret key by its name and version, where the configuration vouches for that. */
static bool is_copy(const struct kv_version *own, const struct kv_version *other)
{
    if (own->kind != other->kind)
        return false;
    if (own->kind == KV_OCT)
        return kv_text_equal_case(own->name, other->name) && kv_text_equal_case(own->version, other->version);
    return own->spki.len && !memcmp(own->spki_sha256, other->spki_sha256, sizeof(own->spki_sha256));
}

/* Of several, one that is likely to answer. No request. */
static struct kv_version *known_copy(struct kv_keyring *keyring, const struct kv_version *own)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_version *best = NULL;
    struct kv_view id = { own->id, sizeof(own->id) };

    if (kv_keyring_rows_all(keyring, id, &list, NULL) != KV_OK)
        return NULL;
    for (size_t i = 0; i < list.count; i++) {
        const struct kv_version *row = list.items[i];

        if (is_copy(own, row) && (!best || (kv_version_is_there(row) && row->enabled)))
            best = row;
    }
    return best ? kv_version_ref(best) : NULL;
}

/* What the other vaults have of this key, as far as is known here; and who is asked first. */
static void gather(struct round *round)
{
    struct kv_keyring *own = round->use->keyring;

    if (round->gathered)
        return;
    for (size_t i = 0; i < own->elsewhere_count; i++) {
        struct kv_keyring *keyring = own->elsewhere[i];
        struct kv_place place = { keyring, known_copy(keyring, round->use->version) };
        int64_t now = kv_keyring_steady(keyring);

        pthread_mutex_lock(&keyring->lock);
        place.latency_ms = keyring->reach.latency_ms;
        place.away =
            kv_reach_is_away(&keyring->reach, now) || (place.version && is_gone(keyring, place.version, now));
        pthread_mutex_unlock(&keyring->lock);
        round->places[round->count++] = place;
    }
    kv_failover_sort(round->places, round->count);
    round->gathered = true;
}

/* --- asking --- */

static enum kv_status refuse_other(struct kv_keyring *keyring, const struct kv_version *own,
                                   const struct kv_version *other, struct kv_error *err)
{
    char key[KV_KEYRING_KEY];
    struct kv_error why = { 0 };
    enum kv_status status =
        kv_fail(&why, KV_WRONG_KEY,
                "'%s' has another public key than '%s' and is not used: restore or import the same key "
                "there, or take '%s' out of `failover`",
                other->kid, own->kid, keyring->parts.config->name);

    kv_keyring_name_version(key, other->name, other->version);
    pthread_mutex_lock(&keyring->lock);
    struct kv_slot *slot = kv_keyring_slot(keyring, key);
    bool told = slot && slot->other_told;
    if (slot)
        slot->other_told = true;
    pthread_mutex_unlock(&keyring->lock);
    if (!told)
        kv_log_line(keyring->parts.log, KV_LOG_WARN, "%s", why.text);
    if (err)
        *err = why;
    return status;
}

/* By one GET at the most: the same name and version, as a restore leaves them. */
static enum kv_status look_for_copy(const struct round *round, struct kv_place *place,
                                    const struct kv_task *task, struct kv_error *err)
{
    const struct kv_version *own = round->use->version;
    struct kv_look_version wanted = { own->name, own->version, INT64_MAX, false };
    KV_AUTO_VERSION struct kv_version *row = NULL;
    bool unreachable;
    int64_t from = kv_keyring_steady(place->keyring);
    enum kv_status status = kv_keyring_look_version(place->keyring, &wanted, task, &row, &unreachable, err);

    if (status != KV_OK) {
        kv_failover_note(place->keyring, NULL, status, kv_keyring_steady(place->keyring) - from, err);
        return status;
    }
    if (!is_copy(own, row))
        return refuse_other(place->keyring, own, row, err);
    place->version = kv_take(row);
    return KV_OK;
}

/* `places`: how many there are still to ask, with this one. */
static enum kv_status ask(const struct round *round, struct kv_place *place, size_t places,
                          struct kv_bytes *ret, struct kv_error *err)
{
    struct kv_task task = *round->use->task;
    struct kv_key_use there = *round->use;
    struct kv_vault_op op = *round->op;

    if (!kv_deadline_left(task.deadline))
        return kv_fail(err, KV_TIMED_OUT, "no time was left to ask");
    task.elsewhere = places > 1;
    task.deadline =
        kv_deadline_again(task.deadline, kv_failover_share(kv_deadline_left(task.deadline), places));
    if (!place->version)
        KV_TRY(look_for_copy(round, place, &task, err));
    there.keyring = place->keyring;
    there.version = place->version;
    there.task = &task;
    op.name = place->version->name;
    op.version = place->version->version;
    KV_TRY(kv_key_ops_choose(place->version, round->operation, &op.operation, err));
    return kv_key_ops_remote(&there, &op, ret, err);
}

/* The own vault has the last word but for the way to it; a copy's word on the data is as good, for it is the same key. */
static bool is_final(const struct kv_place *place, enum kv_status status)
{
    if (status == KV_OK || kv_failover_is_ours(status))
        return true;
    if (place->own)
        return !kv_failover_is_due(status);
    return status == KV_BAD_CIPHERTEXT || status == KV_BAD_WRAPPED_KEY;
}

static enum kv_status remember(struct round *round, const struct kv_place *place, const struct kv_error *why)
{
    char name[KV_KEY_OPS_NAME];

    if (place->own) {
        round->own = *why;
        round->own_failed = true;
        round->own_patient = round->gathered && place == &round->places[round->count - 1];
        return KV_OK;
    }
    const char *where =
        place->version ? kv_key_ops_name(place->version, name) : place->keyring->parts.config->name;
    return kv_buffer_format(&round->refused, "%s'%s': %.300s", round->refused.bytes.len ? "; " : "", where,
                            *why->text ? why->text : kv_status_text(why->status));
}

static const char *refusals(const struct round *round)
{
    return round->refused.bytes.len ? (const char *)round->refused.bytes.data : "";
}

static void tell_where(const struct round *round, const struct kv_place *place)
{
    struct kv_keyring *own = round->use->keyring;
    const char *caller = round->use->task->caller;
    char asked[KV_KEY_OPS_NAME], opened[KV_KEY_OPS_NAME];

    if (place->own && !round->refused.bytes.len)
        return;
    kv_log_line(own->parts.log, KV_LOG_INFO, "%s: data for '%s' was opened by '%s'%s%s%s%s",
                caller ? caller : "kvp11", kv_key_ops_name(round->use->version, asked),
                kv_key_ops_name(place->version, opened),
                round->own_failed ? ": "
                : place->own      ? ""
                                  : ", for its own vault or version was not there a moment ago",
                round->own_failed ? round->own.text : "", round->refused.bytes.len ? "; " : "",
                refusals(round));
}

/* One line for all of them; what the service said stays that of the own vault. */
static enum kv_status fail_everywhere(const struct round *round, struct kv_error *err)
{
    const struct kv_error *own = &round->own;

    if (!err)
        return own->status;
    *err = *own;
    snprintf(err->text, sizeof(err->text), "%.480s; nor does another vault of `failover` open it: %s",
             own->text, refusals(round));
    return own->status;
}

/* Asks in turn; KV_OK and *ret_done false: nobody has said a last word. */
static enum kv_status go_round(struct round *round, bool *ret_done, struct kv_bytes *ret,
                               struct kv_error *err)
{
    *ret_done = true;
    for (size_t i = 0; i < round->count; i++) {
        struct kv_place *place = &round->places[i];
        struct kv_error why = { 0 };
        enum kv_status status = ask(round, place, places_left(round, i), ret, &why);

        why.status = status;
        if (status == KV_OK)
            tell_where(round, place);
        else if (is_final(place, status) && err)
            *err = why;
        if (is_final(place, status))
            return status;
        KV_TRY(remember(round, place, &why));
        gather(round);
    }
    *ret_done = false;
    return KV_OK;
}

/* There was no use in hurrying: what was not waited for before (a Retry-After, a back-off) is now. */
static enum kv_status wait_for_own(struct round *round, bool *ret_done, struct kv_bytes *ret,
                                   struct kv_error *err)
{
    static const enum kv_status passing[] = { KV_THROTTLED, KV_SERVER, KV_UNREACHABLE, KV_TIMED_OUT };
    bool worth = false;
    struct kv_error why = { 0 };
    struct kv_place *own = round->places;

    while (!own->own)
        own++;
    for (size_t i = 0; i < sizeof(passing) / sizeof(*passing); i++)
        worth = worth || passing[i] == round->own.status;
    if (round->own_patient || !worth || !kv_deadline_left(round->use->task->deadline))
        return KV_OK;
    enum kv_status status = ask(round, own, 1, ret, &why);
    why.status = status;
    *ret_done = is_final(own, status);
    if (status == KV_OK)
        tell_where(round, own);
    else if (*ret_done && err)
        *err = why;
    return *ret_done ? status : remember(round, own, &why);
}

static bool applies(const struct kv_key_use *use)
{
    const struct kv_keyring *keyring = use->keyring;

    /* A proof is of this vault. What it has disabled is disabled, wherever there are copies. */
    return keyring->elsewhere_count && !use->trial && use->version->enabled &&
           (use->version->kind != KV_OCT || keyring->parts.config->failover_secret_keys);
}

enum kv_status kv_failover_open(const struct kv_key_use *use, unsigned operation,
                                const struct kv_vault_op *op, struct kv_bytes *ret, struct kv_error *err)
{
    KV_CLEANUP(round_free) struct round round = { .use = use, .operation = operation, .op = op };
    bool done;

    if (!applies(use))
        return kv_key_ops_remote(use, op, ret, err);
    add_own(&round);
    if (round.places[0].away)
        gather(&round);
    enum kv_status status = go_round(&round, &done, ret, err);
    if (!done && status == KV_OK)
        status = wait_for_own(&round, &done, ret, err);
    if (done || status != KV_OK)
        return status;
    return fail_everywhere(&round, err);
}
