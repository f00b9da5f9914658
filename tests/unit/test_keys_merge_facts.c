/* Facts of a version that merge carries over beside its state: what protects it, what it backs, how large it is. */
#include "merge_help.h"

/* What a key backs and what protects it: told by the vault, kept when it is not told again, and one version speaks for its siblings. */
static void test_managed_and_platform(void **state)
{
    KV_AUTO_VERSION struct kv_version *old = known_version(&(struct row){ "a1", 10, GONE, true });
    struct kv_version_list known = { &old, 1 };
    struct kv_vault_key item = { 0 };
    struct kv_merge_result merged = { 0 };
    struct kv_merge_input input = { .vault = "prod",
                                    .url = "https://prod.vault.localhost",
                                    .name = "kek",
                                    .known = &known,
                                    .heard = KV_HEARD_CURRENT,
                                    .items = &item,
                                    .count = 1,
                                    .now = NOW };

    fill_item(&(struct item){ "a2", 20 }, "kek", &item);
    item.managed = true;
    assert_true(kv_text_fit(item.hsm_platform, sizeof(item.hsm_platform), "2"));
    assert_int_equal(kv_merge(&input, &merged, NULL), KV_OK);
    assert_int_equal(merged.all.count, 2);
    assert_int_equal(merged.changed.count, 2);
    assert_true(merged.all.items[0]->managed && merged.all.items[1]->managed && !old->managed);
    assert_int_equal(merged.all.items[1]->state, KV_STATE_DELETED);
    assert_string_equal(merged.all.items[0]->hsm_platform, "2");
    assert_string_equal(merged.all.items[1]->hsm_platform, "");

    struct kv_merge_result again = { 0 };
    input.known = &merged.all;
    item.managed = false;
    item.hsm_platform[0] = '\0';
    assert_int_equal(kv_merge(&input, &again, NULL), KV_OK);
    assert_true(again.all.items[0]->managed);
    assert_string_equal(again.all.items[0]->hsm_platform, "2");
    kv_merge_result_free(&again);
    kv_merge_result_free(&merged);
    kv_vault_key_free(&item);
}

