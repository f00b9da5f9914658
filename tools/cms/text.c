#include "text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

enum { LINE_MAX_BYTES = 1000 /* RFC 5322 §2.1.1, with its end */, HEAD_MAX = 1 << 16 };

enum place { FIRST, HEADER, BODY, END, BEHIND };

struct kv_cms_text {
    const char *name;
    int fd;
    struct kv_bytes room;
    struct kv_view whole; /* where there is no descriptor */
    struct kv_view raw;   /* read and not looked at yet */
    enum place place;
    const char *end;     /* the line that must come; NULL: S/MIME, which just ends */
    bool base64, padded; /* the header says so; nothing can follow */
    size_t head;         /* bytes before the body */
    char line[LINE_MAX_BYTES + 1];
    size_t line_len;
    EVP_ENCODE_CTX *decoder;
};

static const char *const headers[] = {
    "MIME-Version:", "Content-Type:", "Content-Transfer-Encoding:", "Content-Disposition:", "To:", "From:",
    "Subject:",      "Date:"
};

static const struct {
    const char *begin, *end;
} labels[] = {
    { "-----BEGIN CMS-----", "-----END CMS-----" },
    { "-----BEGIN PKCS7-----", "-----END PKCS7-----" },
};

static bool begins(struct kv_view view, const char *with)
{
    size_t len = strlen(with);
    return view.len >= len && !strncasecmp((const char *)view.data, with, len);
}

bool kv_cms_text_is(struct kv_view start)
{
    bool known = begins(start, "-----BEGIN ");
    for (size_t i = 0; !known && i < sizeof(headers) / sizeof(headers[0]); i++)
        known = begins(start, headers[i]);
    return known;
}

void kv_cms_text_restart(struct kv_cms_text *text)
{
    text->raw = text->whole;
    text->place = FIRST;
    text->end = NULL;
    text->base64 = text->padded = false;
    text->head = text->line_len = 0;
    EVP_DecodeInit(text->decoder);
}

