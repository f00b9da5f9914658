#include "core/probe.h"

#include "auth/challenge.h"
#include "core_private.h"
#include "net/retry.h"

static char *greeting_url(const struct kv_vault_config *config, struct kv_error *err)
{
    char *url = kv_text_format("%s/keys?maxresults=1&api-version=%s", config->url, config->api_version);
    if (!url)
        (void)!kv_fail(err, KV_NO_MEMORY, "no memory for a request");
    return url;
}

enum kv_status kv_core_probe(struct kv_core *core, size_t i, const struct kv_task *task,
                             struct kv_http_peer *ret, struct kv_error *err)
{
    KV_AUTO_FREE char *url = greeting_url(&core->config->vaults[i], err);
    return url ? kv_http_probe(core->places[i].http, url, task->deadline, ret, err) : KV_NO_MEMORY;
}

static enum kv_status read_greeting(const struct kv_place *place, const struct kv_http_reply *reply,
                                    struct kv_core_greeting *ret, struct kv_error *err)
{
    if (!kv_retry_read_date(reply->date, &ret->date))
        ret->date = 0;
    if (reply->status != 401)
        return kv_fail(
            err, KV_PROTOCOL,
            "HTTP %d where a vault asks for a token (401): check that `url` is that of a Key Vault "
            "or Managed HSM, and any proxy",
            reply->status);
    KV_TRY(kv_challenge_parse(reply->challenges, reply->challenge_count, &ret->challenge, err));
    return kv_vault_teach(place->vault, &ret->challenge, err);
}

enum kv_status kv_core_greet(struct kv_core *core, size_t i, const struct kv_task *task,
                             struct kv_core_greeting *ret, struct kv_error *err)
{
    const struct kv_vault_config *config = &core->config->vaults[i];
    KV_AUTO_FREE char *url = greeting_url(config, err);
    KV_AUTO_REPLY struct kv_http_reply reply = { 0 };
    *ret = (struct kv_core_greeting){ .date = 0 };
    if (!url)
        return KV_NO_MEMORY;
    struct kv_http_request request = { .method = "GET",
                                       .url = url,
                                       .headers = { { "Accept", "application/json" } },
                                       .pins = config->pin_certificate };
    KV_TRY(kv_http_send(core->places[i].http, &request, task->deadline, &reply, err));
    return read_greeting(&core->places[i], &reply, ret, err);
}

struct kv_vault *kv_core_vault(struct kv_core *core, size_t i)
{
    return core->places[i].vault;
}
