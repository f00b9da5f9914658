#include "reference.h"

#include <stdio.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/rsa.h>
#include "base/encode.h"

struct result reference_digest(const char *evp, struct kv_view data)
{
    struct result digest = { .len = 0 };
    unsigned len = 0;
    EVP_MD *md = EVP_MD_fetch(NULL, evp, NULL);
    assert_non_null(md);
    assert_int_equal(EVP_Digest(data.data, data.len, digest.data, &len, md, NULL), 1);
    EVP_MD_free(md);
    digest.len = len;
    return digest;
}

/* Rows that take a digest of the caller's choice get SHA-256's. */
static const char *digest_name(const struct matrix_case *it)
{
    return it->row->evp ? it->row->evp : "SHA2-256";
}

struct result reference_input(const struct matrix_case *it, const char *message)
{
    static const struct {
        CK_MECHANISM_TYPE digest;
        unsigned char prefix[19];
    } infos[] = {
        { CKM_SHA256, "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20" },
        { CKM_SHA384, "\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30" },
        { CKM_SHA512, "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40" },
    };
    struct result input = { .len = strlen(message) };
    memcpy(input.data, message, input.len);
    if (it->row->input == KV_MESSAGE)
        return input;
    struct result digest = reference_digest(digest_name(it), BYTES(message, strlen(message)));
    input.len = 0;
    for (size_t i = 0; it->row->input == KV_DIGESTINFO && i < 3; i++)
        if (infos[i].digest == it->row->digest) {
            memcpy(input.data, infos[i].prefix, 19);
            input.len = 19;
        }
    memcpy(input.data + input.len, digest.data, digest.len);
    input.len += digest.len;
    return input;
}

static struct result mac(const struct matrix_case *it, const char *message)
{
    struct result tag = { .len = 0 };
    size_t len = 0;
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, it->row->evp, NULL, it->key->value.data, it->key->value.len,
                              (const unsigned char *)message, strlen(message), tag.data, sizeof tag.data,
                              &len));
    tag.len = it->form == MATRIX_LENGTH_PARAM ? MATRIX_MAC_LEN : len;
    return tag;
}

static void set_padding(const struct matrix_case *it, EVP_PKEY_CTX *context)
{
    if (!it->row->padding)
        return;
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, it->row->padding) > 0);
    if (it->row->padding == RSA_PKCS1_PSS_PADDING)
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0);
}

struct result reference_sign(const struct matrix_case *it, const char *message)
{
    if (it->scheme == MATRIX_MAC)
        return mac(it, message);
    struct result signature = { .len = 0 };
    size_t len = sizeof signature.data;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key = NULL;
    EVP_MD *md = EVP_MD_fetch(NULL, digest_name(it), NULL);
    assert_int_equal(EVP_DigestSignInit(context, &key, md, NULL, it->key->pkey), 1);
    set_padding(it, key);
    assert_int_equal(
        EVP_DigestSign(context, signature.data, &len, (const unsigned char *)message, strlen(message)), 1);
    signature.len = len;
    if (it->scheme == MATRIX_ECDSA) {
        struct kv_bytes raw = { 0 };
        size_t width = (it->key->bits + 7) / 8;
        assert_int_equal(kv_ecdsa_from_der(BYTES(signature.data, len), width, &raw), KV_OK);
        memcpy(signature.data, raw.data, raw.len);
        signature.len = raw.len;
        kv_bytes_free(&raw);
    }
    EVP_MD_CTX_free(context);
    EVP_MD_free(md);
    return signature;
}

bool reference_verifies(const struct matrix_case *it, const char *message, const struct result *signature)
{
    if (it->scheme == MATRIX_MAC) {
        struct result tag = mac(it, message);
        return tag.len == signature->len && !memcmp(tag.data, signature->data, tag.len);
    }
    struct kv_bytes der = { 0 };
    struct kv_view view = { signature->data, signature->len };
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key = NULL;
    EVP_MD *md = EVP_MD_fetch(NULL, digest_name(it), NULL);
    assert_int_equal(EVP_DigestVerifyInit(context, &key, md, NULL, it->key->pkey), 1);
    set_padding(it, key);
    if (it->scheme == MATRIX_ECDSA) {
        assert_int_equal(kv_ecdsa_to_der(view, &der), KV_OK);
        view = KV_VIEW(der);
    }
    int good =
        EVP_DigestVerify(context, view.data, view.len, (const unsigned char *)message, strlen(message));
    EVP_MD_CTX_free(context);
    EVP_MD_free(md);
    kv_bytes_free(&der);
    return good == 1;
}

