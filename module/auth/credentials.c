#include "oauth.h"

#include <string.h>

/* KV_CREDENTIAL_KINDS comes from the list in meson.build: KV_KIND(client_secret) KV_KIND(static_token) … */
#define KV_KIND(kind) &kv_credential_##kind,
static const struct kv_credential_kind *const kinds[] = { KV_CREDENTIAL_KINDS NULL };
#undef KV_KIND

const struct kv_credential_kind *kv_credential_at(size_t i)
{
    return i < sizeof kinds / sizeof kinds[0] ? kinds[i] : NULL;
}

const struct kv_credential_kind *kv_credential_find(const char *name)
{
    if (strcmp(name, kv_credential_default.name) == 0)
        return &kv_credential_default;
    for (size_t i = 0; kinds[i]; i++) {
        if (strcmp(name, kinds[i]->name) == 0)
            return kinds[i];
    }
    return NULL;
}
