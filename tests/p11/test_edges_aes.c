/* AES-GCM, CBC and CTR at their edges: every bit of a tag, initial values and tags of every length, padding built by hand, counters at their end. By session
 * keys; what a vault's key does with the same stands in the matrix. */
#include "edges.h"

static const struct matrix_key *key;
static CK_FUNCTION_LIST *p11;
static CK_BYTE long_aad[70000];

static int start(void **state)
{
    int rc = matrix_start(state);
    p11 = world.p11;
    key = matrix_find("session AES-256");
    memset(long_aad, 'a', sizeof long_aad);
    return rc;
}

static CK_RV run_aes(bool forward, CK_MECHANISM *mechanism, struct kv_view in, struct result *ret)
{
    ret->len = sizeof ret->data;
    memset(ret->data, 0x5a, sizeof ret->data);
    ok((forward ? p11->C_EncryptInit : p11->C_DecryptInit)(key->session, mechanism, key->open));
    return (forward ? p11->C_Encrypt : p11->C_Decrypt)(key->session, (CK_BYTE *)in.data, in.len, ret->data,
                                                       &ret->len);
}

/* Nothing of what was refused is handed out. */
static void refused(const char *what, CK_RV rv, CK_RV wanted, const struct result *out)
{
    if (rv != wanted)
        fail_msg("%s: 0x%lx instead of 0x%lx", what, rv, wanted);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(out->data[i], 0x5a);
}

/* --- GCM --- */

struct gcm {
    size_t iv, aad, plain, tag; /* bytes */
};

static CK_GCM_PARAMS gcm_params(const struct gcm *row)
{
    static CK_BYTE iv[256];
    memset(iv, 'i', sizeof iv);
    return (CK_GCM_PARAMS){ .pIv = iv,
                            .ulIvLen = row->iv,
                            .ulIvBits = 8 * row->iv,
                            .aad_ptr = row->aad ? long_aad : NULL,
                            .aad_len = row->aad,
                            .ulTagBits = 8 * row->tag };
}

static struct result gcm_reference(const struct gcm *row, struct kv_view plain)
{
    CK_GCM_PARAMS params = gcm_params(row);
    struct result out = { .len = plain.len };
    int len = 0, last = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, NULL, NULL), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)row->iv, NULL), 1);
    assert_int_equal(EVP_EncryptInit_ex(context, NULL, NULL, key->value.data, params.pIv), 1);
    if (row->aad)
        assert_int_equal(EVP_EncryptUpdate(context, NULL, &len, long_aad, (int)row->aad), 1);
    assert_int_equal(EVP_EncryptUpdate(context, out.data, &len, plain.data, (int)plain.len), 1);
    assert_int_equal(EVP_EncryptFinal_ex(context, out.data + len, &last), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, (int)row->tag, out.data + plain.len),
                     1);
    EVP_CIPHER_CTX_free(context);
    out.len += row->tag;
    return out;
}

static void test_gcm_lengths(void **state)
{
    static const struct gcm rows[] = {
        { 1, 0, 32, 16 },     { 7, 5, 32, 16 },  { 8, 0, 32, 16 },  { 12, 0, 0, 16 },   { 12, 20, 0, 16 },
        { 12, 0, 1, 16 },     { 12, 5, 15, 16 }, { 12, 5, 16, 16 }, { 12, 5, 17, 16 },  { 12, 5, 800, 16 },
        { 13, 5, 32, 16 },    { 16, 5, 32, 16 }, { 64, 5, 32, 16 }, { 128, 5, 32, 16 }, { 12, 70000, 32, 16 },
        { 12, 70000, 0, 16 }, { 12, 5, 32, 15 }, { 12, 5, 32, 14 }, { 12, 5, 32, 13 },  { 12, 5, 32, 12 },
    };
    static CK_BYTE text[800];
    memset(text, 't', sizeof text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CK_GCM_PARAMS params = gcm_params(&rows[i]);
        CK_MECHANISM mechanism = { CKM_AES_GCM, &params, sizeof params };
        struct result wanted = gcm_reference(&rows[i], BYTES(text, rows[i].plain)), got, back;
        ok(run_aes(true, &mechanism, BYTES(text, rows[i].plain), &got));
        assert_int_equal(got.len, wanted.len);
        assert_memory_equal(got.data, wanted.data, wanted.len);
        ok(run_aes(false, &mechanism, BYTES(got.data, got.len), &back));
        assert_int_equal(back.len, rows[i].plain);
        assert_memory_equal(back.data, text, back.len);
        got.data[0] ^= 1;
        refused("its first byte", run_aes(false, &mechanism, BYTES(got.data, got.len), &back),
                CKR_ENCRYPTED_DATA_INVALID, &back);
    }
}

