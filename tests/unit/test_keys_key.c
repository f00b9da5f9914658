/* Versions: identity, labels, states, what may be done when, URIs. */
#include "mech_help.h"
#include "keys/key.h"

static const char version_id[] = "0123456789abcdef0123456789abcdef";

static struct kv_version *make_version(enum kv_kind kind, bool current)
{
    struct kv_version *version = kv_version_new();
    assert_non_null(version);
    kv_text_fit(version->vault, sizeof version->vault, "prod");
    kv_text_fit(version->name, sizeof version->name, "Backup-KEK");
    kv_text_fit(version->version, sizeof version->version, version_id);
    snprintf(version->kid, sizeof version->kid, "https://prod.vault.azure.net/keys/%s/%s", version->name,
             version_id);
    version->kind = kind;
    version->current = current;
    version->enabled = true;
    return version;
}

/* A fixed P-256 key (SEC 1's generator), so that the identifiers can be computed by other means. */
static const char generator_spki[] = "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
                                     "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                                     "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

static void identity_of_a_public_key(void **state)
{
    KV_AUTO_VERSION struct kv_version *version = make_version(KV_EC, false);
    KV_AUTO_BYTES struct kv_bytes id = { 0 }, sha = { 0 };
    version->spki = from_hex(generator_spki);
    assert_int_equal(kv_version_identify(version), KV_OK);

    struct kv_view point = { version->spki.data + 26, 65 };
    assert_int_equal(kv_digest_once("SHA1", point, &id), KV_OK);
    assert_int_equal(kv_digest_once("SHA2-256", KV_VIEW(version->spki), &sha), KV_OK);
    assert_memory_equal(version->id, id.data, KV_ID_SIZE);
    assert_memory_equal(version->spki_sha256, sha.data, 32);
    assert_string_equal(version->label, "Backup-KEK@0123456789abcdef0123456789abcdef");
}

/* The key's place must not matter: a restored or imported key keeps the URI that a LUKS header holds. */
static void identity_does_not_depend_on_place(void **state)
{
    KV_AUTO_VERSION struct kv_version *here = make_version(KV_EC, true), *there = make_version(KV_EC, true);
    here->spki = from_hex(generator_spki);
    there->spki = from_hex(generator_spki);
    kv_text_fit(there->vault, sizeof there->vault, "other");
    kv_text_fit(there->name, sizeof there->name, "elsewhere");
    kv_text_fit(there->version, sizeof there->version, "ffffffffffffffffffffffffffffffff");
    assert_int_equal(kv_version_identify(here), KV_OK);
    assert_int_equal(kv_version_identify(there), KV_OK);
    assert_memory_equal(here->id, there->id, KV_ID_SIZE);
    assert_string_equal(here->label, "Backup-KEK");
    assert_string_equal(there->label, "elsewhere");
}

static void identity_of_a_secret_key(void **state)
{
    KV_AUTO_VERSION struct kv_version *version = make_version(KV_OCT, true);
    KV_AUTO_BYTES struct kv_bytes sha = { 0 };
    const struct kv_public *none = NULL;
    struct kv_error err = { 0 };
    assert_int_equal(kv_version_identify(version), KV_OK);
    assert_int_equal(
        kv_digest_once("SHA2-256", kv_view_text("backup-kek/0123456789abcdef0123456789abcdef"), &sha), KV_OK);
    assert_memory_equal(version->id, sha.data, KV_ID_SIZE);
    static const unsigned char zero[32];
    assert_memory_equal(version->spki_sha256, zero, 32);
    assert_int_equal(kv_version_public(version, &none, &err), KV_KEY_TYPE);
    assert_non_null(strstr(err.text, "prod/Backup-KEK@"));
}

static void what_is_no_key_has_no_identity(void **state)
{
    KV_AUTO_VERSION struct kv_version *version = make_version(KV_EC, true);
    assert_int_equal(kv_version_identify(version), KV_BAD_DATA);
    version->spki = from_hex("3003020100");
    assert_int_equal(kv_version_identify(version), KV_BAD_DATA);
    assert_string_equal(version->label, "");
}

