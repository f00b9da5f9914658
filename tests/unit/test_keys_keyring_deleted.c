/* A key that the vault no longer shows: in soft delete, under way there, or gone for ever. */
#include "keyring_help.h"

static struct kv_keyring_deleted ask(struct world *world)
{
    struct kv_keyring_deleted deleted = { 0 };
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);

    if (kv_keyring_deleted(world->keyring, "kek", &task, &deleted, &err))
        fail_msg("%s", err.text);
    return deleted;
}

/* As the map has them: "deleted deleted". */
static void assert_states(struct world *world, const char *should)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_map_query query = { .vault = "prod", .name = "kek" };
    char was[64] = "";

    assert_int_equal(kv_map_find(world->map, &query, &list, NULL), KV_OK);
    for (size_t i = 0; i < list.count; i++)
        snprintf(was + strlen(was), sizeof was - strlen(was), "%s%s", i ? " " : "",
                 kv_state_name(list.items[i]->state));
    assert_string_equal(was, should);
}

static void delete_all(struct world *world)
{
    struct kv_error err = { 0 };

    fill(world);
    kv_version_free(current(world, "kek"));
    for (size_t i = 0; i < 2; i++)
        world->vault.keys[i].gone = true;
    clock_seconds += 1000; /* past refresh_seconds */
    assert_int_not_equal(current_status(world, "kek", &err), KV_OK);
    world->vault.log[0] = '\0';
}

static void in_soft_delete(void **state)
{
    struct world *world = *state;

    delete_all(world);
    world->vault.purge = clock_seconds + 7 * 86400;
    clock_seconds += 86400;
    struct kv_keyring_deleted deleted = ask(world);
    assert_requests(world, "DELETED kek");
    assert_true(deleted.recoverable && deleted.deleted == 1 && deleted.purge == world->vault.purge);
    assert_states(world, "deleted");
}

static void under_way_then_purged(void **state)
{
    struct world *world = *state;

    delete_all(world);
    clock_seconds += 60; /* a deletion takes its time */
    assert_false(ask(world).recoverable);
    assert_states(world, "deleted");
    clock_seconds += 900;
    assert_false(ask(world).recoverable);
    assert_states(world, "purged");
    world_restart(world);
    assert_states(world, "purged");
}

static void what_cannot_be_asked_changes_nothing(void **state)
{
    struct world *world = *state;
    struct kv_keyring_deleted deleted;
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);

    delete_all(world);
    clock_seconds += 86400;
    world->vault.down = KV_DENIED;
    assert_int_equal(kv_keyring_deleted(world->keyring, "kek", &task, &deleted, &err), KV_DENIED);
    assert_states(world, "deleted");
}

/* The states of what came back: "enabled enabled". */
static enum kv_status recover(struct world *world, size_t *ret_count)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);
    enum kv_status status = kv_keyring_recover(world->keyring, "kek", &task, &list, &err);

    assert_true(status == KV_OK || *err.text);
    *ret_count = list.count;
    return status;
}

static void recovered_with_all_versions(void **state)
{
    struct world *world = *state;
    size_t count = 0;

    delete_all(world);
    world->vault.purge = clock_seconds + 7 * 86400;
    world->vault.recovering = 2;
    assert_int_equal(recover(world, &count), KV_OK);
    assert_int_equal(count, 2);
    assert_requests(world, "RECOVER kek, GET kek, GET kek, GET kek, LIST kek, GET kek@a1");
    assert_states(world, "enabled enabled");
}

static void never_shown_is_told(void **state)
{
    struct world *world = *state;
    size_t count = 0;

    delete_all(world);
    world->vault.purge = clock_seconds + 7 * 86400;
    world->vault.recovering = 100000;
    assert_int_equal(recover(world, &count), KV_TIMED_OUT);
    assert_true(world->vault.recovering < 100000 && world->vault.recovering > 99900);
}

static void lost_reply_is_looked_after(void **state)
{
    struct world *world = *state;
    size_t count = 0;

    delete_all(world);
    world->vault.purge = clock_seconds + 7 * 86400;
    world->vault.loses_recovery = true;
    assert_int_equal(recover(world, &count), KV_OK);
    assert_states(world, "enabled enabled");
}

static void nothing_to_recover(void **state)
{
    struct world *world = *state;
    size_t count = 0;

    delete_all(world);
    assert_int_equal(recover(world, &count), KV_NOT_FOUND);
    assert_states(world, "deleted");
    world->vault.keys[0].gone = world->vault.keys[1].gone = false; /* somebody else was quicker */
    assert_int_equal(recover(world, &count), KV_OK);
    world->vault.down = KV_DENIED;
    assert_int_equal(recover(world, &count), KV_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_soft_delete),
        TEST(under_way_then_purged),
        TEST(what_cannot_be_asked_changes_nothing),
        TEST(recovered_with_all_versions),
        TEST(never_shown_is_told),
        TEST(lost_reply_is_looked_after),
        TEST(nothing_to_recover),
    };
    return cmocka_run_group_tests_name("keys/keyring_deleted", tests, NULL, NULL);
}
