/* Message-based encryption and decryption in every state, as test_states.c has the other kinds: a table says what each call must answer and what
 * it leaves, under a session's key and under one of a Managed HSM. */
#include "harness.h"

static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE aes;
static CK_MECHANISM gcm = { CKM_AES_GCM, NULL, 0 }, unknown = { CKM_MD5, NULL, 0 };
static CK_BYTE output[64];
static CK_ULONG room;

#define OK_    CKR_OK
#define NOT    CKR_OPERATION_NOT_INITIALIZED
#define ACTIVE CKR_OPERATION_ACTIVE
#define SMALL  CKR_BUFFER_TOO_SMALL
#define BAD    CKR_ARGUMENTS_BAD
#define MECH   CKR_MECHANISM_INVALID

enum talk {
    M_INIT,
    M_INIT_BAD,
    M_CANCEL,
    M_SESSION_CANCEL,
    M_ONCE,
    M_ONCE_QUERY,
    M_ONCE_SHORT,
    M_ONCE_BAD,
    M_ONCE_PARAM, /* a parameter that is none */
    M_ONCE_WRONG, /* a tag that does not fit */
    M_BEGIN,
    M_BEGIN_BAD,
    M_BEGIN_PARAM,
    M_NEXT,
    M_NEXT_QUERY,
    M_NEXT_SHORT,
    M_NEXT_BAD,
    M_NEXT_FLAGS, /* a flag that is none */
    M_LAST,
    M_LAST_QUERY,
    M_LAST_SHORT,
    M_LAST_BAD,
    M_LAST_PARAM,
    M_LAST_WRONG,
    M_FINAL,
    TALKS
};
static const char *const talk_names[TALKS] = {
    "Init",
    "Init of an unknown mechanism",
    "Init(NULL)",
    "C_SessionCancel",
    "message",
    "message, size",
    "message, short",
    "message, bad argument",
    "message, bad parameter",
    "message, wrong tag",
    "Begin",
    "Begin, bad argument",
    "Begin, bad parameter",
    "Next",
    "Next, size",
    "Next, short",
    "Next, bad argument",
    "Next, unknown flag",
    "last Next",
    "last Next, size",
    "last Next, short",
    "last Next, bad argument",
    "last Next, bad parameter",
    "last Next, wrong tag",
    "Final",
};

static CK_BYTE nonce[12], tag[16];
static CK_GCM_MESSAGE_PARAMS params = { nonce, 12, 0, CKG_GENERATE, tag, 128 };
static struct result plain, sealed; /* what is encrypted, what is decrypted */
static CK_BYTE good_nonce[12], good_tag[16];
static size_t said; /* of the message in parts */
static CK_OBJECT_HANDLE talk_key;

static bool is_query(enum talk call)
{
    return call == M_ONCE_QUERY || call == M_NEXT_QUERY || call == M_LAST_QUERY;
}
static bool is_short(enum talk call)
{
    return call == M_ONCE_SHORT || call == M_NEXT_SHORT || call == M_LAST_SHORT;
}
static bool is_bad(enum talk call)
{
    return call == M_ONCE_BAD || call == M_BEGIN_BAD || call == M_NEXT_BAD || call == M_LAST_BAD;
}

struct talk_arguments {
    CK_GCM_MESSAGE_PARAMS *params;
    CK_BYTE *aad, *in, *out;
    CK_ULONG params_len, aad_len, in_len, *room;
    CK_FLAGS flags;
    CK_MECHANISM *mechanism;
};

static struct talk_arguments arguments(enum talk call, struct result *input)
{
    bool no_param = call == M_ONCE_PARAM || call == M_BEGIN_PARAM || call == M_LAST_PARAM;
    bool part = call >= M_NEXT && call <= M_NEXT_FLAGS, begins = call <= M_BEGIN_PARAM;
    size_t from = begins ? 0 : said;
    struct talk_arguments ret = { .params = no_param ? NULL : &params,
                                  .params_len = no_param ? 0 : sizeof params,
                                  .aad_len = begins ? 4 : 0,
                                  .aad = (CK_BYTE *)"head",
                                  .in = input->data + from,
                                  .in_len = part ? 4 : input->len - from,
                                  .out = is_query(call) ? NULL : output,
                                  .room = &room,
                                  .flags = call == M_NEXT_FLAGS ? 2
                                           : part               ? 0
                                                                : CKF_END_OF_MESSAGE,
                                  .mechanism = call == M_INIT     ? &gcm
                                               : call == M_CANCEL ? NULL
                                                                  : &unknown };
    room = is_short(call) ? 0 : sizeof output;
    if (is_bad(call))
        ret.in = ret.aad = NULL;
    memcpy(nonce, good_nonce, 12);
    memcpy(tag, good_tag, 16);
    tag[0] ^= call == M_ONCE_WRONG || call == M_LAST_WRONG;
    return ret;
}

