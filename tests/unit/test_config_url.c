#include "../../module/config/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void addresses(void **state)
{
    static const struct {
        const char *scheme, *text, *url, *host; /* url NULL: refused */
    } rows[] = {
        { "https", "https://prod.vault.azure.net", "https://prod.vault.azure.net", "prod.vault.azure.net" },
        { "https", "https://prod.vault.azure.net/", "https://prod.vault.azure.net", "prod.vault.azure.net" },
        { "https", "HTTPS://Prod.Vault.Azure.NET", "https://prod.vault.azure.net", "prod.vault.azure.net" },
        { "https", "https://prod.vault.localhost:40001", "https://prod.vault.localhost:40001",
          "prod.vault.localhost" },
        { "https", "https://a:443/", "https://a", "a" },
        { "https", "https://a:80", "https://a:80", "a" },
        { "http", "http://169.254.169.254", "http://169.254.169.254", "169.254.169.254" },
        { "http", "http://localhost:80", "http://localhost", "localhost" },
        { "http", "http://localhost:443", "http://localhost:443", "localhost" },
        { "https", "http://prod.vault.azure.net" },
        { "http", "https://prod.vault.azure.net" },
        { "https", "prod.vault.azure.net" },
        { "https", "https:/prod.vault.azure.net" },
        { "https", "https://" },
        { "https", "https://:443" },
        { "https", "https:///keys" },
        { "https", "https://a/keys" },
        { "https", "https://a//" },
        { "https", "https://a?x" },
        { "https", "https://a#x" },
        { "https", "https://user@a" },
        { "https", "https://user:pw@a" },
        { "https", "https://a b" },
        { "https", " https://a" },
        { "https", "https://a." },
        { "https", "https://.a" },
        { "https", "https://a..b" },
        { "https", "https://-a" },
        { "https", "https://a-.b" },
        { "https", "https://a_b" },
        { "https", "https://\xc3\xa4" },
        { "https", "https://[::1]" },
        { "https", "https://1" },
        { "https", "https://127.1" },
        { "https", "https://256.0.0.1" },
        { "https", "https://0x7f000001" },
        { "https", "https://a.0x7f" },
        { "https", "https://0x7g", "https://0x7g", "0x7g" },
        { "https", "https://a:" },
        { "https", "https://a:0" },
        { "https", "https://a:65536" },
        { "https", "https://a:123456" },
        { "https", "https://a:-1" },
        { "https", "https://a:4x" },
        { "https", "https://a:443/x" },
        { "https", "" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_TEXT char *url = NULL, *host = NULL;
        enum kv_status status = kv_url_normalise(rows[i].text, rows[i].scheme, &url, &host);
        if (status != (rows[i].url ? KV_OK : KV_CONFIG))
            fail_msg("%s: %s", rows[i].text, kv_status_name(status));
        if (!rows[i].url) {
            assert_null(url);
            continue;
        }
        assert_string_equal(url, rows[i].url);
        assert_string_equal(host, rows[i].host);
    }
}

static void long_names(void **state)
{
    char host[300];

    memset(host, 'a', sizeof host);
    host[63] = '\0';
    assert_true(kv_url_is_host(host));
    host[63] = 'a';
    host[64] = '\0';
    assert_false(kv_url_is_host(host));
    for (size_t i = 0; i < sizeof host; i++)
        host[i] = i % 2 ? '.' : 'a';
    host[253] = '\0';
    assert_true(kv_url_is_host(host));
    host[253] = '.';
    host[255] = '\0';
    assert_false(kv_url_is_host(host));
}

static void local_hosts(void **state)
{
    static const struct {
        const char *host;
        bool local;
    } rows[] = {
        { "127.0.0.1", true },
        { "127.255.0.9", true },
        { "169.254.169.254", true },
        { "localhost", true },
        { "imds.localhost", true },
        { "LOCALHOST", true },
        { "169.254.169.254.evil.com", false },
        { "127.0.0.1.evil.com", false },
        { "10.0.0.1", false },
        { "168.63.129.16", false },
        { "localhost.evil.com", false },
        { "notlocalhost", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (kv_url_is_local(rows[i].host) != rows[i].local)
            fail_msg("%s", rows[i].host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(long_names),
        cmocka_unit_test(local_hosts),
    };
    return cmocka_run_group_tests_name("config/url", tests, NULL, NULL);
}
