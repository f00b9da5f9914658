#include "vault_private.h"

#include <string.h>

void kv_vault_key_free(struct kv_vault_key *key)
{
    if (!key)
        return;
    kv_bytes_free(&key->n);
    kv_bytes_free(&key->e);
    kv_bytes_free(&key->x);
    kv_bytes_free(&key->y);
    *key = (struct kv_vault_key){ 0 };
}

void kv_vault_page_free(struct kv_vault_page *page)
{
    if (!page)
        return;
    for (size_t i = 0; i < page->count; i++)
        kv_vault_key_free(&page->items[i]);
    free(page->items);
    free(page->next);
    *page = (struct kv_vault_page){ 0 };
}

void kv_vault_certificate_free(struct kv_vault_certificate *certificate)
{
    if (certificate)
        kv_bytes_free(&certificate->der);
}

void kv_vault_result_free(struct kv_vault_result *result)
{
    if (!result)
        return;
    kv_bytes_free(&result->value);
    kv_bytes_free(&result->iv);
    kv_bytes_free(&result->tag);
}

/* Contract §9.1, §9.2: a Managed HSM does not throttle what is done with keys. */
int64_t kv_vault_quota(const struct kv_vault_config *config)
{
    enum { VAULT = 4000 };
    if (config->rate_limit == KV_RATE_AUTO)
        return config->managed_hsm ? 0 : VAULT;
    return config->rate_limit;
}

int64_t kv_vault_weight(enum kv_kind kind, unsigned bits, bool hsm)
{
    return kv_limiter_weight(kind, bits, hsm);
}

enum kv_status kv_vault_open(const struct kv_vault_parts *parts, struct kv_vault **ret, struct kv_error *err)
{
    struct kv_vault *vault = calloc(1, sizeof *vault);
    if (!vault)
        return kv_fail(err, KV_NO_MEMORY, "no memory for vault '%s'", parts->config->name);
    vault->parts = *parts;
    pthread_mutex_init(&vault->lock, NULL);
    kv_limiter_init(&vault->limiter, kv_vault_quota(parts->config), parts->clock->steady_ms(parts->clock));
    *ret = vault;
    return KV_OK;
}

void kv_vault_free(struct kv_vault *vault)
{
    if (!vault)
        return;
    kv_limiter_free(&vault->limiter);
    pthread_mutex_destroy(&vault->lock);
    free(vault);
}

bool kv_vault_challenge(struct kv_vault *vault, struct kv_challenge *ret)
{
    pthread_mutex_lock(&vault->lock);
    bool known = vault->challenge_known;
    if (known)
        *ret = vault->challenge;
    pthread_mutex_unlock(&vault->lock);
    return known;
}

enum kv_status kv_vault_teach(struct kv_vault *vault, const struct kv_challenge *challenge,
                              struct kv_error *err)
{
    const struct kv_vault_config *config = vault->parts.config;
    struct kv_challenge_policy policy = {
        .request_host = config->host,
        .authority = config->authority,
        .cloud = config->cloud,
        .tenant = config->tenant,
        .allowed_tenants = &config->additionally_allowed_tenants,
        .skip_resource_check = config->disable_challenge_resource_verification,
    };
    KV_TRY(kv_challenge_check(challenge, &policy, err));
    pthread_mutex_lock(&vault->lock);
    vault->challenge = *challenge;
    vault->challenge_known = true;
    pthread_mutex_unlock(&vault->lock);
    return KV_OK;
}

static int64_t steady_now(const struct kv_vault *vault)
{
    return vault->parts.clock->steady_ms(vault->parts.clock);
}

/* A tenant that is wrong, and not just gone, would else cost the vault a request with each call that it fails. */
void kv_vault_believe(struct kv_vault *vault)
{
    enum { BELIEVED_MS = 60000 };
    int64_t until = steady_now(vault) + BELIEVED_MS;
    pthread_mutex_lock(&vault->lock);
    vault->believed_ms = until;
    pthread_mutex_unlock(&vault->lock);
}

bool kv_vault_believed(struct kv_vault *vault)
{
    int64_t now = steady_now(vault);
    pthread_mutex_lock(&vault->lock);
    bool believed = now < vault->believed_ms;
    pthread_mutex_unlock(&vault->lock);
    return believed;
}

void kv_vault_cool_down(struct kv_vault *vault, int64_t wait_ms)
{
    int64_t until = steady_now(vault) + wait_ms;
    pthread_mutex_lock(&vault->lock);
    if (until > vault->not_before_ms)
        vault->not_before_ms = until;
    pthread_mutex_unlock(&vault->lock);
}

int64_t kv_vault_cooling(struct kv_vault *vault)
{
    int64_t now = steady_now(vault);
    pthread_mutex_lock(&vault->lock);
    int64_t left = vault->not_before_ms - now;
    pthread_mutex_unlock(&vault->lock);
    return left > 0 ? left : 0;
}
