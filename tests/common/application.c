#include "application.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

CK_FUNCTION_LIST *p11;

void app_die(const char *what, CK_RV rv)
{
    fprintf(stderr, "%s: %s: 0x%lx\n", program_invocation_short_name, what, rv);
    exit(1);
}

void app_must(const char *what, CK_RV rv)
{
    if (rv != CKR_OK)
        app_die(what, rv);
}

void app_load(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
    if (!get)
        app_die(dlerror(), 0);
    app_must("C_GetFunctionList", get(&p11));
}

long app_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

CK_RV app_find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, const CK_ATTRIBUTE *more,
               struct app_found *ret)
{
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type }, more ? *more : (CK_ATTRIBUTE){ 0 } };
    ret->count = 0;
    CK_RV rv = p11->C_FindObjectsInit(session, template, more ? 2 : 1);
    if (rv != CKR_OK)
        return rv;
    rv = p11->C_FindObjects(session, ret->objects, sizeof ret->objects / sizeof *ret->objects, &ret->count);
    CK_RV end = p11->C_FindObjectsFinal(session);
    return rv != CKR_OK ? rv : end;
}

CK_ATTRIBUTE app_label(const char *label)
{
    return (CK_ATTRIBUTE){ CKA_LABEL, (void *)(size_t)label, strlen(label) };
}

CK_MECHANISM app_oaep(void)
{
    static CK_RSA_PKCS_OAEP_PARAMS params = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
    return (CK_MECHANISM){ CKM_RSA_PKCS_OAEP, &params, sizeof params };
}

CK_RV app_unwrap(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, const CK_BYTE *wrapped, CK_ULONG len,
                 struct app_value *ret)
{
    CK_MECHANISM mechanism = app_oaep();
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class },
                                { CKA_KEY_TYPE, &type, sizeof type },
                                { CKA_SENSITIVE, &no, sizeof no },
                                { CKA_EXTRACTABLE, &yes, sizeof yes } };
    CK_ATTRIBUTE value = { CKA_VALUE, ret->data, sizeof ret->data };
    CK_OBJECT_HANDLE made;
    CK_RV rv =
        p11->C_UnwrapKey(session, &mechanism, key, (CK_BYTE *)(size_t)wrapped, len, template, 4, &made);
    if (rv != CKR_OK)
        return rv;
    rv = p11->C_GetAttributeValue(session, made, &value, 1);
    ret->len = value.ulValueLen;
    CK_RV end = p11->C_DestroyObject(session, made);
    return rv != CKR_OK ? rv : end;
}
