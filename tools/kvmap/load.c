/* A file of lines → a map of its own: nothing of a file reaches the map of this host before all of it was read and found right. */
#include "kvmap.h"

#include <string.h>
#include "mech/certificate.h"
#include "mech/local.h"

enum { BATCH = 256 };

struct load {
    const struct kv_config *config;
    FILE *from;
    struct kv_digest *digest;
    struct kv_buffer line;
    unsigned char chunk[65536]; /* of the file, from `at` to `end` not yet a line's */
    size_t at, end;
    int64_t lines, bytes;
    struct kv_map *map;
    struct kv_kvmap_header *header;
    bool ended;
    struct kv_version
        *last; /* the version whose certificates may follow, and what the file calls its vault */
    char last_vault[33];
    struct kv_version *versions[BATCH];
    struct kv_map_location locations[BATCH];
    struct kv_map_backup backups[BATCH];
    size_t version_count, location_count, backup_count;
};

static enum kv_status flush(struct load *load, struct kv_error *err)
{
    const struct kv_map_import what = {
        .versions = load->versions,
        .version_count = load->version_count,
        .locations = load->locations,
        .location_count = load->location_count,
        .backups = load->backups,
        .backup_count = load->backup_count,
    };
    enum kv_status status = kv_map_import(load->map, &what, load->header->made, NULL, err);

    for (size_t i = 0; i < load->version_count; i++)
        kv_version_free(load->versions[i]);
    for (size_t i = 0; i < load->backup_count; i++)
        free(load->backups[i].recipients);
    load->version_count = load->location_count = load->backup_count = 0;
    return status;
}

/* --- what a record becomes --- */

/* The vault's name on this host: that of the section whose URL the kid begins with. */
static void name_vault(const struct load *load, const char *kid, char ret[33])
{
    for (size_t i = 0; i < load->config->vault_count; i++) {
        KV_AUTO_TEXT char *pattern = kv_text_format("%s/keys/*", load->config->vaults[i].url);
        if (pattern && kv_text_match(pattern, kid))
            (void)kv_text_fit(ret, 33, load->config->vaults[i].name);
    }
}

static enum kv_status take_version(struct load *load, struct kv_kvmap_record *record, struct kv_error *err)
{
    struct kv_version *version = kv_take(record->version);

    memcpy(load->last_vault, version->vault, sizeof load->last_vault);
    name_vault(load, version->kid, version->vault);
    kv_version_relabel(version);
    kv_version_free(load->last);
    load->last = kv_version_ref(version);
    load->versions[load->version_count++] = version;
    return load->version_count == BATCH ? flush(load, err) : KV_OK;
}

static enum kv_status take_location(struct load *load, struct kv_kvmap_record *record, struct kv_error *err)
{
    load->locations[load->location_count++] = record->location;
    return load->location_count == BATCH ? flush(load, err) : KV_OK;
}

static enum kv_status take_certificate(struct load *load, struct kv_kvmap_record *record,
                                       struct kv_error *err)
{
    const struct kv_kvmap_certificate *given = &record->certificate;
    struct kv_x509 facts;

    if (!load->last || strcmp(load->last_vault, given->vault) != 0 ||
        strcmp(load->last->name, given->name) != 0 || strcmp(load->last->version, given->version) != 0)
        return kv_fail(err, KV_BAD_DATA, "a certificate does not stand behind its version");
    if (kv_x509_read(KV_VIEW(given->der), &facts, NULL) ||
        !kv_view_equal(facts.spki, KV_VIEW(load->last->spki)))
        return kv_fail(err, KV_BAD_DATA, "a certificate is not one of its version's public key");
    const struct kv_map_certificate certificate = { .vault = load->last->vault,
                                                    .name = given->name,
                                                    .version = given->version,
                                                    .source = given->source,
                                                    .der = given->der,
                                                    .at = given->at };
    const struct kv_map_import what = { .certificates = &certificate, .certificate_count = 1 };
    KV_TRY(flush(load, err)); /* its version first */
    return kv_map_import(load->map, &what, load->header->made, NULL, err);
}

static enum kv_status take_backup(struct load *load, struct kv_kvmap_record *record, struct kv_error *err)
{
    struct kv_map_backup *backup = &load->backups[load->backup_count++];

    *backup = record->backup;
    record->backup.recipients = NULL;
    record->backup.recipient_count = 0;
    return load->backup_count == BATCH ? flush(load, err) : KV_OK;
}

static enum kv_status take_end(struct load *load, const struct kv_kvmap_record *record, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes sha256 = { 0 };

    if (kv_digest_final(load->digest, &sha256))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    load->ended = true;
    if (record->end.lines != load->lines - 1 || memcmp(record->end.sha256, sha256.data, 32) != 0)
        return kv_fail(err, KV_BAD_DATA,
                       "the lines before are not those that were written: take another copy of the file");
    return flush(load, err);
}

