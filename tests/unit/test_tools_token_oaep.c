#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>
#include "base/ossl.h"
#include "../../tools/token/oaep.h"
#include "../common/rsa_keys.h"

enum { SIZE = 2048 / 8 };

static const char label[] = "a label";

/* What a token makes of it that does no more than the number: OpenSSL pads and encrypts, and decrypts without a look at the padding. */
static void padded(struct kv_view plain, const char *with, unsigned char ret[SIZE])
{
    static EVP_PKEY *key;
    unsigned char cipher[SIZE];
    size_t len = sizeof cipher;
    if (!key)
        key = rsa_key(kv_ossl_context(), SIZE * 8, 0);
    assert_non_null(key);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(kv_ossl_context(), key, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md_name(context, "SHA256", NULL), 1);
    assert_int_equal(
        EVP_PKEY_CTX_set0_rsa_oaep_label(context, OPENSSL_memdup(with, strlen(with)), (int)strlen(with)), 1);
    assert_int_equal(EVP_PKEY_encrypt(context, cipher, &len, plain.data, plain.len), 1);
    assert_int_equal(EVP_PKEY_decrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING), 1);
    assert_int_equal(EVP_PKEY_decrypt(context, ret, &len, cipher, sizeof cipher), 1);
    assert_int_equal(len, SIZE);
    EVP_PKEY_CTX_free(context);
}

static void what_openssl_pads_is_unpadded(void **state)
{
    static const size_t lens[] = { 0, 1, 16, SIZE - 66 };
    unsigned char plain[SIZE] = { 0 }, block[SIZE];
    memset(plain, 1, 3); /* the mark's own value, and zeroes */
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        KV_AUTO_BYTES struct kv_bytes got = { 0 };
        padded((struct kv_view){ plain, lens[i] }, label, block);
        assert_int_equal(block[0], 0);
        /* Zeroes in front may have been left away. */
        assert_int_equal(kv_token_unpad((struct kv_view){ block + 1, SIZE - 1 }, SIZE, label, &got, NULL),
                         KV_OK);
        assert_true(kv_view_equal(KV_VIEW(got), (struct kv_view){ plain, lens[i] }));
    }
}

static void every_changed_byte_is_noticed(void **state)
{
    unsigned char block[SIZE];
    padded(kv_view_text("0123456789abcdef"), label, block);
    for (size_t i = 0; i < SIZE; i++) {
        KV_AUTO_BYTES struct kv_bytes got = { 0 };
        block[i] ^= 1;
        assert_int_equal(kv_token_unpad((struct kv_view){ block, SIZE }, SIZE, label, &got, NULL),
                         KV_BAD_CIPHERTEXT);
        block[i] ^= 1;
    }
}

static void another_label_is_another_purpose(void **state)
{
    KV_AUTO_BYTES struct kv_bytes got = { 0 };
    unsigned char block[SIZE];
    padded(kv_view_text("x"), "another", block);
    assert_int_equal(kv_token_unpad((struct kv_view){ block, SIZE }, SIZE, label, &got, NULL),
                     KV_BAD_CIPHERTEXT);
    assert_int_equal(kv_token_unpad((struct kv_view){ block, SIZE }, SIZE - 1, label, &got, NULL),
                     KV_BAD_CIPHERTEXT);
    assert_int_equal(kv_token_unpad((struct kv_view){ block, 10 }, 10, label, &got, NULL), KV_BAD_CIPHERTEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_openssl_pads_is_unpadded),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(another_label_is_another_purpose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
