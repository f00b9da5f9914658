/* `pin = client-secret`: the PIN of C_Login is the application's secret, and nobody but the directory knows whether it is right. */
#include "harness.h"
#include "quiet.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#define RIGHT       "workload-secret"
#define WRONG       "not-the-workload's"
#define PIN_SETTING "pin = client-secret\n"
/* By the retry rule there is never doubt whether one more attempt fits into 2.4 seconds; under valgrind there is, and all attempts are made. */
#define FAILING_SETTING (is_slow() ? PIN_SETTING "timeout = 60\n" : PIN_SETTING "timeout = 2.4\n")
#define SILENT_SETTING  PIN_SETTING "timeout = 2.4\n"

static CK_BYTE digest[32] = { 7 };

static int end(void **state)
{
    (void)state;
    control_do("DELETE", "/faults", NULL);
    world.p11->C_Finalize(NULL);
    return 0;
}

static CK_RV log_in(CK_SESSION_HANDLE session, const char *pin)
{
    return world.p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin));
}

static CK_SESSION_HANDLE begin_with(const char *settings)
{
    configure("none", settings);
    CK_SESSION_HANDLE session = restart(PROD);
    clear_log();
    return session;
}

static CK_SESSION_HANDLE begin(void)
{
    return begin_with(PIN_SETTING);
}

static CK_STATE state_of(CK_SESSION_HANDLE session)
{
    CK_SESSION_INFO info;
    ok(world.p11->C_GetSessionInfo(session, &info));
    return info.state;
}

static size_t found(CK_SESSION_HANDLE session)
{
    return find_all(session, CKO_PRIVATE_KEY, NULL, NULL, NULL, 0);
}

static void test_the_token_says_that_a_login_is_needed(void **state)
{
    CK_TOKEN_INFO info;
    begin();
    ok(world.p11->C_GetTokenInfo(PROD, &info));
    assert_true(info.flags & CKF_LOGIN_REQUIRED);
    assert_int_equal(info.ulMaxPinLen, 255);
    assert_int_equal(requests(NULL), 0);
    configure("none", "");
    restart(PROD);
    ok(world.p11->C_GetTokenInfo(PROD, &info));
    assert_false(info.flags & CKF_LOGIN_REQUIRED);
}

static void test_right_wrong_and_out_again(void **state)
{
    CK_SESSION_HANDLE session = begin(), writer;
    ok(world.p11->C_OpenSession(PROD, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &writer));
    assert_int_equal(state_of(session), CKS_RO_PUBLIC_SESSION);
    assert_int_equal(state_of(writer), CKS_RW_PUBLIC_SESSION);
    assert_int_equal(found(session), 0); /* no error, and nobody asked */
    expect(CKR_USER_NOT_LOGGED_IN, world.p11->C_Logout(session));
    assert_int_equal(requests(NULL), 0);

    expect(CKR_PIN_INCORRECT, log_in(session, WRONG));
    expect(CKR_PIN_INCORRECT, log_in(session, WRONG));
    assert_int_equal(state_of(session), CKS_RO_PUBLIC_SESSION);
    assert_int_equal(found(session), 0);
    assert_int_equal(requests("oauth2"), 2);

    ok(log_in(session, RIGHT));
    assert_int_equal(requests("oauth2"), 3);
    assert_int_equal(state_of(session), CKS_RO_USER_FUNCTIONS);
    assert_int_equal(state_of(writer), CKS_RW_USER_FUNCTIONS);
    expect(CKR_USER_ALREADY_LOGGED_IN, log_in(writer, RIGHT));
    expect(CKR_USER_ALREADY_LOGGED_IN, log_in(writer, WRONG));
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "ec");
    sign(session, &ecdsa, key, digest, sizeof digest);
    assert_int_equal(requests("oauth2"), 3); /* the token of the login serves */

    ok(world.p11->C_Logout(session));
    assert_int_equal(state_of(writer), CKS_RW_PUBLIC_SESSION);
    assert_int_equal(found(session), 0);
    clear_log();
    expect(CKR_USER_NOT_LOGGED_IN, world.p11->C_SignInit(session, &ecdsa, key));
    expect(CKR_USER_NOT_LOGGED_IN, world.p11->C_Logout(session));
    expect(CKR_PIN_INCORRECT, log_in(session, WRONG)); /* what was known before is forgotten */
    assert_int_equal(requests("oauth2"), 1);
    assert_int_equal(vault_requests(), 0);
}

