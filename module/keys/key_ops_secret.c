/* What only secret keys have: AES-CBC and HMAC, computed in the vault in both directions. */
#include "key_ops_private.h"

bool kv_key_ops_is_cbc(const struct kv_mech *row)
{
    return row->type == CKM_AES_CBC || row->type == CKM_AES_CBC_PAD;
}

/* Encrypting CBC, the service fills the last block up with zeroes and says nothing (contract §7.2): what is no whole number of blocks never gets there. */
enum kv_status kv_key_ops_check_blocks(const struct kv_mech *row, bool encrypt, size_t len,
                                       struct kv_error *err)
{
    bool pads = row->type == CKM_AES_CBC_PAD;
    size_t least = pads ? KV_KEY_OPS_BLOCK : 0;

    if (!kv_key_ops_is_cbc(row) || (encrypt && pads) || (len >= least && len % KV_KEY_OPS_BLOCK == 0))
        return KV_OK;
    return kv_fail(err, encrypt ? KV_DATA_LENGTH : KV_CIPHERTEXT_LENGTH,
                   "%s takes blocks of %d bytes; %zu bytes were given", row->name, KV_KEY_OPS_BLOCK, len);
}

enum kv_status kv_key_ops_encrypt_secret(const struct kv_key_use *use, const struct kv_vault_op *op,
                                         struct kv_bytes *ret, struct kv_error *err)
{
    const struct kv_version *version = use->version;
    KV_AUTO_BYTES struct kv_bytes cipher = { 0 };
    size_t expected = kv_key_output_size(version, use->mech, KV_OP_ENCRYPT, op->value.len);
    char name[KV_KEY_OPS_NAME];

    KV_TRY(kv_key_ops_check_blocks(use->mech->row, true, op->value.len, err));
    if (!expected) /* CBC of nothing */
        return kv_bytes_alloc(0, ret);
    KV_TRY(kv_key_ops_remote(use, op, &cipher, err));
    if (kv_key_ops_is_cbc(use->mech->row) && cipher.len != expected)
        return kv_fail(err, KV_PROTOCOL, "the vault made %zu bytes of ciphertext out of %zu with '%s'",
                       cipher.len, op->value.len, kv_key_ops_name(version, name));
    *ret = kv_bytes_take(&cipher);
    return KV_OK;
}

/* A message authentication code can be checked where the key is, and nowhere else. */
enum kv_status kv_key_ops_check_code(const struct kv_key_use *use, struct kv_view message,
                                     struct kv_view signature, struct kv_error *err)
{
    const struct kv_version *version = use->version;
    KV_CLEANUP(kv_vault_result_free) struct kv_vault_result result = { 0 };
    struct kv_vault_op op = { .name = version->name,
                              .version = version->version,
                              .alg = use->mech->row->alg,
                              .value = signature,
                              .digest = message.data ? message : kv_view_text("") };
    char name[KV_KEY_OPS_NAME];

    KV_TRY(kv_key_ops_choose(version, KV_OP_VERIFY, &op.operation, err));
    if (signature.len != kv_digest_size(use->mech->row->evp))
        return kv_fail(err, KV_SIGNATURE_LENGTH, "%s has %zu bytes; %zu were given", op.alg,
                       kv_digest_size(use->mech->row->evp), signature.len);
    KV_TRY(kv_key_ops_ask(use, &op, &result, err));
    if (!result.verified)
        return kv_fail(err, KV_BAD_SIGNATURE, "version '%s': %s", kv_key_ops_name(version, name),
                       kv_status_text(KV_BAD_SIGNATURE));
    return KV_OK;
}
