/* The proof that a version does what its kind is for: a secret wrapped and unwrapped, or a signature made and verified. One request of the vault; the ledger is not
 * told. One thread. */
#ifndef KV_TOOLS_PROVE_H
#define KV_TOOLS_PROVE_H

#include "common.h"

/* With the keys of tool->core, whoever that works as. KV_KEY_OPERATION: its key_ops allow no proof. */
KV_MUST_USE enum kv_status kv_prove(struct kv_tool *tool, size_t vault, const struct kv_version *version,
                                    struct kv_error *err);

/* The same world as those see it who use keys, not as the operator who changes them: a proof made as the operator would say nothing of tonight's restore.
 * kv_tool_free(ret). */
KV_MUST_USE enum kv_status kv_prove_open(const struct kv_tool *tool, struct kv_tool *ret,
                                         struct kv_error *err);
/* What stands beside a version that was looked at: "proved", "disabled", … Where the proof fails, why (kv_fail, named). An expired version is not asked to seal
 * anything; that the vault told of it is all that can be had. */
KV_MUST_USE enum kv_status kv_prove_role(struct kv_tool *prover, size_t vault,
                                         const struct kv_version *version, const char **ret_role,
                                         struct kv_error *err);

#endif
