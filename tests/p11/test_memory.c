/* Where key values stand while a session has them, and that nothing is left of them afterwards: the test reads its own memory.
 * It knows a key by its value turned over, so that only the module can have the value itself. */
#include "base/encode.h"
#include "keys_help.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEY = 32, PIECE = 1 << 20 };

/* The sanitizers answer mlock themselves and lock nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MLOCK_IS_REAL = 0 };
#else
enum { MLOCK_IS_REAL = 1 };
#endif

static CK_SESSION_HANDLE session;

static int start(void **state)
{
    if (world_start(state))
        return -1;
    create_key("prod", "kek", "{\"kty\":\"RSA\"}");
    initialize();
    session = open_session(PROD);
    return 0;
}

/* --- the search --- */

static bool is_key_at(const CK_BYTE *at, const CK_BYTE *turned)
{
    for (int i = 0; i < KEY; i++)
        if ((at[i] ^ turned[i]) != 0xff)
            return false;
    return true;
}

/* What libcurl and OpenSSL leave of a request in buffers that they free: theirs, and not to be wiped from here. NULL: everything counts. */
static const char *sent_behind;

static bool is_of_request(const CK_BYTE *piece, const CK_BYTE *at)
{
    size_t len = sent_behind ? strlen(sent_behind) : 0;
    return len && (size_t)(at - piece) >= len && !strncmp((const char *)at - len, sent_behind, len);
}

static size_t search_piece(const CK_BYTE *piece, size_t len, const CK_BYTE *turned)
{
    const CK_BYTE first = turned[0] ^ 0xff, *end = piece + len, *at = piece;
    size_t count = 0;
    while (len >= KEY && at <= end - KEY && (at = memchr(at, first, (size_t)(end - KEY - at) + 1))) {
        count += is_key_at(at, turned) && !is_of_request(piece, at);
        at++;
    }
    return count;
}

struct finding {
    size_t places;
    char flags[256]; /* of the last mapping that has it */
};

static bool is_readable(const char *flags)
{
    return strstr(flags, " rd") && strstr(flags, " wr");
}

/* The piece that is read into is left out: it holds what was read before. */
static CK_BYTE piece[PIECE + KEY];

static size_t search_mapping(int memory, unsigned long from, unsigned long to, const CK_BYTE *turned)
{
    size_t count = 0;
    for (unsigned long at = from; at < to; at += PIECE) {
        size_t want = to - at < sizeof piece ? to - at : sizeof piece;
        ssize_t got = pread(memory, piece, want, (off_t)at);
        unsigned long own = (unsigned long)(uintptr_t)piece;
        if (got > 0 && (at + (unsigned long)got <= own || at >= own + sizeof piece))
            count += search_piece(piece, (size_t)got, turned);
    }
    memset(piece, 0, sizeof piece);
    return count;
}

static struct finding search(const CK_BYTE *turned)
{
    struct finding finding = { 0 };
    unsigned long from = 0, to = 0;
    char line[1024];
    FILE *maps = fopen("/proc/self/smaps", "r");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_non_null(maps);
    assert_true(memory >= 0);
    setvbuf(maps, NULL, _IONBF, 0);
    while (fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            from = start;
            to = end;
        }
        if (strncmp(line, "VmFlags:", 8) || !is_readable(line))
            continue;
        /* The shadow of a sanitizer is as large as the address space and holds no data. */
        if ((to - from) >> 16 > 1UL << 16)
            continue;
        size_t count = search_mapping(memory, from, to, turned);
        finding.places += count;
        if (count)
            snprintf(finding.flags, sizeof finding.flags, "%.200s", line);
    }
    fclose(maps);
    close(memory);
    return finding;
}

/* --- keys that only the module knows --- */

static void wipe(volatile CK_BYTE *bytes, size_t len)
{
    while (len--)
        *bytes++ = 0;
}

