#include "oauth.h"
#include "expiry.h"

#include "base/encode.h"
#include "base/json.h"
#include "net/retry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BEARER_MAX = 16 << 10, PATIENT_ATTEMPTS = 5 };
#define TIME_MAX INT64_C(253402300799) /* the end of the year 9999 */

void kv_access_token_free(struct kv_access_token *token)
{
    if (!token)
        return;
    kv_text_free(token->bearer);
    kv_wipe(token, sizeof *token);
}

/* ---- sending ---- */

static bool listed(const int *list, int http)
{
    for (; list && *list; list++) {
        if (*list == http)
            return true;
    }
    return false;
}

struct outcome {
    unsigned attempt;
    int64_t waited_ms; /* before it, in all */
    enum kv_status status;
    const struct kv_http_reply *reply;
};

/* Who is being upgraded is gone for longer than the usual number of attempts lasts. */
static unsigned counted(const struct kv_oauth_send *send, const struct outcome *outcome)
{
    bool patient = outcome->reply->status == 410 && outcome->waited_ms < send->gone_ms;
    return patient && outcome->attempt > PATIENT_ATTEMPTS ? PATIENT_ATTEMPTS : outcome->attempt;
}

static bool worth_another(const struct kv_oauth_send *send, const struct outcome *outcome,
                          int64_t *ret_wait_ms)
{
    struct kv_deadline deadline = send->task->deadline;
    const struct kv_http_reply *reply = outcome->reply;
    struct kv_retry_input input = {
        .attempt = counted(send, outcome),
        .idempotent = true,
        .status = outcome->status,
        .maybe_processed = reply->maybe_processed,
        .http = listed(send->repeat, reply->status) ? 503 : reply->status,
        .retry_after = reply->retry_after,
        .retry_after_ms = reply->retry_after_ms,
        .date = reply->date,
        .unix_seconds = deadline.clock->unix_seconds(deadline.clock),
        .left_ms = kv_deadline_left(deadline),
        .jitter = deadline.clock->jitter(deadline.clock),
    };
    struct kv_retry_verdict verdict = kv_retry_decide(&input);
    *ret_wait_ms = verdict.wait_ms;
    return verdict.again && !(send->absent && send->absent(outcome->status, reply));
}

enum kv_status kv_oauth_send(const struct kv_oauth_send *send, struct kv_http_reply *ret,
                             struct kv_error *err)
{
    struct outcome outcome = { .attempt = 1 };
    for (;; outcome.attempt++) {
        KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
        int64_t wait_ms;
        enum kv_status status = kv_http_send(send->http, send->request, send->task->deadline, &reply, err);
        outcome.status = status;
        outcome.reply = &reply;
        if (!worth_another(send, &outcome, &wait_ms)) {
            *ret = reply;
            reply = (struct kv_http_reply){ 0 };
            return status;
        }
        if (!kv_deadline_sleep(send->task->deadline, wait_ms))
            return kv_fail(err, KV_CANCELLED,
                           "the application ended the call before a token was asked for again");
        outcome.waited_ms += wait_ms;
    }
}

/* ---- reading ---- */

static bool number_of(const struct kv_json *json, int64_t *ret)
{
    const char *text = kv_json_text(json);
    if (!text)
        return kv_json_int(json, ret) && *ret >= 0 && *ret <= TIME_MAX;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < 0 || value > TIME_MAX)
        return false;
    *ret = value;
    return true;
}

bool kv_oauth_is_bearer(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/");
    len += strspn(text + len, "=");
    return len && !text[len] && len <= BEARER_MAX;
}

static void read_identity(const struct kv_json *claims, char *ret, size_t size)
{
    static const char *const names[] = { "appid", "azp", "oid" };
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !*ret; i++) {
        const char *text = kv_json_text(kv_json_get(claims, names[i]));
        if (text && kv_oauth_is_bearer(text))
            kv_text_fit(ret, size, text);
    }
}

