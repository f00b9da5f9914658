#include "matrix.h"

#include <stdio.h>
#include <openssl/rsa.h>
#include "known.h"
#include "matrix_session.h"
#include "mech/local.h"
#include "../common/rsa_keys.h"

/* --- what is known of each type. A mechanism that is not here has no test --- */

static const struct {
    CK_MECHANISM_TYPE type;
    enum matrix_scheme scheme;
    enum matrix_form form;
} types[] = {
    { CKM_RSA_PKCS, MATRIX_RSA, MATRIX_BARE },
    { CKM_SHA256_RSA_PKCS, MATRIX_RSA, MATRIX_BARE },
    { CKM_SHA384_RSA_PKCS, MATRIX_RSA, MATRIX_BARE },
    { CKM_SHA512_RSA_PKCS, MATRIX_RSA, MATRIX_BARE },
    { CKM_RSA_PKCS_PSS, MATRIX_RSA, MATRIX_PSS_PARAM },
    { CKM_SHA256_RSA_PKCS_PSS, MATRIX_RSA, MATRIX_PSS_PARAM },
    { CKM_SHA384_RSA_PKCS_PSS, MATRIX_RSA, MATRIX_PSS_PARAM },
    { CKM_SHA512_RSA_PKCS_PSS, MATRIX_RSA, MATRIX_PSS_PARAM },
    { CKM_RSA_PKCS_OAEP, MATRIX_RSA, MATRIX_OAEP_PARAM },
    { CKM_ECDSA, MATRIX_ECDSA, MATRIX_BARE },
    { CKM_ECDSA_SHA256, MATRIX_ECDSA, MATRIX_BARE },
    { CKM_ECDSA_SHA384, MATRIX_ECDSA, MATRIX_BARE },
    { CKM_ECDSA_SHA512, MATRIX_ECDSA, MATRIX_BARE },
    { CKM_SHA256_HMAC, MATRIX_MAC, MATRIX_BARE },
    { CKM_SHA384_HMAC, MATRIX_MAC, MATRIX_BARE },
    { CKM_SHA512_HMAC, MATRIX_MAC, MATRIX_BARE },
    { CKM_SHA256_HMAC_GENERAL, MATRIX_MAC, MATRIX_LENGTH_PARAM },
    { CKM_SHA384_HMAC_GENERAL, MATRIX_MAC, MATRIX_LENGTH_PARAM },
    { CKM_SHA512_HMAC_GENERAL, MATRIX_MAC, MATRIX_LENGTH_PARAM },
    { CKM_AES_KEY_WRAP, MATRIX_KW, MATRIX_KW_PARAM },
    { CKM_AES_KEY_WRAP_PAD, MATRIX_KWP, MATRIX_KWP_PARAM },
    { CKM_AES_KEY_WRAP_KWP, MATRIX_KWP, MATRIX_KWP_PARAM },
    { CKM_AES_GCM, MATRIX_GCM, MATRIX_GCM_PARAM },
    { CKM_AES_CBC, MATRIX_CBC, MATRIX_IV_PARAM },
    { CKM_AES_CBC_PAD, MATRIX_CBC_PAD, MATRIX_IV_PARAM },
    { CKM_AES_CTR, MATRIX_CTR, MATRIX_CTR_PARAM },
    { CKM_AES_KEY_GEN, MATRIX_GENERATE, MATRIX_BARE },
    { CKM_HKDF_KEY_GEN, MATRIX_GENERATE, MATRIX_BARE },
    { CKM_HKDF_DERIVE, MATRIX_DERIVE, MATRIX_HKDF_PARAM },
    { CKM_RSA_PKCS_KEY_PAIR_GEN, MATRIX_PAIR, MATRIX_BARE },
    { CKM_EC_KEY_PAIR_GEN, MATRIX_PAIR, MATRIX_BARE },
    { CKM_GENERIC_SECRET_KEY_GEN, MATRIX_GENERATE, MATRIX_BARE },
    { CKM_SHA256, MATRIX_DIGEST, MATRIX_BARE },
    { CKM_SHA384, MATRIX_DIGEST, MATRIX_BARE },
    { CKM_SHA512, MATRIX_DIGEST, MATRIX_BARE },
};

