/* Attributes set: what C_SetAttributeValue, C_CopyObject and C_CreateObject may name, one attribute at a time and in company, with values of the right and of the
 * wrong form. What is refused has changed nothing. PKCS#11 §4.1.1 and the footnotes of its tables. */
#include "attr_expect.h"

static CK_FUNCTION_LIST *p11;
static CK_SESSION_HANDLE session;
static const CK_BYTE bytes[32] = "the value of a key of 32 bytes.";
static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE, neither = 2;
static const CK_OBJECT_CLASS secret = CKO_SECRET_KEY, private_key = CKO_PRIVATE_KEY;
static const CK_KEY_TYPE aes = CKK_AES, generic = CKK_GENERIC_SECRET;
static const CK_ULONG thirty_two = 32;
static const CK_MECHANISM_TYPE generated = CKM_AES_KEY_GEN;

#define ITEM(type, v)                                                                                        \
    {                                                                                                        \
        type, (void *)&(v), sizeof(v)                                                                        \
    }
#define TEXT(type, v)                                                                                        \
    {                                                                                                        \
        type, (void *)(v), sizeof(v) - 1                                                                     \
    }

static int start(void **state)
{
    int rc = subjects_start(state);
    p11 = world.p11;
    session = matrix_find("session AES-256")->session;
    return rc;
}

/* Everything true that can be, so that both directions of a flag can be tried. */
static CK_OBJECT_HANDLE fresh(bool sensitive, bool extractable)
{
    CK_BBOOL hide = sensitive, out = extractable;
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, secret),    ITEM(CKA_KEY_TYPE, aes),
                                ITEM(CKA_VALUE, bytes),     ITEM(CKA_SENSITIVE, hide),
                                ITEM(CKA_EXTRACTABLE, out), TEXT(CKA_LABEL, "as it was"),
                                TEXT(CKA_ID, "\x01"),       TEXT(CKA_START_DATE, "20210304") };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    ok(p11->C_CreateObject(session, template, sizeof template / sizeof *template, &object));
    return object;
}

/* --- one attribute at a time --- */

