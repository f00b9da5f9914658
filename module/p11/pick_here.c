#include "pick_here.h"

#include "base/locked.h"

static void cipher_cleanup(struct kv_cipher **cipher)
{
    kv_cipher_free(*cipher);
}

enum kv_status kv_pick_cipher(const struct kv_pick *pick, struct kv_cipher **ret)
{
    bool forward = pick->operation & (KV_OP_ENCRYPT | KV_OP_WRAP);
    return kv_cipher_open(&pick->mech, KV_VIEW(pick->object->secret->value), forward, ret);
}

enum kv_status kv_pick_mac(const struct kv_pick *pick, struct kv_mac **ret)
{
    return kv_mac_open(pick->mech.row->evp, KV_VIEW(pick->object->secret->value), ret);
}

/* What is opened may be a key. */
static enum kv_status run_cipher(const struct kv_pick *pick, struct kv_view in, struct kv_bytes *ret)
{
    KV_CLEANUP(cipher_cleanup) struct kv_cipher *cipher = NULL;
    KV_AUTO_BUFFER struct kv_buffer out = { .locked = pick->operation & (KV_OP_DECRYPT | KV_OP_UNWRAP) };
    KV_TRY(kv_pick_cipher(pick, &cipher));
    KV_TRY(kv_cipher_update(cipher, in, &out));
    KV_TRY(kv_cipher_final(cipher, &out));
    if (out.locked)
        return kv_bytes_copy_locked(KV_VIEW(out.bytes), ret);
    return kv_bytes_copy(KV_VIEW(out.bytes), ret);
}

enum kv_status kv_pick_here_run(const struct kv_pick *pick, struct kv_view in, struct kv_bytes *ret,
                                struct kv_error *err)
{
    const struct kv_secret *secret = pick->object->secret;
    const struct kv_mech *row = pick->mech.row;
    enum kv_status status;
    if (!secret->public)
        return run_cipher(pick, in, ret);
    if (secret->private)
        status = kv_private_decrypt(secret->private, row, in, ret);
    else
        status = kv_public_encrypt(secret->public, row, in, ret);
    if (status == KV_DATA_LENGTH)
        return kv_fail(err, status, "%s with %u bits takes at most %zu bytes; %zu were given", row->alg,
                       kv_public_bits(secret->public), kv_public_encrypt_max(secret->public, row), in.len);
    return status;
}

enum kv_status kv_pick_here_sign(const struct kv_pick *pick, struct kv_view digest, struct kv_bytes *ret,
                                 struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes fitted = { 0 };
    struct kv_mech_input input = { .given = digest };
    if (!pick->object->secret->private)
        return KV_KEY_TYPE;
    KV_TRY(kv_mech_bare_digest(&pick->mech, &input, &fitted, err));
    return kv_private_sign(pick->object->secret->private, input.row, input.bare, ret);
}

enum kv_status kv_pick_here_verify(const struct kv_pick *pick, struct kv_view digest,
                                   struct kv_view signature, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes fitted = { 0 };
    struct kv_mech_input input = { .given = digest };
    if (!pick->object->secret->public)
        return KV_KEY_TYPE;
    KV_TRY(kv_mech_bare_digest(&pick->mech, &input, &fitted, err));
    return kv_public_verify(pick->object->secret->public, input.row, input.bare, signature);
}

size_t kv_pick_here_size(const struct kv_pick *pick)
{
    const struct kv_public *public = pick->object->secret->public;
    if (pick->operation & (KV_OP_DECRYPT | KV_OP_UNWRAP))
        return kv_public_encrypt_max(public, pick->mech.row);
    return kv_public_signature_size(public);
}