static void test_an_operation_under_way_ends_with_the_login(void **state)
{
    CK_SESSION_HANDLE session = begin();
    CK_BYTE signature[64];
    CK_ULONG len = sizeof signature;
    ok(log_in(session, RIGHT));
    CK_OBJECT_HANDLE key = find_one(session, CKO_PRIVATE_KEY, "ec"),
                     public = find_one(session, CKO_PUBLIC_KEY, "ec");
    struct result good = sign(session, &ecdsa, key, digest, sizeof digest);
    ok(world.p11->C_SignInit(session, &ecdsa, key));
    ok(world.p11->C_Logout(session));
    expect(CKR_USER_NOT_LOGGED_IN, world.p11->C_Sign(session, digest, sizeof digest, signature, &len));
    /* The public half is here. */
    assert_true(verifies(session, &ecdsa, public, BYTES(digest, sizeof digest), &good));
}

static void test_the_last_session_takes_the_login_along(void **state)
{
    CK_SESSION_HANDLE session = begin(), other = open_session(PROD);
    ok(log_in(session, RIGHT));
    ok(world.p11->C_CloseSession(session));
    assert_int_equal(state_of(other), CKS_RO_USER_FUNCTIONS);
    ok(world.p11->C_CloseSession(other));
    session = open_session(PROD);
    assert_int_equal(state_of(session), CKS_RO_PUBLIC_SESSION);
    assert_int_equal(found(session), 0);
    ok(log_in(session, RIGHT));
    ok(world.p11->C_CloseAllSessions(PROD));
    session = open_session(PROD);
    assert_int_equal(state_of(session), CKS_RO_PUBLIC_SESSION);
}

static void test_each_slot_has_a_login_of_its_own(void **state)
{
    CK_SESSION_HANDLE session = begin(), other = open_session(DR);
    ok(log_in(session, RIGHT));
    assert_int_equal(state_of(other), CKS_RO_PUBLIC_SESSION);
    expect(CKR_PIN_INCORRECT, log_in(other, WRONG)); /* the token of the first does not prove it */
    ok(log_in(other, RIGHT));
    ok(world.p11->C_Logout(other));
    assert_int_equal(found(session), 1);
}

/* What is no answer to the PIN is no CKR_PIN_INCORRECT, and the slot stays as it was. */
static void test_what_hinders_is_told_as_such(void **state)
{
    const struct {
        const char *fault, *settings;
        CK_RV rv;
    } rows[] = {
        { "{\"host\":\"login\",\"kind\":\"cut_before\",\"count\":99}", FAILING_SETTING, CKR_DEVICE_ERROR },
        { "{\"host\":\"prod\",\"kind\":\"cut_before\",\"count\":99}", FAILING_SETTING, CKR_DEVICE_ERROR },
        { "{\"host\":\"login\",\"kind\":\"delay\",\"ms\":30000,\"count\":99}", SILENT_SETTING,
          CKR_KVP11_TIMED_OUT },
        { "{\"host\":\"login\",\"kind\":\"status\",\"status\":400,\"count\":99,\"body\":"
          "\"{\\\"error\\\":\\\"unauthorized_client\\\",\\\"error_codes\\\":[700016]}\"}",
          PIN_SETTING, CKR_KVP11_CREDENTIAL },
        { "{\"host\":\"login\",\"kind\":\"status\",\"status\":401,\"count\":99,\"body\":"
          "\"{\\\"error\\\":\\\"invalid_client\\\",\\\"error_codes\\\":[7000222]}\"}",
          PIN_SETTING, CKR_PIN_EXPIRED },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CK_SESSION_HANDLE session = begin_with(rows[i].settings);
        control_do("POST", "/faults", rows[i].fault);
        CK_RV rv = log_in(session, RIGHT);
        if (rv != rows[i].rv)
            fail_msg("%s: 0x%lx", rows[i].fault, rv);
        assert_int_equal(state_of(session), CKS_RO_PUBLIC_SESSION);
        control_do("DELETE", "/faults", NULL);
        ok(log_in(session, RIGHT));
    }
}

static void test_an_unreachable_directory_is_no_wrong_pin(void **state)
{
    char settings[512];
    snprintf(settings, sizeof settings, "%sresolve = %s:127.0.0.77\n", FAILING_SETTING,
             strstr(world.authority, "://") + 3);
    CK_SESSION_HANDLE session = begin_with(settings);
    expect(CKR_KVP11_UNREACHABLE, log_in(session, RIGHT));
    expect(CKR_KVP11_UNREACHABLE, log_in(session, WRONG));
    assert_int_equal(state_of(session), CKS_RO_PUBLIC_SESSION);
}