static const struct {
    const char *sentence;
    CK_ATTRIBUTE item;
    bool sensitive, extractable; /* of the key before */
    CK_RV set, copy;             /* what each answers */
} rows[] = {
    { "a label", TEXT(CKA_LABEL, "another"), false, true, CKR_OK, CKR_OK },
    { "no label", { CKA_LABEL, NULL, 0 }, false, true, CKR_OK, CKR_OK },
    { "an identifier", TEXT(CKA_ID, "\x05\x06\x07"), false, true, CKR_OK, CKR_OK },
    { "a start", TEXT(CKA_START_DATE, "20220101"), false, true, CKR_OK, CKR_OK },
    { "no start", { CKA_START_DATE, NULL, 0 }, false, true, CKR_OK, CKR_OK },
    { "an end", TEXT(CKA_END_DATE, "20991231"), false, true, CKR_OK, CKR_OK },
    { "half a date", TEXT(CKA_END_DATE, "2099"), false, true, CKR_ATTRIBUTE_VALUE_INVALID,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "an ability less", ITEM(CKA_ENCRYPT, no), false, true, CKR_OK, CKR_OK },
    { "DECRYPT", ITEM(CKA_DECRYPT, no), false, true, CKR_OK, CKR_OK },
    { "WRAP", ITEM(CKA_WRAP, no), false, true, CKR_OK, CKR_OK },
    { "UNWRAP", ITEM(CKA_UNWRAP, no), false, true, CKR_OK, CKR_OK },
    { "an ability more", ITEM(CKA_SIGN, yes), false, true, CKR_OK, CKR_OK },
    { "VERIFY", ITEM(CKA_VERIFY, yes), false, true, CKR_OK, CKR_OK },
    { "neither true nor false", ITEM(CKA_ENCRYPT, neither), false, true, CKR_ATTRIBUTE_VALUE_INVALID,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "a truth of eight bytes", ITEM(CKA_ENCRYPT, thirty_two), false, true, CKR_ATTRIBUTE_VALUE_INVALID,
      CKR_ATTRIBUTE_VALUE_INVALID },
    { "a truth of none",
      { CKA_ENCRYPT, NULL, 0 },
      false,
      true,
      CKR_ATTRIBUTE_VALUE_INVALID,
      CKR_ATTRIBUTE_VALUE_INVALID },

    { "more secret", ITEM(CKA_SENSITIVE, yes), false, true, CKR_OK, CKR_OK },
    { "as secret as it is", ITEM(CKA_SENSITIVE, yes), true, true, CKR_OK, CKR_OK },
    { "less secret", ITEM(CKA_SENSITIVE, no), true, true, CKR_ATTRIBUTE_READ_ONLY, CKR_ATTRIBUTE_READ_ONLY },
    { "shut in", ITEM(CKA_EXTRACTABLE, no), false, true, CKR_OK, CKR_OK },
    { "let out", ITEM(CKA_EXTRACTABLE, yes), false, false, CKR_ATTRIBUTE_READ_ONLY, CKR_ATTRIBUTE_READ_ONLY },
    { "for trusted keys only", ITEM(CKA_WRAP_WITH_TRUSTED, yes), false, true, CKR_OK, CKR_OK },
    { "to be copied no more", ITEM(CKA_COPYABLE, no), false, true, CKR_OK, CKR_OK },
    { "to be destroyed no more", ITEM(CKA_DESTROYABLE, no), false, true, CKR_OK, CKR_OK },

    { "another class", ITEM(CKA_CLASS, private_key), false, true, CKR_ATTRIBUTE_READ_ONLY,
      CKR_ATTRIBUTE_READ_ONLY },
    { "the same class", ITEM(CKA_CLASS, secret), false, true, CKR_ATTRIBUTE_READ_ONLY,
      CKR_ATTRIBUTE_READ_ONLY },
    { "another type", ITEM(CKA_KEY_TYPE, generic), false, true, CKR_ATTRIBUTE_READ_ONLY,
      CKR_ATTRIBUTE_READ_ONLY },
    { "another value", ITEM(CKA_VALUE, bytes), false, true, CKR_ATTRIBUTE_READ_ONLY,
      CKR_ATTRIBUTE_READ_ONLY },
    { "a length", ITEM(CKA_VALUE_LEN, thirty_two), false, true, CKR_ATTRIBUTE_READ_ONLY,
      CKR_ATTRIBUTE_READ_ONLY },
    { "a unique identifier", TEXT(CKA_UNIQUE_ID, "mine"), false, true, CKR_ATTRIBUTE_READ_ONLY,
      CKR_ATTRIBUTE_READ_ONLY },
    { "born here", ITEM(CKA_LOCAL, yes), false, true, CKR_ATTRIBUTE_READ_ONLY, CKR_ATTRIBUTE_READ_ONLY },
    { "made by", ITEM(CKA_KEY_GEN_MECHANISM, generated), false, true, CKR_ATTRIBUTE_READ_ONLY,
      CKR_ATTRIBUTE_READ_ONLY },
    { "secret ever since", ITEM(CKA_ALWAYS_SENSITIVE, yes), false, true, CKR_ATTRIBUTE_READ_ONLY,
      CKR_ATTRIBUTE_READ_ONLY },
    { "shut in ever since", ITEM(CKA_NEVER_EXTRACTABLE, yes), false, true, CKR_ATTRIBUTE_READ_ONLY,
      CKR_ATTRIBUTE_READ_ONLY },
    { "trusted", ITEM(CKA_TRUSTED, yes), false, true, CKR_ATTRIBUTE_READ_ONLY, CKR_ATTRIBUTE_READ_ONLY },
    /* A copy may stand elsewhere; here it cannot stand on a token. */
    { "of a token", ITEM(CKA_TOKEN, yes), false, true, CKR_ATTRIBUTE_READ_ONLY, CKR_TOKEN_WRITE_PROTECTED },
    { "of no token", ITEM(CKA_TOKEN, no), false, true, CKR_ATTRIBUTE_READ_ONLY, CKR_OK },
    { "to be changed no more", ITEM(CKA_MODIFIABLE, no), false, true, CKR_ATTRIBUTE_READ_ONLY, CKR_OK },
    { "what no key has", TEXT(CKA_URL, "x"), false, true, CKR_ATTRIBUTE_TYPE_INVALID,
      CKR_ATTRIBUTE_TYPE_INVALID },
    { "what only RSA keys have", TEXT(CKA_MODULUS, "x"), false, true, CKR_ATTRIBUTE_TYPE_INVALID,
      CKR_ATTRIBUTE_TYPE_INVALID },
    { "what nobody has", TEXT(0x80001234UL, "x"), false, true, CKR_ATTRIBUTE_TYPE_INVALID,
      CKR_ATTRIBUTE_TYPE_INVALID },
    { "a vault key's name", TEXT(CKA_KVP11_KID, "x"), false, true, CKR_ATTRIBUTE_TYPE_INVALID,
      CKR_ATTRIBUTE_TYPE_INVALID },
};

