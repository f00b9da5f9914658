/* Many threads on few sessions: the locks of the module and those that an application brings, and no result lost or mixed up. */
#include "quiet.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- an application's mutexes --- */

struct mutex {
    pthread_mutex_t system;
    pid_t made_by;
    atomic_bool held;
};

static struct {
    atomic_int created, destroyed, taken, given, wrong;
    CK_RV create, lock; /* what they answer */
    int create_after;   /* so many go well */
} counts;

static CK_RV create_mutex(void **ret)
{
    if (counts.create && atomic_load(&counts.created) >= counts.create_after)
        return counts.create;
    struct mutex *mutex = calloc(1, sizeof *mutex);
    pthread_mutex_init(&mutex->system, NULL);
    mutex->made_by = getpid();
    counts.created++;
    *ret = mutex;
    return CKR_OK;
}

static CK_RV destroy_mutex(void *mine)
{
    struct mutex *mutex = mine;
    counts.wrong += !mutex || mutex->made_by != getpid() || atomic_load(&mutex->held);
    counts.destroyed++;
    pthread_mutex_destroy(&mutex->system);
    free(mutex);
    return CKR_OK;
}

static CK_RV lock_mutex(void *mine)
{
    struct mutex *mutex = mine;
    if (counts.lock)
        return counts.lock;
    counts.wrong += mutex->made_by != getpid();
    pthread_mutex_lock(&mutex->system);
    counts.wrong += atomic_exchange(&mutex->held, true);
    counts.taken++;
    return CKR_OK;
}

static CK_RV unlock_mutex(void *mine)
{
    struct mutex *mutex = mine;
    counts.wrong += mutex->made_by != getpid() || !atomic_exchange(&mutex->held, false);
    counts.given++;
    pthread_mutex_unlock(&mutex->system);
    return CKR_OK;
}

static CK_C_INITIALIZE_ARGS with_mutexes(CK_FLAGS flags)
{
    memset(&counts, 0, sizeof counts);
    return (CK_C_INITIALIZE_ARGS){ create_mutex, destroy_mutex, lock_mutex, unlock_mutex, flags, NULL };
}

static void balanced(void)
{
    assert_int_equal(counts.wrong, 0);
    assert_int_equal(counts.created, counts.destroyed);
    assert_int_equal(counts.taken, counts.given);
}

static void *work(void *ret)
{
    for (int i = 0; i < 5; i++)
        *(int *)ret += quiet_works_anew();
    return NULL;
}

static void work_in_threads(void)
{
    enum { WORKERS = 4 };
    pthread_t threads[WORKERS];
    int worked[WORKERS] = { 0 };
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &worked[i]), 0);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(worked[i], 5);
    }
}

static void test_every_form_of_arguments(void **state)
{
    enum { ALONE = CKF_LIBRARY_CANT_CREATE_OS_THREADS };
    static const struct {
        const char *who;
        bool given, mutexes, used;
        CK_FLAGS flags;
    } forms[] = {
        { "pkcs11-tool, ssh: NULL", false, false, false, 0 },
        { "pkcs11js: no flag", true, false, false, 0 },
        { "libp11, Java: the system's", true, false, false, CKF_OS_LOCKING_OK },
        { "GnuTLS: the system's, no threads", true, false, false, CKF_OS_LOCKING_OK | ALONE },
        { "p11-kit: both, as we like", true, true, false, CKF_OS_LOCKING_OK },
        { "NSS: both, no threads", true, true, false, CKF_OS_LOCKING_OK | ALONE },
        { "the application's alone", true, true, true, 0 },
        { "the application's alone, no threads", true, true, true, ALONE },
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        CK_C_INITIALIZE_ARGS args = with_mutexes(forms[i].flags);
        if (!forms[i].mutexes)
            args = (CK_C_INITIALIZE_ARGS){ .flags = forms[i].flags };
        print_message("%s\n", forms[i].who);
        ok(world.p11->C_Initialize(forms[i].given ? &args : NULL));
        expect(CKR_CRYPTOKI_ALREADY_INITIALIZED, world.p11->C_Initialize(forms[i].given ? &args : NULL));
        /* The arguments may lie on a stack that is gone. */
        memset(&args, 0xff, sizeof args);
        work_in_threads();
        finalize();
        expect(CKR_CRYPTOKI_NOT_INITIALIZED, world.p11->C_Finalize(NULL));
        balanced();
        /* One for the library, one for each of 20 sessions, and both kinds were taken. */
        assert_int_equal(counts.created, forms[i].used ? 21 : 0);
        assert_true(forms[i].used ? counts.taken > 20 * 8 : counts.taken == 0);
    }
}

