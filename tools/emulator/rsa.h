/* RSA keys for the vaults and for the signature of tokens, made quickly. Any thread. */
#ifndef EM_RSA_H
#define EM_RSA_H

#include <openssl/evp.h>

/* bits even, exponent odd and at least 3. NULL: out of memory or of randomness. The caller frees it. */
EVP_PKEY *em_rsa_generate(int bits, long exponent);

#endif
