/* Building blocks of edge vectors: raw RSA, MGF1, AES block by block. All by OpenSSL, nothing of the module. */
#ifndef KV_TESTS_P11_EDGES_H
#define KV_TESTS_P11_EDGES_H

#include "matrix.h"

/* em^d and em^e mod n, of as many bytes as the modulus; em must be smaller than n. */
struct result edges_rsa_private(EVP_PKEY *key, const unsigned char *em);
struct result edges_rsa_public(EVP_PKEY *key, const unsigned char *em);
/* A number of the key plus `add`, big-endian in `width` bytes: OSSL_PKEY_PARAM_*. */
void edges_number(EVP_PKEY *key, const char *param, long add, unsigned char *ret, size_t width);
/* XORs MGF1 of the seed into `ret`. */
void edges_mgf1(const char *md, struct kv_view seed, unsigned char *ret, size_t len);

/* "AES-256-ECB" and the like, without padding; `iv` NULL: none, or the mode's own. False: OpenSSL refuses. */
struct result edges_aes(const char *cipher, struct kv_view key, const unsigned char *iv, struct kv_view in);

#endif
