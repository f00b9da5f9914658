/* Beginnings and ends: loaded a thousand times, begun by many, finalized under way, and all of it at once. */
#include "quiet.h"

#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int end(void **state)
{
    configure("none", "");
    return world_finalize(state);
}

/* --- growth --- */

struct size {
    size_t resident_kib, heap, files, threads, mappings;
};

static size_t entries(const char *folder)
{
    size_t count = 0;
    DIR *open = opendir(folder);
    assert_non_null(open);
    while (readdir(open))
        count++;
    closedir(open);
    return count;
}

static size_t lines(const char *path)
{
    size_t count = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (int c; (c = fgetc(file)) != EOF;)
        count += c == '\n';
    fclose(file);
    return count;
}

static size_t resident_kib(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static struct size measure(void)
{
    malloc_trim(0);
    return (struct size){ resident_kib(), mallinfo2().uordblks, entries("/proc/self/fd"),
                          entries("/proc/self/task"), lines("/proc/self/maps") };
}

/* All that a short-lived client does; with a request and its TLS every twentieth time. */
static void one_life(int round)
{
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    load();
    initialize();
    session = open_session(PROD);
    assert_true(quiet_find(session, CKO_PRIVATE_KEY, &key));
    aes_key(session, quiet_digest, 32, true);
    if (round % 20 == 0)
        assert_true(quiet_works_anew());
    if (round % 2)
        ok(world.p11->C_CloseSession(session));
    finalize();
    unload();
}

/* A kibibyte lost each time would be 800 of them. Sanitizers keep what was freed, and find leaks by themselves: there the sizes say nothing. */
static void test_a_thousand_lives_without_growth(void **state)
{
    enum { GROWTH_KIB = 400, PER_LIFE = 64 };
    const int lives = is_slow() ? 100 : 1000, warmth = lives / 5;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    static const bool sizes = false;
#else
    const bool sizes = !is_slow();
#endif
    struct size warm = { 0 };
    configure("lives.db", "");
    unload();
    for (int i = 0; i < lives; i++) {
        if (i == warmth)
            warm = measure();
        one_life(i);
    }
    struct size last = measure();
    print_message("resident %zu -> %zu KiB, heap %zu -> %zu bytes, %zu mappings\n", warm.resident_kib,
                  last.resident_kib, warm.heap, last.heap, last.mappings);
    load();
    assert_int_equal(last.files, warm.files);
    assert_int_equal(last.threads, warm.threads);
    if (!sizes)
        return;
    assert_in_range(last.mappings, 1, warm.mappings + 4);
    assert_in_range(last.resident_kib, 1, warm.resident_kib + GROWTH_KIB);
    assert_in_range(last.heap, 1, warm.heap + (size_t)(lives - warmth) * PER_LIFE);
}

/* --- under way --- */

enum { BUSY = 6 };
static int deadline_ms, late_ms;

struct slow {
    pthread_t thread;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    CK_RV rv;
    int64_t ended;
};

static void *sign_slowly(void *argument)
{
    struct slow *slow = argument;
    CK_BYTE signature[64];
    CK_ULONG len = sizeof signature;
    slow->rv = world.p11->C_Sign(slow->session, (CK_BYTE *)quiet_digest, 32, signature, &len);
    slow->ended = now_ms();
    return NULL;
}

/* Signatures that the vault answers long after the deadline, one a thread. */
static void begin_slow(struct slow *slow)
{
    char settings[32], fault[128];
    deadline_ms = is_slow() ? 20000 : 4000;
    late_ms = deadline_ms * 2;
    snprintf(settings, sizeof settings, "timeout = %d", deadline_ms / 1000);
    configure("none", settings);
    initialize();
    for (int i = 0; i < BUSY; i++) {
        slow[i] = (struct slow){ .session = open_session(PROD), .rv = 4711 };
        slow[i].key = find_one(slow[i].session, CKO_PRIVATE_KEY, "ec");
        ok(world.p11->C_SignInit(slow[i].session, &ecdsa, slow[i].key));
    }
    snprintf(fault, sizeof fault, "{\"path\":\"/sign\",\"kind\":\"delay\",\"ms\":%d,\"count\":%d}", late_ms,
             BUSY);
    control_do("POST", "/faults", fault);
    for (int i = 0; i < BUSY; i++)
        assert_int_equal(pthread_create(&slow[i].thread, NULL, sign_slowly, &slow[i]), 0);
    await_fault_taken();
}

static void finalize_all(const struct slow *slow)
{
    (void)slow;
    finalize();
}

static void close_all(const struct slow *slow)
{
    (void)slow;
    ok(world.p11->C_CloseAllSessions(PROD));
}

/* A session is locked for the length of a call, so that call is ended first. */
static void close_each(const struct slow *slow)
{
    for (int i = 0; i < BUSY; i++)
        ok(world.p11->C_CloseSession(slow[i].session));
}

static void begin_anew(const struct slow *slow)
{
    finalize_all(slow);
    initialize();
    assert_true(quiet_works_anew());
}

static void test_ends_under_way(void **state)
{
    static const struct {
        const char *what;
        void (*act)(const struct slow *);
        CK_RV rv; /* of the call that it ends */
    } ways[] = {
        { "C_Finalize", finalize_all, CKR_CRYPTOKI_NOT_INITIALIZED },
        { "C_CloseAllSessions", close_all, CKR_SESSION_CLOSED },
        { "C_CloseSession", close_each, CKR_SESSION_CLOSED },
        { "C_Finalize, C_Initialize and work", begin_anew, CKR_CRYPTOKI_NOT_INITIALIZED },
    };
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        struct slow slow[BUSY];
        print_message("%s\n", ways[w].what);
        begin_slow(slow);
        int64_t began = now_ms();
        ways[w].act(slow);
        assert_in_range(now_ms() - began, 0, deadline_ms / 2);
        for (int i = 0; i < BUSY; i++) {
            pthread_join(slow[i].thread, NULL);
            assert_in_range(slow[i].ended - began, 0, deadline_ms / 2);
            expect(ways[w].rv, slow[i].rv);
        }
        CK_RV rv = world.p11->C_Finalize(NULL);
        assert_true(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED);
        configure("none", "");
        initialize();
        assert_true(quiet_works_anew());
        finalize();
    }
}

