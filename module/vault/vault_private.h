/* What the files of this layer share. */
#ifndef KV_VAULT_PRIVATE_H
#define KV_VAULT_PRIVATE_H

#include <pthread.h>
#include "base/json.h"
#include "limiter.h"
#include "vault/vault.h"

/* ---- vault.c: what all threads know of one vault ---- */

struct kv_vault {
    struct kv_vault_parts parts;
    pthread_mutex_t lock; /* the four below */
    bool challenge_known;
    struct kv_challenge challenge;
    int64_t
        believed_ms; /* steady: the vault itself has told its challenge, which is not doubted until then; 0: it has not */
    int64_t not_before_ms; /* steady: the vault has asked everyone to wait until then */
    struct kv_limiter limiter;
};
void kv_vault_believe(struct kv_vault *vault); /* it has just told its challenge itself */
bool kv_vault_believed(struct kv_vault *vault);
void kv_vault_cool_down(struct kv_vault *vault, int64_t wait_ms);
int64_t kv_vault_cooling(struct kv_vault *vault); /* ms still to wait */

/* ---- kid.c ---- */

bool kv_kid_name_valid(const char *name);       /* contract §2.2 */
bool kv_kid_version_valid(const char *version); /* 1 to 64 letters, digits, '-' */
/* Whether an absolute URL stays at the origin of the vault's (https, same host, same port) and has no character that no URL has. */
bool kv_kid_same_origin(const char *url, const char *vault_url);
/* KV_WRONG_KEY unless the kid names this key and version (NULL: any). Identifiers compare case-insensitively; the host is not looked at: a
 * restored vault may name its old one, and it is never dialled. */
KV_MUST_USE enum kv_status kv_kid_check(const char *kid, const char *name, const char *version,
                                        struct kv_error *err);

/* The same of "https://host/<kind>/name/version" for `kind` "certificates" or "secrets". KV_PROTOCOL: not of this form. */
KV_MUST_USE enum kv_status kv_kid_check_kind(const char *id, const char *kind, const char *name,
                                             const char *version, struct kv_error *err);

/* ---- codec.c: documents to structs, every member checked; KV_PROTOCOL ---- */

KV_MUST_USE enum kv_status kv_codec_read_key(const struct kv_json *bundle, struct kv_vault_key *ret,
                                             struct kv_error *err);
/* A date in seconds. Absent is fine and leaves *ret as it is. */
KV_MUST_USE enum kv_status kv_codec_read_time(const struct kv_json *attributes, const char *name,
                                              int64_t *ret, struct kv_error *err);
/* What all listings have: *ret_items, borrowed, and *ret_next (kv_text_free) as sent, left as it is on the last page. */
KV_MUST_USE enum kv_status kv_codec_read_list(const struct kv_json *document,
                                              const struct kv_json **ret_items, char **ret_next,
                                              struct kv_error *err);
/* `name` NULL: a list of keys, items without version; else versions of that key. nextLink is kept as sent. */
KV_MUST_USE enum kv_status kv_codec_read_page(const struct kv_json *document, const char *name,
                                              struct kv_vault_page *ret, struct kv_error *err);
KV_MUST_USE enum kv_status kv_codec_read_dates(const struct kv_json *bundle, struct kv_vault_deleted *ret,
                                               struct kv_error *err);
/* KV_WRONG_KEY: of another name. */
KV_MUST_USE enum kv_status kv_codec_read_deleted(const struct kv_json *bundle, const char *name,
                                                 struct kv_vault_deleted *ret, struct kv_error *err);
/* id, kid and sid must name this name and version. */
KV_MUST_USE enum kv_status kv_codec_read_certificate(const struct kv_json *bundle, const char *name,
                                                     const char *version, struct kv_vault_certificate *ret,
                                                     struct kv_error *err);
/* kid as sent goes to ret_kid (KV_KID_SIZE). */
KV_MUST_USE enum kv_status kv_codec_read_result(const struct kv_json *document, struct kv_vault_result *ret,
                                                char ret_kid[KV_KID_SIZE], struct kv_error *err);
