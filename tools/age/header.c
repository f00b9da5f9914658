#include "header.h"

#include <stdio.h>
#include <string.h>
#include "base/encode.h"
#include "primitives.h"
#include "spare.h"

static const char family[] = "age-encryption.org/", version_line[] = "age-encryption.org/v1", mark[] = "---";
static const char armor[] = "-----BEGIN AGE ENCRYPTED FILE-----";
enum { MAC_LETTERS = 43 };

void kv_age_header_free(struct kv_age_header *header)
{
    if (!header)
        return;
    kv_age_stanzas_free(header->stanzas, header->count);
    kv_bytes_free(&header->text);
    *header = (struct kv_age_header){ 0 };
}

/* ---- reading ---- */

static bool starts(struct kv_view text, const char *with)
{
    size_t len = strlen(with);
    return text.len >= len && !memcmp(text.data, with, len);
}

/* Could these bytes become a text that starts so? */
static bool may_start(struct kv_view text, const char *with)
{
    size_t len = strlen(with) < text.len ? strlen(with) : text.len;
    return !len || !memcmp(text.data, with, len);
}

/* Takes a line, without its line feed, from the front of *rest. */
static bool next_line(struct kv_view *rest, struct kv_view *ret)
{
    const unsigned char *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    if (!end)
        return false;
    *ret = (struct kv_view){ rest->data, (size_t)(end - rest->data) };
    *rest = (struct kv_view){ end + 1, rest->len - ret->len - 1 };
    return true;
}

static enum kv_status fail_foreign(struct kv_view start, struct kv_error *err)
{
    if (starts(start, armor))
        return kv_fail(
            err, KV_BAD_DATA,
            "the file is an age file in ASCII armor: take the armor off first (age -d does it by itself)");
    if (starts(start, family))
        return kv_fail(err, KV_BAD_DATA, "the file is of another version of the age format than 'v1'");
    return kv_fail(
        err, KV_BAD_DATA,
        "this is not an age file, or not from its beginning, which is '%s': if it was one, restore it "
        "from another copy",
        version_line);
}

enum kv_status kv_age_header_length(struct kv_view start, size_t *ret_len, struct kv_error *err)
{
    struct kv_view rest = start, line;
    *ret_len = 0;
    /* The armor's line is longer than ours: enough of it must be there to tell the two apart. */
    if (!may_start(start, version_line) && !(may_start(start, armor) && start.len < strlen(armor)))
        return fail_foreign(start, err);
    while (next_line(&rest, &line)) {
        if (starts(line, mark)) {
            *ret_len = start.len - rest.len;
            break;
        }
    }
    if (*ret_len > KV_AGE_HEADER_MAX || (!*ret_len && start.len > KV_AGE_HEADER_MAX))
        return kv_fail(err, KV_BAD_DATA, "the file's header is longer than %d bytes", KV_AGE_HEADER_MAX);
    return KV_OK;
}

static enum kv_status parse_mac(struct kv_view line, struct kv_age_header *header, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes mac = { 0 };
    enum kv_status status = KV_BAD_DATA;
    if (line.len == sizeof mark + MAC_LETTERS && line.data[3] == ' ')
        status = kv_age_decode((struct kv_view){ line.data + 4, MAC_LETTERS }, &mac);
    if (status != KV_OK)
        return kv_fail(err, status, "the last line of the file's header is not '--- ' and a MAC");
    memcpy(header->mac, mac.data, sizeof header->mac);
    return KV_OK;
}

static enum kv_status add_stanza(struct kv_age_header *header, struct kv_age_reader *reader,
                                 struct kv_error *err)
{
    if (header->count == KV_AGE_STANZAS_MAX)
        return kv_fail(err, KV_BAD_DATA, "the file's header has more than %d recipient stanzas",
                       KV_AGE_STANZAS_MAX);
    struct kv_age_stanza *more = reallocarray(header->stanzas, header->count + 1, sizeof *header->stanzas);
    if (!more)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    header->stanzas = more;
    header->stanzas[header->count++] = kv_age_reader_take(reader);
    return KV_OK;
}

