#include "rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"

enum { DAY = 86400, EXPIRY_LEAST = 28, ROTATE_LEAST = 7, ROTATE_LEAST_HSM = 28, ROOM_PERCENT = 80 };

const struct kv_rule_limits kv_rule_limits_usual = {
    .rsa_bits = 2048, .validity = 730, .left = 30, .active = 365, .versions = 500
};

/* --- durations --- */

static bool add_part(int64_t count, char unit, bool time, int64_t *seconds)
{
    static const struct {
        char unit;
        bool time;
        int64_t seconds;
    } units[] = {
        { 'Y', false, 365 * DAY }, { 'M', false, 30 * DAY }, { 'W', false, 7 * DAY }, { 'D', false, DAY },
        { 'H', true, 3600 },       { 'M', true, 60 },        { 'S', true, 1 },
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (units[i].unit != unit || units[i].time != time)
            continue;
        *seconds += count * units[i].seconds;
        return true;
    }
    return false;
}

int64_t kv_duration_days(const char *text)
{
    int64_t seconds = 0;
    bool time = false, any = false;
    if (*text++ != 'P')
        return -1;
    while (*text) {
        int64_t count = 0;
        size_t digits = strspn(text, "0123456789");
        if (*text == 'T' && !time) {
            time = true;
            any = false;
            text++;
            continue;
        }
        if (!digits || digits > 6)
            return -1;
        for (size_t i = 0; i < digits; i++)
            count = count * 10 + (*text++ - '0');
        if (!add_part(count, *text++, time, &seconds))
            return -1;
        any = true;
    }
    return any ? seconds / DAY : -1;
}

const char *kv_policy_objection(const struct kv_vault_policy *policy, bool hsm_vault)
{
    const char *const texts[] = { policy->rotate_after, policy->rotate_before, policy->notify_before,
                                  policy->expire_after };
    int64_t least = hsm_vault ? ROTATE_LEAST_HSM : ROTATE_LEAST;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (*texts[i] && kv_duration_days(texts[i]) < 0)
            return "a time is no ISO 8601 duration such as P90D, P3M or P2Y";
    if (*policy->rotate_after && *policy->rotate_before)
        return "a rotation is either after the creation or before the expiry";
    if (*policy->expire_after && kv_duration_days(policy->expire_after) < EXPIRY_LEAST)
        return "versions expire after 28 days (P28D) at the least";
    if ((*policy->rotate_before || *policy->notify_before) && !*policy->expire_after)
        return "what comes before the expiry needs an expiry: --expire-after";
    if (*policy->rotate_after && kv_duration_days(policy->rotate_after) < least)
        return hsm_vault ? "a Managed HSM rotates after 28 days (P28D) at the least"
                         : "a rotation comes after 7 days (P7D) at the least";
    if (hsm_vault && *policy->notify_before)
        return "a Managed HSM notifies nobody";
    return NULL;
}

/* --- rules --- */

static int64_t start_of(const struct kv_vault_key *key)
{
    return key->nbf ? key->nbf : key->created;
}

static enum kv_rule_level check_enabled(const struct kv_rule_facts *facts,
                                        const struct kv_rule_limits *limits, char *ret, size_t size)
{
    snprintf(ret, size, "the current version is %s", facts->key->enabled ? "enabled" : "disabled");
    return facts->key->enabled ? KV_RULE_PASS : KV_RULE_CRITICAL;
}

static enum kv_rule_level check_type(const struct kv_rule_facts *facts, const struct kv_rule_limits *limits,
                                     char *ret, size_t size)
{
    static const char *const kinds[] = { [KV_RSA] = "RSA", [KV_EC] = "EC", [KV_OCT] = "oct" };
    snprintf(ret, size, "%s", kinds[facts->key->kind]);
    return facts->key->kind != KV_OCT || limits->hsm_vault ? KV_RULE_PASS : KV_RULE_WARNING;
}

static enum kv_rule_level check_size(const struct kv_rule_facts *facts, const struct kv_rule_limits *limits,
                                     char *ret, size_t size)
{
    if (facts->key->kind == KV_EC)
        snprintf(ret, size, "%s", facts->key->curve);
    else
        snprintf(ret, size, "%d bits", facts->key->bits);
    if (facts->key->kind == KV_EC)
        return strcmp(facts->key->curve, "P-256K") ? KV_RULE_PASS : KV_RULE_WARNING;
    return facts->key->kind != KV_RSA || facts->key->bits >= limits->rsa_bits ? KV_RULE_PASS
                                                                              : KV_RULE_WARNING;
}

