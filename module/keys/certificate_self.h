/* Certificates that are made here for versions that have none (setting `self_signed`). Any thread. */
#ifndef KV_KEYS_CERTIFICATE_SELF_H
#define KV_KEYS_CERTIFICATE_SELF_H

#include "keyring_private.h"

/* May the version sign its own, as far as is known here? */
bool kv_self_can_sign(const struct kv_keyring *keyring, const struct kv_version *version);
/* Signed by the version itself: one remote signature, verified before it is handed out. */
KV_MUST_USE enum kv_status kv_self_sign(struct kv_keyring *keyring, const struct kv_version *version,
                                        const struct kv_task *task, struct kv_bytes *ret,
                                        struct kv_error *err);
/* The container that is the same everywhere; no request. */
KV_MUST_USE enum kv_status kv_self_contain(const struct kv_version *version, struct kv_bytes *ret,
                                           struct kv_error *err);

#endif
