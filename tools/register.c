#include "register.h"

#include <limits.h>
#include <string.h>
#include "age/vault_stanza.h"
#include "base/clock.h"
#include "mech/local.h"
#include "when.h"

void kv_register_free(struct kv_register *registration)
{
    free(registration->backup.recipients);
    *registration = (struct kv_register){ 0 };
}

/* ---- before ---- */

static enum kv_status set_date(const struct kv_tool *tool, struct kv_map_backup *backup, struct kv_error *err)
{
    const char *date = kv_common_option(tool, "--retain-until");
    backup->created = kv_clock_system.unix_seconds(&kv_clock_system);
    if (!date)
        return KV_OK;
    KV_TRY(kv_when_until(date, backup->created, &backup->keep_until, err));
    if (backup->keep_until <= backup->created)
        return kv_fail(err, KV_ARGUMENTS, "--retain-until '%s' is past", date);
    return KV_OK;
}

/* Where --out goes to is the store, unless one is named: a folder by its whole path, and the file's name in it. */
static enum kv_status set_place(const struct kv_tool *tool, struct kv_map_backup *backup,
                                struct kv_error *err)
{
    const char *out = kv_common_option(tool, "--out"), *store = kv_common_option(tool, "--store");
    const char *slash = out ? strrchr(out, '/') : NULL;
    char whole[PATH_MAX] = "";
    KV_AUTO_TEXT char *folder = slash ? kv_text_copy_n(out, (size_t)(slash - out) + 1) : kv_text_copy(".");
    if (!folder)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (!store && out && !realpath(folder, whole))
        return kv_fail(err, KV_IO, "%s: its folder cannot be found: %m", out);
    if (!kv_text_fit(backup->store, sizeof backup->store, store ? store : whole) ||
        !kv_text_fit(backup->object, sizeof backup->object,
                     slash ? slash + 1
                     : out ? out
                           : ""))
        return kv_fail(err, KV_ARGUMENTS,
                       "the name of the store, or of the file, is too long for the version map");
    return KV_OK;
}

enum kv_status kv_register_begin(const struct kv_tool *tool, struct kv_parties *parties,
                                 struct kv_register *ret, struct kv_error *err)
{
    const char *id = kv_common_option(tool, "--register");
    struct kv_register registration = { 0 };
    if (!id && (kv_common_option(tool, "--store") || kv_common_option(tool, "--retain-until")))
        return kv_fail(err, KV_ARGUMENTS,
                       "--store and --retain-until are of a backup that --register ID names");
    if (!id)
        return KV_OK;
    if (!kv_text_fit(registration.backup.id, sizeof registration.backup.id, id))
        return kv_fail(err, KV_ARGUMENTS, "--register '%.40s...' is too long: at most %d bytes", id,
                       KV_BACKUP_ID_SIZE - 1);
    if (parties->recipient_count > KV_BACKUP_RECIPIENTS_MAX)
        return kv_fail(err, KV_ARGUMENTS, "a backup in the version map is for at most %d recipients",
                       KV_BACKUP_RECIPIENTS_MAX);
    KV_TRY(set_date(tool, &registration.backup, err));
    KV_TRY(set_place(tool, &registration.backup, err));
    KV_TRY(kv_parties_map(parties, &registration.map, err));
    *ret = registration;
    return KV_OK;
}

/* ---- after ---- */

enum kv_status kv_register_recipient(const struct kv_age_stanza *stanza, struct kv_map_recipient *ret,
                                     struct kv_error *err)
{
    struct kv_vault_stanza read = { 0 };
    KV_TRY(kv_vault_stanza_read(stanza, &read, err));
    ret->key_len = read.kind == KV_OCT ? KV_ID_SIZE : sizeof ret->key;
    memcpy(ret->key, read.digest, ret->key_len);
    if (!kv_text_fit(ret->kind, sizeof ret->kind, strchr(stanza->args[0], '-') + 1) ||
        !kv_text_fit(ret->text, sizeof ret->text, read.kid))
        return kv_fail(err, KV_INTERNAL, "a recipient does not fit into the version map");
    return KV_OK;
}

