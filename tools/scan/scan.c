#include "scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/encode.h"
#include "row.h"
#include "when.h"

enum { DEPTH_MAX = 100, ROWS_MAX = 1000 };
#define SIDECAR ".kvp11-header"

const struct kv_column kv_scan_columns[KV_SCAN_COLUMNS] = {
    { "LEVEL", "level" }, { "STORE", "store" }, { "OBJECT", "object" }, { "FOUND", "found" },
    { "NEXT", "next" },   { NULL, "files" },    { NULL, "backups" },    { NULL, "new" },
    { NULL, "changed" },  { NULL, "unmapped" }, { NULL, "broken" },     { NULL, "gone" },
    { NULL, "others" },
};

struct kv_scan *kv_scan_new(struct kv_tool *tool, struct kv_findings *findings)
{
    struct kv_scan *scan = calloc(1, sizeof(*scan));
    if (!scan)
        return NULL;
    const struct kv_clock *clock = kv_core_clock(tool->core);
    scan->tool = tool;
    scan->findings = findings;
    scan->name = kv_common_option(tool, "--name");
    scan->retain = kv_common_option(tool, "--retain-until");
    scan->dry_run = kv_common_option(tool, "--dry-run");
    scan->prune = kv_common_option(tool, "--prune-gone");
    scan->now = clock->unix_seconds(clock);
    scan->reader = kv_head_reader_new(tool);
    if (scan->reader)
        return scan;
    kv_scan_free(scan);
    return NULL;
}

void kv_scan_free(struct kv_scan *scan)
{
    if (!scan)
        return;
    for (size_t i = 0; i < scan->batched; i++)
        free(scan->batch[i].recipients);
    kv_head_reader_free(scan->reader);
    free(scan);
}

/* --- rows --- */

static void add_counts(struct kv_scan *scan, bool of_store)
{
    const int64_t counts[] = { scan->files,    scan->backups, scan->fresh, scan->changed,
                               scan->unmapped, scan->broken,  scan->gone,  scan->others };
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (of_store)
            kv_table_int(scan->findings->table, counts[i]);
        else
            kv_table_text(scan->findings->table, NULL);
    }
}

static void add_row(struct kv_scan *scan, enum kv_level level, const char *object, char *found)
{
    kv_finding_level(scan->findings, level);
    kv_table_text(scan->findings->table, scan->store);
    kv_table_text(scan->findings->table, object);
    kv_table_take(scan->findings->table, found);
}

void kv_scan_row(struct kv_scan *scan, enum kv_level level, const char *object, char *found, const char *next)
{
    if (scan->findings->found[level] >= ROWS_MAX) {
        scan->findings->found[level]++;
        kv_text_free(found);
        return;
    }
    add_row(scan, level, object, found);
    kv_table_text(scan->findings->table, next);
    add_counts(scan, false);
}

static void tell_stranger(struct kv_scan *scan, const struct kv_scan_stranger *stranger)
{
    char hex[2 * sizeof(stranger->recipient.key) + 1];
    const char *text = stranger->recipient.text;
    bool named = stranger->recipient.key_len;
    kv_encode_hex((struct kv_view){ stranger->recipient.key, stranger->recipient.key_len }, hex);
    kv_scan_row(scan, KV_LEVEL_WARNING, stranger->first,
                kv_text_format("%" PRId64 " backups need a version that is not in the map: key %s%s%s",
                               stranger->backups, named ? hex : text, named && *text ? ", it was " : "",
                               named ? text : ""),
                "learn it from its vault: kvp11 map rebuild; or from a copy of the map: kvp11 map import");
}

void kv_scan_tell(struct kv_scan *scan)
{
    for (size_t i = 0; i < scan->stranger_count; i++)
        tell_stranger(scan, &scan->strangers[i]);
    add_row(scan, KV_LEVEL_OK, NULL,
            kv_text_format("%" PRId64 " files, %" PRId64 " backups: %" PRId64 " new, %" PRId64
                           " changed, %" PRId64 " gone, %" PRId64 " broken, %" PRId64
                           " of unknown versions%s",
                           scan->files, scan->backups, scan->fresh, scan->changed, scan->gone, scan->broken,
                           scan->unmapped, scan->dry_run ? "; nothing was written" : ""));
    kv_table_text(scan->findings->table, NULL);
    add_counts(scan, true);
}

