#include "config_help.h"
#include "base/log.h"

static char folder[64], path[80];

static int set_up(void **state)
{
    clear_environment();
    snprintf(folder, sizeof folder, P_tmpdir "/test_config.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/kvp11.conf", folder);
    return setenv("HOME", folder, 1);
}

static int tear_down(void **state)
{
    unlink(path);
    return rmdir(folder);
}

static struct kv_config *load_text(const char *text, struct kv_error *err)
{
    write_file(path, text, 0644);
    return load_file(path, false, err);
}

static void a_whole_file(void **state)
{
    struct kv_error err = { 0 };
    KV_AUTO_CONFIG struct kv_config *config = load_text("\xef\xbb\xbf# a remark\n"
                                                        "[kvp11]\r\n"
                                                        "log = /var/log/x  ; a remark behind a value\r\n"
                                                        "log_level=debug\n"
                                                        "timeout : 7\n"
                                                        "\n"
                                                        "[prod] ; the vault\n"
                                                        "url = https://prod.vault.azure.net\n"
                                                        "keys = a b\n"
                                                        "  ; a remark inside a list\n"
                                                        "\tc, d-*\n"
                                                        "   e\n"
                                                        "\n"
                                                        "[Disaster recovery]\n"
                                                        "  url = https://dr.managedhsm.azure.net/\n"
                                                        "rsa1_5 = yes\n"
                                                        "timeout = 0.5",
                                                        &err);

    if (!config)
        fail_msg("%s", err.text);
    assert_string_equal(config->path, path);
    assert_string_equal(config->log, "/var/log/x");
    assert_int_equal(config->log_level, KV_LOG_DEBUG);
    assert_int_equal(config->vault_count, 2);
    const struct kv_vault_config *prod = &config->vaults[0], *dr = &config->vaults[1];
    assert_string_equal(prod->name, "prod");
    assert_int_equal(prod->timeout_ms, 7000);
    assert_false(prod->managed_hsm);
    assert_false(prod->rsa1_5);
    assert_int_equal(prod->keys.count, 5);
    assert_string_equal(prod->keys.items[3], "d-*");
    assert_string_equal(prod->keys.items[4], "e");
    assert_string_equal(dr->name, "Disaster recovery");
    assert_string_equal(dr->url, "https://dr.managedhsm.azure.net");
    assert_true(dr->managed_hsm);
    assert_true(dr->rsa1_5);
    assert_int_equal(dr->timeout_ms, 500);
}

static void the_standards(void **state)
{
    KV_AUTO_CONFIG struct kv_config *config = load_text("[p]\nurl = https://p.vault.azure.net", NULL);
    const struct kv_vault_config *vault = &config->vaults[0];

    assert_string_equal(config->log, "none");
    assert_string_equal(config->audit, "none");
    assert_int_equal(config->log_level, KV_LOG_WARN);
    assert_string_equal(vault->api_version, "7.6");
    assert_string_equal(vault->credential, "default");
    assert_string_equal(vault->imds_endpoint, "http://169.254.169.254");
    assert_null(vault->tenant);
    assert_null(vault->ca_file);
    assert_string_equal(vault->proxy, "environment");
    assert_int_equal(vault->tls_min, KV_TLS_1_2);
    assert_int_equal(vault->http_version, KV_HTTP_1_1);
    assert_null(vault->pin_certificate);
    assert_int_equal(vault->pin, KV_PIN_NONE);
    assert_int_equal(vault->token_cache, KV_TOKENS_MEMORY);
    assert_int_equal(vault->additionally_allowed_tenants.count, 0);
    assert_int_equal(vault->rate_limit, KV_RATE_AUTO);
    assert_false(vault->manage);
    assert_int_equal(vault->address_family, KV_FAMILY_ANY);
    assert_null(vault->interface);
    assert_null(vault->authority);
    assert_int_equal(vault->keys.count, 0);
    assert_int_equal(vault->old_versions, KV_OLD_ALL);
    assert_int_equal(vault->random, KV_RANDOM_LOCAL);
    assert_false(vault->rsnull);
    assert_true(vault->hsm_hmac);
    assert_int_equal(vault->connect_timeout_ms, 5000);
    assert_int_equal(vault->timeout_ms, 30000);
    assert_int_equal(vault->idle_ms, 60000);
    assert_int_equal(vault->max_connections, 64);
    assert_int_equal(vault->refresh_seconds, 300);
    assert_int_equal(vault->decrypt_fallback_limit, 8);
    assert_true(vault->ledger && vault->decrypt_fallback && vault->session_ciphers && vault->digests);
    assert_false(vault->rsa1_5 || vault->disable_challenge_resource_verification);
}

