#include "limiter.h"

/* clang-format off */
/* Contract §9.1: 4000 ÷ the transactions that the vault allows in ten seconds with a software key; with one in an HSM it allows half as many. */
static const struct {
    enum kv_kind kind;
    unsigned bits; /* up to */
    int64_t weight;
} weights[] = {
    { KV_RSA, 2048, 1 },
    { KV_RSA, 3072, 4 },
    { KV_RSA,   ~0u, 8 },
    { KV_EC,    ~0u, 1 },
    { KV_OCT,   ~0u, 1 },
};
enum { HSM = 2 };

/* Quotas of one vault, of which the first is set and the others follow. New keys in an HSM count twice too: 10 instead of 20. */
static const int64_t quotas[KV_LIMITS] = { [KV_LIMIT_USE] = 4000, [KV_LIMIT_CREATE] = 20, [KV_LIMIT_IMPORT] = 300 };
/* clang-format on */

/* How a share grows back: a hundredth of the quota each second, so that several programs that share a vault find a balance. Shares are not cut twice
 * for answers that were under way at the same time. */
static const double share_least = 1.0 / 64, share_per_ms = 0.01 / 1000;
enum { CUT_ONCE_IN_MS = 1000 };

enum { BURST_MS = KV_LIMITER_WINDOW_MS / 10, BURST_LEAST = 10 }; /* in time at the pace; in weight */

int64_t kv_limiter_weight(enum kv_kind kind, unsigned bits, bool hsm)
{
    size_t i = 0;

    while (i + 1 < sizeof(weights) / sizeof(*weights) && (weights[i].kind != kind || weights[i].bits < bits))
        i++;
    return weights[i].weight * (hsm ? HSM : 1);
}

static void window_init(struct kv_window *window, int64_t quota, int64_t now_ms)
{
    *window = (struct kv_window){ .quota = quota,
                                  .share = 1,
                                  .share_ms = now_ms,
                                  .cut_ms = now_ms - CUT_ONCE_IN_MS,
                                  .newest = now_ms / KV_LIMITER_SLOT_MS,
                                  .paced_ms = (double)now_ms };
}

void kv_limiter_init(struct kv_limiter *limiter, int64_t quota, int64_t now_ms)
{
    pthread_mutex_init(&limiter->lock, NULL);
    for (int i = 0; i < KV_LIMITS; i++) {
        int64_t part = quota * quotas[i] / quotas[KV_LIMIT_USE];
        window_init(&limiter->windows[i], quota && part < 1 ? 1 : part, now_ms);
    }
}

void kv_limiter_free(struct kv_limiter *limiter)
{
    pthread_mutex_destroy(&limiter->lock);
}

/* --- the window; the lock is held --- */

static int64_t *slot(struct kv_window *window, int64_t number)
{
    return &window->spent[number % KV_LIMITER_SLOTS];
}

static void move_on(struct kv_window *window, int64_t now_ms)
{
    int64_t now = now_ms / KV_LIMITER_SLOT_MS;

    if (now - window->newest >= KV_LIMITER_SLOTS)
        window->newest = now - KV_LIMITER_SLOTS;
    while (window->newest < now) {
        int64_t *spent = slot(window, ++window->newest);
        window->used -= *spent;
        *spent = 0;
    }
}

static void spend(struct kv_window *window, int64_t weight, int64_t now_ms)
{
    move_on(window, now_ms);
    *slot(window, window->newest) += weight;
    window->used += weight;
}

static void grow(struct kv_window *window, int64_t now_ms)
{
    if (now_ms <= window->share_ms)
        return;
    window->share += (double)(now_ms - window->share_ms) * share_per_ms;
    window->share = window->share > 1 ? 1 : window->share;
    window->share_ms = now_ms;
}

static int64_t most(const struct kv_window *window)
{
    int64_t part = (int64_t)((double)window->quota * window->share);
    return part < 1 ? 1 : part;
}

/* How long until so much has left the window. What is under way, or waits before us, leaves it a whole window later at the earliest. */
static int64_t until_free(struct kv_window *window, int64_t wanted, int64_t now_ms)
{
    for (int64_t number = window->newest - KV_LIMITER_SLOTS + 1; number <= window->newest; number++) {
        wanted -= number < 0 ? 0 : *slot(window, number);
        if (wanted <= 0)
            return (number + KV_LIMITER_SLOTS) * KV_LIMITER_SLOT_MS - now_ms;
    }
    return KV_LIMITER_WINDOW_MS * (1 + wanted / most(window));
}

/* How long so much takes at an even pace. */
static double pace(const struct kv_window *window, int64_t weight)
{
    return (double)weight * KV_LIMITER_WINDOW_MS / (double)most(window);
}

/* How long until it is due, behind so much that waits; 0: now, or within this millisecond. What is dearer than a whole burst is due when all before it is. */
static int64_t until_due(const struct kv_window *window, int64_t ahead, int64_t weight, int64_t now_ms)
{
    double least = pace(window, BURST_LEAST), burst = least > BURST_MS ? least : BURST_MS;
    double room = burst - pace(window, weight);
    double due = window->paced_ms < (double)now_ms ? (double)now_ms : window->paced_ms;
    double wait = due + pace(window, ahead) - (room > 0 ? room : 0) - (double)now_ms;
    return wait > 0 ? (int64_t)wait : 0;
}

