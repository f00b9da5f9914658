/* The function list, complete and in the standard's order, and the interfaces that offer it. */
#include "interface.h"

#include <string.h>
#include "call.h"

/* Before C_Initialize every function but four says so (PKCS#11 §5.1.5), these too. */
#define KV_UNSUPPORTED(name, parameters)                                                                     \
    CK_RV name parameters                                                                                    \
    {                                                                                                        \
        KV_CALL_LIBRARY(call);                                                                               \
        return call.rv ? call.rv : CKR_FUNCTION_NOT_SUPPORTED;                                               \
    }
#include "unsupported.def"
#undef KV_UNSUPPORTED

/* clang-format off */
#define KV_FUNCTION_2_40(name) .name = name,
#define KV_FUNCTION_3_0(name, parameters)
static CK_FUNCTION_LIST functions = {
    .version = { 2, 40 },
#include "mech/functions.def"
};
#undef KV_FUNCTION_3_0
#define KV_FUNCTION_3_0(name, parameters) .name = name,
static CK_FUNCTION_LIST_3_0 functions_3_0 = {
    .version = { 3, 0 },
#include "mech/functions.def"
};
#undef KV_FUNCTION_2_40
#undef KV_FUNCTION_3_0
/* clang-format on */

KV_EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    if (!list)
        return CKR_ARGUMENTS_BAD;
    *list = &functions;
    return CKR_OK;
}

/* The first is the default: a host that asks for anything at all knows the newest version. Fork-safe is not claimed: that would be sessions and
 * operations that live on in a child (§3.6), and a child of ours starts with C_Initialize. */
static CK_INTERFACE interfaces[] = {
    { "PKCS 11", &functions_3_0, 0 },
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
