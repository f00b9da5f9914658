#include "auth/challenge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define LOGIN   "https://login.microsoftonline.com"
#define TENANT  "72f988bf-86f1-41af-91ab-2d7cd011db47"
#define VAULT   "https://vault.azure.net"
#define DEFAULT VAULT "/.default"

struct parse_row {
    const char *name;
    const char *lines[3];
    const char *authority; /* NULL: not understood */
    const char *tenant, *scope;
};

static const struct parse_row parse_rows[] = {
    { "as a vault sends it",
      { "Bearer authorization=\"" LOGIN "/" TENANT "\", resource=\"" VAULT "\"" },
      LOGIN,
      TENANT,
      DEFAULT },
    { "a Managed HSM's",
      { "Bearer authorization=\"" LOGIN "/" TENANT "\", resource=\"https://managedhsm.azure.net\"" },
      LOGIN,
      TENANT,
      "https://managedhsm.azure.net/.default" },
    { "authorization_uri",
      { "Bearer authorization_uri=\"" LOGIN "/t\", resource=\"" VAULT "\"" },
      LOGIN,
      "t",
      DEFAULT },
    { "separated by a space",
      { "Bearer authorization=\"" LOGIN "/t\" resource=\"" VAULT "\"" },
      LOGIN,
      "t",
      DEFAULT },
    { "no quotes", { "Bearer authorization=" LOGIN "/t,resource=" VAULT }, LOGIN, "t", DEFAULT },
    { "spaces around =",
      { "Bearer authorization = \"" LOGIN "/t\" ,  resource = \"" VAULT "\"" },
      LOGIN,
      "t",
      DEFAULT },
    { "any case", { "BEARER Authorization=\"" LOGIN "/t\", RESOURCE=\"" VAULT "\"" }, LOGIN, "t", DEFAULT },
    { "one slash behind the resource is trimmed",
      { "Bearer authorization=\"" LOGIN "/t\", resource=\"" VAULT "/\"" },
      LOGIN,
      "t",
      DEFAULT },
    { "a path behind the tenant",
      { "Bearer authorization=\"" LOGIN "/t/oauth2\", resource=\"" VAULT "\"" },
      LOGIN,
      "t",
      DEFAULT },
    { "scope wins over resource",
      { "Bearer authorization=\"" LOGIN "/t\", resource=\"https://x.y\", scope=\"" DEFAULT "\"" },
      LOGIN,
      "t",
      DEFAULT },
    { "scope alone", { "Bearer authorization=\"" LOGIN "/t\", scope=\"" DEFAULT "\"" }, LOGIN, "t", DEFAULT },
    { "with a port",
      { "Bearer authorization=\"https://login.localhost:8443/t\", resource=\"https://vault.localhost\"" },
      "https://login.localhost:8443",
      "t",
      "https://vault.localhost/.default" },
    { "dSTS: the tenant is the second segment",
      { "Bearer authorization=\"https://dsts.example/dstsv2/ten-ant\", resource=\"" VAULT "\"" },
      "https://dsts.example/dstsv2",
      "ten-ant",
      DEFAULT },
    { "behind a PoP challenge",
      { "PoP authorization=\"https://pop.example/p\", resource=\"https://p.example\", Bearer "
        "authorization=\"" LOGIN "/t\", resource=\"" VAULT "\"" },
      LOGIN,
      "t",
      DEFAULT },
    { "before a PoP challenge",
      { "Bearer authorization=\"" LOGIN "/t\", resource=\"" VAULT
        "\", PoP authorization=\"https://pop.example/p\", resource=\"https://p.example\"" },
      LOGIN,
      "t",
      DEFAULT },
    { "on the second line",
      { "Basic realm=\"x\"", "Bearer authorization=\"" LOGIN "/t\", resource=\"" VAULT "\"" },
      LOGIN,
      "t",
      DEFAULT },
    { "further parameters",
      { "Bearer realm=\"a, b\", error=\"invalid_token\", authorization=\"" LOGIN "/t\", resource=\"" VAULT
        "\"" },
      LOGIN,
      "t",
      DEFAULT },
    { "a quoted comma is no separator",
      { "Bearer realm=\"Bearer authorization=https://evil.example/t, resource=https://evil.example\", "
        "authorization=\"" LOGIN "/t\", resource=\"" VAULT "\"" },
      LOGIN,
      "t",
      DEFAULT },
    { "nothing at all", { NULL }, NULL, NULL, NULL },
    { "an empty line", { "" }, NULL, NULL, NULL },
    { "Basic only", { "Basic realm=\"x\"" }, NULL, NULL, NULL },
    { "no resource", { "Bearer authorization=\"" LOGIN "/t\"" }, NULL, NULL, NULL },
    { "no authority", { "Bearer resource=\"" VAULT "\"" }, NULL, NULL, NULL },
    { "no tenant", { "Bearer authorization=\"" LOGIN "\", resource=\"" VAULT "\"" }, NULL, NULL, NULL },
    { "a tenant with a foreign character",
      { "Bearer authorization=\"" LOGIN "/t%2Fx\", resource=\"" VAULT "\"" },
      NULL,
      NULL,
      NULL },
    { "a tenant that climbs",
      { "Bearer authorization=\"" LOGIN "/../x\", resource=\"" VAULT "\"" },
      NULL,
      NULL,
      NULL },
    { "plain http",
      { "Bearer authorization=\"http://login.microsoftonline.com/t\", resource=\"" VAULT "\"" },
      NULL,
      NULL,
      NULL },
    { "a user in the authority",
      { "Bearer authorization=\"https://login.microsoftonline.com@evil.example/t\", resource=\"" VAULT "\"" },
      NULL,
      NULL,
      NULL },
    { "an unfinished quote", { "Bearer authorization=\"" LOGIN "/t, resource=" VAULT }, NULL, NULL, NULL },
    { "line noise", { "=,\"\\,,==\x01 \"Bearer=" }, NULL, NULL, NULL },
};