/* Every stanza, up to the line with the MAC. */
static enum kv_status parse_stanzas(struct kv_view *rest, struct kv_age_header *header,
                                    struct kv_view *ret_last, struct kv_error *err)
{
    KV_AUTO_AGE_READER struct kv_age_reader reader = { 0 };
    struct kv_view line;
    while (next_line(rest, &line)) {
        bool whole = false;
        if (!reader.stanza.args && starts(line, mark)) {
            *ret_last = line;
            return header->count ? KV_OK
                                 : kv_fail(err, KV_BAD_DATA, "the file's header has no recipient stanza");
        }
        KV_TRY(kv_age_reader_feed(&reader, line, &whole, err));
        if (whole)
            KV_TRY(add_stanza(header, &reader, err));
    }
    return kv_fail(err, KV_BAD_DATA, "the file ends within its header");
}

/* Who knows a passphrase shall be the only one who can have written the file: a promise of the format. */
static enum kv_status check_passphrase(const struct kv_age_header *header, struct kv_error *err)
{
    for (size_t i = 0; i < header->count && header->count > 1; i++)
        if (!strcmp(header->stanzas[i].args[0], "scrypt"))
            return kv_fail(err, KV_BAD_DATA,
                           "the file is for a passphrase and for others, too: the age format forbids it");
    return KV_OK;
}

