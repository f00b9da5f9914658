/* Two sinks: the log, for people, and the audit record, one JSON object a remote attempt, for programs. Values go down: who opens the
 * library opens the log and hands it to those who need it. Lines are written whole (one write). Never on stdout; on stderr only when
 * asked. Any thread; NULL log is silence. */
#ifndef KV_BASE_LOG_H
#define KV_BASE_LOG_H

#include "base/bytes.h"
#include "base/json.h"

enum kv_log_level { KV_LOG_ERROR, KV_LOG_WARN, KV_LOG_INFO, KV_LOG_DEBUG };

struct kv_log;

/* `to`: "none", "stderr", "syslog" or a file's path (opened O_APPEND|O_CLOEXEC|O_NOFOLLOW, mode 0600). `audit`: "none" or a path. */
KV_MUST_USE enum kv_status kv_log_open(const char *to, enum kv_log_level level, const char *audit,
                                       struct kv_log **ret, struct kv_error *err);
void kv_log_free(struct kv_log *log);
void kv_log_line(struct kv_log *log, enum kv_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Once a process and key (a short constant): for "says so once". */
void kv_log_once(struct kv_log *log, enum kv_log_level level, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* One attempt at the vault, as it stands in the audit record (contract §15). Texts borrowed, NULL where there is none. */
struct kv_audit {
    const char *caller, *vault, *kid, *operation, *alg;
    int http;         /* 0: no reply */
    const char *code; /* the service's error code */
    const char *client_request_id, *request_id;
    const char *identity; /* appid or oid of the token */
    int64_t ms;
    unsigned attempt;   /* from 1 */
    const char *status; /* kv_status_name */
};
void kv_log_audit(struct kv_log *log, const struct kv_audit *record);

#endif
