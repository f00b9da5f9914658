#include "when.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

enum { DAY = 24 * 60 * 60, AGE_DAYS_MAX = 1000 * 365 };

static bool read_date(const char *text, int64_t *ret)
{
    int64_t at = 0;
    if (!kv_clock_read(text, &at))
        return false;
    *ret = strchr(text, 'T') ? at : at + DAY - 1;
    return true;
}

static bool read_age(const char *text, int64_t *ret)
{
    static const struct {
        const char *unit;
        int days;
    } units[] = { { "d", 1 }, { "w", 7 }, { "m", 30 }, { "y", 365 } };
    char *end = NULL;
    errno = 0;
    long count = strtol(text, &end, 10);
    if (errno || end == text || *text < '1' || *text > '9')
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(units[i].unit, end) != 0 || count > AGE_DAYS_MAX / units[i].days)
            continue;
        *ret = (int64_t)count * units[i].days * DAY;
        return true;
    }
    return false;
}

enum kv_status kv_when_until(const char *text, int64_t from, int64_t *ret, struct kv_error *err)
{
    int64_t at = 0;
    if (read_date(text, ret))
        return KV_OK;
    if (!read_age(text, &at))
        return kv_fail(
            err, KV_ARGUMENTS,
            "--retain-until '%s' is no date and no age: write it as 2033-11-23, or as 30d, 12w, 7y", text);
    *ret = from + at;
    return KV_OK;
}
