#include "vault_private.h"

#include "base/encode.h"
#include "net/retry.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { GUID_SIZE = 37, IDENTITY_SIZE = 64 };

/* One request and what has been learnt while sending it. */
struct errand {
    struct kv_vault *vault;
    const struct kv_request *request;
    struct kv_challenge challenge; /* known, once a token is asked for */
    char *bearer;
    char identity[IDENTITY_SIZE];
    char guid[GUID_SIZE];
    unsigned attempt; /* from 1 */
    bool renewed;     /* a refused token has been replaced once already */
    bool
        on_wire; /* the failure is one of an exchange with the vault, not of a credential: these repeat by themselves */
    enum kv_status transport; /* of the last exchange */
    struct kv_http_reply reply;
};

static void drop_bearer(struct errand *errand)
{
    kv_text_free(errand->bearer);
    errand->bearer = NULL;
    errand->identity[0] = 0;
}

static void errand_free(struct errand *errand)
{
    drop_bearer(errand);
    kv_http_reply_free(&errand->reply);
}

/* A fresh one an attempt: by it the service's own log names ours. Not a secret, so a random source that is not ready yet does no harm. */
static void make_guid(char *ret)
{
    unsigned char b[16] = { 0 };
    if (getrandom(b, sizeof b, GRND_NONBLOCK) != (ssize_t)sizeof b)
        memset(b, 0, sizeof b);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    static const size_t starts[] = { 0, 4, 6, 8, 10, 16 }; /* of the groups between the dashes */
    for (size_t i = 0; i < 5; i++) {
        kv_encode_hex((struct kv_view){ b + starts[i], starts[i + 1] - starts[i] }, ret + 2 * starts[i] + i);
        ret[2 * starts[i + 1] + i] = i < 4 ? '-' : 0;
    }
}

static void audit(const struct errand *errand, enum kv_status status, const struct kv_error *err, int64_t ms)
{
    const struct kv_request *request = errand->request;
    const struct kv_vault_config *config = errand->vault->parts.config;
    char kid[KV_KID_SIZE] = "";
    if (!errand->vault->parts.log)
        return;
    if (request->name)
        snprintf(kid, sizeof kid, "%s/keys/%s%s%s", config->url, request->name, request->version ? "/" : "",
                 request->version ? request->version : "");
    kv_log_audit(errand->vault->parts.log,
                 &(struct kv_audit){
                     .caller = request->task->caller,
                     .vault = config->name,
                     .kid = kid[0] ? kid : NULL,
                     .operation = request->operation,
                     .alg = request->alg,
                     .http = errand->reply.status,
                     .code = err->code[0] ? err->code : NULL,
                     .client_request_id = errand->guid,
                     .request_id = errand->reply.request_id[0] ? errand->reply.request_id : NULL,
                     .identity = errand->identity[0] ? errand->identity : NULL,
                     .ms = ms,
                     .attempt = errand->attempt,
                     .status = kv_status_name(status),
                 });
}

static enum kv_status map_refusal(const struct errand *errand, struct kv_error *err)
{
    const struct kv_request *request = errand->request;
    return kv_error_map(
        &(struct kv_refusal){
            .http = errand->reply.status,
            .body = KV_VIEW(errand->reply.body),
            .request_id = errand->reply.request_id,
            .operation = request->operation,
            .key_op = request->key_op,
            .name = request->name,
            .version = request->version,
            .vault = errand->vault->parts.config->name,
            .identity = errand->identity,
        },
        err);
}

static bool fine(int http)
{
    return http >= 200 && http < 300;
}

/* One exchange. KV_OK: a 2xx reply; a 401 is not an error yet, but a question. Without a bearer neither token nor body goes out: the peer has
 * still to show that it is a vault (contract §4.2). */