/* The same of a verify; ret_kid "" where the reply names no key. */
KV_MUST_USE enum kv_status kv_codec_read_verdict(const struct kv_json *document, struct kv_vault_result *ret,
                                                 char ret_kid[KV_KID_SIZE], struct kv_error *err);
KV_MUST_USE enum kv_status kv_codec_read_random(const struct kv_json *document, size_t len,
                                                struct kv_bytes *ret, struct kv_error *err);

/* Bodies; KV_NO_MEMORY, KV_ARGUMENTS. Those of an operation and of an import may hold a secret and are wiped with the buffer. */
KV_MUST_USE enum kv_status kv_codec_write_op(const struct kv_vault_op *op, struct kv_buffer *ret);
KV_MUST_USE enum kv_status kv_codec_write_import(const struct kv_vault_import *import, struct kv_buffer *ret);
/* The word of key_ops for the i-th operation, "encrypt" first; NULL past the last. */
const char *kv_codec_op_name(size_t i, unsigned *ret_operation);
char *kv_codec_write_create(const struct kv_vault_create *create);
char *kv_codec_write_update(const struct kv_vault_update *update);
char *kv_codec_write_random(size_t len);
/* ---- codec_life.c ---- */
KV_MUST_USE enum kv_status kv_codec_read_deleted_page(const struct kv_json *document,
                                                      struct kv_vault_deleted_page *ret,
                                                      struct kv_error *err);
KV_MUST_USE enum kv_status kv_codec_read_backup(const struct kv_json *document, char **ret,
                                                struct kv_error *err);
char *kv_codec_write_restore(const char *blob);
KV_MUST_USE enum kv_status kv_codec_read_policy(const struct kv_json *document, struct kv_vault_policy *ret,
                                                struct kv_error *err);
char *kv_codec_write_policy(const struct kv_vault_policy *policy);

/* ---- error.c ---- */

struct kv_refusal {
    int http;
    struct kv_view body;
    const char *request_id;
    const char *operation;      /* "sign", "get", "list"… for people */
    unsigned key_op;            /* KV_OP_*, 0: none */
    const char *name, *version; /* may be NULL */
    const char *vault, *identity;
    const struct kv_pair_list
        *read_only; /* of a change: patterns of what a vault says that takes none now; NULL: not a change */
};
KV_MUST_USE enum kv_status kv_error_map(const struct kv_refusal *refusal, struct kv_error *err);

/* ---- request.c, repeat.c ---- */

struct kv_request {
    const char *method;
    const char *url; /* whole */
    struct kv_view body;
    bool idempotent;
    const char *operation;            /* for people and the audit record */
    unsigned key_op;                  /* KV_OP_*, 0: none */
    const char *name, *version, *alg; /* may be NULL */
    struct kv_cost cost;              /* of one attempt; weight 0: nothing */
    const struct kv_task *task;
    bool greeting; /* ends with the challenge: nothing is asked but that */
};

/* ---- ops.c: what all verbs on keys share ---- */
KV_MUST_USE enum kv_status kv_ops_check(const char *name, const char *version, struct kv_error *err);
/* "https://host<kind>/name/version/verb?api-version=7.6"; parts that are NULL are left out. */
char *kv_ops_url(const struct kv_vault *vault, const char *kind, const char *name, const char *version,
                 const char *verb);
KV_MUST_USE enum kv_status kv_ops_in_reply(const struct kv_vault *vault, const struct kv_request *request,
                                           enum kv_status status, struct kv_error *err);
KV_MUST_USE enum kv_status kv_ops_send_for_key(struct kv_vault *vault, const struct kv_request *request,
                                               struct kv_vault_key *ret, struct kv_error *err);

/* Challenge, token, repeats, audit; KV_OK with the parsed document of a 2xx reply. */
KV_MUST_USE enum kv_status kv_request_send(struct kv_vault *vault, const struct kv_request *request,
                                           struct kv_json **ret, struct kv_error *err);

#endif