static void parses(void **state)
{
    for (size_t i = 0; i < sizeof parse_rows / sizeof parse_rows[0]; i++) {
        const struct parse_row *row = &parse_rows[i];
        size_t count = 0;
        while (count < 3 && row->lines[count])
            count++;
        struct kv_challenge challenge = { 0 };
        enum kv_status status = kv_challenge_parse((char *const *)row->lines, count, &challenge, NULL);
        if (!row->authority) {
            if (status != KV_PROTOCOL)
                fail_msg("%s: understood as '%s' '%s' '%s'", row->name, challenge.authority, challenge.tenant,
                         challenge.scope);
            continue;
        }
        if (status != KV_OK || strcmp(challenge.authority, row->authority) != 0 ||
            strcmp(challenge.tenant, row->tenant) != 0 || strcmp(challenge.scope, row->scope) != 0)
            fail_msg("%s: status %d, '%s' '%s' '%s'", row->name, status, challenge.authority,
                     challenge.tenant, challenge.scope);
    }
}

static void too_long_is_refused(void **state)
{
    char line[2048] = "Bearer resource=\"" VAULT "\", authorization=\"" LOGIN "/";
    size_t len = strlen(line);
    memset(line + len, 'a', 300);
    memcpy(line + len + 300, "\"", 2);
    char *lines[] = { line };
    struct kv_challenge challenge;
    assert_int_equal(kv_challenge_parse(lines, 1, &challenge, NULL), KV_PROTOCOL);
    line[len + 63] = '"';
    line[len + 64] = 0;
    assert_int_equal(kv_challenge_parse(lines, 1, &challenge, NULL), KV_OK);
    assert_int_equal(strlen(challenge.tenant), 63);
}

struct check_row {
    const char *name, *authority, *tenant, *scope;
    struct kv_challenge_policy policy;
    enum kv_status status;
    const char *text; /* stands in the error */
};

#define HOST .request_host = "prod.vault.azure.net"