static enum kv_status take(struct load *load, struct kv_kvmap_record *record, struct kv_error *err)
{
    if ((load->lines == 1) != (record->type == KV_KVMAP_HEADER))
        return kv_fail(err, KV_BAD_DATA,
                       load->lines == 1 ? "the file is no copy of a version map" : "a second first line");
    switch (record->type) {
    case KV_KVMAP_HEADER:
        *load->header = record->header;
        return KV_OK;
    case KV_KVMAP_VERSION:
        return take_version(load, record, err);
    case KV_KVMAP_LOCATION:
        return take_location(load, record, err);
    case KV_KVMAP_CERTIFICATE:
        return take_certificate(load, record, err);
    case KV_KVMAP_BACKUP:
        return take_backup(load, record, err);
    case KV_KVMAP_END:
        return take_end(load, record, err);
    }
    return KV_INTERNAL;
}

/* --- lines --- */

/* The next piece of the file up to a line's end; empty when there is none. */
static struct kv_view next_piece(struct load *load)
{
    if (load->at == load->end) {
        load->at = 0;
        load->end = fread(load->chunk, 1, sizeof load->chunk, load->from);
    }
    const unsigned char *start = load->chunk + load->at;
    const unsigned char *newline = load->at < load->end ? memchr(start, '\n', load->end - load->at) : NULL;
    size_t len = newline ? (size_t)(newline - start) + 1 : load->end - load->at;
    load->at += len;
    return (struct kv_view){ start, len };
}

/* The next line with its end; *ret_more is false when there is none. */
static enum kv_status next_line(struct load *load, bool *ret_more, struct kv_error *err)
{
    struct kv_view piece;
    bool whole = false;

    load->line.bytes.len = 0;
    while (!whole && (piece = next_piece(load)).len) {
        if (kv_buffer_add(&load->line, piece))
            return kv_fail(err, KV_BAD_DATA, "the line is longer than %d bytes", KV_KVMAP_LINE_MAX);
        whole = piece.data[piece.len - 1] == '\n';
    }
    load->bytes += (int64_t)load->line.bytes.len;
    *ret_more = load->line.bytes.len != 0;
    if (ferror(load->from))
        return kv_fail(err, KV_IO, "reading failed: %m");
    if (load->bytes > KV_KVMAP_FILE_MAX)
        return kv_fail(err, KV_BAD_DATA, "the file is longer than any map");
    return *ret_more && !whole ? kv_fail(err, KV_BAD_DATA, "the file ends in the middle of a line") : KV_OK;
}

static enum kv_status one_line(struct load *load, bool *ret_more, struct kv_error *err)
{
    struct kv_kvmap_record record = { 0 };

    load->lines++;
    KV_TRY(next_line(load, ret_more, err));
    if (!*ret_more)
        return load->ended ? KV_OK
                           : kv_fail(err, KV_BAD_DATA, "the file was cut off: its last line is missing");
    if (load->ended)
        return kv_fail(err, KV_BAD_DATA, "there is more behind the last line");
    const struct kv_view line = { load->line.bytes.data, load->line.bytes.len - 1 };
    KV_TRY(kv_kvmap_read(line, &record, err));
    enum kv_status status = take(load, &record, err);
    if (!status && !load->ended)
        status = kv_digest_update(load->digest, KV_VIEW(load->line.bytes));
    kv_kvmap_record_free(&record);
    return status;
}

static void load_free(struct load *load)
{
    for (size_t i = 0; i < load->version_count; i++)
        kv_version_free(load->versions[i]);
    for (size_t i = 0; i < load->backup_count; i++)
        free(load->backups[i].recipients);
    kv_version_free(load->last);
    kv_digest_free(load->digest);
    kv_buffer_free(&load->line);
    kv_map_free(load->map);
    if (load->from && load->from != stdin)
        fclose(load->from);
    free(load);
}

static void load_cleanup(struct load **load)
{
    if (*load)
        load_free(*load);
}

static enum kv_status load_open(const char *path, struct load *load, struct kv_error *err)
{
    load->line.limit = KV_KVMAP_LINE_MAX;
    load->from = strcmp(path, "-") ? fopen(path, "rbe") : stdin;
    if (!load->from)
        return kv_fail(err, KV_ARGUMENTS, "cannot read '%s': %m", path);
    if (kv_digest_open("SHA2-256", &load->digest))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return kv_map_scratch(&load->map, err);
}

enum kv_status kv_kvmap_load(const char *path, const struct kv_config *config, struct kv_map **ret,
                             struct kv_kvmap_header *ret_header, struct kv_error *err)
{
    KV_CLEANUP(load_cleanup) struct load *load = calloc(1, sizeof *load);
    struct kv_kvmap_header header = { 0 };
    bool more = true;

    if (!load)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    load->config = config;
    load->header = &header;
    KV_TRY(load_open(path, load, err));
    while (more) {
        enum kv_status status = one_line(load, &more, err);
        if (status)
            return kv_fail_in(err, status, "'%s', line %lld", path, (long long)load->lines);
    }
    *ret = kv_take(load->map);
    *ret_header = header;
    return KV_OK;
}
