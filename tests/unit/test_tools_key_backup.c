/* What stands beside a backup of a key: written and read again, and what is refused. */
#include "../../tools/key_backup/key_backup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void filled(struct kv_key_backup *backup)
{
    *backup = (struct kv_key_backup){
        .vault = "prod", .url = "https://prod.vault.azure.net", .name = "kek", .taken = 1769860800
    };
    backup->versions = calloc(2, sizeof(*backup->versions));
    assert_non_null(backup->versions);
    memcpy(backup->versions[0].version, "a1", 3);
    memcpy(backup->versions[1].version, "B2", 3);
    memset(backup->versions[1].spki_sha256, 0xab, 32);
    backup->count = 2;
}

static void test_round_trip(void **state)
{
    static const unsigned char digest[32] = { 1, 2, 3 };
    KV_AUTO_KEY_BACKUP struct kv_key_backup backup = { 0 }, read = { 0 };
    KV_AUTO_BYTES struct kv_bytes told = { 0 };
    struct kv_error err = { 0 };
    filled(&backup);
    KV_AUTO_TEXT char *text = kv_key_backup_describe(&backup, (struct kv_view){ digest, 32 });
    assert_non_null(text);
    if (kv_key_backup_parse(kv_view_text(text), &read, &told, &err))
        fail_msg("%s", err.text);
    assert_true(read.is_described && read.taken == 1769860800 && !read.subscription[0] && read.count == 2);
    assert_memory_equal(told.data, digest, 32);
    const struct kv_key_backup_version *found = kv_key_backup_find(&read, "b2");
    assert_true(found && found->spki_sha256[31] == 0xab && !kv_key_backup_find(&read, "c3"));
}

/* Any member that is missing makes it useless. */
static void test_missing_members(void **state)
{
    static const char *const members[] = { "\"type\"",     "\"format\"",      "\"vault\"",      "\"url\"",
                                           "\"name\"",     "\"managed_hsm\"", "\"taken\"",      "\"sha256\"",
                                           "\"versions\"", "\"version\"",     "\"spki_sha256\"" };
    static const unsigned char digest[32] = { 0 };
    KV_AUTO_KEY_BACKUP struct kv_key_backup backup = { 0 };
    filled(&backup);
    KV_AUTO_TEXT char *text = kv_key_backup_describe(&backup, (struct kv_view){ digest, 32 });
    assert_non_null(text);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        KV_AUTO_KEY_BACKUP struct kv_key_backup read = { 0 };
        KV_AUTO_BYTES struct kv_bytes told = { 0 };
        struct kv_error err = { 0 };
        KV_AUTO_TEXT char *without = kv_text_copy(text);
        char *at = strstr(without, members[i]);
        assert_non_null(at);
        at[1] = '_';
        if (kv_key_backup_parse(kv_view_text(without), &read, &told, &err) != KV_BAD_DATA || !*err.text)
            fail_msg("without %s it is taken", members[i]);
    }
}

static void test_strangers(void **state)
{
    static const char *const texts[] = { "", "[]", "{}", "{\"type\":\"kvmap\",\"format\":1}",
                                         "{\"type\":\"key-backup\",\"format\":\"1\"}" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        KV_AUTO_KEY_BACKUP struct kv_key_backup read = { 0 };
        KV_AUTO_BYTES struct kv_bytes told = { 0 };
        assert_int_equal(kv_key_backup_parse(kv_view_text(texts[i]), &read, &told, NULL), KV_BAD_DATA);
    }
    KV_AUTO_KEY_BACKUP struct kv_key_backup read = { 0 };
    KV_AUTO_BYTES struct kv_bytes told = { 0 };
    assert_int_equal(
        kv_key_backup_parse(kv_view_text("{\"type\":\"key-backup\",\"format\":2}"), &read, &told, NULL),
        KV_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_round_trip),
                                        cmocka_unit_test(test_missing_members),
                                        cmocka_unit_test(test_strangers) };
    return cmocka_run_group_tests_name("tools/key_backup", tests, NULL, NULL);
}
