/* The keys of one vault as this process sees them: the vault says what is now, the map says what must not be forgotten, merge joins the two. Start-up
 * costs no request. Versions handed out are counted and immutable; a refresh swaps pointers. One thread refreshes a name, others use what there is.
 * Any thread. */
#ifndef KV_KEYS_KEYRING_H
#define KV_KEYS_KEYRING_H

#include "keys/certificate.h"
#include "keys/version_map.h"
#include "vault/vault.h"

struct kv_keyring;
struct kv_keyring_parts { /* borrowed, outlive the keyring */
    const struct kv_vault_config *config;
    struct kv_vault *vault;
    struct kv_map *map;
    struct kv_log *log;
    const struct kv_clock *clock;
};
KV_MUST_USE enum kv_status kv_keyring_open(const struct kv_keyring_parts *parts, struct kv_keyring **ret,
                                           struct kv_error *err);
void kv_keyring_free(struct kv_keyring *keyring);
/* One more place where its keys may be (`failover`), at most KV_FAILOVER_MAX: borrowed, until the last use of this keyring. Before its first use. */
void kv_keyring_fail_over_to(struct kv_keyring *keyring, struct kv_keyring *other);

/* What C_FindObjects and the tool ask. Empty members do not select; with none set everything is enumerated (a listing, when the map is older than refresh_seconds). */
struct kv_keyring_query {
    const char *label; /* "name" (current) or "name@version" */
    struct kv_view id; /* CKA_ID */
    bool force;        /* ask the vault whatever the map's age */
};
/* Never fails as a whole because one key does: forbidden or broken keys are left out, counted in *ret_left_out (may be NULL) and told in the log; a vault that cannot be
 * reached leaves what the map knows. An error only when nothing could be answered and the map knows nothing of it. Honours `keys =` and `old_versions`. */
KV_MUST_USE enum kv_status kv_keyring_find(struct kv_keyring *keyring, const struct kv_keyring_query *query,
                                           const struct kv_task *task, struct kv_version_list *ret,
                                           size_t *ret_left_out, struct kv_error *err);
/* Asks the vault for what changed, and keeps it. A key whose item in the vault's list is as it was is not asked for, and its versions are listed only where something
 * needs one that is not current, or where they were last listed `whole_after` seconds ago; 0: all is asked for. What that may miss until then is a change of an old
 * version that nothing known to the map needs. KV_OK: the vault told all but *ret_left_out keys; else why it did not. */
KV_MUST_USE enum kv_status kv_keyring_reconcile(struct kv_keyring *keyring, int64_t whole_after,
                                                const struct kv_task *task, size_t *ret_left_out,
                                                struct kv_error *err);
/* The version that a name means now (one GET at the most). KV_NOT_FOUND. */
KV_MUST_USE enum kv_status kv_keyring_current(struct kv_keyring *keyring, const char *name,
                                              const struct kv_task *task, struct kv_version **ret,
                                              struct kv_error *err);
/* A version by name and version id, from the map or by one GET. */
KV_MUST_USE enum kv_status kv_keyring_version(struct kv_keyring *keyring, const char *name,
                                              const char *version, const struct kv_task *task,
                                              struct kv_version **ret, struct kv_error *err);
/* All versions of a name as the map has them, complete when the vault lets us list them: a listing, and a GET for each that is unknown. */
KV_MUST_USE enum kv_status kv_keyring_siblings(struct kv_keyring *keyring, const char *name,
                                               const struct kv_task *task, struct kv_version_list *ret,
                                               struct kv_error *err);
/* The same as the vault lists them now, and no failure is passed over; those that are gone stay in the list with their state. */
KV_MUST_USE enum kv_status kv_keyring_listed(struct kv_keyring *keyring, const char *name,
                                             const struct kv_task *task, struct kv_version_list *ret,
                                             struct kv_error *err);
/* Could anything of this vault have a certificate, by the settings? */
bool kv_keyring_certifies(const struct kv_keyring *keyring);
/* The certificate of each version, counted, NULL where there is none: `ret` has room for as many, all NULL. With `ask` it may be got from the vault or be made, with a
 * signature of the key; else it is what this host has already. What cannot be had is told in the log and never a failure; KV_NO_MEMORY alone is. */
KV_MUST_USE enum kv_status kv_keyring_certificates(struct kv_keyring *keyring,
                                                   const struct kv_version_list *versions, bool ask,
                                                   const struct kv_task *task, struct kv_certificate **ret);
/* Certificates of authorities in the folder that belong to no key of this vault. No request. */
KV_MUST_USE enum kv_status kv_keyring_authorities(struct kv_keyring *keyring,
                                                  struct kv_certificate_list *ret);
/* Drops what is cached of this version, so that the next look-up asks: after a 404 or "disabled". */
void kv_keyring_doubt(struct kv_keyring *keyring, const struct kv_version *version);

