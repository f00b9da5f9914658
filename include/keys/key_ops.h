/* An operation with a vault key: locally with the public key, or in the vault. Takes a row from mech and hands its algorithm to vault; records wraps in the
 * ledger; finds the right version for old data. Any thread; no lock is held over I/O. */
#ifndef KV_KEYS_KEY_OPS_H
#define KV_KEYS_KEY_OPS_H

#include "keys/keyring.h"

struct kv_key_use {
    struct kv_keyring *keyring;
    const struct kv_version *version;
    const struct kv_mech_use *mech;
    const struct kv_task *task;
    bool trial; /* a proof: nothing will depend on these bytes, so the ledger is not told of them */
    bool exact; /* the data name this version: no other is tried, whatever ledger and settings say */
};

/* `digest`: the bare digest the row's algorithm takes (for KV_DIGESTINFO the whole DigestInfo). EC: raw r‖s. Remote, one request. */
KV_MUST_USE enum kv_status kv_key_sign(const struct kv_key_use *use, struct kv_view digest,
                                       struct kv_bytes *ret, struct kv_error *err);
/* Local. Same `digest`. */
KV_MUST_USE enum kv_status kv_key_verify(const struct kv_key_use *use, struct kv_view digest,
                                         struct kv_view signature, struct kv_error *err);
/* RSA local, oct remote; KV_OP_ENCRYPT or KV_OP_WRAP; entered in the ledger. */
KV_MUST_USE enum kv_status kv_key_encrypt(const struct kv_key_use *use, unsigned operation,
                                          struct kv_view plain, struct kv_bytes *ret, struct kv_error *err);
/* Remote; KV_OP_DECRYPT or KV_OP_UNWRAP (the one the key has, when it has but one). Goes to the version that the ledger names for these bytes when the
 * named one is current; then, with decrypt_fallback and never for RSA1_5, to the other versions, newest first, at most decrypt_fallback_limit.
 * On failure the error names the version tried, and the one that the ledger knows if it is another. */
KV_MUST_USE enum kv_status kv_key_decrypt(const struct kv_key_use *use, unsigned operation,
                                          struct kv_view cipher, struct kv_bytes *ret, struct kv_error *err);
/* AES-GCM, where the service makes the nonce (kv_mech_makes_nonce): `use`'s mechanism has the associated data, the reply has nonce and tag. Remote,
 * one request; entered in the ledger as ciphertext and tag in one, which is what kv_key_decrypt takes. */
struct kv_sealed {
    struct kv_bytes cipher, iv, tag;
};
enum { KV_SEALED_IV = 12, KV_SEALED_TAG = 16 };
void kv_sealed_free(struct kv_sealed *sealed); /* contents */
KV_MUST_USE enum kv_status kv_key_seal(const struct kv_key_use *use, struct kv_view plain,
                                       struct kv_sealed *ret, struct kv_error *err);
/* Upper bounds without a request: signature, ciphertext or plaintext bytes for an input of `len`. */
size_t kv_key_output_size(const struct kv_version *version, const struct kv_mech_use *mech,
                          unsigned operation, size_t len);

/* Which version does this wrapped blob need? From the ledger alone. *ret NULL when unknown. */
KV_MUST_USE enum kv_status kv_key_resolve(struct kv_keyring *keyring, struct kv_view blob,
                                          const struct kv_task *task, struct kv_version **ret,
                                          struct kv_error *err);

#endif
