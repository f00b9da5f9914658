/* Encryption: every row that encrypts or decrypts, with every key that serves it. What the module encrypts OpenSSL decrypts here, with the vault's key in
 * hand; what OpenSSL encrypts the module and the vault decrypt. */
#include "reference.h"

#include <openssl/rsa.h>
#include "mech/local.h"

static CK_FUNCTION_LIST *p11;
static struct matrix_mechanism made;

static int start(void **state)
{
    int rc = matrix_start(state);
    p11 = world.p11;
    return rc;
}

static CK_RV open_with(const struct matrix_case *it, const struct result *cipher, struct result *ret)
{
    OK(it, p11->C_DecryptInit(it->key->session, matrix_mechanism(it, &made), it->key->shut));
    ret->len = sizeof ret->data;
    return p11->C_Decrypt(it->key->session, (CK_BYTE *)cipher->data, cipher->len, ret->data, &ret->len);
}

static bool is_plain(const struct matrix_case *it, const struct result *plain)
{
    struct kv_view wanted = matrix_plain(it);
    return plain->len == wanted.len && !memcmp(plain->data, wanted.data, wanted.len);
}

/* How many bytes the ciphertext has. */
static size_t cipher_size(const struct matrix_case *it, size_t len)
{
    switch (it->scheme) {
    case MATRIX_RSA:
        return it->key->bits / 8;
    case MATRIX_CBC:
    case MATRIX_CTR:
        return len;
    case MATRIX_CBC_PAD:
        return len / 16 * 16 + 16;
    case MATRIX_GCM:
        return len + 16;
    case MATRIX_KW:
        return len + 8;
    case MATRIX_KWP:
        return (len + 7) / 8 * 8 + 8;
    case MATRIX_ECDSA:
    case MATRIX_MAC:
    case MATRIX_DIGEST:
    case MATRIX_GENERATE:
    case MATRIX_PAIR:
    case MATRIX_DERIVE:
        break;
    }
    fail_msg("%s: no cipher", matrix_name(it));
    return 0;
}

/* --- encryption --- */

static void encrypts(const struct matrix_case *it)
{
    CK_SESSION_HANDLE session = it->key->session;
    struct kv_view in = matrix_plain(it);
    struct result cipher = { .len = 0 }, plain = { .len = 0 };
    CK_ULONG size = 0;
    clear_log();
    OK(it, p11->C_EncryptInit(session, matrix_mechanism(it, &made), it->key->open));
    OK(it, p11->C_Encrypt(session, (CK_BYTE *)in.data, in.len, NULL, &size));
    HOLDS(it, size >= cipher_size(it, in.len) && size <= cipher_size(it, in.len) + 32);
    cipher.len = cipher_size(it, in.len) - 1;
    EXPECT(it, CKR_BUFFER_TOO_SMALL,
           p11->C_Encrypt(session, (CK_BYTE *)in.data, in.len, cipher.data, &cipher.len));
    HOLDS(it, cipher.len >= cipher_size(it, in.len));
    OK(it, p11->C_Encrypt(session, (CK_BYTE *)in.data, in.len, cipher.data, &cipher.len));
    HOLDS(it, cipher.len == cipher_size(it, in.len));
    HOLDS(it, vault_requests() == (matrix_is_remote(it, KV_OP_ENCRYPT) ? 1 : 0));
    HOLDS(it, reference_decrypt(it, &made, &cipher, &plain) && is_plain(it, &plain));
    EXPECT(it, CKR_OPERATION_NOT_INITIALIZED,
           p11->C_Encrypt(session, (CK_BYTE *)in.data, in.len, cipher.data, &cipher.len));
}

static void test_openssl_opens_what_is_encrypted(void **state)
{
    assert_true(matrix_walk(KV_OP_ENCRYPT, encrypts) >= 20);
}

/* In pieces of every size from 1 byte on: the same bytes come out as in one go. */
static void encrypts_in_parts(const struct matrix_case *it)
{
    CK_SESSION_HANDLE session = it->key->session;
    struct kv_view in = matrix_plain(it);
    struct result plain;
    CK_ULONG room = sizeof plain.data;
    if (!matrix_has_parts(it)) {
        OK(it, p11->C_EncryptInit(session, matrix_mechanism(it, &made), it->key->open));
        EXPECT(it, CKR_FUNCTION_NOT_SUPPORTED,
               p11->C_EncryptUpdate(session, (CK_BYTE *)in.data, 1, plain.data, &room));
        OK(it, p11->C_DecryptInit(session, matrix_mechanism(it, &made), it->key->shut));
        EXPECT(it, CKR_FUNCTION_NOT_SUPPORTED,
               p11->C_DecryptUpdate(session, (CK_BYTE *)in.data, 1, plain.data, &room));
        return;
    }
    for (size_t piece = 1; piece <= in.len; piece += piece < 17 ? 1 : 5) {
        struct result cipher = { .len = 0 };
        OK(it, p11->C_EncryptInit(session, matrix_mechanism(it, &made), it->key->open));
        for (size_t at = 0; at < in.len; at += piece) {
            size_t more = in.len - at < piece ? in.len - at : piece;
            room = sizeof cipher.data - cipher.len;
            OK(it,
               p11->C_EncryptUpdate(session, (CK_BYTE *)in.data + at, more, cipher.data + cipher.len, &room));
            cipher.len += room;
        }
        room = sizeof cipher.data - cipher.len;
        OK(it, p11->C_EncryptFinal(session, cipher.data + cipher.len, &room));
        cipher.len += room;
        HOLDS(it, cipher.len == cipher_size(it, in.len));
        HOLDS(it, reference_decrypt(it, &made, &cipher, &plain) && is_plain(it, &plain));
    }
}

