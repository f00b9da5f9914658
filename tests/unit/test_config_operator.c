/* [NAME.operator] and `pin`: who a vault is asked as. */
#include "config_help.h"

#include <sys/inotify.h>
#include <unistd.h>

static char folder[64], path[96], secret[96], operator_secret[96];

static int set_up(void **state)
{
    clear_environment();
    snprintf(folder, sizeof folder, P_tmpdir "/test_operator.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/kvp11.conf", folder);
    snprintf(secret, sizeof secret, "%s/secret", folder);
    snprintf(operator_secret, sizeof operator_secret, "%s/operator", folder);
    write_file(secret, "workload's\n", 0600);
    write_file(operator_secret, "operator's\n", 0600);
    return 0;
}

static int tear_down(void **state)
{
    unlink(path);
    unlink(secret);
    unlink(operator_secret);
    return rmdir(folder);
}

static struct kv_config *load(const char *text, bool operators, struct kv_error *err)
{
    write_file(path, text, 0600);
    return load_file(path, operators, err);
}

static struct kv_config *loaded(bool operators)
{
    struct kv_error err = { 0 };
    KV_AUTO_TEXT char *text = kv_text_format(
        "[kvp11]\nclient_id = shared\ntenant = t1\ntoken_file = /shared\n"
        "[prod.operator]\ncredential = client-secret\nclient_id = o\nclient_secret_file = %s\n"
        "[prod]\nurl = https://p.vault.azure.net\nclient_id = w\nclient_secret_file = %s\n"
        "authority = https://login\nimds_endpoint = http://127.0.0.1:1\ntimeout = 7\n"
        "[dr]\nurl = https://d.vault.azure.net\ncredential = client-secret\nclient_secret_file = %s\n",
        operator_secret, secret, secret);
    struct kv_config *config = load(text, operators, &err);
    if (!config)
        fail_msg("%s", err.text);
    return config;
}

static void the_workload_is_who_asks(void **state)
{
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    char events[4096];
    assert_true(inotify_add_watch(watch, operator_secret, IN_OPEN | IN_ACCESS) >= 0);
    KV_AUTO_CONFIG struct kv_config *config = loaded(false);
    const struct kv_vault_config *vault = &config->vaults[0];
    assert_int_equal(config->vault_count, 2);
    assert_string_equal(vault->name, "prod");
    assert_true(vault->has_operator);
    assert_false(vault->as_operator);
    assert_string_equal(vault->client_id, "w");
    assert_string_equal(vault->client_secret, "workload's");
    assert_string_equal(vault->credential, "default");
    assert_false(config->vaults[1].has_operator);
    /* The operator's file was not so much as opened; that it would have been noticed, the next load shows. */
    assert_int_equal(read(watch, events, sizeof events), -1);
    KV_AUTO_CONFIG struct kv_config *theirs = loaded(true);
    assert_string_equal(theirs->vaults[0].client_secret, "operator's");
    assert_true(read(watch, events, sizeof events) > 0);
    close(watch);
}

static void the_operator_takes_nothing_of_the_workload(void **state)
{
    setenv("KVP11_CLIENT_ID", "from-the-environment", 1);
    KV_AUTO_CONFIG struct kv_config *config = loaded(true);
    unsetenv("KVP11_CLIENT_ID");
    const struct kv_vault_config *vault = &config->vaults[0];
    assert_true(vault->as_operator);
    assert_string_equal(vault->credential, "client-secret");
    assert_string_equal(vault->client_id, "o");
    assert_string_equal(vault->client_secret_file, operator_secret);
    assert_null(vault->token_file);
    assert_string_equal(vault->imds_endpoint, "http://169.254.169.254");
    assert_string_equal(vault->tenant, "t1"); /* where to ask is the vault's own */
    assert_string_equal(vault->authority, "https://login");
    assert_int_equal(vault->timeout_ms, 7000);
    assert_false(config->vaults[1].as_operator); /* has none: as ever */
    assert_string_equal(config->vaults[1].client_id, "from-the-environment");
}

static void an_unset_name_is_azures_not_the_workloads(void **state)
{
    struct kv_error err = { 0 };
    const char *text = "[p]\nurl = https://p.vault.azure.net\nclient_id = w\n[p.operator]\ntenant = t2\n";
    KV_AUTO_CONFIG struct kv_config *bare = load(text, true, &err);
    assert_null(bare->vaults[0].client_id);
    assert_string_equal(bare->vaults[0].tenant, "t2");
    setenv("AZURE_CLIENT_ID", "azure", 1);
    KV_AUTO_CONFIG struct kv_config *config = load(text, true, &err);
    unsetenv("AZURE_CLIENT_ID");
    assert_string_equal(config->vaults[0].client_id, "azure");
}

#define P "[p]\nurl = https://p.vault.azure.net\n"