/* --- files --- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), of = strlen(end);
    return len >= of && !strcmp(text + len - of, end);
}

/* A header that lies beside the file, and is this one's, says who opens it now. */
static enum kv_status take_sidecar(struct kv_scan *scan, int folder, const char *name, struct kv_head *head,
                                   struct kv_error *err)
{
    KV_AUTO_TEXT char *path = kv_text_format("%s" SIDECAR, name);
    KV_AUTO_HEAD struct kv_head beside = { 0 };
    if (!path)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_AUTO_FD int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || kv_head_read(scan->reader, fd, &beside, err) != KV_OK || beside.kind != KV_HEAD_AGE)
        return KV_OK;
    if (beside.is_beside && memcmp(beside.beside, head->sha256, sizeof(beside.beside)) != 0)
        return KV_OK;
    struct kv_head own = *head;
    *head = beside;
    beside = own;
    return KV_OK;
}

static enum kv_status broken(struct kv_scan *scan, const char *object, enum kv_status status,
                             struct kv_error *err)
{
    if (status == KV_NO_MEMORY || status == KV_MAP_CORRUPT)
        return status;
    scan->broken++;
    kv_scan_row(scan, KV_LEVEL_WARNING, object, kv_text_copy(err ? err->text : ""),
                status == KV_INPUT ? "look at its permissions and its disk"
                                   : "restore it from another copy: nobody can open it as it is");
    return KV_OK;
}

/* Names that the map could not give back as they are. */
static bool is_plain(const char *object)
{
    KV_AUTO_JSON struct kv_json *json = kv_json_object();
    for (const char *c = object; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    kv_json_put_text(json, "name", object);
    KV_AUTO_TEXT char *text = kv_json_print(json, false);
    KV_AUTO_JSON struct kv_json *back = NULL;
    return text && kv_json_parse(kv_view_text(text), &back, NULL) == KV_OK &&
           strlen(object) < KV_BACKUP_OBJECT_SIZE;
}

static enum kv_status scan_open(struct kv_scan *scan, int folder, int fd, const char *name,
                                const char *object, struct kv_error *err)
{
    KV_AUTO_HEAD struct kv_head head = { 0 };
    struct kv_error why = { 0 };
    struct stat info;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode))
        return KV_OK;
    scan->files++;
    kv_progress_add(&scan->progress, 1);
    enum kv_status status = kv_head_read(scan->reader, fd, &head, &why);
    if (status != KV_OK) {
        status = broken(scan, object, status, &why);
        if (status != KV_OK && err)
            *err = why;
        /* What cannot be read today may be the backup that it was. */
        return status == KV_OK && why.status == KV_BAD_DATA ? kv_scan_other(scan, object, err) : status;
    }
    if (head.kind == KV_HEAD_NONE) {
        scan->others++;
        return kv_scan_other(scan, object, err);
    }
    if (!is_plain(object)) {
        scan->broken++;
        kv_scan_row(
            scan, KV_LEVEL_WARNING, NULL,
            kv_text_format("a backup has a name that cannot stand in the map: too long, or not plain UTF-8"),
            "rename it");
        return KV_OK;
    }
    if (head.kind == KV_HEAD_AGE)
        KV_TRY(take_sidecar(scan, folder, name, &head, err));
    return kv_scan_take(scan, &head, &info, object, err);
}

static enum kv_status scan_file(struct kv_scan *scan, int folder, const char *name, const char *object,
                                struct kv_error *err)
{
    if (ends_with(name, SIDECAR))
        return KV_OK;
    KV_AUTO_FD int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0)
        return scan_open(scan, folder, fd, name, object, err);
    if (errno == ELOOP || errno == ENXIO) /* a link, a socket */
        return KV_OK;
    struct kv_error why = { 0 };
    return broken(scan, object, kv_fail(&why, KV_INPUT, "cannot be opened: %m"), &why);
}

/* --- folders --- */

static enum kv_status scan_folder(struct kv_scan *scan, int fd, const char *path, unsigned depth,
                                  struct kv_error *err);

static enum kv_status scan_below(struct kv_scan *scan, int folder, const char *name, const char *object,
                                 unsigned depth, struct kv_error *err)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_DIRECTORY);
    struct kv_error why = { 0 };
    if (fd < 0)
        return broken(scan, object, kv_fail(&why, KV_INPUT, "the folder cannot be opened: %m"), &why);
    if (depth < DEPTH_MAX)
        return scan_folder(scan, fd, object, depth + 1, err);
    close(fd);
    return broken(scan, object, kv_fail(&why, KV_INPUT, "folders are nested too deep here"), &why);
}

