/* Many threads that use a key in every way, while tests/soak/run does its worst to the vault. Every result is checked here by OpenSSL, without the module.
 *
 *     soak MODULE THREADS RSA-LABEL EC-LABEL
 *
 * Reads lines: "calm" (from here on nothing may fail), "stop". Ends with one line of JSON: operations by kind, return values, what was wrong. */
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
#include "../common/application.h"

enum { THREADS_MAX = 64, SECRET = 32, OLD = 64, CODES = 32, OPERATIONS = 7, ROOM = 512, ID = 20 };

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

struct signature {
    unsigned char data[SECRET], bytes[ROOM];
    CK_ULONG len; /* of the signature; 0: none yet */
};

struct worker {
    CK_SESSION_HANDLE session;
    struct key rsa, ec;
    struct signature signature; /* the last good one with the RSA key */
    CK_OBJECT_HANDLE signer;    /* the public half of the version that made it */
    const char *wrong;          /* what is wrong with a result that the module called right */
};

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

static CK_RV find_one(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, CK_ATTRIBUTE by, CK_OBJECT_HANDLE *ret)
{
    struct app_found found;
    CK_RV rv = app_find(session, type, &by, &found);
    if (rv == CKR_OK && found.count != 1)
        return CKR_KEY_HANDLE_INVALID;
    *ret = found.objects[0];
    return rv;
}

/* The public half by the private one's CKA_ID: between two searches by label a new version may come. */
static CK_RV find_key(CK_SESSION_HANDLE session, const char *label, struct key *ret)
{
    unsigned char spki[1024], id[ID];
    const unsigned char *at = spki;
    struct key key = { 0 };
    CK_ATTRIBUTE asked[] = { { CKA_PUBLIC_KEY_INFO, spki, sizeof spki }, { CKA_ID, id, sizeof id } };
    CK_RV rv = find_one(session, CKO_PRIVATE_KEY, app_label(label), &key.private);
    if (rv == CKR_OK)
        rv = p11->C_GetAttributeValue(session, key.private, asked, 2);
    if (rv == CKR_OK)
        rv = find_one(session, CKO_PUBLIC_KEY, asked[1], &key.public);
    if (rv == CKR_OK && !(key.pkey = d2i_PUBKEY(NULL, &at, (long)asked[0].ulValueLen)))
        rv = CKR_GENERAL_ERROR;
    if (rv != CKR_OK)
        return rv;
    EVP_PKEY_free(ret->pkey);
    *ret = key;
    return CKR_OK;
}

/* ---- operations ---- */

static CK_RV run_find(struct worker *worker)
{
    CK_RV rv = find_key(worker->session, rsa_label, &worker->rsa);
    return rv == CKR_OK ? find_key(worker->session, ec_label, &worker->ec) : rv;
}

/* Of random data, into `ret`. */
static CK_RV sign(struct worker *worker, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, struct signature *ret)
{
    CK_MECHANISM mechanism = { type, NULL, 0 };
    RAND_bytes(ret->data, SECRET);
    ret->len = sizeof ret->bytes;
    CK_RV rv = p11->C_SignInit(worker->session, &mechanism, key);
    return rv == CKR_OK ? p11->C_Sign(worker->session, ret->data, SECRET, ret->bytes, &ret->len) : rv;
}

static CK_RV run_sign(struct worker *worker)
{
    struct signature made;
    CK_RV rv = sign(worker, CKM_SHA256_RSA_PKCS, worker->rsa.private, &made);
    if (rv != CKR_OK)
        return rv;
    if (!verifies(worker->rsa.pkey, made.data, made.bytes, made.len))
        return wrong(worker, "an RSA signature");
    worker->signature = made;
    worker->signer = worker->rsa.public;
    return rv;
}

static CK_RV run_sign_ec(struct worker *worker)
{
    struct signature made;
    CK_RV rv = sign(worker, CKM_ECDSA_SHA256, worker->ec.private, &made);
    if (rv == CKR_OK && !verifies_raw(worker->ec.pkey, made.data, made.bytes, made.len))
        return wrong(worker, "an ECDSA signature");
    return rv;
}

static CK_RV open_blob(struct worker *worker, struct blob *blob)
{
    CK_MECHANISM mechanism = app_oaep();
    unsigned char plain[ROOM];
    CK_ULONG len = sizeof plain;
    CK_RV rv = p11->C_DecryptInit(worker->session, &mechanism, worker->rsa.private);
    if (rv == CKR_OK)
        rv = p11->C_Decrypt(worker->session, blob->sealed, blob->len, plain, &len);
    if (rv == CKR_OK && (len != SECRET || memcmp(plain, blob->plain, SECRET)))
        return wrong(worker, "a decrypted plaintext");
    return rv;
}

