/* A file's head against what the map knows of it. */
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include "base/encode.h"
#include "row.h"
#include "mech/local.h"
#include "when.h"

static const int64_t LAST = 253402300799; /* 9999-12-31T23:59:59Z */

static struct kv_map *map_of(const struct kv_scan *scan)
{
    return kv_core_map(scan->tool->core);
}

/* --- keys of vaults that the map does not have --- */

static enum kv_status ask_map(struct kv_scan *scan, const struct kv_map_recipient *recipient, bool *ret,
                              struct kv_error *err)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_view key = { recipient->key, recipient->key_len };
    struct kv_map_query query = { .limit = 1 };
    if (key.len == KV_ID_SIZE)
        query.id = key;
    else
        query.spki_sha256 = key;
    KV_TRY(kv_map_find(map_of(scan), &query, &list, err));
    *ret = list.count > 0;
    return KV_OK;
}

static enum kv_status is_mapped(struct kv_scan *scan, const struct kv_map_recipient *recipient, bool *ret,
                                struct kv_error *err)
{
    struct kv_map_recipient *kept = &scan->known[recipient->key[0]].recipient;
    bool *mapped = &scan->known[recipient->key[0]].mapped;
    if (!recipient->key_len) {
        *ret = strcmp(recipient->kind, "cms-unknown") != 0;
        return KV_OK;
    }
    if (kept->key_len != recipient->key_len || memcmp(kept->key, recipient->key, kept->key_len) != 0) {
        KV_TRY(ask_map(scan, recipient, mapped, err));
        *kept = *recipient;
    }
    *ret = *mapped;
    return KV_OK;
}

static void note_stranger(struct kv_scan *scan, const struct kv_map_recipient *recipient, const char *object)
{
    struct kv_scan_stranger *stranger = scan->strangers;
    const struct kv_scan_stranger *end = scan->strangers + scan->stranger_count;
    for (; stranger < end; stranger++) {
        const struct kv_map_recipient *known = &stranger->recipient;
        if (known->key_len == recipient->key_len && !memcmp(known->key, recipient->key, known->key_len) &&
            (known->key_len || !strcmp(known->text, recipient->text)))
            break;
    }
    if (stranger == scan->strangers + KV_SCAN_STRANGERS)
        return;
    if (stranger == end) {
        *stranger = (struct kv_scan_stranger){ .recipient = *recipient };
        (void)kv_text_fit(stranger->first, sizeof(stranger->first), object);
        scan->stranger_count++;
    }
    stranger->backups++;
}

static enum kv_status look_for_strangers(struct kv_scan *scan, const struct kv_head *head, const char *object,
                                         struct kv_error *err)
{
    bool all = true;
    for (size_t i = 0; i < head->recipient_count; i++) {
        bool mapped = false;
        KV_TRY(is_mapped(scan, &head->recipients[i], &mapped, err));
        if (!mapped)
            note_stranger(scan, &head->recipients[i], object);
        all &= mapped;
    }
    scan->unmapped += !all;
    return KV_OK;
}

/* --- what is new --- */

/* Who opens it by a key that the map can follow is told anew; those that hide in the header (X25519) stay as they were named when it was written. */
static bool same_keys(const struct kv_map_backup *known, const struct kv_head *head)
{
    size_t theirs = 0, ours = 0;
    for (size_t i = 0; i < known->recipient_count; i++)
        theirs += known->recipients[i].key_len && !known->recipients[i].removed;
    for (size_t i = 0; i < head->recipient_count; i++) {
        const struct kv_map_recipient *recipient = &head->recipients[i];
        bool found = !recipient->key_len;
        ours += recipient->key_len != 0;
        for (size_t j = 0; !found && j < known->recipient_count; j++)
            found = !known->recipients[j].removed && known->recipients[j].key_len == recipient->key_len &&
                    !memcmp(known->recipients[j].key, recipient->key, recipient->key_len);
        if (!found)
            return false;
    }
    return ours >= theirs;
}

