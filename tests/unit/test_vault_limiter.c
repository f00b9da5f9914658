#include "../../module/vault/limiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct kv_cost cheap = { KV_LIMIT_USE, 1 };

/* As many as the limiter lets go at this moment, at most `wanted`; all are answered at once. */
static int64_t burst(struct kv_limiter *limiter, struct kv_cost cost, int64_t wanted, int64_t now)
{
    int64_t gone = 0, wait = 0;
    while (gone < wanted) {
        struct kv_waiter waiter = { .cost = cost };
        bool taken = kv_limiter_take(limiter, &waiter, now, &wait);
        kv_limiter_leave(limiter, &waiter);
        if (!taken)
            break;
        kv_limiter_done(limiter, cost, true, now);
        gone++;
    }
    return gone;
}

static void keys_weigh_what_the_contract_says(void **state)
{
    static const struct {
        enum kv_kind kind;
        unsigned bits;
        int64_t software, hsm; /* transactions in ten seconds */
    } rows[] = {
        { KV_RSA, 2048, 4000, 2000 }, { KV_RSA, 3072, 1000, 500 }, { KV_RSA, 4096, 500, 250 },
        { KV_EC, 256, 4000, 2000 },   { KV_EC, 521, 4000, 2000 },  { KV_OCT, 256, 4000, 2000 },
        { KV_RSA, 0, 4000, 2000 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(4000 / kv_limiter_weight(rows[i].kind, rows[i].bits, false), rows[i].software);
        assert_int_equal(4000 / kv_limiter_weight(rows[i].kind, rows[i].bits, true), rows[i].hsm);
    }
}

static const struct paced {
    enum kv_limit limit;
    int64_t weight, burst, whole; /* of 4000 */
} paced[] = {
    { KV_LIMIT_USE, 1, 400, 4000 }, { KV_LIMIT_USE, 16, 25, 250 }, { KV_LIMIT_USE, 4, 100, 1000 },
    { KV_LIMIT_CREATE, 1, 10, 20 }, { KV_LIMIT_CREATE, 2, 5, 10 }, { KV_LIMIT_IMPORT, 1, 30, 300 }
};

static void a_burst_is_a_part_and_the_rest_is_paced(void **state)
{
    for (size_t i = 0; i < COUNT(paced); i++) {
        const struct paced *row = &paced[i];
        struct kv_limiter limiter;
        struct kv_cost cost = { row->limit, row->weight };
        kv_limiter_init(&limiter, 4000, 77);
        int64_t gone = burst(&limiter, cost, 5000, 77), now = 77;
        assert_int_equal(gone, row->burst);
        for (int64_t second = 1; second < 10; second++) {
            for (int64_t end = 77 + second * 1000; now < end;)
                gone += burst(&limiter, cost, 5000, ++now);
            int64_t due = row->burst + second * row->whole / 10;
            due = due > row->whole ? row->whole : due;
            assert_in_range(gone, due - 1 - due / 100, due);
        }
        while (now < 77 + KV_LIMITER_WINDOW_MS - 1)
            gone += burst(&limiter, cost, 5000, ++now);
        assert_int_equal(gone, row->whole); /* all of the quota, and no more, within its ten seconds */
        kv_limiter_free(&limiter);
    }
}

static void one_at_a_time_waits_for_nothing(void **state)
{
    struct kv_limiter limiter;
    struct kv_cost dear = { KV_LIMIT_USE, 16 };
    int64_t now = 0;
    kv_limiter_init(&limiter, 4000, now);
    for (int i = 0; i < 1000; i++, now += 50) /* each as soon as the one before is answered */
        assert_int_equal(burst(&limiter, dear, 1, now), 1);
    assert_int_equal(burst(&limiter, dear, 1000, now), 25); /* and leaves room for a burst */
    assert_int_equal(burst(&limiter, dear, 1000, now), 0);
    kv_limiter_free(&limiter);
}

static void the_wait_is_until_it_is_due(void **state)
{
    struct kv_limiter limiter;
    struct kv_waiter first = { .cost = cheap }, second = { .cost = { KV_LIMIT_USE, 4 } };
    int64_t wait = 0;
    kv_limiter_init(&limiter, 1000, 0);
    assert_int_equal(burst(&limiter, cheap, 1000, 0), 100);
    assert_false(kv_limiter_take(&limiter, &first, 0, &wait));
    assert_int_equal(wait, 10);
    assert_false(kv_limiter_take(&limiter, &second, 0, &wait));
    assert_int_equal(wait, 50); /* behind the first */
    assert_true(kv_limiter_take(&limiter, &first, 10, &wait));
    assert_false(kv_limiter_take(&limiter, &second, 10, &wait));
    assert_int_equal(wait, 40);
    assert_true(kv_limiter_take(&limiter, &second, 50, &wait));
    kv_limiter_done(&limiter, second.cost, false, 50); /* turned away: it keeps nobody from being due */
    assert_true(kv_limiter_take(&limiter, &second, 50, &wait));
    kv_limiter_free(&limiter);
}

static void the_wait_is_until_there_is_room(void **state)
{
    struct kv_limiter limiter;
    struct kv_waiter first = { .cost = { KV_LIMIT_USE, 8 } }, second = { .cost = cheap };
    int64_t wait = 0;
    kv_limiter_init(&limiter, 100, 0);
    kv_limiter_owe(&limiter, (struct kv_cost){ KV_LIMIT_USE, 5 }, 1000);
    kv_limiter_owe(&limiter, (struct kv_cost){ KV_LIMIT_USE, 95 }, 2000);
    assert_false(kv_limiter_take(&limiter, &first, 4000, &wait));
    assert_int_equal(4000 + wait,
                     2000 + KV_LIMITER_WINDOW_MS + KV_LIMITER_SLOT_MS); /* five are not enough for eight */
    /* Who comes later does not go first, though there would be room for it. */
    assert_false(kv_limiter_take(&limiter, &second, 1000 + KV_LIMITER_WINDOW_MS + KV_LIMITER_SLOT_MS, &wait));
    kv_limiter_leave(&limiter, &first);
    assert_true(kv_limiter_take(&limiter, &second, 1000 + KV_LIMITER_WINDOW_MS + KV_LIMITER_SLOT_MS, &wait));
    assert_false(second.queued);
    kv_limiter_free(&limiter);
}

static void what_is_under_way_counts(void **state)
{
    struct kv_limiter limiter;
    struct kv_waiter waiters[11] = { { .cost = cheap } };
    int64_t wait = 0;
    kv_limiter_init(&limiter, 10, 0);
    for (size_t i = 0; i < COUNT(waiters); i++) {
        waiters[i].cost = cheap;
        assert_int_equal(kv_limiter_take(&limiter, &waiters[i], 0, &wait), i < 10);
    }
    assert_false(kv_limiter_take(&limiter, &waiters[10], 60000, &wait)); /* however long ago they left */
    kv_limiter_done(&limiter, cheap, false, 60000); /* turned away: it counts for nothing */
    assert_true(kv_limiter_take(&limiter, &waiters[10], 60000, &wait));
    kv_limiter_free(&limiter);
}

static void what_is_dearer_than_all_of_it_goes_alone(void **state)
{
    struct kv_limiter limiter;
    struct kv_cost dear = { KV_LIMIT_USE, 16 };
    kv_limiter_init(&limiter, 10, 0);
    assert_int_equal(burst(&limiter, dear, 2, 0), 1);
    assert_int_equal(burst(&limiter, dear, 2, 20000), 1);
    kv_limiter_owe(&limiter, cheap, 40000);
    assert_int_equal(burst(&limiter, dear, 2, 40000), 0);
    kv_limiter_free(&limiter);
}

static void a_refusal_halves_and_time_mends(void **state)
{
    static const struct {
        int64_t at, quota;
        bool refused;
    } rows[] = {
        { 0, 4000, true },      { 0, 2000, true },       { 999, 2039, true }, /* one cut a second */
        { 1000, 2040, true },   { 1000, 1020, false },   { 11000, 1420, false },
        { 61000, 3420, false }, { 100000, 4000, false },
    };
    struct kv_limiter limiter;
    kv_limiter_init(&limiter, 4000, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t quota = kv_limiter_quota(&limiter, KV_LIMIT_USE, rows[i].at);
        assert_in_range(quota, rows[i].quota - 1, rows[i].quota + 1);
        if (rows[i].refused)
            kv_limiter_refused(&limiter, KV_LIMIT_USE, rows[i].at);
    }
    for (int64_t i = 0; i < 100; i++)
        kv_limiter_refused(&limiter, KV_LIMIT_USE, 100000 + i * 1000);
    assert_true(kv_limiter_quota(&limiter, KV_LIMIT_USE, 200000) > 30); /* never nothing */
    assert_int_equal(kv_limiter_quota(&limiter, KV_LIMIT_CREATE, 200000), 20);
    kv_limiter_free(&limiter);
}

static void turned_off_it_holds_nobody_back(void **state)
{
    struct kv_limiter limiter;
    kv_limiter_init(&limiter, 0, 0);
    assert_int_equal(burst(&limiter, cheap, 100000, 0), 100000);
    kv_limiter_refused(&limiter, KV_LIMIT_USE, 0);
    assert_int_equal(kv_limiter_quota(&limiter, KV_LIMIT_USE, 0), 0);
    kv_limiter_free(&limiter);
}

/* --- against a service that counts --- */

enum { THREADS = 16, CALLS = 3000, QUOTA = 1000 };

struct service { /* an exact window over arrivals */
    int64_t at[CALLS];
    size_t count, from;
    unsigned refused;
};

static void arrives(struct service *service, int64_t now)
{
    while (service->from < service->count && service->at[service->from] <= now - KV_LIMITER_WINDOW_MS)
        service->from++;
    if (service->count - service->from >= QUOTA)
        service->refused++;
    service->at[service->count++] = now;
}

struct caller {
    struct kv_waiter waiter;
    int64_t until; /* when something happens to it next */
    enum { ASKS, TRAVELS, RETURNS } what;
};

/* One step of one caller; true: a call of its is done. */
static bool step(struct kv_limiter *limiter, struct service *service, struct caller *caller, int64_t now)
{
    int64_t wait = 0;
    switch (caller->what) {
    case ASKS:
        if (!kv_limiter_take(limiter, &caller->waiter, now, &wait)) {
            caller->until = now + wait;
            return false;
        }
        caller->what = TRAVELS;
        caller->until =
            now + 1 + random() % 150; /* as the way there may take, one request longer than the next */
        return false;
    case TRAVELS:
        arrives(service, now);
        caller->what = RETURNS;
        caller->until = now + 1 + random() % 50;
        return false;
    case RETURNS:
        kv_limiter_done(limiter, caller->waiter.cost, true, now);
        caller->what = ASKS;
        return true;
    }
    return false;
}

static void a_quota_is_used_up_and_never_met(void **state)
{
    struct kv_limiter limiter;
    static struct service service;
    struct caller callers[THREADS] = { 0 };
    int64_t now = 0;
    srandom(4);
    kv_limiter_init(&limiter, QUOTA, 0);
    for (size_t i = 0; i < THREADS; i++)
        callers[i].waiter.cost = cheap;
    for (; service.count < CALLS - THREADS; now++)
        for (size_t i = 0; i < THREADS; i++)
            while (callers[i].until <= now && service.count < CALLS - THREADS)
                (void)!step(&limiter, &service, &callers[i], now);
    assert_int_equal(service.refused, 0);
    /* In whole windows, of which each can hold a quota at the most. */
    size_t whole = (size_t)(service.at[service.count - 1] - service.at[0]) / KV_LIMITER_WINDOW_MS, within = 0;
    assert_true(whole >= 2);
    while (service.at[within] - service.at[0] < (int64_t)whole * KV_LIMITER_WINDOW_MS)
        within++;
    assert_in_range(within, whole * QUOTA * 96 / 100, whole * QUOTA);
    kv_limiter_free(&limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_weigh_what_the_contract_says),
        cmocka_unit_test(a_burst_is_a_part_and_the_rest_is_paced),
        cmocka_unit_test(one_at_a_time_waits_for_nothing),
        cmocka_unit_test(the_wait_is_until_it_is_due),
        cmocka_unit_test(the_wait_is_until_there_is_room),
        cmocka_unit_test(what_is_under_way_counts),
        cmocka_unit_test(what_is_dearer_than_all_of_it_goes_alone),
        cmocka_unit_test(a_refusal_halves_and_time_mends),
        cmocka_unit_test(turned_off_it_holds_nobody_back),
        cmocka_unit_test(a_quota_is_used_up_and_never_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
