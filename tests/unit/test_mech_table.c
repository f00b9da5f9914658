/* The matrix: every row of the table is put to work against OpenSSL. */
#include "mech_help.h"

#include <openssl/rsa.h>

static struct {
    const char *curve;
    EVP_PKEY *pkey;
    struct kv_public *public;
} keys[] = { { NULL }, { "P-256" }, { "P-384" }, { "P-521" }, { "P-256K" } };

static int make_keys(void **state)
{
    for (size_t i = 0; i < COUNT(keys); i++) {
        keys[i].pkey = make_key(keys[i].curve ? KV_EC : KV_RSA, keys[i].curve);
        keys[i].public = public_of(keys[i].pkey);
    }
    return 0;
}

static int free_keys(void **state)
{
    for (size_t i = 0; i < COUNT(keys); i++) {
        kv_public_free(keys[i].public);
        EVP_PKEY_free(keys[i].pkey);
    }
    return 0;
}

static size_t key_for(const struct kv_mech *row)
{
    size_t i = 0;
    while (row->curve && (!keys[i].curve || strcmp(keys[i].curve, row->curve) != 0))
        i++;
    return i;
}

/* What the vault does: sign a bare digest, EC as raw r‖s. */
static struct kv_bytes sign(const struct kv_mech *row, struct kv_view digest)
{
    EVP_PKEY *pkey = keys[key_for(row)].pkey;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(kv_ossl_context(), pkey, NULL);
    struct kv_bytes signature;
    unsigned char der[1024];
    size_t len = sizeof der;
    assert_int_equal(EVP_PKEY_sign_init(context), 1);
    if (row->kind == KV_RSA) {
        EVP_MD *md = row->evp ? EVP_MD_fetch(kv_ossl_context(), row->evp, NULL) : NULL;
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, row->padding), 1);
        if (md)
            assert_int_equal(EVP_PKEY_CTX_set_signature_md(context, md), 1);
        if (row->padding == RSA_PKCS1_PSS_PADDING)
            assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, EVP_MD_get_size(md)), 1);
        EVP_MD_free(md);
    }
    assert_int_equal(EVP_PKEY_sign(context, der, &len, digest.data, digest.len), 1);
    EVP_PKEY_CTX_free(context);
    struct kv_view made = { der, len };
    if (row->kind == KV_EC)
        assert_int_equal(kv_ecdsa_from_der(made, kv_curve_find(row->curve)->width, &signature), KV_OK);
    else
        assert_int_equal(kv_bytes_copy(made, &signature), KV_OK);
    return signature;
}

/* The digest that the row's algorithm takes, of some message. */
static struct kv_bytes digest_for(const struct kv_mech *row)
{
    struct kv_bytes digest;
    KV_AUTO_BYTES struct kv_bytes plain = { 0 };
    assert_int_equal(kv_digest_once(row->evp ? row->evp : "SHA2-384", kv_view_text("message"), &plain),
                     KV_OK);
    if (row->kind == KV_EC)
        assert_int_equal(kv_mech_fit_digest(row, KV_VIEW(plain), &digest), KV_OK);
    else
        digest = kv_bytes_take(&plain);
    return digest;
}

static void check_sign_row(const struct kv_mech *row)
{
    const struct kv_public *public = keys[key_for(row)].public;
    KV_AUTO_BYTES struct kv_bytes digest = digest_for(row);
    KV_AUTO_BYTES struct kv_bytes signature = sign(row, KV_VIEW(digest));
    assert_int_equal(signature.len, kv_public_signature_size(public));
    assert_int_equal(kv_public_verify(public, row, KV_VIEW(digest), KV_VIEW(signature)), KV_OK);

    struct kv_view shorter = { signature.data, signature.len - 1 };
    assert_int_equal(kv_public_verify(public, row, KV_VIEW(digest), shorter), KV_SIGNATURE_LENGTH);
    signature.data[signature.len / 2] ^= 1;
    assert_int_equal(kv_public_verify(public, row, KV_VIEW(digest), KV_VIEW(signature)), KV_BAD_SIGNATURE);
    signature.data[signature.len / 2] ^= 1;
    digest.data[0] ^= 0x80;
    assert_int_equal(kv_public_verify(public, row, KV_VIEW(digest), KV_VIEW(signature)), KV_BAD_SIGNATURE);
    memset(signature.data, 0, signature.len);
    assert_int_equal(kv_public_verify(public, row, KV_VIEW(digest), KV_VIEW(signature)), KV_BAD_SIGNATURE);

    const struct kv_public *other = keys[row->kind == KV_RSA ? 1 : 0].public;
    assert_int_equal(kv_public_verify(other, row, KV_VIEW(digest), KV_VIEW(signature)), KV_KEY_TYPE);
}

