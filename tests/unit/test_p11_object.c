#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "call.h"
#include "object.h"

/* A library of two slots without anything behind it: enough for objects. */
static struct kv_slot slots[2];
static struct kv_session session;
static struct kv_library library;
static struct kv_call call;

static int begin(void **state)
{
    library = (struct kv_library){ .slots = slots, .slot_count = 2 };
    (void)kv_lock_open(NULL, &library.lock);
    session = (struct kv_session){ .handle = ++library.last_handle };
    call = (struct kv_call){ .library = &library, .session = &session };
    return 0;
}

static int end(void **state)
{
    size_t place = 0;
    for (struct kv_object *object; (object = kv_handles_next(&library.objects, &place));)
        kv_object_free(object);
    kv_handles_free(&library.objects);
    kv_handles_free(&library.identities);
    kv_handles_free(&library.living);
    kv_handles_free(&session.objects);
    kv_lock_close(&library.lock);
    return 0;
}

static struct kv_version *version(const char *name, const char *id, enum kv_kind kind, unsigned operations)
{
    struct kv_version *made = calloc(1, sizeof *made);
    assert_non_null(made);
    assert_true(kv_text_fit(made->name, sizeof made->name, name));
    assert_true(kv_text_fit(made->version, sizeof made->version, id));
    made->kind = kind;
    made->operations = operations;
    made->references = 1;
    return made;
}

/* Enters a version and gives its handles; the objects and the version stay in the table alone. */
static void enter(struct kv_version *made, CK_OBJECT_HANDLE ret[KV_VERSION_OBJECTS])
{
    struct kv_object *objects[KV_VERSION_OBJECTS];
    assert_int_equal(kv_object_enter(&call, made, objects), KV_OK);
    for (int i = 0; i < KV_VERSION_OBJECTS; i++) {
        ret[i] = objects[i] ? objects[i]->handle : CK_INVALID_HANDLE;
        kv_object_free(objects[i]);
    }
    kv_version_free(made);
}

static void test_a_refreshed_version_keeps_its_handles(void **state)
{
    CK_OBJECT_HANDLE first[KV_VERSION_OBJECTS], second[KV_VERSION_OBJECTS], other[KV_VERSION_OBJECTS];
    enter(version("a", "1", KV_RSA, KV_OP_ALL), first);
    enter(version("a", "1", KV_RSA, KV_OP_SIGN), second);
    enter(version("a", "2", KV_RSA, KV_OP_ALL), other);
    assert_memory_equal(first, second, sizeof first);
    assert_int_not_equal(first[0], first[1]);
    assert_int_not_equal(first[0], other[0]);
    KV_AUTO_OBJECT struct kv_object *now = kv_object_get(&call, first[0]);
    assert_int_equal(now->version->operations, KV_OP_SIGN);
    assert_false(now->flags & KV_CAN_DECRYPT);
}

static void test_a_slot_does_not_see_anothers_objects(void **state)
{
    CK_OBJECT_HANDLE here[KV_VERSION_OBJECTS], there[KV_VERSION_OBJECTS];
    enter(version("a", "1", KV_EC, KV_OP_ALL), here);
    session.slot = 1;
    assert_null(kv_object_get(&call, here[0]));
    enter(version("a", "1", KV_EC, KV_OP_ALL), there);
    assert_int_not_equal(here[0], there[0]);
    assert_null(kv_object_get(&call, CK_INVALID_HANDLE));
}

