#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "attr_array.h"

static struct kv_view view_of(const void *items, size_t count)
{
    return (struct kv_view){ items, count * sizeof(CK_ATTRIBUTE) };
}

/* What the application does with its own memory afterwards is nothing to us. */
static void test_values_are_ours(void **state)
{
    char label[] = "label";
    CK_BBOOL truth = CK_TRUE;
    CK_ATTRIBUTE items[] = { { CKA_LABEL, label, 5 }, { CKA_EXTRACTABLE, &truth, 1 }, { CKA_ID, NULL, 0 } };
    struct kv_attr_list list = { 0 }, copy = { 0 };
    assert_int_equal(kv_attr_array_take(view_of(items, 3), &list), KV_OK);
    assert_int_equal(kv_attr_array_copy(&list, &copy), KV_OK);
    memset(label, 'x', sizeof label);
    items[1].type = CKA_TOKEN;
    for (int i = 0; i < 2; i++) {
        const struct kv_attr_list *each = i ? &copy : &list;
        assert_int_equal(each->count, 3);
        assert_int_equal(each->items[1].type, CKA_EXTRACTABLE);
        assert_memory_equal(each->items[0].pValue, "label", 5);
        assert_int_equal(each->items[2].ulValueLen, 0);
    }
    assert_ptr_not_equal(list.items[0].pValue, copy.items[0].pValue);
    assert_true(kv_attr_array_equal(kv_attr_array_view(&list), kv_attr_array_view(&copy)));
    assert_false(kv_attr_array_equal(kv_attr_array_view(&list), view_of(items, 3)));
    assert_false(kv_attr_array_equal(kv_attr_array_view(&list), view_of(list.items, 2)));
    kv_attr_array_free(&copy);
    kv_attr_array_free(&list);
    assert_null(list.items);
    assert_int_equal(kv_attr_array_copy(&list, &copy), KV_OK);
    assert_null(copy.items);
}

/* Nothing is not the same as none. */
static void test_an_empty_one_is_there(void **state)
{
    struct kv_attr_list list = { 0 };
    CK_ATTRIBUTE item = { CKA_WRAP_TEMPLATE, NULL, 77 };
    assert_int_equal(kv_attr_array_take(view_of(NULL, 0), &list), KV_OK);
    assert_non_null(list.items);
    assert_int_equal(kv_attr_array_read(kv_attr_array_view(&list), &item), CKR_OK);
    assert_int_equal(item.ulValueLen, 0);
    kv_attr_array_free(&list);
}

/* An application's array need not be aligned. */
static void test_any_alignment(void **state)
{
    unsigned char place[1 + 2 * sizeof(CK_ATTRIBUTE)];
    CK_ATTRIBUTE items[] = { { CKA_LABEL, "a", 1 }, { CKA_ID, "bc", 2 } }, read[2] = { 0 };
    struct kv_attr_list list = { 0 };
    memcpy(place + 1, items, sizeof items);
    assert_int_equal(kv_attr_array_take(view_of(place + 1, 2), &list), KV_OK);
    memcpy(place + 1, read, sizeof read);
    CK_ATTRIBUTE outer = { CKA_WRAP_TEMPLATE, place + 1, sizeof read };
    assert_int_equal(kv_attr_array_read(kv_attr_array_view(&list), &outer), CKR_OK);
    memcpy(read, place + 1, sizeof read);
    assert_int_equal(read[0].type, CKA_LABEL);
    assert_int_equal(read[1].ulValueLen, 2);
    kv_attr_array_free(&list);
}

static void test_bounds(void **state)
{
    static unsigned char much[KV_ATTR_ARRAY_BYTES + 1];
    static CK_ATTRIBUTE many[KV_ATTR_ARRAY_MAX + 1];
    const struct {
        const char *sentence;
        size_t count, len;
        CK_ATTRIBUTE_TYPE type;
        const void *value;
        enum kv_status status;
    } rows[] = {
        { "as many as there may be", KV_ATTR_ARRAY_MAX, 1, CKA_LABEL, much, KV_OK },
        { "one more", KV_ATTR_ARRAY_MAX + 1, 1, CKA_LABEL, much, KV_UNSUPPORTED },
        { "as much as there may be", 1, KV_ATTR_ARRAY_BYTES, CKA_LABEL, much, KV_OK },
        { "one byte more", 1, KV_ATTR_ARRAY_BYTES + 1, CKA_LABEL, much, KV_UNSUPPORTED },
        { "more in the sum", 2, KV_ATTR_ARRAY_BYTES / 2 + 1, CKA_LABEL, much, KV_UNSUPPORTED },
        { "a length that wraps round", 2, SIZE_MAX - 7, CKA_LABEL, much, KV_UNSUPPORTED },
        { "an unavailable length", 1, CK_UNAVAILABLE_INFORMATION, CKA_LABEL, much, KV_UNSUPPORTED },
        { "an array within", 1, sizeof(CK_ATTRIBUTE), CKA_WRAP_TEMPLATE, many, KV_UNSUPPORTED },
        { "a value that is not there", 1, 1, CKA_LABEL, NULL, KV_BAD_DATA },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct kv_attr_list list = { 0 };
        for (size_t k = 0; k < rows[i].count; k++)
            many[k] = (CK_ATTRIBUTE){ rows[i].type, (void *)rows[i].value, rows[i].len };
        enum kv_status status = kv_attr_array_take(view_of(many, rows[i].count), &list);
        if (status != rows[i].status || (status && list.items))
            fail_msg("%s: %s", rows[i].sentence, kv_status_name(status));
        kv_attr_array_free(&list);
    }
    struct kv_attr_list none = { 0 };
    assert_int_equal(kv_attr_array_take((struct kv_view){ much, sizeof(CK_ATTRIBUTE) - 1 }, &none),
                     KV_BAD_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_ours),
        cmocka_unit_test(test_an_empty_one_is_there),
        cmocka_unit_test(test_any_alignment),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
