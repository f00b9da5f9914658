#include "rewrap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static void dir_cleanup(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static void tell(const struct kv_rewrap_visit *visit, const char *path)
{
    struct kv_error err = { 0 };
    enum kv_status status = kv_fail(&err, KV_INPUT, "it cannot be read: %m");
    visit->failed(visit->state, path, status, &err);
}

static enum kv_status walk_folder(const struct kv_rewrap_visit *visit, const char *path, size_t root);

/* `root`: how much of the path is the store. */
static enum kv_status walk_entry(const struct kv_rewrap_visit *visit, const char *path, size_t root)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        if (errno != ENOENT) /* it has gone meanwhile */
            tell(visit, path);
        return KV_OK;
    }
    if (S_ISDIR(info.st_mode))
        return info.st_dev == visit->skip_device && info.st_ino == visit->skip_inode
                   ? KV_OK
                   : walk_folder(visit, path, root);
    if (!S_ISREG(info.st_mode) || kv_age_sidecar_is_name(path))
        return KV_OK;
    return visit->file(visit->state, path, path + root);
}

static enum kv_status walk_folder(const struct kv_rewrap_visit *visit, const char *path, size_t root)
{
    KV_CLEANUP(dir_cleanup) DIR *dir = opendir(path);
    struct dirent *entry;
    if (!dir) {
        tell(visit, path);
        return KV_OK;
    }
    while ((errno = 0, entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        bool ends = path[strlen(path) - 1] == '/';
        KV_AUTO_TEXT char *inner = kv_text_format("%s%s%s", path, ends ? "" : "/", entry->d_name);
        if (!inner)
            return KV_NO_MEMORY;
        KV_TRY(walk_entry(visit, inner, root));
    }
    if (errno)
        tell(visit, path);
    return KV_OK;
}

enum kv_status kv_rewrap_walk(const struct kv_rewrap_visit *visit, const char *store)
{
    struct stat info;
    if (!*store || stat(store, &info) != 0) {
        tell(visit, store);
        return KV_OK;
    }
    if (S_ISDIR(info.st_mode))
        return walk_folder(visit, store, strlen(store) + (store[strlen(store) - 1] != '/'));
    const char *slash = strrchr(store, '/');
    return visit->file(visit->state, store, slash ? slash + 1 : store);
}

enum kv_status kv_rewrap_walk_lines(const struct kv_rewrap_visit *visit, int fd)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    FILE *lines = own >= 0 ? fdopen(own, "r") : NULL;
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    enum kv_status status = KV_OK;
    if (!lines) {
        tell(visit, "the standard input");
        return KV_OK;
    }
    while (status == KV_OK && (len = getline(&line, &room, lines)) >= 0) {
        if (len && line[len - 1] == '\n')
            line[len - 1] = 0;
        if (*line)
            status = kv_rewrap_walk(visit, line);
    }
    if (ferror(lines))
        tell(visit, "the standard input");
    free(line);
    fclose(lines);
    return status;
}
