/* The function list, complete and in the standard's order, and the interfaces that offer it. */
#include "interface.h"

#include <string.h>

#define KV_UNSUPPORTED(name, parameters)                                                                     \
    CK_RV name parameters                                                                                    \
    {                                                                                                        \
        return CKR_FUNCTION_NOT_SUPPORTED;                                                                   \
    }
#include "unsupported.def"
#undef KV_UNSUPPORTED

static CK_FUNCTION_LIST functions = {
    .version = { 2, 40 },
#define FUNCTION(name) .name = name
    FUNCTION(C_Initialize),
    FUNCTION(C_Finalize),
    FUNCTION(C_GetInfo),
    FUNCTION(C_GetFunctionList),
    FUNCTION(C_GetSlotList),
    FUNCTION(C_GetSlotInfo),
    FUNCTION(C_GetTokenInfo),
    FUNCTION(C_GetMechanismList),
    FUNCTION(C_GetMechanismInfo),
    FUNCTION(C_InitToken),
    FUNCTION(C_InitPIN),
    FUNCTION(C_SetPIN),
    FUNCTION(C_OpenSession),
    FUNCTION(C_CloseSession),
    FUNCTION(C_CloseAllSessions),
    FUNCTION(C_GetSessionInfo),
    FUNCTION(C_GetOperationState),
    FUNCTION(C_SetOperationState),
    FUNCTION(C_Login),
    FUNCTION(C_Logout),
    FUNCTION(C_CreateObject),
    FUNCTION(C_CopyObject),
    FUNCTION(C_DestroyObject),
    FUNCTION(C_GetObjectSize),
    FUNCTION(C_GetAttributeValue),
    FUNCTION(C_SetAttributeValue),
    FUNCTION(C_FindObjectsInit),
    FUNCTION(C_FindObjects),
    FUNCTION(C_FindObjectsFinal),
    FUNCTION(C_EncryptInit),
    FUNCTION(C_Encrypt),
    FUNCTION(C_EncryptUpdate),
    FUNCTION(C_EncryptFinal),
    FUNCTION(C_DecryptInit),
    FUNCTION(C_Decrypt),
    FUNCTION(C_DecryptUpdate),
    FUNCTION(C_DecryptFinal),
    FUNCTION(C_DigestInit),
    FUNCTION(C_Digest),
    FUNCTION(C_DigestUpdate),
    FUNCTION(C_DigestKey),
    FUNCTION(C_DigestFinal),
    FUNCTION(C_SignInit),
    FUNCTION(C_Sign),
    FUNCTION(C_SignUpdate),
    FUNCTION(C_SignFinal),
    FUNCTION(C_SignRecoverInit),
    FUNCTION(C_SignRecover),
    FUNCTION(C_VerifyInit),
    FUNCTION(C_Verify),
    FUNCTION(C_VerifyUpdate),
    FUNCTION(C_VerifyFinal),
    FUNCTION(C_VerifyRecoverInit),
    FUNCTION(C_VerifyRecover),
    FUNCTION(C_DigestEncryptUpdate),
    FUNCTION(C_DecryptDigestUpdate),
    FUNCTION(C_SignEncryptUpdate),
    FUNCTION(C_DecryptVerifyUpdate),
    FUNCTION(C_GenerateKey),
    FUNCTION(C_GenerateKeyPair),
    FUNCTION(C_WrapKey),
    FUNCTION(C_UnwrapKey),
    FUNCTION(C_DeriveKey),
    FUNCTION(C_SeedRandom),
    FUNCTION(C_GenerateRandom),
    FUNCTION(C_GetFunctionStatus),
    FUNCTION(C_CancelFunction),
    FUNCTION(C_WaitForSlotEvent),
#undef FUNCTION
};

KV_EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    if (!list)
        return CKR_ARGUMENTS_BAD;
    *list = &functions;
    return CKR_OK;
}

/* The first is the default. A later version of the interface is one more row. */
static CK_INTERFACE interfaces[] = {
    { "PKCS 11", &functions, 0 },
};
enum { INTERFACES = sizeof interfaces / sizeof *interfaces };

KV_EXPORT CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count)
{
    if (!count)
        return CKR_ARGUMENTS_BAD;
    CK_ULONG room = list ? *count : INTERFACES;
    *count = INTERFACES;
    if (list && room < INTERFACES)
        return CKR_BUFFER_TOO_SMALL;
    if (list)
        memcpy(list, interfaces, sizeof interfaces);
    return CKR_OK;
}

static int fits(const CK_INTERFACE *have, const CK_UTF8CHAR *name, const CK_VERSION *version, CK_FLAGS flags)
{
    const CK_VERSION *offered = have->pFunctionList;
    return (!name || !strcmp((const char *)name, have->pInterfaceName)) &&
           (!version || (version->major == offered->major && version->minor == offered->minor)) &&
           (have->flags & flags) == flags;
}

KV_EXPORT CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **interface,
                               CK_FLAGS flags)
{
    if (!interface)
        return CKR_ARGUMENTS_BAD;
    for (size_t i = 0; i < INTERFACES; i++)
        if (fits(&interfaces[i], name, version, flags)) {
            *interface = &interfaces[i];
            return CKR_OK;
        }
    return CKR_ARGUMENTS_BAD;
}