static enum kv_rule_level check_hsm(const struct kv_rule_facts *facts, const struct kv_rule_limits *limits,
                                    char *ret, size_t size)
{
    bool hsm = facts->key->hsm || limits->hsm_vault;
    snprintf(ret, size, "%s", hsm ? "backed by an HSM" : "in software");
    return hsm ? KV_RULE_PASS : KV_RULE_WARNING;
}

static enum kv_rule_level check_exportable(const struct kv_rule_facts *facts,
                                           const struct kv_rule_limits *limits, char *ret, size_t size)
{
    snprintf(ret, size, "%s",
             facts->key->exportable ? "can be released to an enclave" : "cannot be exported");
    return facts->key->exportable ? KV_RULE_WARNING : KV_RULE_PASS;
}

static enum kv_rule_level check_expiry(const struct kv_rule_facts *facts, const struct kv_rule_limits *limits,
                                       char *ret, size_t size)
{
    const struct kv_vault_key *key = facts->key;
    char when[21];
    kv_clock_text(key->exp, when);
    if (!key->exp) {
        snprintf(ret, size, "it never expires");
        return KV_RULE_WARNING;
    }
    if (key->exp <= facts->now) {
        snprintf(ret, size, "expired %s: it seals and signs nothing more", when);
        return KV_RULE_CRITICAL;
    }
    int64_t left = (key->exp - facts->now) / DAY;
    snprintf(ret, size, "expires %s, in %" PRId64 " days; at least %d are asked for", when, left,
             limits->left);
    return left >= limits->left ? KV_RULE_PASS : KV_RULE_WARNING;
}

static enum kv_rule_level check_validity(const struct kv_rule_facts *facts,
                                         const struct kv_rule_limits *limits, char *ret, size_t size)
{
    if (!facts->key->exp) {
        snprintf(ret, size, "without end; at most %d days are asked for", limits->validity);
        return KV_RULE_WARNING;
    }
    int64_t days = (facts->key->exp - start_of(facts->key)) / DAY;
    snprintf(ret, size, "%" PRId64 " days; at most %d are asked for", days, limits->validity);
    return days <= limits->validity ? KV_RULE_PASS : KV_RULE_WARNING;
}

static enum kv_rule_level check_age(const struct kv_rule_facts *facts, const struct kv_rule_limits *limits,
                                    char *ret, size_t size)
{
    int64_t days = (facts->now - start_of(facts->key)) / DAY;
    snprintf(ret, size, "in use for %" PRId64 " days; at most %d are asked for", days > 0 ? days : 0,
             limits->active);
    return days <= limits->active ? KV_RULE_PASS : KV_RULE_WARNING;
}

/* Days from a version's creation to the rotation that follows it; -1: none does. */
static int64_t rotates_after(const struct kv_vault_policy *policy)
{
    if (*policy->rotate_after)
        return kv_duration_days(policy->rotate_after);
    int64_t expiry = kv_duration_days(policy->expire_after), before = kv_duration_days(policy->rotate_before);
    return expiry >= 0 && before >= 0 && before <= expiry ? expiry - before : -1;
}

static enum kv_rule_level check_rotation(const struct kv_rule_facts *facts,
                                         const struct kv_rule_limits *limits, char *ret, size_t size)
{
    const struct kv_vault_policy *policy = facts->policy;
    if (!policy) {
        snprintf(ret, size, "the rotation policy cannot be read");
        return KV_RULE_UNKNOWN;
    }
    int64_t days = rotates_after(policy);
    if (days < 0) {
        snprintf(ret, size, "nothing rotates it");
        return KV_RULE_WARNING;
    }
    snprintf(ret, size, "rotates %s%s, after %" PRId64 " days; at most %d are asked for",
             *policy->rotate_after ? policy->rotate_after : policy->rotate_before,
             *policy->rotate_after ? " after creation" : " before expiry", days, limits->active);
    return days <= limits->active ? KV_RULE_PASS : KV_RULE_WARNING;
}

