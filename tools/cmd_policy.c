/* kvp11 policy: the rotation policy of a key, and the rules that keys are held against. */
#include "key_backup/key_backup.h"
#include "mend.h"
#include "policy/rules.h"

#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "core/probe.h"

const struct kv_option kv_cmd_policy_options[] = {
    { "--set", "FILE", "set the policy in this file, as az writes it" },
    { "--rotate-after", "TIME", "rotate so long after the creation: P90D; none: not" },
    { "--rotate-before", "TIME", "rotate so long before the expiry" },
    { "--expire-after", "TIME", "versions that a rotation makes expire after: P2Y" },
    { "--notify-before", "TIME", "notify so long before the expiry: P30D" },
    { "--min-rsa", "BITS", "the least size of an RSA key (2048)" },
    { "--max-validity", "DAYS", "the longest time from start to expiry (730)" },
    { "--min-left", "DAYS", "the least time to the expiry (30)" },
    { "--max-active", "DAYS", "the longest time in use, and between rotations (365)" },
    { NULL, NULL, NULL },
};

static const struct kv_column columns[] = {
    { "LEVEL", "level" },     { "VAULT", "vault" },      { "KEY", "name" },         { "RULE", "rule" },
    { "FOUND", "found" },     { "NEXT", "next" },        { NULL, "version" },       { NULL, "azure_policy" },
    { NULL, "rotate_after" }, { NULL, "rotate_before" }, { NULL, "notify_before" }, { NULL, "expire_after" },
};

static const struct {
    const char *name;
    enum kv_status status;
} levels[] = {
    [KV_RULE_PASS] = { "pass", KV_OK },
    [KV_RULE_WARNING] = { "warning", KV_ATTENTION },
    [KV_RULE_UNKNOWN] = { "unknown", KV_UNKNOWN },
    [KV_RULE_CRITICAL] = { "critical", KV_CRITICAL },
};

struct check {
    struct kv_tool *tool;
    struct kv_table *table;
    struct kv_rule_limits limits;
    size_t vault;
    const char *vault_name;
    enum kv_rule_level worst;
    size_t found[4];
};

static struct kv_vault *vault_of(const struct check *check)
{
    return kv_core_vault(check->tool->core, check->vault);
}

/* --- setting a policy --- */

