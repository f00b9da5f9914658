/* A restore of everything: wrapped keys of many versions, each opened by exactly one request. One process wraps them and leaves them in a file, another one opens them. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET = 32, WRAPPED = 512, VERSIONS = 1024 };

struct record {
    CK_BYTE id[20]; /* CKA_ID of the version */
    CK_BYTE len[2], wrapped[WRAPPED];
};

static CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
static CK_MECHANISM mechanism = { CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep };

static void secret_of(unsigned number, CK_BYTE *ret)
{
    for (size_t i = 0; i < SECRET; i++)
        ret[i] = (CK_BYTE)(number >> (i % 4 * 8) ^ i * 29);
}

static CK_ULONG find_all(const struct bench_module *module, CK_SESSION_HANDLE session, CK_OBJECT_CLASS class,
                         CK_OBJECT_HANDLE *ret)
{
    CK_KEY_TYPE type = CKK_RSA;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class }, { CKA_KEY_TYPE, &type, sizeof type } };
    CK_ULONG found = 0;
    CK_RV rv = module->f->C_FindObjectsInit(session, template, 2);
    if (rv == CKR_OK)
        rv = module->f->C_FindObjects(session, ret, VERSIONS, &found);
    module->f->C_FindObjectsFinal(session);
    if (rv != CKR_OK || !found)
        bench_die("no keys", rv);
    return found;
}

static void id_of(const struct bench_module *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                  CK_BYTE *ret)
{
    CK_ATTRIBUTE id = { CKA_ID, ret, 20 };
    CK_RV rv = module->f->C_GetAttributeValue(session, object, &id, 1);
    if (rv != CKR_OK || id.ulValueLen != 20)
        bench_die("C_GetAttributeValue", rv);
}

static FILE *open_records(const struct bench_args *args, const char *mode)
{
    FILE *file = args->blobs ? fopen(args->blobs, mode) : NULL;
    if (!file)
        bench_die("--blobs FILE cannot be opened", 0);
    return file;
}

void bench_wrap(const struct bench_args *args)
{
    struct bench_module module = bench_open(args);
    CK_SESSION_HANDLE session = bench_session(&module);
    static CK_OBJECT_HANDLE keys[VERSIONS];
    CK_ULONG versions = find_all(&module, session, CKO_PUBLIC_KEY, keys);
    FILE *file = open_records(args, "wb");
    double began = bench_now();
    for (unsigned i = 0; i < args->count; i++) {
        struct record record = { 0 };
        CK_BYTE secret[SECRET];
        CK_ULONG len = WRAPPED;
        secret_of(i, secret);
        id_of(&module, session, keys[i % versions], record.id);
        CK_RV rv = module.f->C_EncryptInit(session, &mechanism, keys[i % versions]);
        if (rv == CKR_OK)
            rv = module.f->C_Encrypt(session, secret, SECRET, record.wrapped, &len);
        if (rv != CKR_OK)
            bench_die("C_Encrypt", rv);
        record.len[0] = (CK_BYTE)(len >> 8);
        record.len[1] = (CK_BYTE)len;
        if (fwrite(&record, sizeof record, 1, file) != 1)
            bench_die("fwrite", 0);
    }
    if (fclose(file))
        bench_die("fclose", 0);
    printf("{\"wrapped\":%u,\"versions\":%lu,\"seconds\":%.3f}\n", args->count, versions,
           bench_now() - began);
    module.f->C_Finalize(NULL);
}

static CK_RV decrypt(const struct bench_module *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
                     struct record *record, CK_BYTE *ret)
{
    CK_ULONG len = WRAPPED;
    CK_BYTE out[WRAPPED];
    CK_RV rv = module->f->C_DecryptInit(session, &mechanism, key);
    if (rv == CKR_OK)
        rv = module->f->C_Decrypt(session, record->wrapped, (CK_ULONG)record->len[0] << 8 | record->len[1],
                                  out, &len);
    if (rv == CKR_OK && len != SECRET)
        bench_die("another length came back", len);
    if (rv == CKR_OK)
        memcpy(ret, out, SECRET);
    return rv;
}

static CK_RV unwrap(const struct bench_module *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
                    struct record *record, CK_BYTE *ret)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class },
                                { CKA_KEY_TYPE, &type, sizeof type },
                                { CKA_TOKEN, &no, sizeof no },
                                { CKA_SENSITIVE, &no, sizeof no },
                                { CKA_EXTRACTABLE, &yes, sizeof yes } };
    CK_ATTRIBUTE value = { CKA_VALUE, ret, SECRET };
    CK_OBJECT_HANDLE made;
    CK_RV rv = module->f->C_UnwrapKey(session, &mechanism, key, record->wrapped,
                                      (CK_ULONG)record->len[0] << 8 | record->len[1], template, 5, &made);
    if (rv == CKR_OK)
        rv = module->f->C_GetAttributeValue(session, made, &value, 1);
    return rv ? rv : module->f->C_DestroyObject(session, made);
}

/* By its own version's key, as a URI with id= finds it, or by the current one, as a name does: then the ledger knows which it is. By turns unwrapped and decrypted. */
void bench_restore(const struct bench_args *args)
{
    struct bench_module module = bench_open(args);
    CK_SESSION_HANDLE session = bench_session(&module);
    static CK_OBJECT_HANDLE keys[VERSIONS];
    static CK_BYTE ids[VERSIONS][20];
    CK_ULONG versions = find_all(&module, session, CKO_PRIVATE_KEY, keys);
    CK_OBJECT_HANDLE current = bench_find(&module, session, CKO_PRIVATE_KEY, args->key_label);
    FILE *file = open_records(args, "rb");
    unsigned wrong = 0, count = 0;
    for (CK_ULONG i = 0; i < versions; i++)
        id_of(&module, session, keys[i], ids[i]);
    double began = bench_now();
    for (struct record record; fread(&record, sizeof record, 1, file) == 1; count++) {
        CK_BYTE wanted[SECRET], got[SECRET] = { 0 };
        CK_ULONG at = 0;
        while (at < versions && memcmp(ids[at], record.id, sizeof record.id) != 0)
            at++;
        CK_OBJECT_HANDLE key = count & 1 || at == versions ? current : keys[at];
        CK_RV rv = (count & 2 ? decrypt : unwrap)(&module, session, key, &record, got);
        if (rv != CKR_OK)
            bench_die("a key cannot be opened", rv);
        secret_of(count, wanted);
        wrong += memcmp(wanted, got, SECRET) != 0;
    }
    fclose(file);
    printf("{\"opened\":%u,\"wrong\":%u,\"versions\":%lu,\"seconds\":%.3f}\n", count, wrong, versions,
           bench_now() - began);
    module.f->C_Finalize(NULL);
}
