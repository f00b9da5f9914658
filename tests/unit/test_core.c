#include "core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "../common/place.h"

struct fixture {
    char folder[TEST_FOLDER], config[96], map[96];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    assert_true(test_folder(fixture->folder, "core"));
    snprintf(fixture->config, sizeof(fixture->config), "%s/kvp11.conf", fixture->folder);
    snprintf(fixture->map, sizeof(fixture->map), "%s/map.db", fixture->folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    test_folder_remove(fixture->folder);
    free(fixture);
    return 0;
}

static struct kv_config *configure(struct fixture *fixture, const char *general, const char *vaults)
{
    struct kv_config_source source = { .path = fixture->config };
    struct kv_config *config = NULL;
    struct kv_error err = { 0 };
    FILE *file = fopen(fixture->config, "w");

    assert_non_null(file);
    fprintf(file, "[kvp11]\nmap = %s\n%s%s", fixture->map, general, vaults);
    fclose(file);
    assert_int_equal(chmod(fixture->config, 0600), 0);
    if (kv_config_load(&source, &config, &err) != KV_OK)
        fail_msg("%s", err.text);
    return config;
}

/* Nobody listens on port 1: whatever asked the network would fail or hang. */
static const char two_vaults[] = "[prod]\nurl = https://prod.vault.localhost:1\ntimeout = 7\n"
                                 "[hsm]\nurl = https://hsm.managedhsm.localhost:1\ntimeout = 9\n";

static void test_open(void **state)
{
    struct fixture *fixture = *state;
    struct kv_config *config = configure(fixture, "", two_vaults);
    struct kv_core *core = NULL;
    struct kv_error err = { 0 };

    assert_int_equal(kv_core_open(config, NULL, &core, &err), KV_OK);
    assert_ptr_equal(kv_core_config(core), config);
    assert_ptr_equal(kv_core_clock(core), &kv_clock_system);
    assert_int_equal(kv_core_vault_count(core), 2);
    assert_string_equal(kv_keyring_config(kv_core_keyring(core, 0))->name, "prod");
    assert_ptr_equal(kv_core_keyring_named(core, "hsm"), kv_core_keyring(core, 1));
    assert_null(kv_core_keyring_named(core, "dr"));
    assert_null(kv_core_keyring(core, 2));
    assert_true(kv_keyring_offer(kv_core_keyring(core, 1)).managed_hsm);
    assert_false(kv_keyring_offer(kv_core_keyring(core, 0)).managed_hsm);
    assert_int_equal(kv_map_health(kv_core_map(core), NULL), KV_OK);
    assert_int_equal(access(fixture->map, R_OK), 0);
    kv_core_close(core);
}

static void test_each_vault_has_its_time(void **state)
{
    struct kv_core *core = NULL;

    assert_int_equal(kv_core_open(configure(*state, "", two_vaults), NULL, &core, NULL), KV_OK);
    struct kv_task first = kv_core_task(core, 0, "test"), second = kv_core_task(core, 1, "test");
    assert_in_range(kv_deadline_left(first.deadline), 6000, 7000);
    assert_in_range(kv_deadline_left(second.deadline), 8000, 9000);
    assert_int_equal(kv_deadline_left(kv_core_task(core, 2, "test").deadline), 0);
    assert_string_equal(first.caller, "test");
    kv_core_close(core);
}

static void test_no_vault(void **state)
{
    struct kv_core *core = NULL;

    assert_int_equal(kv_core_open(configure(*state, "", ""), NULL, &core, NULL), KV_OK);
    assert_int_equal(kv_core_vault_count(core), 0);
    assert_null(kv_core_keyring(core, 0));
    kv_core_close(core);
}

static void test_damaged_map(void **state)
{
    struct fixture *fixture = *state;
    struct kv_core *core = NULL;
    struct kv_error err = { 0 };
    FILE *file = fopen(fixture->map, "w");

    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", file);
    fclose(file);
    assert_int_equal(chmod(fixture->map, 0600), 0);
    assert_int_equal(kv_core_open(configure(fixture, "", two_vaults), NULL, &core, NULL), KV_OK);
    assert_int_equal(kv_map_health(kv_core_map(core), &err), KV_MAP_CORRUPT);
    assert_non_null(strstr(err.text, fixture->map));
    kv_core_close(core);
}

/* A program must not lose its keys over a log that this user may not write. */
static void test_log_that_cannot_be_opened(void **state)
{
    struct kv_core *core = NULL;
    const char *general = "log = /nonexistent/kvp11.log\naudit = /nonexistent/audit.json\n";

    assert_int_equal(kv_core_open(configure(*state, general, two_vaults), NULL, &core, NULL), KV_OK);
    kv_log_line(kv_core_log(core), KV_LOG_ERROR, "to nowhere");
    kv_core_close(core);
}

/* What a forked child does: it forgets, and opens its own; the parent's goes on. */
static void test_fork(void **state)
{
    struct fixture *fixture = *state;
    struct kv_core *core = NULL;
    int status = 0;

    assert_int_equal(kv_core_open(configure(fixture, "", two_vaults), NULL, &core, NULL), KV_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct kv_core *own = NULL;
        struct kv_config_source source = { .path = fixture->config };
        struct kv_config *config = NULL;

        kv_core_forget(core);
        bool good = kv_config_load(&source, &config, NULL) == KV_OK &&
                    kv_core_open(config, NULL, &own, NULL) == KV_OK &&
                    kv_map_health(kv_core_map(own), NULL) == KV_OK;
        kv_core_close(own);
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    struct kv_map_visit visit = { 0 };
    assert_int_equal(kv_map_visited(kv_core_map(core), "prod", "kek", &visit, NULL), KV_OK);
    kv_core_close(core);
}

static void test_nothing_to_close(void **state)
{
    kv_core_close(NULL);
    kv_core_forget(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open),
        TEST(test_each_vault_has_its_time),
        TEST(test_no_vault),
        TEST(test_damaged_map),
        TEST(test_log_that_cannot_be_opened),
        TEST(test_fork),
        cmocka_unit_test(test_nothing_to_close),
    };

    return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