static void faults_are_told_with_their_line(void **state)
{
    static const struct {
        const char *text, *line, *message;
    } rows[] = {
        { "[q.operator]\n" P, "1",
          "[q.operator] is the operator of a vault that has no section: write [q], or correct the name" },
        { P "[P.operator]\n", "3",
          "[P.operator] is the operator of a vault that has no section: write [P], or correct the name" },
        { P "[p.operator]\ntimeout = 3\n", "4",
          "'timeout' is no setting of a credential, and nothing else stands in [p.operator]: move it to the "
          "vault's "
          "section" },
        { P "[p.operator]\nurl = https://q.vault.azure.net\n", "4",
          "'url' is no setting of a credential, and nothing else stands in [p.operator]: move it to the "
          "vault's section" },
        { P "[p.operator]\npin = client-secret\n", "4",
          "'pin' is no setting of a credential, and nothing else stands in [p.operator]: move it to the "
          "vault's section" },
        { P "[p.operator]\nclient-id = 3\n", "4",
          "unknown setting 'client-id' in [p.operator]: did you mean 'client_id'?" },
        { P "[p.operator]\nclient_secret = hunter2\n", "4", NULL },
        { P "[p.operator]\ntoken_file = relative\n", "4",
          "token_file = 'relative' is not an absolute path: write token_file = /run/kvp11/token" },
        { P "[p.operator]\n[p.operator]\n", "4",
          "[p.operator] is there already, from %s:3: make one section of the two" },
        { "[.operator]\n", "1", "[.operator]: names with a '.' are reserved: write '-' instead" },
        { "[p.x.operator]\n", "1", "[p.x]: names with a '.' are reserved: write '-' instead" },
        { P "[p.operators]\n", "3", "[p.operators]: names with a '.' are reserved: write '-' instead" },
        { P "credential = static-token\npin = client-secret\n", "4",
          "pin = client-secret goes with credential = client-secret: [p] has credential = static-token" },
        { P "pin = client-secret\n", "3",
          "pin = client-secret goes with credential = client-secret: [p] has credential = default" },
        { "[kvp11]\npin = client-secret\n" P, "2",
          "pin = client-secret goes with credential = client-secret: [p] has credential = default" },
        { P "pin = hunter2\n", "3", NULL },
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct kv_error err = { 0 };
        const char *text = rows[i / 2].text;
        /* Whoever may use the section or not: it is looked at. */
        KV_AUTO_CONFIG struct kv_config *config = load(text, i % 2, &err);
        if (config)
            fail_msg("'%s' was taken", text);
        KV_AUTO_TEXT char *start = kv_text_format("%s:%s: ", path, rows[i / 2].line);
        if (strncmp(err.text, start, strlen(start)))
            fail_msg("'%s' does not start with '%s'", err.text, start);
        if (rows[i / 2].message && !strstr(rows[i / 2].message, "%s"))
            assert_string_equal(err.text + strlen(start), rows[i / 2].message);
        assert_null(strstr(err.text, "hunter2"));
    }
}

static void the_pin_takes_the_secrets_place(void **state)
{
    struct kv_error err = { 0 };
    struct kv_vault_config own;
    char pin[] = "1234";
    KV_AUTO_TEXT char *text = kv_text_format(
        P "credential = client-secret\npin = client-secret\nclient_secret_file = %s\n", secret);
    setenv("KVP11_CLIENT_SECRET", "from-the-environment", 1);
    KV_AUTO_CONFIG struct kv_config *config = load(text, false, &err);
    unsetenv("KVP11_CLIENT_SECRET");
    assert_null(config->vaults[0].client_secret);
    kv_config_put_pin(&config->vaults[0], pin, &own);
    assert_ptr_equal(own.client_secret, pin);
    assert_null(own.client_secret_file);
    assert_string_equal(own.url, "https://p.vault.azure.net");
}

/* Who takes KVP11_PIN for the PIN itself must not read it in a message. */
static void a_pin_in_the_environment_is_not_looked_at(void **state)
{
    struct kv_error err = { 0 };
    setenv("KVP11_PIN", "1234", 1);
    KV_AUTO_CONFIG struct kv_config *config = load(P, false, &err);
    unsetenv("KVP11_PIN");
    assert_non_null(config);
    assert_int_equal(config->vaults[0].pin, KV_PIN_NONE);
}

/* The rows from `credential` to the first that stands behind all of them make the credential. One that is not marked would be refused to operators, and
 * would let two identities share a token. */
static void rows_of_the_credential_are_marked(void **state)
{
    const struct kv_setting_info *info;
    bool within = false;
    for (size_t i = 0; (info = kv_config_setting(i)); i++) {
        within = within || !strcmp(info->name, "credential");
        within = within && strcmp(info->name, "pin") != 0;
        if (within != (info->credential != KV_CREDENTIAL_NONE))
            fail_msg("setting '%s': its row in keys.c is to say %s", info->name,
                     within ? "WHO or WHERE instead of VAULT" : "VAULT");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_workload_is_who_asks),
        cmocka_unit_test(the_operator_takes_nothing_of_the_workload),
        cmocka_unit_test(an_unset_name_is_azures_not_the_workloads),
        cmocka_unit_test(faults_are_told_with_their_line),
        cmocka_unit_test(the_pin_takes_the_secrets_place),
        cmocka_unit_test(a_pin_in_the_environment_is_not_looked_at),
        cmocka_unit_test(rows_of_the_credential_are_marked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
