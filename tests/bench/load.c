/* A mass restore: keys unwrapped by many threads, as fast as the vault lets them. */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct restore {
    const struct bench_module *module;
    CK_OBJECT_HANDLE *keys; /* one a thread: handles are the session's to find, not its own */
    CK_SESSION_HANDLE *sessions;
    unsigned char wrapped[512];
    CK_ULONG wrapped_len;
    unsigned count;
    atomic_uint next, failures;
    atomic_ulong first_failure;
};

struct restorer {
    struct restore *restore;
    unsigned number;
};

static CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
static CK_MECHANISM mechanism = { CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep };

static CK_RV unwrap_once(const struct restore *restore, unsigned number)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class },
                                { CKA_KEY_TYPE, &type, sizeof type },
                                { CKA_TOKEN, &no, sizeof no } };
    CK_FUNCTION_LIST *f = restore->module->f;
    CK_OBJECT_HANDLE made;
    CK_RV rv = f->C_UnwrapKey(restore->sessions[number], &mechanism, restore->keys[number],
                              (CK_BYTE_PTR)restore->wrapped, restore->wrapped_len, template, 3, &made);
    return rv ? rv : f->C_DestroyObject(restore->sessions[number], made);
}

static void *work(void *argument)
{
    struct restorer *restorer = argument;
    struct restore *restore = restorer->restore;
    while (atomic_fetch_add(&restore->next, 1) < restore->count) {
        CK_RV rv = unwrap_once(restore, restorer->number);
        if (rv && !atomic_fetch_add(&restore->failures, 1))
            restore->first_failure = rv;
    }
    return NULL;
}

static void wrap_one(struct restore *restore, CK_OBJECT_HANDLE public)
{
    static unsigned char secret[32] = { 1, 2, 3 };
    CK_FUNCTION_LIST *f = restore->module->f;
    restore->wrapped_len = sizeof restore->wrapped;
    CK_RV rv = f->C_EncryptInit(restore->sessions[0], &mechanism, public);
    if (rv == CKR_OK)
        rv = f->C_Encrypt(restore->sessions[0], secret, sizeof secret, restore->wrapped,
                          &restore->wrapped_len);
    if (rv != CKR_OK)
        bench_die("C_Encrypt", rv);
}

void bench_load(const struct bench_args *args)
{
    struct bench_module module = bench_open(args);
    struct restore restore = { .module = &module, .count = args->count };
    struct restorer *restorers = calloc(args->threads, sizeof *restorers);
    pthread_t *ids = calloc(args->threads, sizeof *ids);
    restore.keys = calloc(args->threads, sizeof *restore.keys);
    restore.sessions = calloc(args->threads, sizeof *restore.sessions);
    if (!restorers || !ids || !restore.keys || !restore.sessions)
        bench_die("out of memory", 0);
    for (unsigned i = 0; i < args->threads; i++) {
        restorers[i] = (struct restorer){ &restore, i };
        restore.sessions[i] = bench_session(&module);
        restore.keys[i] = bench_find(&module, restore.sessions[i], CKO_PRIVATE_KEY, args->key_label);
    }
    wrap_one(&restore, bench_find(&module, restore.sessions[0], CKO_PUBLIC_KEY, args->key_label));
    double began = bench_now();
    for (unsigned i = 0; i < args->threads; i++)
        if (pthread_create(&ids[i], NULL, work, &restorers[i]))
            bench_die("pthread_create", i);
    for (unsigned i = 0; i < args->threads; i++)
        pthread_join(ids[i], NULL);
    printf("{\"threads\":%u,\"unwraps\":%u,\"failures\":%u,\"first_failure\":%lu,\"seconds\":%.3f}\n",
           args->threads, args->count, (unsigned)restore.failures, (unsigned long)restore.first_failure,
           bench_now() - began);
    module.f->C_Finalize(NULL);
    free(restorers);
    free(ids);
    free(restore.keys);
    free(restore.sessions);
}
