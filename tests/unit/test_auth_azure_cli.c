#include "../../module/auth/oauth.h"
#include "../../module/auth/program.h"
#include "clock_help.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char program[] = "/tmp/kvp11-az-XXXXXX", mark[64];
static struct kv_cancel wish;

static void write_program(const char *body)
{
    FILE *file = fopen(program, "we");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", body);
    fclose(file);
    assert_int_equal(chmod(program, 0700), 0);
}

static int set_up(void **state)
{
    fix_clock();
    int fd = mkstemp(program);
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

static int tear_down(void **state)
{
    return unlink(program);
}

struct asking {
    struct kv_vault_config config;
    int64_t timeout_ms;
    struct kv_cancel *cancel;
    struct kv_challenge challenge;
    struct kv_access_token token;
    struct kv_error err;
    bool absent;
};

static enum kv_status ask(struct asking *asking)
{
    struct kv_task task = { kv_deadline_in(&fixed, asking->timeout_ms ? asking->timeout_ms : 60000), "test" };
    task.deadline.cancel = asking->cancel;
    if (!*asking->challenge.scope)
        asking->challenge = (struct kv_challenge){ "https://login.localhost", "tenant-1",
                                                   "https://vault.localhost/.default" };
    if (!asking->config.azure_cli)
        asking->config.azure_cli = program;
    struct kv_credential_request request = {
        .config = &asking->config, .challenge = &asking->challenge, .task = &task, .absent = &asking->absent
    };
    return kv_credential_azure_cli.acquire(&request, &asking->token, &asking->err);
}

static void what_it_writes_is_read(void **state)
{
    static const struct {
        const char *sentence, *body;
        int64_t expires; /* 0: refused */
        const char *word;
    } rows[] = {
        { "a token", "echo '{\"accessToken\":\"abc\",\"expires_on\":1800000100,\"tokenType\":\"Bearer\"}'",
          NOW + 100, NULL },
        { "the number goes before the local time",
          "echo '{\"accessToken\":\"abc\",\"expiresOn\":\"2001-01-01 "
          "00:00:00.0\",\"expires_on\":1800000100}'",
          NOW + 100, NULL },
        { "an older program's local time",
          "echo '{\"accessToken\":\"abc\",\"expiresOn\":\"2027-01-15 08:01:40.123456\"}'", NOW + 100, NULL },
        { "nothing inherited, no input",
          "read x && exit 1; [ ! -e /proc/$$/fd/50 ] || exit 1; [ \"$(pwd)\" = / ] || exit 1; "
          "echo '{\"accessToken\":\"abc\",\"expires_on\":1800000100}'",
          NOW + 100, NULL },
        { "an expired token", "echo '{\"accessToken\":\"abc\",\"expires_on\":1799999999}'", 0, "expired" },
        { "no end", "echo '{\"accessToken\":\"abc\"}'", 0, "accessToken" },
        { "no token", "echo '{\"expires_on\":1800000100}'", 0, "accessToken" },
        { "two words", "echo '{\"accessToken\":\"a b\",\"expires_on\":1800000100}'", 0, "accessToken" },
        { "garbage", "echo hello", 0, "JSON" },
        { "nothing", "exit 0", 0, "exit 0" },
        { "not logged in", "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1", 0,
          "exit 1): ERROR: Please run 'az login' to setup account.; run `az login` as the user" },
        { "another failure", "printf 'a\\n\\tb\\033[31mc\\n' >&2; exit 3", 0,
          "exit 3): a b [31mc; see what" },
        { "a token among the complaints",
          "echo 'ERROR: eyJhbGciOiJub25lIn0.eyJhcHBpZCI6ImFwcC0xIiwiZXhwIjoxODAwMDAzNjAwfQ.secret' >&2; exit "
          "1",
          0, "): ERROR: *; see" },
        { "a success that fails", "echo '{\"accessToken\":\"abc\",\"expires_on\":1800000100}'; exit 1", 0,
          "exit 1" },
        { "killed", "kill -9 $$", 0, "exit 137" },
        { "too much", "yes", 0, "wrote more than 65536 bytes" },
        { "too many complaints, then a token",
          "head -c 300000 /dev/zero | tr '\\0' x >&2; echo "
          "'{\"accessToken\":\"abc\",\"expires_on\":1800000100}'",
          NOW + 100, NULL },
    };
    setenv("TZ", "UTC", 1);
    assert_int_equal(dup2(STDIN_FILENO, 50), 50); /* not close-on-exec */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct asking asking = { 0 };
        write_program(rows[i].body);
        enum kv_status status = ask(&asking);
        if (status != (rows[i].expires ? KV_OK : KV_CREDENTIAL) || asking.token.expires != rows[i].expires ||
            (rows[i].word && !strstr(asking.err.text, rows[i].word)) || asking.absent != (status != KV_OK))
            fail_msg("%s: %d, %lld, '%s'", rows[i].sentence, status, (long long)asking.token.expires,
                     asking.err.text);
        kv_access_token_free(&asking.token);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* all are reaped */
    assert_int_equal(errno, ECHILD);
}

static void it_is_asked_exactly_so(void **state)
{
    struct asking asking = { .config = { .subscription = (char *)"sub-1" } };
    write_program("echo \"$*|$KVP11_CLIENT_SECRET|$IDENTITY_HEADER\" >&2; exit 1");
    setenv("KVP11_CLIENT_SECRET", "planted", 1);
    setenv("IDENTITY_HEADER", "planted", 1);
    assert_int_equal(ask(&asking), KV_CREDENTIAL);
    const char *line =
        "account get-access-token --output json --scope https://vault.localhost/.default --tenant "
        "tenant-1 --subscription sub-1||";
    assert_non_null(strstr(asking.err.text, line));
    asking.config.subscription = NULL;
    asking.config.tenant = (char *)"contoso.onmicrosoft.com";
    assert_int_equal(ask(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "--tenant contoso.onmicrosoft.com||"));
}

static void what_could_mean_something_to_a_shell_is_not_handed_on(void **state)
{
    static const char *const bad[] = { "a b", "a;b", "$(x)", "`x`",  "a\nb", "--x",
                                       "",    "a&b", "a'b",  "a\\b", "a%b" };
    write_program("echo started >&2; exit 1");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct asking asking = { .config = { .tenant = (char *)bad[i] } };
        assert_int_equal(ask(&asking), KV_CREDENTIAL);
        if (strstr(asking.err.text, "started") || !strstr(asking.err.text, "`tenant`"))
            fail_msg("%s: %s", bad[i], asking.err.text);
        asking = (struct asking){ .config = { .subscription = (char *)bad[i] } };
        assert_int_equal(ask(&asking), KV_CREDENTIAL);
        assert_non_null(strstr(asking.err.text, "`subscription`"));
    }
}

