/* Attributes read: every attribute of every class of object, its value held against what OpenSSL knows of the key; batches in which one attribute is missing,
 * secret or too large for its buffer, in every place; sizes, empty and missing buffers. */
#include "attr_expect.h"

#include "attr_rules.h"

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

static CK_RV read_one(const struct subject *subject, CK_ATTRIBUTE *item)
{
    return p11->C_GetAttributeValue(subject->session, subject->object, item, 1);
}

/* No rule of the module is without an expectation here, for no subject. */
static void test_every_rule_is_expected(void **state)
{
    for (size_t i = 0; i < kv_attr_rule_count; i++) {
        bool known = false;
        for (size_t k = 0; k < row_count; k++)
            known |= rows[k].type == kv_attr_rules[i].type;
        if (!known)
            fail_msg("no test for attribute 0x%lx: give it a line in tests/p11/attr_expect.c",
                     kv_attr_rules[i].type);
    }
    /* And each expectation has a subject. */
    for (size_t k = 0; k < row_count; k++) {
        bool used = false;
        for (size_t i = 0; i < count; i++)
            used |= expectation(&all[i], rows[k].type) == &rows[k];
        if (!used)
            fail_msg("row %zu of attr_expect.c (0x%lx) meets no subject", k, rows[k].type);
    }
}

static void check_value(const struct subject *subject, const struct expected *row, const CK_ATTRIBUTE *item)
{
    struct result wanted = { .len = 0 };
    if (!expected_value(subject, row, &wanted)) {
        if (!item->ulValueLen)
            fail_msg("'%s': attribute 0x%lx is empty", subject->label, row->type);
        return;
    }
    if (item->ulValueLen != wanted.len || memcmp(item->pValue, wanted.data, wanted.len))
        fail_msg("'%s' (class %x): attribute 0x%lx: another value, of %lu bytes instead of %lu",
                 subject->label, subject->nature, row->type, item->ulValueLen, wanted.len);
}

static CK_RV wanted_code(const struct expected *row)
{
    return !row || row->how == IS_ABSENT ? CKR_ATTRIBUTE_TYPE_INVALID
           : row->how == IS_HIDDEN       ? CKR_ATTRIBUTE_SENSITIVE
                                         : CKR_OK;
}

/* Every attribute that any class has, of every object: right, secret, or not there. */
static void test_every_attribute_of_every_object(void **state)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < row_count; k++) {
            const struct expected *row = expectation(&all[i], rows[k].type);
            struct result got = { .len = 0 };
            CK_ATTRIBUTE item = { rows[k].type, got.data, sizeof got.data };
            CK_RV rv = read_one(&all[i], &item), wanted = wanted_code(row);
            if (row && row->how == IS_OPTION && rv == CKR_ATTRIBUTE_TYPE_INVALID)
                wanted = rv;
            if (rv != wanted)
                fail_msg("'%s' (class %x): attribute 0x%lx: 0x%lx instead of 0x%lx", all[i].label,
                         all[i].nature, rows[k].type, rv, wanted);
            if (rv)
                assert_int_equal(item.ulValueLen, CK_UNAVAILABLE_INFORMATION);
            else
                check_value(&all[i], row, &item);
        }
}

