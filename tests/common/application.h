/* An application of the module, for test programs without cmocka: what each of them needs before it can do what it is there for. One module a process; any
 * thread after app_load. What ends the program says why on standard error. */
#ifndef KV_TESTS_APPLICATION_H
#define KV_TESTS_APPLICATION_H

#include "mech/pkcs11.h"

extern CK_FUNCTION_LIST *p11; /* after app_load */

_Noreturn void app_die(const char *what, CK_RV rv);
void app_must(const char *what, CK_RV rv); /* CKR_OK, or the end */
void app_load(const char *path);           /* dlopen and C_GetFunctionList */
long app_now_ms(void);                     /* steady */

struct app_found {
    CK_OBJECT_HANDLE objects[64];
    CK_ULONG count;
};
/* Objects of a class that have one more attribute; `more` NULL: all of the class. On failure none. */
CK_RV app_find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, const CK_ATTRIBUTE *more,
               struct app_found *ret);
CK_ATTRIBUTE app_label(const char *label);

CK_MECHANISM app_oaep(void); /* with SHA-256 throughout */

struct app_value {
    CK_BYTE data[512];
    CK_ULONG len;
};
/* A wrapped AES key, unwrapped by OAEP, its value read, and destroyed again. */
CK_RV app_unwrap(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, const CK_BYTE *wrapped, CK_ULONG len,
                 struct app_value *ret);

#endif
