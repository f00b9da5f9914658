#include "base/log.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>

enum { LINE_SIZE = 4096, NOT_OPEN = -1, UNUSABLE = -2 };

/* No lock in here: a child of fork() would inherit one that another thread holds. */
struct sink {
    char *to;
    bool to_stderr, to_syslog; /* neither: a file, unless `to` is NULL */
    atomic_int fd;             /* opened at the first line */
};

struct said {
    struct said *next;
    char key[];
};

struct kv_log {
    enum kv_log_level level;
    struct sink text, audit;
    _Atomic(struct said *) said;
};

static const struct {
    const char *name;
    int priority;
} levels[] = {
    [KV_LOG_ERROR] = { "error", LOG_ERR },
    [KV_LOG_WARN] = { "warn", LOG_WARNING },
    [KV_LOG_INFO] = { "info", LOG_INFO },
    [KV_LOG_DEBUG] = { "debug", LOG_DEBUG },
};

static bool open_sink(struct sink *sink, const char *to)
{
    atomic_init(&sink->fd, NOT_OPEN);
    if (!to || !*to || !strcmp(to, "none"))
        return true;
    sink->to_stderr = !strcmp(to, "stderr");
    sink->to_syslog = !strcmp(to, "syslog");
    sink->to = kv_text_copy(to);
    return sink->to;
}

static void close_sink(struct sink *sink)
{
    int fd = atomic_load(&sink->fd);

    if (fd >= 0)
        close(fd);
    free(sink->to);
}

enum kv_status kv_log_open(const char *to, enum kv_log_level level, const char *audit, struct kv_log **ret,
                           struct kv_error *err)
{
    struct kv_log *log = calloc(1, sizeof *log);

    if (!log)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    log->level = level;
    atomic_init(&log->said, NULL);
    bool text_open = open_sink(&log->text, to), audit_open = open_sink(&log->audit, audit);
    if (!text_open || !audit_open) {
        kv_log_free(log);
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    *ret = log;
    return KV_OK;
}

void kv_log_free(struct kv_log *log)
{
    if (!log)
        return;
    for (struct said *said = atomic_load(&log->said), *next; said; said = next) {
        next = said->next;
        free(said);
    }
    close_sink(&log->text);
    close_sink(&log->audit);
    free(log);
}

/* A regular file and nothing else, for a FIFO or a device could block the host or signal it; of root or the caller, and not everybody's to change. A group may
 * share one. */
static bool is_fit(const struct stat *info)
{
    return S_ISREG(info->st_mode) && (info->st_uid == 0 || info->st_uid == geteuid()) &&
           !(info->st_mode & S_IWOTH);
}

static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    struct stat info;

    if (fd < 0)
        return UNUSABLE;
    if (!fstat(fd, &info) && is_fit(&info))
        return fd;
    close(fd);
    return UNUSABLE;
}

static int sink_fd(struct sink *sink)
{
    int fd = atomic_load(&sink->fd), none = NOT_OPEN;

    if (sink->to_stderr)
        return STDERR_FILENO;
    if (fd != NOT_OPEN)
        return fd;
    fd = open_file(sink->to);
    if (atomic_compare_exchange_strong(&sink->fd, &none, fd))
        return fd;
    if (fd >= 0)
        close(fd);
    return none;
}

/* One write(2). A closed pipe on stderr raises SIGPIPE, which must not reach the host: it is held back, and
 * taken off if it is ours. */
