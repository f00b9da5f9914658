/* --register of kvp11 seal: the file becomes a backup in the version map, with everybody who can open it, so that the map knows what depends on which version. One thread. */
#ifndef KV_TOOLS_REGISTER_H
#define KV_TOOLS_REGISTER_H

#include "keys/coverage.h"
#include "parties.h"

struct kv_register {
    struct kv_map *map; /* borrowed; NULL: not asked for */
    struct kv_map_backup backup;
};
void kv_register_free(struct kv_register *registration); /* contents, not the struct */
#define KV_AUTO_REGISTER KV_CLEANUP(kv_register_free)

/* What the command line says, looked at before anything is written: the map can be, and the file's name and date can stand in it. KV_ARGUMENTS, KV_CONFIG, or what is wrong with the map. */
KV_MUST_USE enum kv_status kv_register_begin(const struct kv_tool *tool, struct kv_parties *parties,
                                             struct kv_register *ret, struct kv_error *err);
/* The file is in its place; `header`: at its front. registration->backup says what it is and who can open it, for the map and for --json. */
KV_MUST_USE enum kv_status kv_register_done(struct kv_register *registration,
                                            const struct kv_parties *parties, struct kv_view header,
                                            uint64_t size, struct kv_error *err);
/* A stanza of a vault's key, as one of those who can open a backup. */
KV_MUST_USE enum kv_status kv_register_recipient(const struct kv_age_stanza *stanza,
                                                 struct kv_map_recipient *ret, struct kv_error *err);
/* Who depends on the versions of a header is told by a backup of the map from now on: the ledger's wraps that stand in it no longer count. Of a header that is written over
 * (`before`; NULL: none) those do not either that stand in `after` no more; where the file is no `backup` of the map, those of `after` go on counting. */
struct kv_register_change {
    const struct kv_age_header *before, *after;
    bool backup;
};
/* Before a header is written into a file: `backup` is the one that the map knows the file as; "": none. What was wrapped is in the ledger then. */
KV_MUST_USE enum kv_status kv_register_rewrap(struct kv_map *map, const struct kv_parties *parties,
                                              const struct kv_register_change *change,
                                              const struct kv_map_rewrap_begun *backup, struct kv_error *err);
KV_MUST_USE enum kv_status kv_register_settle(struct kv_map *map, const struct kv_parties *parties,
                                              const struct kv_register_change *change, struct kv_error *err);

#endif
