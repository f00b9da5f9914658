/* The module, driven line by line by the tests of faults: "find LABEL", "list", "sign", "decrypt", "unwrap", "keep", "encrypt", "wrap", "verify",
 * "storm THREADS"; "secret LABEL" and "open" do the same as "find" and "decrypt" with a secret key. Each line is answered by one: the CK_RV of the call that
 * may fail in hexadecimal, its milliseconds, and "wrong" when it succeeded with anything but the right result. */
#include "driver.h"

CK_SLOT_ID slot;
CK_SESSION_HANDLE session;
CK_OBJECT_HANDLE private_key, public_key;
unsigned char sealed[512];
CK_ULONG sealed_len;
unsigned char secret[32] = "thirty-two bytes worth keeping.";

/* The first with this label; CK_INVALID_HANDLE: there is none. */
static CK_RV find(CK_OBJECT_CLASS type, const char *label, CK_OBJECT_HANDLE *ret)
{
    struct app_found found;
    CK_ATTRIBUTE by = app_label(label);
    CK_RV rv = app_find(session, type, &by, &found);
    *ret = found.count ? found.objects[0] : CK_INVALID_HANDLE;
    return rv;
}

/* "wrong": it found nothing. */
static struct answer run_find(const char *label)
{
    CK_RV rv = find(CKO_PRIVATE_KEY, label, &private_key);
    if (rv != CKR_OK || !private_key)
        return (struct answer){ rv, rv == CKR_OK };
    app_must("find of the public key", find(CKO_PUBLIC_KEY, label, &public_key));
    app_must("C_Encrypt", run_encrypt(NULL).rv);
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

CK_RV sign(CK_SESSION_HANDLE with, unsigned char signature[512], CK_ULONG *ret_len)
{
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    CK_RV rv = p11->C_SignInit(with, &mechanism, private_key);
    *ret_len = 512;
    return rv == CKR_OK ? p11->C_Sign(with, secret, sizeof secret, signature, ret_len) : rv;
}

CK_RV verify(CK_SESSION_HANDLE with, unsigned char *signature, CK_ULONG len)
{
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    CK_RV rv = p11->C_VerifyInit(with, &mechanism, public_key);
    return rv == CKR_OK ? p11->C_Verify(with, secret, sizeof secret, signature, len) : rv;
}

static struct answer run_sign(const char *label)
{
    unsigned char signature[512];
    CK_ULONG len;
    (void)label;
    CK_RV rv = sign(session, signature, &len);
    return (struct answer){ rv, rv == CKR_OK && verify(session, signature, len) != CKR_OK };
}

static struct answer open_sealed(CK_MECHANISM mechanism)
{
    unsigned char plain[512];
    CK_ULONG len = sizeof plain;
    CK_RV rv = p11->C_DecryptInit(session, &mechanism, private_key);
    if (rv == CKR_OK)
        rv = p11->C_Decrypt(session, sealed, sealed_len, plain, &len);
    bool same = len == sizeof secret && !memcmp(plain, secret, len);
    return (struct answer){ rv, rv == CKR_OK && !same };
}

static struct answer run_decrypt(const char *label)
{
    (void)label;
    return open_sealed(app_oaep());
}

static struct answer run_unwrap(const char *label)
{
    struct app_value value;
    (void)label;
    CK_RV rv = app_unwrap(session, private_key, sealed, sealed_len, &value);
    bool same = value.len == sizeof secret && !memcmp(value.data, secret, sizeof secret);
    return (struct answer){ rv, rv == CKR_OK && !same };
}

static CK_MECHANISM cbc(void)
{
    static unsigned char iv[16] = "sixteen bytes...";
    return (CK_MECHANISM){ CKM_AES_CBC_PAD, iv, sizeof iv };
}

/* "wrong": it found nothing. */
static struct answer run_secret(const char *label)
{
    CK_MECHANISM mechanism = cbc();
    CK_RV rv = find(CKO_SECRET_KEY, label, &private_key);
    if (rv != CKR_OK || !private_key)
        return (struct answer){ rv, rv == CKR_OK };
    sealed_len = sizeof sealed;
    app_must("C_EncryptInit", p11->C_EncryptInit(session, &mechanism, private_key));
    app_must("C_Encrypt", p11->C_Encrypt(session, secret, sizeof secret, sealed, &sealed_len));
    return (struct answer){ CKR_OK, false };
}

static struct answer run_open(const char *label)
{
    (void)label;
    return open_sealed(cbc());
}

static const struct {
    const char *name;
    struct answer (*run)(const char *label);
} commands[] = { { "find", run_find },       { "list", run_list },     { "sign", run_sign },
                 { "decrypt", run_decrypt }, { "unwrap", run_unwrap }, { "keep", run_keep },
                 { "encrypt", run_encrypt }, { "wrap", run_wrap },     { "verify", run_verify },
                 { "storm", run_storm },     { "secret", run_secret }, { "open", run_open } };

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
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;
    app_load(path);
    app_must("C_Initialize", p11->C_Initialize(NULL));
    app_must("C_GetSlotList", p11->C_GetSlotList(CK_TRUE, slots, &count));
    slot = slots[0];
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
