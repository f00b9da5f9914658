/* The clouds of the contract, §2.1, as one table: whose vaults end how, and where their tokens come from. Immutable; any thread. */
#ifndef KV_AUTH_CLOUD_H
#define KV_AUTH_CLOUD_H

#include "config/config.h"

struct kv_cloud_row {
    const char *name;
    const char *vault_suffix, *hsm_suffix; /* without the dot before them; NULL: not written down anywhere */
    const char *authorities[5];            /* hosts, the usual one first; ends with NULL */
};

/* The row of a configured cloud; of `auto`, that of the vault's host. NULL: unknown. */
const struct kv_cloud_row *kv_cloud_find(enum kv_cloud cloud, const char *vault_host);
/* `cloud` NULL: an authority of any of them. */
bool kv_cloud_has_authority(const struct kv_cloud_row *cloud, const char *host);

#endif
