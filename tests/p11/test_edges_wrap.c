/* AES key wrap at its edges, RFC 3394 and RFC 5649: every length, every flipped byte, and wrapped keys with an alternative initial value built here by hand. By a
 * session key, and by a vault's key where that is another computation. */
#include "edges.h"

#include "exercise.h"

static CK_FUNCTION_LIST *p11;
static CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 }, pad = { CKM_AES_KEY_WRAP_PAD, NULL, 0 },
                    kwp = { CKM_AES_KEY_WRAP_KWP, NULL, 0 };
static const struct matrix_key *here, *there; /* with the same bytes */
static unsigned char text[64];

static int start(void **state)
{
    int rc = matrix_start(state);
    p11 = world.p11;
    here = matrix_find("session AES-256");
    there = matrix_find("m-oct256");
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (unsigned char)(0xb5 ^ 7 * i);
    return rc;
}

/* The key that comes out, as a generic secret: that may have any length. */
static CK_RV unwrap(const struct matrix_key *key, CK_MECHANISM *mechanism, const struct result *blob,
                    struct result *ret)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &generic, sizeof generic },
                                { CKA_SENSITIVE, &no, sizeof no } };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_RV rv = p11->C_UnwrapKey(key->session, mechanism, key->shut, (CK_BYTE *)blob->data, blob->len,
                                template, 3, &object);
    if (rv)
        return rv;
    ret->len = attribute(key->session, object, CKA_VALUE, ret->data, sizeof ret->data);
    ok(p11->C_DestroyObject(key->session, object));
    return rv;
}

static CK_RV decrypt_here(CK_MECHANISM *mechanism, const struct result *blob, struct result *ret)
{
    ok(p11->C_DecryptInit(here->session, mechanism, here->shut));
    ret->len = sizeof ret->data;
    return p11->C_Decrypt(here->session, (CK_BYTE *)blob->data, blob->len, ret->data, &ret->len);
}

/* Every way to open it: the plaintext where it is right, the fitting code of each way where not. */
static void opens(const char *what, CK_MECHANISM *mechanism, const struct result *blob, size_t len)
{
    struct result plain;
    const struct matrix_key *const keys[] = { here, there };
    CK_RV rv = decrypt_here(mechanism, blob, &plain), wanted = len ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID;
    if (rv != wanted || (!rv && (plain.len != len || memcmp(plain.data, text, len))))
        fail_msg("%s, decrypted: 0x%lx, %lu bytes", what, rv, plain.len);
    for (size_t i = 0; i < 2; i++) {
        wanted = len ? CKR_OK : CKR_WRAPPED_KEY_INVALID;
        rv = unwrap(keys[i], mechanism, blob, &plain);
        if (rv != wanted || (!rv && (plain.len != len || memcmp(plain.data, text, len))))
            fail_msg("%s, by '%s': 0x%lx, %lu bytes", what, keys[i]->name, rv, plain.len);
    }
}

static struct result wrapped(bool pads, size_t len)
{
    return edges_aes(pads ? "AES-256-WRAP-PAD" : "AES-256-WRAP", here->value, NULL, BYTES(text, len));
}

static void test_kw_lengths(void **state)
{
    struct result plain;
    for (size_t len = 16; len <= sizeof text; len += 8) {
        struct result blob = wrapped(false, len), mine = encrypt(here->session, &kw, here->open, text, len);
        assert_int_equal(blob.len, len + 8);
        assert_int_equal(mine.len, blob.len);
        assert_memory_equal(mine.data, blob.data, blob.len);
        opens("a whole one", &kw, &blob, len);
    }
    static const size_t wrong[] = { 0, 1, 8, 15, 17, 20, 23 };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ok(p11->C_EncryptInit(here->session, &kw, here->open));
        plain.len = sizeof plain.data;
        expect(CKR_DATA_LEN_RANGE, p11->C_Encrypt(here->session, text, wrong[i], plain.data, &plain.len));
    }
    struct result blob = wrapped(false, 32);
    static const CK_ULONG ciphers[] = { 0, 1, 8, 15, 16, 23, 25, 39, 41 };
    clear_log();
    for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
        blob.len = ciphers[i];
        expect(CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt_here(&kw, &blob, &plain));
        expect(CKR_WRAPPED_KEY_LEN_RANGE, unwrap(here, &kw, &blob, &plain));
        expect(CKR_WRAPPED_KEY_LEN_RANGE, unwrap(there, &kw, &blob, &plain));
    }
    assert_int_equal(requests(NULL), 0);
    blob.len = 32; /* of 40: a length that could be, and a key that is none */
    opens("cut by a block", &kw, &blob, 0);
}

static void test_every_flipped_byte(void **state)
{
    struct result plain;
    for (int pads = 0; pads < 2; pads++) {
        struct result blob = wrapped(pads, pads ? 21 : 24);
        CK_MECHANISM *mechanism = pads ? &pad : &kw;
        for (size_t i = 0; i < 8 * blob.len; i++) {
            blob.data[i / 8] ^= (unsigned char)(1 << i % 8);
            expect(CKR_ENCRYPTED_DATA_INVALID, decrypt_here(mechanism, &blob, &plain));
            if (i % 32 == 0)
                opens("a flipped bit", mechanism, &blob, 0);
            blob.data[i / 8] ^= (unsigned char)(1 << i % 8);
        }
        opens("nothing flipped", mechanism, &blob, pads ? 21 : 24);
    }
}