/* --- RSA encryption --- */

static bool rsa_crypt(const struct matrix_case *it, bool encrypt, struct kv_view in, struct result *ret)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(it->key->pkey, NULL);
    size_t len = sizeof ret->data;
    EVP_MD *md = it->row->evp ? EVP_MD_fetch(NULL, it->row->evp, NULL) : NULL;
    assert_int_equal(encrypt ? EVP_PKEY_encrypt_init(context) : EVP_PKEY_decrypt_init(context), 1);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, it->row->padding) > 0);
    if (md) {
        assert_true(EVP_PKEY_CTX_set_rsa_oaep_md(context, md) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_mgf1_md(context, md) > 0);
    }
    bool good =
        (encrypt ? EVP_PKEY_encrypt : EVP_PKEY_decrypt)(context, ret->data, &len, in.data, in.len) == 1;
    ret->len = len;
    EVP_MD_free(md);
    EVP_PKEY_CTX_free(context);
    return good;
}

/* --- AES --- */

static const char *mode_of(enum matrix_scheme scheme)
{
    return scheme == MATRIX_CTR   ? "CTR"
           : scheme == MATRIX_GCM ? "GCM"
           : scheme == MATRIX_KW  ? "WRAP"
           : scheme == MATRIX_KWP ? "WRAP-PAD"
                                  : "CBC";
}

static bool aes(const struct matrix_case *it, bool encrypt, struct kv_view in, struct kv_view iv,
                struct result *ret)
{
    enum { TAG = 16 };
    char name[32];
    int len = 0, last = 0, none;
    bool gcm = it->scheme == MATRIX_GCM;
    snprintf(name, sizeof name, "AES-%zu-%s", 8 * it->key->value.len, mode_of(it->scheme));
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_non_null(cipher);
    if (gcm && !encrypt) {
        if (in.len < TAG)
            fail_msg("%s: shorter than a tag", matrix_name(it));
        in.len -= TAG;
    }
    EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    bool good = EVP_CipherInit_ex2(context, cipher, it->key->value.data, iv.data, encrypt, NULL) == 1 &&
                EVP_CIPHER_CTX_set_padding(context, it->scheme == MATRIX_CBC_PAD) == 1;
    if (good && gcm)
        good = EVP_CipherUpdate(context, NULL, &none, (const unsigned char *)"with aad", 8) == 1 &&
               (encrypt || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG,
                                               (unsigned char *)in.data + in.len) == 1);
    good = good && EVP_CipherUpdate(context, ret->data, &len, in.data, (int)in.len) == 1 &&
           EVP_CipherFinal_ex(context, ret->data + len, &last) == 1;
    ret->len = (CK_ULONG)(len + last);
    if (good && gcm && encrypt) {
        good = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, ret->data + ret->len) == 1;
        ret->len += TAG;
    }
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    return good;
}

static struct kv_view iv_of(const struct matrix_case *it, const struct matrix_mechanism *mechanism)
{
    bool wraps = it->scheme == MATRIX_KW || it->scheme == MATRIX_KWP;
    return wraps ? (struct kv_view){ NULL, 0 } : BYTES(mechanism->iv, 16);
}

struct result reference_encrypt(const struct matrix_case *it, const struct matrix_mechanism *mechanism,
                                struct kv_view plain)
{
    struct result cipher = { .len = 0 };
    bool good = it->scheme == MATRIX_RSA ? rsa_crypt(it, true, plain, &cipher)
                                         : aes(it, true, plain, iv_of(it, mechanism), &cipher);
    if (!good)
        fail_msg("%s: OpenSSL does not encrypt", matrix_name(it));
    return cipher;
}

bool reference_decrypt(const struct matrix_case *it, const struct matrix_mechanism *mechanism,
                       const struct result *cipher, struct result *ret)
{
    struct kv_view in = { cipher->data, cipher->len };
    return it->scheme == MATRIX_RSA ? rsa_crypt(it, false, in, ret)
                                    : aes(it, false, in, iv_of(it, mechanism), ret);
}

void reference_hkdf(const char *evp, struct kv_view key, unsigned char *ret, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)evp, 0),
                            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key.data, key.len),
                            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (char[]){ "salt" }, 4),
                            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (char[]){ "info" }, 4),
                            OSSL_PARAM_construct_end() };
    assert_int_equal(EVP_KDF_derive(context, ret, len, params), 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}
