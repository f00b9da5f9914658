/* The commands that mend what more than one command of ours finds. Texts are the caller's, kv_text_free; NULL: memory is short. Pure. */
#ifndef KV_TOOLS_MEND_H
#define KV_TOOLS_MEND_H

#include "config/config.h"

enum { KV_EXPIRY_DAYS = 30 }; /* how long before an end it is told */

char *kv_mend_protection(const struct kv_vault_config *config);
/* The next version of a certificate that the vault keeps. */
char *kv_mend_certificate(const struct kv_vault_config *config, const char *name);
/* For a kind of credential that a secret or a certificate of an application's stands behind. */
char *kv_mend_credential(const struct kv_vault_config *config, const char *kind);

#endif
