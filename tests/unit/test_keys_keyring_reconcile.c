/* What a sync asks the vault for: what changed, what is needed, and now and then everything. */
#include "keyring_help.h"

enum { DAY = 86400 };

static void assert_asks(struct world *world, int64_t whole_after, const char *should)
{
    struct kv_task task = world_task(world);
    struct kv_error err = { 0 };
    size_t left_out = 9;

    world->vault.log[0] = '\0';
    if (kv_keyring_reconcile(world->keyring, whole_after, &task, &left_out, &err))
        fail_msg("%s", err.text);
    assert_int_equal(left_out, 0);
    assert_requests(world, should);
}

static struct fake_key *key_of(struct world *world, const char *version)
{
    for (size_t i = 0; i < world->vault.count; i++)
        if (!strcmp(world->vault.keys[i].version, version))
            return &world->vault.keys[i];
    return NULL;
}

static void assert_state(struct world *world, const char *version, enum kv_state state)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_map_query query = { .vault = "prod", .version = version };

    assert_int_equal(kv_map_find(world->map, &query, &list, NULL), KV_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0]->state, state);
}

/* The whole of it once; then the list, and more of nothing but what changed. */
static void test_what_changed(void **state)
{
    struct world *world = *state;

    fill(world);
    assert_asks(world, DAY, "LIST, GET kek, GET sig, LIST kek, GET kek@a1, LIST sig");
    world_restart(world);
    assert_asks(world, DAY, "LIST");
    key_of(world, "b1")->updated = clock_seconds - 100;
    assert_asks(world, DAY, "LIST, GET sig, LIST sig");
    assert_asks(world, DAY, "LIST");
    world_key(world, "kek", "a3", clock_seconds - 100);
    assert_asks(world, DAY, "LIST, GET kek, LIST kek");
    key_of(world, "b1")->gone = true;
    assert_asks(world, DAY, "LIST, GET sig");
    assert_asks(world, DAY, "LIST");
    key_of(world, "b1")->gone = false;
    assert_asks(world, DAY, "LIST, GET sig, LIST sig");
}

/* A second may hold two changes, and two clocks may differ: of what changed a moment ago the next look is another whole one. */
static void test_a_moment_ago(void **state)
{
    struct world *world = *state;

    fill(world);
    assert_asks(world, DAY, "LIST, GET kek, GET sig, LIST kek, GET kek@a1, LIST sig");
    key_of(world, "b1")->updated = clock_seconds;
    for (int i = 0; i < 2; i++, clock_seconds += 30)
        assert_asks(world, DAY, "LIST, GET sig, LIST sig");
    clock_seconds += 30;
    assert_asks(world, DAY, "LIST, GET sig, LIST sig");
    assert_asks(world, DAY, "LIST");
    key_of(world, "b1")->updated = clock_seconds + 30; /* by the vault's clock, which is ahead */
    for (int i = 0; i < 2; i++)
        assert_asks(world, DAY, "LIST, GET sig, LIST sig");
}

/* An old version that nothing needs changes without a trace: found within the time, or when all is asked for. */
static void test_bounds(void **state)
{
    struct world *world = *state;

    fill(world);
    assert_asks(world, DAY, "LIST, GET kek, GET sig, LIST kek, GET kek@a1, LIST sig");
    key_of(world, "a1")->disabled = true;
    clock_seconds += DAY - 1;
    assert_asks(world, DAY, "LIST");
    assert_state(world, "a1", KV_STATE_ENABLED);
    clock_seconds++;
    assert_asks(world, DAY, "LIST, LIST kek, LIST sig");
    assert_state(world, "a1", KV_STATE_DISABLED);
    key_of(world, "a1")->disabled = false;
    assert_asks(world, 0, "LIST, GET kek, GET sig, LIST kek, LIST sig");
    assert_state(world, "a1", KV_STATE_ENABLED);
    clock_seconds -= 100; /* set back: what was noted ahead of it says nothing */
    assert_asks(world, DAY, "LIST, LIST kek, LIST sig");
}

/* One that something needs is looked at each time; the current one stands in the list of keys. */
static void test_what_is_needed(void **state)
{
    struct kv_map_wrap wrap = { .digest = { 1 }, .vault = "prod", .name = "sig", .version = "b1", .at = 5 };
    struct world *world = *state;

    fill(world);
    assert_asks(world, DAY, "LIST, GET kek, GET sig, LIST kek, GET kek@a1, LIST sig");
    assert_int_equal(kv_map_wrapped(world->map, &wrap, 1, NULL), KV_OK);
    assert_asks(world, DAY, "LIST");
    wrap = (struct kv_map_wrap){ .digest = { 2 }, .vault = "prod", .name = "kek", .version = "a1", .at = 5 };
    assert_int_equal(kv_map_wrapped(world->map, &wrap, 1, NULL), KV_OK);
    for (int i = 0; i < 2; i++)
        assert_asks(world, DAY, "LIST, LIST kek");
    key_of(world, "a1")->disabled = true;
    assert_asks(world, DAY, "LIST, LIST kek");
    assert_state(world, "a1", KV_STATE_DISABLED);
    key_of(world, "a2")->disabled = true;
    assert_asks(world, DAY, "LIST, LIST kek");
    assert_state(world, "a2", KV_STATE_DISABLED);
}

/* By names, a GET of each takes the place of the list. */
static void test_by_name(void **state)
{
    static char *names[] = { "kek", "sig" };
    struct world *world = *state;

    fill(world);
    world->config.keys = (struct kv_pair_list){ names, 2 };
    assert_asks(world, DAY, "GET kek, GET sig, LIST kek, GET kek@a1, LIST sig");
    assert_asks(world, DAY, "GET kek, GET sig");
    key_of(world, "b1")->updated = clock_seconds - 100;
    assert_asks(world, DAY, "GET kek, GET sig, LIST sig");
    assert_asks(world, DAY, "GET kek, GET sig");
    clock_seconds += DAY;
    assert_asks(world, DAY, "GET kek, GET sig, LIST kek, LIST sig");
}

/* What keeps the vault from telling is told, and the next look is none the wiser. */
static void test_failures(void **state)
{
    struct world *world = *state;
    struct kv_task task = world_task(world);
    struct kv_error err = { 0 };
    size_t left_out = 0;

    fill(world);
    world->vault.forbidden = "sig";
    assert_int_equal(kv_keyring_reconcile(world->keyring, DAY, &task, &left_out, &err), KV_OK);
    assert_int_equal(left_out, 1);
    world->vault.forbidden = NULL;
    world->vault.down = KV_UNREACHABLE;
    assert_int_equal(kv_keyring_reconcile(world->keyring, DAY, &task, &left_out, &err), KV_UNREACHABLE);
    assert_non_null(strstr(err.text, "down"));
    world->vault.down = KV_OK;
    clock_seconds += 10;
    assert_asks(world, DAY, "LIST, GET sig, LIST sig");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_changed),   TEST(test_a_moment_ago), TEST(test_bounds),
        TEST(test_what_is_needed), TEST(test_by_name),      TEST(test_failures),
    };

    return cmocka_run_group_tests_name("keys/keyring_sweep", tests, NULL, NULL);
}
