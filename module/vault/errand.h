/* One request on its way: what request.c (an attempt) and repeat.c (when to make one, and when another) share. */
#ifndef KV_VAULT_ERRAND_H
#define KV_VAULT_ERRAND_H

#include "vault_private.h"

enum { KV_ERRAND_GUID = 37, KV_ERRAND_IDENTITY = 64 };

/* One request and what has been learnt while sending it. */
struct kv_errand {
    struct kv_vault *vault;
    const struct kv_request *request;
    struct kv_challenge challenge; /* known, once a token is asked for */
    char *bearer;
    char identity[KV_ERRAND_IDENTITY];
    char guid[KV_ERRAND_GUID];
    unsigned attempt; /* from 1 */
    bool renewed;     /* a refused token has been replaced once already */
    bool anew;        /* the vault is to tell its challenge, whatever is known */
    bool
        on_wire; /* the failure is one of an exchange with the vault, not of a credential: these repeat by themselves */
    enum kv_status transport; /* of the last exchange */
    struct kv_http_reply reply;
};
void kv_errand_free(struct kv_errand *errand);

/* --- request.c --- */
/* Challenge and token where they are wanted, one exchange with the vault, and another where it refused the token. */
KV_MUST_USE enum kv_status kv_errand_attempt(struct kv_errand *errand, struct kv_error *err);

/* --- repeat.c --- */
/* Waits for the end of a cool-down and for the limiter, within the deadline. KV_THROTTLED: it would be over. */
KV_MUST_USE enum kv_status kv_errand_wait_turn(struct kv_errand *errand, struct kv_error *err);
/* After kv_errand_wait_turn: the answer is there. */
void kv_errand_done(struct kv_errand *errand);
/* Attempts, as many as are worth it; the error names the vault, and the key. */
KV_MUST_USE enum kv_status kv_errand_send(struct kv_errand *errand, struct kv_error *err);

#endif
