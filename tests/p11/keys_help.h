/* Session keys for tests: made by OpenSSL outside the module, brought in through C_CreateObject, and its verdict on what the module does with them. */
#ifndef KV_TESTS_P11_KEYS_HELP_H
#define KV_TESTS_P11_KEYS_HELP_H

#include "harness.h"
#include <openssl/evp.h>

#define ITEM(type, v)                                                                                        \
    {                                                                                                        \
        type, (void *)&(v), sizeof(v)                                                                        \
    }
#define COUNT(array) (sizeof(array) / sizeof *(array))

extern const CK_BBOOL yes, no;
extern const CK_OBJECT_CLASS secret_class, public_class, private_class;
extern const CK_KEY_TYPE aes, generic, hkdf, rsa, ec;

struct curve {
    const char *name, *group;
    CK_BYTE params[16];
    CK_ULONG params_len;
};
extern const struct curve curves[4];

/* A key of OpenSSL's own making: RSA of 2048 bits, or of this curve. EVP_PKEY_free. */
EVP_PKEY *make_pkey(const struct curve *curve);
/* A number or point of it, big-endian and as long as it is; returns its length. */
CK_ULONG number_of(EVP_PKEY *pkey, const char *name, CK_BYTE *ret, size_t room);
CK_ULONG point_of(EVP_PKEY *pkey, CK_BYTE *ret, size_t room); /* 04 ‖ x ‖ y */

/* A template that grows; values are copied into it. */
struct growing {
    CK_ATTRIBUTE items[32];
    CK_ULONG count;
    CK_BYTE bytes[8192];
    size_t used;
};
void grow(struct growing *template, CK_ATTRIBUTE_TYPE type, const void *value, size_t len);
void grow_bool(struct growing *template, CK_ATTRIBUTE_TYPE type, CK_BBOOL value);
void grow_public(struct growing *template, EVP_PKEY *pkey, const struct curve *curve);
void grow_private(struct growing *template, EVP_PKEY *pkey, const struct curve *curve);

CK_OBJECT_HANDLE create(CK_SESSION_HANDLE session, struct growing *template);
CK_OBJECT_HANDLE create_public(CK_SESSION_HANDLE session, EVP_PKEY *pkey, const struct curve *curve);
/* Extractable and not sensitive, if `open`. */
CK_OBJECT_HANDLE create_private(CK_SESSION_HANDLE session, EVP_PKEY *pkey, const struct curve *curve,
                                bool open);

/* The public key of an object, by its CKA_PUBLIC_KEY_INFO. */
EVP_PKEY *pkey_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object);
/* Signs and verifies a message as OpenSSL does: `padding` 0 is ECDSA, raw r‖s on our side. */
struct result openssl_sign(EVP_PKEY *pkey, int padding, const char *digest, struct kv_view message);
bool openssl_verifies(EVP_PKEY *pkey, int padding, const char *digest, struct kv_view message,
                      const struct result *signature);

#endif
