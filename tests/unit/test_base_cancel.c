#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct kv_cancel cancel;
static int64_t now_ms, wish_at_ms; /* -1: never */

static int64_t fake_steady_ms(const struct kv_clock *clock)
{
    return now_ms;
}

static void fake_sleep_ms(const struct kv_clock *clock, int64_t ms)
{
    if (wish_at_ms >= now_ms && wish_at_ms < now_ms + ms)
        kv_cancel_wish(&cancel);
    now_ms += ms;
}

static const struct kv_clock fake = { .steady_ms = fake_steady_ms, .sleep_ms = fake_sleep_ms };

static int set_up(void **state)
{
    now_ms = 1000;
    wish_at_ms = -1;
    return kv_cancel_open(&cancel) ? 0 : -1;
}

static int tear_down(void **state)
{
    kv_cancel_close(&cancel);
    return 0;
}

static void wishes_hold_until_taken_back(void **state)
{
    assert_false(kv_cancel_wished(NULL));
    assert_false(kv_cancel_wished(&cancel));
    kv_cancel_wish(&cancel);
    kv_cancel_wish(&cancel);
    kv_cancel_take_back(&cancel);
    assert_true(kv_cancel_wished(&cancel)); /* the other one's */
    kv_cancel_take_back(&cancel);
    assert_false(kv_cancel_wished(&cancel));
}

static void count(void *user)
{
    ++*(int *)user;
}

static void watches_are_woken_while_they_are_there(void **state)
{
    int first = 0, second = 0;
    struct kv_cancel_watch one = { .wake = count, .user = &first }, two = { .wake = count, .user = &second };

    kv_cancel_watch(NULL, &one);
    kv_cancel_unwatch(NULL, &one);
    kv_cancel_watch(&cancel, &one);
    kv_cancel_watch(&cancel, &two);
    kv_cancel_wish(&cancel);
    kv_cancel_unwatch(&cancel, &one);
    kv_cancel_wish(&cancel);
    kv_cancel_unwatch(&cancel, &two);
    kv_cancel_wish(&cancel);
    assert_int_equal(first, 1);
    assert_int_equal(second, 2);
}

static void sleeps_end_with_a_wish(void **state)
{
    static const struct {
        const char *what;
        int64_t wish_at_ms;
        bool slept;
    } rows[] = {
        { "nobody wishes", -1, true },
        { "while it sleeps", 1200, false },
        { "after it has slept", 1500, true },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        now_ms = 1000;
        wish_at_ms = rows[i].wish_at_ms;
        struct kv_deadline deadline = kv_deadline_in(&fake, 9000);
        deadline.cancel = &cancel;
        if (kv_deadline_sleep(deadline, 500) != rows[i].slept)
            fail_msg("%s", rows[i].what);
        if (!rows[i].slept)
            kv_cancel_take_back(&cancel);
    }
}

static void no_sleep_begins_after_a_wish(void **state)
{
    struct kv_deadline deadline = kv_deadline_in(&kv_clock_system, 60000);

    deadline.cancel = &cancel;
    kv_cancel_wish(&cancel);
    assert_false(kv_deadline_sleep(deadline, 60000));
    assert_false(kv_cancel_sleep(&cancel, 60000));
    assert_true(kv_deadline_left(deadline) > 30000);
}

static void *sleep_long(void *user)
{
    assert_false(kv_cancel_sleep(user, 60000));
    return NULL;
}

static void another_thread_ends_a_sleep(void **state)
{
    struct kv_deadline deadline = kv_deadline_in(&kv_clock_system, 60000);
    pthread_t sleeper;

    assert_int_equal(pthread_create(&sleeper, NULL, sleep_long, &cancel), 0);
    kv_cancel_wish(&cancel);
    assert_int_equal(pthread_join(sleeper, NULL), 0);
    assert_true(kv_deadline_left(deadline) > 30000);
}

static void another_time_has_the_same_owner(void **state)
{
    struct kv_deadline deadline = kv_deadline_in(&fake, 9000);

    assert_int_equal(kv_deadline_look(deadline), 9000);
    deadline.cancel = &cancel;
    assert_int_equal(kv_deadline_look(deadline), KV_DEADLINE_LOOK_MS);
    deadline = kv_deadline_again(deadline, 100);
    assert_int_equal(kv_deadline_look(deadline), 100);
    assert_false(kv_deadline_cancelled(deadline));
    kv_cancel_wish(&cancel);
    assert_true(kv_deadline_cancelled(deadline));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(wishes_hold_until_taken_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(watches_are_woken_while_they_are_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sleeps_end_with_a_wish, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_sleep_begins_after_a_wish, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_thread_ends_a_sleep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_time_has_the_same_owner, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
