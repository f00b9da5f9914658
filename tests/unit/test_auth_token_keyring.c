/* Tokens of several processes by the kernel's keyring. Each test runs in a child with a session keyring of its own, so that nothing is left behind.
 * Where this machine allows no keyrings the same sentences cannot hold: what must hold then is that tokens come all the same. */
#include "../../module/auth/token_private.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- the outside world ---- */

static int64_t now_s = 1000000;

static int64_t fake_unix(const struct kv_clock *clock)
{
    return now_s;
}

static int64_t fake_steady(const struct kv_clock *clock)
{
    return 0;
}

static const struct kv_clock fake = { fake_unix, fake_steady, NULL, NULL };
static unsigned calls;
static int64_t life = 3600;

static enum kv_status fake_acquire(const struct kv_credential_request *request, struct kv_access_token *ret,
                                   struct kv_error *err)
{
    *ret = (struct kv_access_token){ .bearer = kv_text_format("bearer-%u", ++calls),
                                     .expires = now_s + life,
                                     .identity = "app" };
    return KV_OK;
}

static const struct kv_credential_kind fake_kind = { "fake", NULL, fake_acquire };
static struct kv_vault_config config = { .name = (char *)"prod",
                                         .credential = (char *)"fake",
                                         .client_id = (char *)"our-client",
                                         .token_cache = KV_TOKENS_KEYRING };
static const struct kv_challenge challenge = { "https://login", "t", "vault" };

static int32_t ring;
static const char *surroundings = "";
static char log_path[64];

/* As much of a process as a cache sees. */
struct process {
    struct kv_log *log;
    struct kv_token_cache *cache;
    struct kv_tokens *tokens;
};

static struct process process_of(struct kv_vault_config *vault)
{
    struct process process = { 0 };
    struct kv_error err = { 0 };
    if (kv_log_open(log_path, KV_LOG_DEBUG, "none", &process.log, &err) ||
        kv_token_cache_open(&(struct kv_token_cache_parts){ &fake, process.log, surroundings },
                            &process.cache, &err) ||
        kv_tokens_open_kind(&(struct kv_tokens_parts){ vault, NULL, process.cache, &fake_kind },
                            &process.tokens, &err))
        fail_msg("%s", err.text);
    kv_token_cache_use_keyring(process.cache, ring);
    return process;
}

static void process_end(struct process *process)
{
    kv_tokens_free(process->tokens);
    kv_token_cache_free(process->cache);
    kv_log_free(process->log);
}

static bool token_is(struct process *process, const char *bearer)
{
    struct kv_task task = { kv_deadline_in(&fake, 60000), "test" };
    KV_AUTO_TEXT char *got = NULL;
    char identity[64] = "";
    return kv_tokens_bearer(process->tokens, &challenge, &task, &got, identity, NULL) == KV_OK &&
           !strcmp(got, bearer) && !strcmp(identity, "app");
}

/* Another process that asks once. */
static bool another_has(const char *bearer)
{
    struct process other = process_of(&config);
    bool good = token_is(&other, bearer);
    process_end(&other);
    return good;
}

static size_t logged(const char *text)
{
    size_t count = 0;
    char line[1024];
    FILE *file = fopen(log_path, "r");
    while (file && fgets(line, sizeof line, file))
        count += strstr(line, text) != NULL;
    if (file)
        fclose(file);
    return count;
}

/* ---- the kernel ---- */

static long control(int operation, long a, const void *b, long c)
{
    return syscall(SYS_keyctl, operation, a, b, c, 0L);
}

static long entries(int32_t serials[8])
{
    long size = control(KEYCTL_READ, ring, serials, 8 * (long)sizeof *serials);
    return size < 0 ? -1 : size / (long)sizeof *serials;
}

static bool our_name(char ret[KV_KEYRING_NAME_SIZE])
{
    struct process process = process_of(&config);
    int32_t serials[8];
    char text[256] = "";
    long before = entries(serials);
    bool good = before == 0 && token_is(&process, "bearer-1") && entries(serials) == 1 &&
                control(KEYCTL_DESCRIBE, serials[0], text, sizeof text) > 0;
    if (good)
        snprintf(ret, KV_KEYRING_NAME_SIZE, "%s", strrchr(text, ';') + 1);
    good = good && control(KEYCTL_UNLINK, serials[0], (void *)(intptr_t)ring, 0) == 0;
    process_end(&process);
    return good;
}

