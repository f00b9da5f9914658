/* What the files of this layer share. */
#ifndef KV_CORE_PRIVATE_H
#define KV_CORE_PRIVATE_H

#include "auth/token.h"
#include "base/log.h"
#include "core/core.h"
#include "net/http.h"

/* One vault and all that serves it. */
struct kv_place {
    struct kv_http *http;
    struct kv_tokens *tokens;
    struct kv_vault *vault;
    struct kv_keyring *keyring;
};

struct kv_core {
    struct kv_config *config;
    const struct kv_clock *clock;
    struct kv_log *log;
    struct kv_map *map;
    struct kv_token_cache *tokens;
    struct kv_place *places; /* as many as vaults in the configuration */
};

#endif