static const struct check_row check_rows[] = {
    { "as it should be", LOGIN, "t", DEFAULT, { HOST }, KV_OK, NULL },
    { "an alias", "https://sts.windows.net", "t", DEFAULT, { HOST }, KV_OK, NULL },
    { "any case",
      "https://LOGIN.microsoftonline.com",
      "t",
      "https://VAULT.azure.net/.default",
      { .request_host = "Prod.Vault.Azure.Net" },
      KV_OK,
      NULL },
    { "port 443 said", LOGIN ":443", "t", DEFAULT, { HOST }, KV_OK, NULL },
    { "another port", LOGIN ":8443", "t", DEFAULT, { HOST }, KV_CREDENTIAL, "authority" },
    { "without the leading dot",
      LOGIN,
      "t",
      DEFAULT,
      { .request_host = "evilvault.azure.net" },
      KV_CREDENTIAL,
      "requested domain" },
    { "the resource itself is no vault",
      LOGIN,
      "t",
      DEFAULT,
      { .request_host = "vault.azure.net" },
      KV_CREDENTIAL,
      "requested domain" },
    { "the resource in front",
      LOGIN,
      "t",
      DEFAULT,
      { .request_host = "vault.azure.net.evil.example" },
      KV_CREDENTIAL,
      "requested domain" },
    { "another resource",
      LOGIN,
      "t",
      "https://management.azure.com/.default",
      { HOST },
      KV_CREDENTIAL,
      "requested domain" },
    { "a resource of one word",
      LOGIN,
      "t",
      "https://net/.default",
      { HOST },
      KV_CREDENTIAL,
      "requested domain" },
    { "a resource that is no address",
      LOGIN,
      "t",
      "vault.azure.net",
      { HOST },
      KV_CREDENTIAL,
      "requested domain" },
    { "the check turned off",
      LOGIN,
      "t",
      DEFAULT,
      { .request_host = "127.0.0.1", .skip_resource_check = true },
      KV_OK,
      NULL },
    { "turned off, the authority still counts",
      "https://evil.example",
      "t",
      DEFAULT,
      { HOST, .skip_resource_check = true },
      KV_CREDENTIAL,
      "authority" },
    { "an unknown authority",
      "https://login.microsoftonline.com.evil.example",
      "t",
      DEFAULT,
      { HOST },
      KV_CREDENTIAL,
      "`authority`" },
    { "plain http", "http://login.microsoftonline.com", "t", DEFAULT, { HOST }, KV_CREDENTIAL, "https" },
    { "the configured authority",
      "https://login.localhost:4001",
      "t",
      "https://vault.localhost/.default",
      { .request_host = "prod.vault.localhost", .authority = "https://login.localhost:4001" },
      KV_OK,
      NULL },
    { "another port than configured",
      "https://login.localhost:4002",
      "t",
      "https://vault.localhost/.default",
      { .request_host = "prod.vault.localhost", .authority = "https://login.localhost:4001" },
      KV_CREDENTIAL,
      "configured" },
    { "a known one, but not the configured",
      LOGIN,
      "t",
      DEFAULT,
      { HOST, .authority = "https://login.localhost:4001" },
      KV_CREDENTIAL,
      "configured" },
    { "the configured tenant",
      LOGIN,
      TENANT,
      DEFAULT,
      { HOST, .tenant = "72F988BF-86F1-41AF-91AB-2D7CD011DB47" },
      KV_OK,
      NULL },
    { "a tenant allowed beside it",
      LOGIN,
      TENANT,
      DEFAULT,
      { HOST, .tenant = "t",
        .allowed_tenants = &(struct kv_pair_list){ (char *[]){ "u", (char *)TENANT }, 2 } },
      KV_OK,
      NULL },
    { "any tenant allowed beside it",
      LOGIN,
      TENANT,
      DEFAULT,
      { HOST, .tenant = "t", .allowed_tenants = &(struct kv_pair_list){ (char *[]){ "*" }, 1 } },
      KV_OK,
      NULL },
    { "another tenant allowed beside it",
      LOGIN,
      TENANT,
      DEFAULT,
      { HOST, .tenant = "t", .allowed_tenants = &(struct kv_pair_list){ (char *[]){ "u" }, 1 } },
      KV_CREDENTIAL,
      "`additionally_allowed_tenants`" },
    { "another cloud's authority",
      "https://login.partner.microsoftonline.cn",
      "t",
      DEFAULT,
      { HOST },
      KV_CREDENTIAL,
      "'public'" },
    { "a vault in China",
      "https://login.partner.microsoftonline.cn",
      "t",
      "https://vault.azure.cn/.default",
      { .request_host = "prod.vault.azure.cn" },
      KV_OK,
      NULL },
    { "an HSM in the US government's cloud",
      "https://login.microsoftonline.us",
      "t",
      "https://managedhsm.usgovcloudapi.net/.default",
      { .request_host = "h.managedhsm.usgovcloudapi.net" },
      KV_OK,
      NULL },
    { "a cloud that is told",
      "https://login.sovcloud-identity.fr",
      "t",
      "https://vault.example/.default",
      { .request_host = "prod.vault.example", .cloud = KV_CLOUD_BLEU },
      KV_OK,
      NULL },
    { "not the cloud that is told",
      LOGIN,
      "t",
      DEFAULT,
      { HOST, .cloud = KV_CLOUD_CHINA },
      KV_CREDENTIAL,
      "`cloud`" },
    { "a suffix that nobody knows may name any",
      "https://login.microsoftonline.us",
      "t",
      "https://vault.example/.default",
      { .request_host = "prod.vault.example" },
      KV_OK,
      NULL },
    { "another tenant",
      LOGIN,
      TENANT,
      DEFAULT,
      { HOST, .tenant = "11111111-2222-3333-4444-555555555555" },
      KV_CREDENTIAL,
      "`tenant`" },
};

