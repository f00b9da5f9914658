#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "attrs.h"
#include "call.h"

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE, neither = 2;
static const CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, private_class = CKO_PRIVATE_KEY;
static const CK_KEY_TYPE aes = CKK_AES, rsa = CKK_RSA;
static const CK_ULONG sixteen = 16, nothing = 0;

static struct kv_object *key_of(CK_OBJECT_CLASS type, CK_KEY_TYPE key_type)
{
    struct kv_object *object = calloc(1, sizeof *object);
    assert_non_null(object);
    *object = (struct kv_object){ .handle = 1,
                                  .session = 1,
                                  .type = type,
                                  .key_type = key_type,
                                  .flags = KV_IS_MODIFIABLE | KV_IS_SENSITIVE,
                                  .references = 1,
                                  .secret = calloc(1, sizeof *object->secret) };
    assert_non_null(object->secret);
    return object;
}

static struct kv_object *session_key(void)
{
    return key_of(CKO_SECRET_KEY, CKK_AES);
}

/* No attribute may have two rules for one object, or the second is dead. */
static void test_rules_are_unambiguous(void **state)
{
    for (size_t i = 0; i < kv_attr_rule_count; i++)
        for (size_t k = 0; k < i; k++) {
            const struct kv_attr_rule *a = &kv_attr_rules[i], *b = &kv_attr_rules[k];
            unsigned limits = KV_ON_VAULT | KV_ON_SESSION, kinds = KV_ON_RSA | KV_ON_EC;
            bool same_class = a->on & b->on & KV_ON_ALL;
            bool apart = ((a->on | b->on) & limits) == limits || ((a->on | b->on) & kinds) == kinds;
            if (a->type == b->type && same_class && !apart)
                fail_msg("two rules for attribute 0x%lx", a->type);
        }
}

static void test_rules_are_complete(void **state)
{
    for (size_t i = 0; i < kv_attr_rule_count; i++) {
        const struct kv_attr_rule *rule = &kv_attr_rules[i];
        if (rule->form == KV_FORM_BOOL)
            assert_true(!rule->get && !rule->put);
        else
            assert_true(rule->get || rule->hidden);
        if (rule->set && rule->form != KV_FORM_BOOL)
            assert_non_null(rule->put);
    }
}

#define ITEM(type, value)                                                                                    \
    {                                                                                                        \
        type, (void *)&(value), sizeof(value)                                                                \
    }
static const CK_ATTRIBUTE inner[] = { ITEM(CKA_KEY_TYPE, aes), ITEM(CKA_EXTRACTABLE, yes) },
                          nested[] = { { CKA_WRAP_TEMPLATE, (void *)inner, sizeof inner } },
                          hollow[] = { { CKA_LABEL, NULL, 3 } };
