/* The origin of an https address. */
#include "base/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void what_is_read(void **state)
{
    static const struct {
        const char *url, *host; /* NULL: refused */
        unsigned long port;
        const char *path;
    } rows[] = {
        { "https://a.b", "a.b", 443, "" },
        { "HTTPS://A.b/keys/x?y", "A.b", 443, "/keys/x?y" },
        { "https://a:8443/", "a", 8443, "/" },
        { "https://a:00443", "a", 443, "" },
        { .url = NULL },
        { "" },
        { "http://a" },
        { "https:/a" },
        { "https://" },
        { "https://:443" },
        { "https:///keys" },
        { "https://a:" },
        { "https://a:/" },
        { "https://a:123456" },
        { "https://a:8x" },
        { "https://a?x" },
        { "https://a#x" },
        { "https://a b" },
        { "https://user@a" },
        { "https://a\\b" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv_origin origin = { .host = "untouched" };
        if (kv_origin_read(rows[i].url, &origin) != (rows[i].host != NULL))
            fail_msg("'%s' is %s", rows[i].url ? rows[i].url : "NULL", rows[i].host ? "refused" : "taken");
        if (!rows[i].host) {
            assert_string_equal(origin.host, "untouched");
            continue;
        }
        assert_int_equal(origin.host_len, strlen(rows[i].host));
        assert_memory_equal(origin.host, rows[i].host, origin.host_len);
        assert_int_equal(origin.port, rows[i].port);
        assert_string_equal(origin.path, rows[i].path);
    }
}

static void which_are_equal(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        { "https://a.b/x", "HTTPS://A.B:443/y", true },   { "https://a.b", "https://a.b.", false },
        { "https://a.b", "https://a.bc", false },         { "https://a.b", "https://a.b:8443", false },
        { "https://a.b:8443", "https://a.b:8443", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv_origin a, b;
        assert_true(kv_origin_read(rows[i].a, &a) && kv_origin_read(rows[i].b, &b));
        if (kv_origin_equal(&a, &b) != rows[i].equal || kv_origin_equal(&b, &a) != rows[i].equal)
            fail_msg("'%s' and '%s'", rows[i].a, rows[i].b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_read), cmocka_unit_test(which_are_equal) };
    return cmocka_run_group_tests_name("base/origin", tests, NULL, NULL);
}
