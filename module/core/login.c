#include "core/login.h"

#include "core_private.h"

bool kv_core_wants_pin(const struct kv_core *core, size_t i)
{
    return i < core->config->vault_count && core->config->vaults[i].pin != KV_PIN_NONE;
}

enum kv_status kv_core_login(struct kv_core *core, size_t i, struct kv_view pin, const struct kv_task *task,
                             struct kv_error *err)
{
    struct kv_challenge challenge;
    struct kv_place *place = &core->places[i];
    struct kv_error why = { 0 };
    KV_TRY(kv_vault_meet(place->vault, task, &challenge, err));
    enum kv_status status = kv_tokens_login(place->tokens, &challenge, pin, task, &why);
    if (status != KV_OK && (status = kv_vault_meet_anew(place->vault, task, &challenge, &why)) == KV_OK)
        status = kv_tokens_login(place->tokens, &challenge, pin, task, &why);
    if (status != KV_OK && err)
        *err = why;
    return status == KV_OK ? KV_OK : kv_fail_in(err, status, "vault '%s'", core->config->vaults[i].name);
}

void kv_core_logout(struct kv_core *core, size_t i)
{
    if (kv_core_wants_pin(core, i))
        kv_tokens_logout(core->places[i].tokens);
}

enum kv_status kv_core_login_check(struct kv_core *core, const struct kv_core_check *check,
                                   struct kv_login_report *ret, struct kv_error *err)
{
    struct kv_challenge challenge;
    struct kv_place *place = &core->places[check->vault];
    *ret = (struct kv_login_report){ .count = 0 };
    struct kv_error why = { 0 };
    KV_TRY(kv_vault_meet(place->vault, check->task, &challenge, err));
    enum kv_status status = kv_tokens_check(place->tokens, &challenge, check->fresh, check->task, ret, &why);
    if (status != KV_OK &&
        (status = kv_vault_meet_anew(place->vault, check->task, &challenge, &why)) == KV_OK) {
        *ret = (struct kv_login_report){ .count = 0 };
        status = kv_tokens_check(place->tokens, &challenge, check->fresh, check->task, ret, &why);
    }
    if (status != KV_OK && err)
        *err = why;
    return status == KV_OK ? KV_OK
                           : kv_fail_in(err, status, "vault '%s'", core->config->vaults[check->vault].name);
}

enum kv_status kv_core_credential_ends(const struct kv_core *core, size_t i, struct kv_credential_end *ret,
                                       struct kv_error *err)
{
    return kv_credential_ends(&core->config->vaults[i], ret, err);
}
