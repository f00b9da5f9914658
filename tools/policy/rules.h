/* What a key is held against: the rules that Azure Policy has built in (contract §16), and what else makes a backup outlive its key. Pure. */
#ifndef KV_TOOLS_POLICY_RULES_H
#define KV_TOOLS_POLICY_RULES_H

#include "keys/keyring.h"

enum kv_rule_level { KV_RULE_PASS, KV_RULE_WARNING, KV_RULE_UNKNOWN, KV_RULE_CRITICAL };

struct kv_rule_limits {
    int rsa_bits;     /* at least */
    int validity;     /* days from the start to the expiry, at most */
    int left;         /* days to the expiry, at least */
    int active;       /* days since the start, at most; a rotation must come within them */
    bool hsm_vault;   /* a Managed HSM */
    int64_t versions; /* that can be backed up, or be had at all */
};
extern const struct kv_rule_limits kv_rule_limits_usual;

struct kv_rule_facts {
    const struct kv_vault_key *key;       /* the current version */
    const struct kv_vault_policy *policy; /* NULL: could not be read */
    int64_t versions;                     /* -1: could not be counted */
    int64_t now;
};

struct kv_rule {
    const char *name;   /* "expiry" */
    const char *policy; /* the definition of Azure Policy that says the same; "": none does */
    /* How to pass it; VAULT, KEY and KID stand for those of the key; NULL: nothing but protection against a purge. */
    const char *remedy;
    /* Writes what was found, a line, into `ret`. */
    enum kv_rule_level (*check)(const struct kv_rule_facts *facts, const struct kv_rule_limits *limits,
                                char *ret, size_t size);
};
extern const struct kv_rule kv_rules[];
extern const size_t kv_rule_count;

/* A remedy for this key. kv_text_free; NULL: memory is short. */
char *kv_rule_remedy(const char *remedy, const char *vault, const char *key, const char *kid);

/* "P1Y2M10DT12H" in days, rounded down, a year of 365 and a month of 30 days; -1: no ISO 8601 duration. */
int64_t kv_duration_days(const char *text);
/* Why the service would not take it (contract §6), a line; NULL: it would. */
const char *kv_policy_objection(const struct kv_vault_policy *policy, bool hsm_vault);

#endif