static const struct {
    const char *sentence;
    CK_ATTRIBUTE item;
    unsigned how;
    CK_RV rv;
} rows[] = {
    { "a class that is offered", ITEM(CKA_CLASS, secret_class), KV_SET_CREATE, CKR_OK },
    { "a class that is not", ITEM(CKA_CLASS, private_class), KV_SET_CREATE, CKR_TEMPLATE_INCONSISTENT },
    { "the same key type again", ITEM(CKA_KEY_TYPE, aes), KV_SET_CREATE, CKR_OK },
    { "another one", ITEM(CKA_KEY_TYPE, rsa), KV_SET_CREATE, CKR_TEMPLATE_INCONSISTENT },
    { "a key on the token", ITEM(CKA_TOKEN, yes), KV_SET_CREATE, CKR_TOKEN_WRITE_PROTECTED },
    { "generated on the token", ITEM(CKA_TOKEN, yes), KV_SET_GENERATE, CKR_TOKEN_WRITE_PROTECTED },
    { "unwrapped onto the token is tolerated", ITEM(CKA_TOKEN, yes), KV_SET_UNWRAP, CKR_OK },
    { "half a truth", ITEM(CKA_ENCRYPT, neither), KV_SET_CREATE, CKR_ATTRIBUTE_VALUE_INVALID },
    { "a number where a truth belongs", ITEM(CKA_ENCRYPT, sixteen), KV_SET_CREATE,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "a truth where a number belongs", ITEM(CKA_VALUE_LEN, yes), KV_SET_GENERATE,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "a length to generate", ITEM(CKA_VALUE_LEN, sixteen), KV_SET_GENERATE, CKR_OK },
    { "no length", ITEM(CKA_VALUE_LEN, nothing), KV_SET_GENERATE, CKR_ATTRIBUTE_VALUE_INVALID },
    { "a length cannot be created", ITEM(CKA_VALUE_LEN, sixteen), KV_SET_CREATE, CKR_ATTRIBUTE_READ_ONLY },
    { "a value cannot be generated",
      { CKA_VALUE, (void *)"0123456789abcdef", 16 },
      KV_SET_GENERATE,
      CKR_ATTRIBUTE_READ_ONLY },
    { "sensitive may not be taken back", ITEM(CKA_SENSITIVE, no), KV_SET_MODIFY, CKR_ATTRIBUTE_READ_ONLY },
    { "not in a copy either", ITEM(CKA_SENSITIVE, no), KV_SET_COPY, CKR_ATTRIBUTE_READ_ONLY },
    { "a new key may be open", ITEM(CKA_SENSITIVE, no), KV_SET_CREATE, CKR_OK },
    { "extractable may not be given later", ITEM(CKA_EXTRACTABLE, yes), KV_SET_MODIFY,
      CKR_ATTRIBUTE_READ_ONLY },
    { "a label may change", { CKA_LABEL, (void *)"x", 1 }, KV_SET_MODIFY, CKR_OK },
    { "a class may not", ITEM(CKA_CLASS, secret_class), KV_SET_MODIFY, CKR_ATTRIBUTE_READ_ONLY },
    { "derive is a secret key's to have", ITEM(CKA_DERIVE, yes), KV_SET_UNWRAP, CKR_OK },
    { "a check value is ignored", { CKA_CHECK_VALUE, (void *)"abc", 3 }, KV_SET_CREATE, CKR_OK },
    { "a check value is three bytes",
      { CKA_CHECK_VALUE, (void *)"abcd", 4 },
      KV_SET_CREATE,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "a list of mechanisms", ITEM(CKA_ALLOWED_MECHANISMS, sixteen), KV_SET_GENERATE, CKR_OK },
    { "half a mechanism", ITEM(CKA_ALLOWED_MECHANISMS, yes), KV_SET_GENERATE, CKR_ATTRIBUTE_VALUE_INVALID },
    { "mechanisms cannot be allowed later", ITEM(CKA_ALLOWED_MECHANISMS, sixteen), KV_SET_MODIFY,
      CKR_ATTRIBUTE_READ_ONLY },
    { "a template", { CKA_WRAP_TEMPLATE, (void *)inner, sizeof inner }, KV_SET_CREATE, CKR_OK },
    { "no template", { CKA_WRAP_TEMPLATE, NULL, 0 }, KV_SET_CREATE, CKR_OK },
    { "half a template",
      { CKA_WRAP_TEMPLATE, (void *)inner, sizeof inner - 1 },
      KV_SET_CREATE,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "a template in a template",
      { CKA_WRAP_TEMPLATE, (void *)nested, sizeof nested },
      KV_SET_CREATE,
      CKR_TEMPLATE_INCONSISTENT },
    { "a template with a hole",
      { CKA_WRAP_TEMPLATE, (void *)hollow, sizeof hollow },
      KV_SET_CREATE,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "trust is not for the taking", ITEM(CKA_TRUSTED, yes), KV_SET_CREATE, CKR_ATTRIBUTE_READ_ONLY },
    { "a modulus on a secret key", ITEM(CKA_MODULUS, yes), KV_SET_CREATE, CKR_ATTRIBUTE_TYPE_INVALID },
    { "an attribute nobody knows", ITEM(0x80001234UL, yes), KV_SET_CREATE, CKR_ATTRIBUTE_TYPE_INVALID },
    { "half a date", { CKA_START_DATE, (void *)"2026", 4 }, KV_SET_CREATE, CKR_ATTRIBUTE_VALUE_INVALID },
    { "a date", { CKA_START_DATE, (void *)"20260131", 8 }, KV_SET_CREATE, CKR_OK },
    { "no date", { CKA_START_DATE, NULL, 0 }, KV_SET_CREATE, CKR_OK },
    { "a length without a value", { CKA_LABEL, NULL, 3 }, KV_SET_CREATE, CKR_ARGUMENTS_BAD },
};

static void test_apply(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_call call = { 0 };
        KV_AUTO_OBJECT struct kv_object *object = session_key();
        CK_RV rv = kv_attrs_apply(&call, object, (struct kv_template){ &rows[i].item, 1 }, rows[i].how);
        if (rv != rows[i].rv)
            fail_msg("%s: %s", rows[i].sentence, kv_ckr_name(rv));
    }
}

static void test_nothing_stands_twice(void **state)
{
    struct kv_call call = { 0 };
    KV_AUTO_OBJECT struct kv_object *object = session_key();
    CK_ATTRIBUTE items[] = { ITEM(CKA_ENCRYPT, yes), ITEM(CKA_ENCRYPT, no) };
    assert_int_equal(kv_attrs_apply(&call, object, (struct kv_template){ items, 2 }, KV_SET_CREATE),
                     CKR_TEMPLATE_INCONSISTENT);
}

