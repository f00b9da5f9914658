/* What an application's kinds send to the directory, seen from the other end. */
#include "../../module/auth/oauth.h"
#include "clock_help.h"

#include "base/encode.h"
#include "base/json.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
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

enum { DAY = 86400 };

#define TOKEN_REPLY "{\"access_token\":\"abc\",\"expires_in\":3599}"
#define REFUSAL                                                                                              \
    "{\"error\":\"invalid_client\",\"error_codes\":[700213],\"error_description\":\"AADSTS700213: planted "  \
    "text\"}"
#define TOKEN_URL "https://login.localhost/tenant-1/oauth2/v2.0/token"

/* {"alg":"none"} . {"appid":"app-1","exp":1800003600} . one, two */
#define FEDERATED  "eyJhbGciOiJub25lIn0.eyJhcHBpZCI6ImFwcC0xIiwiZXhwIjoxODAwMDAzNjAwfQ."
#define JWT_BEARER "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"

static char folder[] = "application-XXXXXX", token_path[64], certificate_path[64];

static void write_token(const char *text, mode_t mode)
{
    FILE *file = fopen(token_path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(token_path, mode), 0);
}

static void write_certificate(void)
{
    FILE *file = fopen(certificate_path, "we");
    EVP_PKEY *key = rsa_key(NULL, 2048, 0);
    X509 *certificate = X509_new();
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    ASN1_TIME_set(X509_getm_notBefore(certificate), NOW - DAY);
    ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)NOW + DAY);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_true(PEM_write_X509(file, certificate));
    assert_true(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
    X509_free(certificate);
    EVP_PKEY_free(key);
    fclose(file);
}

static int set_up(void **state)
{
    fix_clock();
    assert_non_null(mkdtemp(folder));
    snprintf(token_path, sizeof token_path, "%s/token", folder);
    snprintf(certificate_path, sizeof certificate_path, "%s/certificate", folder);
    write_certificate();
    return 0;
}

static int tear_down(void **state)
{
    unlink(token_path);
    unlink(certificate_path);
    return rmdir(folder);
}

/* ---- one request ---- */

static struct {
    const char *refusal;       /* NULL: a token is given */
    char url[256], body[8192]; /* where it was asked, and how; "" : nobody was */
} directory;

enum kv_status __wrap_kv_http_send(struct kv_http *http, const struct kv_http_request *request,
                                   struct kv_deadline deadline, struct kv_http_reply *ret,
                                   struct kv_error *err);

enum kv_status __wrap_kv_http_send(struct kv_http *http, const struct kv_http_request *request,
                                   struct kv_deadline deadline, struct kv_http_reply *ret,
                                   struct kv_error *err)
{
    assert_string_equal(request->method, "POST");
    assert_false(request->link_local);
    assert_null(request->pins); /* a pin is for the vault, not for who gives tokens for it */
    snprintf(directory.url, sizeof directory.url, "%s", request->url);
    snprintf(directory.body, sizeof directory.body, "%.*s", (int)request->body.len,
             (const char *)request->body.data);
    *ret = (struct kv_http_reply){ .status = directory.refusal ? 401 : 200 };
    return kv_bytes_copy(kv_view_text(directory.refusal ? directory.refusal : TOKEN_REPLY), &ret->body);
}

struct asking {
    struct kv_vault_config config;
    const char *claims, *tenant; /* NULL: none; tenant-1 */
    char bearer[16];
    struct kv_error err;
};

static enum kv_status acquire(struct asking *asking)
{
    struct kv_challenge challenge = { "https://login.localhost", "tenant-1",
                                      "https://vault.localhost/.default" };
    struct kv_task task = { kv_deadline_in(&fixed, 60000), "test" };
    struct kv_access_token token = { 0 };
    struct kv_credential_request request = {
        .config = &asking->config, .challenge = &challenge, .task = &task, .claims = asking->claims
    };
    if (asking->tenant)
        kv_text_fit(challenge.tenant, sizeof challenge.tenant, asking->tenant);
    directory.url[0] = directory.body[0] = 0;
    enum kv_status status = kv_credential_of(&asking->config)->acquire(&request, &token, &asking->err);
    snprintf(asking->bearer, sizeof asking->bearer, "%s", token.bearer ? token.bearer : "");
    kv_access_token_free(&token);
    return status;
}

