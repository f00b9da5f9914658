/* What C_CreateObject takes and refuses, and how the attributes of session keys can be read, changed and copied. */
#include "keys_help.h"

#include <openssl/core_names.h>
#include <openssl/x509.h>

static CK_SESSION_HANDLE session;
static EVP_PKEY *pkeys[5]; /* RSA, then the curves */

static const struct curve *curve_of(size_t i)
{
    return i ? &curves[i - 1] : NULL;
}

static int start(void **state)
{
    if (world_start(state))
        return -1;
    initialize();
    session = open_session(PROD);
    for (size_t i = 0; i < COUNT(pkeys); i++)
        pkeys[i] = make_pkey(curve_of(i));
    clear_log();
    return 0;
}

static int stop(void **state)
{
    for (size_t i = 0; i < COUNT(pkeys); i++)
        EVP_PKEY_free(pkeys[i]);
    return world_stop(state);
}

static CK_ATTRIBUTE *item_of(struct growing *template, CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < template->count; i++)
        if (template->items[i].type == type)
            return &template->items[i];
    fail_msg("the template has no attribute 0x%lx", type);
    return NULL;
}

static void set(struct growing *template, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    grow(template, type, value, len);
    *item_of(template, type) = template->items[template->count - 1];
    template->count--;
}

static void take_out(struct growing *template, CK_ATTRIBUTE_TYPE type)
{
    CK_ATTRIBUTE *item = item_of(template, type);
    *item = template->items[--template->count];
}

/* --- forms --- */

static void is_key(CK_OBJECT_HANDLE object, EVP_PKEY *pkey)
{
    EVP_PKEY *back = pkey_of(session, object);
    assert_int_equal(EVP_PKEY_eq(back, pkey), 1);
    EVP_PKEY_free(back);
}

static void test_leading_zeros(void **state)
{
    static const CK_ATTRIBUTE_TYPE numbers[] = { CKA_MODULUS,    CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT,
                                                 CKA_PRIME_1,    CKA_PRIME_2,         CKA_EXPONENT_1,
                                                 CKA_EXPONENT_2, CKA_COEFFICIENT };
    for (int private = 0; private < 2; private ++) {
        struct growing template = { .count = 0 };
        CK_BYTE bytes[600], got[600];
        if (private)
            grow_private(&template, pkeys[0], NULL);
        else
            grow_public(&template, pkeys[0], NULL);
        for (size_t i = 0; i < (private ? COUNT(numbers) : 2); i++) {
            CK_ATTRIBUTE *item = item_of(&template, numbers[i]);
            memset(bytes, 0, 3);
            memcpy(bytes + 3, item->pValue, item->ulValueLen);
            set(&template, numbers[i], bytes, 3 + item->ulValueLen);
        }
        grow_bool(&template, CKA_MODIFIABLE, CK_FALSE);
        CK_OBJECT_HANDLE key = create(session, &template);
        is_key(key, pkeys[0]);
        CK_ULONG len = number_of(pkeys[0], OSSL_PKEY_PARAM_RSA_N, bytes, sizeof bytes);
        assert_int_equal(attribute(session, key, CKA_MODULUS, got, sizeof got), len);
        assert_memory_equal(got, bytes, len);
        assert_int_equal(attribute(session, key, CKA_PUBLIC_EXPONENT, got, sizeof got), 3);
        ok(world.p11->C_DestroyObject(session, key));
    }
}

static void test_points_with_and_without_their_octet_string(void **state)
{
    for (size_t i = 1; i < COUNT(pkeys); i++) {
        CK_BYTE point[160], got[200], der[2048], *at = der;
        CK_ULONG len = point_of(pkeys[i], point, sizeof point);
        for (int raw = 0; raw < 2; raw++) {
            struct growing template = { .count = 0 };
            grow_public(&template, pkeys[i], curve_of(i));
            if (raw)
                set(&template, CKA_EC_POINT, point, len);
            CK_OBJECT_HANDLE key = create(session, &template);
            is_key(key, pkeys[i]);
            size_t got_len = attribute(session, key, CKA_EC_POINT, got, sizeof got);
            assert_true(got_len > len);
            assert_int_equal(got[0], 4);
            assert_memory_equal(got + got_len - len, point, len);
            assert_int_equal(attribute(session, key, CKA_EC_PARAMS, got, sizeof got),
                             curve_of(i)->params_len);
            assert_memory_equal(got, curve_of(i)->params, curve_of(i)->params_len);
            at = der;
            int der_len = i2d_PUBKEY(pkeys[i], &at);
            assert_int_equal(attribute(session, key, CKA_PUBLIC_KEY_INFO, got, sizeof got), der_len);
            assert_memory_equal(got, der, der_len);
            ok(world.p11->C_DestroyObject(session, key));
        }
    }
}

