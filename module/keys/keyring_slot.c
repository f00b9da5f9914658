#include "keyring_private.h"

#include <search.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void kv_keyring_name_version(char *ret, const char *name, const char *version)
{
    snprintf(ret, KV_KEYRING_KEY, "%s/%s", name, version);
}

static int compare_slots(const void *a, const void *b)
{
    return strcmp(((const struct kv_slot *)a)->key, ((const struct kv_slot *)b)->key);
}

/* Found without memory: a slot that somebody entered must be left again, however short memory is then. */
struct kv_slot *kv_keyring_slot(struct kv_keyring *keyring, const char *key)
{
    struct kv_slot probe;

    if (!kv_text_fit(probe.key, sizeof(probe.key), key))
        return NULL;
    struct kv_slot **found = tfind(&probe, &keyring->slots, compare_slots);
    if (found)
        return *found;
    KV_AUTO_FREE struct kv_slot *fresh = calloc(1, sizeof(*fresh));
    if (!fresh || !kv_text_fit(fresh->key, sizeof(fresh->key), key))
        return NULL;
    struct kv_slot **node = tsearch(fresh, &keyring->slots, compare_slots);
    if (!node)
        return NULL;
    struct kv_slot *slot = *node;
    if (slot == fresh) {
        fresh = NULL; /* the tree has it now */
        slot->next = keyring->first_slot;
        keyring->first_slot = slot;
    }
    return slot;
}

static void slot_free(struct kv_slot *slot)
{
    kv_version_list_free(&slot->held);
    kv_text_free(slot->failure_text);
    free(slot);
}

void kv_keyring_slots_free(struct kv_keyring *keyring)
{
    while (keyring->first_slot) {
        struct kv_slot *slot = keyring->first_slot;

        keyring->first_slot = slot->next;
        tdelete(slot, &keyring->slots, compare_slots);
        slot_free(slot);
    }
}

/* Waits until the slot is free; the lock is held. False: the deadline came first, or the wish to cancel. */
static bool wait_for(struct kv_keyring *keyring, const struct kv_slot *slot, const struct kv_task *task)
{
    int64_t look;

    while (slot->busy && (look = kv_deadline_look(task->deadline)) > 0 &&
           !kv_deadline_cancelled(task->deadline)) {
        struct timespec until = kv_clock_after(look);
        pthread_cond_timedwait(&keyring->left, &keyring->lock, &until);
    }
    return !slot->busy;
}

static enum kv_status recent_failure(const struct kv_slot *slot, struct kv_error *err)
{
    return kv_fail(err, slot->failure, "%s",
                   slot->failure_text ? slot->failure_text : kv_status_text(slot->failure));
}

/* The lock is held. */
static enum kv_status enter(struct kv_keyring *keyring, const struct kv_keyring_ask *ask,
                            const struct kv_task *task, bool *ret_go, struct kv_error *err)
{
    struct kv_slot *slot = kv_keyring_slot(keyring, ask->key);

    if (!slot)
        return KV_NO_MEMORY;
    if (!ask->force && slot->failure != KV_OK && kv_keyring_steady(keyring) < slot->quiet_until_ms)
        return recent_failure(slot, err);
    if (!ask->force && ask->have_old && keyring->down != KV_OK &&
        kv_keyring_steady(keyring) < keyring->down_until_ms)
        return kv_fail(err, keyring->down, "vault '%s' did not answer a moment ago",
                       keyring->parts.config->name);
    if (!slot->busy) {
        slot->busy = *ret_go = true;
        return KV_OK;
    }
    if (ask->have_old && !ask->force)
        return KV_OK;
    if (!wait_for(keyring, slot, task))
        return kv_fail(err, kv_deadline_cancelled(task->deadline) ? KV_CANCELLED : KV_TIMED_OUT,
                       "vault '%s': another thread is still asking for '%s'", keyring->parts.config->name,
                       ask->key);
    /* Another's call was ended, not ours. */
    if (slot->failure == KV_CANCELLED) {
        slot->busy = *ret_go = true;
        return KV_OK;
    }
    return slot->failure != KV_OK ? recent_failure(slot, err) : KV_OK;
}

enum kv_status kv_keyring_enter(struct kv_keyring *keyring, const struct kv_keyring_ask *ask,
                                const struct kv_task *task, bool *ret_go, struct kv_error *err)
{
    *ret_go = false;
    pthread_mutex_lock(&keyring->lock);
    enum kv_status status = enter(keyring, ask, task, ret_go, err);
    pthread_mutex_unlock(&keyring->lock);
    return status;
}

bool kv_keyring_is_out_of_reach(enum kv_status status)
{
    return status == KV_UNREACHABLE || status == KV_TLS || status == KV_TIMED_OUT;
}

