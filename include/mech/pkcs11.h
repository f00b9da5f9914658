/* PKCS#11 as this project speaks it: p11-kit's header, and what version 3.0 added where that header stops at 2.40. Numbers and layouts are those of the
 * OASIS standard "PKCS #11 Cryptographic Token Interface Base Specification Version 3.0". Include this one, never p11-kit's alone. */
#ifndef KV_MECH_PKCS11_H
#define KV_MECH_PKCS11_H

#include <p11-kit/pkcs11.h>

/* --- objects and attributes (§4) --- */
#ifndef CKO_PROFILE
#define CKO_PROFILE                   0x9UL
#define CKP_BASELINE_PROVIDER         0x1UL
#define CKP_EXTENDED_PROVIDER         0x2UL
#define CKP_AUTHENTICATION_TOKEN      0x3UL
#define CKP_PUBLIC_CERTIFICATES_TOKEN 0x4UL
#endif
#ifndef CKA_PROFILE_ID
#define CKA_PROFILE_ID 0x601UL
#endif
#ifndef CKA_UNIQUE_ID
#define CKA_UNIQUE_ID 0x4UL
#endif
#ifndef CKA_DERIVE_TEMPLATE
#define CKA_DERIVE_TEMPLATE (CKF_ARRAY_ATTRIBUTE | 0x213UL)
#endif
#ifndef CKK_HKDF
#define CKK_HKDF 0x42UL
#endif

/* --- return values (§5) --- */
#ifndef CKR_AEAD_DECRYPT_FAILED
#define CKR_AEAD_DECRYPT_FAILED 0x42UL
#endif
#ifndef CKR_CURVE_NOT_SUPPORTED
#define CKR_CURVE_NOT_SUPPORTED 0x140UL
#endif
/* p11-kit's header has another number here than the standard. */
#undef CKR_PUBLIC_KEY_INVALID
#define CKR_PUBLIC_KEY_INVALID 0x1b9UL
#ifndef CKR_OPERATION_CANCEL_FAILED
#define CKR_OPERATION_CANCEL_FAILED 0x202UL
#endif

/* --- mechanisms (§6) --- */
#ifndef CKM_AES_KEY_WRAP_KWP
#define CKM_AES_KEY_WRAP_KWP 0x210bUL
#endif
#ifndef CKM_HKDF_DERIVE
#define CKM_HKDF_DERIVE  0x402aUL
#define CKM_HKDF_DATA    0x402bUL
#define CKM_HKDF_KEY_GEN 0x402cUL
#endif
#ifndef CKF_HKDF_SALT_NULL
#define CKF_HKDF_SALT_NULL 0x1UL
#define CKF_HKDF_SALT_DATA 0x2UL
#define CKF_HKDF_SALT_KEY  0x4UL

typedef struct CK_HKDF_PARAMS {
    CK_BBOOL bExtract, bExpand;
    CK_MECHANISM_TYPE prfHashMechanism;
    CK_ULONG ulSaltType;
    CK_BYTE *pSalt;
    CK_ULONG ulSaltLen;
    CK_OBJECT_HANDLE hSaltKey;
    CK_BYTE *pInfo;
    CK_ULONG ulInfoLen;
} CK_HKDF_PARAMS;
#endif
#ifndef CKG_NO_GENERATE
#define CKG_NO_GENERATE      0x0UL
#define CKG_GENERATE         0x1UL
#define CKG_GENERATE_COUNTER 0x2UL
#define CKG_GENERATE_RANDOM  0x3UL

typedef CK_ULONG CK_GENERATOR_FUNCTION;
typedef struct CK_GCM_MESSAGE_PARAMS {
    CK_BYTE *pIv;
    CK_ULONG ulIvLen, ulIvFixedBits;
    CK_GENERATOR_FUNCTION ivGenerator;
    CK_BYTE *pTag;
    CK_ULONG ulTagBits;
} CK_GCM_MESSAGE_PARAMS;
#endif

/* --- flags of C_GetMechanismInfo, C_SessionCancel and of messages (§3, §5) --- */
#ifndef CKF_MESSAGE_ENCRYPT
#define CKF_MESSAGE_ENCRYPT 0x2UL
#define CKF_MESSAGE_DECRYPT 0x4UL
#define CKF_MESSAGE_SIGN    0x8UL
#define CKF_MESSAGE_VERIFY  0x10UL
#define CKF_MULTI_MESSAGE   0x20UL
#define CKF_FIND_OBJECTS    0x40UL
#define CKF_END_OF_MESSAGE  0x1UL
#endif

/* --- interfaces (§3.6, §5.4): the functions of 3.0, their list, and what C_GetInterface hands out --- */
#ifndef CKF_INTERFACE_FORK_SAFE
#define CKF_INTERFACE_FORK_SAFE 0x1UL

typedef struct CK_INTERFACE {
    char *pInterfaceName;
    void *pFunctionList; /* begins with a CK_VERSION */
    CK_FLAGS flags;
} CK_INTERFACE;

/* clang-format off */
#define KV_FUNCTION_2_40(name)
#define KV_FUNCTION_3_0(name, parameters) typedef CK_RV (*CK_##name) parameters; CK_RV name parameters;
#include "mech/functions.def"
#undef KV_FUNCTION_2_40
#undef KV_FUNCTION_3_0

typedef struct CK_FUNCTION_LIST_3_0 {
    CK_VERSION version;
#define KV_FUNCTION_2_40(name) CK_##name name;
#define KV_FUNCTION_3_0(name, parameters) CK_##name name;
#include "mech/functions.def"
#undef KV_FUNCTION_2_40
#undef KV_FUNCTION_3_0
} CK_FUNCTION_LIST_3_0;
/* clang-format on */
#endif

#endif
