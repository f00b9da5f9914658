/* What the tests of the keyring share: a world of its own for each test, and three versions in it. */
#ifndef TESTS_UNIT_KEYRING_HELP_H
#define TESTS_UNIT_KEYRING_HELP_H

#include "keys_help.h"

static inline int setup(void **state)
{
    *state = world_new();
    return 0;
}

static inline int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static inline struct kv_version *current(struct world *world, const char *name)
{
    struct kv_version *version = NULL;
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);

    assert_int_equal(kv_keyring_current(world->keyring, name, &task, &version, &err), KV_OK);
    return version;
}

static inline enum kv_status current_status(struct world *world, const char *name, struct kv_error *err)
{
    struct kv_version *version = NULL;
    struct kv_task task = world_task(world);
    enum kv_status status = kv_keyring_current(world->keyring, name, &task, &version, err);

    kv_version_free(version);
    return status;
}

/* Two versions of "kek" and one of "sig". */
static inline void fill(struct world *world)
{
    world_key(world, "kek", "a1", 1000);
    world_key(world, "kek", "a2", 2000);
    world_key(world, "sig", "b1", 1500);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
