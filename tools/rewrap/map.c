#include "rewrap.h"

#include <limits.h>
#include <string.h>
#include "register.h"

/* A backup of the map that one of the versions in question opens. */
struct entry {
    unsigned char header[32];
    bool has_header;
    char *id, *store, *object;
};
/* What the map has is read once for each version, not once for each file. */
struct kv_rewrap_map {
    struct kv_map *map; /* borrowed */
    struct entry *entries;
    size_t count;
    struct entry **by_header, **by_place; /* sorted */
    unsigned char (*keys)[KV_VAULT_DIGEST];
    size_t key_count;
};

static void entry_free(struct entry *entry)
{
    free(entry->id);
    free(entry->store);
    free(entry->object);
}

void kv_rewrap_map_free(struct kv_rewrap_map *map)
{
    if (!map)
        return;
    for (size_t i = 0; i < map->count; i++)
        entry_free(&map->entries[i]);
    free(map->entries);
    free(map->by_header);
    free(map->by_place);
    free(map->keys);
    free(map);
}

/* ---- what the map has ---- */

static int compare_header(const void *left, const void *right)
{
    const struct entry *a = *(struct entry *const *)left, *b = *(struct entry *const *)right;
    return memcmp(a->header, b->header, sizeof a->header);
}

static int compare_place(const void *left, const void *right)
{
    const struct entry *a = *(struct entry *const *)left, *b = *(struct entry *const *)right;
    int order = strcmp(a->object, b->object);
    return order ? order : strcmp(a->store, b->store);
}

static enum kv_status add_entry(struct kv_rewrap_map *map, const struct kv_map_backup *backup)
{
    if (!(map->count & (map->count - 1))) { /* 0, 1, 2, 4…: grows by doubling */
        struct entry *more =
            reallocarray(map->entries, map->count ? map->count * 2 : 1, sizeof *map->entries);
        if (!more)
            return KV_NO_MEMORY;
        map->entries = more;
    }
    struct entry entry = { .has_header = backup->has_header,
                           .id = kv_text_copy(backup->id),
                           .store = kv_text_copy(backup->store),
                           .object = kv_text_copy(backup->object) };
    memcpy(entry.header, backup->header_sha256, sizeof entry.header);
    if (!entry.id || !entry.store || !entry.object) {
        entry_free(&entry);
        return KV_NO_MEMORY;
    }
    map->entries[map->count++] = entry;
    return KV_OK;
}

static enum kv_status sort(struct kv_rewrap_map *map)
{
    free(map->by_header);
    free(map->by_place);
    map->by_header = calloc(map->count + 1, sizeof *map->by_header);
    map->by_place = calloc(map->count + 1, sizeof *map->by_place);
    if (!map->by_header || !map->by_place)
        return KV_NO_MEMORY;
    for (size_t i = 0; i < map->count; i++)
        map->by_header[i] = map->by_place[i] = &map->entries[i];
    qsort(map->by_header, map->count, sizeof *map->by_header, compare_header);
    qsort(map->by_place, map->count, sizeof *map->by_place, compare_place);
    return KV_OK;
}

static bool is_loaded(const struct kv_rewrap_map *map, const unsigned char *digest)
{
    for (size_t i = 0; i < map->key_count; i++)
        if (!memcmp(map->keys[i], digest, KV_VAULT_DIGEST))
            return true;
    return false;
}

static enum kv_status load(struct kv_rewrap_map *map, const struct kv_vault_stanza *stanza,
                           struct kv_error *err)
{
    struct kv_map_backup_query query = { .key = { stanza->digest,
                                                  stanza->kind == KV_OCT ? KV_ID_SIZE : KV_VAULT_DIGEST } };
    size_t got = 0;
    do {
        struct kv_map_backup_list page = { 0 };
        KV_TRY(kv_map_backup_page(map->map, &query, &page, err));
        enum kv_status status = KV_OK;
        for (size_t i = 0; i < page.count && status == KV_OK; i++)
            status = add_entry(map, &page.items[i]);
        got = page.count;
        query.after = got ? page.items[got - 1].row : 0;
        kv_map_backup_list_free(&page);
        if (status != KV_OK)
            return kv_fail(err, status, "out of memory");
    } while (got);
    return KV_OK;
}