static bool reads(CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *wanted)
{
    CK_BYTE got[64];
    size_t len = attribute(session, object, wanted->type, got, sizeof got);
    return len == wanted->ulValueLen && !memcmp(got, wanted->pValue, len);
}

static void as_it_was(const char *sentence, CK_OBJECT_HANDLE object, bool sensitive, bool extractable)
{
    CK_BBOOL hide = sensitive, out = extractable;
    const CK_ATTRIBUTE before[] = {
        TEXT(CKA_LABEL, "as it was"), TEXT(CKA_ID, "\x01"),       TEXT(CKA_START_DATE, "20210304"),
        ITEM(CKA_SENSITIVE, hide),    ITEM(CKA_EXTRACTABLE, out), ITEM(CKA_KEY_TYPE, aes),
        ITEM(CKA_TOKEN, no),          ITEM(CKA_MODIFIABLE, yes),  ITEM(CKA_COPYABLE, yes),
        ITEM(CKA_DESTROYABLE, yes),   ITEM(CKA_ENCRYPT, yes),     ITEM(CKA_DECRYPT, yes),
        ITEM(CKA_SIGN, no),           ITEM(CKA_TRUSTED, no),      ITEM(CKA_WRAP_WITH_TRUSTED, no)
    };
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        if (!reads(object, &before[i]))
            fail_msg("%s: attribute 0x%lx has changed", sentence, before[i].type);
}

static void test_set(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CK_OBJECT_HANDLE key = fresh(rows[i].sensitive, rows[i].extractable);
        CK_ATTRIBUTE item = rows[i].item, some[] = { TEXT(CKA_LABEL, "in company"), rows[i].item };
        CK_RV rv = p11->C_SetAttributeValue(session, key, &item, 1);
        if (rv != rows[i].set)
            fail_msg("%s, set: 0x%lx instead of 0x%lx", rows[i].sentence, rv, rows[i].set);
        if (!rv && item.ulValueLen)
            assert_true(reads(key, &item));
        if (rv) {
            as_it_was(rows[i].sentence, key, rows[i].sensitive, rows[i].extractable);
            /* In company of one that is right it is refused just the same, and that one is not set. */
            if (item.type != CKA_LABEL)
                assert_int_equal(p11->C_SetAttributeValue(session, key, some, 2), rows[i].set);
            as_it_was(rows[i].sentence, key, rows[i].sensitive, rows[i].extractable);
        }
        p11->C_DestroyObject(session, key);
    }
}

static void test_copy(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CK_OBJECT_HANDLE key = fresh(rows[i].sensitive, rows[i].extractable), copy = CK_INVALID_HANDLE;
        CK_ATTRIBUTE item = rows[i].item;
        CK_RV rv = p11->C_CopyObject(session, key, &item, 1, &copy);
        if (rv != rows[i].copy)
            fail_msg("%s, copied: 0x%lx instead of 0x%lx", rows[i].sentence, rv, rows[i].copy);
        as_it_was(rows[i].sentence, key, rows[i].sensitive, rows[i].extractable);
        if (rv) {
            assert_int_equal(copy, CK_INVALID_HANDLE);
        } else {
            assert_int_not_equal(copy, key);
            assert_true(!item.ulValueLen || reads(copy, &item));
            p11->C_DestroyObject(session, copy);
        }
        ok(p11->C_DestroyObject(session, key));
    }
}

/* --- what a key was made to be, it stays --- */

