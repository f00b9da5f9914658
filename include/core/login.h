/* Who gets a token for a vault, by which credential, and why not by the others: for `kvp11 login check`. */
#ifndef KV_CORE_LOGIN_H
#define KV_CORE_LOGIN_H

#include "auth/credential.h"
#include "auth/login.h"
#include "core/core.h"

/* As kv_tokens_check, and asks the vault whose tokens it takes. */
struct kv_core_check {
    size_t vault;
    bool fresh;
    const struct kv_task *task;
};
KV_MUST_USE enum kv_status kv_core_login_check(struct kv_core *core, const struct kv_core_check *check,
                                               struct kv_login_report *ret, struct kv_error *err);

/* When what this vault's tokens stand on ends: kv_credential_ends. No network. */
KV_MUST_USE enum kv_status kv_core_credential_ends(const struct kv_core *core, size_t i,
                                                   struct kv_credential_end *ret, struct kv_error *err);

#endif
