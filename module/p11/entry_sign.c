/* PKCS#11 §5.11 signing, §5.12 verifying. */
#include "call.h"

CK_RV C_SignInit(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_init(&call, KV_SIGNING, mechanism, key);
    return call.rv;
}

CK_RV C_Sign(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_step(&call, KV_SIGNING, (struct kv_piece){ KV_ONCE, in, in_len },
                                    (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_SignUpdate(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_absorb(&call, KV_SIGNING, (struct kv_piece){ KV_UPDATE, in, in_len });
    return call.rv;
}

CK_RV C_SignFinal(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_step(&call, KV_SIGNING, (struct kv_piece){ KV_FINAL, NULL, 0 },
                                    (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_VerifyInit(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_init(&call, KV_VERIFICATION, mechanism, key);
    return call.rv;
}

CK_RV C_Verify(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *signature, CK_ULONG signature_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_verify(&call, (struct kv_piece){ KV_ONCE, in, in_len },
                                      (struct kv_piece){ KV_ONCE, signature, signature_len });
    return call.rv;
}

CK_RV C_VerifyUpdate(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_absorb(&call, KV_VERIFICATION, (struct kv_piece){ KV_UPDATE, in, in_len });
    return call.rv;
}

CK_RV C_VerifyFinal(CK_SESSION_HANDLE h, CK_BYTE *signature, CK_ULONG signature_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_verify(&call, (struct kv_piece){ KV_FINAL, NULL, 0 },
                                      (struct kv_piece){ KV_FINAL, signature, signature_len });
    return call.rv;
}
