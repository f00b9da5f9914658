/* The keys of the configured vaults as recipients and identities of age files. Wrapping with an RSA key takes no request: the public key is in the recipient or in the
 * version map. Unwrapping takes one, with the version that the stanza names and no other. One thread. */
#ifndef KV_TOOLS_AGE_VAULT_H
#define KV_TOOLS_AGE_VAULT_H

#include "core/core.h"
#include "stanza.h"
#include "vault_text.h"

/* Borrowed by all that is made of it. */
struct kv_age_vault {
    struct kv_core *
        core; /* NULL: no vault can be asked, and `why` says so; a recipient with a public key in it still wraps */
    struct kv_error why;
    const char *caller; /* "age-plugin-kvp11": stands in the audit record */
    bool trial;         /* nothing will depend on what is wrapped: the ledger is not told of it */
};
/* The configuration and the world behind it; what is wrong with them becomes `why`. kv_core_close(ret->core). */
void kv_age_vault_open(const char *config_file, const char *caller, struct kv_age_vault *ret);

/* `text`: "age1kvp111…", or "[VAULT/]NAME[@VERSION]" for a key by its name. */
KV_MUST_USE enum kv_status kv_age_vault_recipient(const struct kv_age_vault *vault, const char *text,
                                                  struct kv_age_recipient *ret, struct kv_error *err);
/* Opens whatever a configured vault can open. Of several stanzas that are for it, those whose versions are known to be there go first; when none
 * opens, the error is that of the first one tried: key, version, cause, and the command that mends it. */
KV_MUST_USE enum kv_status kv_age_vault_identity(const struct kv_age_vault *vault,
                                                 struct kv_age_identity *ret, struct kv_error *err);

/* The version that a name means: as the version map has it; asked for (one GET) where the map has none that may be used. KV_NOT_FOUND; KV_ARGUMENTS: several vaults have it. */
KV_MUST_USE enum kv_status kv_age_vault_named(const struct kv_age_vault *vault,
                                              const struct kv_vault_text *text, struct kv_version **ret,
                                              struct kv_error *err);

/* Why a version does not open something, and what mends it, around what `err` says already. Returns the status. */
KV_MUST_USE enum kv_status kv_age_vault_needed(const struct kv_version *version, enum kv_status status,
                                               struct kv_error *err);

#endif
