#include "key_ops_private.h"

#include <stdio.h>
#include <string.h>

const char *kv_key_ops_name(const struct kv_version *version, char *ret)
{
    snprintf(ret, KV_KEY_OPS_NAME, "%s/%s@%s", version->vault, version->name, version->version);
    return ret;
}

/* --- what may be done --- */
static const struct {
    unsigned operation, twin;
    const char *name;
} operations[] = {
    { KV_OP_ENCRYPT, KV_OP_WRAP, "encrypt" },   { KV_OP_WRAP, KV_OP_ENCRYPT, "wrapKey" },
    { KV_OP_DECRYPT, KV_OP_UNWRAP, "decrypt" }, { KV_OP_UNWRAP, KV_OP_DECRYPT, "unwrapKey" },
    { KV_OP_SIGN, KV_OP_SIGN, "sign" },         { KV_OP_VERIFY, KV_OP_VERIFY, "verify" },
};

enum kv_status kv_key_ops_choose(const struct kv_version *version, unsigned wanted, unsigned *ret,
                                 struct kv_error *err)
{
    char name[KV_KEY_OPS_NAME];

    for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
        if (operations[i].operation != wanted)
            continue;
        if (version->operations & (wanted | operations[i].twin)) {
            *ret = version->operations & wanted ? wanted : operations[i].twin;
            return KV_OK;
        }
        return kv_fail(err, KV_KEY_OPERATION,
                       "version '%s' does not allow '%s': its key_ops leave it out; see `az keyvault key "
                       "set-attributes --ops`",
                       kv_key_ops_name(version, name), operations[i].name);
    }
    return kv_fail(err, KV_INTERNAL, "no operation of a key");
}

static enum kv_status usable_now(const struct kv_key_use *use, const struct kv_version *version,
                                 unsigned operation, struct kv_error *err)
{
    char name[KV_KEY_OPS_NAME];

    /* To wrap under what the vault no longer has would make data that nobody can open. */
    if (!kv_version_is_there(version))
        return kv_fail(err, KV_NOT_FOUND,
                       "version '%s' is no longer in the vault (%s): if the key was deleted, `" KV_KEY_RECOVER
                       "` brings it back",
                       kv_key_ops_name(version, name), kv_state_name(version->state),
                       kv_word(version->vault).text, kv_word(version->name).text);
    return kv_version_usable(version, operation, kv_keyring_now(use->keyring), err);
}

enum kv_status kv_key_ops_usable(const struct kv_key_use *use, unsigned operation, struct kv_error *err)
{
    enum { RECENT = 5 };
    struct kv_look_version wanted = { use->version->name, use->version->version, RECENT, false };
    KV_AUTO_VERSION struct kv_version *now = NULL;
    bool unreachable;
    enum kv_status status = usable_now(use, use->version, operation, err);

    if (status == KV_OK ||
        kv_keyring_look_version(use->keyring, &wanted, use->task, &now, &unreachable, NULL) != KV_OK)
        return status;
    return usable_now(use, now, operation, err);
}

/* --- requests --- */

/* Managed HSM says "Forbidden" and no more (contract §8.1): whether it means the caller or the version, the version's state tells. */
static enum kv_status refused_for(const struct kv_key_use *use, unsigned operation, enum kv_status status,
                                  struct kv_error *err)
{
    enum { RECENT = 5 };
    struct kv_look_version wanted = { use->version->name, use->version->version, RECENT, false };
    KV_AUTO_VERSION struct kv_version *now = NULL;
    struct kv_error why = { 0 };
    bool unreachable;

    if (status != KV_DENIED || (err && !kv_text_equal_case(err->code, "Forbidden")) ||
        kv_keyring_look_version(use->keyring, &wanted, use->task, &now, &unreachable, NULL) != KV_OK)
        return status;
    /* A code that the HSM verifies needs an enabled version, as what it opens does. */
    enum kv_status told = usable_now(use, now, operation == KV_OP_VERIFY ? KV_OP_DECRYPT : operation, &why);
    if (told == KV_OK)
        return status;
    if (err)
        *err = why;
    return told;
}

