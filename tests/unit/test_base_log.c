#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

struct fixture {
    char folder[64], text[96], audit[96];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    snprintf(fixture->folder, sizeof fixture->folder, P_tmpdir "/test_base_log.XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    snprintf(fixture->text, sizeof fixture->text, "%s/log", fixture->folder);
    snprintf(fixture->audit, sizeof fixture->audit, "%s/audit", fixture->folder);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    unlink(fixture->text);
    unlink(fixture->audit);
    rmdir(fixture->folder);
    free(fixture);
    return 0;
}

/* The file as text; NULL when there is none. */
static char *contents(const char *path)
{
    char *text = calloc(1, 1 << 20);
    int fd = open(path, O_RDONLY);

    if (fd < 0) {
        free(text);
        return NULL;
    }
    assert_true(read(fd, text, (1 << 20) - 1) >= 0);
    close(fd);
    return text;
}

static struct kv_log *open_log(const char *to, enum kv_log_level level, const char *audit)
{
    struct kv_log *log = NULL;

    assert_int_equal(kv_log_open(to, level, audit, &log, NULL), KV_OK);
    return log;
}

static void lines_have_a_shape(void **state)
{
    struct fixture *fixture = *state;
    struct kv_log *log = open_log(fixture->text, KV_LOG_INFO, "none");
    char level[8], message[32];
    int pid = 0;

    errno = ENOENT;
    kv_log_line(log, KV_LOG_WARN, "key '%s'", "a\nb\033");
    assert_int_equal(errno, ENOENT);
    KV_AUTO_FREE char *text = contents(fixture->text);
    assert_int_equal(
        sscanf(text, "%*4d-%*2d-%*2dT%*2d:%*2d:%*2dZ kvp11[%d] %7[a-z]: %31[^\n]", &pid, level, message), 3);
    assert_int_equal(pid, getpid());
    assert_string_equal(level, "warn");
    assert_string_equal(message, "key 'a?b?'");
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    kv_log_free(log);
}

static void levels_are_a_threshold(void **state)
{
    struct fixture *fixture = *state;
    struct kv_log *log = open_log(fixture->text, KV_LOG_WARN, NULL);

    kv_log_line(log, KV_LOG_INFO, "quiet");
    assert_null(contents(fixture->text)); /* opened at the first line only */
    kv_log_line(log, KV_LOG_ERROR, "loud");
    kv_log_line(log, KV_LOG_DEBUG, "quiet");
    KV_AUTO_FREE char *text = contents(fixture->text);
    assert_non_null(strstr(text, "error: loud\n"));
    assert_null(strstr(text, "quiet"));
    struct stat info;
    assert_int_equal(stat(fixture->text, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    kv_log_free(log);
}

static void once_is_once_for_each_key(void **state)
{
    struct fixture *fixture = *state;
    struct kv_log *log = open_log(fixture->text, KV_LOG_INFO, NULL);

    for (int i = 0; i < 3; i++) {
        kv_log_once(log, KV_LOG_INFO, "map", "said-%d", i);
        kv_log_once(log, KV_LOG_INFO, "ledger", "also-%d", i);
        kv_log_once(log, KV_LOG_DEBUG, "debug", "never");
    }
    KV_AUTO_FREE char *text = contents(fixture->text);
    assert_non_null(strstr(text, "said-0"));
    assert_non_null(strstr(text, "also-0"));
    assert_null(strstr(text, "said-1"));
    assert_null(strstr(text, "also-1"));
    assert_null(strstr(text, "never"));
    kv_log_free(log);
}

static void long_lines_are_cut_and_still_end(void **state)
{
    struct fixture *fixture = *state;
    struct kv_log *log = open_log(fixture->text, KV_LOG_INFO, NULL);
    char lots[9000];

    memset(lots, 'x', sizeof lots - 1);
    lots[sizeof lots - 1] = '\0';
    kv_log_line(log, KV_LOG_INFO, "%s", lots);
    kv_log_line(log, KV_LOG_INFO, "next");
    KV_AUTO_FREE char *text = contents(fixture->text);
    assert_int_equal(strchr(text, '\n') - text, 4094);
    assert_non_null(strstr(text, "info: next\n"));
    kv_log_free(log);
}

/* Whoever may write a record may forge it; a group may share one. */
static void a_file_of_everybody_is_left_alone(void **state)
{
    static const struct {
        mode_t mode;
        bool written;
    } rows[] = { { 0600, true }, { 0660, true }, { 0666, false }, { 0602, false } };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stat info;
        int fd = open(fixture->text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(fchmod(fd, rows[i].mode), 0);
        close(fd);
        struct kv_log *log = open_log(fixture->text, KV_LOG_INFO, "none");
        kv_log_line(log, KV_LOG_ERROR, "a line");
        kv_log_free(log);
        assert_int_equal(stat(fixture->text, &info), 0);
        assert_int_equal(info.st_size > 0, rows[i].written);
    }
}

static void symlinks_and_fifos_are_left_alone(void **state)
{
    struct fixture *fixture = *state;

    close(open(fixture->audit, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(symlink(fixture->audit, fixture->text), 0);
    struct kv_log *by_link = open_log(fixture->text, KV_LOG_INFO, NULL);
    kv_log_line(by_link, KV_LOG_INFO, "x");
    KV_AUTO_FREE char *text = contents(fixture->audit);
    assert_string_equal(text, "");
    kv_log_free(by_link);

    unlink(fixture->audit);
    assert_int_equal(mkfifo(fixture->audit, 0600), 0);
    int reader = open(fixture->audit, O_RDONLY | O_NONBLOCK);
    struct kv_log *by_fifo = open_log("none", KV_LOG_INFO, fixture->audit);
    kv_log_audit(by_fifo, &(struct kv_audit){ .caller = "C_Sign" });
    kv_log_audit(by_fifo, &(struct kv_audit){ .caller = "C_Sign" });
    char byte;
    assert_true(read(reader, &byte, 1) <= 0);
    close(reader);
    kv_log_free(by_fifo);
}

static void silence_is_allowed(void **state)
{
    struct kv_log *log = open_log("none", KV_LOG_DEBUG, "none");

    kv_log_line(log, KV_LOG_ERROR, "x");
    kv_log_line(NULL, KV_LOG_ERROR, "x");
    kv_log_once(NULL, KV_LOG_ERROR, "k", "x");
    kv_log_audit(NULL, &(struct kv_audit){ 0 });
    kv_log_audit(log, &(struct kv_audit){ 0 });
    kv_log_free(log);
    kv_log_free(NULL);
}

static void stderr_may_be_a_closed_pipe(void **state)
{
    struct kv_log *log = open_log("stderr", KV_LOG_INFO, NULL);
    int ends[2], saved = dup(STDERR_FILENO);

    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    kv_log_line(log, KV_LOG_INFO, "heard");
    char text[128] = "";
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    kv_log_line(log, KV_LOG_INFO, "SIGPIPE would end this program");
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    assert_non_null(strstr(text, "info: heard\n"));
    kv_log_free(log);
}

static void audit_is_one_object_a_line(void **state)
{
    struct fixture *fixture = *state;
    struct kv_log *log = open_log("none", KV_LOG_ERROR, fixture->audit);
    const struct kv_audit record = {
        .caller = "C_Sign",
        .vault = "prod",
        .kid = "https://prod.vault.azure.net/keys/k/0123",
        .operation = "sign",
        .alg = "PS256",
        .http = 403,
        .code = "ForbiddenByPolicy",
        .client_request_id = "ours",
        .identity = "app\n",
        .ms = 12,
        .attempt = 2,
        .status = "DENIED",
    };

    kv_log_audit(log, &record);
    kv_log_audit(log, &record);
    KV_AUTO_FREE char *text = contents(fixture->audit);
    char *end = strchr(text, '\n');
    assert_string_equal(strchr(end + 1, '\n'), "\n");
    KV_AUTO_JSON struct kv_json *json = NULL;
    assert_int_equal(
        kv_json_parse((struct kv_view){ (unsigned char *)text, (size_t)(end - text) }, &json, NULL), KV_OK);
    int64_t number = 0;
    assert_string_equal(kv_json_text(kv_json_get(json, "caller")), "C_Sign");
    assert_string_equal(kv_json_text(kv_json_get(json, "kid")), record.kid);
    assert_string_equal(kv_json_text(kv_json_get(json, "status")), "DENIED");
    assert_string_equal(kv_json_text(kv_json_get(json, "identity")), "app\n");
    assert_null(kv_json_get(json, "request_id"));
    assert_true(kv_json_int(kv_json_get(json, "http"), &number) && number == 403);
    assert_true(kv_json_int(kv_json_get(json, "attempt"), &number) && number == 2);
    assert_true(kv_json_int(kv_json_get(json, "ms"), &number) && number == 12);
    assert_int_equal(strlen(kv_json_text(kv_json_get(json, "time"))), 20);
    kv_log_free(log);
}

static void *write_lines(void *argument)
{
    for (int i = 0; i < 200; i++) {
        kv_log_line(argument, KV_LOG_INFO, "%s", "line");
        kv_log_once(argument, KV_LOG_INFO, "same", "%s", "once");
    }
    return NULL;
}

static void threads_write_whole_lines(void **state)
{
    struct fixture *fixture = *state;
    struct kv_log *log = open_log(fixture->text, KV_LOG_INFO, NULL);
    pthread_t threads[8];
    int lines = 0, once = 0;

    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, log), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    KV_AUTO_FREE char *text = contents(fixture->text);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        const char *message = strstr(line, "info: ");
        assert_non_null(message);
        lines += !strcmp(message, "info: line");
        once += !strcmp(message, "info: once");
    }
    assert_int_equal(lines, 8 * 200);
    assert_int_equal(once, 1);
    kv_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_have_a_shape, set_up, tear_down),
        cmocka_unit_test_setup_teardown(levels_are_a_threshold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(once_is_once_for_each_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines_are_cut_and_still_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_of_everybody_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(symlinks_and_fifos_are_left_alone, set_up, tear_down),
        cmocka_unit_test(silence_is_allowed),
        cmocka_unit_test(stderr_may_be_a_closed_pipe),
        cmocka_unit_test_setup_teardown(audit_is_one_object_a_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_write_whole_lines, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
