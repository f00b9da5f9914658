#include "message.h"

#include <string.h>
#include "call.h"
#include "mech/message_param.h"

static struct kv_message *message_of(struct kv_call *call, enum kv_message_kind kind)
{
    return &call->session->messages[kind];
}

/* Of the message under way: a failed one ends alone, the process goes on (§5.9.4, §5.11.4). */
static void end_message(struct kv_message *message)
{
    const struct kv_mech *row = message->pick.mech.row;
    kv_cipher_free(kv_take(message->cipher));
    kv_mech_use_free(&message->pick.mech);
    kv_buffer_free(&message->held);
    message->pick.mech.row = row;
    message->begun = false;
}

void kv_message_reset(struct kv_message *message)
{
    end_message(message);
    kv_pick_free(&message->pick);
    *message = (struct kv_message){ 0 };
}

CK_RV kv_message_init(struct kv_call *call, enum kv_message_kind kind, const CK_MECHANISM *mechanism,
                      CK_OBJECT_HANDLE key)
{
    struct kv_message *message = message_of(call, kind);
    unsigned operation = (kind == KV_MESSAGE_ENCRYPTION ? KV_OP_ENCRYPT : KV_OP_DECRYPT) | KV_OP_MESSAGE;
    if (!mechanism) {
        kv_message_reset(message);
        return CKR_OK;
    }
    if (message->active)
        return CKR_OPERATION_ACTIVE;
    struct kv_pick_wish wish = { operation, mechanism, key };
    enum kv_status status = kv_pick_open(call, &wish, &message->pick);
    message->active = status == KV_OK;
    return kv_call_status(call, status, operation);
}

CK_RV kv_message_final(struct kv_call *call, enum kv_message_kind kind)
{
    struct kv_message *message = message_of(call, kind);
    if (!message->active)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (message->begun)
        return CKR_OPERATION_ACTIVE;
    kv_message_reset(message);
    return CKR_OK;
}

/* --- the parameter of one message --- */

static bool encrypts(const struct kv_message *message)
{
    return message->pick.operation == KV_OP_ENCRYPT;
}

static enum kv_status check_for_service(const struct kv_message *message,
                                        const struct kv_message_param *param, struct kv_error *err)
{
    const char *label = message->pick.object->version->label;
    if (param->iv_len != KV_SEALED_IV || param->tag_len != KV_SEALED_TAG || param->fixed_bits)
        return kv_fail(
            err, KV_MECHANISM_PARAM,
            "'%s' is in a Managed HSM, whose AES-GCM has a nonce of 12 bytes (ulIvLen), none of it "
            "fixed (ulIvFixedBits 0), and a tag of 128 bits",
            label);
    if (encrypts(message) && param->generator != CKG_GENERATE && param->generator != CKG_GENERATE_RANDOM)
        return kv_fail(err, KV_MECHANISM_PARAM,
                       "'%s' is in a Managed HSM, which makes the nonce of AES-GCM and takes none: set "
                       "ivGenerator to CKG_GENERATE",
                       label);
    return KV_OK;
}

/* `tag`: this call gives or takes the tag, so there must be a place for it. */
static enum kv_status read_param(struct kv_call *call, const struct kv_message *message,
                                 const struct kv_message_piece *piece, bool tag, struct kv_message_param *ret)
{
    struct kv_message_param param;
    enum kv_status status =
        kv_message_param_read(piece->parameter, piece->parameter_len, encrypts(message), &param);
    if (status || (tag && !param.tag))
        return kv_fail(
            &call->err, KV_MECHANISM_PARAM,
            "the parameter is no CK_GCM_MESSAGE_PARAMS that %s takes: see pIv, ulIvLen, pTag and ulTagBits",
            message->pick.mech.row->name);
    if (!kv_pick_in_session(&message->pick))
        KV_TRY(check_for_service(message, &param, &call->err));
    *ret = param;
    return KV_OK;
}

/* --- one message, from its beginning to its end --- */