/* Class and type may stand at the end: what the others mean does not depend on their place. */
static void test_order_does_not_matter(void **state)
{
    for (size_t i = 0; i < COUNT(pkeys); i++) {
        struct growing template = { .count = 0 };
        grow_private(&template, pkeys[i], curve_of(i));
        for (CK_ULONG k = 0; k < template.count / 2; k++) {
            CK_ATTRIBUTE first = template.items[k];
            template.items[k] = template.items[template.count - 1 - k];
            template.items[template.count - 1 - k] = first;
        }
        CK_OBJECT_HANDLE key = create(session, &template);
        is_key(key, pkeys[i]);
        ok(world.p11->C_DestroyObject(session, key));
    }
}

/* Without the primes they are found; the attributes can be read all the same. */
static void test_rsa_without_its_primes(void **state)
{
    static const CK_ATTRIBUTE_TYPE parts[] = { CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2,
                                               CKA_COEFFICIENT };
    struct growing template = { .count = 0 }, whole = { .count = 0 };
    grow_private(&template, pkeys[0], NULL);
    grow_private(&whole, pkeys[0], NULL);
    for (size_t i = 0; i < COUNT(parts); i++)
        take_out(&template, parts[i]);
    grow_bool(&template, CKA_SENSITIVE, CK_FALSE);
    grow_bool(&template, CKA_EXTRACTABLE, CK_TRUE);
    CK_OBJECT_HANDLE key = create(session, &template);
    CK_BYTE prime[200], got[200];
    size_t len = number_of(pkeys[0], OSSL_PKEY_PARAM_RSA_FACTOR1, prime, sizeof prime);
    size_t got_len = attribute(session, key, CKA_PRIME_1, got, sizeof got);
    bool first = got_len == len && !memcmp(got, prime, len);
    if (!first) { /* the larger one comes first here */
        got_len = attribute(session, key, CKA_PRIME_2, got, sizeof got);
        assert_int_equal(got_len, len);
        assert_memory_equal(got, prime, len);
    }
    struct result made = sign(session, &rsa_sha256, key, "text", 4);
    assert_true(openssl_verifies(pkeys[0], 1, "SHA256", kv_view_text("text"), &made));
    ok(world.p11->C_DestroyObject(session, key));
}

/* --- refusals --- */

static const CK_BYTE zero[] = { 0 }, one[] = { 1 }, four[] = { 4 },
                     brainpool[] = { 6, 9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7 }, explicit[] = { 0x30, 0 },
                     short_modulus[128] = { 0x80, [127] = 1 }, high[32] = { [0 ... 31] = 0xff },
                     compressed[] = { 4, 33, 2, [3 ... 34] = 0x11 },
                     off_curve[] = { 4, 65, 4, [3 ... 66] = 0x11 },
                     hybrid[] = { 4, 65, 6, [3 ... 66] = 0x11 }, no_point[] = { 5, 0 };
static const CK_OBJECT_CLASS data_class = CKO_DATA, certificate_class = CKO_CERTIFICATE;
static const CK_KEY_TYPE dsa = CKK_DSA;

