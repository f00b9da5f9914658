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

/* ---- the chain: the first kind that this configuration allows. What is absent is passed over; what is there and refused ends the
 * search, for otherwise another identity than the intended one would be used without a word. ---- */

static bool absent(enum kv_status status)
{
    return status == KV_UNREACHABLE;
}

static enum kv_status acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer tried = { 0 };
    for (size_t i = 0; kinds[i]; i++) {
        struct kv_error why = { 0 };
        const char *missing = kinds[i]->unavailable(request->config);
        enum kv_status status = missing ? KV_UNREACHABLE : kinds[i]->acquire(request, ret, &why);
        if (status == KV_OK) {
            ret->kind = kinds[i]->name;
            return KV_OK;
        }
        if (!absent(status) || (!missing && kinds[i + 1])) {
            if (err)
                *err = why;
            return status;
        }
        if (kv_buffer_format(&tried, "%s%s: %s", i ? "; " : "", kinds[i]->name,
                             missing ? missing : why.text) != KV_OK)
            return kv_fail(err, KV_NO_MEMORY, "no memory to look for a credential");
    }
    return kv_fail(err, KV_CREDENTIAL, "no credential for vault '%s': %s; see `credential`",
                   request->config->name, (const char *)tried.bytes.data);
}

bool kv_credential_chain_person(const struct kv_credential_kind *const *chain,
                                const struct kv_vault_config *config)
{
    size_t i = 0;
    while (chain[i] && chain[i]->unavailable(config))
        i++;
    return chain[i] && chain[i]->needs_person;
}

bool kv_credential_needs_person(const struct kv_vault_config *config)
{
    const struct kv_credential_kind *kind = kv_credential_find(config->credential);
    if (kind == &kv_credential_default)
        return kv_credential_chain_person(kinds, config);
    return kind && kind->needs_person;
}

static const char *unavailable(const struct kv_vault_config *config)
{
    return NULL;
}

const struct kv_credential_kind kv_credential_default = { "default", unavailable, acquire, false };