/* `adopt = manual`: neither a newer version, nor a whole list, nor its own end moves what is current; and a first one is taken. */
static void test_keeps_current(void **state)
{
    static const struct {
        const char *sentence;
        bool keeps, knows;
        enum kv_heard heard;
        bool only_new; /* the vault speaks of the new version alone */
        const char *current;
    } rows[] = {
        { "a GET of the name", false, true, KV_HEARD_CURRENT, true, "a2" },
        { "a list", false, true, KV_HEARD_ALL, false, "a2" },
        { "a GET of the name, kept", true, true, KV_HEARD_CURRENT, true, "a1" },
        { "a list, kept", true, true, KV_HEARD_ALL, false, "a1" },
        { "a GET of the new version, kept", true, true, KV_HEARD_VERSION, true, "a1" },
        { "gone from the list, kept", true, true, KV_HEARD_ALL, true, "a1" },
        { "never seen before", true, false, KV_HEARD_CURRENT, true, "a2" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        KV_AUTO_VERSION struct kv_version *old =
            known_version(&(struct row){ "a1", 10, KV_STATE_ENABLED, true });
        struct kv_version_list known = { &old, rows[i].knows ? 1 : 0 };
        struct kv_vault_key items[2] = { 0 };
        KV_CLEANUP(kv_merge_result_free) struct kv_merge_result merged = { 0 };
        struct kv_merge_input input = { .vault = "prod",
                                        .url = "https://prod.vault.localhost",
                                        .name = "kek",
                                        .known = &known,
                                        .heard = rows[i].heard,
                                        .items = items,
                                        .count = rows[i].only_new ? 1 : 2,
                                        .version = "a2",
                                        .keeps_current = rows[i].keeps,
                                        .now = NOW };
        fill_item(&(struct item){ "a2", 20 }, "kek", &items[0]);
        fill_item(&(struct item){ "a1", 10 }, "kek", &items[1]);
        assert_int_equal(kv_merge(&input, &merged, NULL), KV_OK);
        const struct kv_version *current = kv_merge_current(&merged.all);
        if (!current || strcmp(current->version, rows[i].current))
            fail_msg("%s: %s", rows[i].sentence, current ? current->version : "none");
        kv_vault_key_free(&items[0]);
        kv_vault_key_free(&items[1]);
    }
}

/* A secret key's size is told by some vaults and found out with others: what is known stays, and what is told is taken. */
static void test_sizes(void **state)
{
    static const struct {
        unsigned known;
        int told;
        unsigned after;
    } rows[] = { { 0, 0, 0 }, { 0, 192, 192 }, { 192, 0, 192 }, { 192, 192, 192 }, { 256, 128, 128 } };

    for (size_t i = 0; i < COUNT(rows); i++) {
        KV_CLEANUP(kv_version_list_free) struct kv_version_list known = { 0 };
        KV_CLEANUP(kv_merge_result_free) struct kv_merge_result result = { 0 };
        KV_AUTO_VERSION struct kv_version *version = kv_version_new();
        struct kv_vault_key item = { .name = "kek", .version = "a1", .kind = KV_OCT, .bits = rows[i].told };
        struct kv_merge_input input = { .vault = "prod",
                                        .url = "https://prod.vault.localhost",
                                        .name = "kek",
                                        .known = &known,
                                        .items = &item,
                                        .count = 1,
                                        .now = NOW };

        assert_true(kv_text_fit(version->name, sizeof(version->name), "kek"));
        assert_true(kv_text_fit(version->version, sizeof(version->version), "a1"));
        version->kind = KV_OCT;
        version->bits = rows[i].known;
        assert_int_equal(kv_version_list_add(&known, version), KV_OK);
        assert_int_equal(kv_merge(&input, &result, NULL), KV_OK);
        assert_int_equal(result.all.count, 1);
        assert_int_equal(result.all.items[0]->bits, rows[i].after);
    }
}

/* What alarms go by: when the vault changed it, its recovery level where that is told, and when it last was protected from a purge. */
static void test_recovery(void **state)
{
    static const struct {
        const char *level;
        int64_t now;
        const char *recovery;
        int64_t protected_at;
    } rows[] = {
        { "Recoverable+Purgeable", NOW, "Recoverable+Purgeable", 0 },
        { "CustomizedRecoverable", NOW + 1, "CustomizedRecoverable", NOW + 1 },
        { "", NOW + 2, "CustomizedRecoverable", NOW + 1 },
        { "Recoverable+ProtectedSubscription", NOW + 3, "Recoverable+ProtectedSubscription", NOW + 3 },
        { "Purgeable", NOW + 4, "Purgeable", NOW + 3 },
    };
    KV_AUTO_VERSION struct kv_version *version = known_version(&(struct row){ "a1", 10, NEW, true });

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kv_version_list known = { &version, 1 };
        struct kv_vault_key item = { 0 };
        KV_CLEANUP(kv_merge_result_free) struct kv_merge_result merged = { 0 };
        struct kv_merge_input input = { .vault = "prod",
                                        .url = "https://prod.vault.localhost",
                                        .name = "kek",
                                        .known = &known,
                                        .heard = KV_HEARD_ALL,
                                        .items = &item,
                                        .count = 1,
                                        .now = rows[i].now };

        fill_item(&(struct item){ "a1", 10, true }, "kek", &item);
        item.updated = 11 + (int64_t)i;
        assert_true(kv_text_fit(item.recovery_level, sizeof(item.recovery_level), rows[i].level));
        assert_int_equal(kv_merge(&input, &merged, NULL), KV_OK);
        kv_version_free(version);
        version = kv_version_ref(merged.all.items[0]);
        assert_int_equal(version->updated, 11 + (int64_t)i);
        assert_string_equal(version->recovery, rows[i].recovery);
        assert_int_equal(version->protected_at, rows[i].protected_at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_managed_and_platform),
                                        cmocka_unit_test(test_keeps_current), cmocka_unit_test(test_sizes),
                                        cmocka_unit_test(test_recovery) };

    return cmocka_run_group_tests_name("keys/merge", tests, NULL, NULL);
}