static const struct {
    const char *sentence;
    bool private;
    size_t key; /* 0: RSA, 1: P-256 */
    CK_ATTRIBUTE_TYPE type;
    const void *value; /* NULL: left out */
    size_t len;
    CK_RV rv;
} refusals[] = {
#define WITH(v) v, sizeof v
    { "no modulus", false, 0, CKA_MODULUS, NULL, 0, CKR_TEMPLATE_INCOMPLETE },
    { "an empty modulus", false, 0, CKA_MODULUS, zero, 0, CKR_ATTRIBUTE_VALUE_INVALID },
    { "a short modulus", false, 0, CKA_MODULUS, WITH(short_modulus), CKR_ATTRIBUTE_VALUE_INVALID },
    { "no exponent", false, 0, CKA_PUBLIC_EXPONENT, NULL, 0, CKR_TEMPLATE_INCOMPLETE },
    { "an exponent of 1", false, 0, CKA_PUBLIC_EXPONENT, WITH(one), CKR_ATTRIBUTE_VALUE_INVALID },
    { "an even exponent", false, 0, CKA_PUBLIC_EXPONENT, WITH(four), CKR_ATTRIBUTE_VALUE_INVALID },
    { "no class", false, 0, CKA_CLASS, NULL, 0, CKR_TEMPLATE_INCOMPLETE },
    { "no type", false, 0, CKA_KEY_TYPE, NULL, 0, CKR_TEMPLATE_INCOMPLETE },
    { "half a class", false, 0, CKA_CLASS, &public_class, sizeof public_class / 2,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "a data object", false, 0, CKA_CLASS, &data_class, sizeof data_class, CKR_TEMPLATE_INCONSISTENT },
    { "a certificate", false, 0, CKA_CLASS, &certificate_class, sizeof certificate_class,
      CKR_TEMPLATE_INCONSISTENT },
    { "another algorithm", false, 0, CKA_KEY_TYPE, &dsa, sizeof dsa, CKR_TEMPLATE_INCONSISTENT },
    { "an AES key as a public one", false, 0, CKA_KEY_TYPE, &aes, sizeof aes, CKR_TEMPLATE_INCONSISTENT },
    { "no curve", false, 1, CKA_EC_PARAMS, NULL, 0, CKR_TEMPLATE_INCOMPLETE },
    { "a curve that is not offered", false, 1, CKA_EC_PARAMS, WITH(brainpool), CKR_CURVE_NOT_SUPPORTED },
    { "explicit parameters", false, 1, CKA_EC_PARAMS, WITH(explicit), CKR_DOMAIN_PARAMS_INVALID },
    { "no point", false, 1, CKA_EC_POINT, NULL, 0, CKR_TEMPLATE_INCOMPLETE },
    { "a compressed point", false, 1, CKA_EC_POINT, WITH(compressed), CKR_TEMPLATE_INCONSISTENT },
    { "a point beside the curve", false, 1, CKA_EC_POINT, WITH(off_curve), CKR_PUBLIC_KEY_INVALID },
    { "a raw point beside the curve", false, 1, CKA_EC_POINT, off_curve + 2, 65, CKR_PUBLIC_KEY_INVALID },
    { "a hybrid point", false, 1, CKA_EC_POINT, WITH(hybrid), CKR_ATTRIBUTE_VALUE_INVALID },
    { "something else", false, 1, CKA_EC_POINT, WITH(no_point), CKR_ATTRIBUTE_VALUE_INVALID },
    { "nothing", false, 1, CKA_EC_POINT, zero, 0, CKR_ATTRIBUTE_VALUE_INVALID },
    { "no private exponent", true, 0, CKA_PRIVATE_EXPONENT, NULL, 0, CKR_TEMPLATE_INCOMPLETE },
    { "another private exponent", true, 0, CKA_PRIVATE_EXPONENT, WITH(high), CKR_ATTRIBUTE_VALUE_INVALID },
    { "another prime", true, 0, CKA_PRIME_1, WITH(high), CKR_ATTRIBUTE_VALUE_INVALID },
    { "another coefficient", true, 0, CKA_COEFFICIENT, WITH(high), CKR_ATTRIBUTE_VALUE_INVALID },
    { "no scalar", true, 1, CKA_VALUE, NULL, 0, CKR_TEMPLATE_INCOMPLETE },
    { "a scalar of zero", true, 1, CKA_VALUE, WITH(zero), CKR_ATTRIBUTE_VALUE_INVALID },
    { "a scalar beyond the order", true, 1, CKA_VALUE, WITH(high), CKR_ATTRIBUTE_VALUE_INVALID },
    { "a private key without its curve", true, 1, CKA_EC_PARAMS, NULL, 0, CKR_TEMPLATE_INCOMPLETE },
    { "a private key on another curve", true, 1, CKA_EC_PARAMS, WITH(brainpool), CKR_CURVE_NOT_SUPPORTED },
};

