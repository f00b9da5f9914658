/* Joins what the map remembers of one key with what the vault just said of it. Pure: no request, no file, no clock of its own; whoever calls
 * stores the outcome. A version once seen never vanishes; a public key once seen never changes. Any thread. */
#ifndef KV_KEYS_MERGE_H
#define KV_KEYS_MERGE_H

#include "keys/key.h"
#include "vault/vault.h"

/* What was asked of the vault. */
enum kv_heard {
    KV_HEARD_CURRENT, /* GET of the name: one item, the newest version */
    KV_HEARD_VERSION, /* GET of one version */
    KV_HEARD_ALL      /* the complete list of versions */
};

struct kv_merge_input {
    const char *vault, *url, *name;      /* token label, "https://host[:port]", the key */
    const struct kv_version_list *known; /* rows of this name; NULL: none */
    enum kv_heard heard;
    enum kv_status status; /* KV_OK, or KV_NOT_FOUND; any other changes nothing */
    const struct kv_vault_key *items;
    size_t count;
    const char *version; /* KV_HEARD_VERSION: the one that was asked for */
    bool
        keeps_current; /* `adopt = manual`: whichever is current stays so, and only an operator changes that */
    int64_t now;
};

/* `all`: every version there is knowledge of, newest first. `changed`: those of them that the map does not have like this. Both belong to the
 * caller (kv_version_list_free). Items of a list without a public part are used only where the version is known already. */
struct kv_merge_result {
    struct kv_version_list all, changed;
};
void kv_merge_result_free(struct kv_merge_result *result);

/* KV_WRONG_KEY when the vault shows another public key for a version that is known, or speaks of another key. */
KV_MUST_USE enum kv_status kv_merge(const struct kv_merge_input *input, struct kv_merge_result *ret,
                                    struct kv_error *err);

/* Does this item say everything of a version, or only what a list says? */
bool kv_merge_is_whole(const struct kv_vault_key *item);
/* The version with this id, borrowed; NULL: not in the list. */
struct kv_version *kv_merge_find(const struct kv_version_list *list, const char *version);
/* The current one, borrowed; NULL: none. */
struct kv_version *kv_merge_current(const struct kv_version_list *list);

#endif
