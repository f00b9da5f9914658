/* Which version of the map is meant by what a person writes. One thread. */
#ifndef KV_TOOLS_WHICH_H
#define KV_TOOLS_WHICH_H

#include "common.h"

/* "[VAULT/]NAME@VERSION", a kid, the CKA_ID or the SHA-256 of the public key in hexadecimal: all versions that it fits, of the vault of --vault where one is given; of a kid
 * those in its place, where there is one.
 * KV_ARGUMENTS, KV_NOT_FOUND. */
KV_MUST_USE enum kv_status kv_which_versions(const struct kv_tool *tool, const char *word,
                                             struct kv_version_list *ret, struct kv_error *err);

#endif
