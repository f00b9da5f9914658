/* Many threads that use a key in every way, while tests/soak/run does its worst to the vault. Every result is checked here by OpenSSL, without the module.
 *
 *     soak MODULE THREADS RSA-LABEL EC-LABEL
 *
 * Reads lines: "calm" (from here on nothing may fail), "stop". Ends with one line of JSON: operations by kind, return values, what was wrong. */
#include <dlfcn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "mech/pkcs11.h"

enum { THREADS_MAX = 64, SECRET = 32, OLD = 64, CODES = 32, OPERATIONS = 8, ROOM = 512 };

static CK_FUNCTION_LIST *f;
static CK_SLOT_ID slot;
static const char *rsa_label, *ec_label;
static atomic_bool calm, stop;

struct key { /* a version, as it was found */
    CK_OBJECT_HANDLE private, public;
    EVP_PKEY *pkey;
};

struct blob { /* encrypted under some version, which may be an old one by now */
    unsigned char plain[SECRET], sealed[ROOM];
    CK_ULONG len;
};

static struct {
    pthread_mutex_t lock; /* all below */
    struct blob blobs[OLD];
    size_t count;
    long done[OPERATIONS], failed[OPERATIONS], wrong, calm_failed, calm_done, slowest_ms;
    struct {
        CK_RV rv;
        long count;
    } codes[CODES];
    char first_wrong[128];
} tally = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct worker {
    CK_SESSION_HANDLE session;
    struct key rsa, ec;
    const char *wrong; /* what is wrong with a result that the module called right */
};

static void die(const char *what, CK_RV rv)
{
    fprintf(stderr, "soak: %s: 0x%lx\n", what, rv);
    exit(1);
}

static CK_RV wrong(struct worker *worker, const char *what)
{
    worker->wrong = what;
    return CKR_OK;
}

static unsigned draw(unsigned below)
{
    unsigned value = 0;
    RAND_bytes((unsigned char *)&value, sizeof value);
    return value % below;
}

/* ---- what OpenSSL does ---- */

static bool verifies(EVP_PKEY *pkey, const unsigned char *data, const unsigned char *signature, size_t len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, pkey) == 1 &&
                EVP_DigestVerify(context, signature, len, data, SECRET) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

static bool verifies_raw(EVP_PKEY *pkey, const unsigned char *data, const unsigned char *raw, size_t len)
{
    unsigned char der[160], *end = der;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    ECDSA_SIG_set0(signature, BN_bin2bn(raw, (int)len / 2, NULL),
                   BN_bin2bn(raw + len / 2, (int)len / 2, NULL));
    int der_len = len <= 2 * 66 ? i2d_ECDSA_SIG(signature, &end) : 0;
    ECDSA_SIG_free(signature);
    return der_len > 0 && verifies(pkey, data, der, (size_t)der_len);
}

static bool seal(EVP_PKEY *pkey, struct blob *ret)
{
    size_t len = sizeof ret->sealed;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
    RAND_bytes(ret->plain, SECRET);
    bool done = EVP_PKEY_encrypt_init(context) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) == 1 &&
                EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1 &&
                EVP_PKEY_encrypt(context, ret->sealed, &len, ret->plain, SECRET) == 1;
    EVP_PKEY_CTX_free(context);
    ret->len = len;
    return done;
}

/* ---- finding ---- */

static CK_RV find_one(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, const char *label,
                      CK_OBJECT_HANDLE *ret)
{
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class },
                                { CKA_LABEL, (void *)(size_t)label, strlen(label) } };
    CK_ULONG count = 0;
    CK_OBJECT_HANDLE found[2];
    CK_RV rv = f->C_FindObjectsInit(session, template, 2);
    if (rv != CKR_OK)
        return rv;
    rv = f->C_FindObjects(session, found, 2, &count);
    f->C_FindObjectsFinal(session);
    if (rv == CKR_OK && count != 1)
        return CKR_KEY_HANDLE_INVALID;
    *ret = found[0];
    return rv;
}