static CK_OBJECT_HANDLE plant(CK_SESSION_HANDLE in, CK_KEY_TYPE type, CK_BYTE *ret_turned)
{
    CK_BYTE value[KEY];
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_ATTRIBUTE template[] = { ITEM(CKA_CLASS, secret_class), ITEM(CKA_KEY_TYPE, type),
                                ITEM(CKA_EXTRACTABLE, yes), ITEM(CKA_DERIVE, yes), ITEM(CKA_VALUE, value) };
    assert_int_equal(RAND_bytes(ret_turned, KEY), 1);
    for (int i = 0; i < KEY; i++)
        value[i] = ret_turned[i] ^ 0xff;
    ok(world.p11->C_CreateObject(in, template, 5, &key));
    wipe(value, sizeof value);
    return key;
}

static void test_a_value_stands_in_locked_memory(void **state)
{
    CK_BYTE turned[KEY];
    struct rlimit limit;
    CK_OBJECT_HANDLE key = plant(session, CKK_AES, turned);
    struct finding there = search(turned);
    assert_int_equal(there.places, 1);
    assert_non_null(strstr(there.flags, " dd"));
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (MLOCK_IS_REAL && limit.rlim_cur >= 1 << 20)
        assert_non_null(strstr(there.flags, " lo"));
    ok(world.p11->C_DestroyObject(session, key));
    assert_int_equal(search(turned).places, 0);
}

static void test_a_copy_and_the_end_of_a_session(void **state)
{
    CK_BYTE turned[KEY];
    CK_SESSION_HANDLE other = open_session(PROD);
    CK_OBJECT_HANDLE key = plant(other, CKK_AES, turned), copy;
    ok(world.p11->C_CopyObject(other, key, NULL, 0, &copy));
    assert_int_equal(search(turned).places, 2);
    ok(world.p11->C_DestroyObject(other, key));
    assert_int_equal(search(turned).places, 1);
    ok(world.p11->C_CloseSession(other));
    assert_int_equal(search(turned).places, 0);
}

/* Used, the key is in OpenSSL's hands for the length of an operation: to its end, nothing stays. */
static void test_nothing_stays_of_a_used_key(void **state)
{
    static CK_HKDF_PARAMS params = { .bExtract = CK_TRUE,
                                     .bExpand = CK_TRUE,
                                     .prfHashMechanism = CKM_SHA256,
                                     .ulSaltType = CKF_HKDF_SALT_NULL };
    CK_MECHANISM kwp = { CKM_AES_KEY_WRAP_KWP, NULL, 0 },
                 derive = { CKM_HKDF_DERIVE, &params, sizeof params };
    CK_BYTE turned[2][KEY], blob[512];
    CK_SESSION_HANDLE other = open_session(PROD);
    CK_OBJECT_HANDLE outer = plant(other, CKK_AES, turned[0]),
                     inner = plant(other, CKK_GENERIC_SECRET, turned[1]);
    CK_OBJECT_HANDLE made;
    CK_ULONG len = sizeof blob, sixteen = 16;
    CK_ATTRIBUTE as_generic[] = { ITEM(CKA_CLASS, secret_class), ITEM(CKA_KEY_TYPE, generic) };
    CK_ATTRIBUTE length[] = { ITEM(CKA_VALUE_LEN, sixteen) };
    ok(world.p11->C_WrapKey(other, &kwp, outer, inner, blob, &len));
    ok(world.p11->C_UnwrapKey(other, &kwp, outer, blob, len, as_generic, 2, &made));
    ok(world.p11->C_DeriveKey(other, &derive, inner, length, 1, &made));
    len = sizeof blob;
    ok(world.p11->C_WrapKey(other, &oaep_sha256, find_one(other, CKO_PUBLIC_KEY, "kek"), inner, blob, &len));
    ok(world.p11->C_UnwrapKey(other, &oaep_sha256, find_one(other, CKO_PRIVATE_KEY, "kek"), blob, len,
                              as_generic, 2, &made));
    assert_int_equal(search(turned[0]).places, 1);
    ok(world.p11->C_CloseSession(other));
    for (int i = 0; i < 2; i++)
        assert_int_equal(search(turned[i]).places, 0);
}

