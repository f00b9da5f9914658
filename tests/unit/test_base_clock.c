#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static int64_t now_ms;

static int64_t fake_steady_ms(const struct kv_clock *clock)
{
    return now_ms;
}

static const struct kv_clock fake = { .steady_ms = fake_steady_ms };

static void deadlines(void **state)
{
    static const struct {
        int64_t now, ms, later, left;
    } rows[] = {
        { 1000, 500, 1000, 500 },
        { 1000, 500, 1499, 1 },
        { 1000, 500, 1500, 0 },
        { 1000, 500, 99999, 0 },
        { 1000, 0, 1000, 0 },
        { 1000, -5, 1000, 0 },
        { 1000, INT64_MAX, 1000, INT64_MAX - 1000 },
        { -1000, INT64_MIN, 0, 0 },
        { 0, INT64_MAX, -5, INT64_MAX },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        now_ms = rows[i].now;
        struct kv_deadline deadline = kv_deadline_in(&fake, rows[i].ms);
        now_ms = rows[i].later;
        assert_true(kv_deadline_left(deadline) == rows[i].left);
    }
}

static void texts(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {
        { 0, "1970-01-01T00:00:00Z" },         { 1769860800, "2026-01-31T12:00:00Z" },
        { 951782400, "2000-02-29T00:00:00Z" }, { 253402300799, "9999-12-31T23:59:59Z" },
        { INT64_MAX, "9999-12-31T23:59:59Z" }, { -1, "1970-01-01T00:00:00Z" },
        { INT64_MIN, "1970-01-01T00:00:00Z" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[21];
        kv_clock_text(rows[i].seconds, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void texts_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } rows[] = {
        { "2026-01-31T12:00:00Z", 1769860800 },
        { "2026-01-31", 1769817600 },
        { "2000-02-29", 951782400 },
        { "1970-01-01", 0 },
        { "2026-02-30", -1 },
        { "2026-1-31", -1 },
        { "2026-01-31 ", -1 },
        { "2026-01-31T12:00:00", -1 },
        { "2026-01-31T12:00:60Z", -1 },
        { "2026-01-31T12:00:00Z+", -1 },
        { "", -1 },
        { "T", -1 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t seconds = -1;
        if (kv_clock_read(rows[i].text, &seconds) != (rows[i].seconds >= 0) || seconds != rows[i].seconds)
            fail_msg("'%s': %lld", rows[i].text, (long long)seconds);
    }
}

static void the_system_clock_runs(void **state)
{
    const struct kv_clock *clock = &kv_clock_system;
    int64_t before = clock->steady_ms(clock), unix_now = clock->unix_seconds(clock);

    clock->sleep_ms(clock, -1);
    clock->sleep_ms(clock, 2);
    assert_true(clock->steady_ms(clock) - before >= 1);
    assert_true(unix_now > 1700000000);
    for (int i = 0; i < 100; i++) {
        double x = clock->jitter(clock);
        assert_true(x >= 0 && x < 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines),
        cmocka_unit_test(texts),
        cmocka_unit_test(texts_are_read),
        cmocka_unit_test(the_system_clock_runs),
    };
    return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
