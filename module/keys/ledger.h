/* Which version wrapped these bytes, or has opened them: SHA-256 of each wrapped blob or ciphertext, written behind so that nothing is slowed down. A hint: a
 * crash may lose the last second of it. Where the map cannot be written the newest entries are remembered in memory. Any thread. */
#ifndef KV_KEYS_LEDGER_H
#define KV_KEYS_LEDGER_H

#include "base/clock.h"
#include "base/log.h"
#include "keys/version_map.h"

struct kv_ledger;

/* All parts are borrowed and outlive the ledger. */
KV_MUST_USE enum kv_status kv_ledger_open(struct kv_map *map, struct kv_log *log,
                                          const struct kv_clock *clock, struct kv_ledger **ret);
void kv_ledger_free(struct kv_ledger *ledger); /* writes what is held back */

/* Written at once when the last write is older than a second, else with a later one: at most 256 entries or a second after, whichever call comes first. */
void kv_ledger_note(struct kv_ledger *ledger, const struct kv_version *version, struct kv_view blob);
/* Called with every operation: writes what has waited for a second. */
void kv_ledger_tick(struct kv_ledger *ledger);
void kv_ledger_flush(struct kv_ledger *ledger);

/* *ret->at is 0 when nothing is known of these bytes. */
KV_MUST_USE enum kv_status kv_ledger_find(struct kv_ledger *ledger, struct kv_view blob,
                                          struct kv_map_wrap *ret, struct kv_error *err);

#endif
