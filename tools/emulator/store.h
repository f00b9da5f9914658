/* What the vaults hold: vaults → keys → versions, in memory, and one file a key in the state directory (persist.h).
 * One read-write lock guards it all; take it with READ_STORE or WRITE_STORE for a scope, and never hold it while a
 * private key works: copy a reference with em_shared_ref first. Contract §5, §10. */
#ifndef EM_STORE_H
#define EM_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "crypto.h"
#include "util.h"

#define EM_NEVER INT64_MIN /* nbf, exp: not set */

enum { EM_VERSION_DIGITS = 32, EM_RETENTION_KV = 90, EM_RETENTION_HSM = 7, EM_HSM_VERSIONS_MAX = 100 };

/* Key material with a count of owners: versions made in bulk share it, and so do running operations. */
struct em_shared {
    atomic_int owners;
    struct em_material *material;
};

struct em_version {
    char id[EM_VERSION_DIGITS + 1];
    struct em_shared *shared;
    char kty[8]; /* as the service reports it: "RSA-HSM" */
    bool enabled, exportable;
    int64_t nbf, exp, created, updated;
    uint64_t sequence;     /* breaks ties between equal `created` */
    json_t *key_ops;       /* array */
    json_t *tags, *policy; /* objects or NULL; policy: release_policy */
    struct em_blob cer;    /* the certificate of this version in DER; empty: it backs none */
};

struct em_rotation { /* rotation policy */
    json_t *actions; /* array, NULL: none was ever set */
    char *expiry;    /* ISO 8601 or NULL */
    int64_t created, updated;
};

enum em_state { EM_LIVE, EM_RECOVERING, EM_DELETING, EM_DELETED, EM_PURGING, EM_GONE };

struct em_key {
    char *name;
    struct em_version **versions; /* sorted by id */
    size_t count, room;
    struct em_version *latest;
    struct em_rotation rotation;
    json_t *
        certificate; /* what its certificates share: policy, csr, request_id, ready_ms; NULL: an ordinary key */
    int64_t deleted, purge_at; /* seconds; deleted 0: not deleted */
    int64_t settled_ms;        /* when the deletion or recovery under way shows */
    int64_t gone_ms;           /* when a purge is complete; 0: none asked for */
};

enum em_bucket_kind { EM_USE, EM_CREATE, EM_IMPORT, EM_BUCKETS };

struct em_taken {
    int64_t at;
    double price;
};

struct em_bucket { /* throttling */
    double quota, sum;
    struct em_taken *taken; /* oldest first, from `first` on */
    size_t first, count, room;
};

struct em_throttle {
    pthread_mutex_t lock;
    struct em_bucket buckets[EM_BUCKETS];
    int retry_after;
};

struct em_vault {
    char *name, *host, *resource; /* "prod", "prod.vault.localhost", "https://vault.localhost" */
    bool hsm, premium;
    struct em_key **keys; /* sorted by name, case folded */
    size_t count, room;
    struct em_throttle throttle;
};

struct em_store {
    pthread_rwlock_t lock;
    struct em_vault *vaults[128];
    size_t count;
    atomic_uint_fast64_t sequence;
    char *directory; /* NULL: memory only */
    unsigned char backup_key[32];
};

static inline pthread_rwlock_t *em_store_read(struct em_store *store)
{
    pthread_rwlock_rdlock(&store->lock);
    return &store->lock;
}

static inline pthread_rwlock_t *em_store_write(struct em_store *store)
{
    pthread_rwlock_wrlock(&store->lock);
    return &store->lock;
}

static inline void em_store_unlock(pthread_rwlock_t **lock)
{
    pthread_rwlock_unlock(*lock);
}

#define EM_LOCKED          __attribute__((cleanup(em_store_unlock), unused)) pthread_rwlock_t *
#define READ_STORE(store)  EM_LOCKED held = em_store_read(store)
#define WRITE_STORE(store) EM_LOCKED held = em_store_write(store)

struct em_shared *em_shared_new(struct em_material *material); /* takes it */
struct em_shared *em_shared_ref(struct em_shared *shared);
void em_shared_free(struct em_shared *shared);

void em_store_init(struct em_store *store);
void em_store_free(struct em_store *store);
/* spec "NAME[:standard|premium]", NAME short or a full host name; false with a line for the user. */
bool em_store_add_vault(struct em_store *store, const char *spec, bool hsm, char ret_why[256]);
struct em_vault *em_store_vault_by_host(struct em_store *store, const char *host);
struct em_vault *em_store_vault_by_name(struct em_store *store, const char *name);

/* The rest wants the lock: reading for the finds, writing for what changes. */
enum em_state em_key_state(const struct em_key *key, int64_t now_ms);
/* Whatever its state, EM_GONE apart; NULL: no such name. */
struct em_key *em_store_find(const struct em_vault *vault, const char *name, int64_t now_ms);
/* Only a live one. */
struct em_key *em_store_live(const struct em_vault *vault, const char *name, int64_t now_ms);
struct em_version *em_key_version(const struct em_key *key, const char *id); /* NULL or "": latest */
size_t em_store_position(const struct em_vault *vault, const char *name,
                         bool after); /* first at (or after) name */

struct em_key *em_store_new_key(struct em_vault *vault, const char *name); /* drops a gone one of that name */
void em_store_drop_key(struct em_vault *vault, struct em_key *key);
/* A key built elsewhere (loaded or restored) takes its place. */
void em_store_put_key(struct em_vault *vault, struct em_key *key);
void em_key_add(struct em_key *key, struct em_version *version); /* takes it */
void em_key_find_latest(struct em_key *key);
struct em_version *em_version_new(struct em_store *store, int64_t now);
void em_version_free(struct em_version *version);
void em_key_free(struct em_key *key);

#endif
