/* RSA decryption at its edges: encoded messages built here byte by byte (RFC 8017 §7.1, §7.2), encrypted with the bare public key. Everything that is not
 * right is refused with one and the same code, by C_Decrypt and by C_UnwrapKey, or it would be an oracle. */
#include "edges.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include "exercise.h"

enum { K = 256 };

static const struct matrix_key *key;
static CK_FUNCTION_LIST *p11;
static CK_MECHANISM rsa1_5 = { CKM_RSA_PKCS, NULL, 0 };

static int start(void **state)
{
    int rc = matrix_start(state);
    p11 = world.p11;
    key = matrix_find("m-rsa");
    return rc;
}

/* Both ways to open it: a plaintext or a code. The plaintext is a data key of 32 bytes. */
static void opens(const char *what, CK_MECHANISM *mechanism, const struct result *cipher, CK_RV wanted)
{
    struct matrix_case it = { NULL, key, MATRIX_RSA, MATRIX_BARE };
    struct result plain = { .len = sizeof plain.data };
    CK_OBJECT_HANDLE unwrapped = CK_INVALID_HANDLE;
    ok(p11->C_DecryptInit(key->session, mechanism, key->shut));
    memset(plain.data, 0x5a, sizeof plain.data);
    CK_RV rv = p11->C_Decrypt(key->session, (CK_BYTE *)cipher->data, cipher->len, plain.data, &plain.len);
    if (rv != wanted)
        fail_msg("%s: 0x%lx instead of 0x%lx", what, rv, wanted);
    for (size_t i = 0; rv && i < 64; i++)
        assert_int_equal(plain.data[i], 0x5a);
    CK_RV unwrap_wanted = wanted == CKR_ENCRYPTED_DATA_INVALID     ? CKR_WRAPPED_KEY_INVALID
                          : wanted == CKR_ENCRYPTED_DATA_LEN_RANGE ? CKR_WRAPPED_KEY_LEN_RANGE
                                                                   : wanted;
    rv = exercise_unwrap(&it, mechanism, cipher, &unwrapped);
    if (rv != unwrap_wanted)
        fail_msg("%s, unwrapped: 0x%lx instead of 0x%lx", what, rv, unwrap_wanted);
    if (wanted)
        return;
    assert_int_equal(plain.len, 32);
    assert_memory_equal(plain.data, exercise_value().data, 32);
    assert_true(exercise_is_value(key->session, unwrapped));
    ok(p11->C_DestroyObject(key->session, unwrapped));
}

static struct result number(long add)
{
    struct result cipher = { .len = K };
    edges_number(key->pkey, OSSL_PKEY_PARAM_RSA_N, add, cipher.data, K);
    return cipher;
}

/* Ciphertexts that are no ciphertext, whatever the padding. */
static void test_ciphertexts_that_are_numbers(void **state)
{
    CK_MECHANISM *const mechanisms[] = { &oaep_sha256, &oaep_sha1, &rsa1_5 };
    for (size_t m = 0; m < 3; m++) {
        struct result cipher = { .len = K };
        opens("zero", mechanisms[m], &cipher, CKR_ENCRYPTED_DATA_INVALID);
        cipher.data[K - 1] = 1;
        opens("one", mechanisms[m], &cipher, CKR_ENCRYPTED_DATA_INVALID);
        static const long adds[] = { -1, 0, 1 };
        for (size_t i = 0; i < 3; i++) {
            cipher = number(adds[i]);
            opens("the modulus or so", mechanisms[m], &cipher, CKR_ENCRYPTED_DATA_INVALID);
        }
        memset(cipher.data, 0xff, K);
        opens("all ones", mechanisms[m], &cipher, CKR_ENCRYPTED_DATA_INVALID);
        static const CK_ULONG lengths[] = { 0, 1, K - 1, K + 1, 2 * K };
        clear_log();
        for (size_t i = 0; i < 5; i++) {
            cipher.len = lengths[i];
            opens("a length", mechanisms[m], &cipher, CKR_ENCRYPTED_DATA_LEN_RANGE);
        }
        assert_int_equal(requests("/decrypt") + requests("/unwrapkey"), 0);
    }
}

/* --- OAEP --- */

struct oaep {
    const char *what;
    const char *md, *mgf;                               /* NULL: SHA2-256 */
    unsigned char first, padding, separator, hash_flip; /* Y; a byte of PS; 0: 0x01; of lHash */
    const char *label;
    unsigned char hash_at; /* which byte of lHash is flipped */
    bool no_end;           /* 0x00 where 0x01 belongs */
    bool valid;
};
static const struct oaep oaep_rows[] = {
    { "the honest one", .valid = true },
    { "Y is 1", .first = 1 },
    { "Y is 2", .first = 2 },
    { "the first byte of lHash", .hash_flip = 1, .hash_at = 0 },
    { "the last byte of lHash", .hash_flip = 0x80, .hash_at = 31 },
    { "a label", .label = "label" },
    { "PS with its top bit", .padding = 0x80 }, /* 0x01 would be the separator, and the message longer */
    { "PS with another bit", .padding = 2 },
    { "separator 0x02", .separator = 2 },
    { "separator 0xff", .separator = 0xff },
    { "MGF1 with SHA-1", .mgf = "SHA1" },
    { "MGF1 with SHA-512", .mgf = "SHA2-512" },
    { "SHA-384 throughout", .md = "SHA2-384", .mgf = "SHA2-384" },
    { "SHA-1 throughout", .md = "SHA1", .mgf = "SHA1" },
    { "Y is 1 and lHash is wrong", .first = 1, .hash_flip = 1 },
};

