/* kvp11 seal: a stream, or what a producer writes, into an age file. */
#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include "age/payload.h"
#include "age/primitives.h"
#include "output.h"
#include "parties.h"
#include "process/producer.h"
#include "progress.h"
#include "register.h"
#include "report.h"

const struct kv_option kv_cmd_seal_options[] = {
    { "-r", "RECIPIENT", "a key by its name, age1kvp11…, age1… or ssh-…; may repeat", .repeats = true },
    { "-R", "FILE", "recipients from a file, a line each; may repeat", .repeats = true },
    { "--break-glass", "RECIPIENT", "age1… or ssh-…, which opens the file when no vault can; or none",
      .repeats = true },
    { "--out", "FILE", "write this file, whole or not at all, instead of the standard output" },
    { "--register", "ID", "put the file into the version map, as a backup of this name" },
    { "--store", "STORE", "where the backup is kept, for the map; without it, the folder of --out" },
    { "--retain-until", "DATE", "how long the backup is kept, for the map: 2033-11-23" },
    { "--no-spare", NULL, "leave no room in the header for a larger one: see 'kvp11 rewrap'" },
    { NULL, NULL, NULL },
};

struct seal {
    struct kv_buffer header;
    struct kv_producer producer;
    struct kv_progress progress;
    bool runs; /* there is a producer */
};

/* ---- the stream ---- */

static enum kv_status ended(void *state, struct kv_error *err)
{
    struct seal *seal = state;
    return seal->runs ? kv_producer_wait(&seal->producer, err) : KV_OK;
}

static enum kv_status passing(void *state, struct kv_view part, struct kv_error *err)
{
    struct seal *seal = state;
    kv_progress_add(&seal->progress, part.len);
    return KV_OK;
}

/* What is to come, where that is known: the rest of a file. */
static uint64_t input_size(int in)
{
    struct stat info;
    off_t at = lseek(in, 0, SEEK_CUR);
    return fstat(in, &info) || !S_ISREG(info.st_mode) || at < 0 || info.st_size < at
               ? 0
               : (uint64_t)(info.st_size - at);
}

static enum kv_status seal_payload(struct seal *seal, struct kv_output *output, const unsigned char *file_key,
                                   struct kv_error *err)
{
    KV_AUTO_TEXT char *name = kv_text_format("the output of '%s'", seal->runs ? seal->producer.name : "");
    const struct kv_age_stream stream = {
        .in = seal->runs ? seal->producer.out : STDIN_FILENO,
        .out = kv_output_fd(output),
        .in_name = seal->runs ? name : "the standard input",
        .out_name = kv_output_name(output),
        .ended = ended,
        .passing = passing,
        .state = seal,
    };
    if (!name)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(kv_output_write(output, KV_VIEW(seal->header.bytes), err));
    kv_progress_begin(&seal->progress, input_size(stream.in));
    enum kv_status status = kv_age_payload_seal(&stream, file_key, err);
    kv_progress_end(&seal->progress);
    return status;
}

/* The file key is made, wrapped and forgotten here. The producer starts when nothing but it can fail any more. */
static enum kv_status seal_all(struct seal *seal, struct kv_parties *parties, struct kv_output *output,
                               struct kv_error *err)
{
    unsigned char file_key[KV_AGE_FILE_KEY];
    KV_TRY(kv_age_random(file_key, sizeof file_key, err));
    enum kv_status status =
        kv_age_header_seal(parties->recipients, parties->recipient_count, file_key, &seal->header, err);
    if (status == KV_OK && seal->runs)
        status = kv_producer_start(parties->tool->program, &seal->producer, err);
    if (status == KV_OK)
        status = seal_payload(seal, output, file_key, err);
    kv_wipe(file_key, sizeof file_key);
    kv_producer_stop(&seal->producer);
    return status;
}

static void seal_free(struct seal *seal)
{
    kv_buffer_free(&seal->header);
}

/* Progress has counted what came behind the nonce. */
static uint64_t size_of(const struct seal *seal)
{
    return seal->header.bytes.len + KV_AGE_NONCE + seal->progress.done;
}

enum kv_status kv_cmd_seal(struct kv_tool *tool, struct kv_error *err)
{
    KV_AUTO_PARTIES struct kv_parties *parties = kv_parties_begin(tool);
    KV_AUTO_OUTPUT struct kv_output *output = NULL;
    KV_AUTO_REGISTER struct kv_register registration = { 0 };
    KV_CLEANUP(seal_free) struct seal seal = { .runs = tool->program != NULL };
    if (!parties)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    signal(SIGPIPE, SIG_IGN); /* who reads the standard output may go away: that is told */
    KV_TRY(kv_parties_gather(parties, err));
    KV_TRY(kv_register_begin(tool, parties, &registration, err));
    KV_TRY(kv_output_open(kv_common_option(tool, "--out"), &output, err));
    if (kv_output_is_terminal(output))
        return kv_fail(err, KV_ARGUMENTS,
                       "a sealed file is binary and the standard output is a terminal: redirect it, or name "
                       "a file with --out");
    KV_TRY(seal_all(&seal, parties, output, err));
    KV_TRY(kv_output_commit(output, err));
    KV_TRY(kv_register_done(&registration, parties, KV_VIEW(seal.header.bytes), size_of(&seal), err));
    const struct kv_report_row row = { tool->program ? tool->program[0] : NULL,
                                       kv_common_option(tool, "--out"), size_of(&seal),
                                       &registration.backup };
    return kv_report_one(tool, KV_REPORT_SEALED, &row, output, err);
}