static CK_RV count_said(enum talk call, const struct talk_arguments *a, CK_RV rv)
{
    if (rv == CKR_OK && call >= M_BEGIN && call <= M_BEGIN_PARAM)
        said = 0;
    if (rv == CKR_OK && a->out && call >= M_NEXT && call <= M_NEXT_FLAGS)
        said += a->in_len;
    return rv;
}

static CK_RV encrypt_talk(enum talk call)
{
    CK_FUNCTION_LIST_3_0 *p11 = world.p11_3;
    struct talk_arguments a = arguments(call, &plain);
    if (call <= M_CANCEL)
        return p11->C_MessageEncryptInit(session, a.mechanism, talk_key);
    if (call == M_SESSION_CANCEL)
        return p11->C_SessionCancel(session, CKF_MESSAGE_ENCRYPT);
    if (call == M_FINAL)
        return p11->C_MessageEncryptFinal(session);
    if (call < M_BEGIN)
        return p11->C_EncryptMessage(session, a.params, a.params_len, a.aad, a.aad_len, a.in, a.in_len, a.out,
                                     a.room);
    if (call < M_NEXT)
        return count_said(call, &a,
                          p11->C_EncryptMessageBegin(session, a.params, a.params_len, a.aad, a.aad_len));
    return count_said(
        call, &a,
        p11->C_EncryptMessageNext(session, a.params, a.params_len, a.in, a.in_len, a.out, a.room, a.flags));
}

static CK_RV decrypt_talk(enum talk call)
{
    CK_FUNCTION_LIST_3_0 *p11 = world.p11_3;
    struct talk_arguments a = arguments(call, &sealed);
    if (call <= M_CANCEL)
        return p11->C_MessageDecryptInit(session, a.mechanism, talk_key);
    if (call == M_SESSION_CANCEL)
        return p11->C_SessionCancel(session, CKF_MESSAGE_DECRYPT);
    if (call == M_FINAL)
        return p11->C_MessageDecryptFinal(session);
    if (call < M_BEGIN)
        return p11->C_DecryptMessage(session, a.params, a.params_len, a.aad, a.aad_len, a.in, a.in_len, a.out,
                                     a.room);
    if (call < M_NEXT)
        return count_said(call, &a,
                          p11->C_DecryptMessageBegin(session, a.params, a.params_len, a.aad, a.aad_len));
    return count_said(
        call, &a,
        p11->C_DecryptMessageNext(session, a.params, a.params_len, a.in, a.in_len, a.out, a.room, a.flags));
}

enum phase { QUIET, READY, SPEAKING, PHASES };
#define PARAM  CKR_MECHANISM_PARAM_INVALID
#define FAILED CKR_AEAD_DECRYPT_FAILED