static enum kv_status scan_entry(struct kv_scan *scan, int folder, const struct dirent *entry,
                                 const char *path, unsigned depth, struct kv_error *err)
{
    struct stat info;
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
        return KV_OK;
    KV_AUTO_TEXT char *object = kv_text_format("%s%s%s", path, *path ? "/" : "", entry->d_name);
    if (!object)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    unsigned char type = entry->d_type;
    if (type == DT_UNKNOWN && !fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW))
        type = S_ISDIR(info.st_mode) ? DT_DIR : S_ISREG(info.st_mode) ? DT_REG : DT_LNK;
    if (type == DT_DIR)
        return scan_below(scan, folder, entry->d_name, object, depth, err);
    return type == DT_REG ? scan_file(scan, folder, entry->d_name, object, err) : KV_OK;
}

/* Takes the descriptor over. */
static enum kv_status scan_folder(struct kv_scan *scan, int fd, const char *path, unsigned depth,
                                  struct kv_error *err)
{
    enum kv_status status = KV_OK;
    DIR *folder = fdopendir(fd);
    struct dirent *entry;
    if (!folder) {
        close(fd);
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    }
    while (status == KV_OK && (errno = 0, entry = readdir(folder)))
        status = scan_entry(scan, fd, entry, path, depth, err);
    if (status == KV_OK && errno) {
        struct kv_error why = { 0 };
        status = broken(scan, path, kv_fail(&why, KV_INPUT, "the folder cannot be read: %m"), &why);
    }
    closedir(folder);
    return status;
}

/* --- stores --- */

static enum kv_status name_store(struct kv_scan *scan, const char *path, struct kv_error *err)
{
    char whole[PATH_MAX] = "";
    if (!scan->name && !realpath(path, whole))
        return kv_fail(err, KV_INPUT, "%s: cannot be opened: %m", path);
    return kv_text_fit(scan->store, sizeof(scan->store), scan->name ? scan->name : whole)
               ? KV_OK
               : kv_fail(err, KV_ARGUMENTS,
                         "the name of the store is too long: give a shorter one with --name");
}

static enum kv_status scan_tree(struct kv_scan *scan, const char *path, struct kv_error *err)
{
    KV_TRY(name_store(scan, path, err));
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0)
        return kv_fail(err, KV_INPUT, "%s: cannot be opened as a folder: %m", path);
    KV_AUTO_FD int base = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    KV_TRY(scan_folder(scan, fd, "", 0, err));
    KV_TRY(kv_scan_flush(scan, err));
    return base < 0 ? kv_fail(err, KV_INPUT, "%s: %m", path) : kv_scan_gone(scan, base, err);
}

/* Names may come from a program that lists an object store's mount: a list need not be all there is, so nothing is missed. */
static enum kv_status scan_list(struct kv_scan *scan, struct kv_error *err)
{
    KV_AUTO_FREE char *line = NULL;
    size_t room = 0;
    enum kv_status status = KV_OK;
    ssize_t len;
    KV_TRY(name_store(scan, ".", err));
    while (status == KV_OK && (len = getline(&line, &room, stdin)) > 0) {
        if (line[len - 1] == '\n')
            line[--len] = '\0';
        if (len)
            status = scan_file(scan, AT_FDCWD, line, line, err);
    }
    KV_TRY(status);
    if (ferror(stdin))
        return kv_fail(err, KV_INPUT, "the list of names cannot be read: %m");
    return kv_scan_flush(scan, err);
}

static void begin(struct kv_scan *scan)
{
    scan->files = scan->backups = scan->fresh = scan->changed = 0;
    scan->others = scan->broken = scan->gone = scan->unmapped = 0;
    scan->stranger_count = 0;
    kv_progress_begin_count(&scan->progress, 0, "files");
}

enum kv_status kv_scan_store(struct kv_scan *scan, const char *path, struct kv_error *err)
{
    int64_t until = 0;
    if (scan->retain) /* also where nothing is found that it would be the date of */
        KV_TRY(kv_when_until(scan->retain, scan->now, &until, err));
    scan->folder = path;
    begin(scan);
    enum kv_status status = strcmp(path, "-") ? scan_tree(scan, path, err) : scan_list(scan, err);
    kv_progress_end(&scan->progress);
    if (status == KV_OK)
        kv_scan_tell(scan);
    return status;
}
