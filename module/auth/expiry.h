/* Times as token endpoints write them (contract §14.7): RFC 3339, RFC 1123, and the two forms of .NET. Their names are English whatever the
 * host's locale. Pure functions. */
#ifndef KV_AUTH_EXPIRY_H
#define KV_AUTH_EXPIRY_H

#include "base/json.h"

/* Unix seconds. False: none of the forms. */
bool kv_expiry_read(const char *text, int64_t *ret);
/* "2026-01-31 12:00:00.000000" by this host's own time zone, as the Azure CLI writes it. */
bool kv_expiry_read_local(const char *text, int64_t *ret);

#endif
