/* kvp11 map compare: do the copies and the map know the same? */
#include "common.h"

#include <string.h>
#include "kvmap/kvmap.h"
#include "mend.h"

static const struct kv_column columns[] = {
    { "COPY", "copy" },
    { "WHAT", "what" },
    { "FOUND", "found" },
};

struct compare {
    struct kv_table *table;
    const char *path;
    struct kv_map *map, *copy;
    int64_t found;
};

static void tell(struct compare *compare, char *what, const char *found)
{
    kv_table_text(compare->table, compare->path);
    kv_table_take(compare->table, what);
    kv_table_text(compare->table, found);
    compare->found++;
}

/* --- one side against the other --- */

/* Which one lacks what the other has. */
struct side {
    struct kv_map *has, *other;
    const char *lacks;
};

static enum kv_status is_placed(struct kv_map *map, const struct kv_version *version, bool *ret,
                                struct kv_error *err)
{
    KV_AUTO_FREE struct kv_map_location *places = NULL;
    size_t count = 0;
    if (version->kind != KV_OCT)
        KV_TRY(kv_map_locations(map, kv_map_key_of(version), &places, &count, err));
    for (size_t i = 0; i < count; i++)
        *ret = *ret || kv_text_equal_case(places[i].kid, version->kid);
    return KV_OK;
}

static enum kv_status compare_version(struct compare *compare, const struct side *side,
                                      const struct kv_version *version, struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_map_query query = { .vault = version->vault,
                                        .name = version->name,
                                        .version = version->version };
    bool placed = false;
    KV_TRY(kv_map_find(side->other, &query, &list, err));
    KV_TRY(is_placed(side->other, version, &placed, err));
    bool same = list.count && list.items[0]->kind == version->kind &&
                !memcmp(list.items[0]->spki_sha256, version->spki_sha256, sizeof(version->spki_sha256));
    if (!same && !placed)
        tell(compare, kv_text_format("version %s", version->kid),
             list.count ? "has another public key here than there" : side->lacks);
    return KV_OK;
}

static enum kv_status compare_versions(struct compare *compare, const struct side *side, struct kv_error *err)
{
    for (int64_t after = 0;;) {
        KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
        KV_TRY(kv_map_version_page(side->has, after, 0, &list, err));
        if (!list.count)
            return KV_OK;
        for (size_t i = 0; i < list.count; i++)
            KV_TRY(compare_version(compare, side, list.items[i], err));
        after = list.items[list.count - 1]->row;
    }
}

static bool has_recipient(const struct kv_map_backup *backup, const struct kv_map_recipient *recipient)
{
    for (size_t i = 0; i < backup->recipient_count; i++) {
        const struct kv_map_recipient *known = &backup->recipients[i];
        if (!strcmp(known->kind, recipient->kind) && known->key_len == recipient->key_len &&
            !memcmp(known->key, recipient->key, known->key_len) &&
            (known->key_len || !strcmp(known->text, recipient->text)))
            return !known->removed == !recipient->removed;
    }
    return false;
}

static bool same_backup(const struct kv_map_backup *a, const struct kv_map_backup *b)
{
    bool same = a->has_header == b->has_header && a->size == b->size && a->keep_until == b->keep_until &&
                !a->retired == !b->retired && a->recipient_count == b->recipient_count &&
                !memcmp(a->header_sha256, b->header_sha256, sizeof(a->header_sha256));
    for (size_t i = 0; same && i < a->recipient_count; i++)
        same = has_recipient(b, &a->recipients[i]);
    return same;
}

/* The two sides would both tell a difference: one of them does. */
static enum kv_status compare_backup(struct compare *compare, const struct side *side,
                                     const struct kv_map_backup *backup, struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
    const struct kv_map_backup_query query = { .id = backup->id, .retired = true };
    const struct kv_map_backup *other = NULL;
    KV_TRY(kv_map_backup_page(side->other, &query, &list, err));
    for (size_t i = 0; i < list.count; i++)
        if (!strcmp(list.items[i].store, backup->store))
            other = &list.items[i];
    char *what = NULL;
    if (!other || (side->has == compare->copy && !same_backup(backup, other)))
        what = kv_text_format("backup '%s' in '%s'", backup->id, backup->store);
    if (what)
        tell(compare, what, other ? "differs: size, dates, header or recipients" : side->lacks);
    return KV_OK;
}

static enum kv_status compare_backups(struct compare *compare, const struct side *side, struct kv_error *err)
{
    struct kv_map_backup_query query = { .retired = true };
    for (;;) {
        KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
        KV_TRY(kv_map_backup_page(side->has, &query, &list, err));
        if (!list.count)
            return KV_OK;
        for (size_t i = 0; i < list.count; i++)
            KV_TRY(compare_backup(compare, side, &list.items[i], err));
        query.after = list.items[list.count - 1].row;
    }
}

/* --- the journal --- */

static enum kv_status hash_at(struct kv_map *map, int64_t seq, unsigned char ret[32], struct kv_error *err)
{
    KV_AUTO_FREE struct kv_map_entry *entry = NULL;
    size_t count = 0;
    KV_TRY(kv_map_journal_page(map, seq - 1, 1, &entry, &count, err));
    if (count && entry->seq == seq)
        memcpy(ret, entry->hash, 32);
    return KV_OK;
}

/* A copy of this map remembers how far its journal had come: that may not have changed since. */
static enum kv_status compare_journal(struct compare *compare, const struct kv_kvmap_header *header,
                                      struct kv_error *err)
{
    unsigned char first[32] = { 0 }, then[32] = { 0 };
    KV_TRY(hash_at(compare->map, 1, first, err));
    if (!header->entries || memcmp(first, header->first, sizeof(first)) != 0)
        return KV_OK; /* of another host's map */
    KV_TRY(hash_at(compare->map, header->entries, then, err));
    if (memcmp(then, header->last, sizeof(then)) != 0)
        tell(
            compare, kv_text_format("journal, entry %lld", (long long)header->entries),
            "is not what it was when the copy was made: the map was rewritten, or an older one was put back");
    return KV_OK;
}

static enum kv_status compare_file(struct kv_tool *tool, struct compare *compare, struct kv_error *err)
{
    struct kv_kvmap_header header;
    KV_TRY(
        kv_mend_file(kv_kvmap_load(compare->path, kv_core_config(tool->core), &compare->copy, &header, err),
                     compare->path, err));
    const struct side sides[] = {
        { compare->copy, compare->map, "is not in the map: run `kvp11 map import`" },
        { compare->map, compare->copy, "is not in the copy: run `kvp11 map export`" },
    };
    enum kv_status status = compare_journal(compare, &header, err);
    /* A copy for one backup need not have the others. */
    for (size_t i = 0; !status && i < (*header.backup ? 1 : 2); i++) {
        status = compare_versions(compare, &sides[i], err);
        if (!status)
            status = compare_backups(compare, &sides[i], err);
    }
    kv_map_free(compare->copy);
    return status;
}

enum kv_status kv_cmd_map_compare(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, sizeof(columns) / sizeof(columns[0]));
    KV_TRY(kv_common_open_map(tool, err));
    struct compare compare = { .table = table, .map = kv_core_map(tool->core) };
    for (size_t i = 0; i < tool->word_count; i++) {
        compare.path = tool->words[i];
        KV_TRY(compare_file(tool, &compare, err));
    }
    KV_TRY(kv_common_print(tool, table, err));
    if (!compare.found)
        return KV_OK;
    tool->findings = true;
    return kv_fail(err, KV_ATTENTION, "%lld differences between the map and its copies",
                   (long long)compare.found);
}
