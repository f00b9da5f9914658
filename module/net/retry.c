#include "net/retry.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { REPEATS_MAX = 5, FIRST_TRANSPORT_MS = 100, BASE_MS = 1000, CAP_MS = 16000 };
#define WAIT_SECONDS_MAX INT64_C(1000000000)

/* Contract §9.3, as it reads there: what went wrong, and what is to be done about it. `idempotent`: get, list, sign, decrypt, unwrap, update…;
 * `change`: create, import, rotate, which nobody repeats who does not know that nothing has come of them: the keyring lists first. The first row
 * that fits decides; what fits none is final. */
enum what { FINAL, AGAIN };

/* clang-format off */
static const struct {
    enum kv_status status; /* KV_OK: a reply came */
    int http;              /* of that reply; with a failure 0: no reply of which anything is known */
    bool arrived;          /* with a failure: the request may have reached the service */
    enum what idempotent, change;
    bool maybe_done;       /* a change may have been made all the same */
} failures[] = {
    /* failure          http  arrived  idempotent  change  maybe done */
    { KV_UNREACHABLE,     0,  false,   AGAIN,      AGAIN,  false },
    { KV_UNREACHABLE,     0,  true,    AGAIN,      FINAL,  true  },
    { KV_PROTOCOL,        0,  false,   AGAIN,      AGAIN,  false }, /* cut */
    { KV_PROTOCOL,        0,  true,    AGAIN,      FINAL,  true  },
    { KV_OK,            408,  false,   AGAIN,      FINAL,  true  },
    { KV_OK,            429,  false,   AGAIN,      AGAIN,  false }, /* turned away before anything was done */
    { KV_OK,            500,  false,   AGAIN,      FINAL,  true  },
    { KV_OK,            502,  false,   AGAIN,      FINAL,  true  },
    { KV_OK,            503,  false,   AGAIN,      FINAL,  true  }, /* by the service, or by a gateway that gave up on it */
    { KV_OK,            504,  false,   AGAIN,      FINAL,  true  },
};
/* clang-format on */

/* A reply that is of no use (KV_PROTOCOL with its status) stays so, and a deadline stays over; but who knows what has come of them. */
static bool is_lost(const struct kv_retry_input *input)
{
    return input->status != KV_OK ? input->maybe_processed : input->http >= 500;
}

static void look_up(const struct kv_retry_input *input, bool *ret_worth, bool *ret_maybe_done)
{
    *ret_worth = false;
    *ret_maybe_done = !input->idempotent && is_lost(input);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        if (failures[i].status != input->status || failures[i].http != input->http ||
            (input->status != KV_OK && failures[i].arrived != input->maybe_processed))
            continue;
        *ret_worth = (input->idempotent ? failures[i].idempotent : failures[i].change) == AGAIN;
        *ret_maybe_done = !input->idempotent && failures[i].maybe_done;
        return;
    }
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
bool kv_retry_read_date(const char *text, int64_t *ret)
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

/* By the clock of the service where its reply has that: ours may be wrong. */
static int64_t until_date(const struct kv_retry_input *input, int64_t date)
{
    int64_t now;
    if (!kv_retry_read_date(input->date, &now))
        now = input->unix_seconds;
    return date > now ? (date - now) * 1000 : 0;
}

/* No wait at all, as by a date that is over, is no answer to how long: who is turned away and comes back at once is turned away again. */
static bool asked_wait(const struct kv_retry_input *input, int64_t *ret_ms)
{
    int64_t value, ms = 0;
    if (read_number(input->retry_after_ms, WAIT_SECONDS_MAX * 1000, &value))
        ms = value;
    else if (read_number(input->retry_after, WAIT_SECONDS_MAX, &value))
        ms = value * 1000;
    else if (kv_retry_read_date(input->retry_after, &value))
        ms = until_date(input, value);
    if (ms > 0)
        *ret_ms = ms;
    return ms > 0;
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
    bool worth;

    look_up(input, &worth, &verdict.maybe_done);
    if (!worth)
        return verdict;
    bool asked = input->status == KV_OK && asked_wait(input, &verdict.wait_ms);
    if (!asked)
        verdict.wait_ms = back_off(input);
    verdict.for_all = asked || input->http == 429;
    verdict.again = input->attempt <= REPEATS_MAX && verdict.wait_ms < input->left_ms;
    return verdict;
}
