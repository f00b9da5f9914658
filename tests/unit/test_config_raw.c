#include "../../module/config/raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

/* The environment of a test: pairs, ended by NULL. */
static const char *const *variables;

static const char *lookup(const char *name)
{
    for (const char *const *pair = variables; pair && *pair; pair += 2)
        if (!strcmp(*pair, name))
            return pair[1];
    return NULL;
}

/* A file of one section, "vault" for [a] with an url, plus what the environment and pReserved say. */
static enum kv_status load(const char *reserved, struct kv_config **ret, struct kv_error *err)
{
    KV_AUTO_RAW struct kv_raw *raw = NULL;
    KV_CLEANUP(kv_words_free) struct kv_pair_list words = { 0 };
    KV_AUTO_CONFIG struct kv_config *config = calloc(1, sizeof *config);
    struct kv_raw_section *section;

    assert_int_equal(kv_raw_make(&raw), KV_OK);
    assert_int_equal(kv_raw_begin(raw, "kvp11", "f:1", &section, err), KV_OK);
    assert_int_equal(kv_raw_set(section, "timeout", "10", "f:2", err), KV_OK);
    assert_int_equal(kv_raw_set(section, "idle", "10", "f:3", err), KV_OK);
    assert_int_equal(kv_raw_begin(raw, "a", "f:4", &section, err), KV_OK);
    assert_int_equal(kv_raw_set(section, "url", "https://a.vault.azure.net", "f:5", err), KV_OK);
    assert_int_equal(kv_raw_set(section, "idle", "11", "f:6", err), KV_OK);
    assert_int_equal(kv_words_split(reserved, " ", &words), KV_OK);
    KV_TRY(kv_raw_add_environment(raw, lookup, err));
    KV_TRY(kv_raw_add_reserved(raw, &words, err));
    KV_TRY(kv_raw_build(raw, &(struct kv_raw_world){ lookup, false }, config, err));
    *ret = kv_take(config);
    return KV_OK;
}

static struct kv_config *loaded(const char *reserved)
{
    struct kv_config *config = NULL;
    struct kv_error err = { 0 };

    if (load(reserved, &config, &err))
        fail_msg("%s", err.text);
    return config;
}

static void assert_refused(const char *reserved, const char *text)
{
    struct kv_config *config = NULL;
    struct kv_error err = { 0 };

    assert_int_equal(load(reserved, &config, &err), KV_CONFIG);
    assert_null(config);
    assert_string_equal(err.text, text);
}

static void sections_override_each_other(void **state)
{
    static const char *const set[] = { "KVP11_CONNECT_TIMEOUT", "2", "KVP11_IDLE", "12",
                                       "KVP11_TIMEOUT",         "",  NULL };

    variables = set;
    KV_AUTO_CONFIG struct kv_config *config = loaded("max_connections=3 connect_timeout=1.5 config=/ignored");
    const struct kv_vault_config *vault = &config->vaults[0];
    assert_int_equal(config->vault_count, 1);
    assert_int_equal(vault->idle_ms, 11000);           /* its own section */
    assert_int_equal(vault->timeout_ms, 10000);        /* [kvp11]; an empty variable says nothing */
    assert_int_equal(vault->connect_timeout_ms, 1500); /* pReserved over the environment */
    assert_int_equal(vault->max_connections, 3);       /* pReserved */
    assert_int_equal(vault->refresh_seconds, 300);     /* the standard */
}

static void a_vault_of_the_environment(void **state)
{
    static const char *const set[] = { "KVP11_VAULT_URL",
                                       "https://Prod.vault.azure.net/",
                                       "KVP11_IDLE",
                                       "12",
                                       "KVP11_OLD_VERSIONS",
                                       "none",
                                       NULL };

    variables = set;
    KV_AUTO_CONFIG struct kv_config *config = loaded("");
    assert_int_equal(config->vault_count, 2);
    assert_string_equal(config->vaults[1].name, "prod");
    assert_string_equal(config->vaults[1].url, "https://prod.vault.azure.net");
    assert_string_equal(config->vaults[1].host, "prod.vault.azure.net");
    assert_int_equal(config->vaults[1].idle_ms, 12000);
    assert_int_equal(config->vaults[1].old_versions, KV_OLD_NONE);
    assert_int_equal(config->vaults[0].idle_ms, 11000);
}

