/* Forks with sessions, connections, operations and a version map open: child and parent both go on, and neither disturbs the other. */
#include "quiet.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE shut, open_key;

static int start(void **state)
{
    if (world_start(state))
        return -1;
    create_key("prod", "ec", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    configure("map.db", "");
    return 0;
}

/* Signed before, so there is a connection; searched before, so the map is open. */
static int begin(void **state)
{
    (void)state;
    initialize();
    session = open_session(PROD);
    shut = find_one(session, CKO_PRIVATE_KEY, "ec");
    open_key = find_one(session, CKO_PUBLIC_KEY, "ec");
    return quiet_works(session, shut, open_key) ? 0 : -1;
}

/* --- what children do --- */

static bool initializes(void)
{
    return !world.p11->C_Initialize(NULL) && quiet_works_anew() && !world.p11->C_Finalize(NULL);
}

static bool initializes_with_arguments(void)
{
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK | CKF_LIBRARY_CANT_CREATE_OS_THREADS };
    return !world.p11->C_Initialize(&args) && quiet_works_anew() && !world.p11->C_Finalize(NULL);
}

static bool finalizes_first(void)
{
    return !world.p11->C_Finalize(NULL) && world.p11->C_Finalize(NULL) == CKR_CRYPTOKI_NOT_INITIALIZED &&
           initializes();
}

/* Sessions of the parent name nothing here, before and after. */
static bool knows_no_session(void)
{
    CK_SESSION_INFO info;
    return world.p11->C_GetSessionInfo(session, &info) == CKR_CRYPTOKI_NOT_INITIALIZED &&
           world.p11->C_CloseSession(session) == CKR_CRYPTOKI_NOT_INITIALIZED &&
           world.p11->C_SignInit(session, &ecdsa, shut) == CKR_CRYPTOKI_NOT_INITIALIZED &&
           !world.p11->C_Initialize(NULL) &&
           world.p11->C_GetSessionInfo(session, &info) == CKR_SESSION_HANDLE_INVALID && quiet_works_anew();
}

static bool leaves_it_alone(void)
{
    return true;
}

static bool exits_as_programs_do(void)
{
    exit(initializes() && !world.p11->C_Initialize(NULL) && quiet_works_anew() ? 0 : 1);
}

static bool exits_without_a_call(void)
{
    exit(0);
}

static bool has_children_too(void)
{
    return !world.p11->C_Initialize(NULL) && quiet_works_anew() && in_child(initializes) == 0 &&
           in_child(finalizes_first) == 0 && quiet_works_anew() && !world.p11->C_Finalize(NULL);
}

/* A child of a child that never called: still not the parent. */
static bool has_children_first(void)
{
    return in_child(initializes) == 0 && initializes();
}

/* As daemons do; the numbers of the parent's sockets and files then come to be those of other files. */
static bool closes_all_files(void)
{
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    for (int i = 0; i < 20; i++)
        if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
            return false;
    bool good = initializes();
    for (int fd = 3; fd < 23; fd++)
        good = good && fcntl(fd, F_GETFD) != -1;
    return good;
}

static bool goes_round_and_round(void)
{
    bool good = true;
    for (int i = 0; i < 10 && good; i++)
        good = initializes();
    return good;
}

/* The parent's connection is whole when nothing but its own requests is sent: no repetition, no new token. */
static void parent_goes_on(void)
{
    clear_log();
    for (int i = 0; i < 3; i++)
        assert_true(quiet_works(session, shut, open_key));
    assert_int_equal(requests(NULL), 3);
}

static void test_children_of_every_kind(void **state)
{
    static const struct {
        const char *what;
        bool (*child)(void);
    } children[] = {
        { "initializes", initializes },
        { "initializes with arguments", initializes_with_arguments },
        { "finalizes first", finalizes_first },
        { "knows no session of the parent's", knows_no_session },
        { "leaves the module alone", leaves_it_alone },
        { "exits as programs do", exits_as_programs_do },
        { "exits without a call", exits_without_a_call },
        { "has children, too", has_children_too },
        { "has children before it initializes", has_children_first },
        { "closes all files", closes_all_files },
        { "goes round and round", goes_round_and_round },
    };
    for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
        print_message("a child that %s\n", children[i].what);
        assert_int_equal(in_child(children[i].child), 0);
        parent_goes_on();
    }
}

