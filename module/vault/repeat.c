/* When a request is sent, and when again: contract §9.3. */
#include "errand.h"

#include "net/retry.h"

#include <string.h>

/* Without a bearer nothing was asked but the way in. */
static bool repeatable(const struct kv_errand *errand)
{
    return errand->request->idempotent || !errand->bearer;
}

/* Where another place can be asked meanwhile, only the wait that a connection dropped while idle asks for is made. */
static bool too_long(const struct kv_errand *errand, int64_t wait_ms)
{
    enum { QUICK_MS = 250 };
    return errand->request->task->elsewhere && wait_ms > QUICK_MS;
}

static struct kv_retry_verdict decide(const struct kv_errand *errand)
{
    const struct kv_clock *clock = errand->vault->parts.clock;
    struct kv_retry_verdict verdict = kv_retry_decide(&(struct kv_retry_input){
        .attempt = errand->attempt,
        .idempotent = repeatable(errand),
        .status = errand->transport,
        .maybe_processed = errand->reply.maybe_processed,
        .http = errand->reply.status,
        .retry_after = errand->reply.retry_after,
        .retry_after_ms = errand->reply.retry_after_ms,
        .date = errand->reply.date,
        .unix_seconds = clock->unix_seconds(clock),
        .left_ms = kv_deadline_left(errand->request->task->deadline),
        .jitter = clock->jitter(clock),
    });
    verdict.again = verdict.again && !too_long(errand, verdict.wait_ms);
    return verdict;
}

static int64_t now_of(const struct kv_errand *errand)
{
    return errand->vault->parts.clock->steady_ms(errand->vault->parts.clock);
}

static enum kv_status nap(const struct kv_errand *errand, int64_t ms, struct kv_error *err)
{
    if (kv_deadline_sleep(errand->request->task->deadline, ms))
        return KV_OK;
    return kv_fail(err, KV_CANCELLED, "the application ended the call before the vault was asked again");
}

/* So that all threads do not come back at once, each stays away a little longer, but never for so long that no time is left to ask. */
static int64_t spread(const struct kv_errand *errand, int64_t wait_ms, int64_t left_ms)
{
    enum { SPREAD = 4, SPREAD_MAX_MS = 2000 };
    const struct kv_clock *clock = errand->vault->parts.clock;
    int64_t most = wait_ms / SPREAD < SPREAD_MAX_MS ? wait_ms / SPREAD : SPREAD_MAX_MS;
    if (most > (left_ms - wait_ms) / 2)
        most = (left_ms - wait_ms) / 2;
    return (int64_t)((double)most * clock->jitter(clock));
}

/* What one thread was told holds for all of them. */
static enum kv_status wait_cool_down(const struct kv_errand *errand, struct kv_error *err)
{
    int64_t wait_ms;
    while ((wait_ms = kv_vault_cooling(errand->vault)) > 0) {
        int64_t left_ms = kv_deadline_left(errand->request->task->deadline);
        if (too_long(errand, wait_ms))
            return kv_fail(err, KV_THROTTLED, "vault '%s' asks to be left alone for %lld more ms",
                           errand->vault->parts.config->name, (long long)wait_ms);
        if (wait_ms >= left_ms)
            return kv_fail(
                err, KV_THROTTLED,
                "vault '%s' asks to be left alone for %lld more ms, which is past the deadline; repeat "
                "later, or raise `timeout`",
                errand->vault->parts.config->name, (long long)wait_ms);
        KV_TRY(nap(errand, wait_ms + spread(errand, wait_ms, left_ms), err));
    }
    return KV_OK;
}

static enum kv_status fail_limited(const struct kv_errand *errand, int64_t wait_ms, struct kv_error *err)
{
    struct kv_limiter *limiter = &errand->vault->limiter;
    return kv_fail(
        err, KV_THROTTLED,
        "vault '%s': `rate_limit` (now %lld transactions in 10 s) holds '%s' back for %lld more ms, "
        "which is past the deadline; raise `timeout`, spread the load, or raise `rate_limit` if the "
        "vault takes more",
        errand->vault->parts.config->name,
        (long long)kv_limiter_quota(limiter, errand->request->cost.limit, now_of(errand)),
        errand->request->operation, (long long)wait_ms);
}

/* One look at the limiter; *ret_done: it is our turn. */
static enum kv_status look_in(struct kv_errand *errand, struct kv_waiter *waiter, bool *ret_done,
                              struct kv_error *err)
{
    enum { LOOK_AGAIN_MS = 1000 }; /* those before us may have given up */
    int64_t wait_ms = 0;
    KV_TRY(wait_cool_down(errand, err));
    *ret_done = kv_limiter_take(&errand->vault->limiter, waiter, now_of(errand), &wait_ms);
    if (*ret_done)
        return KV_OK;
    if (wait_ms >= kv_deadline_left(errand->request->task->deadline))
        return fail_limited(errand, wait_ms, err);
    return nap(errand, wait_ms < LOOK_AGAIN_MS ? wait_ms : LOOK_AGAIN_MS, err);
}