/* --- everything at once --- */

static atomic_bool enough;

/* CKR_OPERATION_ACTIVE: the handle of a former life may name another thread's session in this one. */
static bool is_legal(CK_RV rv)
{
    static const CK_RV legal[] = { CKR_OK,
                                   CKR_CRYPTOKI_NOT_INITIALIZED,
                                   CKR_CRYPTOKI_ALREADY_INITIALIZED,
                                   CKR_SESSION_HANDLE_INVALID,
                                   CKR_SESSION_CLOSED,
                                   CKR_KEY_HANDLE_INVALID,
                                   CKR_OBJECT_HANDLE_INVALID,
                                   CKR_OPERATION_NOT_INITIALIZED,
                                   CKR_OPERATION_ACTIVE };
    for (size_t i = 0; i < sizeof legal / sizeof *legal; i++)
        if (rv == legal[i])
            return true;
    return false;
}

/* Goes on whatever comes back, as long as it is an answer to what happened; the first other answer is kept. */
static void *live(void *ret)
{
    CK_RV *bad = ret;
    while (!enough) {
        CK_SESSION_HANDLE session = 1;
        CK_OBJECT_HANDLE key = 1;
        CK_OBJECT_CLASS type = CKO_PRIVATE_KEY;
        CK_ATTRIBUTE template = { CKA_CLASS, &type, sizeof type };
        CK_BYTE signature[64];
        CK_ULONG count = 0, len = sizeof signature;
        CK_RV rv[] = {
            world.p11->C_OpenSession(PROD, CKF_SERIAL_SESSION, NULL, NULL, &session),
            world.p11->C_FindObjectsInit(session, &template, 1),
            world.p11->C_FindObjects(session, &key, 1, &count),
            world.p11->C_FindObjectsFinal(session),
            world.p11->C_SignInit(session, &ecdsa, key),
            world.p11->C_Sign(session, (CK_BYTE *)quiet_digest, 32, signature, &len),
            world.p11->C_CloseSession(session),
        };
        for (size_t i = 0; i < sizeof rv / sizeof *rv; i++)
            if (!is_legal(rv[i]) && !*bad)
                *bad = rv[i];
    }
    return NULL;
}