static void public_key_is_parsed_once(void **state)
{
    KV_AUTO_VERSION struct kv_version *version = make_version(KV_EC, true);
    version->spki = from_hex(generator_spki);
    const struct kv_public *first = NULL, *second = NULL;
    assert_int_equal(kv_version_public(version, &first, NULL), KV_OK);
    assert_int_equal(kv_version_public(version, &second, NULL), KV_OK);
    assert_ptr_equal(first, second);

    KV_AUTO_VERSION struct kv_version *copy = kv_version_copy(version);
    assert_int_equal(kv_version_public(copy, &second, NULL), KV_OK);
    assert_ptr_equal(first, second);
    assert_true(copy->spki.data != version->spki.data);
    assert_bytes(KV_VIEW(copy->spki), KV_VIEW(version->spki));
}

static void references(void **state)
{
    struct kv_version *version = make_version(KV_OCT, true);
    struct kv_version_list list = { 0 };
    for (int i = 0; i < 100; i++)
        assert_int_equal(kv_version_list_add(&list, version), KV_OK);
    kv_version_free(version); /* the list still holds it */
    assert_int_equal(list.count, 100);
    assert_string_equal(list.items[99]->name, "Backup-KEK");
    struct kv_version *kept = kv_version_ref(list.items[0]);
    kv_version_list_free(&list);
    assert_int_equal(list.count, 0);
    assert_string_equal(kept->name, "Backup-KEK");
    kv_version_free(kept);
    kv_version_free(NULL);
    assert_null(kv_version_ref(NULL));
}

