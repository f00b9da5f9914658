/* The 401 that tells tenant and audience, and the check that the asker may be told a secret. Contract §4. Pure functions. */
#ifndef KV_AUTH_CHALLENGE_H
#define KV_AUTH_CHALLENGE_H

#include "base/bytes.h"

struct kv_challenge {
    char authority[256]; /* "https://login.microsoftonline.com[:port]" */
    char tenant[64];
    char scope[256]; /* "https://vault.azure.net/.default" */
};

/* Reads WWW-Authenticate lines (all forms of §4.1). KV_PROTOCOL when none names a Bearer authority and resource. */
KV_MUST_USE enum kv_status kv_challenge_parse(char *const *lines, size_t count, struct kv_challenge *ret,
                                              struct kv_error *err);

struct kv_challenge_policy {
    const char *request_host; /* of the vault, without port */
    const char *authority; /* configured authority ("https://host[:port]"), NULL: the built-in list of §2.1 */
    const char *tenant;    /* configured tenant, NULL: any */
    bool skip_resource_check;
};
/* The domain check ("." + resource host must end the request host), https, the authority's host, the tenant: KV_CREDENTIAL with a text that says which. */
KV_MUST_USE enum kv_status kv_challenge_check(const struct kv_challenge *challenge,
                                              const struct kv_challenge_policy *policy, struct kv_error *err);

#endif
