/* Goes through a vault's credentials one by one and tells what became of each: what a token for it would be got by, and for whom. Contract §14. */
#ifndef KV_AUTH_LOGIN_H
#define KV_AUTH_LOGIN_H

#include "auth/token.h"

enum kv_login_outcome { KV_LOGIN_USED, KV_LOGIN_NOT_SET_UP, KV_LOGIN_FAILED, KV_LOGIN_NOT_TRIED };

struct kv_login_try { /* one credential, in the order of the chain */
    const char *kind;
    enum kv_login_outcome outcome;
    struct kv_error why; /* of what was not used */
};

/* What a token says of itself; "" : it does not. Nobody here has verified it: that is the vault's to do. */
struct kv_login_claims {
    char application[64], object[64], user[128], tenant[64];
    char roles[512], directory_roles[512]; /* words separated by blanks: `roles`, `wids` */
};
void kv_login_read_claims(const char *bearer, struct kv_login_claims *ret);

enum { KV_LOGIN_TRIES = 24 };
struct kv_login_report {
    char authority[256], tenant[64], scope[256]; /* "" : the vault has not told */
    struct kv_login_try tries[KV_LOGIN_TRIES];
    size_t count;
    bool cached;   /* in the kernel's keyring: nobody was asked for it now */
    char kind[32]; /* that got the token, "" : there is none */
    int64_t expires;
    struct kv_login_claims claims;
};
/* `fresh`: whatever is kept. A token that is got is kept. The report is filled as far as it went, also with a failure. */
KV_MUST_USE enum kv_status kv_tokens_check(struct kv_tokens *tokens, const struct kv_challenge *challenge,
                                           bool fresh, const struct kv_task *task,
                                           struct kv_login_report *ret, struct kv_error *err);

#endif
