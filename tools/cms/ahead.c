#include "ahead.h"

#include <pthread.h>

enum { SLOTS = 3 };

struct slot {
    struct kv_bytes bytes;
    size_t len;
    enum kv_status status;
    bool full;
};

struct kv_cms_ahead {
    struct kv_cms_ahead_source source;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct slot slots[SLOTS];
    size_t turn; /* of the one who asks */
    bool held;   /* it works on slots[turn] */
    bool stop, threaded;
    pthread_t thread;
    struct kv_error err; /* of the slot whose status is a failure */
};

static void fill(struct kv_cms_ahead *ahead, struct slot *slot)
{
    slot->status = ahead->source.fill(ahead->source.user, slot->bytes.data, &slot->len, &ahead->err);
}

/* False: the slot is not wanted any more. */
static bool wait_for_room(struct kv_cms_ahead *ahead, struct slot *slot)
{
    pthread_mutex_lock(&ahead->lock);
    while (slot->full && !ahead->stop)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    bool go = !ahead->stop;
    pthread_mutex_unlock(&ahead->lock);
    return go;
}

static void set_full(struct kv_cms_ahead *ahead, struct slot *slot, bool full)
{
    pthread_mutex_lock(&ahead->lock);
    slot->full = full;
    pthread_cond_signal(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
}

static void *read_ahead(void *user)
{
    struct kv_cms_ahead *ahead = user;
    struct slot *slot = ahead->slots;
    for (size_t turn = 0; wait_for_room(ahead, slot); slot = &ahead->slots[++turn % SLOTS]) {
        fill(ahead, slot);
        bool last = slot->status != KV_OK || slot->len < ahead->source.piece;
        set_full(ahead, slot, true);
        if (last)
            break;
    }
    return NULL;
}

enum kv_status kv_cms_ahead_start(const struct kv_cms_ahead_source *source, struct kv_cms_ahead **ret,
                                  struct kv_error *err)
{
    KV_AUTO_CMS_AHEAD struct kv_cms_ahead *ahead = calloc(1, sizeof(*ahead));
    if (!ahead)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    ahead->source = *source;
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->changed, NULL);
    for (size_t i = 0; i < SLOTS; i++)
        if (kv_bytes_alloc(source->piece, &ahead->slots[i].bytes) != KV_OK)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
    /* Where there is no thread to be had, it goes without. */
    ahead->threaded = !source->alone && pthread_create(&ahead->thread, NULL, read_ahead, ahead) == 0;
    *ret = kv_take(ahead);
    return KV_OK;
}

void kv_cms_ahead_free(struct kv_cms_ahead *ahead)
{
    if (!ahead)
        return;
    pthread_mutex_lock(&ahead->lock);
    ahead->stop = true;
    pthread_cond_signal(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    if (ahead->threaded)
        pthread_join(ahead->thread, NULL);
    for (size_t i = 0; i < SLOTS; i++)
        kv_bytes_free(&ahead->slots[i].bytes);
    pthread_cond_destroy(&ahead->changed);
    pthread_mutex_destroy(&ahead->lock);
    free(ahead);
}

static struct slot *wait_for_piece(struct kv_cms_ahead *ahead)
{
    struct slot *slot = &ahead->slots[ahead->turn % SLOTS];
    if (ahead->held) {
        set_full(ahead, slot, false);
        slot = &ahead->slots[++ahead->turn % SLOTS];
    }
    ahead->held = true;
    if (!ahead->threaded) {
        fill(ahead, slot);
        return slot;
    }
    pthread_mutex_lock(&ahead->lock);
    while (!slot->full)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    pthread_mutex_unlock(&ahead->lock);
    return slot;
}

enum kv_status kv_cms_ahead_next(struct kv_cms_ahead *ahead, struct kv_view *ret, struct kv_error *err)
{
    struct slot *slot = wait_for_piece(ahead);
    if (slot->status != KV_OK) {
        if (err)
            *err = ahead->err;
        return slot->status;
    }
    *ret = (struct kv_view){ slot->bytes.data, slot->len };
    return KV_OK;
}