static bool is_as_known(const struct kv_map_backup *known, const struct kv_head *head,
                        const struct kv_map_backup *now)
{
    return known->row && !known->retired && known->has_header && known->size == now->size &&
           (!now->keep_until || now->keep_until == known->keep_until) &&
           !memcmp(known->header_sha256, head->sha256, sizeof(head->sha256)) && same_keys(known, head);
}

/* Its path, where that is short enough, and else the path's digest: the object tells it anyhow. */
static enum kv_status name_backup(struct kv_map_backup *backup, struct kv_error *err)
{
    static const char sha256[] = "path-sha256:";
    KV_AUTO_BYTES struct kv_bytes digest = { 0 };
    if (kv_text_fit(backup->id, sizeof(backup->id), backup->object))
        return KV_OK;
    if (kv_digest_once("SHA2-256", kv_view_text(backup->object), &digest) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    memcpy(backup->id, sha256, sizeof(sha256));
    kv_encode_hex(KV_VIEW(digest), backup->id + strlen(sha256));
    return KV_OK;
}

static enum kv_status find_known(struct kv_scan *scan, const char *object, struct kv_map_backup_list *ret,
                                 struct kv_error *err)
{
    const struct kv_map_backup_query query = {
        .store = scan->store, .object = object, .retired = true, .limit = 1
    };
    return kv_map_backup_page(map_of(scan), &query, ret, err);
}

/* A rewrap that was cut off has written this header. What it was about, where that is another backup's, is left to it. */
static enum kv_status end_rewrap(const struct kv_scan *scan, const struct kv_head *head,
                                 const struct kv_map_backup *known, struct kv_error *err)
{
    struct kv_map_rewrap_begun begun = { 0 };
    KV_TRY(kv_map_rewrap_find(map_of(scan), head->sha256, &begun, err));
    bool other = *begun.id && (!known || strcmp(begun.id, known->id) || strcmp(begun.store, known->store));
    return begun.found && !other && !scan->dry_run
               ? kv_map_rewrap_end(map_of(scan), head->sha256, scan->now, err)
               : (enum kv_status)KV_OK;
}

static enum kv_status add(struct kv_scan *scan, struct kv_map_backup *backup, struct kv_head *head,
                          struct kv_error *err)
{
    if (scan->dry_run)
        return KV_OK;
    backup->recipients = kv_take(head->recipients);
    backup->recipient_count = head->recipient_count;
    head->recipient_count = 0;
    scan->batch[scan->batched++] = *backup;
    for (size_t i = 0; i < head->wrap_count && scan->wrap_count < KV_SCAN_WRAPS; i++)
        memcpy(scan->wraps[scan->wrap_count++], head->wraps[i], sizeof(scan->wraps[0]));
    return scan->batched == KV_SCAN_BATCH || scan->wrap_count > KV_SCAN_WRAPS - KV_AGE_STANZAS_MAX
               ? kv_scan_flush(scan, err)
               : KV_OK;
}

static enum kv_status describe(struct kv_scan *scan, const struct kv_head *head, const struct stat *info,
                               struct kv_map_backup *backup, struct kv_error *err)
{
    backup->has_header = true;
    memcpy(backup->header_sha256, head->sha256, sizeof(backup->header_sha256));
    backup->size = info->st_size;
    /* A date that no calendar has says nothing: then it is as old as its first scan. */
    backup->created = info->st_mtime > 0 && info->st_mtime <= LAST ? info->st_mtime : 0;
    return scan->retain ? kv_when_until(scan->retain, backup->created ? backup->created : scan->now,
                                        &backup->keep_until, err)
                        : KV_OK;
}

enum kv_status kv_scan_take(struct kv_scan *scan, const struct kv_head *given, const struct stat *info,
                            const char *object, struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
    struct kv_head *head = (struct kv_head *)(uintptr_t)given;
    struct kv_map_backup backup = { 0 };
    KV_TRY(describe(scan, head, info, &backup, err));
    KV_TRY(find_known(scan, object, &list, err));
    KV_TRY(look_for_strangers(scan, head, object, err));
    KV_TRY(end_rewrap(scan, head, list.count ? &list.items[0] : NULL, err));
    scan->backups++;
    if (list.count && is_as_known(&list.items[0], head, &backup))
        return KV_OK;
    (void)kv_text_fit(backup.store, sizeof(backup.store), scan->store);
    (void)kv_text_fit(backup.object, sizeof(backup.object), object);
    if (list.count)
        memcpy(backup.id, list.items[0].id, sizeof(backup.id));
    else
        KV_TRY(name_backup(&backup, err));
    if (list.count && list.items[0].created)
        backup.created = 0; /* the first that was told: a rewrap touches the file */
    bool fresh = !list.count || list.items[0].retired;
    scan->fresh += fresh;
    scan->changed += !fresh;
    return add(scan, &backup, head, err);
}

enum kv_status kv_scan_flush(struct kv_scan *scan, struct kv_error *err)
{
    enum kv_status status = kv_map_backup_put(map_of(scan), scan->batch, scan->batched, scan->now, err);
    for (size_t i = 0; i < scan->batched; i++)
        free(scan->batch[i].recipients);
    scan->batched = 0;
    if (status == KV_OK)
        status = kv_map_wraps_settle(map_of(scan), scan->wraps, scan->wrap_count, scan->now, err);
    scan->wrap_count = 0;
    return status;
}

/* --- what is no longer --- */

enum kv_status kv_scan_other(struct kv_scan *scan, const char *object, struct kv_error *err)
{
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
    KV_TRY(find_known(scan, object, &list, err));
    if (list.count && !list.items[0].retired)
        kv_scan_row(scan, KV_LEVEL_WARNING, object,
                    kv_text_format("was backup '%s', and is none any more", list.items[0].id),
                    "restore it from another copy; if it was replaced on purpose: delete it, and scan with "
                    "--prune-gone");
    return KV_OK;
}

static enum kv_status one_gone(struct kv_scan *scan, const struct kv_map_backup *backup, struct kv_error *err)
{
    char until[21] = "";
    KV_AUTO_TEXT char *mend = kv_text_format(
        "if that is as it should be: kvp11 scan --prune-gone%s%s %s", scan->name ? " --name " : "",
        scan->name ? kv_word(scan->name).text : "", kv_word(scan->folder).text);
    bool early = backup->keep_until > scan->now;
    scan->gone++;
    if (early)
        kv_clock_text(backup->keep_until, until);
    kv_scan_row(scan, KV_LEVEL_WARNING, backup->object,
                kv_text_format("is gone: backup '%s'%s%s%s", backup->id,
                               early ? ", which was to be kept until " : "", until,
                               scan->prune && !scan->dry_run ? "; marked so" : ""),
                scan->prune ? NULL : mend);
    return scan->prune && !scan->dry_run
               ? kv_map_backup_retire(map_of(scan), backup->id, backup->store, scan->now, err)
               : KV_OK;
}

static bool is_gone(int folder, const char *object)
{
    struct stat info;
    return *object && fstatat(folder, object, &info, AT_SYMLINK_NOFOLLOW) &&
           (errno == ENOENT || errno == ENOTDIR);
}

/* A store that is not mounted looks like one that has lost everything: nothing is concluded from it. */
enum kv_status kv_scan_gone(struct kv_scan *scan, int folder, struct kv_error *err)
{
    struct kv_map_backup_query query = { .store = scan->store };
    for (;;) {
        KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
        KV_TRY(kv_map_backup_page(map_of(scan), &query, &list, err));
        if (!list.count)
            return KV_OK;
        if (!scan->backups) {
            kv_scan_row(
                scan, KV_LEVEL_UNKNOWN, NULL,
                kv_text_format("none of the backups that were here is: nothing was concluded from that"),
                "is the store mounted? Backups that really are gone are marked once there is one again");
            return KV_OK;
        }
        for (size_t i = 0; i < list.count; i++)
            if (is_gone(folder, list.items[i].object))
                KV_TRY(one_gone(scan, &list.items[i], err));
        query.after = list.items[list.count - 1].row;
    }
}