static const struct {
    const char *option;
    size_t offset, other; /* what is set, and what that excludes */
} changes[] = {
    { "--rotate-after", offsetof(struct kv_vault_policy, rotate_after),
      offsetof(struct kv_vault_policy, rotate_before) },
    { "--rotate-before", offsetof(struct kv_vault_policy, rotate_before),
      offsetof(struct kv_vault_policy, rotate_after) },
    { "--expire-after", offsetof(struct kv_vault_policy, expire_after), 0 },
    { "--notify-before", offsetof(struct kv_vault_policy, notify_before), 0 },
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

static bool is_setting(const struct kv_tool *tool)
{
    bool any = kv_common_option(tool, "--set");
    for (size_t i = 0; i < CHANGES; i++)
        any |= kv_common_option(tool, changes[i].option) != NULL;
    return any;
}

static enum kv_status apply(const struct kv_tool *tool, struct kv_vault_policy *policy, struct kv_error *err)
{
    for (size_t i = 0; i < CHANGES; i++) {
        const char *text = kv_common_option(tool, changes[i].option);
        char *to = (char *)policy + changes[i].offset;
        if (!text)
            continue;
        if (!kv_text_fit(to, KV_DURATION_SIZE, strcmp(text, "none") ? text : ""))
            return kv_fail(err, KV_ARGUMENTS, "'%s' is too long", text);
        if (*to && changes[i].option[2] == 'r')
            *((char *)policy + changes[i].other) = '\0';
    }
    return KV_OK;
}

static enum kv_status read_policy_file(const char *path, struct kv_vault_policy *ret, struct kv_error *err)
{
    const struct kv_file_rule rule = { .largest = 64 * 1024, .status = KV_INPUT };
    KV_AUTO_BYTES struct kv_bytes text = { 0 };
    enum kv_status status = kv_file_read(path, &rule, &text, err);
    if (status != KV_OK)
        return status == KV_NO_MEMORY ? status : KV_INPUT;
    status = kv_vault_policy_parse(KV_VIEW(text), ret, err);
    return status == KV_OK ? KV_OK : kv_fail_in(err, KV_BAD_DATA, "'%s' is no rotation policy", path);
}

/* The service may add to what it was given, and must not leave anything out. */
static bool is_kept(const char *asked, const char *is)
{
    return !*asked || !strcmp(asked, is);
}

static enum kv_status set_policy(struct check *check, const char *name, struct kv_error *err)
{
    struct kv_tool *tool = check->tool;
    struct kv_vault_policy policy = { 0 }, is = { 0 };
    const char *file = kv_common_option(tool, "--set");
    struct kv_task task = kv_common_task(tool, check->vault);
    if (file)
        KV_TRY(read_policy_file(file, &policy, err));
    else
        KV_TRY(kv_vault_get_policy(vault_of(check), name, &task, &policy, err));
    /* What a vault without a policy tells is only what it would do with one. */
    if (!file && !policy.updated)
        policy = (struct kv_vault_policy){ 0 };
    KV_TRY(apply(tool, &policy, err));
    if (!*policy.expire_after && !kv_common_option(tool, "--notify-before"))
        policy.notify_before[0] = '\0';
    const char *objection = kv_policy_objection(&policy, check->limits.hsm_vault);
    if (objection)
        return kv_fail(err, KV_ARGUMENTS, "the policy of key '%s' cannot be set: %s", name, objection);
    task = kv_common_task(tool, check->vault);
    KV_TRY(kv_vault_set_policy(vault_of(check), name, &policy, &task, &is, err));
    if (is_kept(policy.rotate_after, is.rotate_after) && is_kept(policy.rotate_before, is.rotate_before) &&
        is_kept(policy.notify_before, is.notify_before) && is_kept(policy.expire_after, is.expire_after))
        return KV_OK;
    return kv_fail(err, KV_PROTOCOL, "the vault took the policy of key '%s', and shows another one now",
                   name);
}

/* --- the rules --- */

static char *remedy(const struct check *check, const struct kv_rule *rule, enum kv_rule_level level,
                    const struct kv_rule_facts *facts)
{
    if (level == KV_RULE_UNKNOWN)
        return kv_text_format("kvp11 doctor %s --key %s", kv_word(check->vault_name).text,
                              kv_word(facts->key->name).text);
    return rule->remedy ? kv_rule_remedy(rule->remedy, check->vault_name, facts->key->name, facts->key->kid)
                        : kv_mend_protection(&kv_core_config(check->tool->core)->vaults[check->vault]);
}

static void add_rule(struct check *check, const struct kv_rule *rule, const struct kv_rule_facts *facts)
{
    struct kv_table *table = check->table;
    const struct kv_vault_policy none = { 0 }, *policy = !strcmp(rule->name, "rotation") && facts->policy
                                                             ? facts->policy
                                                             : &none;
    char found[256];
    enum kv_rule_level level = rule->check(facts, &check->limits, found, sizeof(found));
    kv_table_text(table, levels[level].name);
    kv_table_text(table, check->vault_name);
    kv_table_text(table, facts->key->name);
    kv_table_text(table, rule->name);
    kv_table_text(table, found);
    if (level == KV_RULE_PASS)
        kv_table_text(table, NULL);
    else
        kv_table_take(table, remedy(check, rule, level, facts));
    kv_table_text(table, facts->key->version);
    kv_table_text(table, rule->policy);
    kv_table_text(table, policy->rotate_after);
    kv_table_text(table, policy->rotate_before);
    kv_table_text(table, policy->notify_before);
    kv_table_text(table, policy->expire_after);
    check->found[level]++;
    if (level > check->worst)
        check->worst = level;
}

static enum kv_status count_versions(struct check *check, const char *name, int64_t *ret,
                                     struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    KV_AUTO_KEY_BACKUP struct kv_key_backup there = { 0 };
    struct kv_task task = kv_common_long_task(check->tool, check->vault);
    KV_TRY(kv_keyring_listed(kv_core_keyring(check->tool->core, check->vault), name, &task, &list, err));
    KV_TRY(kv_key_backup_take(&list, &there, err));
    *ret = (int64_t)there.count;
    return KV_OK;
}

/* What cannot be found out is told, and its rules are neither passed nor failed. */
static void tell(const struct check *check, const char *what, const char *name, const struct kv_error *why)
{
    kv_common_note("%s of key '%s/%s': %s", what, check->vault_name, name, why->text);
}

static enum kv_status check_key(struct check *check, const struct kv_version *version, struct kv_error *err)
{
    const struct kv_clock *clock = kv_core_clock(check->tool->core);
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key key = { 0 };
    struct kv_vault_policy policy = { 0 };
    struct kv_rule_facts facts = { .key = &key, .versions = -1, .now = clock->unix_seconds(clock) };
    struct kv_task task = kv_common_task(check->tool, check->vault);
    struct kv_error why = { 0 };
    KV_TRY(kv_vault_get_key(vault_of(check), version->name, version->version, &task, &key, err));
    task = kv_common_task(check->tool, check->vault);
    if (kv_vault_get_policy(vault_of(check), version->name, &task, &policy, &why) == KV_OK)
        facts.policy = &policy;
    else
        tell(check, "the rotation policy", version->name, &why);
    if (count_versions(check, version->name, &facts.versions, &why) != KV_OK)
        tell(check, "the versions", version->name, &why);
    for (size_t i = 0; i < kv_rule_count; i++)
        add_rule(check, &kv_rules[i], &facts);
    return KV_OK;
}

/* One key that may not be read, or is broken, hides none of the others. */
static enum kv_status check_one_of_all(struct check *check, const struct kv_version *version,
                                       struct kv_error *err)
{
    struct kv_error why = { 0 };
    enum kv_status status = check_key(check, version, &why);
    if (status != KV_DENIED && status != KV_NOT_FOUND && status != KV_PROTOCOL) {
        *err = why;
        return status;
    }
    tell(check, "the current version", version->name, &why);
    check->found[KV_RULE_UNKNOWN]++;
    check->worst = check->worst > KV_RULE_UNKNOWN ? check->worst : KV_RULE_UNKNOWN;
    return KV_OK;
}

static enum kv_status check_all(struct check *check, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_task task = kv_common_long_task(check->tool, check->vault);
    struct kv_keyring_query everything = { .force = true };
    size_t left_out = 0;
    struct kv_error why = { 0 };
    KV_TRY(kv_keyring_find(kv_core_keyring(check->tool->core, check->vault), &everything, &task, &list,
                           &left_out, &why));
    if (why.status != KV_OK && err)
        *err = why;
    if (why.status != KV_OK)
        return why.status;
    if (left_out) {
        kv_common_note("vault '%s': %zu keys could not be read", check->vault_name, left_out);
        check->found[KV_RULE_UNKNOWN] += left_out;
        check->worst = check->worst > KV_RULE_UNKNOWN ? check->worst : KV_RULE_UNKNOWN;
    }
    for (size_t i = 0; i < list.count; i++) {
        enum kv_state state = list.items[i]->state;
        bool there = state != KV_STATE_DELETED && state != KV_STATE_PURGED && state != KV_STATE_MISSING;
        if (list.items[i]->current && there)
            KV_TRY(check_one_of_all(check, list.items[i], err));
    }
    return KV_OK;
}

static enum kv_status check_named(struct check *check, const char *name, struct kv_error *err)
{
    KV_AUTO_VERSION struct kv_version *current = NULL;
    struct kv_task task = kv_common_task(check->tool, check->vault);
    KV_TRY(kv_keyring_current(kv_core_keyring(check->tool->core, check->vault), name, &task, &current, err));
    return check_key(check, current, err);
}

/* --- the command --- */

static enum kv_status read_limits(const struct kv_tool *tool, struct kv_rule_limits *ret,
                                  struct kv_error *err)
{
    const struct {
        const char *option;
        int *to;
    } numbers[] = { { "--min-rsa", &ret->rsa_bits },
                    { "--max-validity", &ret->validity },
                    { "--min-left", &ret->left },
                    { "--max-active", &ret->active } };
    *ret = kv_rule_limits_usual;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const char *text = kv_common_option(tool, numbers[i].option);
        if (text)
            KV_TRY(kv_common_number(numbers[i].option, text, numbers[i].to, err));
    }
    return KV_OK;
}

