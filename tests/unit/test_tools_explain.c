/* From a state to a sentence and a command; and what a URI names. */
#include "../../tools/explain/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

enum { NOW = 1800000000, DAY = 86400 };

static const struct kv_keyring_deleted there = { true, NOW - DAY, NOW + 6 * DAY + 60 },
                                       nowhere = { false, 0, 0 };

static const struct {
    const char *sentence;
    enum kv_state state;
    bool old, no_unwrap;
    int64_t exp;
    const struct kv_keyring_deleted *deleted;
    enum kv_status asked, status;
    int64_t days_left;
    const char *found, *mend; /* parts; NULL: none */
} rows[] = {
    { "enabled for ever", KV_STATE_ENABLED, false, false, 0, NULL, KV_OK, KV_OK, -1, "never expires", NULL },
    { "expires in days", KV_STATE_ENABLED, false, false, NOW + 3 * DAY + 5, NULL, KV_OK, KV_OK, 3,
      "in 3 days", NULL },
    { "expired and current", KV_STATE_EXPIRED, false, false, NOW - 5, NULL, KV_OK, KV_OK, -1, "expired 20",
      "kvp11 --vault prod rotate kek" },
    { "expired and old", KV_STATE_EXPIRED, true, false, NOW - 5, NULL, KV_OK, KV_OK, -1, "opens old data",
      NULL },
    { "not yet valid", KV_STATE_NOT_YET_VALID, false, false, 0, NULL, KV_OK, KV_OK, -1, "is valid from",
      NULL },
    { "disabled", KV_STATE_DISABLED, false, false, 0, NULL, KV_OK, KV_DISABLED, -1, "is disabled since 20",
      "set-attributes --enabled true --id 'https://h/keys/kek/1'" },
    { "in soft delete", KV_STATE_DELETED, false, false, 0, &there, KV_OK, KV_DISABLED, 6, "in 6 days",
      "kvp11 --vault prod recover kek" },
    { "deleted, not asked", KV_STATE_DELETED, false, false, 0, NULL, KV_OK, KV_DISABLED, -1, "is deleted",
      "recover kek" },
    { "deleted, and nothing there", KV_STATE_DELETED, false, false, 0, &nowhere, KV_OK, KV_DISABLED, -1,
      "is gone with its key", "key-backup restore" },
    { "purged", KV_STATE_PURGED, false, false, 0, &nowhere, KV_OK, KV_NOT_FOUND, -1, "is purged",
      "key-backup restore" },
    { "missing", KV_STATE_MISSING, false, false, 0, &nowhere, KV_OK, KV_NOT_FOUND, -1, "made anew",
      "key-backup restore" },
    { "missing, with its key", KV_STATE_MISSING, false, false, 0, &there, KV_OK, KV_DISABLED, 6,
      "was deleted", "recover kek" },
    { "out of reach", KV_STATE_UNREACHABLE, false, false, 0, NULL, KV_OK, KV_UNREACHABLE, -1,
      "last known as enabled", "kvp11 doctor prod" },
    { "refused", KV_STATE_ENABLED, false, false, 0, NULL, KV_DENIED, KV_DENIED, -1, "for now: because",
      "doctor" },
    { "opens nothing", KV_STATE_ENABLED, false, true, 0, NULL, KV_OK, KV_KEY_OPERATION, -1, "key_ops",
      "--ops" },
};

static void test_verdicts(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_version version = {
            .vault = "prod", .name = "kek", .version = "1", .kid = "https://h/keys/kek/1"
        };
        version.state = rows[i].state;
        version.current = !rows[i].old;
        version.enabled = true;
        version.exp = rows[i].exp;
        version.state_since = NOW - 3 * DAY;
        version.operations = rows[i].no_unwrap ? KV_OP_SIGN : KV_OP_UNWRAP;
        struct kv_verdict_input input = { &version, NOW, true, rows[i].deleted, rows[i].asked, "because" };
        KV_AUTO_VERDICT struct kv_verdict verdict = kv_verdict_of(&input);
        if (verdict.status != rows[i].status || verdict.days_left != rows[i].days_left || !verdict.found ||
            !strstr(verdict.found, rows[i].found) || !verdict.mend != !rows[i].mend ||
            (verdict.mend && !strstr(verdict.mend, rows[i].mend)))
            fail_msg("%s: %s, '%s', '%s', %lld days", rows[i].sentence, kv_status_text(verdict.status),
                     verdict.found, verdict.mend ? verdict.mend : "", (long long)verdict.days_left);
    }
}

#define ID "%00%01%02%03%04%05%06%07%08%09%0a%0B%0c%0d%0e%0f%10%11%12%7e"
static const struct {
    const char *uri, *vault, *name, *version;
    bool has_id;
    enum kv_status status;
} uris[] = {
    { "pkcs11:token=prod;object=kek;type=private", "prod", "kek", "", false, KV_OK },
    { "pkcs11:object=kek%40abc01", "", "kek", "abc01", false, KV_OK },
    { "pkcs11:object=kek@abc01?module-path=/x;object=no", "", "kek", "abc01", false, KV_OK },
    { "pkcs11:type=private;id=" ID, "", "", "", true, KV_OK },
    { "pkcs11:id=%0", "", "", "", false, KV_ARGUMENTS },
    { "pkcs11:id=%01", "", "", "", false, KV_ARGUMENTS },
    { "pkcs11:id=" ID "%00", "", "", "", false, KV_ARGUMENTS },
    { "pkcs11:object=ke%00k", "", "", "", false, KV_ARGUMENTS },
    { "pkcs11:object", "", "", "", false, KV_ARGUMENTS },
    { "pkcs11:token=prod", "", "", "", false, KV_ARGUMENTS },
    { "pkcs11:", "", "", "", false, KV_ARGUMENTS },
};

static void test_uris(void **state)
{
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        struct kv_subject_part part = { 0 };
        struct kv_error err = { 0 };
        enum kv_status status = kv_subject_read_uri(uris[i].uri, &part, &err);
        if (status != uris[i].status || (status && !*err.text))
            fail_msg("%s: %s %s", uris[i].uri, kv_status_text(status), err.text);
        assert_string_equal(part.vault, uris[i].vault);
        assert_string_equal(part.name, uris[i].name);
        assert_string_equal(part.version, uris[i].version);
        assert_int_equal(part.has_id, uris[i].has_id);
        if (part.has_id)
            assert_true(part.id[1] == 1 && part.id[10] == 10 && part.id[11] == 11 && part.id[19] == 0x7e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_verdicts), cmocka_unit_test(test_uris) };
    return cmocka_run_group_tests_name("tools/explain", tests, NULL, NULL);
}
