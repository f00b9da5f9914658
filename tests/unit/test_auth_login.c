#include "auth/login.h"
#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct kv_login_claims claims_of(const char *json)
{
    struct kv_login_claims claims;
    KV_AUTO_FREE char *middle = kv_encode_base64url(kv_view_text(json));
    KV_AUTO_TEXT char *bearer = kv_text_format("e30.%s.AA", middle);
    memset(&claims, 'x', sizeof claims);
    kv_login_read_claims(bearer, &claims);
    return claims;
}

static void names_are_found_where_tokens_have_them(void **state)
{
    struct kv_login_claims v1 = claims_of("{\"appid\":\"a\",\"oid\":\"o\",\"upn\":\"u@x\",\"tid\":\"t\","
                                          "\"roles\":[\"r1\",\"r2\"],\"wids\":[\"w1\"]}");
    assert_string_equal(v1.application, "a");
    assert_string_equal(v1.object, "o");
    assert_string_equal(v1.user, "u@x");
    assert_string_equal(v1.tenant, "t");
    assert_string_equal(v1.roles, "r1 r2");
    assert_string_equal(v1.directory_roles, "w1");
    struct kv_login_claims v2 =
        claims_of("{\"azp\":\"a\",\"preferred_username\":\"u\",\"unique_name\":\"n\"}");
    assert_string_equal(v2.application, "a");
    assert_string_equal(v2.user, "u");
}

static void what_is_odd_is_left_out(void **state)
{
    static const char *const odd[] = {
        "{}",
        "[]",
        "7",
        "{\"appid\":7,\"oid\":null,\"upn\":[],\"tid\":{},\"roles\":\"r\",\"wids\":{\"a\":1}}",
        "{\"roles\":[1,null,{}]}",
    };
    const struct kv_login_claims none = { .user = "" };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct kv_login_claims claims = claims_of(odd[i]);
        assert_memory_equal(&claims, &none, sizeof none);
    }
    struct kv_login_claims claims;
    kv_login_read_claims("no-token", &claims);
    assert_string_equal(claims.application, "");
}

/* Whoever wrote the token: it drives no terminal, and fills no memory. */
static void what_is_wild_is_tamed(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    struct kv_login_claims claims = claims_of("{\"upn\":\"a\\u001b[2Jb\\n\",\"roles\":[\"x\\u0007\"]}");
    assert_string_equal(claims.user, "a?[2Jb?");
    assert_string_equal(claims.roles, "x?");
    assert_int_equal(kv_buffer_format(&text, "{\"roles\":[\"first\""), KV_OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(kv_buffer_format(&text, ",\"a-role-with-a-long-name\""), KV_OK);
    assert_int_equal(kv_buffer_format(&text, "],\"appid\":\"%0200d\"}", 7), KV_OK);
    claims = claims_of((const char *)text.bytes.data);
    assert_int_equal(strlen(claims.application), sizeof claims.application - 1);
    assert_true(strlen(claims.roles) < sizeof claims.roles);
    assert_int_equal(strncmp(claims.roles, "first a-role", 12), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_where_tokens_have_them),
        cmocka_unit_test(what_is_odd_is_left_out),
        cmocka_unit_test(what_is_wild_is_tamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
