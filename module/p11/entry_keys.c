/* PKCS#11 §5.14 key management. */
#include "call.h"
#include "derive.h"
#include "manage.h"
#include "pair.h"
#include "secret.h"
#include "wrap.h"

CK_RV C_GenerateKey(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism, CK_ATTRIBUTE *items, CK_ULONG count,
                    CK_OBJECT_HANDLE *key)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = (kv_manage_wanted((struct kv_template){ items, count })
                       ? kv_manage_generate
                       : kv_secret_generate)(&call, mechanism, (struct kv_template){ items, count }, key);
    return call.rv;
}

CK_RV C_GenerateKeyPair(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism, CK_ATTRIBUTE *pub, CK_ULONG pub_count,
                        CK_ATTRIBUTE *priv, CK_ULONG priv_count, CK_OBJECT_HANDLE *ret_pub,
                        CK_OBJECT_HANDLE *ret_priv)
{
    KV_CALL(call, h);
    struct kv_pair_wish wish = { mechanism, { pub, pub_count }, { priv, priv_count } };
    if (!call.rv)
        call.rv = kv_pair_generate(&call, &wish, ret_pub, ret_priv);
    return call.rv;
}

CK_RV C_WrapKey(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
                CK_BYTE *out, CK_ULONG *out_len)
{
    KV_CALL(call, h);
    struct kv_wrap wrap = { .mechanism = mechanism, .wrapping = wrapping, .key = key };
    if (!call.rv)
        call.rv = kv_wrap_key(&call, &wrap, (struct kv_out){ out, out_len });
    return call.rv;
}

CK_RV C_UnwrapKey(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping, CK_BYTE *wrapped,
                  CK_ULONG wrapped_len, CK_ATTRIBUTE *items, CK_ULONG count, CK_OBJECT_HANDLE *key)
{
    KV_CALL(call, h);
    struct kv_wrap wrap = { .mechanism = mechanism,
                            .wrapping = unwrapping,
                            .wrapped = { wrapped, wrapped_len },
                            .template = { items, count } };
    if (!call.rv)
        call.rv = kv_wrap_unwrap(&call, &wrap, key);
    return call.rv;
}

CK_RV C_DeriveKey(CK_SESSION_HANDLE h, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *items,
                  CK_ULONG count, CK_OBJECT_HANDLE *ret_key)
{
    KV_CALL(call, h);
    struct kv_derive derive = { mechanism, base, { items, count } };
    if (!call.rv)
        call.rv = kv_derive_key(&call, &derive, ret_key);
    return call.rv;
}