static struct matrix_case case_of(const struct kv_mech *row)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == row->type)
            return (struct matrix_case){ row, NULL, types[i].scheme, types[i].form };
    fail_msg("no test for this row: %s %s; give its type a line in tests/p11/matrix.c", row->name,
             row->alg ? row->alg : "");
    return (struct matrix_case){ 0 };
}

/* --- keys --- */

static const unsigned char bytes[64] = "0123456789abcdefFEDCBA9876543210 and thirty-two more for HMACs!";
static struct matrix_key keys[] = {
    { "m-rsa", KV_RSA, false, false, PROD, 2048, NULL },
    { "m-rsa-hsm", KV_RSA, false, false, HSM, 3072, NULL },
    { "m-p256", KV_EC, false, false, PROD, 256, "P-256" },
    { "m-p384", KV_EC, false, false, PROD, 384, "P-384" },
    { "m-p521", KV_EC, false, false, PROD, 521, "P-521" },
    { "m-p256k", KV_EC, false, false, PROD, 256, "P-256K" },
    { "m-p384-hsm", KV_EC, false, false, HSM, 384, "P-384" },
    { "m-oct128", KV_OCT, false, false, HSM, 128, NULL },
    { "m-oct192", KV_OCT, false, false, HSM, 192, NULL },
    { "m-oct256", KV_OCT, false, false, HSM, 256, NULL },
    { "m-mac", KV_OCT, false, true, HSM, 256, NULL },
    { "session AES-128", KV_OCT, true, false, PROD, 128, NULL },
    { "session AES-192", KV_OCT, true, false, PROD, 192, NULL },
    { "session AES-256", KV_OCT, true, false, PROD, 256, NULL },
    { "session secret", KV_OCT, true, true, PROD, 512, NULL },
    { "session RSA", KV_RSA, true, false, PROD, 2048, NULL },
    { "session P-256", KV_EC, true, false, PROD, 256, "P-256" },
    { "session P-384", KV_EC, true, false, PROD, 384, "P-384" },
    { "session P-521", KV_EC, true, false, PROD, 521, "P-521" },
    { "session P-256K", KV_EC, true, false, PROD, 256, "P-256K" },
};
enum { KEYS = sizeof keys / sizeof *keys };

size_t matrix_keys(const struct matrix_key **ret)
{
    *ret = keys;
    return KEYS;
}

const struct matrix_key *matrix_find(const char *name)
{
    for (size_t i = 0; i < KEYS; i++)
        if (!strcmp(keys[i].name, name))
            return &keys[i];
    fail_msg("no key '%s'", name);
    return NULL;
}

const char *matrix_import(const struct matrix_key *key, const char *name, const char *ops)
{
    const char *vault = matrix_vault(key);
    ops = key->mac && !ops ? "sign,verify" : ops;
    return key->kind == KV_OCT ? known_import_secret(vault, name, key->value, ops)
                               : known_import(vault, name, key->pkey, ops);
}

const char *matrix_vault(const struct matrix_key *key)
{
    return key->slot == HSM ? "hsm" : "prod";
}

static void make(struct matrix_key *key)
{
    if (key->kind == KV_OCT)
        key->value = BYTES(bytes, key->bits / 8);
    else
        key->pkey = key->kind == KV_RSA ? rsa_key(NULL, key->bits, key->in_session) : known_ec(key->curve);
    if (!key->in_session)
        matrix_import(key, key->name, NULL);
}

static CK_OBJECT_HANDLE create(const struct matrix_key *key)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE kind = key->mac ? CKK_GENERIC_SECRET : CKK_AES;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE, mac = key->mac;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &kind, sizeof kind },
                                { CKA_VALUE, (void *)key->value.data, key->value.len },
                                { CKA_EXTRACTABLE, &yes, sizeof yes },
                                { CKA_SENSITIVE, &no, sizeof no },
                                { CKA_SIGN, &mac, sizeof mac },
                                { CKA_VERIFY, &mac, sizeof mac } };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    ok(world.p11->C_CreateObject(key->session, template, 7, &object));
    return object;
}

static void find(struct matrix_key *key)
{
    if (key->in_session && key->kind != KV_OCT)
        matrix_session_pair(key, NULL, NULL);
    else if (key->in_session)
        key->shut = key->open = create(key);
    else if (key->kind == KV_OCT)
        key->shut = key->open = find_one(key->session, CKO_SECRET_KEY, key->name);
    else {
        key->shut = find_one(key->session, CKO_PRIVATE_KEY, key->name);
        key->open = find_one(key->session, CKO_PUBLIC_KEY, key->name);
    }
}