/* Gone, or waiting for its new parent to look. */
static bool is_over(int pid)
{
    char name[64], line[256] = "";
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    FILE *file = fopen(name, "re");
    if (!file)
        return true;
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    return !read || strstr(line, ") Z") != NULL;
}

static void one_that_hangs_is_killed_with_what_it_started(void **state)
{
    struct asking asking = { .timeout_ms = 300 };
    snprintf(mark, sizeof mark, "%s.pid", program);
    char body[256];
    snprintf(body, sizeof body, "sleep 600 & echo $! >%s; wait", mark);
    write_program(body);
    int64_t start = fixed.steady_ms(&fixed);
    assert_int_equal(ask(&asking), KV_TIMED_OUT);
    assert_true(fixed.steady_ms(&fixed) - start < 2000);
    assert_non_null(strstr(asking.err.text, "was killed"));
    FILE *file = fopen(mark, "re");
    int pid = 0;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    unlink(mark);
    for (int i = 0; i < 400 && !is_over(pid); i++) /* the kernel needs a moment */
        poll(NULL, 0, 5);
    assert_true(is_over(pid));
}

/* Once the program runs, and not before. */
static void *wish_when_it_runs(void *user)
{
    char line[32] = "";
    int fifo = open(mark, O_RDONLY | O_CLOEXEC);
    if (fifo >= 0 && read(fifo, line, sizeof line - 1) > 0)
        *(int *)user = (int)strtol(line, NULL, 10);
    close(fifo);
    kv_cancel_wish(&wish);
    return NULL;
}

