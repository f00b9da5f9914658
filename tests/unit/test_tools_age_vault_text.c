#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "../../tools/age/bech32.h"
#include "../../tools/age/vault_text.h"

static void names_are_taken_apart(void **state)
{
    static const struct {
        const char *text, *vault, *name, *version; /* vault NULL: refused */
    } rows[] = {
        { "cmk", "", "cmk", "" },
        { "prod/cmk", "prod", "cmk", "" },
        { "cmk@0123abc", "", "cmk", "0123abc" },
        { "prod/cmk-2@0123", "prod", "cmk-2", "0123" },
        { "a vault/of/cmk", "a vault/of", "cmk", "" }, /* section names are free */
        { "", NULL },
        { "/cmk", NULL },
        { "prod/", NULL },
        { "cmk@", NULL },
        { "@0123", NULL },
        { "prod/cmk@0/1", "prod/cmk@0", "1", "" },
        { "c_mk", NULL },
        { "cmk@01-2", NULL },
        { "cmk@01@02", NULL },
        { "cmk ", NULL },
        { "a-vault-of-more-than-32-bytes-----/cmk", NULL },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        KV_AUTO_VAULT_TEXT struct kv_vault_text text = { 0 };
        enum kv_status status = kv_vault_text_read_name(rows[i].text, &text, NULL);
        if (status != (rows[i].vault ? KV_OK : KV_ARGUMENTS))
            fail_msg("'%s' gave %s", rows[i].text, kv_status_name(status));
        if (status != KV_OK)
            continue;
        assert_string_equal(text.vault, rows[i].vault);
        assert_string_equal(text.name, rows[i].name);
        assert_string_equal(text.version, rows[i].version);
        assert_int_equal(text.spki.len, 0);
    }
}

static void both_forms_come_back(void **state)
{
    static unsigned char key[] = { 0x30, 0x03, 0x01, 0x00, 0xff };
    struct kv_vault_text pinned = { .spki = { key, sizeof(key) } };
    KV_AUTO_VAULT_TEXT struct kv_vault_text named = { 0 }, back = { 0 }, again = { 0 };
    KV_AUTO_TEXT char *one = kv_vault_text_write(&pinned);
    assert_true(kv_vault_text_is(one));
    assert_int_equal(kv_vault_text_read(one, &back, NULL), KV_OK);
    assert_true(kv_view_equal(KV_VIEW(back.spki), (struct kv_view){ key, sizeof(key) }));
    assert_string_equal(back.name, "");
    assert_int_equal(kv_vault_text_read_name("prod/cmk@0123", &named, NULL), KV_OK);
    KV_AUTO_TEXT char *two = kv_vault_text_write(&named);
    assert_int_equal(kv_vault_text_read(two, &again, NULL), KV_OK);
    assert_string_equal(again.vault, "prod");
    assert_string_equal(again.name, "cmk");
    assert_string_equal(again.version, "0123");
    assert_int_equal(again.spki.len, 0);
}

/* The forms are a promise: what is written today stands in cron tables for years. */
static void forms_are_as_described(void **state)
{
    KV_AUTO_VAULT_TEXT struct kv_vault_text text = { 0 };
    assert_int_equal(kv_vault_text_read_name("prod/cmk", &text, NULL), KV_OK);
    KV_AUTO_TEXT char *written = kv_vault_text_write(&text);
    KV_AUTO_TEXT char *expected = kv_bech32_encode("age1kvp11", kv_view_text("\2prod/cmk"), false);
    assert_string_equal(written, expected);
    assert_string_equal(written, "age1kvp111qfc8ymmy9a3k66cuzpk7g");
}

static void texts_that_are_none(void **state)
{
    static const struct {
        const char *what, *prefix;
        struct kv_view data;
    } rows[] = {
        { "no form", "age1kvp11", { (const unsigned char *)"", 0 } },
        { "an unknown form", "age1kvp11", { (const unsigned char *)"\3prod/cmk", 9 } },
        { "no public key", "age1kvp11", { (const unsigned char *)"\1", 1 } },
        { "no name", "age1kvp11", { (const unsigned char *)"\2", 1 } },
        { "a name without its vault", "age1kvp11", { (const unsigned char *)"\2cmk", 4 } },
        { "a name that is none", "age1kvp11", { (const unsigned char *)"\2prod/c_k", 9 } },
        { "NUL in a name", "age1kvp11", { (const unsigned char *)"\2prod/cmk\0x", 11 } },
        { "somebody else's", "age1kvp12", { (const unsigned char *)"\2prod/cmk", 9 } },
        { "an identity", "age-plugin-kvp11-", { (const unsigned char *)"\2prod/cmk", 9 } },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        KV_AUTO_TEXT char *text = kv_bech32_encode(rows[i].prefix, rows[i].data, false);
        struct kv_vault_text untouched = { .name = "x" };
        struct kv_error err = { 0 };
        if (kv_vault_text_read(text, &untouched, &err) != KV_BAD_DATA)
            fail_msg("%s was taken", rows[i].what);
        assert_string_equal(untouched.name, "x");
        assert_non_null(strstr(err.text, "recipient 'age"));
    }
    struct kv_vault_text untouched = { .name = "x" };
    assert_int_equal(kv_vault_text_read("age1kvp111qfc8ymmy9a3k66cuzpk7h", &untouched, NULL), KV_BAD_DATA);
    assert_false(kv_vault_text_is("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"));
    assert_false(kv_vault_text_is("age1kvp11"));
    assert_true(kv_vault_text_is("AGE1KVP111QFC8YMMY9A3K66CUZPK7G"));
}

static void the_identity_is_empty(void **state)
{
    KV_AUTO_TEXT char *identity = kv_vault_text_identity();
    KV_AUTO_TEXT char *full = kv_bech32_encode("age-plugin-kvp11-", kv_view_text("x"), true);
    KV_AUTO_TEXT char *other = kv_bech32_encode("age-plugin-yubikey-", kv_view_text(""), true);
    assert_string_equal(identity, "AGE-PLUGIN-KVP11-14M9JPM");
    assert_int_equal(kv_vault_text_check_identity(identity, NULL), KV_OK);
    assert_int_equal(kv_vault_text_check_identity("age-plugin-kvp11-14m9jpm", NULL), KV_OK);
    assert_int_equal(kv_vault_text_check_identity(full, NULL), KV_BAD_DATA);
    assert_int_equal(kv_vault_text_check_identity(other, NULL), KV_BAD_DATA);
    assert_int_equal(kv_vault_text_check_identity("AGE-PLUGIN-KVP11-14M9JPQ", NULL), KV_BAD_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_taken_apart),  cmocka_unit_test(both_forms_come_back),
        cmocka_unit_test(forms_are_as_described), cmocka_unit_test(texts_that_are_none),
        cmocka_unit_test(the_identity_is_empty),
    };
    return cmocka_run_group_tests_name("tools/age/vault_text", tests, NULL, NULL);
}