/* The words of the service: Purgeable, Recoverable+Purgeable, Recoverable, Recoverable+ProtectedSubscription, CustomizedRecoverable … */
static enum kv_rule_level check_recovery(const struct kv_rule_facts *facts,
                                         const struct kv_rule_limits *limits, char *ret, size_t size)
{
    const char *level = facts->key->recovery_level;
    snprintf(ret, size, "%s", *level ? level : "the vault does not tell");
    if (!*level)
        return KV_RULE_UNKNOWN;
    if (!strstr(level, "Recoverable"))
        return KV_RULE_CRITICAL;
    return strstr(level, "Purgeable") ? KV_RULE_WARNING : KV_RULE_PASS;
}

static enum kv_rule_level check_room(const struct kv_rule_facts *facts, const struct kv_rule_limits *limits,
                                     char *ret, size_t size)
{
    if (facts->versions < 0) {
        snprintf(ret, size, "the versions cannot be counted");
        return KV_RULE_UNKNOWN;
    }
    snprintf(ret, size, "%" PRId64 " versions of the %" PRId64 " that %s", facts->versions, limits->versions,
             limits->hsm_vault ? "a key can have" : "can be backed up");
    if (facts->versions > limits->versions || (limits->hsm_vault && facts->versions == limits->versions))
        return KV_RULE_CRITICAL;
    return facts->versions * 100 >= limits->versions * ROOM_PERCENT ? KV_RULE_WARNING : KV_RULE_PASS;
}

char *kv_rule_remedy(const char *remedy, const char *vault, const char *key, const char *kid)
{
    const struct {
        const char *word, *is;
    } words[] = { { "VAULT", vault }, { "KEY", key }, { "KID", kid } };
    enum { WORDS = sizeof(words) / sizeof(words[0]) };
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    enum kv_status status = KV_OK;
    while (*remedy && status == KV_OK) {
        size_t i = 0, len = strcspn(remedy, " ,"), gap = strspn(remedy + len, " ,");
        while (i < WORDS && (strlen(words[i].word) != len || strncmp(remedy, words[i].word, len) != 0))
            i++;
        status = i < WORDS
                     ? kv_buffer_format(&text, "%s%.*s", kv_word(words[i].is).text, (int)gap, remedy + len)
                     : kv_buffer_format(&text, "%.*s", (int)(len + gap), remedy);
        remedy += len + gap;
    }
    return status == KV_OK ? kv_text_copy((const char *)text.bytes.data) : NULL;
}

#define ENABLE "az keyvault key set-attributes --enabled true --id KID"
#define ROTATE "kvp11 --vault VAULT rotate KEY"
#define POLICY "kvp11 --vault VAULT policy KEY --rotate-after P90D --expire-after P2Y"
#define CREATE "kvp11 --vault VAULT create NEW-NAME"
/* clang-format off */
const struct kv_rule kv_rules[] = {
    { "enabled",    "",                                     ENABLE,                                          check_enabled },
    { "type",       "75c4f823-d65c-4f29-a733-01d0077fdbcb", CREATE ", of type RSA or EC",                    check_type },
    { "size",       "82067dbb-e53b-4e06-b631-546d197452d9", CREATE ", larger or with another curve",         check_size },
    { "hsm",        "587c79fe-dd04-4a5e-9d0b-f89598c7261b", CREATE " --type RSA-HSM, in a vault of the premium tier", check_hsm },
    { "exportable", "",                                     CREATE ", which is not exportable",              check_exportable },
    { "expiry",     "152b15f7-8e1f-4c1f-ab71-8c010ba5dbc0", POLICY ", then " ROTATE,                         check_expiry },
    { "validity",   "49a22571-d204-4c91-a7b6-09b1a586fbc9", POLICY ", then " ROTATE,                         check_validity },
    { "age",        "c26e4b24-cf98-4c67-b48b-5a25c4c69eb9", ROTATE,                                          check_age },
    { "rotation",   "d8cf8476-a2ec-4916-896e-992351803c44", POLICY,                                          check_rotation },
    { "recovery",   "0b60c0b2-2dc2-4e1c-b5c9-abbed971de53", NULL,                                            check_recovery },
    { "room",       "",                                     CREATE ", then kvp11 rewrap",                    check_room },
};
/* clang-format on */
const size_t kv_rule_count = sizeof(kv_rules) / sizeof(kv_rules[0]);