/* The size without a buffer, whatever stands in ulValueLen; a buffer of exactly that size, with nothing written behind it; one byte less; none. */
static void test_sizes(void **state)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < row_count; k++) {
            const struct expected *row = expectation(&all[i], rows[k].type);
            struct result got = { .len = 0 };
            CK_ATTRIBUTE item = { rows[k].type, NULL, 12345 };
            if (!row || row->how == IS_OPTION)
                continue;
            CK_RV rv = read_one(&all[i], &item);
            assert_int_equal(rv, wanted_code(row));
            if (rv) {
                assert_int_equal(item.ulValueLen, CK_UNAVAILABLE_INFORMATION);
                continue;
            }
            CK_ULONG size = item.ulValueLen;
            memset(got.data, 0x5a, sizeof got.data);
            item = (CK_ATTRIBUTE){ rows[k].type, got.data, size };
            ok(read_one(&all[i], &item));
            assert_int_equal(item.ulValueLen, size);
            assert_int_equal(got.data[size], 0x5a);
            check_value(&all[i], row, &item);
            CK_ULONG rooms[] = { size ? size - 1 : 0, 0 };
            for (size_t r = 0; r < 2; r++) {
                memset(got.data, 0x5a, sizeof got.data);
                item = (CK_ATTRIBUTE){ rows[k].type, got.data, rooms[r] };
                assert_int_equal(read_one(&all[i], &item), size ? CKR_BUFFER_TOO_SMALL : CKR_OK);
                assert_int_equal(item.ulValueLen, size ? CK_UNAVAILABLE_INFORMATION : 0);
                assert_int_equal(got.data[0], 0x5a);
            }
        }
}

/* --- batches --- */

static bool is_told(const struct expected *row)
{
    return row->how != IS_HIDDEN && row->how != IS_ABSENT && row->how != IS_OPTION;
}

enum { BATCH = 9 };

/* The first that the object has, of every size: what a batch is made of. */
static size_t good_ones(const struct subject *subject, CK_ATTRIBUTE_TYPE *ret, size_t room)
{
    size_t found = 0;
    for (size_t k = 0; k < row_count && found < room; k++)
        if (expectation(subject, rows[k].type) == &rows[k] && is_told(&rows[k]))
            ret[found++] = rows[k].type;
    return found;
}

struct bad {
    CK_ATTRIBUTE_TYPE type;
    CK_ULONG room;
    CK_RV rv;
};

/* One `bad` at `place` and perhaps a second one behind it: all others are answered, and the first bad one gives the code. */
static void batch(const struct subject *subject, const struct bad *bads, size_t bad_count, size_t place)
{
    static CK_BYTE buffers[BATCH + 2][1024];
    CK_ATTRIBUTE_TYPE good[BATCH];
    CK_ATTRIBUTE items[BATCH + 2];
    size_t total = good_ones(subject, good, BATCH) + bad_count, next = 0;
    for (size_t i = 0; i < total; i++) {
        bool is_bad = i >= place && i < place + bad_count;
        items[i] = is_bad ? (CK_ATTRIBUTE){ bads[i - place].type, buffers[i], bads[i - place].room }
                          : (CK_ATTRIBUTE){ good[next++], buffers[i], sizeof buffers[i] };
    }
    CK_RV rv = p11->C_GetAttributeValue(subject->session, subject->object, items, total);
    if (rv != bads[0].rv)
        fail_msg("'%s': 0x%lx at place %zu: 0x%lx instead of 0x%lx", subject->label, bads[0].type, place, rv,
                 bads[0].rv);
    for (size_t i = 0; i < total; i++)
        if (i >= place && i < place + bad_count)
            assert_int_equal(items[i].ulValueLen, CK_UNAVAILABLE_INFORMATION);
        else
            check_value(subject, expectation(subject, items[i].type), &items[i]);
}

