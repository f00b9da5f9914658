/* What the files of the vault's recipients and identities share. */
#ifndef KV_TOOLS_AGE_VAULT_PRIVATE_H
#define KV_TOOLS_AGE_VAULT_PRIVATE_H

#include "vault.h"
#include "vault_stanza.h"

/* --- vault_find.c: where is the version that a stanza names? --- */
/* As the version map has it, in vaults that are configured; those that should open it now in front. No request; none is KV_OK. */
KV_MUST_USE enum kv_status kv_age_vault_known(const struct kv_age_vault *vault,
                                              const struct kv_vault_stanza *stanza,
                                              struct kv_version_list *ret, struct kv_error *err);
/* Asked for: at the places that the map knows of this key, then at that which the kid names, then among the versions of the key of that name. KV_NOT_FOUND, or why nobody could be asked. */
KV_MUST_USE enum kv_status kv_age_vault_ask(const struct kv_age_vault *vault,
                                            const struct kv_vault_stanza *stanza, struct kv_version_list *ret,
                                            struct kv_error *err);
/* Is there nothing in what was last heard of it that stops it from opening old data? */
bool kv_age_vault_opens(const struct kv_version *version);
/* KV_CONFIG: no such vault is configured. */
KV_MUST_USE enum kv_status kv_age_vault_index(const struct kv_age_vault *vault, const char *name, size_t *ret,
                                              struct kv_error *err);

/* --- vault_use.c: one version at work --- */
KV_MUST_USE enum kv_status kv_age_vault_seal(const struct kv_age_vault *vault,
                                             const struct kv_version *version, struct kv_view plain,
                                             struct kv_bytes *ret, struct kv_error *err);
/* The error says what mends it. */
KV_MUST_USE enum kv_status kv_age_vault_unseal(const struct kv_age_vault *vault,
                                               const struct kv_version *version, struct kv_view body,
                                               unsigned char ret_file_key[KV_AGE_FILE_KEY],
                                               struct kv_error *err);

#endif
