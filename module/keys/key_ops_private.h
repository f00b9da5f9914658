/* What the files of key_ops share. */
#ifndef KV_KEYS_KEY_OPS_PRIVATE_H
#define KV_KEYS_KEY_OPS_PRIVATE_H

#include "keys/key_ops.h"
#include "keyring_private.h"

/* "prod/backup-kek@0123…", for messages. */
enum { KV_KEY_OPS_NAME = 33 + KV_LABEL_SIZE };
const char *kv_key_ops_name(const struct kv_version *version, char *ret);

/* The operation itself or, where the key allows only the other of the two that are the same computation (encrypt and wrap, decrypt and unwrap), that one. KV_KEY_OPERATION. */
KV_MUST_USE enum kv_status kv_key_ops_choose(const struct kv_version *version, unsigned wanted, unsigned *ret,
                                             struct kv_error *err);
/* Bytes of the modulus: every RSA signature and ciphertext has as many. */
size_t kv_key_ops_modulus(const struct kv_version *version);

/* One request; a refusal because the version is disabled or gone makes the keyring look again next time. */
KV_MUST_USE enum kv_status kv_key_ops_remote(const struct kv_key_use *use, const struct kv_vault_op *op,
                                             struct kv_bytes *ret, struct kv_error *err);

#endif
