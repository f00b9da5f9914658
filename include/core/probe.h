/* One vault looked at from outside, without a credential: for `kvp11 doctor`. */
#ifndef KV_CORE_PROBE_H
#define KV_CORE_PROBE_H

#include "core/core.h"
#include "net/probe.h"

/* The handshake with the vault's host, whatever its certificate; see kv_http_probe. */
KV_MUST_USE enum kv_status kv_core_probe(struct kv_core *core, size_t i, const struct kv_task *task,
                                         struct kv_http_peer *ret, struct kv_error *err);

/* What the vault answers to one who shows no token. KV_OK: it asks for one that may be sent to where it says. With KV_PROTOCOL and KV_CREDENTIAL, too, *ret is
 * filled as far as the answer went. */
struct kv_core_greeting {
    struct kv_challenge challenge;
    int64_t date; /* the vault's clock, unix seconds; 0: it does not say */
};
KV_MUST_USE enum kv_status kv_core_greet(struct kv_core *core, size_t i, const struct kv_task *task,
                                         struct kv_core_greeting *ret, struct kv_error *err);

/* For requests that pass by the map and what the keyring remembers. Borrowed. */
struct kv_vault *kv_core_vault(struct kv_core *core, size_t i);

#endif
