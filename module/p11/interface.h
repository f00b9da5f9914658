/* Interfaces of PKCS#11 3.0 (§5.4, C_GetInterfaceList), for a pkcs11.h that stops at 2.40. */
#ifndef KV_P11_INTERFACE_H
#define KV_P11_INTERFACE_H

#include "mech/pkcs11.h"

#ifndef CKF_INTERFACE_FORK_SAFE
#define CKF_INTERFACE_FORK_SAFE 0x00000001UL

typedef struct CK_INTERFACE {
    char *pInterfaceName;
    void *pFunctionList; /* begins with a CK_VERSION */
    CK_FLAGS flags;
} CK_INTERFACE;

CK_RV C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count);
CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **interface, CK_FLAGS flags);
#endif

/* The three symbols that a shared object of ours shows. */
#define KV_EXPORT __attribute__((visibility("default")))

#endif