enum kv_status kv_cms_text_new(const char *name, int fd, struct kv_view ahead, struct kv_cms_text **ret,
                               struct kv_error *err)
{
    KV_AUTO_CMS_TEXT struct kv_cms_text *text = calloc(1, sizeof(*text));
    size_t room = ahead.len > KV_CMS_TEXT_PIECE ? ahead.len : KV_CMS_TEXT_PIECE;
    if (!text || !(text->decoder = EVP_ENCODE_CTX_new()) ||
        kv_bytes_alloc(fd < 0 ? 0 : room, &text->room) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    text->name = name;
    text->fd = fd;
    if (fd < 0)
        text->whole = ahead;
    kv_cms_text_restart(text);
    if (fd >= 0 && ahead.len)
        memcpy(text->room.data, ahead.data, ahead.len);
    if (fd >= 0)
        text->raw = (struct kv_view){ text->room.data, ahead.len };
    *ret = kv_take(text);
    return KV_OK;
}

void kv_cms_text_free(struct kv_cms_text *text)
{
    if (!text)
        return;
    EVP_ENCODE_CTX_free(text->decoder);
    kv_bytes_free(&text->room);
    free(text);
}

/* --- around the body --- */
static enum kv_status not_base64(const struct kv_cms_text *text, struct kv_error *err)
{
    return kv_fail(err, KV_BAD_DATA, "'%s' is %s with something in it that is not base64", text->name,
                   text->end ? "PEM" : "S/MIME");
}

static bool is_blank(unsigned char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* One line into text->line; *ret: it is whole. */
static enum kv_status take_line(struct kv_cms_text *text, bool *ret, struct kv_error *err)
{
    const unsigned char *end = memchr(text->raw.data, '\n', text->raw.len);
    size_t len = end ? (size_t)(end - text->raw.data) + 1 : text->raw.len;
    if (len > LINE_MAX_BYTES - text->line_len || len > HEAD_MAX - text->head)
        return kv_fail(err, KV_BAD_DATA, "'%s' has lines around its base64 that are too long, or too many",
                       text->name);
    memcpy(text->line + text->line_len, text->raw.data, len);
    text->line_len += len;
    text->head += len;
    text->raw = (struct kv_view){ text->raw.data + len, text->raw.len - len };
    *ret = end;
    return KV_OK;
}

static bool is_line(const struct kv_cms_text *text, const char *expected)
{
    return text->line_len == strlen(expected) && !memcmp(text->line, expected, text->line_len);
}

static enum kv_status begin_pem(struct kv_cms_text *text, struct kv_error *err)
{
    enum { SHOWN = 64 };
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
        if (is_line(text, labels[i].begin))
            text->end = labels[i].end;
    text->place = BODY;
    for (size_t i = 0; i < text->line_len; i++)
        if (text->line[i] < ' ' || text->line[i] > '~')
            text->line[i] = '?'; /* for the message */
    return text->end ? KV_OK
                     : kv_fail(err, KV_BAD_DATA, "'%s' is PEM that begins with '%.*s': an envelope has '%s'",
                               text->name, SHOWN, text->line, labels[0].begin);
}

/* An empty line ends the header. */
static enum kv_status take_header(struct kv_cms_text *text, struct kv_error *err)
{
    static const char encoding[] = "Content-Transfer-Encoding:";
    text->place = HEADER;
    if (!strncasecmp(text->line, encoding, sizeof(encoding) - 1)) {
        const char *value = text->line + sizeof(encoding) - 1;
        text->base64 = !strcasecmp(value + strspn(value, " \t"), "base64");
    }
    if (text->line_len)
        return KV_OK;
    text->place = BODY;
    return text->base64
               ? KV_OK
               : kv_fail(err, KV_UNSUPPORTED,
                         "'%s' is a message whose header does not say 'Content-Transfer-Encoding: base64': "
                         "save the part of it that is the envelope (smime.p7m) and give that",
                         text->name);
}

static enum kv_status take_end(struct kv_cms_text *text, struct kv_error *err)
{
    text->place = BEHIND;
    return is_line(text, text->end)
               ? KV_OK
               : kv_fail(err, KV_BAD_DATA, "'%s' is PEM that does not end with '%s'", text->name, text->end);
}

static enum kv_status use_line(struct kv_cms_text *text, struct kv_error *err)
{
    enum place place = text->place;
    enum kv_status status = KV_OK;
    while (text->line_len && is_blank((unsigned char)text->line[text->line_len - 1]))
        text->line_len--;
    text->line[text->line_len] = '\0';
    if (place == END)
        status = take_end(text, err);
    else if (place == FIRST && !strncmp(text->line, "-----", 5))
        status = begin_pem(text, err);
    else
        status = take_header(text, err);
    text->line_len = 0;
    return status;
}

static enum kv_status pass_blanks(struct kv_cms_text *text, struct kv_error *err)
{
    for (; text->raw.len; text->raw.data++, text->raw.len--)
        if (!is_blank(*text->raw.data))
            return kv_fail(err, KV_BAD_DATA, "'%s' has further text behind the envelope", text->name);
    return KV_OK;
}

/* --- the body --- */

/* OpenSSL would take what follows a padding when it comes with another call, and a hyphen for the end. */
static enum kv_status decode(struct kv_cms_text *text, size_t len, unsigned char *to, size_t *ret,
                             struct kv_error *err)
{
    int done = 0;
    for (; text->padded && len; text->raw.data++, text->raw.len--, len--)
        if (!is_blank(*text->raw.data))
            return not_base64(text, err);
    int more = len ? EVP_DecodeUpdate(text->decoder, to, &done, text->raw.data, (int)len) : 1;
    if (more < 0)
        return not_base64(text, err);
    text->padded = text->padded || !more;
    text->raw = (struct kv_view){ text->raw.data + len, text->raw.len - len };
    *ret = (size_t)done;
    return KV_OK;
}

static enum kv_status end_body(struct kv_cms_text *text, unsigned char *to, size_t *ret, struct kv_error *err)
{
    int done = 0;
    if (EVP_DecodeFinal(text->decoder, to, &done) < 0)
        return not_base64(text, err);
    *ret = (size_t)done;
    text->place = text->end ? END : BEHIND;
    text->head = 0;
    return KV_OK;
}

static enum kv_status take_body(struct kv_cms_text *text, unsigned char *to, size_t room, size_t *ret,
                                struct kv_error *err)
{
    size_t most = text->raw.len < room / 2 ? text->raw.len : room / 2;
    const unsigned char *hyphen = memchr(text->raw.data, '-', most);
    if (hyphen == text->raw.data)
        return text->end ? end_body(text, to, ret, err) : not_base64(text, err);
    return decode(text, hyphen ? (size_t)(hyphen - text->raw.data) : most, to, ret, err);
}

/* --- all of it --- */
static enum kv_status take_some(struct kv_cms_text *text, unsigned char *to, size_t room, size_t *ret,
                                struct kv_error *err)
{
    bool whole = false;
    if (text->place == BODY)
        return take_body(text, to, room, ret, err);
    if (text->place == BEHIND)
        return pass_blanks(text, err);
    KV_TRY(take_line(text, &whole, err));
    return whole ? use_line(text, err) : KV_OK;
}

static enum kv_status refill(struct kv_cms_text *text, bool *ret_end, struct kv_error *err)
{
    ssize_t done = 0;
    while (text->fd >= 0 && (done = read(text->fd, text->room.data, text->room.len)) < 0 && errno == EINTR)
        ;
    if (done < 0)
        return kv_fail(err, KV_IO, "cannot read '%s': %m", text->name);
    if (done)
        text->raw = (struct kv_view){ text->room.data, (size_t)done };
    *ret_end = !done;
    return KV_OK;
}

/* The last line may have no end. */
static enum kv_status end_of_text(struct kv_cms_text *text, unsigned char *to, size_t *ret,
                                  struct kv_error *err)
{
    if (text->place == BODY && !text->end)
        return end_body(text, to, ret, err);
    if (text->place == END && text->line_len)
        return use_line(text, err);
    return text->place == BEHIND
               ? KV_OK
               : kv_fail(err, KV_BAD_DATA, "'%s' ends in the middle of its text: it was cut", text->name);
}

enum kv_status kv_cms_text_read(struct kv_cms_text *text, unsigned char *to, size_t room, size_t *ret,
                                struct kv_error *err)
{
    bool end = false;
    *ret = 0;
    if (room < KV_CMS_TEXT_PIECE)
        return kv_fail(err, KV_INTERNAL, "too little room for what is decoded");
    while (!*ret && !end) {
        if (!text->raw.len)
            KV_TRY(refill(text, &end, err));
        KV_TRY(end ? end_of_text(text, to, ret, err) : take_some(text, to, room, ret, err));
    }
    return KV_OK;
}