enum kv_status kv_errand_wait_turn(struct kv_errand *errand, struct kv_error *err)
{
    struct kv_waiter waiter = { .cost = errand->request->cost };
    enum kv_status status = KV_OK;
    bool done = false;
    while (status == KV_OK && !done)
        status = look_in(errand, &waiter, &done, err);
    kv_limiter_leave(&errand->vault->limiter, &waiter);
    return status;
}

void kv_errand_done(struct kv_errand *errand)
{
    struct kv_limiter *limiter = &errand->vault->limiter;
    bool refused = errand->transport == KV_OK && errand->reply.status == 429;
    kv_limiter_done(limiter, errand->request->cost, !refused, now_of(errand));
    if (refused)
        kv_limiter_refused(limiter, errand->request->cost.limit, now_of(errand));
}

static enum kv_status warn_changed(const struct kv_request *request, enum kv_status status,
                                   struct kv_error *err)
{
    struct kv_error cause = err ? *err : (struct kv_error){ 0 };
    status =
        kv_fail(err, status,
                "%s; '%s' may have been done all the same: list the versions of key '%s' before repeating it",
                cause.text, request->operation, request->name);
    if (err) {
        err->http = cause.http;
        memcpy(err->code, cause.code, sizeof err->code);
        memcpy(err->request_id, cause.request_id, sizeof err->request_id);
        err->maybe_done = true;
    }
    return status;
}

/* When time runs out on the way to another attempt, what went wrong before is the better thing to tell. */
static enum kv_status tell_cause(const struct kv_errand *errand, enum kv_status status,
                                 const struct kv_error *before, struct kv_error *err)
{
    if (status != KV_TIMED_OUT || before->status == KV_OK || errand->reply.maybe_processed)
        return status;
    if (err)
        *err = *before;
    return before->status;
}

static enum kv_status repeat(struct kv_errand *errand, struct kv_error *err)
{
    struct kv_error own = { 0 }, before = { 0 };
    err = err ? err : &own;
    for (errand->attempt = 1;; errand->attempt++) {
        KV_TRY(wait_cool_down(errand, err));
        enum kv_status status = kv_errand_attempt(errand, err);
        if (status == KV_OK)
            return KV_OK;
        struct kv_retry_verdict verdict = { 0 };
        if (errand->on_wire)
            verdict = decide(errand);
        if (verdict.for_all)
            kv_vault_cool_down(errand->vault, verdict.wait_ms);
        if (!verdict.again)
            return verdict.maybe_done ? warn_changed(errand->request, status, err)
                                      : tell_cause(errand, status, &before, err);
        before = *err;
        if (!verdict.for_all)
            KV_TRY(nap(errand, verdict.wait_ms, err));
    }
}

/* A refusal names its key already; an exchange that did not come about, or a token that was not given, knows only its own host. */
static enum kv_status name_what(const struct kv_errand *errand, enum kv_status status, struct kv_error *err)
{
    const struct kv_request *request = errand->request;
    const char *vault = errand->vault->parts.config->name;
    if (status == KV_OK || (errand->on_wire && errand->transport == KV_OK))
        return status;
    if (!request->name)
        return kv_fail_in(err, status, "vault '%s', '%s'", vault, request->operation);
    return kv_fail_in(err, status, "vault '%s', '%s' of key '%s'%s%s", vault, request->operation,
                      request->name, request->version ? " version " : "",
                      request->version ? request->version : "");
}

enum kv_status kv_errand_send(struct kv_errand *errand, struct kv_error *err)
{
    return name_what(errand, repeat(errand, err), err);
}

/* Whoever lists a large vault has more patience than one call takes; a single request of it has not. */
static struct kv_task one_request(const struct kv_vault *vault, const struct kv_task *task)
{
    int64_t most_ms = vault->parts.config->timeout_ms;
    struct kv_task one = *task;
    if (most_ms && kv_deadline_left(task->deadline) > most_ms)
        one.deadline = kv_deadline_again(task->deadline, most_ms);
    return one;
}

enum kv_status kv_request_send(struct kv_vault *vault, const struct kv_request *asked, struct kv_json **ret,
                               struct kv_error *err)
{
    struct kv_task task = one_request(vault, asked->task);
    struct kv_request bounded = *asked;
    const struct kv_request *request = &bounded;
    bounded.task = &task;
    KV_CLEANUP(kv_errand_free) struct kv_errand errand = { .vault = vault, .request = request };
    enum kv_status status = kv_errand_send(&errand, err);
    if (task.answered)
        task.answered(task.state);
    KV_TRY(status);
    status = kv_json_parse(KV_VIEW(errand.reply.body), ret, err);
    if (status == KV_OK)
        return KV_OK;
    status = kv_fail_in(err, status, "vault '%s': the reply to '%s' is not JSON, check the url and any proxy",
                        vault->parts.config->name, request->operation);
    if (err) {
        err->http = errand.reply.status;
        kv_text_fit(err->request_id, sizeof err->request_id, errand.reply.request_id);
    }
    return request->idempotent ? status : warn_changed(request, status, err);
}
