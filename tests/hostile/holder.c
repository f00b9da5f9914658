/* A host that holds secrets and lets them go, for planted.py, which looks into its memory when it pauses.
 *
 *     holder MODULE LABEL      standard input: plaintext, first key, second key, each 32 bytes XOR 0x5a; then a byte to go on at each pause
 *
 * Every copy of its own is wiped, so that what is found is the module's, or that of a library below it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../common/application.h"

enum { SIZE = 32 };

static CK_SESSION_HANDLE session;

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "holder: %s\n", what);
    _exit(2);
}

static void take(CK_BYTE *ret)
{
    size_t len = 0;
    while (len < SIZE) {
        ssize_t got = read(STDIN_FILENO, ret + len, SIZE - len);
        must(got > 0, "no more input");
        len += (size_t)got;
    }
    for (size_t i = 0; i < SIZE; i++)
        ret[i] ^= 0x5a;
}

static void pause_at(const char *where)
{
    char go;
    must(write(STDOUT_FILENO, where, strlen(where)) > 0 && read(STDIN_FILENO, &go, 1) == 1, "no more to do");
}

static CK_OBJECT_HANDLE find(CK_OBJECT_CLASS type, const char *label)
{
    struct app_found found;
    CK_ATTRIBUTE by = app_label(label);
    must(!app_find(session, type, &by, &found), "no search");
    return found.count ? found.objects[0] : 0;
}

static CK_OBJECT_HANDLE make_key(CK_BYTE *value)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &aes, sizeof aes },
                                { CKA_VALUE, value, SIZE },
                                { CKA_EXTRACTABLE, &yes, sizeof yes },
                                { CKA_ENCRYPT, &yes, sizeof yes } };
    CK_OBJECT_HANDLE key = 0;
    must(!p11->C_CreateObject(session, template, 5, &key), "no session key");
    return key;
}

static void use_key(CK_OBJECT_HANDLE key)
{
    CK_BYTE iv[16] = { 1 }, in[32] = { 2 }, out[64];
    CK_ULONG len = sizeof out;
    CK_MECHANISM cbc = { CKM_AES_CBC, iv, sizeof iv };
    must(!p11->C_EncryptInit(session, &cbc, key) && !p11->C_Encrypt(session, in, sizeof in, out, &len),
         "no encryption");
}

/* There and back, wrapped and unwrapped, and a failure of each. */
static void use_vault(CK_BYTE *plain, CK_OBJECT_HANDLE key, const char *label)
{
    CK_OBJECT_HANDLE open = find(CKO_PUBLIC_KEY, label), shut = find(CKO_PRIVATE_KEY, label), again = 0;
    CK_BYTE cipher[512], back[512], signature[512];
    CK_ULONG cipher_len = sizeof cipher, back_len = sizeof back, signature_len = sizeof signature;
    CK_MECHANISM sign = { CKM_SHA256_RSA_PKCS, NULL, 0 }, oaep = app_oaep();
    must(open && shut, "no such key");
    must(!p11->C_EncryptInit(session, &oaep, open) &&
             !p11->C_Encrypt(session, plain, SIZE, cipher, &cipher_len),
         "no ciphertext");
    must(!p11->C_DecryptInit(session, &oaep, shut) &&
             !p11->C_Decrypt(session, cipher, cipher_len, back, &back_len),
         "no plaintext");
    must(back_len == SIZE && !memcmp(plain, back, SIZE), "another plaintext");
    explicit_bzero(back, sizeof back);
    must(!p11->C_SignInit(session, &sign, shut) &&
             !p11->C_Sign(session, cipher, 20, signature, &signature_len),
         "no signature");
    cipher[9] ^= 1;
    back_len = sizeof back;
    must(!p11->C_DecryptInit(session, &oaep, shut) &&
             p11->C_Decrypt(session, cipher, cipher_len, back, &back_len),
         "a plaintext of nothing");
    cipher_len = sizeof cipher;
    must(!p11->C_WrapKey(session, &oaep, open, key, cipher, &cipher_len), "not wrapped");
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type }, { CKA_KEY_TYPE, &aes, sizeof aes } };
    must(!p11->C_UnwrapKey(session, &oaep, shut, cipher, cipher_len, template, 2, &again), "not unwrapped");
    must(!p11->C_DestroyObject(session, again), "not destroyed");
    must(!find(CKO_PRIVATE_KEY, "not-there"), "found what is not there");
}

int main(int count, char **arguments)
{
    CK_BYTE plain[SIZE], first[SIZE], second[SIZE];
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    must(count == 3, "usage: holder MODULE LABEL");
    app_load(arguments[1]);
    must(!p11->C_Initialize(&args), "not initialized");
    must(!p11->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session), "no session");
    take(plain);
    take(first);
    take(second);
    CK_OBJECT_HANDLE gone = make_key(first), kept = make_key(second);
    explicit_bzero(first, sizeof first);
    explicit_bzero(second, sizeof second);
    use_key(gone);
    use_key(kept);
    use_vault(plain, gone, arguments[2]);
    explicit_bzero(plain, sizeof plain);
    must(!p11->C_DestroyObject(session, gone), "not destroyed");
    pause_at("live\n");
    must(!p11->C_Finalize(NULL), "not finalized");
    pause_at("done\n");
    return 0;
}
