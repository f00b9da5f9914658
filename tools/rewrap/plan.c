#include "rewrap.h"

#include <string.h>
#include "age/spare.h"
#include "age/vault_private.h"

/* ---- a header ---- */

bool kv_rewrap_plan_is_empty(const struct kv_rewrap_plan *plan)
{
    return !plan->goes_count && !plan->comes_count && !plan->break_glass;
}

/* Those that its stanza shall make room for: of -r, or the one. */
static bool is_target_of(const struct kv_rewrap_pick *pick, const struct kv_rewrap_key *key, size_t target)
{
    return pick->named ? target < pick->named : target == key->target;
}

static bool is_wanted(const struct kv_rewrap_pick *pick, const struct kv_rewrap_key *key)
{
    for (size_t i = 0; i < pick->target_count; i++)
        if (is_target_of(pick, key, i) && kv_rewrap_same(&pick->targets[i].stanza, &key->stanza))
            return true;
    return false;
}

static bool comes(const struct kv_rewrap_plan *plan, size_t target)
{
    for (size_t i = 0; i < plan->comes_count; i++)
        if (plan->comes[i] == target)
            return true;
    return false;
}

static bool has(const struct kv_age_header *header, const struct kv_vault_stanza *wanted)
{
    struct kv_vault_stanza stanza;
    for (size_t i = 0; i < header->count; i++)
        if (kv_vault_stanza_is(&header->stanzas[i]) &&
            kv_vault_stanza_read(&header->stanzas[i], &stanza, NULL) == KV_OK &&
            kv_rewrap_same(&stanza, wanted))
            return true;
    return false;
}

static void let_come(const struct kv_rewrap_pick *pick, const struct kv_age_header *header, size_t target,
                     struct kv_rewrap_plan *plan)
{
    if (!comes(plan, target) && !has(header, &pick->targets[target].stanza) &&
        plan->comes_count < KV_AGE_STANZAS_MAX)
        plan->comes[plan->comes_count++] = target;
}

static void let_go(const struct kv_rewrap_pick *pick, const struct kv_age_header *header,
                   const struct kv_rewrap_key *key, struct kv_rewrap_plan *plan)
{
    plan->goes_count++;
    for (size_t i = 0; i < pick->target_count; i++)
        if (is_target_of(pick, key, i))
            let_come(pick, header, i, plan);
}

enum kv_status kv_rewrap_pick_plan(struct kv_rewrap_pick *pick, const struct kv_age_header *header,
                                   struct kv_rewrap_plan *ret, struct kv_error *err)
{
    struct kv_rewrap_plan plan = { 0 };
    size_t foreign = 0;
    for (size_t i = 0; i < header->count; i++) {
        struct kv_vault_stanza stanza = { 0 };
        const struct kv_rewrap_key *key = NULL;
        if (!kv_vault_stanza_is(&header->stanzas[i])) {
            foreign += !kv_age_spare_is(&header->stanzas[i]);
            continue;
        }
        plan.ours++;
        KV_TRY(kv_vault_stanza_read(&header->stanzas[i], &stanza, err));
        KV_TRY(kv_rewrap_pick_key(pick, &stanza, &key, err));
        plan.goes[i] = key->goes && !is_wanted(pick, key);
        if (plan.goes[i])
            let_go(pick, header, key, &plan);
    }
    bool all = !pick->from && !pick->before;
    for (size_t i = 0; all && plan.ours && i < pick->named; i++)
        let_come(pick, header, i, &plan);
    /* Whom a foreign stanza is for is not written in it: one that has any is taken to be able to do without vaults. */
    plan.break_glass = pick->parties->recipient_count && plan.ours && !foreign && (plan.goes_count || all);
    *ret = plan;
    return KV_OK;
}

/* ---- the new header ---- */