static CK_RV find_key(CK_SESSION_HANDLE session, const char *label, struct key *ret)
{
    unsigned char spki[1024];
    const unsigned char *at = spki;
    struct key key = { 0 };
    CK_ATTRIBUTE asked = { CKA_PUBLIC_KEY_INFO, spki, sizeof spki };
    CK_RV rv = find_one(session, CKO_PRIVATE_KEY, label, &key.private);
    if (rv == CKR_OK)
        rv = find_one(session, CKO_PUBLIC_KEY, label, &key.public);
    /* Of the private object: between the two searches a new version may have come. */
    if (rv == CKR_OK)
        rv = f->C_GetAttributeValue(session, key.private, &asked, 1);
    if (rv == CKR_OK && !(key.pkey = d2i_PUBKEY(NULL, &at, (long)asked.ulValueLen)))
        rv = CKR_GENERAL_ERROR;
    if (rv != CKR_OK)
        return rv;
    EVP_PKEY_free(ret->pkey);
    *ret = key;
    return CKR_OK;
}

/* ---- operations ---- */

static CK_MECHANISM oaep(void)
{
    static CK_RSA_PKCS_OAEP_PARAMS params = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
    return (CK_MECHANISM){ CKM_RSA_PKCS_OAEP, &params, sizeof params };
}

static CK_RV run_find(struct worker *worker)
{
    CK_RV rv = find_key(worker->session, rsa_label, &worker->rsa);
    return rv == CKR_OK ? find_key(worker->session, ec_label, &worker->ec) : rv;
}

static CK_RV run_sign(struct worker *worker)
{
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    unsigned char data[SECRET], signature[ROOM];
    CK_ULONG len = sizeof signature;
    RAND_bytes(data, SECRET);
    CK_RV rv = f->C_SignInit(worker->session, &mechanism, worker->rsa.private);
    if (rv == CKR_OK)
        rv = f->C_Sign(worker->session, data, SECRET, signature, &len);
    if (rv == CKR_OK && !verifies(worker->rsa.pkey, data, signature, len))
        return wrong(worker, "an RSA signature");
    return rv;
}

static CK_RV run_sign_ec(struct worker *worker)
{
    CK_MECHANISM mechanism = { CKM_ECDSA_SHA256, NULL, 0 };
    unsigned char data[SECRET], signature[ROOM];
    CK_ULONG len = sizeof signature;
    RAND_bytes(data, SECRET);
    CK_RV rv = f->C_SignInit(worker->session, &mechanism, worker->ec.private);
    if (rv == CKR_OK)
        rv = f->C_Sign(worker->session, data, SECRET, signature, &len);
    if (rv == CKR_OK && !verifies_raw(worker->ec.pkey, data, signature, len))
        return wrong(worker, "an ECDSA signature");
    return rv;
}

static CK_RV open_blob(struct worker *worker, struct blob *blob)
{
    CK_MECHANISM mechanism = oaep();
    unsigned char plain[ROOM];
    CK_ULONG len = sizeof plain;
    CK_RV rv = f->C_DecryptInit(worker->session, &mechanism, worker->rsa.private);
    if (rv == CKR_OK)
        rv = f->C_Decrypt(worker->session, blob->sealed, blob->len, plain, &len);
    if (rv == CKR_OK && (len != SECRET || memcmp(plain, blob->plain, SECRET)))
        return wrong(worker, "a decrypted plaintext");
    return rv;
}

static CK_RV run_decrypt(struct worker *worker)
{
    struct blob blob;
    return seal(worker->rsa.pkey, &blob) ? open_blob(worker, &blob) : CKR_GENERAL_ERROR;
}

