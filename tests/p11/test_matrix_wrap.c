/* Wrapping and unwrapping: every row that does, with every key that serves it. What is wrapped OpenSSL opens here, what OpenSSL wraps is unwrapped. */
#include "exercise.h"

static CK_FUNCTION_LIST *p11;
static struct matrix_mechanism made;

static int start(void **state)
{
    int rc = matrix_start(state);
    p11 = world.p11;
    return rc;
}

static void wraps(const struct matrix_case *it)
{
    CK_SESSION_HANDLE session = it->key->session;
    CK_OBJECT_HANDLE key = exercise_data_key(session);
    struct result blob = { .len = 0 }, plain;
    CK_ULONG size = 0, little;
    matrix_mechanism(it, &made);
    size_t wanted = reference_encrypt(it, &made, exercise_value()).len;
    clear_log();
    OK(it, p11->C_WrapKey(session, &made.mechanism, it->key->open, key, NULL, &size));
    HOLDS(it, size >= wanted && size <= wanted + 32 && requests(NULL) == 0);
    little = wanted - 1;
    EXPECT(it, CKR_BUFFER_TOO_SMALL,
           p11->C_WrapKey(session, &made.mechanism, it->key->open, key, blob.data, &little));
    HOLDS(it, little >= wanted && requests(NULL) == 0);
    blob.len = little;
    OK(it, p11->C_WrapKey(session, &made.mechanism, it->key->open, key, blob.data, &blob.len));
    HOLDS(it, blob.len == wanted);
    HOLDS(it, vault_requests() == (matrix_is_remote(it, KV_OP_WRAP) ? 1 : 0));
    HOLDS(it, reference_decrypt(it, &made, &blob, &plain) && plain.len == exercise_value().len);
    HOLDS(it, !memcmp(plain.data, exercise_value().data, plain.len));
    OK(it, p11->C_DestroyObject(session, key));
}

static void test_openssl_opens_what_is_wrapped(void **state)
{
    assert_true(matrix_walk(KV_OP_WRAP, wraps) >= 20);
}

static void unwraps(const struct matrix_case *it)
{
    clear_log();
    OK(it, exercise(it, KV_OP_UNWRAP));
    HOLDS(it, vault_requests() == (matrix_is_remote(it, KV_OP_UNWRAP) ? 1 : 0));
}

static void test_unwraps_what_openssl_wraps(void **state)
{
    assert_true(matrix_walk(KV_OP_UNWRAP, unwraps) >= 20);
}

/* The unwrapped key is a key like any other: here it encrypts what OpenSSL then opens. */
static void unwrapped_works(const struct matrix_case *it)
{
    static struct kv_mech row = { .type = CKM_AES_CBC, .name = "CKM_AES_CBC", .kind = KV_OCT };
    struct matrix_key key = *it->key;
    struct matrix_case inner = { &row, &key, MATRIX_CBC, MATRIX_IV_PARAM };
    matrix_mechanism(it, &made);
    struct result blob = reference_encrypt(it, &made, exercise_value());
    OK(it, exercise_unwrap(it, &made.mechanism, &blob, &key.open));
    key.value = exercise_value();
    key.in_session = true;
    OK(&inner, exercise(&inner, KV_OP_ENCRYPT));
    OK(it, p11->C_DestroyObject(key.session, key.open));
}

static void test_an_unwrapped_key_works(void **state)
{
    matrix_walk(KV_OP_UNWRAP, unwrapped_works);
}