static struct kv_bytes decrypt(const struct kv_mech *row, struct kv_view cipher)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(kv_ossl_context(), keys[0].pkey, NULL);
    struct kv_bytes plain;
    assert_int_equal(EVP_PKEY_decrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, row->padding), 1);
    if (row->padding == RSA_PKCS1_OAEP_PADDING) {
        EVP_MD *md = EVP_MD_fetch(kv_ossl_context(), row->evp, NULL);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(context, md), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(context, md), 1);
        EVP_MD_free(md);
    }
    assert_int_equal(kv_bytes_alloc(256, &plain), KV_OK);
    assert_int_equal(EVP_PKEY_decrypt(context, plain.data, &plain.len, cipher.data, cipher.len), 1);
    EVP_PKEY_CTX_free(context);
    return plain;
}

static void check_encrypt_row(const struct kv_mech *row)
{
    static const unsigned char text[256] = "a data key";
    size_t max = kv_public_encrypt_max(keys[0].public, row), lengths[] = { 0, 1, 32, max };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        KV_AUTO_BYTES struct kv_bytes cipher = { 0 };
        struct kv_view plain = { text, lengths[i] };
        assert_int_equal(kv_public_encrypt(keys[0].public, row, plain, &cipher), KV_OK);
        assert_int_equal(cipher.len, 256);
        KV_AUTO_BYTES struct kv_bytes back = decrypt(row, KV_VIEW(cipher));
        assert_bytes(KV_VIEW(back), plain);
    }
    KV_AUTO_BYTES struct kv_bytes none = { 0 };
    struct kv_view too_long = { text, max + 1 };
    assert_int_equal(kv_public_encrypt(keys[0].public, row, too_long, &none), KV_DATA_LENGTH);
    assert_int_equal(kv_public_encrypt(keys[1].public, row, (struct kv_view){ text, 8 }, &none), KV_KEY_TYPE);
    assert_null(none.data);
}

/* A parameter that the type takes. */
static CK_MECHANISM standard_mechanism(CK_MECHANISM_TYPE type)
{
    static unsigned char iv[16];
    static CK_GCM_PARAMS gcm = { .pIv = iv, .ulIvLen = 12, .ulTagBits = 128 };
    static CK_AES_CTR_PARAMS ctr = { .ulCounterBits = 32 };
    if (type == CKM_AES_GCM)
        return (CK_MECHANISM){ type, &gcm, sizeof gcm };
    if (type == CKM_AES_CTR)
        return (CK_MECHANISM){ type, &ctr, sizeof ctr };
    if (type == CKM_AES_CBC || type == CKM_AES_CBC_PAD)
        return (CK_MECHANISM){ type, iv, sizeof iv };
    return (CK_MECHANISM){ type, NULL, 0 };
}

static void run_cipher(const struct kv_mech_use *use, struct kv_view in, bool encrypt, struct kv_buffer *ret)
{
    static const unsigned char key[32] = { 1, 2, 3 };
    struct kv_cipher *cipher = NULL;
    assert_int_equal(kv_cipher_open(use, (struct kv_view){ key, use->row->key_bits / 8 }, encrypt, &cipher),
                     KV_OK);
    for (size_t at = 0; at < in.len; at += 8) {
        size_t bound = kv_cipher_bound(cipher, in.len - at), before = ret->bytes.len;
        assert_int_equal(kv_cipher_update(cipher, (struct kv_view){ in.data + at, 8 }, ret), KV_OK);
        assert_true(ret->bytes.len - before <= bound);
    }
    assert_int_equal(kv_cipher_final(cipher, ret), KV_OK);
    kv_cipher_free(cipher);
}