static void test_half_a_set_of_functions(void **state)
{
    for (int missing = 0; missing < 4; missing++) {
        CK_C_INITIALIZE_ARGS args = with_mutexes(missing & 1 ? CKF_OS_LOCKING_OK : 0);
        memset((char *)&args + (size_t)missing * sizeof(void *), 0, sizeof(void *));
        expect(CKR_ARGUMENTS_BAD, world.p11->C_Initialize(&args));
        CK_C_INITIALIZE_ARGS one = { .flags = args.flags };
        memcpy((char *)&one + (size_t)missing * sizeof(void *), &(void *){ (void *)&counts }, sizeof(void *));
        expect(CKR_ARGUMENTS_BAD, world.p11->C_Initialize(&one));
        expect(CKR_CRYPTOKI_NOT_INITIALIZED, world.p11->C_Finalize(NULL));
    }
}

static void test_mutexes_that_cannot_be_had(void **state)
{
    CK_C_INITIALIZE_ARGS args = with_mutexes(0);
    CK_SESSION_HANDLE session;
    counts.create = CKR_HOST_MEMORY;
    expect(CKR_HOST_MEMORY, world.p11->C_Initialize(&args));
    counts.create = CKR_GENERAL_ERROR;
    expect(CKR_CANT_LOCK, world.p11->C_Initialize(&args));
    expect(CKR_CRYPTOKI_NOT_INITIALIZED, world.p11->C_Finalize(NULL));
    counts.create_after = 1;
    ok(world.p11->C_Initialize(&args));
    expect(CKR_GENERAL_ERROR, world.p11->C_OpenSession(PROD, CKF_SERIAL_SESSION, NULL, NULL, &session));
    counts.create = CKR_HOST_MEMORY;
    expect(CKR_HOST_MEMORY, world.p11->C_OpenSession(PROD, CKF_SERIAL_SESSION, NULL, NULL, &session));
    counts.create = CKR_OK;
    assert_true(quiet_works_anew());
    finalize();
    balanced();
}

/* An application whose LockMutex fails is not made to pay with torn data, nor is a mutex given back that was not taken. */
static void test_mutexes_that_cannot_be_taken(void **state)
{
    CK_C_INITIALIZE_ARGS args = with_mutexes(0);
    ok(world.p11->C_Initialize(&args));
    assert_true(quiet_works_anew());
    counts.lock = CKR_MUTEX_BAD;
    work_in_threads();
    counts.lock = CKR_OK;
    finalize();
    balanced();
}

/* What the parent's functions do in a child nobody knows. */
static bool child_with_mutexes(void)
{
    int before = counts.created + counts.destroyed + counts.taken + counts.given;
    return !world.p11->C_Initialize(NULL) && quiet_works_anew() && !world.p11->C_Finalize(NULL) &&
           counts.created + counts.destroyed + counts.taken + counts.given == before;
}

static void test_a_child_leaves_the_parents_mutexes_alone(void **state)
{
    CK_C_INITIALIZE_ARGS args = with_mutexes(0);
    ok(world.p11->C_Initialize(&args));
    assert_true(quiet_works_anew());
    assert_int_equal(in_child(child_with_mutexes), 0);
    assert_true(quiet_works_anew());
    finalize();
    balanced();
}

/* --- 64 threads, 8 sessions --- */

enum { THREADS = 64, SESSIONS = 8, TEXT = 64 };
static int rounds = 1000;

/* A session does one operation of a kind at a time: who begins one holds the session until it has ended. */
static struct shared {
    CK_SESSION_HANDLE session;
    pthread_mutex_t turn;
} shared[SESSIONS];
static CK_OBJECT_HANDLE ec_shut, ec_open, rsa_shut, rsa_open, common_key;
static const CK_BYTE common_value[32] = "the AES key that all threads use";
static CK_BYTE iv[16] = "sixteen bytes iv";
static CK_MECHANISM sha256 = { CKM_SHA256, NULL, 0 }, cbc = { CKM_AES_CBC_PAD, iv, sizeof iv };
static pthread_barrier_t together;

