/* `failover`: names of other vaults of the same configuration. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char path[64];

static int set_up(void **state)
{
    static const char *const names[] = { "KVP11_CONFIG", "KVP11_VAULT_URL", "KVP11_FAILOVER" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    snprintf(path, sizeof path, P_tmpdir "/test_sections.XXXXXX");
    int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int tear_down(void **state)
{
    return unlink(path);
}

/* Three vaults; `settings` stand in the first of them, which are lines 3 and on. */
static struct kv_config *load(const char *settings, const char *shared, struct kv_error *err)
{
    struct kv_config *config = NULL;
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fprintf(file,
            "[prod]\nurl = https://p.vault.azure.net\n%s\n[dr]\nurl = https://d.vault.azure.net\n"
            "[West Europe]\nurl = https://w.managedhsm.azure.net\n[kvp11]\n%s\n",
            settings, shared);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
    enum kv_status status = kv_config_load(&(struct kv_config_source){ .path = path }, &config, err);
    assert_true(status == (config ? KV_OK : KV_CONFIG));
    return config;
}

static void good_lists(void **state)
{
    static const struct {
        const char *written, *shown;
    } rows[] = {
        { "", "" },
        { "failover = dr", "dr" },
        { "failover = West Europe", "West Europe" },
        { "failover = West Europe ,dr", "West Europe,dr" },
        { "failover = dr,\n  West Europe", "dr,West Europe" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_error err = { 0 };
        KV_AUTO_CONFIG struct kv_config *config = load(rows[i].written, "", &err);
        if (!config)
            fail_msg("%s: %s", rows[i].written, err.text);
        KV_AUTO_TEXT char *shown = kv_config_value(config, &config->vaults[0], "failover");
        assert_string_equal(shown, rows[i].shown);
        assert_int_equal(config->vaults[1].failover.count, 0);
    }
}

static void bad_lists(void **state)
{
    static const struct {
        const char *written, *shared, *place, *told;
    } rows[] = {
        { "failover = dx", "", ":3: ", "'dx' of [prod] is no vault of this configuration" },
        { "timeout = 3\nfailover = dr West Europe", "", ":4: ", "a comma stands between two" },
        { "failover = prod", "", ":3: ", "'prod' is [prod] itself" },
        { "failover = dr, West Europe, dr", "", ":3: ", "names 'dr' twice" },
        { "failover = dr, ,", "", ":3: ", "write failover = dr" },
        { "failover = ", "", ":3: ", "write failover = dr" },
        { "failover = 1,2,3,4,5,6,7,8,9", "", ":3: ", "at most 8" },
        /* For all vaults is for this one, too. */
        { "failover = West Europe", "failover = dr", ":9: ", "'dr' is [dr] itself" },
        { "failover_pause = 0", "", ":3: ", "0.001 to 3600" },
        { "failover_secret_keys = perhaps", "", ":3: ", "yes" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_error err = { 0 };
        KV_AUTO_CONFIG struct kv_config *config = load(rows[i].written, rows[i].shared, &err);
        if (config)
            fail_msg("'%s' was taken", rows[i].written);
        if (!strstr(err.text, rows[i].told) || !strstr(err.text, rows[i].place))
            fail_msg("'%s': '%s'", rows[i].written, err.text);
    }
}

static void two_may_name_each_other(void **state)
{
    struct kv_error err = { 0 };
    KV_AUTO_CONFIG struct kv_config *config =
        load("failover = dr\nfailover_pause = 2.5\n[prod.operator]\nclient_id = o\n[x]\nfailover = prod\n"
             "failover_secret_keys = yes\nurl = https://x.managedhsm.azure.net",
             "", &err);

    if (!config)
        fail_msg("%s", err.text);
    assert_int_equal(config->vaults[0].failover_pause_ms, 2500);
    assert_false(config->vaults[0].failover_secret_keys);
    assert_string_equal(config->vaults[1].failover.items[0], "prod");
    assert_int_equal(config->vaults[1].failover_pause_ms, 30000);
    assert_true(config->vaults[1].failover_secret_keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_lists),
        cmocka_unit_test(bad_lists),
        cmocka_unit_test(two_may_name_each_other),
    };
    return cmocka_run_group_tests_name("config/sections", tests, set_up, tear_down);
}
