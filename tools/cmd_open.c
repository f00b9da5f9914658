/* kvp11 open: what an age file holds. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include "age/file.h"
#include "age/payload.h"
#include "age/sidecar.h"
#include "output.h"
#include "parties.h"
#include "progress.h"
#include "report.h"

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

/* ---- two headers (kvp11 rewrap) ---- */

struct headers {
    struct kv_age_header own; /* in the file; empty, and the error, where there is none that can be read */
    struct kv_error own_error;
    struct kv_buffer ahead;
    struct kv_age_sidecar side; /* beside it; empty: none, or none that is this file's */
};

static void headers_free(struct headers *headers)
{
    kv_age_header_free(&headers->own);
    kv_buffer_free(&headers->ahead);
    kv_age_sidecar_free(&headers->side);
}

static void read_headers(struct kv_age_stream *stream, const char *path, struct headers *ret)
{
    struct kv_error why = { 0 };
    ret->own_error.status = kv_age_file_header(stream, &ret->own, &ret->ahead, &ret->own_error);
    enum kv_status status = path ? kv_age_sidecar_read(path, &ret->side, &why) : (enum kv_status)KV_NOT_FOUND;
    bool stale =
        status == KV_OK && ret->side.stays && !kv_age_sidecar_is_of(&ret->side, KV_VIEW(ret->own.text));
    if (stale)
        kv_age_sidecar_free(&ret->side);
    if (stale || (status != KV_OK && status != KV_NOT_FOUND))
        kv_common_note("%s is passed over: %s", stale ? path : "the header beside the file",
                       stale ? "the header beside it is another file's, or out of date" : why.text);
}

static enum kv_status open_own(const struct kv_parties *parties, const struct headers *headers,
                               unsigned char *file_key, struct kv_error *err)
{
    if (headers->own_error.status != KV_OK) {
        *err = headers->own_error;
        return err->status;
    }
    return kv_age_header_open(&headers->own, parties->identities, parties->identity_count, file_key, err);
}

/* Behind a header that was being written over, the payload begins where the new one ends, which is as long. */
static enum kv_status open_side(const struct kv_parties *parties, const struct headers *headers,
                                struct kv_age_stream *stream, unsigned char *file_key, struct kv_error *err)
{
    const struct kv_age_header *side = &headers->side.header;
    KV_TRY(kv_age_header_open(side, parties->identities, parties->identity_count, file_key, err));
    if (headers->side.stays)
        return KV_OK;
    if (lseek(stream->in, (off_t)side->text.len, SEEK_SET) < 0)
        return kv_fail(err, KV_INPUT, "%s: its payload cannot be reached: %m", stream->in_name);
    stream->ahead = (struct kv_view){ 0 };
    return KV_OK;
}

/* A sidecar that stays is what the file is opened by, as long as the vault opens that; one of a change that was cut off is asked only when the file does not open by itself. */
static enum kv_status open_header(const struct kv_parties *parties, const struct headers *headers,
                                  struct kv_age_stream *stream, unsigned char *file_key, struct kv_error *err)
{
    struct kv_error why = { 0 };
    bool sided = headers->side.header.count, side_first = sided && headers->side.stays;
    enum kv_status status = side_first ? open_side(parties, headers, stream, file_key, err)
                                       : open_own(parties, headers, file_key, err);
    if (status == KV_OK || !sided)
        return status;
    enum kv_status second = side_first ? open_own(parties, headers, file_key, &why)
                                       : open_side(parties, headers, stream, file_key, &why);
    return second == KV_OK ? KV_OK : status;
}

static enum kv_status open_all(struct kv_parties *parties, const char *path, struct kv_age_stream *stream,
                               struct opening *opening, struct kv_error *err)
{
    KV_CLEANUP(headers_free) struct headers headers = { 0 };
    unsigned char file_key[KV_AGE_FILE_KEY];
    read_headers(stream, path, &headers);
    enum kv_status status = open_header(parties, &headers, stream, file_key, err);
    if (status == KV_OK)
        status = open_payload(stream, opening, file_key, err);
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
    struct opening opening = { .terminal = kv_output_is_terminal(output) };
    KV_TRY(open_all(parties, path, &stream, &opening, err));
    KV_TRY(kv_output_commit(output, err));
    const struct kv_report_row row = { path, kv_common_option(tool, "--out"), opening.progress.done, NULL };
    return kv_report_one(tool, KV_REPORT_BYTES, &row, output, err);
}