static void test_what_must_be_there(void **state)
{
    struct kv_call call = { 0 };
    KV_AUTO_OBJECT struct kv_object *object = session_key();
    CK_ATTRIBUTE items[] = { ITEM(CKA_CLASS, secret_class),
                             ITEM(CKA_KEY_TYPE, aes),
                             { CKA_VALUE, (void *)"0123456789abcdef", 16 } };
    for (CK_ULONG count = 0; count < 3; count++)
        assert_int_equal(kv_attrs_complete(&call, object, (struct kv_template){ items, count }),
                         CKR_TEMPLATE_INCOMPLETE);
    assert_int_equal(kv_attrs_complete(&call, object, (struct kv_template){ items, 3 }), CKR_OK);
}

static bool matches(const struct kv_object *object, struct kv_template template)
{
    bool same = false;
    assert_int_equal(kv_attrs_compare(object, template, &same), KV_OK);
    return same;
}

static void test_hidden_values_match_nothing(void **state)
{
    KV_AUTO_OBJECT struct kv_object *object = session_key();
    assert_int_equal(kv_bytes_copy(kv_view_text("0123456789abcdef"), &object->secret->value), KV_OK);
    CK_ATTRIBUTE value = { CKA_VALUE, (void *)"0123456789abcdef", 16 };
    assert_false(matches(object, (struct kv_template){ &value, 1 }));
    object->flags = KV_IS_EXTRACTABLE;
    assert_true(matches(object, (struct kv_template){ &value, 1 }));
    object->flags = KV_IS_EXTRACTABLE | KV_IS_SENSITIVE;
    assert_false(matches(object, (struct kv_template){ &value, 1 }));
    assert_true(matches(object, (struct kv_template){ NULL, 0 }));
}

/* Order does not matter to the standard: what an attribute means is settled by class and type alone. */
static void test_a_pair_has_other_rules(void **state)
{
    static const struct {
        CK_OBJECT_CLASS type;
        CK_KEY_TYPE key_type;
        CK_ATTRIBUTE_TYPE attribute;
        unsigned how;
        CK_RV rv;
    } cases[] = {
        { CKO_PUBLIC_KEY, CKK_RSA, CKA_MODULUS, KV_SET_CREATE, CKR_OK },
        { CKO_PUBLIC_KEY, CKK_RSA, CKA_MODULUS, KV_SET_GENERATE, CKR_ATTRIBUTE_READ_ONLY },
        { CKO_PUBLIC_KEY, CKK_RSA, CKA_EC_POINT, KV_SET_CREATE, CKR_ATTRIBUTE_TYPE_INVALID },
        { CKO_PUBLIC_KEY, CKK_RSA, CKA_PRIVATE_EXPONENT, KV_SET_CREATE, CKR_ATTRIBUTE_TYPE_INVALID },
        { CKO_PUBLIC_KEY, CKK_EC, CKA_EC_PARAMS, KV_SET_GENERATE, CKR_OK },
        { CKO_PRIVATE_KEY, CKK_EC, CKA_EC_PARAMS, KV_SET_GENERATE, CKR_ATTRIBUTE_READ_ONLY },
        { CKO_PRIVATE_KEY, CKK_EC, CKA_VALUE, KV_SET_CREATE, CKR_OK },
        { CKO_PRIVATE_KEY, CKK_EC, CKA_VALUE, KV_SET_UNWRAP, CKR_ATTRIBUTE_READ_ONLY },
        { CKO_PRIVATE_KEY, CKK_RSA, CKA_PRIME_1, KV_SET_CREATE, CKR_OK },
        { CKO_PRIVATE_KEY, CKK_RSA, CKA_WRAP_TEMPLATE, KV_SET_CREATE, CKR_ATTRIBUTE_TYPE_INVALID },
        { CKO_PRIVATE_KEY, CKK_RSA, CKA_SUBJECT, KV_SET_MODIFY, CKR_OK },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kv_call call = { 0 };
        KV_AUTO_OBJECT struct kv_object *object = key_of(cases[i].type, cases[i].key_type);
        CK_ATTRIBUTE item = { cases[i].attribute, (void *)"\1\2\3\4\5\6\7\10", 8 };
        CK_RV rv = kv_attrs_apply(&call, object, (struct kv_template){ &item, 1 }, cases[i].how);
        if (rv != cases[i].rv)
            fail_msg("attribute 0x%lx of class %lu: %s", cases[i].attribute, cases[i].type, kv_ckr_name(rv));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_are_unambiguous),
        cmocka_unit_test(test_rules_are_complete),
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_nothing_stands_twice),
        cmocka_unit_test(test_what_must_be_there),
        cmocka_unit_test(test_hidden_values_match_nothing),
        cmocka_unit_test(test_a_pair_has_other_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
