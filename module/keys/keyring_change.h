/* A change that makes a version, and what has come of it when its reply is lost. */
#ifndef KV_KEYS_KEYRING_CHANGE_H
#define KV_KEYS_KEYRING_CHANGE_H

#include "keyring_private.h"

struct kv_change {
    struct kv_keyring *keyring;
    const char *name;
    const struct kv_keyring_new *what; /* NULL: a rotation */
    const struct kv_task *task;
    int64_t started;               /* unix seconds */
    struct kv_version_list before; /* what there was, as completely as we may know */
    char made[KV_VERSION_SIZE];    /* the new one, "" : none yet */
};

/* Can this version have come of it? One that was imported is known by its public key, one that was created by its kind and size. */
bool kv_change_is_ours(const struct kv_change *change, const struct kv_version *version);

/* A rotation is written down before it is sent; where the map cannot be written, it is not. */
KV_MUST_USE enum kv_status kv_change_begin(const struct kv_change *change, struct kv_error *err);

/* After a lost reply: lists the versions. KV_OK: one has come of the change, see `made`. Else `lost`, which the change failed with, and what is
 * known now; err->maybe_done only while nobody can tell whether something has come of it. */
KV_MUST_USE enum kv_status kv_change_settle(struct kv_change *change, enum kv_status lost,
                                            struct kv_error *err);

#endif