static void test_the_shut_stay_shut(void **state)
{
    CK_OBJECT_HANDLE key = fresh(false, true), copy = CK_INVALID_HANDLE;
    CK_ATTRIBUTE label = TEXT(CKA_LABEL, "x"), fixed = ITEM(CKA_MODIFIABLE, no),
                 copyable = ITEM(CKA_COPYABLE, yes), uncopyable = ITEM(CKA_COPYABLE, no),
                 kept = ITEM(CKA_DESTROYABLE, no);
    ok(p11->C_CopyObject(session, key, &fixed, 1, &copy));
    expect(CKR_ACTION_PROHIBITED, p11->C_SetAttributeValue(session, copy, &label, 1));
    expect(CKR_ACTION_PROHIBITED, p11->C_SetAttributeValue(session, copy, NULL, 0));
    ok(p11->C_DestroyObject(session, copy));
    ok(p11->C_SetAttributeValue(session, key, &uncopyable, 1));
    expect(CKR_ACTION_PROHIBITED, p11->C_CopyObject(session, key, NULL, 0, &copy));
    expect(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(session, key, &copyable, 1));
    ok(p11->C_SetAttributeValue(session, key, &kept, 1));
    expect(CKR_ACTION_PROHIBITED, p11->C_DestroyObject(session, key));
}

/* ALWAYS_SENSITIVE and NEVER_EXTRACTABLE are true only of what was made here, and are lost with the first copy that is less. */
static void test_history(void **state)
{
    CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
    for (int i = 0; i < 4; i++) {
        CK_BBOOL hide = i & 1, out = i & 2 ? CK_TRUE : CK_FALSE;
        CK_ATTRIBUTE template[] = { ITEM(CKA_VALUE_LEN, thirty_two), ITEM(CKA_SENSITIVE, hide),
                                    ITEM(CKA_EXTRACTABLE, out) };
        CK_OBJECT_HANDLE key = CK_INVALID_HANDLE, copy = CK_INVALID_HANDLE;
        ok(p11->C_GenerateKey(session, &mechanism, template, 3, &key));
        assert_int_equal(attribute_bool(session, key, CKA_ALWAYS_SENSITIVE), hide);
        assert_int_equal(attribute_bool(session, key, CKA_NEVER_EXTRACTABLE), !out);
        assert_true(attribute_bool(session, key, CKA_LOCAL));
        CK_ATTRIBUTE harder[] = { ITEM(CKA_SENSITIVE, yes), ITEM(CKA_EXTRACTABLE, no) };
        ok(p11->C_CopyObject(session, key, harder, 2, &copy));
        ok(p11->C_SetAttributeValue(session, key, harder, 2));
        for (int which = 0; which < 2; which++) { /* shut now, but not always */
            CK_OBJECT_HANDLE object = which ? copy : key;
            assert_true(attribute_bool(session, object, CKA_SENSITIVE));
            assert_int_equal(attribute_bool(session, object, CKA_ALWAYS_SENSITIVE), hide);
            assert_int_equal(attribute_bool(session, object, CKA_NEVER_EXTRACTABLE), !out);
            ok(p11->C_DestroyObject(session, object));
        }
    }
    CK_OBJECT_HANDLE key = fresh(true, false);
    assert_false(attribute_bool(session, key, CKA_ALWAYS_SENSITIVE));
    assert_false(attribute_bool(session, key, CKA_NEVER_EXTRACTABLE));
    assert_false(attribute_bool(session, key, CKA_LOCAL));
    ok(p11->C_DestroyObject(session, key));
}

/* The value is read where the key is neither sensitive nor shut in, and only there. */
static void test_the_value_of_a_secret(void **state)
{
    for (int i = 0; i < 4; i++) {
        bool sensitive = i & 1, extractable = i & 2;
        CK_OBJECT_HANDLE key = fresh(sensitive, extractable);
        CK_BYTE got[32];
        CK_ATTRIBUTE item = { CKA_VALUE, got, sizeof got };
        expect(!sensitive && extractable ? CKR_OK : CKR_ATTRIBUTE_SENSITIVE,
               p11->C_GetAttributeValue(session, key, &item, 1));
        if (!sensitive && extractable)
            assert_memory_equal(got, bytes, 32);
        else
            assert_int_equal(item.ulValueLen, CK_UNAVAILABLE_INFORMATION);
        ok(p11->C_DestroyObject(session, key));
    }
}

/* --- templates --- */