static size_t bad_ones(const struct subject *subject, struct bad ret[8])
{
    size_t found = 0;
    ret[found++] = (struct bad){ 0x80001234UL, 100, CKR_ATTRIBUTE_TYPE_INVALID };
    ret[found++] =
        (struct bad){ subject->nature & ON_EC ? CKA_MODULUS : CKA_EC_POINT, 512, CKR_ATTRIBUTE_TYPE_INVALID };
    ret[found++] = (struct bad){ subject->nature & ON_CERTIFICATE ? CKA_KEY_TYPE : CKA_CERTIFICATE_TYPE, 8,
                                 CKR_ATTRIBUTE_TYPE_INVALID };
    ret[found++] = (struct bad){ CKA_UNIQUE_ID, 1, CKR_BUFFER_TOO_SMALL };
    ret[found++] = (struct bad){ CKA_CLASS, sizeof(CK_ULONG) - 1, CKR_BUFFER_TOO_SMALL };
    ret[found++] = (struct bad){ CKA_TOKEN, 0, CKR_BUFFER_TOO_SMALL };
    if ((subject->nature & (ON_PRIVATE | ON_VAULT)) == (ON_PRIVATE | ON_VAULT))
        ret[found++] = (struct bad){ subject->nature & ON_RSA ? CKA_PRIVATE_EXPONENT : CKA_VALUE, 512,
                                     CKR_ATTRIBUTE_SENSITIVE };
    if ((subject->nature & (ON_SECRET | ON_VAULT)) == (ON_SECRET | ON_VAULT))
        ret[found++] = (struct bad){ CKA_VALUE, 512, CKR_ATTRIBUTE_SENSITIVE };
    return found;
}

static void test_batches(void **state)
{
    for (size_t i = 0; i < count; i++) {
        struct bad bads[8];
        CK_ATTRIBUTE_TYPE good[BATCH];
        size_t kinds = bad_ones(&all[i], bads), places = good_ones(&all[i], good, BATCH);
        for (size_t place = 0; place <= places; place++)
            for (size_t k = 0; k < kinds; k++) {
                batch(&all[i], &bads[k], 1, place);
                struct bad two[] = { bads[k], bads[(k + 1) % kinds] };
                batch(&all[i], two, 2, place);
                struct bad turned[] = { two[1], two[0] };
                batch(&all[i], turned, 2, place);
            }
    }
}

/* All that an object has in one call; the same attribute twice; none at all. */
static void test_whole_objects(void **state)
{
    static CK_BYTE buffers[96][1024];
    for (size_t i = 0; i < count; i++) {
        CK_ATTRIBUTE_TYPE types[96];
        CK_ATTRIBUTE items[96];
        size_t total = good_ones(&all[i], types, 96);
        for (size_t k = 0; k < total; k++)
            items[k] = (CK_ATTRIBUTE){ types[k], buffers[k], sizeof buffers[k] };
        ok(p11->C_GetAttributeValue(all[i].session, all[i].object, items, total));
        for (size_t k = 0; k < total; k++)
            check_value(&all[i], expectation(&all[i], types[k]), &items[k]);
        CK_ATTRIBUTE twice[] = { { CKA_CLASS, buffers[0], 8 }, { CKA_CLASS, buffers[1], 8 } };
        ok(p11->C_GetAttributeValue(all[i].session, all[i].object, twice, 2));
        assert_memory_equal(buffers[0], buffers[1], 8);
        expect(CKR_ARGUMENTS_BAD, p11->C_GetAttributeValue(all[i].session, all[i].object, NULL, 3));
    }
    CK_ATTRIBUTE item = { CKA_CLASS, NULL, 0 };
    expect(CKR_OBJECT_HANDLE_INVALID, p11->C_GetAttributeValue(all[0].session, 999999, &item, 1));
    expect(CKR_OBJECT_HANDLE_INVALID, p11->C_GetAttributeValue(all[0].session, CK_INVALID_HANDLE, &item, 1));
    expect(CKR_SESSION_HANDLE_INVALID, p11->C_GetAttributeValue(999999, all[0].object, &item, 1));
}

/* --- facts that rows do not tell --- */

static void test_unique_identifiers(void **state)
{
    static struct result ids[64];
    for (size_t i = 0; i < count; i++) {
        ids[i].len = attribute(all[i].session, all[i].object, CKA_UNIQUE_ID, ids[i].data, sizeof ids[i].data);
        for (size_t k = 0; k < i; k++)
            assert_false(ids[i].len == ids[k].len && !memcmp(ids[i].data, ids[k].data, ids[i].len));
    }
}

