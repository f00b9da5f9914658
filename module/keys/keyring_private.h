/* What the files of the keyring share. One lock, never held over requests or the map's file. */
#ifndef KV_KEYS_KEYRING_PRIVATE_H
#define KV_KEYS_KEYRING_PRIVATE_H

#include <pthread.h>
#include "failover.h"
#include "keys/keyring.h"
#include "ledger.h"
#include "merge.h"

enum {
    KV_KEYRING_KEY = KV_NAME_SIZE + KV_VERSION_SIZE + 3, /* "name/version/c" */
    KV_KEYRING_QUIET_MS = 5000,   /* after a failed look: how long what there is must do */
    KV_KEYRING_REFRESH_MS = 5000, /* how long a refresh may take when there is an older answer */
    KV_KEYRING_UNKNOWN = 64,      /* identifiers that are remembered as unknown */
    KV_KEYRING_LOOK = 32,         /* named keys that an unknown identifier is looked for in */
    KV_KEYRING_SKEW = 60 /* seconds that this host's clock and the vault's may differ without being noticed */
};

/* What this process remembers of a key's name ("name"), of one version ("name/version") or of the whole vault (""). */
struct kv_slot {
    char key[KV_KEYRING_KEY];
    bool busy;    /* one thread is asking */
    bool doubted; /* the next look asks, whatever the age */
    bool told;    /* a failure stands in the log already */
    enum kv_status failure;
    char *failure_text;
    int64_t quiet_until_ms;
    int64_t gone_until_ms; /* a version that was not there: `failover` asks for it elsewhere first */
    bool other_told;       /* that its public key is another stands in the log already */
    bool is_held;          /* the map could not take these: they live here */
    struct kv_version_list held;
    struct kv_map_visit held_visit;
    struct kv_slot *next;
};

/* A version that was handed out: handed out again while nothing in it changes, so that handles stay. */
struct kv_interned {
    struct kv_version *version;
    int64_t unwrap_noted;
};

struct kv_unknown {
    unsigned char id[KV_ID_SIZE];
    int64_t until_ms;
};

struct kv_keyring {
    struct kv_keyring_parts parts;
    struct kv_ledger *ledger;
    pthread_mutex_t lock;
    pthread_cond_t left; /* a slot is no longer busy */
    void *slots;         /* tree of kv_slot by key */
    struct kv_slot *first_slot;
    void *interned;           /* tree of kv_interned by name and version */
    void *certified;          /* tree of kv_certified, private to certified.c */
    struct kv_folder *folder; /* NULL: none is configured */
    struct kv_unknown unknown[KV_KEYRING_UNKNOWN];
    size_t unknown_next;
    struct kv_challenge taught; /* what the map remembers */
    enum kv_status down;        /* the vault was out of reach a moment ago */
    int64_t down_until_ms;
    bool down_told;                                /* that stands in the log already */
    struct kv_reach reach;                         /* by operations */
    struct kv_keyring *elsewhere[KV_FAILOVER_MAX]; /* borrowed; set before the first use */
    size_t elsewhere_count;
};

static inline int64_t kv_keyring_now(const struct kv_keyring *keyring)
{
    return keyring->parts.clock->unix_seconds(keyring->parts.clock);
}

static inline int64_t kv_keyring_steady(const struct kv_keyring *keyring)
{
    return keyring->parts.clock->steady_ms(keyring->parts.clock);
}

/* --- keyring_slot.c: one thread asks, the others wait or go on --- */
/* Finds or makes a slot; the lock is held. NULL when memory is short. */
struct kv_slot *kv_keyring_slot(struct kv_keyring *keyring, const char *key);
void kv_keyring_slots_free(struct kv_keyring *keyring);

struct kv_keyring_ask {
    const char *key;
    bool have_old; /* there is an older answer: do not wait for another thread */
    bool force;
};
/* *ret_go: this thread is to ask, and to call kv_keyring_leave after. Else KV_OK: use what there is now; or the failure of a moment ago. */
KV_MUST_USE enum kv_status kv_keyring_enter(struct kv_keyring *keyring, const struct kv_keyring_ask *ask,
                                            const struct kv_task *task, bool *ret_go, struct kv_error *err);
/* The task of a refresh: short when there is an older answer to fall back to. */
struct kv_task kv_keyring_refresh_task(const struct kv_keyring *keyring, const struct kv_task *task,
                                       bool have_old);
/* No answer came at all, so nothing can be said of any key. */
bool kv_keyring_is_out_of_reach(enum kv_status status);
void kv_keyring_leave(struct kv_keyring *keyring, const char *key, enum kv_status status,
                      const struct kv_error *err);
/* Puts one line in the log for this name and process. */
void kv_keyring_tell(struct kv_keyring *keyring, const char *name, enum kv_status status,
                     const struct kv_error *err);
bool kv_keyring_is_doubted(struct kv_keyring *keyring, const char *key);
void kv_keyring_name_version(char *ret, const char *name, const char *version);

/* --- keyring_rows.c: the map, and what it could not take --- */
struct kv_rows {
    struct kv_version_list list;
    struct kv_map_visit visit;
};
void kv_rows_free(struct kv_rows *rows);
#define KV_AUTO_ROWS KV_CLEANUP(kv_rows_free)
/* Everything known of a name; no request. */
KV_MUST_USE enum kv_status kv_keyring_rows(struct kv_keyring *keyring, const char *name, struct kv_rows *ret,
                                           struct kv_error *err);
/* All versions of the vault, or those with this CKA_ID. */
KV_MUST_USE enum kv_status kv_keyring_rows_all(struct kv_keyring *keyring, struct kv_view id,
                                               struct kv_version_list *ret, struct kv_error *err);