static void *begin_and_end(void *ret)
{
    CK_RV *bad = ret;
    for (int i = 0; i < 40; i++) {
        CK_RV rv[] = { world.p11->C_Initialize(NULL), world.p11->C_CloseAllSessions(PROD),
                       world.p11->C_Finalize(NULL) };
        for (size_t k = 0; k < sizeof rv / sizeof *rv; k++)
            if (!is_legal(rv[k]) && !*bad)
                *bad = rv[k];
    }
    return NULL;
}

static void test_everything_at_once(void **state)
{
    enum { LIVERS = 6, ENDERS = 3 };
    pthread_t threads[LIVERS + ENDERS];
    CK_RV bad[LIVERS + ENDERS] = { CKR_OK };
    enough = false;
    for (int i = 0; i < LIVERS + ENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < LIVERS ? live : begin_and_end, &bad[i]), 0);
    for (int i = LIVERS; i < LIVERS + ENDERS; i++)
        pthread_join(threads[i], NULL);
    enough = true;
    for (int i = 0; i < LIVERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < LIVERS + ENDERS; i++)
        expect(CKR_OK, bad[i]);
    world.p11->C_Finalize(NULL);
    initialize();
    assert_true(quiet_works_anew());
}

/* One begins, the others are told that it has been done. */
static void *initialize_too(void *ret)
{
    *(CK_RV *)ret = world.p11->C_Initialize(NULL);
    return NULL;
}

static void test_many_begin_at_once(void **state)
{
    enum { THREADS = 16 };
    for (int round = 0; round < 10; round++) {
        pthread_t threads[THREADS];
        CK_RV rv[THREADS];
        int first = 0, others = 0;
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, initialize_too, &rv[i]), 0);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            first += rv[i] == CKR_OK;
            others += rv[i] == CKR_CRYPTOKI_ALREADY_INITIALIZED;
        }
        assert_int_equal(first, 1);
        assert_int_equal(others, THREADS - 1);
        finalize();
    }
}

/* Whoever kept a handle over C_Finalize must not meet a stranger under it. */
static void test_no_life_gives_the_handles_of_another(void **state)
{
    CK_SESSION_INFO info;
    CK_BYTE value[16] = { 1 };
    initialize();
    CK_SESSION_HANDLE first = open_session(PROD);
    CK_OBJECT_HANDLE key = aes_key(first, value, sizeof value, true);
    finalize();
    initialize();
    for (int i = 0; i < 16; i++) {
        CK_SESSION_HANDLE now = open_session(PROD);
        CK_OBJECT_HANDLE made = aes_key(now, value, sizeof value, true);
        assert_true(now != first && now != key && made != first && made != key);
    }
    expect(CKR_SESSION_HANDLE_INVALID, world.p11->C_GetSessionInfo(first, &info));
}

int main(void)
{
#define ENDING(test) cmocka_unit_test_teardown(test, end)
    const struct CMUnitTest tests[] = {
        ENDING(test_many_begin_at_once),
        ENDING(test_no_life_gives_the_handles_of_another),
        ENDING(test_ends_under_way),
        ENDING(test_everything_at_once),
        ENDING(test_a_thousand_lives_without_growth),
    };
    return cmocka_run_group_tests(tests, world_start_ec, world_stop);
}