enum kv_status kv_key_ops_ask_once(const struct kv_key_use *use, const struct kv_vault_op *op,
                                   struct kv_vault_result *ret, struct kv_error *err)
{
    struct kv_vault_op known = *op;

    known.kind = use->version->kind;
    known.bits = use->version->bits;
    known.hsm = use->version->hsm;
    enum kv_status status = kv_keyring_operate(use->keyring, &known, use->task, ret, err);

    status = refused_for(use, op->operation, status, err);
    if (status == KV_DISABLED || status == KV_NOT_FOUND || status == KV_NOT_VALID)
        kv_keyring_doubt(use->keyring, use->version);
    return status;
}

enum kv_status kv_key_ops_remote(const struct kv_key_use *use, const struct kv_vault_op *op,
                                 struct kv_bytes *ret, struct kv_error *err)
{
    KV_CLEANUP(kv_vault_result_free) struct kv_vault_result result = { 0 };

    KV_TRY(kv_key_ops_ask(use, op, &result, err));
    *ret = kv_bytes_take(&result.value);
    return KV_OK;
}

size_t kv_key_ops_modulus(const struct kv_version *version)
{
    return (version->bits + 7) / 8;
}

static size_t signature_size(const struct kv_version *version, const struct kv_mech *row)
{
    const struct kv_curve *curve = version->kind == KV_EC ? kv_curve_find(version->curve) : NULL;

    if (version->kind == KV_OCT)
        return kv_digest_size(row->evp);
    return curve ? 2 * (size_t)curve->width : kv_key_ops_modulus(version);
}

/* RSNULL takes what the padding leaves room for. */
static enum kv_status check_room(const struct kv_version *version, const struct kv_mech_input *input,
                                 struct kv_error *err)
{
    if (input->row != kv_mech_rsnull() || input->bare.len + KV_PKCS1_OVERHEAD <= kv_key_ops_modulus(version))
        return KV_OK;
    return kv_fail(err, KV_DATA_LENGTH, "%s with %u bits takes at most %zu bytes; %zu were given",
                   input->row->alg, version->bits, kv_key_ops_modulus(version) - KV_PKCS1_OVERHEAD,
                   input->bare.len);
}

enum kv_status kv_key_sign(const struct kv_key_use *use, struct kv_view digest, struct kv_bytes *ret,
                           struct kv_error *err)
{
    const struct kv_version *version = use->version;
    KV_AUTO_BYTES struct kv_bytes fitted = { 0 }, signature = { 0 };
    struct kv_vault_op op = { .name = version->name, .version = version->version };
    struct kv_mech_input input = { .given = digest };
    char name[KV_KEY_OPS_NAME];

    KV_TRY(kv_key_ops_choose(version, KV_OP_SIGN, &op.operation, err));
    KV_TRY(kv_key_ops_usable(use, KV_OP_SIGN, err));
    KV_TRY(kv_mech_bare_digest(use->mech, &input, &fitted, err));
    KV_TRY(check_room(version, &input, err));
    op.value = input.bare.data ? input.bare : kv_view_text("");
    op.alg = input.row->alg;
    kv_ledger_tick(use->keyring->ledger);
    KV_TRY(kv_key_ops_remote(use, &op, &signature, err));
    if (signature.len != signature_size(version, input.row))
        return kv_fail(err, KV_PROTOCOL, "the vault's signature by '%s' has %zu bytes instead of %zu",
                       kv_key_ops_name(version, name), signature.len, signature_size(version, input.row));
    *ret = kv_bytes_take(&signature);
    return KV_OK;
}

