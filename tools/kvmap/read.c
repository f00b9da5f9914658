/* A line → its record. Members are taken out one by one: what is left at the end is unknown. */
#include "fields.h"

#include <limits.h>
#include <string.h>
#include "base/encode.h"

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

void kv_kvmap_record_free(struct kv_kvmap_record *record)
{
    kv_version_free(kv_take(record->version));
    kv_bytes_free(&record->certificate.der);
    free(kv_take(record->backup.recipients));
    record->backup.recipient_count = 0;
}

static enum kv_status bad(struct kv_error *err, const char *name, const char *why)
{
    return kv_fail(err, KV_BAD_DATA, "member '%s' %s", name, why);
}

/* What will be shown to a person, on a terminal: one line of it. */
static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static enum kv_status take_text(struct kv_json *object, const char *name, char *ret, size_t size,
                                struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *member = kv_json_take(object, name);
    const char *text = kv_json_text(member);

    if (!text)
        return bad(err, name, "is missing, or no text");
    if (!is_plain(text) || !kv_text_fit(ret, size, text))
        return bad(err, name, "is too long, or has control characters");
    return KV_OK;
}

static enum kv_status take_int(struct kv_json *object, const char *name, int64_t largest, int64_t *ret,
                               struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *member = kv_json_take(object, name);
    int64_t value = 0;

    if (!kv_json_int(member, &value) || value < 0 || value > largest)
        return bad(err, name, "is missing, or no whole number of its size");
    *ret = value;
    return KV_OK;
}

static enum kv_status take_flag(struct kv_json *object, const char *name, bool *ret, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *member = kv_json_take(object, name);

    return kv_json_bool(member, ret) ? KV_OK : bad(err, name, "is missing, or neither true nor false");
}

static enum kv_status take_bytes(struct kv_json *object, const char *name,
                                 enum kv_status (*decode)(const char *, struct kv_bytes *),
                                 struct kv_bytes *ret, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *member = kv_json_take(object, name);
    const char *text = kv_json_text(member);
    enum kv_status status = text ? decode(text, ret) : KV_BAD_DATA;

    if (status == KV_NO_MEMORY)
        return kv_fail(err, status, "out of memory");
    return status ? bad(err, name, "is missing, or not encoded as it should be") : KV_OK;
}

/* Up to `size` bytes in hexadecimal. */
static enum kv_status take_hex(struct kv_json *object, const char *name, unsigned char *ret, size_t size,
                               size_t *ret_len, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes bytes = { 0 };

    KV_TRY(take_bytes(object, name, kv_decode_hex, &bytes, err));
    if (bytes.len > size)
        return bad(err, name, "is too long");
    if (bytes.len)
        memcpy(ret, bytes.data, bytes.len);
    *ret_len = bytes.len;
    return KV_OK;
}

static enum kv_status take_field(struct kv_json *object, const struct kv_kvmap_field *field,
                                 unsigned char *at, struct kv_error *err)
{
    int64_t number = 0;
    size_t len = 0;

    if (field->later && !kv_json_get(object, field->name))
        return KV_OK;
    switch (field->type) {
    case FIELD_TEXT:
        return take_text(object, field->name, (char *)at, field->size, err);
    case FIELD_INT:
        KV_TRY(take_int(object, field->name, INT64_MAX, &number, err));
        memcpy(at, &number, sizeof number);
        return KV_OK;
    case FIELD_COUNT:
        KV_TRY(take_int(object, field->name, USHRT_MAX, &number, err));
        memcpy(at, &(unsigned){ (unsigned)number }, sizeof(unsigned));
        return KV_OK;
    case FIELD_FLAG:
        return take_flag(object, field->name, (bool *)at, err);
    case FIELD_HEX:
        KV_TRY(take_hex(object, field->name, at, field->size, &len, err));
        return len == field->size ? KV_OK : bad(err, field->name, "is too short");
    }
    return KV_INTERNAL;
}

static enum kv_status take_fields(struct kv_json *object, const struct kv_kvmap_fields *fields, void *record,
                                  struct kv_error *err)
{
    for (size_t i = 0; i < fields->count; i++)
        KV_TRY(take_field(object, &fields->items[i], (unsigned char *)record + fields->items[i].offset, err));
    return KV_OK;
}

static enum kv_status take_word(struct kv_json *object, const char *name, const char *const *words,
                                size_t count, size_t *ret, struct kv_error *err)
{
    char word[24];

    KV_TRY(take_text(object, name, word, sizeof word, err));
    for (*ret = 0; *ret < count; (*ret)++)
        if (!strcmp(words[*ret], word))
            return KV_OK;
    return bad(err, name, "is none of the words that it may be");
}

