#include "keys_help.h"

static int setup(void **state)
{
    struct world *world = world_new();

    world->config.managed_hsm = true;
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static enum kv_status draw(struct world *world, size_t len, struct kv_bytes *ret, struct kv_error *err)
{
    struct kv_task task = world_task(world);

    assert_int_equal(kv_bytes_alloc(len, ret), KV_OK);
    return kv_keyring_random(world->keyring, &task, ret, err);
}

static void test_pieces(void **state)
{
    static const struct {
        size_t len;
        const char *requests;
    } rows[] = {
        { 0, "" },
        { 1, "RNG 1" },
        { 128, "RNG 128" },
        { 129, "RNG 128, RNG 1" },
        { 300, "RNG 128, RNG 128, RNG 44" },
    };
    struct world *world = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        KV_AUTO_BYTES struct kv_bytes bytes = { 0 };

        world->vault.random = 0;
        assert_int_equal(draw(world, rows[i].len, &bytes, NULL), KV_OK);
        for (size_t k = 0; k < bytes.len; k++)
            assert_int_equal(bytes.data[k], (k + 1) & 0xff);
        assert_requests(world, rows[i].requests);
    }
}

static void test_a_failure_on_the_way(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    struct kv_error err = { 0 };

    world->vault.requests_left = 3;
    assert_int_equal(draw(world, 1000, &bytes, &err), KV_TIMED_OUT);
    assert_requests(world, "RNG 128, RNG 128, RNG 128");
}

/* Bytes from elsewhere would not be what the configuration asks for. */
static void test_a_vault_has_none(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    struct kv_error err = { 0 };

    world->config.managed_hsm = false;
    assert_int_equal(draw(world, 16, &bytes, &err), KV_CONFIG);
    assert_non_null(strstr(err.text, "random = local"));
    assert_requests(world, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pieces),
        TEST(test_a_failure_on_the_way),
        TEST(test_a_vault_has_none),
    };

    return cmocka_run_group_tests_name("keys/keyring_random", tests, NULL, NULL);
}
