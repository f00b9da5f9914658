/* A record → its line. */
#include "fields.h"

#include <string.h>
#include "base/encode.h"

static void put_hex(struct kv_json *object, const char *name, struct kv_view bytes)
{
    char hex[2 * 64 + 1];

    kv_encode_hex(bytes, hex);
    kv_json_put_text(object, name, hex);
}

static void put_base64(struct kv_json *object, const char *name, struct kv_view bytes)
{
    KV_AUTO_TEXT char *text = kv_encode_base64(bytes);

    if (text)
        kv_json_put_text(object, name, text);
    else
        kv_json_put(object, name, NULL); /* and the whole line is given up */
}

static void put_fields(struct kv_json *object, const struct kv_kvmap_fields *fields, const void *record)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct kv_kvmap_field *field = &fields->items[i];
        const unsigned char *at = (const unsigned char *)record + field->offset;
        int64_t number = 0;
        unsigned count = 0;
        switch (field->type) {
        case FIELD_TEXT:
            kv_json_put_text(object, field->name, (const char *)at);
            break;
        case FIELD_INT:
            memcpy(&number, at, sizeof number);
            kv_json_put_int(object, field->name, number);
            break;
        case FIELD_COUNT:
            memcpy(&count, at, sizeof count);
            kv_json_put_int(object, field->name, count);
            break;
        case FIELD_FLAG:
            kv_json_put_bool(object, field->name, *(const bool *)at);
            break;
        case FIELD_HEX:
            put_hex(object, field->name, (struct kv_view){ at, field->size });
            break;
        }
    }
}

static void put_version(struct kv_json *object, const struct kv_version *version)
{
    struct kv_json *operations = kv_json_array();

    put_fields(object, &kv_kvmap_version, version);
    kv_json_put_text(object, "kind", kv_kvmap_kinds[version->kind]);
    kv_json_put_text(object, "state", kv_state_name(version->state));
    for (size_t i = 0; i < KV_KVMAP_OPERATIONS; i++)
        if (version->operations & kv_kvmap_operations[i].operation)
            kv_json_append_text(operations, kv_kvmap_operations[i].name);
    kv_json_put(object, "operations", operations);
    put_base64(object, "spki", KV_VIEW(version->spki));
}

static void put_backup(struct kv_json *object, const struct kv_map_backup *backup)
{
    struct kv_json *recipients = kv_json_array();

    put_fields(object, &kv_kvmap_backup, backup);
    put_hex(object, "header_sha256", (struct kv_view){ backup->header_sha256, backup->has_header ? 32 : 0 });
    for (size_t i = 0; i < backup->recipient_count; i++) {
        struct kv_json *recipient = kv_json_object();
        put_fields(recipient, &kv_kvmap_recipient, &backup->recipients[i]);
        put_hex(recipient, "key",
                (struct kv_view){ backup->recipients[i].key, backup->recipients[i].key_len });
        kv_json_append(recipients, recipient);
    }
    kv_json_put(object, "recipients", recipients);
}

char *kv_kvmap_line(const struct kv_kvmap_record *record)
{
    KV_AUTO_JSON struct kv_json *object = kv_json_object();

    kv_json_put_text(object, "type", kv_kvmap_types[record->type]);
    switch (record->type) {
    case KV_KVMAP_HEADER:
        kv_json_put_int(object, "format", KV_KVMAP_FORMAT);
        put_fields(object, &kv_kvmap_header, &record->header);
        kv_json_put_text(object, "help",
                         "What a restore needs to know of keys in Azure Key Vault: kvp11 map import FILE. A "
                         "version's kid names it in its vault, spki is its public key.");
        break;
    case KV_KVMAP_VERSION:
        put_version(object, record->version);
        break;
    case KV_KVMAP_LOCATION:
        put_fields(object, &kv_kvmap_location, &record->location);
        break;
    case KV_KVMAP_CERTIFICATE:
        put_fields(object, &kv_kvmap_certificate, &record->certificate);
        put_base64(object, "der", KV_VIEW(record->certificate.der));
        break;
    case KV_KVMAP_BACKUP:
        put_backup(object, &record->backup);
        break;
    case KV_KVMAP_END:
        put_fields(object, &kv_kvmap_end, &record->end);
        break;
    }
    return kv_json_print(object, false);
}