/* --- versions --- */

static enum kv_status take_operations(struct kv_json *object, unsigned *ret, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *array = kv_json_take(object, "operations");
    size_t known = 0;

    if (!kv_json_is_array(array) || kv_json_count(array) > KV_KVMAP_OPERATIONS)
        return bad(err, "operations", "is missing, or no list of them");
    for (size_t i = 0; i < KV_KVMAP_OPERATIONS; i++)
        for (size_t at = 0; at < kv_json_count(array); at++) {
            const char *word = kv_json_text(kv_json_at(array, at));
            if (!word || strcmp(word, kv_kvmap_operations[i].name) != 0)
                continue;
            *ret |= kv_kvmap_operations[i].operation;
            known++;
        }
    return known == kv_json_count(array) ? KV_OK : bad(err, "operations", "has a word that is none of them");
}

static bool is_word(const char *text)
{
    return *text && !text[strspn(text, LETTERS DIGITS "-")];
}

/* "https://host[:port]/keys/NAME/VERSION" of this name and version. */
static bool is_its_kid(const struct kv_version *version)
{
    KV_AUTO_TEXT char *tail = kv_text_format("/keys/%s/%s", version->name, version->version);
    const char *host = version->kid + strlen("https://");
    size_t len = strlen(version->kid);

    if (!tail || strncmp(version->kid, "https://", strlen("https://")) != 0)
        return false;
    size_t host_len = strspn(host, LETTERS DIGITS "-.:");
    return host_len && len == strlen("https://") + host_len + strlen(tail) &&
           kv_text_equal_case(host + host_len, tail);
}

/* What the file says of its identity has to be what its key says. */
static enum kv_status identify(struct kv_version *version, struct kv_error *err)
{
    unsigned char id[sizeof version->id], spki_sha256[sizeof version->spki_sha256];
    const struct kv_public *key = NULL;

    memcpy(id, version->id, sizeof id);
    memcpy(spki_sha256, version->spki_sha256, sizeof spki_sha256);
    memset(version->spki_sha256, 0, sizeof version->spki_sha256);
    if ((version->kind == KV_OCT) != !version->spki.len)
        return bad(err, "spki", "is not such as its kind of key has");
    enum kv_status status = kv_version_identify(version);
    if (status == KV_NO_MEMORY)
        return kv_fail(err, status, "out of memory");
    if (status || memcmp(id, version->id, sizeof id) != 0)
        return bad(err, status ? "spki" : "cka_id", "is not that of the public key");
    if (memcmp(spki_sha256, version->spki_sha256, sizeof spki_sha256) != 0)
        return bad(err, "spki_sha256", "is not that of the public key");
    if (version->kind == KV_OCT)
        return KV_OK;
    KV_TRY(kv_version_public(version, &key, err));
    return kv_public_kind(key) == version->kind && kv_public_bits(key) == version->bits
               ? KV_OK
               : bad(err, "kind", "is not that of the public key");
}

static enum kv_status read_version(struct kv_json *object, struct kv_kvmap_record *ret, struct kv_error *err)
{
    const char *states[KV_STATE_UNREACHABLE + 1];
    size_t kind = 0, state = 0;

    ret->version = kv_version_new();
    if (!ret->version)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (int i = 0; i <= KV_STATE_UNREACHABLE; i++)
        states[i] = kv_state_name((enum kv_state)i);
    KV_TRY(take_fields(object, &kv_kvmap_version, ret->version, err));
    KV_TRY(take_word(object, "kind", kv_kvmap_kinds, KV_OCT + 1, &kind, err));
    KV_TRY(take_word(object, "state", states, KV_STATE_UNREACHABLE + 1, &state, err));
    KV_TRY(take_operations(object, &ret->version->operations, err));
    KV_TRY(take_bytes(object, "spki", kv_decode_base64, &ret->version->spki, err));
    ret->version->kind = (enum kv_kind)kind;
    ret->version->state = (enum kv_state)state;
    if (!is_word(ret->version->name) || !is_word(ret->version->version) || !*ret->version->vault)
        return bad(err, "name", "is no name of a key, or its version or vault is none");
    if (ret->version->settled > ret->version->wraps)
        return bad(err, "settled", "is more than there are wraps");
    if (!is_its_kid(ret->version))
        return bad(err, "kid", "is not that of this name and version");
    return identify(ret->version, err);
}

/* --- the others --- */

static enum kv_status read_header(struct kv_json *object, struct kv_kvmap_record *ret, struct kv_error *err)
{
    char help[512];
    int64_t format = 0;

