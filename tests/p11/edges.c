#include "edges.h"

#include <openssl/bn.h>
#include <openssl/rsa.h>

static struct result raw(EVP_PKEY *key, const unsigned char *em, bool private)
{
    struct result out = { .len = 0 };
    size_t len = (size_t)EVP_PKEY_get_size(key), got = sizeof out.data;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(private ? EVP_PKEY_decrypt_init(context) : EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING), 1);
    assert_int_equal((private ? EVP_PKEY_decrypt : EVP_PKEY_encrypt)(context, out.data, &got, em, len), 1);
    EVP_PKEY_CTX_free(context);
    assert_int_equal(got, len);
    out.len = got;
    return out;
}

struct result edges_rsa_private(EVP_PKEY *key, const unsigned char *em)
{
    return raw(key, em, true);
}

struct result edges_rsa_public(EVP_PKEY *key, const unsigned char *em)
{
    return raw(key, em, false);
}

void edges_number(EVP_PKEY *key, const char *param, long add, unsigned char *ret, size_t width)
{
    BIGNUM *number = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, param, &number), 1);
    assert_int_equal(add < 0 ? BN_sub_word(number, (BN_ULONG)-add) : BN_add_word(number, (BN_ULONG)add), 1);
    assert_int_equal(BN_bn2binpad(number, ret, (int)width), (int)width);
    BN_free(number);
}

void edges_mgf1(const char *md, struct kv_view seed, unsigned char *ret, size_t len)
{
    EVP_MD *digest = EVP_MD_fetch(NULL, md, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t size = (size_t)EVP_MD_get_size(digest);
    for (size_t at = 0; at < len; at += size) {
        unsigned char mask[64], counter[4] = { 0, 0, 0, (unsigned char)(at / size) };
        assert_int_equal(EVP_DigestInit_ex(context, digest, NULL), 1);
        assert_int_equal(EVP_DigestUpdate(context, seed.data, seed.len), 1);
        assert_int_equal(EVP_DigestUpdate(context, counter, 4), 1);
        assert_int_equal(EVP_DigestFinal_ex(context, mask, NULL), 1);
        for (size_t i = 0; i < size && at + i < len; i++)
            ret[at + i] ^= mask[i];
    }
    EVP_MD_CTX_free(context);
    EVP_MD_free(digest);
}

struct result edges_aes(const char *cipher, struct kv_view key, const unsigned char *iv, struct kv_view in)
{
    struct result out = { .len = 0 };
    int len = 0, last = 0;
    EVP_CIPHER *evp = EVP_CIPHER_fetch(NULL, cipher, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_non_null(evp);
    EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    assert_int_equal(EVP_CipherInit_ex2(context, evp, key.data, iv, 1, NULL), 1);
    assert_int_equal(EVP_CIPHER_CTX_set_padding(context, 0), 1);
    assert_int_equal(EVP_CipherUpdate(context, out.data, &len, in.data, (int)in.len), 1);
    assert_int_equal(EVP_CipherFinal_ex(context, out.data + len, &last), 1);
    out.len = (CK_ULONG)(len + last);
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(evp);
    return out;
}
