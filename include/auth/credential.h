/* A credential kind: one file in module/auth, one row in the list of module/auth/credentials.c. */
#ifndef KV_AUTH_CREDENTIAL_H
#define KV_AUTH_CREDENTIAL_H

#include "auth/challenge.h"
#include "base/clock.h"
#include "config/config.h"
#include "net/http.h"

struct kv_access_token {
    char *bearer;             /* secret */
    int64_t expires, refresh; /* unix seconds; refresh 0: not told */
    char identity[64];        /* appid or oid as the token says, "" : unknown */
    const char *kind;         /* constant: the link of a chain that got it; NULL: who was asked */
};
void kv_access_token_free(struct kv_access_token *token); /* wipes */

struct kv_credential_request {
    const struct kv_vault_config *config;
    const struct kv_challenge *challenge; /* checked */
    struct kv_http *http;
    const struct kv_task *task;
};

/* kv_error.code where the secret itself is wrong and no identity provider was there to say so: a key file that the password does not open. */
#define KV_CREDENTIAL_WRONG_SECRET "wrong-secret"

struct kv_credential_kind {
    const char *name; /* the word for `credential =` */
    /* NULL: can be tried with this configuration; else why not, for `default` and for people. */
    const char *(*unavailable)(const struct kv_vault_config *config);
    /* One attempt with its own retries within the deadline. KV_CREDENTIAL, KV_UNREACHABLE, KV_TIMED_OUT… Never logs a secret. */
    enum kv_status (*acquire)(const struct kv_credential_request *request, struct kv_access_token *ret,
                              struct kv_error *err);
    bool needs_person; /* somebody has to be there: to type a code, to touch a key */
};

/* Does a token for this vault need a person, as far as the configuration tells? */
bool kv_credential_needs_person(const struct kv_vault_config *config);
const struct kv_credential_kind *kv_credential_find(const char *name); /* NULL: unknown */
const struct kv_credential_kind *
kv_credential_at(size_t i); /* in the order of the default chain; NULL past the last */

#endif