static CK_RV unwrap(struct worker *worker, struct blob *blob)
{
    CK_MECHANISM mechanism = oaep();
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
    unsigned char value[ROOM];
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class },
                                { CKA_KEY_TYPE, &type, sizeof type },
                                { CKA_SENSITIVE, &no, sizeof no },
                                { CKA_EXTRACTABLE, &yes, sizeof yes } };
    CK_ATTRIBUTE asked = { CKA_VALUE, value, sizeof value };
    CK_OBJECT_HANDLE key;
    CK_RV rv = f->C_UnwrapKey(worker->session, &mechanism, worker->rsa.private, blob->sealed, blob->len,
                              template, 4, &key);
    if (rv != CKR_OK)
        return rv;
    if (f->C_GetAttributeValue(worker->session, key, &asked, 1) != CKR_OK || asked.ulValueLen != SECRET ||
        memcmp(value, blob->plain, SECRET) != 0)
        wrong(worker, "an unwrapped key");
    return f->C_DestroyObject(worker->session, key);
}

/* Bytes wrapped under this version or an older one: the handle names the current one. */
static CK_RV run_unwrap(struct worker *worker)
{
    struct blob blob;
    pthread_mutex_lock(&tally.lock);
    bool any = tally.count;
    if (any)
        blob = tally.blobs[draw((unsigned)tally.count)];
    pthread_mutex_unlock(&tally.lock);
    return any ? unwrap(worker, &blob) : CKR_OK;
}

static void keep(const struct blob *blob)
{
    pthread_mutex_lock(&tally.lock);
    tally.blobs[tally.count < OLD ? tally.count++ : draw(OLD)] = *blob;
    pthread_mutex_unlock(&tally.lock);
}

/* No request: a session key that we know, wrapped by the public key. */
static CK_RV run_wrap(struct worker *worker)
{
    CK_MECHANISM mechanism = oaep();
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE;
    struct blob blob = { .len = sizeof blob.sealed };
    RAND_bytes(blob.plain, SECRET);
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class },
                                { CKA_KEY_TYPE, &type, sizeof type },
                                { CKA_EXTRACTABLE, &yes, sizeof yes },
                                { CKA_VALUE, blob.plain, SECRET } };
    CK_OBJECT_HANDLE key;
    CK_RV rv = f->C_CreateObject(worker->session, template, 4, &key);
    if (rv != CKR_OK)
        return rv;
    rv = f->C_WrapKey(worker->session, &mechanism, worker->rsa.public, key, blob.sealed, &blob.len);
    f->C_DestroyObject(worker->session, key);
    if (rv == CKR_OK)
        keep(&blob);
    return rv;
}

/* No request: one good signature of the vault's, once right and once with a bit turned. */
static CK_RV run_verify(struct worker *worker)
{
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    unsigned char data[SECRET] = { 1 }, signature[ROOM] = { 0 };
    CK_ULONG len = (CK_ULONG)EVP_PKEY_get_size(worker->rsa.pkey);
    RAND_bytes(signature, 16);
    CK_RV rv = f->C_VerifyInit(worker->session, &mechanism, worker->rsa.public);
    if (rv != CKR_OK)
        return rv;
    rv = f->C_Verify(worker->session, data, SECRET, signature, len);
    return rv == CKR_SIGNATURE_INVALID ? CKR_OK : wrong(worker, "a verification of no signature");
}

static const struct {
    const char *name;
    unsigned weight;
    CK_RV (*run)(struct worker *worker);
} operations[OPERATIONS] = {
    { "find", 1, run_find },       { "sign", 3, run_sign },     { "sign_ec", 3, run_sign_ec },
    { "decrypt", 3, run_decrypt }, { "unwrap", 3, run_unwrap }, { "wrap", 1, run_wrap },
    { "verify", 1, run_verify },
};

/* ---- threads ---- */

static size_t choose(void)
{
    unsigned total = 0, at = 0;
    for (size_t i = 0; i < OPERATIONS; i++)
        total += operations[i].weight;
    unsigned want = draw(total);
    for (size_t i = 0; i < OPERATIONS; i++) {
        at += operations[i].weight;
        if (want < at)
            return i;
    }
    return 0;
}

