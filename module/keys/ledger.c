#include "ledger.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { BATCH = 256, BEHIND_MS = 1000 };

struct kv_ledger {
    struct kv_map *map;
    struct kv_log *log;
    const struct kv_clock *clock;
    pthread_mutex_t lock;
    bool written; /* once at least: before that the first entry goes out at once */
    int64_t written_ms;
    bool kept; /* the map does not take entries: `pending` is all there is, oldest first out */
    size_t count;
    struct kv_map_wrap *pending; /* BATCH of them */
};

enum kv_status kv_ledger_open(struct kv_map *map, struct kv_log *log, const struct kv_clock *clock,
                              struct kv_ledger **ret)
{
    struct kv_ledger *ledger = calloc(1, sizeof(*ledger));

    if (!ledger)
        return KV_NO_MEMORY;
    ledger->pending = calloc(BATCH, sizeof(*ledger->pending));
    if (!ledger->pending || pthread_mutex_init(&ledger->lock, NULL)) {
        free(ledger->pending);
        free(ledger);
        return KV_NO_MEMORY;
    }
    ledger->map = map;
    ledger->log = log;
    ledger->clock = clock;
    *ret = ledger;
    return KV_OK;
}

void kv_ledger_free(struct kv_ledger *ledger)
{
    if (!ledger)
        return;
    kv_ledger_flush(ledger);
    pthread_mutex_destroy(&ledger->lock);
    free(ledger->pending);
    free(ledger);
}

static enum kv_status digest_of(struct kv_view blob, unsigned char *ret)
{
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };

    KV_TRY(kv_digest_once("SHA2-256", blob, &digest));
    if (digest.len != 32)
        return KV_INTERNAL;
    memcpy(ret, digest.data, 32);
    return KV_OK;
}

/* Takes the entries that are due out of the ledger; the lock is held. NULL: nothing to write now. */
static struct kv_map_wrap *take_due(struct kv_ledger *ledger, bool all, size_t *ret_count)
{
    int64_t now = ledger->clock->steady_ms(ledger->clock);
    bool due = all || !ledger->written || ledger->count == BATCH || now - ledger->written_ms >= BEHIND_MS;

    if (!due || !ledger->count || ledger->kept)
        return NULL;
    struct kv_map_wrap *batch = calloc(ledger->count, sizeof(*batch));
    if (!batch)
        return NULL;
    memcpy(batch, ledger->pending, ledger->count * sizeof(*batch));
    *ret_count = ledger->count;
    ledger->count = 0;
    ledger->written = true;
    ledger->written_ms = now;
    return batch;
}

/* The lock is held. When there is no room the oldest entry goes. */
static void push(struct kv_ledger *ledger, const struct kv_map_wrap *entry)
{
    if (ledger->count == BATCH) {
        memmove(ledger->pending, ledger->pending + 1, (BATCH - 1) * sizeof(*entry));
        ledger->count--;
    }
    ledger->pending[ledger->count++] = *entry;
}

static void keep(struct kv_ledger *ledger, const struct kv_map_wrap *batch, size_t count, const char *why)
{
    pthread_mutex_lock(&ledger->lock);
    ledger->kept = !kv_map_writable(ledger->map);
    for (size_t i = 0; i < count; i++)
        push(ledger, &batch[i]);
    pthread_mutex_unlock(&ledger->lock);
    kv_log_once(ledger->log, KV_LOG_WARN, "ledger", "the ledger of wraps is kept in memory only: %s", why);
}

static void write_due(struct kv_ledger *ledger, bool all)
{
    size_t count = 0;

    pthread_mutex_lock(&ledger->lock);
    KV_AUTO_FREE struct kv_map_wrap *batch = take_due(ledger, all, &count);
    pthread_mutex_unlock(&ledger->lock);
    if (!batch)
        return;
    struct kv_error err = { 0 };
    enum kv_status status = kv_map_wrapped(ledger->map, batch, count, &err);
    if (status != KV_OK)
        keep(ledger, batch, count, *err.text ? err.text : kv_status_text(status));
}

void kv_ledger_note(struct kv_ledger *ledger, const struct kv_version *version, struct kv_view blob)
{
    struct kv_map_wrap entry = { .at = ledger->clock->unix_seconds(ledger->clock) };

    if (digest_of(blob, entry.digest) != KV_OK)
        return;
    if (!kv_text_fit(entry.vault, sizeof(entry.vault), version->vault) ||
        !kv_text_fit(entry.name, sizeof(entry.name), version->name) ||
        !kv_text_fit(entry.version, sizeof(entry.version), version->version))
        return;
    (void)kv_text_fit(entry.program, sizeof(entry.program), program_invocation_short_name);
    pthread_mutex_lock(&ledger->lock);
    push(ledger, &entry);
    pthread_mutex_unlock(&ledger->lock);
    write_due(ledger, false);
}

void kv_ledger_tick(struct kv_ledger *ledger)
{
    write_due(ledger, false);
}

void kv_ledger_flush(struct kv_ledger *ledger)
{
    write_due(ledger, true);
}

enum kv_status kv_ledger_find(struct kv_ledger *ledger, struct kv_view blob, struct kv_map_wrap *ret,
                              struct kv_error *err)
{
    unsigned char digest[32];
    bool found = false;

    KV_TRY(digest_of(blob, digest));
    pthread_mutex_lock(&ledger->lock);
    for (size_t i = ledger->count; i-- > 0 && !found;) {
        found = !memcmp(ledger->pending[i].digest, digest, sizeof(digest));
        if (found)
            *ret = ledger->pending[i];
    }
    pthread_mutex_unlock(&ledger->lock);
    return found ? KV_OK : kv_map_who_wrapped(ledger->map, digest, ret, err);
}