static void test_refusals(void **state)
{
    size_t before = find_all(session, CKO_PUBLIC_KEY, NULL, NULL, NULL, 0);
    assert_int_equal(CKR_PUBLIC_KEY_INVALID, 0x1b9); /* some headers have another number */
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct growing template = { .count = 0 };
        CK_OBJECT_HANDLE none = 77;
        if (refusals[i].private)
            grow_private(&template, pkeys[refusals[i].key], curve_of(refusals[i].key));
        else
            grow_public(&template, pkeys[refusals[i].key], curve_of(refusals[i].key));
        if (refusals[i].value)
            set(&template, refusals[i].type, refusals[i].value, refusals[i].len);
        else
            take_out(&template, refusals[i].type);
        CK_RV rv = world.p11->C_CreateObject(session, template.items, template.count, &none);
        if (rv != refusals[i].rv || none != 77)
            fail_msg("%s: 0x%lx", refusals[i].sentence, rv);
    }
    assert_int_equal(find_all(session, CKO_PUBLIC_KEY, NULL, NULL, NULL, 0), before);
    assert_int_equal(find_all(session, CKO_PRIVATE_KEY, NULL, NULL, NULL, 0), 0);
}

static void expect_more(CK_RV rv, bool private, size_t key, CK_ATTRIBUTE more)
{
    struct growing template = { .count = 0 };
    CK_OBJECT_HANDLE object;
    if (private)
        grow_private(&template, pkeys[key], curve_of(key));
    else
        grow_public(&template, pkeys[key], curve_of(key));
    grow(&template, more.type, more.pValue, more.ulValueLen);
    expect(rv, world.p11->C_CreateObject(session, template.items, template.count, &object));
    if (!rv)
        ok(world.p11->C_DestroyObject(session, object));
}

/* The public half may be named, and must then be the right one. */
static void test_what_must_agree(void **state)
{
    CK_BYTE der[2048], *at = der, point[160];
    CK_ULONG len = (CK_ULONG)i2d_PUBKEY(pkeys[1], &at);
    for (int private = 0; private < 2; private ++) {
        CK_ATTRIBUTE info = { CKA_PUBLIC_KEY_INFO, der, len };
        expect_more(CKR_OK, private, 1, info);
        expect_more(CKR_OK, private, 1, (CK_ATTRIBUTE){ CKA_PUBLIC_KEY_INFO, NULL, 0 });
        expect_more(CKR_ATTRIBUTE_VALUE_INVALID, private, 2, info);
        expect_more(CKR_ATTRIBUTE_VALUE_INVALID, private, 0, info);
    }
    CK_ULONG point_len = point_of(pkeys[1], point, sizeof point);
    expect_more(CKR_OK, true, 1, (CK_ATTRIBUTE){ CKA_EC_POINT, point, point_len });
    point[40] ^= 1;
    expect_more(CKR_ATTRIBUTE_VALUE_INVALID, true, 1, (CK_ATTRIBUTE){ CKA_EC_POINT, point, point_len });
    expect_more(CKR_TOKEN_WRITE_PROTECTED, true, 1, (CK_ATTRIBUTE)ITEM(CKA_TOKEN, yes));
    expect_more(CKR_TEMPLATE_INCONSISTENT, false, 1, (CK_ATTRIBUTE)ITEM(CKA_KEY_TYPE, ec));
    expect_more(CKR_ATTRIBUTE_TYPE_INVALID, false, 1, (CK_ATTRIBUTE)ITEM(CKA_SENSITIVE, no));
    expect_more(CKR_ATTRIBUTE_READ_ONLY, false, 0, (CK_ATTRIBUTE)ITEM(CKA_TRUSTED, yes));
    expect_more(CKR_ATTRIBUTE_READ_ONLY, true, 0, (CK_ATTRIBUTE)ITEM(CKA_LOCAL, yes));
    expect_more(CKR_ATTRIBUTE_READ_ONLY, true, 0, (CK_ATTRIBUTE)ITEM(CKA_DERIVE, yes));
    expect_more(CKR_OK, true, 0, (CK_ATTRIBUTE)ITEM(CKA_DERIVE, no));
}

