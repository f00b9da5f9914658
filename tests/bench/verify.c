/* Local verification: C_VerifyInit + C_Verify ÷ EVP_DigestVerify with the same public key, message and signature. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

static const unsigned char message[64] = { 42 };

struct verify {
    const struct bench_args *args;
    struct bench_module module;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE public;
    EVP_PKEY *key;
    CK_BYTE signature[512];
    CK_ULONG signature_len;
};

static void sign_once(struct verify *v)
{
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    CK_OBJECT_HANDLE private = bench_find(&v->module, v->session, CKO_PRIVATE_KEY, v->args->key_label);
    v->signature_len = sizeof v->signature;
    CK_RV rv = v->module.f->C_SignInit(v->session, &mechanism, private);
    if (rv == CKR_OK)
        rv = v->module.f->C_Sign(v->session, (CK_BYTE_PTR)message, sizeof message, v->signature,
                                 &v->signature_len);
    if (rv != CKR_OK)
        bench_die("C_Sign", rv);
}

static void load_public(struct verify *v)
{
    CK_BYTE spki[2048];
    CK_ATTRIBUTE attribute = { CKA_PUBLIC_KEY_INFO, spki, sizeof spki };
    v->public = bench_find(&v->module, v->session, CKO_PUBLIC_KEY, v->args->key_label);
    CK_RV rv = v->module.f->C_GetAttributeValue(v->session, v->public, &attribute, 1);
    const unsigned char *at = spki;
    v->key = rv == CKR_OK ? d2i_PUBKEY(NULL, &at, (long)attribute.ulValueLen) : NULL;
    if (!v->key)
        bench_die("CKA_PUBLIC_KEY_INFO", rv);
}

static double round_ours(struct verify *v)
{
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    double began = bench_now();
    for (unsigned i = 0; i < v->args->count; i++) {
        CK_RV rv = v->module.f->C_VerifyInit(v->session, &mechanism, v->public);
        if (rv == CKR_OK)
            rv = v->module.f->C_Verify(v->session, (CK_BYTE_PTR)message, sizeof message, v->signature,
                                       v->signature_len);
        if (rv != CKR_OK)
            bench_die("C_Verify", rv);
    }
    return v->args->count / (bench_now() - began);
}

static double round_bare(struct verify *v)
{
    double began = bench_now();
    for (unsigned i = 0; i < v->args->count; i++) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        if (!ctx || EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, v->key) != 1 ||
            EVP_DigestVerify(ctx, v->signature, v->signature_len, message, sizeof message) != 1)
            bench_die("EVP_DigestVerify", i);
        EVP_MD_CTX_free(ctx);
    }
    return v->args->count / (bench_now() - began);
}

void bench_verify(const struct bench_args *args)
{
    struct verify v = { .args = args, .module = bench_open(args) };
    double *ours = calloc(args->rounds, sizeof *ours), *bare = calloc(args->rounds, sizeof *bare);
    double *ratios = calloc(args->rounds, sizeof *ratios);
    if (!ours || !bare || !ratios)
        bench_die("out of memory", 0);
    v.session = bench_session(&v.module);
    sign_once(&v);
    load_public(&v);
    for (unsigned r = 0; r < args->rounds; r++) {
        ours[r] = round_ours(&v);
        bare[r] = round_bare(&v);
        ratios[r] = ours[r] / bare[r];
    }
    printf("{\"threads\":1,\"ours_per_second\":%.1f,\"bare_per_second\":%.1f,\"ratio\":%.3f}\n",
           bench_median(ours, args->rounds), bench_median(bare, args->rounds),
           bench_median(ratios, args->rounds));
    EVP_PKEY_free(v.key);
    v.module.f->C_Finalize(NULL);
    free(ours);
    free(bare);
    free(ratios);
}
