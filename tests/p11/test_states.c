/* Every call of every kind of operation in every state that the kind can be in: what the standard names for it, and what state it leaves. A state is
 * made by the calls that lead to it; a table says what each further call must answer. Messages and searches have
 * tables of their own: test_states_messages.c, test_states_find.c. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE ec_private, ec_public, rsa_private, rsa_public, aes;
static CK_BYTE iv[16] = "initial vector.";
static CK_MECHANISM cbc = { CKM_AES_CBC_PAD, iv, 16 }, sha256 = { CKM_SHA256, NULL, 0 },
                    unknown = { CKM_MD5, NULL, 0 };

/* --- one call --- */

enum call {
    INIT,
    INIT_BAD, /* a mechanism that is not offered */
    CANCEL,   /* no mechanism */
    SESSION_CANCEL,
    ONCE,
    ONCE_QUERY, /* no buffer */
    ONCE_SHORT, /* a buffer of no length */
    ONCE_BAD,   /* no data, but a length */
    ONCE_WRONG, /* a signature or a tag that does not fit */
    UPDATE,
    UPDATE_QUERY,
    UPDATE_SHORT,
    UPDATE_BAD,
    FINAL,
    FINAL_QUERY,
    FINAL_SHORT,
    FINAL_WRONG,
    CALLS
};
static const char *const call_names[CALLS] = {
    "Init",
    "Init of an unknown mechanism",
    "Init(NULL)",
    "C_SessionCancel",
    "one shot",
    "one shot, size",
    "one shot, short",
    "one shot, bad argument",
    "a wrong one",
    "Update",
    "Update, size",
    "Update, short",
    "Update, bad argument",
    "Final",
    "Final, size",
    "Final, short",
    "a wrong Final",
};

/* Arguments for a call on `input`. */
struct io {
    CK_BYTE *in, *out;
    CK_ULONG in_len, *room;
};
static CK_BYTE output[1024];
static CK_ULONG room;

static struct io io_for(enum call call, const struct result *input)
{
    bool query = call == ONCE_QUERY || call == UPDATE_QUERY || call == FINAL_QUERY;
    bool is_short = call == ONCE_SHORT || call == UPDATE_SHORT || call == FINAL_SHORT;
    struct io io = { (CK_BYTE *)input->data, query ? NULL : output, input->len, &room };
    room = is_short ? 0 : sizeof output;
    if (call == ONCE_BAD || call == UPDATE_BAD)
        io.in = NULL;
    return io;
}

/* --- kinds: what they work on, and which function a call is --- */

static struct result message, cipher_cbc, cipher_rsa, signature, raw_signature;

static CK_RV encrypt_call(enum call call)
{
    struct io io = io_for(call, &message);
    if (call <= CANCEL)
        return world.p11->C_EncryptInit(session, call == INIT ? &cbc : call == CANCEL ? NULL : &unknown, aes);
    if (call == SESSION_CANCEL)
        return world.p11_3->C_SessionCancel(session, CKF_ENCRYPT);
    if (call < UPDATE)
        return world.p11->C_Encrypt(session, io.in, io.in_len, io.out, io.room);
    if (call < FINAL)
        return world.p11->C_EncryptUpdate(session, io.in, io.in_len, io.out, io.room);
    return world.p11->C_EncryptFinal(session, io.out, io.room);
}

static CK_RV decrypt_with(enum call call, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                          const struct result *input)
{
    struct io io = io_for(call, input);
    if (call <= CANCEL)
        return world.p11->C_DecryptInit(session,
                                        call == INIT     ? mechanism
                                        : call == CANCEL ? NULL
                                                         : &unknown,
                                        key);
    if (call == SESSION_CANCEL)
        return world.p11_3->C_SessionCancel(session, CKF_DECRYPT);
    if (call < UPDATE)
        return world.p11->C_Decrypt(session, io.in, io.in_len, io.out, io.room);
    if (call < FINAL)
        return world.p11->C_DecryptUpdate(session, io.in, io.in_len, io.out, io.room);
    return world.p11->C_DecryptFinal(session, io.out, io.room);
}
static CK_RV decrypt_call(enum call call)
{
    return decrypt_with(call, &cbc, aes, &cipher_cbc);
}
static CK_RV decrypt_there_call(enum call call)
{
    return decrypt_with(call, &oaep_sha256, rsa_private, &cipher_rsa);
}

