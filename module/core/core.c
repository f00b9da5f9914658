#include "core_private.h"

#include <string.h>
#include <sys/socket.h>

KV_DEFINE_CLEANUP(struct kv_core, kv_core_close)

static enum kv_status open_map(struct kv_core *core, struct kv_error *err)
{
    struct kv_error why = { 0 };
    enum kv_status status = kv_map_open(core->config->map, &core->map, &why);

    if (status == KV_OK)
        return KV_OK;
    if (!core->map) {
        if (err)
            *err = why;
        return status;
    }
    kv_log_line(core->log, KV_LOG_WARN, "working without the version map on file: %s",
                *why.text ? why.text : kv_status_text(status));
    return KV_OK;
}

/* As net takes it. */
static const char *proxy_of(const struct kv_vault_config *config)
{
    if (!config->proxy || !strcmp(config->proxy, "environment"))
        return NULL;
    return strcmp(config->proxy, "none") ? config->proxy : "";
}

static enum kv_status open_place(struct kv_core *core, const struct kv_vault_config *config,
                                 struct kv_place *place, struct kv_error *err)
{
    static const int families[] = { [KV_FAMILY_IPV4] = AF_INET, [KV_FAMILY_IPV6] = AF_INET6 };
    struct kv_http_options http = { .ca_file = config->ca_file,
                                    .resolve = config->resolve.items,
                                    .resolve_count = config->resolve.count,
                                    .proxy = proxy_of(config),
                                    .tls13 = config->tls_min == KV_TLS_1_3,
                                    .http2 = config->http_version != KV_HTTP_1_1,
                                    .http2_or_error = config->http_version == KV_HTTP_2,
                                    .family = families[config->address_family],
                                    .interface = config->interface,
                                    .connect_timeout_ms = config->connect_timeout_ms,
                                    .idle_ms = config->idle_ms,
                                    .max_connections = (size_t)config->max_connections,
                                    .user_agent = "kvp11/" KV_CORE_VERSION,
                                    .clock = core->clock };

    KV_TRY(kv_http_open(&http, &place->http, err));
    KV_TRY(kv_tokens_open(config, place->http, core->tokens, &place->tokens, err));
    struct kv_vault_parts vault = { config, place->http, place->tokens, core->log, core->clock };
    KV_TRY(kv_vault_open(&vault, &place->vault, err));
    struct kv_keyring_parts keyring = { config, place->vault, core->map, core->log, core->clock };
    return kv_keyring_open(&keyring, &place->keyring, err);
}

/* Each borrows others; none owns one, so that any order of closing will do. */
static void join_places(struct kv_core *core)
{
    for (size_t i = 0; i < core->config->vault_count; i++) {
        const struct kv_pair_list *names = &core->config->vaults[i].failover;

        for (size_t k = 0; k < names->count; k++) {
            struct kv_keyring *other = kv_core_keyring_named(core, names->items[k]);
            if (other)
                kv_keyring_fail_over_to(core->places[i].keyring, other);
        }
    }
}

enum kv_status kv_core_open(struct kv_config *config, const struct kv_clock *clock, struct kv_core **ret,
                            struct kv_error *err)
{
    KV_CLEANUP(kv_core_close_cleanup) struct kv_core *core = calloc(1, sizeof(*core));

    if (!core) {
        kv_config_free(config);
        return kv_fail(err, KV_NO_MEMORY, "memory is short");
    }
    core->config = config;
    core->clock = clock ? clock : &kv_clock_system;
    core->places = calloc(config->vault_count + 1, sizeof(*core->places));
    if (!core->places)
        return kv_fail(err, KV_NO_MEMORY, "memory is short");
    KV_TRY(kv_log_open(config->log, (enum kv_log_level)config->log_level, config->audit, &core->log, err));
    KV_TRY(open_map(core, err));
    struct kv_token_cache_parts tokens = { core->clock, core->log, config->surroundings };
    KV_TRY(kv_token_cache_open(&tokens, &core->tokens, err));
    for (size_t i = 0; i < config->vault_count; i++)
        KV_TRY(open_place(core, &config->vaults[i], &core->places[i], err));
    join_places(core);
    *ret = kv_take(core);
    return KV_OK;
}

static void close_place(struct kv_place *place)
{
    kv_keyring_free(place->keyring);
    kv_vault_free(place->vault);
    kv_tokens_free(place->tokens);
    kv_http_free(place->http);
}

void kv_core_close(struct kv_core *core)
{
    if (!core)
        return;
    for (size_t i = 0; core->places && i < core->config->vault_count; i++)
        close_place(&core->places[i]);
    free(core->places);
    kv_token_cache_free(core->tokens);
    kv_map_free(core->map);
    kv_log_free(core->log);
    kv_config_free(core->config);
    free(core);
}

/* What is not forgotten here is leaked on purpose: locks may be held by threads that the child does not have. */
void kv_core_forget(struct kv_core *core)
{
    if (!core)
        return;
    for (size_t i = 0; i < core->config->vault_count; i++)
        kv_http_forget(core->places[i].http);
    kv_map_forget(core->map);
}

const struct kv_config *kv_core_config(const struct kv_core *core)
{
    return core->config;
}

struct kv_log *kv_core_log(struct kv_core *core)
{
    return core->log;
}

const struct kv_clock *kv_core_clock(const struct kv_core *core)
{
    return core->clock;
}

struct kv_map *kv_core_map(struct kv_core *core)
{
    return core->map;
}

size_t kv_core_vault_count(const struct kv_core *core)
{
    return core->config->vault_count;
}

struct kv_keyring *kv_core_keyring(struct kv_core *core, size_t i)
{
    return i < core->config->vault_count ? core->places[i].keyring : NULL;
}

bool kv_core_needs_person(const struct kv_core *core, size_t i)
{
    return i < core->config->vault_count && kv_credential_needs_person(&core->config->vaults[i]);
}

struct kv_keyring *kv_core_keyring_named(struct kv_core *core, const char *vault)
{
    for (size_t i = 0; i < core->config->vault_count; i++)
        if (!strcmp(core->config->vaults[i].name, vault))
            return core->places[i].keyring;
    return NULL;
}

struct kv_task kv_core_task(struct kv_core *core, size_t i, const char *caller)
{
    int64_t timeout = i < core->config->vault_count ? core->config->vaults[i].timeout_ms : 0;

    return (struct kv_task){ kv_deadline_in(core->clock, timeout), caller };
}
