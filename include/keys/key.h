/* One version of one key: what every PKCS#11 object of it, every operation and the tool read. Immutable and counted: a refresh makes a new one. Any thread. */
#ifndef KV_KEYS_KEY_H
#define KV_KEYS_KEY_H

#include "base/kinds.h"
#include "mech/local.h"

enum kv_state {
    KV_STATE_ENABLED,
    KV_STATE_DISABLED,
    KV_STATE_NOT_YET_VALID,
    KV_STATE_EXPIRED,
    KV_STATE_DELETED,
    KV_STATE_PURGED,
    KV_STATE_MISSING,
    KV_STATE_UNREACHABLE
};
const char *
kv_state_name(enum kv_state state); /* "not-yet-valid": the words of CKA_KVP11_STATE and of the map */
bool kv_state_from_name(const char *name, enum kv_state *ret);

enum { KV_ID_SIZE = 20, KV_LABEL_SIZE = KV_NAME_SIZE + KV_VERSION_SIZE + 1 };

struct kv_version {
    char vault[33]; /* token label */
    char name[KV_NAME_SIZE];
    char version[KV_VERSION_SIZE];
    char kid[KV_KID_SIZE];     /* https://host/keys/name/version, host of the configured vault */
    char label[KV_LABEL_SIZE]; /* name when current, else name@version */
    bool current;
    enum kv_kind kind;
    bool hsm;
    unsigned bits; /* RSA modulus, EC field, oct key size (0: not told) */
    char curve[KV_CURVE_SIZE];
    unsigned operations; /* KV_OP_* */
    unsigned char id
        [KV_ID_SIZE]; /* CKA_ID: subject key identifier (design: RFC 5280 method 1), oct: SHA-256 of name/version, first 20 */
    unsigned char spki_sha256[32]; /* zero for oct */
    struct kv_bytes spki;          /* DER; empty for oct */
    enum kv_state state;           /* as of `seen`, with nbf/exp as of that time */
    bool enabled;
    bool managed;              /* backs a certificate of the same name and version */
    char hsm_platform[8];      /* "0" software, "1", "2"; "": the service does not say */
    int64_t nbf, exp, created; /* unix seconds, 0: absent */
    int64_t first_seen, seen;  /* when the vault last spoke of it */
    int64_t first_wrap, last_wrap, last_unwrap;
    int64_t wraps,
        settled; /* ledger entries that depend on it; how many of them stand in a backup, which is what depends on it then */
    int64_t state_since, last_drill, retire_after; /* the map's own; 0: not known, never, not planned */
    int64_t updated;      /* when the vault last changed an attribute of it; 0: not told */
    char recovery[48];    /* "Recoverable+Purgeable" (contract §5.3); "": not told */
    int64_t protected_at; /* when that last had purge protection; 0: never */

    int64_t row, entry;    /* of the map, 0: not stored; of its journal */
    unsigned references;   /* atomic; private to key.c */
    struct kv_public *key; /* parsed at first use; private to key.c */
};

/* An empty version with one reference, to be filled before it is shared; a copy with one reference of its own, to be changed before it is shared
 * (the parsed public key goes along). NULL when memory is short. */
struct kv_version *kv_version_new(void);
struct kv_version *kv_version_copy(const struct kv_version *version);
/* Fills id and spki_sha256 from the public key (oct: from name and version) and the label from name, version and current. KV_BAD_DATA: not a public key. */
KV_MUST_USE enum kv_status kv_version_identify(struct kv_version *version);
/* The label alone, from name, version and current. */
void kv_version_relabel(struct kv_version *version);
struct kv_version *kv_version_ref(const struct kv_version *version);
void kv_version_free(struct kv_version *version); /* drops one reference; NULL is fine */
KV_DEFINE_CLEANUP(struct kv_version, kv_version_free)
#define KV_AUTO_VERSION KV_CLEANUP(kv_version_free_cleanup)

/* The public key, parsed at the first call, borrowed for the life of the version. KV_KEY_TYPE for oct. */
KV_MUST_USE enum kv_status kv_version_public(const struct kv_version *version, const struct kv_public **ret,
                                             struct kv_error *err);
struct kv_mech_key kv_version_mech_key(const struct kv_version *version);

/* May it sign, encrypt, wrap now? decrypt, unwrap and verify are never stopped by nbf and exp, all but verify by `enabled`. The error names version, cause, remedy. */
KV_MUST_USE enum kv_status kv_version_usable(const struct kv_version *version, unsigned operation,
                                             int64_t now, struct kv_error *err);
/* Is it still in the vault, as far as is known? */
bool kv_version_is_there(const struct kv_version *version);
/* Does this recovery level keep even those who may purge from doing so? */
bool kv_recovery_is_protected(const char *recovery);
/* enabled, nbf and exp → state. */
enum kv_state kv_state_of(bool enabled, int64_t nbf, int64_t exp, int64_t now);

/* Counted versions in a list. */
struct kv_version_list {
    struct kv_version **items;
    size_t count;
};
void kv_version_list_free(struct kv_version_list *list);
KV_MUST_USE enum kv_status kv_version_list_add(struct kv_version_list *list,
                                               struct kv_version *version); /* takes a reference of its own */

/* "pkcs11:token=…;id=%…;type=private": the URI of RFC 7512 that names this version for ever; kv_text_free. */
char *kv_version_uri(const struct kv_version *version);
/* The same with object=NAME: whatever is current. */
char *kv_version_current_uri(const struct kv_version *version);

#endif
