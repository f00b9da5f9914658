#include "armor.h"

#include <string.h>
#include "base/encode.h"

static const char begin_line[] = "-----BEGIN AGE ENCRYPTED FILE-----",
                  end_line[] = "-----END AGE ENCRYPTED FILE-----";
enum { COLUMNS = KV_AGE_ARMOR_COLUMNS, BYTES = COLUMNS / 4 * 3 };

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static struct kv_view without_blanks_in_front(struct kv_view text)
{
    while (text.len && is_blank(*text.data))
        text = (struct kv_view){ text.data + 1, text.len - 1 };
    return text;
}

enum kv_age_armor_looks kv_age_armor_look(struct kv_view start)
{
    struct kv_view text = without_blanks_in_front(start);
    size_t len = text.len < strlen(begin_line) ? text.len : strlen(begin_line);
    if (start.len - text.len > KV_AGE_ARMOR_BLANKS || (len && memcmp(text.data, begin_line, len) != 0))
        return KV_AGE_ARMOR_NONE;
    return len == strlen(begin_line) ? KV_AGE_ARMOR_YES : KV_AGE_ARMOR_MAYBE;
}

void kv_age_armor_reader_free(struct kv_age_armor_reader *reader)
{
    if (!reader)
        return;
    kv_buffer_free(&reader->text);
    kv_bytes_free(&reader->bytes);
    *reader = (struct kv_age_armor_reader){ 0 };
}

/* ---- taking it off: lines ---- */

static enum kv_status fail(struct kv_error *err, const char *what)
{
    return kv_fail(err, KV_BAD_DATA, "the file's ASCII armor is damaged: %s", what);
}

/* In front and behind; how many there are is bounded, for they might have no end. */
static enum kv_status take_blanks(struct kv_age_armor_reader *reader, size_t count, struct kv_error *err)
{
    reader->blanks += count;
    return reader->blanks <= KV_AGE_ARMOR_BLANKS
               ? KV_OK
               : fail(err, reader->place == KV_AGE_ARMOR_BEFORE ? "there are too many blanks in front of it"
                                                                : "there are too many blanks behind it");
}

