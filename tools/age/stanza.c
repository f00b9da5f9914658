#include "stanza.h"

#include <string.h>
#include "base/encode.h"

void kv_age_stanza_free(struct kv_age_stanza *stanza)
{
    if (!stanza)
        return;
    for (size_t i = 0; i < stanza->arg_count; i++)
        free(stanza->args[i]);
    free(stanza->args);
    kv_bytes_free(&stanza->body);
    *stanza = (struct kv_age_stanza){ 0 };
}

void kv_age_stanzas_free(struct kv_age_stanza *stanzas, size_t count)
{
    for (size_t i = 0; i < count; i++)
        kv_age_stanza_free(&stanzas[i]);
    free(stanzas);
}

/* VCHAR of RFC 5234: printable ASCII and no blank. */
static bool is_argument(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x21 || text[i] > 0x7e)
            return false;
    return len > 0;
}

/* Room is there: see who calls. */
static enum kv_status add_argument(struct kv_age_stanza *stanza, const char *text, size_t len,
                                   struct kv_error *err)
{
    if (!is_argument(text, len))
        return kv_fail(err, KV_BAD_DATA,
                       "a recipient stanza has an argument that is empty or not printable ASCII");
    char *copy = kv_text_copy_n(text, len);
    if (!copy)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    stanza->args[stanza->arg_count++] = copy;
    return KV_OK;
}

enum kv_status kv_age_stanza_make(const char *const *args, size_t arg_count, struct kv_view body,
                                  struct kv_age_stanza *ret, struct kv_error *err)
{
    KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza stanza = { 0 };
    if (!arg_count || body.len > KV_AGE_BODY_MAX)
        return kv_fail(err, KV_ARGUMENTS,
                       "a recipient stanza of %zu arguments and %zu bytes cannot be written", arg_count,
                       body.len);
    stanza.args = calloc(arg_count, sizeof *stanza.args);
    if (!stanza.args || kv_bytes_copy(body, &stanza.body) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < arg_count; i++) {
        enum kv_status status = add_argument(&stanza, args[i], strlen(args[i]), err);
        if (status != KV_OK)
            return status == KV_BAD_DATA
                       ? kv_fail(err, KV_ARGUMENTS, "'%s' cannot be an argument of a recipient stanza",
                                 args[i])
                       : status;
    }
    *ret = stanza;
    stanza = (struct kv_age_stanza){ 0 };
    return KV_OK;
}

/* The empty line behind a body of full lines, or of nothing, is its end. */
static enum kv_status add_body(struct kv_view body, struct kv_buffer *ret)
{
    enum { LINE = KV_AGE_COLUMNS / 4 * 3 };
    for (size_t at = 0;; at += LINE) {
        size_t len = body.len - at < LINE ? body.len - at : LINE;
        KV_AUTO_TEXT char *line = kv_encode_base64_raw((struct kv_view){ body.data + at, len });
        if (!line)
            return KV_NO_MEMORY;
        KV_TRY(kv_buffer_format(ret, "%s\n", line));
        if (len < LINE)
            return KV_OK;
    }
}

enum kv_status kv_age_stanza_add(const struct kv_age_stanza *stanza, struct kv_buffer *ret,
                                 struct kv_error *err)
{
    enum kv_status status = kv_buffer_format(ret, "->");
    for (size_t i = 0; i < stanza->arg_count && status == KV_OK; i++) {
        if (!is_argument(stanza->args[i], strlen(stanza->args[i])))
            return kv_fail(err, KV_ARGUMENTS, "'%s' cannot be an argument of a recipient stanza",
                           stanza->args[i]);
        status = kv_buffer_format(ret, " %s", stanza->args[i]);
    }
    if (status == KV_OK)
        status = kv_buffer_format(ret, "\n");
    if (status == KV_OK)
        status = add_body(KV_VIEW(stanza->body), ret);
    return status == KV_OK ? KV_OK : kv_fail(err, status, "a recipient stanza is too long to be written");
}

/* ---- reading ---- */

