#include "key_ops_private.h"

void kv_sealed_free(struct kv_sealed *sealed)
{
    kv_bytes_free(&sealed->cipher);
    kv_bytes_free(&sealed->iv);
    kv_bytes_free(&sealed->tag);
}

/* An empty member is left out of the request. */
static struct kv_view unless_empty(struct kv_bytes bytes)
{
    return bytes.len ? KV_VIEW(bytes) : (struct kv_view){ 0 };
}

void kv_key_ops_split_tag(const struct kv_mech_use *mech, struct kv_vault_op *op)
{
    if (!mech->tag_len)
        return;
    op->value.len -= mech->tag_len;
    op->tag = (struct kv_view){ op->value.data + op->value.len, mech->tag_len };
    op->iv = KV_VIEW(mech->iv);
    op->aad = unless_empty(mech->aad);
}

/* A nonce or tag of another length could not be given back to the caller, and a ciphertext of another length is not AES-GCM's. */
static enum kv_status check_reply(const struct kv_key_use *use, const struct kv_vault_result *result,
                                  size_t len, struct kv_error *err)
{
    char name[KV_KEY_OPS_NAME];

    if (result->iv.len == KV_SEALED_IV && result->tag.len == KV_SEALED_TAG && result->value.len == len)
        return KV_OK;
    return kv_fail(err, KV_PROTOCOL,
                   "the vault's AES-GCM with '%s' gave a nonce of %zu bytes, a tag of %zu and %zu bytes of "
                   "ciphertext for %zu",
                   kv_key_ops_name(use->version, name), result->iv.len, result->tag.len, result->value.len,
                   len);
}

/* As decryption will be asked for it. A hint, so shortage of memory only loses it. */
static void note_sealed(const struct kv_key_use *use, const struct kv_vault_result *result)
{
    KV_AUTO_BUFFER struct kv_buffer blob = { 0 };

    if (!use->keyring->parts.config->ledger || use->trial)
        return;
    if (kv_buffer_add(&blob, KV_VIEW(result->value)) == KV_OK &&
        kv_buffer_add(&blob, KV_VIEW(result->tag)) == KV_OK)
        kv_ledger_note(use->keyring->ledger, use->version, KV_VIEW(blob.bytes));
}

enum kv_status kv_key_seal(const struct kv_key_use *use, struct kv_view plain, struct kv_sealed *ret,
                           struct kv_error *err)
{
    const struct kv_version *version = use->version;
    KV_CLEANUP(kv_vault_result_free) struct kv_vault_result result = { 0 };
    struct kv_vault_op op = { .name = version->name,
                              .version = version->version,
                              .alg = use->mech->row->alg,
                              .value = plain.data ? plain : kv_view_text(""),
                              .aad = unless_empty(use->mech->aad) };

    KV_TRY(kv_key_ops_choose(version, KV_OP_ENCRYPT, &op.operation, err));
    KV_TRY(kv_key_ops_usable(use, op.operation, err));
    KV_TRY(kv_key_ops_ask(use, &op, &result, err));
    KV_TRY(check_reply(use, &result, plain.len, err));
    note_sealed(use, &result);
    *ret = (struct kv_sealed){ kv_bytes_take(&result.value), kv_bytes_take(&result.iv),
                               kv_bytes_take(&result.tag) };
    return KV_OK;
}
