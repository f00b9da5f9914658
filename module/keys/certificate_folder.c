#include "certificate_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

enum {
    FILE_MAX = 1 << 20,
    FILES_MAX = 4096,
    CERTIFICATES_MAX = 8192,
    SETTLED = 2 /* seconds after which a change of the folder must show in its time stamp */
};

struct kv_folder {
    const char *path;
    struct kv_log *log;
    const struct kv_clock *clock;
    pthread_mutex_t lock;
    bool read, failed, torn; /* torn: something of it is missing only because memory or files were short */
    bool
        unsettled; /* it had just been changed when it was read: something may have come in the same tick of its clock */
    struct timespec changed;
    dev_t device;
    ino_t inode;
    struct kv_certificate_list list; /* by public key, then the latest first */
};

struct kv_folder *kv_folder_new(const char *path, struct kv_log *log, const struct kv_clock *clock)
{
    struct kv_folder *folder = calloc(1, sizeof *folder);

    if (!folder)
        return NULL;
    folder->path = path;
    folder->log = log;
    folder->clock = clock;
    pthread_mutex_init(&folder->lock, NULL);
    return folder;
}

void kv_folder_free(struct kv_folder *folder)
{
    if (!folder)
        return;
    kv_certificate_list_free(&folder->list);
    pthread_mutex_destroy(&folder->lock);
    free(folder);
}

/* Who could have put it there? "" : nobody but root and the caller. */
static const char *check_owner(const struct stat *info)
{
    if (info->st_uid != 0 && info->st_uid != geteuid())
        return "it belongs to another user than root or the caller: run `chown` on it";
    if (info->st_mode & (S_IWGRP | S_IWOTH))
        return "it can be written by others: run `chmod go-w` on it";
    return "";
}

/* Is it that there is too little of something now, rather than something wrong with the folder? */
static bool is_shortage(int number)
{
    return number == ENOMEM || number == EMFILE || number == ENFILE;
}

/* --- one file --- */

static enum kv_status read_bytes(int fd, struct kv_bytes *ret)
{
    KV_AUTO_BUFFER struct kv_buffer text = { .limit = FILE_MAX };
    unsigned char block[16384];
    ssize_t got;

    while ((got = read(fd, block, sizeof block)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return KV_IO;
        KV_TRY(kv_buffer_add(&text, (struct kv_view){ block, (size_t)got }));
    }
    *ret = kv_bytes_take(&text.bytes);
    return KV_OK;
}

/* A link may lead to the file: the folder is ours, so whoever made it is too. O_NONBLOCK: a FIFO must not hang the host. */
static enum kv_status read_file(int folder, const char *name, struct kv_bytes *ret, const char **ret_why)
{
    KV_AUTO_FD int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info;

    if (fd < 0 || fstat(fd, &info)) {
        bool is_short = is_shortage(errno);
        *ret_why = is_short ? "too many files are open" : "it cannot be read: look at its permissions";
        return is_short ? KV_NO_MEMORY : KV_IO;
    }
    *ret_why = S_ISREG(info.st_mode) ? check_owner(&info) : "it is not a regular file";
    if (**ret_why)
        return KV_CONFIG;
    enum kv_status status = read_bytes(fd, ret);
    *ret_why = status == KV_DATA_LENGTH ? "it is larger than 1 MiB"
               : status == KV_NO_MEMORY ? "out of memory"
                                        : "it cannot be read";
    return status;
}

static enum kv_status take_certificate(struct kv_folder *folder, struct kv_view *rest, size_t *count,
                                       struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes der = { 0 };
    KV_AUTO_CERTIFICATE struct kv_certificate *certificate = NULL;

    KV_TRY(kv_x509_next(rest, &der, err));
    if (!der.len)
        return KV_OK;
    KV_TRY(kv_certificate_new(KV_VIEW(der), &certificate, err));
    if (folder->list.count == CERTIFICATES_MAX)
        return kv_fail(err, KV_DATA_LENGTH, "the folder holds more than %d certificates", CERTIFICATES_MAX);
    (*count)++;
    return kv_certificate_list_add(&folder->list, certificate);
}

static void take_file(struct kv_folder *folder, int directory, const char *name)
{
    KV_AUTO_BYTES struct kv_bytes text = { 0 };
    const char *why = "";
    size_t count = 0;

    enum kv_status status = read_file(directory, name, &text, &why);
    if (status) {
        folder->torn = folder->torn || status == KV_NO_MEMORY;
        kv_log_line(folder->log, KV_LOG_WARN, "certificate file '%s/%s' is left out: %s", folder->path, name,
                    why);
        return;
    }
    struct kv_view rest = KV_VIEW(text);
    do {
        struct kv_error err = { 0 };
        status = take_certificate(folder, &rest, &count, &err);
        folder->torn = folder->torn || status == KV_NO_MEMORY || status == KV_INTERNAL;
        if (status)
            kv_log_line(folder->log, KV_LOG_WARN, "certificate file '%s/%s': %s, so that one is left out",
                        folder->path, name, *err.text ? err.text : "out of memory");
        else if (!rest.len && !count)
            kv_log_line(folder->log, KV_LOG_WARN, "certificate file '%s/%s' has no certificate in it",
                        folder->path, name);
    } while (rest.len);
}

/* --- the folder --- */

static int compare(const void *a, const void *b)
{
    const struct kv_certificate *x = *(struct kv_certificate *const *)a,
                                *y = *(struct kv_certificate *const *)b;
    int order = memcmp(x->spki_sha256, y->spki_sha256, sizeof x->spki_sha256);

    if (order)
        return order;
    if (x->facts.not_before != y->facts.not_before)
        return x->facts.not_before > y->facts.not_before ? -1 : 1;
    return memcmp(x->sha256, y->sha256, sizeof x->sha256);
}

static bool is_certificate_name(const char *name)
{
    static const char *const endings[] = { "?*.pem", "?*.crt", "?*.cer", "?*.der" };

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (name[0] != '.' && kv_text_match(endings[i], name))
            return true;
    return false;
}

/* The same one in two files, as a leaf beside its chain and alone. */
static void drop_doubles(struct kv_certificate_list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++)
        if (kept && !compare(&list->items[kept - 1], &list->items[i]))
            kv_certificate_free(list->items[i]);
        else
            list->items[kept++] = list->items[i];
    list->count = kept;
}