/* An operation that was begun before the fork is the parent's, and ends there. */
static void test_operations_under_way(void **state)
{
    CK_BYTE signature[64];
    CK_ULONG len = sizeof signature, count = 0;
    CK_OBJECT_HANDLE found;
    CK_OBJECT_CLASS type = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template = { CKA_CLASS, &type, sizeof type };
    ok(world.p11->C_SignInit(session, &ecdsa, shut));
    ok(world.p11->C_FindObjectsInit(session, &template, 1));
    assert_int_equal(in_child(initializes), 0);
    assert_int_equal(in_child(finalizes_first), 0);
    ok(world.p11->C_FindObjects(session, &found, 1, &count));
    assert_int_equal(count, 1);
    ok(world.p11->C_FindObjectsFinal(session));
    ok(world.p11->C_Sign(session, (CK_BYTE *)quiet_digest, 32, signature, &len));
    ok(world.p11->C_VerifyInit(session, &ecdsa, open_key));
    ok(world.p11->C_Verify(session, (CK_BYTE *)quiet_digest, 32, signature, len));
}

/* --- at the same time --- */

/* A child that begins when the parent closes its end of the pipe. */
static pid_t start_child(bool (*what)(void), const int go[2])
{
    pid_t child = fork();
    if (!child) {
        char byte;
        alarm(60);
        close(go[1]);
        _exit(read(go[0], &byte, 1) == 0 && what() ? 0 : 1);
    }
    assert_true(child > 0);
    return child;
}

static void await_child(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Eight children and the parent sign at one time, all from one beginning; the map is written by all of them. */
static void test_children_and_parent_at_once(void **state)
{
    enum { CHILDREN = 8 };
    pid_t children[CHILDREN];
    int go[2];
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    for (int i = 0; i < CHILDREN; i++)
        children[i] = start_child(goes_round_and_round, go);
    close(go[1]);
    for (int i = 0; i < 50; i++)
        assert_true(quiet_works(session, shut, open_key));
    for (int i = 0; i < CHILDREN; i++)
        await_child(children[i]);
    close(go[0]);
    parent_goes_on();
}

static void test_a_parent_that_ends_first(void **state)
{
    int go[2];
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    pid_t child = start_child(initializes, go);
    finalize();
    close(go[1]);
    await_child(child);
    close(go[0]);
}

/* Forked while other threads are inside calls, their locks held; the child signs, too. AddressSanitizer's allocator does not survive such a fork,
 * and OpenSSL's and libc's own locks are not the module's to promise: what is asked is that our own context and locks are new. */
#ifndef __SANITIZE_ADDRESS__
static atomic_bool stop_workers;

static void *work_until_told(void *bad)
{
    while (!stop_workers)
        *(int *)bad += !quiet_works_anew();
    return NULL;
}

static void test_while_threads_work(void **state)
{
    enum { WORKERS = 4 };
    pthread_t threads[WORKERS];
    int forks = is_slow() ? 4 : 20;
    int bad[WORKERS] = { 0 };
    stop_workers = false;
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work_until_told, &bad[i]), 0);
    for (int i = 0; i < forks; i++)
        assert_int_equal(in_child_of_threads(i % 2 ? initializes : finalizes_first), 0);
    stop_workers = true;
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(bad[i], 0);
    }
}
#endif

/* --- exec --- */

/* A program that a host starts must find none of our connections and files open. Two sockets that lead nowhere are let pass: the pair with which
 * libcurl wakes itself has no close-on-exec in some of its versions, and no way for us to set it. */
static void test_nothing_of_ours_survives_exec(void **state)
{
    for (int fd = 3; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD), domain = 0;
        char link[64], name[256] = "";
        if (flags == -1 || flags & FD_CLOEXEC)
            continue;
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        assert_true(readlink(link, name, sizeof name - 1) > 0);
        assert_null(strstr(name, world.dir));
        if (!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){ sizeof domain }))
            assert_int_equal(domain, AF_UNIX);
    }
}

int main(void)
{
#define LIVE(test) cmocka_unit_test_setup_teardown(test, begin, world_finalize)
    const struct CMUnitTest tests[] = {
        LIVE(test_children_of_every_kind),
        LIVE(test_operations_under_way),
        LIVE(test_children_and_parent_at_once),
        LIVE(test_a_parent_that_ends_first),
#ifndef __SANITIZE_ADDRESS__
        LIVE(test_while_threads_work),
#endif
        LIVE(test_nothing_of_ours_survives_exec),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