static void one_that_hangs_ends_with_the_call(void **state)
{
    struct asking asking = { .cancel = &wish };
    char body[256];
    pthread_t thread;
    int pid = 0;
    assert_true(kv_cancel_open(&wish));
    snprintf(mark, sizeof mark, "%s.fifo", program);
    assert_int_equal(mkfifo(mark, 0600), 0);
    snprintf(body, sizeof body, "sleep 600 & echo $! >%s; wait", mark);
    write_program(body);
    assert_int_equal(pthread_create(&thread, NULL, wish_when_it_runs, &pid), 0);
    int64_t start = fixed.steady_ms(&fixed);
    assert_int_equal(ask(&asking), KV_CANCELLED);
    assert_true(fixed.steady_ms(&fixed) - start < 5000);
    assert_non_null(strstr(asking.err.text, "was killed"));
    pthread_join(thread, NULL);
    unlink(mark);
    for (int i = 0; i < 400 && !is_over(pid); i++) /* the kernel needs a moment */
        poll(NULL, 0, 5);
    assert_true(pid > 0 && is_over(pid));
    int64_t again = fixed.steady_ms(&fixed); /* the wish still holds */
    assert_int_equal(ask(&asking), KV_CANCELLED);
    assert_true(fixed.steady_ms(&fixed) - again < 5000);
    kv_cancel_close(&wish);
}

static void what_it_leaves_running_is_not_waited_for(void **state)
{
    struct asking asking = { .timeout_ms = 20000 };
    write_program("sleep 5 & echo '{\"accessToken\":\"abc\",\"expires_on\":1800000100}'");
    int64_t start = fixed.steady_ms(&fixed);
    assert_int_equal(ask(&asking), KV_OK);
    assert_true(fixed.steady_ms(&fixed) - start < 3000);
    kv_access_token_free(&asking.token);
}

static void a_host_that_ignores_its_children_is_served(void **state)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
    assert_int_equal(sigaction(SIGCHLD, &ignore, &before), 0);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    struct asking asking = { 0 }, refused = { 0 }, hangs = { .timeout_ms = 200 };
    write_program("echo '{\"accessToken\":\"abc\",\"expires_on\":1800000100}'");
    enum kv_status status = ask(&asking);
    write_program("echo no >&2; exit 1");
    enum kv_status other = ask(&refused);
    write_program("exec sleep 600");
    enum kv_status late = ask(&hangs);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    struct sigaction now;
    sigaction(SIGCHLD, &before, &now);
    assert_ptr_equal(now.sa_handler, SIG_IGN);
    assert_int_equal(status, KV_OK);
    assert_int_equal(other, KV_CREDENTIAL);
    assert_non_null(strstr(refused.err.text, "no"));
    assert_int_equal(late, KV_TIMED_OUT);
    kv_access_token_free(&asking.token);
}

static void one_that_is_not_there_is_named(void **state)
{
    struct asking asking = { .config = { .azure_cli = (char *)"/nonexistent/az" } };
    assert_int_equal(ask(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "there is no Azure CLI '/nonexistent/az'"));
    assert_true(asking.absent);
    setenv("PATH", "/nonexistent", 1);
    asking = (struct asking){ .config = { .azure_cli = (char *)"az" } };
    assert_int_equal(ask(&asking), KV_CREDENTIAL);
    assert_non_null(strstr(asking.err.text, "there is no Azure CLI 'az'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_writes_is_read),
        cmocka_unit_test(it_is_asked_exactly_so),
        cmocka_unit_test(what_could_mean_something_to_a_shell_is_not_handed_on),
        cmocka_unit_test(one_that_hangs_is_killed_with_what_it_started),
        cmocka_unit_test(one_that_hangs_ends_with_the_call),
        cmocka_unit_test(what_it_leaves_running_is_not_waited_for),
        cmocka_unit_test(a_host_that_ignores_its_children_is_served),
        cmocka_unit_test(one_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