/* Its template lacks nothing: there are no such objects. */
static void test_a_data_object(void **state)
{
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, data_class),
                                { CKA_APPLICATION, "a program", 9 },
                                { CKA_VALUE, "its data", 8 } };
    expect(CKR_TEMPLATE_INCONSISTENT, world.p11->C_CreateObject(session, template, 3, &object));
    expect(CKR_TEMPLATE_INCOMPLETE, world.p11->C_CreateObject(session, template + 1, 2, &object));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_CreateObject(session, template, 3, NULL));
    expect(CKR_ARGUMENTS_BAD, world.p11->C_CreateObject(session, NULL, 3, &object));
    assert_int_equal(object, CK_INVALID_HANDLE);
}

/* --- what is read --- */

static const CK_ATTRIBUTE_TYPE rsa_secrets[] = { CKA_PRIVATE_EXPONENT, CKA_PRIME_1,    CKA_PRIME_2,
                                                 CKA_EXPONENT_1,       CKA_EXPONENT_2, CKA_COEFFICIENT },
                               ec_secrets[] = { CKA_VALUE };

/* One secret part, one that no key has, one that is too long for its room, one that is fine: each in every position. */
static void test_batches(void **state)
{
    CK_OBJECT_HANDLE key = create_private(session, pkeys[0], NULL, false);
    for (int shift = 0; shift < 4; shift++) {
        CK_BYTE bytes[4][16];
        CK_ULONG number = 7;
        CK_ATTRIBUTE batch[4];
        for (int i = 0; i < 4; i++) {
            CK_ATTRIBUTE all[4] = { { CKA_PRIME_1, bytes[0], 16 },
                                    { CKA_VALUE_LEN, bytes[1], 16 },
                                    { CKA_MODULUS, bytes[2], 16 },
                                    { CKA_KEY_TYPE, &number, sizeof number } };
            batch[(i + shift) % 4] = all[i];
        }
        CK_RV rv = world.p11->C_GetAttributeValue(session, key, batch, 4);
        assert_true(rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID ||
                    rv == CKR_BUFFER_TOO_SMALL);
        for (int i = 0; i < 3; i++)
            assert_int_equal(batch[(i + shift) % 4].ulValueLen, CK_UNAVAILABLE_INFORMATION);
        assert_int_equal(batch[(3 + shift) % 4].ulValueLen, sizeof number);
        assert_int_equal(number, CKK_RSA);
    }
    ok(world.p11->C_DestroyObject(session, key));
}

static void test_secret_parts_are_hidden(void **state)
{
    static const struct {
        CK_BBOOL sensitive, extractable;
        CK_RV rv;
    } rows[] = { { CK_TRUE, CK_TRUE, CKR_ATTRIBUTE_SENSITIVE },
                 { CK_FALSE, CK_FALSE, CKR_ATTRIBUTE_SENSITIVE },
                 { CK_FALSE, CK_TRUE, CKR_OK } };
    for (size_t key = 0; key < 2; key++)
        for (size_t i = 0; i < COUNT(rows); i++) {
            struct growing template = { .count = 0 };
            grow_private(&template, pkeys[key], curve_of(key));
            grow_bool(&template, CKA_SENSITIVE, rows[i].sensitive);
            grow_bool(&template, CKA_EXTRACTABLE, rows[i].extractable);
            CK_OBJECT_HANDLE object = create(session, &template);
            for (size_t k = 0; k < (key ? COUNT(ec_secrets) : COUNT(rsa_secrets)); k++) {
                CK_BYTE got[600];
                CK_ATTRIBUTE item = { key ? ec_secrets[k] : rsa_secrets[k], got, sizeof got };
                CK_ATTRIBUTE given = *item_of(&template, item.type);
                expect(rows[i].rv, world.p11->C_GetAttributeValue(session, object, &item, 1));
                assert_int_equal(item.ulValueLen, rows[i].rv ? CK_UNAVAILABLE_INFORMATION : given.ulValueLen);
                if (!rows[i].rv)
                    assert_memory_equal(got, given.pValue, given.ulValueLen);
                CK_OBJECT_HANDLE found;
                CK_ULONG count = 9;
                ok(world.p11->C_FindObjectsInit(session, &given, 1));
                ok(world.p11->C_FindObjects(session, &found, 1, &count));
                ok(world.p11->C_FindObjectsFinal(session));
                assert_int_equal(count, rows[i].rv ? 0 : 1);
            }
            assert_false(attribute_bool(session, object, CKA_ALWAYS_SENSITIVE));
            assert_false(attribute_bool(session, object, CKA_NEVER_EXTRACTABLE));
            assert_false(attribute_bool(session, object, CKA_LOCAL));
            ok(world.p11->C_DestroyObject(session, object));
        }
}

