/* What OpenSSL alone makes of a case of the matrix: the module's results are held against it, and it makes what the module has to accept. */
#ifndef KV_TESTS_P11_REFERENCE_H
#define KV_TESTS_P11_REFERENCE_H

#include "matrix.h"

/* What the row signs for a message: the message, its digest, or the digest in a DigestInfo. */
struct result reference_input(const struct matrix_case *it, const char *message);
/* Signatures as PKCS#11 has them (ECDSA raw), over the message. */
struct result reference_sign(const struct matrix_case *it, const char *message);
bool reference_verifies(const struct matrix_case *it, const char *message, const struct result *signature);

/* With the parameters of `mechanism`, and GCM's tag behind the ciphertext. Decryption answers false when OpenSSL refuses. */
struct result reference_encrypt(const struct matrix_case *it, const struct matrix_mechanism *mechanism,
                                struct kv_view plain);
bool reference_decrypt(const struct matrix_case *it, const struct matrix_mechanism *mechanism,
                       const struct result *cipher, struct result *ret);

struct result reference_digest(const char *evp, struct kv_view data);
/* HKDF with the salt "salt" and the info "info". */
void reference_hkdf(const char *evp, struct kv_view key, unsigned char *ret, size_t len);

#endif
