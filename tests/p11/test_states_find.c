/* A search in every state, as test_states.c has the other kinds: a table says what each call must answer and what it leaves. */
#include "harness.h"

static CK_SESSION_HANDLE session;

#define OK_    CKR_OK
#define NOT    CKR_OPERATION_NOT_INITIALIZED
#define ACTIVE CKR_OPERATION_ACTIVE
#define BAD    CKR_ARGUMENTS_BAD

enum search { S_INIT, S_INIT_BAD, S_NEXT, S_NONE, S_BAD, S_FINAL, S_CANCEL, SEARCHES };
static const char *const search_names[SEARCHES] = { "Init",           "Init with a hollow template",
                                                    "next",           "next, no room",
                                                    "next, no place", "Final",
                                                    "C_SessionCancel" };

static CK_RV search_call(enum search call)
{
    CK_OBJECT_CLASS type = CKO_PUBLIC_KEY;
    CK_ATTRIBUTE template = { CKA_CLASS, call == S_INIT_BAD ? NULL : &type, sizeof type };
    CK_OBJECT_HANDLE found[8];
    CK_ULONG count;
    if (call <= S_INIT_BAD)
        return world.p11->C_FindObjectsInit(session, &template, 1);
    if (call == S_FINAL)
        return world.p11->C_FindObjectsFinal(session);
    if (call == S_CANCEL)
        return world.p11_3->C_SessionCancel(session, CKF_FIND_OBJECTS);
    return world.p11->C_FindObjects(session, call == S_BAD ? NULL : found, call == S_NONE ? 0 : 8, &count);
}

static void test_every_call_of_a_search(void **state)
{
    static const struct {
        const char *name;
        enum search calls[4];
        size_t count;
        bool active;
    } searches[] = {
        { "nothing begun", { 0 }, 0, false },
        { "an Init that failed", { S_INIT_BAD }, 1, false },
        { "begun", { S_INIT }, 1, true },
        { "begun twice", { S_INIT, S_INIT }, 2, true },
        { "after some", { S_INIT, S_NEXT }, 2, true },
        { "after all", { S_INIT, S_NEXT, S_NEXT }, 3, true },
        { "after an error", { S_INIT, S_BAD }, 2, true },
        { "at its end", { S_INIT, S_NEXT, S_FINAL }, 3, false },
        { "cancelled", { S_INIT, S_CANCEL }, 2, false },
    };
    static const struct {
        CK_RV rv;
        bool active; /* afterwards */
    } cells[2][SEARCHES] = {
        { [S_INIT] = { OK_, true },
          [S_INIT_BAD] = { BAD, false },
          [S_NEXT] = { NOT, false },
          [S_NONE] = { NOT, false },
          [S_BAD] = { NOT, false },
          [S_FINAL] = { NOT, false },
          [S_CANCEL] = { OK_, false } },
        { [S_INIT] = { ACTIVE, true },
          [S_INIT_BAD] = { BAD, true },
          [S_NEXT] = { OK_, true },
          [S_NONE] = { OK_, true },
          [S_BAD] = { BAD, true },
          [S_FINAL] = { OK_, false },
          [S_CANCEL] = { OK_, false } },
    };
    for (size_t s = 0; s < sizeof searches / sizeof *searches; s++)
        for (enum search call = 0; call < SEARCHES; call++) {
            for (size_t i = 0; i < searches[s].count; i++)
                search_call(searches[s].calls[i]);
            bool active = searches[s].active;
            CK_RV rv = search_call(call);
            if (rv != cells[active][call].rv)
                fail_msg("search, %s, %s: 0x%lx", searches[s].name, search_names[call], rv);
            expect(cells[active][call].active ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED, search_call(S_FINAL));
        }
}

static void all_say(CK_RV rv)
{
    for (enum search call = 0; call < SEARCHES; call++)
        if (search_call(call) != rv)
            fail_msg("%s: not 0x%lx", search_names[call], rv);
}

static void test_a_closed_session_takes_it_along(void **state)
{
    CK_SESSION_HANDLE before = session;
    session = open_session(PROD);
    ok(search_call(S_INIT));
    ok(world.p11->C_CloseSession(session));
    all_say(CKR_SESSION_HANDLE_INVALID);
    session = open_session(PROD);
    expect(NOT, search_call(S_NEXT));
    ok(world.p11->C_CloseSession(session));
    session = before;
}

static void test_without_a_library(void **state)
{
    ok(search_call(S_INIT));
    finalize();
    all_say(CKR_CRYPTOKI_NOT_INITIALIZED);
    initialize();
    all_say(CKR_SESSION_HANDLE_INVALID);
}

static int start(void **state)
{
    if (world_start(state))
        return -1;
    create_key("prod", "ec", "{\"kty\":\"EC\",\"crv\":\"P-256\"}");
    all_say(CKR_CRYPTOKI_NOT_INITIALIZED);
    initialize();
    session = open_session(PROD);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_of_a_search),
        cmocka_unit_test(test_a_closed_session_takes_it_along),
        cmocka_unit_test(test_without_a_library),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
