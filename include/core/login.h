/* Who gets a token for a vault, by which credential, and why not by the others: for `kvp11 login check`. */
#ifndef KV_CORE_LOGIN_H
#define KV_CORE_LOGIN_H

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

#endif