/* §5.9, §5.11: an error ends the message, never the process; a message in parts is left alone by all that is not of it. */
/* clang-format off */
static const struct reply {
    CK_RV rv;
    enum phase phase; /* afterwards */
} replies[PHASES][TALKS] = {
    [QUIET] = {
        [M_INIT] = { OK_, READY }, [M_INIT_BAD] = { MECH, QUIET }, [M_CANCEL] = { OK_, QUIET }, [M_SESSION_CANCEL] = { OK_, QUIET },
        [M_ONCE] = { NOT, QUIET }, [M_ONCE_QUERY] = { NOT, QUIET }, [M_ONCE_SHORT] = { NOT, QUIET }, [M_ONCE_BAD] = { NOT, QUIET },
        [M_ONCE_PARAM] = { NOT, QUIET }, [M_ONCE_WRONG] = { NOT, QUIET }, [M_BEGIN] = { NOT, QUIET }, [M_BEGIN_BAD] = { NOT, QUIET },
        [M_BEGIN_PARAM] = { NOT, QUIET }, [M_NEXT] = { NOT, QUIET }, [M_NEXT_QUERY] = { NOT, QUIET }, [M_NEXT_SHORT] = { NOT, QUIET },
        [M_NEXT_BAD] = { NOT, QUIET }, [M_NEXT_FLAGS] = { NOT, QUIET }, [M_LAST] = { NOT, QUIET }, [M_LAST_QUERY] = { NOT, QUIET },
        [M_LAST_SHORT] = { NOT, QUIET }, [M_LAST_BAD] = { NOT, QUIET }, [M_LAST_PARAM] = { NOT, QUIET }, [M_LAST_WRONG] = { NOT, QUIET },
        [M_FINAL] = { NOT, QUIET },
    },
    [READY] = {
        [M_INIT] = { ACTIVE, READY }, [M_INIT_BAD] = { ACTIVE, READY }, [M_CANCEL] = { OK_, QUIET }, [M_SESSION_CANCEL] = { OK_, QUIET },
        [M_ONCE] = { OK_, READY }, [M_ONCE_QUERY] = { OK_, READY }, [M_ONCE_SHORT] = { SMALL, READY }, [M_ONCE_BAD] = { BAD, READY },
        [M_ONCE_PARAM] = { PARAM, READY }, [M_ONCE_WRONG] = { FAILED, READY }, [M_BEGIN] = { OK_, SPEAKING }, [M_BEGIN_BAD] = { BAD, READY },
        [M_BEGIN_PARAM] = { PARAM, READY }, [M_NEXT] = { NOT, READY }, [M_NEXT_QUERY] = { NOT, READY }, [M_NEXT_SHORT] = { NOT, READY },
        [M_NEXT_BAD] = { NOT, READY }, [M_NEXT_FLAGS] = { NOT, READY }, [M_LAST] = { NOT, READY }, [M_LAST_QUERY] = { NOT, READY },
        [M_LAST_SHORT] = { NOT, READY }, [M_LAST_BAD] = { NOT, READY }, [M_LAST_PARAM] = { NOT, READY }, [M_LAST_WRONG] = { NOT, READY },
        [M_FINAL] = { OK_, QUIET },
    },
    [SPEAKING] = {
        [M_INIT] = { ACTIVE, SPEAKING }, [M_INIT_BAD] = { ACTIVE, SPEAKING }, [M_CANCEL] = { OK_, QUIET }, [M_SESSION_CANCEL] = { OK_, QUIET },
        [M_ONCE] = { ACTIVE, SPEAKING }, [M_ONCE_QUERY] = { ACTIVE, SPEAKING }, [M_ONCE_SHORT] = { ACTIVE, SPEAKING }, [M_ONCE_BAD] = { ACTIVE, SPEAKING },
        [M_ONCE_PARAM] = { ACTIVE, SPEAKING }, [M_ONCE_WRONG] = { ACTIVE, SPEAKING }, [M_BEGIN] = { ACTIVE, SPEAKING }, [M_BEGIN_BAD] = { ACTIVE, SPEAKING },
        [M_BEGIN_PARAM] = { ACTIVE, SPEAKING }, [M_NEXT] = { OK_, SPEAKING }, [M_NEXT_QUERY] = { OK_, SPEAKING }, [M_NEXT_SHORT] = { SMALL, SPEAKING },
        [M_NEXT_BAD] = { BAD, READY }, [M_NEXT_FLAGS] = { BAD, READY }, [M_LAST] = { OK_, READY }, [M_LAST_QUERY] = { OK_, SPEAKING },
        [M_LAST_SHORT] = { SMALL, SPEAKING }, [M_LAST_BAD] = { BAD, READY }, [M_LAST_PARAM] = { PARAM, READY }, [M_LAST_WRONG] = { FAILED, READY },
        [M_FINAL] = { ACTIVE, SPEAKING },
    },
};
/* clang-format on */

