/* What the kinds share that ask the directory's token endpoint in the application's own name (contract §14.1–14.3, 14.8). Any thread. */
#ifndef KV_AUTH_OAUTH_CLIENT_H
#define KV_AUTH_OAUTH_CLIENT_H

#include "oauth.h"

/* Active Directory Federation Services, as on Azure Stack Hub: its tenant is "adfs", and it speaks the protocol's first version (contract §14). */
bool kv_oauth_is_adfs(const struct kv_challenge *challenge);

/* Where the token is asked for, which is also the audience of an assertion. NULL: memory is short. */
char *kv_oauth_client_url(const struct kv_credential_request *request);

struct kv_oauth_proof {
    const char *secret, *assertion; /* one of the two; borrowed */
};
/* With repeats; a refusal is told with its code and what to do. */
KV_MUST_USE enum kv_status kv_oauth_client_token(const struct kv_credential_request *request,
                                                 const struct kv_oauth_proof *proof,
                                                 struct kv_access_token *ret, struct kv_error *err);

/* The form parameter `claims`: what the vault demands (JSON, NULL: nothing) and, if asked for, that we bear being cut off at any time ("cp1").
 * "" where there is nothing to say; NULL: memory is short, or a demand that is no JSON object. */
char *kv_oauth_claims_parameter(const char *demanded, bool capable);

#endif