int matrix_start(void **state)
{
    if (world_start(state))
        return -1;
    configure("none", "rsa1_5 = yes\napi_version = 2026-04-01"); /* which tells the sizes of secret keys */
    for (size_t i = 0; i < KEYS; i++)
        make(&keys[i]);
    initialize();
    CK_SESSION_HANDLE sessions[] = { [PROD] = open_session(PROD), [HSM] = open_session(HSM) };
    for (size_t i = 0; i < KEYS; i++) {
        keys[i].session = sessions[keys[i].slot];
        find(&keys[i]);
    }
    return 0;
}

int matrix_stop(void **state)
{
    for (size_t i = 0; i < KEYS; i++)
        EVP_PKEY_free(keys[i].pkey);
    return world_stop(state);
}

/* --- walking --- */

static bool serves_place(const struct matrix_case *it, const struct matrix_key *key)
{
    switch (it->row->service) {
    case KV_ANY:
        return true;
    case KV_MANAGED_HSM:
        return !key->in_session && key->slot == HSM;
    case KV_SESSION:
        return key->in_session;
    }
    return false;
}

static bool serves(const struct matrix_case *it, const struct matrix_key *key)
{
    const struct kv_mech *row = it->row;
    if (row->kind != key->kind || !serves_place(it, key) || key->mac != (it->scheme == MATRIX_MAC))
        return false;
    return (!row->curve || !strcmp(row->curve, key->curve)) && (!row->key_bits || row->key_bits == key->bits);
}

bool matrix_case_of(const struct kv_mech *row, const struct matrix_key *key, struct matrix_case *ret)
{
    *ret = case_of(row);
    ret->key = key;
    return row->operations & KV_OP_ALL;
}

/* A Managed HSM makes the nonce of AES-GCM and takes none: what names it at the beginning cannot work. */
static bool has_foreign_nonce(const struct matrix_case *it, unsigned operation)
{
    return it->scheme == MATRIX_GCM && it->row->service == KV_MANAGED_HSM &&
           operation & (KV_OP_ENCRYPT | KV_OP_WRAP);
}

static size_t walk(unsigned operation, matrix_arm *arm, bool foreign)
{
    size_t all = 0;
    for (size_t i = 0; i < kv_mech_count; i++) {
        size_t served = 0;
        struct matrix_case it = case_of(&kv_mech_table[i]);
        if (!(it.row->operations & operation) || has_foreign_nonce(&it, operation) != foreign ||
            it.row == kv_mech_rsnull()) /* by a setting only: test_codes.c */
            continue;
        for (size_t k = 0; k < KEYS; k++)
            if (serves(&it, &keys[k])) {
                it.key = &keys[k];
                arm(&it);
                served++;
            }
        if (!served)
            fail_msg("%s %s: no key serves this row", it.row->name, it.row->alg ? it.row->alg : "");
        all += served;
    }
    return all;
}

size_t matrix_walk(unsigned operation, matrix_arm *arm)
{
    return walk(operation, arm, false);
}

size_t matrix_walk_refused(unsigned operation, matrix_arm *arm)
{
    return walk(operation, arm, true);
}

size_t matrix_walk_keyless(unsigned operation, matrix_arm *arm)
{
    size_t all = 0;
    for (size_t i = 0; i < kv_mech_count; i++) {
        struct matrix_case it = case_of(&kv_mech_table[i]);
        it.key = &keys[0];
        if (it.row->operations & operation) {
            arm(&it);
            all++;
        }
    }
    return all;
}

const struct matrix_key *matrix_stranger(const struct matrix_case *it)
{
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].slot == it->key->slot && keys[i].kind != it->key->kind)
            return &keys[i];
    return NULL;
}

const char *matrix_name(const struct matrix_case *it)
{
    static char text[160];
    snprintf(text, sizeof text, "%s %s with '%s'", it->row->name,
             it->row->alg   ? it->row->alg
             : it->row->evp ? it->row->evp
                            : "",
             it->key->name);
    return text;
}

/* --- mechanisms --- */

CK_RSA_PKCS_MGF_TYPE matrix_mgf(CK_MECHANISM_TYPE digest)
{
    return digest == CKM_SHA256   ? CKG_MGF1_SHA256
           : digest == CKM_SHA384 ? CKG_MGF1_SHA384
           : digest == CKM_SHA512 ? CKG_MGF1_SHA512
                                  : CKG_MGF1_SHA1;
}