static void count_code(CK_RV rv)
{
    for (size_t i = 0; i < CODES; i++) {
        if (!tally.codes[i].count || tally.codes[i].rv == rv) {
            tally.codes[i].rv = rv;
            tally.codes[i].count++;
            return;
        }
    }
}

static void count(struct worker *worker, size_t i, CK_RV rv, bool was_calm, long ms)
{
    pthread_mutex_lock(&tally.lock);
    tally.done[i]++;
    tally.failed[i] += rv != CKR_OK;
    tally.calm_done += was_calm;
    tally.calm_failed += was_calm && rv != CKR_OK;
    if (ms > tally.slowest_ms)
        tally.slowest_ms = ms;
    count_code(rv);
    if (worker->wrong && !tally.wrong++)
        snprintf(tally.first_wrong, sizeof tally.first_wrong, "%s", worker->wrong);
    pthread_mutex_unlock(&tally.lock);
    worker->wrong = NULL;
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *work(void *context)
{
    struct worker worker = { 0 };
    (void)context;
    CK_RV rv = f->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &worker.session);
    if (rv != CKR_OK)
        die("C_OpenSession", rv);
    while (!stop) {
        size_t i = worker.rsa.pkey && worker.ec.pkey ? choose() : 0;
        bool was_calm = calm;
        long from = now_ms();
        rv = operations[i].run(&worker);
        count(&worker, i, rv, was_calm, now_ms() - from);
    }
    f->C_CloseSession(worker.session);
    EVP_PKEY_free(worker.rsa.pkey);
    EVP_PKEY_free(worker.ec.pkey);
    return NULL;
}

static void report(void)
{
    printf("{\"wrong\":%ld,\"first_wrong\":\"%s\",\"calm_done\":%ld,\"calm_failed\":%ld,\"slowest_ms\":%ld,"
           "\"operations\":{",
           tally.wrong, tally.first_wrong, tally.calm_done, tally.calm_failed, tally.slowest_ms);
    for (size_t i = 0; i < OPERATIONS && operations[i].name; i++)
        printf("%s\"%s\":[%ld,%ld]", i ? "," : "", operations[i].name, tally.done[i], tally.failed[i]);
    printf("},\"codes\":{");
    for (size_t i = 0; i < CODES && tally.codes[i].count; i++)
        printf("%s\"0x%lx\":%ld", i ? "," : "", tally.codes[i].rv, tally.codes[i].count);
    printf("}}\n");
    fflush(stdout);
}

static void open_module(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
    if (!get || get(&f) != CKR_OK)
        die(handle ? "no C_GetFunctionList" : dlerror(), 0);
    CK_C_INITIALIZE_ARGS init = { .flags = CKF_OS_LOCKING_OK };
    CK_ULONG slots = 1;
    CK_RV rv = f->C_Initialize(&init);
    if (rv == CKR_OK)
        rv = f->C_GetSlotList(CK_TRUE, &slot, &slots);
    if (rv != CKR_OK)
        die("C_Initialize", rv);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    char line[64];
    size_t wanted = argc == 5 ? strtoul(argv[2], NULL, 10) : 0;
    if (!wanted || wanted > THREADS_MAX)
        die("usage: soak MODULE THREADS RSA-LABEL EC-LABEL", 0);
    rsa_label = argv[3];
    ec_label = argv[4];
    open_module(argv[1]);
    for (size_t i = 0; i < wanted; i++) {
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            die("no thread", 0);
    }
    while (fgets(line, sizeof line, stdin) && strcmp(line, "stop\n") != 0)
        calm = calm || !strcmp(line, "calm\n");
    stop = true;
    for (size_t i = 0; i < wanted; i++)
        pthread_join(threads[i], NULL);
    CK_RV rv = f->C_Finalize(NULL);
    report();
    return rv == CKR_OK ? 0 : 1;
}
