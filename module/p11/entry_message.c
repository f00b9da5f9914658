/* PKCS#11 3.0 §5.9 message-based encryption, §5.11 message-based decryption. */
#include "call.h"

CK_RV C_MessageEncryptInit(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_message_init(&call, KV_MESSAGE_ENCRYPTION, mechanism, key);
    return call.rv;
}

CK_RV C_EncryptMessage(CK_SESSION_HANDLE h, void *parameter, CK_ULONG parameter_len, CK_BYTE *aad,
                       CK_ULONG aad_len, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    struct kv_message_piece piece = {
        .parameter = parameter, .parameter_len = parameter_len, .aad = { aad, aad_len }, .in = { in, in_len }
    };
    if (!call.rv)
        call.rv = kv_message_once(&call, KV_MESSAGE_ENCRYPTION, &piece, (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_EncryptMessageBegin(CK_SESSION_HANDLE h, void *parameter, CK_ULONG parameter_len, CK_BYTE *aad,
                            CK_ULONG aad_len)
{
    KV_CALL(call, h);
    struct kv_message_piece piece = { .parameter = parameter,
                                      .parameter_len = parameter_len,
                                      .aad = { aad, aad_len } };
    if (!call.rv)
        call.rv = kv_message_begin(&call, KV_MESSAGE_ENCRYPTION, &piece);
    return call.rv;
}

CK_RV C_EncryptMessageNext(CK_SESSION_HANDLE h, void *parameter, CK_ULONG parameter_len, CK_BYTE *in,
                           CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len, CK_FLAGS flags)
{
    KV_CALL(call, h);
    struct kv_message_piece piece = {
        .parameter = parameter, .parameter_len = parameter_len, .in = { in, in_len }, .flags = flags
    };
    if (!call.rv)
        call.rv = kv_message_next(&call, KV_MESSAGE_ENCRYPTION, &piece, (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_MessageEncryptFinal(CK_SESSION_HANDLE h)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_message_final(&call, KV_MESSAGE_ENCRYPTION);
    return call.rv;
}

CK_RV C_MessageDecryptInit(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_message_init(&call, KV_MESSAGE_DECRYPTION, mechanism, key);
    return call.rv;
}

CK_RV C_DecryptMessage(CK_SESSION_HANDLE h, void *parameter, CK_ULONG parameter_len, CK_BYTE *aad,
                       CK_ULONG aad_len, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    struct kv_message_piece piece = {
        .parameter = parameter, .parameter_len = parameter_len, .aad = { aad, aad_len }, .in = { in, in_len }
    };
    if (!call.rv)
        call.rv = kv_message_once(&call, KV_MESSAGE_DECRYPTION, &piece, (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_DecryptMessageBegin(CK_SESSION_HANDLE h, void *parameter, CK_ULONG parameter_len, CK_BYTE *aad,
                            CK_ULONG aad_len)
{
    KV_CALL(call, h);
    struct kv_message_piece piece = { .parameter = parameter,
                                      .parameter_len = parameter_len,
                                      .aad = { aad, aad_len } };
    if (!call.rv)
        call.rv = kv_message_begin(&call, KV_MESSAGE_DECRYPTION, &piece);
    return call.rv;
}

CK_RV C_DecryptMessageNext(CK_SESSION_HANDLE h, void *parameter, CK_ULONG parameter_len, CK_BYTE *in,
                           CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len, CK_FLAGS flags)
{
    KV_CALL(call, h);
    struct kv_message_piece piece = {
        .parameter = parameter, .parameter_len = parameter_len, .in = { in, in_len }, .flags = flags
    };
    if (!call.rv)
        call.rv = kv_message_next(&call, KV_MESSAGE_DECRYPTION, &piece, (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_MessageDecryptFinal(CK_SESSION_HANDLE h)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_message_final(&call, KV_MESSAGE_DECRYPTION);
    return call.rv;
}
