#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static bool has(char *const *environment, const char *entry)
{
    for (size_t i = 0; environment[i]; i++)
        if (!strcmp(environment[i], entry))
            return true;
    return false;
}

static void a_child_is_told_no_secret(void **state)
{
    static const struct {
        const char *name;
        bool kept;
    } rows[] = {
        { "KVP11_CLIENT_SECRET", false }, { "AZURE_CLIENT_SECRET", false },
        { "IDENTITY_HEADER", false },     { "KVP11_IDENTITY_HEADER", false },
        { "MSI_SECRET", false },          { "AZURE_CLIENT_CERTIFICATE_PASSWORD", false },
        { "AZURE_CLIENT_ID", true },      { "MSI_SECRETS", true },
        { "AZURE_CONFIG_DIR", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(setenv(rows[i].name, "planted", 1), 0);
    char **environment = kv_config_child_environment();
    assert_non_null(environment);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_TEXT char *entry = kv_text_format("%s=planted", rows[i].name);
        if (has(environment, entry) != rows[i].kept)
            fail_msg("%s", rows[i].name);
    }
    kv_config_child_environment_free(environment);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_child_is_told_no_secret) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
