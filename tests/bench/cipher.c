/* AES-256-GCM with a session key, 64 KiB an update: C_EncryptUpdate ÷ EVP_EncryptUpdate with the same key and nonce. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

enum { PIECE = 65536 };

static unsigned char key_value[32] = { 7 }, nonce[12] = { 1 };

struct cipher {
    const struct bench_args *args;
    struct bench_module module;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    unsigned char in[PIECE], out[PIECE + 16], ours[16], bare[16]; /* the tags, which must agree */
};

static CK_OBJECT_HANDLE create_key(const struct cipher *c)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &aes, sizeof aes },
                                { CKA_VALUE, key_value, sizeof key_value } };
    CK_RV rv = c->module.f->C_CreateObject(c->session, template, 3, &key);
    if (rv != CKR_OK)
        bench_die("C_CreateObject", rv);
    return key;
}

/* MiB a second. */
static double round_ours(struct cipher *c)
{
    CK_GCM_PARAMS params = { .pIv = nonce, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128 };
    CK_MECHANISM mechanism = { CKM_AES_GCM, &params, sizeof params };
    CK_FUNCTION_LIST *f = c->module.f;
    double began = bench_now();
    CK_RV rv = f->C_EncryptInit(c->session, &mechanism, c->key);
    for (unsigned i = 0; rv == CKR_OK && i < c->args->count; i++) {
        CK_ULONG len = sizeof c->out;
        rv = f->C_EncryptUpdate(c->session, c->in, PIECE, c->out, &len);
        if (len != PIECE)
            bench_die("C_EncryptUpdate gave another length", len);
    }
    CK_ULONG len = sizeof c->ours;
    if (rv == CKR_OK)
        rv = f->C_EncryptFinal(c->session, c->ours, &len);
    if (rv != CKR_OK || len != sizeof c->ours)
        bench_die("C_Encrypt…", rv);
    return c->args->count / 16.0 / (bench_now() - began);
}

static double round_bare(struct cipher *c)
{
    int len = 0;
    double began = bench_now();
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (!context || EVP_EncryptInit_ex2(context, EVP_aes_256_gcm(), key_value, nonce, NULL) != 1)
        bench_die("EVP_EncryptInit_ex2", 0);
    for (unsigned i = 0; i < c->args->count; i++)
        if (EVP_EncryptUpdate(context, c->out, &len, c->in, PIECE) != 1 || len != PIECE)
            bench_die("EVP_EncryptUpdate", i);
    if (EVP_EncryptFinal_ex(context, c->out, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, sizeof c->bare, c->bare) != 1)
        bench_die("EVP_EncryptFinal_ex", 0);
    EVP_CIPHER_CTX_free(context);
    return c->args->count / 16.0 / (bench_now() - began);
}

void bench_cipher(const struct bench_args *args)
{
    static struct cipher c;
    double *ours = calloc(args->rounds, sizeof *ours), *bare = calloc(args->rounds, sizeof *bare);
    double *ratios = calloc(args->rounds, sizeof *ratios);
    if (!ours || !bare || !ratios)
        bench_die("out of memory", 0);
    c.args = args;
    c.module = bench_open(args);
    c.session = bench_session(&c.module);
    c.key = create_key(&c);
    for (unsigned r = 0; r < args->rounds; r++) {
        ours[r] = round_ours(&c);
        bare[r] = round_bare(&c);
        ratios[r] = ours[r] / bare[r];
        if (memcmp(c.ours, c.bare, sizeof c.ours) != 0)
            bench_die("the tags differ", r);
    }
    printf("{\"threads\":1,\"ours_mib_per_second\":%.1f,\"bare_mib_per_second\":%.1f,\"ratio\":%.3f}\n",
           bench_median(ours, args->rounds), bench_median(bare, args->rounds),
           bench_median(ratios, args->rounds));
    c.module.f->C_Finalize(NULL);
    free(ours);
    free(bare);
    free(ratios);
}
