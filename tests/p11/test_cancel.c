/* Calls under way that another thread ends: how soon, by which code, and what goes on after it. Each would take nine seconds by itself. */
#include "manage_help.h"
#include "quiet.h"

#include <pthread.h>

enum { SOON_MS = 1500 };
#define HELD "\"kind\":\"delay\",\"ms\":9000,\"count\":1"
#define BUSY "\"kind\":\"status\",\"status\":429,\"headers\":{\"Retry-After\":\"9\"},\"count\":1"

/* --- what is under way --- */

struct work {
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    CK_RV rv;
    int64_t ended;
};

static CK_RV sign_once(struct work *work)
{
    CK_BYTE signature[64];
    CK_ULONG len = sizeof signature;
    return world.p11->C_Sign(work->session, (CK_BYTE *)quiet_digest, 32, signature, &len);
}

static CK_RV look(struct work *work)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE wanted[] = { ITEM(CKA_CLASS, class), TEXT(CKA_LABEL, "ec") };
    return world.p11->C_FindObjectsInit(work->session, wanted, 2);
}

/* The vault may make what was given up after all, nine seconds later: each has a name of its own. */
static CK_RV make_pair(struct work *work)
{
    static unsigned count;
    char name[24];
    struct pair pair;
    snprintf(name, sizeof name, "made-%u", count++);
    return make_rsa(work->session, name, &pair);
}

static const struct work_kind {
    const char *what, *fault;
    CK_RV (*run)(struct work *work);
    CK_FLAGS flags;
    bool needs_key;
} kinds[] = {
    { "C_Sign, the reply is late", "{\"path\":\"/sign\"," HELD "}", sign_once, CKF_SIGN, true },
    { "C_Sign, told to come back later", "{\"path\":\"/sign\"," BUSY "}", sign_once, CKF_SIGN, true },
    { "C_FindObjectsInit, the token is late", "{\"host\":\"login\",\"path\":\"/token\"," HELD "}", look,
      CKF_FIND_OBJECTS, false },
    { "C_GenerateKeyPair, the reply is late", "{\"path\":\"/create\"," HELD "}", make_pair,
      CKF_GENERATE_KEY_PAIR, true },
};

/* --- what ends it --- */

static CK_RV cancel(CK_SESSION_HANDLE session, CK_FLAGS flags)
{
    return world.p11_3->C_SessionCancel(session, flags);
}

static CK_RV close_one(CK_SESSION_HANDLE session, CK_FLAGS flags)
{
    (void)flags;
    return world.p11->C_CloseSession(session);
}

static CK_RV close_all(CK_SESSION_HANDLE session, CK_FLAGS flags)
{
    (void)session;
    (void)flags;
    return world.p11->C_CloseAllSessions(PROD);
}

static CK_RV end_library(CK_SESSION_HANDLE session, CK_FLAGS flags)
{
    (void)session;
    (void)flags;
    return world.p11->C_Finalize(NULL);
}

static const struct {
    const char *what;
    CK_RV (*act)(CK_SESSION_HANDLE session, CK_FLAGS flags);
    CK_RV rv; /* of the call that is ended */
} ways[] = {
    { "C_SessionCancel", cancel, CKR_FUNCTION_CANCELED },
    { "C_CloseSession", close_one, CKR_SESSION_CLOSED },
    { "C_CloseAllSessions", close_all, CKR_SESSION_CLOSED },
    { "C_Finalize", end_library, CKR_CRYPTOKI_NOT_INITIALIZED },
};

struct running {
    pthread_t thread;
    const struct work_kind *kind;
    struct work work;
};

static void *run(void *argument)
{
    struct running *running = argument;
    running->work.rv = running->kind->run(&running->work);
    running->work.ended = now_ms();
    return NULL;
}

static void begin_work_with(struct running *running, const struct work_kind *kind, const char *settings)
{
    *running = (struct running){ .kind = kind };
    running->work.session = begin("operator", settings, PROD);
    if (kind->needs_key)
        running->work.key = find_one(running->work.session, CKO_PRIVATE_KEY, "ec");
    if (kind->run == sign_once)
        ok(world.p11->C_SignInit(running->work.session, &ecdsa, running->work.key));
    control_do("POST", "/faults", kind->fault);
    assert_int_equal(pthread_create(&running->thread, NULL, run, running), 0);
    await_fault_taken();
    usleep(100000); /* a reply of 429 has still to come home */
}

static void begin_work(struct running *running, const struct work_kind *kind)
{
    begin_work_with(running, kind, "manage = yes");
}

