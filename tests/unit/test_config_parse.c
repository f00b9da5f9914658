#include "../../module/config/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define PIN "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

/* One setting of a vault or of [kvp11], read and shown again; NULL: refused, and *err says why. */
static char *through(const char *name, const char *value, struct kv_error *err)
{
    const struct kv_setting *row = kv_setting_find(name);
    struct kv_config *config = calloc(1, sizeof *config);
    struct kv_vault_config *vault = calloc(1, sizeof *vault);
    void *base = kv_setting_is_vaults(row) ? (void *)vault : config;
    char *text = NULL;

    if (kv_setting_set(row, value, "file:7", base, err) == KV_OK)
        text = kv_setting_text(row, base);
    kv_setting_clear(row, base);
    kv_text_free(vault->host);
    free(vault);
    free(config);
    return text;
}

static void good_values(void **state)
{
    static const struct {
        const char *name, *value, *shown; /* shown NULL: the same */
    } rows[] = {
        { "map", "none" },
        { "map", "/var/lib/kvp11/map.db" },
        { "log", "stderr" },
        { "log", "syslog" },
        { "log", "/path" },
        { "log_level", "error" },
        { "log_level", "debug" },
        { "url", "https://Prod.vault.azure.net/", "https://prod.vault.azure.net" },
        { "managed_hsm", "yes" },
        { "managed_hsm", "auto", "no" },
        { "api_version", "7.6-preview.1" },
        { "api_version", "2025-07-01" },
        { "keys", "backup-*, sign?? ,x", "backup-* sign?? x" },
        { "keys", "", "" },
        { "keys", " , ", "" },
        { "old_versions", "open-only" },
        { "credential", "managed-identity" },
        { "credential", "managed-identity,client-secret\tdefault", "managed-identity client-secret default" },
        { "token_credentials", "ManagedIdentityCredential" },
        { "tenant", "contoso.onmicrosoft.com" },
        { "client_id", "11111111-2222-3333-4444-555555555555" },
        { "authority", "https://login.microsoftonline.us/", "https://login.microsoftonline.us" },
        { "authority", "login.localhost:40001", "https://login.localhost:40001" },
        { "imds_endpoint", "http://127.0.0.1:40003" },
        { "imds_endpoint", "https://imds.example.org" },
        { "identity_endpoint", "http://LOCALHOST:42356/msi/token", "http://localhost:42356/msi/token" },
        { "identity_endpoint", "http://172.16.1.2:8081/msi/token" },
        { "msi_endpoint", "https://msi.example.org/MSI/auth" },
        { "msi_endpoint", "http://10.0.0.4:46808/MSI/auth" },
        { "identity_header", "s3cret", "(set)" },
        { "resource_id", "/subscriptions/x/resourceGroups/a (b)/y" },
        { "ca_file", "/etc/ca.pem" },
        { "resolve", "prod.vault.azure.net:443:10.0.0.4 b:1:::1,c:65535:[2001:db8::1]",
          "prod.vault.azure.net:443:10.0.0.4 b:1:::1 c:65535:[2001:db8::1]" },
        { "proxy", "environment" },
        { "proxy", "none" },
        { "proxy", "HTTP://Proxy.Example.org:80/", "http://proxy.example.org:80" },
        { "proxy", "socks5h://127.0.0.1:443" },
        { "tls_min", "1.3" },
        { "http_version", "2" },
        { "http_version", "auto" },
        { "pin_certificate", PIN },
        { "pin_certificate", PIN " " PIN ",\t" PIN, PIN ";" PIN ";" PIN },
        { "address_family", "ipv6" },
        { "interface", "eth0.100" },
        { "interface", "2001:db8::1" },
        { "connect_timeout", "0.5", "0.500" },
        { "connect_timeout", "5.000", "5" },
        { "timeout", "3600" },
        { "idle", "0" },
        { "max_connections", "1024" },
        { "rate_limit", "auto" },
        { "rate_limit", "off" },
        { "rate_limit", "4000" },
        { "refresh_seconds", "0" },
        { "decrypt_fallback_limit", "1" },
        { "rsa1_5", "yes" },
        { "ledger", "no" },
        { "random", "none" },
        { "random", "hsm" },
        { "client_secret", "s3cret~", "(set)" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_error err = { 0 };
        KV_AUTO_TEXT char *shown = through(rows[i].name, rows[i].value, &err);
        if (!shown)
            fail_msg("%s", err.text);
        assert_string_equal(shown, rows[i].shown ? rows[i].shown : rows[i].value);
    }
}

static void assert_refused(const char *name, const char *value, const char *text)
{
    struct kv_error err = { 0 };
    KV_AUTO_TEXT char *shown = through(name, value, &err);
    if (shown)
        fail_msg("%s = '%s' was taken", name, value);
    assert_int_equal(err.status, KV_CONFIG);
    if (!strstr(err.text, text) || strncmp(err.text, "file:7: ", 8))
        fail_msg("'%s' says nothing of '%s'", err.text, text);
}

static void bad_values(void **state)
{
    static const struct {
        const char *name, *value, *text;
    } rows[] = {
        { "timeout", "fast",
          "file:7: timeout = 'fast' is not a number of seconds from 0.001 to 3600: write timeout = 30" },
        { "timeout", "0", "write timeout = 30" },
        { "timeout", "3600.001", "write timeout = 30" },
        { "timeout", "-1", "write timeout = 30" },
        { "timeout", "+1", "write timeout = 30" },
        { "timeout", "1e3", "write timeout = 30" },
        { "timeout", "30s", "write timeout = 30" },
        { "timeout", "", "timeout = '' is not a number" },
        { "timeout", ".5", "write timeout = 30" },
        { "timeout", "1.", "write timeout = 30" },
        { "timeout", "1.2345", "write timeout = 30" },
        { "timeout", "99999999999999999999", "write timeout = 30" },
        { "timeout", "30 # seconds", "(a remark behind a value starts with ' ;')" },
        { "rate_limit", "none",
          "is not auto, off, or a whole number from 10 to 100000000: write rate_limit = auto" },
        { "rate_limit", "9", "write rate_limit = auto" },
        { "rate_limit", "-1", "write rate_limit = auto" },
        { "max_connections", "0", "is not a whole number from 1 to 1024: write max_connections = 64" },
        { "max_connections", "1.5", "write max_connections = 64" },
        { "rsa1_5", "true", "rsa1_5 = 'true' is not one of the words yes no: write rsa1_5 = no" },
        { "rsa1_5", "Yes", "write rsa1_5 = no" },
        { "rsa1_5", "yes|no", "write rsa1_5 = no" },
        { "managed_hsm", "maybe", "one of the words auto yes no: write managed_hsm = auto" },
        { "old_versions", "some", "one of the words all open-only none: write old_versions = all" },
        { "credential", "certificate", "one or more of the words default client-secret client-certificate " },
        { "credential", "certificate", "managed-identity" },
        { "credential", "certificate", ": write credential = default" },
        { "credential", "default client", "credential = 'default client' is not one or more of the words" },
        { "credential", "default|client-secret", "write credential = default" },
        { "credential", "", "write credential = default" },
        { "credential", " ", "write credential = default" },
        { "log_level", "verbose", "write log_level = warn" },
        { "map", "map.db",
          "is not an absolute path and none of the words in 'none|path': write map = /var/lib/kvp11/map.db" },
        { "map", "path", "write map =" },
        { "map", "~/map.db", "write map =" },
        { "map", "/", "write map =" },
        { "map", "stderr", "write map =" },
        { "ca_file", "none", "is not an absolute path: write ca_file = /etc/kvp11/ca.pem" },
        { "ca_file", "", "write ca_file =" },
        { "url", "http://prod.vault.azure.net",
          "is not an https address of host and port alone: write url = https://NAME.vault.azure.net" },
        { "url", "https://prod.vault.azure.net/keys/k", "write url = https://NAME.vault.azure.net" },
        { "authority", "http://login.microsoftonline.com",
          "write authority = https://login.microsoftonline.com" },
        { "authority", "https://login.microsoftonline.com/tenant", "write authority =" },
        { "imds_endpoint", "http://10.0.0.1",
          "with https unless it is on 127.0.0.0/8 or 169.254.0.0/16: write imds_endpoint = "
          "http://169.254.169.254" },
        { "imds_endpoint", "ftp://127.0.0.1", "write imds_endpoint =" },
        { "tenant", "a/b", "is not of letters, digits, '.', '-' and '_': write tenant = 11111111-" },
        { "tenant", "", "write tenant =" },
        { "api_version", "7.6&x", "write api_version = 7.6" },
        { "keys", "a_b", "is not a list of key names" },
        { "keys", "ok, n\xc3\xb6", "write keys = backup-* signing" },
        { "random", "tpm", "one of the words local hsm none: write random = local" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_refused(rows[i].name, rows[i].value, rows[i].text);
}

static void bad_ways_to_a_vault(void **state)
{
    static const struct {
        const char *name, *value, *text;
    } rows[] = {
        { "proxy", "http://proxy", "with its port" },
        { "proxy", "http://proxy/", "with its port" },
        { "proxy", "http://user:word@proxy:3128",
          "without a name and password: write proxy = http://proxy.example.org:3128" },
        { "proxy", "https://proxy:3128", "write proxy =" },
        { "proxy", "", "write proxy =" },
        { "tls_min", "1.1", "one of the words 1.2 1.3: write tls_min = 1.2" },
        { "http_version", "3", "one of the words 1.1 2 auto: write http_version = 1.1" },
        { "pin_certificate", "", "write pin_certificate = sha256//" },
        { "pin_certificate", "sha256//AAAA=", "is not a list of sha256//DIGEST" },
        { "pin_certificate", PIN "=", "write pin_certificate =" },
        { "pin_certificate", PIN " /etc/key.pem", "write pin_certificate =" },
        { "address_family", "4", "one of the words any ipv4 ipv6: write address_family = any" },
        { "interface", "", "is not the name of a network interface or an address: write interface = eth1" },
        { "interface", "host!eth0", "write interface =" },
        { "interface", "an-interface-name", "write interface =" },
        { "resolve", "host:443",
          "is not a list of host:port:address: write resolve = NAME.vault.azure.net:443:10.0.0.4" },
        { "resolve", "host:443:", "write resolve =" },
        { "resolve", "host:0:10.0.0.1", "write resolve =" },
        { "resolve", "host:65536:10.0.0.1", "write resolve =" },
        { "resolve", "host:443:10.0.0.256", "write resolve =" },
        { "resolve", "host:443:name", "write resolve =" },
        { "resolve", "host:443:[10.0.0.1]", "write resolve =" },
        { "resolve", "ho_st:443:10.0.0.1", "write resolve =" },
        { "resolve", ":443:10.0.0.1", "write resolve =" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_refused(rows[i].name, rows[i].value, rows[i].text);
}

static void bad_services(void **state)
{
    static const struct {
        const char *name, *value, *text;
    } rows[] = {
        { "identity_endpoint", "http://example.org/msi/token",
          "this machine, its link, or a private network" },
        { "identity_endpoint", "http://172.32.0.1/msi", "write identity_endpoint =" },
        { "identity_endpoint", "http://127.0.0.1/msi?x=y", "write identity_endpoint =" },
        { "identity_endpoint", "http://user@127.0.0.1/msi", "write identity_endpoint =" },
        { "identity_endpoint", "127.0.0.1/msi", "write identity_endpoint =" },
        { "identity_source", "arc-agent", "write identity_source = auto" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_refused(rows[i].name, rows[i].value, rows[i].text);
}

static void bad_credentials(void **state)
{
    static const struct {
        const char *name, *value, *text;
    } rows[] = {
        { "client_key", "key.pem",
          "is not an absolute path or a URI 'pkcs11:…' without blanks: write client_key = pkcs11:" },
        { "client_key", "pkcs11-uri", "write client_key =" },
        { "client_key", "pkcs11:object=a b", "write client_key =" },
        { "cloud", "moon", "write cloud = auto" },
        { "additionally_allowed_tenants", "a_b", "is not a list of tenants, or *: write" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_refused(rows[i].name, rows[i].value, rows[i].text);
}

static void a_bad_value_leaves_the_field(void **state)
{
    const struct kv_setting *keys = kv_setting_find("keys"), *url = kv_setting_find("url");
    struct kv_vault_config vault = { 0 };

    assert_int_equal(kv_setting_set(keys, "a b", "x", &vault, NULL), KV_OK);
    assert_int_equal(kv_setting_set(keys, "c d_e", "x", &vault, NULL), KV_CONFIG);
    assert_int_equal(vault.keys.count, 2);
    assert_string_equal(vault.keys.items[1], "b");
    assert_int_equal(kv_setting_set(url, "https://a.b:8443", "x", &vault, NULL), KV_OK);
    assert_int_equal(kv_setting_set(url, "https://c/d", "x", &vault, NULL), KV_CONFIG);
    assert_string_equal(vault.url, "https://a.b:8443");
    assert_string_equal(vault.host, "a.b");
    kv_setting_clear(keys, &vault);
    kv_setting_clear(url, &vault);
    kv_text_free(vault.host);
}

static void auto_knows_a_managed_hsm_by_its_host(void **state)
{
    static const struct {
        const char *host;
        bool hsm;
    } rows[] = {
        { "hsm.managedhsm.azure.net", true },
        { "hsm.managedhsm.localhost", true },
        { "prod.vault.azure.net", false },
        { "managedhsm.vault.azure.net", false },
        { "a.b.managedhsm.azure.net", false },
        { "managedhsm", false },
        { "a.managedhsm", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_vault_config vault = { .host = (char *)(uintptr_t)rows[i].host };
        assert_int_equal(kv_setting_set(kv_setting_find("managed_hsm"), "auto", "x", &vault, NULL), KV_OK);
        assert_int_equal(vault.managed_hsm, rows[i].hsm);
    }
}

static void the_table_is_sound(void **state)
{
    size_t count = 0;

    for (const struct kv_setting *row = kv_settings; row->info.name; row++, count++) {
        assert_ptr_equal(kv_config_setting(count), &row->info);
        assert_ptr_equal(kv_setting_find(row->info.name), row); /* no name twice */
        assert_true(!strcmp(row->info.section, "kvp11") || !strcmp(row->info.section, "vault"));
        assert_true(*row->info.type && *row->info.help);
        assert_true(row->info.secret || *row->info.standard || row->example);
        const char *value = row->example ? row->example : row->info.standard;
        struct kv_error err = { 0 };
        KV_AUTO_TEXT char *shown = row->info.secret ? kv_text_copy("") : through(row->info.name, value, &err);
        if (!shown)
            fail_msg("what the remedy says is refused: %s", err.text);
        if (*row->info.standard && row->example) {
            KV_AUTO_TEXT char *standard = through(row->info.name, row->info.standard, &err);
            assert_non_null(standard);
        }
    }
    assert_null(kv_config_setting(count));
}

static void near_names(void **state)
{
    static const struct {
        const char *name, *meant;
    } rows[] = {
        { "usrl", "url" },
        { "ulr", "url" },
        { "time_out", "timeout" },
        { "Timeout", "timeout" },
        { "conect_timout", "connect_timeout" },
        { "clientid", "client_id" },
        { "rsa15", "rsa1_5" },
        { "refresh", NULL },
        { "zebra", NULL },
        { "x", NULL },
        { "", NULL },
        { "a-very-long-name-that-nobody-could-have-meant-to-write-here", NULL },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct kv_setting *near = kv_setting_nearest(rows[i].name);
        const char *name = near ? near->info.name : "-";
        if (strcmp(name, rows[i].meant ? rows[i].meant : "-"))
            fail_msg("'%s' became '%s'", rows[i].name, name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_values),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(bad_ways_to_a_vault),
        cmocka_unit_test(bad_services),
        cmocka_unit_test(bad_credentials),
        cmocka_unit_test(a_bad_value_leaves_the_field),
        cmocka_unit_test(auto_knows_a_managed_hsm_by_its_host),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(near_names),
    };
    return cmocka_run_group_tests_name("config/parse", tests, NULL, NULL);
}
