/* A certificate in another PKCS#11 token than the vaults', and the private key that belongs to it: a smart card, a stick, an HSM, by URI (RFC 7512). Through p11-kit, which knows where
 * modules are; never through kvp11's own. A token stays open until it is freed, and is asked for its PIN once. One thread. */
#ifndef KV_TOOLS_TOKEN_H
#define KV_TOOLS_TOKEN_H

#include "keys/certificate.h"

struct kv_token;
/* Is the text such a URI? */
bool kv_token_is(const char *text);
/* Finds the token and the certificate; nobody has logged in. KV_ARGUMENTS: the URI is none, or fits several; KV_INPUT: there is no such token now;
 * KV_NOT_FOUND: no such certificate in it. */
KV_MUST_USE enum kv_status kv_token_open(const char *uri, struct kv_token **ret, struct kv_error *err);
void kv_token_free(struct kv_token *token);
KV_DEFINE_CLEANUP(struct kv_token, kv_token_free)
#define KV_AUTO_TOKEN KV_CLEANUP(kv_token_free_cleanup)
const struct kv_certificate *kv_token_certificate(const struct kv_token *token);

/* RSA-OAEP with SHA-256, by the token's private key. Logs in first: with the URI's pin-value or pin-source, else with what somebody types at the terminal. Whatever comes of that is final: a PIN
 * is never tried twice. KV_PIN_INCORRECT, KV_NOT_LOGGED_IN; KV_NOT_FOUND: the certificate's key is not in the token; KV_UNSUPPORTED: the token cannot do it; KV_BAD_CIPHERTEXT. */
KV_MUST_USE enum kv_status kv_token_decrypt(struct kv_token *token, const char *label, struct kv_view in,
                                            struct kv_bytes *ret, struct kv_error *err);

#endif
