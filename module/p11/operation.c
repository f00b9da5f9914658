#include "operation.h"

#include "call.h"
#include "engine.h"

void kv_operation_reset(struct kv_operation *operation)
{
    kv_digest_free(operation->digest);
    kv_mac_free(operation->mac);
    kv_cipher_free(operation->cipher);
    kv_buffer_free(&operation->collected);
    kv_pick_free(&operation->pick);
    kv_bytes_free(&operation->kept_input);
    kv_bytes_free(&operation->kept);
    *operation = (struct kv_operation){ 0 };
}

/* The only sentence on what ends an operation: everything but a size query, CKR_BUFFER_TOO_SMALL and an Update that went well. */
static CK_RV conclude(struct kv_operation *operation, enum kv_step step, CK_RV rv, bool size_query)
{
    bool goes_on = rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && (size_query || step == KV_UPDATE));
    if (!goes_on)
        kv_operation_reset(operation);
    return rv;
}

/* --- Init --- */

static const unsigned meanings[KV_OPERATION_KINDS] = {
    [KV_ENCRYPTION] = KV_OP_ENCRYPT, [KV_DECRYPTION] = KV_OP_DECRYPT,  [KV_DIGESTION] = KV_OP_DIGEST,
    [KV_SIGNING] = KV_OP_SIGN,       [KV_VERIFICATION] = KV_OP_VERIFY,
};

static enum kv_status begin(struct kv_call *call, const struct kv_pick_wish *wish,
                            struct kv_operation *operation)
{
    operation->pick.operation = wish->operation;
    if (wish->operation == KV_OP_DIGEST)
        KV_TRY(kv_pick_keyless(call, wish->mechanism, KV_OP_DIGEST, &operation->pick.mech.row));
    else
        KV_TRY(kv_pick_open(call, wish, &operation->pick));
    return kv_engine_start(operation);
}

CK_RV kv_operation_init(struct kv_call *call, enum kv_operation_kind kind, const CK_MECHANISM *mechanism,
                        CK_OBJECT_HANDLE key)
{
    struct kv_operation *operation = &call->session->operations[kind];
    if (!mechanism) {
        kv_operation_reset(operation);
        return CKR_OK;
    }
    if (operation->active)
        return CKR_OPERATION_ACTIVE;
    struct kv_pick_wish wish = { meanings[kind], mechanism, key };
    enum kv_status status = begin(call, &wish, operation);
    if (status)
        kv_operation_reset(operation);
    else
        operation->active = true;
    return kv_call_status(call, status, meanings[kind]);
}

/* --- steps --- */

static struct kv_view view_of(struct kv_piece piece)
{
    return (struct kv_view){ piece.data, piece.len };
}

static CK_RV check_step(const struct kv_operation *operation, struct kv_piece in)
{
    if (!operation->active)
        return CKR_OPERATION_NOT_INITIALIZED;
    if (in.len && !in.data)
        return CKR_ARGUMENTS_BAD;
    if (in.step == KV_ONCE)
        return operation->parted ? CKR_OPERATION_ACTIVE : CKR_OK;
    /* Mechanisms that the standard marks "single-part only" (RSA PKCS#1, PSS and OAEP without a hash, ECDSA, AES key wrap). It names no code for
     * parts of theirs: CKR_MECHANISM_INVALID is for an Init, and CKR_OPERATION_NOT_INITIALIZED would deny what is under way. */
    return kv_engine_takes_parts(operation) ? CKR_OK : CKR_FUNCTION_NOT_SUPPORTED;
}

static enum kv_status run_cipher(struct kv_operation *operation, struct kv_piece in, struct kv_bytes *ret)
{
    KV_AUTO_BUFFER struct kv_buffer out = { 0 };
    if (in.step != KV_FINAL)
        KV_TRY(kv_cipher_update(operation->cipher, view_of(in), &out));
    if (in.step != KV_UPDATE)
        KV_TRY(kv_cipher_final(operation->cipher, &out));
    return kv_bytes_copy(KV_VIEW(out.bytes), ret);
}

static enum kv_status compute(struct kv_call *call, struct kv_operation *operation, struct kv_piece in,
                              struct kv_bytes *ret)
{
    if (operation->cipher)
        return run_cipher(operation, in, ret);
    if (in.step == KV_UPDATE) {
        KV_TRY(kv_engine_absorb(operation, view_of(in)));
        return kv_bytes_alloc(0, ret);
    }
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    KV_TRY(kv_engine_close(operation, view_of(in), &bytes));
    if (operation->pick.operation & (KV_OP_ENCRYPT | KV_OP_DECRYPT))
        return kv_pick_run(call, &operation->pick, KV_VIEW(bytes), ret);
    if (operation->pick.operation == KV_OP_SIGN && !operation->mac)
        return kv_pick_sign(call, &operation->pick, KV_VIEW(bytes), ret);
    *ret = kv_bytes_take(&bytes);
    return KV_OK;
}

static CK_RV deliver_kept(const struct kv_operation *operation, struct kv_piece in, struct kv_out out)
{
    if (in.step != operation->kept_step || !kv_view_equal_ct(view_of(in), KV_VIEW(operation->kept_input)))
        return CKR_ARGUMENTS_BAD;
    return kv_out_bytes(out, KV_VIEW(operation->kept));
}

