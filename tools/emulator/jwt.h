/* Signed tokens: the emulator's own and other issuers' (RS256). Client assertions: assertion.h.
 * RFC 7515, 7519; contract §4.3, §14.2. A signer is immutable once loaded. */
#ifndef EM_JWT_H
#define EM_JWT_H

#include <stdbool.h>
#include <openssl/types.h>
#include "store.h"
#include "util.h"

struct em_signer {
    EVP_PKEY *key;
    char kid[44];
};

/* The key of the state directory, or a fresh one that is kept there. False with a line for the user. */
bool em_signer_load(struct em_signer *signer, const struct em_store *store, char ret_why[256]);
void em_signer_free(struct em_signer *signer);
json_t *em_signer_jwks(const struct em_signer *signer);

/* Compact token; the caller frees it. NULL when signing fails. */
char *em_jwt_sign(const struct em_signer *signer, const json_t *claims);
/* The claims of a token that this signer made, whatever they say; NULL for anything else. Owned by the caller. */
json_t *em_jwt_verify(const struct em_signer *signer, const char *token);

/* The claims of another issuer's token (RS256), checked with its public key in PEM; NULL: it is not of that key. */
json_t *em_jwt_verify_foreign(const char *key, const char *token);
/* Claims of any token, unchecked. */
json_t *em_jwt_peek(const char *token);

#endif