static CK_RV digest_call(enum call call)
{
    struct io io = io_for(call, &message);
    if (call <= CANCEL)
        return world.p11->C_DigestInit(session, call == INIT ? &sha256 : call == CANCEL ? NULL : &unknown);
    if (call == SESSION_CANCEL)
        return world.p11_3->C_SessionCancel(session, CKF_DIGEST);
    if (call < UPDATE)
        return world.p11->C_Digest(session, io.in, io.in_len, io.out, io.room);
    if (call < FINAL)
        return world.p11->C_DigestUpdate(session, io.in, io.in_len);
    return world.p11->C_DigestFinal(session, io.out, io.room);
}

static CK_RV sign_with(enum call call, CK_MECHANISM *mechanism)
{
    struct io io = io_for(call, &message);
    if (call <= CANCEL)
        return world.p11->C_SignInit(session,
                                     call == INIT     ? mechanism
                                     : call == CANCEL ? NULL
                                                      : &unknown,
                                     ec_private);
    if (call == SESSION_CANCEL)
        return world.p11_3->C_SessionCancel(session, CKF_SIGN);
    if (call < UPDATE)
        return world.p11->C_Sign(session, io.in, io.in_len, io.out, io.room);
    if (call < FINAL)
        return world.p11->C_SignUpdate(session, io.in, io.in_len);
    return world.p11->C_SignFinal(session, io.out, io.room);
}
static CK_RV sign_call(enum call call)
{
    return sign_with(call, &ecdsa_sha256);
}
static CK_RV sign_digest_call(enum call call)
{
    return sign_with(call, &ecdsa);
}

static CK_RV verify_with(enum call call, CK_MECHANISM *mechanism, struct result *good)
{
    static CK_BYTE wrong[64];
    struct io io = io_for(call, &message);
    CK_BYTE *given = call == ONCE_WRONG || call == FINAL_WRONG ? wrong : good->data;
    if (call <= CANCEL)
        return world.p11->C_VerifyInit(session,
                                       call == INIT     ? mechanism
                                       : call == CANCEL ? NULL
                                                        : &unknown,
                                       ec_public);
    if (call == SESSION_CANCEL)
        return world.p11_3->C_SessionCancel(session, CKF_VERIFY);
    if (call < UPDATE)
        return world.p11->C_Verify(session, io.in, io.in_len, given, 64);
    if (call < FINAL)
        return world.p11->C_VerifyUpdate(session, io.in, io.in_len);
    return world.p11->C_VerifyFinal(session, given, 64);
}
static CK_RV verify_call(enum call call)
{
    return verify_with(call, &ecdsa_sha256, &signature);
}
static CK_RV verify_digest_call(enum call call)
{
    return verify_with(call, &ecdsa, &raw_signature);
}