enum kv_status kv_age_header_parse(struct kv_view text, struct kv_age_header *ret, struct kv_error *err)
{
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    struct kv_view rest = text, line, last = { 0 };
    size_t len = 0;
    KV_TRY(kv_age_header_length(text, &len, err));
    if (!len)
        return kv_fail(err, KV_BAD_DATA, text.len ? "the file ends within its header" : "the file is empty");
    rest.len = len;
    if (!next_line(&rest, &line) || line.len != strlen(version_line))
        return fail_foreign(text, err);
    KV_TRY(parse_stanzas(&rest, &header, &last, err));
    KV_TRY(parse_mac(last, &header, err));
    KV_TRY(check_passphrase(&header, err));
    if (kv_bytes_copy((struct kv_view){ text.data, len }, &header.text) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    *ret = header;
    header = (struct kv_age_header){ 0 };
    return KV_OK;
}

/* ---- the MAC ---- */

/* Over everything up to and with the mark "---" of the last line. */
static enum kv_status compute_mac(const unsigned char *file_key, struct kv_view covered,
                                  unsigned char ret[KV_AGE_MAC], struct kv_error *err)
{
    unsigned char key[KV_AGE_KEY];
    enum kv_status status =
        kv_age_hkdf((struct kv_view){ file_key, KV_AGE_FILE_KEY }, (struct kv_view){ 0 }, "header", key, err);
    if (status == KV_OK)
        status = kv_age_hmac((struct kv_view){ key, sizeof key }, covered, ret, err);
    kv_wipe(key, sizeof key);
    return status;
}

enum kv_status kv_age_header_check(const struct kv_age_header *header,
                                   const unsigned char file_key[KV_AGE_FILE_KEY], struct kv_error *err)
{
    enum { BEHIND_MARK = 1 + MAC_LETTERS + 1 };
    unsigned char mac[KV_AGE_MAC];
    struct kv_view covered = { header->text.data, header->text.len - BEHIND_MARK };
    KV_TRY(compute_mac(file_key, covered, mac, err));
    if (!kv_view_equal_ct((struct kv_view){ mac, sizeof mac },
                          (struct kv_view){ header->mac, sizeof header->mac }))
        return kv_fail(err, KV_BAD_DATA,
                       "the file's header was changed after it was written: its MAC is wrong");
    return KV_OK;
}

static size_t recipients_of(const struct kv_age_header *header)
{
    size_t count = 0;
    for (size_t i = 0; i < header->count; i++)
        count += !kv_age_spare_is(&header->stanzas[i]);
    return count;
}

enum kv_status kv_age_header_open(const struct kv_age_header *header,
                                  const struct kv_age_identity *identities, size_t count,
                                  unsigned char ret_file_key[KV_AGE_FILE_KEY], struct kv_error *err)
{
    struct kv_error first = { 0 };
    for (size_t i = 0; i < count; i++) {
        bool mine = false;
        struct kv_error failure = { 0 };
        enum kv_status status = identities[i].unwrap(identities[i].state, header->stanzas, header->count,
                                                     ret_file_key, &mine, &failure);
        if (status == KV_OK && mine)
            return kv_age_header_check(header, ret_file_key, err);
        if (status != KV_OK && !first.status)
            first = failure;
        if (status != KV_OK && !first.status)
            first.status = status;
    }
    if (!first.status)
        return kv_fail(
            err, KV_NOT_FOUND,
            "no identity that was given is one of the file's %zu recipients: give the file of one that is "
            "with -i",
            recipients_of(header));
    if (err)
        *err = first;
    return first.status;
}

/* ---- writing ---- */

enum kv_status kv_age_header_write(const struct kv_age_stanza *stanzas, size_t count,
                                   const unsigned char file_key[KV_AGE_FILE_KEY], struct kv_buffer *ret,
                                   struct kv_error *err)
{
    KV_AUTO_BUFFER struct kv_buffer text = { .limit = KV_AGE_HEADER_MAX };
    unsigned char mac[KV_AGE_MAC];
    if (!count || count > KV_AGE_STANZAS_MAX)
        return kv_fail(err, KV_ARGUMENTS, "a file is for 1 to %d recipients, not for %zu", KV_AGE_STANZAS_MAX,
                       count);
    enum kv_status status = kv_buffer_format(&text, "%s\n", version_line);
    for (size_t i = 0; i < count && status == KV_OK; i++)
        KV_TRY(kv_age_stanza_add(&stanzas[i], &text, err));
    if (status == KV_OK)
        status = kv_buffer_format(&text, "%s", mark);
    if (status == KV_OK)
        KV_TRY(compute_mac(file_key, KV_VIEW(text.bytes), mac, err));
    KV_AUTO_TEXT char *letters = kv_encode_base64_raw((struct kv_view){ mac, sizeof mac });
    if (status == KV_OK)
        status = letters ? kv_buffer_format(&text, " %s\n", letters) : (enum kv_status)KV_NO_MEMORY;
    if (status == KV_OK)
        status = kv_buffer_add(ret, KV_VIEW(text.bytes));
    return status == KV_OK
               ? KV_OK
               : kv_fail(err, status, "the file's header would be longer than %d bytes: fewer recipients",
                         KV_AGE_HEADER_MAX);
}

static enum kv_status append(struct kv_age_stanza **stanzas, size_t *count, struct kv_age_stanza *more,
                             size_t more_count)
{
    struct kv_age_stanza *all = reallocarray(*stanzas, *count + more_count, sizeof *all);
    if (!all)
        return KV_NO_MEMORY;
    memcpy(all + *count, more, more_count * sizeof *all);
    *stanzas = all;
    *count += more_count;
    return KV_OK;
}

enum kv_status kv_age_header_seal(const struct kv_age_recipient *recipients, size_t count,
                                  const unsigned char file_key[KV_AGE_FILE_KEY], struct kv_buffer *ret,
                                  struct kv_error *err)
{
    struct kv_age_stanza *stanzas = NULL;
    size_t stanza_count = 0;
    enum kv_status status = KV_OK;
    for (size_t i = 0; i < count && status == KV_OK; i++) {
        struct kv_age_stanza *made = NULL;
        size_t made_count = 0;
        status = recipients[i].wrap(recipients[i].state, file_key, &made, &made_count, err);
        if (status != KV_OK)
            break;
        status = made_count ? append(&stanzas, &stanza_count, made, made_count) : KV_OK;
        if (status != KV_OK) {
            kv_age_stanzas_free(made, made_count);
            status = kv_fail(err, status, "out of memory");
            break;
        }
        free(made);
    }
    if (status == KV_OK)
        status = kv_age_header_write(stanzas, stanza_count, file_key, ret, err);
    kv_age_stanzas_free(stanzas, stanza_count);
    return status;
}