/* Blocks in another order, and one twice. */
static void test_blocks_out_of_order(void **state)
{
    for (int pads = 0; pads < 2; pads++) {
        struct result blob = wrapped(pads, 32), other = blob;
        for (size_t i = 0; i + 8 < blob.len; i += 8) {
            memcpy(other.data + i, blob.data + i + 8, 8);
            opens("a block twice", pads ? &pad : &kw, &other, 0);
            memcpy(other.data + i + 8, blob.data + i, 8);
            opens("two blocks swapped", pads ? &pad : &kw, &other, 0);
            other = blob;
        }
    }
}

static void test_kw_initial_values(void **state)
{
    static const unsigned char values[][8] = {
        { 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa7 },
        { 0x26, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6 },
        { 0, 0, 0, 0, 0, 0, 0, 0 },
        { 0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, 32 },
        { 0xa6, 0xa6, 0xa6, 0xa6, 0, 0, 0, 32 },
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct result blob = edges_aes("AES-256-WRAP", here->value, values[i], BYTES(text, 32));
        opens("an initial value of its own", &kw, &blob, 0);
    }
    /* What one wraps the other does not open. */
    struct result blob = wrapped(false, 32);
    opens("KW by KWP", &kwp, &blob, 0);
    blob = wrapped(true, 32);
    opens("KWP by KW", &kw, &blob, 0);
}

static void test_kwp_lengths(void **state)
{
    struct result plain;
    CK_MECHANISM *const both[] = { &pad, &kwp };
    for (size_t len = 1; len <= 40; len++)
        for (size_t m = 0; m < 2; m++) {
            struct result blob = wrapped(true, len);
            struct result mine = encrypt(here->session, both[m], here->open, text, len);
            assert_int_equal(blob.len, (len + 7) / 8 * 8 + 8);
            assert_int_equal(mine.len, blob.len);
            assert_memory_equal(mine.data, blob.data, blob.len);
            opens("of every length", both[m], &blob, len);
        }
    ok(p11->C_EncryptInit(here->session, &pad, here->open));
    plain.len = sizeof plain.data;
    expect(CKR_DATA_LEN_RANGE, p11->C_Encrypt(here->session, text, 0, plain.data, &plain.len));
    struct result blob = wrapped(true, 32);
    static const CK_ULONG ciphers[] = { 0, 1, 8, 15, 17, 23, 39, 41 };
    for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
        blob.len = ciphers[i];
        expect(CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt_here(&pad, &blob, &plain));
        expect(CKR_WRAPPED_KEY_LEN_RANGE, unwrap(here, &pad, &blob, &plain));
        expect(CKR_WRAPPED_KEY_LEN_RANGE, unwrap(there, &pad, &blob, &plain));
    }
}

/* --- KWP by hand: RFC 5649 §3 --- */

static const struct {
    const char *what;
    size_t blocks;        /* of the padded plaintext */
    size_t said, meant;   /* the length indicator; bytes that are not zeros */
    unsigned char prefix; /* XORed into the last byte of 0xa65959a6 */
    bool high;            /* the indicator's top byte is 1, too */
    bool valid;
} kwp_rows[] = {
    { "one block, full", 1, 8, 8, .valid = true },
    { "one block, one byte", 1, 1, 1, .valid = true },
    { "one block of nothing", 1, 0, 0 },
    { "one block that says nine", 1, 9, 8 },
    { "one block that says sixteen", 1, 16, 8 },
    { "one block, padding of no zeros", 1, 5, 8 },
    { "one block, a byte of padding", 1, 5, 6 },
    { "one block, another constant", 1, 8, 8, .prefix = 1 },
    { "one block that says much", 1, 8, 8, .high = true },
    { "four blocks, full", 4, 32, 32, .valid = true },
    { "four blocks, one byte in the last", 4, 25, 25, .valid = true },
    { "four blocks that say three", 4, 24, 24 },
    { "four blocks that say one byte", 4, 1, 1 },
    { "four blocks of nothing", 4, 0, 0 },
    { "four blocks that say five", 4, 33, 32 },
    { "four blocks, padding of no zeros", 4, 27, 32 },
    { "four blocks, the last byte of padding", 4, 31, 32 },
    { "four blocks, another constant", 4, 32, 32, .prefix = 0x80 },
    { "four blocks that say much", 4, 32, 32, .high = true },
};

static void test_kwp_by_hand(void **state)
{
    for (size_t i = 0; i < sizeof kwp_rows / sizeof *kwp_rows; i++) {
        unsigned char in[48] = { 0xa6,
                                 0x59,
                                 0x59,
                                 0xa6 ^ kwp_rows[i].prefix,
                                 kwp_rows[i].high,
                                 0,
                                 0,
                                 (unsigned char)kwp_rows[i].said };
        size_t len = 8 * kwp_rows[i].blocks;
        memcpy(in + 8, text, kwp_rows[i].meant);
        struct result blob = kwp_rows[i].blocks == 1
                                 ? edges_aes("AES-256-ECB", here->value, NULL, BYTES(in, 16))
                                 : edges_aes("AES-256-WRAP", here->value, in, BYTES(in + 8, len));
        assert_int_equal(blob.len, len + 8);
        opens(kwp_rows[i].what, &pad, &blob, kwp_rows[i].valid ? kwp_rows[i].said : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kw_lengths),          cmocka_unit_test(test_every_flipped_byte),
        cmocka_unit_test(test_blocks_out_of_order), cmocka_unit_test(test_kw_initial_values),
        cmocka_unit_test(test_kwp_lengths),         cmocka_unit_test(test_kwp_by_hand),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