static void note_pace(struct kv_window *window, int64_t weight, int64_t now_ms)
{
    if (window->paced_ms < (double)now_ms)
        window->paced_ms = (double)now_ms;
    window->paced_ms += pace(window, weight);
}

/* Its link in the queue, which it joins at the end; *ret_ahead: what waits before it. */
static struct kv_waiter **line_up(struct kv_window *window, struct kv_waiter *waiter, int64_t *ret_ahead)
{
    struct kv_waiter **link = &window->first;

    *ret_ahead = 0;
    for (; *link && *link != waiter; link = &(*link)->next)
        *ret_ahead += (*link)->cost.weight;
    if (!*link) {
        waiter->next = NULL;
        waiter->queued = true;
        *link = waiter;
    }
    return link;
}

static void step_out(struct kv_waiter **link)
{
    struct kv_waiter *waiter = *link;

    *link = waiter->next;
    waiter->queued = false;
}

/* Alone even what is dearer than the whole quota may go. */
static bool take(struct kv_window *window, struct kv_waiter *waiter, int64_t now_ms, int64_t *ret_wait_ms)
{
    int64_t ahead;
    struct kv_waiter **link = line_up(window, waiter, &ahead);
    int64_t taken = window->used + window->under_way + ahead;
    int64_t lacking = taken + waiter->cost.weight - most(window);

    if (lacking > 0 && taken) {
        *ret_wait_ms = until_free(window, lacking < taken ? lacking : taken, now_ms);
        return false;
    }
    *ret_wait_ms = until_due(window, ahead, waiter->cost.weight, now_ms);
    if (*ret_wait_ms)
        return false;
    step_out(link);
    note_pace(window, waiter->cost.weight, now_ms);
    window->under_way += waiter->cost.weight;
    return true;
}

/* --- what threads call --- */

/* NULL: no such limit; else the lock is held and the window is that of now. */
static struct kv_window *enter(struct kv_limiter *limiter, enum kv_limit limit, int64_t now_ms)
{
    struct kv_window *window = &limiter->windows[limit];

    if (!window->quota) /* set once, before any thread */
        return NULL;
    pthread_mutex_lock(&limiter->lock);
    move_on(window, now_ms);
    grow(window, now_ms);
    return window;
}

bool kv_limiter_take(struct kv_limiter *limiter, struct kv_waiter *waiter, int64_t now_ms,
                     int64_t *ret_wait_ms)
{
    struct kv_window *window = enter(limiter, waiter->cost.limit, now_ms);

    if (!window)
        return true;
    bool taken = take(window, waiter, now_ms, ret_wait_ms);
    pthread_mutex_unlock(&limiter->lock);
    return taken;
}

void kv_limiter_leave(struct kv_limiter *limiter, struct kv_waiter *waiter)
{
    struct kv_waiter **link = &limiter->windows[waiter->cost.limit].first;

    if (!waiter->queued)
        return;
    pthread_mutex_lock(&limiter->lock);
    while (*link != waiter)
        link = &(*link)->next;
    step_out(link);
    pthread_mutex_unlock(&limiter->lock);
}

void kv_limiter_done(struct kv_limiter *limiter, struct kv_cost cost, bool counted, int64_t now_ms)
{
    struct kv_window *window = enter(limiter, cost.limit, now_ms);

    if (!window)
        return;
    window->under_way -= cost.weight;
    if (counted)
        spend(window, cost.weight, now_ms);
    else
        window->paced_ms -= pace(window, cost.weight);
    pthread_mutex_unlock(&limiter->lock);
}

void kv_limiter_owe(struct kv_limiter *limiter, struct kv_cost extra, int64_t now_ms)
{
    struct kv_window *window = enter(limiter, extra.limit, now_ms);

    if (!window)
        return;
    spend(window, extra.weight, now_ms);
    note_pace(window, extra.weight, now_ms);
    pthread_mutex_unlock(&limiter->lock);
}

void kv_limiter_refused(struct kv_limiter *limiter, enum kv_limit limit, int64_t now_ms)
{
    struct kv_window *window = enter(limiter, limit, now_ms);

    if (!window)
        return;
    if (now_ms - window->cut_ms >= CUT_ONCE_IN_MS) {
        window->share = window->share / 2 < share_least ? share_least : window->share / 2;
        window->cut_ms = now_ms;
    }
    pthread_mutex_unlock(&limiter->lock);
}

int64_t kv_limiter_quota(struct kv_limiter *limiter, enum kv_limit limit, int64_t now_ms)
{
    struct kv_window *window = enter(limiter, limit, now_ms);
    int64_t quota = window ? most(window) : 0;

    if (window)
        pthread_mutex_unlock(&limiter->lock);
    return quota;
}