struct worker {
    int number, done, wrong;
    CK_BYTE text[TEXT], digest[32], cipher[TEXT + 16], signature[64];
};

/* What this thread's results must be, by OpenSSL alone. */
static bool prepare(struct worker *worker)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int len = 0, rest = 0;
    memset(worker->text, worker->number, TEXT);
    bool good = EVP_Digest(worker->text, TEXT, worker->digest, NULL, EVP_sha256(), NULL) == 1 &&
                EVP_EncryptInit_ex(context, EVP_aes_256_cbc(), NULL, common_value, iv) == 1 &&
                EVP_EncryptUpdate(context, worker->cipher, &len, worker->text, TEXT) == 1 &&
                EVP_EncryptFinal_ex(context, worker->cipher + len, &rest) == 1 && len + rest == TEXT + 16;
    EVP_CIPHER_CTX_free(context);
    return good;
}

static bool digests(struct worker *worker, CK_SESSION_HANDLE session)
{
    CK_BYTE out[32];
    CK_ULONG len = sizeof out;
    return !world.p11->C_DigestInit(session, &sha256) &&
           !world.p11->C_Digest(session, worker->text, TEXT, out, &len) && len == 32 &&
           !memcmp(out, worker->digest, 32);
}

static bool encrypts(struct worker *worker, CK_SESSION_HANDLE session)
{
    CK_BYTE out[TEXT + 16];
    CK_ULONG len = sizeof out;
    return !world.p11->C_EncryptInit(session, &cbc, common_key) &&
           !world.p11->C_Encrypt(session, worker->text, TEXT, out, &len) && len == sizeof out &&
           !memcmp(out, worker->cipher, len);
}

static bool decrypts(struct worker *worker, CK_SESSION_HANDLE session)
{
    CK_BYTE out[TEXT + 16];
    CK_ULONG len = sizeof out;
    return !world.p11->C_DecryptInit(session, &cbc, common_key) &&
           !world.p11->C_Decrypt(session, worker->cipher, sizeof worker->cipher, out, &len) && len == TEXT &&
           !memcmp(out, worker->text, len);
}

/* One's own digest has one's own signature, and the neighbour's digest has not. */
static bool verifies_own(struct worker *worker, CK_SESSION_HANDLE session)
{
    CK_BYTE other[32];
    memcpy(other, worker->digest, 32);
    other[worker->number % 32] ^= 1;
    return !world.p11->C_VerifyInit(session, &ecdsa, ec_open) &&
           !world.p11->C_Verify(session, worker->digest, 32, worker->signature, 64) &&
           !world.p11->C_VerifyInit(session, &ecdsa, ec_open) &&
           world.p11->C_Verify(session, other, 32, worker->signature, 64) == CKR_SIGNATURE_INVALID;
}

static bool signs_there(struct worker *worker, CK_SESSION_HANDLE session)
{
    CK_ULONG len = 64;
    return !world.p11->C_SignInit(session, &ecdsa, ec_shut) &&
           !world.p11->C_Sign(session, worker->digest, 32, worker->signature, &len) && len == 64 &&
           verifies_own(worker, session);
}

static bool decrypts_there(struct worker *worker, CK_SESSION_HANDLE session)
{
    CK_BYTE cipher[256], out[256];
    CK_ULONG len = sizeof cipher, out_len = sizeof out;
    return !world.p11->C_EncryptInit(session, &oaep_sha256, rsa_open) &&
           !world.p11->C_Encrypt(session, worker->text, TEXT, cipher, &len) &&
           !world.p11->C_DecryptInit(session, &oaep_sha256, rsa_shut) &&
           !world.p11->C_Decrypt(session, cipher, len, out, &out_len) && out_len == TEXT &&
           !memcmp(out, worker->text, TEXT);
}

