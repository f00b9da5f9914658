/* An application's certificate and the way to sign with its key: the key stands beside it, in a file of its own, or in another PKCS#11 module. Belongs to
 * who opened it; reading it is free to any thread. */
#ifndef KV_AUTH_CLIENT_KEY_H
#define KV_AUTH_CLIENT_KEY_H

#include "base/clock.h"
#include "config/config.h"

struct kv_client_key;
/* Reads client_certificate, client_key and the password. KV_CREDENTIAL: a file that cannot be read or is open to others, a wrong password, a key that
 * is not the certificate's or not RSA, a certificate that is not valid now. */
KV_MUST_USE enum kv_status kv_client_key_open(const struct kv_vault_config *config, int64_t now,
                                              struct kv_client_key **ret, struct kv_error *err);
void kv_client_key_free(struct kv_client_key *key);
KV_DEFINE_CLEANUP(struct kv_client_key, kv_client_key_free)
#define KV_AUTO_CLIENT_KEY KV_CLEANUP(kv_client_key_free_cleanup)

/* When the key's certificate ends, whether it is valid now or not; unix seconds, 0: that cannot be read. KV_CREDENTIAL: as above. */
KV_MUST_USE enum kv_status kv_client_key_ends(const struct kv_vault_config *config, int64_t *ret,
                                              struct kv_error *err);

/* DER, the key's own first, then what stood beside it; an empty view past the last. */
struct kv_view kv_client_key_certificate(const struct kv_client_key *key, size_t i);
/* base64url: SHA-256 for PS256, SHA-1 for RS256. NULL: memory is short. */
char *kv_client_key_thumbprint(const struct kv_client_key *key, enum kv_assertion algorithm);
struct kv_client_message {
    enum kv_assertion algorithm;
    struct kv_view text;
    struct kv_deadline deadline; /* for a key in another module, as far as that lets go */
};
/* The signature is checked with the certificate before it is handed out. KV_CREDENTIAL, KV_TIMED_OUT, KV_CANCELLED. */
KV_MUST_USE enum kv_status kv_client_key_sign(const struct kv_client_key *key,
                                              const struct kv_client_message *message, struct kv_bytes *ret,
                                              struct kv_error *err);

#endif
