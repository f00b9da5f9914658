/* What the credential kinds share: a request to an identity endpoint with its repeats, and the documents that come back
 * (contract §14). Nothing here writes a token or a secret into a text. Any thread. */
#ifndef KV_AUTH_OAUTH_H
#define KV_AUTH_OAUTH_H

#include "auth/credential.h"

#define KV_DEFINE_KIND(kind) extern const struct kv_credential_kind kv_credential_##kind;
KV_DEFINE_KIND(client_secret)
KV_DEFINE_KIND(client_certificate)
KV_DEFINE_KIND(workload_identity)
KV_DEFINE_KIND(environment)
KV_DEFINE_KIND(static_token)
KV_DEFINE_KIND(managed_identity)
KV_DEFINE_KIND(azure_cli)
KV_DEFINE_KIND(default)
#undef KV_DEFINE_KIND
/* Of these kinds, which end with NULL, the one that would be taken: does it need a person? */
bool kv_credential_chain_person(const struct kv_credential_kind *const *chain,
                                const struct kv_vault_config *config);

struct kv_oauth_send {
    struct kv_http *http;
    const struct kv_http_request *request;
    const struct kv_task *task;
    const int *repeat; /* further HTTP statuses that are worth another try, ends with 0; NULL: none */
    int64_t gone_ms;   /* a 410 is repeated for at least so long, where the deadline allows */
    bool (*absent)(enum kv_status status,
                   const struct kv_http_reply *reply); /* nobody is there, so do not repeat; NULL: never */
};
/* KV_OK whenever a reply came; repeats what is worth it within the deadline. */
KV_MUST_USE enum kv_status kv_oauth_send(const struct kv_oauth_send *send, struct kv_http_reply *ret,
                                         struct kv_error *err);

/* {"access_token", "expires_in" | "expires_on", "refresh_in"}, numbers or numeric strings; expires_on also as a date. KV_PROTOCOL. */
KV_MUST_USE enum kv_status kv_oauth_read_token(struct kv_view body, int64_t now, struct kv_access_token *ret,
                                               struct kv_error *err);

/* What a JWT says about itself, unverified: only to know when to renew it and whom to name in the audit record.
 * False when the text is not a JWT; `expires` 0 and `identity` "" where it does not tell. */
struct kv_oauth_claims {
    int64_t expires;
    char identity[64];
};
bool kv_oauth_read_claims(const char *bearer, struct kv_oauth_claims *ret);

/* All that it says; NULL: no JWT. kv_json_free. */
struct kv_json *kv_oauth_claims(const char *bearer);

bool kv_oauth_is_bearer(const char *text); /* RFC 6750 §2.1: what may stand behind "Bearer " */

/* {"error", "error_description", "error_codes"}: the code a person can look up ("AADSTS7000215" or "invalid_client"), "" : none, the kind of error
 * by itself, and the first line of what was said. */
struct kv_oauth_refusal {
    char code[64], error[64], said[256];
};
void kv_oauth_read_refusal(struct kv_view body, struct kv_oauth_refusal *ret);

#endif
