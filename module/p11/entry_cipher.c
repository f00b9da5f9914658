/* PKCS#11 §5.8 encryption, §5.9 decryption, §5.10 message digesting. */
#include "call.h"

CK_RV C_EncryptInit(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_init(&call, KV_ENCRYPTION, mechanism, key);
    return call.rv;
}

CK_RV C_Encrypt(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_step(&call, KV_ENCRYPTION, (struct kv_piece){ KV_ONCE, in, in_len },
                                    (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_EncryptUpdate(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_step(&call, KV_ENCRYPTION, (struct kv_piece){ KV_UPDATE, in, in_len },
                                    (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_EncryptFinal(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_step(&call, KV_ENCRYPTION, (struct kv_piece){ KV_FINAL, NULL, 0 },
                                    (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_DecryptInit(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_init(&call, KV_DECRYPTION, mechanism, key);
    return call.rv;
}

CK_RV C_Decrypt(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_step(&call, KV_DECRYPTION, (struct kv_piece){ KV_ONCE, in, in_len },
                                    (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_DecryptUpdate(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_step(&call, KV_DECRYPTION, (struct kv_piece){ KV_UPDATE, in, in_len },
                                    (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_DecryptFinal(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_step(&call, KV_DECRYPTION, (struct kv_piece){ KV_FINAL, NULL, 0 },
                                    (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_DigestInit(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_init(&call, KV_DIGESTION, mechanism, CK_INVALID_HANDLE);
    return call.rv;
}

CK_RV C_Digest(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_step(&call, KV_DIGESTION, (struct kv_piece){ KV_ONCE, in, in_len },
                                    (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_DigestUpdate(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG in_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_absorb(&call, KV_DIGESTION, (struct kv_piece){ KV_UPDATE, in, in_len });
    return call.rv;
}

CK_RV C_DigestKey(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_digest_key(&call, key);
    return call.rv;
}

CK_RV C_DigestFinal(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_operation_step(&call, KV_DIGESTION, (struct kv_piece){ KV_FINAL, NULL, 0 },
                                    (struct kv_out){ out, out_len });
    return call.rv;
}