static enum kv_status load_all(struct kv_rewrap_map *map, const struct kv_age_header *header,
                               struct kv_error *err)
{
    bool more = false;
    for (size_t i = 0; i < header->count; i++) {
        struct kv_vault_stanza stanza = { 0 };
        if (!kv_vault_stanza_is(&header->stanzas[i]) ||
            kv_vault_stanza_read(&header->stanzas[i], &stanza, NULL) != KV_OK ||
            is_loaded(map, stanza.digest))
            continue;
        void *keys = reallocarray(map->keys, map->key_count + 1, sizeof *map->keys);
        if (!keys)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        map->keys = keys;
        memcpy(map->keys[map->key_count++], stanza.digest, KV_VAULT_DIGEST);
        KV_TRY(load(map, &stanza, err));
        more = true;
    }
    return !more || sort(map) == KV_OK ? KV_OK : kv_fail(err, KV_NO_MEMORY, "out of memory");
}

/* ---- which backup a file is ---- */

static bool is_header_of(const struct kv_age_header *header, struct entry *ret)
{
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    if (!header->text.len || kv_digest_once("SHA2-256", KV_VIEW(header->text), &digest) != KV_OK)
        return false;
    memcpy(ret->header, digest.data, sizeof ret->header);
    return true;
}

static const struct entry *look_up(struct entry *key, struct entry *const *sorted, size_t count,
                                   int (*compare)(const void *, const void *))
{
    struct entry *const *found = count ? bsearch(&key, sorted, count, sizeof *sorted, compare) : NULL;
    return found && (compare == compare_place || (*found)->has_header) ? *found : NULL;
}

/* Its folder, by its whole path, and its name, as `seal --register` has them. */
static bool place_of(const char *path, char *folder, char **ret_name)
{
    const char *slash = strrchr(path, '/');
    KV_AUTO_TEXT char *above = slash ? kv_text_copy_n(path, (size_t)(slash - path) + 1) : kv_text_copy(".");
    *ret_name = (char *)(uintptr_t)(slash ? slash + 1 : path);
    return above && realpath(above, folder);
}

static const struct entry *find(const struct kv_rewrap_map *map, const struct kv_rewrap_noted *noted)
{
    const struct kv_age_header *headers[] = { noted->before, &noted->file->own };
    char folder[PATH_MAX];
    struct entry key = { .store = folder };
    const struct entry *found = NULL;
    for (size_t i = 0; i < 2 && !found; i++)
        if (headers[i] && is_header_of(headers[i], &key))
            found = look_up(&key, map->by_header, map->count, compare_header);
    if (!found && place_of(noted->file->path, folder, &key.object))
        found = look_up(&key, map->by_place, map->count, compare_place);
    return found;
}

/* ---- what it becomes ---- */

static bool is_vault_kind(const struct kv_map_recipient *recipient)
{
    return recipient->key_len != 0;
}

static enum kv_status set_recipients(struct kv_map_backup *backup, const struct kv_rewrap_noted *noted,
                                     const struct kv_parties *parties, struct kv_error *err)
{
    size_t kept = 0, glass = noted->break_glass ? parties->outsider_count : 0;
    struct kv_map_recipient *all =
        calloc(backup->recipient_count + noted->after->count + glass + 1, sizeof *all);
    if (!all)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < backup->recipient_count; i++)
        if (!is_vault_kind(&backup->recipients[i]) && !backup->recipients[i].removed)
            all[kept++] = backup->recipients[i];
    free(backup->recipients);
    backup->recipients = all;
    backup->recipient_count = kept;
    for (size_t i = 0; i < noted->after->count; i++)
        if (kv_vault_stanza_is(&noted->after->stanzas[i]))
            KV_TRY(kv_register_recipient(&noted->after->stanzas[i], &all[backup->recipient_count++], err));
    for (size_t i = 0; i < glass; i++)
        if (!kv_text_fit(all[backup->recipient_count].kind, sizeof all->kind, parties->outsiders[i].kind) ||
            !kv_text_fit(all[backup->recipient_count++].text, sizeof all->text, parties->outsiders[i].text))
            return kv_fail(err, KV_INTERNAL, "a recipient does not fit into the version map");
    return KV_OK;
}