/* The vector goes to the caller at once, but for a service that makes it with the ciphertext. */
static enum kv_status choose_iv(struct kv_call *call, struct kv_message *message,
                                const struct kv_message_param *param)
{
    if (encrypts(message) && kv_mech_makes_nonce(message->pick.mech.row))
        return KV_OK;
    enum kv_status status = kv_message_param_iv(param, message->counted, &message->pick.mech.iv);
    if (status == KV_MECHANISM_PARAM)
        return kv_fail(&call->err, status,
                       "ulIvFixedBits %zu of %zu leave too little for another vector that no message had",
                       param->fixed_bits, 8 * param->iv_len);
    KV_TRY(status);
    if (param->generator == CKG_NO_GENERATE)
        return KV_OK;
    message->counted += param->generator == CKG_GENERATE_COUNTER;
    memcpy(param->iv, message->pick.mech.iv.data, param->iv_len);
    return KV_OK;
}

static enum kv_status start(struct kv_call *call, struct kv_message *message,
                            const struct kv_message_param *param, struct kv_view aad)
{
    KV_TRY(kv_bytes_copy(aad, &message->pick.mech.aad));
    message->pick.mech.tag_len = param->tag_len;
    KV_TRY(choose_iv(call, message, param));
    return kv_pick_in_session(&message->pick) ? kv_pick_cipher(&message->pick, &message->cipher) : KV_OK;
}

/* Only encryption under a session's key gives something before the end: a plaintext is held back until its tag has been seen, and a vault's
 * key takes a message in one piece. */
static bool streams(const struct kv_message *message)
{
    return message->cipher && encrypts(message);
}

static enum kv_status take_part(struct kv_message *message, struct kv_view in, struct kv_buffer *ret)
{
    if (streams(message))
        return kv_cipher_update(message->cipher, in, ret);
    return kv_buffer_add(&message->held, in);
}

static enum kv_status seal_here(struct kv_message *message, const struct kv_message_param *param,
                                struct kv_buffer *ret)
{
    message->pick.mech.tag_len = param->tag_len;
    KV_TRY(kv_cipher_final(message->cipher, ret));
    ret->bytes.len -= param->tag_len;
    memcpy(param->tag, ret->bytes.data + ret->bytes.len, param->tag_len);
    return KV_OK;
}

static enum kv_status seal_there(struct kv_call *call, struct kv_message *message,
                                 const struct kv_message_param *param, struct kv_buffer *ret)
{
    KV_CLEANUP(kv_sealed_free) struct kv_sealed sealed = { 0 };
    KV_TRY(kv_pick_seal(call, &message->pick, KV_VIEW(message->held.bytes), &sealed));
    KV_TRY(kv_buffer_add(ret, KV_VIEW(sealed.cipher)));
    memcpy(param->iv, sealed.iv.data, KV_SEALED_IV);
    memcpy(param->tag, sealed.tag.data, KV_SEALED_TAG);
    return KV_OK;
}

static enum kv_status open_message(struct kv_call *call, struct kv_message *message,
                                   const struct kv_message_param *param, struct kv_buffer *ret)
{
    message->pick.mech.tag_len = param->tag_len;
    KV_TRY(kv_buffer_add(&message->held, (struct kv_view){ param->tag, param->tag_len }));
    struct kv_view all = KV_VIEW(message->held.bytes);
    if (message->cipher) {
        KV_TRY(kv_cipher_update(message->cipher, all, ret));
        return kv_cipher_final(message->cipher, ret);
    }
    KV_AUTO_BYTES struct kv_bytes plain = { 0 };
    KV_TRY(kv_pick_run(call, &message->pick, all, &plain));
    return kv_buffer_add(ret, KV_VIEW(plain));
}

static enum kv_status finish(struct kv_call *call, struct kv_message *message,
                             const struct kv_message_param *param, struct kv_buffer *ret)
{
    if (!encrypts(message))
        return open_message(call, message, param, ret);
    return message->cipher ? seal_here(message, param, ret) : seal_there(call, message, param, ret);
}

static CK_RV told(struct kv_call *call, const struct kv_message *message, enum kv_status status)
{
    return kv_call_status(call, status, message->pick.operation | KV_OP_MESSAGE);
}