static const struct {
    const char *sentence;
    enum kv_kind kind;
    unsigned operations, first, second;
} rows[] = {
    { "one who may unwrap RSA may decrypt it", KV_RSA, KV_OP_UNWRAP, KV_CAN_DECRYPT | KV_CAN_UNWRAP, 0 },
    { "one who may wrap may encrypt", KV_RSA, KV_OP_WRAP, 0, KV_CAN_ENCRYPT | KV_CAN_WRAP },
    { "what signs can be verified", KV_EC, KV_OP_SIGN, KV_CAN_SIGN, KV_CAN_VERIFY },
    { "elliptic curves do not encrypt", KV_EC, KV_OP_ENCRYPT | KV_OP_DECRYPT, 0, 0 },
    { "for AES wrapping is not encrypting", KV_OCT, KV_OP_WRAP | KV_OP_UNWRAP, KV_CAN_WRAP | KV_CAN_UNWRAP,
      0 },
    { "nothing allowed is nothing", KV_RSA, 0, 0, 0 },
};

static void test_operations_become_abilities(void **state)
{
    const unsigned can =
        KV_CAN_ENCRYPT | KV_CAN_DECRYPT | KV_CAN_SIGN | KV_CAN_VERIFY | KV_CAN_WRAP | KV_CAN_UNWRAP;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CK_OBJECT_HANDLE handles[KV_VERSION_OBJECTS];
        char id[2] = { (char)('a' + i), 0 };
        enter(version("k", id, rows[i].kind, rows[i].operations), handles);
        KV_AUTO_OBJECT struct kv_object *first = kv_object_get(&call, handles[0]);
        KV_AUTO_OBJECT struct kv_object *second = kv_object_get(&call, handles[1]);
        if ((first->flags & can) != rows[i].first || (second && (second->flags & can) != rows[i].second))
            fail_msg("%s: 0x%x, 0x%x", rows[i].sentence, first->flags, second ? second->flags : 0);
        assert_int_equal(rows[i].kind == KV_OCT, second == NULL);
    }
}

static void test_a_session_object_lives_and_ends(void **state)
{
    struct kv_object *object = NULL;
    CK_OBJECT_HANDLE handle = 0;
    assert_int_equal(kv_object_new(&call, CKO_SECRET_KEY, &object), KV_OK);
    assert_int_equal(kv_object_add(&call, object, &handle), KV_OK);
    assert_int_equal(library.living.count, 1);
    assert_int_equal(session.objects.count, 1);
    struct kv_object *held = kv_object_get(&call, handle);
    assert_int_equal(kv_object_destroy(&call, handle), CKR_OK);
    assert_int_equal(library.living.count, 0);
    assert_int_equal(session.objects.count, 0);
    assert_int_equal(held->handle, handle);
    kv_object_free(held);
    assert_int_equal(kv_object_destroy(&call, handle), CKR_OBJECT_HANDLE_INVALID);
}

static void test_a_change_cannot_bring_back_what_is_gone(void **state)
{
    struct kv_object *object = NULL, *clone = NULL;
    CK_OBJECT_HANDLE handle = 0;
    assert_int_equal(kv_object_new(&call, CKO_SECRET_KEY, &object), KV_OK);
    assert_int_equal(kv_object_add(&call, object, &handle), KV_OK);
    assert_int_equal(kv_object_clone(object, &clone), KV_OK);
    assert_true(kv_object_drop(&library, handle));
    assert_false(kv_object_replace(&library, clone));
    assert_null(kv_object_get(&call, handle));
}

static void test_vault_objects_are_not_dropped(void **state)
{
    CK_OBJECT_HANDLE handles[KV_VERSION_OBJECTS];
    enter(version("a", "1", KV_RSA, KV_OP_ALL), handles);
    assert_false(kv_object_drop(&library, handles[0]));
    assert_int_equal(kv_object_destroy(&call, handles[0]), CKR_ACTION_PROHIBITED);
}

int main(void)
{
#define FRESH(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        FRESH(test_a_refreshed_version_keeps_its_handles),
        FRESH(test_a_slot_does_not_see_anothers_objects),
        FRESH(test_operations_become_abilities),
        FRESH(test_a_session_object_lives_and_ends),
        FRESH(test_a_change_cannot_bring_back_what_is_gone),
        FRESH(test_vault_objects_are_not_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