/* --- what is changed --- */

static void test_copy_change_destroy(void **state)
{
    static const CK_BYTE subject[] = { 0x30, 0 };
    CK_ATTRIBUTE label = { CKA_LABEL, "another label", 13 }, raise = ITEM(CKA_SENSITIVE, yes),
                 fix[] = { ITEM(CKA_MODIFIABLE, no), ITEM(CKA_COPYABLE, no), ITEM(CKA_DESTROYABLE, no) },
                 modulus = { CKA_MODULUS, "x", 1 }, id = { CKA_ID, (void *)subject, 2 },
                 name = { CKA_SUBJECT, (void *)subject, sizeof subject };
    CK_OBJECT_HANDLE key = create_private(session, pkeys[0], NULL, true), copy, last, none;
    CK_ULONG small, large;
    CK_BYTE got[300];
    ok(world.p11->C_GetObjectSize(session, key, &small));
    assert_true(small > 1100);
    ok(world.p11->C_CopyObject(session, key, &label, 1, &copy));
    ok(world.p11->C_GetObjectSize(session, copy, &large));
    assert_int_equal(large, small + 13);
    is_key(copy, pkeys[0]);
    ok(world.p11->C_SetAttributeValue(session, copy, &id, 1));
    ok(world.p11->C_SetAttributeValue(session, copy, &name, 1));
    assert_int_equal(attribute(session, copy, CKA_SUBJECT, got, sizeof got), 2);
    expect(CKR_ATTRIBUTE_READ_ONLY, world.p11->C_SetAttributeValue(session, copy, &modulus, 1));
    ok(world.p11->C_SetAttributeValue(session, copy, &raise, 1));
    CK_ATTRIBUTE prime = { CKA_PRIME_1, got, sizeof got };
    expect(CKR_ATTRIBUTE_SENSITIVE, world.p11->C_GetAttributeValue(session, copy, &prime, 1));
    assert_true(attribute(session, key, CKA_PRIME_1, got, sizeof got) > 100);
    ok(world.p11->C_CopyObject(session, copy, fix, 3, &last));
    expect(CKR_ACTION_PROHIBITED, world.p11->C_SetAttributeValue(session, last, &label, 1));
    expect(CKR_ACTION_PROHIBITED, world.p11->C_CopyObject(session, last, NULL, 0, &none));
    expect(CKR_ACTION_PROHIBITED, world.p11->C_DestroyObject(session, last));
    struct result made = sign(session, &rsa_sha256, last, "text", 4);
    ok(world.p11->C_DestroyObject(session, key));
    ok(world.p11->C_DestroyObject(session, copy));
    assert_true(openssl_verifies(pkeys[0], 1, "SHA256", kv_view_text("text"), &made));
    expect(CKR_OBJECT_HANDLE_INVALID, world.p11->C_GetObjectSize(session, key, &small));
    session = restart(PROD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leading_zeros),
        cmocka_unit_test(test_points_with_and_without_their_octet_string),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_rsa_without_its_primes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_what_must_agree),
        cmocka_unit_test(test_a_data_object),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_secret_parts_are_hidden),
        cmocka_unit_test(test_copy_change_destroy),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
