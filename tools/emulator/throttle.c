#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "route.h"
#include "throttle.h"

enum { WINDOW_MS = 10000, QUOTA = 4000, CREATE = 20, IMPORT = 300 };

/* Transactions that a vault takes in ten seconds: contract §9.1 as it is printed there. */
static const struct {
    const char *type;
    int bits, hsm, software;
} table[] = {
    { "RSA", 2048, 2000, 4000 }, { "RSA", 3072, 500, 1000 }, { "RSA", 4096, 250, 500 },
    { "EC", 0, 2000, 4000 },     { "oct", 0, 2000, 4000 },
};

void em_throttle_set(struct em_vault *vault, int quota, int retry_after)
{
    static const int parts[EM_BUCKETS] = { [EM_USE] = QUOTA, [EM_CREATE] = CREATE, [EM_IMPORT] = IMPORT };
    struct em_throttle *throttle = &vault->throttle;
    pthread_mutex_lock(&throttle->lock);
    for (int i = 0; i < EM_BUCKETS; i++) {
        struct em_bucket *bucket = &throttle->buckets[i];
        double part = (double)quota * parts[i] / QUOTA;
        bucket->quota = quota && part < 1 ? 1 : part;
        bucket->count = bucket->first = 0;
        bucket->sum = 0;
    }
    throttle->retry_after = retry_after;
    pthread_mutex_unlock(&throttle->lock);
}

static double price(const char *type, int bits, bool hsm)
{
    for (size_t i = 0; i < EM_COUNT(table); i++) {
        if (strcmp(table[i].type, type) == 0 && (!table[i].bits || table[i].bits == bits))
            return (double)QUOTA / (hsm ? table[i].hsm : table[i].software);
    }
    return 1;
}

/* By the version that is asked for; a list, or a key that is not there, costs as little as anything. */
static double price_of_use(struct em_call *call)
{
    READ_STORE(&call->world->store);
    const struct em_key *key = *call->name ? em_store_live(call->vault, call->name, call->now_ms) : NULL;
    const struct em_version *version = key ? em_key_version(key, call->version) : NULL;
    if (!version)
        return 1;
    const struct em_material *material = version->shared->material;
    return price(em_material_type(material), em_material_bits(material),
                 strstr(version->kty, "-HSM") != NULL);
}

static enum em_bucket_kind kind_of(const struct em_call *call)
{
    const char *perm = call->route->perm;
    if (strcmp(perm, "create") == 0 || strcmp(perm, "rotate") == 0)
        return EM_CREATE;
    return strcmp(perm, "import") == 0 || strcmp(perm, "certcreate") == 0 ? EM_IMPORT : EM_USE;
}

/* A create names its type in a body that nobody has looked at yet. */
static double price_of(struct em_call *call, enum em_bucket_kind kind)
{
    const char *body = call->request->body;
    if (kind == EM_USE)
        return price_of_use(call);
    if (kind == EM_IMPORT)
        return 1;
    return (body ? strstr(body, "-HSM\"") != NULL : price_of_use(call) > 1) ? 2 : 1;
}

static void expire(struct em_bucket *bucket, int64_t now)
{
    for (; bucket->first < bucket->count && bucket->taken[bucket->first].at <= now - WINDOW_MS;
         bucket->first++)
        bucket->sum -= bucket->taken[bucket->first].price;
    if (bucket->first == bucket->count)
        bucket->first = bucket->count = 0;
    if (bucket->first < 1000)
        return;
    bucket->count -= bucket->first;
    memmove(bucket->taken, bucket->taken + bucket->first, bucket->count * sizeof(*bucket->taken));
    bucket->first = 0;
}

/* What is turned away does not count. */
static bool take(struct em_bucket *bucket, double cost, int64_t now)
{
    expire(bucket, now);
    if (bucket->quota <= 0)
        return true;
    if (bucket->sum > 0 && bucket->sum + cost > bucket->quota)
        return false;
    if (bucket->count == bucket->room) {
        bucket->room = bucket->room ? 2 * bucket->room : 64;
        bucket->taken = realloc(bucket->taken, bucket->room * sizeof(*bucket->taken));
        if (!bucket->taken)
            em_die("out of memory");
    }
    bucket->taken[bucket->count++] = (struct em_taken){ now, cost };
    bucket->sum += cost;
    return true;
}

/* The machine's clock, not the emulator's: moving that one must not fill buckets. */
bool em_throttle_check(struct em_call *call)
{
    struct em_throttle *throttle = &call->vault->throttle;
    enum em_bucket_kind kind = kind_of(call);
    double cost = price_of(call, kind);
    pthread_mutex_lock(&throttle->lock);
    bool room = take(&throttle->buckets[kind], cost, em_clock_real_ms());
    int seconds = throttle->retry_after;
    pthread_mutex_unlock(&throttle->lock);
    if (room)
        return true;
    if (!seconds && call->world->settings.value[EM_RETRY_AFTER])
        seconds = 1;
    if (seconds) {
        AUTO_TEXT text = em_format("%d", seconds);
        em_reply_header(call->reply, "Retry-After", text);
    }
    return em_call_fail(call, EM_THROTTLED);
}