static struct result encode_oaep(const struct oaep *row, struct kv_view plain)
{
    const char *md = row->md ? row->md : "SHA2-256", *mgf = row->mgf ? row->mgf : "SHA2-256";
    const char *label = row->label ? row->label : "";
    struct result hash = reference_digest(md, BYTES(label, strlen(label)));
    unsigned char em[K] = { 0 }, *seed = em + 1, *db = seed + hash.len;
    size_t db_len = K - 1 - hash.len;
    em[0] = row->first;
    assert_int_equal(RAND_bytes(seed, (int)hash.len), 1);
    memcpy(db, hash.data, hash.len);
    db[row->hash_at] ^= row->hash_flip;
    db[hash.len + 3] ^= row->padding;
    db[db_len - plain.len - 1] = row->no_end ? 0 : row->separator ? row->separator : 1;
    memcpy(db + db_len - plain.len, plain.data, plain.len);
    edges_mgf1(mgf, BYTES(seed, hash.len), db, db_len);
    edges_mgf1(mgf, BYTES(db, db_len), seed, hash.len);
    return edges_rsa_public(key->pkey, em);
}

static void test_oaep(void **state)
{
    for (size_t i = 0; i < sizeof oaep_rows / sizeof *oaep_rows; i++) {
        struct result cipher = encode_oaep(&oaep_rows[i], exercise_value());
        opens(oaep_rows[i].what, &oaep_sha256, &cipher,
              oaep_rows[i].valid ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID);
    }
    struct oaep sha1 = { .what = "SHA-1 by its own mechanism", .md = "SHA1", .mgf = "SHA1" };
    struct result cipher = encode_oaep(&sha1, exercise_value());
    opens(sha1.what, &oaep_sha1, &cipher, CKR_OK);
}

/* Plaintexts of every length that fits, and PS of none. */
static void test_oaep_lengths(void **state)
{
    static CK_BYTE text[K];
    static const size_t lengths[] = { 0, 1, 31, 32, 33, 189, 190 };
    memset(text, 't', sizeof text);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct result cipher = encode_oaep(&oaep_rows[0], BYTES(text, lengths[i]));
        struct result plain = decrypt(key->session, &oaep_sha256, key->shut, &cipher);
        assert_int_equal(plain.len, lengths[i]);
        assert_memory_equal(plain.data, text, lengths[i]);
    }
    /* Nothing but zeros behind lHash: no 0x01 anywhere. */
    struct oaep none = { .what = "no separator at all", .no_end = true };
    memset(text, 0, sizeof text);
    struct result cipher = encode_oaep(&none, BYTES(text, 190));
    opens(none.what, &oaep_sha256, &cipher, CKR_ENCRYPTED_DATA_INVALID);
}

/* --- PKCS#1 v1.5 --- */

static const struct {
    const char *what;
    unsigned char first, type; /* type 0: 0x02; 0xff: 0x00 */
    int padding, zero_at;      /* bytes of PS, 0: as many as fit; a zero in PS, 0: none */
    bool no_end, valid;
} pkcs1_rows[] = {
    { "the honest one", .valid = true },
    { "first byte 1", .first = 1 },
    { "block type 0x01", .type = 1 },
    { "block type 0x00", .type = 0xff },
    { "a zero in the first byte of PS", .zero_at = 1 },
    { "a zero in the eighth byte of PS", .zero_at = 8 },
    { "no zero behind PS", .no_end = true },
};

static void test_pkcs1(void **state)
{
    for (size_t i = 0; i < sizeof pkcs1_rows / sizeof *pkcs1_rows; i++) {
        unsigned char em[K];
        size_t padding = K - 3 - 32;
        assert_int_equal(RAND_bytes(em, K), 1);
        for (size_t k = 0; k < K; k++)
            em[k] |= 1; /* no zeros but ours */
        em[0] = pkcs1_rows[i].first;
        em[1] = pkcs1_rows[i].type == 0xff ? 0 : pkcs1_rows[i].type ? pkcs1_rows[i].type : 2;
        if (pkcs1_rows[i].zero_at)
            em[1 + pkcs1_rows[i].zero_at] = 0;
        if (!pkcs1_rows[i].no_end) {
            em[2 + padding] = 0;
            memcpy(em + 3 + padding, exercise_value().data, 32);
        }
        struct result cipher = edges_rsa_public(key->pkey, em);
        opens(pkcs1_rows[i].what, &rsa1_5, &cipher,
              pkcs1_rows[i].valid ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ciphertexts_that_are_numbers),
        cmocka_unit_test(test_oaep),
        cmocka_unit_test(test_oaep_lengths),
        cmocka_unit_test(test_pkcs1),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
