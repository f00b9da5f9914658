#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "base/file.h"
#include "private.h"

enum { PIN_MAX = 256 };

/* ---- where the PIN comes from ---- */

static void cut_line(struct kv_bytes *pin)
{
    while (pin->len && (pin->data[pin->len - 1] == '\n' || pin->data[pin->len - 1] == '\r'))
        pin->len--;
}

static enum kv_status from_file(const struct kv_token *token, const char *source, struct kv_bytes *ret,
                                struct kv_error *err)
{
    const struct kv_file_rule rule = { .secret = true, .largest = PIN_MAX, .status = KV_DENIED };
    const char *path = source;
    if (!strncmp(path, "file:", 5))
        path += strncmp(path + 5, "//", 2) == 0 ? 7 : 5;
    if (*path == '|')
        return kv_fail(err, KV_ARGUMENTS, "'%s': pin-source is a program; name a file", token->shown);
    enum kv_status status = kv_file_read(path, &rule, ret, err);
    if (status != KV_OK)
        return kv_fail_in(err, KV_NOT_LOGGED_IN, "'%s': pin-source", token->shown);
    cut_line(ret);
    return KV_OK;
}

static bool read_line(int terminal, struct kv_bytes *into)
{
    size_t len = 0;
    for (;;) {
        ssize_t got = read(terminal, into->data + len, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != 1 || len + 1 == into->len)
            return false;
        if (into->data[len] == '\n')
            break;
        len++;
    }
    into->len = len;
    return true;
}

static enum kv_status from_terminal(const struct kv_token *token, struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_FD int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct termios before, quiet;
    if (terminal < 0 || tcgetattr(terminal, &before) != 0)
        return kv_fail(
            err, KV_NOT_LOGGED_IN,
            "'%s': the token asks for a PIN, and there is no terminal to ask at: put it into a file of "
            "mode 0600 and add '?pin-source=FILE' to the URI",
            token->shown);
    if (kv_bytes_alloc(PIN_MAX, ret) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(terminal, TCSAFLUSH, &quiet);
    dprintf(terminal,
            "PIN of token '%.*s': ", (int)p11_kit_space_strlen(token->info.label, sizeof token->info.label),
            token->info.label);
    bool read = read_line(terminal, ret);
    (void)tcsetattr(terminal, TCSAFLUSH, &before);
    dprintf(terminal, "\n");
    return read ? KV_OK : kv_fail(err, KV_NOT_LOGGED_IN, "'%s': no PIN was typed", token->shown);
}

static bool is_written(const struct kv_token *token)
{
    return p11_kit_uri_get_pin_value(token->uri) || p11_kit_uri_get_pin_source(token->uri);
}

static enum kv_status get_pin(const struct kv_token *token, struct kv_bytes *ret, struct kv_error *err)
{
    const char *value = p11_kit_uri_get_pin_value(token->uri);
    const char *source = p11_kit_uri_get_pin_source(token->uri);
    if (value)
        return kv_bytes_copy(kv_view_text(value), ret);
    return source ? from_file(token, source, ret, err) : from_terminal(token, ret, err);
}

/* ---- logging in ---- */

/* A PIN that stands somewhere is not tried when a wrong one would lock the token; who types one has been told. */
static enum kv_status may_try(const struct kv_token *token, struct kv_error *err)
{
    if (token->info.flags & CKF_USER_PIN_LOCKED)
        return kv_fail(err, KV_NOT_LOGGED_IN, "'%s': its PIN is locked: unlock it with the token's own tool",
                       token->shown);
    if (token->info.flags & CKF_USER_PIN_FINAL_TRY && is_written(token))
        return kv_fail(
            err, KV_NOT_LOGGED_IN,
            "'%s': one more wrong PIN would lock the token: leave pin-value and pin-source away and type it",
            token->shown);
    return KV_OK;
}

static enum kv_status log_in(struct kv_token *token, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes pin = { 0 };
    bool own_pad = token->info.flags & CKF_PROTECTED_AUTHENTICATION_PATH && !is_written(token);
    if (!(token->info.flags & CKF_LOGIN_REQUIRED) && !is_written(token))
        return KV_OK;
    KV_TRY(may_try(token, err));
    if (!own_pad)
        KV_TRY(get_pin(token, &pin, err));
    CK_RV rv = token->f->C_Login(token->session, CKU_USER, own_pad ? NULL : pin.data, own_pad ? 0 : pin.len);
    token->logged_in = rv == CKR_OK;
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ? KV_OK
                                                            : kv_token_fail(token, "C_Login", rv, err);
}

enum kv_status kv_token_log_in(struct kv_token *token, struct kv_error *err)
{
    if (!token->logged_in && token->refused.status == KV_OK)
        token->refused.status = log_in(token, &token->refused);
    if (token->refused.status != KV_OK && err)
        *err = token->refused;
    return token->refused.status;
}
