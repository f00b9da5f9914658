/* kvp11 open: what an age file holds. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include "age/opening.h"
#include "output.h"
#include "parties.h"
#include "progress.h"
#include "report.h"

const struct kv_option kv_cmd_open_options[] = {
    { "-i", "FILE", "identities to try before the vaults; may repeat", .repeats = true },
    { "--out", "FILE", "write this file, whole or not at all, instead of the standard output" },
    { NULL, NULL, NULL },
};

struct passing {
    struct kv_progress progress;
    struct kv_output *output;
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

static enum kv_status pass(void *state, struct kv_view part, struct kv_error *err)
{
    struct passing *passing = state;
    KV_TRY(kv_output_shows(passing->output, part, err));
    kv_progress_add(&passing->progress, part.len);
    return KV_OK;
}

/* Of an armored file, about what it holds. */
static uint64_t file_size(const struct kv_age_stream *stream)
{
    enum { LINE = KV_AGE_ARMOR_COLUMNS + 1, HELD = KV_AGE_ARMOR_COLUMNS / 4 * 3 };
    struct stat info;
    if (fstat(stream->in, &info) || !S_ISREG(info.st_mode))
        return 0;
    return stream->armor_in->on ? (uint64_t)info.st_size / LINE * HELD : (uint64_t)info.st_size;
}

static enum kv_status open_payload(struct kv_age_stream *stream, struct passing *passing,
                                   const unsigned char *file_key, struct kv_error *err)
{
    stream->passing = pass;
    stream->state = passing;
    kv_progress_begin(&passing->progress, file_size(stream));
    enum kv_status status = kv_age_payload_open(stream, file_key, err);
    kv_progress_end(&passing->progress);
    return status;
}

static enum kv_status open_all(struct kv_parties *parties, const char *path, struct kv_age_stream *stream,
                               struct passing *passing, struct kv_error *err)
{
    KV_AUTO_AGE_OPENING struct kv_age_opening opening = { 0 };
    unsigned char file_key[KV_AGE_FILE_KEY];
    kv_age_opening_read(stream, path, &opening);
    if (opening.passed.status != KV_OK)
        kv_common_note("the header beside the file is passed over: %s", opening.passed.text);
    enum kv_status status =
        kv_age_opening_key(&opening, stream, parties->identities, parties->identity_count, file_key, err);
    if (status == KV_OK)
        status = open_payload(stream, passing, file_key, err);
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
    struct passing passing = { .output = output };
    KV_TRY(open_all(parties, path, &stream, &passing, err));
    KV_TRY(kv_output_commit(output, err));
    const struct kv_report_row row = { path, kv_common_option(tool, "--out"), passing.progress.done, NULL };
    return kv_report_one(tool, KV_REPORT_BYTES, &row, output, err);
}
