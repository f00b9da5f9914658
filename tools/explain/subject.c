/* What is it that the word names, and who can open it? No request, no map. */
#include "explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "age/armor.h"
#include "age/header.h"
#include "age/vault_stanza.h"
#include "age/vault_text.h"
#include "base/encode.h"
#include "cms/envelope.h"
#include "cms/input.h"
#include "mech/certificate.h"

void kv_subject_free(struct kv_subject *subject)
{
    free(subject->parts);
    kv_buffer_free(&subject->blob);
    *subject = (struct kv_subject){ 0 };
}

static enum kv_status add_part(struct kv_subject *subject, struct kv_subject_part **ret, struct kv_error *err)
{
    if (subject->count == KV_SUBJECT_PARTS_MAX)
        return kv_fail(err, KV_DATA_LENGTH, "it has more than %d recipients", KV_SUBJECT_PARTS_MAX);
    struct kv_subject_part *more = reallocarray(subject->parts, subject->count + 1, sizeof(*more));
    if (!more)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    subject->parts = more;
    *ret = &more[subject->count++];
    **ret = (struct kv_subject_part){ 0 };
    return KV_OK;
}

/* --- files --- */

/* Up to KV_SUBJECT_BLOB_MAX bytes; *ret_whole: there is no more. */
static enum kv_status read_start(const char *path, struct kv_buffer *ret, bool *ret_whole,
                                 struct kv_error *err)
{
    bool piped = !strcmp(path, "-");
    FILE *stream = piped ? stdin : fopen(path, "rbe");
    if (!stream)
        return kv_fail(err, KV_ARGUMENTS, "cannot read '%s': %m", path);
    unsigned char part[4096];
    size_t len = 0;
    enum kv_status status = KV_OK;
    while (status == KV_OK && (len = fread(part, 1, sizeof(part), stream)))
        status = kv_buffer_add(ret, (struct kv_view){ part, len });
    bool broken = ferror(stream);
    int failure = errno;
    if (!piped)
        fclose(stream);
    errno = failure;
    if (broken)
        return kv_fail(err, KV_IO, "cannot read '%s': %m", path);
    if (status == KV_NO_MEMORY)
        return kv_fail(err, status, "out of memory");
    if (!ret->bytes.len)
        return kv_fail(err, KV_BAD_DATA, "'%s' is empty", path);
    *ret_whole = status == KV_OK;
    return KV_OK;
}

static enum kv_status too_long(const char *path, struct kv_error *err)
{
    return kv_fail(err, KV_DATA_LENGTH, "'%s' is longer than %d bytes: give the wrapped key, not the backup",
                   path, KV_SUBJECT_BLOB_MAX);
}

enum kv_status kv_subject_read_blob(const char *path, struct kv_buffer *ret, struct kv_error *err)
{
    bool whole = false;
    ret->limit = KV_SUBJECT_BLOB_MAX;
    KV_TRY(read_start(path, ret, &whole, err));
    return whole ? KV_OK : too_long(path, err);
}

static bool begins(struct kv_view bytes, const char *text)
{
    size_t len = strlen(text);
    return bytes.len >= len && !memcmp(bytes.data, text, len);
}

static bool ends(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && !strcmp(text + len - end_len, end);
}

static void take_kid(const char *text, struct kv_subject_part *part)
{
    struct kv_kid kid;
    if (!*text || kv_kid_parse(text, &kid, NULL) != KV_OK)
        return;
    (void)kv_text_fit(part->host, sizeof(part->host), kid.host);
    (void)kv_text_fit(part->name, sizeof(part->name), kid.name);
    (void)kv_text_fit(part->version, sizeof(part->version), kid.version);
}

static enum kv_status take_ours(const struct kv_age_stanza *stanza, struct kv_subject_part *part,
                                struct kv_error *err)
{
    struct kv_vault_stanza read = { 0 };
    KV_TRY(kv_vault_stanza_read(stanza, &read, err));
    part->ours = true;
    part->has_spki = read.kind == KV_RSA;
    part->has_id = !part->has_spki;
    memcpy(part->spki_sha256, read.digest, sizeof(part->spki_sha256));
    memcpy(part->id, read.digest, sizeof(part->id));
    take_kid(read.kid, part);
    snprintf(part->text, sizeof(part->text), "%s %.200s", stanza->args[0], read.kid);
    return KV_OK;
}

/* Stanzas that open nothing: greased ones of other programs, and room that is kept for later. */
static bool is_padding(const struct kv_age_stanza *stanza)
{
    return ends(stanza->args[0], "-grease") ||
           (!strncmp(stanza->args[0], "kvp11-", 6) && !kv_vault_stanza_is(stanza));
}

