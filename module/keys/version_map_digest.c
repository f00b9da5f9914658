/* What the journal vouches for: the digest of every fact of a version, a backup, a location, and the name by which the journal calls it. Every value has its
 * length in front, so that no two sets of facts read the same. A release that adds a fact gives the list a new first word, and notes all rows anew. */
#include "version_map_private.h"

#include <stdio.h>
#include <string.h>
#include "base/encode.h"

static void put(struct kv_buffer *facts, struct kv_view value)
{
    /* Once a buffer fails it stays so, and finish() asks. */
    (void)!kv_buffer_format(facts, "%zu:", value.len);
    (void)!kv_buffer_add(facts, value);
}

static void put_text(struct kv_buffer *facts, const char *text)
{
    put(facts, kv_view_text(text));
}

static void put_int(struct kv_buffer *facts, int64_t value)
{
    (void)!kv_buffer_format(facts, "i%lld,", (long long)value);
}

static enum kv_status finish(const struct kv_buffer *facts, unsigned char ret[32])
{
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };

    if (facts->failed)
        return KV_NO_MEMORY;
    KV_TRY(kv_digest_once("SHA2-256", KV_VIEW(facts->bytes), &digest));
    memcpy(ret, digest.data, 32);
    return KV_OK;
}

enum kv_status kv_map_digest_version(const struct kv_version *version, unsigned char ret[32])
{
    KV_AUTO_BUFFER struct kv_buffer facts = { 0 };
    const char *const texts[] = {
        "version 1",  version->vault, version->name,         version->version,
        version->kid, version->curve, version->hsm_platform, kv_state_name(version->state),
    };
    const int64_t numbers[] = {
        version->current,      (int64_t)version->kind, version->hsm,         version->bits,
        version->operations,   version->enabled,       version->managed,     version->nbf,
        version->exp,          version->created,       version->state_since, version->last_drill,
        version->retire_after,
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        put_text(&facts, texts[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        put_int(&facts, numbers[i]);
    put(&facts, (struct kv_view){ version->id, sizeof version->id });
    put(&facts, (struct kv_view){ version->spki_sha256, sizeof version->spki_sha256 });
    return finish(&facts, ret);
}

enum kv_status kv_map_digest_backup(const struct kv_map_backup *backup, unsigned char ret[32])
{
    KV_AUTO_BUFFER struct kv_buffer facts = { 0 };
    const int64_t numbers[] = {
        backup->size, backup->created, backup->keep_until, backup->drilled, backup->retired,
    };

    put_text(&facts, "backup 1");
    put_text(&facts, backup->id);
    put_text(&facts, backup->store);
    put_text(&facts, backup->object);
    put_text(&facts, backup->drill_result);
    put(&facts,
        (struct kv_view){ backup->header_sha256, backup->has_header ? sizeof backup->header_sha256 : 0 });
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        put_int(&facts, numbers[i]);
    for (size_t i = 0; i < backup->recipient_count; i++) {
        const struct kv_map_recipient *recipient = &backup->recipients[i];
        put_text(&facts, recipient->kind);
        put(&facts, (struct kv_view){ recipient->key, recipient->key_len });
        put_text(&facts, recipient->text);
        put_int(&facts, recipient->added);
        put_int(&facts, recipient->removed);
    }
    return finish(&facts, ret);
}

/* Not when it was seen: the vault says that again and again. */
enum kv_status kv_map_digest_location(const struct kv_map_location *location, unsigned char ret[32])
{
    KV_AUTO_BUFFER struct kv_buffer facts = { 0 };

    put_text(&facts, "location 1");
    put(&facts, (struct kv_view){ location->spki_sha256, sizeof location->spki_sha256 });
    put_text(&facts, location->kid);
    put_int(&facts, location->accepted);
    return finish(&facts, ret);
}

enum kv_status kv_map_entry_hash(const struct kv_map_entry *entry, const unsigned char before[32],
                                 unsigned char ret[32])
{
    KV_AUTO_BUFFER struct kv_buffer facts = { 0 };

    put_text(&facts, "entry 1");
    put(&facts, (struct kv_view){ before, 32 });
    put_int(&facts, entry->seq);
    put_int(&facts, entry->at);
    put_int(&facts, entry->before);
    put_text(&facts, entry->program);
    put_text(&facts, entry->kind);
    put_text(&facts, entry->subject);
    put_text(&facts, entry->detail);
    put(&facts, (struct kv_view){ entry->facts, sizeof entry->facts });
    return finish(&facts, ret);
}

/* The kind of thing stands in front, so that a backup cannot be taken for a version. */
void kv_map_subject_version(const struct kv_version *version, char ret[KV_SUBJECT_SIZE])
{
    snprintf(ret, KV_SUBJECT_SIZE, "version %s/%s@%s", version->vault, version->name, version->version);
}

void kv_map_subject_backup(const struct kv_map_backup *backup, char ret[KV_SUBJECT_SIZE])
{
    snprintf(ret, KV_SUBJECT_SIZE, "backup '%s' in '%s'", backup->id, backup->store);
}

void kv_map_subject_location(const struct kv_map_location *location, char ret[KV_SUBJECT_SIZE])
{
    char hex[17];

    /* One kid may have been told of several keys, in time: the key stands with it. */
    kv_encode_hex((struct kv_view){ location->spki_sha256, 8 }, hex);
    snprintf(ret, KV_SUBJECT_SIZE, "location %s of %s", location->kid, hex);
}
