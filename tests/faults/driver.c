/* The module, driven line by line by the tests of faults: "find LABEL", "list", "sign", "decrypt", "unwrap", "keep", "encrypt", "wrap", "verify",
 * "storm THREADS". Each line is answered by one: the CK_RV of the call that may fail in hexadecimal, its milliseconds, and "wrong" when it succeeded
 * with anything but the right result. */
#include <dlfcn.h>
#include <time.h>

#include "driver.h"

CK_FUNCTION_LIST *f;
CK_SLOT_ID slot;
CK_SESSION_HANDLE session;
CK_OBJECT_HANDLE private_key, public_key;
unsigned char sealed[512];
CK_ULONG sealed_len;
unsigned char secret[32] = "thirty-two bytes worth keeping.";

static void die(const char *what, CK_RV rv)
{
    fprintf(stderr, "driver: %s: 0x%lx\n", what, rv);
    exit(1);
}

void must(const char *what, CK_RV rv)
{
    if (rv != CKR_OK)
        die(what, rv);
}

CK_MECHANISM oaep(void)
{
    static CK_RSA_PKCS_OAEP_PARAMS params = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
    return (CK_MECHANISM){ CKM_RSA_PKCS_OAEP, &params, sizeof params };
}

static CK_RV find(CK_OBJECT_CLASS class, const char *label, CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class },
                                { CKA_LABEL, (void *)(size_t)label, strlen(label) } };
    CK_ULONG count = 0;
    CK_RV rv = f->C_FindObjectsInit(session, template, 2);
    if (rv != CKR_OK)
        return rv;
    must("C_FindObjects", f->C_FindObjects(session, ret, 1, &count));
    must("C_FindObjectsFinal", f->C_FindObjectsFinal(session));
    if (!count)
        *ret = CK_INVALID_HANDLE;
    return CKR_OK;
}

/* "wrong": it found nothing. */
static struct answer run_find(const char *label)
{
    CK_RV rv = find(CKO_PRIVATE_KEY, label, &private_key);
    if (rv != CKR_OK || !private_key)
        return (struct answer){ rv, rv == CKR_OK };
    must("find of the public key", find(CKO_PUBLIC_KEY, label, &public_key));
    must("C_Encrypt", run_encrypt(NULL).rv);
    return (struct answer){ CKR_OK, false };
}

/* "wrong": there is none. */
static struct answer run_list(const char *label)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class } };
    CK_OBJECT_HANDLE found[16];
    CK_ULONG count = 0;
    (void)label;
    CK_RV rv = f->C_FindObjectsInit(session, template, 1);
    if (rv != CKR_OK)
        return (struct answer){ rv, false };
    must("C_FindObjects", f->C_FindObjects(session, found, 16, &count));
    must("C_FindObjectsFinal", f->C_FindObjectsFinal(session));
    return (struct answer){ rv, count == 0 };
}

CK_RV sign(CK_SESSION_HANDLE with, unsigned char signature[512], CK_ULONG *ret_len)
{
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    CK_RV rv = f->C_SignInit(with, &mechanism, private_key);
    *ret_len = 512;
    return rv == CKR_OK ? f->C_Sign(with, secret, sizeof secret, signature, ret_len) : rv;
}

CK_RV verify(CK_SESSION_HANDLE with, unsigned char *signature, CK_ULONG len)
{
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    CK_RV rv = f->C_VerifyInit(with, &mechanism, public_key);
    return rv == CKR_OK ? f->C_Verify(with, secret, sizeof secret, signature, len) : rv;
}

static struct answer run_sign(const char *label)
{
    unsigned char signature[512];
    CK_ULONG len;
    (void)label;
    CK_RV rv = sign(session, signature, &len);
    return (struct answer){ rv, rv == CKR_OK && verify(session, signature, len) != CKR_OK };
}

static struct answer run_decrypt(const char *label)
{
    CK_MECHANISM mechanism = oaep();
    unsigned char plain[512];
    CK_ULONG len = sizeof plain;
    (void)label;
    CK_RV rv = f->C_DecryptInit(session, &mechanism, private_key);
    if (rv == CKR_OK)
        rv = f->C_Decrypt(session, sealed, sealed_len, plain, &len);
    bool same = len == sizeof secret && !memcmp(plain, secret, len);
    return (struct answer){ rv, rv == CKR_OK && !same };
}

static struct answer run_unwrap(const char *label)
{
    CK_MECHANISM mechanism = oaep();
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
    unsigned char value[64];
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class },
                                { CKA_KEY_TYPE, &type, sizeof type },
                                { CKA_SENSITIVE, &no, sizeof no },
                                { CKA_EXTRACTABLE, &yes, sizeof yes } };
    CK_ATTRIBUTE asked = { CKA_VALUE, value, sizeof value };
    CK_OBJECT_HANDLE key;
    (void)label;
    CK_RV rv = f->C_UnwrapKey(session, &mechanism, private_key, sealed, sealed_len, template, 4, &key);
    if (rv != CKR_OK)
        return (struct answer){ rv, false };
    must("C_GetAttributeValue", f->C_GetAttributeValue(session, key, &asked, 1));
    must("C_DestroyObject", f->C_DestroyObject(session, key));
    return (struct answer){ rv, asked.ulValueLen != sizeof secret || memcmp(value, secret, sizeof secret) };
}

static const struct {
    const char *name;
    struct answer (*run)(const char *label);
} commands[] = { { "find", run_find },       { "list", run_list },     { "sign", run_sign },
                 { "decrypt", run_decrypt }, { "unwrap", run_unwrap }, { "keep", run_keep },
                 { "encrypt", run_encrypt }, { "wrap", run_wrap },     { "verify", run_verify },
                 { "storm", run_storm } };

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void obey(char *line)
{
    char *argument = strchr(line, ' ');
    if (argument)
        *argument++ = 0;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, line) != 0)
            continue;
        long from = now_ms();
        struct answer answer = commands[i].run(argument);
        printf("%lx %ld%s\n", answer.rv, now_ms() - from, answer.wrong ? " wrong" : "");
        fflush(stdout);
        return;
    }
    die(line, 0);
}

static void open_module(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
    if (!get)
        die(dlerror(), 0);
    CK_ULONG count = 1;
    must("C_GetFunctionList", get(&f));
    must("C_Initialize", f->C_Initialize(NULL));
    must("C_GetSlotList", f->C_GetSlotList(CK_TRUE, &slot, &count));
    must("C_OpenSession", f->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
}

int main(int argc, char **argv)
{
    char line[256];
    if (argc != 2)
        die("usage: driver MODULE", 0);
    open_module(argv[1]);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        obey(line);
    }
    must("C_Finalize", f->C_Finalize(NULL));
    return 0;
}
