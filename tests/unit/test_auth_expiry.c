#include "../../module/auth/expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#define NOON INT64_C(1769860800) /* 2026-01-31T12:00:00Z */

static void times_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t value; /* 0: refused */
    } rows[] = {
        { "2026-01-31T12:00:00Z", NOON },
        { "2026-01-31T12:00:00.1234567Z", NOON },
        { "2026-01-31T14:30:00+02:30", NOON },
        { "2026-01-31T02:00:00-10:00", NOON },
        { "Sat, 31 Jan 2026 12:00:00 GMT", NOON },
        { "1/31/2026 12:00:00 PM +00:00", NOON },
        { "1/31/2026 1:00:00 PM +01:00", NOON },
        { "01/31/2026 12:00:00 AM +00:00", NOON - 43200 },
        { "1/31/2026 11:59:59 AM +00:00", NOON - 1 },
        { "2026-01-31 12:00:00", NOON },
        { "2026-01-31T12:00:00", 0 },
        { "2026-01-31T12:00:00Z ", 0 },
        { "2026-13-31T12:00:00Z", 0 },
        { "2026-00-31T12:00:00Z", 0 },
        { "2026-01-32T12:00:00Z", 0 },
        { "2026-01-31T24:00:00Z", 0 },
        { "2026-01-31T12:60:00Z", 0 },
        { "2026-01-31T12:00:00+24:00", 0 },
        { "2026-01-31T12:00:00+", 0 },
        { "2026-01-31T12:00:00.Z", 0 },
        { "26-01-31T12:00:00Z", 0 },
        { "1960-01-31T12:00:00Z", 0 },
        { "Sat, 31 Foo 2026 12:00:00 GMT", 0 },
        { "Sat, 31 Jan 2026 12:00:00 CET", 0 },
        { "1/31/2026 13:00:00 PM +00:00", 0 },
        { "1/31/2026 0:00:00 AM +00:00", 0 },
        { "1/31/2026 12:00:00 +00:00", 0 },
        { "31.1.2026 12:00", 0 },
        { "soon", 0 },
        { "", 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t value = 0;
        bool read = kv_expiry_read(rows[i].text, &value);
        if (read != (rows[i].value != 0) || value != rows[i].value)
            fail_msg("'%s': %d, %lld", rows[i].text, read, (long long)value);
    }
    assert_false(kv_expiry_read(NULL, &(int64_t){ 0 }));
}

static void local_times_are_read(void **state)
{
    int64_t value = 0;
    assert_int_equal(setenv("TZ", "UTC-2", 1), 0);
    tzset();
    assert_true(kv_expiry_read_local("2026-01-31 14:00:00.123456", &value));
    assert_int_equal(value, NOON);
    assert_true(kv_expiry_read_local("2026-01-31 14:00:01", &value));
    assert_int_equal(value, NOON + 1);
    assert_false(kv_expiry_read_local("2026-01-31T14:00:00Z", &value));
    assert_false(kv_expiry_read_local(NULL, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(times_are_read),
                                        cmocka_unit_test(local_times_are_read) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
