#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "../../tools/age/vault_stanza.h"
#include "base/encode.h"

#define KID    "https://prod.vault.azure.net/keys/cmk/71726e24430d1b77f30f835b4a426d23"
#define DIGEST "GFfkJ7K453ahnQ78GqvoADh3fh2ejCq3OANZ2Zk/D90"

static unsigned char body[600];

static void only_well_built_stanzas_are_read(void **state)
{
    static const struct {
        const char *what;
        const char *args[5];
        size_t body;
        enum kv_status status;
        bool ours;
    } rows[] = {
        { "RSA", { "kvp11-rsa-oaep-256", DIGEST, KID }, 256, KV_OK, true },
        { "RSA of 4096 bits", { "kvp11-rsa-oaep-256", DIGEST, KID }, 512, KV_OK, true },
        { "RSA without its place", { "kvp11-rsa-oaep-256", DIGEST }, 384, KV_OK, true },
        { "AES", { "kvp11-aes-kw", DIGEST, KID }, 24, KV_OK, true },
        { "another release's arguments", { "kvp11-rsa-oaep-256", DIGEST, KID, "x" }, 256, KV_BAD_DATA, true },
        { "no digest", { "kvp11-rsa-oaep-256" }, 256, KV_BAD_DATA, true },
        { "a short digest", { "kvp11-rsa-oaep-256", "GFfkJ7K4", KID }, 256, KV_BAD_DATA, true },
        { "padding", { "kvp11-rsa-oaep-256", DIGEST "=", KID }, 256, KV_BAD_DATA, true },
        { "stray bits",
          { "kvp11-rsa-oaep-256", "GFfkJ7K453ahnQ78GqvoADh3fh2ejCq3OANZ2Zk/D91", KID },
          256,
          KV_BAD_DATA,
          true },
        { "a kid without a version",
          { "kvp11-rsa-oaep-256", DIGEST, "https://prod.vault.azure.net/keys/cmk" },
          256,
          KV_BAD_DATA,
          true },
        { "a secret's kid",
          { "kvp11-rsa-oaep-256", DIGEST, "https://prod.vault.azure.net/secrets/cmk/71726e24" },
          256,
          KV_BAD_DATA,
          true },
        { "no kid at all",
          { "kvp11-rsa-oaep-256", DIGEST, "http://prod/keys/cmk/1" },
          256,
          KV_BAD_DATA,
          true },
        { "a body that is too short", { "kvp11-rsa-oaep-256", DIGEST, KID }, 255, KV_BAD_DATA, true },
        { "a body that is too long", { "kvp11-rsa-oaep-256", DIGEST, KID }, 513, KV_BAD_DATA, true },
        { "AES of a longer key", { "kvp11-aes-kw", DIGEST, KID }, 40, KV_BAD_DATA, true },
        { "empty AES", { "kvp11-aes-kw", DIGEST, KID }, 0, KV_BAD_DATA, true },
        { "another type", { "kvp11-rsa-oaep-512", DIGEST, KID }, 256, KV_BAD_DATA, false },
        { "case counts", { "KVP11-aes-kw", DIGEST, KID }, 24, KV_BAD_DATA, false },
        { "X25519", { "X25519", DIGEST }, 32, KV_BAD_DATA, false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza stanza = { 0 };
        struct kv_vault_stanza read = { .kid = "untouched" };
        struct kv_error err = { 0 };
        size_t count = 0;
        while (rows[i].args[count])
            count++;
        assert_int_equal(
            kv_age_stanza_make(rows[i].args, count, (struct kv_view){ body, rows[i].body }, &stanza, NULL),
            KV_OK);
        assert_int_equal(kv_vault_stanza_is(&stanza), rows[i].ours);
        if (kv_vault_stanza_read(&stanza, &read, &err) != rows[i].status)
            fail_msg("%s: %s", rows[i].what, err.text);
        if (rows[i].status == KV_OK)
            assert_string_equal(read.kid, count == 3 ? KID : "");
        else
            assert_string_equal(read.kid, "untouched");
    }
}

static struct kv_version *version_of(enum kv_kind kind)
{
    struct kv_version *version = kv_version_new();
    assert_non_null(version);
    version->kind = kind;
    assert_true(kv_text_fit(version->name, sizeof(version->name), "CMK"));
    assert_true(kv_text_fit(version->version, sizeof(version->version), "71726E24430d1b77f30f835b4a426d23"));
    assert_true(kv_text_fit(version->kid, sizeof(version->kid), KID));
    memset(version->spki_sha256, 0x5a, sizeof(version->spki_sha256));
    return version;
}

static void a_stanza_names_its_version_and_no_other(void **state)
{
    KV_AUTO_VERSION struct kv_version *version = version_of(KV_RSA);
    struct kv_vault_stanza stanza = { 0 }, read = { 0 };
    KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza written = { 0 };
    assert_int_equal(kv_vault_stanza_of(version, &stanza, NULL), KV_OK);
    assert_int_equal(kv_vault_stanza_make(&stanza, (struct kv_view){ body, 256 }, &written, NULL), KV_OK);
    assert_int_equal(written.arg_count, 3);
    assert_string_equal(written.args[0], "kvp11-rsa-oaep-256");
    assert_string_equal(written.args[2], KID);
    assert_int_equal(kv_vault_stanza_read(&written, &read, NULL), KV_OK);
    assert_true(kv_vault_stanza_fits(&read, version));
    /* Moved, renamed, another version id: the key is what counts. */
    assert_true(kv_text_fit(version->name, sizeof(version->name), "other"));
    assert_true(kv_text_fit(version->version, sizeof(version->version), "1"));
    assert_true(kv_text_fit(version->kid, sizeof(version->kid), "https://dr.vault.azure.net/keys/other/1"));
    assert_true(kv_vault_stanza_fits(&read, version));
    version->spki_sha256[31] ^= 1;
    assert_false(kv_vault_stanza_fits(&read, version));
}

/* The rule of CKA_ID: 20 bytes of the digest, over the name in lower case. */
static void a_secret_key_is_its_name(void **state)
{
    KV_AUTO_VERSION struct kv_version *version = version_of(KV_OCT), *ec = version_of(KV_EC);
    struct kv_vault_stanza stanza = { 0 };
    assert_int_equal(kv_version_identify(version), KV_OK);
    assert_int_equal(kv_vault_stanza_of(version, &stanza, NULL), KV_OK);
    assert_memory_equal(stanza.digest, version->id, KV_ID_SIZE);
    assert_true(kv_vault_stanza_fits(&stanza, version));
    assert_true(kv_text_fit(version->name, sizeof(version->name), "cmk"));
    assert_true(kv_vault_stanza_fits(&stanza, version));
    assert_true(kv_text_fit(version->version, sizeof(version->version), "71726E24430d1b77f30f835b4a426d24"));
    assert_false(kv_vault_stanza_fits(&stanza, version));
    assert_int_equal(kv_vault_stanza_of(ec, &stanza, NULL), KV_KEY_TYPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_well_built_stanzas_are_read),
        cmocka_unit_test(a_stanza_names_its_version_and_no_other),
        cmocka_unit_test(a_secret_key_is_its_name),
    };
    return cmocka_run_group_tests_name("tools/age/vault_stanza", tests, NULL, NULL);
}
