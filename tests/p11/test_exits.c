/* Hosts that exit in every way that hosts do, with sessions, operations, searches and objects open. */
#include "quiet.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static CK_SESSION_HANDLE left_open;

/* A host that works, and has a session, an operation, a search and an object open when its time comes. */
static void busy_host(void)
{
    CK_OBJECT_HANDLE key;
    CK_OBJECT_CLASS type = CKO_PUBLIC_KEY;
    CK_ATTRIBUTE template = { CKA_CLASS, &type, sizeof type };
    if (world.p11->C_Initialize(NULL) || !quiet_works_anew() ||
        world.p11->C_OpenSession(PROD, CKF_SERIAL_SESSION, NULL, NULL, &left_open) ||
        !quiet_find(left_open, CKO_PRIVATE_KEY, &key) || world.p11->C_SignInit(left_open, &ecdsa, key) ||
        world.p11->C_FindObjectsInit(left_open, &template, 1))
        _exit(99);
    aes_key(left_open, quiet_digest, 32, true);
}

static void just_exits(void)
{
    busy_host();
    exit(42);
}

static void exits_quickly(void)
{
    busy_host();
    quick_exit(42);
}

static void exits_at_once(void)
{
    busy_host();
    _exit(42);
}

static void exits_unloaded(void)
{
    busy_host();
    unload();
    exit(42);
}

static void *exit_here(void *unused)
{
    exit(42);
    return unused;
}

/* As Java does: the main thread waits while another one exits. */
static void exits_in_another_thread(void)
{
    pthread_t thread;
    busy_host();
    pthread_create(&thread, NULL, exit_here, NULL);
    pthread_join(thread, NULL);
}

static void *work_and_end(void *unused)
{
    busy_host();
    return unused;
}

/* All the module's work was that of a thread that is gone. */
static void exits_after_its_worker(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, work_and_end, NULL);
    pthread_join(thread, NULL);
    exit(42);
}

/* Registered before OpenSSL was used: runs after OPENSSL_cleanup. */
static void close_late(void)
{
    CK_SESSION_INFO info;
    if (world.p11->C_CloseSession(left_open) || world.p11->C_CloseAllSessions(PROD) ||
        world.p11->C_GetSessionInfo(left_open, &info) != CKR_CRYPTOKI_NOT_INITIALIZED ||
        world.p11->C_Finalize(NULL))
        _exit(3);
}

static void closes_after_openssl(void)
{
    atexit(close_late);
    busy_host();
    exit(42);
}

/* Registered after: OpenSSL is whole, and so is every call. */
static void work_and_close(void)
{
    if (!quiet_works_anew() || world.p11->C_CloseSession(left_open) || world.p11->C_Finalize(NULL))
        _exit(3);
}

static void closes_before_openssl(void)
{
    busy_host();
    atexit(work_and_close);
    exit(42);
}

static void begin_anew_and_leave(void)
{
    if (world.p11->C_Finalize(NULL) || world.p11->C_Initialize(NULL) || !quiet_works_anew())
        _exit(3);
}

static void begins_anew_at_exit(void)
{
    busy_host();
    atexit(begin_anew_and_leave);
    exit(42);
}

/* OpenSSL calls its own handlers first of all in its cleanup, where pkcs11-provider's teardown is, too. */
static void closes_inside_openssl(void)
{
    busy_host();
    if (!OPENSSL_atexit(close_late))
        _exit(98);
    exit(42);
}

static void ends_by_the_hosts_own_cleanup(void)
{
    busy_host();
    OPENSSL_cleanup();
    close_late();
    exit(42);
}

static void finalizes_and_exits(void)
{
    busy_host();
    finalize();
    exit(42);
}

static void test_exits_of_every_kind(void **state)
{
    static const struct {
        const char *what;
        void (*host)(void);
    } hosts[] = {
        { "just exits", just_exits },
        { "finalizes and exits", finalizes_and_exits },
        { "calls quick_exit", exits_quickly },
        { "calls _exit", exits_at_once },
        { "has unloaded the module", exits_unloaded },
        { "exits in another thread", exits_in_another_thread },
        { "exits after its worker ended", exits_after_its_worker },
        { "closes after OpenSSL is gone", closes_after_openssl },
        { "closes inside OPENSSL_cleanup", closes_inside_openssl },
        { "closes before OPENSSL_cleanup", closes_before_openssl },
        { "begins anew at exit", begins_anew_at_exit },
        { "calls OPENSSL_cleanup itself", ends_by_the_hosts_own_cleanup },
    };
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        int status = -1;
        print_message("a host that %s\n", hosts[i].what);
        pid_t child = fork();
        if (!child) {
            alarm(60);
            hosts[i].host();
            _exit(97);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 42)
            fail_msg("wait status 0x%x", status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_exits_of_every_kind) };
    return cmocka_run_group_tests(tests, world_start_ec, world_stop);
}
