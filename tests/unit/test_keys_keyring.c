#include "keyring_help.h"

static void test_open_asks_nothing(void **state)
{
    struct world *world = *state;

    assert_requests(world, "");
    assert_false(world->vault.is_taught);
}

static void test_name_costs_one_get(void **state)
{
    struct world *world = *state;

    fill(world);
    assert_finds(world, "kek:enabled", .label = "kek");
    assert_requests(world, "GET kek");
    assert_finds(world, "kek:enabled", .label = "kek");
    world_restart(world);
    assert_finds(world, "kek:enabled", .label = "kek");
    assert_requests(world, "");
    clock_seconds += 301;
    assert_finds(world, "kek:enabled", .label = "kek");
    assert_requests(world, "GET kek");
    assert_finds(world, "kek:enabled", .label = "kek", .force = true);
    assert_requests(world, "GET kek");
}

static void test_pinned_label_costs_one_get(void **state)
{
    struct world *world = *state;

    fill(world);
    assert_finds(world, "kek@a1:enabled", .label = "kek@a1");
    assert_requests(world, "GET kek@a1");
    assert_finds(world, "kek@a1:enabled", .label = "kek@a1");
    assert_requests(world, "");
    /* An old version that is known does not make a bare label mean it. */
    assert_finds(world, "kek:enabled", .label = "kek");
    assert_requests(world, "GET kek");
}

static void test_labels_that_are_none(void **state)
{
    static const char *const labels[] = { "",          "@",   "kek@",     "@a1",   "kek/..",
                                          "kek@a1@a2", "k k", "kek@../x", "kek%2f" };
    struct world *world = *state;

    fill(world);
    for (size_t i = 0; i < COUNT(labels); i++)
        assert_finds(world, "", .label = labels[i]);
    assert_requests(world, "");
}

static void test_unknown_name(void **state)
{
    struct world *world = *state;
    struct kv_error err = { 0 };

    assert_finds(world, "", .label = "nosuch");
    assert_finds(world, "", .label = "nosuch");
    assert_int_equal(current_status(world, "nosuch", &err), KV_NOT_FOUND);
    assert_requests(world, "GET nosuch");
    /* It may be created any moment: nothing about it is written down. */
    world_key(world, "nosuch", "c1", 3000);
    world_restart(world);
    assert_finds(world, "nosuch:enabled", .label = "nosuch");
}

static void test_rotation_is_seen(void **state)
{
    struct world *world = *state;

    fill(world);
    struct kv_version *old = current(world, "kek");
    world_key(world, "kek", "a3", 3000);
    clock_seconds += 301;
    struct kv_version *new = current(world, "kek");
    assert_string_equal(new->version, "a3");
    assert_string_equal(old->label, "kek"); /* what was handed out does not change */
    assert_finds(world, "kek@a2:enabled", .label = "kek@a2");
    kv_version_free(old);
    kv_version_free(new);
}

static void test_handed_out_pointers_stay(void **state)
{
    struct world *world = *state;

    fill(world);
    struct kv_version *first = current(world, "kek");
    clock_seconds += 301;
    struct kv_version *second = current(world, "kek");
    assert_ptr_equal(first, second);
    world->vault.keys[1].disabled = true;
    clock_seconds += 301;
    struct kv_version *third = current(world, "kek");
    assert_ptr_not_equal(first, third);
    assert_int_equal(third->state, KV_STATE_DISABLED);
    kv_version_free(first);
    kv_version_free(second);
    kv_version_free(third);
}

static void test_find_by_id(void **state)
{
    struct world *world = *state;
    static const unsigned char nothing[KV_ID_SIZE];

    fill(world);
    struct kv_version *version = current(world, "kek");
    struct kv_view id = { version->id, KV_ID_SIZE };
    world->vault.log[0] = '\0';
    world_restart(world);
    assert_finds(world, "kek:enabled", .id = id);
    assert_requests(world, "");
    assert_finds(world, "kek:enabled", .id = id, .label = "kek");
    assert_finds(world, "", .id = { nothing, KV_ID_SIZE }, .label = "kek");
    assert_finds(world, "", .id = { nothing, 3 });
    assert_requests(world, "");
    clock_seconds += 301;
    world->vault.keys[1].disabled = true;
    assert_finds(world, "kek:disabled", .id = id);
    assert_requests(world, "GET kek@a2");
    kv_version_free(version);
}

static void test_unknown_id_is_looked_for_once(void **state)
{
    static const unsigned char nothing[KV_ID_SIZE] = { 1 };
    static char *names[] = { "kek", "sig" };
    struct world *world = *state;

    fill(world);
    world->config.keys = (struct kv_pair_list){ names, 2 };
    assert_finds(world, "", .id = { nothing, KV_ID_SIZE });
    assert_requests(world, "GET kek, GET sig, LIST kek, GET kek@a1, LIST sig");
    assert_finds(world, "", .id = { nothing, KV_ID_SIZE });
    assert_requests(world, "");
    clock_seconds += 301;
    assert_finds(world, "", .id = { nothing, KV_ID_SIZE });
    assert_requests(world, "GET kek, GET sig, LIST kek, LIST sig");
}

