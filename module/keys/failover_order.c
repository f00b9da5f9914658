#include "failover.h"

/* What no reply, or none of the service, looks like; and a version that was deleted here may still be there. */
bool kv_failover_is_due(enum kv_status status)
{
    static const enum kv_status due[] = { KV_UNREACHABLE, KV_TLS,      KV_TIMED_OUT, KV_THROTTLED,
                                          KV_SERVER,      KV_PROTOCOL, KV_BLOCKED,   KV_NOT_FOUND };

    for (size_t i = 0; i < sizeof(due) / sizeof(*due); i++)
        if (due[i] == status)
            return true;
    return false;
}

bool kv_failover_is_ours(enum kv_status status)
{
    return status == KV_CANCELLED || status == KV_NO_MEMORY || status == KV_INTERNAL || status == KV_IO;
}

/* The average of the last answers, the newest counting a quarter. */
static int64_t smoothed(int64_t before, int64_t took_ms)
{
    enum { PARTS = 4 };
    int64_t next = before ? (before * (PARTS - 1) + took_ms) / PARTS : took_ms;

    return next > 0 ? next : 1;
}

bool kv_reach_note(struct kv_reach *reach, enum kv_status status, int64_t took_ms, int64_t now_ms,
                   int64_t pause_ms)
{
    bool was_away = reach->away_until_ms != 0;

    /* Without a token nothing was asked of the vault. */
    if (kv_failover_is_ours(status) || status == KV_CREDENTIAL)
        return false;
    if (kv_failover_is_due(status) && status != KV_NOT_FOUND) {
        reach->away_until_ms = now_ms + pause_ms;
        return !was_away;
    }
    reach->away_until_ms = 0;
    if (status == KV_OK)
        reach->latency_ms = smoothed(reach->latency_ms, took_ms);
    return was_away;
}

bool kv_reach_is_away(const struct kv_reach *reach, int64_t now_ms)
{
    return now_ms < reach->away_until_ms;
}

bool kv_reach_try(struct kv_reach *reach, int64_t now_ms, int64_t share_ms)
{
    if (kv_reach_is_away(reach, now_ms))
        return false;
    if (reach->away_until_ms)
        reach->away_until_ms = now_ms + share_ms;
    return true;
}

static bool goes_before(const struct kv_place *a, const struct kv_place *b)
{
    if (a->away != b->away)
        return b->away;
    if (a->own != b->own)
        return a->own;
    if (!a->version != !b->version)
        return a->version != NULL;
    if (!a->latency_ms != !b->latency_ms)
        return a->latency_ms != 0;
    return a->latency_ms < b->latency_ms;
}

/* By insertion: there are few, and equals stay as they were configured. */
void kv_failover_sort(struct kv_place *places, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct kv_place moved = places[i];
        size_t at = i;

        for (; at && goes_before(&moved, &places[at - 1]); at--)
            places[at] = places[at - 1];
        places[at] = moved;
    }
}

int64_t kv_failover_share(int64_t left_ms, size_t places)
{
    return places > 1 ? left_ms / (int64_t)places : left_ms;
}