enum {
    GIVES = 1,       /* has output, whose size can be asked */
    GIVES_PARTS = 2, /* its Update has, too */
    KEEPS = 4,       /* a result that did not fit waits to be fetched; else it is not made before it fits */
    SINGLE = 8,      /* no parts */
};
static const struct kind {
    const char *name;
    CK_RV (*call)(enum call call);
    unsigned traits;
    CK_RV empty_final; /* Final with nothing before */
} kinds[] = {
    { "encrypt", encrypt_call, GIVES | GIVES_PARTS | KEEPS, CKR_OK },
    { "decrypt", decrypt_call, GIVES | GIVES_PARTS | KEEPS, CKR_ENCRYPTED_DATA_LEN_RANGE },
    { "decrypt in the vault", decrypt_there_call, GIVES | GIVES_PARTS | KEEPS | SINGLE, 0 },
    { "digest", digest_call, GIVES, CKR_OK },
    { "sign", sign_call, GIVES, CKR_OK },
    { "sign a digest", sign_digest_call, GIVES | SINGLE, 0 },
    { "verify", verify_call, 0, CKR_SIGNATURE_INVALID },
    { "verify with a digest", verify_digest_call, SINGLE, 0 },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* --- the table --- */

enum state { IDLE, BEGUN, PARTED, WAITING_ONCE, WAITING_FINAL, STATES, SAME };

#define OK_    CKR_OK
#define NOT    CKR_OPERATION_NOT_INITIALIZED
#define ACTIVE CKR_OPERATION_ACTIVE
#define SMALL  CKR_BUFFER_TOO_SMALL
#define BAD    CKR_ARGUMENTS_BAD
#define WRONG  CKR_SIGNATURE_INVALID
#define MECH   CKR_MECHANISM_INVALID

/* §5.8.2 and its like: everything but a size query and CKR_BUFFER_TOO_SMALL ends the operation; Update goes on unless it fails; Init and what
 * cannot be told from it leave an active one alone. Asking a one-shot call for its size decides nothing: parts may follow.
 * WAITING: a result lies there, and only the call that made it may fetch it. */
/* clang-format off */
static const struct cell {
    CK_RV rv;
    bool active; /* afterwards */
} table[STATES][CALLS] = {
    [IDLE] = {
        [INIT] = { OK_, true }, [INIT_BAD] = { MECH, false }, [CANCEL] = { OK_, false }, [SESSION_CANCEL] = { OK_, false },
        [ONCE] = { NOT, false }, [ONCE_QUERY] = { NOT, false }, [ONCE_SHORT] = { NOT, false }, [ONCE_BAD] = { NOT, false },
        [ONCE_WRONG] = { NOT, false }, [UPDATE] = { NOT, false }, [UPDATE_QUERY] = { NOT, false }, [UPDATE_SHORT] = { NOT, false },
        [UPDATE_BAD] = { NOT, false }, [FINAL] = { NOT, false }, [FINAL_QUERY] = { NOT, false }, [FINAL_SHORT] = { NOT, false },
        [FINAL_WRONG] = { NOT, false },
    },
    [BEGUN] = {
        [INIT] = { ACTIVE, true }, [INIT_BAD] = { ACTIVE, true }, [CANCEL] = { OK_, false }, [SESSION_CANCEL] = { OK_, false },
        [ONCE] = { OK_, false }, [ONCE_QUERY] = { OK_, true }, [ONCE_SHORT] = { SMALL, true }, [ONCE_BAD] = { BAD, false },
        [ONCE_WRONG] = { WRONG, false }, [UPDATE] = { OK_, true }, [UPDATE_QUERY] = { OK_, true }, [UPDATE_SHORT] = { SMALL, true },
        [UPDATE_BAD] = { BAD, false }, [FINAL] = { OK_, false }, [FINAL_QUERY] = { OK_, true }, [FINAL_SHORT] = { SMALL, true },
        [FINAL_WRONG] = { WRONG, false },
    },
    [PARTED] = {
        [INIT] = { ACTIVE, true }, [INIT_BAD] = { ACTIVE, true }, [CANCEL] = { OK_, false }, [SESSION_CANCEL] = { OK_, false },
        [ONCE] = { ACTIVE, false }, [ONCE_QUERY] = { ACTIVE, false }, [ONCE_SHORT] = { ACTIVE, false }, [ONCE_BAD] = { BAD, false },
        [ONCE_WRONG] = { ACTIVE, false }, [UPDATE] = { OK_, true }, [UPDATE_QUERY] = { OK_, true }, [UPDATE_SHORT] = { SMALL, true },
        [UPDATE_BAD] = { BAD, false }, [FINAL] = { OK_, false }, [FINAL_QUERY] = { OK_, true }, [FINAL_SHORT] = { SMALL, true },
        [FINAL_WRONG] = { WRONG, false },
    },
    [WAITING_ONCE] = {
        [INIT] = { ACTIVE, true }, [INIT_BAD] = { ACTIVE, true }, [CANCEL] = { OK_, false }, [SESSION_CANCEL] = { OK_, false },
        [ONCE] = { OK_, false }, [ONCE_QUERY] = { OK_, true }, [ONCE_SHORT] = { SMALL, true }, [ONCE_BAD] = { BAD, false },
        [UPDATE] = { BAD, false }, [UPDATE_QUERY] = { BAD, false }, [UPDATE_SHORT] = { BAD, false }, [UPDATE_BAD] = { BAD, false },
        [FINAL] = { BAD, false }, [FINAL_QUERY] = { BAD, false }, [FINAL_SHORT] = { BAD, false },
    },
    [WAITING_FINAL] = {
        [INIT] = { ACTIVE, true }, [INIT_BAD] = { ACTIVE, true }, [CANCEL] = { OK_, false }, [SESSION_CANCEL] = { OK_, false },
        [ONCE] = { ACTIVE, false }, [ONCE_QUERY] = { ACTIVE, false }, [ONCE_SHORT] = { ACTIVE, false }, [ONCE_BAD] = { BAD, false },
        [UPDATE] = { BAD, false }, [UPDATE_QUERY] = { BAD, false }, [UPDATE_SHORT] = { BAD, false }, [UPDATE_BAD] = { BAD, false },
        [FINAL] = { OK_, false }, [FINAL_QUERY] = { OK_, true }, [FINAL_SHORT] = { SMALL, true },
    },
};
/* clang-format on */

static bool is_part(enum call call)
{
    return call >= UPDATE;
}

/* Is there such a call for this kind? */
static bool exists(const struct kind *kind, enum call call)
{
    bool wrong = call == ONCE_WRONG || call == FINAL_WRONG;
    bool sized = call == ONCE_QUERY || call == ONCE_SHORT || call == FINAL_QUERY || call == FINAL_SHORT;
    if (wrong)
        return !(kind->traits & GIVES);
    if (call == UPDATE_QUERY || call == UPDATE_SHORT)
        return kind->traits & GIVES_PARTS;
    return !sized || kind->traits & GIVES;
}

static struct cell expected(const struct kind *kind, enum state state, enum call call)
{
    struct cell cell = table[state][call];
    bool idle = state == IDLE;
    if (kind->traits & SINGLE && is_part(call) && !idle && call != UPDATE_BAD)
        return (struct cell){ CKR_FUNCTION_NOT_SUPPORTED, false };
    if (state == BEGUN && call == FINAL)
        return (struct cell){ kind->empty_final, false };
    /* An empty ciphertext is an error only when it is looked at; the first block of one may be all padding and gives nothing yet. */
    if (kind->call == decrypt_call && state == BEGUN && call == FINAL_SHORT)
        return (struct cell){ kind->empty_final, false };
    if (kind->call == decrypt_call && (state == BEGUN || state == PARTED) && call == UPDATE_SHORT)
        return (struct cell){ state == BEGUN ? OK_ : SMALL, true };
    return cell;
}

/* --- states by the way that leads there --- */

static const struct way {
    const char *name;
    enum state state;
    unsigned needs; /* traits */
    enum call calls[4];
    size_t count;
} ways[] = {
    { "nothing begun", IDLE, 0, { INIT }, 0 },
    { "an Init that failed", IDLE, 0, { INIT_BAD }, 1 },
    { "begun", BEGUN, 0, { INIT }, 1 },
    { "begun twice", BEGUN, 0, { INIT, INIT }, 2 },
    { "after a size query", BEGUN, GIVES, { INIT, ONCE_QUERY }, 2 },
    { "after CKR_BUFFER_TOO_SMALL", BEGUN, GIVES, { INIT, ONCE_SHORT }, 2 },
    { "after an Update", PARTED, 0, { INIT, UPDATE }, 2 },
    { "after Final's size query", PARTED, GIVES, { INIT, UPDATE, FINAL_QUERY }, 3 },
    { "after Final's CKR_BUFFER_TOO_SMALL", PARTED, GIVES, { INIT, UPDATE, FINAL_SHORT }, 3 },
    { "after an error", IDLE, 0, { INIT, ONCE_BAD }, 2 },
    { "after a wrong signature", IDLE, 0, { INIT, ONCE_WRONG }, 2 },
    { "after an error in Update", IDLE, 0, { INIT, UPDATE_BAD }, 2 },
    { "after an error in parts", IDLE, 0, { INIT, UPDATE, ONCE }, 3 },
    { "at its end", IDLE, 0, { INIT, ONCE }, 2 },
    { "at its end in two calls", IDLE, GIVES, { INIT, ONCE_QUERY, ONCE }, 3 },
    { "at its end after a short buffer", IDLE, GIVES, { INIT, ONCE_SHORT, ONCE }, 3 },
    { "at its end in parts", IDLE, 0, { INIT, UPDATE, FINAL }, 3 },
    { "cancelled", IDLE, 0, { INIT, CANCEL }, 2 },
    { "cancelled in parts", IDLE, 0, { INIT, UPDATE, CANCEL }, 3 },
    { "cancelled by the session", IDLE, 0, { INIT, SESSION_CANCEL }, 2 },
    { "cancelled by the session in parts", IDLE, 0, { INIT, UPDATE, SESSION_CANCEL }, 3 },
};

/* False: this kind has no such way. */
static bool walk(const struct kind *kind, const struct way *way, enum state *ret)
{
    bool single = kind->traits & SINGLE;
    if ((kind->traits & way->needs) != way->needs)
        return false;
    for (size_t i = 0; i < way->count; i++)
        if (!exists(kind, way->calls[i]) || (single && is_part(way->calls[i]) && way->calls[i] != UPDATE_BAD))
            return false;
    for (size_t i = 0; i < way->count; i++)
        kind->call(way->calls[i]);
    *ret = way->state;
    if (kind->traits & KEEPS && way->count && way->calls[way->count - 1] == ONCE_SHORT)
        *ret = WAITING_ONCE;
    if (kind->traits & KEEPS && way->count && way->calls[way->count - 1] == FINAL_SHORT)
        *ret = WAITING_FINAL;
    return true;
}

/* False: this kind has no such way. */
static bool check(const struct kind *kind, const struct way *way, enum call call)
{
    enum state state;
    if (!walk(kind, way, &state))
        return false;
    struct cell should = expected(kind, state, call);
    CK_RV rv = kind->call(call);
    if (rv != should.rv)
        fail_msg("%s, %s, %s: 0x%lx instead of 0x%lx", kind->name, way->name, call_names[call], rv,
                 should.rv);
    CK_RV after = kind->call(INIT);
    if (after != (should.active ? CKR_OPERATION_ACTIVE : CKR_OK))
        fail_msg("%s, %s, %s: afterwards Init says 0x%lx", kind->name, way->name, call_names[call], after);
    ok(kind->call(CANCEL));
    return true;
}

static void test_every_call_in_every_state(void **state)
{
    size_t checked = 0;
    for (size_t k = 0; k < KINDS; k++)
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
            for (enum call call = 0; call < CALLS; call++)
                checked += exists(&kinds[k], call) && check(&kinds[k], &ways[w], call);
    assert_in_range(checked, 1700, KINDS * CALLS * sizeof ways / sizeof *ways);
}

/* --- sessions and the library --- */

/* One kind of each function, and the flag that cancels it. */
static const struct {
    size_t kind;
    CK_FLAGS flag;
} functions[] = {
    { 0, CKF_ENCRYPT }, { 1, CKF_DECRYPT }, { 3, CKF_DIGEST }, { 4, CKF_SIGN }, { 6, CKF_VERIFY }
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static void begin_all(void)
{
    for (size_t i = 0; i < FUNCTIONS; i++)
        ok(kinds[functions[i].kind].call(INIT));
}

static void all_say(CK_RV rv)
{
    for (size_t k = 0; k < KINDS; k++)
        for (enum call call = 0; call < CALLS; call++)
            if (exists(&kinds[k], call) && kinds[k].call(call) != rv)
                fail_msg("%s, %s: not 0x%lx", kinds[k].name, call_names[call], rv);
}

static void nothing_goes_on(void)
{
    for (size_t k = 0; k < KINDS; k++)
        expect(CKR_OPERATION_NOT_INITIALIZED, kinds[k].call(ONCE));
}

static void test_a_closed_session_takes_all_with_it(void **state)
{
    CK_SESSION_HANDLE before = session;
    session = open_session(PROD);
    begin_all();
    ok(world.p11->C_CloseSession(session));
    all_say(CKR_SESSION_HANDLE_INVALID);
    session = open_session(PROD);
    nothing_goes_on();
    ok(world.p11->C_CloseSession(session));
    session = before;
}

static void test_one_flag_ends_one_kind(void **state)
{
    for (size_t i = 0; i < FUNCTIONS; i++) {
        begin_all();
        ok(world.p11_3->C_SessionCancel(session, functions[i].flag));
        for (size_t k = 0; k < FUNCTIONS; k++)
            expect(k == i ? CKR_OK : CKR_OPERATION_ACTIVE, kinds[functions[k].kind].call(INIT));
        ok(world.p11_3->C_SessionCancel(session, ~0UL));
        nothing_goes_on();
    }
}

static void test_without_a_library(void **state)
{
    begin_all();
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
    create_key("prod", "rsa", "{\"kty\":\"RSA\"}");
    all_say(CKR_CRYPTOKI_NOT_INITIALIZED);
    initialize();
    session = open_session(PROD);
    ec_private = find_one(session, CKO_PRIVATE_KEY, "ec");
    ec_public = find_one(session, CKO_PUBLIC_KEY, "ec");
    rsa_private = find_one(session, CKO_PRIVATE_KEY, "rsa");
    rsa_public = find_one(session, CKO_PUBLIC_KEY, "rsa");
    aes = aes_key(session, (CK_BYTE *)"0123456789abcdef", 16, true);
    message = (struct result){ "thirty-two bytes to be worked on", 32 };
    signature = sign(session, &ecdsa_sha256, ec_private, message.data, message.len);
    raw_signature = sign(session, &ecdsa, ec_private, message.data, message.len);
    cipher_cbc = encrypt(session, &cbc, aes, "some", 4);
    cipher_rsa = encrypt(session, &oaep_sha256, rsa_public, "some", 4);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_in_every_state),
        cmocka_unit_test(test_a_closed_session_takes_all_with_it),
        cmocka_unit_test(test_one_flag_ends_one_kind),
        cmocka_unit_test(test_without_a_library),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