static void read_folder(struct kv_folder *folder, DIR *directory)
{
    const struct dirent *entry;
    size_t files = 0;

    while ((entry = readdir(directory))) {
        if (!is_certificate_name(entry->d_name))
            continue;
        if (++files > FILES_MAX) {
            kv_log_line(folder->log, KV_LOG_WARN,
                        "certificate folder '%s' has more than %d files: the rest is left out", folder->path,
                        FILES_MAX);
            break;
        }
        take_file(folder, dirfd(directory), entry->d_name);
    }
    if (folder->list.count)
        qsort(folder->list.items, folder->list.count, sizeof(*folder->list.items), compare);
    drop_doubles(&folder->list);
}

static bool is_unchanged(const struct kv_folder *folder, const struct stat *info)
{
    return folder->read && !folder->unsettled && folder->device == info->st_dev &&
           folder->inode == info->st_ino && folder->changed.tv_sec == info->st_mtim.tv_sec &&
           folder->changed.tv_nsec == info->st_mtim.tv_nsec;
}

/* A folder that is not there or not ours to trust has no certificates; the same complaint is not made at every search. */
static void give_up(struct kv_folder *folder, const char *why)
{
    kv_certificate_list_free(&folder->list);
    folder->read = false;
    if (!folder->failed)
        kv_log_line(folder->log, KV_LOG_WARN, "certificate folder '%s' is not used: %s", folder->path, why);
    folder->failed = true;
}

static void give_up_now(struct kv_folder *folder, int number)
{
    folder->torn = is_shortage(number);
    give_up(folder, strerror(number));
}

static void refresh(struct kv_folder *folder)
{
    KV_AUTO_FD int fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;

    if (fd < 0 || fstat(fd, &info)) {
        give_up_now(folder, errno);
        return;
    }
    const char *why = check_owner(&info);
    if (*why) {
        folder->torn = false;
        give_up(folder, why);
        return;
    }
    if (is_unchanged(folder, &info))
        return;
    folder->torn = false;
    DIR *directory = fdopendir(fd);
    if (!directory) {
        give_up_now(folder, errno);
        return;
    }
    fd = -1; /* closedir has it now */
    kv_certificate_list_free(&folder->list);
    read_folder(folder, directory);
    closedir(directory);
    folder->read = true;
    folder->failed = false;
    folder->device = info.st_dev;
    folder->inode = info.st_ino;
    folder->changed = info.st_mtim;
    folder->unsettled =
        folder->torn || folder->clock->unix_seconds(folder->clock) - info.st_mtim.tv_sec < SETTLED;
}

enum kv_status kv_folder_refresh(struct kv_folder *folder)
{
    pthread_mutex_lock(&folder->lock);
    refresh(folder);
    enum kv_status status = folder->torn ? KV_NO_MEMORY : KV_OK;
    pthread_mutex_unlock(&folder->lock);
    return status;
}

/* The first with this key or a greater one. */
static size_t position(const struct kv_certificate_list *list, const unsigned char spki_sha256[32])
{
    size_t low = 0, high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(list->items[middle]->spki_sha256, spki_sha256, 32) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct kv_certificate *kv_folder_find(struct kv_folder *folder, const unsigned char spki_sha256[32])
{
    struct kv_certificate *found = NULL;

    pthread_mutex_lock(&folder->lock);
    size_t at = position(&folder->list, spki_sha256);
    if (at < folder->list.count && !memcmp(folder->list.items[at]->spki_sha256, spki_sha256, 32))
        found = kv_certificate_ref(folder->list.items[at]);
    pthread_mutex_unlock(&folder->lock);
    return found;
}

enum kv_status kv_folder_authorities(struct kv_folder *folder, struct kv_certificate_list *ret)
{
    enum kv_status status = KV_OK;

    pthread_mutex_lock(&folder->lock);
    for (size_t i = 0; i < folder->list.count && status == KV_OK; i++)
        if (folder->list.items[i]->facts.ca)
            status = kv_certificate_list_add(ret, folder->list.items[i]);
    pthread_mutex_unlock(&folder->lock);
    return status;
}