static enum kv_status put(struct kv_map *map, struct kv_map_backup *backup,
                          const struct kv_rewrap_noted *noted, const struct kv_parties *parties,
                          struct kv_error *err)
{
    const struct kv_clock *clock = kv_core_clock(parties->vault.core);
    struct entry header = { 0 };
    KV_TRY(set_recipients(backup, noted, parties, err));
    backup->has_header = noted->in_file && is_header_of(noted->after, &header);
    if (backup->has_header) {
        memcpy(backup->header_sha256, header.header, sizeof backup->header_sha256);
        backup->size = noted->file->info.st_size;
    }
    return kv_map_backup_put(map, backup, 1, clock->unix_seconds(clock), err);
}

/* Backups of one name, or of one place. */
struct named {
    const char *id, *store, *object;
};

/* *ret_count: so many backups of the map the file is. */
static enum kv_status put_named(struct kv_map *map, const struct named *named,
                                const struct kv_rewrap_noted *noted, const struct kv_parties *parties,
                                size_t *ret_count, struct kv_error *err)
{
    const struct kv_map_backup_query query = {
        .id = named->id, .store = named->store, .object = named->object, .limit = KV_BACKUP_PAGE
    };
    struct kv_map_backup_list list = { 0 };
    KV_TRY(kv_map_backup_page(map, &query, &list, err));
    enum kv_status status = KV_OK;
    for (size_t i = 0; i < list.count && status == KV_OK; i++)
        if (!strcmp(list.items[i].store, named->store)) {
            status = put(map, &list.items[i], noted, parties, err);
            ++*ret_count;
        }
    kv_map_backup_list_free(&list);
    return status;
}

static enum kv_status handle_of(struct kv_rewrap_map **map, struct kv_parties *parties, struct kv_error *err)
{
    struct kv_map *handle = NULL;
    KV_TRY(kv_parties_map(parties, &handle, err));
    if (!*map && !(*map = calloc(1, sizeof **map)))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    (*map)->map = handle;
    return KV_OK;
}

enum kv_status kv_rewrap_map_begin(struct kv_rewrap_map **map, struct kv_parties *parties,
                                   const struct kv_rewrap_noted *noted, struct kv_error *err)
{
    const struct kv_register_change change = { noted->before, noted->after, false };
    struct kv_map_rewrap_begun backup = { 0 };
    KV_TRY(handle_of(map, parties, err));
    KV_TRY(load_all(*map, noted->before, err));
    const struct entry *found = find(*map, noted);
    if (found && (!kv_text_fit(backup.id, sizeof backup.id, found->id) ||
                  !kv_text_fit(backup.store, sizeof backup.store, found->store)))
        return kv_fail(err, KV_INTERNAL, "a backup's name does not fit");
    return kv_register_rewrap((*map)->map, parties, &change, &backup, err);
}

/* Of a run that was cut off the map may have what it was about, or nothing may be left but the file's place to find it by. */
static enum kv_status put_again(struct kv_rewrap_map *map, const struct kv_rewrap_noted *noted,
                                const struct kv_map_rewrap_begun *begun, const struct kv_parties *parties,
                                size_t *ret_count, struct kv_error *err)
{
    char folder[PATH_MAX], *name = NULL;
    if (*begun->id)
        return put_named(map->map, &(struct named){ begun->id, begun->store, NULL }, noted, parties,
                         ret_count, err);
    return place_of(noted->file->path, folder, &name)
               ? put_named(map->map, &(struct named){ NULL, folder, name }, noted, parties, ret_count, err)
               : (enum kv_status)KV_OK;
}