enum kv_status kv_key_verify(const struct kv_key_use *use, struct kv_view digest, struct kv_view signature,
                             struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes fitted = { 0 };
    const struct kv_public *key;
    struct kv_mech_input input = { .given = digest };
    char name[KV_KEY_OPS_NAME];

    if (use->version->kind == KV_OCT)
        return kv_key_ops_check_code(use, digest, signature, err);
    KV_TRY(kv_mech_bare_digest(use->mech, &input, &fitted, err));
    KV_TRY(kv_version_public(use->version, &key, err));
    enum kv_status status = kv_public_verify(key, input.row, input.bare, signature);
    if (status != KV_OK)
        return kv_fail(err, status, "version '%s': %s", kv_key_ops_name(use->version, name),
                       kv_status_text(status));
    return KV_OK;
}

/* --- encrypt and wrap --- */
static enum kv_status encrypt_here(const struct kv_key_use *use, struct kv_view plain, struct kv_bytes *ret,
                                   struct kv_error *err)
{
    const struct kv_public *key;

    KV_TRY(kv_version_public(use->version, &key, err));
    enum kv_status status = kv_public_encrypt(key, use->mech->row, plain, ret);
    if (status == KV_DATA_LENGTH)
        return kv_fail(err, status, "%s with %u bits takes at most %zu bytes; %zu were given",
                       use->mech->row->alg, use->version->bits, kv_public_encrypt_max(key, use->mech->row),
                       plain.len);
    return status;
}

enum kv_status kv_key_encrypt(const struct kv_key_use *use, unsigned operation, struct kv_view plain,
                              struct kv_bytes *ret, struct kv_error *err)
{
    const struct kv_version *version = use->version;
    KV_AUTO_BYTES struct kv_bytes cipher = { 0 };
    struct kv_vault_op op = { .name = version->name,
                              .version = version->version,
                              .alg = use->mech->row->alg,
                              .value = plain.data ? plain : kv_view_text(""),
                              .iv = KV_VIEW(use->mech->iv) };

    KV_TRY(kv_key_ops_choose(version, operation, &op.operation, err));
    KV_TRY(kv_key_ops_usable(use, op.operation, err));
    if (version->kind == KV_OCT)
        KV_TRY(kv_key_ops_encrypt_secret(use, &op, &cipher, err));
    else
        KV_TRY(encrypt_here(use, plain, &cipher, err));
    if (use->keyring->parts.config->ledger && !use->trial)
        kv_ledger_note(use->keyring->ledger, version, KV_VIEW(cipher));
    *ret = kv_bytes_take(&cipher);
    return KV_OK;
}

/* --- sizes --- */
static size_t plain_max(const struct kv_version *version, const struct kv_mech *row, size_t len)
{
    size_t overhead = KV_PKCS1_OVERHEAD;

    if (version->kind != KV_RSA)
        return len; /* the padding is known only afterwards */
    if (row->evp)   /* OAEP */
        overhead = 2 + 2 * kv_digest_size(row->evp);
    return kv_key_ops_modulus(version) > overhead ? kv_key_ops_modulus(version) - overhead : 0;
}

size_t kv_key_output_size(const struct kv_version *version, const struct kv_mech_use *mech,
                          unsigned operation, size_t len)
{
    enum { HALF = KV_KEY_OPS_BLOCK / 2 };

    if (operation == KV_OP_SIGN)
        return signature_size(version, mech->row);
    if (operation == KV_OP_DECRYPT || operation == KV_OP_UNWRAP)
        return plain_max(version, mech->row, len > mech->tag_len ? len - mech->tag_len : 0);
    if (operation != KV_OP_ENCRYPT && operation != KV_OP_WRAP)
        return 0;
    if (version->kind == KV_RSA)
        return kv_key_ops_modulus(version);
    if (mech->row->type == CKM_AES_CBC)
        return len;
    if (mech->row->type == CKM_AES_CBC_PAD)
        return len / KV_KEY_OPS_BLOCK * KV_KEY_OPS_BLOCK + KV_KEY_OPS_BLOCK;
    return (len + HALF - 1) / HALF * HALF + HALF; /* RFC 3394, RFC 5649 */
}