static CK_ULONG fill(const struct matrix_case *it, struct matrix_mechanism *ret)
{
    const struct kv_mech *row = it->row;
    switch (it->form) {
    case MATRIX_BARE:
    case MATRIX_KW_PARAM:
    case MATRIX_KWP_PARAM:
    case MATRIX_HKDF_PARAM: /* its tests make their own */
        return 0;
    case MATRIX_PSS_PARAM:
        ret->params.pss =
            (CK_RSA_PKCS_PSS_PARAMS){ row->digest, matrix_mgf(row->digest), kv_digest_size(row->evp) };
        return sizeof ret->params.pss;
    case MATRIX_OAEP_PARAM:
        ret->params.oaep =
            (CK_RSA_PKCS_OAEP_PARAMS){ row->digest, matrix_mgf(row->digest), CKZ_DATA_SPECIFIED, NULL, 0 };
        return sizeof ret->params.oaep;
    case MATRIX_IV_PARAM:
        memcpy(ret->params.bytes, ret->iv, 16);
        return 16;
    case MATRIX_CTR_PARAM:
        ret->params.ctr.ulCounterBits = 32;
        memcpy(ret->params.ctr.cb, ret->iv, 16);
        return sizeof ret->params.ctr;
    case MATRIX_LENGTH_PARAM:
        ret->params.length = MATRIX_MAC_LEN;
        return sizeof ret->params.length;
    case MATRIX_GCM_PARAM:
        ret->params.gcm = (CK_GCM_PARAMS){ .pIv = ret->iv,
                                           .ulIvLen = 12,
                                           .ulIvBits = 96,
                                           .aad_ptr = ret->aad,
                                           .aad_len = sizeof ret->aad,
                                           .ulTagBits = 128 };
        return sizeof ret->params.gcm;
    }
    return 0;
}

CK_MECHANISM *matrix_mechanism(const struct matrix_case *it, struct matrix_mechanism *ret)
{
    memset(ret, 0, sizeof *ret);
    memcpy(ret->iv, "an initial value", 16);
    memcpy(ret->aad, "with aad", 8);
    ret->mechanism.mechanism = it->row->type;
    ret->mechanism.ulParameterLen = fill(it, ret);
    ret->mechanism.pParameter = ret->mechanism.ulParameterLen ? &ret->params : NULL;
    return &ret->mechanism;
}

bool matrix_is_remote(const struct matrix_case *it, unsigned operation)
{
    if (it->key->in_session)
        return false;
    return it->key->kind == KV_OCT || !(operation & (KV_OP_VERIFY | KV_OP_ENCRYPT | KV_OP_WRAP));
}

bool matrix_has_parts(const struct matrix_case *it)
{
    return it->row->input == KV_MESSAGE || it->key->kind == KV_OCT;
}

struct kv_view matrix_plain(const struct matrix_case *it)
{
    static const char text[] = "thirty-two bytes of a plain text";
    return BYTES(text, it->scheme == MATRIX_KW || it->scheme == MATRIX_CBC ? 32 : 21);
}

CK_OBJECT_HANDLE matrix_half(const struct matrix_key *key, unsigned operation)
{
    return operation & (KV_OP_VERIFY | KV_OP_ENCRYPT | KV_OP_WRAP) ? key->open : key->shut;
}

CK_RV matrix_init(const struct matrix_case *it, unsigned operation, CK_MECHANISM *mechanism,
                  CK_OBJECT_HANDLE key)
{
    CK_FUNCTION_LIST *p11 = world.p11;
    return (operation == KV_OP_SIGN      ? p11->C_SignInit
            : operation == KV_OP_VERIFY  ? p11->C_VerifyInit
            : operation == KV_OP_ENCRYPT ? p11->C_EncryptInit
                                         : p11->C_DecryptInit)(it->key->session, mechanism, key);
}

void matrix_cancel(const struct matrix_case *it)
{
    ok(world.p11->C_SignInit(it->key->session, NULL, 0));
    ok(world.p11->C_VerifyInit(it->key->session, NULL, 0));
    ok(world.p11->C_EncryptInit(it->key->session, NULL, 0));
    ok(world.p11->C_DecryptInit(it->key->session, NULL, 0));
}
