#include "managed.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define KEY_FOLDER "/var/opt/azcmagent/tokens"

/* The order of MSAL: the first that this host has. */
static const struct kv_managed_source *const sources[] = {
    &kv_managed_service_fabric, &kv_managed_app_service, &kv_managed_azure_ml,
    &kv_managed_cloud_shell,    &kv_managed_arc,         &kv_managed_imds,
};

static bool is_named(const struct kv_vault_config *config)
{
    return config->identity_source && strcmp(config->identity_source, "auto") != 0;
}

enum kv_status kv_managed_choose(const struct kv_vault_config *config, const struct kv_managed_source **ret,
                                 struct kv_error *err)
{
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        const char *missing = sources[i]->missing(config);
        if (is_named(config) ? strcmp(config->identity_source, sources[i]->name) != 0 : missing != NULL)
            continue;
        if (missing)
            return kv_fail(err, KV_CREDENTIAL, "`identity_source` is '%s', but %s", sources[i]->name,
                           missing);
        *ret = sources[i];
        return KV_OK;
    }
    return kv_fail(err, KV_CREDENTIAL, "nothing on this host hands out tokens: see `identity_source`");
}

static const char *unavailable(const struct kv_vault_config *config)
{
    const struct kv_managed_source *source;
    return kv_managed_choose(config, &source, NULL) == KV_OK
               ? NULL
               : "what `identity_source` names is not on this host, or `imds_endpoint` is not set";
}

/* ---- which identity ---- */

/* The settings by which it may be named. An application's client_id may come from the environment and mean another credential, so the
 * other two go before it. */
static const struct {
    const char *setting;
    size_t offset;
} names[KV_BY_COUNT] = {
    [KV_BY_CLIENT] = { "client_id", offsetof(struct kv_vault_config, client_id) },
    [KV_BY_OBJECT] = { "object_id", offsetof(struct kv_vault_config, object_id) },
    [KV_BY_RESOURCE] = { "resource_id", offsetof(struct kv_vault_config, resource_id) },
};

static const char *id_of(const struct kv_vault_config *config, enum kv_managed_by by)
{
    return *(char *const *)((const char *)config + names[by].offset);
}

static enum kv_managed_by named_by(const struct kv_vault_config *config)
{
    if (config->object_id)
        return KV_BY_OBJECT;
    return config->resource_id ? KV_BY_RESOURCE : KV_BY_CLIENT;
}

static enum kv_status choose_identity(const struct kv_vault_config *config,
                                      const struct kv_managed_source *source, struct kv_managed_ask *ask,
                                      struct kv_error *err)
{
    enum kv_managed_by by = named_by(config);
    if (config->object_id && config->resource_id)
        return kv_fail(err, KV_CREDENTIAL,
                       "`object_id` and `resource_id` both name the identity: remove one");
    ask->id = id_of(config, by);
    ask->parameter = source->parameters[by];
    if (!ask->id || ask->parameter)
        return KV_OK;
    return kv_fail(err, KV_CREDENTIAL, "`%s` is '%s', but '%s' takes no user-assigned identity%s: %s",
                   names[by].setting, ask->id, source->name, source->parameters[KV_BY_CLIENT] ? " by it" : "",
                   source->parameters[KV_BY_CLIENT] ? "write `client_id` instead" : "remove it");
}

/* ---- replies ---- */

/* {"error", "error_description"} or, from App Service, {"message"}. */
static void read_refusal(const struct kv_http_reply *reply, struct kv_oauth_refusal *ret)
{
    KV_AUTO_JSON struct kv_json *json = NULL;
    kv_oauth_read_refusal(KV_VIEW(reply->body), ret);
    if (ret->said[0] || kv_json_parse(KV_VIEW(reply->body), &json, NULL) != KV_OK)
        return;
    const char *message = kv_json_text(kv_json_get(json, "message"));
    if (message)
        snprintf(ret->said, sizeof ret->said, "%.*s", (int)strcspn(message, "\r\n"), message);
}