static enum kv_status read_age(struct kv_view start, struct kv_subject *subject, struct kv_error *err)
{
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    KV_TRY(kv_age_header_parse(start, &header, err));
    subject->form = "age file";
    for (size_t i = 0; i < header.count; i++) {
        const struct kv_age_stanza *stanza = &header.stanzas[i];
        struct kv_subject_part *part = NULL;
        if (is_padding(stanza))
            continue;
        KV_TRY(add_part(subject, &part, err));
        if (kv_vault_stanza_is(stanza))
            KV_TRY(take_ours(stanza, part, err));
        else if (!strncmp(stanza->args[0], "ssh-", 4) && stanza->arg_count > 1)
            snprintf(part->text, sizeof(part->text), "%.60s %.100s", stanza->args[0], stanza->args[1]);
        else
            snprintf(part->text, sizeof(part->text), "%.100s", stanza->args[0]);
    }
    return KV_OK;
}

static enum kv_status read_armored(struct kv_view start, bool whole, struct kv_subject *subject,
                                   struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes bare = { 0 };
    KV_TRY(kv_age_armor_front(start, whole, &bare, err));
    return read_age(KV_VIEW(bare), subject, err);
}

static void take_recipient(const struct kv_cms_recipient *recipient, struct kv_subject_part *part)
{
    enum { SHOWN = 32 };
    char hex[2 * SHOWN + 1] = "", name[64] = "";
    struct kv_view id = recipient->key_id;
    if (recipient->kind != KV_BER_SEQUENCE) {
        (void)kv_text_fit(part->text, sizeof(part->text), "one that is not by RSA");
        return;
    }
    kv_encode_hex((struct kv_view){ id.data, id.len < SHOWN ? id.len : SHOWN }, hex);
    if (id.len == KV_ID_SIZE) {
        part->ours = part->has_id = true;
        memcpy(part->id, id.data, KV_ID_SIZE);
    }
    if (id.len)
        snprintf(part->text, sizeof(part->text), "key id %s", hex);
    else
        kv_x509_common_name(recipient->issuer, name, sizeof(name));
    if (!id.len)
        snprintf(part->text, sizeof(part->text), "a certificate of '%s'", name);
}

static enum kv_status read_cms(const char *path, struct kv_view start, struct kv_subject *subject,
                               struct kv_error *err)
{
    KV_AUTO_CMS_INPUT struct kv_cms_input input = { .fd = -1, .copy = -1 };
    struct kv_ber ber;
    KV_AUTO_CMS_ENVELOPE struct kv_cms_envelope envelope = { 0 };
    kv_cms_input_memory(start, &input);
    input.name = path;
    kv_ber_open(&input, &ber);
    KV_TRY(kv_cms_envelope_head(&ber, &envelope, err));
    subject->form = "CMS envelope";
    for (size_t i = 0; i < envelope.recipient_count; i++) {
        struct kv_subject_part *part = NULL;
        KV_TRY(add_part(subject, &part, err));
        take_recipient(&envelope.recipients[i], part);
    }
    return KV_OK;
}

static enum kv_status read_file(const char *path, struct kv_subject *subject, struct kv_error *err)
{
    bool whole = false;
    subject->blob.limit = KV_SUBJECT_BLOB_MAX;
    KV_TRY(read_start(path, &subject->blob, &whole, err));
    struct kv_view start = KV_VIEW(subject->blob.bytes);
    bool armored = kv_age_armor_look(start) == KV_AGE_ARMOR_YES;
    if (armored || begins(start, "age-encryption.org/")) {
        enum kv_status status =
            armored ? read_armored(start, whole, subject, err) : read_age(start, subject, err);
        return status == KV_OK ? KV_OK : kv_fail_in(err, status, "'%s'", path);
    }
    struct kv_error why = { 0 };
    bool text = kv_cms_text_is(start);
    if ((text || start.data[0] == KV_BER_SEQUENCE) && read_cms(path, start, subject, &why) == KV_OK)
        return KV_OK;
    if (text && begins(start, "-----BEGIN "))
        return kv_fail(err, KV_UNSUPPORTED, "%s", why.text);
    if (!whole)
        return too_long(path, err);
    subject->form = "wrapped blob";
    subject->count = 0;
    return KV_OK;
}

/* --- URIs, kids, names --- */

static int hex_value(char c)
{
    const char *at = c ? strchr("0123456789abcdefABCDEF", c) : NULL;
    int value = at ? (int)(at - "0123456789abcdefABCDEF") : -1;
    return value > 15 ? value - 6 : value;
}

/* An attribute's value up to `end`, its percents taken off. False: it does not fit, or is not one. */
static bool unescape(const char *from, const char *end, struct kv_buffer *ret)
{
    for (; from < end; from++) {
        unsigned char byte = (unsigned char)*from;
        if (byte == '%') {
            if (end - from < 3 || hex_value(from[1]) < 0 || hex_value(from[2]) < 0)
                return false;
            byte = (unsigned char)(hex_value(from[1]) * 16 + hex_value(from[2]));
            from += 2;
        }
        if (kv_buffer_add(ret, (struct kv_view){ &byte, 1 }) != KV_OK)
            return false;
    }
    return true;
}

