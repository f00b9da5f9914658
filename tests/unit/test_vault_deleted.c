/* The bundle of a key in soft delete (contract §5). */
#include "../../module/vault/vault_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define KEY "\"key\":{\"kid\":\"https://prod.vault.azure.net/keys/kek/0123456789abcdef0123456789abcdef\"}"

static const struct {
    const char *sentence, *text;
    enum kv_status status;
    int64_t deleted, purge;
} rows[] = {
    { "everything", "{\"recoveryId\":\"x\",\"deletedDate\":5,\"scheduledPurgeDate\":9," KEY "}", KV_OK, 5,
      9 },
    { "without dates", "{" KEY "}", KV_OK, 0, 0 },
    { "null counts as absent", "{\"scheduledPurgeDate\":null," KEY "}", KV_OK, 0, 0 },
    { "no key", "{\"deletedDate\":5,\"scheduledPurgeDate\":9}", KV_PROTOCOL, 0, 0 },
    { "a date that is a text", "{\"deletedDate\":\"5\"," KEY "}", KV_PROTOCOL, 0, 0 },
    { "a date before all", "{\"scheduledPurgeDate\":-1," KEY "}", KV_PROTOCOL, 0, 0 },
    { "another key", "{\"key\":{\"kid\":\"https://prod.vault.azure.net/keys/other/01\"}}", KV_WRONG_KEY, 0,
      0 },
    { "no version", "{\"key\":{\"kid\":\"https://prod.vault.azure.net/keys/kek\"}}", KV_WRONG_KEY, 0, 0 },
    { "no kid", "{\"key\":{\"kid\":7}}", KV_PROTOCOL, 0, 0 },
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_AUTO_JSON struct kv_json *json = NULL;
        struct kv_vault_deleted deleted = { 77, 77 };
        struct kv_error err = { 0 };
        assert_int_equal(kv_json_parse(kv_view_text(rows[i].text), &json, NULL), KV_OK);
        enum kv_status status = kv_codec_read_deleted(json, "kek", &deleted, &err);
        if (status != rows[i].status || (status && !*err.text))
            fail_msg("%s: %s", rows[i].sentence, err.text);
        assert_int_equal(deleted.deleted, status ? 77 : rows[i].deleted);
        assert_int_equal(deleted.purge, status ? 77 : rows[i].purge);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
    return cmocka_run_group_tests_name("vault/deleted", tests, NULL, NULL);
}
