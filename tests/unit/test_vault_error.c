#include "../../module/vault/vault_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define BODY(code, inner)                                                                                    \
    "{\"error\":{\"code\":\"" code "\",\"message\":\"m\",\"innererror\":{\"code\":\"" inner "\"}}}"
#define PLAIN(code) "{\"error\":{\"code\":\"" code "\",\"message\":\"m\"}}"

struct row {
    const char *name;
    int http;
    const char *body;
    unsigned key_op;
    enum kv_status status;
    const char *code;
};

static const struct row rows[] = {
    { "bad data on decrypt", 400, PLAIN("BadParameter"), KV_OP_DECRYPT, KV_BAD_CIPHERTEXT, "BadParameter" },
    { "bad data on unwrap", 400, PLAIN("BadParameter"), KV_OP_UNWRAP, KV_BAD_WRAPPED_KEY, "BadParameter" },
    { "bad data on sign", 400, PLAIN("BadParameter"), KV_OP_SIGN, KV_BAD_PARAMETER, "BadParameter" },
    { "bad data elsewhere", 400, PLAIN("BadParameter"), 0, KV_BAD_PARAMETER, "BadParameter" },
    { "token refused", 401, PLAIN("Unauthorized"), 0, KV_CREDENTIAL, "Unauthorized" },
    { "token refused by a Managed HSM", 401, "", 0, KV_CREDENTIAL, "" },
    { "RBAC", 403, BODY("Forbidden", "ForbiddenByRbac"), KV_OP_SIGN, KV_DENIED, "ForbiddenByRbac" },
    { "access policy", 403, BODY("Forbidden", "AccessDenied"), KV_OP_SIGN, KV_DENIED, "AccessDenied" },
    { "Managed HSM", 403, PLAIN("AccessDenied"), KV_OP_SIGN, KV_DENIED, "AccessDenied" },
    { "firewall", 403, BODY("Forbidden", "ForbiddenByFirewall"), 0, KV_BLOCKED, "ForbiddenByFirewall" },
    { "private link", 403, BODY("Forbidden", "ForbiddenByConnection"), 0, KV_BLOCKED,
      "ForbiddenByConnection" },
    { "policy", 403, BODY("Forbidden", "ForbiddenByPolicy"), 0, KV_BLOCKED, "ForbiddenByPolicy" },
    { "disabled", 403, BODY("Forbidden", "KeyDisabled"), KV_OP_DECRYPT, KV_DISABLED, "KeyDisabled" },
    { "expired", 403, BODY("Forbidden", "KeyExpired"), KV_OP_SIGN, KV_NOT_VALID, "KeyExpired" },
    { "not yet valid", 403, BODY("Forbidden", "KeyNotYetValid"), KV_OP_SIGN, KV_NOT_VALID, "KeyNotYetValid" },
    { "key_ops", 403, BODY("Forbidden", "KeyOperationForbidden"), KV_OP_SIGN, KV_KEY_OPERATION,
      "KeyOperationForbidden" },
    { "innerError", 403, "{\"error\":{\"code\":\"Forbidden\",\"innerError\":{\"code\":\"KeyDisabled\"}}}", 0,
      KV_DISABLED, "KeyDisabled" },
    { "nested", 403,
      "{\"error\":{\"code\":\"Forbidden\",\"innererror\":{\"code\":\"X\",\"innererror\":{\"code\":"
      "\"KeyDisabled\"}}}}",
      0, KV_DISABLED, "KeyDisabled" },
    { "innererror null", 403, "{\"error\":{\"code\":\"Forbidden\",\"message\":\"m\",\"innererror\":null}}", 0,
      KV_DENIED, "Forbidden" },
    { "an unknown 403", 403, PLAIN("Whatever"), 0, KV_DENIED, "Whatever" },
    { "not found", 404, PLAIN("KeyNotFound"), 0, KV_NOT_FOUND, "KeyNotFound" },
    { "a proxy's not found", 404, "<html>404</html>", 0, KV_PROTOCOL, "" },
    { "recoverable", 409, BODY("Conflict", "ObjectIsDeletedButRecoverable"), 0, KV_CONFLICT,
      "ObjectIsDeletedButRecoverable" },
    { "throttled", 429, PLAIN("Throttled"), KV_OP_SIGN, KV_THROTTLED, "Throttled" },
    { "500", 500, "<html>oops</html>", 0, KV_SERVER, "" },
    { "503", 503, "", KV_OP_SIGN, KV_SERVER, "" },
    { "408", 408, "", 0, KV_SERVER, "" },
    { "a redirect", 302, "", 0, KV_PROTOCOL, "" },
    { "members of the wrong type", 403, "{\"error\":{\"code\":7,\"message\":[1],\"innererror\":\"x\"}}", 0,
      KV_DENIED, "" },
    { "error is a list", 400, "{\"error\":[1,2]}", KV_OP_DECRYPT, KV_BAD_CIPHERTEXT, "" },
    { "cut JSON", 403, "{\"error\":{\"code\":\"Forb", 0, KV_DENIED, "" },
};

static void maps(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv_error err = { 0 };
        struct kv_refusal refusal = {
            .http = rows[i].http,
            .body = kv_view_text(rows[i].body),
            .request_id = "req-1",
            .operation = "sign",
            .key_op = rows[i].key_op,
            .name = "kek",
            .version = "v1",
            .vault = "prod",
            .identity = "app-1",
        };
        enum kv_status status = kv_error_map(&refusal, &err);
        if (status != rows[i].status || err.http != rows[i].http || strcmp(err.code, rows[i].code) != 0)
            fail_msg("%s: status %s, code '%s', '%s'", rows[i].name, kv_status_name(status), err.code,
                     err.text);
        if (!strstr(err.text, "'kek'") || !strstr(err.text, "'v1'") || !strstr(err.text, "'prod'") ||
            !strstr(err.text, "req-1") || strcmp(err.request_id, "req-1") != 0)
            fail_msg("%s: a part is missing in '%s'", rows[i].name, err.text);
    }
}

static void denial_names_who(void **state)
{
    struct kv_error err = { 0 };
    struct kv_refusal refusal = { .http = 403,
                                  .body = kv_view_text(BODY("Forbidden", "ForbiddenByRbac")),
                                  .operation = "list",
                                  .vault = "prod",
                                  .identity = "app-1" };
    assert_int_equal(kv_error_map(&refusal, &err), KV_DENIED);
    assert_non_null(strstr(err.text, "'app-1'"));
    assert_non_null(strstr(err.text, "vault 'prod'"));
    assert_string_equal(err.request_id, "");
}

static void what_was_said_stays_one_bounded_line(void **state)
{
    char body[4096] = "{\"error\":{\"code\":\"Forbidden\",\"message\":\"first\\r\\nsecond\\u001b[31m ";
    size_t len = strlen(body);
    memset(body + len, 'x', 3000);
    memcpy(body + len + 3000, "\"}}", 4);
    struct kv_error err = { 0 };
    struct kv_refusal refusal = {
        .http = 403, .body = kv_view_text(body), .operation = "get", .vault = "prod"
    };
    assert_int_equal(kv_error_map(&refusal, &err), KV_DENIED);
    assert_non_null(strstr(err.text, "first second"));
    assert_non_null(strstr(err.text, "grant the permission"));
    assert_null(strpbrk(err.text, "\r\n\x1b"));
    assert_true(strlen(err.text) < 700);
    assert_int_equal(kv_error_map(&refusal, NULL), KV_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps),
        cmocka_unit_test(denial_names_who),
        cmocka_unit_test(what_was_said_stays_one_bounded_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
