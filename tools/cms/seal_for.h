/* For whom an envelope is sealed: vault keys by name, certificates by file. One thread. */
#ifndef KV_TOOLS_CMS_SEAL_FOR_H
#define KV_TOOLS_CMS_SEAL_FOR_H

#include "common.h"
#include "seal.h"

/* `text` is a file when it has a dot or begins with a slash, else [VAULT/]NAME[@VERSION]. No request where the version map knows the version. *ret_vault: it is a vault's key. */
KV_MUST_USE enum kv_status kv_cms_seal_for(struct kv_tool *tool, const char *text, struct kv_cms_seal *seal,
                                           bool *ret_vault, struct kv_error *err);

#endif
