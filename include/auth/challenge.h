/* The 401 that tells tenant and audience, and the check that the asker may be told a secret. Contract §4. Pure functions. */
#ifndef KV_AUTH_CHALLENGE_H
#define KV_AUTH_CHALLENGE_H

#include "config/config.h"

#include <string.h>

enum { KV_CLAIMS_SIZE = 2048 };

struct kv_challenge {
    char authority[256]; /* "https://login.microsoftonline.com[:port]" */
    char tenant[64];
    char scope[256];             /* "https://vault.azure.net/.default" */
    char claims[KV_CLAIMS_SIZE]; /* JSON that the vault demands of the next token (§14.8), "" : nothing */
};

/* Reads WWW-Authenticate lines (all forms of §4.1). KV_PROTOCOL when none names a Bearer authority and resource. */
KV_MUST_USE enum kv_status kv_challenge_parse(char *const *lines, size_t count, struct kv_challenge *ret,
                                              struct kv_error *err);

/* Of a 401 with error="insufficient_claims": what the next token must fulfil, as JSON. False, and an empty text, when there is no such demand. */
bool kv_challenge_claims(char *const *lines, size_t count, char ret_claims[KV_CLAIMS_SIZE]);

/* The same authority, tenant and scope; claims are a matter of one token. */
static inline bool kv_challenge_same(const struct kv_challenge *a, const struct kv_challenge *b)
{
    return !strcmp(a->authority, b->authority) && !strcmp(a->tenant, b->tenant) &&
           !strcmp(a->scope, b->scope);
}
/* Does this failure to get a token say that the challenge's tenant or authority is gone? Then only the vault knows where to go now. */
bool kv_challenge_leads_nowhere(const struct kv_error *why);

struct kv_challenge_policy {
    const char *request_host; /* of the vault, without port */
    const char *authority;    /* configured authority ("https://host[:port]"), NULL: those of the cloud */
    enum kv_cloud cloud;      /* of §2.1; auto: the one that the vault's suffix belongs to, else any */
    const char *tenant;       /* configured tenant, NULL: any */
    const struct kv_pair_list *allowed_tenants; /* besides it; "*": any. NULL: none */
    bool skip_resource_check;
};
/* The domain check ("." + resource host must end the request host), https, the authority's host, the tenant: KV_CREDENTIAL with a text that says which. */
KV_MUST_USE enum kv_status kv_challenge_check(const struct kv_challenge *challenge,
                                              const struct kv_challenge_policy *policy, struct kv_error *err);

#endif
