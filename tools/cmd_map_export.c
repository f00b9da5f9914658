/* kvp11 map export: the version map as a file that travels, all of it or what one backup needs. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kvmap/kvmap.h"

const struct kv_option kv_cmd_map_export_options[] = {
    { "--backup", "ID", "only what this backup needs: its versions, and itself" },
    { "--store", "STORE", "the backup of this store, where several have the id" },
    { "--out", "FILE", "write this file, once it is whole, instead of the standard output" },
    { NULL, NULL, NULL },
};

static enum kv_status write_to(struct kv_tool *tool, FILE *to, struct kv_error *err)
{
    const struct kv_clock *clock = kv_core_clock(tool->core);
    const struct kv_kvmap_choice choice = { .backup = kv_common_option(tool, "--backup"),
                                            .store = kv_common_option(tool, "--store"),
                                            .by = "kvp11 " KVP11_RELEASE,
                                            .made = clock->unix_seconds(clock) };
    if (choice.store && !choice.backup)
        return kv_fail(err, KV_ARGUMENTS, "--store goes with --backup");
    return kv_kvmap_save(kv_core_map(tool->core), &choice, to, err);
}

/* Whole or not at all: beside its place, then there. */
static enum kv_status write_file(struct kv_tool *tool, const char *path, struct kv_error *err)
{
    KV_AUTO_TEXT char *part = kv_text_format("%s.part-%ld", path, (long)getpid());
    int fd = part ? open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644) : -1;
    FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!to) {
        if (fd >= 0)
            close(fd);
        return kv_fail(err, KV_IO, "cannot write '%s': %m", path);
    }
    enum kv_status status = write_to(tool, to, err);
    if (!status && (fflush(to) || fsync(fileno(to))))
        status = kv_fail(err, KV_IO, "cannot write '%s': %m", path);
    if (fclose(to) && !status)
        status = kv_fail(err, KV_IO, "cannot write '%s': %m", path);
    if (!status && rename(part, path))
        status = kv_fail(err, KV_IO, "cannot put '%s' in its place: %m", path);
    if (status)
        (void)unlink(part);
    return status;
}

/* By way of a file without a name: a failure leaves the standard output empty, and a large map no large memory. */
static enum kv_status write_stdout(struct kv_tool *tool, struct kv_error *err)
{
    char part[65536];
    size_t len;
    FILE *to = tmpfile();
    if (!to)
        return kv_fail(err, KV_IO, "cannot make a temporary file: %m");
    enum kv_status status = write_to(tool, to, err);
    rewind(to);
    while (!status && (len = fread(part, 1, sizeof(part), to)))
        if (fwrite(part, 1, len, stdout) != len)
            status = kv_fail(err, KV_IO, "cannot write to the standard output: %m");
    if (!status && ferror(to))
        status = kv_fail(err, KV_IO, "cannot read the temporary file: %m");
    fclose(to);
    return status;
}

enum kv_status kv_cmd_map_export(struct kv_tool *tool, struct kv_error *err)
{
    const char *path = kv_common_option(tool, "--out");
    KV_TRY(kv_common_open_map(tool, err));
    return path ? write_file(tool, path, err) : write_stdout(tool, err);
}