static void test_gcm_every_bit(void **state)
{
    static const size_t tags[] = { 12, 13, 16 };
    for (size_t t = 0; t < 3; t++) {
        struct gcm row = { 12, 5, 20, tags[t] };
        CK_GCM_PARAMS params = gcm_params(&row);
        CK_MECHANISM mechanism = { CKM_AES_GCM, &params, sizeof params };
        struct result cipher = gcm_reference(&row, BYTES("twenty bytes of text", 20)), out;
        for (size_t i = 0; i < 8 * cipher.len; i++) {
            cipher.data[i / 8] ^= (CK_BYTE)(1 << i % 8);
            refused("a bit", run_aes(false, &mechanism, BYTES(cipher.data, cipher.len), &out),
                    CKR_ENCRYPTED_DATA_INVALID, &out);
            cipher.data[i / 8] ^= (CK_BYTE)(1 << i % 8);
        }
        for (CK_ULONG len = 0; len < cipher.len; len++)
            refused("cut", run_aes(false, &mechanism, BYTES(cipher.data, len), &out),
                    len < tags[t] ? CKR_ENCRYPTED_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_INVALID, &out);
        cipher.data[cipher.len] = 0;
        refused("a byte more", run_aes(false, &mechanism, BYTES(cipher.data, cipher.len + 1), &out),
                CKR_ENCRYPTED_DATA_INVALID, &out);
        memset(cipher.data + cipher.len - tags[t], 0, tags[t]);
        refused("a tag of zeros", run_aes(false, &mechanism, BYTES(cipher.data, cipher.len), &out),
                CKR_ENCRYPTED_DATA_INVALID, &out);
    }
}

/* Everything that the tag covers and the ciphertext does not say. */
static void test_gcm_what_is_not_sent(void **state)
{
    struct gcm row = { 12, 5, 20, 16 };
    struct result cipher = gcm_reference(&row, BYTES("twenty bytes of text", 20)), out;
    CK_BYTE other[12] = "IIIIIIIIIIII";
    for (int what = 0; what < 6; what++) {
        CK_GCM_PARAMS params = gcm_params(&row);
        CK_MECHANISM mechanism = { CKM_AES_GCM, &params, sizeof params };
        if (what == 0)
            params.pIv = other;
        if (what == 1)
            params.ulIvLen = 11;
        if (what == 2)
            params.aad_len = 0;
        if (what == 3)
            params.aad_len = 6;
        if (what == 4)
            params.aad_ptr = other;
        if (what == 5)
            params.ulTagBits = 120; /* the tag is read from the end: its first byte would be ciphertext */
        refused("what is not sent", run_aes(false, &mechanism, BYTES(cipher.data, cipher.len), &out),
                CKR_ENCRYPTED_DATA_INVALID, &out);
    }
}

/* --- CBC --- */

static CK_BYTE iv[16] = "an initial value";
static CK_MECHANISM cbc = { CKM_AES_CBC, iv, 16 }, cbc_pad = { CKM_AES_CBC_PAD, iv, 16 };

