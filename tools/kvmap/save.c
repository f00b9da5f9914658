/* A map → a file of lines, page by page. */
#include "kvmap.h"

#include <string.h>
#include "mech/local.h"

struct save {
    struct kv_map *map;
    FILE *to;
    struct kv_digest *digest;
    int64_t lines;
};

static enum kv_status write_line(struct save *save, const struct kv_kvmap_record *record,
                                 struct kv_error *err)
{
    KV_AUTO_TEXT char *line = kv_kvmap_line(record);
    struct kv_view view = kv_view_text(line);

    if (!line)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (view.len > KV_KVMAP_LINE_MAX)
        return kv_fail(err, KV_DATA_LENGTH, "a record is longer than %d bytes", KV_KVMAP_LINE_MAX);
    if (fwrite(view.data, 1, view.len, save->to) != view.len || fputc('\n', save->to) == EOF)
        return kv_fail(err, KV_IO, "cannot write the map's copy: %m");
    KV_TRY(kv_digest_update(save->digest, view));
    KV_TRY(kv_digest_update(save->digest, kv_view_text("\n")));
    save->lines++;
    return KV_OK;
}

static enum kv_status write_header(struct save *save, const struct kv_kvmap_choice *choice,
                                   struct kv_error *err)
{
    struct kv_kvmap_record record = { .type = KV_KVMAP_HEADER, .header = { .made = choice->made } };
    KV_AUTO_FREE struct kv_map_entry *first = NULL;
    size_t count = 0;

    if (!kv_text_fit(record.header.by, sizeof record.header.by, choice->by) ||
        (choice->backup && !kv_text_fit(record.header.backup, sizeof record.header.backup, choice->backup)))
        return kv_fail(err, KV_ARGUMENTS, "the backup's id is too long");
    KV_TRY(kv_map_journal_head(save->map, &record.header.entries, record.header.last, err));
    KV_TRY(kv_map_journal_page(save->map, 0, 1, &first, &count, err));
    if (count)
        memcpy(record.header.first, first->hash, sizeof record.header.first);
    return write_line(save, &record, err);
}

static enum kv_status write_end(struct save *save, struct kv_error *err)
{
    struct kv_kvmap_record record = { .type = KV_KVMAP_END, .end = { .lines = save->lines } };
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };

    KV_TRY(kv_digest_final(save->digest, &digest));
    memcpy(record.end.sha256, digest.data, sizeof record.end.sha256);
    KV_AUTO_TEXT char *line = kv_kvmap_line(&record);
    if (!line)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return fprintf(save->to, "%s\n", line) < 0 || fflush(save->to)
               ? kv_fail(err, KV_IO, "cannot write the map's copy: %m")
               : KV_OK;
}

static enum kv_status write_certificates(struct save *save, const struct kv_version *version,
                                         struct kv_error *err)
{
    static const char *const sources[] = { "vault", "self" };

    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct kv_kvmap_record record = { .type = KV_KVMAP_CERTIFICATE };
        struct kv_map_certificate known = {
            .vault = version->vault, .name = version->name, .version = version->version, .source = sources[i]
        };
        KV_TRY(kv_map_certificate(save->map, &known, err));
        record.certificate.der = known.der;
        record.certificate.at = known.at;
        memcpy(record.certificate.vault, version->vault, sizeof record.certificate.vault);
        memcpy(record.certificate.name, version->name, sizeof record.certificate.name);
        memcpy(record.certificate.version, version->version, sizeof record.certificate.version);
        (void)kv_text_fit(record.certificate.source, sizeof record.certificate.source, sources[i]);
        enum kv_status status = known.der.len ? write_line(save, &record, err) : KV_OK;
        kv_kvmap_record_free(&record);
        KV_TRY(status);
    }
    return KV_OK;
}