static enum kv_status add(struct kv_age_header *header, struct kv_age_stanza stanza, struct kv_error *err)
{
    struct kv_age_stanza *more = reallocarray(header->stanzas, header->count + 1, sizeof *more);
    if (!more) {
        kv_age_stanza_free(&stanza);
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    header->stanzas = more;
    header->stanzas[header->count++] = stanza;
    return KV_OK;
}

static enum kv_status add_wrapped(struct kv_age_header *header, const struct kv_age_recipient *recipient,
                                  const unsigned char *file_key, struct kv_error *err)
{
    struct kv_age_stanza *made = NULL;
    size_t count = 0;
    KV_TRY(recipient->wrap(recipient->state, file_key, &made, &count, err));
    enum kv_status status = KV_OK;
    for (size_t i = 0; i < count; i++)
        if (status == KV_OK)
            status = add(header, made[i], err);
        else
            kv_age_stanza_free(&made[i]);
    free(made);
    return status;
}

/* A target that cannot unwrap what it wraps would lose every file: each is tried once, before the first. */
static enum kv_status prove(struct kv_rewrap_pick *pick, struct kv_rewrap_target *target,
                            struct kv_error *err)
{
    static const unsigned char sample[KV_AGE_FILE_KEY] = "kvp11 rewrap: ?";
    unsigned char back[KV_AGE_FILE_KEY] = { 0 };
    KV_AUTO_BYTES struct kv_bytes body = { 0 };
    struct kv_age_vault vault = *pick->vault;
    if (target->proven)
        return KV_OK;
    vault.trial = true;
    KV_TRY(kv_age_vault_seal(&vault, target->version, (struct kv_view){ sample, sizeof sample }, &body, err));
    KV_TRY(kv_age_vault_unseal(&vault, target->version, KV_VIEW(body), back, err));
    if (memcmp(back, sample, sizeof sample) != 0)
        return kv_fail(err, KV_WRONG_KEY, "version '%s' does not unwrap what its public key wraps",
                       target->stanza.kid);
    target->proven = true;
    return KV_OK;
}

/* The last argument, when it has three. */
static void leave_out_kid(struct kv_age_stanza *stanza)
{
    if (stanza->arg_count == 3)
        free(stanza->args[--stanza->arg_count]);
}

static enum kv_status add_target_stanza(struct kv_rewrap_pick *pick, struct kv_rewrap_target *target,
                                        const unsigned char *file_key, struct kv_age_header *header,
                                        struct kv_error *err)
{
    KV_CLEANUP(kv_age_recipient_free) struct kv_age_recipient recipient = { 0 };
    KV_AUTO_BYTES struct kv_bytes body = { 0 };
    struct kv_age_stanza stanza = { 0 };
    if (file_key) {
        KV_TRY(prove(pick, target, err));
        KV_TRY(kv_age_vault_recipient(pick->vault, target->text, &recipient, err));
        return add_wrapped(header, &recipient, file_key, err);
    }
    if (kv_bytes_alloc(target->body, &body) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_vault_stanza_make(&target->stanza, KV_VIEW(body), &stanza, err));
    return add(header, stanza, err);
}

struct coming {
    const struct kv_rewrap_plan *plan;
    const unsigned char *file_key;
};

static enum kv_status add_come(struct kv_rewrap_pick *pick, const struct coming *coming, size_t target,
                               struct kv_age_header *header, struct kv_error *err)
{
    KV_TRY(add_target_stanza(pick, &pick->targets[target], coming->file_key, header, err));
    if (coming->plan->short_of_room)
        leave_out_kid(&header->stanzas[header->count - 1]);
    return KV_OK;
}

static enum kv_status add_copy(struct kv_age_header *header, const struct kv_age_stanza *from,
                               struct kv_error *err)
{
    struct kv_age_stanza stanza = { 0 };
    KV_TRY(kv_age_stanza_make((const char *const *)from->args, from->arg_count, KV_VIEW(from->body), &stanza,
                              err));
    return add(header, stanza, err);
}

enum kv_status kv_rewrap_pick_stanzas(struct kv_rewrap_pick *pick, const struct kv_age_header *header,
                                      const struct kv_rewrap_plan *plan, const unsigned char *file_key,
                                      struct kv_age_header *ret, struct kv_error *err)
{
    static const unsigned char zeroes[KV_AGE_FILE_KEY];
    KV_AUTO_AGE_HEADER struct kv_age_header made = { 0 };
    const struct coming coming = { plan, file_key };
    bool come = false;
    for (size_t i = 0; i < header->count; i++) {
        if (kv_age_spare_is(&header->stanzas[i]))
            continue;
        if (!plan->goes[i])
            KV_TRY(add_copy(&made, &header->stanzas[i], err));
        for (size_t j = 0; plan->goes[i] && !come && j < plan->comes_count; j++)
            KV_TRY(add_come(pick, &coming, plan->comes[j], &made, err));
        come = come || plan->goes[i];
    }
    for (size_t i = 0; !come && i < plan->comes_count; i++)
        KV_TRY(add_come(pick, &coming, plan->comes[i], &made, err));
    for (size_t i = 0; plan->break_glass && i < pick->parties->recipient_count; i++)
        KV_TRY(add_wrapped(&made, &pick->parties->recipients[i], file_key ? file_key : zeroes, err));
    *ret = made;
    made = (struct kv_age_header){ 0 };
    return KV_OK;
}
