#include "managed.h"

#include "base/json.h"

enum { PROBE_MS = 1000, GONE_MS = 70000 };

static const char *missing(const struct kv_vault_config *config)
{
    return config->imds_endpoint ? NULL : "`imds_endpoint` is not set";
}

static const char *endpoint(const struct kv_vault_config *config)
{
    return config->imds_endpoint;
}

/* Contract §14.4: 404 while an identity is being assigned, 410 while the service is being upgraded, and every 5xx. */
static const int repeat[] = { 404, 410, 501, 505, 506, 507, 508, 510, 511, 0 };

/* Other clouds have something at this address, too, which answers in its own way. */
static bool is_ours(struct kv_view body)
{
    KV_AUTO_JSON struct kv_json *json = NULL;
    return kv_json_parse(body, &json, NULL) == KV_OK && kv_json_is_object(json);
}

static bool nobody_there(enum kv_status status, const struct kv_http_reply *reply)
{
    if (status != KV_OK)
        return status == KV_UNREACHABLE;
    if (reply->status == 403 || reply->status == 504)
        return true;
    return (reply->status == 200 || reply->status == 404 || reply->status == 401 || reply->status == 405) &&
           !is_ours(KV_VIEW(reply->body));
}

/* Without its header the service turns a request away at once, while a token may take it seconds: so the question is whether anybody answers, and
 * everybody who does is there. What takes a connection and says nothing would else cost the whole deadline (contract §14.4). */
static enum kv_status look(const struct kv_credential_request *request, const char *url, struct kv_error *err)
{
    struct kv_deadline deadline = request->task->deadline;
    int64_t left = kv_deadline_left(deadline);
    struct kv_http_request probe = {
        .method = "GET", .url = url, .link_local = true, .connect_timeout_ms = PROBE_MS
    };
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    deadline = kv_deadline_again(deadline, left < PROBE_MS ? left : PROBE_MS);
    enum kv_status status = kv_http_send(request->http, &probe, deadline, &reply, err);
    if (status == KV_TIMED_OUT && kv_deadline_left(request->task->deadline))
        return kv_fail(
            err, KV_UNREACHABLE,
            "the metadata service '%s' does not answer within a second: where it is only slow, let "
            "`credential` be managed-identity alone",
            request->config->imds_endpoint);
    if (status == KV_OK && (reply.status == 403 || reply.status == 504))
        return kv_fail(err, KV_CREDENTIAL, "the metadata service '%s' cannot be reached from here: HTTP %d",
                       request->config->imds_endpoint, reply.status);
    return status;
}

static bool is_own(enum kv_status status)
{
    return status == KV_TIMED_OUT || status == KV_CANCELLED || status == KV_NO_MEMORY;
}

/* A machine to which no identity is assigned is no refusal; that it does not have the one that was named is. */
static bool none_assigned(const struct kv_managed_ask *ask, const struct kv_http_reply *reply)
{
    return reply->status == 400 && !ask->id;
}

static enum kv_status send(const struct kv_managed_ask *ask, struct kv_http_reply *ret, struct kv_error *err)
{
    bool *absent = ask->request->absent;
    KV_AUTO_FREE char *url =
        kv_text_format("%s/metadata/identity/oauth2/token", ask->request->config->imds_endpoint);
    if (!url)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a token request");
    /* Chosen by name it is waited for; as a link of a chain it may well not be there at all. */
    if (absent) {
        enum kv_status there = look(ask->request, url, err);
        *absent = there != KV_OK && !is_own(there);
        KV_TRY(there);
    }
    struct kv_managed_form form = {
        .endpoint = url,
        .api_version = "2018-02-01",
        .header = { "Metadata", "true" },
        .repeat = repeat,
        .gone_ms = GONE_MS,
        .connect_timeout_ms = absent ? PROBE_MS : 0,
        .absent = absent ? nobody_there : NULL,
    };
    enum kv_status status = kv_managed_send(ask, &form, ret, err);
    if (absent)
        *absent = nobody_there(status, ret) || (status == KV_OK && none_assigned(ask, ret));
    return status;
}

const struct kv_managed_source kv_managed_imds = {
    .name = "imds",
    .missing = missing,
    .endpoint = endpoint,
    .parameters = { "client_id", "object_id", "msi_res_id" },
    .ask = send,
};
