/* One Key Vault or Managed HSM by its REST interface (contract §3–§9). Documents become bounded structs here and nowhere else. Requests go to
 * the configured host only. Knows nothing of PKCS#11. Any thread. */
#ifndef KV_VAULT_VAULT_H
#define KV_VAULT_VAULT_H

#include "auth/challenge.h"
#include "auth/token.h"
#include "base/kinds.h"
#include "base/log.h"

/* A key's version as the service tells it. Lists leave out what only a GET tells: has_public is false then. */
struct kv_vault_key {
    char name[KV_NAME_SIZE];
    char version[KV_VERSION_SIZE]; /* "" in a list of keys */
    char kid[KV_KID_SIZE];         /* as sent */
    bool has_public;
    enum kv_kind kind;
    bool hsm;
    char curve[KV_CURVE_SIZE]; /* "P-256", "" : not EC */
    unsigned operations;       /* KV_OP_* of key_ops */
    struct kv_bytes n, e;      /* RSA, minimal big-endian */
    struct kv_bytes x, y;      /* EC, field width */
    bool enabled;
    int64_t nbf, exp, created, updated; /* unix seconds, 0: absent */
    bool managed;                       /* backs a certificate */
    char hsm_platform[8];               /* "0" software, "1", "2"; "": not told */
    int bits;                           /* RSA modulus; EC field; oct: key_size, 0 when not told */
    char recovery_level[48];
    bool exportable; /* may be released to an enclave */
};
void kv_vault_key_free(struct kv_vault_key *key); /* contents, not the struct */

struct kv_vault_page {
    struct kv_vault_key *items;
    size_t count;
    char *next;    /* NULL: the last page */
    size_t broken; /* items left out because they could not be understood */
};
void kv_vault_page_free(struct kv_vault_page *page);

struct kv_vault;
struct kv_vault_parts { /* borrowed, outlive the vault */
    const struct kv_vault_config *config;
    struct kv_http *http;
    struct kv_tokens *tokens;
    struct kv_log *log; /* audit records; may be NULL */
    const struct kv_clock *clock;
};
KV_MUST_USE enum kv_status kv_vault_open(const struct kv_vault_parts *parts, struct kv_vault **ret,
                                         struct kv_error *err);
void kv_vault_free(struct kv_vault *vault);

/* What the challenge taught: known before the first request when the map remembers it. kv_vault_teach checks it as if the vault had sent it. */
bool kv_vault_challenge(struct kv_vault *vault, struct kv_challenge *ret);
KV_MUST_USE enum kv_status kv_vault_teach(struct kv_vault *vault, const struct kv_challenge *challenge,
                                          struct kv_error *err);

/* The same, asked of the vault where it is not known: one request without a token. */
KV_MUST_USE enum kv_status kv_vault_meet(struct kv_vault *vault, const struct kv_task *task,
                                         struct kv_challenge *ret, struct kv_error *err);

/* After no token was to be had for *challenge, `err` says why: where that says that its tenant or authority is gone, the vault is asked again, once,
 * unless it has told within the last minute. KV_OK: *challenge is another now. Else why there is no token: *err as it was, or what forbids the new one. */
KV_MUST_USE enum kv_status kv_vault_meet_anew(struct kv_vault *vault, const struct kv_task *task,
                                              struct kv_challenge *challenge, struct kv_error *err);

/* version NULL: the newest, as a GET on the name answers. */
KV_MUST_USE enum kv_status kv_vault_get_key(struct kv_vault *vault, const char *name, const char *version,
                                            const struct kv_task *task, struct kv_vault_key *ret,
                                            struct kv_error *err);
/* name NULL: keys of the vault (sorted by name); else versions of that key (sorted by version id). `next` NULL for the first page, then page->next. */
struct kv_vault_list {
    const char *name;
    const char *next;
};
KV_MUST_USE enum kv_status kv_vault_list_page(struct kv_vault *vault, const struct kv_vault_list *list,
                                              const struct kv_task *task, struct kv_vault_page *ret,
                                              struct kv_error *err);

/* The certificate of one version of a key that backs one: it has the key's name and version. A Managed HSM has none, so nothing is asked there (KV_NOT_FOUND). */
struct kv_vault_certificate {
    struct kv_bytes der;   /* the end entity's alone; what is in it nobody has looked at */
    unsigned char x5t[20]; /* as sent: to be compared with the SHA-1 of `der` */
};
void kv_vault_certificate_free(struct kv_vault_certificate *certificate); /* contents, not the struct */
KV_MUST_USE enum kv_status kv_vault_get_certificate(struct kv_vault *vault, const char *name,
                                                    const char *version, const struct kv_task *task,
                                                    struct kv_vault_certificate *ret, struct kv_error *err);