static void checks(void **state)
{
    for (size_t i = 0; i < sizeof check_rows / sizeof check_rows[0]; i++) {
        const struct check_row *row = &check_rows[i];
        struct kv_challenge challenge = { 0 };
        struct kv_error err = { 0 };
        assert_true(kv_text_fit(challenge.authority, sizeof challenge.authority, row->authority));
        assert_true(kv_text_fit(challenge.tenant, sizeof challenge.tenant, row->tenant));
        assert_true(kv_text_fit(challenge.scope, sizeof challenge.scope, row->scope));
        enum kv_status status = kv_challenge_check(&challenge, &row->policy, &err);
        if (status != row->status || (row->text && !strstr(err.text, row->text)))
            fail_msg("%s: status %d, '%s'", row->name, status, err.text);
    }
}

static void demands_are_read(void **state)
{
    /* {"access_token":{"nbf":1}} */
#define CLAIMS "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjoxfX0"
    static const struct {
        const char *name, *line;
        bool demanded;
    } rows[] = {
        { "base64", "Bearer error=\"insufficient_claims\", claims=\"" CLAIMS "=\"", true },
        { "base64url", "Bearer claims=\"" CLAIMS "\", error=\"insufficient_claims\"", true },
        { "among the rest",
          "Bearer realm=\"\", authorization_uri=\"" LOGIN "/common/oauth2/authorize\", "
          "error=\"insufficient_claims\", claims=\"" CLAIMS "=\"",
          true },
        { "behind another challenge",
          "PoP error=\"x\", Bearer error=\"insufficient_claims\", claims=\"" CLAIMS "=\"", true },
        { "another error", "Bearer error=\"invalid_token\", claims=\"" CLAIMS "=\"", false },
        { "no error", "Bearer claims=\"" CLAIMS "=\"", false },
        { "not ours", "PoP error=\"insufficient_claims\", claims=\"" CLAIMS "=\"", false },
        { "no base64", "Bearer error=\"insufficient_claims\", claims=\"{}\"", false },
        { "no object", "Bearer error=\"insufficient_claims\", claims=\"W10=\"", false },
        { "nothing", "", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *lines[] = { (char *)rows[i].line };
        char claims[KV_CLAIMS_SIZE] = "x";
        bool demanded = kv_challenge_claims(lines, 1, claims);
        if (demanded != rows[i].demanded ||
            strcmp(claims, demanded ? "{\"access_token\":{\"nbf\":1}}" : "") != 0)
            fail_msg("%s: '%s'", rows[i].name, claims);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(too_long_is_refused),
        cmocka_unit_test(checks),
        cmocka_unit_test(demands_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