static void check_session_row(const struct kv_mech *row)
{
    static const unsigned char text[48] = "forty-eight bytes, whatever they may be good for";
    struct kv_mech_key key = { .kind = KV_OCT, .bits = row->key_bits, .session = true };
    CK_MECHANISM mechanism = standard_mechanism(row->type);
    struct kv_mech_use use = { 0 };
    assert_int_equal(kv_mech_select(&mechanism, &key, KV_OP_ENCRYPT, &offer_all, &use), KV_OK);
    assert_ptr_equal(use.row, row);

    KV_AUTO_BUFFER struct kv_buffer cipher = { 0 }, plain = { 0 };
    run_cipher(&use, (struct kv_view){ text, sizeof text }, true, &cipher);
    assert_true(cipher.bytes.len >= sizeof text);
    assert_memory_not_equal(cipher.bytes.data, text, sizeof text);
    run_cipher(&use, KV_VIEW(cipher.bytes), false, &plain);
    assert_bytes(KV_VIEW(plain.bytes), (struct kv_view){ text, sizeof text });
    kv_mech_use_free(&use);
}

static void check_mac_row(const struct kv_mech *row)
{
    static const unsigned char value[32] = { 1, 2, 3 };
    struct kv_mac *mac = NULL;
    KV_AUTO_BYTES struct kv_bytes code = { 0 };
    unsigned char should[EVP_MAX_MD_SIZE];
    size_t len = 0;
    assert_non_null(EVP_Q_mac(kv_ossl_context(), "HMAC", NULL, row->evp, NULL, value, sizeof value,
                              (const unsigned char *)"message", 7, should, sizeof should, &len));
    assert_int_equal(kv_mac_open(row->evp, (struct kv_view){ value, sizeof value }, &mac), KV_OK);
    assert_int_equal(kv_mac_update(mac, kv_view_text("message")), KV_OK);
    assert_int_equal(kv_mac_final(mac, &code), KV_OK);
    assert_bytes(KV_VIEW(code), (struct kv_view){ should, len });
    assert_true(row->operations & KV_OP_VERIFY);
    kv_mac_free(mac);
}

static void each_row_works(void **state)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if (kv_mech_is_mac(row))
            check_mac_row(row);
        else if (row->operations & KV_OP_SIGN)
            check_sign_row(row);
        if ((row->operations & KV_OP_ENCRYPT) && row->kind == KV_RSA)
            check_encrypt_row(row);
        if ((row->operations & KV_OP_ENCRYPT) && row->service == KV_SESSION)
            check_session_row(row);
        if (row->operations & KV_OP_DIGEST)
            assert_true(kv_digest_size(row->evp) >= 32);
    }
}

static void rows_are_sound(void **state)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        bool closed = i + 1 == kv_mech_count || kv_mech_table[i + 1].type != row->type;
        for (size_t k = i + 1; closed && k < kv_mech_count; k++)
            assert_true(kv_mech_table[k].type != row->type); /* rows of a type stand together */
        assert_int_equal(strncmp(row->name, "CKM_", 4), 0);
        assert_int_equal(row->alg == NULL, row->service == KV_SESSION);
        assert_int_equal(row->curve != NULL, row->kind == KV_EC);
        if (row->alg)
            assert_true(strlen(row->alg) < KV_ALG_SIZE);
        if (row->digest)
            assert_non_null(row->evp);
    }
}

static void what_must_never_be_there(void **state)
{
    static const CK_MECHANISM_TYPE never[] = { CKM_RSA_X_509, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS,
                                               CKM_ECDSA_SHA1, CKM_SHA_1 };
    for (size_t i = 0; i < kv_mech_count; i++)
        for (size_t k = 0; k < COUNT(never); k++)
            assert_true(kv_mech_table[i].type != never[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sound),
        cmocka_unit_test(what_must_never_be_there),
        cmocka_unit_test(each_row_works),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
