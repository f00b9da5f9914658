/* A host for the scenarios of hosts.py, as plain as can be: loads a module as pkcs11-provider does, signs standard input with an RSA key, and ends.
 *
 *     host MODULE TOKEN LABEL PIN END      PIN "": no login; END: finalize, exit, unload */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mech/pkcs11.h"

static CK_FUNCTION_LIST *p11;

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "host: %s\n", what);
    exit(2);
}

static CK_SLOT_ID slot_of(const char *token)
{
    CK_SLOT_ID slots[16];
    CK_ULONG count = 16;
    must(!p11->C_GetSlotList(CK_TRUE, slots, &count), "no slots");
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        if (!p11->C_GetTokenInfo(slots[i], &info) && !strncmp((char *)info.label, token, strlen(token)))
            return slots[i];
    }
    must(0, "no such token");
    return 0;
}

static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, char *label)
{
    CK_OBJECT_CLASS type = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type }, { CKA_LABEL, label, strlen(label) } };
    CK_OBJECT_HANDLE key = 0;
    CK_ULONG count = 0;
    must(!p11->C_FindObjectsInit(session, template, 2) && !p11->C_FindObjects(session, &key, 1, &count) &&
             !p11->C_FindObjectsFinal(session) && count == 1,
         "no such key");
    return key;
}

static void sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    CK_BYTE data[65536], signature[1024];
    CK_ULONG len = sizeof signature, data_len = fread(data, 1, sizeof data, stdin);
    must(!p11->C_SignInit(session, &mechanism, key) && !p11->C_Sign(session, data, data_len, signature, &len),
         "no signature");
    must(fwrite(signature, 1, len, stdout) == len, "not written");
}

int main(int count, char **arguments)
{
    must(count == 6, "usage: host MODULE TOKEN LABEL PIN END");
    void *module = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    must(module != NULL, dlerror());
    CK_C_GetFunctionList get = (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList");
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    CK_SESSION_HANDLE session;
    must(get && !get(&p11) && !p11->C_Initialize(&args), "not initialized");
    must(!p11->C_OpenSession(slot_of(arguments[2]), CKF_SERIAL_SESSION, NULL, NULL, &session), "no session");
    if (*arguments[4])
        must(!p11->C_Login(session, CKU_USER, (CK_BYTE *)arguments[4], strlen(arguments[4])), "no login");
    sign(session, find(session, arguments[3]));
    if (!strcmp(arguments[5], "exit"))
        return 0;
    must(!p11->C_Finalize(NULL), "not finalized");
    if (!strcmp(arguments[5], "unload"))
        dlclose(module);
    return 0;
}