static void succeed(struct asking *asking)
{
    if (acquire(asking) != KV_OK)
        fail_msg("%s", asking->err.text);
    assert_string_equal(asking->bearer, "abc");
    assert_string_equal(directory.url, TOKEN_URL);
}

static struct asking workload(void)
{
    return (struct asking){ .config = { .credential = (char *)"workload-identity",
                                        .client_id = (char *)"a&b",
                                        .federated_token_file = token_path } };
}

/* ---- workload identity ---- */

static void a_federated_token_is_read_each_time(void **state)
{
    struct asking asking = workload();
    write_token(FEDERATED "one\n", 0644);
    succeed(&asking);
    assert_string_equal(directory.body,
                        "grant_type=client_credentials&client_id=a%26b" JWT_BEARER
                        "&client_assertion=" FEDERATED "one&scope=https%3A%2F%2Fvault.localhost%2F.default");
    write_token(FEDERATED "two", 0444);
    succeed(&asking);
    assert_non_null(strstr(directory.body, "&client_assertion=" FEDERATED "two&"));
    unlink(token_path);
    assert_int_equal(acquire(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, token_path));
    assert_string_equal(directory.body, "");
}

static void a_federated_token_is_checked(void **state)
{
    static const struct {
        const char *text;
        mode_t mode;
        const char *word;
    } rows[] = {
        { FEDERATED "one", 0664, "written by others" },
        { FEDERATED "one", 0646, "written by others" },
        { "e30.eyJleHAiOjE4MDAwMDAwMDB9.x", 0644, "has expired" }, /* now */
        { "opaque", 0644, "does not hold a signed token" },
        { FEDERATED "one two", 0644, "does not hold a signed token" },
        { "", 0644, "does not hold a signed token" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct asking asking = workload();
        write_token(rows[i].text, rows[i].mode);
        enum kv_status status = acquire(&asking);
        unlink(token_path);
        if (status != KV_CREDENTIAL || !strstr(asking.err.text, rows[i].word) ||
            !strstr(asking.err.text, token_path) || *directory.body)
            fail_msg("%zu: %d, '%s', '%s'", i, status, asking.err.text, directory.body);
    }
}

static void a_refusal_is_told_with_its_remedy(void **state)
{
    struct asking asking = workload();
    directory.refusal = REFUSAL;
    write_token(FEDERATED "one", 0600);
    enum kv_status status = acquire(&asking);
    directory.refusal = NULL;
    assert_int_equal(status, KV_CREDENTIAL);
    assert_string_equal(asking.err.code, "AADSTS700213");
    assert_int_equal(asking.err.http, 401);
    assert_non_null(strstr(asking.err.text, "no federated credential for this subject"));
    assert_null(strstr(asking.err.text, "planted"));
}

static void a_refusal_tells_who_and_no_secret(void **state)
{
    struct asking asking = { .config = { .credential = (char *)"client-secret",
                                         .client_id = (char *)"app",
                                         .client_secret = (char *)"planted-secret" } };
    directory.refusal = REFUSAL;
    enum kv_status status = acquire(&asking);
    directory.refusal = NULL;
    assert_int_equal(status, KV_CREDENTIAL);
    assert_non_null(strstr(directory.body, "planted-secret"));
    assert_non_null(strstr(asking.err.text, "client 'app'"));
    assert_null(strstr(asking.err.text, "planted"));
}

static void claims_are_asked_for(void **state)
{
    struct asking asking = workload();
    write_token(FEDERATED "one", 0600);
    asking.config.continuous_access = true;
    succeed(&asking);
    assert_non_null(strstr(
        directory.body,
        "&claims=%7B%22access_token%22%3A%7B%22xms_cc%22%3A%7B%22values%22%3A%5B%22cp1%22%5D%7D%7D%7D&"));
    asking.config.continuous_access = false;
    asking.claims = "{\"a\":1}";
    succeed(&asking);
    assert_non_null(strstr(directory.body, "&claims=%7B%22a%22%3A1%7D&"));
}

/* ---- environment and certificate ---- */

static void a_secret_goes_before_a_certificate(void **state)
{
    struct asking asking = { .config = { .credential = (char *)"environment",
                                         .client_id = (char *)"app",
                                         .client_secret = (char *)"se+cret",
                                         .client_certificate = certificate_path } };
    succeed(&asking);
    assert_non_null(strstr(directory.body, "&client_secret=se%2Bcret&"));
    assert_null(strstr(directory.body, "client_assertion"));

    asking.config.client_secret = NULL;
    succeed(&asking);
    assert_null(strstr(directory.body, "client_secret"));
    assert_non_null(strstr(directory.body, JWT_BEARER "&client_assertion=ey"));

    asking.config.client_certificate = NULL;
    assert_int_equal(acquire(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "AZURE_CLIENT_SECRET"));
    asking.config.client_id = NULL;
    assert_int_equal(acquire(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "AZURE_CLIENT_ID"));
    assert_string_equal(directory.body, "");
}

static void the_claims_of(const char *body, struct kv_json **ret)
{
    const char *start = strstr(body, "&client_assertion=");
    start = start ? strchr(start, '.') : NULL;
    assert_non_null(start);
    KV_AUTO_TEXT char *part = kv_text_copy_n(start + 1, strcspn(start + 1, "."));
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    assert_int_equal(kv_decode_base64url(part, &bytes), KV_OK);
    assert_int_equal(kv_json_parse(KV_VIEW(bytes), ret, NULL), KV_OK);
}

/* The directory takes no assertion twice: each is another, for the place where it is sent. */
static void each_assertion_is_another(void **state)
{
    char former[64] = "";
    for (int i = 0; i < 2; i++) {
        struct asking asking = { .config = { .credential = (char *)"client-certificate",
                                             .client_id = (char *)"app",
                                             .client_certificate = certificate_path } };
        KV_AUTO_JSON struct kv_json *claims = NULL;
        succeed(&asking);
        the_claims_of(directory.body, &claims);
        assert_string_equal(kv_json_text(kv_json_get(claims, "aud")), TOKEN_URL);
        assert_string_equal(kv_json_text(kv_json_get(claims, "sub")), "app");
        const char *id = kv_json_text(kv_json_get(claims, "jti"));
        assert_int_equal(strlen(id), 36);
        assert_string_not_equal(id, former);
        snprintf(former, sizeof former, "%s", id);
    }
}

/* ---- AD FS ---- */

static void adfs_is_asked_in_its_own_way(void **state)
{
    struct asking asking = { .config = { .credential = (char *)"client-secret",
                                         .client_id = (char *)"app",
                                         .client_secret = (char *)"word",
                                         .continuous_access = true },
                             .claims = "{\"a\":1}",
                             .tenant = "ADFS" };
    assert_int_equal(acquire(&asking), KV_OK);
    assert_string_equal(directory.url, "https://login.localhost/adfs/oauth2/token");
    assert_string_equal(
        directory.body,
        "grant_type=client_credentials&client_id=app&client_secret=word&resource=https%3A%2F%2F"
        "vault.localhost");

    asking.config.credential = (char *)"client-certificate";
    asking.config.client_certificate = certificate_path;
    assert_int_equal(acquire(&asking), KV_OK);
    const char *assertion = strstr(directory.body, "&client_assertion=");
    assert_non_null(assertion);
    KV_AUTO_TEXT char *head = kv_text_copy_n(assertion + 18, strcspn(assertion + 18, "."));
    KV_AUTO_BYTES struct kv_bytes header = { 0 };
    assert_int_equal(kv_decode_base64url(head, &header), KV_OK);
    assert_non_null(strstr((const char *)header.data, "\"RS256\""));
    assert_non_null(strstr((const char *)header.data, "\"x5t\""));
    KV_AUTO_JSON struct kv_json *claims = NULL;
    the_claims_of(directory.body, &claims);
    assert_string_equal(kv_json_text(kv_json_get(claims, "aud")),
                        "https://login.localhost/adfs/oauth2/token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_federated_token_is_read_each_time),
        cmocka_unit_test(a_federated_token_is_checked),
        cmocka_unit_test(a_refusal_is_told_with_its_remedy),
        cmocka_unit_test(a_refusal_tells_who_and_no_secret),
        cmocka_unit_test(claims_are_asked_for),
        cmocka_unit_test(a_secret_goes_before_a_certificate),
        cmocka_unit_test(each_assertion_is_another),
        cmocka_unit_test(adfs_is_asked_in_its_own_way),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
