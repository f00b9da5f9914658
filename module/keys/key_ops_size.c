#include "key_ops_private.h"

/* The vault's 400 (contract §8.3), which an algorithm for another size gets, too. */
static bool is_refused(enum kv_status status)
{
    return status == KV_BAD_PARAMETER || status == KV_BAD_CIPHERTEXT || status == KV_BAD_WRAPPED_KEY;
}

/* Nobody knows the size of the key that `row`'s algorithm names: the likely one first, then the others. */
static enum kv_status ask_by_size(const struct kv_key_use *use, struct kv_vault_op op, unsigned likely,
                                  struct kv_vault_result *ret, struct kv_error *err)
{
    const unsigned sizes[] = { likely, 256, 192, 128 };
    enum kv_status status = KV_INTERNAL;
    char name[KV_KEY_OPS_NAME];

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        const struct kv_mech *row = sizes[i] ? kv_mech_sized(use->mech->row, sizes[i]) : NULL;

        if (!row || (i && sizes[i] == likely))
            continue;
        op.alg = row->alg;
        status = kv_key_ops_ask_once(use, &op, ret, err);
        if (status == KV_OK)
            kv_keyring_learn_size(use->keyring, use->version, row->key_bits);
        if (!is_refused(status))
            return status;
    }
    return kv_fail_in(err, status, "the vault does not tell the size of '%s', and all were tried",
                      kv_key_ops_name(use->version, name));
}

enum kv_status kv_key_ops_ask(const struct kv_key_use *use, const struct kv_vault_op *op,
                              struct kv_vault_result *ret, struct kv_error *err)
{
    const struct kv_mech *row = use->mech->row;
    struct kv_vault_op sized = *op;
    unsigned likely;

    if (row->kind != KV_OCT || !row->key_bits)
        return kv_key_ops_ask_once(use, op, ret, err);
    unsigned bits = kv_keyring_size(use->keyring, use->version, &likely);
    const struct kv_mech *fitting = kv_mech_sized(row, bits);
    if (!bits && !fitting)
        return ask_by_size(use, sized, likely, ret, err);
    sized.alg = fitting ? fitting->alg : row->alg;
    return kv_key_ops_ask_once(use, &sized, ret, err);
}