/* The header says which versions can open the file; the others hide in it, and are told as they were named. */
static enum kv_status set_recipients(struct kv_map_backup *backup, const struct kv_parties *parties,
                                     const struct kv_age_header *header, struct kv_error *err)
{
    backup->recipients = calloc(header->count + parties->outsider_count, sizeof *backup->recipients);
    if (!backup->recipients)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < header->count; i++)
        if (kv_vault_stanza_is(&header->stanzas[i]))
            KV_TRY(kv_register_recipient(&header->stanzas[i], &backup->recipients[backup->recipient_count++],
                                         err));
    for (size_t i = 0; i < parties->outsider_count; i++) {
        struct kv_map_recipient *to = &backup->recipients[backup->recipient_count++];
        if (!kv_text_fit(to->kind, sizeof to->kind, parties->outsiders[i].kind) ||
            !kv_text_fit(to->text, sizeof to->text, parties->outsiders[i].text))
            return kv_fail(err, KV_INTERNAL, "a recipient does not fit into the version map");
    }
    return KV_OK;
}

static bool stands_in(const struct kv_age_header *header, const struct kv_age_stanza *stanza)
{
    for (size_t i = 0; i < header->count; i++)
        if (kv_view_equal(KV_VIEW(header->stanzas[i].body), KV_VIEW(stanza->body)))
            return true;
    return false;
}

struct digests {
    unsigned char all[2 * KV_AGE_STANZAS_MAX][32];
    size_t count;
};

static enum kv_status add_digests(struct digests *digests, const struct kv_age_header *header,
                                  const struct kv_age_header *but, struct kv_error *err)
{
    for (size_t i = 0; i < header->count; i++) {
        const struct kv_age_stanza *stanza = &header->stanzas[i];
        KV_AUTO_BYTES struct kv_bytes digest = { 0 };
        if (!kv_vault_stanza_is(stanza) || (but && stands_in(but, stanza)))
            continue;
        KV_TRY(kv_digest_once("SHA2-256", KV_VIEW(stanza->body), &digest));
        memcpy(digests->all[digests->count++], digest.data, sizeof digests->all[0]);
    }
    return KV_OK;
}

static void flush_ledger(const struct kv_parties *parties)
{
    for (size_t i = 0; i < kv_core_vault_count(parties->vault.core); i++)
        kv_keyring_flush(kv_core_keyring(parties->vault.core, i));
}

enum kv_status kv_register_rewrap(struct kv_map *map, const struct kv_parties *parties,
                                  const struct kv_register_change *change,
                                  const struct kv_map_rewrap_begun *backup, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes header = { 0 };
    struct digests digests = { .count = 0 };
    flush_ledger(parties);
    KV_TRY(add_digests(&digests, change->before, change->after, err));
    KV_TRY(kv_digest_once("SHA2-256", KV_VIEW(change->after->text), &header));
    struct kv_map_rewrap rewrap = {
        .digests = digests.all, .count = digests.count, .id = backup->id, .store = backup->store
    };
    memcpy(rewrap.header_sha256, header.data, sizeof rewrap.header_sha256);
    return kv_map_rewrap_begin(map, &rewrap, err);
}

enum kv_status kv_register_settle(struct kv_map *map, const struct kv_parties *parties,
                                  const struct kv_register_change *change, struct kv_error *err)
{
    const struct kv_clock *clock = kv_core_clock(parties->vault.core);
    struct digests digests = { .count = 0 };
    flush_ledger(parties);
    if (change->before)
        KV_TRY(add_digests(&digests, change->before, change->after, err));
    if (change->backup)
        KV_TRY(add_digests(&digests, change->after, NULL, err));
    return kv_map_wraps_settle(map, digests.all, digests.count, clock->unix_seconds(clock), err);
}

enum kv_status kv_register_done(struct kv_register *registration, const struct kv_parties *parties,
                                struct kv_view header, uint64_t size, struct kv_error *err)
{
    struct kv_map_backup *backup = &registration->backup;
    KV_AUTO_AGE_HEADER struct kv_age_header read = { 0 };
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    if (!registration->map && !parties->tool->json)
        return KV_OK;
    KV_TRY(kv_age_header_parse(header, &read, err));
    KV_TRY(kv_digest_once("SHA2-256", KV_VIEW(read.text), &digest));
    memcpy(backup->header_sha256, digest.data, sizeof backup->header_sha256);
    backup->has_header = true;
    backup->size = (int64_t)size;
    KV_TRY(set_recipients(backup, parties, &read, err));
    if (!registration->map)
        return KV_OK;
    enum kv_status status = kv_map_backup_put(registration->map, backup, 1, backup->created, err);
    if (status == KV_OK)
        status = kv_register_settle(registration->map, parties,
                                    &(struct kv_register_change){ .after = &read, .backup = true }, err);
    return status == KV_OK
               ? KV_OK
               : kv_fail_in(
                     err, status,
                     "the file is sealed and whole, but backup '%s' is not in the version map: mend that, "
                     "then: kvp11 scan %s",
                     backup->id, kv_word(backup->object[0] ? backup->store : "STORE").text);
}