static long plant(const char *name, const char *payload, size_t len)
{
    long key = syscall(SYS_add_key, "user", name, payload, len, ring);
    control(KEYCTL_SETPERM, key, (void *)0x3f0f0000UL, 0);
    return key;
}

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return #condition;                                                                               \
    } while (0)

/* ---- sentences ---- */

static const char *processes_share(void)
{
    struct process first = process_of(&config);
    CHECK(token_is(&first, "bearer-1"));
    CHECK(another_has("bearer-1"));
    CHECK(calls == 1);
    now_s += 3300; /* five minutes before its end, for whom it was not made, too */
    CHECK(another_has("bearer-2"));
    CHECK(token_is(&first, "bearer-2"));
    CHECK(calls == 2);
    process_end(&first);
    CHECK(logged("token_cache") == 0);
    return NULL;
}

static const char *the_name_tells_nothing(void)
{
    int32_t serials[8];
    char text[256] = "", line[512], timeout[32] = "", permissions[32] = "";
    CHECK(another_has("bearer-1"));
    CHECK(entries(serials) == 1);
    CHECK(control(KEYCTL_DESCRIBE, serials[0], text, sizeof text) > 0);
    CHECK(strstr(text, ";3f0f0000;kvp11:"));
    CHECK(strlen(strrchr(text, ':')) == 65 && strspn(strrchr(text, ':') + 1, "0123456789abcdef") == 64);
    FILE *file = fopen("/proc/keys", "r");
    CHECK(file);
    while (fgets(line, sizeof line, file))
        if (strtoul(line, NULL, 16) == (unsigned long)serials[0])
            sscanf(line, "%*s %*s %*s %31s %31s", timeout, permissions);
    fclose(file);
    CHECK(!strcmp(permissions, "3f0f0000"));
    CHECK(!strcmp(timeout, "59m") || !strcmp(timeout, "60m") || !strcmp(timeout, "1h"));
    return NULL;
}

static const char *a_refused_token_goes(void)
{
    struct process first = process_of(&config), second = process_of(&config);
    CHECK(token_is(&first, "bearer-1"));
    CHECK(token_is(&second, "bearer-1"));
    kv_tokens_drop(first.tokens, &challenge, "bearer-1");
    CHECK(another_has("bearer-2"));
    kv_tokens_drop(second.tokens, &challenge, "bearer-1"); /* late: there is a newer one */
    CHECK(token_is(&second, "bearer-2"));
    CHECK(token_is(&first, "bearer-2"));
    CHECK(calls == 2);
    process_end(&first);
    process_end(&second);
    return NULL;
}

/* What another process left was got without them (contract §14.8); what comes instead serves all. */
static const char *demanded_claims_are_not_answered_from_here(void)
{
    struct kv_task task = { kv_deadline_in(&fake, 60000), "test" };
    struct kv_challenge demanding = challenge;
    KV_AUTO_TEXT char *got = NULL;
    char identity[64];
    CHECK(another_has("bearer-1"));
    struct process second = process_of(&config);
    snprintf(demanding.claims, sizeof demanding.claims, "{}");
    CHECK(kv_tokens_bearer(second.tokens, &demanding, &task, &got, identity, NULL) == KV_OK);
    CHECK(!strcmp(got, "bearer-2"));
    CHECK(token_is(&second, "bearer-2"));
    CHECK(another_has("bearer-2"));
    process_end(&second);
    return NULL;
}

