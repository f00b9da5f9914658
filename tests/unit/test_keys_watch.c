/* What the map remembers for alarms: keys in short, what needs an old version, Key Vault's own backups. */
#include "map_help.h"

#include "keys/coverage.h"
#include "keys/watch.h"

static void change(struct kv_map *map, const char *name, int number, enum kv_state state,
                   int64_t protected_at)
{
    KV_AUTO_VERSION struct kv_version *version = make_version(name, number, number == 3);
    version->state = state;
    version->protected_at = protected_at;
    kv_text_fit(version->recovery, sizeof version->recovery,
                number == 3 ? "Recoverable+Purgeable" : "Recoverable");
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
}

static void keys_in_short(void **state)
{
    struct kv_map *map = open_map();
    change(map, "b", 1, KV_STATE_ENABLED, 70);
    change(map, "b", 2, KV_STATE_DISABLED, 0);
    change(map, "b", 3, KV_STATE_EXPIRED, 0);
    change(map, "a", 1, KV_STATE_PURGED, 5);
    change(map, "c", 2, KV_STATE_MISSING, 0);
    change(map, "c", 3, KV_STATE_ENABLED, 0);
    struct kv_map_key *keys = NULL;
    size_t count = 0;
    assert_int_equal(kv_map_key_page(map, "prod", "", &keys, &count, NULL), KV_OK);
    assert_int_equal(count, 3);
    assert_string_equal(keys[0].name, "a");
    assert_true(keys[0].versions == 0 && keys[0].protected_at == 5 && !*keys[0].recovery && !keys[0].newest);
    assert_string_equal(keys[1].name, "b");
    assert_true(keys[1].versions == 3 && keys[1].protected_at == 70 && keys[1].newest == 1003);
    assert_string_equal(keys[1].recovery, "Recoverable+Purgeable");
    assert_true(keys[2].versions == 1 && keys[2].protected_at == 0);
    free(keys);
    assert_int_equal(kv_map_key_page(map, "prod", "B", &keys, &count, NULL), KV_OK);
    assert_int_equal(count, 1);
    free(keys);
    assert_int_equal(kv_map_key_page(map, "other", "", &keys, &count, NULL), KV_OK);
    assert_int_equal(count, 0);
    free(keys);
    kv_map_free(map);
}

static bool needs(struct kv_map *map, const char *name)
{
    bool needed = false;
    assert_int_equal(kv_map_needs_old(map, "prod", name, &needed, NULL), KV_OK);
    return needed;
}

static void register_one(struct kv_map *map, const char *id, int number)
{
    KV_AUTO_VERSION struct kv_version *version = make_version("k", number, false);
    struct kv_map_recipient recipient;
    struct kv_map_backup backup = { .size = 1, .recipients = &recipient, .recipient_count = 1 };
    kv_text_fit(backup.id, sizeof backup.id, id);
    assert_true(kv_map_recipient_of(version, "a256kw", NULL, &recipient));
    assert_int_equal(kv_map_backup_put(map, &backup, 1, 9, NULL), KV_OK);
}

/* A current version is looked at anyhow; a wrap that stands in a backup, and a backup that is gone, need nothing. */
static void what_needs_an_old_version(void **state)
{
    struct kv_map *map = open_map();
    unsigned char digest[1][32] = { { 7 } };
    const struct kv_map_wrap wraps[] = { make_wrap(7, 1, 8), make_wrap(8, 3, 8) };
    for (int number = 1; number <= 3; number++)
        store(map, "k", number, number == 3);
    assert_false(needs(map, "k"));
    assert_int_equal(kv_map_wrapped(map, &wraps[1], 1, NULL), KV_OK);
    register_one(map, "new", 3);
    assert_false(needs(map, "k"));
    assert_int_equal(kv_map_wrapped(map, &wraps[0], 1, NULL), KV_OK);
    assert_true(needs(map, "k"));
    assert_int_equal(kv_map_wraps_settle(map, digest, 1, 9, NULL), KV_OK);
    assert_false(needs(map, "k"));
    register_one(map, "old", 2);
    assert_true(needs(map, "k") && needs(map, "K") && !needs(map, "other"));
    assert_int_equal(kv_map_backup_retire(map, "old", "", 10, NULL), KV_OK);
    assert_false(needs(map, "k"));
    register_one(map, "older", 1);
    assert_true(needs(map, "k"));
    run_sql("UPDATE version SET state = 'purged' WHERE created = 1001");
    assert_false(needs(map, "k"));
    kv_map_free(map);
}

static void key_backups(void **state)
{
    struct kv_map *map = open_map();
    const struct kv_map_key_backup rows[] = {
        { "prod", "k", 50, (char *)"/a", { 1 }, (char *)"\na1\nb2\n" },
        { "prod", "k", 40, (char *)"/old", { 2 }, (char *)"\na1\n" },
        { "dr", "k", 60, (char *)"/dr", { 3 }, (char *)"\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(kv_map_key_backed_up(map, &rows[i], NULL), KV_OK);
    struct kv_map_key_backup got = { .vault = "prod", .name = "K" };
    assert_int_equal(kv_map_key_backup(map, &got, NULL), KV_OK);
    assert_true(got.taken == 50 && got.sha256[0] == 1);
    assert_string_equal(got.path, "/a");
    assert_true(kv_map_key_backup_has(&got, "a1") && kv_map_key_backup_has(&got, "B2"));
    assert_false(kv_map_key_backup_has(&got, "b") || kv_map_key_backup_has(&got, "") ||
                 kv_map_key_backup_has(&got, "a1\nb2") || kv_map_key_backup_has(&got, "2"));
    kv_map_key_backup_free(&got);
    got = (struct kv_map_key_backup){ .vault = "dr", .name = "k" };
    assert_int_equal(kv_map_key_backup(map, &got, NULL), KV_OK);
    assert_true(got.taken == 60 && !kv_map_key_backup_has(&got, "a1"));
    kv_map_key_backup_free(&got);
    got = (struct kv_map_key_backup){ .vault = "dr", .name = "none" };
    assert_int_equal(kv_map_key_backup(map, &got, NULL), KV_OK);
    assert_true(got.taken == 0 && !kv_map_key_backup_has(&got, "a1"));
    kv_map_key_backup_free(&got);
    kv_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_in_short, setup, teardown),
        cmocka_unit_test_setup_teardown(what_needs_an_old_version, setup, teardown),
        cmocka_unit_test_setup_teardown(key_backups, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
