/* One request to a vault on its way through route → auth → handler, and the ways to answer it. A call belongs to one
 * thread. Handlers fill call->reply; what refuses returns false. Contract §3, §8. */
#ifndef EM_CALL_H
#define EM_CALL_H

#include "http.h"
#include "world.h"

struct em_call {
    struct em_world *world;
    struct em_vault *vault;
    const struct em_request *request; /* NULL: the control API */
    struct em_reply *reply;
    char name[160], version[64];  /* from the path; "": none */
    const struct em_route *route; /* NULL: the control API */
    json_t *body;                 /* object, owned by whoever made the call; NULL: none was sent */
    char base[300];               /* "https://prod.vault.localhost:40001", as the client named us */
    char identity[128], request_id[EM_GUID_SIZE];
    bool at_once;     /* no latency of deletions: the control API */
    bool expired;     /* a queued fault: treat the token as expired */
    json_t *demand;   /* a queued fault: claims that the next token must fulfil; borrowed; NULL: none */
    char *claims;     /* that the refusal tells, in base64; owned; NULL: none */
    bool certificate; /* the call is about a certificate, not about the key behind it */
    int64_t now, now_ms;
};

enum em_error {
    EM_NO_TOKEN,
    EM_BAD_TOKEN,
    EM_TOKEN_EXPIRED,
    EM_TOKEN_EARLY,
    EM_INSUFFICIENT_CLAIMS,
    EM_BAD_AUDIENCE,
    EM_BAD_ISSUER,
    EM_NO_API_VERSION,
    EM_BAD_API_VERSION,
    EM_NO_ROUTE,
    EM_NO_METHOD,
    EM_FORBIDDEN_READONLY,
    EM_BAD_JSON,
    EM_PROPERTY_MISSING,
    EM_PROPERTY_BAD,
    EM_NOT_BASE64URL,
    EM_BAD_NAME,
    EM_BAD_MAXRESULTS,
    EM_BAD_KTY,
    EM_HSM_ONLY,
    EM_KEY_NOT_FOUND,
    EM_DELETED_NOT_FOUND,
    EM_CERTIFICATE_NOT_FOUND,
    EM_DELETED_CERTIFICATE_NOT_FOUND,
    EM_KEY_IS_MANAGED,
    EM_PURGE_FORBIDDEN,
    EM_IS_DELETED,
    EM_BEING_DELETED,
    EM_BEING_RECOVERED,
    EM_NAME_IN_USE,
    EM_KEY_DISABLED,
    EM_KEY_EXPIRED,
    EM_KEY_NOT_YET_VALID,
    EM_OPERATION_FORBIDDEN,
    EM_POLICY_BAD,
    EM_POLICY_MISSING,
    EM_TOO_MANY_VERSIONS,
    EM_BACKUP_TOO_MANY,
    EM_BACKUP_BAD,
    EM_THROTTLED,
    EM_STORAGE_FAILED,
    EM_INTERNAL,
};

void em_call_json(struct em_call *call, json_t *json); /* 200; takes it */
/* Makes the key's change durable, then answers 200 with `json`, which it takes; else 500, and the key is as it was before. */
bool em_call_saved(struct em_call *call, struct em_key *key, json_t *json);
/* Always false. The arguments are those of the row's text in errors.c. */
bool em_call_fail(struct em_call *call, enum em_error error, ...);
bool em_call_refuse(struct em_call *call, const struct em_refusal *refusal);
/* The service's own text, any status; KV form, Managed HSM gets its suffix. Always false. */
bool em_call_error(struct em_call *call, int status, const char *code, const char *inner,
                   const char *message);
/* 404 for name and version of the call. Always false. */
bool em_call_not_found(struct em_call *call);
/* 403 in the vault's dialect. Always false. */
bool em_call_denied(struct em_call *call, const char *action);

/* The headers of contract §3 for the finished reply. */
void em_call_headers(struct em_call *call);

/* Member of the body with the wanted type. False after a 400: missing though required, or of another type. */
bool em_call_text(struct em_call *call, const json_t *object, const char *name, const char **ret);
bool em_call_required(struct em_call *call, const json_t *object, const char *name, const char **ret);

#endif
