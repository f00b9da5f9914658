/* From a version's state to a sentence and a command. Pure. */
#include "explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DAY = 86400 };

void kv_verdict_free(struct kv_verdict *verdict)
{
    kv_text_free(verdict->found);
    kv_text_free(verdict->mend);
    *verdict = (struct kv_verdict){ 0 };
}

static int64_t days_until(int64_t when, int64_t now)
{
    return when > now ? (when - now) / DAY : 0;
}

/* " since 2026-…", or nothing. */
static const char *since_text(const struct kv_version *version, char ret[32])
{
    memcpy(ret, " since ", 8);
    if (version->state_since)
        kv_clock_text(version->state_since, ret + 7);
    else
        ret[0] = '\0';
    return ret;
}

static void enabled(const struct kv_verdict_input *input, struct kv_verdict *ret)
{
    const struct kv_version *version = input->version;
    char when[21];
    kv_clock_text(version->exp, when);
    if (!version->exp) {
        ret->found = kv_text_copy("is enabled, and never expires");
        return;
    }
    ret->days_left = days_until(version->exp, input->now);
    ret->found =
        kv_text_format("is enabled, and expires %s, in %" PRId64 " days: then it still opens old data", when,
                       ret->days_left);
}

static void not_now(const struct kv_verdict_input *input, struct kv_verdict *ret)
{
    const struct kv_version *version = input->version;
    bool expired = version->state == KV_STATE_EXPIRED;
    char when[21];
    kv_clock_text(expired ? version->exp : version->nbf, when);
    ret->since = expired ? version->exp : 0;
    ret->found = kv_text_format("%s %s: it opens old data, and seals and signs nothing %s",
                                expired ? "expired" : "is valid from", when, expired ? "more" : "before");
    if (expired && version->current)
        ret->mend = kv_text_format("kvp11 --vault %s rotate %s", kv_word(version->vault).text,
                                   kv_word(version->name).text);
}

static void disabled(const struct kv_verdict_input *input, struct kv_verdict *ret)
{
    char since[32];
    ret->status = KV_DISABLED;
    ret->found = kv_text_format("is disabled%s", since_text(input->version, since));
    ret->mend =
        kv_text_format("az keyvault key set-attributes --enabled true --id '%s'", input->version->kid);
}

static char *restore_command(const struct kv_version *version)
{
    return kv_text_format("kvp11 --vault %s key-backup restore FILE", kv_word(version->vault).text);
}

static void deleted(const struct kv_verdict_input *input, struct kv_verdict *ret)
{
    const struct kv_version *version = input->version;
    const struct kv_keyring_deleted *told = input->deleted;
    char when[21], left[64] = "", since[32];
    ret->status = KV_DISABLED;
    if (told && !told->recoverable) {
        ret->found = kv_text_copy("is gone with its key: neither the key nor a deleted one is in the vault, "
                                  "unless it was deleted in this minute");
        ret->mend = restore_command(version);
        return;
    }
    if (told && told->purge) {
        kv_clock_text(told->purge, when);
        ret->days_left = days_until(told->purge, input->now);
        snprintf(left, sizeof(left), ", and purged %s, in %" PRId64 " days", when, ret->days_left);
    }
    if (told && told->deleted) {
        ret->since = told->deleted;
        kv_clock_text(told->deleted, when);
        ret->found = kv_text_format("was deleted with its key %s%s", when, left);
    } else {
        ret->found = kv_text_format("is deleted with its key%s%s", since_text(version, since), left);
    }
    ret->mend = kv_text_format(KV_KEY_RECOVER, kv_word(version->vault).text, kv_word(version->name).text);
}

static void gone(const struct kv_verdict_input *input, struct kv_verdict *ret)
{
    const struct kv_version *version = input->version;
    char since[32];
    bool purged = version->state == KV_STATE_PURGED;
    ret->status = KV_NOT_FOUND;
    ret->found =
        kv_text_format("%s%s", purged ? "is purged" : "is missing from a key that is there, or was made anew",
                       since_text(version, since));
    ret->mend = restore_command(version);
}

static void unreachable(const struct kv_verdict_input *input, struct kv_verdict *ret)
{
    const struct kv_version *version = input->version;
    bool told = input->asked != KV_OK;
    ret->status = told ? input->asked : KV_UNREACHABLE;
    ret->found =
        kv_text_format("cannot be asked for now%s%s; last known as %s", told ? ": " : "",
                       told && input->why ? input->why : "", version->enabled ? "enabled" : "disabled");
    ret->mend = kv_text_format("kvp11 doctor %s", kv_word(version->vault).text);
}

static void without_operation(const struct kv_verdict_input *input, struct kv_verdict *ret)
{
    kv_verdict_free(ret);
    ret->days_left = -1;
    ret->status = KV_KEY_OPERATION;
    ret->found = kv_text_copy("is there, but its key_ops allow neither unwrapKey nor decrypt");
    ret->mend = kv_text_format("az keyvault key set-attributes --ops wrapKey unwrapKey --id '%s'",
                               input->version->kid);
}

struct kv_verdict kv_verdict_of(const struct kv_verdict_input *input)
{
    const struct kv_version *version = input->version;
    struct kv_verdict verdict = { .days_left = -1, .since = version->state_since };
    if (input->asked != KV_OK) {
        unreachable(input, &verdict);
        return verdict;
    }
    switch (version->state) {
    case KV_STATE_ENABLED:
        enabled(input, &verdict);
        break;
    case KV_STATE_EXPIRED:
    case KV_STATE_NOT_YET_VALID:
        not_now(input, &verdict);
        break;
    case KV_STATE_DISABLED:
        disabled(input, &verdict);
        break;
    case KV_STATE_DELETED:
        deleted(input, &verdict);
        break;
    case KV_STATE_PURGED:
        gone(input, &verdict);
        break;
    case KV_STATE_MISSING: /* of one version a GET cannot tell whether it is the whole key */
        if (input->deleted && input->deleted->recoverable)
            deleted(input, &verdict);
        else
            gone(input, &verdict);
        break;
    case KV_STATE_UNREACHABLE:
        unreachable(input, &verdict);
        break;
    }
    if (verdict.status == KV_OK && input->is_file && !(version->operations & (KV_OP_UNWRAP | KV_OP_DECRYPT)))
        without_operation(input, &verdict);
    return verdict;
}
