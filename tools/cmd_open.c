/* kvp11 open: what an age file holds. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include "age/file.h"
#include "age/payload.h"
#include "output.h"
#include "parties.h"
#include "progress.h"

const struct kv_option kv_cmd_open_options[] = {
    { "-i", "FILE", "identities to try before the vaults; may repeat", .repeats = true },
    { "--out", "FILE", "write this file, whole or not at all, instead of the standard output" },
    { NULL, NULL, NULL },
};

struct opening {
    struct kv_progress progress;
    bool terminal;
};

/* ---- by whom ---- */

static enum kv_status gather(const struct kv_tool *tool, struct kv_parties *parties, struct kv_error *err)
{
    const char *path;
    for (size_t at = 0; (path = kv_common_each(tool, "-i", &at));)
        KV_TRY(kv_parties_identities(parties, path, err));
    return kv_parties_vaults(parties, err);
}

/* ---- the stream ---- */

/* A file from somebody else could tell a terminal anything. */
static bool is_text(struct kv_view part)
{
    for (size_t i = 0; i < part.len; i++)
        if (part.data[i] == 0x7f || (part.data[i] < ' ' && !strchr("\t\n\r", part.data[i])) || !part.data[i])
            return false;
    return true;
}

static enum kv_status passing(void *state, struct kv_view part, struct kv_error *err)
{
    struct opening *opening = state;
    if (opening->terminal && !is_text(part))
        return kv_fail(err, KV_ARGUMENTS,
                       "the contents are binary and the standard output is a terminal: redirect it, or name "
                       "a file with --out");
    kv_progress_add(&opening->progress, part.len);
    return KV_OK;
}

static uint64_t file_size(int in)
{
    struct stat info;
    return fstat(in, &info) || !S_ISREG(info.st_mode) ? 0 : (uint64_t)info.st_size;
}

static enum kv_status open_payload(struct kv_age_stream *stream, struct opening *opening,
                                   const unsigned char *file_key, struct kv_error *err)
{
    stream->passing = passing;
    stream->state = opening;
    kv_progress_begin(&opening->progress, file_size(stream->in));
    enum kv_status status = kv_age_payload_open(stream, file_key, err);
    kv_progress_end(&opening->progress);
    return status;
}

static enum kv_status open_all(struct kv_parties *parties, struct kv_age_stream *stream,
                               struct kv_output *output, struct kv_error *err)
{
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    KV_AUTO_BUFFER struct kv_buffer ahead = { 0 };
    struct opening opening = { .terminal = kv_output_is_terminal(output) };
    unsigned char file_key[KV_AGE_FILE_KEY];
    KV_TRY(kv_age_file_header(stream, &header, &ahead, err));
    enum kv_status status =
        kv_age_header_open(&header, parties->identities, parties->identity_count, file_key, err);
    if (status == KV_OK)
        status = open_payload(stream, &opening, file_key, err);
    kv_wipe(file_key, sizeof file_key);
    return status;
}

enum kv_status kv_cmd_open(struct kv_tool *tool, struct kv_error *err)
{
    const char *path = tool->word_count && strcmp(tool->words[0], "-") != 0 ? tool->words[0] : NULL;
    KV_AUTO_PARTIES struct kv_parties *parties = kv_parties_begin(tool);
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    KV_AUTO_FD int in = -1;
    if (!parties)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    signal(SIGPIPE, SIG_IGN); /* who reads the standard output may go away: that is told */
    KV_TRY(gather(tool, parties, err));
    if (path && (in = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0)
        return kv_fail(err, KV_INPUT, "%s: cannot be opened: %m", path);
    KV_TRY(kv_output_open(kv_common_option(tool, "--out"), &output, err));
    struct kv_age_stream stream = {
        .in = path ? in : STDIN_FILENO,
        .out = kv_output_fd(output),
        .in_name = path ? path : "the standard input",
        .out_name = kv_output_name(output),
    };
    KV_TRY(open_all(parties, &stream, output, err));
    return kv_output_commit(output, err);
}
