#include "base/status.h"

#include "base/bytes.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct status_row {
    const char *name, *text;
    int exit_code;
};

/* The CK_RV column belongs to the entry layer: it is not expanded here. */
static const struct status_row rows[KV_STATUS_COUNT] = {
#define KV_STATUS(name, ckr, exit_code, text) [KV_##name] = { #name, text, exit_code },
#include "base/status.def"
#undef KV_STATUS
};

static const struct status_row *row_of(enum kv_status status)
{
    unsigned i = (unsigned)status;

    return &rows[i < KV_STATUS_COUNT ? i : KV_INTERNAL];
}

enum kv_status kv_fail(struct kv_error *err, enum kv_status status, const char *format, ...)
{
    if (!err)
        return status;
    /* Formatted aside first: an argument may be err->text itself. */
    struct kv_error fresh = { .status = status };
    va_list args;
    va_start(args, format);
    vsnprintf(fresh.text, sizeof fresh.text, format, args);
    va_end(args);
    kv_text_one_line(fresh.text);
    *err = fresh;
    return status;
}

enum kv_status kv_fail_in(struct kv_error *err, enum kv_status status, const char *format, ...)
{
    if (!err)
        return status;
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    kv_text_one_line(text);
    size_t len = strlen(text), room = sizeof text - len;
    const char *cause = *err->text ? err->text : kv_status_text(status);
    snprintf(text + len, room, ": %.*s", (int)room, cause);
    memcpy(err->text, text, sizeof text);
    err->status = status;
    return status;
}

const char *kv_status_name(enum kv_status status)
{
    return row_of(status)->name;
}

const char *kv_status_text(enum kv_status status)
{
    return row_of(status)->text;
}

int kv_status_exit(enum kv_status status)
{
    return row_of(status)->exit_code;
}