struct kv_json *kv_oauth_claims(const char *bearer)
{
    const char *from = strchr(bearer, '.'), *to = from ? strchr(from + 1, '.') : NULL;
    if (!to)
        return NULL;
    KV_AUTO_TEXT char *middle = kv_text_copy_n(from + 1, (size_t)(to - from - 1));
    KV_AUTO_BYTES struct kv_bytes text = { 0 };
    KV_AUTO_JSON struct kv_json *claims = NULL;
    if (!middle || kv_decode_base64url(middle, &text) != KV_OK ||
        kv_json_parse(KV_VIEW(text), &claims, NULL) != KV_OK || !kv_json_is_object(claims))
        return NULL;
    return kv_take(claims);
}

bool kv_oauth_read_claims(const char *bearer, struct kv_oauth_claims *ret)
{
    KV_AUTO_JSON struct kv_json *claims = kv_oauth_claims(bearer);
    if (!claims)
        return false;
    struct kv_oauth_claims found = { 0 };
    if (!number_of(kv_json_get(claims, "exp"), &found.expires))
        found.expires = 0;
    read_identity(claims, found.identity, sizeof found.identity);
    *ret = found;
    return true;
}

static bool read_lifetime(const struct kv_json *json, int64_t now, const struct kv_oauth_claims *claims,
                          struct kv_access_token *token)
{
    int64_t value;
    token->refresh = number_of(kv_json_get(json, "refresh_in"), &value) && value ? now + value : 0;
    /* The span first: it holds whatever the clocks of the two hosts say. */
    if (number_of(kv_json_get(json, "expires_in"), &value))
        token->expires = now + value;
    else if (number_of(kv_json_get(json, "expires_on"), &value) ||
             kv_expiry_read(kv_json_text(kv_json_get(json, "expires_on")), &value))
        token->expires = value;
    else
        token->expires = claims->expires;
    return token->expires > now;
}

enum kv_status kv_oauth_read_token(struct kv_view body, int64_t now, struct kv_access_token *ret,
                                   struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *json = NULL;
    if (kv_json_parse(body, &json, NULL) != KV_OK)
        return kv_fail(err, KV_PROTOCOL,
                       "the token reply is not JSON; what answers there is not an identity "
                       "endpoint");
    const char *bearer = kv_json_text(kv_json_get(json, "access_token"));
    if (!bearer || !kv_oauth_is_bearer(bearer))
        return kv_fail(err, KV_PROTOCOL,
                       "the token reply has no usable `access_token`; what answers there is not "
                       "an identity endpoint");
    struct kv_oauth_claims claims = { 0 };
    struct kv_access_token token = { 0 };
    if (kv_oauth_read_claims(bearer, &claims))
        kv_text_fit(token.identity, sizeof token.identity, claims.identity);
    if (!read_lifetime(json, now, &claims, &token))
        return kv_fail(err, KV_PROTOCOL,
                       "the token reply tells no lifetime, or one that is over; check this "
                       "host's clock");
    token.bearer = kv_text_copy(bearer);
    if (!token.bearer)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a token");
    *ret = token;
    return KV_OK;
}

void kv_oauth_read_refusal(struct kv_view body, struct kv_oauth_refusal *ret)
{
    *ret = (struct kv_oauth_refusal){ 0 };
    KV_AUTO_JSON struct kv_json *json = NULL;
    if (kv_json_parse(body, &json, NULL) != KV_OK)
        return;
    const char *error = kv_json_text(kv_json_get(json, "error"));
    const char *said = kv_json_text(kv_json_get(json, "error_description"));
    int64_t number;
    if (error)
        kv_text_fit(ret->error, sizeof ret->error, error);
    if (said)
        snprintf(ret->said, sizeof ret->said, "%.*s", (int)strcspn(said, "\r\n"), said);
    if (kv_json_int(kv_json_at(kv_json_get(json, "error_codes"), 0), &number))
        snprintf(ret->code, sizeof ret->code, "AADSTS%lld", (long long)number);
    else if (said && strncmp(said, "AADSTS", 6) == 0)
        snprintf(ret->code, sizeof ret->code, "%.*s", (int)strspn(said + 6, "0123456789") + 6, said);
    else if (error)
        snprintf(ret->code, sizeof ret->code, "%s", error);
}