static void a_vault_of_the_environment_that_is_in_the_file(void **state)
{
    static const char *const set[] = { "KVP11_VAULT_URL", "https://A.vault.azure.net:443", NULL };

    variables = set;
    KV_AUTO_CONFIG struct kv_config *config = loaded("");
    assert_int_equal(config->vault_count, 1);
}

static void azure_names_are_the_last_word(void **state)
{
    static const char *const set[] = { "AZURE_TENANT_ID",
                                       "t1",
                                       "AZURE_CLIENT_ID",
                                       "c1",
                                       "KVP11_CLIENT_ID",
                                       "c2",
                                       "AZURE_CLIENT_SECRET",
                                       "s1",
                                       "AZURE_AUTHORITY_HOST",
                                       "login.microsoftonline.us",
                                       NULL };

    variables = set;
    KV_AUTO_CONFIG struct kv_config *config = loaded("");
    const struct kv_vault_config *vault = &config->vaults[0];
    assert_string_equal(vault->tenant, "t1");
    assert_string_equal(vault->client_id, "c2");
    assert_string_equal(vault->client_secret, "s1");
    assert_string_equal(vault->authority, "https://login.microsoftonline.us");
    KV_AUTO_TEXT char *shown = kv_config_value(config, vault, "client_secret");
    assert_string_equal(shown, "(set)");
}

static void our_own_secret_goes_first_and_a_file_before_both(void **state)
{
    static const char *const set[] = { "AZURE_CLIENT_SECRET", "s1", "KVP11_CLIENT_SECRET", "s2", NULL };

    variables = set;
    KV_AUTO_CONFIG struct kv_config *config = loaded("");
    assert_string_equal(config->vaults[0].client_secret, "s2");
    KV_AUTO_CONFIG struct kv_config *by_file = loaded("client_secret_file=/nonexistent/secret");
    assert_null(by_file->vaults[0].client_secret);
    assert_string_equal(by_file->vaults[0].client_secret_file, "/nonexistent/secret");
}

