/* The rules that keys are held against, durations, and what the service would not take. */
#include "../../tools/policy/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define NOW     INT64_C(1800000000)
#define DAYS(n) ((n)*INT64_C(86400))

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t days;
    } rows[] = { { "P90D", 90 },   { "P3M", 90 },      { "P2Y", 730 }, { "P1Y10D", 375 },
                 { "PT48H", 2 },   { "P1DT23H", 1 },   { "P2W", 14 },  { "P1Y2M3DT4H", 428 },
                 { "PT30M", 0 },   { "P", -1 },        { "PT", -1 },   { "P1DT", -1 },
                 { "90D", -1 },    { "P1H", -1 },      { "PT1D", -1 }, { "P1", -1 },
                 { "PD", -1 },     { "P-1D", -1 },     { "p1d", -1 },  { "", -1 },
                 { "P1TT1H", -1 }, { "P9999999D", -1 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (kv_duration_days(rows[i].text) != rows[i].days)
            fail_msg("'%s': %lld", rows[i].text, (long long)kv_duration_days(rows[i].text));
}

static void test_objections(void **state)
{
    static const struct {
        struct kv_vault_policy policy; /* rotate after, rotate before, notify before, expire after */
        bool hsm;
        const char *objection; /* a part; NULL: none */
    } rows[] = {
        { { "P90D", "", "P30D", "P2Y" }, false, NULL },
        { { "", "P30D", "", "P2Y" }, false, NULL },
        { { "" }, true, NULL },
        { { "P90D" }, false, NULL },
        { { "soon" }, false, "ISO 8601" },
        { { "P90D", "P30D", "", "P2Y" }, false, "either" },
        { { "P90D", "", "", "P27D" }, false, "28 days" },
        { { "P90D", "", "", "P28D" }, false, NULL },
        { { "", "P30D" }, false, "needs an expiry" },
        { { "", "", "P30D" }, false, "needs an expiry" },
        { { "P6D" }, false, "7 days" },
        { { "P7D" }, false, NULL },
        { { "P27D" }, true, "28 days" },
        { { "P28D" }, true, NULL },
        { { "", "", "P30D", "P2Y" }, true, "notifies nobody" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *is = kv_policy_objection(&rows[i].policy, rows[i].hsm);
        if (!is != !rows[i].objection || (is && !strstr(is, rows[i].objection)))
            fail_msg("row %zu: %s", i, is ? is : "none");
    }
}

/* A key that passes everything; each row changes one thing of it. */
struct change {
    const char *rule;
    enum kv_rule_level level;
    const char *found;
    enum {
        NOTHING,
        DISABLED,
        OCT,
        HSM_OCT,
        SMALL,
        CURVE,
        KOBLITZ,
        SOFTWARE,
        EXPORTABLE,
        NO_EXPIRY,
        EXPIRED,
        SOON,
        LONG,
        OLD,
        UNREAD,
        BY_HAND,
        SELDOM,
        BEFORE,
        PURGEABLE,
        PURGEABLE_ALONE,
        UNTOLD,
        UNCOUNTED,
        NEARLY,
        FULL,
        HSM_FULL
    } what;
};

static const struct change rows[] = {
    { "enabled", KV_RULE_CRITICAL, "disabled", DISABLED },
    { "type", KV_RULE_WARNING, "oct", OCT },
    { "type", KV_RULE_PASS, "oct", HSM_OCT },
    { "size", KV_RULE_WARNING, "1024 bits", SMALL },
    { "size", KV_RULE_PASS, "P-384", CURVE },
    { "size", KV_RULE_WARNING, "P-256K", KOBLITZ },
    { "hsm", KV_RULE_WARNING, "in software", SOFTWARE },
    { "exportable", KV_RULE_WARNING, "enclave", EXPORTABLE },
    { "expiry", KV_RULE_WARNING, "never", NO_EXPIRY },
    { "validity", KV_RULE_WARNING, "without end", NO_EXPIRY },
    { "expiry", KV_RULE_CRITICAL, "nothing more", EXPIRED },
    { "expiry", KV_RULE_WARNING, "in 29 days", SOON },
    { "validity", KV_RULE_WARNING, "731 days", LONG },
    { "age", KV_RULE_WARNING, "366 days", OLD },
    { "rotation", KV_RULE_UNKNOWN, "cannot be read", UNREAD },
    { "rotation", KV_RULE_WARNING, "nothing rotates", BY_HAND },
    { "rotation", KV_RULE_WARNING, "after 366 days", SELDOM },
    { "rotation", KV_RULE_PASS, "before expiry, after 335 days", BEFORE },
    { "recovery", KV_RULE_WARNING, "Recoverable+Purgeable", PURGEABLE },
    { "recovery", KV_RULE_CRITICAL, "Purgeable", PURGEABLE_ALONE },
    { "recovery", KV_RULE_UNKNOWN, "not tell", UNTOLD },
    { "room", KV_RULE_UNKNOWN, "cannot be counted", UNCOUNTED },
    { "room", KV_RULE_WARNING, "400 versions of the 500", NEARLY },
    { "room", KV_RULE_CRITICAL, "501 versions", FULL },
    { "room", KV_RULE_CRITICAL, "100 versions of the 100", HSM_FULL },
};

struct world {
    struct kv_vault_key key;
    struct kv_vault_policy policy;
    struct kv_rule_facts facts;
    struct kv_rule_limits limits;
};

static void good(struct world *world)
{
    *world = (struct world){
        .limits = kv_rule_limits_usual,
        .policy = { "P90D", "", "P30D", "P2Y", 1, 1 },
        .key = { .kind = KV_RSA, .bits = 2048, .hsm = true, .enabled = true, .recovery_level = "Recoverable" }
    };
    world->key.created = NOW - DAYS(365);
    world->key.exp = world->key.created + DAYS(730);
    world->facts = (struct kv_rule_facts){ &world->key, &world->policy, 399, NOW };
}

static void put(char *to, const char *text)
{
    memcpy(to, text, strlen(text) + 1);
}

/* What is not in the key's bundle, and its recovery level. */
static void change_beside(struct world *world, int what)
{
    struct kv_vault_key *key = &world->key;
    switch (what) {
    case UNREAD:
        world->facts.policy = NULL;
        break;
    case BY_HAND:
        world->policy = (struct kv_vault_policy){ .notify_before = "P30D" };
        break;
    case SELDOM:
        put(world->policy.rotate_after, "P366D");
        break;
    case BEFORE:
        world->policy = (struct kv_vault_policy){ .rotate_before = "P30D", .expire_after = "P1Y" };
        break;
    case PURGEABLE:
        put(key->recovery_level, "Recoverable+Purgeable");
        break;
    case PURGEABLE_ALONE:
        put(key->recovery_level, "Purgeable");
        break;
    case UNTOLD:
        key->recovery_level[0] = '\0';
        break;
    case UNCOUNTED:
        world->facts.versions = -1;
        break;
    case NEARLY:
        world->facts.versions = 400;
        break;
    case FULL:
        world->facts.versions = 501;
        break;
    case HSM_FULL:
        world->facts.versions = world->limits.versions = 100;
        world->limits.hsm_vault = true;
        break;
    default:
        break;
    }
}

static void change(struct world *world, int what)
{
    struct kv_vault_key *key = &world->key;
    switch (what) {
    case DISABLED:
        key->enabled = false;
        break;
    case HSM_OCT:
        world->limits.hsm_vault = true; /* fall through */
    case OCT:
        key->kind = KV_OCT;
        break;
    case SMALL:
        key->bits = 1024;
        break;
    case CURVE:
        key->kind = KV_EC;
        put(key->curve, "P-384");
        break;
    case KOBLITZ:
        key->kind = KV_EC;
        put(key->curve, "P-256K");
        break;
    case SOFTWARE:
        key->hsm = false;
        break;
    case EXPORTABLE:
        key->exportable = true;
        break;
    case NO_EXPIRY:
        key->exp = 0;
        break;
    case EXPIRED:
        key->exp = NOW;
        break;
    case SOON:
        key->exp = NOW + DAYS(30) - 1;
        break;
    case LONG:
        key->exp += DAYS(1);
        break;
    case OLD:
        key->created = NOW - DAYS(366);
        break;
    default:
        change_beside(world, what);
        break;
    }
}
static enum kv_rule_level check(const struct world *world, const char *name, char *ret, size_t size)
{
    for (size_t i = 0; i < kv_rule_count; i++)
        if (!strcmp(kv_rules[i].name, name))
            return kv_rules[i].check(&world->facts, &world->limits, ret, size);
    fail_msg("no rule '%s'", name);
    return KV_RULE_UNKNOWN;
}

static void test_rules(void **state)
{
    struct world world;
    char found[256];

    good(&world);
    for (size_t i = 0; i < kv_rule_count; i++)
        if (kv_rules[i].check(&world.facts, &world.limits, found, sizeof found) != KV_RULE_PASS)
            fail_msg("a good key fails '%s': %s", kv_rules[i].name, found);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        good(&world);
        change(&world, rows[i].what);
        enum kv_rule_level level = check(&world, rows[i].rule, found, sizeof found);
        if (level != rows[i].level || !strstr(found, rows[i].found))
            fail_msg("%s, row %zu: level %d, '%s'", rows[i].rule, i, level, found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_durations), cmocka_unit_test(test_objections),
                                        cmocka_unit_test(test_rules) };
    return cmocka_run_group_tests_name("tools/policy", tests, NULL, NULL);
}
