/* The module as a guest: initialised twice, unloaded, forked, called from many threads, finalized under way, called after exit began. */
#include "quiet.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int begin(void **state)
{
    (void)state;
    initialize();
    return 0;
}

/* --- C_Initialize --- */

static void test_a_configuration_by_argument(void **state)
{
    char text[160], path[128];
    snprintf(path, sizeof path, "%s/kvp11.conf", world.dir);
    snprintf(text, sizeof text, "config=%s", path);
    unsetenv("KVP11_CONFIG");
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK, .pReserved = text };
    ok(world.p11->C_Initialize(&args));
    CK_ULONG count = 0;
    ok(world.p11->C_GetSlotList(CK_TRUE, NULL, &count));
    assert_int_equal(count, 3);
    finalize();
    setenv("KVP11_CONFIG", path, 1);
}

/* A text is taken; what can be none is the standard's error, not a crash. */
static void test_a_reserved_argument_that_is_no_text(void **state)
{
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK, .pReserved = (void *)1 };
    expect(CKR_ARGUMENTS_BAD, world.p11->C_Initialize(&args));
    args.pReserved = NULL;
    ok(world.p11->C_Initialize(&args));
    finalize();
}

static void test_nothing_works_before(void **state)
{
    CK_ULONG count = 0;
    CK_INFO info;
    CK_SESSION_HANDLE session;
    expect(CKR_CRYPTOKI_NOT_INITIALIZED, world.p11->C_GetInfo(&info));
    expect(CKR_CRYPTOKI_NOT_INITIALIZED, world.p11->C_GetSlotList(CK_TRUE, NULL, &count));
    expect(CKR_CRYPTOKI_NOT_INITIALIZED,
           world.p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session));
    expect(CKR_CRYPTOKI_NOT_INITIALIZED, world.p11->C_SignInit(1, &ecdsa, 1));
    expect(CKR_CRYPTOKI_NOT_INITIALIZED, world.p11->C_Finalize(NULL));
}

static void test_a_wrong_configuration_fails_and_none_is_empty(void **state)
{
    CK_ULONG count = 7;
    char path[128], nowhere[128];
    configure("none", "no_such_setting = 1");
    expect(CKR_FUNCTION_FAILED, world.p11->C_Initialize(NULL));
    configure("none", "");
    snprintf(path, sizeof path, "%s/kvp11.conf", world.dir);
    snprintf(nowhere, sizeof nowhere, "%s/nothing-here", world.dir);
    unsetenv("KVP11_CONFIG");
    setenv("XDG_CONFIG_HOME", nowhere, 1);
    if (access("/etc/kvp11/kvp11.conf", F_OK)) {
        initialize();
        ok(world.p11->C_GetSlotList(CK_TRUE, NULL, &count));
        assert_int_equal(count, 0);
        finalize();
    }
    unsetenv("XDG_CONFIG_HOME");
    setenv("KVP11_CONFIG", path, 1);
}

static void test_cycles_with_unloading(void **state)
{
    for (int i = 0; i < 5; i++) {
        initialize();
        assert_true(quiet_works_anew());
        finalize();
        unload();
        load();
    }
    unload();
    load();
}

static void test_three_symbols_and_no_more(void **state)
{
    static const char *const hidden[] = { "C_Sign", "kv_call_enter", "kv_bytes_free", "kv_library_open" };
    assert_non_null(dlsym(world.module, "C_GetFunctionList"));
    assert_non_null(dlsym(world.module, "C_GetInterface"));
    assert_non_null(dlsym(world.module, "C_GetInterfaceList"));
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        assert_null(dlsym(world.module, hidden[i]));
}

static void test_errno_is_the_hosts(void **state)
{
    CK_SESSION_HANDLE session = open_session(PROD);
    errno = 4711;
    find_one(session, CKO_PRIVATE_KEY, "ec");
    assert_int_equal(errno, 4711);
}

/* --- fork --- */

static bool child_is_not_initialized(void)
{
    CK_INFO info;
    return world.p11->C_GetInfo(&info) == CKR_CRYPTOKI_NOT_INITIALIZED;
}

static bool child_initializes(void)
{
    return !world.p11->C_Initialize(NULL) &&
           world.p11->C_Initialize(NULL) == CKR_CRYPTOKI_ALREADY_INITIALIZED && quiet_works_anew() &&
           !world.p11->C_Finalize(NULL);
}

