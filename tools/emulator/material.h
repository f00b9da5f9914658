/* Private to the emulator's cryptography: what struct em_material holds, and the table of algorithms that crypto.c
 * walks. Everybody else sees crypto.h only. All here is immutable once made, so threads may share it. */
#ifndef EM_MATERIAL_H
#define EM_MATERIAL_H

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include "crypto.h"

enum em_kind { EM_RSA, EM_EC, EM_OCT };

/* Contract §5.1: coordinates and d have the field's width. */
struct em_curve {
    const char *jwk, *group;
    int bits;
    size_t width;
};

struct em_material {
    enum em_kind kind;
    const struct em_curve *curve; /* EC */
    EVP_PKEY *pkey;               /* RSA, EC */
    struct em_blob oct;           /* symmetric */
};

/* One algorithm of contract §7.2 and §7.3. `run` may rely on the lengths and the key having been checked. */
struct em_alg {
    const char *name;
    enum em_kind kind;
    unsigned ops;      /* EM_CIPHER or EM_SIGNATURE: bits 1 << enum em_op */
    const char *mode;  /* pad mode for RSA, cipher mode for AES: OpenSSL's names, and CBCPAD */
    const char *md;    /* digest, NULL: none */
    const char *curve; /* EC: the only curve it works with */
    int bits;          /* oct: the only key size it works with, 0: any */
    size_t exact;      /* length of the value to sign, 0: see spare */
    size_t spare;      /* RSA: the value may be that much shorter than the modulus, 0: no such limit */
    bool (*run)(const struct em_alg *, const struct em_material *, const struct em_op_in *,
                struct em_op_out *, struct em_refusal *);
};

#define EM_BIT(op)   (1U << (op))
#define EM_CIPHER    (EM_BIT(EM_ENCRYPT) | EM_BIT(EM_DECRYPT) | EM_BIT(EM_WRAP) | EM_BIT(EM_UNWRAP))
#define EM_SIGNATURE (EM_BIT(EM_SIGN) | EM_BIT(EM_VERIFY))

/* Row number i, NULL past the end: for tests that walk the table. */
const struct em_alg *em_alg_at(size_t i);

/* The symmetric rows (aes.c). */
bool em_aes_wrap(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                 struct em_op_out *ret, struct em_refusal *refusal);
bool em_aes_cbc(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                struct em_op_out *ret, struct em_refusal *refusal);
bool em_aes_gcm(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
                struct em_op_out *ret, struct em_refusal *refusal);
bool em_hmac(const struct em_alg *alg, const struct em_material *key, const struct em_op_in *in,
             struct em_op_out *ret, struct em_refusal *refusal);

/* Fills *refusal with 400 BadParameter; always false, so that callers return it. */
bool em_bad_parameter(struct em_refusal *refusal, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* OpenSSL or memory failed where the caller is not to blame: 500 InternalServerError. */
bool em_internal_error(struct em_refusal *refusal, const char *what);

/* len bytes of fresh memory (one more is there, so that data is never NULL). */
bool em_blob_make(struct em_blob *ret, size_t len);

#define EM_AUTO_FREE(type, release)                                                                          \
    static inline void em_auto_##type(type **p)                                                              \
    {                                                                                                        \
        release(*p);                                                                                         \
    }
EM_AUTO_FREE(BIGNUM, BN_clear_free)
EM_AUTO_FREE(ECDSA_SIG, ECDSA_SIG_free)
EM_AUTO_FREE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
EM_AUTO_FREE(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)
EM_AUTO_FREE(EVP_CIPHER, EVP_CIPHER_free)
EM_AUTO_FREE(OSSL_PARAM, OSSL_PARAM_free)
EM_AUTO_FREE(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
/* A local that is released when its scope ends: EM_AUTO(BIGNUM) n = NULL; */
#define EM_AUTO(type) __attribute__((cleanup(em_auto_##type))) type *
#define EM_AUTO_BLOB  __attribute__((cleanup(em_blob_free))) struct em_blob

#endif
