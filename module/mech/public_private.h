/* The inside of a kv_public, for public.c (making and reading it) and public_ops.c (working with it). */
#ifndef KV_MECH_PUBLIC_PRIVATE_H
#define KV_MECH_PUBLIC_PRIVATE_H

#include <openssl/types.h>
#include "mech/local.h"

struct kv_public {
    unsigned references; /* atomic */
    enum kv_kind kind;
    unsigned bits;
    const struct kv_curve *curve; /* EC */
    struct kv_bytes spki;
    struct kv_view key_bits, modulus, exponent; /* inside spki */
    EVP_PKEY *pkey;
    struct kv_verifier *verifier; /* atomic; private to public_ops.c */
};

/* One that is set up for a row, kept for the next signature: setting up costs as much as an RSA verification. NULL is fine. */
void kv_verifier_free(struct kv_verifier *verifier);

/* Padding, digests and salt of an RSA row, for a context that is set up to sign or verify, to encrypt or decrypt: private_ops.c needs the same. */
bool kv_public_set_signature(EVP_PKEY_CTX *context, const struct kv_mech *row);
bool kv_public_set_padding(EVP_PKEY_CTX *context, const struct kv_mech *row);

/* Was OpenSSL short of memory, when it only said no? Its queue knows what came since the question; the two are called in pairs. */
void kv_public_ask(void);
bool kv_public_no_memory(void);

#endif
