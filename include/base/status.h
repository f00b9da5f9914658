/* What can fail says so with a status and, where a person will read it, one line in a kv_error.
 * The struct belongs to the caller and may be NULL; writing it never fails. Any thread. */
#ifndef KV_BASE_STATUS_H
#define KV_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>

enum kv_status {
#define KV_STATUS(name, ckr, exit_code, text) KV_##name,
#include "base/status.def"
#undef KV_STATUS
    KV_STATUS_COUNT
};

struct kv_error {
    enum kv_status status;
    int http;            /* the service's HTTP status, 0: none */
    char code[64];       /* the service's error code or innererror, "" : none */
    char request_id[64]; /* the service's x-ms-request-id, "" : none */
    bool maybe_done;     /* a change whose outcome nobody knows yet: it may have been made all the same */
    char text[1024];     /* one line: the thing in ticks, the cause, the remedy */
};

#define KV_MUST_USE __attribute__((warn_unused_result))

/* Writes the error and returns its status: `return kv_fail(err, KV_DISABLED, "version '%s' is disabled", v);`
 * http, code and request_id are emptied: set them afterwards. */
KV_MUST_USE enum kv_status kv_fail(struct kv_error *err, enum kv_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "context: " before a text that is there already; returns the status it was given. */
KV_MUST_USE enum kv_status kv_fail_in(struct kv_error *err, enum kv_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const char *kv_status_name(enum kv_status status); /* "NOT_FOUND" */
const char *kv_status_text(enum kv_status status); /* "no such key or version" */
int kv_status_exit(enum kv_status status);         /* the tool's exit code */

/* The only macro with a hidden return. */
#define KV_TRY(expression)                                                                                   \
    do {                                                                                                     \
        enum kv_status kv_try_status = (expression);                                                         \
        if (kv_try_status != KV_OK)                                                                          \
            return kv_try_status;                                                                            \
    } while (0)

#endif