enum kv_status kv_age_decode(struct kv_view letters, struct kv_bytes *ret)
{
    KV_AUTO_TEXT char *text = kv_text_copy_n((const char *)letters.data, letters.len);
    if (!text)
        return KV_NO_MEMORY;
    return strlen(text) == letters.len ? kv_decode_base64_raw(text, ret) : (enum kv_status)KV_BAD_DATA;
}

static size_t count_blanks(struct kv_view text)
{
    size_t blanks = 0;
    for (size_t i = 0; i < text.len; i++)
        blanks += text.data[i] == ' ';
    return blanks;
}

static enum kv_status begin(struct kv_age_stanza *stanza, struct kv_view line, struct kv_error *err)
{
    if (line.len < 3 || memcmp(line.data, "-> ", 3) != 0 || line.len > KV_AGE_ARG_LINE_MAX)
        return kv_fail(err, KV_BAD_DATA,
                       "a recipient stanza begins with '-> ' and its type; this line does not");
    struct kv_view rest = { line.data + 3, line.len - 3 };
    stanza->args = calloc(count_blanks(rest) + 1, sizeof *stanza->args);
    if (!stanza->args)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (;;) {
        const unsigned char *blank = rest.len ? memchr(rest.data, ' ', rest.len) : NULL;
        size_t len = blank ? (size_t)(blank - rest.data) : rest.len;
        KV_TRY(add_argument(stanza, (const char *)rest.data, len, err));
        if (!blank)
            return KV_OK;
        rest = (struct kv_view){ blank + 1, rest.len - len - 1 };
    }
}

static enum kv_status add_line(struct kv_age_reader *reader, struct kv_view line, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };
    enum kv_status status =
        line.len <= KV_AGE_COLUMNS ? kv_age_decode(line, &bytes) : (enum kv_status)KV_BAD_DATA;
    if (status == KV_BAD_DATA)
        return kv_fail(err, status,
                       "the body of a recipient stanza '%s' has a line that is not canonical base64 of at "
                       "most %d columns",
                       reader->stanza.args[0], KV_AGE_COLUMNS);
    reader->body.limit = KV_AGE_BODY_MAX;
    if (status == KV_OK)
        status = kv_buffer_add(&reader->body, KV_VIEW(bytes));
    if (status == KV_DATA_LENGTH)
        return kv_fail(err, KV_BAD_DATA, "the body of a recipient stanza '%s' is longer than %d bytes",
                       reader->stanza.args[0], KV_AGE_BODY_MAX);
    return status == KV_OK ? KV_OK : kv_fail(err, status, "out of memory");
}

enum kv_status kv_age_reader_feed(struct kv_age_reader *reader, struct kv_view line, bool *ret_whole,
                                  struct kv_error *err)
{
    *ret_whole = false;
    if (!reader->stanza.args)
        return begin(&reader->stanza, line, err);
    KV_TRY(add_line(reader, line, err));
    *ret_whole = line.len < KV_AGE_COLUMNS;
    return KV_OK;
}

struct kv_age_stanza kv_age_reader_take(struct kv_age_reader *reader)
{
    struct kv_age_stanza stanza = reader->stanza;
    stanza.body = kv_bytes_take(&reader->body.bytes);
    *reader = (struct kv_age_reader){ 0 };
    return stanza;
}

void kv_age_reader_free(struct kv_age_reader *reader)
{
    if (!reader)
        return;
    kv_age_stanza_free(&reader->stanza);
    kv_buffer_free(&reader->body);
}

/* ---- the two sides ---- */

void kv_age_recipient_free(struct kv_age_recipient *recipient)
{
    if (!recipient)
        return;
    if (recipient->free)
        recipient->free(recipient->state);
    *recipient = (struct kv_age_recipient){ 0 };
}

void kv_age_identity_free(struct kv_age_identity *identity)
{
    if (!identity)
        return;
    if (identity->free)
        identity->free(identity->state);
    *identity = (struct kv_age_identity){ 0 };
}