static const char *what_is_broken_is_ignored(void)
{
    static const char *const good = "kvp11-1 1003600 1003300 1003300 fake app\nplanted";
    static const char *const broken[] = {
        "k",
        "kvp11-2 1003600 1003300 1003300 fake app\nplanted", /* another format */
        "kvp11-1 1003600 1003300 1003300 fake app\n",
        "kvp11-1 1003600 1003300 1003300 fake app\nplan ted",
        "kvp11-1 1003600 1003300 1003300 fake app\nplanted\nX-Header: 1",
        "kvp11-1 1003600 1003300 1003300 fake a pp\nplanted",
        "kvp11-1 1003600 1003300 1003300 fake\nplanted",
        "kvp11-1 x 1003300 1003300 fake app\nplanted",
        "kvp11-1 -5 1003300 1003300 fake app\nplanted",
        "kvp11-1 99999999999999999999 1003300 1003300 fake app\nplanted",
        "kvp11-1 1003600 1003300 1003300  app\nplanted",
        "kvp11-1 1000000 1000000 1000000 fake app\nplanted", /* over */
        "kvp11-1 1003600 1003700 1003300 fake app\nplanted", /* good for longer than it is */
        "kvp11-1 9003600 1003300 1003300 fake app\nplanted", /* for a year: nobody gives such */
        ("kvp11-1 1003600 1003300 1003300 fake "
         "app0123456789012345678901234567890123456789012345678901234567890123456789\nplanted"),
    };
    char name[KV_KEYRING_NAME_SIZE];
    CHECK(our_name(name));
    CHECK(plant(name, good, strlen(good)) > 0);
    CHECK(another_has("planted"));
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        unsigned before = calls;
        CHECK(plant(name, broken[i], strlen(broken[i])) > 0);
        KV_AUTO_TEXT char *bearer = kv_text_format("bearer-%u", before + 1);
        if (!another_has(bearer)) {
            print_error("%s\n", broken[i]);
            return "a broken entry was used";
        }
        CHECK(another_has(bearer)); /* and is replaced */
    }
    KV_AUTO_TEXT char *bearer = kv_text_format("bearer-%u", calls + 1);
    CHECK(plant(name, "kvp11-1 1003600 1003300 1003300 fake app\nplan\0ted", 49) > 0);
    CHECK(another_has(bearer));
    return NULL;
}

static const char *what_is_not_ours_alone_is_ignored(void)
{
    static const char *const good = "kvp11-1 1003600 1003300 1003300 fake app\nplanted";
    char name[KV_KEYRING_NAME_SIZE];
    CHECK(our_name(name));
    long key = plant(name, good, strlen(good));
    CHECK(key > 0);
    CHECK(control(KEYCTL_SETPERM, key, (void *)0x3f0f0002UL, 0) == 0); /* all others may read it */
    CHECK(another_has("bearer-2"));
    key = plant(name, good, strlen(good));
    CHECK(another_has("planted"));
    if (control(KEYCTL_CHOWN, key, (void *)(uintptr_t)(geteuid() + 1), -1) == 0) /* for root only */
        CHECK(another_has("bearer-3"));
    return NULL;
}

static const char *four_parts_and_the_surroundings_make_a_name(void)
{
    struct kv_vault_config other = config;
    int32_t serials[8];
    other.name = (char *)"dr";
    CHECK(another_has("bearer-1"));
    struct process twin = process_of(&other);
    CHECK(token_is(&twin, "bearer-1")); /* the vault's name is none of them */
    process_end(&twin);
    other.client_id = (char *)"another-client";
    twin = process_of(&other);
    CHECK(token_is(&twin, "bearer-2"));
    process_end(&twin);
    surroundings = "AZURE_CONFIG_DIR 1:x\n";
    CHECK(another_has("bearer-3"));
    CHECK(entries(serials) == 3);
    return NULL;
}

static const char *memory_shares_nothing(void)
{
    struct kv_vault_config own = config;
    int32_t serials[8];
    own.token_cache = KV_TOKENS_MEMORY;
    struct process process = process_of(&own);
    CHECK(token_is(&process, "bearer-1"));
    CHECK(entries(serials) == 0);
    kv_tokens_drop(process.tokens, &challenge, "bearer-1");
    process_end(&process);
    return NULL;
}

static const char *a_pin_shares_nothing(void)
{
    struct kv_vault_config own = config;
    struct kv_task task = { kv_deadline_in(&fake, 60000), "test" };
    int32_t serials[8];
    own.pin = KV_PIN_CLIENT_SECRET;
    struct process process = process_of(&own);
    CHECK(kv_tokens_login(process.tokens, &challenge, kv_view_text("1234"), &task, NULL) == KV_OK);
    CHECK(token_is(&process, "bearer-1"));
    CHECK(entries(serials) == 0);
    process_end(&process);
    return NULL;
}

static const char *an_early_renewal_takes_the_newer_one(void)
{
    life = 86400;
    struct process first = process_of(&config);
    CHECK(token_is(&first, "bearer-1"));
    now_s += 43200;
    CHECK(another_has("bearer-2"));
    CHECK(token_is(&first, "bearer-2"));
    CHECK(calls == 2);
    process_end(&first);
    return NULL;
}

static const char *a_token_too_long_stays_here(void)
{
    static char bearer[30000];
    memset(bearer, 'a', sizeof bearer - 1);
    struct kv_kept_token kept = { .token = { .bearer = bearer, .expires = now_s + 60 }, .hard = now_s + 30 };
    struct kv_token_keyring keyring = { .serial = ring };
    int32_t serials[8];
    kv_token_keyring_write(&keyring, "kvp11:long", now_s, &kept);
    CHECK(entries(serials) == 0);
    return NULL;
}

