#include "../../module/keys/ledger.h"

#include "keys_help.h"

/* The linker puts this before the real one: every write to the map is counted, and fails on demand. */
static bool is_full;
static unsigned writes;
static size_t written;

enum kv_status __real_kv_map_wrapped(struct kv_map *map, const struct kv_map_wrap *entries, size_t count,
                                     struct kv_error *err);
enum kv_status __wrap_kv_map_wrapped(struct kv_map *map, const struct kv_map_wrap *entries, size_t count,
                                     struct kv_error *err);

enum kv_status __wrap_kv_map_wrapped(struct kv_map *map, const struct kv_map_wrap *entries, size_t count,
                                     struct kv_error *err)
{
    writes++;
    written = count;
    return is_full ? kv_fail(err, KV_IO, "disk full") : __real_kv_map_wrapped(map, entries, count, err);
}

struct fixture {
    struct kv_map *map;
    struct kv_ledger *ledger;
    struct kv_version *version;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    is_full = false;
    writes = 0;
    written = 0;
    clock_seconds = 1800000000;
    assert_non_null(fixture);
    assert_int_equal(kv_map_open("none", &fixture->map, NULL), KV_OK);
    assert_int_equal(kv_ledger_open(fixture->map, NULL, &help_clock, &fixture->ledger), KV_OK);
    fixture->version = kv_version_new();
    snprintf(fixture->version->vault, sizeof(fixture->version->vault), "prod");
    snprintf(fixture->version->name, sizeof(fixture->version->name), "kek");
    snprintf(fixture->version->version, sizeof(fixture->version->version), "a1");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    kv_ledger_free(fixture->ledger);
    kv_map_free(fixture->map);
    kv_version_free(fixture->version);
    free(fixture);
    return 0;
}

static void note(struct fixture *fixture, unsigned number)
{
    kv_ledger_note(fixture->ledger, fixture->version,
                   (struct kv_view){ (const unsigned char *)&number, sizeof(number) });
}

static bool knows(struct fixture *fixture, unsigned number)
{
    struct kv_map_wrap wrap = { 0 };

    assert_int_equal(kv_ledger_find(fixture->ledger,
                                    (struct kv_view){ (const unsigned char *)&number, sizeof(number) }, &wrap,
                                    NULL),
                     KV_OK);
    if (wrap.at)
        assert_string_equal(wrap.version, "a1");
    return wrap.at != 0;
}

static void test_first_is_written_at_once(void **state)
{
    struct fixture *fixture = *state;

    note(fixture, 1);
    assert_int_equal(writes, 1);
    assert_true(knows(fixture, 1));
    assert_false(knows(fixture, 2));
}

static void test_later_ones_wait_for_a_second(void **state)
{
    struct fixture *fixture = *state;

    note(fixture, 1);
    note(fixture, 2);
    note(fixture, 3);
    assert_int_equal(writes, 1);
    assert_true(knows(fixture, 3)); /* in memory meanwhile */
    clock_seconds += 1;
    kv_ledger_tick(fixture->ledger);
    assert_int_equal(writes, 2);
    assert_int_equal(written, 2);
    kv_ledger_tick(fixture->ledger);
    assert_int_equal(writes, 2);
    assert_true(knows(fixture, 2));
}

static void test_256_are_enough(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i <= 256; i++)
        note(fixture, i);
    assert_int_equal(writes, 2);
    assert_int_equal(written, 256);
}

static void test_flush(void **state)
{
    struct fixture *fixture = *state;

    note(fixture, 1);
    note(fixture, 2);
    kv_ledger_flush(fixture->ledger);
    assert_int_equal(writes, 2);
    kv_ledger_flush(fixture->ledger);
    assert_int_equal(writes, 2);
}

static void test_end_writes_the_rest(void **state)
{
    struct fixture *fixture = *state;
    struct kv_map_wrap wrap = { 0 };
    struct kv_bytes digest = { 0 };

    note(fixture, 1);
    note(fixture, 2);
    kv_ledger_free(fixture->ledger);
    fixture->ledger = NULL;
    assert_int_equal(writes, 2);
    assert_int_equal(
        kv_digest_once("SHA2-256", (struct kv_view){ (const unsigned char *)&(unsigned){ 2 }, 4 }, &digest),
        KV_OK);
    assert_int_equal(kv_map_who_wrapped(fixture->map, digest.data, &wrap, NULL), KV_OK);
    assert_int_equal(wrap.at, clock_seconds);
    assert_string_equal(wrap.program, "test_keys_ledger");
    kv_bytes_free(&digest);
}

static void test_full_disk_keeps_the_newest(void **state)
{
    struct fixture *fixture = *state;

    is_full = true;
    for (unsigned i = 0; i < 300; i++) {
        clock_seconds += 2;
        note(fixture, i);
    }
    assert_true(knows(fixture, 299));
    assert_true(knows(fixture, 100));
    assert_false(knows(fixture, 3));
    is_full = false;
    clock_seconds += 2;
    kv_ledger_tick(fixture->ledger);
    assert_int_equal(written, 256);
    assert_true(knows(fixture, 299));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_is_written_at_once), TEST(test_later_ones_wait_for_a_second),
        TEST(test_256_are_enough),           TEST(test_flush),
        TEST(test_end_writes_the_rest),      TEST(test_full_disk_keeps_the_newest),
    };

    return cmocka_run_group_tests_name("keys/ledger", tests, NULL, NULL);
}
