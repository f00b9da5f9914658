#include "engine.h"

/* The vault does it in one request (contract §7.2: "single block of data"), so what comes in parts waits here. Only for secret keys: the other
 * mechanisms on a vault's key digest their message here, or are single-part. */
static bool collects(const struct kv_pick *pick)
{
    return pick->object && !kv_pick_in_session(pick) && pick->mech.row->kind == KV_OCT;
}

enum kv_status kv_engine_start(struct kv_operation *operation)
{
    const struct kv_pick *pick = &operation->pick;
    const struct kv_mech *row = pick->mech.row;

    if (kv_pick_streams(pick))
        return kv_pick_cipher(pick, &operation->cipher);
    operation->collects = collects(pick);
    if (operation->collects)
        return KV_OK;
    if (kv_mech_is_mac(row))
        return kv_pick_mac(pick, &operation->mac);
    return row->input == KV_MESSAGE ? kv_digest_open(row->evp, &operation->digest) : KV_OK;
}

bool kv_engine_takes_parts(const struct kv_operation *operation)
{
    return operation->cipher || operation->digest || operation->mac || operation->collects;
}

enum kv_status kv_engine_absorb(struct kv_operation *operation, struct kv_view in)
{
    if (!in.len)
        return KV_OK;
    if (operation->digest)
        return kv_digest_update(operation->digest, in);
    if (operation->mac)
        return kv_mac_update(operation->mac, in);
    return kv_buffer_add(&operation->collected, in);
}

/* Of a code of general length the first bytes. */
static enum kv_status close_mac(struct kv_operation *operation, struct kv_bytes *ret)
{
    size_t wanted = operation->pick.mech.tag_len;

    KV_TRY(kv_mac_final(operation->mac, ret));
    if (wanted && wanted < ret->len) {
        kv_wipe(ret->data + wanted, ret->len - wanted);
        ret->len = wanted;
    }
    return KV_OK;
}

enum kv_status kv_engine_close(struct kv_operation *operation, struct kv_view in, struct kv_bytes *ret)
{
    if (!operation->digest && !operation->mac && !operation->collected.bytes.len)
        return kv_bytes_copy(in, ret);
    KV_TRY(kv_engine_absorb(operation, in));
    if (operation->digest)
        return kv_digest_final(operation->digest, ret);
    if (operation->mac)
        return close_mac(operation, ret);
    return kv_bytes_copy(KV_VIEW(operation->collected.bytes), ret);
}

size_t kv_engine_size(const struct kv_operation *operation, struct kv_piece in)
{
    const struct kv_mech_use *mech = &operation->pick.mech;
    size_t all;

    if (operation->cipher)
        return kv_cipher_bound(operation->cipher, in.len);
    if (operation->mac)
        return mech->tag_len ? mech->tag_len : kv_digest_size(mech->row->evp);
    if (operation->pick.operation == KV_OP_DIGEST)
        return kv_digest_size(mech->row->evp);
    if (in.step == KV_UPDATE)
        return 0;
    if (__builtin_add_overflow(operation->collected.bytes.len, in.len, &all))
        return SIZE_MAX;
    return kv_pick_size(&operation->pick, all);
}

bool kv_engine_is_exact(const struct kv_operation *operation)
{
    return !operation->cipher && operation->pick.operation != KV_OP_DECRYPT;
}
