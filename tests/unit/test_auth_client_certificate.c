#include "../../module/auth/jwt.h"
#include "../../module/auth/oauth_client.h"
#include "../../module/auth/pkcs11_uri.h"
#include "../../module/auth/pss.h"

#include "base/encode.h"
#include "base/json.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "../common/rsa_keys.h"

enum { NOW = 1800000000, DAY = 86400 };

static EVP_PKEY *own_key, *other_key;
static char folder[] = "client-certificate-XXXXXX";

static char *path_of(const char *name)
{
    static char path[2][128];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static X509 *certify(EVP_PKEY *key, time_t from, time_t to)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    ASN1_TIME_set(X509_getm_notBefore(certificate), from);
    ASN1_TIME_set(X509_getm_notAfter(certificate), to);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"client", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

/* Certificate of `of` and private key `key`, each where it is given. */
static void write_pem(const char *name, EVP_PKEY *of, EVP_PKEY *key, time_t from, time_t to)
{
    FILE *file = fopen(path_of(name), "we");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    X509 *certificate = of ? certify(of, from, to) : NULL;
    if (certificate)
        assert_true(PEM_write_X509(file, certificate));
    if (key)
        assert_true(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
    X509_free(certificate);
    fclose(file);
}

static void write_pkcs12(const char *name, const char *password)
{
    X509 *certificate = certify(own_key, NOW - DAY, NOW + DAY);
    PKCS12 *whole = PKCS12_create(password, "client", own_key, certificate, NULL, 0, 0, 1, 1, 0);
    FILE *file = fopen(path_of(name), "we");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_true(i2d_PKCS12_fp(file, whole));
    fclose(file);
    PKCS12_free(whole);
    X509_free(certificate);
}

static void write_locked(const char *name, const char *password)
{
    FILE *file = fopen(path_of(name), "we");
    X509 *certificate = certify(own_key, NOW - DAY, NOW + DAY);
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_true(PEM_write_X509(file, certificate));
    assert_true(PEM_write_PKCS8PrivateKey(file, own_key, EVP_aes_256_cbc(), password, (int)strlen(password),
                                          NULL, NULL));
    X509_free(certificate);
    fclose(file);
}

static int set_up(void **state)
{
    own_key = rsa_key(NULL, 2048, 0);
    other_key = rsa_key(NULL, 2048, 1);
    assert_non_null(mkdtemp(folder));
    write_pem("good", own_key, own_key, NOW - DAY, NOW + DAY);
    write_pem("open", own_key, own_key, NOW - DAY, NOW + DAY);
    assert_int_equal(chmod(path_of("open"), 0644), 0);
    write_pem("public", own_key, NULL, NOW - DAY, NOW + DAY);
    assert_int_equal(chmod(path_of("public"), 0644), 0);
    write_pem("expired", own_key, own_key, NOW - 2 * DAY, NOW - DAY);
    write_pem("early", own_key, own_key, NOW + DAY, NOW + 2 * DAY);
    write_pem("mixed", own_key, other_key, NOW - DAY, NOW + DAY);
    write_pem("key", NULL, own_key, 0, 0);
    write_pkcs12("p12", "planted-word");
    write_pkcs12("empty", "");
    write_locked("locked", "planted-word");
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = { "good",  "open", "public", "expired", "early",
                                         "mixed", "key",  "p12",    "empty",   "locked" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_of(names[i]));
    rmdir(folder);
    EVP_PKEY_free(own_key);
    EVP_PKEY_free(other_key);
    return 0;
}

static void files_are_checked(void **state)
{
    static const struct {
        const char *sentence, *certificate, *key, *password, *word; /* word NULL: it opens */
    } rows[] = {
        { "certificate and key in one file", "good", NULL, NULL, NULL },
        { "a certificate for all to read, its key apart", "public", "key", NULL, NULL },
        { "PKCS#12", "p12", NULL, "planted-word", NULL },
        { "a wrong password", "p12", NULL, "planted-error", "correct it" },
        { "no password", "p12", NULL, NULL, "`client_certificate_password_file`" },
        { "a key that others can read", "open", NULL, NULL, "chmod" },
        { "no key", "public", NULL, NULL, "`client_key`" },
        { "no certificate", "key", NULL, NULL, "holds no certificate" },
        { "another's key", "mixed", NULL, NULL, "is not that of the certificate" },
        { "expired", "expired", NULL, NULL, "expired at 2027-01-14T08:00:00Z" },
        { "not valid yet", "early", NULL, NULL, "is not valid before 2027-01-16T08:00:00Z" },
        { "not there", "none", NULL, NULL, "No such file" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char certificate[128], key[128] = "";
        snprintf(certificate, sizeof certificate, "%s", path_of(rows[i].certificate));
        if (rows[i].key)
            snprintf(key, sizeof key, "%s", path_of(rows[i].key));
        struct kv_vault_config config = { .client_certificate = certificate,
                                          .client_key = *key ? key : NULL,
                                          .client_certificate_password = (char *)rows[i].password };
        KV_AUTO_CLIENT_KEY struct kv_client_key *opened = NULL;
        struct kv_error err = { 0 };
        enum kv_status status = kv_client_key_open(&config, NOW, &opened, &err);
        if (status != (rows[i].word ? KV_CREDENTIAL : KV_OK) ||
            (rows[i].word && !strstr(err.text, rows[i].word)) || strstr(err.text, "planted"))
            fail_msg("%s: %d, '%s'", rows[i].sentence, status, err.text);
    }
}

/* Also of one that has ended, which is what somebody wants to be told. */
static void its_end_is_told(void **state)
{
    static const struct {
        const char *certificate, *key, *password;
        int64_t end; /* 0: it cannot be told */
    } rows[] = {
        { "good", NULL, NULL, NOW + DAY },
        { "expired", NULL, NULL, NOW - DAY },
        { "early", NULL, NULL, NOW + 2 * DAY },
        { "public", "key", NULL, NOW + DAY },
        { "p12", NULL, "planted-word", NOW + DAY },
        { "p12", NULL, NULL, 0 },
        { "none", NULL, NULL, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char certificate[128], key[128] = "";
        snprintf(certificate, sizeof certificate, "%s", path_of(rows[i].certificate));
        if (rows[i].key)
            snprintf(key, sizeof key, "%s", path_of(rows[i].key));
        struct kv_vault_config config = { .credential = (char *)"client-certificate",
                                          .client_id = (char *)"id",
                                          .client_certificate = certificate,
                                          .client_key = *key ? key : NULL,
                                          .client_certificate_password = (char *)rows[i].password };
        struct kv_credential_end end = { "", 0 };
        enum kv_status status = kv_credential_ends(&config, &end, NULL);
        assert_int_equal(status, rows[i].end ? KV_OK : KV_CREDENTIAL);
        assert_int_equal(end.at, rows[i].end);
    }
}

/* `pin = pkcs12-password`: whoever guesses is told so, and a file that would open for any PIN proves none. */
static void a_pin_is_proved_by_the_file(void **state)
{
    static const struct {
        const char *sentence, *certificate, *key, *password;
        const char *code, *word; /* word NULL: it opens */
    } rows[] = {
        { "PKCS#12, right", "p12", NULL, "planted-word", "", NULL },
        { "PKCS#12, wrong", "p12", NULL, "planted-error", KV_CREDENTIAL_WRONG_SECRET, "correct it" },
        { "PKCS#12 without a password", "empty", NULL, "planted-word", KV_CREDENTIAL_WRONG_SECRET,
          "correct it" },
        { "PEM, right", "locked", NULL, "planted-word", "", NULL },
        { "PEM, wrong", "locked", NULL, "planted-error", KV_CREDENTIAL_WRONG_SECRET, "correct it" },
        { "PEM that is open", "good", NULL, "planted-word", "", "any PIN would be right" },
        { "a key apart that is open", "public", "key", "planted-word", "", "any PIN would be right" },
        { "a key apart that is locked", "public", "locked", "planted-word", "", NULL },
        { "the certificate's file locked, its key open", "p12", "key", "planted-word", "", NULL },
        { "a key in another module", "public", "pkcs11:object=k", "planted-word", "",
          "any PIN would be right" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool uri = rows[i].key && strchr(rows[i].key, ':');
        char certificate[128], key[128] = "";
        snprintf(certificate, sizeof certificate, "%s", path_of(rows[i].certificate));
        if (rows[i].key)
            snprintf(key, sizeof key, "%s", uri ? rows[i].key : path_of(rows[i].key));
        struct kv_vault_config config = { .client_certificate = certificate,
                                          .client_key = *key ? key : NULL,
                                          .pin = KV_PIN_PKCS12_PASSWORD,
                                          .client_certificate_password = (char *)rows[i].password };
        KV_AUTO_CLIENT_KEY struct kv_client_key *opened = NULL;
        struct kv_error err = { 0 };
        enum kv_status status = kv_client_key_open(&config, NOW, &opened, &err);
        if (status != (rows[i].word ? KV_CREDENTIAL : KV_OK) || strcmp(err.code, rows[i].code) != 0 ||
            (rows[i].word && !strstr(err.text, rows[i].word)) || strstr(err.text, "planted"))
            fail_msg("%s: %d, '%s' '%s'", rows[i].sentence, status, err.code, err.text);
    }
}

static struct kv_json *decoded(const char *from, size_t len)
{
    KV_AUTO_TEXT char *text = kv_text_copy_n(from, len);
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    struct kv_json *json = NULL;
    assert_int_equal(kv_decode_base64url(text, &bytes), KV_OK);
    assert_int_equal(kv_json_parse(KV_VIEW(bytes), &json, NULL), KV_OK);
    return json;
}

/* By the test's own use of OpenSSL, with the key that was never in the file. */
static void check_signature(const char *jwt, const char *end, bool pss)
{
    KV_AUTO_BYTES struct kv_bytes signature = { 0 };
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *detail = NULL;
    assert_int_equal(kv_decode_base64url(end + 1, &signature), KV_OK);
    assert_int_equal(EVP_DigestVerifyInit(context, &detail, EVP_sha256(), NULL, own_key), 1);
    if (pss) {
        EVP_PKEY_CTX_set_rsa_padding(detail, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(detail, 32);
    }
    assert_int_equal(EVP_DigestVerify(context, signature.data, signature.len, (const unsigned char *)jwt,
                                      (size_t)(end - jwt)),
                     1);
    EVP_MD_CTX_free(context);
}

static void check_thumbprint(const struct kv_json *header, const char *name, const EVP_MD *md)
{
    X509 *certificate = NULL;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;
    FILE *file = fopen(path_of("good"), "re");
    certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    X509_digest(certificate, md, digest, &len);
    KV_AUTO_TEXT char *wanted = kv_encode_base64url((struct kv_view){ digest, len });
    assert_string_equal(kv_json_text(kv_json_get(header, name)), wanted);
    X509_free(certificate);
}

static void an_assertion_says_what_it_should(void **state)
{
    for (int algorithm = KV_ASSERTION_PS256; algorithm <= KV_ASSERTION_RS256; algorithm++) {
        bool pss = algorithm == KV_ASSERTION_PS256;
        struct kv_vault_config config = { .client_certificate = path_of("good") };
        KV_AUTO_CLIENT_KEY struct kv_client_key *key = NULL;
        KV_AUTO_TEXT char *jwt = NULL;
        assert_int_equal(kv_client_key_open(&config, NOW, &key, NULL), KV_OK);
        struct kv_jwt wanted = { key, algorithm, pss, "https://login/t/token", "app-1", NOW };
        assert_int_equal(kv_jwt_make(&wanted, &jwt, NULL), KV_OK);
        const char *first = strchr(jwt, '.'), *second = strchr(first + 1, '.');
        KV_AUTO_JSON struct kv_json *header = decoded(jwt, (size_t)(first - jwt));
        KV_AUTO_JSON struct kv_json *claims = decoded(first + 1, (size_t)(second - first - 1));
        int64_t number;
        assert_string_equal(kv_json_text(kv_json_get(header, "alg")), pss ? "PS256" : "RS256");
        assert_string_equal(kv_json_text(kv_json_get(header, "typ")), "JWT");
        check_thumbprint(header, pss ? "x5t#S256" : "x5t", pss ? EVP_sha256() : EVP_sha1());
        assert_null(kv_json_get(header, pss ? "x5t" : "x5t#S256"));
        assert_int_equal(kv_json_count(kv_json_get(header, "x5c")), pss);
        assert_string_equal(kv_json_text(kv_json_get(claims, "aud")), "https://login/t/token");
        assert_string_equal(kv_json_text(kv_json_get(claims, "iss")), "app-1");
        assert_string_equal(kv_json_text(kv_json_get(claims, "sub")), "app-1");
        assert_int_equal(strlen(kv_json_text(kv_json_get(claims, "jti"))), 36);
        assert_true(kv_json_int(kv_json_get(claims, "nbf"), &number) && number == NOW);
        assert_true(kv_json_int(kv_json_get(claims, "exp"), &number) && number == NOW + 600);
        check_signature(jwt, second, pss);
    }
}

/* What a token without PSS gets to sign is what OpenSSL takes for PSS: for moduli that end within a byte, too. */
static void padding_is_pss(void **state)
{
    static const int sizes[] = { 2048, 1031, 1033, 1025 };
    const unsigned char digest[32] = { 1, 2, 3 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        KV_AUTO_BYTES struct kv_bytes block = { 0 };
        unsigned char signature[512];
        size_t len = sizeof signature;
        EVP_PKEY *key = sizes[i] == 2048 ? EVP_PKEY_dup(own_key) : EVP_RSA_gen((unsigned)sizes[i]);
        EVP_PKEY_CTX *raw = EVP_PKEY_CTX_new(key, NULL), *check = EVP_PKEY_CTX_new(key, NULL);
        assert_int_equal(kv_pss_encode(digest, sizes[i], &block), KV_OK);
        assert_int_equal(EVP_PKEY_sign_init(raw), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(raw, RSA_NO_PADDING), 1);
        assert_int_equal(EVP_PKEY_sign(raw, signature, &len, block.data, block.len), 1);
        assert_int_equal(EVP_PKEY_verify_init(check), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(check, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_signature_md(check, EVP_sha256()), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(check, 32), 1);
        if (EVP_PKEY_verify(check, signature, len, digest, sizeof digest) != 1)
            fail_msg("%d bits", sizes[i]);
        EVP_PKEY_CTX_free(raw);
        EVP_PKEY_CTX_free(check);
        EVP_PKEY_free(key);
    }
}

static void uris_are_read(void **state)
{
    static const struct {
        const char *text, *word; /* word NULL: it is taken */
    } rows[] = {
        { "pkcs11:token=a%20b;object=k;type=private", NULL },
        { "pkcs11:id=%0a%0B?module-path=/m.so&pin-source=file:/pin", NULL },
        { "pkcs11:token=a", "object= or id=" },
        { "pkcs11:object=k;type=public", "type=private" },
        { "pkcs11:object=k?pin-value=1", "a PIN never stands" },
        { "pkcs11:object=k?module-name=m", "module-path" },
        { "pkcs11:object=k;object=l", "'object'" },
        { "pkcs11:object=k;colour=red", "'colour'" },
        { "pkcs11:object=%4", "'object'" },
        { "pkcs11:object=%zz", "'object'" },
        { "pkcs11:object=a%00b", "'object'" },
        { "pkcs11:object", "'object'" },
        { "/key.pem", "no URI" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        KV_CLEANUP(kv_pkcs11_uri_free) struct kv_pkcs11_uri uri = { 0 };
        struct kv_error err = { 0 };
        enum kv_status status = kv_pkcs11_uri_parse(rows[i].text, &uri, &err);
        if (status != (rows[i].word ? KV_CREDENTIAL : KV_OK) ||
            (rows[i].word && !strstr(err.text, rows[i].word)))
            fail_msg("%s: %d, '%s'", rows[i].text, status, err.text);
        if (i == 0)
            assert_string_equal(uri.token, "a b");
        if (i == 1)
            assert_true(uri.id.len == 2 && uri.id.data[0] == 10 && uri.id.data[1] == 11);
    }
}

static void claims_are_merged(void **state)
{
    static const struct {
        const char *demanded;
        bool capable;
        const char *wanted;
    } rows[] = {
        { NULL, false, "" },
        { NULL, true, "{\"access_token\":{\"xms_cc\":{\"values\":[\"cp1\"]}}}" },
        { "{\"access_token\":{\"nbf\":1}}", false, "{\"access_token\":{\"nbf\":1}}" },
        { "{\"access_token\":{\"nbf\":1}}", true,
          "{\"access_token\":{\"nbf\":1,\"xms_cc\":{\"values\":[\"cp1\"]}}}" },
        { "{\"a\":1,\"access_token\":7}", true,
          "{\"a\":1,\"access_token\":{\"xms_cc\":{\"values\":[\"cp1\"]}}}" },
        { "{\"access_token\":{\"xms_cc\":3}}", true,
          "{\"access_token\":{\"xms_cc\":{\"values\":[\"cp1\"]}}}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        KV_AUTO_TEXT char *text = kv_oauth_claims_parameter(rows[i].demanded, rows[i].capable);
        assert_string_equal(text, rows[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_checked),
        cmocka_unit_test(its_end_is_told),
        cmocka_unit_test(an_assertion_says_what_it_should),
        cmocka_unit_test(padding_is_pss),
        cmocka_unit_test(uris_are_read),
        cmocka_unit_test(claims_are_merged),
        cmocka_unit_test(a_pin_is_proved_by_the_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
