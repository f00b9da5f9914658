/* Lists of deleted keys, backups, rotation policies (contract §6, §11). */
#include "../../module/vault/vault_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define ITEM(name)                                                                                           \
    "{\"kid\":\"https://prod.vault.azure.net/keys/" name "\",\"deletedDate\":5,\"scheduledPurgeDate\":9}"

static const struct {
    const char *sentence, *text;
    enum kv_status status;
    size_t count, broken;
    const char *next;
} pages[] = {
    { "two", "{\"value\":[" ITEM("a") "," ITEM("b") "]}", KV_OK, 2, 0, NULL },
    { "an empty page that goes on", "{\"value\":[],\"nextLink\":\"https://x/\"}", KV_OK, 0, 0, "https://x/" },
    { "one is broken", "{\"value\":[{\"kid\":7}," ITEM("b") "]}", KV_OK, 1, 1, NULL },
    { "a date that is a text",
      "{\"value\":[{\"kid\":\"https://prod.vault.azure.net/keys/a\",\"deletedDate\":\"5\"}]}", KV_OK, 0, 1,
      NULL },
    { "no list", "{\"value\":{}}", KV_PROTOCOL, 0, 0, NULL },
    { "a link that is none", "{\"value\":[],\"nextLink\":7}", KV_PROTOCOL, 0, 0, NULL },
};

static void test_pages(void **state)
{
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        KV_AUTO_JSON struct kv_json *json = NULL;
        KV_CLEANUP(kv_vault_deleted_page_free) struct kv_vault_deleted_page page = { 0 };
        struct kv_error err = { 0 };
        assert_int_equal(kv_json_parse(kv_view_text(pages[i].text), &json, NULL), KV_OK);
        enum kv_status status = kv_codec_read_deleted_page(json, &page, &err);
        if (status != pages[i].status || page.count != pages[i].count || page.broken != pages[i].broken)
            fail_msg("%s: %s", pages[i].sentence, err.text);
        assert_true(!page.next == !pages[i].next && (!page.next || !strcmp(page.next, pages[i].next)));
        for (size_t k = 0; k < page.count; k++)
            assert_true(page.items[k].dates.deleted == 5 && page.items[k].dates.purge == 9 &&
                        page.items[k].name[0]);
    }
}

static const struct {
    const char *sentence, *text;
    enum kv_status status;
    struct kv_vault_policy policy;
} policies[] = {
    { "all of it",
      "{\"lifetimeActions\":[{\"trigger\":{\"timeAfterCreate\":\"P18M\"},\"action\":{\"type\":\"Rotate\"}},"
      "{\"trigger\":{\"timeBeforeExpiry\":\"P30D\"},\"action\":{\"type\":\"Notify\"}}],"
      "\"attributes\":{\"expiryTime\":\"P48M\",\"created\":3,\"updated\":4}}",
      KV_OK,
      { "P18M", "", "P30D", "P48M", 3, 4 } },
    { "of a Managed HSM, in lower case",
      "{\"lifetimeActions\":[{\"trigger\":{\"timeBeforeExpiry\":\"P1Y\"},\"action\":{\"type\":\"rotate\"}}]}",
      KV_OK,
      { "", "P1Y", "", "", 0, 0 } },
    { "an action of tomorrow",
      "{\"lifetimeActions\":[{\"trigger\":{},\"action\":{\"type\":\"Sing\"}}]}",
      KV_OK,
      { "" } },
    { "nothing", "{}", KV_OK, { "" } },
    { "no list", "{\"lifetimeActions\":{}}", KV_PROTOCOL, { "" } },
    { "no type", "{\"lifetimeActions\":[{\"trigger\":{}}]}", KV_PROTOCOL, { "" } },
    { "no duration", "{\"attributes\":{\"expiryTime\":\"soon\"}}", KV_PROTOCOL, { "" } },
    { "one that is too long",
      "{\"attributes\":{\"expiryTime\":\"P00000000000000000000000000000000001D\"}}",
      KV_PROTOCOL,
      { "" } },
};

static void assert_policies(const char *sentence, const struct kv_vault_policy *is,
                            const struct kv_vault_policy *should)
{
    if (strcmp(is->rotate_after, should->rotate_after) || strcmp(is->rotate_before, should->rotate_before) ||
        strcmp(is->notify_before, should->notify_before) || strcmp(is->expire_after, should->expire_after))
        fail_msg("%s: '%s' '%s' '%s' '%s'", sentence, is->rotate_after, is->rotate_before, is->notify_before,
                 is->expire_after);
}

static void test_policies(void **state)
{
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        KV_AUTO_JSON struct kv_json *json = NULL, *again = NULL;
        struct kv_vault_policy policy = { 0 }, read = { 0 };
        struct kv_error err = { 0 };
        assert_int_equal(kv_json_parse(kv_view_text(policies[i].text), &json, NULL), KV_OK);
        enum kv_status status = kv_codec_read_policy(json, &policy, &err);
        if (status != policies[i].status || (status && !*err.text))
            fail_msg("%s: %s", policies[i].sentence, err.text);
        assert_policies(policies[i].sentence, &policy, &policies[i].policy);
        assert_int_equal(policy.updated, policies[i].policy.updated);
        KV_AUTO_TEXT char *text = kv_codec_write_policy(&policy);
        assert_non_null(text);
        assert_int_equal(kv_json_parse(kv_view_text(text), &again, NULL), KV_OK);
        assert_int_equal(kv_codec_read_policy(again, &read, NULL), KV_OK);
        assert_policies(policies[i].sentence, &read, &policy);
    }
}

static void test_backups(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } blobs[] = { { "{\"value\":\"JkF6_-x\"}", true },
                  { "{\"value\":\"\"}", false },
                  { "{\"value\":\"a+b\"}", false },
                  { "{\"value\":7}", false },
                  { "{}", false } };
    for (size_t i = 0; i < sizeof blobs / sizeof *blobs; i++) {
        KV_AUTO_JSON struct kv_json *json = NULL;
        KV_AUTO_TEXT char *blob = NULL;
        assert_int_equal(kv_json_parse(kv_view_text(blobs[i].text), &json, NULL), KV_OK);
        assert_int_equal(kv_codec_read_backup(json, &blob, NULL), blobs[i].good ? KV_OK : KV_PROTOCOL);
        KV_AUTO_TEXT char *body = blob ? kv_codec_write_restore(blob) : NULL;
        assert_true(!blob || (body && !strcmp(body, "{\"value\":\"JkF6_-x\"}")));
    }
    assert_null(kv_codec_write_restore("not \"base64url"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_pages), cmocka_unit_test(test_policies),
                                        cmocka_unit_test(test_backups) };
    return cmocka_run_group_tests_name("vault/life", tests, NULL, NULL);
}