static bool child_finalizes_first(void)
{
    return !world.p11->C_Finalize(NULL) && world.p11->C_Finalize(NULL) == CKR_CRYPTOKI_NOT_INITIALIZED &&
           !world.p11->C_Initialize(NULL) && quiet_works_anew() && !world.p11->C_Finalize(NULL);
}

static bool grandchild(void)
{
    return child_initializes() && !world.p11->C_Initialize(NULL) && quiet_works_anew() &&
           in_child(child_initializes) == 0 && quiet_works_anew();
}

/* A child starts anew with connections of its own; the parent's go on as if nothing had been, on the same connection. */
static void test_children_and_parents_both_work(void **state)
{
    static bool (*const children[])(void) = { child_is_not_initialized, child_initializes,
                                              child_finalizes_first, grandchild };
    CK_SESSION_HANDLE session = open_session(PROD);
    CK_OBJECT_HANDLE shut = find_one(session, CKO_PRIVATE_KEY, "ec");
    CK_OBJECT_HANDLE open = find_one(session, CKO_PUBLIC_KEY, "ec");
    for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
        assert_true(quiet_works(session, shut, open));
        assert_int_equal(in_child(children[i]), 0);
        clear_log();
        for (int k = 0; k < 3; k++)
            assert_true(quiet_works(session, shut, open));
        /* Neither a repeated request nor a new token: the TLS stream is whole. */
        assert_int_equal(requests(NULL), 3);
    }
}

/* Forked while other threads are inside the module, its locks held. The child goes as far as these locks reach and no further: what OpenSSL's own
 * locks are like is not the module's to promise. AddressSanitizer's allocator does not survive such a fork: under it the child allocates nothing. */
#ifdef __SANITIZE_ADDRESS__
#define child_of_threads child_is_not_initialized
#else
static bool child_of_threads(void)
{
    CK_ULONG count = 0;
    CK_SESSION_HANDLE session;
    return child_is_not_initialized() && !world.p11->C_Initialize(NULL) &&
           !world.p11->C_GetSlotList(CK_TRUE, NULL, &count) && count == 3 &&
           !world.p11->C_OpenSession(PROD, CKF_SERIAL_SESSION, NULL, NULL, &session) &&
           !world.p11->C_Finalize(NULL);
}
#endif
static atomic_bool stop_workers;

static void *work_until_told(void *argument)
{
    bool good = true;
    CK_OBJECT_HANDLE *keys = argument;
    CK_SESSION_HANDLE session;
    good = !world.p11->C_OpenSession(PROD, CKF_SERIAL_SESSION, NULL, NULL, &session);
    while (good && !stop_workers)
        good = quiet_works(session, keys[0], keys[1]);
    return good ? NULL : (void *)quiet_digest;
}

static void test_fork_while_threads_work(void **state)
{
    CK_SESSION_HANDLE session = open_session(PROD);
    CK_OBJECT_HANDLE keys[2] = { find_one(session, CKO_PRIVATE_KEY, "ec"),
                                 find_one(session, CKO_PUBLIC_KEY, "ec") };
    pthread_t threads[4];
    stop_workers = false;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work_until_told, keys), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(in_child_of_threads(child_of_threads), 0);
    stop_workers = true;
    for (int i = 0; i < 4; i++) {
        void *bad = NULL;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
}

/* --- threads --- */

enum { THREADS = 16, ROUNDS = 25 };
static pthread_barrier_t together;

static void *sign_many(void *argument)
{
    CK_OBJECT_HANDLE *keys = argument;
    CK_SESSION_HANDLE session;
    pthread_barrier_wait(&together);
    if (world.p11->C_OpenSession(PROD, CKF_SERIAL_SESSION, NULL, NULL, &session))
        return (void *)quiet_digest;
    for (int i = 0; i < ROUNDS; i++)
        if (!quiet_works(session, keys[0], keys[1]))
            return (void *)quiet_digest;
    return world.p11->C_CloseSession(session) ? (void *)quiet_digest : NULL;
}