static void test_old_id_on_a_new_host(void **state)
{
    static char *names[] = { "kek", "sig" };
    struct world *world = *state;

    fill(world);
    struct kv_task task = world_task(world);
    struct kv_version *old = NULL;
    assert_int_equal(kv_keyring_version(world->keyring, "kek", "a1", &task, &old, NULL), KV_OK);
    world_stop(world);
    unlink(world->path);
    world_start(world);
    world->config.keys = (struct kv_pair_list){ names, 2 };
    assert_finds(world, "kek@a1:enabled", .id = { old->id, KV_ID_SIZE });
    assert_requests(world, "GET kek, GET sig, LIST kek, GET kek@a1");
    kv_version_free(old);
}

static void test_everything(void **state)
{
    struct world *world = *state;

    fill(world);
    world->vault.page_size = 1;
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled");
    assert_requests(world,
                    "LIST, LIST, GET kek, LIST, LIST, GET sig, LIST kek, LIST kek, LIST kek, LIST kek, "
                    "GET kek@a1, LIST sig, LIST sig");
    world_restart(world);
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled");
    assert_requests(world, "");
    /* A name is as fresh as the listing that covered it. */
    assert_finds(world, "sig:enabled", .label = "sig");
    assert_requests(world, "");
    /* Later nothing but the lists is asked for, as long as they show nothing new. */
    world->vault.page_size = 0;
    clock_seconds += 301;
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled");
    assert_requests(world, "LIST, LIST kek, LIST sig");
    world_key(world, "sig", "b2", clock_seconds);
    clock_seconds += 301;
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled sig@b1:enabled");
    assert_requests(world, "LIST, GET sig, LIST kek, LIST sig");
}

static void test_gone_versions_stay_known(void **state)
{
    struct world *world = *state;

    fill(world);
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled");
    world->vault.keys[0].gone = true;
    clock_seconds += 301;
    assert_finds(world, "kek:enabled kek@a1:missing sig:enabled");
    world->vault.keys[1].gone = true;
    clock_seconds += 301;
    assert_finds(world, "kek:deleted", .label = "kek");
    struct kv_error err = { 0 };
    assert_int_equal(current_status(world, "kek", &err), KV_NOT_FOUND);
    assert_non_null(strstr(err.text, "`kvp11 --vault prod recover kek`"));
}

static void test_without_permission_to_list(void **state)
{
    static char *names[] = { "kek", "s*" };
    struct world *world = *state;

    fill(world);
    world->vault.no_list = true;
    world->config.keys = (struct kv_pair_list){ names, 2 };
    assert_finds(world, "kek:enabled");
    assert_requests(world, "LIST, GET kek, LIST kek");
    assert_finds(world, "sig:enabled", .label = "sig");
    assert_requests(world, "GET sig");
    clock_seconds += 301;
    assert_finds(world, "kek:enabled sig:enabled"); /* by the configuration, and by the map */
    assert_requests(world, "LIST, GET kek, GET sig, LIST sig");
}

static void test_one_forbidden_key(void **state)
{
    struct world *world = *state;
    struct kv_version_list list = { 0 };
    struct kv_keyring_query all = { 0 };
    struct kv_task task = world_task(world);
    struct kv_error err = { 0 };
    size_t left_out = 0;

    fill(world);
    world->vault.forbidden = "kek";
    assert_int_equal(kv_keyring_find(world->keyring, &all, &task, &list, &left_out, &err), KV_OK);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0]->label, "sig");
    assert_int_equal(left_out, 1);
    kv_version_list_free(&list);
    assert_int_equal(current_status(world, "kek", &err), KV_DENIED);
}

static void test_unreachable(void **state)
{
    struct world *world = *state;
    struct kv_error err = { 0 };

    world->vault.down = KV_UNREACHABLE;
    assert_finds(world, "UNREACHABLE");
    assert_finds(world, "UNREACHABLE", .label = "kek");
    world->vault.down = KV_OK;
    clock_seconds += 6;
    fill(world);
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled");
    clock_seconds += 301;
    world->vault.down = KV_UNREACHABLE;
    world->vault.keys[1].disabled = true;
    world->vault.log[0] = '\0';
    assert_finds(world, "kek:unreachable kek@a1:unreachable sig:unreachable");
    assert_finds(world, "kek:unreachable", .label = "kek");
    assert_int_equal(current_status(world, "kek", &err), KV_OK);
    assert_requests(world, "LIST"); /* one attempt speaks for all, for a moment */
    clock_seconds += 6;
    world->vault.down = KV_OK;
    assert_finds(world, "kek:disabled", .label = "kek");
}