static void test_templates(void **state)
{
    CK_OBJECT_HANDLE key = fresh(false, true), copy = CK_INVALID_HANDLE;
    CK_ATTRIBUTE twice[] = { TEXT(CKA_LABEL, "a"), TEXT(CKA_LABEL, "b") }, hole = { CKA_LABEL, NULL, 3 };
    expect(CKR_TEMPLATE_INCONSISTENT, p11->C_SetAttributeValue(session, key, twice, 2));
    expect(CKR_TEMPLATE_INCONSISTENT, p11->C_CopyObject(session, key, twice, 2, &copy));
    expect(CKR_ARGUMENTS_BAD, p11->C_SetAttributeValue(session, key, &hole, 1));
    expect(CKR_ARGUMENTS_BAD, p11->C_SetAttributeValue(session, key, NULL, 1));
    expect(CKR_ARGUMENTS_BAD, p11->C_CopyObject(session, key, &hole, 1, &copy));
    expect(CKR_ARGUMENTS_BAD, p11->C_CopyObject(session, key, NULL, 0, NULL));
    expect(CKR_OBJECT_HANDLE_INVALID, p11->C_SetAttributeValue(session, 999999, twice, 1));
    expect(CKR_OBJECT_HANDLE_INVALID, p11->C_CopyObject(session, 999999, twice, 1, &copy));
    as_it_was("templates", key, false, true);
    ok(p11->C_DestroyObject(session, key));

    static const struct {
        const char *what;
        CK_ATTRIBUTE items[3];
        CK_ULONG count;
        CK_RV rv;
    } creates[] = {
        { "no type", { ITEM(CKA_CLASS, secret), ITEM(CKA_VALUE, bytes) }, 2, CKR_TEMPLATE_INCOMPLETE },
        { "no value", { ITEM(CKA_CLASS, secret), ITEM(CKA_KEY_TYPE, aes) }, 2, CKR_TEMPLATE_INCOMPLETE },
        { "no class", { ITEM(CKA_KEY_TYPE, aes), ITEM(CKA_VALUE, bytes) }, 2, CKR_TEMPLATE_INCOMPLETE },
        { "nothing", { ITEM(CKA_CLASS, secret) }, 0, CKR_TEMPLATE_INCOMPLETE },
        { "an AES key of 17 bytes",
          { ITEM(CKA_CLASS, secret), ITEM(CKA_KEY_TYPE, aes), TEXT(CKA_VALUE, "seventeen letters") },
          3,
          CKR_ATTRIBUTE_VALUE_INVALID },
        { "a key of no bytes",
          { ITEM(CKA_CLASS, secret), ITEM(CKA_KEY_TYPE, generic), { CKA_VALUE, NULL, 0 } },
          3,
          CKR_ATTRIBUTE_VALUE_INVALID },
    };
    for (size_t i = 0; i < sizeof creates / sizeof *creates; i++) {
        copy = CK_INVALID_HANDLE;
        CK_RV rv = p11->C_CreateObject(session, (CK_ATTRIBUTE *)creates[i].items, creates[i].count, &copy);
        if (rv != creates[i].rv || copy != CK_INVALID_HANDLE)
            fail_msg("%s: 0x%lx instead of 0x%lx", creates[i].what, rv, creates[i].rv);
    }
}

/* A vault's objects are what the vault says: nothing is set, copied or destroyed. */
static void test_vault_objects(void **state)
{
    const struct subject *all;
    size_t count = subjects(&all);
    CK_ATTRIBUTE_TYPE types[] = { CKA_LABEL, CKA_ID, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_SIGN, CKA_TOKEN };
    clear_log();
    for (size_t i = 0; i < count; i++) {
        CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
        if (!(all[i].nature & ON_VAULT))
            continue;
        for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
            CK_ATTRIBUTE item = { types[k], (void *)&yes, 1 };
            expect(CKR_ACTION_PROHIBITED, p11->C_SetAttributeValue(all[i].session, all[i].object, &item, 1));
            expect(CKR_ACTION_PROHIBITED, p11->C_CopyObject(all[i].session, all[i].object, &item, 1, &copy));
        }
        expect(CKR_ACTION_PROHIBITED, p11->C_DestroyObject(all[i].session, all[i].object));
    }
    assert_int_equal(requests(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_the_shut_stay_shut),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_the_value_of_a_secret),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_vault_objects),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
