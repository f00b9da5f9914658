#include "exercise.h"

static const char message[] = "kvp11";
static const CK_BYTE value[32] = "\x00\x01\x02 a data key of 32 bytes...\xff";

struct kv_view exercise_value(void)
{
    return BYTES(value, sizeof value);
}

CK_OBJECT_HANDLE exercise_data_key(CK_SESSION_HANDLE session)
{
    return aes_key(session, value, sizeof value, true);
}

CK_RV exercise_unwrap(const struct matrix_case *it, CK_MECHANISM *mechanism, const struct result *blob,
                      CK_OBJECT_HANDLE *ret)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &aes, sizeof aes },
                                { CKA_SENSITIVE, &no, sizeof no } };
    return world.p11->C_UnwrapKey(it->key->session, mechanism, it->key->shut, (CK_BYTE *)blob->data,
                                  blob->len, template, 3, ret);
}

bool exercise_is_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    CK_BYTE got[64];
    return attribute(session, key, CKA_VALUE, got, sizeof got) == sizeof value &&
           !memcmp(got, value, sizeof value);
}

static CK_RV signs(const struct matrix_case *it, CK_MECHANISM *mechanism)
{
    struct result input = reference_input(it, message), signature = { .len = sizeof signature.data };
    CK_SESSION_HANDLE session = it->key->session;
    CK_RV rv = world.p11->C_SignInit(session, mechanism, it->key->shut);
    if (!rv)
        rv = world.p11->C_Sign(session, input.data, input.len, signature.data, &signature.len);
    HOLDS(it, rv || reference_verifies(it, message, &signature));
    EXPECT(it, CKR_OPERATION_NOT_INITIALIZED,
           world.p11->C_Sign(session, input.data, input.len, signature.data, &signature.len));
    return rv;
}

static CK_RV checks(const struct matrix_case *it, CK_MECHANISM *mechanism)
{
    struct result input = reference_input(it, message), signature = reference_sign(it, message);
    CK_SESSION_HANDLE session = it->key->session;
    CK_RV rv = world.p11->C_VerifyInit(session, mechanism, it->key->open);
    if (!rv)
        rv = world.p11->C_Verify(session, input.data, input.len, signature.data, signature.len);
    EXPECT(it, CKR_OPERATION_NOT_INITIALIZED,
           world.p11->C_Verify(session, input.data, input.len, signature.data, signature.len));
    return rv;
}

static bool is(struct kv_view wanted, const struct result *got)
{
    return wanted.len == got->len && !memcmp(wanted.data, got->data, wanted.len);
}

static CK_RV encrypts(const struct matrix_case *it, struct matrix_mechanism *made)
{
    struct kv_view in = matrix_plain(it);
    struct result cipher = { .len = sizeof cipher.data }, plain;
    CK_SESSION_HANDLE session = it->key->session;
    CK_RV rv = world.p11->C_EncryptInit(session, &made->mechanism, it->key->open);
    if (!rv)
        rv = world.p11->C_Encrypt(session, (CK_BYTE *)in.data, in.len, cipher.data, &cipher.len);
    HOLDS(it, rv || (reference_decrypt(it, made, &cipher, &plain) && is(in, &plain)));
    EXPECT(it, CKR_OPERATION_NOT_INITIALIZED,
           world.p11->C_Encrypt(session, (CK_BYTE *)in.data, in.len, cipher.data, &cipher.len));
    return rv;
}

static CK_RV decrypts(const struct matrix_case *it, struct matrix_mechanism *made)
{
    struct result cipher = reference_encrypt(it, made, matrix_plain(it));
    struct result plain = { .len = sizeof plain.data };
    CK_SESSION_HANDLE session = it->key->session;
    CK_RV rv = world.p11->C_DecryptInit(session, &made->mechanism, it->key->shut);
    if (!rv)
        rv = world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len);
    HOLDS(it, rv || is(matrix_plain(it), &plain));
    EXPECT(it, CKR_OPERATION_NOT_INITIALIZED,
           world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
    return rv;
}

static CK_RV wraps(const struct matrix_case *it, struct matrix_mechanism *made)
{
    struct result blob = { .len = sizeof blob.data }, plain;
    CK_SESSION_HANDLE session = it->key->session;
    CK_OBJECT_HANDLE key = exercise_data_key(session);
    CK_RV rv = world.p11->C_WrapKey(session, &made->mechanism, it->key->open, key, blob.data, &blob.len);
    HOLDS(it, rv || (reference_decrypt(it, made, &blob, &plain) && is(exercise_value(), &plain)));
    OK(it, world.p11->C_DestroyObject(session, key));
    return rv;
}

static CK_RV unwraps(const struct matrix_case *it, struct matrix_mechanism *made)
{
    struct result blob = reference_encrypt(it, made, exercise_value());
    CK_SESSION_HANDLE session = it->key->session;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_RV rv = exercise_unwrap(it, &made->mechanism, &blob, &key);
    if (rv)
        return rv;
    HOLDS(it, exercise_is_value(session, key));
    OK(it, world.p11->C_DestroyObject(session, key));
    return rv;
}

CK_RV exercise(const struct matrix_case *it, unsigned operation)
{
    struct matrix_mechanism made;
    CK_MECHANISM *mechanism = matrix_mechanism(it, &made);
    switch (operation) {
    case KV_OP_SIGN:
        return signs(it, mechanism);
    case KV_OP_VERIFY:
        return checks(it, mechanism);
    case KV_OP_ENCRYPT:
        return encrypts(it, &made);
    case KV_OP_DECRYPT:
        return decrypts(it, &made);
    case KV_OP_WRAP:
        return wraps(it, &made);
    case KV_OP_UNWRAP:
        return unwraps(it, &made);
    default:
        fail_msg("%s: no such operation: 0x%x", matrix_name(it), operation);
    }
    return CKR_GENERAL_ERROR;
}

const char *exercise_name(unsigned operation)
{
    static const char *const names[] = { "encrypt", "decrypt", "sign", "verify", "wrap", "unwrap" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (operation == 1U << i)
            return names[i];
    return "?";
}