static void look_at_vault(struct check *check, size_t vault)
{
    const struct kv_vault_config *config = &kv_core_config(check->tool->core)->vaults[vault];
    check->vault = vault;
    check->vault_name = config->name;
    check->limits.hsm_vault = config->managed_hsm;
    check->limits.versions = kv_key_backup_limit(config->managed_hsm);
}

static enum kv_status run(struct check *check, struct kv_error *err)
{
    struct kv_tool *tool = check->tool;
    size_t first = 0, end = 0;
    if (tool->word_count) {
        KV_TRY(kv_common_vault(tool, &first, err));
        look_at_vault(check, first);
        if (is_setting(tool))
            KV_TRY(set_policy(check, tool->words[0], err));
        return check_named(check, tool->words[0], err);
    }
    KV_TRY(kv_common_vaults(tool, &first, &end, err));
    for (size_t vault = first; vault < end; vault++) {
        look_at_vault(check, vault);
        KV_TRY(check_all(check, err));
    }
    return KV_OK;
}

enum kv_status kv_cmd_policy(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    struct check check = { .tool = tool, .table = table };
    if (!table)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (is_setting(tool) && !tool->word_count)
        return kv_fail(err, KV_ARGUMENTS, "a policy is set for one key: name it");
    KV_TRY(read_limits(tool, &check.limits, err));
    KV_TRY(kv_common_open_map(tool, err));
    KV_TRY(run(&check, err));
    KV_TRY(kv_common_print(tool, table, err));
    /* Whoever sets a policy asks whether that was done; what else there is to say of the key stands on the standard output. */
    if (check.worst == KV_RULE_PASS || is_setting(tool))
        return KV_OK;
    tool->findings = true;
    return kv_fail(err, levels[check.worst].status, "%zu critical, %zu warnings, %zu unknown",
                   check.found[KV_RULE_CRITICAL], check.found[KV_RULE_WARNING], check.found[KV_RULE_UNKNOWN]);
}
