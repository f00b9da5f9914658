#include "keyring_help.h"

/* A map that takes nothing: the linker puts these before the real ones. */
static bool is_full;

enum kv_status __real_kv_map_store(struct kv_map *map, struct kv_version *const *versions, size_t count,
                                   struct kv_error *err);
enum kv_status __wrap_kv_map_store(struct kv_map *map, struct kv_version *const *versions, size_t count,
                                   struct kv_error *err);
enum kv_status __real_kv_map_visit(struct kv_map *map, const char *vault, const char *name,
                                   const struct kv_map_visit *visit, struct kv_error *err);
enum kv_status __wrap_kv_map_visit(struct kv_map *map, const char *vault, const char *name,
                                   const struct kv_map_visit *visit, struct kv_error *err);

enum kv_status __wrap_kv_map_store(struct kv_map *map, struct kv_version *const *versions, size_t count,
                                   struct kv_error *err)
{
    return is_full ? kv_fail(err, KV_IO, "disk full") : __real_kv_map_store(map, versions, count, err);
}

enum kv_status __wrap_kv_map_visit(struct kv_map *map, const char *vault, const char *name,
                                   const struct kv_map_visit *visit, struct kv_error *err)
{
    return is_full ? kv_fail(err, KV_IO, "disk full") : __real_kv_map_visit(map, vault, name, visit, err);
}

static void test_full_disk(void **state)
{
    struct world *world = *state;

    fill(world);
    kv_version_free(current(world, "kek"));
    world->vault.log[0] = '\0';
    is_full = true;
    assert_finds(world, "sig:enabled", .label = "sig");
    assert_finds(world, "sig:enabled", .label = "sig");
    assert_requests(world, "GET sig");
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled");
    assert_requests(world, "LIST, LIST kek, GET kek@a1, LIST sig");
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled");
    struct kv_version *version = current(world, "sig");
    assert_finds(world, "sig:enabled", .id = { version->id, KV_ID_SIZE });
    assert_requests(world, "");
    kv_version_free(version);
    /* Room again: what was held is written with the next look, and a new process knows it. */
    is_full = false;
    clock_seconds += 301;
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled");
    world_restart(world);
    assert_finds(world, "kek:enabled kek@a1:enabled sig:enabled");
    assert_requests(world, "");
}

/* --- one thread asks --- */
static void *find_in_thread(void *closure)
{
    struct world *world = closure;

    kv_version_free(current(world, "kek"));
    return NULL;
}

static void test_one_refresher(void **state)
{
    struct world *world = *state;
    pthread_t thread;

    fill(world);
    kv_version_free(current(world, "kek"));
    clock_seconds += 301;
    world->vault.log[0] = '\0';
    world->vault.has_gate = true;
    world->vault.inside = false;
    assert_int_equal(pthread_create(&thread, NULL, find_in_thread, world), 0);
    fake_vault_wait_inside(&world->vault);
    assert_finds(world, "kek:enabled", .label = "kek"); /* the old answer, at once */
    fake_vault_open_gate(&world->vault);
    pthread_join(thread, NULL);
    assert_requests(world, "GET kek");
}

static void test_waiting_ends_with_the_deadline(void **state)
{
    struct world *world = *state;
    struct kv_version *version = NULL;
    struct kv_error err = { 0 };
    pthread_t thread;

    fill(world);
    world->vault.has_gate = true;
    assert_int_equal(pthread_create(&thread, NULL, find_in_thread, world), 0);
    fake_vault_wait_inside(&world->vault);
    struct kv_task task = { kv_deadline_in(&help_clock, 0), "test" };
    assert_int_equal(kv_keyring_current(world->keyring, "kek", &task, &version, &err), KV_TIMED_OUT);
    fake_vault_open_gate(&world->vault);
    pthread_join(thread, NULL);
    kv_version_free(current(world, "kek"));
    assert_requests(world, "GET kek");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_full_disk),
        TEST(test_one_refresher),
        TEST(test_waiting_ends_with_the_deadline),
    };

    return cmocka_run_group_tests_name("keys/keyring_slot, keys/keyring_rows", tests, NULL, NULL);
}