/* A key in soft delete (contract §5.1 row 9, §10). KV_NOT_FOUND: it is purged, or its deletion is still under way. */
struct kv_vault_deleted {
    int64_t deleted, purge; /* unix seconds, 0: not told */
};
KV_MUST_USE enum kv_status kv_vault_get_deleted(struct kv_vault *vault, const char *name,
                                                const struct kv_task *task, struct kv_vault_deleted *ret,
                                                struct kv_error *err);

/* All keys in soft delete (contract §6 row 8), in pages as those of keys. */
struct kv_vault_deleted_item {
    char name[KV_NAME_SIZE];
    struct kv_vault_deleted dates;
};
struct kv_vault_deleted_page {
    struct kv_vault_deleted_item *items;
    size_t count;
    char *next; /* NULL: the last page */
    size_t broken;
};
void kv_vault_deleted_page_free(struct kv_vault_deleted_page *page);
KV_MUST_USE enum kv_status kv_vault_list_deleted(struct kv_vault *vault, const char *next,
                                                 const struct kv_task *task,
                                                 struct kv_vault_deleted_page *ret, struct kv_error *err);

/* Changes. Never repeated blindly: after a lost reply the error says so (`maybe_done`, and its text) and the caller lists. */
struct kv_vault_create {
    const char *name;
    const char *kty;     /* "RSA", "RSA-HSM", "EC", "EC-HSM", "oct-HSM" */
    int bits;            /* RSA, oct; 0: the service's default */
    const char *curve;   /* EC; NULL: the service's default */
    unsigned operations; /* 0: the service's default */
    int64_t nbf, exp;    /* unix seconds, 0: none */
};
KV_MUST_USE enum kv_status kv_vault_create_key(struct kv_vault *vault, const struct kv_vault_create *create,
                                               const struct kv_task *task, struct kv_vault_key *ret,
                                               struct kv_error *err);
/* A key from outside (contract §5.2, §6 row 2). The private parts are borrowed: they go out once, and every copy made here is wiped. Numbers of RSA are
 * minimal big-endian, those of EC have the curve's width. */
enum {
    KV_JWK_N,
    KV_JWK_E,
    KV_JWK_D,
    KV_JWK_P,
    KV_JWK_Q,
    KV_JWK_DP,
    KV_JWK_DQ,
    KV_JWK_QI,
    KV_JWK_X,
    KV_JWK_Y,
    KV_JWK_K,
    KV_JWK_MEMBERS
};
struct kv_vault_import {
    const char *name;
    const char *kty;   /* "RSA", "EC", "oct-HSM" … */
    const char *curve; /* EC */
    bool hsm;          /* a vault is to keep it in its HSM */
    unsigned operations;
    int64_t nbf, exp;
    struct kv_view members[KV_JWK_MEMBERS]; /* by KV_JWK_*; data NULL: not there */
};
KV_MUST_USE enum kv_status kv_vault_import_key(struct kv_vault *vault, const struct kv_vault_import *import,
                                               const struct kv_task *task, struct kv_vault_key *ret,
                                               struct kv_error *err);
KV_MUST_USE enum kv_status kv_vault_rotate_key(struct kv_vault *vault, const char *name,
                                               const struct kv_task *task, struct kv_vault_key *ret,
                                               struct kv_error *err);
struct kv_vault_update {
    const char *name, *version;
    const bool *enabled;      /* NULL: leave */
    const int64_t *nbf, *exp; /* NULL: leave */
    const unsigned *operations;
};
KV_MUST_USE enum kv_status kv_vault_update_key(struct kv_vault *vault, const struct kv_vault_update *update,
                                               const struct kv_task *task, struct kv_vault_key *ret,
                                               struct kv_error *err);

/* Out of soft delete, with all versions (contract §6 row 10). The answer comes at once, the key after seconds. */
KV_MUST_USE enum kv_status kv_vault_recover_key(struct kv_vault *vault, const char *name,
                                                const struct kv_task *task, struct kv_error *err);