static enum kv_status write_version(struct save *save, struct kv_version *version, struct kv_error *err)
{
    KV_AUTO_FREE struct kv_map_location *places = NULL;
    const struct kv_kvmap_record record = { .type = KV_KVMAP_VERSION, .version = version };
    size_t count = 0;

    KV_TRY(write_line(save, &record, err));
    KV_TRY(write_certificates(save, version, err));
    if (version->kind == KV_OCT)
        return KV_OK;
    KV_TRY(kv_map_locations(save->map, kv_map_key_of(version), &places, &count, err));
    for (size_t i = 0; i < count; i++) {
        const struct kv_kvmap_record place = { .type = KV_KVMAP_LOCATION, .location = places[i] };
        if (places[i].accepted || !kv_text_equal_case(places[i].kid, version->kid))
            KV_TRY(write_line(save, &place, err));
    }
    return KV_OK;
}

static enum kv_status write_list(struct save *save, const struct kv_version_list *list, struct kv_error *err)
{
    for (size_t i = 0; i < list->count; i++)
        KV_TRY(write_version(save, list->items[i], err));
    return KV_OK;
}

static enum kv_status write_versions(struct save *save, struct kv_error *err)
{
    for (int64_t after = 0;;) {
        KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
        KV_TRY(kv_map_version_page(save->map, after, 0, &list, err));
        if (!list.count)
            return KV_OK;
        KV_TRY(write_list(save, &list, err));
        after = list.items[list.count - 1]->row;
    }
}

/* The versions of every key that opens it or once did: an old copy of it may be in use still. */
static enum kv_status write_openers(struct save *save, const struct kv_map_backup *backup,
                                    struct kv_error *err)
{
    for (size_t i = 0; i < backup->recipient_count; i++) {
        const struct kv_map_recipient *recipient = &backup->recipients[i];
        const struct kv_view key = { recipient->key, recipient->key_len };
        KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
        struct kv_map_query query = { 0 };
        bool told = !key.len;
        for (size_t before = 0; before < i && !told; before++)
            told = kv_view_equal(
                key, (struct kv_view){ backup->recipients[before].key, backup->recipients[before].key_len });
        if (told)
            continue;
        if (key.len == KV_ID_SIZE)
            query.id = key;
        else
            query.spki_sha256 = key;
        KV_TRY(kv_map_find(save->map, &query, &list, err));
        KV_TRY(write_list(save, &list, err));
    }
    return KV_OK;
}

static enum kv_status write_backups(struct save *save, const struct kv_kvmap_choice *choice, bool openers,
                                    struct kv_error *err)
{
    struct kv_map_backup_query query = { .id = choice->backup, .store = choice->store, .retired = true };

    for (int64_t found = 0;; found++) {
        KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
        KV_TRY(kv_map_backup_page(save->map, &query, &list, err));
        if (!list.count)
            return found || !choice->backup
                       ? KV_OK
                       : kv_fail(err, KV_NOT_FOUND, "no backup '%s' is in the version map", choice->backup);
        for (size_t i = 0; i < list.count; i++) {
            const struct kv_kvmap_record record = { .type = KV_KVMAP_BACKUP, .backup = list.items[i] };
            KV_TRY(openers ? write_openers(save, &list.items[i], err) : write_line(save, &record, err));
        }
        query.after = list.items[list.count - 1].row;
    }
}

enum kv_status kv_kvmap_save(struct kv_map *map, const struct kv_kvmap_choice *choice, FILE *to,
                             struct kv_error *err)
{
    struct save save = { .map = map, .to = to };
    enum kv_status status = kv_digest_open("SHA2-256", &save.digest);

    if (status)
        return kv_fail(err, status, "out of memory");
    status = write_header(&save, choice, err);
    if (!status)
        status = choice->backup ? write_backups(&save, choice, true, err) : write_versions(&save, err);
    if (!status)
        status = write_backups(&save, choice, false, err);
    if (!status)
        status = write_end(&save, err);
    kv_digest_free(save.digest);
    return status;
}