/* The halves of a pair, and no others, share CKA_ID. */
static void test_identifiers_pair_keys(void **state)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++) {
            if ((all[i].nature | all[k].nature) & ON_FIXED)
                continue;
            CK_BYTE a[64], b[64];
            size_t a_len = attribute(all[i].session, all[i].object, CKA_ID, a, sizeof a);
            size_t b_len = attribute(all[k].session, all[k].object, CKA_ID, b, sizeof b);
            bool same = a_len == b_len && !memcmp(a, b, a_len), pair = all[i].key == all[k].key;
            if (all[i].nature & all[k].nature & ON_SESSION)
                pair = true; /* as their templates said */
            else if (all[i].nature & ON_SECRET)
                pair = false; /* by name and version */
            assert_int_equal(same, pair);
        }
}

/* 2026-01-31T12:00:00Z */
static void test_creation_is_a_time(void **state)
{
    for (size_t i = 0; i < count; i++) {
        char text[64] = "";
        if (!(all[i].nature & ON_VAULT) || all[i].nature & ON_FIXED)
            continue;
        assert_int_equal(attribute(all[i].session, all[i].object, CKA_KVP11_CREATED, text, sizeof text), 20);
        for (size_t k = 0; k < 20; k++)
            if ("dddd-dd-ddTdd:dd:ddZ"[k] == 'd')
                assert_in_range(text[k], '0', '9');
            else
                assert_int_equal(text[k], "dddd-dd-ddTdd:dd:ddZ"[k]);
    }
}

static bool begins(const struct subject *subject, const struct kv_mech *row)
{
    static const unsigned operations[] = { KV_OP_SIGN, KV_OP_VERIFY, KV_OP_ENCRYPT, KV_OP_DECRYPT };
    struct matrix_case it;
    struct matrix_mechanism made;
    bool begun = false;
    if (!matrix_case_of(row, subject->key, &it))
        return false;
    for (size_t i = 0; i < 4; i++)
        begun |= !matrix_init(&it, operations[i], matrix_mechanism(&it, &made), subject->object);
    matrix_cancel(&it);
    return begun;
}

/* What CKA_ALLOWED_MECHANISMS names the slot offers; and no operation begins with what it leaves out. */
static void test_allowed_mechanisms(void **state)
{
    for (size_t i = 0; i < count; i++) {
        CK_MECHANISM_TYPE list[64];
        CK_MECHANISM_INFO info;
        if (!(all[i].nature & ON_VAULT) || !(all[i].nature & ON_KEYS))
            continue;
        size_t len = attribute(all[i].session, all[i].object, CKA_ALLOWED_MECHANISMS, list, sizeof list);
        assert_int_equal(len % sizeof *list, 0);
        for (size_t k = 0; k < len / sizeof *list; k++)
            ok(p11->C_GetMechanismInfo(all[i].key->slot, list[k], &info));
        for (size_t r = 0; r < kv_mech_count; r++) {
            bool named = false;
            for (size_t k = 0; k < len / sizeof *list; k++)
                named |= list[k] == kv_mech_table[r].type;
            if (!named && begins(&all[i], &kv_mech_table[r]))
                fail_msg("'%s' (class %x) begins %s and does not name it", all[i].label, all[i].nature,
                         kv_mech_table[r].name);
        }
    }
}

static void test_object_sizes(void **state)
{
    for (size_t i = 0; i < count; i++) {
        CK_ULONG size = 0;
        ok(p11->C_GetObjectSize(all[i].session, all[i].object, &size));
        assert_in_range(size, 16, 65536);
        expect(CKR_ARGUMENTS_BAD, p11->C_GetObjectSize(all[i].session, all[i].object, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_rule_is_expected),
        cmocka_unit_test(test_every_attribute_of_every_object),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_whole_objects),
        cmocka_unit_test(test_unique_identifiers),
        cmocka_unit_test(test_identifiers_pair_keys),
        cmocka_unit_test(test_creation_is_a_time),
        cmocka_unit_test(test_allowed_mechanisms),
        cmocka_unit_test(test_object_sizes),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
