/* kvp11 map export: the version map as a file that travels, all of it or what one backup needs. */
#include "common.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kvmap/kvmap.h"
#include "output.h"
#include "temporary.h"

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

/* Nothing in it is secret: who may read the folder may read it. */
static void open_up(int fd)
{
    mode_t mask = umask(0);
    umask(mask);
    (void)!fchmod(fd, 0644 & ~mask);
}

static enum kv_status write_file(struct kv_tool *tool, const char *path, struct kv_error *err)
{
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    KV_TRY(kv_output_open(path, &output, err));
    int fd = fcntl(kv_output_fd(output), F_DUPFD_CLOEXEC, 3);
    FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!to) {
        if (fd >= 0)
            close(fd);
        return kv_fail(err, KV_IO, "cannot write '%s': %m", path);
    }
    enum kv_status status = write_to(tool, to, err);
    if (fclose(to) && !status)
        status = kv_fail(err, KV_IO, "cannot write '%s': %m", path);
    if (status)
        return status;
    if (kv_output_holds(output))
        open_up(kv_output_fd(output));
    return kv_output_commit(output, err);
}

/* By way of a file without a name: a failure leaves the standard output empty, and a large map no large memory. */
static enum kv_status write_stdout(struct kv_tool *tool, struct kv_error *err)
{
    char part[65536];
    size_t len;
    FILE *to = kv_temporary_file();
    if (!to)
        return kv_fail(err, KV_IO, "cannot make a temporary file in '%s': %m", kv_temporary_folder());
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
    return path && strcmp(path, "-") != 0 ? write_file(tool, path, err) : write_stdout(tool, err);
}
