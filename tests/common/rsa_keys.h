/* RSA keys for tests, made once by `openssl genrsa`: making one takes longer than all that most tests do with it. Everybody knows them: they guard nothing.
 * A test of the making makes its own. Any thread. */
#ifndef KV_TESTS_RSA_KEYS_H
#define KV_TESTS_RSA_KEYS_H

#include <openssl/evp.h>

/* 2048 bits: number 0 and 1; 3072 bits: number 0. A context of NULL is OpenSSL's own. EVP_PKEY_free; what is not there ends the program. */
EVP_PKEY *rsa_key(OSSL_LIB_CTX *context, unsigned bits, unsigned number);

#endif