static void test_what_can_be_no_secret_is_not_sent(void **state)
{
    CK_SESSION_HANDLE session = begin();
    CK_UTF8CHAR text[300];
    memset(text, 'a', sizeof text);
    expect(CKR_ARGUMENTS_BAD, world.p11->C_Login(session, CKU_USER, NULL, 0));
    expect(CKR_PIN_INCORRECT, world.p11->C_Login(session, CKU_USER, text, 0));
    expect(CKR_PIN_LEN_RANGE, world.p11->C_Login(session, CKU_USER, text, 256));
    expect(CKR_PIN_INCORRECT, world.p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"a\0b", 3));
    expect(CKR_OPERATION_NOT_INITIALIZED, world.p11->C_Login(session, CKU_CONTEXT_SPECIFIC, text, 4));
    assert_int_equal(requests(NULL), 0);
    expect(CKR_PIN_INCORRECT, world.p11->C_Login(session, CKU_USER, text, 255));
    ok(world.p11_3->C_LoginUser(session, CKU_USER, (CK_UTF8CHAR *)RIGHT, strlen(RIGHT), NULL, 0));
}

/* The locked and the logged-in life of one PIN: where the module said anything, it did not say that. */
static void test_no_pin_in_the_log(void **state)
{
    char *log = module_log();
    assert_non_null(strstr(log, "CKR_PIN_INCORRECT"));
    assert_non_null(strstr(log, "CKR_USER_NOT_LOGGED_IN"));
    assert_null(strstr(log, RIGHT));
    assert_null(strstr(log, WRONG));
    free(log);
}

/* --- [NAME.operator] --- */

static void append(const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/kvp11.conf", world.dir);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The module is refused what only the operator may, and does not so much as open the operator's secret. */
static void test_the_module_never_is_the_operator(void **state)
{
    char secret[128], section[512], events[4096];
    CK_MECHANISM pair = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
    static CK_BYTE curve[] = { 6, 8, 42, 134, 72, 206, 61, 3, 1, 7 };
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = { { CKA_EC_PARAMS, curve, sizeof curve },
                                { CKA_TOKEN, &yes, sizeof yes },
                                { CKA_LABEL, (void *)"made", 4 } };
    CK_OBJECT_HANDLE public, private;
    CK_SESSION_HANDLE session;
    configure_as("operator", "none", ""); /* for its secret file */
    configure("none", "manage = yes");
    snprintf(secret, sizeof secret, "%s/operator.secret", world.dir);
    snprintf(section, sizeof section,
             "[prod.operator]\ncredential = client-secret\nclient_id = operator\nclient_secret_file = %s\n",
             secret);
    append(section);
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(inotify_add_watch(watch, secret, IN_OPEN | IN_ACCESS) >= 0);
    restart(PROD);
    clear_log();
    ok(world.p11->C_OpenSession(PROD, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED,
           world.p11->C_GenerateKeyPair(session, &pair, template, 3, template + 1, 2, &public, &private));
    assert_int_equal(found(session), 1);
    struct kv_json *log = control("GET", "/log", NULL);
    size_t asked = 0;
    for (size_t i = 0; i < kv_json_count(log); i++) {
        const char *identity = kv_json_text(kv_json_get(kv_json_at(log, i), "identity"));
        asked += identity && *identity;
        if (identity && *identity)
            assert_string_equal(identity, "workload");
    }
    kv_json_free(log);
    assert_true(asked > 1);
    assert_int_equal(read(watch, events, sizeof events), -1);
    close(open(secret, O_RDONLY)); /* that the watch sees it */
    assert_true(read(watch, events, sizeof events) > 0);
    close(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_the_token_says_that_a_login_is_needed, end),
        cmocka_unit_test_teardown(test_right_wrong_and_out_again, end),
        cmocka_unit_test_teardown(test_an_operation_under_way_ends_with_the_login, end),
        cmocka_unit_test_teardown(test_the_last_session_takes_the_login_along, end),
        cmocka_unit_test_teardown(test_each_slot_has_a_login_of_its_own, end),
        cmocka_unit_test_teardown(test_what_hinders_is_told_as_such, end),
        cmocka_unit_test_teardown(test_an_unreachable_directory_is_no_wrong_pin, end),
        cmocka_unit_test_teardown(test_what_can_be_no_secret_is_not_sent, end),
        cmocka_unit_test_teardown(test_no_pin_in_the_log, end),
        cmocka_unit_test_teardown(test_the_module_never_is_the_operator, end),
    };
    return cmocka_run_group_tests(tests, world_start_ec, world_stop);
}
