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

/* May it be done now? State, nbf and exp are honoured as far as they are known; before saying no the vault is asked, since they may have changed. */
KV_MUST_USE enum kv_status kv_key_ops_usable(const struct kv_key_use *use, unsigned operation,
                                             struct kv_error *err);

/* AES-GCM: what the caller hands in ends with the tag, and the service wants it apart, with the nonce and the associated data. Nothing for other mechanisms. */
void kv_key_ops_split_tag(const struct kv_mech_use *mech, struct kv_vault_op *op);

/* --- key_ops_secret.c --- */
enum { KV_KEY_OPS_BLOCK = 16 }; /* of AES */
bool kv_key_ops_is_cbc(const struct kv_mech *row);
/* CBC takes whole blocks: KV_DATA_LENGTH, KV_CIPHERTEXT_LENGTH. Every other row takes anything here. */
KV_MUST_USE enum kv_status kv_key_ops_check_blocks(const struct kv_mech *row, bool encrypt, size_t len,
                                                   struct kv_error *err);
KV_MUST_USE enum kv_status kv_key_ops_encrypt_secret(const struct kv_key_use *use,
                                                     const struct kv_vault_op *op, struct kv_bytes *ret,
                                                     struct kv_error *err);
KV_MUST_USE enum kv_status kv_key_ops_check_code(const struct kv_key_use *use, struct kv_view message,
                                                 struct kv_view signature, struct kv_error *err);

/* --- requests --- */
/* One; a refusal because the version is disabled or gone makes the keyring look again next time. */
KV_MUST_USE enum kv_status kv_key_ops_ask_once(const struct kv_key_use *use, const struct kv_vault_op *op,
                                               struct kv_vault_result *ret, struct kv_error *err);
/* The same, but where the algorithm names the size of a secret key, that of this version goes out, whatever op->alg says. Up to three requests where
 * nobody knows the size; the one that is accepted is remembered. */
KV_MUST_USE enum kv_status kv_key_ops_ask(const struct kv_key_use *use, const struct kv_vault_op *op,
                                          struct kv_vault_result *ret, struct kv_error *err);
/* The same, where the value is all that is wanted. */
KV_MUST_USE enum kv_status kv_key_ops_remote(const struct kv_key_use *use, const struct kv_vault_op *op,
                                             struct kv_bytes *ret, struct kv_error *err);

#endif