/* --- the calls --- */

static bool hollow(struct kv_view view)
{
    return view.len && !view.data;
}

static CK_RV whole(struct kv_call *call, struct kv_message *message, const struct kv_message_piece *piece,
                   struct kv_out out)
{
    struct kv_message_param param;
    KV_AUTO_BUFFER struct kv_buffer result = { 0 };
    bool fits;
    enum kv_status status = read_param(call, message, piece, true, &param);
    if (status)
        return told(call, message, status);
    CK_RV rv = kv_out_room(out, piece->in.len, &fits);
    if (rv || !fits)
        return rv;
    status = start(call, message, &param, piece->aad);
    if (!status)
        status = take_part(message, piece->in, &result);
    if (!status)
        status = finish(call, message, &param, &result);
    return status ? told(call, message, status) : kv_out_bytes(out, KV_VIEW(result.bytes));
}

CK_RV kv_message_once(struct kv_call *call, enum kv_message_kind kind, const struct kv_message_piece *piece,
                      struct kv_out out)
{
    struct kv_message *message = message_of(call, kind);
    if (!message->active)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (message->begun)
        return CKR_OPERATION_ACTIVE;
    if (hollow(piece->aad) || hollow(piece->in))
        return CKR_ARGUMENTS_BAD;
    CK_RV rv = whole(call, message, piece, out);
    end_message(message);
    return rv;
}

CK_RV kv_message_begin(struct kv_call *call, enum kv_message_kind kind, const struct kv_message_piece *piece)
{
    struct kv_message *message = message_of(call, kind);
    struct kv_message_param param;
    if (!message->active)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (message->begun)
        return CKR_OPERATION_ACTIVE;
    if (hollow(piece->aad))
        return CKR_ARGUMENTS_BAD;
    enum kv_status status = read_param(call, message, piece, false, &param);
    if (!status)
        status = start(call, message, &param, piece->aad);
    if (status)
        end_message(message);
    message->begun = status == KV_OK;
    return told(call, message, status);
}

/* A size query is not told 0 where parts are held back: with no buffer the next call would be a query again, and the part be lost. */
static size_t part_size(const struct kv_message *message, const struct kv_message_piece *piece, bool query)
{
    if (!streams(message) && piece->flags & CKF_END_OF_MESSAGE)
        return message->held.bytes.len + piece->in.len;
    return streams(message) || query ? piece->in.len : 0;
}

static CK_RV part(struct kv_call *call, struct kv_message *message, const struct kv_message_piece *piece,
                  struct kv_out out)
{
    struct kv_message_param param;
    KV_AUTO_BUFFER struct kv_buffer result = { 0 };
    bool last = piece->flags & CKF_END_OF_MESSAGE, fits;
    if (hollow(piece->in) || piece->flags & ~(CK_FLAGS)CKF_END_OF_MESSAGE)
        return CKR_ARGUMENTS_BAD;
    enum kv_status status = last ? read_param(call, message, piece, true, &param) : KV_OK;
    if (status)
        return told(call, message, status);
    CK_RV rv = kv_out_room(out, part_size(message, piece, kv_out_query(out)), &fits);
    if (rv || !fits)
        return rv;
    status = take_part(message, piece->in, &result);
    if (!status && last)
        status = finish(call, message, &param, &result);
    return status ? told(call, message, status) : kv_out_bytes(out, KV_VIEW(result.bytes));
}

CK_RV kv_message_next(struct kv_call *call, enum kv_message_kind kind, const struct kv_message_piece *piece,
                      struct kv_out out)
{
    struct kv_message *message = message_of(call, kind);
    if (!message->active || !message->begun)
        return CKR_OPERATION_NOT_INITIALIZED;
    CK_RV rv = part(call, message, piece, out);
    bool last = piece->flags & CKF_END_OF_MESSAGE;
    bool goes_on = rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && (kv_out_query(out) || !last));
    if (!goes_on)
        end_message(message);
    return rv;
}