/* A line that is full and has no padding may be followed by another one. */
static enum kv_status take_letters(struct kv_age_armor_reader *reader, struct kv_view line,
                                   struct kv_buffer *letters, struct kv_error *err)
{
    if (reader->place == KV_AGE_ARMOR_LAST)
        return fail(err, "a line within it is shorter than 64 columns, or its last line is missing");
    if (!line.len)
        return fail(err, "there is an empty line in it");
    if (line.len > COLUMNS)
        return fail(err, "a line is longer than 64 columns");
    if (line.len < COLUMNS || line.data[line.len - 1] == '=')
        reader->place = KV_AGE_ARMOR_LAST;
    return kv_buffer_add(letters, line) == KV_OK ? KV_OK : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

static enum kv_status take_line(struct kv_age_armor_reader *reader, struct kv_view whole,
                                struct kv_buffer *letters, struct kv_error *err)
{
    struct kv_view line = whole;
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    if (reader->place == KV_AGE_ARMOR_BEFORE) {
        if (!without_blanks_in_front(line).len)
            return take_blanks(reader, whole.len + 1, err);
        if (!kv_view_equal(line, kv_view_text(begin_line)))
            return fail(err, "its first line is another one");
        reader->place = KV_AGE_ARMOR_INSIDE;
        return KV_OK;
    }
    if (!kv_view_equal(line, kv_view_text(end_line)))
        return take_letters(reader, line, letters, err);
    reader->place = KV_AGE_ARMOR_AFTER;
    reader->blanks = 0;
    return KV_OK;
}

static enum kv_status take_rest(struct kv_age_armor_reader *reader, struct kv_view rest, struct kv_error *err)
{
    if (without_blanks_in_front(rest).len)
        return fail(err, "something follows its last line");
    return take_blanks(reader, rest.len, err);
}

/* Whole lines from the front of *text; and when there is no more, what is left of it. */
static enum kv_status take_lines(struct kv_age_armor_reader *reader, struct kv_view *text, bool last,
                                 struct kv_buffer *letters, struct kv_error *err)
{
    const unsigned char *end;
    while (text->len && reader->place != KV_AGE_ARMOR_AFTER &&
           ((end = memchr(text->data, '\n', text->len)) || last)) {
        size_t len = end ? (size_t)(end - text->data) : text->len, taken = end ? len + 1 : len;
        KV_TRY(take_line(reader, (struct kv_view){ text->data, len }, letters, err));
        *text = (struct kv_view){ text->data + taken, text->len - taken };
    }
    if (reader->place == KV_AGE_ARMOR_AFTER) {
        KV_TRY(take_rest(reader, *text, err));
        text->len = 0;
    }
    if (last && reader->place != KV_AGE_ARMOR_AFTER)
        return fail(err, "it was cut off: its last line is missing");
    return text->len <= KV_AGE_ARMOR_BLANKS ? KV_OK : fail(err, "a line is longer than 64 columns");
}

/* ---- bytes ---- */

static enum kv_status add_bytes(struct kv_age_armor_reader *reader, const struct kv_buffer *letters,
                                struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes more = { 0 }, all = { 0 };
    size_t kept = reader->bytes.len - reader->at;
    if (!letters->bytes.len)
        return KV_OK;
    enum kv_status status = strlen((char *)letters->bytes.data) == letters->bytes.len
                                ? kv_decode_base64((char *)letters->bytes.data, &more)
                                : (enum kv_status)KV_BAD_DATA;
    if (status == KV_BAD_DATA)
        return fail(err, "a line is no canonical base64");
    if (status == KV_OK && kept) {
        status = kv_bytes_alloc(kept + more.len, &all);
        if (status == KV_OK) {
            memcpy(all.data, reader->bytes.data + reader->at, kept);
            memcpy(all.data + kept, more.data, more.len);
        }
    }
    if (status != KV_OK)
        return kv_fail(err, status, "out of memory");
    kv_bytes_free(&reader->bytes);
    reader->bytes = kv_bytes_take(kept ? &all : &more);
    reader->at = 0;
    return KV_OK;
}

enum kv_status kv_age_armor_take(struct kv_age_armor_reader *reader, struct kv_view text, bool last,
                                 struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer joined = { 0 }, letters = { 0 };
    struct kv_view rest = text;
    if (reader->text.bytes.len) {
        joined = reader->text;
        reader->text = (struct kv_buffer){ 0 };
        if (kv_buffer_add(&joined, text) != KV_OK)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        rest = KV_VIEW(joined.bytes);
    }
    KV_TRY(take_lines(reader, &rest, last, &letters, err));
    if (rest.len && kv_buffer_add(&reader->text, rest) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    reader->ended = last;
    return add_bytes(reader, &letters, err);
}

enum kv_status kv_age_armor_front(struct kv_view text, bool whole, struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_AGE_ARMOR_READER struct kv_age_armor_reader reader = { 0 };
    KV_TRY(kv_age_armor_take(&reader, text, whole, err));
    if (!reader.bytes.data && kv_bytes_alloc(0, &reader.bytes) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    *ret = kv_bytes_take(&reader.bytes);
    return KV_OK;
}

/* ---- putting it on ---- */

static enum kv_status add_text(struct kv_age_armor_writer *writer, struct kv_buffer *ret, const char *text,
                               size_t len)
{
    KV_TRY(kv_buffer_add(ret, (struct kv_view){ (const unsigned char *)text, len }));
    KV_TRY(kv_buffer_add(ret, kv_view_text("\n")));
    writer->written += len + 1;
    return KV_OK;
}

/* In full lines, but for the end of what there is. */
static enum kv_status add_lines(struct kv_age_armor_writer *writer, struct kv_view bytes,
                                struct kv_buffer *ret)
{
    KV_AUTO_TEXT char *letters = kv_encode_base64(bytes);
    if (!letters)
        return KV_NO_MEMORY;
    size_t len = strlen(letters);
    for (size_t at = 0; at < len; at += COLUMNS)
        KV_TRY(add_text(writer, ret, letters + at, len - at < COLUMNS ? len - at : COLUMNS));
    return KV_OK;
}

static enum kv_status begin(struct kv_age_armor_writer *writer, struct kv_buffer *ret)
{
    bool begun = writer->begun;
    writer->begun = true;
    return begun ? KV_OK : add_text(writer, ret, begin_line, strlen(begin_line));
}

enum kv_status kv_age_armor_put(struct kv_age_armor_writer *writer, struct kv_view bytes,
                                struct kv_buffer *ret)
{
    KV_TRY(begin(writer, ret));
    if (!bytes.len)
        return KV_OK;
    if (writer->rest_len) {
        size_t len = bytes.len < BYTES - writer->rest_len ? bytes.len : BYTES - writer->rest_len;
        memcpy(writer->rest + writer->rest_len, bytes.data, len);
        writer->rest_len += len;
        bytes = (struct kv_view){ bytes.data + len, bytes.len - len };
        if (writer->rest_len < BYTES)
            return KV_OK;
        KV_TRY(add_lines(writer, (struct kv_view){ writer->rest, BYTES }, ret));
    }
    writer->rest_len = bytes.len % BYTES;
    bytes.len -= writer->rest_len;
    memcpy(writer->rest, bytes.data + bytes.len, writer->rest_len);
    return add_lines(writer, bytes, ret);
}

enum kv_status kv_age_armor_end(struct kv_age_armor_writer *writer, struct kv_buffer *ret)
{
    KV_TRY(begin(writer, ret));
    KV_TRY(add_lines(writer, (struct kv_view){ writer->rest, writer->rest_len }, ret));
    writer->rest_len = 0;
    return add_text(writer, ret, end_line, strlen(end_line));
}