static void test_deadline_keeps_what_came(void **state)
{
    struct world *world = *state;

    fill(world);
    world->vault.requests_left = 3;
    assert_finds(world, "kek:enabled"); /* LIST, GET kek, and then the deadline */
    world->vault.requests_left = 0;
    clock_seconds += 6;
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled");
}

static void test_patterns(void **state)
{
    static char *names[] = { "k*" };
    struct world *world = *state;
    struct kv_error err = { 0 };

    fill(world);
    world->config.keys = (struct kv_pair_list){ names, 1 };
    assert_finds(world, "kek:enabled kek@a1:enabled");
    assert_finds(world, "", .label = "sig");
    assert_int_equal(current_status(world, "sig", &err), KV_NOT_FOUND);
    assert_non_null(strstr(err.text, "keys ="));
    assert_requests(world, "LIST, GET kek, LIST kek, GET kek@a1");
}

static void test_old_versions(void **state)
{
    struct world *world = *state;
    const unsigned makes = KV_OP_SIGN | KV_OP_ENCRYPT | KV_OP_WRAP;

    fill(world);
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled");
    world->config.old_versions = KV_OLD_NONE;
    assert_finds(world, "kek:enabled sig:enabled");
    assert_finds(world, "", .label = "kek@a1");
    world->config.old_versions = KV_OLD_OPEN_ONLY;
    struct kv_version_list list = { 0 };
    struct kv_task task = world_task(world);
    struct kv_keyring_query all = { 0 };
    assert_int_equal(kv_keyring_find(world->keyring, &all, &task, &list, NULL, NULL), KV_OK);
    assert_int_equal(list.count, 3);
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(list.items[i]->operations & makes, list.items[i]->current ? makes : 0);
        assert_true(list.items[i]->operations & KV_OP_UNWRAP);
    }
    kv_version_list_free(&list);
    /* The map has the key's own operations. */
    world->config.old_versions = KV_OLD_ALL;
    struct kv_version *old = NULL;
    assert_int_equal(kv_keyring_version(world->keyring, "kek", "a1", &task, &old, NULL), KV_OK);
    assert_int_equal(old->operations, KV_OP_ALL);
    kv_version_free(old);
}

static void test_doubt(void **state)
{
    struct world *world = *state;

    fill(world);
    struct kv_version *version = current(world, "kek");
    world->vault.log[0] = '\0';
    world->vault.keys[1].disabled = true;
    kv_keyring_doubt(world->keyring, version);
    assert_finds(world, "kek:disabled", .label = "kek");
    assert_requests(world, "GET kek");
    clock_seconds += 1;
    kv_keyring_doubt(world->keyring, version);
    world_restart(world); /* the next process asks as well */
    assert_finds(world, "kek:disabled", .label = "kek");
    assert_requests(world, "GET kek");
    kv_version_free(version);
}

static void test_wrong_key(void **state)
{
    struct world *world = *state;
    struct kv_error err = { 0 };

    fill(world);
    kv_version_free(current(world, "kek"));
    world->vault.keys[1].other_key = 1;
    clock_seconds += 301;
    assert_int_equal(current_status(world, "kek", &err), KV_WRONG_KEY);
    assert_non_null(strstr(err.text, "another public key"));
}

static void test_challenge_is_remembered(void **state)
{
    struct world *world = *state;
    struct kv_challenge *challenge = &world->vault.challenge;

    fill(world);
    snprintf(challenge->authority, sizeof(challenge->authority), "https://login.localhost");
    snprintf(challenge->tenant, sizeof(challenge->tenant), "t1");
    snprintf(challenge->scope, sizeof(challenge->scope), "https://vault.localhost/.default");
    kv_version_free(current(world, "kek"));
    memset(challenge, 0, sizeof(*challenge));
    world->vault.is_taught = false;
    world_restart(world);
    assert_true(world->vault.is_taught);
    assert_string_equal(challenge->authority, "https://login.localhost");
    assert_string_equal(challenge->tenant, "t1");
    assert_string_equal(challenge->scope, "https://vault.localhost/.default");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open_asks_nothing),
        TEST(test_name_costs_one_get),
        TEST(test_pinned_label_costs_one_get),
        TEST(test_labels_that_are_none),
        TEST(test_unknown_name),
        TEST(test_rotation_is_seen),
        TEST(test_handed_out_pointers_stay),
        TEST(test_find_by_id),
        TEST(test_unknown_id_is_looked_for_once),
        TEST(test_old_id_on_a_new_host),
        TEST(test_everything),
        TEST(test_gone_versions_stay_known),
        TEST(test_without_permission_to_list),
        TEST(test_one_forbidden_key),
        TEST(test_unreachable),
        TEST(test_deadline_keeps_what_came),
        TEST(test_patterns),
        TEST(test_old_versions),
        TEST(test_doubt),
        TEST(test_wrong_key),
        TEST(test_challenge_is_remembered),
    };

    return cmocka_run_group_tests_name("keys/keyring", tests, NULL, NULL);
}
