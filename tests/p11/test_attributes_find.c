/* Searches: by every attribute that an object has, alone with its class and label, and by a value that it has not; what is secret finds nothing. */
#include "attr_expect.h"

static CK_FUNCTION_LIST *p11;
static const struct subject *all;
static size_t count;
static const struct expected *rows;
static size_t row_count;

static int start(void **state)
{
    int rc = subjects_start(state);
    p11 = world.p11;
    count = subjects(&all);
    row_count = expectations(&rows);
    return rc;
}

/* Whether a search finds the object, and how much else. */
static bool finds(const struct subject *subject, CK_ATTRIBUTE *template, CK_ULONG items, size_t *ret_others)
{
    CK_OBJECT_HANDLE some[16];
    CK_ULONG got;
    bool found = false;
    *ret_others = 0;
    ok(p11->C_FindObjectsInit(subject->session, template, items));
    do {
        ok(p11->C_FindObjects(subject->session, some, 16, &got));
        for (CK_ULONG i = 0; i < got; i++) {
            *ret_others += some[i] != subject->object;
            found |= some[i] == subject->object;
        }
    } while (got);
    ok(p11->C_FindObjectsFinal(subject->session));
    return found;
}

static CK_OBJECT_CLASS class_of(const struct subject *subject)
{
    CK_OBJECT_CLASS type = 0;
    attribute(subject->session, subject->object, CKA_CLASS, &type, sizeof type);
    return type;
}

/* With class and label the value finds this object and no other; with one bit changed, or a byte more, nothing. */
static void test_every_attribute_finds(void **state)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < row_count; k++) {
            if (all[i].nature & ON_FIXED || expectation(&all[i], rows[k].type) != &rows[k] ||
                rows[k].how == IS_HIDDEN || rows[k].how == IS_ABSENT || rows[k].how == IS_OPTION ||
                rows[k].type == CKA_CLASS || rows[k].type == CKA_LABEL)
                continue;
            struct result value = { .len = 0 };
            CK_OBJECT_CLASS type = class_of(&all[i]);
            size_t others;
            value.len = attribute(all[i].session, all[i].object, rows[k].type, value.data, 1000);
            CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                        { CKA_LABEL, (void *)all[i].label, strlen(all[i].label) },
                                        { rows[k].type, value.data, value.len } };
            if (!finds(&all[i], template, 3, &others) || others)
                fail_msg("'%s': attribute 0x%lx finds %zu others", all[i].label, rows[k].type, others);
            value.data[value.len / 2] ^= 1;
            if (value.len && (finds(&all[i], template, 3, &others) || others))
                fail_msg("'%s': another value of attribute 0x%lx finds", all[i].label, rows[k].type);
            value.data[value.len / 2] ^= 1;
            template[2].ulValueLen++;
            if (finds(&all[i], template, 3, &others) || others)
                fail_msg("'%s': a longer value of attribute 0x%lx finds", all[i].label, rows[k].type);
            template[2].ulValueLen = 0;
            if (value.len && (finds(&all[i], template, 3, &others) || others))
                fail_msg("'%s': an empty value of attribute 0x%lx finds", all[i].label, rows[k].type);
        }
}

/* By label and by identifier alone: what is found has it, and the object is among it. */
static void test_names_find(void **state)
{
    for (size_t i = 0; i < count; i++) {
        CK_BYTE id[64];
        if (all[i].nature & ON_FIXED)
            continue;
        size_t others, len = attribute(all[i].session, all[i].object, CKA_ID, id, sizeof id);
        CK_ATTRIBUTE label = { CKA_LABEL, (void *)all[i].label, strlen(all[i].label) };
        assert_true(finds(&all[i], &label, 1, &others));
        assert_true(others <= 2); /* the other half, and of a certificate both */
        CK_ATTRIBUTE by_id = { CKA_ID, id, len };
        assert_true(finds(&all[i], &by_id, 1, &others));
    }
}

/* Any one attribute alone: the object is found among all others of its slot that have it. Each is a walk over the vault: one of every form will do. */
static void test_one_attribute_alone(void **state)
{
    static const CK_ATTRIBUTE_TYPE types[] = { CKA_CLASS, CKA_SENSITIVE, CKA_MODULUS, CKA_ALLOWED_MECHANISMS,
                                               CKA_KVP11_VERSION };
    const struct subject *subject = &all[0];
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        struct result value = { .len = 0 };
        size_t others;
        value.len = attribute(subject->session, subject->object, types[k], value.data, 1000);
        CK_ATTRIBUTE template = { types[k], value.data, value.len };
        if (!finds(subject, &template, 1, &others))
            fail_msg("'%s': attribute 0x%lx alone does not find it", subject->label, types[k]);
    }
}

