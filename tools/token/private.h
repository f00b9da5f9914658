/* What the files of a token share. */
#ifndef KV_TOOLS_TOKEN_PRIVATE_H
#define KV_TOOLS_TOKEN_PRIVATE_H

#include "mech/pkcs11.h"
#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>
#include "token.h"

struct kv_token {
    char *shown; /* the URI without its query, where a PIN may stand: for people */
    P11KitUri *uri;
    CK_FUNCTION_LIST *named[2]; /* the module of `module-path=` */
    CK_FUNCTION_LIST **modules; /* it, or those of p11-kit; ends with NULL */
    bool *running;              /* beside them: initialised by us */
    CK_FUNCTION_LIST *f;        /* of the token */
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE session;
    bool session_open, logged_in;
    struct kv_certificate *certificate;
    struct kv_bytes id; /* the certificate's, and so the key's */
    CK_OBJECT_HANDLE key;
    bool key_found;
    struct kv_error refused; /* what came of logging in, when that failed */
};

/* What a call has answered, for people. */
KV_MUST_USE enum kv_status kv_token_fail(const struct kv_token *token, const char *call, CK_RV rv,
                                         struct kv_error *err);
/* --- module.c: from the URI to the slot --- */
KV_MUST_USE enum kv_status kv_token_find(struct kv_token *token, struct kv_error *err);
void kv_token_leave_modules(struct kv_token *token);
/* --- object.c --- */
KV_MUST_USE enum kv_status kv_token_find_certificate(struct kv_token *token, struct kv_error *err);
KV_MUST_USE enum kv_status kv_token_find_key(struct kv_token *token, struct kv_error *err);
/* --- pin.c --- */
KV_MUST_USE enum kv_status kv_token_log_in(struct kv_token *token, struct kv_error *err);

#endif