static void test_sixteen_threads_sign(void **state)
{
    CK_SESSION_HANDLE session = open_session(PROD);
    CK_OBJECT_HANDLE keys[2] = { find_one(session, CKO_PRIVATE_KEY, "ec"),
                                 find_one(session, CKO_PUBLIC_KEY, "ec") };
    pthread_t threads[THREADS];
    clear_log();
    assert_int_equal(pthread_barrier_init(&together, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_many, keys), 0);
    for (int i = 0; i < THREADS; i++) {
        void *bad = NULL;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    pthread_barrier_destroy(&together);
    assert_int_equal(requests("/sign"), THREADS * ROUNDS);
    ok(world.p11->C_CloseSession(session));
}

/* Sixteen threads that all find first: one token, and no thread goes without its key. */
static void *find_and_sign(void *argument)
{
    pthread_barrier_wait(argument);
    return quiet_works_anew() ? NULL : (void *)quiet_digest;
}

static void test_a_cold_start_of_many_threads(void **state)
{
    pthread_t threads[THREADS];
    assert_int_equal(pthread_barrier_init(&together, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, find_and_sign, &together), 0);
    clear_log();
    for (int i = 0; i < THREADS; i++) {
        void *bad = NULL;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    pthread_barrier_destroy(&together);
}

/* --- closing what is under way --- */

struct slow {
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    CK_RV rv;
};

static void *sign_slowly(void *argument)
{
    struct slow *slow = argument;
    CK_BYTE signature[64];
    CK_ULONG len = sizeof signature;
    slow->rv = world.p11->C_Sign(slow->session, (CK_BYTE *)quiet_digest, 32, signature, &len);
    return NULL;
}

static void close_session(struct slow *slow)
{
    world.p11->C_CloseAllSessions(PROD);
    (void)slow;
}
static void finalize_all(struct slow *slow)
{
    world.p11->C_Finalize(NULL);
    (void)slow;
}

static void test_closing_what_is_under_way(void **state)
{
    static void (*const ways[])(struct slow *) = { close_session, finalize_all };
    static const CK_RV codes[] = { CKR_SESSION_CLOSED, CKR_CRYPTOKI_NOT_INITIALIZED };
    for (int i = 0; i < 2; i++) {
        struct slow slow = { .session = open_session(PROD), .rv = 4711 };
        pthread_t thread;
        slow.key = find_one(slow.session, CKO_PRIVATE_KEY, "ec");
        ok(world.p11->C_SignInit(slow.session, &ecdsa, slow.key));
        control_do("POST", "/faults", "{\"path\":\"/sign\",\"kind\":\"delay\",\"ms\":400,\"count\":1}");
        assert_int_equal(pthread_create(&thread, NULL, sign_slowly, &slow), 0);
        await_fault_taken();
        ways[i](&slow);
        pthread_join(thread, NULL);
        expect(codes[i], slow.rv);
        CK_SESSION_INFO info;
        CK_RV rv = world.p11->C_GetSessionInfo(slow.session, &info);
        assert_true(rv == CKR_SESSION_HANDLE_INVALID || rv == CKR_CRYPTOKI_NOT_INITIALIZED);
    }
}

/* --- exit --- */

static void late(void)
{
    CK_RV closed = world.p11->C_CloseAllSessions(PROD), finalized = world.p11->C_Finalize(NULL);
    /* This refusal is only heard when OpenSSL is gone. */
    CK_RV again = world.p11->C_Initialize(NULL);
    _exit(closed || finalized || again != CKR_CRYPTOKI_NOT_INITIALIZED ? 3 : 5);
}

/* OpenSSL's own end is a handler of exit that was registered by our first use of it: what was registered before runs after it. */
static void test_calls_after_openssl_is_gone(void **state)
{
    int status = -1;
    pid_t child = fork();
    if (!child) {
        alarm(60);
        atexit(late);
        if (world.p11->C_Initialize(NULL) || !quiet_works_anew())
            _exit(4);
        exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 5);
}

int main(void)
{
#define LIVE(test) cmocka_unit_test_setup_teardown(test, begin, world_finalize)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_after_openssl_is_gone), /* first: before this process has used OpenSSL */
        cmocka_unit_test(test_nothing_works_before),
        cmocka_unit_test(test_a_configuration_by_argument),
        cmocka_unit_test(test_a_reserved_argument_that_is_no_text),
        cmocka_unit_test(test_a_wrong_configuration_fails_and_none_is_empty),
        cmocka_unit_test(test_cycles_with_unloading),
        cmocka_unit_test(test_three_symbols_and_no_more),
        LIVE(test_errno_is_the_hosts),
        LIVE(test_children_and_parents_both_work),
        LIVE(test_fork_while_threads_work),
        LIVE(test_sixteen_threads_sign),
        LIVE(test_a_cold_start_of_many_threads),
        LIVE(test_closing_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, world_start_ec_and_rsa, world_stop);
}
