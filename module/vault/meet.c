/* Whose tokens a vault takes: asked without a token, and with nothing else to it (contract §4.2). */
#include "errand.h"

static enum kv_status make_greeting(struct kv_vault *vault, const struct kv_task *task, char **ret_url,
                                    struct kv_request *ret, struct kv_error *err)
{
    const struct kv_vault_config *config = vault->parts.config;
    char *url = kv_text_format("%s/keys?maxresults=1&api-version=%s", config->url, config->api_version);
    if (!url)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a request");
    *ret = (struct kv_request){
        .method = "GET", .url = url, .idempotent = true, .operation = "greet", .task = task, .greeting = true
    };
    *ret_url = url;
    return KV_OK;
}

enum kv_status kv_vault_meet(struct kv_vault *vault, const struct kv_task *task, struct kv_challenge *ret,
                             struct kv_error *err)
{
    KV_AUTO_FREE char *url = NULL;
    struct kv_request request;
    KV_TRY(make_greeting(vault, task, &url, &request, err));
    KV_CLEANUP(kv_errand_free) struct kv_errand errand = { .vault = vault, .request = &request };
    KV_TRY(kv_errand_send(&errand, err));
    *ret = errand.challenge;
    return KV_OK;
}

/* One attempt: there is an error to tell already, and no reason to wait for a better one. */
static enum kv_status ask_anew(struct kv_vault *vault, const struct kv_task *task, struct kv_challenge *ret,
                               struct kv_error *err)
{
    KV_AUTO_FREE char *url = NULL;
    struct kv_request request;
    KV_TRY(make_greeting(vault, task, &url, &request, err));
    KV_CLEANUP(kv_errand_free)
    struct kv_errand errand = { .vault = vault, .request = &request, .attempt = 1, .anew = true };
    KV_TRY(kv_errand_attempt(&errand, err));
    *ret = errand.challenge;
    return KV_OK;
}

/* Another thread may have asked meanwhile. */
static bool is_news(struct kv_vault *vault, const struct kv_challenge *former, struct kv_challenge *ret)
{
    return kv_vault_challenge(vault, ret) && !kv_challenge_same(ret, former);
}

enum kv_status kv_vault_meet_anew(struct kv_vault *vault, const struct kv_task *task,
                                  struct kv_challenge *challenge, struct kv_error *err)
{
    struct kv_challenge now = { 0 };
    struct kv_error why = { 0 };
    if (!kv_challenge_leads_nowhere(err))
        return err->status;
    if (!is_news(vault, challenge, &now)) {
        if (kv_vault_believed(vault) || kv_vault_cooling(vault))
            return err->status;
        enum kv_status status = ask_anew(vault, task, &now, &why);
        if (status == KV_CREDENTIAL) /* there is another, which is not allowed */
            *err = why;
        if (status != KV_OK || kv_challenge_same(&now, challenge))
            return err->status;
    }
    *challenge = now;
    return KV_OK;
}