static void test_encryption_in_parts(void **state)
{
    matrix_walk(KV_OP_ENCRYPT, encrypts_in_parts);
}

/* --- decryption --- */

static void decrypts(const struct matrix_case *it)
{
    CK_SESSION_HANDLE session = it->key->session;
    matrix_mechanism(it, &made);
    struct result cipher = reference_encrypt(it, &made, matrix_plain(it)), plain = { .len = 0 };
    CK_ULONG size = 0, little = matrix_plain(it).len - 1;
    clear_log();
    OK(it, p11->C_DecryptInit(session, &made.mechanism, it->key->shut));
    OK(it, p11->C_Decrypt(session, cipher.data, cipher.len, NULL, &size));
    HOLDS(it, size >= matrix_plain(it).len && requests(NULL) == 0);
    EXPECT(it, CKR_BUFFER_TOO_SMALL, p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &little));
    HOLDS(it, little >= matrix_plain(it).len);
    plain.len = little;
    OK(it, p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
    HOLDS(it, is_plain(it, &plain));
    HOLDS(it, vault_requests() == (matrix_is_remote(it, KV_OP_DECRYPT) ? 1 : 0));
    EXPECT(it, CKR_OPERATION_NOT_INITIALIZED,
           p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
}

static void test_opens_what_openssl_encrypts(void **state)
{
    assert_true(matrix_walk(KV_OP_DECRYPT, decrypts) >= 20);
}

static void decrypts_in_parts(const struct matrix_case *it)
{
    if (!matrix_has_parts(it))
        return;
    CK_SESSION_HANDLE session = it->key->session;
    matrix_mechanism(it, &made);
    struct result cipher = reference_encrypt(it, &made, matrix_plain(it));
    for (size_t piece = 1; piece <= cipher.len; piece += piece < 17 ? 1 : 5) {
        struct result plain = { .len = 0 };
        CK_ULONG room;
        OK(it, p11->C_DecryptInit(session, &made.mechanism, it->key->shut));
        for (size_t at = 0; at < cipher.len; at += piece) {
            size_t more = cipher.len - at < piece ? cipher.len - at : piece;
            room = sizeof plain.data - plain.len;
            OK(it, p11->C_DecryptUpdate(session, cipher.data + at, more, plain.data + plain.len, &room));
            plain.len += room;
            /* Nothing that is not authenticated yet may be out. */
            HOLDS(it, it->scheme != MATRIX_GCM || plain.len == 0);
        }
        room = sizeof plain.data - plain.len;
        OK(it, p11->C_DecryptFinal(session, plain.data + plain.len, &room));
        plain.len += room;
        HOLDS(it, is_plain(it, &plain));
    }
}

static void test_decryption_in_parts(void **state)
{
    matrix_walk(KV_OP_DECRYPT, decrypts_in_parts);
}

/* --- what was tampered with --- */

static bool notices(const struct matrix_case *it)
{
    return it->scheme != MATRIX_CBC && it->scheme != MATRIX_CTR && it->scheme != MATRIX_CBC_PAD;
}

/* Modes that authenticate refuse every flipped bit; the others give what their mode makes of it, and padding that is none is refused. */
static void tampered(const struct matrix_case *it)
{
    matrix_mechanism(it, &made);
    struct result cipher = reference_encrypt(it, &made, matrix_plain(it)), plain = { .len = 0 }, other;
    size_t places[] = { 0, cipher.len / 2, cipher.len - 1 };
    for (size_t i = 0; i < 3; i++) {
        cipher.data[places[i]] ^= 1;
        if (notices(it))
            EXPECT(it, CKR_ENCRYPTED_DATA_INVALID, open_with(it, &cipher, &plain));
        else if (it->scheme != MATRIX_CBC_PAD) {
            OK(it, open_with(it, &cipher, &plain));
            HOLDS(it, reference_decrypt(it, &made, &cipher, &other));
            HOLDS(it, plain.len == other.len && !memcmp(plain.data, other.data, other.len));
            HOLDS(it, !is_plain(it, &plain));
        }
        cipher.data[places[i]] ^= 1;
    }
    if (it->scheme == MATRIX_CBC_PAD) {
        /* The last byte of the padding becomes 128 and more. */
        cipher.data[cipher.len - 17] ^= 0x80;
        EXPECT(it, CKR_ENCRYPTED_DATA_INVALID, open_with(it, &cipher, &plain));
        cipher.data[cipher.len - 17] ^= 0x80;
    }
    OK(it, open_with(it, &cipher, &plain));
    HOLDS(it, is_plain(it, &plain));
}

static void test_tampered_ciphertext(void **state)
{
    matrix_walk(KV_OP_DECRYPT, tampered);
}

/* A length that the mode cannot have costs no request. */
static void wrong_length(const struct matrix_case *it)
{
    if (it->scheme == MATRIX_CTR)
        return;
    matrix_mechanism(it, &made);
    struct result cipher = reference_encrypt(it, &made, matrix_plain(it)), plain = { .len = 0 };
    clear_log();
    for (int longer = 0; longer < 2 && it->scheme != MATRIX_GCM; longer++) {
        struct result changed = cipher;
        changed.len = longer ? cipher.len + 1 : cipher.len - 1;
        EXPECT(it, CKR_ENCRYPTED_DATA_LEN_RANGE, open_with(it, &changed, &plain));
    }
    struct result nothing = { .len = 0 };
    if (it->scheme != MATRIX_CBC)
        EXPECT(it, CKR_ENCRYPTED_DATA_LEN_RANGE, open_with(it, &nothing, &plain));
    HOLDS(it, requests(NULL) == 0);
}

static void test_ciphertext_of_a_wrong_length(void **state)
{
    matrix_walk(KV_OP_DECRYPT, wrong_length);
}

static size_t plain_max(const struct matrix_case *it)
{
    size_t overhead = it->row->padding == RSA_PKCS1_OAEP_PADDING ? 2 * kv_digest_size(it->row->evp) + 2 : 11;
    return it->key->bits / 8 - overhead;
}

static CK_RV encrypt_len(const struct matrix_case *it, size_t len, struct result *ret)
{
    static CK_BYTE much[1024];
    OK(it, p11->C_EncryptInit(it->key->session, matrix_mechanism(it, &made), it->key->open));
    ret->len = sizeof ret->data;
    return p11->C_Encrypt(it->key->session, much, len, ret->data, &ret->len);
}

/* The longest and the shortest plaintext, and one byte beyond. */
static void plain_lengths(const struct matrix_case *it)
{
    struct result cipher;
    clear_log();
    if (it->scheme == MATRIX_RSA) {
        EXPECT(it, CKR_DATA_LEN_RANGE, encrypt_len(it, plain_max(it) + 1, &cipher));
        OK(it, encrypt_len(it, plain_max(it), &cipher));
        OK(it, encrypt_len(it, 0, &cipher));
        return;
    }
    if (it->scheme == MATRIX_CBC || it->scheme == MATRIX_KW) {
        EXPECT(it, CKR_DATA_LEN_RANGE, encrypt_len(it, 17, &cipher));
        EXPECT(it, CKR_DATA_LEN_RANGE, encrypt_len(it, 15, &cipher));
    }
    if (it->scheme == MATRIX_KW)
        EXPECT(it, CKR_DATA_LEN_RANGE, encrypt_len(it, 8, &cipher));
    if (it->scheme == MATRIX_KW || it->scheme == MATRIX_KWP)
        EXPECT(it, CKR_DATA_LEN_RANGE, encrypt_len(it, 0, &cipher));
    HOLDS(it, requests(NULL) == 0);
    OK(it, encrypt_len(it, 16, &cipher));
    HOLDS(it, cipher.len == cipher_size(it, 16));
}

static void test_plaintext_of_every_length(void **state)
{
    matrix_walk(KV_OP_ENCRYPT, plain_lengths);
}

/* --- results that wait for a larger buffer --- */

/* What waits is the answer to that ciphertext and to no other. */
static void kept_for_its_input(const struct matrix_case *it)
{
    CK_SESSION_HANDLE session = it->key->session;
    if (it->key->in_session)
        return;
    matrix_mechanism(it, &made);
    struct result cipher = reference_encrypt(it, &made, matrix_plain(it)), plain = { .len = 0 };
    CK_ULONG little = 1;
    OK(it, p11->C_DecryptInit(session, &made.mechanism, it->key->shut));
    EXPECT(it, CKR_BUFFER_TOO_SMALL, p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &little));
    CK_ULONG size = 0;
    OK(it, p11->C_Decrypt(session, cipher.data, cipher.len, NULL, &size));
    HOLDS(it, size == matrix_plain(it).len);
    cipher.data[0] ^= 1;
    plain.len = sizeof plain.data;
    EXPECT(it, CKR_ARGUMENTS_BAD, p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
    EXPECT(it, CKR_OPERATION_NOT_INITIALIZED,
           p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
}

static void test_a_kept_result_is_for_its_own_input(void **state)
{
    matrix_walk(KV_OP_DECRYPT, kept_for_its_input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openssl_opens_what_is_encrypted),
        cmocka_unit_test(test_encryption_in_parts),
        cmocka_unit_test(test_opens_what_openssl_encrypts),
        cmocka_unit_test(test_decryption_in_parts),
        cmocka_unit_test(test_tampered_ciphertext),
        cmocka_unit_test(test_ciphertext_of_a_wrong_length),
        cmocka_unit_test(test_plaintext_of_every_length),
        cmocka_unit_test(test_a_kept_result_is_for_its_own_input),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
