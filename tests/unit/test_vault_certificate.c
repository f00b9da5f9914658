/* The bundle of a certificate as Key Vault sends it (contract §12.1). */
#include "../../module/vault/vault_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define VERSION "0123456789abcdef0123456789abcdef"
#define HOST    "https://prod.vault.azure.net"
#define ID      "\"id\":\"" HOST "/certificates/tls/" VERSION "\""
#define KID     "\"kid\":\"" HOST "/keys/tls/" VERSION "\""
#define SID     "\"sid\":\"" HOST "/secrets/tls/" VERSION "\""
#define X5T     "\"x5t\":\"AAECAwQFBgcICQoLDA0ODxAREhM\""
#define CER     "\"cer\":\"MAA/+Q==\""
#define REST    "\"attributes\":{\"enabled\":true,\"new\":1},\"tags\":{},\"policy\":{\"id\":7}"

static const struct {
    const char *sentence, *text;
    enum kv_status status;
} rows[] = {
    { "everything", "{" ID "," KID "," SID "," X5T "," CER "," REST "}", KV_OK },
    { "without a secret", "{" ID "," KID "," X5T "," CER "}", KV_OK },
    { "another case of the name",
      "{\"id\":\"" HOST "/Certificates/TLS/" VERSION "\"," KID "," X5T "," CER "}", KV_OK },
    { "no id", "{" KID "," X5T "," CER "}", KV_PROTOCOL },
    { "no kid", "{" ID "," X5T "," CER "}", KV_PROTOCOL },
    { "an id that is a number", "{\"id\":1," KID "," X5T "," CER "}", KV_PROTOCOL },
    { "the id of a key", "{\"id\":\"" HOST "/keys/tls/" VERSION "\"," KID "," X5T "," CER "}", KV_PROTOCOL },
    { "another name in the id",
      "{\"id\":\"" HOST "/certificates/other/" VERSION "\"," KID "," X5T "," CER "}", KV_WRONG_KEY },
    { "another version in the kid",
      "{" ID ",\"kid\":\"" HOST "/keys/tls/ffffffffffffffffffffffffffffffff\"," X5T "," CER "}",
      KV_WRONG_KEY },
    { "no version in the kid", "{" ID ",\"kid\":\"" HOST "/keys/tls\"," X5T "," CER "}", KV_WRONG_KEY },
    { "another secret", "{" ID "," KID ",\"sid\":\"" HOST "/secrets/tls/0\"," X5T "," CER "}", KV_WRONG_KEY },
    { "null counts as absent", "{" ID "," KID ",\"sid\":null," X5T "," CER "}", KV_OK },
    { "no thumbprint", "{" ID "," KID "," CER "}", KV_PROTOCOL },
    { "a short thumbprint", "{" ID "," KID ",\"x5t\":\"AAEC\"," CER "}", KV_PROTOCOL },
    { "a thumbprint of SHA-256",
      "{" ID "," KID ",\"x5t\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"," CER "}", KV_PROTOCOL },
    { "no certificate", "{" ID "," KID "," X5T "}", KV_PROTOCOL },
    { "an empty certificate", "{" ID "," KID "," X5T ",\"cer\":\"\"}", KV_PROTOCOL },
    { "base64url in the certificate", "{" ID "," KID "," X5T ",\"cer\":\"MAA_-Q==\"}", KV_PROTOCOL },
    { "no padding", "{" ID "," KID "," X5T ",\"cer\":\"MAA/+Q\"}", KV_PROTOCOL },
};

static enum kv_status read_text(const char *text, struct kv_vault_certificate *ret)
{
    KV_AUTO_JSON struct kv_json *json = NULL;
    assert_int_equal(kv_json_parse(kv_view_text(text), &json, NULL), KV_OK);
    struct kv_error err = { 0 };
    enum kv_status status = kv_codec_read_certificate(json, "tls", VERSION, ret, &err);
    assert_true(status == KV_OK || *err.text);
    return status;
}

static void every_member_is_checked(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        KV_CLEANUP(kv_vault_certificate_free) struct kv_vault_certificate certificate = { 0 };
        enum kv_status status = read_text(rows[i].text, &certificate);
        if (status != rows[i].status)
            fail_msg("%s: %s", rows[i].sentence, kv_status_name(status));
        if (status != KV_OK) {
            assert_int_equal(certificate.der.len, 0);
            continue;
        }
        assert_int_equal(certificate.der.len, 4);
        assert_memory_equal(certificate.der.data, "\x30\x00\x3f\xf9", 4);
        for (int k = 0; k < 20; k++)
            assert_int_equal(certificate.x5t[k], k);
    }
}

static void the_size_is_bounded(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    KV_CLEANUP(kv_vault_certificate_free) struct kv_vault_certificate certificate = { 0 };
    assert_int_equal(kv_buffer_format(&text, "{" ID "," KID "," X5T ",\"cer\":\""), KV_OK);
    for (int i = 0; i < 65540 / 3 + 1; i++)
        assert_int_equal(kv_buffer_format(&text, "AAAA"), KV_OK);
    assert_int_equal(kv_buffer_format(&text, "\"}"), KV_OK);
    assert_int_equal(read_text((const char *)text.bytes.data, &certificate), KV_PROTOCOL);
}

/* Before anything is sent: neither a certificate without a version nor any of a Managed HSM. */
static void nothing_is_sent_in_vain(void **state)
{
    struct kv_vault_config config = { .name = "hsm",
                                      .url = "https://h.managedhsm.azure.net",
                                      .managed_hsm = true };
    const struct kv_vault_parts parts = { .config = &config, .clock = &kv_clock_system };
    struct kv_vault_certificate certificate = { 0 };
    struct kv_vault *vault = NULL;
    struct kv_error err = { 0 };
    assert_int_equal(kv_vault_open(&parts, &vault, NULL), KV_OK);
    assert_int_equal(kv_vault_get_certificate(vault, "tls", VERSION, NULL, &certificate, &err), KV_NOT_FOUND);
    assert_non_null(strstr(err.text, "Managed HSM"));
    assert_int_equal(kv_vault_get_certificate(vault, "tls", NULL, NULL, &certificate, &err), KV_ARGUMENTS);
    assert_int_equal(kv_vault_get_certificate(vault, "t/s", VERSION, NULL, &certificate, &err), KV_ARGUMENTS);
    kv_vault_free(vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_member_is_checked),
                                        cmocka_unit_test(the_size_is_bounded),
                                        cmocka_unit_test(nothing_is_sent_in_vain) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
