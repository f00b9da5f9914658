#include "errand.h"

#include "base/encode.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static void drop_bearer(struct kv_errand *errand)
{
    kv_text_free(errand->bearer);
    errand->bearer = NULL;
    errand->identity[0] = 0;
}

void kv_errand_free(struct kv_errand *errand)
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

static void audit(const struct kv_errand *errand, enum kv_status status, const struct kv_error *err,
                  int64_t ms)
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

static bool changes(const struct kv_request *request)
{
    return !request->key_op && strcmp(request->method, "GET") != 0;
}

static enum kv_status map_refusal(const struct kv_errand *errand, struct kv_error *err)
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
            .read_only = changes(request) ? &errand->vault->parts.config->read_only_errors : NULL,
        },
        err);
}

static bool fine(int http)
{
    return http >= 200 && http < 300;
}

/* One exchange. KV_OK: a 2xx reply; a 401 is not an error yet, but a question. Without a bearer neither token nor body goes out: the peer has
 * still to show that it is a vault (contract §4.2). */
static enum kv_status exchange(struct kv_errand *errand, struct kv_error *err)
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
        .pins = errand->vault->parts.config->pin_certificate,
    };
    struct kv_error own = { 0 };
    kv_http_reply_free(&errand->reply);
    errand->on_wire = false;
    if (errand->bearer)
        KV_TRY(kv_errand_wait_turn(errand, err));
    int64_t from = clock->steady_ms(clock);
    enum kv_status status =
        kv_http_send(errand->vault->parts.http, &http, request->task->deadline, &errand->reply, &own);
    errand->transport = status;
    if (errand->bearer)
        kv_errand_done(errand);
    if (status == KV_OK && !fine(errand->reply.status))
        status = map_refusal(errand, &own);
    errand->on_wire = status != KV_OK;
    audit(errand, status, &own, clock->steady_ms(clock) - from);
    if (status != KV_OK && err)
        *err = own;
    return status;
}

static bool asked_who(const struct kv_errand *errand)
{
    return errand->reply.status == 401;
}

static enum kv_status learn(struct kv_errand *errand, struct kv_error *err)
{
    struct kv_challenge challenge;
    errand->on_wire = false;
    enum kv_status status =
        kv_challenge_parse(errand->reply.challenges, errand->reply.challenge_count, &challenge, err);
    if (status != KV_OK)
        return kv_fail_in(err, status, "vault '%s'", errand->vault->parts.config->name);
    KV_TRY(kv_vault_teach(errand->vault, &challenge, err));
    kv_vault_believe(errand->vault);
    errand->challenge = challenge;
    return KV_OK;
}

/* Asks the vault whose tokens it takes, unless that is known. */
static enum kv_status introduce(struct kv_errand *errand, struct kv_error *err)
{
    if (!errand->anew && kv_vault_challenge(errand->vault, &errand->challenge))
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

static enum kv_status take_bearer(struct kv_errand *errand, struct kv_error *err)
{
    drop_bearer(errand);
    errand->on_wire = false;
    return kv_tokens_bearer(errand->vault->parts.tokens, &errand->challenge, errand->request->task,
                            &errand->bearer, errand->identity, err);
}

/* What the vault told may be of long ago, by the version map: its tenant may have gone since, and so may the authority. */
static enum kv_status take_bearer_anew(struct kv_errand *errand, struct kv_error *err)
{
    if (take_bearer(errand, err) == KV_OK)
        return KV_OK;
    KV_TRY(kv_vault_meet_anew(errand->vault, errand->request->task, &errand->challenge, err));
    return take_bearer(errand, err);
}

/* A token that the vault refuses is replaced once; the reply may name another tenant than before, or what the next token has to fulfil (contract
 * §14.8): the rest of such a reply is for browsers. */
static enum kv_status exchange_signed_in(struct kv_errand *errand, struct kv_error *err)
{
    KV_TRY(take_bearer_anew(errand, err));
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

enum kv_status kv_errand_attempt(struct kv_errand *errand, struct kv_error *err)
{
    KV_TRY(introduce(errand, err));
    if (errand->request->greeting)
        return KV_OK;
    return exchange_signed_in(errand, err);
}