enum kv_status kv_rewrap_map_note(struct kv_rewrap_map **map, struct kv_parties *parties,
                                  const struct kv_rewrap_noted *noted, struct kv_error *err)
{
    const struct kv_clock *clock = kv_core_clock(parties->vault.core);
    struct kv_map_rewrap_begun begun = { 0 };
    struct entry header = { 0 };
    size_t backups = 0;
    KV_TRY(handle_of(map, parties, err));
    KV_TRY(load_all(*map, noted->before, err));
    if (!is_header_of(noted->after, &header))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    const struct entry *found = find(*map, noted);
    if (noted->again)
        KV_TRY(kv_map_rewrap_find((*map)->map, header.header, &begun, err));
    if (found)
        KV_TRY(put_named((*map)->map, &(struct named){ found->id, found->store, NULL }, noted, parties,
                         &backups, err));
    else if (noted->again)
        KV_TRY(put_again(*map, noted, &begun, parties, &backups, err));
    const struct kv_register_change change = { noted->before, noted->after, backups > 0 };
    KV_TRY(kv_register_settle((*map)->map, parties, &change, err));
    return kv_map_rewrap_end((*map)->map, header.header, clock->unix_seconds(clock), err);
}

/* ---- what an earlier run could not tell ---- */

static bool opens(const struct kv_map_backup *backup, const struct kv_map_recipient *recipient)
{
    for (size_t i = 0; i < backup->recipient_count; i++) {
        const struct kv_map_recipient *known = &backup->recipients[i];
        if (!known->removed && known->key_len == recipient->key_len &&
            !memcmp(known->key, recipient->key, known->key_len))
            return true;
    }
    return false;
}

/* By the same keys of vaults, and no others. */
static bool is_as_known(const struct kv_map_backup *backup, const struct kv_age_header *header)
{
    size_t theirs = 0, ours = 0;
    for (size_t i = 0; i < backup->recipient_count; i++)
        theirs += backup->recipients[i].key_len && !backup->recipients[i].removed;
    for (size_t i = 0; i < header->count; i++) {
        struct kv_map_recipient recipient = { 0 };
        if (!kv_vault_stanza_is(&header->stanzas[i]))
            continue;
        if (kv_register_recipient(&header->stanzas[i], &recipient, NULL) != KV_OK ||
            !opens(backup, &recipient))
            return false;
        ours++;
    }
    return ours >= theirs;
}

/* Is the backup that lies here known with other recipients? */
static enum kv_status is_otherwise(struct kv_map *map, const struct kv_rewrap_noted *noted, bool *ret,
                                   struct kv_error *err)
{
    char folder[PATH_MAX], *name = NULL;
    struct kv_map_backup_list list = { 0 };
    if (!place_of(noted->file->path, folder, &name))
        return KV_OK;
    const struct kv_map_backup_query query = { .store = folder, .object = name };
    KV_TRY(kv_map_backup_page(map, &query, &list, err));
    for (size_t i = 0; i < list.count; i++)
        *ret |= !is_as_known(&list.items[i], noted->after);
    kv_map_backup_list_free(&list);
    return KV_OK;
}

enum kv_status kv_rewrap_map_agree(struct kv_rewrap_map **map, struct kv_parties *parties,
                                   const struct kv_rewrap_noted *noted, bool *ret_told, struct kv_error *err)
{
    struct kv_map_rewrap_begun begun = { 0 };
    struct entry header = { 0 };
    KV_TRY(handle_of(map, parties, err));
    if (!is_header_of(noted->after, &header))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_map_rewrap_find((*map)->map, header.header, &begun, err));
    *ret_told = begun.found;
    if (!begun.found)
        KV_TRY(is_otherwise((*map)->map, noted, ret_told, err));
    return *ret_told ? kv_rewrap_map_note(map, parties, noted, err) : (enum kv_status)KV_OK;
}
