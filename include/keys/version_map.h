/* The version map: what this host must not forget. SQLite, one file, shared by processes and vaults. One function is one transaction, never held over
 * network I/O. Read-only or absent it answers from nothing or from what is there, and says so in `kv_map_note`. Any thread (one lock inside).
 * In a forked child kv_map_forget drops the handle without closing it. */
#ifndef KV_KEYS_VERSION_MAP_H
#define KV_KEYS_VERSION_MAP_H

#include "keys/key.h"

struct kv_map;

/* path "none": a map in memory. Missing file and folder are made (0700, 0600). KV_MAP_CORRUPT, KV_MAP_NEWER, KV_CONFIG (owner or mode), KV_IO are told
 * in *err and *ret is still a working map in memory unless memory is short: the module goes on, the tool refuses (kv_map_health). */
KV_MUST_USE enum kv_status kv_map_open(const char *path, struct kv_map **ret, struct kv_error *err);
void kv_map_free(struct kv_map *map);
void kv_map_forget(struct kv_map *map);
enum kv_status kv_map_health(const struct kv_map *map,
                             struct kv_error *err); /* KV_OK; else why it is not the file */
bool kv_map_writable(const struct kv_map *map);

/* Versions. `which` members that are NULL or empty do not select. Ordered: name, created descending, version. */
struct kv_map_query {
    const char *vault, *name, *version;
    struct kv_view id; /* CKA_ID */
    struct kv_view spki_sha256;
    bool current_only;
    size_t limit; /* 0: all */
};
KV_MUST_USE enum kv_status kv_map_find(struct kv_map *map, const struct kv_map_query *query,
                                       struct kv_version_list *ret, struct kv_error *err);
/* Stores what merge decided: inserts or updates by (vault, name, version); never deletes; never lowers first_seen or wraps. What changes of a fact stands in the
 * journal, in the same transaction and with `seen` as its time; hints (seen, the ledger's counts and dates) do not. */
KV_MUST_USE enum kv_status kv_map_store(struct kv_map *map, struct kv_version *const *versions, size_t count,
                                        struct kv_error *err);

/* When was a name (or, name NULL, the whole vault) last looked up, and what came of it. */
struct kv_map_visit {
    int64_t at; /* 0: never */
    enum kv_status status;
};
KV_MUST_USE enum kv_status kv_map_visited(struct kv_map *map, const char *vault, const char *name,
                                          struct kv_map_visit *ret, struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_visit(struct kv_map *map, const char *vault, const char *name,
                                        const struct kv_map_visit *visit, struct kv_error *err);

/* The challenge of a vault, so that a cold process need not ask again. Texts of at most 255 bytes; "" : none. */
struct kv_map_challenge {
    char host[256], authority[256], tenant[64], scope[256];
};
KV_MUST_USE enum kv_status kv_map_challenge(struct kv_map *map, const char *host,
                                            struct kv_map_challenge *ret, struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_learn(struct kv_map *map, const struct kv_map_challenge *challenge,
                                        struct kv_error *err);

/* A rotation that is under way: what it makes gets a row behind `after`. `at` 0: there is none. */
struct kv_map_rotation {
    int64_t at, after;
};
KV_MUST_USE enum kv_status kv_map_rotation(struct kv_map *map, const char *vault, const char *name,
                                           struct kv_map_rotation *ret, struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_rotating(struct kv_map *map, const char *vault, const char *name,
                                           const struct kv_map_rotation *rotation, struct kv_error *err);

/* The ledger: SHA-256 of a wrapped blob or ciphertext → version. */
struct kv_map_wrap {
    unsigned char digest[32];
    char vault[33], name[KV_NAME_SIZE], version[KV_VERSION_SIZE];
    int64_t at;
    char program[64];
};
KV_MUST_USE enum kv_status kv_map_wrapped(struct kv_map *map, const struct kv_map_wrap *entries, size_t count,
                                          struct kv_error *err);
/* *ret->at is 0 when unknown. */
KV_MUST_USE enum kv_status kv_map_who_wrapped(struct kv_map *map, const unsigned char digest[32],
                                              struct kv_map_wrap *ret, struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_unwrapped(struct kv_map *map, const struct kv_version *version, int64_t at,
                                            struct kv_error *err);

/* Certificates. `source`: "vault" as Key Vault gave it, "self" as it was made here. Putting one where there is one already changes nothing. */
struct kv_map_certificate {
    const char *vault, *name, *version, *source;
    struct kv_bytes der; /* empty: it is known that there is none. Of the caller, kv_bytes_free */
    int64_t at;          /* when that became known; 0: never asked */
};
/* Fills der and at. */
KV_MUST_USE enum kv_status kv_map_certificate(struct kv_map *map, struct kv_map_certificate *certificate,
                                              struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_certify(struct kv_map *map, const struct kv_map_certificate *certificate,
                                          struct kv_error *err);
/* Is it a file that this process can write, so that what it learns outlives it? */
bool kv_map_lasts(const struct kv_map *map);

/* Integrity of the file: SQLite's own check, schema, every row's identity and certificate against its public key, the journal's chain, and that versions,
 * backups and accepted locations are what the journal says of them. KV_MAP_CORRUPT names the first that is bad, and what to do. Others may write meanwhile. */
struct kv_map_found {
    int64_t versions, backups, entries;
};
KV_MUST_USE enum kv_status kv_map_verify(struct kv_map *map, struct kv_map_found *ret, struct kv_error *err);

#endif