/* Profiles and mechanisms are found by class, or by class and what they are; not by who walks over everything. */
static void test_fixed_objects(void **state)
{
    for (size_t i = 0; i < count; i++) {
        CK_OBJECT_CLASS type = class_of(&all[i]);
        CK_ULONG value = 0, none = 0x7ffffff0;
        CK_BBOOL token = CK_TRUE;
        size_t others;
        if (!(all[i].nature & ON_FIXED))
            continue;
        CK_ATTRIBUTE_TYPE what = all[i].nature & ON_PROFILE ? CKA_PROFILE_ID : CKA_MECHANISM_TYPE;
        attribute(all[i].session, all[i].object, what, &value, sizeof value);
        CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type }, { what, &value, sizeof value } };
        assert_true(finds(&all[i], template, 2, &others));
        assert_int_equal(others, 0);
        template[1].pValue = &none;
        assert_false(finds(&all[i], template, 2, &others));
        assert_int_equal(others, 0);
        CK_ATTRIBUTE on_token = { CKA_TOKEN, &token, 1 };
        assert_false(finds(&all[i], &on_token, 1, &others));
        assert_false(finds(&all[i], NULL, 0, &others));
    }
}

/* A search is no oracle: neither the right value of a secret nor an empty one finds the key. */
static void test_secrets_find_nothing(void **state)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < row_count; k++) {
            if (expectation(&all[i], rows[k].type) != &rows[k] || rows[k].how != IS_HIDDEN)
                continue;
            size_t others;
            CK_ATTRIBUTE right = { rows[k].type, (void *)all[i].key->value.data, all[i].key->value.len };
            CK_ATTRIBUTE empty = { rows[k].type, NULL, 0 };
            assert_false(finds(&all[i], &right, 1, &others) && all[i].nature & ON_VAULT);
            assert_false(finds(&all[i], &empty, 1, &others));
            assert_int_equal(others, 0);
        }
    /* A session's secret that is sensitive: not by its value either. */
    const struct matrix_key *key = matrix_find("session AES-128");
    CK_OBJECT_HANDLE secret = aes_key(key->session, (const CK_BYTE *)"sixteen letters.", 16, false);
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE sensitive = { CKA_SENSITIVE, &yes, 1 }, value = { CKA_VALUE, "sixteen letters.", 16 };
    struct subject subject = { .session = key->session, .object = secret };
    size_t others;
    ok(p11->C_SetAttributeValue(key->session, secret, &sensitive, 1));
    assert_false(finds(&subject, &value, 1, &others));
    assert_int_equal(others, 0);
    ok(p11->C_DestroyObject(key->session, secret));
}

/* What a template may not be, and what an attribute of nobody finds. */
static void test_templates(void **state)
{
    const struct subject *subject = &all[0];
    CK_OBJECT_HANDLE some[4];
    CK_ULONG got = 7;
    size_t others;
    CK_ATTRIBUTE hole = { CKA_LABEL, NULL, 5 }, nobody = { 0x80001234UL, "x", 1 };
    CK_OBJECT_CLASS type = CKO_PRIVATE_KEY, none = CKO_HW_FEATURE;
    expect(CKR_ARGUMENTS_BAD, p11->C_FindObjectsInit(subject->session, &hole, 1));
    expect(CKR_ARGUMENTS_BAD, p11->C_FindObjectsInit(subject->session, NULL, 1));
    expect(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjects(subject->session, some, 4, &got));
    assert_false(finds(subject, &nobody, 1, &others));
    assert_int_equal(others, 0);
    CK_ATTRIBUTE contrary[] = { { CKA_CLASS, &type, sizeof type }, { CKA_CLASS, &none, sizeof none } };
    assert_false(finds(subject, contrary, 2, &others));
    assert_int_equal(others, 0);
    CK_ATTRIBUTE narrow = { CKA_CLASS, &type, sizeof type - 1 };
    assert_false(finds(subject, &narrow, 1, &others));
    assert_int_equal(others, 0);
    assert_true(finds(subject, NULL, 0, &others));
    assert_true(others >= count / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_attribute_finds), cmocka_unit_test(test_names_find),
        cmocka_unit_test(test_one_attribute_alone),   cmocka_unit_test(test_secrets_find_nothing),
        cmocka_unit_test(test_fixed_objects),         cmocka_unit_test(test_templates),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