static const struct {
    const char *name;
    enum phase phase;
    enum talk calls[4];
    size_t count;
} talks[] = {
    { "nothing begun", QUIET, { 0 }, 0 },
    { "an Init that failed", QUIET, { M_INIT_BAD }, 1 },
    { "begun", READY, { M_INIT }, 1 },
    { "begun twice", READY, { M_INIT, M_INIT }, 2 },
    { "after a size query", READY, { M_INIT, M_ONCE_QUERY }, 2 },
    { "after CKR_BUFFER_TOO_SMALL", READY, { M_INIT, M_ONCE_SHORT }, 2 },
    { "after a message", READY, { M_INIT, M_ONCE }, 2 },
    { "after an error", READY, { M_INIT, M_ONCE_BAD }, 2 },
    { "after a bad parameter", READY, { M_INIT, M_ONCE_PARAM }, 2 },
    { "after a wrong tag", READY, { M_INIT, M_ONCE_WRONG }, 2 },
    { "a message begun", SPEAKING, { M_INIT, M_BEGIN }, 2 },
    { "a message begun that failed", READY, { M_INIT, M_BEGIN_PARAM }, 2 },
    { "after a part", SPEAKING, { M_INIT, M_BEGIN, M_NEXT }, 3 },
    { "after a part's size query", SPEAKING, { M_INIT, M_BEGIN, M_NEXT_QUERY }, 3 },
    { "after the last part's size query", SPEAKING, { M_INIT, M_BEGIN, M_NEXT, M_LAST_QUERY }, 4 },
    { "after the last part's CKR_BUFFER_TOO_SMALL", SPEAKING, { M_INIT, M_BEGIN, M_NEXT, M_LAST_SHORT }, 4 },
    { "after an error in parts", READY, { M_INIT, M_BEGIN, M_NEXT_BAD }, 3 },
    { "after a wrong tag in parts", READY, { M_INIT, M_BEGIN, M_LAST_WRONG }, 3 },
    { "after a message in parts", READY, { M_INIT, M_BEGIN, M_NEXT, M_LAST }, 4 },
    { "at its end", QUIET, { M_INIT, M_ONCE, M_FINAL }, 3 },
    { "cancelled", QUIET, { M_INIT, M_CANCEL }, 2 },
    { "cancelled in a message", QUIET, { M_INIT, M_BEGIN, M_NEXT, M_CANCEL }, 4 },
    { "cancelled by the session in a message", QUIET, { M_INIT, M_BEGIN, M_SESSION_CANCEL }, 3 },
};

struct speaker {
    const char *name;
    CK_RV (*call)(enum talk call);
    bool decrypts;
    bool holds; /* gives nothing before the last part */
};

static struct reply expected_reply(const struct speaker *speaker, enum phase phase, enum talk call)
{
    if (speaker->holds && phase == SPEAKING && call == M_NEXT_SHORT)
        return (struct reply){ OK_, SPEAKING };
    return replies[phase][call];
}

static void check_talk(const struct speaker *speaker, size_t t, enum talk call)
{
    for (size_t i = 0; i < talks[t].count; i++)
        speaker->call(talks[t].calls[i]);
    struct reply should = expected_reply(speaker, talks[t].phase, call);
    CK_RV rv = speaker->call(call);
    if (rv != should.rv)
        fail_msg("%s, %s, %s: 0x%lx instead of 0x%lx", speaker->name, talks[t].name, talk_names[call], rv,
                 should.rv);
    CK_RV after = speaker->call(M_FINAL);
    static const CK_RV phases[PHASES] = { NOT, OK_, ACTIVE };
    if (after != phases[should.phase])
        fail_msg("%s, %s, %s: afterwards Final says 0x%lx", speaker->name, talks[t].name, talk_names[call],
                 after);
    expect(CKR_OK, speaker->call(M_CANCEL));
}

static bool says_wrong(size_t t)
{
    for (size_t i = 0; i < talks[t].count; i++)
        if (talks[t].calls[i] == M_ONCE_WRONG || talks[t].calls[i] == M_LAST_WRONG)
            return true;
    return false;
}

/* One good message under the key, for decryption. */
static void seal_one(CK_OBJECT_HANDLE key)
{
    talk_key = key;
    plain.len = 16;
    memcpy(plain.data, "sixteen bytes ok", 16);
    sealed.len = sizeof sealed.data;
    ok(encrypt_talk(M_INIT));
    ok(world.p11_3->C_EncryptMessage(session, &params, sizeof params, (CK_BYTE *)"head", 4, plain.data, 16,
                                     sealed.data, &sealed.len));
    memcpy(good_nonce, nonce, 12);
    memcpy(good_tag, tag, 16);
    ok(encrypt_talk(M_FINAL));
}