static enum kv_status exchange(struct errand *errand, struct kv_error *err)
{
    const struct kv_request *request = errand->request;
    const struct kv_clock *clock = errand->vault->parts.clock;
    make_guid(errand->guid);
    struct kv_http_request http = {
        .method = request->method,
        .url = request->url,
        .headers = { { "Accept", "application/json" },
                     { "Content-Type", "application/json" },
                     { "x-ms-client-request-id", errand->guid } },
        .bearer = errand->bearer,
        .body = errand->bearer ? request->body : (struct kv_view){ 0 },
        .once = errand->bearer && !request->idempotent,
    };
    struct kv_error own = { 0 };
    kv_http_reply_free(&errand->reply);
    int64_t from = clock->steady_ms(clock);
    enum kv_status status =
        kv_http_send(errand->vault->parts.http, &http, request->task->deadline, &errand->reply, &own);
    errand->transport = status;
    if (status == KV_OK && !fine(errand->reply.status))
        status = map_refusal(errand, &own);
    errand->on_wire = status != KV_OK;
    audit(errand, status, &own, clock->steady_ms(clock) - from);
    if (status != KV_OK && err)
        *err = own;
    return status;
}

static bool asked_who(const struct errand *errand)
{
    return errand->reply.status == 401;
}

static enum kv_status learn(struct errand *errand, struct kv_error *err)
{
    struct kv_challenge challenge;
    errand->on_wire = false;
    enum kv_status status =
        kv_challenge_parse(errand->reply.challenges, errand->reply.challenge_count, &challenge, err);
    if (status != KV_OK)
        return kv_fail_in(err, status, "vault '%s'", errand->vault->parts.config->name);
    KV_TRY(kv_vault_teach(errand->vault, &challenge, err));
    errand->challenge = challenge;
    return KV_OK;
}

/* Asks the vault whose tokens it takes, unless that is known. */
static enum kv_status introduce(struct errand *errand, struct kv_error *err)
{
    if (kv_vault_challenge(errand->vault, &errand->challenge))
        return KV_OK;
    drop_bearer(errand);
    enum kv_status status = exchange(errand, err);
    if (asked_who(errand)) {
        *err = (struct kv_error){ 0 }; /* a question was no error */
        return learn(errand, err);
    }
    if (status != KV_OK)
        return status;
    return kv_fail(
        err, KV_PROTOCOL,
        "vault '%s' answered without asking for a token; check that its url is that of a Key Vault or "
        "Managed HSM",
        errand->vault->parts.config->name);
}

static enum kv_status take_bearer(struct errand *errand, struct kv_error *err)
{
    drop_bearer(errand);
    errand->on_wire = false;
    return kv_tokens_bearer(errand->vault->parts.tokens, &errand->challenge, errand->request->task,
                            &errand->bearer, errand->identity, err);
}

/* A token that the vault refuses is replaced once; the reply may name another tenant than before, or what the next token has to fulfil (contract
 * §14.8): the rest of such a reply is for browsers. */
static enum kv_status exchange_signed_in(struct errand *errand, struct kv_error *err)
{
    KV_TRY(take_bearer(errand, err));
    enum kv_status status = exchange(errand, err);
    if (!asked_who(errand) || errand->renewed)
        return status;
    errand->renewed = true;
    kv_tokens_drop(errand->vault->parts.tokens, &errand->challenge, errand->bearer);
    if (!kv_challenge_claims(errand->reply.challenges, errand->reply.challenge_count,
                             errand->challenge.claims) &&
        errand->reply.challenge_count)
        KV_TRY(learn(errand, err));
    KV_TRY(take_bearer(errand, err));
    return exchange(errand, err);
}

static enum kv_status attempt_once(struct errand *errand, struct kv_error *err)
{
    KV_TRY(introduce(errand, err));
    if (errand->request->greeting)
        return KV_OK;
    return exchange_signed_in(errand, err);
}

/* ---- repeating ---- */

/* Without a bearer nothing was asked but the way in. */
static bool repeatable(const struct errand *errand)
{
    return errand->request->idempotent || !errand->bearer;
}

static struct kv_retry_verdict decide(const struct errand *errand)
{
    const struct kv_clock *clock = errand->vault->parts.clock;
    return kv_retry_decide(&(struct kv_retry_input){
        .attempt = errand->attempt,
        .idempotent = repeatable(errand),
        .status = errand->transport,
        .maybe_processed = errand->reply.maybe_processed,
        .http = errand->reply.status,
        .retry_after = errand->reply.retry_after,
        .retry_after_ms = errand->reply.retry_after_ms,
        .unix_seconds = clock->unix_seconds(clock),
        .left_ms = kv_deadline_left(errand->request->task->deadline),
        .jitter = clock->jitter(clock),
    });
}

