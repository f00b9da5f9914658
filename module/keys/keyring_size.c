/* How long a secret key is, where the vault does not tell it (contract §5.3): found out once by the algorithm that it accepts, then remembered. */
#include "keyring_private.h"

unsigned kv_keyring_size(struct kv_keyring *keyring, const struct kv_version *version, unsigned *ret_likely)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };
    unsigned bits = version->bits ? version->bits : kv_keyring_interned_size(keyring, version);

    *ret_likely = 0;
    if (bits || kv_keyring_rows(keyring, version->name, &rows, NULL) != KV_OK)
        return bits;
    for (size_t i = 0; i < rows.list.count; i++) {
        const struct kv_version *row = rows.list.items[i];

        if (row->kind != KV_OCT || !row->bits)
            continue;
        if (kv_text_equal_case(row->version, version->version))
            return row->bits;
        *ret_likely = row->bits; /* a rotation keeps the size */
    }
    return 0;
}

static enum kv_status resize(struct kv_rows *rows, const struct kv_version *version, unsigned bits,
                             struct kv_merge_result *ret)
{
    for (size_t i = 0; i < rows->list.count; i++) {
        struct kv_version *row = rows->list.items[i];
        KV_AUTO_VERSION struct kv_version *copy = NULL;

        if (kv_text_equal_case(row->version, version->version)) {
            copy = kv_version_copy(row);
            if (!copy)
                return KV_NO_MEMORY;
            copy->bits = bits;
            KV_TRY(kv_version_list_add(&ret->changed, copy));
        }
        KV_TRY(kv_version_list_add(&ret->all, copy ? copy : row));
    }
    return KV_OK;
}

void kv_keyring_learn_size(struct kv_keyring *keyring, const struct kv_version *version, unsigned bits)
{
    KV_AUTO_ROWS struct kv_rows rows = { 0 };
    KV_CLEANUP(kv_merge_result_free) struct kv_merge_result merged = { 0 };

    kv_keyring_intern_size(keyring, version, bits);
    /* Memory that is short only costs another try in the next process. */
    if (kv_keyring_rows(keyring, version->name, &rows, NULL) == KV_OK &&
        resize(&rows, version, bits, &merged) == KV_OK && merged.changed.count)
        (void)!kv_keyring_keep(keyring, version->name, &merged, NULL);
}