static CK_RV keep(struct kv_operation *operation, struct kv_piece in, struct kv_bytes *result)
{
    if (kv_bytes_copy(view_of(in), &operation->kept_input))
        return CKR_HOST_MEMORY;
    operation->kept = kv_bytes_take(result);
    operation->kept_step = in.step;
    return CKR_BUFFER_TOO_SMALL;
}

/* Large data go straight into the caller's buffer: copies of them would cost as much as the cipher does. */
static bool goes_straight(const struct kv_operation *operation, struct kv_piece in, struct kv_out out)
{
    return operation->cipher && in.step == KV_UPDATE &&
           kv_cipher_streams_to(operation->cipher, view_of(in), out.data, *out.len);
}

static CK_RV run_straight(struct kv_call *call, struct kv_operation *operation, struct kv_piece in,
                          struct kv_out out)
{
    size_t len = 0;
    enum kv_status status = kv_cipher_stream(operation->cipher, view_of(in), out.data, &len);
    if (!status)
        *out.len = len;
    return kv_call_status(call, status, operation->pick.operation);
}

static CK_RV run_step(struct kv_call *call, struct kv_operation *operation, struct kv_piece in,
                      struct kv_out out)
{
    if (operation->kept.data)
        return deliver_kept(operation, in, out);
    size_t size = kv_engine_size(operation, in);
    bool fits = false;
    if (!out.data || (out.len && *out.len < size && kv_engine_is_exact(operation)))
        return kv_out_room(out, size, &fits);
    if (!out.len)
        return CKR_ARGUMENTS_BAD;
    if (goes_straight(operation, in, out))
        return run_straight(call, operation, in, out);
    KV_AUTO_BYTES struct kv_bytes result = { 0 };
    enum kv_status status = compute(call, operation, in, &result);
    if (status)
        return kv_call_status(call, status, operation->pick.operation);
    CK_RV rv = kv_out_bytes(out, KV_VIEW(result));
    return rv == CKR_BUFFER_TOO_SMALL ? keep(operation, in, &result) : rv;
}

/* After it a kept result has been fetched; an Update goes on without it. */
static void forget_kept(struct kv_operation *operation)
{
    kv_bytes_free(&operation->kept_input);
    kv_bytes_free(&operation->kept);
}

CK_RV kv_operation_step(struct kv_call *call, enum kv_operation_kind kind, struct kv_piece in,
                        struct kv_out out)
{
    struct kv_operation *operation = &call->session->operations[kind];
    CK_RV rv = check_step(operation, in);
    if (!rv)
        rv = run_step(call, operation, in, out);
    bool query = kv_out_query(out);
    if (!rv && !query && in.step == KV_UPDATE) {
        operation->parted = true;
        forget_kept(operation);
    }
    return conclude(operation, in.step, rv, query);
}

CK_RV kv_operation_absorb(struct kv_call *call, enum kv_operation_kind kind, struct kv_piece in)
{
    struct kv_operation *operation = &call->session->operations[kind];
    CK_RV rv = check_step(operation, in);
    if (!rv) {
        operation->parted = true;
        rv = kv_call_status(call, kv_engine_absorb(operation, view_of(in)), operation->pick.operation);
    }
    return conclude(operation, KV_UPDATE, rv, false);
}

CK_RV kv_operation_digest_key(struct kv_call *call, CK_OBJECT_HANDLE key)
{
    struct kv_operation *operation = &call->session->operations[KV_DIGESTION];
    KV_AUTO_OBJECT struct kv_object *object = kv_object_get(call, key);
    CK_RV rv = check_step(operation, (struct kv_piece){ KV_UPDATE, NULL, 0 });
    if (!rv && !object)
        rv = CKR_KEY_HANDLE_INVALID;
    if (!rv && !kv_pick_digestible(object, operation->pick.mech.row))
        rv = kv_call_refuse(
            call, CKR_KEY_INDIGESTIBLE,
            "only the secret keys of a session have a value that can be digested, and not where "
            "their CKA_ALLOWED_MECHANISMS leave the digest out");
    if (rv)
        return conclude(operation, KV_UPDATE, rv, false);
    const struct kv_bytes *value = &object->secret->value;
    return kv_operation_absorb(call, KV_DIGESTION, (struct kv_piece){ KV_UPDATE, value->data, value->len });
}

static enum kv_status compare(struct kv_view code, struct kv_view given)
{
    if (code.len != given.len)
        return KV_SIGNATURE_LENGTH;
    return kv_view_equal_ct(code, given) ? KV_OK : KV_BAD_SIGNATURE;
}

static enum kv_status verify(struct kv_call *call, struct kv_operation *operation, struct kv_view in,
                             struct kv_view signature)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    KV_TRY(kv_engine_close(operation, in, &bytes));
    if (operation->mac)
        return compare(KV_VIEW(bytes), signature);
    return kv_pick_verify(call, &operation->pick, KV_VIEW(bytes), signature);
}

CK_RV kv_operation_verify(struct kv_call *call, struct kv_piece in, struct kv_piece signature)
{
    struct kv_operation *operation = &call->session->operations[KV_VERIFICATION];
    CK_RV rv = check_step(operation, in);
    if (!rv && !signature.data)
        rv = CKR_ARGUMENTS_BAD;
    if (!rv)
        rv = kv_call_status(call, verify(call, operation, view_of(in), view_of(signature)), KV_OP_VERIFY);
    return conclude(operation, in.step, rv, false);
}
