#include "net/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* 2026-01-31T12:00:00Z */
#define NOW INT64_C(1769860800)

/* What a row does not tell: the first attempt at an idempotent request, a minute left, a jitter that multiplies by one. */
struct row {
    const char *name;
    struct kv_retry_input input;
    bool again;
    int64_t wait_ms;
    bool changes; /* a create, not to be done twice */
    bool maybe_done;
};

static const struct row rows[] = {
    { "200 is final", { .http = 200 }, false, 0 },
    { "400 is final", { .http = 400 }, false, 0 },
    { "401 is final", { .http = 401 }, false, 0 },
    { "403 is final", { .http = 403 }, false, 0 },
    { "404 is final", { .http = 404 }, false, 0 },
    { "409 is final", { .http = 409 }, false, 0 },
    { "408 is repeated", { .http = 408 }, true, 1000 },
    { "429 is repeated", { .http = 429 }, true, 1000 },
    { "500 is repeated", { .http = 500 }, true, 1000 },
    { "502 is repeated", { .http = 502 }, true, 1000 },
    { "503 is repeated", { .http = 503 }, true, 1000 },
    { "504 is repeated", { .http = 504 }, true, 1000 },
    { "501 is final", { .http = 501 }, false, 0 },
    { "a create is repeated after 429", { .http = 429 }, true, 1000, true },
    { "a create is not repeated after 500", { .http = 500 }, false, 0, true, true },
    { "a create is not repeated after 502", { .http = 502 }, false, 0, true, true },
    { "a create is not repeated after 503", { .http = 503 }, false, 0, true, true },
    { "a create is not repeated after 504", { .http = 504 }, false, 0, true, true },
    { "a create is not repeated after 408", { .http = 408 }, false, 0, true, true },
    { "a create may be done after 507, which nobody expects", { .http = 507 }, false, 0, true, true },
    { "a refused create is not done", { .http = 403 }, false, 0, true, false },
    { "the second wait doubles", { .attempt = 2, .http = 503 }, true, 2000 },
    { "the third doubles again", { .attempt = 3, .http = 503 }, true, 4000 },
    { "the fifth is at the cap", { .attempt = 5, .http = 503 }, true, 16000 },
    { "five repeats and no more", { .attempt = 6, .http = 503 }, false, 16000 },
    { "an attempt count from far off", { .attempt = 4000000000u, .http = 503 }, false, 16000 },
    { "the least jitter", { .http = 503, .jitter = 1e-9 }, true, 800 },
    { "the most jitter", { .http = 503, .jitter = 0.9999 }, true, 1299 },
    { "never past the deadline", { .http = 503, .left_ms = 999 }, false, 1000 },
    { "a wait as long as what is left is none", { .http = 503, .left_ms = 1000 }, false, 1000 },
    { "Retry-After in seconds", { .http = 429, .retry_after = "7" }, true, 7000 },
    { "Retry-After of nothing is a wait all the same", { .http = 429, .retry_after = "0" }, true, 1000 },
    { "and a longer one each time", { .attempt = 4, .http = 503, .retry_after = "0" }, true, 8000 },
    { "milliseconds of nothing", { .http = 429, .retry_after_ms = "0" }, true, 1000 },
    { "Retry-After past the deadline", { .http = 429, .retry_after = "61" }, false, 61000 },
    { "retry-after-ms wins", { .http = 429, .retry_after = "7", .retry_after_ms = "150" }, true, 150 },
    { "Retry-After as a date", { .http = 503, .retry_after = "Sat, 31 Jan 2026 12:00:09 GMT" }, true, 9000 },
    { "a date is for later attempts too",
      { .attempt = 4, .http = 429, .retry_after = "Sat, 31 Jan 2026 12:00:03 GMT" },
      true,
      3000 },
    { "a date past the deadline",
      { .http = 429, .retry_after = "Sat, 31 Jan 2026 12:05:00 GMT" },
      false,
      300000 },
    { "a date that is over is a wait all the same",
      { .http = 503, .retry_after = "Sat, 31 Jan 2026 11:59:09 GMT" },
      true,
      1000 },
    { "and a longer one each time",
      { .attempt = 3, .http = 429, .retry_after = "Sat, 31 Jan 2026 11:59:09 GMT" },
      true,
      4000 },
    { "a date is one of the service's clock",
      { .http = 503,
        .retry_after = "Sat, 31 Jan 2026 11:59:09 GMT",
        .date = "Sat, 31 Jan 2026 11:59:04 GMT" },
      true,
      5000 },
    { "also where ours is behind",
      { .http = 503,
        .retry_after = "Sat, 31 Jan 2026 12:00:59 GMT",
        .date = "Sat, 31 Jan 2026 12:00:56 GMT" },
      true,
      3000 },
    { "a date of the service that is none",
      { .http = 503, .retry_after = "Sat, 31 Jan 2026 12:00:03 GMT", .date = "today" },
      true,
      3000 },
    { "a date of another zone is not understood",
      { .http = 503, .retry_after = "Sat, 31 Jan 2026 12:00:09 CET" },
      true,
      1000 },
    { "the oldest form of a date is not understood",
      { .http = 503, .retry_after = "Saturday, 31-Jan-26 12:00:09 GMT" },
      true,
      1000 },
    { "a month that is none", { .http = 503, .retry_after = "Sat, 31 anF 2026 12:00:09 GMT" }, true, 1000 },
    { "a negative wait is not understood", { .http = 503, .retry_after = "-5" }, true, 1000 },
    { "words are not understood", { .http = 503, .retry_after = "soon" }, true, 1000 },
    { "a number that is too large", { .http = 503, .retry_after = "99999999999999999999" }, true, 1000 },
    { "milliseconds that are none leave the seconds",
      { .http = 429, .retry_after = "7", .retry_after_ms = "1e3" },
      true,
      7000 },
    { "no connection: soon again", { .status = KV_UNREACHABLE }, true, 100 },
    { "no connection twice: a second", { .attempt = 2, .status = KV_UNREACHABLE }, true, 1000 },
    { "no connection three times: two", { .attempt = 3, .status = KV_UNREACHABLE }, true, 2000 },
    { "a cut connection", { .status = KV_PROTOCOL, .maybe_processed = true }, true, 100 },
    { "a reply of no use stays so", { .status = KV_PROTOCOL, .http = 200 }, false, 0 },
    { "a distrusted peer stays so", { .status = KV_TLS }, false, 0 },
    { "a passed deadline stays so", { .status = KV_TIMED_OUT }, false, 0 },
    { "short memory stays so", { .status = KV_NO_MEMORY }, false, 0 },
    { "a create that never left is repeated", { .status = KV_UNREACHABLE }, true, 100, true },
    { "a create that may have arrived is not",
      { .status = KV_PROTOCOL, .maybe_processed = true },
      false,
      0,
      true,
      true },
    { "a create whose reply is of no use may be done",
      { .status = KV_PROTOCOL, .maybe_processed = true, .http = 200 },
      false,
      0,
      true,
      true },
    { "a create on which the deadline passed may be done",
      { .status = KV_TIMED_OUT, .maybe_processed = true },
      false,
      0,
      true,
      true },
    { "a create on which the deadline passed before it left is not",
      { .status = KV_TIMED_OUT },
      false,
      0,
      true,
      false },
    { "a signature that got lost is nobody's",
      { .status = KV_PROTOCOL, .maybe_processed = true },
      true,
      100 },
};

static void decides(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv_retry_input input = rows[i].input;
        input.idempotent = !rows[i].changes;
        input.attempt = input.attempt ? input.attempt : 1;
        input.left_ms = input.left_ms ? input.left_ms : 60000;
        input.jitter = input.jitter > 0 ? input.jitter : 0.4;
        input.unix_seconds = NOW;
        input.retry_after = input.retry_after ? input.retry_after : "";
        input.retry_after_ms = input.retry_after_ms ? input.retry_after_ms : "";
        struct kv_retry_verdict verdict = kv_retry_decide(&input);
        if (verdict.again != rows[i].again || verdict.wait_ms != rows[i].wait_ms ||
            verdict.maybe_done != rows[i].maybe_done)
            fail_msg("%s: got %s after %lld ms, %s", rows[i].name, verdict.again ? "again" : "no",
                     (long long)verdict.wait_ms, verdict.maybe_done ? "maybe done" : "not done");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(decides) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