/* Stores a merge; visit NULL: not a visit of the name. What the map cannot take is held in memory; KV_NO_MEMORY when that cannot be either. */
KV_MUST_USE enum kv_status kv_keyring_keep(struct kv_keyring *keyring, const char *name,
                                           const struct kv_merge_result *merged,
                                           const struct kv_map_visit *visit);
bool kv_keyring_is_fresh(const struct kv_keyring *keyring, const struct kv_map_visit *visit);
/* name NULL: the listing. `part` "" or "/versions". */
void kv_keyring_visit(struct kv_keyring *keyring, const char *name, const char *part, enum kv_status status);
struct kv_map_visit kv_keyring_visited(struct kv_keyring *keyring, const char *name, const char *part);

/* --- keyring_ask.c: requests, merged and kept --- */
/* A failure of the vault or the way to it, not of one key: asking for the next key would fail too. */
bool kv_keyring_is_vault_wide(enum kv_status status);
/* Memory, OpenSSL or the map failed here: what is missing by that is no answer, and a search says so. */
bool kv_keyring_is_of_this_host(enum kv_status status);
/* Merges what was heard of a name with what is known, and keeps it. */
KV_MUST_USE enum kv_status kv_keyring_hear(struct kv_keyring *keyring, struct kv_merge_input *input,
                                           bool visit, struct kv_error *err);
KV_MUST_USE enum kv_status kv_keyring_ask_current(struct kv_keyring *keyring, const char *name,
                                                  const struct kv_task *task, struct kv_error *err);
KV_MUST_USE enum kv_status kv_keyring_ask_version(struct kv_keyring *keyring, const char *name,
                                                  const char *version, const struct kv_task *task,
                                                  struct kv_error *err);
/* The complete list of versions and a GET for each that is unknown, newest first. */
KV_MUST_USE enum kv_status kv_keyring_ask_versions(struct kv_keyring *keyring, const char *name,
                                                   const struct kv_task *task, struct kv_error *err);
/* One operation; remembers the challenge. */
KV_MUST_USE enum kv_status kv_keyring_operate(struct kv_keyring *keyring, const struct kv_vault_op *op,
                                              const struct kv_task *task, struct kv_vault_result *ret,
                                              struct kv_error *err);
void kv_keyring_learn(struct kv_keyring *keyring);
void kv_keyring_teach(struct kv_keyring *keyring);

/* --- keyring_look.c: answers from the map, asking when it is too old --- */
struct kv_look {
    struct kv_version_list list; /* all versions of the name */
    bool unreachable;
};
void kv_look_free(struct kv_look *look);
#define KV_AUTO_LOOK KV_CLEANUP(kv_look_free)
KV_MUST_USE enum kv_status kv_keyring_look(struct kv_keyring *keyring, const char *name, bool force,
                                           const struct kv_task *task, struct kv_look *ret,
                                           struct kv_error *err);
/* The same without the answer: KV_OK when it is fresh or could be refreshed, else why not. */
KV_MUST_USE enum kv_status kv_keyring_refresh(struct kv_keyring *keyring, const char *name, bool force,
                                              const struct kv_task *task, struct kv_error *err);
/* The version as it is known, asked for when it is unknown or older than max_age seconds; from memory when it cannot be asked. */
struct kv_look_version {
    const char *name, *version;
    int64_t max_age;
    bool force;
};
KV_MUST_USE enum kv_status kv_keyring_look_version(struct kv_keyring *keyring,
                                                   const struct kv_look_version *wanted,
                                                   const struct kv_task *task, struct kv_version **ret,
                                                   bool *ret_unreachable, struct kv_error *err);
bool kv_keyring_note_unwrap(struct kv_keyring *keyring, const struct kv_version *version, int64_t now);

/* --- keyring_sweep.c: everything --- */
struct kv_sweep {
    bool force, have_old;
    int64_t
        whole_after; /* with force: what has not changed is passed over until then, in seconds; 0: nothing is */
    struct kv_view id; /* stop when this one is known */
    size_t heard, left_out;
};
KV_MUST_USE enum kv_status kv_keyring_sweep(struct kv_keyring *keyring, struct kv_sweep *sweep,
                                            const struct kv_task *task, struct kv_error *err);

/* --- certified.c --- */
void kv_keyring_certified_free(struct kv_keyring *keyring);

/* --- keyring_view.c: what callers see --- */
bool kv_keyring_allows(const struct kv_keyring *keyring, const char *name); /* `keys =` */
bool kv_keyring_is_name(const char *name);                                  /* grammar of contract §2.2 */
/* Adds the version as callers see it, unless `keys` or `old_versions` hide it. */
KV_MUST_USE enum kv_status kv_keyring_show(struct kv_keyring *keyring, const struct kv_version *row,
                                           bool unreachable, struct kv_version_list *ret);
/* The same for one version that was named exactly: hidden by nothing. */
KV_MUST_USE enum kv_status kv_keyring_hand_out(struct kv_keyring *keyring, const struct kv_version *row,
                                               bool unreachable, struct kv_version **ret);
/* The size of a secret key as this process has learnt it; 0: not yet. */
unsigned kv_keyring_interned_size(struct kv_keyring *keyring, const struct kv_version *version);
void kv_keyring_intern_size(struct kv_keyring *keyring, const struct kv_version *version, unsigned bits);
void kv_keyring_interned_free(struct kv_keyring *keyring);

/* --- keyring_size.c --- */
/* Bits of a secret key, 0: nobody knows; then *ret_likely is the size of another version, or 0. No request. */
unsigned kv_keyring_size(struct kv_keyring *keyring, const struct kv_version *version, unsigned *ret_likely);
/* Remembers the size that the vault accepted, here and in the map. */
void kv_keyring_learn_size(struct kv_keyring *keyring, const struct kv_version *version, unsigned bits);

#endif