/* The default, from a session that cannot reach it: services of systemd are such. */
static const char *the_user_keyring_serves(void)
{
    char own[64];
    snprintf(own, sizeof own, "test of process %d", (int)getpid());
    surroundings = own;
    ring = kv_token_keyring_user;
    struct process first = process_of(&config);
    CHECK(token_is(&first, "bearer-1"));
    bool shared = another_has("bearer-1");
    kv_tokens_drop(first.tokens, &challenge, "bearer-1");
    bool gone = another_has("bearer-2");
    kv_tokens_drop(first.tokens, &challenge, "bearer-2");
    CHECK(token_is(&first, "bearer-3"));
    kv_tokens_drop(first.tokens, &challenge, "bearer-3");
    process_end(&first);
    CHECK(shared);
    CHECK(gone);
    return NULL;
}

/* What must hold where there are no keyrings. */
static const char *memory_serves(void)
{
    struct process process = process_of(&config);
    CHECK(token_is(&process, "bearer-1"));
    CHECK(token_is(&process, "bearer-1"));
    CHECK(another_has("bearer-2"));
    kv_tokens_drop(process.tokens, &challenge, "bearer-1");
    CHECK(token_is(&process, "bearer-3"));
    process_end(&process);
    CHECK(logged("token_cache = keyring: the kernel does not let this process") ==
          2); /* once for each of the two processes */
    CHECK(logged("bearer") == 0);
    return NULL;
}

/* ---- children ---- */

static bool join(void)
{
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0)
        return false;
    long made = syscall(SYS_add_key, "keyring", "kvp11-test", NULL, 0L, KEY_SPEC_SESSION_KEYRING);
    ring = (int32_t)made;
    return made > 0;
}

/* As container runtimes do it. */
static bool forbid(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_add_key, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_keyctl, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void in_child(const char *(*sentence)(void), bool allowed)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        snprintf(log_path, sizeof log_path, "/tmp/kvp11-keyring-%d.log", (int)getpid());
        bool ready = allowed ? join() : forbid();
        if (allowed && !ready)
            print_message("this machine allows no keyrings (%s): the fall-back is looked at instead\n",
                          strerror(errno));
        const char *wrong = !ready && !allowed ? "no seccomp filter" : ready ? sentence() : memory_serves();
        if (wrong)
            print_error("does not hold: %s\n", wrong);
        unlink(log_path);
        _exit(wrong ? 1 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define IN_CHILD(sentence)                                                                                   \
    static void test_##sentence(void **state)                                                                \
    {                                                                                                        \
        in_child(sentence, true);                                                                            \
    }
IN_CHILD(processes_share)
IN_CHILD(the_name_tells_nothing)
IN_CHILD(a_refused_token_goes)
IN_CHILD(demanded_claims_are_not_answered_from_here)
IN_CHILD(what_is_broken_is_ignored)
IN_CHILD(what_is_not_ours_alone_is_ignored)
IN_CHILD(four_parts_and_the_surroundings_make_a_name)
IN_CHILD(memory_shares_nothing)
IN_CHILD(a_pin_shares_nothing)
IN_CHILD(an_early_renewal_takes_the_newer_one)
IN_CHILD(a_token_too_long_stays_here)
IN_CHILD(the_user_keyring_serves)

static void test_memory_serves_where_keyrings_are_forbidden(void **state)
{
    in_child(memory_serves, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_processes_share),
        cmocka_unit_test(test_the_name_tells_nothing),
        cmocka_unit_test(test_a_refused_token_goes),
        cmocka_unit_test(test_demanded_claims_are_not_answered_from_here),
        cmocka_unit_test(test_what_is_broken_is_ignored),
        cmocka_unit_test(test_what_is_not_ours_alone_is_ignored),
        cmocka_unit_test(test_four_parts_and_the_surroundings_make_a_name),
        cmocka_unit_test(test_memory_shares_nothing),
        cmocka_unit_test(test_a_pin_shares_nothing),
        cmocka_unit_test(test_an_early_renewal_takes_the_newer_one),
        cmocka_unit_test(test_a_token_too_long_stays_here),
        cmocka_unit_test(test_the_user_keyring_serves),
        cmocka_unit_test(test_memory_serves_where_keyrings_are_forbidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