static void test_each_way_ends_each_kind(void **state)
{
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t w = 0; w < COUNT(ways); w++) {
            struct running running;
            print_message("%s: %s\n", kinds[k].what, ways[w].what);
            begin_work(&running, &kinds[k]);
            int64_t began = now_ms();
            ok(ways[w].act(running.work.session, kinds[k].flags));
            int64_t ended = now_ms();
            pthread_join(running.thread, NULL);
            assert_in_range(ended - began, 0, SOON_MS);
            assert_in_range(running.work.ended - began, 0, SOON_MS);
            expect(ways[w].rv, running.work.rv);
        }
    }
}

/* The session goes on, and nothing of the operation is left. */
static void test_a_cancelled_session_works_on(void **state)
{
    struct running running;
    begin_work(&running, &kinds[0]);
    ok(cancel(running.work.session, CKF_SIGN));
    pthread_join(running.thread, NULL);
    expect(CKR_FUNCTION_CANCELED, running.work.rv);
    expect(CKR_OPERATION_NOT_INITIALIZED, sign_once(&running.work));
    ok(world.p11->C_SignInit(running.work.session, &ecdsa, running.work.key));
    ok(sign_once(&running.work));
}

/* What is under way is none of what was to be cancelled: it is waited for. */
static void test_other_flags_end_nothing(void **state)
{
    static const struct work_kind short_kind = {
        "", "{\"path\":\"/sign\",\"kind\":\"delay\",\"ms\":700,\"count\":1}", sign_once, CKF_SIGN, true
    };
    struct running running;
    begin_work(&running, &short_kind);
    ok(cancel(running.work.session, CKF_FIND_OBJECTS | CKF_DECRYPT));
    pthread_join(running.thread, NULL);
    ok(running.work.rv);
}

/* Two sessions wait for one token; the one who fetches it is ended, and the other fetches for itself. */
static void test_the_other_session_goes_on(void **state)
{
    struct running first, second = { .kind = &kinds[2] };
    begin_work(&first, &kinds[2]);
    second.work.session = open_session(PROD);
    assert_int_equal(pthread_create(&second.thread, NULL, run, &second), 0);
    usleep(200000);
    ok(world.p11->C_CloseSession(first.work.session));
    pthread_join(first.thread, NULL);
    pthread_join(second.thread, NULL);
    expect(CKR_SESSION_CLOSED, first.work.rv);
    ok(second.work.rv);
}

/* The only connection is another's. */
static void test_a_wait_for_a_connection_ends(void **state)
{
    struct running first, second = { .kind = &kinds[0] };
    begin_work_with(&first, &kinds[0], "max_connections = 1");
    second.work.session = open_session(PROD);
    ok(world.p11->C_SignInit(second.work.session, &ecdsa, first.work.key));
    assert_int_equal(pthread_create(&second.thread, NULL, run, &second), 0);
    usleep(200000);
    int64_t began = now_ms();
    ok(world.p11->C_CloseSession(second.work.session));
    assert_in_range(now_ms() - began, 0, SOON_MS);
    pthread_join(second.thread, NULL);
    expect(CKR_SESSION_CLOSED, second.work.rv);
    ok(world.p11->C_CloseSession(first.work.session));
    pthread_join(first.thread, NULL);
    expect(CKR_SESSION_CLOSED, first.work.rv);
}

/* The vault may have made it: that is said. */
static void test_a_change_may_have_been_done(void **state)
{
    struct running running;
    begin_work(&running, &kinds[3]);
    ok(cancel(running.work.session, CKF_GENERATE_KEY_PAIR));
    pthread_join(running.thread, NULL);
    expect(CKR_FUNCTION_CANCELED, running.work.rv);
    finalize();
    char *log = module_log();
    assert_non_null(strstr(log, "may have been done all the same"));
    free(log);
}

static int clear(void **state)
{
    (void)state;
    control_do("DELETE", "/faults", NULL);
    CK_RV rv = world.p11->C_Finalize(NULL);
    return rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED ? 0 : -1;
}

#define CALM(test) cmocka_unit_test_teardown(test, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALM(test_each_way_ends_each_kind),      CALM(test_a_cancelled_session_works_on),
        CALM(test_other_flags_end_nothing),      CALM(test_the_other_session_goes_on),
        CALM(test_a_wait_for_a_connection_ends), CALM(test_a_change_may_have_been_done),
    };
    return cmocka_run_group_tests(tests, world_start_ec, world_stop);
}