/* The last byte says how many there are, and all of them say so. */
static void test_cbc_padding(void **state)
{
    static const struct {
        const char *what;
        size_t len;   /* of the padded plaintext */
        size_t count; /* bytes at its end that are `value` */
        unsigned char value;
        size_t odd; /* this one from the end is something else; 0: none */
        bool valid;
    } rows[] = {
        { "one byte", 32, 1, 1, 0, true },
        { "fifteen bytes", 32, 15, 15, 0, true },
        { "a whole block", 32, 16, 16, 0, true },
        { "nothing but padding", 16, 16, 16, 0, true },
        { "zero", 32, 1, 0, 0, false },
        { "seventeen", 32, 17, 17, 0, false },
        { "thirty-two", 32, 32, 32, 0, false },
        { "0x80", 32, 16, 0x80, 0, false },
        { "255", 32, 32, 255, 0, false },
        { "two that are one", 32, 1, 2, 0, false },
        { "eight, the first wrong", 32, 8, 8, 8, false },
        { "eight, the last but one wrong", 32, 8, 8, 2, false },
        { "sixteen, the first wrong", 32, 16, 16, 16, false },
        { "seventeen of one block", 16, 16, 17, 0, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char plain[32];
        struct result out;
        memset(plain, 'p', sizeof plain);
        memset(plain + rows[i].len - rows[i].count, rows[i].value, rows[i].count);
        if (rows[i].odd)
            plain[rows[i].len - rows[i].odd] ^= 0x40;
        struct result cipher = edges_aes("AES-256-CBC", key->value, iv, BYTES(plain, rows[i].len));
        assert_int_equal(cipher.len, rows[i].len);
        CK_RV rv = run_aes(false, &cbc_pad, BYTES(cipher.data, cipher.len), &out);
        if (!rows[i].valid) {
            refused(rows[i].what, rv, CKR_ENCRYPTED_DATA_INVALID, &out);
            continue;
        }
        if (rv || out.len != rows[i].len - rows[i].value || memcmp(out.data, plain, out.len))
            fail_msg("%s: 0x%lx, %lu bytes", rows[i].what, rv, out.len);
        ok(run_aes(true, &cbc_pad, BYTES(plain, out.len), &out));
        assert_int_equal(out.len, cipher.len);
        assert_memory_equal(out.data, cipher.data, cipher.len);
    }
}

static void test_cbc_lengths(void **state)
{
    struct result out, back;
    static CK_BYTE text[64];
    for (size_t len = 0; len <= 48; len++) {
        ok(run_aes(true, &cbc_pad, BYTES(text, len), &out));
        assert_int_equal(out.len, len / 16 * 16 + 16);
        ok(run_aes(false, &cbc_pad, BYTES(out.data, out.len), &back));
        assert_int_equal(back.len, len);
        refused("cut by a byte", run_aes(false, &cbc_pad, BYTES(out.data, out.len - 1), &back),
                CKR_ENCRYPTED_DATA_LEN_RANGE, &back);
        CK_RV rv = run_aes(true, &cbc, BYTES(text, len), &out);
        if (rv != (len % 16 ? CKR_DATA_LEN_RANGE : CKR_OK))
            fail_msg("%zu bytes of CBC: 0x%lx", len, rv);
        rv = run_aes(false, &cbc, BYTES(text, len), &out);
        if (rv != (len % 16 ? CKR_ENCRYPTED_DATA_LEN_RANGE : CKR_OK))
            fail_msg("%zu bytes of CBC: 0x%lx", len, rv);
    }
    refused("nothing", run_aes(false, &cbc_pad, BYTES("", 0), &back), CKR_ENCRYPTED_DATA_LEN_RANGE, &back);
}

/* --- CTR --- */

/* The counter counts in its own bits, and does not run over: the next message would meet the same key stream, or a foreign nonce. */
static void test_ctr_counters(void **state)
{
    static const struct {
        CK_ULONG bits;
        CK_BYTE last; /* byte of the counter block; those before it are 0xff */
        size_t most;  /* bytes that may be encrypted */
    } rows[] = {
        { 8, 0xff, 16 },  { 8, 0xfe, 32 },  { 8, 0xf0, 256 },  { 1, 0x01, 16 },
        { 1, 0x00, 32 },  { 7, 0x7f, 16 },  { 32, 0xff, 16 },  { 32, 0xfd, 48 },
        { 64, 0xff, 16 }, { 64, 0xfe, 32 }, { 128, 0xff, 16 }, { 128, 0xfe, 32 },
    };
    static CK_BYTE text[512];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CK_AES_CTR_PARAMS params = { .ulCounterBits = rows[i].bits };
        CK_MECHANISM mechanism = { CKM_AES_CTR, &params, sizeof params };
        struct result out, back;
        memset(params.cb, 0xff, 16);
        params.cb[15] = rows[i].last;
        ok(run_aes(true, &mechanism, BYTES(text, rows[i].most), &out));
        struct result wanted = edges_aes("AES-256-CTR", key->value, params.cb, BYTES(text, rows[i].most));
        assert_int_equal(out.len, wanted.len);
        assert_memory_equal(out.data, wanted.data, wanted.len);
        ok(run_aes(false, &mechanism, BYTES(out.data, out.len), &back));
        assert_memory_equal(back.data, text, back.len);
        refused("a byte more", run_aes(true, &mechanism, BYTES(text, rows[i].most + 1), &out),
                CKR_DATA_LEN_RANGE, &out);
        refused("a byte more", run_aes(false, &mechanism, BYTES(text, rows[i].most + 1), &out),
                CKR_ENCRYPTED_DATA_LEN_RANGE, &out);
    }
}

/* In parts the end is met just the same, and ends the operation. */
static void test_ctr_runs_out_in_parts(void **state)
{
    CK_AES_CTR_PARAMS params = { .ulCounterBits = 8 };
    CK_MECHANISM mechanism = { CKM_AES_CTR, &params, sizeof params };
    CK_BYTE text[16] = { 0 }, out[64];
    CK_ULONG room = sizeof out;
    params.cb[15] = 0xfe;
    ok(p11->C_EncryptInit(key->session, &mechanism, key->open));
    for (int i = 0; i < 2; i++, room = sizeof out)
        ok(p11->C_EncryptUpdate(key->session, text, 16, out, &room));
    expect(CKR_DATA_LEN_RANGE, p11->C_EncryptUpdate(key->session, text, 1, out, &room));
    expect(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(key->session, out, &room));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gcm_lengths),           cmocka_unit_test(test_gcm_every_bit),
        cmocka_unit_test(test_gcm_what_is_not_sent),  cmocka_unit_test(test_cbc_padding),
        cmocka_unit_test(test_cbc_lengths),           cmocka_unit_test(test_ctr_counters),
        cmocka_unit_test(test_ctr_runs_out_in_parts),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
