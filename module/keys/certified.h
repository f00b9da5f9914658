/* What this process and the version map know of the certificates of versions. Adds, never takes away: a certificate that is known stays the same object. Any thread;
 * the keyring's lock is held for moments, never over the map. */
#ifndef KV_KEYS_CERTIFIED_H
#define KV_KEYS_CERTIFIED_H

#include "keyring_private.h"

/* Sources, as they stand in the map. */
#define KV_FROM_VAULT "vault"
#define KV_MADE_HERE  "self"

/* A copy of an entry, with references of its own. */
struct kv_known {
    bool loaded;
    struct kv_certificate *vault, *self;
    int64_t asked;
};
void kv_known_free(struct kv_known *known);
#define KV_AUTO_KNOWN KV_CLEANUP(kv_known_free)

/* Adds what was learnt. */
KV_MUST_USE enum kv_status kv_certified_note(struct kv_keyring *keyring, const struct kv_version *version,
                                             const struct kv_known *news);
/* From this process alone; from the map too, when it was not looked at yet; from the map again. *ret is replaced. */
KV_MUST_USE enum kv_status kv_certified_recall(struct kv_keyring *keyring, const struct kv_version *version,
                                               struct kv_known *ret);
KV_MUST_USE enum kv_status kv_certified_look(struct kv_keyring *keyring, const struct kv_version *version,
                                             struct kv_known *ret);
KV_MUST_USE enum kv_status kv_certified_reload(struct kv_keyring *keyring, const struct kv_version *version);

/* A row of the map; NULL: none, or none of this key, and then *ret_asked is when that became known. */
struct kv_certificate *kv_certified_read(struct kv_keyring *keyring, const struct kv_version *version,
                                         const char *source, int64_t *ret_asked);
/* der NULL: there is none. What the map cannot take stays in memory. */
void kv_certified_write(struct kv_keyring *keyring, const struct kv_version *version, const char *source,
                        const struct kv_bytes *der);

#endif
