#include "../../module/vault/vault_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define V "8d5f1c0e9a7b4c3d8e2f1a0b9c8d7e6f"

struct row {
    const char *text;
    const char *host, *name, *version; /* host NULL: refused */
};

static const struct row rows[] = {
    { "https://prod.vault.azure.net/keys/backup-kek/" V, "prod.vault.azure.net", "backup-kek", V },
    { "https://prod.vault.azure.net:443/keys/a/" V, "prod.vault.azure.net", "a", V },
    { "https://prod.vault.localhost:40001/keys/a", "prod.vault.localhost", "a", "" },
    { "https://h/keys/a/", "h", "a", "" },
    { "HTTPS://H.Example/KEYS/A/B", "H.Example", "A", "B" },
    { NULL, NULL, NULL, NULL },
    { "", NULL, NULL, NULL },
    { "https://", NULL, NULL, NULL },
    { "http://h/keys/a/b", NULL, NULL, NULL },
    { "https://h/secrets/a/b", NULL, NULL, NULL },
    { "https://h/keys", NULL, NULL, NULL },
    { "https://h/keys/", NULL, NULL, NULL },
    { "https://h/keys//b", NULL, NULL, NULL },
    { "https://h/keys/a/b/c", NULL, NULL, NULL },
    { "https://h/keys/a/b/", NULL, NULL, NULL },
    { "https://h/keys/a/b?x=1", NULL, NULL, NULL },
    { "https://h/keys/a_b/c", NULL, NULL, NULL },
    { "https://h/keys/../c", NULL, NULL, NULL },
    { "https://h/keys/a%2Fb/c", NULL, NULL, NULL },
    { "https://user@h/keys/a/b", NULL, NULL, NULL },
    { "https://h:/keys/a/b", NULL, NULL, NULL },
    { "https://h:123456/keys/a/b", NULL, NULL, NULL },
    { "https:///keys/a/b", NULL, NULL, NULL },
    { "https://h/keys/a/12345678901234567890123456789012345678901234567890123456789012345", NULL, NULL,
      NULL },
};

static void parses(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv_kid kid = { 0 };
        enum kv_status status = kv_kid_parse(rows[i].text, &kid, NULL);
        if (!rows[i].host) {
            if (status != KV_PROTOCOL || kid.host[0])
                fail_msg("'%s' was accepted", rows[i].text ? rows[i].text : "NULL");
            continue;
        }
        if (status != KV_OK || strcmp(kid.host, rows[i].host) != 0 || strcmp(kid.name, rows[i].name) != 0 ||
            strcmp(kid.version, rows[i].version) != 0)
            fail_msg("'%s': '%s' '%s' '%s'", rows[i].text, kid.host, kid.name, kid.version);
    }
}

static void names_have_bounds(void **state)
{
    char name[130];
    memset(name, 'a', sizeof name);
    name[127] = 0;
    assert_true(kv_kid_name_valid(name));
    name[127] = 'a';
    name[128] = 0;
    assert_false(kv_kid_name_valid(name));
    assert_false(kv_kid_name_valid(""));
    assert_false(kv_kid_name_valid(NULL));
    assert_false(kv_kid_name_valid("a/b"));
    assert_false(kv_kid_version_valid(""));
    assert_true(kv_kid_version_valid(V));
}

static void origins_compare(void **state)
{
    static const struct {
        const char *url, *vault;
        bool same;
    } pairs[] = {
        { "https://a.vault.azure.net:443/keys?x", "https://a.vault.azure.net", true },
        { "https://A.Vault.azure.net/keys", "https://a.vault.azure.net", true },
        { "https://a.vault.localhost:4001/keys", "https://a.vault.localhost:4001", true },
        { "https://a.vault.localhost:4002/keys", "https://a.vault.localhost:4001", false },
        { "https://a.vault.localhost/keys", "https://a.vault.localhost:4001", false },
        { "http://a.vault.azure.net/keys", "https://a.vault.azure.net", false },
        { "https://b.vault.azure.net/keys", "https://a.vault.azure.net", false },
        { "https://a.vault.azure.net.evil.example/keys", "https://a.vault.azure.net", false },
        { "https://a.vault.azure.net@evil.example/keys", "https://a.vault.azure.net", false },
        { "/keys?x", "https://a.vault.azure.net", false },
        { "https://a.vault.azure.net/keys HTTP/1.1\r\nX: y", "https://a.vault.azure.net", false },
        { "https://a.vault.azure.net/keys x", "https://a.vault.azure.net", false },
        { "https://a.vault.azure.net/keys#x", "https://a.vault.azure.net", false },
        { "https://a.vault.azure.net/\xc3\xa4", "https://a.vault.azure.net", false },
        { "https://a.vault.azure.net/\\x", "https://a.vault.azure.net", false },
        { "https://a.vault.azure.net/keys?$skiptoken=a%2fb", "https://a.vault.azure.net", true },
        { "", "https://a.vault.azure.net", false },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (kv_kid_same_origin(pairs[i].url, pairs[i].vault) != pairs[i].same)
            fail_msg("'%s' and '%s'", pairs[i].url, pairs[i].vault);
    }
}

static void a_reply_must_be_of_the_key_asked_for(void **state)
{
    struct kv_error err = { 0 };
    assert_int_equal(kv_kid_check("https://h/keys/a/" V, "a", V, &err), KV_OK);
    assert_int_equal(
        kv_kid_check("https://other.host:443/keys/A/8D5F1C0E9A7B4C3D8E2F1A0B9C8D7E6F", "a", V, &err), KV_OK);
    assert_int_equal(kv_kid_check("https://h/keys/a/" V, "a", NULL, &err), KV_OK);
    assert_int_equal(kv_kid_check("https://h/keys/b/" V, "a", V, &err), KV_WRONG_KEY);
    assert_non_null(strstr(err.text, V));
    assert_int_equal(kv_kid_check("https://h/keys/a/00000000000000000000000000000000", "a", V, &err),
                     KV_WRONG_KEY);
    assert_int_equal(kv_kid_check("https://h/keys/a", "a", V, &err), KV_WRONG_KEY);
    assert_int_equal(kv_kid_check("https://h/keys/a", "a", NULL, &err), KV_WRONG_KEY);
    assert_int_equal(kv_kid_check("nonsense", "a", V, &err), KV_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(names_have_bounds),
        cmocka_unit_test(origins_compare),
        cmocka_unit_test(a_reply_must_be_of_the_key_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