static CK_RV run_decrypt(struct worker *worker)
{
    struct blob blob;
    return seal(worker->rsa.pkey, &blob) ? open_blob(worker, &blob) : CKR_GENERAL_ERROR;
}

static CK_RV unwrap(struct worker *worker, const struct blob *blob)
{
    struct app_value value;
    CK_RV rv = app_unwrap(worker->session, worker->rsa.private, blob->sealed, blob->len, &value);
    if (rv == CKR_OK && (value.len != SECRET || memcmp(value.data, blob->plain, SECRET) != 0))
        return wrong(worker, "an unwrapped key");
    return rv;
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
    CK_MECHANISM mechanism = app_oaep();
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
    CK_RV rv = p11->C_CreateObject(worker->session, template, 4, &key);
    if (rv != CKR_OK)
        return rv;
    rv = p11->C_WrapKey(worker->session, &mechanism, worker->rsa.public, key, blob.sealed, &blob.len);
    p11->C_DestroyObject(worker->session, key);
    if (rv == CKR_OK)
        keep(&blob);
    return rv;
}

static CK_RV verify(struct worker *worker, const struct signature *signature)
{
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS, NULL, 0 };
    CK_RV rv = p11->C_VerifyInit(worker->session, &mechanism, worker->signer);
    return rv == CKR_OK ? p11->C_Verify(worker->session, (CK_BYTE *)(size_t)signature->data, SECRET,
                                        (CK_BYTE *)(size_t)signature->bytes, signature->len)
                        : rv;
}

/* No request: the thread's last good signature, once as it is and once with a bit turned. */
static CK_RV run_verify(struct worker *worker)
{
    struct signature turned = worker->signature;
    if (!turned.len)
        return CKR_OK;
    CK_RV rv = verify(worker, &worker->signature);
    if (rv == CKR_SIGNATURE_INVALID)
        return wrong(worker, "a good signature that was refused");
    if (rv != CKR_OK)
        return rv;
    turned.bytes[draw((unsigned)turned.len)] ^= 1;
    rv = verify(worker, &turned);
    if (rv == CKR_OK)
        return wrong(worker, "a bad signature that was taken");
    return rv == CKR_SIGNATURE_INVALID ? CKR_OK : rv;
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

static void *work(void *context)
{
    struct worker worker = { 0 };
    (void)context;
    app_must("C_OpenSession", p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &worker.session));
    while (!stop) {
        size_t i = worker.rsa.pkey && worker.ec.pkey ? choose() : 0;
        bool was_calm = calm;
        long from = app_now_ms();
        CK_RV rv = operations[i].run(&worker);
        count(&worker, i, rv, was_calm, app_now_ms() - from);
    }
    p11->C_CloseSession(worker.session);
    EVP_PKEY_free(worker.rsa.pkey);
    EVP_PKEY_free(worker.ec.pkey);
    return NULL;
}

static void report(void)
{
    printf("{\"wrong\":%ld,\"first_wrong\":\"%s\",\"calm_done\":%ld,\"calm_failed\":%ld,\"slowest_ms\":%ld,"
           "\"operations\":{",
           tally.wrong, tally.first_wrong, tally.calm_done, tally.calm_failed, tally.slowest_ms);
    for (size_t i = 0; i < OPERATIONS; i++)
        printf("%s\"%s\":[%ld,%ld]", i ? "," : "", operations[i].name, tally.done[i], tally.failed[i]);
    printf("},\"codes\":{");
    for (size_t i = 0; i < CODES && tally.codes[i].count; i++)
        printf("%s\"0x%lx\":%ld", i ? "," : "", tally.codes[i].rv, tally.codes[i].count);
    printf("}}\n");
    fflush(stdout);
}

static void open_module(const char *path)
{
    CK_C_INITIALIZE_ARGS init = { .flags = CKF_OS_LOCKING_OK };
    CK_ULONG slots = 1;
    app_load(path);
    app_must("C_Initialize", p11->C_Initialize(&init));
    app_must("C_GetSlotList", p11->C_GetSlotList(CK_TRUE, &slot, &slots));
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    char line[64];
    size_t wanted = argc == 5 ? strtoul(argv[2], NULL, 10) : 0;
    if (!wanted || wanted > THREADS_MAX)
        app_die("usage: soak MODULE THREADS RSA-LABEL EC-LABEL", 0);
    rsa_label = argv[3];
    ec_label = argv[4];
    open_module(argv[1]);
    for (size_t i = 0; i < wanted; i++) {
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            app_die("no thread", 0);
    }
    while (fgets(line, sizeof line, stdin) && strcmp(line, "stop\n") != 0)
        calm = calm || !strcmp(line, "calm\n");
    stop = true;
    for (size_t i = 0; i < wanted; i++)
        pthread_join(threads[i], NULL);
    CK_RV rv = p11->C_Finalize(NULL);
    report();
    return rv == CKR_OK ? 0 : 1;
}