static bool fit_view(char *ret, size_t size, struct kv_view view)
{
    if (view.len >= size || memchr(view.data ? view.data : (const unsigned char *)"", 0, view.len))
        return false;
    memcpy(ret, view.data ? view.data : (const unsigned char *)"", view.len);
    ret[view.len] = '\0';
    return true;
}

static bool take_label(struct kv_view label, struct kv_subject_part *part)
{
    const unsigned char *at = label.data ? memchr(label.data, '@', label.len) : NULL;
    size_t len = at ? (size_t)(at - label.data) : label.len;
    struct kv_view version = { at ? at + 1 : NULL, at ? label.len - len - 1 : 0 };
    return fit_view(part->name, sizeof(part->name), (struct kv_view){ label.data, len }) &&
           fit_view(part->version, sizeof(part->version), version);
}

static bool take_attribute(const char *from, const char *end, struct kv_subject_part *part)
{
    KV_AUTO_BUFFER struct kv_buffer value = { .limit = 512 };
    const char *equals = memchr(from, '=', (size_t)(end - from));
    if (!equals || !unescape(equals + 1, end, &value))
        return false;
    struct kv_view view = KV_VIEW(value.bytes);
    if (!strncmp(from, "token=", 6))
        return fit_view(part->vault, sizeof(part->vault), view);
    if (!strncmp(from, "object=", 7))
        return take_label(view, part);
    if (strncmp(from, "id=", 3) != 0)
        return true;
    part->has_id = view.len == KV_ID_SIZE;
    if (part->has_id)
        memcpy(part->id, view.data, KV_ID_SIZE);
    return part->has_id;
}

enum kv_status kv_subject_read_uri(const char *uri, struct kv_subject_part *ret, struct kv_error *err)
{
    struct kv_subject_part part = { .ours = true };
    const char *from = uri + strlen("pkcs11:"), *query = strchr(from, '?');
    const char *end = query ? query : from + strlen(from);
    while (from < end) {
        const char *semicolon = memchr(from, ';', (size_t)(end - from));
        const char *stop = semicolon ? semicolon : end;
        if (!take_attribute(from, stop, &part))
            return kv_fail(err, KV_ARGUMENTS,
                           "'%.*s' of the URI names no key of a vault: its id has 20 bytes",
                           (int)(stop - from), from);
        from = semicolon ? semicolon + 1 : end;
    }
    if (!part.has_id && !part.name[0])
        return kv_fail(err, KV_ARGUMENTS, "the URI has neither 'id=' nor 'object=', so it names no key");
    (void)kv_text_fit(part.text, sizeof(part.text), "the key of the URI");
    *ret = part;
    return KV_OK;
}

static enum kv_status read_kid(const char *word, struct kv_subject_part *part, struct kv_error *err)
{
    struct kv_kid kid;
    if (kv_kid_parse(word, &kid, NULL) != KV_OK)
        return kv_fail(err, KV_ARGUMENTS, "'%.200s' is no key's address: https://HOST/keys/NAME[/VERSION]",
                       word);
    take_kid(word, part);
    part->ours = true;
    (void)kv_text_fit(part->text, sizeof(part->text), "the key at this address");
    return KV_OK;
}

static enum kv_status read_name(const char *word, struct kv_subject_part *part, struct kv_error *err)
{
    KV_AUTO_VAULT_TEXT struct kv_vault_text text = { 0 };
    if (kv_vault_text_read_name(word, &text, NULL) != KV_OK)
        return kv_fail(err, KV_ARGUMENTS,
                       "'%s' is no file here, no pkcs11: URI, no https:// address of a key, and no "
                       "[VAULT/]NAME[@VERSION]",
                       word);
    memcpy(part->vault, text.vault, sizeof(part->vault));
    memcpy(part->name, text.name, sizeof(part->name));
    memcpy(part->version, text.version, sizeof(part->version));
    part->ours = true;
    (void)kv_text_fit(part->text, sizeof(part->text), "the key of this name");
    return KV_OK;
}

static const struct {
    const char *prefix, *form; /* prefix "": none of the others */
    enum kv_status (*read)(const char *word, struct kv_subject_part *part, struct kv_error *err);
} words[] = {
    { "pkcs11:", "URI", kv_subject_read_uri },
    { "https://", "kid", read_kid },
    { "", "key", read_name },
};

enum kv_status kv_subject_read(const char *word, struct kv_subject *ret, struct kv_error *err)
{
    struct stat there;
    size_t i = 0;
    while (strncmp(word, words[i].prefix, strlen(words[i].prefix)) != 0)
        i++;
    if (!*words[i].prefix && (!strcmp(word, "-") || stat(word, &there) == 0))
        return read_file(word, ret, err);
    struct kv_subject_part *part = NULL;
    KV_TRY(add_part(ret, &part, err));
    ret->form = words[i].form;
    return words[i].read(word, part, err);
}
