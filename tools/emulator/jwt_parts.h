/* A compact token taken apart (RFC 7515), for those who check signatures. */
#ifndef EM_JWT_PARTS_H
#define EM_JWT_PARTS_H

#include <stdbool.h>
#include <jansson.h>
#include <openssl/types.h>

struct em_jwt_parts { /* text is one copy cut in three, which the caller frees; token is borrowed */
    const char *token;
    char *text, *header, *claims, *signature;
    size_t signed_length;
};

bool em_jwt_split(const char *token, struct em_jwt_parts *ret);
/* Of base64url; NULL: it is no JSON. Owned by the caller. */
json_t *em_jwt_decode(const char *part);
/* SHA-256 with PKCS#1 v1.5, or PSS. */
bool em_jwt_signature_good(EVP_PKEY *key, const struct em_jwt_parts *parts, bool pss);

#endif