static void write_line(int fd, const char *line, size_t len)
{
    const struct timespec at_once = { 0, 0 };
    sigset_t pipe_only, before, pending;

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    sigpending(&pending);
    bool theirs = sigismember(&pending, SIGPIPE);
    ssize_t written = write(fd, line, len);
    if (written < 0 && errno == EPIPE && !theirs)
        while (sigtimedwait(&pipe_only, NULL, &at_once) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void emit(struct sink *sink, const char *line, size_t len)
{
    int fd = sink_fd(sink);

    if (fd >= 0)
        write_line(fd, line, len);
}

static void say(struct kv_log *log, enum kv_log_level level, const char *format, va_list args)
{
    char line[LINE_SIZE], when[21];
    int saved = errno;

    kv_clock_text(kv_clock_system.unix_seconds(&kv_clock_system), when);
    int head = snprintf(line, sizeof line, "%s kvp11[%d] %s: ", when, (int)getpid(), levels[level].name);
    vsnprintf(line + head, sizeof line - (size_t)head - 1, format, args);
    kv_text_one_line(line);
    if (log->text.to_syslog) {
        syslog(LOG_USER | levels[level].priority, "kvp11: %s", line + head);
    } else {
        size_t len = strlen(line);
        line[len] = '\n';
        emit(&log->text, line, len + 1);
    }
    errno = saved;
}

static bool is_wanted(const struct kv_log *log, enum kv_log_level level)
{
    return log && log->text.to && level <= log->level;
}

void kv_log_line(struct kv_log *log, enum kv_log_level level, const char *format, ...)
{
    va_list args;

    if (!is_wanted(log, level))
        return;
    va_start(args, format);
    say(log, level, format, args);
    va_end(args);
}

/* True for the one caller that puts the key on the list. Only heads are exchanged and nothing is taken off,
 * so a list seen once stays whole; after a lost race the newcomers are looked through again. */
static bool is_first(struct kv_log *log, const char *key)
{
    size_t size = strlen(key) + 1;
    struct said *head = atomic_load(&log->said), *fresh = malloc(sizeof *fresh + size);

    if (!fresh)
        return false;
    memcpy(fresh->key, key, size);
    do {
        for (struct said *said = head; said; said = said->next)
            if (!strcmp(said->key, key)) {
                free(fresh);
                return false;
            }
        fresh->next = head;
    } while (!atomic_compare_exchange_weak(&log->said, &head, fresh));
    return true;
}

void kv_log_once(struct kv_log *log, enum kv_log_level level, const char *key, const char *format, ...)
{
    va_list args;

    if (!is_wanted(log, level) || !is_first(log, key))
        return;
    va_start(args, format);
    say(log, level, format, args);
    va_end(args);
}

static char *audit_line(const struct kv_audit *record)
{
    KV_AUTO_JSON struct kv_json *line = kv_json_object();
    char when[21];

    kv_clock_text(kv_clock_system.unix_seconds(&kv_clock_system), when);
    kv_json_put_text(line, "time", when);
    kv_json_put_int(line, "pid", getpid());
    kv_json_put_text(line, "program", program_invocation_short_name);
    kv_json_put_text(line, "caller", record->caller);
    kv_json_put_text(line, "vault", record->vault);
    kv_json_put_text(line, "kid", record->kid);
    kv_json_put_text(line, "operation", record->operation);
    kv_json_put_text(line, "alg", record->alg);
    kv_json_put_int(line, "attempt", record->attempt);
    kv_json_put_int(line, "http", record->http);
    kv_json_put_text(line, "code", record->code);
    kv_json_put_text(line, "status", record->status);
    kv_json_put_int(line, "ms", record->ms);
    kv_json_put_text(line, "client_request_id", record->client_request_id);
    kv_json_put_text(line, "request_id", record->request_id);
    kv_json_put_text(line, "identity", record->identity);
    return kv_json_print(line, false);
}

void kv_log_audit(struct kv_log *log, const struct kv_audit *record)
{
    int saved = errno;

    if (!log || !log->audit.to)
        return;
    KV_AUTO_BUFFER struct kv_buffer line = { 0 };
    KV_AUTO_TEXT char *text = audit_line(record);
    if (text && !kv_buffer_format(&line, "%s\n", text))
        emit(&log->audit, (const char *)line.bytes.data, line.bytes.len);
    errno = saved;
}