    KV_TRY(take_int(object, "format", INT64_MAX, &format, err));
    if (format < 1 || format > KV_KVMAP_FORMAT)
        return kv_fail(err, KV_BAD_DATA,
                       "format %lld is of a newer release: use that one, or another copy of the file",
                       (long long)format);
    KV_TRY(take_text(object, "help", help, sizeof help, err));
    return take_fields(object, &kv_kvmap_header, &ret->header, err);
}

static enum kv_status read_location(struct kv_json *object, struct kv_kvmap_record *ret, struct kv_error *err)
{
    KV_TRY(take_fields(object, &kv_kvmap_location, &ret->location, err));
    return strncmp(ret->location.kid, "https://", strlen("https://")) ? bad(err, "kid", "is none") : KV_OK;
}

static enum kv_status read_certificate(struct kv_json *object, struct kv_kvmap_record *ret,
                                       struct kv_error *err)
{
    KV_TRY(take_fields(object, &kv_kvmap_certificate, &ret->certificate, err));
    KV_TRY(take_bytes(object, "der", kv_decode_base64, &ret->certificate.der, err));
    bool known = !strcmp(ret->certificate.source, "vault") || !strcmp(ret->certificate.source, "self");
    return known && ret->certificate.der.len ? KV_OK
                                             : bad(err, "source", "is unknown, or there is no certificate");
}

static enum kv_status read_recipient(struct kv_json *object, struct kv_map_recipient *ret,
                                     struct kv_error *err)
{
    KV_TRY(take_fields(object, &kv_kvmap_recipient, ret, err));
    KV_TRY(take_hex(object, "key", ret->key, sizeof ret->key, &ret->key_len, err));
    return kv_json_is_empty(object) ? KV_OK : bad(err, "recipients", "has one with a member that is unknown");
}

static enum kv_status read_recipients(struct kv_json *array, struct kv_map_backup *ret, struct kv_error *err)
{
    size_t count = kv_json_count(array);

    if (!kv_json_is_array(array) || count > KV_BACKUP_RECIPIENTS_MAX)
        return bad(err, "recipients", "is missing, or no list of so many");
    ret->recipients = calloc(count + 1, sizeof *ret->recipients);
    if (!ret->recipients)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        /* The tree is this function's own. */
        struct kv_json *recipient = (struct kv_json *)(uintptr_t)kv_json_at(array, i);
        KV_TRY(read_recipient(recipient, &ret->recipients[i], err));
        ret->recipient_count++;
    }
    return KV_OK;
}

static enum kv_status read_backup(struct kv_json *object, struct kv_kvmap_record *ret, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *recipients = kv_json_take(object, "recipients");
    size_t len = 0;

    KV_TRY(take_fields(object, &kv_kvmap_backup, &ret->backup, err));
    KV_TRY(take_hex(object, "header_sha256", ret->backup.header_sha256, 32, &len, err));
    if (len && len != 32)
        return bad(err, "header_sha256", "is too short");
    ret->backup.has_header = len;
    return read_recipients(recipients, &ret->backup, err);
}

static enum kv_status read_end(struct kv_json *object, struct kv_kvmap_record *ret, struct kv_error *err)
{
    return take_fields(object, &kv_kvmap_end, &ret->end, err);
}

static enum kv_status (*const readers[])(struct kv_json *, struct kv_kvmap_record *, struct kv_error *) = {
    read_header, read_version, read_location, read_certificate, read_backup, read_end,
};

static enum kv_status read_object(struct kv_json *object, struct kv_kvmap_record *ret, struct kv_error *err)
{
    size_t type = 0;

    KV_TRY(take_word(object, "type", kv_kvmap_types, KV_KVMAP_END + 1, &type, err));
    ret->type = (enum kv_kvmap_type)type;
    KV_TRY(readers[type](object, ret, err));
    return kv_json_is_empty(object) ? KV_OK : kv_fail(err, KV_BAD_DATA, "a member is unknown");
}

enum kv_status kv_kvmap_read(struct kv_view line, struct kv_kvmap_record *ret, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *object = NULL;
    struct kv_kvmap_record record = { 0 };

    if (line.len > KV_KVMAP_LINE_MAX)
        return kv_fail(err, KV_BAD_DATA, "the line is longer than %d bytes", KV_KVMAP_LINE_MAX);
    enum kv_status status = kv_json_parse(line, &object, err);
    if (status == KV_PROTOCOL)
        return kv_fail_in(err, KV_BAD_DATA, "no record");
    KV_TRY(status);
    status = read_object(object, &record, err);
    if (status)
        kv_kvmap_record_free(&record);
    else
        *ret = record;
    return status;
}
