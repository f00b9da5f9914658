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

/* What one who asks again and again keeps between two requests; zeroed at first. Any thread. */
struct kv_credential_memory {
    _Atomic unsigned
        chosen; /* of a chain: 1 + the place of the kind that gave the first token; 0: none has yet */
};

struct kv_credential_request {
    const struct kv_vault_config *config;
    const struct kv_challenge *challenge; /* checked */
    struct kv_http *http;
    const struct kv_task *task;
    struct kv_credential_memory *memory; /* NULL: a chain begins at its front each time */
    /* NULL: the kind was chosen by name. Else it is one of several, and says here, with a failure, that what it needs is not
     * on this host, so that the next is tried; what is there and refuses ends the search. */
    bool *absent;
    const char *claims; /* JSON that the vault demands of the token: no cache may answer; NULL: nothing */
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
    bool developer; /* the login of whoever sits at the machine, not one that was deployed with a program */
    /* When what it stands on ends: unix seconds, 0: not known. NULL: nothing of it does. */
    enum kv_status (*ends)(const struct kv_vault_config *config, int64_t *ret, struct kv_error *err);
};

/* When the secret or certificate ends that this vault's tokens stand on, as far as this host can tell; of a chain, of the first kind that is set up. */
struct kv_credential_end {
    const char *kind; /* constant; NULL: no kind is set up */
    int64_t at;       /* unix seconds; 0: not known, or never */
};
KV_MUST_USE enum kv_status kv_credential_ends(const struct kv_vault_config *config,
                                              struct kv_credential_end *ret, struct kv_error *err);

/* Does a token for this vault need a person, as far as the configuration tells? */
bool kv_credential_needs_person(const struct kv_vault_config *config);
const struct kv_credential_kind *kv_credential_find(const char *name); /* NULL: unknown */
/* What gives this vault its tokens: the kind that `credential` names, or the chain. NULL: it names something unknown. */
const struct kv_credential_kind *kv_credential_of(const struct kv_vault_config *config);
/* The kinds to try for this configuration, in order, whether they are set up or not; NULL past the last. */
const struct kv_credential_kind *kv_credential_chain_at(const struct kv_vault_config *config, size_t i);
const struct kv_credential_kind *
kv_credential_at(size_t i); /* in the order of the default chain; NULL past the last */

#endif
