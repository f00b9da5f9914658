#include "net/retry.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { REPEATS_MAX = 5, FIRST_TRANSPORT_MS = 100, BASE_MS = 1000, CAP_MS = 16000 };
#define WAIT_SECONDS_MAX INT64_C(1000000000)

/* Which replies are worth another try, and whether they say that nothing was done. */
static const struct {
    int http;
    bool unprocessed;
} worth[] = {
    { 408, false }, { 429, true }, { 500, false }, { 502, false }, { 503, true }, { 504, false },
};

static bool reply_worth(const struct kv_retry_input *input)
{
    for (size_t i = 0; i < sizeof worth / sizeof worth[0]; i++) {
        if (worth[i].http == input->http)
            return input->idempotent || worth[i].unprocessed;
    }
    return false;
}

static bool transport_worth(const struct kv_retry_input *input)
{
    bool cut = input->status == KV_PROTOCOL && !input->http;
    return (cut || input->status == KV_UNREACHABLE) && (input->idempotent || !input->maybe_processed);
}

static bool read_number(const char *text, int64_t max, int64_t *ret)
{
    if (!text || !isdigit((unsigned char)text[0]))
        return false;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (*end || errno || value > max)
        return false;
    *ret = value;
    return true;
}

/* IMF-fixdate of RFC 9110 §5.6.7; its names are English whatever the host's locale. */
static bool read_date(const char *text, int64_t *ret)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = { 0 };
    char month[4] = "", zone[4] = "";
    int end = 0;
    if (!text || sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3[A-Z]%n", &tm.tm_mday, month,
                        &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, zone, &end) != 7)
        return false;
    const char *at = strlen(month) == 3 ? strstr(months, month) : NULL;
    if (text[end] || strcmp(zone, "GMT") != 0 || !at || (at - months) % 3)
        return false;
    tm.tm_mon = (int)(at - months) / 3;
    tm.tm_year -= 1900;
    *ret = timegm(&tm);
    return true;
}

static bool asked_wait(const struct kv_retry_input *input, int64_t *ret_ms)
{
    int64_t value;
    if (read_number(input->retry_after_ms, WAIT_SECONDS_MAX * 1000, ret_ms))
        return true;
    if (read_number(input->retry_after, WAIT_SECONDS_MAX, &value)) {
        *ret_ms = value * 1000;
        return true;
    }
    if (!read_date(input->retry_after, &value))
        return false;
    *ret_ms = value > input->unix_seconds ? (value - input->unix_seconds) * 1000 : 0;
    return true;
}

static int64_t back_off(const struct kv_retry_input *input)
{
    bool transport = input->status != KV_OK;
    int64_t base = BASE_MS;
    /* The usual first failure is an idle connection that the other side has closed: no reason to wait for long. */
    if (transport && input->attempt <= 1)
        base = FIRST_TRANSPORT_MS;
    unsigned doublings = input->attempt ? input->attempt - 1 : 0;
    if (transport && doublings)
        doublings--;
    for (; doublings && base < CAP_MS; doublings--)
        base *= 2;
    if (base > CAP_MS)
        base = CAP_MS;
    return (int64_t)((double)base * (0.8 + 0.5 * input->jitter));
}

struct kv_retry_verdict kv_retry_decide(const struct kv_retry_input *input)
{
    struct kv_retry_verdict verdict = { 0 };
    bool transport = input->status != KV_OK;
    if (!(transport ? transport_worth(input) : reply_worth(input)))
        return verdict;
    if (transport || !asked_wait(input, &verdict.wait_ms))
        verdict.wait_ms = back_off(input);
    verdict.again = input->attempt <= REPEATS_MAX && verdict.wait_ms < input->left_ms;
    return verdict;
}