static void files_without_vaults(void **state)
{
    static const char *const rows[] = { "", "\n\n", "# only\n; remarks", "[kvp11]",
                                        "[kvp11]\nlog = stderr\n" };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_CONFIG struct kv_config *config = load_text(rows[i], NULL);
        assert_non_null(config);
        assert_int_equal(config->vault_count, 0);
    }
}

#define LONG_50  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_200 LONG_50 LONG_50 LONG_50 LONG_50
#define P        "[p]\nurl = https://p.vault.azure.net\n"

static void what_is_wrong_is_said_with_line_and_remedy(void **state)
{
    static const struct {
        const char *text, *line, *message;
    } rows[] = {
        { "[prod]\nusrl = x", "2", "unknown setting 'usrl' in [prod]: did you mean 'url'?" },
        { "[prod]\n\nzebra = x", "3",
          "unknown setting 'zebra' in [prod]: kvp11.conf(5) has the list of settings" },
        { P "timeout = fast", "3",
          "timeout = 'fast' is not a number of seconds from 0.001 to 3600: write timeout = 30" },
        { "[kvp11]\ntimeout = fast", "2",
          "timeout = 'fast' is not a number of seconds from 0.001 to 3600: write timeout = 30" },
        { P "timeout = 5 # s", "3",
          "timeout = '5 # s' is not a number of seconds from 0.001 to 3600: write timeout = 30 (a remark "
          "behind a value starts with ' ;')" },
        { "url = https://p\n" P, "1", "'url' stands before the first section: put [kvp11] above it" },
        { "[kvp11]\nurl = https://p", "2",
          "'url' in [kvp11]: give the vault a section of its own, whose name is the token label" },
        { P "log = stderr", "3", "'log' is not a setting of one vault: move it from [p] to [kvp11]" },
        { P "client_secret = hunter2", "3",
          "'client_secret': a secret must not stand here: put it in a file that only its owner can read and "
          "write client_secret_file = /etc/kvp11/secret" },
        { "[p]\nidle = 1\n", "1", "[p] has no url: write url = https://NAME.vault.azure.net" },
        { "\n[p]\n", "2", "[p] has no url: write url = https://NAME.vault.azure.net" },
        { P "[q]\nurl = https://P.vault.azure.net/", "3",
          "[q] has the same url as [p]: remove one of the two" },
        { P "just words", "3", "is neither a section nor a setting: write name = value" },
        { P "words\nzebra = 1", "3", "is neither a section nor a setting: write name = value" },
        { "[p\nurl = x", "1", "a section without ']': write [name]" },
        { "[p] x", "1", "text behind ']': put it on a line of its own" },
        { "[]\n", "1", "a section without a name: write [kvp11] or the vault's token label" },
        { "[KVP11]\n", "1", "[KVP11] is not the name of a vault: write [kvp11] in small letters" },
        { "[prod.eu]\n", "1", "[prod.eu]: names with a '.' are reserved: write '-' instead" },
        { "[123456789012345678901234567890123]\n", "1",
          "[123456789012345678901234567890123] is longer than a token label of 32 bytes: shorten it" },
        { "[a\tb]\n", "1", "[a?b] has a control character in its name: take it out" },
        { " [a]\n", "1", "white space before '[': remove it" },
        { "[p]\n  url = https://p.vault.azure.net\n  idle = 5\n", "3", NULL },
        { P "# " LONG_200 "\nkeys = " LONG_200, "4",
          "is longer than 198 bytes: shorten it (a list goes on in the next line when that starts with white "
          "space)" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_error err = { 0 };
        KV_AUTO_CONFIG struct kv_config *config = load_text(rows[i].text, &err);
        KV_AUTO_TEXT char *start = kv_text_format("%s:%s: ", path, rows[i].line);
        if (config)
            fail_msg("'%s' was taken", rows[i].text);
        if (strncmp(err.text, start, strlen(start)))
            fail_msg("'%s' does not start with '%s'", err.text, start);
        if (rows[i].message)
            assert_string_equal(err.text + strlen(start), rows[i].message);
        assert_null(strstr(err.text, "hunter2"));
    }
}

static void what_is_there_twice_names_the_first(void **state)
{
    static const struct {
        const char *text, *format;
    } rows[] = {
        { P "idle = 1\nidle = 2\n", "%s:4: 'idle' is set twice in [p], first at %s:3: remove one" },
        { P "[p]\n", "%s:3: [p] is there already, from %s:1: make one section of the two" },
        { "[kvp11]\n" P "[kvp11]\n",
          "%s:4: [kvp11] is there already, from %s:1: make one section of the two" },
        { "[p]\n  url = https://p.vault.azure.net\n  idle = 5\n",
          "%s:3: 'idle = 5' starts with white space and so continues 'url' of %s:2, which is not a list: "
          "remove the "
          "white space" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_error err = { 0 };
        char text[512];
        KV_AUTO_CONFIG struct kv_config *config = load_text(rows[i].text, &err);
        assert_null(config);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, rows[i].format, path, path);
#pragma GCC diagnostic pop
        assert_string_equal(err.text, text);
    }
}

static void the_longest_names_and_lines_are_taken(void **state)
{
    KV_AUTO_CONFIG struct kv_config *config =
        load_text("[12345678901234567890123456789012]\nurl = https://p.vault.azure.net\nkeys = " LONG_50
                  "-" LONG_50 "\n " LONG_50 " " LONG_50 " " LONG_50 "\n",
                  NULL);

    assert_non_null(config);
    assert_int_equal(strlen(config->vaults[0].name), 32);
    assert_int_equal(config->vaults[0].keys.count, 4);
}

/* With the same vault in each, the name of the section says which source was read. */
static void the_order_of_sources(void **state)
{
    char other[96], reserved[160];
    struct kv_config *config = NULL;

    snprintf(other, sizeof other, "%s/other.conf", folder);
    snprintf(reserved, sizeof reserved, "config=%s idle=9", path);
    write_file(path, "[from-reserved]\nurl = https://p.vault.azure.net\n", 0644);
    assert_int_equal(rename(path, other), 0);
    write_file(path, "[from-environment]\nurl = https://p.vault.azure.net\n", 0644);

    setenv("KVP11_CONFIG", path, 1);
    assert_int_equal(kv_config_load(&(struct kv_config_source){ 0 }, &config, NULL), KV_OK);
    assert_string_equal(config->vaults[0].name, "from-environment");
    kv_config_free(config);

    setenv("KVP11_CONFIG", "/nonexistent", 1);
    assert_int_equal(kv_config_load(&(struct kv_config_source){ .reserved = reserved }, &config, NULL),
                     KV_OK);
    assert_string_equal(config->vaults[0].name, "from-environment");
    assert_int_equal(config->vaults[0].idle_ms, 9000);
    kv_config_free(config);

    assert_int_equal(
        kv_config_load(&(struct kv_config_source){ .path = other, .reserved = reserved }, &config, NULL),
        KV_OK);
    assert_string_equal(config->vaults[0].name, "from-reserved");
    assert_int_equal(config->vaults[0].idle_ms, 9000);
    kv_config_free(config);
    unsetenv("KVP11_CONFIG");
    unlink(other);
}

static void the_environment_alone(void **state)
{
    struct kv_config *config = NULL;

    write_file(path, "", 0644);
    setenv("KVP11_CONFIG", path, 1);
    setenv("KVP11_VAULT_URL", "https://solo.vault.azure.net", 1);
    assert_int_equal(kv_config_load(&(struct kv_config_source){ 0 }, &config, NULL), KV_OK);
    unsetenv("KVP11_CONFIG");
    unsetenv("KVP11_VAULT_URL");
    assert_int_equal(config->vault_count, 1);
    assert_string_equal(config->vaults[0].name, "solo");
    kv_config_free(config);
    kv_config_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_whole_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_standards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_without_vaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_said_with_line_and_remedy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_there_twice_names_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_longest_names_and_lines_are_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_order_of_sources, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_environment_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("config/config", tests, NULL, NULL);
}