/* What one thread was told holds for all of them. */
static enum kv_status wait_cool_down(const struct errand *errand, struct kv_error *err)
{
    const struct kv_clock *clock = errand->vault->parts.clock;
    int64_t wait_ms;
    while ((wait_ms = kv_vault_cooling(errand->vault)) > 0) {
        if (wait_ms >= kv_deadline_left(errand->request->task->deadline))
            return kv_fail(
                err, KV_THROTTLED,
                "vault '%s' asks to be left alone for %lld more ms, which is past the deadline; repeat "
                "later, or raise `timeout`",
                errand->vault->parts.config->name, (long long)wait_ms);
        clock->sleep_ms(clock, wait_ms);
    }
    return KV_OK;
}

static bool maybe_changed(const struct errand *errand)
{
    int http = errand->reply.status;
    if (repeatable(errand) || !errand->on_wire)
        return false;
    return errand->transport != KV_OK ? errand->reply.maybe_processed : http >= 500 && http != 503;
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
    }
    return status;
}

/* When time runs out on the way to another attempt, what went wrong before is the better thing to tell. */
static enum kv_status tell_cause(const struct errand *errand, enum kv_status status,
                                 const struct kv_error *before, struct kv_error *err)
{
    if (status != KV_TIMED_OUT || before->status == KV_OK || errand->reply.maybe_processed)
        return status;
    if (err)
        *err = *before;
    return before->status;
}

static enum kv_status repeat(struct errand *errand, struct kv_error *err)
{
    const struct kv_clock *clock = errand->vault->parts.clock;
    struct kv_error own = { 0 }, before = { 0 };
    err = err ? err : &own;
    for (errand->attempt = 1;; errand->attempt++) {
        KV_TRY(wait_cool_down(errand, err));
        enum kv_status status = attempt_once(errand, err);
        if (status == KV_OK)
            return KV_OK;
        struct kv_retry_verdict verdict = { 0 };
        if (errand->on_wire)
            verdict = decide(errand);
        bool throttled = errand->on_wire && errand->reply.status == 429;
        if (throttled)
            kv_vault_cool_down(errand->vault, verdict.wait_ms);
        if (!verdict.again && maybe_changed(errand))
            return warn_changed(errand->request, status, err);
        if (!verdict.again)
            return tell_cause(errand, status, &before, err);
        before = *err;
        if (!throttled)
            clock->sleep_ms(clock, verdict.wait_ms);
    }
}

/* A refusal names its key already; an exchange that did not come about, or a token that was not given, knows only its own host. */
static enum kv_status name_what(const struct errand *errand, enum kv_status status, struct kv_error *err)
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

enum kv_status kv_request_send(struct kv_vault *vault, const struct kv_request *request, struct kv_json **ret,
                               struct kv_error *err)
{
    KV_CLEANUP(errand_free) struct errand errand = { .vault = vault, .request = request };
    KV_TRY(name_what(&errand, repeat(&errand, err), err));
    enum kv_status status = kv_json_parse(KV_VIEW(errand.reply.body), ret, err);
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

enum kv_status kv_vault_meet(struct kv_vault *vault, const struct kv_task *task, struct kv_challenge *ret,
                             struct kv_error *err)
{
    const struct kv_vault_config *config = vault->parts.config;
    KV_AUTO_FREE char *url =
        kv_text_format("%s/keys?maxresults=1&api-version=%s", config->url, config->api_version);
    if (!url)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a request");
    struct kv_request request = {
        .method = "GET", .url = url, .idempotent = true, .operation = "greet", .task = task, .greeting = true
    };
    KV_CLEANUP(errand_free) struct errand errand = { .vault = vault, .request = &request };
    KV_TRY(name_what(&errand, repeat(&errand, err), err));
    *ret = errand.challenge;
    return KV_OK;
}