/* Key Vault's own backup of a key with all versions (contract §11): base64url as the service gives it, opaque, and good for the service alone. kv_text_free. */
enum { KV_VAULT_BLOB_MAX = 3 << 20 };
KV_MUST_USE enum kv_status kv_vault_backup_key(struct kv_vault *vault, const char *name,
                                               const struct kv_task *task, char **ret, struct kv_error *err);
/* ret: the newest version, of a name that only the blob says. KV_CONFLICT: the name is taken, perhaps by a deleted key. */
KV_MUST_USE enum kv_status kv_vault_restore_key(struct kv_vault *vault, const char *blob,
                                                const struct kv_task *task, struct kv_vault_key *ret,
                                                struct kv_error *err);

/* A rotation policy (contract §6). ISO 8601 durations as they are written ("P90D"); "": not told. */
enum { KV_DURATION_SIZE = 32 };
struct kv_vault_policy {
    char rotate_after[KV_DURATION_SIZE];  /* after creation; excludes the next */
    char rotate_before[KV_DURATION_SIZE]; /* before expiry */
    char notify_before[KV_DURATION_SIZE];
    char expire_after[KV_DURATION_SIZE]; /* of versions that a rotation makes */
    int64_t created, updated;            /* 0: there is none, only what holds without one */
};
/* From the document of the service, which `az keyvault key rotation-policy` writes and reads, too. KV_PROTOCOL. */
KV_MUST_USE enum kv_status kv_vault_policy_parse(struct kv_view text, struct kv_vault_policy *ret,
                                                 struct kv_error *err);
KV_MUST_USE enum kv_status kv_vault_get_policy(struct kv_vault *vault, const char *name,
                                               const struct kv_task *task, struct kv_vault_policy *ret,
                                               struct kv_error *err);
/* Replaces the whole policy; *ret is what the service made of it. */
KV_MUST_USE enum kv_status kv_vault_set_policy(struct kv_vault *vault, const char *name,
                                               const struct kv_vault_policy *policy,
                                               const struct kv_task *task, struct kv_vault_policy *ret,
                                               struct kv_error *err);

/* encrypt, decrypt, sign, verify, wrapkey, unwrapkey: one request on an exact version. `operation` is one KV_OP_* bit.
 * A reply whose kid names another key or version is refused with KV_WRONG_KEY. 400 on decrypt is KV_BAD_CIPHERTEXT, on unwrap KV_BAD_WRAPPED_KEY, else KV_BAD_PARAMETER. */
struct kv_vault_op {
    unsigned operation;
    const char *name, *version, *alg;
    struct kv_view value;        /* digest for sign, signature for verify */
    struct kv_view digest;       /* for verify alone */
    struct kv_view iv, aad, tag; /* data NULL: absent */
    enum kv_kind kind; /* of the key, as far as the caller knows it: what the request costs (contract §9.1) */
    unsigned bits;
    bool hsm;
};
struct kv_vault_result {
    struct kv_bytes value, iv, tag;
    bool verified; /* of a verify, which has no bytes: a bad signature is an answer, not an error */
};
void kv_vault_result_free(struct kv_vault_result *result);
KV_MUST_USE enum kv_status kv_vault_key_op(struct kv_vault *vault, const struct kv_vault_op *op,
                                           const struct kv_task *task, struct kv_vault_result *ret,
                                           struct kv_error *err);

/* Random bytes of a Managed HSM, KV_VAULT_RANDOM_MAX at the most. */
enum { KV_VAULT_RANDOM_MAX = 128 };
KV_MUST_USE enum kv_status kv_vault_random(struct kv_vault *vault, size_t len, const struct kv_task *task,
                                           struct kv_bytes *ret, struct kv_error *err);

/* What one operation takes of the quota of a vault (contract §9.1), in transactions with a software RSA key of 2048 bits; and the quota in force, in ten seconds, by the
 * vault's settings; 0: there is none, as of a Managed HSM. */
int64_t kv_vault_weight(enum kv_kind kind, unsigned bits, bool hsm);
int64_t kv_vault_quota(const struct kv_vault_config *config);

/* "https://host/keys/name/version" → its parts, each checked against the grammar of contract §2.2; version may be absent (""). KV_PROTOCOL. */
struct kv_kid {
    char host[256];
    char name[KV_NAME_SIZE];
    char version[KV_VERSION_SIZE];
};
KV_MUST_USE enum kv_status kv_kid_parse(const char *text, struct kv_kid *ret, struct kv_error *err);

#endif