static void every_call_of_messages(const struct speaker *speaker)
{
    size_t checked = 0;
    for (size_t t = 0; t < sizeof talks / sizeof *talks; t++)
        for (enum talk call = 0; call < TALKS; call++) {
            bool wrong = call == M_ONCE_WRONG || call == M_LAST_WRONG || says_wrong(t);
            if (wrong && !speaker->decrypts)
                continue;
            check_talk(speaker, t, call);
            checked++;
        }
    assert_true(checked >= (speaker->decrypts ? 575 : 480));
}

static void test_every_call_of_messages_here(void **state)
{
    static const struct speaker speakers[] = { { "message encrypt", encrypt_talk, false, false },
                                               { "message decrypt", decrypt_talk, true, true } };
    seal_one(aes);
    for (size_t i = 0; i < 2; i++)
        every_call_of_messages(&speakers[i]);
}

static void test_every_call_of_messages_in_the_hsm(void **state)
{
    static const struct speaker speakers[] = { { "message encrypt in the HSM", encrypt_talk, false, true },
                                               { "message decrypt in the HSM", decrypt_talk, true, true } };
    CK_SESSION_HANDLE before = session;
    session = open_session(HSM);
    seal_one(find_one(session, CKO_SECRET_KEY, "sealer"));
    for (size_t i = 0; i < 2; i++)
        every_call_of_messages(&speakers[i]);
    ok(world.p11->C_CloseSession(session));
    session = before;
}

/* --- sessions and the library --- */

static void begin_both(void)
{
    ok(encrypt_talk(M_INIT));
    ok(encrypt_talk(M_BEGIN));
    ok(encrypt_talk(M_NEXT));
    ok(decrypt_talk(M_INIT));
    ok(decrypt_talk(M_BEGIN));
}

static void all_say(CK_RV rv)
{
    for (enum talk call = 0; call < TALKS; call++)
        if (encrypt_talk(call) != rv || decrypt_talk(call) != rv)
            fail_msg("%s: not 0x%lx", talk_names[call], rv);
}

static void test_a_closed_session_takes_all_with_it(void **state)
{
    CK_SESSION_HANDLE before = session;
    session = open_session(PROD);
    seal_one(aes);
    begin_both();
    ok(world.p11->C_CloseSession(session));
    all_say(CKR_SESSION_HANDLE_INVALID);
    session = open_session(PROD);
    expect(NOT, encrypt_talk(M_LAST));
    expect(NOT, decrypt_talk(M_FINAL));
    ok(world.p11->C_CloseSession(session));
    session = before;
}

static void test_one_flag_ends_one_kind(void **state)
{
    seal_one(aes);
    begin_both();
    ok(world.p11_3->C_SessionCancel(session, CKF_MESSAGE_ENCRYPT));
    expect(NOT, encrypt_talk(M_FINAL));
    expect(ACTIVE, decrypt_talk(M_FINAL));
    ok(encrypt_talk(M_INIT));
    ok(world.p11_3->C_SessionCancel(session, CKF_MESSAGE_DECRYPT | CKF_ENCRYPT | CKF_DECRYPT));
    expect(NOT, decrypt_talk(M_FINAL));
    ok(encrypt_talk(M_FINAL));
}

static void test_without_a_library(void **state)
{
    seal_one(aes);
    begin_both();
    finalize();
    all_say(CKR_CRYPTOKI_NOT_INITIALIZED);
    initialize();
    all_say(CKR_SESSION_HANDLE_INVALID);
}

static int start(void **state)
{
    if (world_start(state))
        return -1;
    configure("none", "api_version = 2026-04-01");
    create_key("hsm", "sealer", "{\"kty\":\"oct-HSM\",\"key_size\":256}");
    initialize();
    session = open_session(PROD);
    aes = aes_key(session, (CK_BYTE *)"0123456789abcdef", 16, true);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_of_messages_here),
        cmocka_unit_test(test_every_call_of_messages_in_the_hsm),
        cmocka_unit_test(test_a_closed_session_takes_all_with_it),
        cmocka_unit_test(test_one_flag_ends_one_kind),
        cmocka_unit_test(test_without_a_library),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
