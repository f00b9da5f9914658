/* The module, driven line by line by tests/faults/bench.py: "find LABEL", "list", "sign", "decrypt", "unwrap". Each line is answered by one: the CK_RV of the
 * call that may fail in hexadecimal, its milliseconds, and "wrong" when it succeeded with anything but the right result. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "../common/application.h"

static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE private_key, public_key;
static unsigned char sealed[512]; /* `secret`, encrypted under the key */
static CK_ULONG sealed_len;
static unsigned char secret[32] = "thirty-two bytes worth keeping.";

struct answer {
    CK_RV rv;
    bool wrong;
};

/* The first with this label; CK_INVALID_HANDLE: there is none. */
static CK_RV find(CK_OBJECT_CLASS type, const char *label, CK_OBJECT_HANDLE *ret)
{
    struct app_found found;
    CK_ATTRIBUTE by = app_label(label);
    CK_RV rv = app_find(session, type, &by, &found);
    *ret = found.count ? found.objects[0] : CK_INVALID_HANDLE;
    return rv;
}

static void seal(void)
{
    CK_MECHANISM mechanism = app_oaep();
    sealed_len = sizeof sealed;
    app_must("C_EncryptInit", p11->C_EncryptInit(session, &mechanism, public_key));
    app_must("C_Encrypt", p11->C_Encrypt(session, secret, sizeof secret, sealed, &sealed_len));
}

/* "wrong": it found nothing. */
static struct answer run_find(const char *label)
{
    CK_RV rv = find(CKO_PRIVATE_KEY, label, &private_key);
    if (rv != CKR_OK || !private_key)
        return (struct answer){ rv, rv == CKR_OK };
    app_must("find of the public key", find(CKO_PUBLIC_KEY, label, &public_key));
    seal();
    return (struct answer){ CKR_OK, false };
}

/* "wrong": there is none. */
static struct answer run_list(const char *label)
{
    struct app_found found;
    (void)label;
    CK_RV rv = app_find(session, CKO_PRIVATE_KEY, NULL, &found);
    return (struct answer){ rv, rv == CKR_OK && !found.count };
}

static struct answer run_sign(const char *label)
{
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    unsigned char signature[512];
    CK_ULONG len = sizeof signature;
    (void)label;
    CK_RV rv = p11->C_SignInit(session, &mechanism, private_key);
    if (rv == CKR_OK)
        rv = p11->C_Sign(session, secret, sizeof secret, signature, &len);
    if (rv != CKR_OK)
        return (struct answer){ rv, false };
    app_must("C_VerifyInit", p11->C_VerifyInit(session, &mechanism, public_key));
    return (struct answer){ rv, p11->C_Verify(session, secret, sizeof secret, signature, len) != CKR_OK };
}

static struct answer run_decrypt(const char *label)
{
    CK_MECHANISM mechanism = app_oaep();
    unsigned char plain[512];
    CK_ULONG len = sizeof plain;
    (void)label;
    CK_RV rv = p11->C_DecryptInit(session, &mechanism, private_key);
    if (rv == CKR_OK)
        rv = p11->C_Decrypt(session, sealed, sealed_len, plain, &len);
    bool same = len == sizeof secret && !memcmp(plain, secret, len);
    return (struct answer){ rv, rv == CKR_OK && !same };
}

static struct answer run_unwrap(const char *label)
{
    struct app_value value;
    (void)label;
    CK_RV rv = app_unwrap(session, private_key, sealed, sealed_len, &value);
    bool same = value.len == sizeof secret && !memcmp(value.data, secret, sizeof secret);
    return (struct answer){ rv, rv == CKR_OK && !same };
}

static const struct {
    const char *name;
    struct answer (*run)(const char *label);
} commands[] = { { "find", run_find },
                 { "list", run_list },
                 { "sign", run_sign },
                 { "decrypt", run_decrypt },
                 { "unwrap", run_unwrap } };

static void obey(char *line)
{
    char *argument = strchr(line, ' ');
    if (argument)
        *argument++ = 0;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, line) != 0)
            continue;
        long from = app_now_ms();
        struct answer answer = commands[i].run(argument);
        printf("%lx %ld%s\n", answer.rv, app_now_ms() - from, answer.wrong ? " wrong" : "");
        fflush(stdout);
        return;
    }
    app_die(line, 0);
}

static void open_module(const char *path)
{
    CK_SLOT_ID slot;
    CK_ULONG count = 1;
    app_load(path);
    app_must("C_Initialize", p11->C_Initialize(NULL));
    app_must("C_GetSlotList", p11->C_GetSlotList(CK_TRUE, &slot, &count));
    app_must("C_OpenSession", p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
}

int main(int argc, char **argv)
{
    char line[256];
    if (argc != 2)
        app_die("usage: driver MODULE", 0);
    open_module(argv[1]);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        obey(line);
    }
    app_must("C_Finalize", p11->C_Finalize(NULL));
    return 0;
}