static void states(void **state)
{
    static const struct {
        bool enabled;
        int64_t nbf, exp, now;
        enum kv_state state;
    } rows[] = {
        { true, 0, 0, 100, KV_STATE_ENABLED },       { false, 0, 0, 100, KV_STATE_DISABLED },
        { false, 200, 300, 100, KV_STATE_DISABLED }, { true, 101, 0, 100, KV_STATE_NOT_YET_VALID },
        { true, 100, 0, 100, KV_STATE_ENABLED },     { true, 0, 101, 100, KV_STATE_ENABLED },
        { true, 0, 100, 100, KV_STATE_EXPIRED },     { true, 50, 60, 100, KV_STATE_EXPIRED },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(kv_state_of(rows[i].enabled, rows[i].nbf, rows[i].exp, rows[i].now), rows[i].state);
    for (enum kv_state s = KV_STATE_ENABLED; s <= KV_STATE_UNREACHABLE; s++) {
        enum kv_state back = KV_STATE_ENABLED;
        assert_true(kv_state_from_name(kv_state_name(s), &back));
        assert_int_equal(back, s);
    }
    enum kv_state untouched = KV_STATE_PURGED;
    assert_false(kv_state_from_name("Enabled", &untouched));
    assert_int_equal(untouched, KV_STATE_PURGED);
    assert_string_equal(kv_state_name(KV_STATE_NOT_YET_VALID), "not-yet-valid");
}

static void usable(void **state)
{
    static const struct {
        const char *sentence;
        bool enabled;
        int64_t nbf, exp;
        unsigned operation;
        enum kv_status status;
        const char *remedy;
    } rows[] = {
        { "signs", true, 0, 0, KV_OP_SIGN, KV_OK },
        { "disabled does not sign", false, 0, 0, KV_OP_SIGN, KV_DISABLED, "--enabled true" },
        { "disabled does not wrap", false, 0, 0, KV_OP_WRAP, KV_DISABLED, "--enabled true" },
        { "disabled does not decrypt", false, 0, 0, KV_OP_DECRYPT, KV_DISABLED, "--enabled true" },
        { "disabled does not unwrap", false, 0, 0, KV_OP_UNWRAP, KV_DISABLED, "--enabled true" },
        { "disabled verifies", false, 0, 0, KV_OP_VERIFY, KV_OK },
        { "expired does not sign", true, 0, 900, KV_OP_SIGN, KV_NOT_VALID,
          "`kvp11 --vault prod rotate Backup-KEK`" },
        { "expired does not encrypt", true, 0, 900, KV_OP_ENCRYPT, KV_NOT_VALID, "1970-01-01T00:15:00Z" },
        { "expired decrypts", true, 0, 900, KV_OP_DECRYPT, KV_OK },
        { "expired unwraps", true, 0, 900, KV_OP_UNWRAP, KV_OK },
        { "expired verifies", true, 0, 900, KV_OP_VERIFY, KV_OK },
        { "early does not wrap", true, 2000, 0, KV_OP_WRAP, KV_NOT_VALID, "--not-before" },
        { "early unwraps", true, 2000, 0, KV_OP_UNWRAP, KV_OK },
        { "expires this very second", true, 0, 1000, KV_OP_SIGN, KV_NOT_VALID, "--expires" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        KV_AUTO_VERSION struct kv_version *version = make_version(KV_RSA, true);
        struct kv_error err = { 0 };
        version->enabled = rows[i].enabled;
        version->nbf = rows[i].nbf;
        version->exp = rows[i].exp;
        enum kv_status status = kv_version_usable(version, rows[i].operation, 1000, &err);
        if (status != rows[i].status)
            fail_msg("%s: %s", rows[i].sentence, kv_status_name(status));
        if (status == KV_OK)
            continue;
        assert_non_null(strstr(err.text, "prod/Backup-KEK@0123456789abcdef0123456789abcdef"));
        assert_non_null(
            strstr(err.text, "az keyvault key set-attributes --id https://prod.vault.azure.net/keys/"));
        assert_non_null(strstr(err.text, rows[i].remedy));
    }
}

static void uris(void **state)
{
    KV_AUTO_VERSION struct kv_version *version = make_version(KV_RSA, true);
    kv_text_fit(version->vault, sizeof version->vault, "my vault;a=b");
    for (size_t i = 0; i < KV_ID_SIZE; i++)
        version->id[i] = (unsigned char)(i * 13);
    KV_AUTO_TEXT char *pinned = kv_version_uri(version);
    KV_AUTO_TEXT char *current = kv_version_current_uri(version);
    assert_string_equal(pinned,
                        "pkcs11:token=my%20vault%3Ba%3Db;"
                        "id=%00%0D%1A%27%34%41%4E%5B%68%75%82%8F%9C%A9%B6%C3%D0%DD%EA%F7;type=private");
    assert_string_equal(current, "pkcs11:token=my%20vault%3Ba%3Db;object=Backup-KEK;type=private");
    version->kind = KV_OCT;
    KV_AUTO_TEXT char *secret = kv_version_current_uri(version);
    assert_non_null(strstr(secret, ";type=secret-key"));
}

static void key_for_the_mechanism_table(void **state)
{
    KV_AUTO_VERSION struct kv_version *version = make_version(KV_EC, true);
    kv_text_fit(version->curve, sizeof version->curve, "P-384");
    version->bits = 384;
    struct kv_mech_key key = kv_version_mech_key(version);
    assert_int_equal(key.kind, KV_EC);
    assert_int_equal(key.bits, 384);
    assert_string_equal(key.curve, "P-384");
    assert_false(key.session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_of_a_public_key),
        cmocka_unit_test(identity_does_not_depend_on_place),
        cmocka_unit_test(identity_of_a_secret_key),
        cmocka_unit_test(what_is_no_key_has_no_identity),
        cmocka_unit_test(public_key_is_parsed_once),
        cmocka_unit_test(references),
        cmocka_unit_test(states),
        cmocka_unit_test(usable),
        cmocka_unit_test(uris),
        cmocka_unit_test(key_for_the_mechanism_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
