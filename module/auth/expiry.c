#include "expiry.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define TIME_MAX INT64_C(253402300799) /* the end of the year 9999 */

struct reading {
    const char *at;
    struct tm tm;
    int64_t zone_s; /* east of Greenwich */
};

/* Of a form: letters stand for what is read, other characters for themselves. */
static const struct {
    char letter;
    size_t least, most; /* digits */
    int low, high;
    size_t offset;
    int bias;
} numbers[] = {
    { 'Y', 4, 4, 1970, 9999, offsetof(struct tm, tm_year), -1900 },
    { 'M', 1, 2, 1, 12, offsetof(struct tm, tm_mon), -1 },
    { 'D', 1, 2, 1, 31, offsetof(struct tm, tm_mday), 0 },
    { 'h', 1, 2, 0, 23, offsetof(struct tm, tm_hour), 0 },
    { 'm', 2, 2, 0, 59, offsetof(struct tm, tm_min), 0 },
    { 's', 2, 2, 0, 60, offsetof(struct tm, tm_sec), 0 },
};

static bool take_digits(struct reading *reading, size_t least, size_t most, int *ret)
{
    int value = 0;
    size_t len = 0;
    for (; len < most && isdigit((unsigned char)reading->at[len]); len++)
        value = value * 10 + (reading->at[len] - '0');
    if (len < least)
        return false;
    reading->at += len;
    *ret = value;
    return true;
}

static bool take_number(struct reading *reading, size_t i)
{
    int value;
    if (!take_digits(reading, numbers[i].least, numbers[i].most, &value) || value < numbers[i].low ||
        value > numbers[i].high)
        return false;
    *(int *)((char *)&reading->tm + numbers[i].offset) = value + numbers[i].bias;
    return true;
}

/* Three letters; its place among `names`. */
static bool take_name(struct reading *reading, const char *names, int *ret)
{
    for (int i = 0; names[3 * i]; i++) {
        if (strncmp(reading->at, names + (ptrdiff_t)3 * i, 3) == 0) {
            reading->at += 3;
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool take_month(struct reading *reading)
{
    return take_name(reading, "JanFebMarAprMayJunJulAugSepOctNovDec", &reading->tm.tm_mon);
}

static bool take_weekday(struct reading *reading)
{
    return take_name(reading, "SunMonTueWedThuFriSat", &reading->tm.tm_wday);
}

/* Behind the hour, which it turns into one of 24. */
static bool take_half(struct reading *reading)
{
    bool after = strncmp(reading->at, "PM", 2) == 0;
    if ((!after && strncmp(reading->at, "AM", 2) != 0) || reading->tm.tm_hour < 1 || reading->tm.tm_hour > 12)
        return false;
    reading->at += 2;
    reading->tm.tm_hour = reading->tm.tm_hour % 12 + (after ? 12 : 0);
    return true;
}

static bool take_gmt(struct reading *reading)
{
    bool gmt = strncmp(reading->at, "GMT", 3) == 0;
    reading->at += gmt ? 3 : 0;
    return gmt;
}

static bool take_fraction(struct reading *reading)
{
    if (*reading->at == '.') {
        size_t len = strspn(reading->at + 1, "0123456789");
        reading->at += len ? 1 + len : 0;
    }
    return true;
}

static bool take_zone(struct reading *reading)
{
    int hours, minutes;
    char sign = *reading->at++;
    if (sign == 'Z' || sign == 'z')
        return true;
    if ((sign != '+' && sign != '-') || !take_digits(reading, 2, 2, &hours) || *reading->at++ != ':' ||
        !take_digits(reading, 2, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    reading->zone_s = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

static const struct {
    char letter;
    bool (*take)(struct reading *reading);
} others[] = {
    { 'b', take_month },    { 'a', take_weekday }, { 'p', take_half },
    { 'f', take_fraction }, { 'g', take_gmt },     { 'z', take_zone },
};

static bool take(struct reading *reading, char letter)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].letter == letter)
            return take_number(reading, i);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (others[i].letter == letter)
            return others[i].take(reading);
    }
    return *reading->at && *reading->at++ == letter;
}

static bool matches(const char *text, const char *form, struct reading *ret)
{
    struct reading reading = { .at = text };
    while (*form && take(&reading, *form))
        form++;
    if (*form || *reading.at)
        return false;
    *ret = reading;
    return true;
}

static bool within(int64_t value, int64_t *ret)
{
    if (value < 0 || value > TIME_MAX)
        return false;
    *ret = value;
    return true;
}

bool kv_expiry_read(const char *text, int64_t *ret)
{
    static const char *const forms[] = {
        "Y-M-DTh:m:sfz",    /* RFC 3339 */
        "a, D b Y h:m:s g", /* RFC 1123 */
        "M/D/Y h:m:s p z",  /* .NET: M/d/yyyy h:mm:ss tt zzz */
        "Y-M-D h:m:sf",     /* .NET: yyyy-MM-dd HH:mm:ss, in UTC */
    };
    struct reading reading;
    for (size_t i = 0; text && i < sizeof forms / sizeof *forms; i++) {
        if (matches(text, forms[i], &reading))
            return within(timegm(&reading.tm) - reading.zone_s, ret);
    }
    return false;
}

bool kv_expiry_read_local(const char *text, int64_t *ret)
{
    struct reading reading;
    if (!text || !matches(text, "Y-M-D h:m:sf", &reading))
        return false;
    reading.tm.tm_isdst = -1;
    return within(mktime(&reading.tm), ret);
}