static const char *remedy_of(int http)
{
    static const struct {
        int http;
        const char *remedy;
    } remedies[] = {
        { 400, "assign the identity to this machine, or correct `client_id`" },
        { 401, "start the program where the platform gives it its secret, and again" },
        { 403, "see whether this program may ask for the machine's identity" },
        { 410, "the service is being upgraded: raise `timeout` above 70, or try again" },
        { 429, "too many ask for tokens on this machine: try again" },
    };
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
        if (remedies[i].http == http)
            return remedies[i].remedy;
    }
    return "see whether the machine's identity endpoint works";
}

struct answer {
    const struct kv_managed_source *source;
    const struct kv_managed_ask *ask;
    const struct kv_http_reply *reply;
};

static enum kv_status fail_refused(const struct answer *answer, struct kv_error *err)
{
    const struct kv_vault_config *config = answer->ask->request->config;
    const char *id = answer->ask->id;
    struct kv_oauth_refusal refusal;
    read_refusal(answer->reply, &refusal);
    enum kv_status status =
        kv_fail(err, KV_CREDENTIAL, "managed identity%s%s%s got no token from %s '%s': HTTP %d%s%s: %s%s%s",
                id ? " '" : "", id ? id : "", id ? "'" : "", answer->source->name,
                answer->source->endpoint(config), answer->reply->status, refusal.code[0] ? " " : "",
                refusal.code, refusal.said, refusal.said[0] ? "; " : "", remedy_of(answer->reply->status));
    if (err) {
        err->http = answer->reply->status;
        kv_text_fit(err->code, sizeof err->code, refusal.code);
    }
    return status;
}

/* Otherwise the token of another identity than the one asked for would be used. */
static enum kv_status check_echo(const struct answer *answer, struct kv_error *err)
{
    const struct kv_managed_ask *ask = answer->ask;
    KV_AUTO_JSON struct kv_json *json = NULL;
    if (!answer->source->echo || !ask->id)
        return KV_OK;
    KV_TRY(kv_json_parse(KV_VIEW(answer->reply->body), &json, err));
    const char *echo = kv_json_text(kv_json_get(json, ask->parameter));
    if (echo && kv_text_equal_case(echo, ask->id))
        return KV_OK;
    return kv_fail(err, KV_CREDENTIAL,
                   "%s gave a token that is not said to be of '%s': update its agent to a version that knows "
                   "user-assigned identities",
                   answer->source->name, ask->id);
}

static enum kv_status read_reply(const struct answer *answer, struct kv_access_token *ret,
                                 struct kv_error *err)
{
    const struct kv_credential_request *request = answer->ask->request;
    const struct kv_clock *clock = request->task->deadline.clock;
    if (answer->reply->status != 200)
        return fail_refused(answer, err);
    KV_TRY(check_echo(answer, err));
    enum kv_status status =
        kv_oauth_read_token(KV_VIEW(answer->reply->body), clock->unix_seconds(clock), ret, err);
    return status == KV_OK ? KV_OK
                           : kv_fail_in(err, status, "'%s'", answer->source->endpoint(request->config));
}

/* ---- the kind ---- */

/* "https://vault.azure.net" of "https://vault.azure.net/.default" */
static char *resource_of(const char *scope)
{
    static const char suffix[] = "/.default";
    size_t len = strlen(scope), tail = sizeof suffix - 1;
    bool has = len >= tail && strcmp(scope + len - tail, suffix) == 0;
    return kv_text_copy_n(scope, has ? len - tail : len);
}

enum kv_status kv_managed_acquire(const struct kv_credential_request *request, const char *key_folder,
                                  struct kv_access_token *ret, struct kv_error *err)
{
    const struct kv_managed_source *source = NULL;
    KV_AUTO_TEXT char *resource = resource_of(request->challenge->scope);
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    struct kv_managed_ask ask = { .request = request, .resource = resource, .key_folder = key_folder };
    if (!resource)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a token request");
    if (kv_managed_choose(request->config, &source, err) != KV_OK ||
        choose_identity(request->config, source, &ask, err) != KV_OK)
        return kv_fail_in(err, KV_CREDENTIAL, "credential 'managed-identity'");
    KV_TRY(source->ask(&ask, &reply, err));
    return read_reply(&(struct answer){ source, &ask, &reply }, ret, err);
}

static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    return kv_managed_acquire(request, KEY_FOLDER, ret, err);
}

const struct kv_credential_kind kv_credential_managed_identity = { "managed-identity", unavailable, acquire,
                                                                   false };
