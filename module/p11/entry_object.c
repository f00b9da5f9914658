/* PKCS#11 §5.7 objects. */
#include "call.h"
#include "create.h"
#include "manage.h"

CK_RV C_CreateObject(CK_SESSION_HANDLE h, CK_ATTRIBUTE *items, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = (kv_manage_wanted((struct kv_template){ items, count })
                       ? kv_manage_import
                       : kv_create_object)(&call, (struct kv_template){ items, count }, object);
    return call.rv;
}

CK_RV C_CopyObject(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE from, CK_ATTRIBUTE *items, CK_ULONG count,
                   CK_OBJECT_HANDLE *object)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_create_copy(&call, from, (struct kv_template){ items, count }, object);
    return call.rv;
}

CK_RV C_DestroyObject(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_object_destroy(&call, object);
    return call.rv;
}

CK_RV C_GetObjectSize(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ULONG *size)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_object_size(&call, object, size);
    return call.rv;
}

CK_RV C_GetAttributeValue(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *items, CK_ULONG count)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_attrs_read(&call, object, items, count);
    return call.rv;
}

CK_RV C_SetAttributeValue(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *items, CK_ULONG count)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_attrs_modify(&call, object, (struct kv_template){ items, count });
    return call.rv;
}

CK_RV C_FindObjectsInit(CK_SESSION_HANDLE h, CK_ATTRIBUTE *items, CK_ULONG count)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_find_init(&call, (struct kv_template){ items, count });
    return call.rv;
}

CK_RV C_FindObjects(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *list, CK_ULONG room, CK_ULONG *count)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_find_next(&call, list, room, count);
    return call.rv;
}

CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE h)
{
    KV_CALL(call, h);
    if (!call.rv)
        call.rv = kv_find_final(&call);
    return call.rv;
}