/* The scalar of an EC key: read once, to know it by its value turned over. */
static void test_nothing_stays_of_a_private_key(void **state)
{
    CK_BYTE turned[KEY], text[16] = "fifteen letters";
    CK_OBJECT_HANDLE pair[2];
    CK_MECHANISM generate = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
    CK_ATTRIBUTE out[] = { { CKA_EC_PARAMS, (void *)curves[0].params, curves[0].params_len } };
    CK_ATTRIBUTE in[] = { ITEM(CKA_SENSITIVE, no), ITEM(CKA_EXTRACTABLE, yes) };
    CK_SESSION_HANDLE other = open_session(PROD);
    ok(world.p11->C_GenerateKeyPair(other, &generate, out, 1, in, 2, &pair[0], &pair[1]));
    assert_int_equal(attribute(other, pair[1], CKA_VALUE, turned, sizeof turned), KEY);
    for (int i = 0; i < KEY; i++)
        turned[i] = turned[i] ^ 0xff;
    for (int i = 0; i < 3; i++) {
        struct result made = sign(other, &ecdsa_sha256, pair[1], text, sizeof text);
        assert_true(verifies(other, &ecdsa_sha256, pair[0], BYTES(text, sizeof text), &made));
    }
    struct finding there = search(turned);
    assert_int_equal(there.places, 1);
    assert_non_null(strstr(there.flags, " dd"));
    ok(world.p11->C_CloseSession(other));
    assert_int_equal(search(turned).places, 0);
}

/* The directory learns the secret from a child, so that nothing of the test's own has it. */
static void enrol(const char *secret)
{
    pid_t child = fork();
    int status = -1;
    assert_true(child >= 0);
    if (!child) {
        char body[256];
        snprintf(body, sizeof body, "{\"id\":\"pinned\",\"secret\":\"%s\",\"perms\":\"get,list,sign\"}",
                 secret);
        control_do("POST", "/identities", body);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* A PIN is kept for as long as somebody is logged in, once, in locked memory. */
static void hold_a_pin(CK_RV (*end)(void))
{
    CK_BYTE random[KEY / 2], turned[KEY];
    char pin[KEY + 1];
    assert_int_equal(RAND_bytes(random, sizeof random), 1);
    kv_encode_hex((struct kv_view){ random, sizeof random }, pin);
    wipe(random, sizeof random);
    for (int i = 0; i < KEY; i++)
        turned[i] = (CK_BYTE)pin[i] ^ 0xff;
    enrol(pin);
    configure_as("pinned", "none", "pin = client-secret\n");
    session = restart(PROD);
    for (int i = 0; i < 3; i++) {
        ok(world.p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)pin, KEY));
        find_one(session, CKO_PRIVATE_KEY, "kek");
        if (i < 2)
            ok(world.p11->C_Logout(session));
    }
    wipe((CK_BYTE *)pin, sizeof pin);
    sent_behind = "&client_secret=";
    struct finding there = search(turned);
    assert_int_equal(there.places, 1);
    assert_non_null(strstr(there.flags, " dd"));
    ok(end());
    assert_int_equal(search(turned).places, 0);
    sent_behind = NULL;
}

static CK_RV log_out(void)
{
    return world.p11->C_Logout(session);
}

static CK_RV close_last(void)
{
    return world.p11->C_CloseSession(session);
}

static void test_a_pin_is_gone_after_the_logout(void **state)
{
    hold_a_pin(log_out);
    hold_a_pin(close_last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_stands_in_locked_memory),
        cmocka_unit_test(test_a_copy_and_the_end_of_a_session),
        cmocka_unit_test(test_nothing_stays_of_a_used_key),
        cmocka_unit_test(test_nothing_stays_of_a_private_key),
        cmocka_unit_test(test_a_pin_is_gone_after_the_logout),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