/* Calls that are whole by themselves: here nothing but the module keeps the threads apart. */
static bool keeps_objects_apart(struct worker *worker, CK_SESSION_HANDLE session)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    CK_BBOOL out = CK_TRUE, sensitive = CK_FALSE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &generic, sizeof generic },
                                { CKA_VALUE, worker->text, TEXT },
                                { CKA_EXTRACTABLE, &out, sizeof out },
                                { CKA_SENSITIVE, &sensitive, sizeof sensitive } };
    CK_BYTE value[TEXT] = { 0 };
    CK_ATTRIBUTE item = { CKA_VALUE, value, sizeof value };
    CK_OBJECT_HANDLE object;
    return !world.p11->C_CreateObject(session, template, 5, &object) &&
           !world.p11->C_GetAttributeValue(session, object, &item, 1) && item.ulValueLen == TEXT &&
           !memcmp(value, worker->text, TEXT) && !world.p11->C_DestroyObject(session, object) &&
           world.p11->C_GetAttributeValue(session, object, &item, 1) == CKR_OBJECT_HANDLE_INVALID;
}

static bool once(struct worker *worker, int round)
{
    static bool (*const local[])(struct worker *, CK_SESSION_HANDLE) = { digests, encrypts, decrypts,
                                                                         verifies_own };
    struct shared *place = &shared[(worker->number + round) % SESSIONS];
    if (round % 5 == 4)
        return keeps_objects_apart(worker, place->session);
    pthread_mutex_lock(&place->turn);
    bool good = round % 100 == 0    ? signs_there(worker, place->session)
                : round % 400 == 50 ? decrypts_there(worker, place->session)
                                    : local[round % 4](worker, place->session);
    pthread_mutex_unlock(&place->turn);
    return good;
}

static void *run_worker(void *argument)
{
    struct worker *worker = argument;
    pthread_barrier_wait(&together);
    for (int round = 0; round < rounds; round++) {
        worker->wrong += !once(worker, round);
        worker->done++;
    }
    return NULL;
}

static void open_shared(void)
{
    initialize();
    for (int i = 0; i < SESSIONS; i++) {
        shared[i].session = open_session(PROD);
        pthread_mutex_init(&shared[i].turn, NULL);
    }
    ec_shut = find_one(shared[0].session, CKO_PRIVATE_KEY, "ec");
    ec_open = find_one(shared[0].session, CKO_PUBLIC_KEY, "ec");
    rsa_shut = find_one(shared[0].session, CKO_PRIVATE_KEY, "rsa");
    rsa_open = find_one(shared[0].session, CKO_PUBLIC_KEY, "rsa");
    common_key = aes_key(shared[0].session, common_value, 32, true);
}

static void test_sixty_four_threads_on_eight_sessions(void **state)
{
    static struct worker workers[THREADS];
    pthread_t threads[THREADS];
    int done = 0, wrong = 0, remote = 0;
    if (is_slow())
        rounds = 100;
    open_shared();
    clear_log();
    assert_int_equal(pthread_barrier_init(&together, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        workers[i].number = i;
        assert_true(prepare(&workers[i]));
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        done += workers[i].done;
        wrong += workers[i].wrong;
    }
    pthread_barrier_destroy(&together);
    assert_int_equal(done, THREADS * rounds);
    assert_int_equal(wrong, 0);
    /* Each remote operation was asked for once: none was lost, none was made twice. */
    for (int round = 0; round < rounds; round++)
        remote += round % 400 == 50;
    assert_int_equal(requests("/sign"), THREADS * rounds / 100);
    assert_int_equal(requests("/decrypt"), THREADS * remote);
    /* And no object was left behind. */
    assert_int_equal(find_all(shared[0].session, CKO_SECRET_KEY, NULL, NULL, NULL, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_of_arguments),
        cmocka_unit_test(test_half_a_set_of_functions),
        cmocka_unit_test(test_mutexes_that_cannot_be_had),
        cmocka_unit_test(test_mutexes_that_cannot_be_taken),
        cmocka_unit_test(test_a_child_leaves_the_parents_mutexes_alone),
        cmocka_unit_test_teardown(test_sixty_four_threads_on_eight_sessions, world_finalize),
    };
    return cmocka_run_group_tests(tests, world_start_ec_and_rsa, world_stop);
}