struct kv_task kv_keyring_refresh_task(const struct kv_keyring *keyring, const struct kv_task *task,
                                       bool have_old)
{
    if (!have_old || kv_deadline_left(task->deadline) <= KV_KEYRING_REFRESH_MS)
        return *task;
    struct kv_task sooner = *task;
    sooner.deadline = kv_deadline_again(task->deadline, KV_KEYRING_REFRESH_MS);
    return sooner;
}

/* What failed here and not at the vault is not worth remembering: the next one may have more memory. */
static bool is_own_failure(enum kv_status status)
{
    return status == KV_NO_MEMORY || status == KV_INTERNAL || status == KV_IO || status == KV_CANCELLED;
}

static int64_t quiet_ms(const struct kv_keyring *keyring)
{
    int64_t refresh = keyring->parts.config->refresh_seconds * 1000;

    return refresh < KV_KEYRING_QUIET_MS ? refresh : KV_KEYRING_QUIET_MS;
}

/* One line when the vault goes away and one when it is back, however many keys are asked for meanwhile. */
static void tell_reach(struct kv_keyring *keyring, enum kv_status status, const struct kv_error *err)
{
    bool away = kv_keyring_is_out_of_reach(status);
    const char *vault = keyring->parts.config->name;

    pthread_mutex_lock(&keyring->lock);
    bool news = away ? !keyring->down_told : keyring->down_told && status == KV_OK;
    if (news)
        keyring->down_told = away;
    pthread_mutex_unlock(&keyring->lock);
    if (news && away)
        kv_log_line(
            keyring->parts.log, KV_LOG_WARN,
            "vault '%s' is out of reach; what needs public keys alone goes on with what the version map "
            "knows: %s",
            vault, err && *err->text ? err->text : kv_status_text(status));
    if (news && !away)
        kv_log_line(keyring->parts.log, KV_LOG_INFO, "vault '%s' answers again", vault);
}

void kv_keyring_leave(struct kv_keyring *keyring, const char *key, enum kv_status status,
                      const struct kv_error *err)
{
    pthread_mutex_lock(&keyring->lock);
    struct kv_slot *slot = kv_keyring_slot(keyring, key);

    if (slot) {
        kv_text_free(slot->failure_text);
        slot->busy = false;
        slot->failure = status;
        slot->failure_text = status != KV_OK && err && *err->text ? kv_text_copy(err->text) : NULL;
        slot->quiet_until_ms = is_own_failure(status) ? 0 : kv_keyring_steady(keyring) + quiet_ms(keyring);
        if (status == KV_OK || status == KV_NOT_FOUND)
            slot->doubted = false;
        if (status == KV_OK)
            slot->told = false;
    }
    keyring->down = kv_keyring_is_out_of_reach(status) ? status : KV_OK;
    keyring->down_until_ms = kv_keyring_steady(keyring) + quiet_ms(keyring);
    pthread_cond_broadcast(&keyring->left);
    pthread_mutex_unlock(&keyring->lock);
    tell_reach(keyring, status, err);
}

void kv_keyring_tell(struct kv_keyring *keyring, const char *name, enum kv_status status,
                     const struct kv_error *err)
{
    pthread_mutex_lock(&keyring->lock);
    struct kv_slot *slot = kv_keyring_slot(keyring, name);
    bool told = !slot || slot->told;

    if (slot)
        slot->told = true;
    pthread_mutex_unlock(&keyring->lock);
    if (!told)
        kv_log_line(keyring->parts.log, KV_LOG_WARN, "key '%s/%s' is left out: %s",
                    keyring->parts.config->name, name,
                    err && *err->text ? err->text : kv_status_text(status));
}

bool kv_keyring_is_doubted(struct kv_keyring *keyring, const char *key)
{
    struct kv_slot *slot;

    pthread_mutex_lock(&keyring->lock);
    slot = kv_keyring_slot(keyring, key);
    bool doubted = slot && slot->doubted;
    pthread_mutex_unlock(&keyring->lock);
    return doubted;
}

static void doubt(struct kv_keyring *keyring, const char *key)
{
    struct kv_slot *slot = kv_keyring_slot(keyring, key);

    if (slot) {
        slot->doubted = true;
        slot->failure = KV_OK;
    }
}

void kv_keyring_doubt(struct kv_keyring *keyring, const struct kv_version *version)
{
    char key[KV_KEYRING_KEY];

    kv_keyring_name_version(key, version->name, version->version);
    pthread_mutex_lock(&keyring->lock);
    doubt(keyring, version->name);
    doubt(keyring, key);
    pthread_mutex_unlock(&keyring->lock);
    /* So that the next process asks too. */
    kv_keyring_visit(keyring, version->name, "", KV_CANCELLED);
}
