/* For whom an envelope is sealed: vault keys by name, certificates by file. One thread. */
#ifndef KV_TOOLS_CMS_SEAL_FOR_H
#define KV_TOOLS_CMS_SEAL_FOR_H

#include "common.h"
#include "seal.h"

/* Is it a certificate's file, which has a dot or begins with a slash? Else it is [VAULT/]NAME[@VERSION]. */
bool kv_cms_seal_is_file(const char *text);
/* No request where the version map knows the version. What is wrapped for a vault's key is entered in the ledger. */
KV_MUST_USE enum kv_status kv_cms_seal_for(struct kv_tool *tool, const char *text, struct kv_cms_seal *seal,
                                           struct kv_error *err);

#endif