/* It is zero in a child: so it is seen that it stands there. From the environment, from the platform, from a file. */
static void secrets_stand_in_locked_memory(void **state)
{
    static const char *const set[] = { "AZURE_CLIENT_SECRET", "s1", "IDENTITY_HEADER", "s2", NULL };
    char path[] = "/tmp/kvp11-secret-XXXXXX";
    int fd = mkstemp(path), status = -1;
    assert_int_equal(write(fd, "s3\n", 3), 3);
    close(fd);
    variables = set;
    KV_AUTO_TEXT char *reserved = kv_text_format("client_secret_file=%s", path);
    KV_AUTO_CONFIG struct kv_config *by_environment = loaded(""), *by_file = loaded(reserved);
    unlink(path);
    const char *const secrets[] = { by_environment->vaults[0].client_secret,
                                    by_environment->vaults[0].identity_header,
                                    by_file->vaults[0].client_secret };
    assert_string_equal(secrets[0], "s1");
    assert_string_equal(secrets[1], "s2");
    assert_string_equal(secrets[2], "s3");
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child)
        _exit(!*secrets[0] && !*secrets[1] && !*secrets[2] ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void the_map_has_a_place(void **state)
{
    static const char *const set[] = { "HOME", "/h", "XDG_STATE_HOME", "/s", NULL };
    static const char *const home[] = { "HOME", "/h", "XDG_STATE_HOME", "relative", NULL };

    /* root has its own; who else runs this sees the other three */
    bool root = geteuid() == 0;
    variables = set;
    KV_AUTO_CONFIG struct kv_config *state_home = loaded("");
    variables = home;
    KV_AUTO_CONFIG struct kv_config *by_home = loaded("");
    variables = NULL;
    KV_AUTO_CONFIG struct kv_config *homeless = loaded(""), *none = loaded("map=none");
    assert_string_equal(state_home->map, root ? "/var/lib/kvp11/map.db" : "/s/kvp11/map.db");
    assert_string_equal(by_home->map, root ? "/var/lib/kvp11/map.db" : "/h/.local/state/kvp11/map.db");
    assert_string_equal(homeless->map, root ? "/var/lib/kvp11/map.db" : "none");
    assert_string_equal(none->map, "none");
}

static void what_the_environment_gets_wrong(void **state)
{
    static const struct {
        const char *const set[3];
        const char *text;
    } rows[] = {
        { { "KVP11_MAX_CONNECTIONS", "x" },
          "environment KVP11_MAX_CONNECTIONS: max_connections = 'x' is not a whole number from 1 to 1024: "
          "write "
          "max_connections = 64" },
        { { "KVP11_VAULT_URL", "prod" },
          "environment KVP11_VAULT_URL: url = 'prod' is not an https address of host and port alone: write "
          "url = "
          "https://NAME.vault.azure.net" },
        { { "KVP11_VAULT_URL", "https://a.vault.azure.cn" },
          "environment KVP11_VAULT_URL: [a] is there already, from f:4: make one section of the two" },
        { { "AZURE_TENANT_ID", "a b" },
          "environment AZURE_TENANT_ID: tenant = 'a b' is not of letters, digits, '.', '-' and '_': write "
          "tenant = "
          "11111111-2222-3333-4444-555555555555" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        variables = rows[i].set;
        assert_refused("", rows[i].text);
    }
}

static void what_reserved_gets_wrong(void **state)
{
    variables = NULL;
    assert_refused("loud", "pReserved: 'loud' is not name=value: write \"config=/path name=value …\"");
    assert_refused("lag=stderr", "pReserved: unknown setting 'lag' in [kvp11]: did you mean 'log'?");
    assert_refused(
        "url=https://a",
        "pReserved: 'url' in [kvp11]: give the vault a section of its own, whose name is the token label");
    assert_refused(
        "client_secret=x",
        "pReserved: 'client_secret': a secret must not stand here: put it in a file that only its owner "
        "can read and write client_secret_file = /etc/kvp11/secret");
    assert_refused("log_level=loud",
                   "pReserved: log_level = 'loud' is not one of the words error warn info debug: "
                   "write log_level = warn");
    assert_refused("rsa1_5=maybe",
                   "pReserved: rsa1_5 = 'maybe' is not one of the words yes no: write rsa1_5 = no");
}

static void values_as_text(void **state)
{
    variables = NULL;
    KV_AUTO_CONFIG struct kv_config *config = loaded("log=stderr keys=a,b-* connect_timeout=0.25");
    static const struct {
        bool vault;
        const char *name, *text; /* NULL: no such thing there */
    } rows[] = {
        { false, "log", "stderr" },
        { false, "log_level", "warn" },
        { false, "audit", "none" },
        { true, "keys", "a b-*" },
        { true, "timeout", "10" },
        { true, "connect_timeout", "0.250" },
        { true, "old_versions", "all" },
        { true, "tenant", "" },
        { true, "client_secret", "" },
        { true, "random", "local" },
        { true, "credential", "default" },
        { true, "ledger", "yes" },
        { true, "log", NULL },
        { false, "url", NULL },
        { true, "zebra", NULL },
        { true, "imds_endpoint", "http://169.254.169.254" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_TEXT char *text =
            kv_config_value(config, rows[i].vault ? &config->vaults[0] : NULL, rows[i].name);
        if (rows[i].text)
            assert_string_equal(text, rows[i].text);
        else
            assert_null(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_override_each_other),
        cmocka_unit_test(a_vault_of_the_environment),
        cmocka_unit_test(a_vault_of_the_environment_that_is_in_the_file),
        cmocka_unit_test(azure_names_are_the_last_word),
        cmocka_unit_test(our_own_secret_goes_first_and_a_file_before_both),
        cmocka_unit_test(secrets_stand_in_locked_memory),
        cmocka_unit_test(the_map_has_a_place),
        cmocka_unit_test(what_the_environment_gets_wrong),
        cmocka_unit_test(what_reserved_gets_wrong),
        cmocka_unit_test(values_as_text),
    };
    return cmocka_run_group_tests_name("config/raw", tests, NULL, NULL);
}
