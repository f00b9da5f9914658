#include "keyring_help.h"

struct rotation {
    const char *text;
    enum fake_rotation how;
    bool no_list;
    const char *requests;
};

static void test_rotate(void **state)
{
    static const struct rotation rotations[] = {
        { "a rotation", FAKE_ROTATES, false, "GET kek, LIST kek, GET kek@a1, ROTATE kek" },
        { "without permission to list", FAKE_ROTATES, true, "GET kek, LIST kek, ROTATE kek" },
        { "with its reply lost is not done twice", FAKE_LOSES_REPLY, false,
          "GET kek, LIST kek, GET kek@a1, ROTATE kek, GET kek" },
        { "with its request lost is done again, once it is proven that nothing came", FAKE_LOSES_REQUEST,
          false, "GET kek, LIST kek, GET kek@a1, ROTATE kek, GET kek, LIST kek, ROTATE kek" },
    };

    for (size_t i = 0; i < COUNT(rotations); i++) {
        struct world *world = world_new();
        struct kv_version *old = NULL, *new = NULL;
        struct kv_error err = { 0 };
        struct kv_task task = world_task(world);

        print_message("  %s\n", rotations[i].text);
        fill(world);
        world->vault.rotation = rotations[i].how;
        world->vault.no_list = rotations[i].no_list;
        assert_int_equal(kv_keyring_rotate(world->keyring, "kek", &task, &old, &new, &err), KV_OK);
        assert_requests(world, rotations[i].requests);
        assert_string_equal(old->label, "kek@a2");
        assert_string_equal(new->label, "kek");
        assert_string_equal(new->version, "rot1");
        assert_int_equal(world->vault.rotated, 1);
        world_restart(world);
        assert_finds(world, "kek:enabled", .label = "kek");
        assert_requests(world, "");
        kv_version_free(old);
        kv_version_free(new);
        world_free(world);
    }
}

static void test_rotation_in_doubt(void **state)
{
    struct world *world = *state;
    struct kv_version *old = NULL, *new = NULL;
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);

    fill(world);
    world->vault.rotation = FAKE_LOSES_REQUEST;
    world->vault.no_list = true; /* then that nothing came cannot be proven */
    assert_int_equal(kv_keyring_rotate(world->keyring, "kek", &task, &old, &new, &err), KV_UNREACHABLE);
    assert_non_null(strstr(err.text, "may or may not exist"));
    assert_null(new);
    assert_int_equal(world->vault.rotated, 0);
}

static void test_create(void **state)
{
    struct world *world = *state;
    struct kv_vault_create create = { .name = "fresh", .kty = "RSA", .bits = 2048 };
    struct kv_version *version = NULL;
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);

    assert_int_equal(kv_keyring_create(world->keyring, &create, &task, &version, &err), KV_OK);
    assert_string_equal(version->label, "fresh");
    kv_version_free(version);
    version = NULL;
    assert_int_equal(kv_keyring_create(world->keyring, &create, &task, &version, &err), KV_CONFLICT);
    assert_null(version);
    assert_requests(world, "GET fresh, CREATE fresh, GET fresh");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotate),
        TEST(test_rotation_in_doubt),
        TEST(test_create),
    };

    return cmocka_run_group_tests_name("keys/keyring_change", tests, NULL, NULL);
}