/* Modes that authenticate refuse every flipped bit; no key is left behind. */
static void tampered(const struct matrix_case *it)
{
    bool notices = it->scheme != MATRIX_CBC && it->scheme != MATRIX_CBC_PAD;
    matrix_mechanism(it, &made);
    struct result blob = reference_encrypt(it, &made, exercise_value());
    size_t places[] = { 0, blob.len / 2, blob.len - 1 };
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    size_t before = find_all(it->key->session, CKO_SECRET_KEY, NULL, NULL, NULL, 0);
    for (size_t i = 0; i < 3 && notices; i++) {
        blob.data[places[i]] ^= 1;
        EXPECT(it, CKR_WRAPPED_KEY_INVALID, exercise_unwrap(it, &made.mechanism, &blob, &key));
        blob.data[places[i]] ^= 1;
    }
    if (it->scheme == MATRIX_CBC_PAD) {
        blob.data[blob.len - 17] ^= 0x80; /* the padding's last byte becomes 144 */
        EXPECT(it, CKR_WRAPPED_KEY_INVALID, exercise_unwrap(it, &made.mechanism, &blob, &key));
    }
    HOLDS(it, key == CK_INVALID_HANDLE);
    HOLDS(it, find_all(it->key->session, CKO_SECRET_KEY, NULL, NULL, NULL, 0) == before);
}

static void test_tampered_blobs(void **state)
{
    matrix_walk(KV_OP_UNWRAP, tampered);
}

static void wrong_length(const struct matrix_case *it)
{
    matrix_mechanism(it, &made);
    struct result blob = reference_encrypt(it, &made, exercise_value());
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    clear_log();
    for (int longer = 0; longer < 2 && it->scheme != MATRIX_GCM; longer++) {
        struct result changed = blob;
        changed.len = longer ? blob.len + 1 : blob.len - 1;
        EXPECT(it, CKR_WRAPPED_KEY_LEN_RANGE, exercise_unwrap(it, &made.mechanism, &changed, &key));
    }
    struct result nothing = { .len = 0 };
    EXPECT(it, CKR_WRAPPED_KEY_LEN_RANGE, exercise_unwrap(it, &made.mechanism, &nothing, &key));
    HOLDS(it, key == CK_INVALID_HANDLE && requests(NULL) == 0);
}

static void test_blobs_of_a_wrong_length(void **state)
{
    matrix_walk(KV_OP_UNWRAP, wrong_length);
}

/* A key that may not leave cannot be wrapped, by nothing; and one that only trusted keys may wrap is wrapped by vault keys alone. */
static void unextractable(const struct matrix_case *it)
{
    CK_SESSION_HANDLE session = it->key->session;
    CK_OBJECT_HANDLE shut = aes_key(session, exercise_value().data, 32, false);
    CK_OBJECT_HANDLE choosy = exercise_data_key(session);
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE trusted = { CKA_WRAP_WITH_TRUSTED, &yes, sizeof yes };
    struct result blob = { .len = sizeof blob.data };
    CK_MECHANISM *mechanism = matrix_mechanism(it, &made);
    EXPECT(it, CKR_KEY_UNEXTRACTABLE,
           p11->C_WrapKey(session, mechanism, it->key->open, shut, blob.data, &blob.len));
    EXPECT(it, CKR_KEY_UNEXTRACTABLE,
           p11->C_WrapKey(session, mechanism, it->key->open, shut, NULL, &blob.len));
    OK(it, p11->C_SetAttributeValue(session, choosy, &trusted, 1));
    EXPECT(it, it->key->in_session ? CKR_KEY_NOT_WRAPPABLE : CKR_OK,
           p11->C_WrapKey(session, mechanism, it->key->open, choosy, blob.data, &blob.len));
    OK(it, p11->C_DestroyObject(session, shut));
    OK(it, p11->C_DestroyObject(session, choosy));
}

static void test_what_may_not_be_wrapped(void **state)
{
    matrix_walk(KV_OP_WRAP, unextractable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openssl_opens_what_is_wrapped),
        cmocka_unit_test(test_unwraps_what_openssl_wraps),
        cmocka_unit_test(test_an_unwrapped_key_works),
        cmocka_unit_test(test_tampered_blobs),
        cmocka_unit_test(test_blobs_of_a_wrong_length),
        cmocka_unit_test(test_what_may_not_be_wrapped),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