/* The next version of a key (operator's work): POST rotate, learnt and stored. After a lost reply the versions are listed and the new one, if one came, is taken. */
KV_MUST_USE enum kv_status kv_keyring_rotate(struct kv_keyring *keyring, const char *name,
                                             const struct kv_task *task, struct kv_version **ret_old,
                                             struct kv_version **ret_new, struct kv_error *err);
/* The version that a rotation of today has made which never came to its end: cut off, or its reply lost for good. "": none. Asks the vault only when there was such a one. */
KV_MUST_USE enum kv_status kv_keyring_rotation_left(struct kv_keyring *keyring, const char *name,
                                                    const struct kv_task *task,
                                                    char ret_version[KV_VERSION_SIZE], struct kv_error *err);
/* It has come to its end: the next one makes a version of its own. */
KV_MUST_USE enum kv_status kv_keyring_rotated(struct kv_keyring *keyring, const char *name,
                                              struct kv_error *err);
/* A key that comes into being: made by the service, or brought in. One of the two is set. */
struct kv_keyring_new {
    const struct kv_vault_create *create;
    const struct kv_vault_import *import;
    bool next; /* where the name exists its next version is made; else KV_CONFLICT */
};
/* Sent once; after a lost reply the versions are listed and the new one, if one came, is taken. */
KV_MUST_USE enum kv_status kv_keyring_make(struct kv_keyring *keyring, const struct kv_keyring_new *what,
                                           const struct kv_task *task, struct kv_version **ret,
                                           struct kv_error *err);
/* Can a key be called this here? KV_NOT_FOUND with the reason: the grammar of names, or `keys =`. */
KV_MUST_USE enum kv_status kv_keyring_check_name(const struct kv_keyring *keyring, const char *name,
                                                 struct kv_error *err);
/* With `adopt = manual`: names mean this version from now on, for all who share the map, whose journal says so. No request. KV_CONFIG: `adopt = auto`;
 * KV_DISABLED: it could not seal or sign; KV_READ_ONLY: the map cannot be written. */
KV_MUST_USE enum kv_status kv_keyring_promote(struct kv_keyring *keyring, const struct kv_version *version,
                                              struct kv_error *err);
/* Changes one version. `allow` and `forbid` are sets of KV_OP_*, on top of what it may do now. */
struct kv_keyring_update {
    const int64_t *nbf, *exp; /* NULL: leave */
    unsigned allow, forbid;
};
KV_MUST_USE enum kv_status kv_keyring_update(struct kv_keyring *keyring, const struct kv_version *version,
                                             const struct kv_keyring_update *change,
                                             const struct kv_task *task, struct kv_version **ret,
                                             struct kv_error *err);
/* Disables this version alone. KV_DEPENDED, before anything is asked of the vault, when the map knows of a wrap or a backup that needs it. */
KV_MUST_USE enum kv_status kv_keyring_disable(struct kv_keyring *keyring, const struct kv_version *version,
                                              const struct kv_task *task, struct kv_version **ret,
                                              struct kv_error *err);
/* What became of a key that the vault no longer shows. Where neither it nor a deleted one is there, and that for longer than a deletion takes, its versions are
 * purged from now on. */
struct kv_keyring_deleted {
    bool recoverable;
    int64_t deleted, purge; /* unix seconds; 0: not told */
};
KV_MUST_USE enum kv_status kv_keyring_deleted(struct kv_keyring *keyring, const char *name,
                                              const struct kv_task *task, struct kv_keyring_deleted *ret,
                                              struct kv_error *err);
/* Out of soft delete (operator's work): asks for it, waits until the vault shows the key again, at most until the task's deadline, and gives all its versions as they are
 * then. A key that is there already is as good. KV_NOT_FOUND: there is neither the key nor a deleted one; KV_TIMED_OUT: recovered, and not there yet. */
KV_MUST_USE enum kv_status kv_keyring_recover(struct kv_keyring *keyring, const char *name,
                                              const struct kv_task *task, struct kv_version_list *ret,
                                              struct kv_error *err);
/* A new key made by the service (operator's work). KV_CONFLICT when the name exists. */
KV_MUST_USE enum kv_status kv_keyring_create(struct kv_keyring *keyring, const struct kv_vault_create *create,
                                             const struct kv_task *task, struct kv_version **ret,
                                             struct kv_error *err);

/* Fills ret->data with ret->len random bytes of a Managed HSM, in as many requests as it takes; within the task's deadline. KV_CONFIG: it is none. */
KV_MUST_USE enum kv_status kv_keyring_random(struct kv_keyring *keyring, const struct kv_task *task,
                                             struct kv_bytes *ret, struct kv_error *err);

/* Writes what the ledger still holds back. */
void kv_keyring_flush(struct kv_keyring *keyring);

const struct kv_vault_config *kv_keyring_config(const struct kv_keyring *keyring);
struct kv_mech_offer kv_keyring_offer(const struct kv_keyring *keyring);

#endif
